//! A fault: what goes wrong, for whom, and how often.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

use super::scope::{Place, Scope, is_operation};
use crate::hub::MessageKind;
use crate::rest;
use crate::traffic::Direction;

/// What a close frame has room for beside the code.
const CLOSE_REASON_BYTES: usize = 123;

/// Something that goes wrong: a rule for [`Faults::add`](super::Faults::add).
///
/// Made by the function that names its kind, narrowed by what it applies to ([`hub`](Self::hub), [`user`](Self::user) and so
/// on: all that is set must be so), and limited by [`hit_count`](Self::hit_count) and [`probability`](Self::probability).
/// Nothing is checked before it is added.
///
/// ```
/// use webpubsub_emulator::Fault;
///
/// let flaky = Fault::refuse_upgrade(503).retry_after(2).hub("chat").hit_count(3);
/// let slow = Fault::latency(std::time::Duration::from_millis(200)).user("ana");
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use = "add it to the faults of an emulator"]
pub struct Fault {
    pub(super) name: Option<String>,
    pub(super) kind: Kind,
    pub(super) scope: Scope,
    pub(super) probability: f64,
    pub(super) seed: Option<u64>,
    pub(super) hit_count: Option<u64>,
    pub(super) after: Duration,
    pub(super) order: i32,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    RefuseUpgrade(Refuse),
    RefuseOperation(Refuse),
    LoseAnswer,
    DropConnection,
    ResetPeer,
    Close { code: u16, reason: String },
    HalfOpen,
    Latency { latency: Duration, jitter: Duration },
    Bandwidth { bytes_per_second: u64 },
    LoseFrame,
    DuplicateFrame,
    HandlerTimeout,
    HandlerError { status: u16 },
}

/// An answer in place of what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refuse {
    pub(crate) status: u16,
    /// In seconds.
    pub(crate) retry_after: Option<u32>,
}

/// A fault that could never happen, or not as it is meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidFault {
    /// The probability is not between 0 and 1.
    #[error("a probability is a number from 0 to 1")]
    Probability,
    /// The status is none that refuses something: 400 to 599.
    #[error("{0} is not a status from 400 to 599")]
    Status(u16),
    /// No close frame may hold this code: 1000 to 1003, 1007 to 1014, 3000 to 4999 may be sent.
    #[error("{0} is not a close code that can be sent: 1000 to 1003, 1007 to 1014, 3000 to 4999")]
    CloseCode(u16),
    /// The reason is longer than a close frame has room for: 123 bytes.
    #[error("a close frame has room for a reason of {CLOSE_REASON_BYTES} bytes")]
    CloseReason,
    /// Nothing would ever pass.
    #[error("a bandwidth is at least one byte per second; `half_open` lets nothing pass")]
    Bandwidth,
    /// A time is longer than a year.
    #[error("the longest time is a year")]
    Duration,
    /// There is no such operation of the REST API.
    #[error("there is no operation `{0}` of the REST API")]
    Operation(String),
    /// The kind has nothing to do with something that the scope names.
    #[error("`{kind}` has nothing to do with a {scope}")]
    Scope {
        /// The kind of the fault.
        kind: &'static str,
        /// What the scope names.
        scope: &'static str,
    },
    /// A form that cannot be read, with the reason.
    #[error("{0}")]
    Form(String),
}

/// Kinds.
impl Fault {
    /// WebSockets are not opened: the upgrade is answered with this status, 400 to 599.
    ///
    /// With [`after`](Self::after) and 401 the service behaves as if tokens ran out. What would be refused anyway, such as a
    /// token with a bad signature, is no hit.
    pub const fn refuse_upgrade(status: u16) -> Self {
        Self::of(Kind::RefuseUpgrade(Refuse {
            status,
            retry_after: None,
        }))
    }

