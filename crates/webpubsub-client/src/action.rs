//! The types of requests: the `A` of a [`Call<'_, A>`](Call).
//!
//! They are created by the methods of [`WebPubSubClient`](crate::WebPubSubClient). You need them only to name the type of a
//! call.

use std::time::Duration;

use bytestring::ByteString;
use webpubsub_protocol::limits;
use webpubsub_protocol::session::Outcome;

use crate::acknowledged::Acknowledged;
use crate::call::Call;
use crate::call::ended::Ended;
use crate::error::SendError;
use crate::invoke::InvokeEventResult;
use crate::outbound::GroupStreamWriter;

pub use crate::call::{Action, Message};

macro_rules! acknowledged {
    ($($(#[$doc:meta])* $name:ident,)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        #[non_exhaustive]
        pub struct $name;

        impl Action for $name {
            type Output = Acknowledged;

            fn finish(self, ended: Ended<'_>) -> Result<Acknowledged, SendError> {
                Acknowledged::of(ended.settled.outcome)
            }
        }
    )*};
}

acknowledged! {
    /// Joins a group: [`join_group`](crate::WebPubSubClient::join_group).
    JoinGroup,
    /// Leaves a group: [`leave_group`](crate::WebPubSubClient::leave_group).
    LeaveGroup,
    /// Publishes to a group: [`send_to_group`](crate::WebPubSubClient::send_to_group).
    SendToGroup,
    /// Sends a user event: [`send_event`](crate::WebPubSubClient::send_event).
    SendEvent,
    /// Replaces or clears this connection's state in a group:
    /// [`set_group_state`](crate::WebPubSubClient::set_group_state),
    /// [`clear_group_state`](crate::WebPubSubClient::clear_group_state).
    SetGroupState,
    /// Starts to receive the states of a group's members:
    /// [`subscribe_group_state`](crate::WebPubSubClient::subscribe_group_state).
    SubscribeGroupState,
    /// Stops receiving them: [`unsubscribe_group_state`](crate::WebPubSubClient::unsubscribe_group_state).
    UnsubscribeGroupState,
}

/// Sends a user event and waits for its answer: [`invoke_event`](crate::WebPubSubClient::invoke_event).
#[derive(Debug)]
#[non_exhaustive]
pub struct InvokeEvent;

/// Opens a stream to a group: [`open_group_stream`](crate::WebPubSubClient::open_group_stream).
#[derive(Debug)]
pub struct OpenGroupStream {
    pub(crate) write_timeout: Option<Duration>,
}

impl Message for SendToGroup {}
impl Message for SendEvent {}
impl Message for InvokeEvent {}

impl Action for InvokeEvent {
    type Output = InvokeEventResult;

    fn finish(self, ended: Ended<'_>) -> Result<InvokeEventResult, SendError> {
        match (ended.settled.outcome, ended.settled.answer) {
            (Outcome::Accepted { .. }, Some(answer)) => Ok(InvokeEventResult {
                payload: answer.payload,
                metadata: answer.metadata,
            }),
            (outcome, _) => Err(SendError::of_outcome(outcome)),
        }
    }
}

impl Action for OpenGroupStream {
    type Output = GroupStreamWriter;

    fn finish(self, ended: Ended<'_>) -> Result<GroupStreamWriter, SendError> {
        match ended.settled.outcome {
            Outcome::Accepted { .. } => {
                GroupStreamWriter::new(ended.shared, ended.request, self.write_timeout)
            }
            outcome => Err(SendError::of_outcome(outcome)),
        }
    }
}

impl Call<'_, SendToGroup> {
    /// Does not send the message back to this connection.
    pub fn no_echo(self) -> Self {
        self.with(|request| Ok(request.no_echo()))
    }

    /// Drops the message for connections that it cannot be delivered to within this time: whole seconds from 0 to 300.
    /// Zero, the default, means that the message does not expire. The call fails with [`SendError::InvalidValue`] for other
    /// values.
    pub fn ttl(self, ttl: Duration) -> Self {
        self.with(|request| Ok(request.ttl_seconds(ttl_seconds(ttl)?)))
    }
}

impl Call<'_, InvokeEvent> {
    /// Uses this id, which must be unique among the invocations that wait for an answer. Default: the client counts.
    pub fn invocation_id(self, id: impl Into<ByteString>) -> Self {
        self.with(|request| Ok(request.invocation_id(id)))
    }
}

impl Call<'_, OpenGroupStream> {
    /// Uses this id, which must be unique among the open streams of the connection. Default: a random UUID.
    pub fn stream_id(self, id: impl Into<ByteString>) -> Self {
        self.with(|request| Ok(request.stream_id(id)))
    }

    /// Does not send the stream back to this connection.
    pub fn no_echo(self) -> Self {
        self.with(|request| Ok(request.no_echo()))
    }

    /// Sets how long the stream may go without a fragment or a keep-alive before the service ends it: whole milliseconds,
    /// not zero. Default: that of the service, 5 minutes.
    pub fn idle_timeout(self, timeout: Duration) -> Self {
        self.with(|request| Ok(request.idle_timeout(timeout)))
    }

    /// Sets how long a write may wait for room, and the end of the stream for its confirmation, before they fail. Default:
    /// [`request_timeout`](crate::WebPubSubClientBuilder::request_timeout).
    pub const fn write_timeout(mut self, timeout: Duration) -> Self {
        self.action.write_timeout = Some(timeout);
        self
    }
}

/// The time to live as it is sent.
fn ttl_seconds(ttl: Duration) -> Result<u32, SendError> {
    match u32::try_from(ttl.as_secs()) {
        Ok(seconds) if ttl.subsec_nanos() == 0 && seconds <= limits::MESSAGE_TTL_SECONDS => {
            Ok(seconds)
        }
        _ => Err(SendError::InvalidValue(
            "the message's time to live must be whole seconds from 0 to 300",
        )),
    }
}
