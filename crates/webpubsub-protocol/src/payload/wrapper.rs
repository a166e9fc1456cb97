//! Wrappers that name the kind of a payload, for what is sent and for what is read.

use std::fmt;

/// A string. Receivers see the data type `text`.
///
/// Plain strings count as text, so for sending it says only what is clear already. As a type to read it takes text and
/// nothing else, where `String` takes JSON strings too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text<T>(pub T);

/// Anything that serialises. Receivers see the data type `json`.
///
/// A failure to serialise is reported by the call that sends it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Json<T>(pub T);

/// Bytes. Receivers see the data type `binary`.
///
/// `Vec<u8>`, [`Bytes`](bytes::Bytes) and slices count as bytes without it. It holds what turns into `Bytes` without a
/// copy; pass a slice as it is to have it copied.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Binary<T>(pub T);

/// A protobuf message, packed into a `google.protobuf.Any` under the type URL of [`prost::Name`]. Receivers see the data
/// type `protobuf`.
///
/// Messages get their names from `prost_build::Config::enable_type_names`. For an `Any` that is serialised already there
/// is [`Payload::protobuf`](super::Payload::protobuf).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Protobuf<M>(pub M);

/// What is wrapped is a payload, which must not reach a log.
macro_rules! debug_without_payload {
    ($($name:ident),*) => {$(
        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).finish_non_exhaustive()
            }
        }
    )*};
}

debug_without_payload!(Text, Json, Binary, Protobuf);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_show_what_is_wrapped() {
        assert_eq!(format!("{:?}", Text("secret")), "Text(..)");
        assert_eq!(format!("{:?}", Json("secret")), "Json(..)");
    }
}