    /// REST operations are not carried out, and answered with this status, 400 to 599.
    pub const fn refuse_operation(status: u16) -> Self {
        Self::of(Kind::RefuseOperation(Refuse {
            status,
            retry_after: None,
        }))
    }

    /// REST operations are carried out, but their answers are lost: the connection is closed in their place.
    pub const fn lose_answer() -> Self {
        Self::of(Kind::LoseAnswer)
    }

    /// The connection is closed without a close frame.
    ///
    /// With a [direction](Self::direction), a [group](Self::group) or a kind of [frame](Self::frame), when such a frame comes,
    /// which is lost. Otherwise at once, and each time that a client connects.
    pub const fn drop_connection() -> Self {
        Self::of(Kind::DropConnection)
    }

    /// The same, but the client's side reads "connection reset by peer". Where the transport has no such thing, the
    /// connection is just closed.
    pub const fn reset_peer() -> Self {
        Self::of(Kind::ResetPeer)
    }

    /// The client is sent a close frame with this code and reason. When it happens is as with
    /// [`drop_connection`](Self::drop_connection).
    ///
    /// To the hub the socket is lost: a reliable client may come back, whatever the code.
    pub fn close(code: u16, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self::of(Kind::Close { code, reason })
    }

    /// Nothing gets through any more, and neither side is told, as when a network goes away. The connection stays open when
    /// the service has given it up, until the rule is removed. With a [direction](Self::direction), the other one works.
    pub const fn half_open() -> Self {
        Self::of(Kind::HalfOpen)
    }

    /// Everything takes so much longer: what passes on a connection, in each direction or in [one](Self::direction); with an
    /// [operation](Self::operation) its answer; with a [handler](Self::handler) its requests. Several add up.
    pub const fn latency(latency: Duration) -> Self {
        Self::of(Kind::Latency {
            latency,
            jitter: Duration::ZERO,
        })
    }

    /// So many bytes pass on a connection each second, in each direction or in [one](Self::direction). A client that is
    /// sent more has it waiting, as one that reads slowly; one that sends more is read slowly. The lowest one counts.
    pub const fn bandwidth(bytes_per_second: u64) -> Self {
        Self::of(Kind::Bandwidth { bytes_per_second })
    }

    /// Frames are lost. Narrow it by a [direction](Self::direction) and a kind of [frame](Self::frame).
    pub const fn lose_frame() -> Self {
        Self::of(Kind::LoseFrame)
    }

    /// Frames come twice. Narrow it as [`lose_frame`](Self::lose_frame).
    pub const fn duplicate_frame() -> Self {
        Self::of(Kind::DuplicateFrame)
    }

    /// Clients do not get the acks that they asked for, although what they asked for was done.
    pub const fn lose_acks() -> Self {
        Self::lose_frame()
            .direction(Direction::Out)
            .frame(MessageKind::Ack)
    }

    /// Clients get the acks that they asked for twice.
    pub const fn duplicate_acks() -> Self {
        Self::duplicate_frame()
            .direction(Direction::Out)
            .frame(MessageKind::Ack)
    }

    /// Event handlers do not answer: their requests are not sent, and run into the time-out.
    pub const fn handler_timeout() -> Self {
        Self::of(Kind::HandlerTimeout)
    }

    /// Event handlers are not asked: each try counts as answered with this status, 400 to 599.
    pub const fn handler_error(status: u16) -> Self {
        Self::of(Kind::HandlerError { status })
    }

    const fn of(kind: Kind) -> Self {
        Self {
            name: None,
            kind,
            scope: Scope {
                hub: None,
                user: None,
                connection: None,
                group: None,
                operation: None,
                handler: None,
                direction: None,
                frame: None,
            },
            probability: 1.0,
            seed: None,
            hit_count: None,
            after: Duration::ZERO,
            order: 0,
        }
    }
}

/// What it applies to.
impl Fault {
    /// Only this hub. Hub names are not case-sensitive.
    pub fn hub(mut self, hub: impl Into<String>) -> Self {
        self.scope.hub = Some(hub.into());
        self
    }

