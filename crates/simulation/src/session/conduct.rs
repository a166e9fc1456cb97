//! How a session must behave, whatever happens to it: what it says of its state, what it writes,
//! and what it wants done.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytestring::ByteString;
use webpubsub_protocol::frame::{AckId, ClientFrame};
use webpubsub_protocol::limits::{RECOVERY_WINDOW, REMEMBERED_ACK_IDS};
use webpubsub_protocol::session::{Event, Recovery};

use super::mark::Mark;
use crate::failure::{Check, Finding};

/// What arrives is acknowledged within this time.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(1);

/// What one session said and did so far.
#[derive(Debug)]
pub(super) struct Conduct {
    /// It said that it stopped, and was not started again.
    pub(super) is_stopped: bool,
    /// The connection that it says it has.
    pub(super) connection: Option<ByteString>,
    /// Dials for a new connection since it had one.
    connecting: u32,
    had: BTreeSet<ByteString>,
    /// Since when the connection has no socket that works.
    dropped_at: Option<Duration>,
    /// Connections that the service ended with 1008.
    refused: BTreeSet<ByteString>,
    /// The largest sequence id that arrived on a connection.
    delivered: BTreeMap<ByteString, u64>,
    /// The latest token of the connection.
    token: Option<ByteString>,
    /// The service does not want a dial before this time.
    not_before: Duration,
    /// When something with a sequence id arrived last.
    delivered_at: Duration,
    /// … and that it acknowledged.
    acknowledged: BTreeMap<ByteString, u64>,
    unanswered: BTreeSet<Asked>,
    /// The ack id under which it wrote a message, by connection.
    written_under: BTreeMap<(ByteString, Mark), AckId>,
    invoked: BTreeSet<Mark>,
    /// Invocations that the service must be told to cancel.
    pub(super) owed_cancels: BTreeSet<ByteString>,
    /// The invocation ids of what was written.
    pub(super) invocation_ids: BTreeMap<Mark, ByteString>,
}

/// What was written and has no answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Asked {
    Acknowledged(AckId),
    Invoked(ByteString),
}

/// What a frame was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    First,
    Again,
}

impl Conduct {
    pub(super) const fn new() -> Self {
        Self {
            is_stopped: true,
            connection: None,
            connecting: 0,
            had: BTreeSet::new(),
            dropped_at: None,
            refused: BTreeSet::new(),
            delivered: BTreeMap::new(),
            token: None,
            not_before: Duration::ZERO,
            delivered_at: Duration::ZERO,
            acknowledged: BTreeMap::new(),
            unanswered: BTreeSet::new(),
            written_under: BTreeMap::new(),
            invoked: BTreeSet::new(),
            owed_cancels: BTreeSet::new(),
            invocation_ids: BTreeMap::new(),
        }
    }

    pub(super) fn started(&mut self) {
        self.is_stopped = false;
        self.connecting = 0;
        self.not_before = Duration::ZERO;
    }

    /// Its connection has had no socket that works for a while.
    pub(super) const fn is_recovering(&self) -> bool {
        self.dropped_at.is_some()
    }

    /// The replay of a recovery counts as complete.
    pub(super) const fn recovered_unseen(&mut self) {
        self.dropped_at = None;
    }

    // Events.

    /// Whether this event may come now. `at_service` is the connection at the other end of the line.
    pub(super) fn event(
        &mut self,
        now: Duration,
        event: &Event,
        at_service: Option<&ByteString>,
    ) -> Check {
        if self.is_stopped {
            return Err(illegal(event, "after `Stopped`"));
        }
        match event {
            Event::Connecting { attempt } => {
                self.connecting += 1;
                if self.connection.is_some() || *attempt != self.connecting {
                    return Err(illegal(event, "out of turn"));
                }
            }
            Event::Connected { connection_id, .. } => {
                let is_new = self.had.insert(connection_id.clone());
                Finding::unless_same("`Connected` comes once per id", &true, &is_new)?;
                let expected = at_service.cloned();
                let seen = Some(connection_id.clone());
                Finding::unless_same("the service has this connection", &expected, &seen)?;
                if self.connection.replace(connection_id.clone()).is_some() {
                    return Err(illegal(event, "without `Disconnected`"));
                }
                self.connecting = 0;
            }
            Event::Recovering { .. } => {
                if self.connection.is_none() {
                    return Err(illegal(event, "without a connection"));
                }
                // A socket that died before its replay was complete did not recover anything.
                self.dropped_at.get_or_insert(now);
                self.socket_gone();
            }
            Event::Recovered { .. } => {
                if self.dropped_at.take().is_none() {
                    return Err(illegal(event, "without `Recovering`"));
                }
                let recovered = at_service.cloned();
                Finding::unless_same(
                    "the same connection is recovered",
                    &self.connection,
                    &recovered,
                )?;
            }
            Event::Disconnected { connection_id, .. } => {
                let had = self.connection.take();
                let ended = Some(connection_id.clone());
                Finding::unless_same("what ends is what was open", &had, &ended)?;
                self.dropped_at = None;
                self.connecting = 0;
                self.socket_gone();
                self.unanswered.clear();
            }
            Event::Stopped { .. } => {
                if self.connection.is_some() {
                    return Err(illegal(event, "without `Disconnected`"));
                }
                self.is_stopped = true;
            }
            Event::Message(_) if self.connection.is_none() => {
                return Err(illegal(event, "without a connection"));
            }
            _ => {}
        }
        Ok(())
    }

    fn socket_gone(&mut self) {
        self.owed_cancels.clear();
        let is_acknowledged = |asked: &Asked| matches!(asked, Asked::Acknowledged(_));
        self.unanswered.retain(is_acknowledged);
    }

    // Dials.

