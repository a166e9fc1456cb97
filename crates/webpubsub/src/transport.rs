//! The HTTP transport that a client makes for itself.

use std::{sync::Arc, time::Duration};

use azure_core::{Error, error::ErrorKind, http::Transport};
use reqwest::redirect;

/// Time to open a connection, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// Longest silence while an answer is read. There is no limit for a whole call: a retry policy and the caller, who may
/// drop the future, have those.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Shorter than the idle timeout of Azure's front ends, so that a pooled connection is not closed just when it is used.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Makes a transport with a connection pool of its own.
///
/// # Errors
///
/// When the TLS backend cannot be set up, for example for want of root certificates.
pub(crate) fn default_transport() -> azure_core::Result<Transport> {
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        // A redirect would carry the token to another host.
        .redirect(redirect::Policy::none())
        .build()
        .map_err(|error| Error::with_error(ErrorKind::Other, error, "the HTTP transport could not be set up"))?;
    Ok(Transport::new(Arc::new(client)))
}
