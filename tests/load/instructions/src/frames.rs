//! What is sent and received: a text of 100 bytes to a group.

use anyhow::Result;
use webpubsub_protocol::bytestring::ByteString;
use webpubsub_protocol::frame::{AckId, ClientFrame, Message, Sender, SequenceId, ServerFrame};
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::GroupName;
use webpubsub_protocol::payload::Payload;

pub(crate) const GROUP: &str = "room";

pub(crate) fn group() -> Result<GroupName> {
    Ok(GroupName::new(GROUP)?)
}

pub(crate) fn text() -> String {
    "x".repeat(100)
}

pub(crate) fn message(sequence_id: u64) -> Result<ServerFrame> {
    Ok(ServerFrame::Message(Message {
        sequence_id: Some(SequenceId(sequence_id)),
        from: Sender::Group {
            group: group()?,
            from_user_id: Some(ByteString::from_static("ana")),
        },
        payload: Payload::text(text()),
        metadata: Metadata::default(),
        stream: None,
    }))
}

pub(crate) fn send() -> Result<ClientFrame> {
    Ok(ClientFrame::SendToGroup {
        group: group()?,
        ack_id: Some(AckId(42)),
        no_echo: false,
        ttl_seconds: 0,
        metadata: Metadata::default(),
        payload: Payload::text(text()),
    })
}
