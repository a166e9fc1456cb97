//! One event, played to a running handler as the emulator would send it.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, StatusCode};
use serde::Serialize;
use webpubsub_protocol::access::AccessKey;
use webpubsub_protocol::cloud_event::{ConnectData, DisconnectedData, EventType, GroupData};
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::{ConnectionId, EventName, GroupName, HubName, UserId};
use webpubsub_protocol::payload::{IntoPayload, Payload};

use super::answer::{self, Answer};
use super::client::{Client, Tries};
use super::request::{Event, Stamp};
use super::settings::Target;
use super::template::UrlTemplate;
use crate::clock::Clock;
use crate::ids::Ids;
use crate::settings::WELL_KNOWN_KEY;

/// Plays one event to a running handler: signed, numbered and with the headers that the emulator sends. Nothing asks first
/// whether the handler wants it, and it is sent once.
///
/// ```
/// use axum::{Router, routing::post};
/// use webpubsub_emulator::{Trigger, TriggerEvent};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let handler = Router::new().route("/eventhandler/{event}", post(|| async { "thanks" }));
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let url = format!("http://{}/eventhandler/{{event}}", listener.local_addr()?);
/// tokio::spawn(async move { axum::serve(listener, handler).await });
///
/// let order = TriggerEvent::user("order", "two of them")?;
/// let answer = Trigger::new(url, order).user("ana").send().await?;
/// assert_eq!(answer.status(), 200);
/// assert_eq!(answer.problem(), None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "nothing is sent before `send`"]
pub struct Trigger {
    url: String,
    event: TriggerEvent,
    hub: String,
    origin: String,
    key: AccessKey,
    user: Option<String>,
    connection: Option<String>,
    subprotocol: Option<String>,
    number: u64,
    state: Option<String>,
    headers: Vec<(String, String)>,
    body: Option<Bytes>,
    timeout: Duration,
}

/// An event to play. `Debug` shows no payload.
#[derive(Debug, Clone)]
pub struct TriggerEvent(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Connect,
    Connected,
    Disconnected(Option<String>),
    Joined(GroupName),
    Left(GroupName),
    User(EventName, Payload),
}

impl TriggerEvent {
    /// A client wants to connect.
    pub const CONNECT: Self = Self(Kind::Connect);

    /// A client is connected.
    pub const CONNECTED: Self = Self(Kind::Connected);

    /// A connection has ended.
    #[must_use]
    pub const fn disconnected(reason: Option<String>) -> Self {
        Self(Kind::Disconnected(reason))
    }

    /// A connection has joined a group.
    ///
    /// # Errors
    ///
    /// When the name is not that of a group.
    pub fn group_joined(group: &str) -> Result<Self, TriggerError> {
        Ok(Self(Kind::Joined(parsed("group", GroupName::new(group))?)))
    }

    /// A connection has left a group.
    ///
    /// # Errors
    ///
    /// When the name is not that of a group.
    pub fn group_left(group: &str) -> Result<Self, TriggerError> {
        Ok(Self(Kind::Left(parsed("group", GroupName::new(group))?)))
    }

    /// A client has sent a user event.
    ///
    /// # Errors
    ///
    /// When the name is not that of an event, or the payload cannot be written as JSON.
    pub fn user(name: &str, payload: impl IntoPayload) -> Result<Self, TriggerError> {
        let name = parsed("event", EventName::new(name))?;
        let payload = parsed("payload", payload.into_payload())?;
        Ok(Self(Kind::User(name, payload)))
    }

    fn event_type(&self) -> EventType {
        match &self.0 {
            Kind::Connect => EventType::Connect,
            Kind::Connected => EventType::Connected,
            Kind::Disconnected(_) => EventType::Disconnected,
            Kind::Joined(_) => EventType::GroupJoined,
            Kind::Left(_) => EventType::GroupLeft,
            Kind::User(name, _) => EventType::User(name.as_str().into()),
        }
    }

    fn body(&self, user: Option<&str>, subprotocol: Option<&str>) -> (&'static str, Bytes) {
        match &self.0 {
            Kind::Connect => {
                let user = user.map(|user| ("sub".to_owned(), vec![user.to_owned()]));
                json(&ConnectData {
                    claims: user.into_iter().collect(),
                    subprotocols: subprotocol.map(str::to_owned).into_iter().collect(),
                    ..ConnectData::default()
                })
            }
            Kind::Connected => json(&serde_json::Map::new()),
            Kind::Disconnected(reason) => json(&DisconnectedData {
                reason: reason.clone(),
                mqtt: None,
            }),
            Kind::Joined(group) | Kind::Left(group) => json(&GroupData {
                group: group.to_string(),
            }),
            Kind::User(_, payload) => Event::body_of(payload),
        }
    }
}

