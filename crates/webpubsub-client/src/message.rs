//! Messages as an application receives them.

use bytestring::ByteString;
use serde::de::DeserializeOwned;
use webpubsub_protocol::frame::{SequenceId, StreamInfo};
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::GroupName;
use webpubsub_protocol::payload::{DataType, Payload};

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
    /// Its number within the connection; only on reliable subprotocols.
    pub sequence_id: Option<SequenceId>,
    /// Its place in a stream, if it is a fragment of one. Most messages are not, hence the pointer.
    pub stream: Option<Box<StreamInfo>>,
}

/// A message from the server: to everybody, to this user, to this connection, or in answer to a user event.
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

/// A message cannot be read as the requested type.
#[derive(Debug, thiserror::Error)]
#[error("the message is not the JSON that was expected")]
pub struct ReadError(#[source] serde_json::Error);

macro_rules! reading {
    ($name:ident) => {
        impl $name {
            /// The type of its data.
            #[must_use]
            pub const fn data_type(&self) -> DataType {
                self.payload.data_type()
            }

            /// Its text; `None` unless its data type is `text`.
            #[must_use]
            pub fn text(&self) -> Option<&str> {
                match &self.payload {
                    Payload::Text(text) => Some(text),
                    _ => None,
                }
            }

            /// Its bytes. Those of text and JSON are UTF-8.
            #[must_use]
            pub fn bytes(&self) -> &[u8] {
                self.payload.as_bytes()
            }

            /// Reads it as JSON, whatever its data type is, because older clients send JSON as text.
            ///
            /// # Errors
            ///
            /// If it is not JSON, or does not match `T`.
            pub fn json<T: DeserializeOwned>(&self) -> Result<T, ReadError> {
                serde_json::from_slice(self.bytes()).map_err(ReadError)
            }

            /// Its protobuf message, still packed; `None` unless its data type is `protobuf`.
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
            let message = ServerMessage {
                payload,
                metadata: Metadata::default(),
                sequence_id: None,
            };
            assert_eq!(message.json::<Vec<u8>>().unwrap(), [1, 2]);
            assert!(message.json::<String>().is_err());
        }
    }
}
