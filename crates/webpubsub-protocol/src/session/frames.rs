//! What the service's frames mean to a session.

use bytestring::ByteString;

use super::Session;
use super::event::{Event, Ignored, Loss, Now, StopReason};
use super::group_state::StateChange;
use super::life::{Kind, Phase};
use super::outbound_stream::Violation;
use super::protocol::WireFrame;
use super::timer::Timer;
use crate::frame::{AckId, AnswerTo, DecodeError, FrameError, Message, SequenceId, ServerFrame};
use crate::name::GroupName;

/// The largest sequence id to believe: what the official client can still count exactly. After a
/// larger one, hardly any id is left that would not look like a repetition.
const LARGEST_SEQUENCE_ID: u64 = (1 << 53) - 1;

impl Session {
    pub(super) fn frame(&mut self, now: Now, frame: WireFrame) {
        if !self.phase.is_open() {
            return;
        }
        self.last_received = Some(now.mono);
        self.timers.clear(Timer::Probe);
        let frame = match self.protocol.decode(frame) {
            Ok(frame) => frame,
            Err(DecodeError::Answer { to, error }) if self.phase == Phase::Connected => {
                return self.unreadable_answer(&to, *error);
            }
            Err(error) => return self.ignore(Ignored::Undecodable(error)),
        };
        match (self.phase, &frame) {
            (Phase::Handshaking(Kind::Fresh), ServerFrame::Connected { .. }) => {}
            (Phase::Handshaking(Kind::Fresh), _) => return self.ignore(Ignored::BeforeConnected),
            (Phase::Handshaking(Kind::Recover), ServerFrame::Connected { connection_id, .. })
                if self.connection_id() != Some(connection_id) =>
            {
                // Something between us and the service dropped the recovery from the URL.
                if !self.config.auto_reconnect {
                    return self.shut_down(StopReason::Lost(Loss::Replaced));
                }
                self.end_link(&Loss::Replaced);
            }
            (Phase::Handshaking(Kind::Recover), _) => self.proved(now),
            _ => {}
        }
        let sequence_id = sequence_id_of(&frame).filter(|_| self.protocol.is_reliable());
        self.dispatch(now, frame);
        if let Some(id) = sequence_id.filter(|id| *id > LARGEST_SEQUENCE_ID) {
            self.give_up_connection(now, Loss::InvalidSequenceId(id));
        }
    }

    /// Only the request of this answer could be read, so its caller must not wait any longer.
    fn unreadable_answer(&mut self, to: &AnswerTo, error: DecodeError) {
        let settled = self
            .requests
            .fail_unreadable(to, error.clone(), &mut self.events);
        if !settled {
            self.ignore(Ignored::Undecodable(error));
        }
    }

    fn dispatch(&mut self, now: Now, frame: ServerFrame) {
        match frame {
            ServerFrame::Connected {
                connection_id,
                user_id,
                reconnection_token,
            } => self.connected(now, connection_id, user_id, reconnection_token),
            ServerFrame::Disconnected { message } => {
                if let Some(link) = &mut self.link {
                    link.disconnect_message = (!message.is_empty()).then_some(message);
                }
            }
            ServerFrame::Ack { ack_id, error } => self.acknowledged(now, ack_id, error),
            ServerFrame::Message(message) => self.message(now, message),
            ServerFrame::Pong => self.replay_is_over(),
            ServerFrame::InvokeResponse {
                invocation_id,
                result,
                metadata,
            } => {
                let answered =
                    self.requests
                        .answer(&invocation_id, result, metadata, &mut self.events);
                if !answered {
                    self.ignore(Ignored::UnknownInvocation);
                }
            }
            ServerFrame::StreamAck {
                stream_id,
                expected_sequence_id,
            } => {
                let result =
                    self.outbound
                        .acknowledge(&stream_id, expected_sequence_id, &mut self.events);
                self.after_stream_control(stream_id, result);
            }
            ServerFrame::StreamNack {
                stream_id,
                error,
                expected_sequence_id,
            } => {
                let result = self.outbound.refuse(
                    now.mono,
                    &stream_id,
                    &error,
                    expected_sequence_id,
                    &mut self.events,
                );
                self.after_stream_control(stream_id, result);
            }
            ServerFrame::StreamClosed { stream_id, error } => {
                if !self.outbound.closed(&stream_id, error, &mut self.events) {
                    self.ignore(Ignored::UnknownStream);
                }
            }
            ServerFrame::GroupStateSnapshot {
                sequence_id,
                group,
                items,
            } => {
                if !self.is_new(now, sequence_id) {
                    return;
                }
                // A replayed snapshot comes before the answer to its subscription.
                if self.groups.is_subscribed(&group) || self.requests.is_subscribing(&group) {
                    let changes = self.groups.snapshot(now, &group, items, &mut self.events);
                    self.report_states(group, changes);
                } else {
                    self.ignore(Ignored::UnknownGroupState);
                }
            }
            ServerFrame::GroupStateUpdate {
                sequence_id,
                group,
                items,
            } => {
                if !self.is_new(now, sequence_id) {
                    return;
                }
                if self.groups.is_subscribed(&group) {
                    let changes = self.groups.update(now, &group, items, &mut self.events);
                    self.report_states(group, changes);
                } else {
                    self.ignore(Ignored::UnknownGroupState);
                }
            }
        }
    }