/// An event could not be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TriggerError {
    /// A value can never be right, so nothing was sent.
    #[error("the {what}: {problem}")]
    Invalid {
        /// Which value.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The handler did not answer.
    #[error("no answer from the handler: {0}")]
    NoAnswer(String),
}

/// What a handler answered. `Debug` shows no body.
#[derive(Clone)]
pub struct Triggered {
    status: StatusCode,
    headers: Vec<(String, String)>,
    body: Bytes,
    took: Duration,
    problem: Option<String>,
}

impl Triggered {
    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// The headers, in the handler's order.
    #[must_use]
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// From sending the event to the end of the answer.
    #[must_use]
    pub const fn took(&self) -> Duration {
        self.took
    }

    /// Why the event has failed for the emulator; `None` when it takes the answer.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }
}

impl fmt::Debug for Triggered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Triggered")
            .field("status", &self.status)
            .field("took", &self.took)
            .field("problem", &self.problem)
            .finish_non_exhaustive()
    }
}

/// Shows neither the key nor what may be a secret of the handler or its clients.
impl fmt::Debug for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trigger")
            .field("event", &self.event)
            .field("hub", &self.hub)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl Trigger {
    /// For the handler at this URL template, as an emulator is given it.
    pub fn new(url: impl Into<String>, event: TriggerEvent) -> Self {
        Self {
            url: url.into(),
            event,
            hub: "chat".to_owned(),
            origin: "localhost".to_owned(),
            key: AccessKey::new(WELL_KNOWN_KEY),
            user: None,
            connection: None,
            subprotocol: None,
            number: 0,
            state: None,
            headers: Vec::new(),
            body: None,
            timeout: super::Doctor::TIMEOUT,
        }
    }

    /// The hub of the event. Default: `chat`.
    pub fn hub(mut self, hub: impl Into<String>) -> Self {
        self.hub = hub.into();
        self
    }

    /// The host of the service, as handlers see it in `WebHook-Request-Origin`. Default: `localhost`.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = origin.into();
        self
    }

    /// The key that signs. Default: the [well-known key](crate::WELL_KNOWN_KEY).
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = AccessKey::new(key);
        self
    }

    /// The user of the connection. Default: none.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// The id of the connection. Default: a new one.
    pub fn connection(mut self, id: impl Into<String>) -> Self {
        self.connection = Some(id.into());
        self
    }

    /// The subprotocol of the connection; with `connect`, the one that the client offers. Default: none.
    pub fn subprotocol(mut self, subprotocol: impl Into<String>) -> Self {
        self.subprotocol = Some(subprotocol.into());
        self
    }

    /// The number of the event among those of its connection, `ce-id`. Default: 0.
    pub const fn number(mut self, number: u64) -> Self {
        self.number = number;
        self
    }

    /// The state that earlier answers have left with the connection, as in `ce-connectionState`. Default: none.
    pub fn state(mut self, state: impl Into<String>) -> Self {
        self.state = Some(state.into());
        self
    }

    /// Sets a header, in place of what the emulator would send in it; the last value of a name counts.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sends this body in place of the event's own.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// How long the handler may take. Default: 5 seconds.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends the event.
    ///
    /// # Errors
    ///
    /// When a value can never be right, and when the handler does not answer.
    pub async fn send(&self) -> Result<Triggered, TriggerError> {
        let url: UrlTemplate = parsed("URL", self.url.parse())?;
        let clock = Clock::real();
        let request = self.request(&url, &clock)?;
        let client = Client::new(clock.clone());
        let started = clock.now().mono;
        let deadline = started + self.timeout;
        let target = Target::Url(url);
        let no_answer = |problem: &dyn fmt::Display| TriggerError::NoAnswer(problem.to_string());
        let too_slow = || no_answer(&format_args!("nothing within {:?}", self.timeout));
        let sending = client.send(&target, &request, Tries::One, None);
        let head = client.before(deadline, sending).await;
        let head = head.ok_or_else(too_slow)?;
        let head = head.map_err(|error| no_answer(&error))?;
        let answer = client.read(head, self.timeout).await;
        let answer = answer.map_err(|error| no_answer(&error))?;
        let problem = match &self.event.0 {
            Kind::Connect => answer::connect(&answer).err(),
            Kind::User(..) => answer::user_event(Answer {
                status: answer.status,
                headers: answer.headers.clone(),
                body: answer.body.clone(),
            })
            .err(),
            _ => answer::succeeded(&answer).err(),
        };
        let headers = answer.headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.to_string(), value)
        });
        Ok(Triggered {
            status: answer.status,
            headers: headers.collect(),
            took: clock.now().mono - started,
            problem: problem.map(|problem| problem.to_string()),
            body: answer.body,
        })
    }

    fn request(&self, url: &UrlTemplate, clock: &Clock) -> Result<Request<Bytes>, TriggerError> {
        let mut ids = Ids::new(None, "trigger");
        let kind = self.event.event_type();
        let connection_id = match &self.connection {
            Some(id) => parsed("connection", ConnectionId::new(id.as_str()))?,
            None => ids.connection_id(),
        };
        let user = self.user.as_deref();
        let user_id = user.map(|user| parsed("user", UserId::new(user)));
        let subprotocol = self.subprotocol.as_deref();
        let (content_type, body) = self.event.body(user, subprotocol);
        let event = Event {
            id: self.number,
            hub: parsed("hub", HubName::new(self.hub.as_str()))?,
            connection_id,
            user_id: user_id.transpose()?,
            // While it connects, a client has only offered one.
            subprotocol: subprotocol
                .filter(|_| kind != EventType::Connect)
                .map(Into::into),
            content_type,
            body: self.body.clone().unwrap_or(body),
            metadata: Metadata::default(),
            kind,
        };
        let state = self.state.as_deref().map(HeaderValue::from_str);
        let request_id = ids.guid();
        let stamp = Stamp {
            keys: std::slice::from_ref(&self.key),
            time: clock.now().wall,
            request_id: &request_id,
            origin: &self.origin,
            state: parsed("state", state.transpose())?,
            cookies: None,
        };
        let url = url.fill(event.hub.as_str(), event.kind.name());
        let mut request = parsed("event", event.request(&url, stamp))?;
        for (name, value) in &self.headers {
            let name = parsed("header", HeaderName::try_from(name))?;
            let value = parsed("header", HeaderValue::from_str(value))?;
            request.headers_mut().insert(name, value);
        }
        Ok(request)
    }
}

