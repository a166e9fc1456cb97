//! What the frames of clients do, and the handler's answers.

use bytestring::ByteString;
use webpubsub_emulator::driven::Socket;
use webpubsub_protocol::frame::{AckId, ClientFrame, FrameError, Sender, ServerFrame};
use webpubsub_protocol::limits::REMEMBERED_ACK_IDS;
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::{ConnectionId, EventName, GroupName};
use webpubsub_protocol::payload::Payload;
use webpubsub_protocol::permission::Permission;

use super::delivery::{expiry, from_group, message};
use super::lifecycle::DRAIN;
use super::{CallNumber, HandlerCall, InFlight, Received, Reference, ReplyTo};

/// Frames behind a call, from which on the service reads no more.
const WAITING_FRAMES: usize = 64;

type Outcome = Result<(), FrameError>;

impl Reference {
    /// Whether the service reads what comes on this socket.
    pub(crate) fn is_readable(&self, socket: Socket) -> bool {
        let Some(line) = self.lines.get(&socket) else {
            return false;
        };
        let connection = self.connections.get(&line.connection);
        connection.is_none_or(|c| c.socket != Some(socket) || c.waiting.len() < WAITING_FRAMES)
    }

    /// A socket received something. What comes on an earlier socket changes nothing.
    pub(crate) fn receive(&mut self, socket: Socket, received: Received) {
        let Some(line) = self.lines.get(&socket) else {
            return;
        };
        let id = line.connection.clone();
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if connection.socket != Some(socket) {
            return;
        }
        if let Received::Broken(code, reason) = received {
            self.end(&id, code, reason, None, DRAIN);
        } else if connection.in_flight.is_some() && !passes(&received) {
            connection.waiting.push_back(received);
        } else {
            self.process(&id, received);
        }
    }

    fn process(&mut self, id: &ConnectionId, received: Received) {
        let frame = match received {
            Received::Frame(frame) => frame,
            Received::Raw(payload) => return self.raw(id, payload),
            Received::Broken(..) => return,
        };
        let ack_id = frame.ack_id();
        if let Some(ack) = ack_id
            && self.connections[id].executed.contains(&ack)
        {
            let text = format!("Message with ack-id: {ack} has been processed");
            return self.answer(id, ack_id, Err(FrameError::new("Duplicate", text)));
        }
        match frame {
            ClientFrame::JoinGroup { group, .. } => {
                let outcome = self.demand(id, Permission::JoinLeaveGroup, "join", &group);
                if outcome.is_ok() {
                    self.join(id, &group);
                }
                self.answer(id, ack_id, outcome);
            }
            ClientFrame::LeaveGroup { group, .. } => {
                let outcome = self.demand(id, Permission::JoinLeaveGroup, "leave", &group);
                if outcome.is_ok() {
                    self.leave(id, &group, false);
                }
                self.answer(id, ack_id, outcome);
            }
            ClientFrame::SendToGroup {
                group,
                no_echo,
                ttl_seconds,
                payload,
                ..
            } => {
                let outcome = self.send_to_group(id, &group, no_echo, ttl_seconds, payload);
                self.answer(id, ack_id, outcome);
            }
            ClientFrame::Event { event, payload, .. } => {
                if !self.raise(id, event, payload, ReplyTo::Event(ack_id)) {
                    self.answer(id, ack_id, Err(internal_error()));
                }
            }
            ClientFrame::Invoke {
                invocation_id,
                call: Ok(call),
            } => {
                let payload = call.payload.unwrap_or_else(|| Payload::text(""));
                let reply_to = ReplyTo::Invocation(invocation_id.clone());
                if !self.raise(id, call.event, payload, reply_to) {
                    self.invoke_response(id, invocation_id, Err(internal_error()));
                }
            }
            ClientFrame::CancelInvocation { invocation_id } => self.cancel(id, &invocation_id),
            ClientFrame::OpenStream {
                stream_id,
                start: Ok(start),
            } => self.open_stream(id, stream_id, start),
            ClientFrame::StreamData {
                stream_id,
                fragment: Ok(fragment),
            } => self.stream_data(id, stream_id, fragment),
            ClientFrame::EndStream { stream_id, error } => self.end_stream(id, stream_id, error),
            ClientFrame::SetGroupState { group, state, .. } => {
                let outcome = self.set_state(id, &group, state);
                self.answer(id, ack_id, outcome);
            }
            ClientFrame::SubscribeGroupState { group, .. } => {
                let outcome = self.subscribe(id, &group);
                let subscribed = outcome.is_ok();
                self.answer(id, ack_id, outcome);
                if subscribed {
                    self.snapshot(id, &group);
                }
            }
            ClientFrame::UnsubscribeGroupState { group, .. } => {
                self.unsubscribe(id, &group);
                self.answer(id, ack_id, Ok(()));
            }
            ClientFrame::SequenceAck { sequence_id } => {
                if let Some(connection) = self.connections.get_mut(id) {
                    connection.kept.retain(|kept| *kept as u64 > sequence_id.0);
                }
            }
            ClientFrame::Ping => self.control(id, ServerFrame::Pong),
            other => panic!("no client of the simulation sends {other:?}"),
        }
    }

    fn demand(
        &self,
        id: &ConnectionId,
        permission: Permission,
        verb: &str,
        group: &GroupName,
    ) -> Outcome {
        if self.connections[id]
            .permissions
            .allows(permission, group.as_str())
        {
            return Ok(());
        }
        let text = format!("The client does not have permission to {verb} group '{group}'.");
        Err(FrameError::new("Forbidden", text))
    }

