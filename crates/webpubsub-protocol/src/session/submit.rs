//! From a request to a frame that waits to be written.

use bytestring::ByteString;
use serde::de::IgnoredAny;

use super::Session;
use super::event::{Event, Now};
use super::life::Phase;
use super::protocol::WireFrame;
use super::request::{Acknowledge, Outcome, Request, RequestId, SubmitError};
use super::requests::{Effect, Kind};
use crate::frame::{ClientFrame, Invocation, StreamEndError, StreamStart, json};
use crate::limits;
use crate::payload::Payload;

impl Session {
    /// Takes a request. It is settled later, exactly once, by [`Event::Settled`](super::Event).
    ///
    /// # Errors
    ///
    /// When the request cannot be taken; nothing has changed then.
    /// [`SubmitError::Full`] passes: try again after the next
    /// [`poll_transmit`](Self::poll_transmit).
    pub fn submit(&mut self, now: Now, request: &Request) -> Result<RequestId, SubmitError> {
        self.observe(now);
        if self.phase == Phase::Stopped {
            return Err(SubmitError::NotStarted);
        }
        match request {
            Request::JoinGroup { group, acknowledge } => {
                let frame = ClientFrame::JoinGroup {
                    group: group.clone(),
                    ack_id: None,
                };
                self.submit_acknowledged(frame, acknowledge.always(), Effect::Joined(group.clone()))
            }
            Request::LeaveGroup { group, acknowledge } => {
                let frame = ClientFrame::LeaveGroup {
                    group: group.clone(),
                    ack_id: None,
                };
                self.submit_acknowledged(frame, acknowledge.always(), Effect::Left(group.clone()))
            }
            Request::SendToGroup {
                group,
                payload,
                no_echo,
                ttl_seconds,
                metadata,
                acknowledge,
            } => {
                if *ttl_seconds > limits::MESSAGE_TTL_SECONDS {
                    return Err(SubmitError::Invalid(
                        "the time to live must be 0 to 300 seconds",
                    ));
                }
                let frame = ClientFrame::SendToGroup {
                    group: group.clone(),
                    ack_id: None,
                    no_echo: *no_echo,
                    ttl_seconds: *ttl_seconds,
                    metadata: metadata.clone(),
                    payload: payload.clone(),
                };
                self.submit_acknowledged(frame, *acknowledge, Effect::None)
            }
            Request::SendEvent {
                event,
                payload,
                metadata,
                acknowledge,
            } => {
                let frame = ClientFrame::Event {
                    event: event.clone(),
                    ack_id: None,
                    metadata: metadata.clone(),
                    payload: payload.clone(),
                };
                self.submit_acknowledged(frame, *acknowledge, Effect::None)
            }
            Request::SetGroupState {
                group,
                state,
                acknowledge,
            } => {
                let frame = ClientFrame::SetGroupState {
                    group: group.clone(),
                    ack_id: None,
                    state: state.clone(),
                };
                let effect = Effect::StateSet(group.clone(), state.clone());
                self.submit_acknowledged(frame, acknowledge.always(), effect)
            }
            Request::SubscribeGroupState { group, acknowledge } => {
                let frame = ClientFrame::SubscribeGroupState {
                    group: group.clone(),
                    ack_id: None,
                };
                let effect = Effect::Subscribed(group.clone());
                self.submit_acknowledged(frame, acknowledge.always(), effect)
            }
            Request::UnsubscribeGroupState { group, acknowledge } => {
                let frame = ClientFrame::UnsubscribeGroupState {
                    group: group.clone(),
                    ack_id: None,
                };
                let effect = Effect::Unsubscribed(group.clone());
                self.submit_acknowledged(frame, acknowledge.always(), effect)
            }
            Request::Invoke {
                event,
                payload,
                metadata,
                invocation_id,
            } => {
                self.refuse_when_stalled()?;
                let id = match invocation_id {
                    Some(id) if id.is_empty() => {
                        return Err(SubmitError::Invalid("an invocation id must not be empty"));
                    }
                    Some(id) if self.requests.is_invocation_id_in_use(id) => {
                        return Err(SubmitError::InvocationIdInUse);
                    }
                    Some(id) => id.clone(),
                    None => self.requests.free_invocation_id(),
                };
                let call = Invocation {
                    event: event.clone(),
                    metadata: metadata.clone(),
                    payload: payload.clone(),
                };
                let frame = ClientFrame::Invoke {
                    invocation_id: id.clone(),
                    call: Ok(call),
                };
                let frame = self.with_room(&frame)?;
                Ok(self.requests.enqueue(frame, Kind::Invocation(id)))
            }
            Request::OpenStream {
                group,
                stream_id,
                no_echo,
                idle_timeout,
            } => {
                let start = StreamStart {
                    group: group.clone(),
                    no_echo: *no_echo,
                    idle_timeout: *idle_timeout,
                };
                self.open_stream(stream_id.clone(), start)
            }
            Request::WriteStream { stream_id, payload } => {
                let number = self.outbound.next_number(stream_id)?;
                if !self.stream_has_room(stream_id) {
                    // Room comes with an acknowledgement.
                    self.refuse_when_stalled()?;
                    return Err(SubmitError::Full);
                }
                let frame = self.checked(&ClientFrame::StreamData {
                    stream_id: stream_id.clone(),
                    fragment: Ok(Some((number, payload.clone()))),
                })?;
                let request = self.requests.new_request();
                self.outbound.write(stream_id, request, frame);
                Ok(request)
            }
            Request::EndStream { stream_id, error } => {
                self.outbound.next_number(stream_id)?;
                let frame = self.checked(&ClientFrame::EndStream {
                    stream_id: stream_id.clone(),
                    error: error.clone(),
                })?;
                let request = self.requests.new_request();
                if self.stalled {
                    // The end itself must not wait, or the stream would stay open.
                    self.outbound.end(stream_id, None, frame);
                    let outcome = Outcome::Stalled;
                    self.events.push_back(Event::Settled { request, outcome });
                } else {
                    self.outbound.end(stream_id, Some(request), frame);
                }
                Ok(request)
            }
            Request::KeepStreamAlive { stream_id } => {
                self.outbound.next_number(stream_id)?;
                let window = self.config.stream_window;
                if !self.outbound.has_room_for_keep_alive(stream_id, window) {
                    return Err(SubmitError::Full);
                }
                let frame = self.checked(&ClientFrame::StreamData {
                    stream_id: stream_id.clone(),
                    fragment: Ok(None),
                })?;
                let request = self.requests.new_request();
                self.outbound.keep_alive(stream_id, request, frame);
                Ok(request)
            }
        }
    }