    fn connected(
        &mut self,
        now: Now,
        connection_id: ByteString,
        user_id: Option<ByteString>,
        reconnection_token: Option<ByteString>,
    ) {
        match &mut self.link {
            Some(link) if link.connection_id == connection_id => {
                // The answer to a recovery; only its token is new.
                link.reconnection_token = reconnection_token.or(link.reconnection_token.take());
            }
            Some(_) => self.ignore(Ignored::AnotherConnection),
            None => self.established(now, connection_id, user_id, reconnection_token),
        }
    }

    fn message(&mut self, now: Now, message: Message) {
        if self.is_new(now, message.sequence_id) {
            self.inbound.message(now.mono, &message, &mut self.events);
            self.events.push_back(Event::Message(message));
        }
    }

    /// Takes note of a sequence id; whether what it numbers has not arrived before.
    fn is_new(&mut self, now: Now, id: Option<SequenceId>) -> bool {
        let (Some(id), Some(link), true) = (id, &mut self.link, self.protocol.is_reliable()) else {
            return true;
        };
        if !link.sequence.is_unacknowledged() && !self.sequence_ack_is_due {
            let at = now.after(self.config.sequence_ack_delay);
            self.timers.set_by(Timer::SequenceAck, at);
        }
        let is_new = link.sequence.receive(id);
        match &mut link.replayed {
            Some(replayed) if is_new => *replayed += 1,
            _ => {}
        }
        if !is_new {
            self.ignore(Ignored::Duplicate(id.0));
        }
        is_new
    }

    /// The service answers pings in order, so the replay that it began with is complete.
    fn replay_is_over(&mut self) {
        if let Some(link) = &mut self.link
            && let Some(replayed) = link.replayed.take()
        {
            link.forgotten_at = None;
            self.events.push_back(Event::Recovered { replayed });
        }
    }

    fn acknowledged(&mut self, now: Now, id: AckId, error: Option<FrameError>) {
        let known = self.requests.acknowledge(
            now.mono,
            id,
            error,
            &self.config,
            &mut self.random,
            &mut self.groups,
            &mut self.events,
        );
        if known {
            self.schedule_retries();
        } else {
            self.ignore(Ignored::UnknownAck(id.0));
        }
    }

    pub(super) fn retry_requests(&mut self, now: Now) {
        self.requests.retry_due(now.mono);
        self.schedule_retries();
    }

    pub(super) fn schedule_retries(&mut self) {
        self.timers.set(Timer::Retry, self.requests.next_retry());
    }

    fn after_stream_control(&mut self, stream_id: ByteString, result: Result<bool, Violation>) {
        match result {
            Ok(true) => {}
            Ok(false) => self.ignore(Ignored::UnknownStream),
            Err(violation) => {
                // The service must not go on with a stream whose order is broken.
                let code = Some("ProtocolViolation");
                let frame = self.stream_end(stream_id, &violation.to_string(), code);
                self.urgent.push_back(frame);
            }
        }
    }

    fn report_states(&mut self, group: GroupName, changes: Vec<StateChange>) {
        if !changes.is_empty() {
            self.events.push_back(Event::GroupState { group, changes });
        }
    }

    pub(super) fn ignore(&mut self, why: Ignored) {
        self.events.push_back(Event::Ignored(why));
    }
}

fn sequence_id_of(frame: &ServerFrame) -> Option<u64> {
    let id = match frame {
        ServerFrame::Message(message) => message.sequence_id,
        ServerFrame::GroupStateSnapshot { sequence_id, .. }
        | ServerFrame::GroupStateUpdate { sequence_id, .. } => *sequence_id,
        _ => None,
    };
    id.map(|id| id.0)
}
