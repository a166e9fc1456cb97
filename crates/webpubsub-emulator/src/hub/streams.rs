//! Streams: a publisher sends ordered fragments to a group, and the service keeps count.

use std::time::{Duration, Instant};

use bytestring::ByteString;
use webpubsub_protocol::frame::{
    DecodeError, FrameError, Message, Sender, ServerFrame, StreamEndError, StreamError, StreamInfo,
    StreamStart,
};
use webpubsub_protocol::limits::{STREAM_IDLE_TIMEOUT, STREAM_IDLE_TIMEOUT_MOST};
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::GroupName;
use webpubsub_protocol::payload::Payload;
use webpubsub_protocol::permission::Permission;

use super::connection::ConnectionKey;
use super::effect::Effects;
use super::kind::MessageKind;
use super::message::Draft;
use super::owned;
use super::state::{Due, HubState};
use crate::clock::Now;

/// Tells a stream from a later one with the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StreamKey(pub(super) u64);

/// An open stream of a publisher.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    key: StreamKey,
    group: GroupName,
    no_echo: bool,
    idle_timeout: Duration,
    /// When data or a keep-alive was last accepted.
    active_at: Instant,
    /// The number of the next fragment.
    expected: u64,
}

impl Stream {
    pub(super) fn has_key(&self, key: StreamKey) -> bool {
        self.key == key
    }
}

/// Why the service ends a stream.
#[derive(Debug, Clone, Copy)]
enum Failure {
    Idle,
    Forbidden,
    Malformed,
}

impl Failure {
    fn for_publisher(self) -> FrameError {
        match self {
            Self::Idle => FrameError::new("IdleTimeout", "The stream was idle for too long."),
            Self::Forbidden => {
                FrameError::new("Forbidden", "The client may no longer send to the group.")
            }
            Self::Malformed => FrameError::new("BadRequest", "The fragment is malformed."),
        }
    }

    /// Receivers know a fixed set of names, to which `BadRequest` does not belong.
    const fn for_receivers(self) -> &'static str {
        match self {
            Self::Idle => "IdleTimeout",
            Self::Forbidden => "Forbidden",
            Self::Malformed => "Cancelled",
        }
    }
}

impl HubState {
    pub(super) fn open_stream(
        &mut self,
        now: Now,
        key: ConnectionKey,
        id: ByteString,
        start: Result<StreamStart, DecodeError>,
        effects: &mut Effects,
    ) {
        let Some(connection) = self.connections.get(key) else {
            return;
        };
        let start = match start {
            Ok(start) => start,
            Err(error) => return self.refuse_stream(now, key, id, &error.to_string(), effects),
        };
        if !connection
            .permissions
            .allows(Permission::SendToGroup, start.group.as_str())
        {
            let group = &start.group;
            let text = format!("The client does not have permission to send to group '{group}'.");
            let error = FrameError::new("Forbidden", text);
            let outcome = Err(error.clone());
            self.explain_denial(key, MessageKind::OpenStream, group, &outcome, effects);
            return self.close_stream(now, key, id, Some(error), effects);
        }
        if connection.streams.contains_key(&id) {
            return self.refuse_stream(now, key, id, "a stream with this id is open", effects);
        }
        let most = self.settings.open_streams;
        if connection.streams.len() >= most {
            let text = format!("{most} streams are open, which is the most");
            return self.refuse_stream(now, key, id, &text, effects);
        }
        let idle_timeout = start
            .idle_timeout
            .unwrap_or(STREAM_IDLE_TIMEOUT)
            .min(STREAM_IDLE_TIMEOUT_MOST);
        let stream = Stream {
            key: self.new_stream(),
            group: owned::group(&start.group),
            no_echo: start.no_echo,
            idle_timeout,
            active_at: now.mono,
            expected: 1,
        };
        self.set_deadline(
            now.mono + idle_timeout,
            Due::StreamIdle(key, stream.key),
            effects,
        );
        if let Some(connection) = self.connections.get_mut(key) {
            connection.streams.insert(owned::text(&id), stream);
        }
        self.ack_stream(now, key, id, 1, effects);
    }

