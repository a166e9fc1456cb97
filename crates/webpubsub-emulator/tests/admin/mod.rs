//! The admin API over HTTP.

mod access;
mod clock;
mod description;
mod faults;
mod inspect;
mod metrics;
mod schema;
mod state;
mod traffic;

use serde_json::Value;
use webpubsub_emulator::EmulatorBuilder;

use crate::support::World;
use crate::support::http::{Reply, exchange};

/// An emulator with its admin API.
#[derive(Debug)]
pub(crate) struct Admin {
    pub(crate) world: World,
}

impl Admin {
    pub(crate) async fn start() -> Self {
        Self::with(|builder| builder).await
    }

    pub(crate) async fn with(settings: impl FnOnce(EmulatorBuilder) -> EmulatorBuilder) -> Self {
        let world = World::with(|builder| settings(builder.admin(true))).await;
        Self { world }
    }

    pub(crate) fn token(&self) -> &str {
        self.world
            .emulator
            .admin_token()
            .expect("it has one")
            .as_str()
    }

    /// Calls a path below the API's own, with the token.
    pub(crate) async fn call(&self, method: &str, path: &str, body: &str) -> Reply {
        let authorization = format!("Authorization: Bearer {}\r\n", self.token());
        self.send(method, path, &authorization, body).await
    }

    /// The same with these headers only.
    pub(crate) async fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> Reply {
        let address = self.world.address;
        let request = format!(
            "{method} /_emulator/{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Content-Length: {}\r\n{headers}\r\n{body}",
            body.len()
        );
        exchange(address, request.as_bytes())
            .await
            .expect("an answer")
    }

    /// The document that a call is answered with, which must be as the description says.
    pub(crate) async fn document(&self, method: &str, path: &str, body: &str) -> Value {
        let reply = self.call(method, path, body).await;
        assert_eq!(reply.status, 200, "{method} {path}: {}", reply.text());
        let document = reply.json();
        schema::check(method, path, &document);
        document
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.document("GET", path, "").await
    }
}
