//! What a hub is set up to do: plain data, made by the configuration or in code, replaced as a whole.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt as _};
use url::Url;
use webpubsub_protocol::cloud_event::EventType;

use super::pattern::{EventPattern, InvalidPattern};
use super::template::{InvalidTemplate, UrlTemplate};

/// Keeps times from overflowing.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// The address that a handler in this process appears to have.
const SERVICE_URL: &str = "http://localhost/api/webpubsub/hubs/{hub}/";

/// A handler in this process.
pub(crate) type HandlerService = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// How one hub behaves. A hub without options has no event handlers and wants a token of every client.
#[derive(Debug, Clone, Default)]
#[must_use = "options do nothing until an emulator has them"]
pub struct HubOptions {
    pub(crate) anonymous_connect: AnonymousConnectPolicy,
    pub(crate) event_handlers: Vec<EventHandler>,
}

impl HubOptions {
    /// No event handlers, no anonymous clients.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether clients without a token may connect. Default: no.
    pub fn anonymous_connect(mut self, policy: AnonymousConnectPolicy) -> Self {
        self.anonymous_connect = policy;
        self
    }

    /// Adds a handler after the others. Of several, the first one that takes an event gets it, and only that one.
    pub fn event_handler(mut self, handler: EventHandler) -> Self {
        self.event_handlers.push(handler);
        self
    }

    /// The handler that gets this event.
    pub(crate) fn handler_of(&self, event: &EventType) -> Option<&EventHandler> {
        let mut handlers = self.event_handlers.iter();
        handlers.find(|handler| handler.takes(event))
    }
}

/// Whether clients may connect without an access token. As in the resource's settings, the default is `deny`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AnonymousConnectPolicy {
    /// Such clients are refused with 401.
    #[default]
    Deny,
    /// They may; a `connect` handler can still refuse them.
    Allow,
}

impl FromStr for AnonymousConnectPolicy {
    type Err = InvalidPolicy;
    fn from_str(text: &str) -> Result<Self, InvalidPolicy> {
        match text.to_ascii_lowercase().as_str() {
            "allow" => Ok(Self::Allow),
            "deny" => Ok(Self::Deny),
            _ => Err(InvalidPolicy),
        }
    }
}

/// A text is not an [`AnonymousConnectPolicy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected `allow` or `deny`")]
pub struct InvalidPolicy;

/// An event of the service itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SystemEvent {
    /// A client wants to connect; the handler may accept, change and refuse.
    Connect,
    /// A connection was established.
    Connected,
    /// A connection ended; for reliable clients when they can no longer recover.
    Disconnected,
    /// A connection became a member of a group, whatever the cause. Not in the service's documentation, but in the
    /// official handler library.
    GroupJoined,
    /// A connection left a group, also by ending.
    GroupLeft,
}

impl SystemEvent {
    /// The events that the service's documentation names: `connect`, `connected`, `disconnected`.
    pub const DOCUMENTED: [Self; 3] = [Self::Connect, Self::Connected, Self::Disconnected];

    const NAMES: [(&'static str, Self); 5] = [
        ("connect", Self::Connect),
        ("connected", Self::Connected),
        ("disconnected", Self::Disconnected),
        ("groupJoined", Self::GroupJoined),
        ("groupLeft", Self::GroupLeft),
    ];

    const fn of(event: &EventType) -> Option<Self> {
        match event {
            EventType::Connect => Some(Self::Connect),
            EventType::Connected => Some(Self::Connected),
            EventType::Disconnected => Some(Self::Disconnected),
            EventType::GroupJoined => Some(Self::GroupJoined),
            EventType::GroupLeft => Some(Self::GroupLeft),
            EventType::User(_) => None,
        }
    }
}

impl fmt::Display for SystemEvent {
    /// The name as in settings.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = Self::NAMES.into_iter();
        let name = names.find_map(|(name, event)| (event == *self).then_some(name));
        f.write_str(name.unwrap_or_default())
    }
}

impl FromStr for SystemEvent {
    type Err = UnknownSystemEvent;
    /// Case does not count.
    fn from_str(text: &str) -> Result<Self, UnknownSystemEvent> {
        let mut names = Self::NAMES.into_iter();
        let found = names.find(|(name, _)| name.eq_ignore_ascii_case(text.trim()));
        found.map(|(_, event)| event).ok_or(UnknownSystemEvent)
    }
}

/// A text is not the name of a [`SystemEvent`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected `connect`, `connected`, `disconnected`, `groupJoined` or `groupLeft`")]
pub struct UnknownSystemEvent;

/// Where a hub sends events, and which ones. `Debug` shows the URL without its query, which may hold a key.
#[derive(Clone)]
#[must_use = "a handler does nothing until a hub has it"]
pub struct EventHandler {
    pub(crate) target: Target,
    pub(crate) user_events: EventPattern,
    pub(crate) system_events: BTreeSet<SystemEvent>,
    pub(crate) timeout: Duration,
    pub(crate) validated: bool,
}

/// Where a handler is.
#[derive(Clone)]
pub(crate) enum Target {
    Url(UrlTemplate),
    Service {
        /// Tells the services of a process apart.
        id: u64,
        service: HandlerService,
        template: UrlTemplate,
    },
}

