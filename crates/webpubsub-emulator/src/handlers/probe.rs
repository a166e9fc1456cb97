//! Abuse protection: no handler gets events before it has said that it wants them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use http::{HeaderMap, Method, Response, StatusCode};
use parking_lot::Mutex;
use tokio::sync::watch;
use url::Url;
use webpubsub_protocol::cloud_event::header::WEBHOOK_ALLOWED_ORIGIN;
use webpubsub_protocol::cloud_event::{AllowedOrigin, allowed_origin};

use super::client::{Client, NoAnswer, Tries};
use super::request;
use super::settings::Target;
use crate::clock::Clock;

/// How long a handler has for each request of the probe.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long a success counts before the handler is asked again.
const FRESH: Duration = Duration::from_secs(60);

/// Handlers that are remembered. Origins come from clients, so there may be many.
const MOST: usize = 1000;

/// Why a handler gets no events. `Display` begins with the name that the service's log has for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// 2xx, but no line names the origin. Holds the lines.
    MissingAllowedOrigin(Vec<String>),
    /// Anything but 2xx.
    InvalidStatusCode(StatusCode),
    NoAnswer(NoAnswer),
}

/// What is known of all handlers that were asked.
#[derive(Default)]
pub(super) struct Probes(Mutex<BTreeMap<ProbeKey, Arc<Slot>>>);

/// Which handler was asked, and for which host of the service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct ProbeKey {
    /// A service in this process.
    service: Option<u64>,
    url: String,
    origin: String,
}

#[derive(Default)]
struct Slot(watch::Sender<Known>);

/// What is known of a handler.
#[derive(Default)]
struct Known {
    /// Its last answer, and until when a success counts.
    last: Option<(Result<(), Refused>, Instant)>,
    /// A probe is on its way.
    asking: bool,
}

impl Known {
    fn takes_events(&self) -> bool {
        matches!(self.last, Some((Ok(()), _)))
    }

    fn is_fresh(&self, now: Instant) -> bool {
        self.takes_events() && self.last.as_ref().is_some_and(|(_, until)| now < *until)
    }
}

/// A handler to be asked, and the host of the service that asks.
#[derive(Clone)]
pub(super) struct Probe {
    pub(super) target: Target,
    pub(super) url: Url,
    pub(super) origin: String,
}

impl Probes {
    /// Whether the handler wants events. A success counts for a minute and is then renewed in the background, by
    /// `spawn`, while events go on. A refusal counts for nobody else: the next event asks again and waits for the
    /// answer, so that a handler that was started or mended meanwhile gets it.
    pub(super) async fn allowed(
        &self,
        clock: &Clock,
        client: &Arc<Client>,
        probe: Probe,
        spawn: impl FnOnce(RunningProbe),
    ) -> Result<(), Refused> {
        let slot = self.slot(&probe);
        let mut known = slot.0.subscribe();
        let mut tries = None;
        slot.0.send_if_modified(|known| {
            if !known.asking && !known.is_fresh(clock.now().mono) {
                known.asking = true;
                // Whoever is known to refuse is not given the time of further tries: each event asks.
                tries = Some(match known.last {
                    Some((Err(_), _)) => Tries::One,
                    _ => Tries::Several,
                });
            }
            false
        });
        if let Some(tries) = tries {
            spawn(RunningProbe {
                slot: Arc::clone(&slot),
                clock: clock.clone(),
                client: Arc::clone(client),
                probe,
                tries,
            });
        }
        let known = known.wait_for(|known| known.takes_events() || !known.asking);
        let known = known.await.expect("the slot lives here");
        known
            .last
            .as_ref()
            .map_or(Ok(()), |(verdict, _)| verdict.clone())
    }

    fn slot(&self, probe: &Probe) -> Arc<Slot> {
        let key = ProbeKey {
            service: match &probe.target {
                Target::Url(_) => None,
                Target::Service { id, .. } => Some(*id),
            },
            url: probe.url.to_string(),
            origin: probe.origin.clone(),
        };
        let mut slots = self.0.lock();
        if slots.len() >= MOST && !slots.contains_key(&key) {
            // Rare enough to start afresh: each handler is asked once more.
            slots.clear();
        }
        Arc::clone(slots.entry(key).or_default())
    }
}

/// A probe to be run.
pub(super) struct RunningProbe {
    slot: Arc<Slot>,
    clock: Clock,
    client: Arc<Client>,
    probe: Probe,
    tries: Tries,
}

impl RunningProbe {
    pub(super) async fn run(self) {
        let verdict = ask(&self.client, &self.clock, &self.probe, self.tries).await;
        self.probe.log(&verdict);
        let until = self.clock.now().mono + FRESH;
        self.slot.0.send_modify(|known| {
            *known = Known {
                last: Some((verdict, until)),
                asking: false,
            };
        });
    }
}

/// Asks without remembering the answer, once, and says what came of it.
pub(super) async fn try_out(client: &Client, clock: &Clock, probe: &Probe) {
    let verdict = ask(client, clock, probe, Tries::One).await;
    probe.log(&verdict);
}

