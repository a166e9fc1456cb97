//! From a request to a frame that waits to be written.

use bytestring::ByteString;
use serde::de::IgnoredAny;

use super::Session;
use super::event::{Event, Now};
use super::life::Phase;
use super::protocol::WireFrame;
use super::request::{Acknowledge, Form, Outcome, Request, RequestId, SubmitError};
use super::requests::{Effect, Kind};
use crate::frame::{ClientFrame, Invocation, StreamEndError, StreamStart, json};
use crate::limits;
use crate::payload::Payload;

impl Session {
    /// Whether [`submit`](Self::submit) would take this request now. Nothing is encoded for it, so it
    /// is cheap to ask again; whether the frame would be too large, or its JSON is broken, only
    /// `submit` finds out.
    ///
    /// # Errors
    ///
    /// What `submit` would refuse it with.
    pub fn check(&self, request: &Request) -> Result<(), SubmitError> {
        if self.phase == Phase::Stopped {
            return Err(SubmitError::NotStarted);
        }
        request.validate()?;
        match &request.0 {
            Form::Acknowledged { acknowledge, .. } => {
                match acknowledge {
                    Acknowledge::Id(id) if self.requests.is_ack_id_in_use(*id) => {
                        return Err(SubmitError::AckIdInUse(*id));
                    }
                    Acknowledge::Auto | Acknowledge::Id(_) => self.refuse_when_stalled()?,
                    Acknowledge::Forget => {}
                }
                self.refuse_when_full()
            }
            Form::Invoke { invocation_id, .. } => {
                self.refuse_when_stalled()?;
                let is_in_use = |id| self.requests.is_invocation_id_in_use(id);
                if invocation_id.as_ref().is_some_and(is_in_use) {
                    return Err(SubmitError::InvocationIdInUse);
                }
                self.refuse_when_full()
            }
            Form::OpenStream { stream_id, .. } => {
                self.refuse_when_stalled()?;
                let is_in_use = |id| self.outbound.is_id_in_use(id);
                if stream_id.as_ref().is_some_and(is_in_use) {
                    return Err(SubmitError::StreamIdInUse);
                }
                self.refuse_when_full()
            }
            Form::WriteStream { stream, .. } => {
                self.outbound.writable(*stream)?;
                if !self.stream_has_room(*stream) {
                    // Room comes with an acknowledgement.
                    self.refuse_when_stalled()?;
                    return Err(SubmitError::Full);
                }
                Ok(())
            }
            Form::EndStream { stream, .. } => self.outbound.writable(*stream).map(|_| ()),
            Form::KeepStreamAlive { stream } => {
                self.outbound.writable(*stream)?;
                if !self.outbound.has_room_for_keep_alive(*stream, &self.config) {
                    return Err(SubmitError::Full);
                }
                Ok(())
            }
        }
    }

    /// Takes a request. It is settled later, exactly once, by [`Event::Settled`](super::Event).
    ///
    /// # Errors
    ///
    /// When the request cannot be taken. The session has not changed then, not even in what it wants
    /// to do next; nor has anything been encoded, unless the frame turned out to be too large or its
    /// JSON broken. To keep a request that does not fit yet, [`check`](Self::check) it first.
    pub fn submit(&mut self, now: Now, request: Request) -> Result<RequestId, SubmitError> {
        self.check(&request)?;
        let request = match request.0 {
            Form::Acknowledged { frame, acknowledge } => self.send(frame, acknowledge),
            Form::Invoke {
                invocation_id,
                call,
            } => self.invoke(invocation_id, call),
            Form::OpenStream { stream_id, start } => self.open_stream(stream_id, start),
            Form::WriteStream { stream, payload } => self.write_stream(stream, payload),
            Form::EndStream { stream, error } => self.end_stream(stream, error),
            Form::KeepStreamAlive { stream } => self.keep_stream_alive(stream),
        }?;
        self.observe(now);
        Ok(request)
    }