impl Target {
    /// Where the event of a hub goes.
    pub(crate) fn url(&self, hub: &str, event: &str) -> Url {
        match self {
            Self::Url(template) | Self::Service { template, .. } => template.fill(hub, event),
        }
    }
}

impl EventHandler {
    /// How long one event may take, with waiting, retries and pauses. As the service: 100 s.
    pub const TIMEOUT: Duration = Duration::from_secs(100);

    /// A handler at a URL: `http://localhost:3000/eventhandler/{event}`. `{event}` and `{hub}` are filled in. It gets
    /// all user events and the documented system events.
    ///
    /// # Errors
    ///
    /// When the template is not an absolute `http` or `https` URL, or has placeholders in its host.
    pub fn url(template: &str) -> Result<Self, InvalidTemplate> {
        Ok(template.parse::<UrlTemplate>()?.into())
    }

    /// A handler in this process: any tower service for HTTP requests, such as an axum router. It gets the same
    /// requests as a handler at `http://localhost/api/webpubsub/hubs/{hub}/`, the path that handler libraries listen on
    /// by default; the probe before the first event included.
    pub fn service<S, B>(service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
        S: Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let service = service.map_response(|response| response.map(Body::new));
        static SERVICES: AtomicU64 = AtomicU64::new(0);
        Self::new(Target::Service {
            id: SERVICES.fetch_add(1, Ordering::Relaxed),
            service: BoxCloneSyncService::new(service),
            template: SERVICE_URL.parse().expect("a template"),
        })
    }

    fn new(target: Target) -> Self {
        Self {
            target,
            user_events: EventPattern::all(),
            system_events: SystemEvent::DOCUMENTED.into(),
            timeout: Self::TIMEOUT,
            validated: true,
        }
    }

    /// Takes these user events only: `*` for all, `a,b` for those, empty for none. Case does not count.
    ///
    /// # Errors
    ///
    /// When a name in the list cannot be one.
    pub fn user_events(mut self, pattern: &str) -> Result<Self, InvalidPattern> {
        self.user_events = pattern.parse()?;
        Ok(self)
    }

    /// Takes these system events only.
    pub fn system_events(mut self, events: impl IntoIterator<Item = SystemEvent>) -> Self {
        self.system_events = events.into_iter().collect();
        self
    }

    /// How long one event may take up to the head of its answer, with the time that it waits in line (see
    /// [`Limit::HandlerRequests`](crate::Limit::HandlerRequests)), retries and pauses; the rest of the answer may take as
    /// long. At most a day. Default: [`TIMEOUT`](Self::TIMEOUT).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(LONGEST_TIMEOUT);
        self
    }

    /// How long one event may take in all.
    pub(crate) fn longest(&self) -> Duration {
        2 * self.timeout
    }

    /// Sends events without asking first whether the handler wants them. Azure always asks.
    pub const fn skip_validation(mut self) -> Self {
        self.validated = false;
        self
    }

    fn takes(&self, event: &EventType) -> bool {
        match (event, SystemEvent::of(event)) {
            (EventType::User(name), _) => self.user_events.matches(name),
            (_, Some(event)) => self.system_events.contains(&event),
            (_, None) => false,
        }
    }
}

impl From<UrlTemplate> for EventHandler {
    /// As [`EventHandler::url`] with a template that was read before.
    fn from(template: UrlTemplate) -> Self {
        Self::new(Target::Url(template))
    }
}

impl fmt::Debug for EventHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventHandler")
            .field("target", &self.target)
            .field("user_events", &self.user_events)
            .field("system_events", &self.system_events)
            .field("timeout", &self.timeout)
            .field("validated", &self.validated)
            .finish()
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(template) => fmt::Debug::fmt(template, f),
            Self::Service { .. } => f.write_str("a service in this process"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_handler_that_takes_an_event_gets_it() {
        let handler = |url: &str| EventHandler::url(url).unwrap();
        let options = HubOptions::new()
            .event_handler(
                handler("http://one/")
                    .user_events("order")
                    .unwrap()
                    .system_events([]),
            )
            .event_handler(handler("http://two/").system_events([SystemEvent::Connect]))
            .event_handler(handler("http://three/"));
        let taken_by = |event: EventType| {
            options
                .handler_of(&event)
                .map(|handler| format!("{:?}", handler.target))
        };
        let url = |name: &str| Some(format!("\"http://{name}/\""));
        assert_eq!(taken_by(EventType::User("ORDER".into())), url("one"));
        assert_eq!(taken_by(EventType::User("other".into())), url("two"));
        assert_eq!(taken_by(EventType::Connect), url("two"));
        assert_eq!(taken_by(EventType::Disconnected), url("three"));
        assert_eq!(taken_by(EventType::GroupJoined), None);
    }

    #[test]
    fn names_do_not_mind_case() {
        assert_eq!("GROUPjoined".parse(), Ok(SystemEvent::GroupJoined));
        assert_eq!(SystemEvent::GroupJoined.to_string(), "groupJoined");
        assert_eq!("join".parse::<SystemEvent>(), Err(UnknownSystemEvent));
        assert_eq!("Allow".parse(), Ok(AnonymousConnectPolicy::Allow));
        assert_eq!("yes".parse::<AnonymousConnectPolicy>(), Err(InvalidPolicy));
    }
}
