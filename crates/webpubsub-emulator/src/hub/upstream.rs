//! Calls to the event handler: user events and invocations, one at a time per connection.

use bytestring::ByteString;
use webpubsub_protocol::frame::{
    ClientFrame, DecodeError, FrameError, Invocation, Message, Sender, ServerFrame,
};
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::EventName;
use webpubsub_protocol::payload::Payload;

use super::connection::{ConnectionKey, Content, InFlight, ReplyTo};
use super::effect::{CallToken, Effects, HandlerFailed, Notice, NoticeKind, Reply, UpstreamCall};
use super::message::Draft;
use super::owned;
use super::state::HubState;
use crate::clock::Now;

impl HubState {
    /// Hands an event to the handler; the connection's next frames wait for the answer.
    pub(super) fn raise(
        &mut self,
        key: ConnectionKey,
        event: EventName,
        metadata: Metadata,
        payload: Payload,
        reply_to: ReplyTo,
        effects: &mut Effects,
    ) -> Result<(), HandlerFailed> {
        if !self.settings.has_handler {
            tracing::debug!(%event, "no event handler is set for this hub");
            return Err(HandlerFailed);
        }
        let token = self.new_call(key);
        let connection = self.connections.get_mut(key).ok_or(HandlerFailed)?;
        connection.in_flight = Some(InFlight { token, reply_to });
        effects.calls.push(UpstreamCall {
            token,
            raised: connection.raise(),
            event,
            payload,
            metadata,
        });
        Ok(())
    }

    /// Notifies the handler, unless the first handshake of the connection is still incomplete.
    pub(super) fn notify(&mut self, key: ConnectionKey, kind: NoticeKind, effects: &mut Effects) {
        let connection = self.connections.get_mut(key);
        if let Some(connection) = connection.filter(|connection| connection.announced) {
            let raised = connection.raise();
            effects.notices.push(Notice { raised, kind });
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
        match call.reply_to {
            ReplyTo::Event(ack_id) => {
                let outcome = match result {
                    Ok(reply) => {
                        // The answer goes out before the ack.
                        self.reply(now, key, reply, effects);
                        Ok(())
                    }
                    Err(HandlerFailed) => Err(internal_error()),
                };
                self.answer(now, key, ack_id, outcome, effects);
            }
            ReplyTo::Invocation(id) => {
                let (result, metadata) = match result {
                    Ok(reply) => (Ok(reply.payload), reply.metadata),
                    Err(HandlerFailed) => (Err(internal_error()), Metadata::default()),
                };
                let response = ServerFrame::InvokeResponse {
                    invocation_id: id,
                    result,
                    metadata,
                };
                self.control(now, key, &response, effects);
            }
            ReplyTo::Raw => match result {
                Ok(reply) => self.reply(now, key, reply, effects),
                Err(HandlerFailed) => self.fail_raw(now, key, effects),
            },
        }
        self.go_on(now, key, effects);
    }

    /// Whether somebody still waits for this call.
    pub(super) fn awaits(&self, token: CallToken) -> bool {
        self.calls.contains_key(&token)
    }

    pub(super) fn invoke(
        &mut self,
        now: Now,
        key: ConnectionKey,
        id: ByteString,
        call: Result<Invocation, DecodeError>,
        effects: &mut Effects,
    ) {
        let error = match call {
            Err(error) => FrameError::new(
                "BadRequest",
                format!("The invocation is malformed: {error}."),
            ),
            Ok(_) if self.is_invoking(key, &id) => {
                FrameError::new("BadRequest", "An invocation with this id is pending.")
            }
            Ok(Invocation {
                event,
                metadata,
                payload,
            }) => {
                let payload = payload.unwrap_or_else(|| Payload::text(""));
                let reply_to = ReplyTo::Invocation(owned::text(&id));
                match self.raise(key, event, metadata, payload, reply_to, effects) {
                    Ok(()) => return,
                    Err(HandlerFailed) => internal_error(),
                }
            }
        };
        let response = ServerFrame::InvokeResponse {
            invocation_id: id,
            result: Err(error),
            metadata: Metadata::default(),
        };
        self.control(now, key, &response, effects);
    }

    /// Nobody waits for this invocation any more: its call is cancelled, nothing is answered.
    pub(super) fn cancel_invocation(
        &mut self,
        now: Now,
        key: ConnectionKey,
        id: &ByteString,
        effects: &mut Effects,
    ) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        connection.waiting.retain(|received| {
            !matches!(
                &received.content,
                Content::Frame(ClientFrame::Invoke { invocation_id, .. }) if invocation_id == id
            )
        });
        let ours = |call: &mut InFlight| call.reply_to == ReplyTo::Invocation(id.clone());
        if let Some(call) = connection.in_flight.take_if(ours) {
            self.calls.remove(&call.token);
            effects.cancelled.push(call.token);
            self.go_on(now, key, effects);
        }
    }

    fn is_invoking(&self, key: ConnectionKey, id: &ByteString) -> bool {
        self.connections
            .get(key)
            .and_then(|connection| connection.in_flight.as_ref())
            .is_some_and(
                |call| matches!(&call.reply_to, ReplyTo::Invocation(pending) if pending == id),
            )
    }

    fn reply(&mut self, now: Now, key: ConnectionKey, reply: Reply, effects: &mut Effects) {
        if reply.payload.is_none() && reply.metadata.is_empty() {
            return;
        }
        let message = Message {
            sequence_id: None,
            from: Sender::Server,
            payload: reply.payload.unwrap_or_else(|| Payload::text("")),
            metadata: reply.metadata,
            stream: None,
        };
        self.deliver(now, [key], &Draft::message(message, None), effects);
    }

    /// Goes on with what waited, until the next call.
    fn go_on(&mut self, now: Now, key: ConnectionKey, effects: &mut Effects) {
        while let Some(connection) = self.connections.get_mut(key)
            && connection.in_flight.is_none()
        {
            let Some(received) = connection.waiting.pop() else {
                break;
            };
            self.process(now, key, received, effects);
        }
        if let Some(connection) = self.connections.get(key)
            && !connection.waiting.is_full()
        {
            connection.outbox.pause(false, &mut effects.wakes);
        }
    }
}

pub(super) fn internal_error() -> FrameError {
    FrameError::new(
        "InternalServerError",
        ByteString::from_static("Internal server error"),
    )
}
