//! The life of a connection: dial, confirm, lose, recover, open a new one.

use std::time::{Duration, Instant};

use bytestring::ByteString;

use super::event::{Action, Closure, DialFailure, Event, Loss, Now, Recovery, StopReason};
use super::sequence::Sequence;
use super::timer::Timer;
use super::{SLEPT, Session};

/// The close code that ends a recovery, and with which the service drops slow clients.
const POLICY_VIOLATION: u16 = 1008;

/// The longest wait that the service can ask for.
const RETRY_AFTER_MOST: Duration = Duration::from_secs(60 * 60);

/// The close code of a stop: the service forgets the connection at once.
const NORMAL: u16 = 1000;

/// The close code for a service that breaks the protocol.
const PROTOCOL_ERROR: u16 = 1002;

/// A socket that lasted for this long was worth its dial. When sockets in a row do not, the next dials
/// come later and later.
const WORTH_A_DIAL: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Stopped,
    /// A dial is under way.
    Dialing(Kind),
    /// The socket is open but the service has not said a word.
    Handshaking(Kind),
    Connected,
    /// The next dial comes after a back-off.
    Waiting(Kind),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Fresh,
    Recover,
}

impl Phase {
    /// Whether there is, or may be, a transport to hear from.
    pub(super) const fn has_transport(self) -> bool {
        matches!(
            self,
            Self::Dialing(_) | Self::Handshaking(_) | Self::Connected
        )
    }

    pub(super) const fn is_open(self) -> bool {
        matches!(self, Self::Handshaking(_) | Self::Connected)
    }
}

/// A connection at the service.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) connection_id: ByteString,
    pub(super) user_id: Option<ByteString>,
    pub(super) reconnection_token: Option<ByteString>,
    pub(super) sequence: Sequence,
    /// What the service gave as the reason for ending it.
    pub(super) disconnect_message: Option<String>,
    /// When the service forgets it, since the drop that has not been mended. A recovered socket
    /// mends it when its replay is complete.
    pub(super) forgotten_at: Option<Instant>,
    /// Counts replayed messages until the service answered the ping that followed the recovery.
    pub(super) replayed: Option<u64>,
}

impl Session {
    /// Notices that the machine slept: deadlines come closer, and the socket must prove itself.
    pub(super) fn observe(&mut self, now: Now) {
        if self.last_seen == Some(now) {
            // What was read in one batch shares its time.
            return;
        }
        let Some(before) = self.last_seen.replace(now) else {
            return;
        };
        let passed = now.mono.saturating_duration_since(before.mono);
        let Ok(wall) = now.wall.duration_since(before.wall) else {
            return;
        };
        let slept = wall.saturating_sub(passed);
        if slept < SLEPT {
            return;
        }
        // The service counted the time.
        let earlier = |at: Instant| at.checked_sub(slept).unwrap_or(now.mono).max(now.mono);
        if let Some(at) = self.timers.at(Timer::Recovery) {
            self.timers.set(Timer::Recovery, Some(earlier(at)));
        }
        if let Some(link) = &mut self.link {
            link.forgotten_at = link.forgotten_at.map(earlier);
        }
        self.probe(now);
    }

    pub(super) fn begin(&mut self, now: Now) {
        self.initial = true;
        self.renewed = false;
        self.failures = 0;
        self.short_lived = 0;
        self.not_before = None;
        self.dial(now, Kind::Fresh);
    }

    fn dial(&mut self, now: Now, kind: Kind) {
        self.attempt.0 += 1;
        self.phase = Phase::Dialing(kind);
        self.timers
            .set(Timer::Dial, now.after(self.config.dial_timeout));
        let recover = match (kind, &self.link) {
            (Kind::Recover, Some(link)) => link.reconnection_token.as_ref().map(|token| Recovery {
                connection_id: link.connection_id.clone(),
                reconnection_token: token.clone(),
            }),
            _ => None,
        };
        if kind == Kind::Fresh {
            let attempt = self.failures + 1;
            self.events.push_back(Event::Connecting { attempt });
        }
        self.actions.push_back(Action::Dial {
            attempt: self.attempt,
            recover,
        });
    }

    pub(super) fn opened(&mut self, now: Now) {
        let Phase::Dialing(kind) = self.phase else {
            return;
        };
        self.phase = Phase::Handshaking(kind);
        self.not_before = None;
        self.urgent.clear();
        self.timers.clear(Timer::Dial);
        self.timers
            .set(Timer::Handshake, now.after(self.config.handshake_timeout));
        self.last_received = Some(now.mono);
        if kind == Kind::Recover {
            // The service need not say anything on its own after a recovery.
            self.ping_waits = true;
        }
    }

