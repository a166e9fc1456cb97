//! WebSocket clients.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use webpubsub_protocol::access::ClientTokenOptions;

use super::World;

const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// A connected client.
#[derive(Debug)]
pub(crate) struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Its connection id; empty for simple clients, which are not told.
    pub(crate) id: String,
}

impl World {
    /// A client of the JSON subprotocol, whose `connected` frame was read.
    pub(crate) async fn client(&self, hub: &str, options: ClientTokenOptions) -> Client {
        let mut client = self
            .connect(hub, options, Some("json.webpubsub.azure.v1"))
            .await;
        let connected = client.json().await;
        assert_eq!(connected["event"], "connected", "{connected}");
        client.id = connected["connectionId"]
            .as_str()
            .expect("a connection id")
            .to_owned();
        client
    }

    /// A client of the JSON subprotocol for a user; without a name for an anonymous one.
    pub(crate) async fn user(&self, hub: &str, user: &str, groups: &[&str]) -> Client {
        let mut options = ClientTokenOptions::default().user_id(user);
        options.groups = groups.iter().map(|&group| group.to_owned()).collect();
        self.client(hub, options).await
    }

    /// A client without a subprotocol.
    pub(crate) async fn simple(&self, hub: &str, options: ClientTokenOptions) -> Client {
        self.connect(hub, options, None).await
    }

    /// The next socket of a reliable connection, from its `connected` frame. Nothing was read of it.
    pub(crate) async fn recover(&self, hub: &str, connected: &Value) -> Client {
        let text = |name: &str| connected[name].as_str().expect("text").to_owned();
        let url = format!(
            "ws://{}/client/hubs/{hub}?awps_connection_id={}&awps_reconnection_token={}",
            self.address,
            text("connectionId"),
            text("reconnectionToken")
        );
        let subprotocol = "json.reliable.webpubsub.azure.v1";
        let mut client = self.open(&url, Some(subprotocol)).await;
        client.id = text("connectionId");
        client
    }

    /// A client of any subprotocol, of which nothing was read.
    pub(crate) async fn connect(
        &self,
        hub: &str,
        options: ClientTokenOptions,
        subprotocol: Option<&'static str>,
    ) -> Client {
        let url = self.emulator.client_access_url_with(hub, &options);
        self.open(&url, subprotocol).await
    }

    /// A client with this URL, of which nothing was read.
    pub(crate) async fn open(&self, url: &str, subprotocol: Option<&'static str>) -> Client {
        let mut request = url.into_client_request().expect("a valid URL");
        if let Some(subprotocol) = subprotocol {
            let value = HeaderValue::from_static(subprotocol);
            let headers = request.headers_mut();
            headers.insert("sec-websocket-protocol", value);
        }
        let (socket, _) = connect_async(request).await.expect("the client connects");
        Client {
            socket,
            id: String::new(),
        }
    }
}

impl Client {
    /// The next message.
    pub(crate) async fn next(&mut self) -> Message {
        loop {
            let next = tokio::time::timeout(TEST_TIMEOUT, self.socket.next()).await;
            match next
                .expect("a message in time")
                .expect("an open socket")
                .expect("a message")
            {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return message,
            }
        }
    }

    /// The next message, which is text.
    pub(crate) async fn text(&mut self) -> String {
        match self.next().await {
            Message::Text(text) => text.to_string(),
            other => panic!("expected text, got {other:?}"),
        }
    }

    /// The next message, which is JSON.
    pub(crate) async fn json(&mut self) -> Value {
        let text = self.text().await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The member `data` of the next message.
    pub(crate) async fn data(&mut self) -> Value {
        self.json().await["data"].take()
    }

    /// The next message, which is binary.
    pub(crate) async fn binary(&mut self) -> Bytes {
        match self.next().await {
            Message::Binary(bytes) => bytes,
            other => panic!("expected bytes, got {other:?}"),
        }
    }

    /// The close frame that comes next.
    pub(crate) async fn closed(&mut self) -> Option<CloseFrame> {
        match self.next().await {
            Message::Close(frame) => frame,
            other => panic!("expected a close frame, got {other:?}"),
        }
    }

    /// Says goodbye and waits for the answer: then the emulator knows.
    pub(crate) async fn close(&mut self, code: u16, reason: &str) {
        let frame = CloseFrame {
            code: code.into(),
            reason: reason.into(),
        };
        self.send_message(Message::Close(Some(frame))).await;
        self.closed().await;
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.send_message(Message::text(text)).await;
    }

    pub(crate) async fn send_message(&mut self, message: Message) {
        self.socket.send(message).await.expect("an open socket");
    }
}
