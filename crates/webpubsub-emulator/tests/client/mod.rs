//! The client endpoint over real sockets: what is refused, what is spoken, how it ends.

mod close_codes;
mod closing;
mod faults;
mod frames;
mod lifetimes;
mod malformed;
mod moved_clock;
mod options;
mod protobuf;
mod raw;
mod recovery;
mod tokens;
mod traffic;
mod upgrade;
mod user_events;

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use webpubsub_emulator::Emulator;

const JSON: &str = "json.webpubsub.azure.v1";
const RELIABLE: &str = "json.reliable.webpubsub.azure.v1";
const ALL_GROUPS: [&str; 2] = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"];

/// Far longer than anything here takes; only a hang reaches it.
const TEST_TIMEOUT: Duration = Duration::from_secs(20);

/// A WebSocket client.
struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    subprotocol: Option<String>,
}

async fn emulator() -> Emulator {
    Emulator::start().await.expect("a free port")
}

fn request(url: &str, subprotocols: Option<&str>) -> Request<()> {
    let mut request = url.into_client_request().expect("a URL");
    if let Some(names) = subprotocols {
        let names = names.parse().expect("a header value");
        request
            .headers_mut()
            .insert("sec-websocket-protocol", names);
    }
    request
}

/// A JSON client that may do everything; its `connected` frame was read.
async fn json_client(emulator: &Emulator, user: &str) -> Client {
    let url = emulator.client_access_url("chat", user, &ALL_GROUPS);
    let mut client = Client::open(request(&url, Some(JSON))).await;
    assert!(client.text().await.contains(r#""event":"connected""#));
    client
}

impl Client {
    async fn open(request: Request<()>) -> Self {
        let (socket, response) = connect_async(request).await.expect("accepted");
        let name = response.headers().get("sec-websocket-protocol");
        let subprotocol = name.map(|name| name.to_str().expect("ASCII").to_owned());
        Self {
            socket,
            subprotocol,
        }
    }

    async fn say(&mut self, text: &str) {
        self.send(Message::text(text)).await;
    }

    async fn send(&mut self, message: Message) {
        self.socket.send(message).await.expect("an open socket");
    }

    /// The next message that is no ping.
    async fn next(&mut self) -> Message {
        loop {
            let next = tokio::time::timeout(TEST_TIMEOUT, self.socket.next()).await;
            match next
                .expect("in time")
                .expect("not the end")
                .expect("a message")
            {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return message,
            }
        }
    }

    async fn text(&mut self) -> String {
        match self.next().await {
            Message::Text(text) => text.to_string(),
            other => panic!("not text: {other:?}"),
        }
    }

    /// The close frame that comes next.
    async fn closed(&mut self) -> (u16, String) {
        match self.next().await {
            Message::Close(Some(CloseFrame { code, reason })) => (code.into(), reason.to_string()),
            other => panic!("not a close: {other:?}"),
        }
    }
}

/// The answer to an upgrade that must be refused.
async fn refusal(request: Request<()>) -> (u16, String) {
    match connect_async(request).await {
        Err(Error::Http(response)) => {
            let response: Response<Option<Vec<u8>>> = *response;
            let status = response.status().as_u16();
            let body = response.into_body().unwrap_or_default();
            (status, String::from_utf8(body).expect("UTF-8"))
        }
        Err(other) => panic!("not an answer: {other}"),
        Ok(_) => panic!("accepted"),
    }
}