fn json(data: &impl Serialize) -> (&'static str, Bytes) {
    let body = serde_json::to_vec(data).expect("texts and lists of them are JSON");
    ("application/json", body.into())
}

fn parsed<T, E: fmt::Display>(what: &'static str, value: Result<T, E>) -> Result<T, TriggerError> {
    value.map_err(|problem| TriggerError::Invalid {
        what,
        problem: problem.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(trigger: &Trigger) -> Request<Bytes> {
        let url = trigger.url.parse().unwrap();
        trigger.request(&url, &Clock::manual()).unwrap()
    }

    #[test]
    fn the_request_is_the_emulators_with_what_was_overridden() {
        let event = TriggerEvent::user("order", Payload::text("two")).unwrap();
        let trigger = Trigger::new("http://h/{hub}/{event}", event)
            .hub("shop")
            .user("ana")
            .connection("c-1")
            .subprotocol("json.webpubsub.azure.v1")
            .number(7)
            .state("e30=")
            .header("ce-eventName", "other");
        let request = request(&trigger);
        assert_eq!(request.uri(), "http://h/shop/order");
        assert_eq!(request.body(), "two");
        for (name, value) in [
            ("ce-type", "azure.webpubsub.user.order"),
            ("ce-hub", "shop"),
            ("ce-id", "7"),
            ("ce-userid", "ana"),
            ("ce-connectionid", "c-1"),
            ("ce-subprotocol", "json.webpubsub.azure.v1"),
            ("ce-connectionstate", "e30="),
            ("ce-eventname", "other"),
            ("content-type", "text/plain; charset=utf-8"),
        ] {
            assert_eq!(request.headers()[name], value, "{name}");
        }
        assert!(request.headers().contains_key("ce-signature"));
    }

    #[test]
    fn each_event_has_its_body() {
        let room = TriggerEvent::group_joined("room").unwrap();
        for (event, expected) in [
            (
                TriggerEvent::CONNECT,
                r#"{"claims":{"sub":["ana"]},"query":{},"headers":{},"subprotocols":["p"],"clientCertificates":[]}"#,
            ),
            (TriggerEvent::CONNECTED, "{}"),
            (
                TriggerEvent::disconnected(Some("bye".into())),
                r#"{"reason":"bye"}"#,
            ),
            (room, r#"{"group":"room"}"#),
        ] {
            let trigger = Trigger::new("http://h/{event}", event)
                .user("ana")
                .subprotocol("p");
            assert_eq!(request(&trigger).body(), expected);
        }
        let own = Trigger::new("http://h/{event}", TriggerEvent::CONNECT).body("{");
        assert_eq!(request(&own).body(), "{");
    }
}