    /// The service confirmed a new connection.
    pub(super) fn established(
        &mut self,
        now: Now,
        connection_id: ByteString,
        user_id: Option<ByteString>,
        reconnection_token: Option<ByteString>,
    ) {
        self.become_connected(now);
        self.initial = false;
        self.link = Some(Link {
            connection_id: connection_id.clone(),
            user_id: user_id.clone(),
            reconnection_token,
            sequence: Sequence::default(),
            disconnect_message: None,
            forgotten_at: None,
            replayed: None,
        });
        self.events.push_back(Event::Connected {
            connection_id,
            user_id,
        });
        self.restore();
    }

    /// The first frame on a recovered socket.
    pub(super) fn proved(&mut self, now: Now) {
        self.become_connected(now);
        if let Some(link) = &mut self.link {
            link.replayed = Some(0);
            // The acknowledgement that was due may have been lost with the socket before.
            self.sequence_ack_is_due = link.sequence.is_unacknowledged();
            // It was not the end.
            link.disconnect_message = None;
        }
        self.requests.resend();
        self.outbound.resume();
    }

    fn become_connected(&mut self, now: Now) {
        self.phase = Phase::Connected;
        self.connected_at = Some(now.mono);
        self.failures = 0;
        self.renewed = false;
        self.timers.clear(Timer::Handshake);
        self.timers.clear(Timer::Recovery);
        let (interval, timeout) = (
            self.config.keep_alive_interval,
            self.config.keep_alive_timeout,
        );
        if !interval.is_zero() {
            self.timers.set(Timer::Ping, now.after(interval));
        }
        if !timeout.is_zero() {
            self.timers.set(Timer::Idle, now.after(timeout));
        }
    }

    pub(super) fn dial_failed(&mut self, now: Now, failure: DialFailure) {
        self.timers.clear(Timer::Dial);
        self.timers.clear(Timer::Handshake);
        let (Phase::Dialing(kind) | Phase::Handshaking(kind)) = self.phase else {
            return;
        };
        // There is nothing to hang up.
        self.phase = Phase::Waiting(kind);
        // It still counts when the window of a recovery ends and a new connection is dialled.
        self.not_before = failure.retry_after().and_then(|after| now.after(after));
        match kind {
            Kind::Recover => self.retry_recovery(now),
            Kind::Fresh => self.retry_fresh(now, failure),
        }
    }

    /// A recovery is tried again whatever the failure; only its window and 1008 end it.
    fn retry_recovery(&mut self, now: Now) {
        let tries = self.fruitless_tries();
        let delay = self.config.recovery_backoff.delay(tries, &mut self.random);
        self.failures = self.failures.saturating_add(1);
        self.wait(now, Kind::Recover, delay);
    }

    fn retry_fresh(&mut self, now: Now, failure: DialFailure) {
        self.failures = self.failures.saturating_add(1);
        if failure.asks_for_another_url() && !self.renewed {
            self.renewed = true;
            return self.dial(now, Kind::Fresh);
        }
        let is_final = failure.is_final()
            && !(self.config.retry_refused_reconnects
                && !self.initial
                && failure.may_be_a_gateway());
        if is_final || (self.initial && !self.config.retry_initial_connect) {
            return self.shut_down(StopReason::Refused(failure));
        }
        let exhausted = |most| self.failures >= most;
        if self.config.max_reconnect_attempts.is_some_and(exhausted) {
            return self.shut_down(StopReason::Exhausted {
                attempts: self.failures,
                last: failure,
            });
        }
        self.renewed = false;
        self.wait_for_fresh(now);
    }

    /// The first dial of a new connection comes at once.
    fn wait_for_fresh(&mut self, now: Now) {
        let delay = match self.fruitless_tries().checked_sub(1) {
            None => Duration::ZERO,
            Some(retry) => self.config.reconnect_backoff.delay(retry, &mut self.random),
        };
        self.wait(now, Kind::Fresh, delay);
    }

    /// Dials in a row that failed, or whose socket did not last; the first of the latter may be chance.
    const fn fruitless_tries(&self) -> u32 {
        self.failures
            .saturating_add(self.short_lived.saturating_sub(1))
    }

    fn wait(&mut self, now: Now, kind: Kind, delay: Duration) {
        self.phase = Phase::Waiting(kind);
        // A time too far away is never.
        let at = now
            .after(delay)
            .map(|at| self.not_before.map_or(at, |not_before| at.max(not_before)));
        self.timers.set(Timer::Redial, at);
    }

