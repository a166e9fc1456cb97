//! What a client's frames do. One connection's frames are handled one at a time, in order; while
//! the event handler works on one, the others wait and only pings, acknowledgements and the
//! cancellation of an invocation pass.

use webpubsub_protocol::frame::{AckId, ClientFrame, FrameError, Message, Sender, ServerFrame};
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::{EventName, GroupName, UserId};
use webpubsub_protocol::payload::Payload;
use webpubsub_protocol::permission::Permission;

use super::connection::{ConnectionKey, Content, Epoch, RawMode, Received, ReplyTo};
use super::effect::{Effects, HandlerFailed};
use super::end::{End, Violation};
use super::kind::MessageKind;
use super::membership::{Cause, Change};
use super::message::Draft;
use super::outbox::Acknowledged;
use super::state::HubState;
use super::upstream::internal_error;
use crate::clock::Now;

/// A message from a client to a group.
struct GroupMessage {
    group: GroupName,
    no_echo: bool,
    ttl_seconds: u32,
    metadata: Metadata,
    payload: Payload,
}

/// What a frame came to.
pub(super) type Outcome = Result<(), FrameError>;

impl HubState {
    /// Handles what a socket received. What comes late from an earlier socket changes nothing.
    pub(crate) fn receive(
        &mut self,
        now: Now,
        key: ConnectionKey,
        epoch: Epoch,
        received: Received,
        effects: &mut Effects,
    ) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        if connection.epoch != epoch {
            return;
        }
        if connection.in_flight.is_none() || passes(&received) {
            self.process(now, key, received, effects);
        } else {
            connection.waiting.push(received);
            if connection.waiting.is_full() {
                connection.outbox.pause(true, &mut effects.wakes);
                effects.pauses = true;
            }
        }
    }

    pub(super) fn process(
        &mut self,
        now: Now,
        key: ConnectionKey,
        received: Received,
        effects: &mut Effects,
    ) {
        let frame = match received.content {
            Content::Raw(payload) => return self.raw(now, key, payload, effects),
            Content::Frame(frame) => frame,
        };
        let ack_id = frame.ack_id();
        if let Some(id) = ack_id
            && self
                .connections
                .get(key)
                .is_some_and(|connection| connection.acks.contains(id))
        {
            let text = format!("Message with ack-id: {id} has been processed");
            return self.answer(
                now,
                key,
                ack_id,
                Err(FrameError::new("Duplicate", text)),
                effects,
            );
        }
        match frame {
            ClientFrame::JoinGroup { group, .. } => {
                let outcome = self.join_or_leave(now, key, &group, Change::Join, effects);
                self.explain_denial(key, MessageKind::JoinGroup, &group, &outcome, effects);
                self.answer(now, key, ack_id, outcome, effects);
            }
            ClientFrame::LeaveGroup { group, .. } => {
                let outcome = self.join_or_leave(now, key, &group, Change::Leave, effects);
                self.explain_denial(key, MessageKind::LeaveGroup, &group, &outcome, effects);
                self.answer(now, key, ack_id, outcome, effects);
            }
            ClientFrame::SendToGroup {
                group,
                no_echo,
                ttl_seconds,
                metadata,
                payload,
                ..
            } => {
                let message = GroupMessage {
                    group: group.clone(),
                    no_echo,
                    ttl_seconds,
                    metadata,
                    payload,
                };
                let outcome = self.send_to_group(now, key, message, effects);
                self.explain_denial(key, MessageKind::SendToGroup, &group, &outcome, effects);
                self.answer(now, key, ack_id, outcome, effects);
            }
            ClientFrame::Event {
                event,
                metadata,
                payload,
                ..
            } => {
                let reply_to = ReplyTo::Event(ack_id);
                if self
                    .raise(key, event, metadata, payload, reply_to, effects)
                    .is_err()
                {
                    self.answer(now, key, ack_id, Err(internal_error()), effects);
                }
            }
            ClientFrame::Invoke {
                invocation_id,
                call,
            } => {
                self.invoke(now, key, invocation_id, call, effects);
            }
            ClientFrame::CancelInvocation { invocation_id } => {
                self.cancel_invocation(now, key, &invocation_id, effects);
            }
            ClientFrame::OpenStream { stream_id, start } => {
                self.open_stream(now, key, stream_id, start, effects);
            }
            ClientFrame::StreamData {
                stream_id,
                fragment,
            } => {
                self.stream_data(now, key, stream_id, fragment, effects);
            }
            ClientFrame::EndStream { stream_id, error } => {
                self.end_stream(now, key, stream_id, error, effects);
            }
            ClientFrame::SetGroupState { group, state, .. } => {
                let outcome = self.set_group_state(now, key, &group, state, effects);
                self.explain_denial(key, MessageKind::SetGroupState, &group, &outcome, effects);
                self.answer(now, key, ack_id, outcome, effects);
            }
            ClientFrame::SubscribeGroupState { group, .. } => {
                let outcome = self.subscribe_group_state(key, &group);
                let kind = MessageKind::SubscribeGroupState;
                self.explain_denial(key, kind, &group, &outcome, effects);
                let subscribed = outcome.is_ok();
                self.answer(now, key, ack_id, outcome, effects);
                if subscribed {
                    self.send_state_snapshot(now, key, &group, effects);
                }
            }
            ClientFrame::UnsubscribeGroupState { group, .. } => {
                self.unsubscribe_group_state(key, &group);
                self.answer(now, key, ack_id, Ok(()), effects);
            }
            ClientFrame::SequenceAck { sequence_id } => {
                // Only reliable connections have something to acknowledge.
                if let Some(connection) = self.connections.get(key) {
                    let wakes = &mut effects.wakes;
                    let acknowledged = Acknowledged::UpTo(sequence_id);
                    connection.outbox.acknowledge(now.mono, acknowledged, wakes);
                }
            }
            ClientFrame::Ping => self.control(now, key, &ServerFrame::Pong, effects),
            // The enum may grow with the protocol; its decoders do not make what is not above.
            other => tracing::error!(
                frame = ?std::mem::discriminant(&other),
                "a frame that nothing handles"
            ),
        }
    }

    fn join_or_leave(
        &mut self,
        now: Now,
        key: ConnectionKey,
        group: &GroupName,
        change: Change,
        effects: &mut Effects,
    ) -> Outcome {
        let verb = if change == Change::Join {
            "join"
        } else {
            "leave"
        };
        self.demand(key, Permission::JoinLeaveGroup, verb, group)?;
        self.change_membership(now, key, group, change, Cause::Frame, effects);
        Ok(())
    }

    fn send_to_group(
        &mut self,
        now: Now,
        key: ConnectionKey,
        sent: GroupMessage,
        effects: &mut Effects,
    ) -> Outcome {
        self.demand(key, Permission::SendToGroup, "send to", &sent.group)?;
        let sender = self
            .connections
            .get(key)
            .and_then(|connection| connection.user.as_ref());
        let message = Message {
            sequence_id: None,
            from: Sender::Group {
                group: sent.group.clone(),
                from_user_id: sender.map(|user: &UserId| user.as_shared().clone()),
            },
            payload: sent.payload,
            metadata: sent.metadata,
            stream: None,
        };
        let message = Draft::message(message, expiry(now, sent.ttl_seconds));
        let except = sent.no_echo.then_some(key);
        self.deliver_to_group(now, &sent.group, except, &message, effects);
        Ok(())
    }

    fn demand(
        &self,
        key: ConnectionKey,
        permission: Permission,
        verb: &str,
        group: &GroupName,
    ) -> Outcome {
        let allowed = self
            .connections
            .get(key)
            .is_some_and(|connection| connection.permissions.allows(permission, group.as_str()));
        if allowed {
            return Ok(());
        }
        let text = format!("The client does not have permission to {verb} group '{group}'.");
        Err(FrameError::new("Forbidden", text))
    }

    /// Sends the ack that the frame asked for. Only what succeeded uses up its id.
    pub(super) fn answer(
        &mut self,
        now: Now,
        key: ConnectionKey,
        ack_id: Option<AckId>,
        outcome: Outcome,
        effects: &mut Effects,
    ) {
        let Some(ack_id) = ack_id else {
            if let Err(error) = outcome {
                tracing::debug!(error = %error.name, "a frame without ack id failed");
            }
            return;
        };
        if outcome.is_ok()
            && let Some(connection) = self.connections.get_mut(key)
        {
            connection.acks.remember(ack_id);
        }
        effects.acks += 1;
        self.control(
            now,
            key,
            &ServerFrame::Ack {
                ack_id,
                error: outcome.err(),
            },
            effects,
        );
    }

    fn raw(&mut self, now: Now, key: ConnectionKey, payload: Payload, effects: &mut Effects) {
        let Some(connection) = self.connections.get(key) else {
            return;
        };
        match connection.raw_mode.clone() {
            RawMode::SendEvent => {
                let event = EventName::new("message").expect("`message` is an event name");
                let metadata = Metadata::default();
                let raised = self.raise(key, event, metadata, payload, ReplyTo::Raw, effects);
                if raised == Err(HandlerFailed) {
                    self.fail_raw(now, key, effects);
                }
            }
            RawMode::SendToGroup { group, no_echo } => {
                let metadata = Metadata::default();
                let message = GroupMessage {
                    group: group.clone(),
                    no_echo,
                    ttl_seconds: 0,
                    metadata,
                    payload,
                };
                let outcome = self.send_to_group(now, key, message, effects);
                self.explain_denial(key, MessageKind::Raw, &group, &outcome, effects);
                if outcome.is_err() {
                    let end = End::Violation(Violation::SendForbidden);
                    self.end(now, key, &end, effects);
                }
            }
        }
    }

    pub(super) fn fail_raw(&mut self, now: Now, key: ConnectionKey, effects: &mut Effects) {
        let end = End::EventFailed {
            normally: self.settings.close_failed_events_normally,
        };
        self.end(now, key, &end, effects);
    }
}

/// What need not wait for the event handler.
fn passes(received: &Received) -> bool {
    matches!(
        received.content,
        Content::Frame(
            ClientFrame::Ping
                | ClientFrame::SequenceAck { .. }
                | ClientFrame::CancelInvocation { .. }
        )
    )
}

/// When a message with this time to live is dropped; zero means never.
pub(super) fn expiry(now: Now, ttl_seconds: u32) -> Option<std::time::Instant> {
    (ttl_seconds > 0).then(|| now.mono + std::time::Duration::from_secs(ttl_seconds.into()))
}
