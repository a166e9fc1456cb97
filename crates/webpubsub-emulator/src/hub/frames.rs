//! What a client's frames do. One connection's frames are handled one at a time, in order; while
//! the event handler works on one, the others wait and only pings pass.

use bytestring::ByteString;
use webpubsub_protocol::frame::{AckId, ClientFrame, FrameError, Message, Sender, ServerFrame};
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::{EventName, GroupName, UserId};
use webpubsub_protocol::payload::Payload;
use webpubsub_protocol::permission::Permission;

use super::connection::{ConnectionKey, Epoch, InFlight, RawMode, Received, ReplyTo};
use super::effect::{CallToken, Effects, HandlerFailed, Reply, UpstreamCall};
use super::membership::{Cause, Change};
use super::message::SharedMessage;
use super::publish::{Selection, Target};
use super::state::{End, HubState};
use crate::clock::Now;

/// Frames that may wait behind a handler call before the client is no longer read.
const WAITING_FRAMES: usize = 64;

pub(crate) const MALFORMED_JSON: &str = "The client message is not a valid JSON protocol message.";
const RAW_EVENT_FAILED: &str = "Internal server error";
const RAW_SEND_FORBIDDEN: &str = "The connection is not authorized for raw sendToGroup mode.";

/// A message from a client to a group.
struct GroupMessage {
    group: GroupName,
    no_echo: bool,
    ttl_seconds: u32,
    metadata: Metadata,
    payload: Payload,
}

/// What a frame came to.
type Outcome = Result<(), FrameError>;

