//! Plays an event to its handler once more.

use std::time::Duration;

use serde::{Serialize, Serializer};
use url::Url;

use super::answer::Answer;
use super::client::{NoAnswer, Tries};
use super::dispatch::{Handlers, Shared};
use super::exchange::Failure;
use super::request::{Event, Stamp};
use crate::inspect::text;
use crate::traffic::Payload;

/// The host that an event has which is sent again: that of no client.
const ORIGIN: &str = "localhost";

/// Bytes of an answer that are shown.
const SHOWN: usize = 64 * 1024;

/// What a handler answered to an event that was sent again. It changed nothing for the connection.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Resent {
    /// Where it was sent, without the query, which may hold a key.
    url: String,
    /// `None` when there was no answer.
    status: Option<u16>,
    #[serde(serialize_with = "shown")]
    body: Option<Answer>,
    /// Why there was no answer.
    failure: Option<String>,
    #[serde(rename = "tookSeconds", serialize_with = "text::seconds")]
    took: Duration,
}

impl Handlers {
    /// Sends an event to the handler that takes it now, with a new signature and request id, without connection state and
    /// cookies, and only once.
    ///
    /// # Errors
    ///
    /// No handler takes it, in words.
    pub(crate) async fn resend(&self, event: &Event) -> Result<Resent, String> {
        let (hub, name) = (&event.hub, event.kind.name());
        let Some(handler) = self.of(hub, &event.kind) else {
            return Err(format!(
                "No event handler of hub `{hub}` takes the event `{name}`."
            ));
        };
        let Shared {
            client, context, ..
        } = &*self.0;
        let clock = &context.clock;
        let (began, url) = (clock.mono(), handler.target.url(hub.as_str(), name));
        let request_id = self.0.request_ids.lock().guid();
        let exchange = async {
            let stamp = Stamp {
                keys: &context.keys,
                time: clock.now().wall,
                request_id: &request_id,
                origin: ORIGIN,
                state: None,
                cookies: None,
            };
            let request = event.request(&url, stamp).map_err(NoAnswer::from)?;
            let sending = client.send(&handler.target, &request, Tries::One, None);
            let head = client.before(began + handler.timeout, sending).await;
            let head = head.ok_or(NoAnswer::TimedOut(handler.timeout))??;
            client.read(head, handler.timeout).await
        };
        let answer = exchange.await.map_err(Failure::from);
        let (answer, failure) = match answer {
            Ok(answer) => (Some(answer), None),
            Err(failure) => (None, Some(failure.to_string())),
        };
        Ok(Resent {
            url: without_query(url),
            status: answer.as_ref().map(|answer| answer.status.as_u16()),
            body: answer,
            failure,
            took: clock.mono().saturating_duration_since(began),
        })
    }
}

fn without_query(mut url: Url) -> String {
    url.set_query(None);
    url.into()
}

fn shown<S: Serializer>(answer: &Option<Answer>, serializer: S) -> Result<S::Ok, S::Error> {
    let payload = answer.as_ref().map(|answer| {
        let body = &answer.body;
        Payload::of(&body[..body.len().min(SHOWN)], body.len())
    });
    payload.serialize(serializer)
}
