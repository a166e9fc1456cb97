//! Event handlers: what they are told over HTTP or in this process, and what their answers do.

mod connect;
mod failures;
pub(crate) mod handler;
mod lifecycle;
mod membership;
mod under_way;
mod user_events;
mod validation;

use std::time::Duration;

use self::handler::{Handler, Reply, Seen};
use crate::support::{self, World};
use webpubsub_emulator::{Emulator, EventHandler, HubOptions, Limit, SystemEvent};
use webpubsub_protocol::access::ClientTokenOptions;

const JSON: &str = "json.webpubsub.azure.v1";
const RELIABLE: &str = "json.reliable.webpubsub.azure.v1";

/// Far longer than anything here takes; only a hang reaches it.
const TEST_TIMEOUT: Duration = Duration::from_secs(30);

const ALL_EVENTS: [SystemEvent; 5] = [
    SystemEvent::Connect,
    SystemEvent::Connected,
    SystemEvent::Disconnected,
    SystemEvent::GroupJoined,
    SystemEvent::GroupLeft,
];

/// An emulator whose hub `chat` has this one handler.
async fn world(handler: EventHandler) -> World {
    World::with(|builder| {
        builder
            .hub("chat", HubOptions::new().event_handler(handler))
            // Time that a test lets pass at once is no silence.
            .limit(Limit::SilenceLimit, 24 * 60 * 60)
    })
    .await
}

/// A user who may do everything.
fn user(name: &str) -> ClientTokenOptions {
    ClientTokenOptions::default()
        .user_id(name)
        .role("webpubsub.joinLeaveGroup")
        .role("webpubsub.sendToGroup")
}