    pub(super) fn stream_data(
        &mut self,
        now: Now,
        key: ConnectionKey,
        id: ByteString,
        fragment: Result<Option<(u64, Payload)>, DecodeError>,
        effects: &mut Effects,
    ) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        let Some(stream) = connection.streams.get_mut(&id) else {
            return self.stream_not_found(now, key, id, effects);
        };
        let expected = stream.expected;
        match fragment {
            Ok(None) => stream.active_at = now.mono,
            Ok(Some((number, payload))) if number == expected => {
                if !connection
                    .permissions
                    .allows(Permission::SendToGroup, stream.group.as_str())
                {
                    return self.fail_stream(now, key, id, Failure::Forbidden, effects);
                }
                stream.active_at = now.mono;
                stream.expected += 1;
                let stream = stream.clone();
                let info = fragment_of(&id, number);
                self.publish_fragment(now, key, &stream, info, payload, effects);
                self.ack_stream(now, key, id, expected + 1, effects);
            }
            // Already published: say again where we are.
            Ok(Some((number, _))) if number < expected => {
                self.ack_stream(now, key, id, expected, effects);
            }
            Ok(Some(_)) => {
                let text = format!("Fragment {expected} is expected.");
                let nack = ServerFrame::StreamNack {
                    stream_id: id,
                    error: FrameError::new("InvalidSequenceId", text),
                    expected_sequence_id: expected,
                };
                self.control(now, key, &nack, effects);
            }
            Err(error) => {
                tracing::debug!(%error, "a malformed fragment closes its stream");
                self.fail_stream(now, key, id, Failure::Malformed, effects);
            }
        }
    }

    pub(super) fn end_stream(
        &mut self,
        now: Now,
        key: ConnectionKey,
        id: ByteString,
        error: Option<StreamEndError>,
        effects: &mut Effects,
    ) {
        let Some(stream) = self.take_stream(key, &id) else {
            return self.stream_not_found(now, key, id, effects);
        };
        let error = error.map(|error| StreamError {
            name: ByteString::from_static("UserError"),
            message: error.message.map(ByteString::from),
            user_error_code: error.user_error_code.map(ByteString::from),
        });
        self.publish_end(now, key, &stream, &id, error, effects);
        self.close_stream(now, key, id, None, effects);
    }

    /// A stream may have been idle for too long.
    pub(super) fn stream_idle(
        &mut self,
        now: Now,
        key: ConnectionKey,
        stream_key: StreamKey,
        effects: &mut Effects,
    ) {
        let Some(connection) = self.connections.get(key) else {
            return;
        };
        let mut streams = connection.streams.iter();
        let Some((id, stream)) = streams.find(|(_, stream)| stream.key == stream_key) else {
            return;
        };
        let due = stream.active_at + stream.idle_timeout;
        if due > now.mono {
            self.set_deadline(due, Due::StreamIdle(key, stream_key), effects);
            return;
        }
        let id = id.clone();
        self.fail_stream(now, key, id, Failure::Idle, effects);
    }

    /// The publisher lost a permission: its streams to that group end.
    pub(super) fn close_forbidden_streams(
        &mut self,
        now: Now,
        key: ConnectionKey,
        effects: &mut Effects,
    ) {
        let Some(connection) = self.connections.get(key) else {
            return;
        };
        let forbidden: Vec<ByteString> = connection
            .streams
            .iter()
            .filter(|(_, stream)| {
                !connection
                    .permissions
                    .allows(Permission::SendToGroup, stream.group.as_str())
            })
            .map(|(id, _)| id.clone())
            .collect();
        for id in forbidden {
            self.fail_stream(now, key, id, Failure::Forbidden, effects);
        }
    }

    /// The publisher is gone for good, and its receivers learn of it.
    pub(super) fn cancel_streams(&mut self, now: Now, key: ConnectionKey, effects: &mut Effects) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        for (id, stream) in std::mem::take(&mut connection.streams) {
            let error = stream_error("Cancelled");
            // Not to itself: it is ending.
            let quiet = Stream {
                no_echo: true,
                ..stream
            };
            self.publish_end(now, key, &quiet, &id, Some(error), effects);
        }
    }

    /// Ends a stream with an error that both sides see.
    fn fail_stream(
        &mut self,
        now: Now,
        key: ConnectionKey,
        id: ByteString,
        failure: Failure,
        effects: &mut Effects,
    ) {
        let Some(stream) = self.take_stream(key, &id) else {
            return;
        };
        let seen = stream_error(failure.for_receivers());
        self.publish_end(now, key, &stream, &id, Some(seen), effects);
        self.close_stream(now, key, id, Some(failure.for_publisher()), effects);
    }

    fn take_stream(&mut self, key: ConnectionKey, id: &ByteString) -> Option<Stream> {
        self.connections.get_mut(key)?.streams.remove(id)
    }

    /// The last frame of a stream. It carries an empty text, since clients drop frames without data.
    fn publish_end(
        &mut self,
        now: Now,
        key: ConnectionKey,
        stream: &Stream,
        id: &ByteString,
        error: Option<StreamError>,
        effects: &mut Effects,
    ) {
        let info = StreamInfo {
            end_of_stream: true,
            error,
            ..fragment_of(id, stream.expected)
        };
        self.publish_fragment(now, key, stream, info, Payload::text(""), effects);
    }

    fn publish_fragment(
        &mut self,
        now: Now,
        key: ConnectionKey,
        stream: &Stream,
        info: StreamInfo,
        payload: Payload,
        effects: &mut Effects,
    ) {
        let user = self
            .connections
            .get(key)
            .and_then(|connection| connection.user.as_ref());
        let message = Message {
            sequence_id: None,
            from: Sender::Group {
                group: stream.group.clone(),
                from_user_id: user.map(|user| user.as_shared().clone()),
            },
            payload,
            metadata: Metadata::default(),
            stream: Some(Box::new(info)),
        };
        let except = stream.no_echo.then_some(key);
        let message = Draft::message(message, None);
        self.deliver_to_group(now, &stream.group, except, &message, effects);
    }

    fn ack_stream(
        &mut self,
        now: Now,
        key: ConnectionKey,
        stream_id: ByteString,
        expected_sequence_id: u64,
        effects: &mut Effects,
    ) {
        let ack = ServerFrame::StreamAck {
            stream_id,
            expected_sequence_id,
        };
        self.control(now, key, &ack, effects);
    }

    fn refuse_stream(
        &mut self,
        now: Now,
        key: ConnectionKey,
        id: ByteString,
        cause: &str,
        effects: &mut Effects,
    ) {
        let error = FrameError::new("BadRequest", format!("The stream was not opened: {cause}."));
        self.close_stream(now, key, id, Some(error), effects);
    }

    fn stream_not_found(
        &mut self,
        now: Now,
        key: ConnectionKey,
        id: ByteString,
        effects: &mut Effects,
    ) {
        let error = FrameError::new("StreamNotFound", "No stream with this id is open.");
        self.close_stream(now, key, id, Some(error), effects);
    }

    fn close_stream(
        &mut self,
        now: Now,
        key: ConnectionKey,
        stream_id: ByteString,
        error: Option<FrameError>,
        effects: &mut Effects,
    ) {
        self.control(
            now,
            key,
            &ServerFrame::StreamClosed { stream_id, error },
            effects,
        );
    }
}

fn fragment_of(id: &ByteString, number: u64) -> StreamInfo {
    StreamInfo {
        stream_id: id.clone(),
        stream_sequence_id: number,
        end_of_stream: false,
        error: None,
    }
}

fn stream_error(name: &'static str) -> StreamError {
    StreamError {
        name: ByteString::from_static(name),
        message: None,
        user_error_code: None,
    }
}
