//! What clients can ask of the service. The types here name the parameter of [`Call`]; the methods of
//! [`WebPubSubClient`](crate::WebPubSubClient) make them.

use std::time::Duration;

use bytestring::ByteString;
use webpubsub_protocol::limits;
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::{EventName, GroupName};
use webpubsub_protocol::payload::{Payload, PayloadError};
use webpubsub_protocol::session::Request;

use crate::call::Call;
use crate::error::SendError;
use crate::invoke::InvokeEventResult;
use crate::send::Acknowledged;

/// Something that can be asked of the service. Implemented by the types of this module, and closed to others.
pub trait Action: Sized + Send + 'static {
    /// What the call gives when it succeeds.
    type Output: answer::Answer + Send + 'static;

    #[doc(hidden)]
    fn into_request(self) -> Result<Request, SendError>;
}

/// A request that carries data, and metadata with it.
pub trait Message: Action {
    #[doc(hidden)]
    fn metadata_mut(&mut self) -> &mut Vec<(String, String)>;
}

/// Joins a group: [`join_group`](crate::WebPubSubClient::join_group).
#[derive(Debug)]
pub struct JoinGroup {
    pub(crate) group: ByteString,
}

/// Leaves a group: [`leave_group`](crate::WebPubSubClient::leave_group).
#[derive(Debug)]
pub struct LeaveGroup {
    pub(crate) group: ByteString,
}

/// Publishes to a group: [`send_to_group`](crate::WebPubSubClient::send_to_group).
#[derive(Debug)]
pub struct SendToGroup {
    pub(crate) group: ByteString,
    pub(crate) payload: Result<Payload, PayloadError>,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) no_echo: bool,
    pub(crate) ttl: Duration,
}

/// Raises an event: [`send_event`](crate::WebPubSubClient::send_event).
#[derive(Debug)]
pub struct SendEvent {
    pub(crate) event: ByteString,
    pub(crate) payload: Result<Payload, PayloadError>,
    pub(crate) metadata: Vec<(String, String)>,
}

/// Raises an event and waits for its answer: [`invoke_event`](crate::WebPubSubClient::invoke_event).
#[derive(Debug)]
pub struct InvokeEvent {
    pub(crate) event: ByteString,
    pub(crate) payload: Result<Option<Payload>, PayloadError>,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) invocation_id: Option<ByteString>,
}

/// Replaces or clears this connection's state in a group: [`set_group_state`](crate::WebPubSubClient::set_group_state),
/// [`clear_group_state`](crate::WebPubSubClient::clear_group_state).
#[derive(Debug)]
pub struct SetGroupState {
    pub(crate) group: ByteString,
    pub(crate) state: Option<Vec<(String, String)>>,
}

/// Receives the states of a group's members: [`subscribe_group_state`](crate::WebPubSubClient::subscribe_group_state).
#[derive(Debug)]
pub struct SubscribeGroupState {
    pub(crate) group: ByteString,
}

/// Stops receiving them: [`unsubscribe_group_state`](crate::WebPubSubClient::unsubscribe_group_state).
#[derive(Debug)]
pub struct UnsubscribeGroupState {
    pub(crate) group: ByteString,
}

impl Call<'_, SendToGroup> {
    /// Does not send the message back to this connection.
    pub const fn no_echo(mut self) -> Self {
        self.action.no_echo = true;
        self
    }

    /// Drops the message where it could not be delivered within this time: whole seconds, at most 300. Zero, the
    /// default, means never. Other values are reported when the call is awaited, as [`SendError::InvalidValue`].
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.action.ttl = ttl;
        self
    }
}

impl Call<'_, InvokeEvent> {
    /// Uses this id, which must be unique among the invocations that are waiting. Default: the client counts.
    pub fn invocation_id(mut self, id: impl Into<ByteString>) -> Self {
        self.action.invocation_id = Some(id.into());
        self
    }
}

impl Action for JoinGroup {
    type Output = Acknowledged;

    fn into_request(self) -> Result<Request, SendError> {
        Ok(Request::join_group(GroupName::new(self.group)?))
    }
}

impl Action for LeaveGroup {
    type Output = Acknowledged;

    fn into_request(self) -> Result<Request, SendError> {
        Ok(Request::leave_group(GroupName::new(self.group)?))
    }
}

impl Action for SendToGroup {
    type Output = Acknowledged;

    fn into_request(self) -> Result<Request, SendError> {
        let request = Request::send_to_group(GroupName::new(self.group)?, self.payload?)
            .ttl_seconds(ttl_seconds(self.ttl)?)
            .metadata(Metadata::new(self.metadata)?);
        Ok(match self.no_echo {
            true => request.no_echo(),
            false => request,
        })
    }
}

impl Action for SendEvent {
    type Output = Acknowledged;

    fn into_request(self) -> Result<Request, SendError> {
        let request = Request::send_event(EventName::new(self.event)?, self.payload?);
        Ok(request.metadata(Metadata::new(self.metadata)?))
    }
}

impl Action for InvokeEvent {
    type Output = InvokeEventResult;

    fn into_request(self) -> Result<Request, SendError> {
        let request = Request::invoke(EventName::new(self.event)?, self.payload?)
            .metadata(Metadata::new(self.metadata)?);
        Ok(match self.invocation_id {
            Some(id) => request.invocation_id(id),
            None => request,
        })
    }
}

impl Action for SetGroupState {
    type Output = Acknowledged;

    fn into_request(self) -> Result<Request, SendError> {
        let group = GroupName::new(self.group)?;
        Ok(Request::set_group_state(group, self.state))
    }
}

impl Action for SubscribeGroupState {
    type Output = Acknowledged;

    fn into_request(self) -> Result<Request, SendError> {
        Ok(Request::subscribe_group_state(GroupName::new(self.group)?))
    }
}

impl Action for UnsubscribeGroupState {
    type Output = Acknowledged;

    fn into_request(self) -> Result<Request, SendError> {
        Ok(Request::unsubscribe_group_state(GroupName::new(
            self.group,
        )?))
    }
}

impl Message for SendToGroup {
    fn metadata_mut(&mut self) -> &mut Vec<(String, String)> {
        &mut self.metadata
    }
}

impl Message for SendEvent {
    fn metadata_mut(&mut self) -> &mut Vec<(String, String)> {
        &mut self.metadata
    }
}

impl Message for InvokeEvent {
    fn metadata_mut(&mut self) -> &mut Vec<(String, String)> {
        &mut self.metadata
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

/// What the service can answer, read from how a request ended.
pub(crate) mod answer {
    use webpubsub_protocol::session::Outcome;

    use crate::error::SendError;
    use crate::invoke::InvokeEventResult;

    #[expect(
        unnameable_types,
        reason = "nobody else can implement what nobody else can name"
    )]
    pub trait Answer: Sized {
        fn read(outcome: Outcome, answer: Option<InvokeEventResult>) -> Result<Self, SendError>;
    }
}
