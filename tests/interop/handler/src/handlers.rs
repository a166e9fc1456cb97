//! What the handlers answer, by the name of the event.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::Semaphore;
use webpubsub_emulator::{UserEvent, UserEventFailed, UserEventReply};
use webpubsub_protocol::name::HubName;

/// The handlers of all hubs. A hub belongs to one test, so tests do not meet.
#[derive(Debug, Default)]
pub(crate) struct Handlers {
    hubs: Mutex<BTreeMap<HubName, Arc<SlowCalls>>>,
}

/// The calls of `slow` on one hub, each counted once in every state that it reached.
#[derive(Debug)]
struct SlowCalls {
    begun: Semaphore,
    released: Semaphore,
    dropped: Semaphore,
}

impl Handlers {
    /// Answers one event:
    ///
    /// | event | answer |
    /// |---|---|
    /// | `echo`, and `message` of simple clients | the payload and the metadata that came |
    /// | `context` | JSON: everything but payload and metadata |
    /// | `silent` | none |
    /// | `slow` | as `echo`, once released |
    /// | `slow-begun` | none, once a call of `slow` on this hub has begun |
    /// | `slow-dropped` | none, once a call of `slow` on this hub was given up |
    /// | `release` | none; one call of `slow` on this hub goes on |
    /// | anything else | a failure |
    ///
    /// Those that wait must come from another connection than the call of `slow`: a connection has one call at a time.
    pub(crate) async fn answer(&self, event: UserEvent) -> Result<UserEventReply, UserEventFailed> {
        let slow = self.slow_calls(&event.hub);
        match event.event_name.as_str() {
            "echo" | "message" => Ok(echo(event)),
            "context" => Ok(context(&event)?),
            "silent" => Ok(UserEventReply::none()),
            "slow" => {
                slow.begun.add_permits(1);
                let unless_released = CountDrop(&slow.dropped);
                take(&slow.released).await?;
                std::mem::forget(unless_released);
                Ok(echo(event))
            }
            "slow-begun" => taken(&slow.begun).await,
            "slow-dropped" => taken(&slow.dropped).await,
            "release" => {
                slow.released.add_permits(1);
                Ok(UserEventReply::none())
            }
            other => Err(UserEventFailed::new(format!("no handler for `{other}`"))),
        }
    }

    fn slow_calls(&self, hub: &HubName) -> Arc<SlowCalls> {
        let mut hubs = self.hubs.lock();
        Arc::clone(hubs.entry(hub.clone()).or_default())
    }
}

impl Default for SlowCalls {
    fn default() -> Self {
        let none = || Semaphore::new(0);
        Self {
            begun: none(),
            released: none(),
            dropped: none(),
        }
    }
}

/// Counts a call that is dropped.
struct CountDrop<'s>(&'s Semaphore);

impl Drop for CountDrop<'_> {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

/// Waits for one permit and uses it up.
async fn take(permits: &Semaphore) -> Result<(), UserEventFailed> {
    permits.acquire().await?.forget();
    Ok(())
}

async fn taken(permits: &Semaphore) -> Result<UserEventReply, UserEventFailed> {
    take(permits).await?;
    Ok(UserEventReply::none())
}

fn echo(event: UserEvent) -> UserEventReply {
    UserEventReply::new(event.payload).metadata(event.metadata)
}

fn context(event: &UserEvent) -> Result<UserEventReply, UserEventFailed> {
    let context = json!({
        "hub": event.hub.as_str(),
        "connectionId": event.connection_id.as_str(),
        "userId": event.user_id.as_ref().map(|user| user.as_str()),
        "eventName": event.event_name.as_str(),
        "eventId": event.event_id,
    });
    Ok(UserEventReply::json(&context)?)
}
