//! TLS for `wss`: rustls with aws-lc-rs, named explicitly so that no other crate of the program decides it.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;

/// The TLS settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the TLS settings cannot be used")]
pub struct TlsConfigError(#[source] pub(super) rustls::Error);

/// Whom to trust.
#[derive(Debug, Clone, Default)]
pub(super) enum Roots {
    /// What the machine trusts.
    #[default]
    Platform,
    /// Only these.
    Custom(Arc<RootCertStore>),
}

pub(super) fn config(
    provider: Option<Arc<CryptoProvider>>,
    roots: Roots,
) -> Result<ClientConfig, TlsConfigError> {
    let provider =
        provider.unwrap_or_else(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsConfigError)?;
    let mut config = match roots {
        Roots::Platform => builder
            .with_platform_verifier()
            .map_err(TlsConfigError)?
            .with_no_client_auth(),
        Roots::Custom(roots) => builder.with_root_certificates(roots).with_no_client_auth(),
    };
    // WebSockets need HTTP/1.1.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