    /// Gives a request up. One that was not written is withdrawn; an invocation is cancelled at the
    /// service; of any other, only the answer is not waited for.
    ///
    /// A stream whose opening is given up is ended, also when the service has just accepted it. A
    /// fragment, a keep-alive or an end of a stream stays: the numbers that follow count on it.
    pub fn cancel(&mut self, now: Now, request: RequestId) {
        self.observe(now);
        if let Some(invocation_id) = self.requests.cancel(request, &mut self.events)
            && self.phase.is_open()
        {
            let frame = ClientFrame::CancelInvocation { invocation_id };
            self.urgent.push_back(self.protocol.encode(&frame));
        }
        if let Some(stream_id) = self.outbound.cancel_open(request, &mut self.events) {
            self.abandon_stream(stream_id);
        }
        self.schedule_retries();
    }

    /// Ends a stream that nobody owns any more.
    pub(super) fn abandon_stream(&mut self, stream_id: ByteString) {
        let frame = self.protocol.encode(&ClientFrame::EndStream {
            stream_id: stream_id.clone(),
            error: Some(StreamEndError {
                message: Some("The publisher gave the stream up.".to_owned()),
                user_error_code: None,
            }),
        });
        self.outbound.end(&stream_id, None, frame);
    }

    /// `frame` has no ack id yet.
    fn submit_acknowledged(
        &mut self,
        mut frame: ClientFrame,
        acknowledge: Acknowledge,
        effect: Effect,
    ) -> Result<RequestId, SubmitError> {
        let ack_id = match acknowledge {
            Acknowledge::Forget => None,
            Acknowledge::Id(id) if self.requests.is_ack_id_in_use(id) => {
                return Err(SubmitError::AckIdInUse(id));
            }
            Acknowledge::Auto | Acknowledge::Id(_) => {
                self.refuse_when_stalled()?;
                Some(match acknowledge {
                    Acknowledge::Id(id) => id,
                    _ => self.requests.free_ack_id(),
                })
            }
        };
        if let Some(id) = ack_id {
            frame.set_ack_id(id);
        }
        let frame = self.with_room(&frame)?;
        if let (Acknowledge::Auto, Some(id)) = (acknowledge, ack_id) {
            self.requests.take_ack_id(id);
        }
        let kind = ack_id.map_or(Kind::Forgotten, |id| Kind::Acknowledged(id, effect));
        Ok(self.requests.enqueue(frame, kind))
    }

    fn open_stream(
        &mut self,
        stream_id: Option<ByteString>,
        start: StreamStart,
    ) -> Result<RequestId, SubmitError> {
        self.refuse_when_stalled()?;
        if start
            .idle_timeout
            .is_some_and(|timeout| timeout.as_millis() == 0)
        {
            return Err(SubmitError::Invalid(
                "the idle time-out of a stream must be at least 1 ms",
            ));
        }
        let stream_id = match stream_id {
            Some(id) if id.is_empty() => {
                return Err(SubmitError::Invalid("a stream id must not be empty"));
            }
            Some(id) if self.outbound.is_open(&id) => return Err(SubmitError::StreamIdInUse),
            Some(id) => id,
            None => self.random.uuid().into(),
        };
        let frame = self.checked(&ClientFrame::OpenStream {
            stream_id: stream_id.clone(),
            start: Ok(start),
        })?;
        if self.outbound.unwritten() >= self.config.outbox_frames.max(1) {
            return Err(SubmitError::Full);
        }
        let request = self.requests.new_request();
        self.outbound.open(stream_id, request, frame);
        Ok(request)
    }

    /// The frame on the wire, when it may be sent and there is room for it in the outbox.
    fn with_room(&self, frame: &ClientFrame) -> Result<WireFrame, SubmitError> {
        let frame = self.checked(frame)?;
        if !self.requests.has_room(frame.len(), &self.config) {
            return Err(SubmitError::Full);
        }
        Ok(frame)
    }

    /// The frame on the wire, when the service would not close the connection on it.
    fn checked(&self, frame: &ClientFrame) -> Result<WireFrame, SubmitError> {
        let encoded = self.protocol.encode(frame);
        let (bytes, limit) = (encoded.len(), self.config.max_message_bytes);
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

    /// Asks a new connection for what the old one had, before anything else.
    pub(super) fn restore(&mut self) {
        let frames = self.groups.restoring_requests();
        for (mut frame, effect) in frames {
            let ack_id = self.requests.free_ack_id();
            self.requests.take_ack_id(ack_id);
            frame.set_ack_id(ack_id);
            let frame = self.protocol.encode(&frame);
            self.requests.enqueue_restore(frame, ack_id, effect);
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

impl Acknowledge {
    /// Where fire and forget makes no sense: the session must know how it went.
    const fn always(self) -> Self {
        match self {
            Self::Forget => Self::Auto,
            other => other,
        }
    }
}