impl HubState {
    /// Handles what a socket received. Late news of an earlier socket changes nothing.
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
        if connection.in_flight.is_none() {
            self.process(now, key, received, effects);
        } else if received == Received::Frame(ClientFrame::Ping) {
            self.control(now, key, &ServerFrame::Pong, effects);
        } else {
            connection.waiting.push_back(received);
            if connection.waiting.len() >= WAITING_FRAMES {
                connection.outbox.pause(true);
            }
        }
    }

    /// The event handler answered, or failed to.
    pub(crate) fn upstream_done(
        &mut self,
        now: Now,
        token: CallToken,
        result: Result<Reply, HandlerFailed>,
        effects: &mut Effects,
    ) {
        let Some(key) = self.calls.remove(&token) else {
            return;
        };
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        let Some(call) = connection.in_flight.take_if(|call| call.token == token) else {
            return;
        };
        self.reply(now, key, call.reply_to, result, effects);

        // Go on with what waited, until the next call.
        while let Some(connection) = self.connections.get_mut(key)
            && connection.in_flight.is_none()
        {
            let Some(received) = connection.waiting.pop_front() else {
                break;
            };
            self.process(now, key, received, effects);
        }
        if let Some(connection) = self.connections.get(key)
            && connection.waiting.len() < WAITING_FRAMES
        {
            connection.outbox.pause(false);
        }
    }

    fn process(&mut self, now: Now, key: ConnectionKey, received: Received, effects: &mut Effects) {
        let frame = match received {
            Received::Raw(payload) => return self.raw(now, key, payload, effects),
            Received::Frame(frame) => frame,
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
        let outcome = match frame {
            ClientFrame::JoinGroup { group, .. } => {
                self.join_or_leave(key, &group, Change::Join, effects)
            }
            ClientFrame::LeaveGroup { group, .. } => {
                self.join_or_leave(key, &group, Change::Leave, effects)
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
                    group,
                    no_echo,
                    ttl_seconds,
                    metadata,
                    payload,
                };
                self.send_to_group(now, key, message, effects)
            }
            ClientFrame::Event {
                event,
                metadata,
                payload,
                ..
            } => {
                let reply_to = ReplyTo::Event(ack_id);
                match self.raise(key, event, metadata, payload, reply_to, effects) {
                    Ok(()) => return,
                    Err(HandlerFailed) => Err(internal_error()),
                }
            }
            ClientFrame::Ping => return self.control(now, key, &ServerFrame::Pong, effects),
            // Only reliable connections have sequence ids.
            ClientFrame::SequenceAck { .. } => return,
            unsupported => {
                tracing::warn!(
                    frame = ?std::mem::discriminant(&unsupported),
                    "streams, invocations and group state are not in this version: closing"
                );
                let end = End::protocol_error(1007, MALFORMED_JSON);
                return self.end(now, key, &end, effects);
            }
        };
        self.answer(now, key, ack_id, outcome, effects);
    }

    fn join_or_leave(
        &mut self,
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
        self.change_membership(key, group, change, Cause::Frame, effects);
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
        let message = SharedMessage::new(message, expiry(now, sent.ttl_seconds));
        let mut keys = self.select(&Target::Group(sent.group), &Selection::default());
        if sent.no_echo {
            keys.retain(|recipient| *recipient != key);
        }
        self.deliver(now, &keys, &message, effects);
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

    /// Hands an event to the handler; the connection's next frames wait for the answer.
    fn raise(
        &mut self,
        key: ConnectionKey,
        event: EventName,
        metadata: Metadata,
        payload: Payload,
        reply_to: ReplyTo,
        effects: &mut Effects,
    ) -> Result<(), HandlerFailed> {
        if !self.has_handler {
            tracing::debug!(%event, "no event handler is set for this hub");
            return Err(HandlerFailed);
        }
        let token = self.new_call(key);
        let connection = self.connections.get_mut(key).ok_or(HandlerFailed)?;
        let event_id = connection.next_event_id;
        connection.next_event_id += 1;
        connection.in_flight = Some(InFlight { token, reply_to });
        effects.calls.push(UpstreamCall {
            token,
            connection_id: connection.id.clone(),
            user_id: connection.user.clone(),
            event_id,
            event,
            payload,
            metadata,
        });
        Ok(())
    }

    /// The handler's answer goes to the client before the ack.
    fn reply(
        &mut self,
        now: Now,
        key: ConnectionKey,
        reply_to: ReplyTo,
        result: Result<Reply, HandlerFailed>,
        effects: &mut Effects,
    ) {
        let outcome = match result {
            Ok(Reply {
                payload: None,
                metadata,
            }) if metadata.is_empty() => Ok(()),
            Ok(Reply { payload, metadata }) => {
                let message = Message {
                    sequence_id: None,
                    from: Sender::Server,
                    payload: payload.unwrap_or_else(|| Payload::text("")),
                    metadata,
                    stream: None,
                };
                self.deliver(now, &[key], &SharedMessage::new(message, None), effects);
                Ok(())
            }
            Err(HandlerFailed) => Err(internal_error()),
        };
        match (reply_to, outcome) {
            (ReplyTo::Event(ack_id), outcome) => self.answer(now, key, ack_id, outcome, effects),
            (ReplyTo::Raw, Ok(())) => {}
            (ReplyTo::Raw, Err(_)) => self.fail_raw(now, key, effects),
        }
    }

    /// Sends the ack that the frame asked for. Only what succeeded uses up its id.
    fn answer(
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
                    group,
                    no_echo,
                    ttl_seconds: 0,
                    metadata,
                    payload,
                };
                if self.send_to_group(now, key, message, effects).is_err() {
                    let end = End::protocol_error(1008, RAW_SEND_FORBIDDEN);
                    self.end(now, key, &end, effects);
                }
            }
        }
    }

    fn fail_raw(&mut self, now: Now, key: ConnectionKey, effects: &mut Effects) {
        self.end(
            now,
            key,
            &End::protocol_error(1011, RAW_EVENT_FAILED),
            effects,
        );
    }
}

/// When a message with this time to live is dropped; zero means never.
pub(super) fn expiry(now: Now, ttl_seconds: u32) -> Option<std::time::Instant> {
    (ttl_seconds > 0).then(|| now.mono + std::time::Duration::from_secs(ttl_seconds.into()))
}

fn internal_error() -> FrameError {
    FrameError::new(
        "InternalServerError",
        ByteString::from_static("Internal server error"),
    )
}
