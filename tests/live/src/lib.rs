//! Tests against a resource. Which one, the environment says:
//!
//! - `WEBPUBSUB_LIVE_CONNECTION_STRING`: its connection string. Without it each test starts an emulator, so that the tests
//!   themselves stay tested.
//! - `WEBPUBSUB_LIVE_HUBS`: what the names of hubs begin with. Default: random.
//!
//! `cargo xtask test --azure` sets both. A test gets a hub of its own, whose connections are closed when it ends, however
//! it ends; groups and permissions end with their connections.

mod cut;

use std::env;
use std::panic;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::timeout;
use webpubsub::{ClientAccessToken, WebPubSubServiceClient};
use webpubsub_client::{
    Event, Events, Protocol, Subprotocol, WebPubSubClient, WebPubSubClientBuilder,
    WebPubSubClientCredential,
};
use webpubsub_emulator::Emulator;

pub use cut::{CutTransport, Cuttable};

/// How long anything may take over the Internet.
const WAIT: Duration = Duration::from_secs(30);

/// The four subprotocols of clients.
pub const SUBPROTOCOLS: [Subprotocol; 4] = [
    Subprotocol::Json,
    Subprotocol::ReliableJson,
    Subprotocol::Protobuf,
    Subprotocol::ReliableProtobuf,
];

/// Everything that clients may do in groups.
pub const ROLES: [&str; 4] = [
    "webpubsub.joinLeaveGroup",
    "webpubsub.sendToGroup",
    "webpubsub.getGroupState",
    "webpubsub.setGroupState",
];

/// A hub that no other test uses.
#[derive(Debug, Clone)]
pub struct Hub {
    /// What a server does with it.
    pub service: WebPubSubServiceClient,
}

/// Runs a test with a hub of its own, and cleans up whether it passes or panics.
///
/// # Panics
///
/// When the test does, when it takes longer than two minutes, or when the resource cannot be reached.
pub fn with_hub<T: Future<Output = ()> + Send + 'static>(test: impl FnOnce(Hub) -> T) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime starts");
    runtime.block_on(async {
        let (connection_string, emulator) = resource().await;
        let service =
            WebPubSubServiceClient::from_connection_string(&connection_string, hub_name());
        let hub = Hub {
            service: service.expect("WEBPUBSUB_LIVE_CONNECTION_STRING is a connection string"),
        };
        let outcome = timeout(4 * WAIT, tokio::spawn(test(hub.clone()))).await;
        let cleaned = within("closing what is left", hub.service.close_all_connections()).await;
        if let Some(emulator) = emulator {
            emulator.shutdown().await;
        }
        match outcome.expect("the test ends in time") {
            Ok(()) => cleaned.expect("the connections of the hub can be closed"),
            Err(error) => panic::resume_unwind(error.into_panic()),
        }
    });
}

async fn resource() -> (String, Option<Emulator>) {
    match env::var("WEBPUBSUB_LIVE_CONNECTION_STRING") {
        Ok(connection_string) => (connection_string, None),
        Err(_) => {
            let emulator = Emulator::start().await.expect("an emulator starts");
            (emulator.connection_string(), Some(emulator))
        }
    }
}

fn hub_name() -> String {
    static HUBS: AtomicU32 = AtomicU32::new(0);

    let prefix = env::var("WEBPUBSUB_LIVE_HUBS").unwrap_or_else(|_| "live".to_owned());
    let number = HUBS.fetch_add(1, Ordering::Relaxed);
    // A runner may start a process for each test.
    format!("{prefix}_rust_{:08x}_{number}", rand::random::<u32>())
}

impl Hub {
    /// A token with all [`ROLES`].
    ///
    /// # Panics
    ///
    /// When none is made.
    pub async fn token(&self, user: &str) -> ClientAccessToken {
        let token = self.service.client_access_token();
        let token = token.user_id(user).roles(ROLES).await;
        token.expect("a token is made")
    }

    /// A builder of a client of this user, with all [`ROLES`].
    pub async fn builder(&self, user: &str, protocol: impl Protocol) -> WebPubSubClientBuilder {
        let credential = WebPubSubClientCredential::url(self.token(user).await.url());
        WebPubSubClient::builder(credential).protocol(protocol)
    }

    /// A client of this user that is connected.
    ///
    /// # Panics
    ///
    /// When it cannot connect.
    pub async fn client(&self, user: &str, protocol: impl Protocol) -> Client {
        Client::connect(self.builder(user, protocol).await).await
    }
}

/// A connected client with its events.
#[derive(Debug)]
pub struct Client {
    /// What it does.
    pub client: WebPubSubClient,
    events: Events,
}

impl Client {
    /// Connects.
    ///
    /// # Panics
    ///
    /// When it cannot.
    pub async fn connect(builder: WebPubSubClientBuilder) -> Self {
        let connected = within("a connection", builder.connect_with_events()).await;
        let (client, events) = connected.expect("the service lets it in");
        Self { client, events }
    }

    /// The id of its connection.
    ///
    /// # Panics
    ///
    /// When it has none.
    #[must_use]
    pub fn id(&self) -> String {
        let id = self.client.connection_id();
        id.expect("it is connected").to_string()
    }

    /// The next event that `choose` takes; all before it are skipped.
    ///
    /// # Panics
    ///
    /// When none comes in time.
    pub async fn event<T>(&mut self, what: &str, mut choose: impl FnMut(Event) -> Option<T>) -> T {
        let events = &mut self.events;
        let wanted = async {
            loop {
                let event = events.next().await.expect("the client goes on");
                if let Some(chosen) = choose(event) {
                    return chosen;
                }
            }
        };
        within(what, wanted).await
    }

    /// The text of the next message, of a group or the server.
    ///
    /// # Panics
    ///
    /// When none comes in time, or one without a text.
    pub async fn text(&mut self) -> String {
        let text = |text: Option<&str>| Some(text.expect("a text").to_owned());
        let choose = |event| match event {
            Event::GroupMessage(message) => text(message.text()),
            Event::ServerMessage(message) => text(message.text()),
            _ => None,
        };
        self.event("a message", choose).await
    }
}

/// The result of `work`.
///
/// # Panics
///
/// When it takes longer than 30 s.
pub async fn within<F: IntoFuture>(what: &str, work: F) -> F::Output {
    let outcome = timeout(WAIT, work.into_future()).await;
    outcome.unwrap_or_else(|_| panic!("waited {WAIT:?} for {what}"))
}
