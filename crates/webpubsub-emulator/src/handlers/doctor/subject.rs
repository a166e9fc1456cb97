//! A handler, and the connection that is played to it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use url::Url;
use webpubsub_protocol::access::AccessKey;
use webpubsub_protocol::cloud_event::header::WEBHOOK_ALLOWED_ORIGIN;
use webpubsub_protocol::cloud_event::{EventType, VALIDATE};
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::{ConnectionId, EventName, HubName, UserId};

use super::judge::Heard;
use crate::clock::Clock;
use crate::handlers::answer::{self, Answer};
use crate::handlers::client::{Client, NoAnswer, Tries};
use crate::handlers::request::{self, Event, Stamp, Unsendable};
use crate::handlers::session::Session;
use crate::handlers::settings::Target;
use crate::handlers::template::UrlTemplate;
use crate::ids::Ids;

/// The subprotocol of the played connection.
pub(super) const SUBPROTOCOL: &str = "json.webpubsub.azure.v1";

/// The first characters of an answer that are shown when it refuses something.
const SHOWN: usize = 160;

/// A request and its answer, and both in short.
pub(super) struct Exchange {
    pub(super) sent: String,
    pub(super) received: String,
    pub(super) heard: Heard,
}

/// A handler, and the connection that is played to it.
pub(super) struct Subject {
    pub(super) url: UrlTemplate,
    pub(super) target: Target,
    pub(super) hub: HubName,
    pub(super) event: EventName,
    pub(super) client: Client,
    pub(super) session: Arc<Session>,
    pub(super) connection_id: ConnectionId,
    pub(super) keys: Vec<AccessKey>,
    pub(super) timeout: Duration,
    pub(super) events: u64,
    pub(super) clock: Clock,
    pub(super) ids: Ids,
}

impl Subject {
    pub(super) fn begin_connection(&mut self, origin: &str) {
        self.session = Session::new(origin);
        self.connection_id = self.ids.connection_id();
        self.events = 0;
    }

    /// Sends the preflight, by `GET` when `OPTIONS` is not found.
    pub(super) async fn ask(&self) -> Exchange {
        let url = self.url.fill(self.hub.as_str(), VALIDATE);
        let origin = self.session.origin();
        let exchange = self
            .exchange(request::probe(Method::OPTIONS, &url, origin), &url, "")
            .await;
        match &exchange.heard {
            Ok(answer) if answer.status == StatusCode::NOT_FOUND => {
                let request = request::probe(Method::GET, &url, origin);
                let by_get = self
                    .exchange(request, &url, ", after 404 for OPTIONS")
                    .await;
                let is_found = by_get
                    .heard
                    .as_ref()
                    .is_ok_and(|answer| answer.status.is_success());
                if is_found { by_get } else { exchange }
            }
            _ => exchange,
        }
    }

    /// Sends an event of the connection.
    pub(super) async fn send_event(
        &mut self,
        kind: EventType,
        (content_type, body): (&'static str, Bytes),
    ) -> Exchange {
        let url = self.url.fill(self.hub.as_str(), kind.name());
        let is_connect = kind == EventType::Connect;
        let event = Event {
            id: self.events,
            hub: self.hub.clone(),
            connection_id: self.connection_id.clone(),
            user_id: Some(UserId::new("doctor").expect("it is no blank")),
            subprotocol: (!is_connect).then(|| SUBPROTOCOL.into()),
            content_type,
            body,
            metadata: Metadata::default(),
            kind,
        };
        self.events += 1;
        let now = self.clock.now().wall;
        let request_id = self.ids.guid();
        let stamp = Stamp {
            keys: &self.keys,
            time: now,
            request_id: &request_id,
            origin: self.session.origin(),
            state: self.session.state(),
            cookies: self.session.cookies(&url, now),
        };
        let about = format!(
            " with ce-type {} and ce-hub {}",
            event.kind.ce_type(),
            event.hub
        );
        let exchange = self
            .exchange(event.request(&url, stamp), &url, &about)
            .await;
        if let Ok(answer) = &exchange.heard
            && answer.status.is_success()
        {
            self.session.keep_cookies(&url, &answer.headers, now);
        }
        exchange
    }

    async fn exchange(
        &self,
        request: Result<Request<Bytes>, Unsendable>,
        url: &Url,
        about: &str,
    ) -> Exchange {
        let (sent, heard) = match request {
            Ok(request) => {
                let sent = format!("{} {}{about}", request.method(), without_query(url));
                (sent, self.send(&request).await)
            }
            Err(error) => ("nothing".to_owned(), Err(error.into())),
        };
        let received = match &heard {
            Ok(answer) => in_short(answer),
            Err(NoAnswer::TimedOut(_)) => "nothing in time".to_owned(),
            Err(_) => "no answer".to_owned(),
        };
        Exchange {
            sent,
            received,
            heard,
        }
    }

    async fn send(&self, request: &Request<Bytes>) -> Heard {
        let deadline = self.clock.now().mono + self.timeout;
        let sending = self.client.send(&self.target, request, Tries::One, None);
        let head = self.client.before(deadline, sending).await;
        let head = head.unwrap_or(Err(NoAnswer::TimedOut(self.timeout)))?;
        self.client.read(head, self.timeout).await
    }

    pub(super) fn keep_state(&self, answer: &Answer) {
        // One that is not ASCII is named where it was given; sending it back would only hide what else is wrong.
        if let Some(state) =
            answer::state(&answer.headers).filter(|state| state.as_bytes().is_ascii())
        {
            self.session.set_state(state);
        }
    }
}

/// The query may hold a key.
fn without_query(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(url.query().map(|_| ".."));
    shown.to_string()
}

fn in_short(answer: &Answer) -> String {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let mut parts = vec![answer.status.to_string()];
    for name in [header::CONTENT_TYPE.as_str(), WEBHOOK_ALLOWED_ORIGIN] {
        let lines = answer.headers.get_all(name).iter();
        parts.extend(lines.map(|value| format!("{name}: {}", text(value))));
    }
    if let Some(location) = answer.headers.get(header::LOCATION) {
        let location = text(location);
        let shown = location.split(['?', '#']).next().unwrap_or_default();
        parts.push(format!("location: {shown}"));
    }
    // What a handler says about a refusal is meant to be read, unless it is a page for browsers; an answer to a client is
    // not ours to show.
    let is_page = parts.iter().any(|part| part.contains("text/html"));
    if !answer.status.is_success() && !answer.body.is_empty() && !is_page {
        let body = String::from_utf8_lossy(&answer.body);
        let line = body.lines().next().unwrap_or_default();
        let shown: String = line
            .chars()
            .filter(|c| !c.is_control())
            .take(SHOWN)
            .collect();
        parts.push(format!("\"{shown}\""));
    }
    parts.join(", ")
}
