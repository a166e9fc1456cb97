//! What frames are, whatever the protocol that they are written in.

use std::fmt;

use webpubsub_protocol::frame::{ClientFrame, ServerFrame};
use webpubsub_protocol::name::GroupName;

use super::connection::{Content, Received};
use super::owned;

macro_rules! kinds {
    ($($name:ident = $text:literal,)*) => {
        /// What a frame of a client or of the service is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum MessageKind { $(#[doc = concat!("`", $text, "`")] $name,)* }

        impl MessageKind {
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name in logs: the one of the JSON subprotocol where that has one, otherwise in the same style.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

kinds! {
    JoinGroup = "joinGroup",
    LeaveGroup = "leaveGroup",
    SendToGroup = "sendToGroup",
    OpenStream = "openStream",
    StreamData = "streamData",
    EndStream = "endStream",
    Event = "event",
    Invoke = "invoke",
    CancelInvocation = "cancelInvocation",
    SequenceAck = "sequenceAck",
    SetGroupState = "setGroupState",
    SubscribeGroupState = "subscribeGroupState",
    UnsubscribeGroupState = "unsubscribeGroupState",
    Ping = "ping",
    Raw = "raw",
    Invalid = "invalid",
    Connected = "connected",
    Disconnected = "disconnected",
    Ack = "ack",
    Message = "message",
    Pong = "pong",
    InvokeResponse = "invokeResponse",
    StreamAck = "streamAck",
    StreamNack = "streamNack",
    StreamClosed = "streamClosed",
    GroupStateSnapshot = "groupStateSnapshot",
    GroupStateUpdate = "groupStateUpdate",
    Other = "other",
}

impl fmt::Display for MessageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl MessageKind {
    pub(super) const fn of_server(frame: &ServerFrame) -> Self {
        match frame {
            ServerFrame::Connected { .. } => Self::Connected,
            ServerFrame::Disconnected { .. } => Self::Disconnected,
            ServerFrame::Ack { .. } => Self::Ack,
            ServerFrame::Message(_) => Self::Message,
            ServerFrame::Pong => Self::Pong,
            ServerFrame::InvokeResponse { .. } => Self::InvokeResponse,
            ServerFrame::StreamAck { .. } => Self::StreamAck,
            ServerFrame::StreamNack { .. } => Self::StreamNack,
            ServerFrame::StreamClosed { .. } => Self::StreamClosed,
            ServerFrame::GroupStateSnapshot { .. } => Self::GroupStateSnapshot,
            ServerFrame::GroupStateUpdate { .. } => Self::GroupStateUpdate,
            // The enum may grow with the protocol.
            _ => Self::Other,
        }
    }
}

impl Received {
    pub(crate) const fn kind(&self) -> MessageKind {
        let frame = match &self.content {
            Content::Raw(_) => return MessageKind::Raw,
            Content::Frame(frame) => frame,
        };
        match frame {
            ClientFrame::JoinGroup { .. } => MessageKind::JoinGroup,
            ClientFrame::LeaveGroup { .. } => MessageKind::LeaveGroup,
            ClientFrame::SendToGroup { .. } => MessageKind::SendToGroup,
            ClientFrame::OpenStream { .. } => MessageKind::OpenStream,
            ClientFrame::StreamData { .. } => MessageKind::StreamData,
            ClientFrame::EndStream { .. } => MessageKind::EndStream,
            ClientFrame::Event { .. } => MessageKind::Event,
            ClientFrame::Invoke { .. } => MessageKind::Invoke,
            ClientFrame::CancelInvocation { .. } => MessageKind::CancelInvocation,
            ClientFrame::SequenceAck { .. } => MessageKind::SequenceAck,
            ClientFrame::SetGroupState { .. } => MessageKind::SetGroupState,
            ClientFrame::SubscribeGroupState { .. } => MessageKind::SubscribeGroupState,
            ClientFrame::UnsubscribeGroupState { .. } => MessageKind::UnsubscribeGroupState,
            ClientFrame::Ping => MessageKind::Ping,
            _ => MessageKind::Other,
        }
    }

    /// A copy of the group's name, if the frame names one.
    pub(crate) fn group(&self) -> Option<GroupName> {
        match &self.content {
            Content::Frame(
                ClientFrame::JoinGroup { group, .. }
                | ClientFrame::LeaveGroup { group, .. }
                | ClientFrame::SendToGroup { group, .. }
                | ClientFrame::SetGroupState { group, .. }
                | ClientFrame::SubscribeGroupState { group, .. }
                | ClientFrame::UnsubscribeGroupState { group, .. },
            ) => Some(owned::group(group)),
            Content::Frame(_) | Content::Raw(_) => None,
        }
    }
}