    pub(super) fn closed(&mut self, now: Now, closure: Closure) {
        match self.phase {
            Phase::Dialing(_) | Phase::Handshaking(Kind::Fresh) => {
                self.dial_failed(now, DialFailure::ClosedAtOnce(closure));
            }
            Phase::Handshaking(Kind::Recover) => match closure.too_large {
                Some(limit) => self.replace(now, Loss::MessageTooLarge { limit }),
                None if closure.code == Some(POLICY_VIOLATION) => {
                    self.replace(now, Loss::RecoveryRefused(closure));
                }
                None => self.dial_failed(now, DialFailure::ClosedAtOnce(closure)),
            },
            Phase::Connected => self.lost(now, Loss::of(closure)),
            Phase::Stopped | Phase::Waiting(_) => {}
        }
    }

    /// The socket is gone. The connection may live on.
    fn lost(&mut self, now: Now, cause: Loss) {
        self.clear_socket();
        self.count_short_lived(now);
        let is_recoverable = self.protocol.is_reliable() && !cause.is_final();
        let link = self.link.as_mut().filter(|_| is_recoverable);
        let Some(link) = link.filter(|link| link.reconnection_token.is_some()) else {
            return self.replace(now, cause);
        };
        link.replayed = None;
        let window = self.config.recovery_window;
        // Otherwise recoveries that all end before their replay is complete would go on for ever.
        // But who does not read cannot know whether it was complete.
        let earlier = link.forgotten_at.filter(|_| !self.stalled);
        let forgotten_at = earlier.or_else(|| now.after(window));
        link.forgotten_at = forgotten_at;
        if forgotten_at.is_some_and(|at| at <= now.mono) {
            return self.replace(now, Loss::RecoveryExpired(window));
        }
        self.failures = 0;
        self.requests.pause(&cause, &mut self.events);
        self.outbound.pause(&cause, &mut self.events);
        self.events.push_back(Event::Recovering { cause });
        self.timers.set(Timer::Recovery, forgotten_at);
        self.retry_recovery(now);
    }

    /// Counts the lost socket when it was short-lived, or ends the count when it was not.
    fn count_short_lived(&mut self, now: Now) {
        let lasted = self
            .connected_at
            .take()
            .map(|since| now.mono.saturating_duration_since(since));
        match lasted {
            Some(lasted) if lasted >= WORTH_A_DIAL => self.short_lived = 0,
            Some(_) => self.short_lived = self.short_lived.saturating_add(1),
            None => {}
        }
    }

    /// The service broke the protocol so that the connection cannot go on.
    pub(super) fn give_up_connection(&mut self, now: Now, cause: Loss) {
        self.hang_up(Some(PROTOCOL_ERROR));
        self.count_short_lived(now);
        self.replace(now, cause);
    }

    /// The connection is over; open another one, if that is wanted.
    pub(super) fn replace(&mut self, now: Now, cause: Loss) {
        self.clear_socket();
        // Its socket is gone.
        self.phase = Phase::Waiting(Kind::Fresh);
        self.end_link(&cause);
        self.failures = 0;
        self.renewed = false;
        if self.config.auto_reconnect {
            self.wait_for_fresh(now);
        } else {
            self.shut_down(StopReason::Lost(cause));
        }
    }

    /// Forgets the connection and settles what was under way on it.
    pub(super) fn end_link(&mut self, cause: &Loss) {
        self.requests.lose(cause, &mut self.events);
        self.outbound.lose(cause, &mut self.events);
        if !self.config.auto_rejoin_groups {
            self.groups.forget();
        }
        if let Some(link) = self.link.take() {
            self.events.push_back(Event::Disconnected {
                connection_id: link.connection_id,
                cause: cause.clone(),
                message: link.disconnect_message,
            });
        }
    }

    /// Forgets what was only about the socket: control frames and its timers.
    fn clear_socket(&mut self) {
        self.sequence_ack_is_due = false;
        self.urgent.clear();
        self.ping_waits = false;
        for timer in [
            Timer::Dial,
            Timer::Handshake,
            Timer::Ping,
            Timer::Idle,
            Timer::Probe,
            Timer::Recovery,
            Timer::Redial,
            Timer::SequenceAck,
        ] {
            self.timers.clear(timer);
        }
    }