async fn ask(client: &Client, clock: &Clock, probe: &Probe, tries: Tries) -> Result<(), Refused> {
    let mut response = send(client, clock, probe, Method::OPTIONS, tries).await?;
    if response.status() == StatusCode::NOT_FOUND {
        response = send(client, clock, probe, Method::GET, tries).await?;
    }
    judge(response.status(), response.headers(), probe)
}

async fn send(
    client: &Client,
    clock: &Clock,
    probe: &Probe,
    method: Method,
    tries: Tries,
) -> Result<Response<Body>, Refused> {
    let request = request::probe(method, &probe.url, &probe.origin)
        .map_err(|error| Refused::NoAnswer(error.into()))?;
    let deadline = clock.now().mono + TIMEOUT;
    let sending = client.send(&probe.target, &request, tries, None);
    let answer = client.before(deadline, sending).await;
    answer
        .unwrap_or(Err(NoAnswer::TimedOut(TIMEOUT)))
        .map_err(Refused::NoAnswer)
}

fn judge(status: StatusCode, headers: &HeaderMap, probe: &Probe) -> Result<(), Refused> {
    if !status.is_success() {
        return Err(Refused::InvalidStatusCode(status));
    }
    let lines = headers.get_all(WEBHOOK_ALLOWED_ORIGIN).iter();
    let lines: Vec<String> = lines
        .map(|line| String::from_utf8_lossy(line.as_bytes()).into_owned())
        .collect();
    match allowed_origin(lines.iter().map(String::as_str), &probe.origin) {
        AllowedOrigin::Yes => Ok(()),
        AllowedOrigin::InList => {
            tracing::warn!(
                handler = ?probe.target,
                "the handler lists several hosts in one WebHook-Allowed-Origin line. That works here, but Azure does \
                 not split such lines: answer one line per host, or `*`"
            );
            Ok(())
        }
        AllowedOrigin::No => Err(Refused::MissingAllowedOrigin(lines)),
    }
}

impl Probe {
    fn log(&self, verdict: &Result<(), Refused>) {
        let (handler, origin) = (&self.target, &self.origin);
        match verdict {
            Ok(()) => tracing::info!(?handler, origin, "the event handler takes events"),
            Err(refused) => tracing::warn!(
                ?handler,
                origin,
                "the event handler gets no events: {refused}. {}",
                refused.remedy(origin)
            ),
        }
    }
}

impl Refused {
    /// What to do about it.
    fn remedy(&self, origin: &str) -> String {
        match self {
            Self::MissingAllowedOrigin(_) | Self::InvalidStatusCode(_) => format!(
                "It must answer `OPTIONS` on its URL with 200 and the header `WebHook-Allowed-Origin: *` (or `{origin}`)"
            ),
            Self::NoAnswer(NoAnswer::Unreachable(_)) => {
                "Start it, or correct its URL; the next event asks it again".to_owned()
            }
            Self::NoAnswer(_) => "It must answer `OPTIONS` on its URL at once".to_owned(),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingAllowedOrigin(lines) if lines.is_empty() => f.write_str(
                "AbuseProtectionResponseMissingAllowedOrigin: it answered without WebHook-Allowed-Origin",
            ),
            Self::MissingAllowedOrigin(lines) => write!(
                f,
                "AbuseProtectionResponseMissingAllowedOrigin: its WebHook-Allowed-Origin is {lines:?}"
            ),
            Self::InvalidStatusCode(status) => write!(
                f,
                "AbuseProtectionResponseInvalidStatusCode: it answered {status}"
            ),
            Self::NoAnswer(error) => write!(f, "AbuseProtectionResponseFailed: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_refusal_says_what_was_answered_and_what_to_do() {
        let probe = Probe {
            target: Target::Url("http://h/{event}".parse().unwrap()),
            url: "http://h/validate".parse().unwrap(),
            origin: "localhost".to_owned(),
        };
        let told = |status, lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(WEBHOOK_ALLOWED_ORIGIN, HeaderValue::from_static(line));
            }
            let verdict = judge(StatusCode::from_u16(status).unwrap(), &headers, &probe);
            verdict.map_err(|refused| (refused.to_string(), refused.remedy("localhost")))
        };
        let answer = "It must answer `OPTIONS` on its URL with 200 and the header `WebHook-Allowed-Origin: *` (or `localhost`)";
        for (status, lines, expected) in [
            (
                200,
                &[][..],
                "AbuseProtectionResponseMissingAllowedOrigin: it answered without WebHook-Allowed-Origin",
            ),
            (
                204,
                &["a", "localhost:1"],
                r#"AbuseProtectionResponseMissingAllowedOrigin: its WebHook-Allowed-Origin is ["a", "localhost:1"]"#,
            ),
            (
                405,
                &["*"],
                "AbuseProtectionResponseInvalidStatusCode: it answered 405 Method Not Allowed",
            ),
        ] {
            assert_eq!(
                told(status, lines),
                Err((expected.to_owned(), answer.to_owned()))
            );
        }
        assert_eq!(told(200, &["a", "LOCALHOST"]), Ok(()));
        let gone = Refused::NoAnswer(NoAnswer::Unreachable("connection refused".to_owned()));
        assert_eq!(
            gone.to_string(),
            "AbuseProtectionResponseFailed: it cannot be reached: connection refused"
        );
        assert!(gone.remedy("localhost").contains("Start it"));
    }
}
