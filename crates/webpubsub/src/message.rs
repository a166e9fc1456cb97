//! Messages: payloads, and bodies that are read while they are sent.

use std::{fmt, pin::Pin};

use azure_core::{Error, error::ErrorKind, http::Body, stream::SeekableStream};
use bytes::{Bytes, BytesMut};
use futures_util::{AsyncReadExt, Stream, StreamExt as _};
use webpubsub_protocol::{
    limits::MESSAGE_BYTES,
    payload::{DataType, IntoPayload, Payload, PayloadError},
};

use crate::invalid_input::InvalidInput;

/// A message whose content comes from a stream. It is sent as binary unless you call [`text`](Self::text) or
/// [`json`](Self::json).
///
/// The service requires the length in advance. A stream of known length is sent while it is being read; a stream of unknown
/// length is read into memory first. Like any message, it may have 1 MiB at most.
#[derive(Debug)]
pub struct Streamed {
    content_type: &'static str,
    content: Content,
}

impl Streamed {
    /// Sends a stream that can be rewound, so that the call can be retried.
    #[must_use]
    pub fn new(stream: impl SeekableStream + 'static) -> Self {
        Self {
            content_type: BINARY,
            content: Content::Seekable(Box::new(stream)),
        }
    }

    /// Reads a stream of unknown length into memory, then sends it. The call fails if the stream fails, or if it is longer
    /// than 1 MiB.
    pub fn buffered<S, B, E>(stream: S) -> Self
    where
        S: Stream<Item = Result<B, E>> + Send + 'static,
        B: Into<Bytes>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let stream = stream.map(|chunk| match chunk {
            Ok(chunk) => Ok(chunk.into()),
            Err(error) => Err(Error::with_error(
                ErrorKind::Io,
                error,
                "the stream of the message failed",
            )),
        });
        Self {
            content_type: BINARY,
            content: Content::Unbounded(Box::pin(stream)),
        }
    }

    /// Declares the content to be UTF-8 text.
    #[must_use]
    pub fn text(mut self) -> Self {
        self.content_type = TEXT;
        self
    }

    /// Declares the content to be a JSON document.
    #[must_use]
    pub fn json(mut self) -> Self {
        self.content_type = JSON;
        self
    }
}

/// A message to send: any [payload](crate::payload::IntoPayload), or a [`Streamed`] one.
///
/// If a value cannot be serialised as JSON, the call that sends it fails.
#[derive(Debug)]
pub struct Message {
    content_type: &'static str,
    content: Content,
}

impl<T: IntoPayload> From<T> for Message {
    fn from(payload: T) -> Self {
        match payload.into_payload() {
            Ok(payload) => Self {
                content_type: content_type(&payload),
                content: Content::Bytes(payload.into_bytes()),
            },
            Err(error) => Self {
                content_type: JSON,
                content: Content::Unserialisable(error),
            },
        }
    }
}

impl From<Streamed> for Message {
    fn from(
        Streamed {
            content_type,
            content,
        }: Streamed,
    ) -> Self {
        Self {
            content_type,
            content,
        }
    }
}

const TEXT: &str = "text/plain";
pub(crate) const JSON: &str = "application/json";
const BINARY: &str = "application/octet-stream";
const PROTOBUF: &str = "application/x-protobuf";

const fn content_type(payload: &Payload) -> &'static str {
    match payload.data_type() {
        DataType::Text => TEXT,
        DataType::Json => JSON,
        DataType::Binary => BINARY,
        DataType::Protobuf => PROTOBUF,
    }
}

impl Message {
    /// Reads a stream of unknown length, and checks the size.
    pub(crate) async fn into_body(self) -> azure_core::Result<(&'static str, Body)> {
        let body = match self.content {
            Content::Bytes(bytes) => bytes.into(),
            Content::Unserialisable(error) => {
                return Err(Error::new(ErrorKind::DataConversion, error));
            }
            Content::Seekable(stream) if stream.len().is_some() => Body::SeekableStream(stream),
            Content::Seekable(stream) => read_all(stream).await?.into(),
            Content::Unbounded(chunks) => collect(chunks).await?.into(),
        };
        match body.len() {
            Some(length) if length > MESSAGE_BYTES as u64 => {
                Err(InvalidInput::MessageTooLarge(Some(length)).into())
            }
            _ => Ok((self.content_type, body)),
        }
    }
}

enum Content {
    Bytes(Bytes),
    Seekable(Box<dyn SeekableStream>),
    Unbounded(Chunks),
    Unserialisable(PayloadError),
}

impl fmt::Debug for Content {
    /// Shows the length but not the content, which does not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Seekable(stream) => match stream.len() {
                Some(length) => write!(f, "stream of {length} bytes"),
                None => f.write_str("stream"),
            },
            Self::Unbounded(_) => f.write_str("stream"),
            Self::Unserialisable(error) => write!(f, "unserialisable: {error}"),
        }
    }
}

type Chunks = Pin<Box<dyn Stream<Item = azure_core::Result<Bytes>> + Send>>;

async fn collect(mut chunks: Chunks) -> azure_core::Result<Bytes> {
    let mut all = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        if all.len() + chunk.len() > MESSAGE_BYTES {
            return Err(InvalidInput::MessageTooLarge(None).into());
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all.freeze())
}

