//! Wrappers that name the data type of a payload, for sending and for reading.

use std::fmt;

/// Text, of the data type `text`.
///
/// For sending, a plain string means the same. For reading, this type accepts text only, while `String` also accepts JSON
/// strings.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text<T>(pub T);

/// A value that is serialised as JSON, of the data type `json`.
///
/// If it cannot be serialised, the call that sends it fails.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Json<T>(pub T);

/// Bytes, of the data type `binary`.
///
/// For sending, a plain `Vec<u8>`, [`Bytes`](bytes::Bytes) or slice means the same. The wrapper accepts what converts into
/// `Bytes` without a copy; slices are copied, so pass them without it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Binary<T>(pub T);

/// A protobuf message, of the data type `protobuf`. It is packed into a `google.protobuf.Any` with the type URL of
/// [`prost::Name`].
///
/// `prost_build::Config::enable_type_names` generates the names of messages. If you have a serialised `Any`, use
/// [`Payload::protobuf`](super::Payload::protobuf).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Protobuf<M>(pub M);

/// Hides the content: a payload must not reach a log.
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
