//! An emulator, a client of the service, and WebSocket clients that connect with the tokens it makes.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest as _, http::HeaderValue},
};
use webpubsub::{WebPubSubServiceClient, payload};
use webpubsub_emulator::Emulator;

/// Longer than any answer takes; it only keeps a failed test from hanging.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub emulator: Emulator,
    pub service: WebPubSubServiceClient,
}

impl World {
    pub(crate) async fn start() -> Self {
        let emulator = Emulator::start().await.unwrap();
        let service =
            WebPubSubServiceClient::from_connection_string(&emulator.connection_string(), "chat")
                .unwrap();
        Self { emulator, service }
    }

    /// Connects a user; `""` is nobody.
    pub(crate) async fn connect(&self, user: &str, groups: &[&str]) -> Client {
        let access = self
            .service
            .client_access_token()
            .user_id(user)
            .groups(groups.iter().copied())
            .await
            .unwrap();
        Client::connect(access.url()).await
    }

    /// The ids of a group's members, in order.
    pub(crate) fn members(&self, group: &str) -> Vec<String> {
        let state = self.emulator.state();
        let members = state.members("chat", group);
        members.into_iter().map(ToString::to_string).collect()
    }

    /// What a client was sent so far: all that comes before a marker which is sent to it now.
    pub(crate) async fn received(&self, client: &mut Client) -> Vec<Value> {
        let marker = json!({"marker": client.id});
        self.service
            .send_to_connection(&client.id, payload::Json(&marker))
            .await
            .unwrap();
        let mut received = Vec::new();
        loop {
            let data = client.next().await["data"].take();
            if data == marker {
                return received;
            }
            received.push(data);
        }
    }
}

/// A client of the JSON subprotocol.
pub(crate) struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub id: String,
}

impl Client {
    pub(crate) async fn connect(url: &str) -> Self {
        let mut request = url.into_client_request().unwrap();
        let subprotocol = HeaderValue::from_static("json.webpubsub.azure.v1");
        request
            .headers_mut()
            .insert("sec-websocket-protocol", subprotocol);
        let (socket, _) = connect_async(request).await.unwrap();
        let mut client = Self {
            socket,
            id: String::new(),
        };
        let connected = client.next().await;
        assert_eq!(connected["event"], "connected", "{connected}");
        client.id = connected["connectionId"].as_str().unwrap().to_owned();
        client
    }

    /// The next frame.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.socket.next()).await;
            match next
                .expect("a frame in time")
                .expect("an open socket")
                .unwrap()
            {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) => {}
                other => panic!("expected text, got {other:?}"),
            }
        }
    }

    /// Sends to a group, and returns whether the service accepted it.
    pub(crate) async fn send_to_group(&mut self, group: &str, ack_id: u64) -> bool {
        let frame = json!({
            "type": "sendToGroup", "group": group, "ackId": ack_id, "noEcho": true, "data": "from a peer",
        });
        self.socket
            .send(Message::text(frame.to_string()))
            .await
            .unwrap();
        let ack = self.next().await;
        assert_eq!(ack["ackId"], ack_id, "{ack}");
        ack["success"] == true
    }

    /// Reads the frame that says that the connection is closed, and gives the reason in it.
    pub(crate) async fn closed(mut self) -> String {
        let frame = self.next().await;
        assert_eq!(frame["event"], "disconnected", "{frame}");
        frame["message"].as_str().unwrap().to_owned()
    }
}
