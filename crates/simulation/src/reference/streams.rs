//! Streams of fragments to a group.

use std::time::Duration;

use bytestring::ByteString;
use webpubsub_protocol::frame::{
    FrameError, Message, ServerFrame, StreamEndError, StreamError, StreamInfo, StreamStart,
};
use webpubsub_protocol::limits::{OPEN_STREAMS, STREAM_IDLE_TIMEOUT};
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::{ConnectionId, GroupName};
use webpubsub_protocol::payload::Payload;
use webpubsub_protocol::permission::Permission;

use super::Reference;
use super::delivery::from_group;

#[derive(Debug, Clone)]
pub(super) struct Stream {
    group: GroupName,
    no_echo: bool,
    idle_timeout: Duration,
    active_at: Duration,
    expected: u64,
}

impl Stream {
    pub(super) fn idle_at(&self) -> Duration {
        self.active_at + self.idle_timeout
    }
}

impl Reference {
    pub(super) fn open_stream(
        &mut self,
        id: &ConnectionId,
        stream: ByteString,
        start: StreamStart,
    ) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let group = start.group.as_str();
        let refusal = if !connection
            .permissions
            .allows(Permission::SendToGroup, group)
        {
            Some("Forbidden")
        } else if connection.streams.contains_key(&stream)
            || connection.streams.len() >= OPEN_STREAMS
        {
            Some("BadRequest")
        } else {
            None
        };
        if refusal.is_some() {
            return self.closed(id, stream, refusal, false);
        }
        let opened = Stream {
            group: start.group,
            no_echo: start.no_echo,
            idle_timeout: start.idle_timeout.unwrap_or(STREAM_IDLE_TIMEOUT),
            active_at: self.now,
            expected: 1,
        };
        connection.streams.insert(stream.clone(), opened);
        self.acknowledged(id, stream, 1);
    }

    pub(super) fn stream_data(
        &mut self,
        id: &ConnectionId,
        stream_id: ByteString,
        fragment: Option<(u64, Payload)>,
    ) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let Some(stream) = connection.streams.get_mut(&stream_id) else {
            return self.closed(id, stream_id, Some("StreamNotFound"), false);
        };
        let expected = stream.expected;
        let Some((number, payload)) = fragment else {
            stream.active_at = self.now;
            return;
        };
        if number < expected {
            self.acknowledged(id, stream_id, expected);
        } else if number > expected {
            let nack = ServerFrame::StreamNack {
                stream_id,
                error: named("InvalidSequenceId"),
                expected_sequence_id: expected,
            };
            self.control(id, nack);
        } else if connection
            .permissions
            .allows(Permission::SendToGroup, stream.group.as_str())
        {
            stream.active_at = self.now;
            stream.expected += 1;
            let stream = stream.clone();
            self.fragment(id, &stream, info(&stream_id, number), payload, false);
            self.acknowledged(id, stream_id, expected + 1);
        } else {
            self.fail(id, stream_id, "Forbidden", false);
        }
    }

    pub(super) fn end_stream(
        &mut self,
        id: &ConnectionId,
        stream_id: ByteString,
        error: Option<StreamEndError>,
    ) {
        let connection = self.connections.get_mut(id);
        let Some(stream) = connection.and_then(|c| c.streams.remove(&stream_id)) else {
            return self.closed(id, stream_id, Some("StreamNotFound"), false);
        };
        let error = error.map(|error| StreamError {
            name: "UserError".into(),
            message: error.message.map(ByteString::from),
            user_error_code: error.user_error_code.map(ByteString::from),
        });
        self.last_fragment(id, &stream, &stream_id, error, false);
        self.closed(id, stream_id, None, false);
    }

    /// One stream that falls idle now.
    pub(super) fn close_idle_stream(&mut self, due: Duration) {
        let mut all = self.connections.iter().flat_map(|(id, connection)| {
            let streams = connection.streams.iter();
            streams.map(move |(name, stream)| (id, name, stream))
        });
        if let Some((id, name, _)) = all.find(|(_, _, stream)| stream.idle_at() == due) {
            let (id, name) = (id.clone(), name.clone());
            self.fail(&id, name, "IdleTimeout", true);
        }
    }

    /// A permission was taken away.
    pub(super) fn close_forbidden_streams(&mut self, id: &ConnectionId) {
        let Some(connection) = self.connections.get(id) else {
            return;
        };
        let forbidden: Vec<_> = connection
            .streams
            .iter()
            .filter(|(_, stream)| {
                let group = stream.group.as_str();
                !connection
                    .permissions
                    .allows(Permission::SendToGroup, group)
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in forbidden {
            self.fail(id, name, "Forbidden", true);
        }
    }

    /// The publisher is gone; it hears nothing itself.
    pub(super) fn cancel_streams(&mut self, id: &ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        for (name, mut stream) in std::mem::take(&mut connection.streams) {
            stream.no_echo = true;
            self.last_fragment(id, &stream, &name, Some(cause("Cancelled")), true);
        }
    }

    fn fail(
        &mut self,
        id: &ConnectionId,
        stream_id: ByteString,
        name: &'static str,
        any_order: bool,
    ) {
        let connection = self.connections.get_mut(id);
        let Some(stream) = connection.and_then(|c| c.streams.remove(&stream_id)) else {
            return;
        };
        self.last_fragment(id, &stream, &stream_id, Some(cause(name)), any_order);
        self.closed(id, stream_id, Some(name), any_order);
    }

    fn last_fragment(
        &mut self,
        id: &ConnectionId,
        stream: &Stream,
        stream_id: &ByteString,
        error: Option<StreamError>,
        any_order: bool,
    ) {
        let info = StreamInfo {
            end_of_stream: true,
            error,
            ..info(stream_id, stream.expected)
        };
        self.fragment(id, stream, info, Payload::text(""), any_order);
    }

    fn fragment(
        &mut self,
        id: &ConnectionId,
        stream: &Stream,
        info: StreamInfo,
        payload: Payload,
        any_order: bool,
    ) {
        let members = self.members(&stream.group);
        let to: Vec<_> = members
            .filter(|member| !(stream.no_echo && *member == id))
            .cloned()
            .collect();
        let user = self.connections.get(id).and_then(|c| c.user.as_ref());
        let frame = ServerFrame::Message(Message {
            sequence_id: None,
            from: from_group(&stream.group, user),
            payload,
            metadata: Metadata::default(),
            stream: Some(Box::new(info)),
        });
        self.deliver(&to, frame, None, any_order);
    }

    fn acknowledged(&mut self, id: &ConnectionId, stream_id: ByteString, expected: u64) {
        let ack = ServerFrame::StreamAck {
            stream_id,
            expected_sequence_id: expected,
        };
        self.control(id, ack);
    }

    fn closed(
        &mut self,
        id: &ConnectionId,
        stream_id: ByteString,
        error: Option<&'static str>,
        any_order: bool,
    ) {
        let error = error.map(named);
        self.control_in(
            id,
            ServerFrame::StreamClosed { stream_id, error },
            any_order,
        );
    }
}

/// The names are the protocol's; the texts beside them are free.
fn named(name: &'static str) -> FrameError {
    FrameError {
        name: ByteString::from_static(name),
        message: None,
    }
}

fn cause(name: &'static str) -> StreamError {
    StreamError {
        name: ByteString::from_static(name),
        message: None,
        user_error_code: None,
    }
}

fn info(stream_id: &ByteString, number: u64) -> StreamInfo {
    StreamInfo {
        stream_id: stream_id.clone(),
        stream_sequence_id: number,
        end_of_stream: false,
        error: None,
    }
}