    /// The service refused a dial and asked to wait.
    pub(super) fn asked_to_wait(&mut self, now: Duration, wait: Duration) {
        self.not_before = now + wait;
    }

    /// The service gave a connection this token.
    pub(super) fn received_token(&mut self, token: &ByteString) {
        self.token = Some(token.clone());
    }

    pub(super) fn dial(&self, now: Duration, recover: Option<&Recovery>) -> Check {
        if now < self.not_before {
            let expected = format_args!("not before {:?}", self.not_before);
            return Err(Finding::new(
                "`Retry-After` is honoured",
                expected,
                "a dial",
            ));
        }
        if let Some(recovery) = recover {
            let same = self.token.as_ref() == Some(&recovery.reconnection_token);
            Finding::unless_same("the latest token recovers", &true, &same)?;
        }
        let id = recover.map(|recovery| &recovery.connection_id);
        if id != self.connection.as_ref() {
            return Err(Finding::new(
                "a dial is for the connection that there is",
                format!("{:?}", self.connection),
                format!("{id:?}"),
            ));
        }
        let Some(id) = id else { return Ok(()) };
        if self.refused.contains(id) {
            return Err(Finding::new("1008 ends a recovery", "a new connection", id));
        }
        let away = self.dropped_at.map_or(Duration::ZERO, |at| now - at);
        if away > RECOVERY_WINDOW {
            return Err(Finding::new(
                "recovery ends with its window",
                format_args!("at most {RECOVERY_WINDOW:?}"),
                format_args!("{away:?} after the drop"),
            ));
        }
        Ok(())
    }

    /// The service ended its connection for good.
    pub(super) fn closed_with_1008(&mut self) {
        self.refused.extend(self.connection.clone());
    }

    // Frames.

    /// A message with this sequence id arrived.
    pub(super) fn delivered(&mut self, now: Duration, connection: &ByteString, sequence: u64) {
        self.delivered_at = now;
        let delivered = self.delivered.entry(connection.clone()).or_default();
        *delivered = sequence.max(*delivered);
    }

    /// Whether everything that arrived on a connection was acknowledged, but for what just arrived.
    pub(super) fn is_all_acknowledged(&self, now: Duration, connection: &ByteString) -> bool {
        now - self.delivered_at <= ACKNOWLEDGED_WITHIN
            || self.delivered.get(connection) == self.acknowledged.get(connection)
    }

    pub(super) fn answered(&mut self, ack_id: AckId) {
        self.unanswered.remove(&Asked::Acknowledged(ack_id));
    }

    pub(super) fn invocation_answered(&mut self, id: &ByteString) {
        self.unanswered.remove(&Asked::Invoked(id.clone()));
    }

    pub(super) fn invocation_settled(&mut self, mark: Mark) {
        if let Some(id) = self.invocation_ids.get(&mark) {
            self.unanswered.remove(&Asked::Invoked(id.clone()));
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.unanswered.len()
    }

    /// Whether this frame may be written now.
    pub(super) fn write(
        &mut self,
        frame: &ClientFrame,
        mark: Option<Mark>,
        most_in_flight: usize,
    ) -> Result<Written, Finding> {
        let asked = match frame {
            ClientFrame::Invoke { invocation_id, .. } => Asked::Invoked(invocation_id.clone()),
            ClientFrame::CancelInvocation { invocation_id } => {
                self.owed_cancels.remove(invocation_id);
                return Ok(Written::First);
            }
            ClientFrame::SequenceAck { sequence_id } => {
                self.write_sequence_ack(sequence_id.0)?;
                return Ok(Written::First);
            }
            _ => match frame.ack_id() {
                Some(ack_id) => Asked::Acknowledged(ack_id),
                None => return Ok(Written::First),
            },
        };
        let Some(connection) = self.connection.clone() else {
            return Err(Finding::new(
                "requests wait for a connection",
                "nothing",
                format!("{frame:?}"),
            ));
        };
        if let (Some(mark), Asked::Invoked(id)) = (mark, &asked) {
            let is_first = self.invoked.insert(mark);
            Finding::unless_same("an invocation is written once", &true, &is_first)?;
            self.invocation_ids.insert(mark, id.clone());
        }
        if let (Some(mark), Asked::Acknowledged(ack_id)) = (mark, &asked) {
            let before = self.written_under.insert((connection, mark), *ack_id);
            let expected = before.unwrap_or(*ack_id);
            Finding::unless_same("a request keeps its ack id", &expected, ack_id)?;
        }
        if !self.unanswered.insert(asked) {
            return Ok(Written::Again);
        }
        // What restores a connection goes first, and is not counted before it is written.
        let most = most_in_flight.min(REMEMBERED_ACK_IDS);
        if mark.is_some() && self.unanswered.len() > most {
            return Err(Finding::new(
                "a limited number of requests is in flight",
                most,
                self.unanswered.len(),
            ));
        }
        Ok(Written::First)
    }

    fn write_sequence_ack(&mut self, sequence: u64) -> Check {
        let Some(connection) = &self.connection else {
            return Err(Finding::new("acks need a connection", "none", sequence));
        };
        let delivered = self.delivered.get(connection).copied().unwrap_or_default();
        let before = self.acknowledged.insert(connection.clone(), sequence);
        let range = before.unwrap_or_default()..=delivered;
        if !range.contains(&sequence) {
            return Err(Finding::new(
                "sequence acks never regress, and only name what arrived",
                format_args!("one of {range:?}"),
                sequence,
            ));
        }
        Ok(())
    }
}

fn illegal(event: &Event, why: &'static str) -> Finding {
    Finding::new(
        "events come in a legal order",
        format_args!("not {why}"),
        format!("{event:?}"),
    )
}