    /// Gives a request up, and settles it as [`Outcome::Cancelled`] unless it is settled already.
    ///
    /// What was not written is withdrawn and never goes out: a message, a fragment, a keep-alive, the
    /// end of a stream, which is open again then. Of what was written, only the answer is not waited
    /// for any more; an invocation is cancelled at the service as well.
    ///
    /// To give a stream up, cancel the request that opened it, whether the stream is open already or
    /// not: it ends early for the service and for the receivers. A later stream with the same id is
    /// not affected.
    pub fn cancel(&mut self, now: Now, request: RequestId) {
        self.observe(now);
        if let Some(invocation_id) = self.requests.cancel(request, &mut self.events)
            && self.phase.is_open()
        {
            let frame = ClientFrame::CancelInvocation { invocation_id };
            self.urgent.push_back(self.protocol.encode(&frame));
        }
        if self.outbound.cancel_open(request, &mut self.events) {
            self.abandon_stream(request);
        }
        let protocol = &self.protocol;
        let encode = |frame: &ClientFrame| protocol.encode(frame);
        self.outbound.withdraw(request, encode, &mut self.events);
        self.schedule_retries();
    }

    /// Ends a stream that has no owner any more.
    pub(super) fn abandon_stream(&mut self, stream: RequestId) {
        let Some(stream_id) = self.outbound.id_of(stream).cloned() else {
            return;
        };
        let frame = self.stream_end(stream_id, "The publisher gave the stream up.", None);
        self.outbound.end(stream, None, frame);
    }

    /// A frame that ends a stream early.
    pub(super) fn stream_end(
        &self,
        stream_id: ByteString,
        message: &str,
        code: Option<&str>,
    ) -> WireFrame {
        let error = Some(StreamEndError {
            message: Some(message.to_owned()),
            user_error_code: code.map(str::to_owned),
        });
        self.protocol
            .encode(&ClientFrame::EndStream { stream_id, error })
    }

    /// `frame` has no ack id yet.
    fn send(
        &mut self,
        mut frame: ClientFrame,
        acknowledge: Acknowledge,
    ) -> Result<RequestId, SubmitError> {
        let ack_id = match acknowledge {
            Acknowledge::Forget => None,
            Acknowledge::Id(id) => Some(id),
            Acknowledge::Auto => Some(self.requests.free_ack_id()),
        };
        if let Some(id) = ack_id {
            frame.set_ack_id(id);
        }
        let encoded = self.encode(&frame)?;
        if let (Acknowledge::Auto, Some(id)) = (acknowledge, ack_id) {
            self.requests.take_ack_id(id);
        }
        let kind = ack_id.map_or(Kind::Forgotten, |id| {
            Kind::Acknowledged(id, Effect::of(frame))
        });
        Ok(self.requests.enqueue(encoded, kind))
    }

    fn invoke(
        &mut self,
        invocation_id: Option<ByteString>,
        call: Invocation,
    ) -> Result<RequestId, SubmitError> {
        let id = invocation_id.unwrap_or_else(|| self.requests.free_invocation_id());
        let frame = self.encode(&ClientFrame::Invoke {
            invocation_id: id.clone(),
            call: Ok(call),
        })?;
        Ok(self.requests.enqueue(frame, Kind::Invocation(id)))
    }

    fn open_stream(
        &mut self,
        stream_id: Option<ByteString>,
        start: StreamStart,
    ) -> Result<RequestId, SubmitError> {
        let stream_id = stream_id.unwrap_or_else(|| self.random.uuid().into());
        let frame = self.encode(&ClientFrame::OpenStream {
            stream_id: stream_id.clone(),
            start: Ok(start),
        })?;
        let request = self.requests.new_request();
        self.outbound.open(stream_id, request, frame);
        Ok(request)
    }

    fn write_stream(
        &mut self,
        stream: RequestId,
        payload: Payload,
    ) -> Result<RequestId, SubmitError> {
        let (stream_id, number) = self.outbound.writable(stream)?;
        let frame = self.encode(&ClientFrame::StreamData {
            stream_id: stream_id.clone(),
            fragment: Ok(Some((number, payload.clone()))),
        })?;
        let request = self.requests.new_request();
        self.outbound.write(stream, request, frame, payload);
        Ok(request)
    }

