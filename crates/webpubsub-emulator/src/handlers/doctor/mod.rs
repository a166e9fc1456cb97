//! The doctor plays the service against a running event handler and says what is wrong with it.
//!
//! [`visit`] is the order of the checks, [`judge`] knows what answers mean, [`diagnosis`] is the result. [`subject`] sends
//! the requests, which are those of the emulator.

mod diagnosis;
mod judge;
mod subject;
mod visit;

use std::time::Duration;

use webpubsub_protocol::access::AccessKey;
use webpubsub_protocol::name::{EventName, HubName};

use super::client::Client;
use super::session::Session;
use super::settings::Target;
use super::template::UrlTemplate;
use crate::clock::Clock;
use crate::ids::Ids;
use crate::settings::WELL_KNOWN_KEY;

pub use diagnosis::{Check, Code, Diagnosis, Status};
use judge::{Finding, Verdict};
use subject::Subject;
use visit::Checklist;

/// Plays the service against a running event handler: the preflight, the life of one connection, an event with a wrong
/// signature and one of another hub. The handler takes them for real events of a client with the user id `doctor`.
///
/// ```
/// use axum::{Router, http::Method, routing::any};
/// use webpubsub_emulator::{Code, Doctor};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Agrees with everything, and looks at nothing.
/// let handler = Router::new().route(
///     "/eventhandler/{event}",
///     any(|| async { [("WebHook-Allowed-Origin", "*")] }),
/// );
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let url = format!("http://{}/eventhandler/{{event}}", listener.local_addr()?);
/// tokio::spawn(async move { axum::serve(listener, handler).await });
///
/// let diagnosis = Doctor::new(url).examine().await;
/// assert!(diagnosis.is_fine(), "{diagnosis}");
/// assert!(diagnosis.find(Code::SignatureUnchecked).is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a doctor finds out nothing before `examine`"]
pub struct Doctor {
    url: String,
    hub: String,
    event: String,
    origin: String,
    key: AccessKey,
    timeout: Duration,
    strict: bool,
}

impl Doctor {
    /// How long each request may take.
    pub const TIMEOUT: Duration = Duration::from_secs(5);

    /// For the handler at this URL template, as an emulator is given it. It is looked at by
    /// [`examine`](Self::examine).
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            hub: "chat".to_owned(),
            event: "message".to_owned(),
            origin: "localhost".to_owned(),
            key: AccessKey::new(WELL_KNOWN_KEY),
            timeout: Self::TIMEOUT,
            strict: false,
        }
    }

    /// The hub whose events are sent. Default: `chat`.
    pub fn hub(mut self, hub: impl Into<String>) -> Self {
        self.hub = hub.into();
        self
    }

    /// The user event that is sent. Default: `message`, which simple clients send.
    pub fn event(mut self, event: impl Into<String>) -> Self {
        self.event = event.into();
        self
    }

    /// The host of the service, as handlers see it in `WebHook-Request-Origin`. Default: `localhost`, as an emulator on
    /// this machine.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = origin.into();
        self
    }

    /// The key that signs. Default: the [well-known key](crate::WELL_KNOWN_KEY).
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = AccessKey::new(key);
        self
    }

    /// How long each request may take. Default: [`TIMEOUT`](Self::TIMEOUT).
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Whether a handler that accepts wrong signatures fails, in place of a warning. Default: no.
    pub const fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// Sends everything, and says what it found. Takes at most nine times the [limit](Self::timeout).
    pub async fn examine(&self) -> Diagnosis {
        let mut list = Checklist::default();
        let shown = match self.subject() {
            Ok(mut subject) => {
                if let Err(reason) = subject.examine(self, &mut list).await {
                    list.skip_rest(&reason);
                }
                subject.url.to_string()
            }
            Err(finding) => {
                list.push(Verdict::Failed(finding), None);
                list.skip_rest("there is nobody to ask");
                "(not usable)".to_owned()
            }
        };
        Diagnosis {
            url: shown,
            hub: self.hub.clone(),
            checks: list.checks,
        }
    }

    fn subject(&self) -> Result<Subject, Finding> {
        let wrong = |why: String, fix: &str| Finding {
            code: Code::Url,
            why,
            fix: fix.to_owned(),
        };
        let url: UrlTemplate = self.url.parse().map_err(|error| {
            wrong(
                format!("the URL cannot be used: {error}"),
                "give the URL as the service gets it, such as `http://127.0.0.1:3000/eventhandler/{event}`",
            )
        })?;
        let hub = HubName::new(self.hub.clone()).map_err(|error| {
            let why = format!("`{}` cannot be the name of a hub: {error}", self.hub);
            wrong(why, "give the name of the hub that the handler is made for")
        })?;
        let event = EventName::new(self.event.clone()).map_err(|error| {
            let why = format!("`{}` cannot be the name of an event: {error}", self.event);
            wrong(why, "give the name of a user event that the handler takes")
        })?;
        let clock = Clock::real();
        let mut ids = Ids::new(None, "doctor");
        Ok(Subject {
            target: Target::Url(url.clone()),
            url,
            hub,
            event,
            client: Client::new(clock.clone()),
            session: Session::new(self.origin.clone()),
            connection_id: ids.connection_id(),
            keys: vec![self.key.clone()],
            timeout: self.timeout,
            events: 0,
            clock,
            ids,
        })
    }
}
