//! Messages as an application receives them.

use bytestring::ByteString;
use serde::de::DeserializeOwned;
use webpubsub_protocol::frame::{Message, Sender, SequenceId, StreamInfo};
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::GroupName;
use webpubsub_protocol::payload::{DataType, Payload};

use crate::event::Event;

/// A message to a group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupMessage {
    /// The group.
    pub group: GroupName,
    /// The user who published it; `None` for messages of servers and of clients without a user id.
    pub from_user_id: Option<ByteString>,
    /// Its data.
    pub payload: Payload,
    /// The metadata that was sent with it.
    pub metadata: Metadata,
    /// Its number within the connection; reliable subprotocols only.
    pub sequence_id: Option<SequenceId>,
    /// Its place in a stream, when it is a fragment of one. Behind a pointer, since most messages are not.
    pub stream: Option<Box<StreamInfo>>,
}

/// A message from the server: sent to everybody, to this user, to this connection, or in answer to an
/// event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerMessage {
    /// Its data.
    pub payload: Payload,
    /// The metadata that was sent with it.
    pub metadata: Metadata,
    /// Its number within the connection; reliable subprotocols only.
    pub sequence_id: Option<SequenceId>,
}

/// A message is not of the shape that was asked for.
#[derive(Debug, thiserror::Error)]
#[error("the message is not the JSON that was expected")]
pub struct ReadError(#[source] serde_json::Error);

macro_rules! reading {
    ($name:ident) => {
        impl $name {
            /// Which kind of data it carries.
            #[must_use]
            pub const fn data_type(&self) -> DataType {
                self.payload.data_type()
            }

            /// Its text; `None` unless it is of the data type `text`.
            #[must_use]
            pub fn text(&self) -> Option<&str> {
                match &self.payload {
                    Payload::Text(text) => Some(text),
                    _ => None,
                }
            }

            /// Its bytes: the UTF-8 of text and JSON, the bytes of the others.
            #[must_use]
            pub fn bytes(&self) -> &[u8] {
                self.payload.as_bytes()
            }

            /// Reads it as JSON, whatever its data type: clients of older versions send JSON as text.
            ///
            /// # Errors
            ///
            /// When it is not JSON, or not of this shape.
            pub fn json<T: DeserializeOwned>(&self) -> Result<T, ReadError> {
                serde_json::from_slice(self.bytes()).map_err(ReadError)
            }

            /// Its protobuf message, still packed; `None` unless it is of the data type `protobuf`.
            #[must_use]
            pub fn protobuf(&self) -> Option<prost_types::Any> {
                use prost::Message as _;
                match &self.payload {
                    Payload::Protobuf(bytes) => prost_types::Any::decode(bytes.clone()).ok(),
                    _ => None,
                }
            }
        }
    };
}

reading!(GroupMessage);
reading!(ServerMessage);

impl From<Message> for Event {
    fn from(message: Message) -> Self {
        let Message {
            sequence_id,
            from,
            payload,
            metadata,
            stream,
        } = message;
        match from {
            Sender::Group {
                group,
                from_user_id,
            } => Self::GroupMessage(GroupMessage {
                group,
                from_user_id,
                payload,
                metadata,
                sequence_id,
                stream,
            }),
            Sender::Server => Self::ServerMessage(ServerMessage {
                payload,
                metadata,
                sequence_id,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // req: C-3-1
    #[test]
    fn json_is_read_from_text_as_well() {
        for payload in [
            Payload::Text("[1, 2]".into()),
            Payload::Json("[1,2]".into()),
        ] {
            let message = Message {
                sequence_id: None,
                from: Sender::Server,
                payload,
                metadata: Metadata::default(),
                stream: None,
            };
            let Event::ServerMessage(message) = Event::from(message) else {
                panic!("it came from the server");
            };
            assert_eq!(message.json::<Vec<u8>>().unwrap(), [1, 2]);
            assert!(message.json::<String>().is_err());
        }
    }
}