    fn end_stream(
        &mut self,
        stream: RequestId,
        error: Option<StreamEndError>,
    ) -> Result<RequestId, SubmitError> {
        let (stream_id, _) = self.outbound.writable(stream)?;
        let stream_id = stream_id.clone();
        let frame = self.encode(&ClientFrame::EndStream { stream_id, error })?;
        let request = self.requests.new_request();
        if self.stalled {
            // The end itself must not wait, or the stream would stay open.
            self.outbound.end(stream, None, frame);
            let outcome = Outcome::Stalled;
            self.events.push_back(Event::Settled { request, outcome });
        } else {
            self.outbound.end(stream, Some(request), frame);
        }
        Ok(request)
    }

    fn keep_stream_alive(&mut self, stream: RequestId) -> Result<RequestId, SubmitError> {
        let (stream_id, _) = self.outbound.writable(stream)?;
        let frame = self.encode(&ClientFrame::StreamData {
            stream_id: stream_id.clone(),
            fragment: Ok(None),
        })?;
        let request = self.requests.new_request();
        self.outbound.keep_alive(stream, request, frame);
        Ok(request)
    }

    /// The frame on the wire, when the service would not close the connection on it.
    fn encode(&self, frame: &ClientFrame) -> Result<WireFrame, SubmitError> {
        let encoded = self.protocol.encode(frame);
        let (bytes, limit) = (encoded.len(), self.config.max_send_message_bytes);
        if bytes > limit {
            return Err(SubmitError::TooLarge { bytes, limit });
        }
        if let Some(Payload::Json(json)) = payload_of(frame) {
            check_json(json, matches!(encoded, WireFrame::Text(_)))?;
        }
        Ok(encoded)
    }

    const fn refuse_when_stalled(&self) -> Result<(), SubmitError> {
        if self.stalled {
            return Err(SubmitError::Stalled);
        }
        Ok(())
    }

    fn refuse_when_full(&self) -> Result<(), SubmitError> {
        if self.has_room() {
            return Ok(());
        }
        // Room comes with answers.
        self.refuse_when_stalled()?;
        Err(SubmitError::Full)
    }

    /// Asks a new connection for what the old one had, before anything else.
    pub(super) fn restore(&mut self) {
        for mut frame in self.groups.restoring_requests() {
            let ack_id = self.requests.free_ack_id();
            self.requests.take_ack_id(ack_id);
            frame.set_ack_id(ack_id);
            let encoded = self.protocol.encode(&frame);
            self.requests
                .enqueue_restore(encoded, ack_id, Effect::of(frame));
        }
    }
}

const fn payload_of(frame: &ClientFrame) -> Option<&Payload> {
    match frame {
        ClientFrame::SendToGroup { payload, .. }
        | ClientFrame::Event { payload, .. }
        | ClientFrame::StreamData {
            fragment: Ok(Some((_, payload))),
            ..
        } => Some(payload),
        ClientFrame::Invoke { call: Ok(call), .. } => call.payload.as_ref(),
        _ => None,
    }
}

/// A frame of text holds the JSON verbatim, and there the service takes no `null`.
fn check_json(json: &str, is_verbatim: bool) -> Result<(), SubmitError> {
    if is_verbatim && json.trim() == "null" {
        return Err(SubmitError::Invalid("a JSON payload must not be null"));
    }
    if !json::depth_is_within(json.as_bytes(), limits::JSON_PAYLOAD_DEPTH) {
        return Err(SubmitError::Invalid(
            "a JSON payload must not nest deeper than 127 levels",
        ));
    }
    if serde_json::from_str::<IgnoredAny>(json).is_err() {
        return Err(SubmitError::Invalid(
            "a JSON payload must be one JSON value",
        ));
    }
    Ok(())
}
