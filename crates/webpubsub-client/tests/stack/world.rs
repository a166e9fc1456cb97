//! An emulator behind a proxy, and clients that reach it through it.

use std::time::Duration;

use tokio::net::TcpListener;
use webpubsub_client::{Backoff, Event, Events, Subprotocol, WebPubSubClient};
use webpubsub_emulator::{Emulator, EmulatorBuilder};
use webpubsub_protocol::access::{ClientTokenOptions, ConnectionString, sign_client_token};

use crate::proxy::Proxy;

const ROLES: [&str; 2] = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"];

pub(crate) struct World {
    pub(crate) emulator: Emulator,
    pub(crate) proxy: Proxy,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    pub(crate) async fn with(build: impl FnOnce(EmulatorBuilder) -> EmulatorBuilder) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let outside = format!("http://{}", listener.local_addr().expect("bound"));
        let emulator = build(Emulator::builder().public_endpoint(outside))
            .start()
            .await;
        let emulator = emulator.expect("an emulator");
        let proxy = Proxy::start(listener, emulator.addresses()[0]).await;
        Self { emulator, proxy }
    }

    /// A client access URL that leads through the proxy.
    pub(crate) fn url(&self, user: &str) -> String {
        let inside: ConnectionString = self.emulator.connection_string().parse().expect("its own");
        let outside = format!("http://{}", self.proxy.address())
            .parse()
            .expect("a URL");
        let mut options = ClientTokenOptions::default();
        options.user_id = Some(user.to_owned());
        options.roles = ROLES.map(str::to_owned).to_vec();
        let now = std::time::SystemTime::now();
        let token = sign_client_token(&outside, "chat", inside.access_key(), &options, now);
        token.url().to_owned()
    }

    /// A client through the proxy that notices within a second when it is dead.
    pub(crate) async fn client(
        &self,
        user: &str,
        protocol: Subprotocol,
    ) -> (WebPubSubClient, Events) {
        WebPubSubClient::builder(self.url(user))
            .protocol(protocol)
            .keep_alive_interval(Duration::from_millis(200))
            .keep_alive_timeout(Duration::from_secs(1))
            .dial_timeout(Duration::from_secs(1))
            .recovery_backoff(Backoff::Fixed(Duration::from_millis(20)))
            .connect_with_events()
            .await
            .expect("connected")
    }
}

/// Waits for the next event that `wanted` picks; the connection must not be lost for good.
pub(crate) async fn next<T>(events: &mut Events, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
    loop {
        let event = events.next().await.expect("the client lives");
        assert!(!matches!(event, Event::Disconnected { .. }), "{event:?}");
        if let Some(found) = wanted(event) {
            return found;
        }
    }
}
