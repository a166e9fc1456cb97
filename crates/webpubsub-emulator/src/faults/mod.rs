//! What goes wrong on purpose: rules, which of them hit, and what they do.
//!
//! [`rules`] decides, from moments and seeds alone. The places where something can go wrong ask it: the gate of upgrades, REST
//! operations, sockets, and requests to event handlers. Each asks behind one relaxed load, so that an emulator without rules
//! pays nothing else.

mod fault;
mod form;
pub(crate) mod line;
mod rules;
mod scope;

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use http::StatusCode;
use parking_lot::Mutex;
use serde::Serialize;

pub(crate) use fault::Kind;
pub use fault::{Fault, InvalidFault};
pub use rules::FaultId;
pub(crate) use rules::Hit;
use rules::{Rules, Verdict};
pub(crate) use scope::{Place, Subject};

use crate::clock::Clock;
use crate::refusal::Refusal;
use crate::service::Service;
use crate::traffic::{Log, TrafficEvent};

/// The rules of an emulator by which things go wrong. See [`Emulator::faults`](crate::Emulator::faults).
///
/// ```
/// use webpubsub_emulator::{Emulator, Fault};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let emulator = Emulator::start().await?;
/// let rule = emulator.faults().add(Fault::refuse_upgrade(503).hit_count(1))?;
///
/// let url = || emulator.client_access_url("chat", "ana", &[]);
/// assert!(tokio_tungstenite::connect_async(url()).await.is_err());
/// assert!(tokio_tungstenite::connect_async(url()).await.is_ok());
/// assert_eq!(emulator.faults().hits(rule), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Faults(Arc<Service>);

/// A rule as it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FaultRule {
    /// Removes it.
    pub id: FaultId,
    /// How often it has hit.
    pub hits: u64,
    /// What it was made of.
    #[serde(flatten)]
    pub fault: Fault,
}

impl Faults {
    pub(crate) const fn new(service: Arc<Service>) -> Self {
        Self(service)
    }

    /// Adds a rule. It holds from now on, also for connections that are open.
    ///
    /// # Errors
    ///
    /// The rule could never hit anything.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, where the fault begins [later](Fault::after).
    pub fn add(&self, fault: Fault) -> Result<FaultId, InvalidFault> {
        self.0.faults().add(fault, &self.0)
    }

    /// All rules, in the order in which they are looked at.
    #[must_use]
    pub fn list(&self) -> Vec<FaultRule> {
        self.0.faults().list()
    }

    /// How often a rule has hit; 0 when there is none with this id any more.
    #[must_use]
    pub fn hits(&self, id: FaultId) -> u64 {
        let rules = self.0.faults().rules.lock();
        rules
            .all()
            .find(|(its, ..)| *its == id)
            .map_or(0, |(.., hits)| hits)
    }

    /// Removes a rule: what it disturbs works again. Whether there was one with this id.
    #[expect(
        clippy::must_use_candidate,
        reason = "whoever removes a rule need not care whether it was there"
    )]
    pub fn remove(&self, id: FaultId) -> bool {
        let mut is_there = false;
        self.0
            .faults()
            .change(&self.0, |rules| is_there = rules.remove(id));
        is_there
    }

    /// Has the service vanish and come back at once: all connections break without a close frame. Rules stay.
    pub fn restart(&self, restart: Restart) {
        self.0.break_connections();
        if restart == Restart::LoseState {
            self.0.end_connections();
        }
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.0.faults().change(&self.0, Rules::clear);
    }
}

/// What a restart of the service leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Restart {
    /// Reliable connections wait for their clients, with their groups and with what was sent to them.
    KeepState,
    /// Nothing: no connection can be recovered.
    LoseState,
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list()).finish()
    }
}

/// The rules, for those who have to ask them.
pub(crate) struct FaultStore {
    clock: Clock,
    traffic: Arc<Log>,
    seed: u64,
    rules: Mutex<Rules>,
    /// Bits of the places that some rule concerns.
    places: AtomicU8,
    /// Counts the changes.
    generation: AtomicU64,
    /// Transports that are held open although the service has given them up, since nobody is to be told.
    held_open: Mutex<Vec<HeldOpen>>,
}

struct HeldOpen {
    because: Vec<FaultId>,
    /// Closed when it is dropped.
    _transport: Box<dyn Send>,
}

impl FaultStore {
    pub(crate) fn new(clock: Clock, traffic: Arc<Log>, seed: Option<u64>) -> Self {
        Self {
            clock,
            traffic,
            seed: seed.unwrap_or_else(rand::random),
            rules: Mutex::default(),
            places: AtomicU8::new(0),
            generation: AtomicU64::new(0),
            held_open: Mutex::default(),
        }
    }

    /// Whether a rule concerns this place.
    pub(crate) fn concern(&self, place: Place) -> bool {
        self.places.load(Ordering::Relaxed) & place.bit() != 0
    }

    /// Whether a rule concerns sockets.
    pub(crate) fn concern_sockets(&self) -> bool {
        self.places.load(Ordering::Relaxed) & (Place::Line.bit() | Place::Frame.bit()) != 0
    }