    /// Only this user: its connections, its events, and operations that name it.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.scope.user = Some(user.into());
        self
    }

    /// Only the connection with this id.
    pub fn connection(mut self, id: impl Into<String>) -> Self {
        self.scope.connection = Some(id.into());
        self
    }

    /// Only what has to do with this group: frames and operations that name it.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.scope.group = Some(group.into());
        self
    }

    /// Only this operation of the REST API, such as `SendToAll` or `WebPubSub_SendToAll`.
    pub fn operation(mut self, operation: impl Into<String>) -> Self {
        self.scope.operation = Some(operation.into());
        self
    }

    /// Only this event: `connect`, `connected`, `disconnected`, `joined`, `left`, or the name of a user event.
    pub fn handler(mut self, event: impl Into<String>) -> Self {
        self.scope.handler = Some(event.into());
        self
    }

    /// Only this direction.
    pub const fn direction(mut self, direction: Direction) -> Self {
        self.scope.direction = Some(direction);
        self
    }

    /// Only frames of this kind.
    pub const fn frame(mut self, kind: MessageKind) -> Self {
        self.scope.frame = Some(kind);
        self
    }
}

/// How often, when, and before which others.
impl Fault {
    /// What it is called in lists and in the log of traffic. Default: nothing.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// It hits with this probability, from 0 to 1, each time that it could. Default: 1.
    pub const fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }

    /// The same seed draws the same hits. Default: the emulator's seed, or a random one.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// It hits so often at most. Default: no limit.
    pub const fn hit_count(mut self, hits: u64) -> Self {
        self.hit_count = Some(hits);
        self
    }

    /// It hits nothing before so much time has passed since it was added, by the clock of the emulator. Default: at once.
    pub const fn after(mut self, after: Duration) -> Self {
        self.after = after;
        self
    }

    /// Rules with a lower number are looked at first; those with the same in the order in which they were added. The first one
    /// that hits is the one that counts, but for `latency` and `bandwidth`, which come together. Default: 0.
    pub const fn order(mut self, order: i32) -> Self {
        self.order = order;
        self
    }

    /// The header `Retry-After` of a refusal, in seconds. Other kinds have none. Default: none.
    pub const fn retry_after(mut self, seconds: u32) -> Self {
        if let Kind::RefuseUpgrade(refuse) | Kind::RefuseOperation(refuse) = &mut self.kind {
            refuse.retry_after = Some(seconds);
        }
        self
    }

    /// So much more or less than the latency, evenly drawn. Other kinds have none. Default: none.
    pub const fn jitter(mut self, by: Duration) -> Self {
        if let Kind::Latency { jitter, .. } = &mut self.kind {
            *jitter = by;
        }
        self
    }
}

// What becomes of it.
impl Fault {
    /// Keeps times from overflowing.
    pub(super) const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

