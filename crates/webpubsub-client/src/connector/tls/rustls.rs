//! By rustls. Crypto provider and certificates are named explicitly, so that no other crate of the program decides them.

use std::sync::Arc;

use parking_lot::Mutex;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use webpubsub_protocol::session::DialFailure;

use super::TlsError;
use crate::connector::proxy;
use crate::connector::socket::Socket;

pub(in crate::connector) type Config = Arc<ClientConfig>;

/// Whom to trust.
#[derive(Debug, Clone, Default)]
pub(in crate::connector) enum Roots {
    /// What the machine trusts or, without the feature `platform-verifier`, what Mozilla trusts.
    #[default]
    Default,
    /// What Mozilla trusts.
    #[cfg(feature = "webpki-roots")]
    Bundled,
    /// Only these.
    Custom(Arc<RootCertStore>),
}

/// The settings of connectors that have none of their own.
pub(super) fn shared() -> Result<Config, TlsError> {
    static SHARED: Mutex<Option<Config>> = Mutex::new(None);
    let mut shared = SHARED.lock();
    if let Some(config) = &*shared {
        return Ok(Arc::clone(config));
    }
    let config = config(None, Roots::Default)?;
    Ok(Arc::clone(shared.insert(config)))
}

pub(in crate::connector) fn config(
    provider: Option<Arc<CryptoProvider>>,
    roots: Roots,
) -> Result<Config, TlsError> {
    let provider = provider.or_else(default_provider).ok_or_else(|| {
        let what = "no crypto provider; enable the feature `aws-lc-rs` or `ring` of webpubsub-client, or set one";
        TlsError(what.to_owned())
    })?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError(error.to_string()))?;
    let mut config = match roots {
        Roots::Default => trusting_defaults(builder)?,
        #[cfg(feature = "webpki-roots")]
        Roots::Bundled => builder
            .with_root_certificates(bundled())
            .with_no_client_auth(),
        Roots::Custom(roots) => builder.with_root_certificates(roots).with_no_client_auth(),
    };
    // WebSockets need HTTP/1.1.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

pub(super) async fn connect(
    config: &Config,
    host: &str,
    stream: Socket,
) -> Result<Socket, DialFailure> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| DialFailure::Network("a certificate cannot name this host".to_owned()))?;
    match TlsConnector::from(Arc::clone(config))
        .connect(name, stream)
        .await
    {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(proxy::network(&error)),
    }
}

fn default_provider() -> Option<Arc<CryptoProvider>> {
    #[cfg(feature = "aws-lc-rs")]
    return Some(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    #[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
    return Some(Arc::new(rustls::crypto::ring::default_provider()));
    #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    CryptoProvider::get_default().cloned()
}

type Builder = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;

#[cfg(feature = "platform-verifier")]
fn trusting_defaults(builder: Builder) -> Result<ClientConfig, TlsError> {
    use rustls_platform_verifier::BuilderVerifierExt as _;
    let builder = builder.with_platform_verifier();
    let builder = builder.map_err(|error| TlsError(error.to_string()))?;
    Ok(builder.with_no_client_auth())
}

#[cfg(all(feature = "webpki-roots", not(feature = "platform-verifier")))]
fn trusting_defaults(builder: Builder) -> Result<ClientConfig, TlsError> {
    let builder = builder.with_root_certificates(bundled());
    Ok(builder.with_no_client_auth())
}

#[cfg(not(any(feature = "webpki-roots", feature = "platform-verifier")))]
fn trusting_defaults(_: Builder) -> Result<ClientConfig, TlsError> {
    let what = "no certificates to trust; enable the feature `platform-verifier` or `webpki-roots` of \
                webpubsub-client, or set some";
    Err(TlsError(what.to_owned()))
}

#[cfg(feature = "webpki-roots")]
fn bundled() -> Arc<RootCertStore> {
    let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
    Arc::new(roots)
}