    pub(super) fn shut_down(&mut self, reason: StopReason) {
        if self.phase == Phase::Stopped {
            return;
        }
        if self.phase.has_transport() {
            self.hang_up(Some(NORMAL));
        }
        self.phase = Phase::Stopped;
        self.clear_socket();
        let cause = match &reason {
            StopReason::Lost(loss) => loss.clone(),
            _ => Loss::Stopped,
        };
        self.end_link(&cause);
        self.requests.lose_all(&cause, &mut self.events);
        self.outbound.lose_all(&cause, &mut self.events);
        self.inbound.end_all(&mut self.events);
        self.groups.forget();
        self.stalled = false;
        self.timers.clear_all();
        self.events.push_back(Event::Stopped { reason });
    }

    fn hang_up(&mut self, close_code: Option<u16>) {
        self.actions.push_back(Action::Hangup {
            attempt: self.attempt,
            close_code,
        });
    }

    /// Asks an open socket for a sign of life, soon.
    fn probe(&mut self, now: Now) {
        if self.phase == Phase::Connected && !self.stalled {
            self.ping_waits = true;
            self.timers
                .set_by(Timer::Probe, now.after(self.config.probe_timeout));
        }
    }

    pub(super) fn fire(&mut self, now: Now, timer: Timer, due: Instant) {
        match timer {
            Timer::Redial => {
                let window = self.timers.at(Timer::Recovery);
                let is_over = window.is_some_and(|end| end <= now.mono);
                match self.phase {
                    // We are late; the end of the window comes next.
                    Phase::Waiting(Kind::Recover) if is_over => {}
                    Phase::Waiting(kind) => self.dial(now, kind),
                    _ => {}
                }
            }
            Timer::Dial => self.abandon(now, self.config.dial_timeout),
            Timer::Handshake => self.abandon(now, self.config.handshake_timeout),
            Timer::Recovery => {
                if self.phase.has_transport() {
                    self.hang_up(None);
                }
                self.replace(now, Loss::RecoveryExpired(self.config.recovery_window));
            }
            Timer::Ping => {
                self.ping_waits = true;
                self.timers
                    .set(Timer::Ping, now.after(self.config.keep_alive_interval));
            }
            Timer::Idle => self.check_silence(now, due),
            Timer::Probe => self.give_up_socket(now, self.config.probe_timeout),
            Timer::SequenceAck => self.sequence_ack_is_due = true,
            Timer::Retry => self.retry_requests(now),
        }
    }

    /// A dial, or its handshake, takes too long.
    fn abandon(&mut self, now: Now, after: Duration) {
        self.hang_up(None);
        self.dial_failed(now, DialFailure::TimedOut(after));
    }

    fn check_silence(&mut self, now: Now, due: Instant) {
        let timeout = self.config.keep_alive_timeout;
        let heard = self.last_received.unwrap_or(now.mono);
        let silent = now.mono.saturating_duration_since(heard);
        if self.stalled || silent < timeout {
            let from = if self.stalled { now.mono } else { heard };
            return self.timers.set(Timer::Idle, from.checked_add(timeout));
        }
        if now.mono.saturating_duration_since(due) >= SLEPT {
            // We were late: what arrived meanwhile may not have been handed in yet.
            self.timers.set(Timer::Idle, now.after(timeout));
            return self.probe(now);
        }
        self.give_up_socket(now, silent);
    }

    fn give_up_socket(&mut self, now: Now, silent: Duration) {
        self.hang_up(None);
        self.lost(now, Loss::Silent(silent));
    }
}

impl Loss {
    fn of(closure: Closure) -> Self {
        match closure.too_large {
            Some(limit) => Self::MessageTooLarge { limit },
            None => Self::Closed(closure),
        }
    }

    /// Whether the connection cannot be recovered, or would only break in the same way again.
    fn is_final(&self) -> bool {
        match self {
            Self::Closed(closure) => closure.code == Some(POLICY_VIOLATION),
            Self::MessageTooLarge { .. } => true,
            _ => false,
        }
    }
}

impl DialFailure {
    /// How long the service asks to wait.
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused {
                retry_after: Some(after),
                ..
            } if after.as_secs() >= RETRY_AFTER_MOST.as_secs() => Some(RETRY_AFTER_MOST),
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The token may have expired.
    const fn asks_for_another_url(&self) -> bool {
        matches!(self, Self::Refused { status: 401, .. })
    }

    /// Something before the service may have said so, and mean something else by it.
    const fn may_be_a_gateway(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                status: 400 | 403 | 404,
                ..
            }
        )
    }

    /// The same dial will fail again.
    const fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                status: 400 | 401 | 403 | 404,
                ..
            } | Self::Subprotocol(_)
                | Self::Configuration(_)
        )
    }
}