    /// Where it hits.
    ///
    /// # Errors
    ///
    /// It cannot hit anything.
    pub(super) fn place(&self) -> Result<Place, InvalidFault> {
        let scope = &self.scope;
        if !(0.0..=1.0).contains(&self.probability) {
            return Err(InvalidFault::Probability);
        }
        if let Some(operation) = &scope.operation
            && !rest::operations().any(|it| is_operation(operation, it))
        {
            return Err(InvalidFault::Operation(operation.clone()));
        }
        let times = match &self.kind {
            Kind::Latency { latency, jitter } => [self.after, *latency, *jitter],
            _ => [self.after; 3],
        };
        if times.into_iter().any(|time| time > Self::LONGEST) {
            return Err(InvalidFault::Duration);
        }
        let of_frame = scope.frame.is_some() || scope.group.is_some();
        let place = match &self.kind {
            Kind::RefuseUpgrade(refuse) => {
                check_status(refuse.status)?;
                Place::Upgrade
            }
            Kind::RefuseOperation(refuse) => {
                check_status(refuse.status)?;
                Place::Operation
            }
            Kind::LoseAnswer => Place::Answer,
            Kind::DropConnection | Kind::ResetPeer if of_frame || scope.direction.is_some() => {
                Place::Frame
            }
            Kind::DropConnection | Kind::ResetPeer | Kind::HalfOpen => Place::Line,
            Kind::Close { code, reason } => {
                if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
                    return Err(InvalidFault::CloseCode(*code));
                }
                if reason.len() > CLOSE_REASON_BYTES {
                    return Err(InvalidFault::CloseReason);
                }
                match of_frame || scope.direction.is_some() {
                    true => Place::Frame,
                    false => Place::Line,
                }
            }
            Kind::Latency { .. } if scope.operation.is_some() => Place::Operation,
            Kind::Latency { .. } if scope.handler.is_some() => Place::Handler,
            Kind::Latency { .. } => Place::Line,
            Kind::Bandwidth { bytes_per_second } => {
                if *bytes_per_second == 0 {
                    return Err(InvalidFault::Bandwidth);
                }
                Place::Line
            }
            Kind::LoseFrame | Kind::DuplicateFrame => Place::Frame,
            Kind::HandlerTimeout => Place::Handler,
            Kind::HandlerError { status } => {
                check_status(*status)?;
                Place::Handler
            }
        };
        self.check_scope(place)?;
        Ok(place)
    }

    /// A scope that is never so at this place would make a rule that never hits.
    fn check_scope(&self, place: Place) -> Result<(), InvalidFault> {
        let scope = &self.scope;
        let of_operation = matches!(place, Place::Operation | Place::Answer);
        let named = [
            (scope.operation.is_some() && !of_operation, "operation"),
            (
                scope.handler.is_some() && place != Place::Handler,
                "handler",
            ),
            (
                scope.direction.is_some() && !matches!(place, Place::Line | Place::Frame),
                "direction",
            ),
            (scope.frame.is_some() && place != Place::Frame, "frame"),
            (
                scope.group.is_some() && !of_operation && place != Place::Frame,
                "group",
            ),
        ];
        match named.into_iter().find(|(is_wrong, _)| *is_wrong) {
            Some((_, scope)) => Err(InvalidFault::Scope {
                kind: self.kind.name(),
                scope,
            }),
            None => Ok(()),
        }
    }
}

impl Kind {
    /// Its name in files, in the admin API and in the log of traffic.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::RefuseUpgrade(_) => "refuse_upgrade",
            Self::RefuseOperation(_) => "refuse_operation",
            Self::LoseAnswer => "lose_answer",
            Self::DropConnection => "drop_connection",
            Self::ResetPeer => "reset_peer",
            Self::Close { .. } => "close",
            Self::HalfOpen => "half_open",
            Self::Latency { .. } => "latency",
            Self::Bandwidth { .. } => "bandwidth",
            Self::LoseFrame => "lose_frame",
            Self::DuplicateFrame => "duplicate_frame",
            Self::HandlerTimeout => "handler_timeout",
            Self::HandlerError { .. } => "handler_error",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::RefuseUpgrade(refuse) | Self::RefuseOperation(refuse) => {
                write!(f, " {}", refuse.status)
            }
            Self::Close { code, .. } => write!(f, " {code}"),
            Self::Latency { latency, .. } => write!(f, " {} ms", latency.as_millis()),
            Self::Bandwidth { bytes_per_second } => write!(f, " {bytes_per_second} B/s"),
            Self::HandlerError { status } => write!(f, " {status}"),
            _ => Ok(()),
        }
    }
}

fn check_status(status: u16) -> Result<(), InvalidFault> {
    match StatusCode::from_u16(status) {
        Ok(code) if code.is_client_error() || code.is_server_error() => Ok(()),
        _ => Err(InvalidFault::Status(status)),
    }
}
