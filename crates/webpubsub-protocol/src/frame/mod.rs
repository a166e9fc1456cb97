//! Frames: the messages that a PubSub client and the service exchange on an open connection.
//!
//! Clients send a [`ClientFrame`], the service sends a [`ServerFrame`]. These types do not depend on the
//! encoding: [`json`] is the encoding of the subprotocols `json.webpubsub.azure.v1` and
//! `json.reliable.webpubsub.azure.v1`, and [`protobuf`] that of `protobuf.webpubsub.azure.v1` and
//! `protobuf.reliable.webpubsub.azure.v1`. Plain and reliable subprotocols have the same frames, except
//! that sequence ids and their acknowledgements exist only in the reliable ones.

mod client;
mod debug;
pub mod json;
pub mod protobuf;
mod server;

use std::fmt;

use bytestring::ByteString;

pub use client::{ClientFrame, Invocation, StreamEndError, StreamStart};
pub use server::{
    FrameError, GroupStateItem, Message, Sender, ServerFrame, StreamError, StreamInfo,
};

/// Identifies a request within its connection. The client chooses it, and the answer repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AckId(pub u64);

/// Numbers the messages of one reliable connection, from 1 upwards, across recoveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceId(pub u64);

impl fmt::Display for AckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for SequenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why bytes could not be decoded as a frame. The error says what is wrong and where, but never quotes the
/// payload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Larger than [`MESSAGE_BYTES`](crate::limits::MESSAGE_BYTES) for a client's frame, or
    /// [`SERVER_FRAME_BYTES`](crate::limits::SERVER_FRAME_BYTES) for one of the service.
    #[error("frame of {0} bytes exceeds the limit")]
    TooLarge(usize),
    /// Arrays and objects of JSON nest deeper than [`JSON_DEPTH`](crate::limits::JSON_DEPTH).
    #[error("frame nests deeper than {limit} levels", limit = crate::limits::JSON_DEPTH)]
    TooDeep,
    /// JSON: not UTF-8, or not well-formed.
    #[error("frame is malformed at line {line}, column {column}")]
    Syntax {
        /// Line of the first bad byte, from 1.
        line: usize,
        /// Column of the first bad byte, from 1.
        column: usize,
    },
    /// Protobuf: the bytes are not a message, or a text in it is not UTF-8.
    #[error("frame is not a protobuf message")]
    Malformed,
    /// A text message in a binary subprotocol, or the other way round.
    #[error("frame has the wrong WebSocket message type")]
    WrongKind,
    /// JSON: well-formed, but not an object.
    #[error("frame is not an object")]
    NotAnObject,
    /// A value of `type`, `event`, `from` or `dataType`, or in protobuf a kind of frame or payload,
    /// that this version does not know. Clients skip such a frame, the service closes the
    /// connection.
    #[error("unknown value of member `{0}`")]
    Unknown(&'static str),
    /// A required member is missing.
    #[error("member `{0}` is missing")]
    Missing(&'static str),
    /// A member has the wrong type, or a value that is out of range.
    #[error("member `{0}` is invalid")]
    Invalid(&'static str),
    /// A member is not allowed in this frame.
    #[error("member `{0}` is not allowed here")]
    Unexpected(&'static str),
    /// The answer to a request cannot be decoded, except for the id of the request.
    #[error("the answer to a request: {error}")]
    Answer {
        /// The request that it answers.
        to: AnswerTo,
        /// What is wrong with the answer.
        error: Box<Self>,
    },
}

impl DecodeError {
    /// What is wrong with the answer to this request.
    fn of_answer(self, to: AnswerTo) -> Self {
        let error = Box::new(self);
        Self::Answer { to, error }
    }
}

/// The request that an answer belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerTo {
    /// The one with this ack id.
    Ack(AckId),
    /// The invocation with this id.
    Invocation(ByteString),
}
