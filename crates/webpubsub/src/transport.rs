//! The default HTTP transport.

use azure_core::http::Transport;

/// Creates a transport with its own connection pool.
///
/// # Errors
///
/// If the TLS backend cannot be set up, for example because there are no root certificates.
#[cfg(feature = "reqwest")]
pub(crate) fn default_transport() -> azure_core::Result<Transport> {
    use std::{sync::Arc, time::Duration};

    use reqwest::redirect;

    /// Time to open a connection, TLS included.
    const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

    /// The longest pause while a response is read. There is no limit for a whole call: the retry policy has one, and the
    /// caller can drop the future.
    const READ_TIMEOUT: Duration = Duration::from_secs(60);

    /// Shorter than the idle timeout of Azure's front ends, so that a pooled connection is not closed at the moment when it
    /// is used.
    const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(60);

    let builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        // A redirect would carry the token to another host.
        .redirect(redirect::Policy::none());
    let client = tls::choose(builder)?.build().map_err(failed)?;
    Ok(Transport::new(Arc::new(client)))
}

/// Without the feature `reqwest` there is no default transport.
///
/// # Errors
///
/// Always.
#[cfg(not(feature = "reqwest"))]
pub(crate) fn default_transport() -> azure_core::Result<Transport> {
    Err(crate::invalid_input::InvalidInput::NoTransport.into())
}

/// Chooses among the TLS backends that are compiled in. There may be several, since other crates can enable features, too.
#[cfg(feature = "reqwest")]
mod tls {
    use reqwest::ClientBuilder;

    #[cfg(feature = "aws-lc-rs")]
    pub(super) fn choose(builder: ClientBuilder) -> azure_core::Result<ClientBuilder> {
        Ok(builder.tls_backend_rustls())
    }

    #[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
    pub(super) fn choose(builder: ClientBuilder) -> azure_core::Result<ClientBuilder> {
        use std::sync::Arc;

        use rustls::{ClientConfig, crypto::ring};
        use rustls_platform_verifier::BuilderVerifierExt as _;

        // Named explicitly, so that it does not depend on the default that the program installs.
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(super::failed)?
            .with_platform_verifier()
            .map_err(super::failed)?
            .with_no_client_auth();
        Ok(builder.tls_backend_preconfigured(config))
    }

    #[cfg(all(
        feature = "native-tls",
        not(any(feature = "aws-lc-rs", feature = "ring"))
    ))]
    pub(super) fn choose(builder: ClientBuilder) -> azure_core::Result<ClientBuilder> {
        Ok(builder.tls_backend_native())
    }

    #[cfg(not(any(feature = "aws-lc-rs", feature = "ring", feature = "native-tls")))]
    #[expect(clippy::unnecessary_wraps, reason = "setting up the others can fail")]
    pub(super) fn choose(builder: ClientBuilder) -> azure_core::Result<ClientBuilder> {
        Ok(builder)
    }
}

#[cfg(feature = "reqwest")]
fn failed(error: impl std::error::Error + Send + Sync + 'static) -> azure_core::Error {
    azure_core::Error::with_error(
        azure_core::error::ErrorKind::Io,
        error,
        "the HTTP transport could not be set up",
    )
}
