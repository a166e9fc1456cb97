//! What is wrong with settings and parameters that were refused before anything was sent.

use std::{fmt, time::Duration};

use azure_core::{Error, error::ErrorKind};
use webpubsub_protocol::{
    access::ConnectionStringError,
    limits::{MESSAGE_BYTES, MESSAGE_TTL_SECONDS},
    metadata::InvalidMetadata,
    name::InvalidName,
};

/// Why something was refused before anything was sent: a setting of a client, or a parameter of a call.
///
/// It is the source of an [`azure_core::Error`] of the kind [`DataConversion`](ErrorKind::DataConversion). It never holds
/// keys, tokens or messages.
///
/// ```
/// use webpubsub::{InvalidInput, WebPubSubServiceClient};
///
/// let error = WebPubSubServiceClient::from_connection_string("AccessKey=c2VjcmV0", "chat").unwrap_err();
/// assert!(matches!(error.downcast_ref(), Some(InvalidInput::ConnectionString(_))));
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidInput {
    /// The connection string, or the endpoint in it or in its place.
    #[error(transparent)]
    ConnectionString(#[from] ConnectionStringError),
    /// The endpoint of the reverse proxy.
    #[error("the reverse proxy endpoint is not valid")]
    ReverseProxy(#[source] ConnectionStringError),
    /// The endpoint of the reverse proxy has a path, which would replace that of every request.
    #[error("the reverse proxy endpoint must not have a path: requests keep theirs")]
    ReverseProxyPath,
    /// There is no transport: the feature `reqwest` is off, and the options have none.
    #[error(
        "without the feature `reqwest` a client needs a transport; set `client_options.transport`"
    )]
    NoTransport,
    /// The name of a hub or group, or the id of a user or connection.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// A name that is empty, `.` or `..`, so that the URL with it would address something else. Holds the name of the
    /// parameter in the REST API.
    #[error(
        "`{0}` must not be empty, `.` or `..`: as part of a URL it would address something else"
    )]
    PathSegment(&'static str),
    /// No groups were given.
    #[error("at least one group is needed")]
    NoGroups,
    /// The message is longer than 1 MiB. Holds its length in bytes, unless reading it stopped at the limit.
    #[error("the message {}; the service accepts {MESSAGE_BYTES} bytes at most", LongMessage(*.0))]
    MessageTooLarge(Option<u64>),
    /// The time to live of the message.
    #[error(
        "the message's time to live must be whole seconds from 0 to {MESSAGE_TTL_SECONDS}, not {0:?}"
    )]
    TimeToLive(Duration),
    /// The metadata of the message.
    #[error(transparent)]
    Metadata(#[from] InvalidMetadata),
    /// A client access token that is signed here must live for at least a second.
    #[error("the lifetime of a client access token must be a second or more, not {0:?}")]
    Lifetime(Duration),
    /// A client access token that the service makes lives for whole minutes.
    #[error("the service makes client access tokens for whole minutes, 1 or more, not for {0:?}")]
    LifetimeInMinutes(Duration),
}

impl From<InvalidInput> for Error {
    fn from(error: InvalidInput) -> Self {
        Self::new(ErrorKind::DataConversion, error)
    }
}

struct LongMessage(Option<u64>);

impl fmt::Display for LongMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(length) => write!(f, "is {length} bytes long"),
            None => f.write_str("is too large"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_found_behind_the_error_of_the_call() {
        let error = Error::from(InvalidInput::MessageTooLarge(Some(1_048_577)));
        assert!(matches!(error.kind(), ErrorKind::DataConversion));
        assert_eq!(
            error.downcast_ref(),
            Some(&InvalidInput::MessageTooLarge(Some(1_048_577)))
        );
        assert_eq!(
            error.to_string(),
            "the message is 1048577 bytes long; the service accepts 1048576 bytes at most"
        );
    }
}