async fn read_all(stream: Box<dyn SeekableStream>) -> azure_core::Result<Bytes> {
    let mut all = Vec::new();
    // One byte more than allowed, to recognise a message that is too large.
    AsyncReadExt::take(stream, MESSAGE_BYTES as u64 + 1)
        .read_to_end(&mut all)
        .await
        .map_err(|error| {
            Error::with_error(ErrorKind::Io, error, "the stream of the message failed")
        })?;
    if all.len() > MESSAGE_BYTES {
        Err(InvalidInput::MessageTooLarge(None).into())
    } else {
        Ok(all.into())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        io,
        task::{self, Poll},
    };

    use futures_util::{AsyncRead, FutureExt as _, stream};

    use webpubsub_protocol::payload::{Binary, Json, Text};

    use super::*;

    /// Zeros, with or without telling how many.
    #[derive(Clone, Debug)]
    struct Zeros {
        left: usize,
        known: bool,
    }

    impl AsyncRead for Zeros {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut task::Context<'_>,
            buffer: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            let read = self.left.min(buffer.len()).min(5000);
            buffer[..read].fill(0);
            self.left -= read;
            Poll::Ready(Ok(read))
        }
    }

    #[async_trait::async_trait]
    impl SeekableStream for Zeros {
        async fn reset(&mut self) -> azure_core::Result<()> {
            Ok(())
        }

        fn len(&self) -> Option<u64> {
            self.known.then_some(self.left as u64)
        }
    }

    fn read(message: impl Into<Message>) -> azure_core::Result<(&'static str, Body)> {
        message
            .into()
            .into_body()
            .now_or_never()
            .expect("nothing to wait for")
    }

    fn bytes(message: impl Into<Message>) -> (&'static str, Bytes) {
        match read(message).unwrap() {
            (content_type, Body::Bytes(bytes)) => (content_type, bytes),
            (_, Body::SeekableStream(_)) => panic!("a stream"),
        }
    }

    #[test]
    fn the_type_says_what_is_sent() {
        assert_eq!(bytes("hé"), ("text/plain", "hé".into()));
        assert_eq!(bytes(Text("hé")), ("text/plain", "hé".into()));
        assert_eq!(bytes(Text(String::new())), ("text/plain", "".into()));
        assert_eq!(bytes(Json("hi")), ("application/json", r#""hi""#.into()));
        assert_eq!(bytes(Json(&[1, 2])), ("application/json", "[1,2]".into()));
        assert_eq!(bytes(Json(())), ("application/json", "null".into()));
        assert_eq!(
            bytes(Binary(vec![0, 255])),
            ("application/octet-stream", vec![0, 255].into())
        );
        let any = Payload::protobuf(&b"\x0a\x01t"[..]).expect("an Any");
        assert_eq!(
            bytes(any),
            ("application/x-protobuf", b"\x0a\x01t"[..].into())
        );
        assert_eq!(
            bytes(Binary(Bytes::from_static(b"x"))),
            ("application/octet-stream", "x".into())
        );
    }

    #[test]
    fn json_that_does_not_serialise_fails_when_sent() {
        let message = Message::from(Json(BTreeMap::from([((), ())])));
        let error = read(message).unwrap_err();
        assert_eq!(error.to_string(), "the payload cannot be written as JSON");
        assert!(matches!(error.kind(), ErrorKind::DataConversion));
    }

    #[test]
    fn one_mebibyte_is_the_limit_of_every_kind() {
        let fits = vec![0; MESSAGE_BYTES];
        let over = vec![0; MESSAGE_BYTES + 1];
        assert!(read(Binary(fits.clone())).is_ok());
        let error = read(Binary(over.clone())).unwrap_err().to_string();
        assert_eq!(
            error,
            "the message is 1048577 bytes long; the service accepts 1048576 bytes at most"
        );

        for known in [false, true] {
            assert!(
                read(Streamed::new(Zeros {
                    left: MESSAGE_BYTES,
                    known
                }))
                .is_ok()
            );
            let error = read(Streamed::new(Zeros {
                left: MESSAGE_BYTES + 1,
                known,
            }))
            .unwrap_err()
            .to_string();
            assert!(error.contains("1048576"), "{error}");
        }
        let halves = |bytes: &[u8]| {
            let (first, second) = bytes.split_at(bytes.len() / 2);
            stream::iter([Ok::<_, io::Error>(first.to_vec()), Ok(second.to_vec())])
        };
        assert!(read(Streamed::buffered(halves(&fits))).is_ok());
        let error = read(Streamed::buffered(halves(&over)))
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "the message is too large; the service accepts 1048576 bytes at most"
        );
    }

    #[test]
    fn streams_of_known_length_stay_streams() {
        let (content_type, body) = read(Streamed::new(Zeros {
            left: 10,
            known: true,
        }))
        .unwrap();
        assert_eq!(
            (content_type, body.len()),
            ("application/octet-stream", Some(10))
        );
        assert!(matches!(body, Body::SeekableStream(_)));
        assert_eq!(
            bytes(
                Streamed::new(Zeros {
                    left: 3,
                    known: false
                })
                .text()
            ),
            ("text/plain", vec![0; 3].into())
        );
        let chunks = stream::iter([Ok::<_, io::Error>("[1"), Ok("]")]);
        assert_eq!(
            bytes(Streamed::buffered(chunks).json()),
            ("application/json", "[1]".into())
        );
    }

    #[test]
    fn a_failing_stream_fails_the_call() {
        let broken = stream::iter([
            Ok::<_, io::Error>("x"),
            Err(io::Error::other("disk on fire")),
        ]);
        let error = read(Streamed::buffered(broken)).unwrap_err();
        assert_eq!(error.to_string(), "the stream of the message failed");
        assert_eq!(
            std::error::Error::source(&error).unwrap().to_string(),
            "disk on fire"
        );
    }
}
