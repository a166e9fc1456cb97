//! `google.protobuf.Any`, the envelope of every protobuf payload.

use bytes::Bytes;
use prost::{Message as _, Name};

/// The message. `prost-types` also has it, together with everything else that Google defines.
#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// Whether bytes are a serialised `Any`.
pub(super) fn is_any(bytes: &Bytes) -> bool {
    Any::decode(bytes.clone()).is_ok()
}

/// The serialised `Any` that holds a message.
pub(super) fn pack<M: Name>(message: &M) -> Bytes {
    let any = Any {
        type_url: M::type_url(),
        value: message.encode_to_vec().into(),
    };
    any.encode_to_vec().into()
}

/// The message in a serialised `Any`, if it has this type.
pub(super) fn unpack<M: Name + Default>(any: &Bytes) -> Option<M> {
    let any = Any::decode(any.clone()).ok()?;
    // What stands before the last slash says where a description of the type is found, not which type it is.
    let name = any.type_url.rsplit('/').next()?;
    (name == M::full_name()).then(|| M::decode(any.value).ok())?
}