    /// Whether a rule concerns operations of the REST API.
    pub(crate) fn concern_operations(&self) -> bool {
        self.concern(Place::Operation) || self.concern(Place::Answer)
    }

    /// Counts the changes of rules: whoever was judged is judged again when it differs.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The rule that hits what happens now, after the time that others make it take.
    pub(crate) async fn disturb(&self, place: Place, subject: &Subject<'_>) -> Option<Hit> {
        if !self.concern(place) {
            return None;
        }
        let Verdict { delay, mut hits } = self.decide(place, subject);
        if !delay.is_zero() {
            self.clock.sleep_until(self.clock.mono() + delay).await;
        }
        hits.pop()
            .filter(|hit| !matches!(hit.kind, Kind::Latency { .. }))
    }

    /// Lets a rule refuse what is about to happen, after the time that others make it take.
    ///
    /// # Errors
    ///
    /// A rule refuses it.
    pub(crate) async fn admit(&self, place: Place, subject: &Subject<'_>) -> Result<(), Refusal> {
        match self.disturb(place, subject).await.map(|hit| hit.kind) {
            Some(Kind::RefuseUpgrade(refuse) | Kind::RefuseOperation(refuse)) => {
                Err(Refusal::Fault {
                    // Checked when the rule was added.
                    status: StatusCode::from_u16(refuse.status)
                        .unwrap_or(StatusCode::SERVICE_UNAVAILABLE),
                    retry_after: refuse.retry_after,
                })
            }
            _ => Ok(()),
        }
    }

    /// The same for what takes no time.
    pub(crate) fn strike(&self, place: Place, subject: &Subject<'_>) -> Option<Hit> {
        match self.concern(place) {
            true => self.decide(place, subject).hits.pop(),
            false => None,
        }
    }

    fn decide(&self, place: Place, subject: &Subject<'_>) -> Verdict {
        let verdict = self.rules.lock().decide(self.clock.mono(), place, subject);
        self.tell(&verdict.hits, subject);
        verdict
    }

    /// The rules that disturb a line from now on, of those that have not been judged for it.
    pub(crate) fn judge(&self, subject: &Subject<'_>, judged: &mut Vec<FaultId>) -> Vec<Hit> {
        let hits = self.rules.lock().judge(self.clock.mono(), subject, judged);
        self.tell(&hits, subject);
        hits
    }

    /// Whether there still is such a rule.
    pub(crate) fn has(&self, id: FaultId) -> bool {
        self.rules.lock().contains(id)
    }

    /// Holds a transport open until one of these rules is removed.
    pub(crate) fn hold_open(&self, because: Vec<FaultId>, transport: Box<dyn Send>) {
        self.held_open.lock().push(HeldOpen {
            because,
            _transport: transport,
        });
    }

    fn tell(&self, hits: &[Hit], subject: &Subject<'_>) {
        for hit in hits {
            self.traffic.note(|| TrafficEvent::Fault {
                hub: subject.hub.cloned(),
                connection_id: subject.connection.cloned(),
                user_id: subject.user.cloned(),
                group: subject.group.cloned(),
                id: hit.id,
                name: hit.name.clone(),
                fault: hit.kind.to_string(),
            });
        }
    }

    fn add(&self, fault: Fault, service: &Arc<Service>) -> Result<FaultId, InvalidFault> {
        let now = self.clock.mono();
        let mut added = Ok((FaultId(0), now));
        self.change(service, |rules| added = rules.add(now, fault, self.seed));
        let (id, starts) = added?;
        if starts > now {
            let (sleep, service) = (self.clock.sleep_until(starts), Arc::downgrade(service));
            tokio::spawn(async move {
                sleep.await;
                if let Some(service) = Weak::upgrade(&service) {
                    service.faults().change(&service, |_| {});
                }
            });
        }
        Ok(id)
    }

    fn list(&self) -> Vec<FaultRule> {
        let rules = self.rules.lock();
        let all = rules.all().map(|(id, fault, hits)| FaultRule {
            id,
            hits,
            fault: fault.clone(),
        });
        all.collect()
    }

    /// Changes the rules, and lets sockets know.
    fn change(&self, service: &Service, change: impl FnOnce(&mut Rules)) {
        let mut rules = self.rules.lock();
        change(&mut rules);
        self.places.store(rules.places(), Ordering::Relaxed);
        self.generation.fetch_add(1, Ordering::Release);
        let is_over = |held: &HeldOpen| !held.because.iter().all(|id| rules.contains(*id));
        let over: Vec<_> = {
            let mut held_open = self.held_open.lock();
            held_open.extract_if(.., |held| is_over(held)).collect()
        };
        drop(rules);
        drop(over);
        service.wake_sockets();
    }
}

impl fmt::Debug for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultStore")
            .field("rules", &self.list())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for FaultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for FaultId {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.parse().map(Self)
    }
}

impl FaultId {
    /// The number that stands for it in the admin API.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}