    fn send_to_group(
        &mut self,
        id: &ConnectionId,
        group: &GroupName,
        no_echo: bool,
        ttl_seconds: u32,
        payload: Payload,
    ) -> Outcome {
        self.demand(id, Permission::SendToGroup, "send to", group)?;
        let to: Vec<_> = self
            .members(group)
            .filter(|member| !(no_echo && *member == id))
            .cloned()
            .collect();
        let user = self.connections[id].user.as_ref();
        let frame = message(from_group(group, user), payload);
        self.deliver(&to, frame, expiry(self.now, ttl_seconds), false);
        Ok(())
    }

    fn answer(&mut self, id: &ConnectionId, ack_id: Option<AckId>, outcome: Outcome) {
        let (Some(ack_id), Some(connection)) = (ack_id, self.connections.get_mut(id)) else {
            return;
        };
        if outcome.is_ok() {
            connection.executed.push_back(ack_id);
            if connection.executed.len() > REMEMBERED_ACK_IDS {
                connection.executed.pop_front();
            }
        }
        let error = outcome.err();
        self.control(id, ServerFrame::Ack { ack_id, error });
    }

    fn raw(&mut self, id: &ConnectionId, payload: Payload) {
        match self.connections[id].raw_group.clone() {
            Some((group, no_echo)) => {
                if self.send_to_group(id, &group, no_echo, 0, payload).is_err() {
                    let reason = "The connection is not authorized for raw sendToGroup mode.";
                    self.end(id, 1008, reason, None, DRAIN);
                }
            }
            None => {
                let event = EventName::new("message").expect("an event name");
                if !self.raise(id, event, payload, ReplyTo::Raw) {
                    self.end(id, 1011, "Internal server error", None, DRAIN);
                }
            }
        }
    }

    /// Calls the handler, if there is one.
    fn raise(
        &mut self,
        id: &ConnectionId,
        event: EventName,
        payload: Payload,
        reply_to: ReplyTo,
    ) -> bool {
        let has_handler = self.settings.has_handler;
        let Some(connection) = self.connections.get_mut(id).filter(|_| has_handler) else {
            return false;
        };
        self.calls_made += 1;
        let number = CallNumber(self.calls_made);
        connection.events_raised += 1;
        connection.in_flight = Some(InFlight { number, reply_to });
        self.calls.push(HandlerCall {
            number,
            connection: id.clone(),
            event_id: connection.events_raised,
            event,
            payload,
        });
        true
    }

    /// The handler answered.
    pub(crate) fn answered(&mut self, call: CallNumber, answer: Result<Option<Payload>, ()>) {
        let mut all = self.connections.iter_mut();
        let Some((id, connection)) =
            all.find(|(_, c)| c.in_flight.as_ref().is_some_and(|f| f.number == call))
        else {
            return;
        };
        let id = id.clone();
        let Some(in_flight) = connection.in_flight.take() else {
            return;
        };
        match (in_flight.reply_to, answer) {
            (ReplyTo::Event(ack_id), Ok(payload)) => {
                self.reply(&id, payload);
                self.answer(&id, ack_id, Ok(()));
            }
            (ReplyTo::Event(ack_id), Err(())) => self.answer(&id, ack_id, Err(internal_error())),
            (ReplyTo::Invocation(invocation), answer) => {
                let result = answer.map_err(|()| internal_error());
                self.invoke_response(&id, invocation, result);
            }
            (ReplyTo::Raw, Ok(payload)) => self.reply(&id, payload),
            (ReplyTo::Raw, Err(())) => self.end(&id, 1011, "Internal server error", None, DRAIN),
        }
        self.go_on(&id);
    }

    fn reply(&mut self, id: &ConnectionId, payload: Option<Payload>) {
        if let Some(payload) = payload {
            let frame = message(Sender::Server, payload);
            self.deliver(std::slice::from_ref(id), frame, None, false);
        }
    }

    fn invoke_response(
        &mut self,
        id: &ConnectionId,
        invocation_id: ByteString,
        result: Result<Option<Payload>, FrameError>,
    ) {
        let response = ServerFrame::InvokeResponse {
            invocation_id,
            result,
            metadata: Metadata::default(),
        };
        self.control(id, response);
    }

    fn cancel(&mut self, id: &ConnectionId, invocation: &ByteString) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        connection.waiting.retain(|received| {
            !matches!(received, Received::Frame(ClientFrame::Invoke { invocation_id, .. })
                if invocation_id == invocation)
        });
        let ours = |call: &mut InFlight| matches!(&call.reply_to, ReplyTo::Invocation(id) if id == invocation);
        if let Some(call) = connection.in_flight.take_if(ours) {
            self.cancelled.push(call.number);
            self.go_on(id);
        }
    }

    /// What waited for the handler goes on, up to its next call.
    fn go_on(&mut self, id: &ConnectionId) {
        while let Some(connection) = self.connections.get_mut(id)
            && connection.in_flight.is_none()
            && let Some(received) = connection.waiting.pop_front()
        {
            self.process(id, received);
        }
    }
}

/// What need not wait for the handler.
fn passes(received: &Received) -> bool {
    let Received::Frame(frame) = received else {
        return false;
    };
    matches!(
        frame,
        ClientFrame::Ping | ClientFrame::SequenceAck { .. } | ClientFrame::CancelInvocation { .. }
    )
}

fn internal_error() -> FrameError {
    FrameError::new("InternalServerError", "Internal server error")
}
