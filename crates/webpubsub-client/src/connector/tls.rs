//! TLS for `wss` and for proxies that want it. Settings are made when they are needed first; the default ones once per
//! process, since reading the machine's certificates takes milliseconds and memory.

#[cfg(feature = "native-tls")]
mod native;
#[cfg(feature = "rustls")]
pub(super) mod rustls;

use std::fmt;

use webpubsub_protocol::session::DialFailure;

use super::socket::Socket;

/// The TLS settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the TLS settings cannot be used: {0}")]
pub struct TlsError(pub(super) String);

/// How connections are encrypted.
#[derive(Clone, Default)]
pub(super) enum Tls {
    /// With the settings that all connectors of this process share.
    #[default]
    Default,
    #[cfg(feature = "rustls")]
    Rustls(rustls::Config),
    #[cfg(feature = "native-tls")]
    Native(native_tls::TlsConnector),
}

impl Tls {
    /// Encrypts a connection to a host: a name, or an address, that in version 6 stands in brackets.
    pub(super) async fn connect(&self, host: &str, stream: Socket) -> Result<Socket, DialFailure> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        match self {
            Self::Default => connect_by_default(host, stream).await,
            #[cfg(feature = "rustls")]
            Self::Rustls(config) => rustls::connect(config, host, stream).await,
            #[cfg(feature = "native-tls")]
            Self::Native(connector) => native::connect(connector, host, stream).await,
        }
    }
}

#[cfg(feature = "rustls")]
async fn connect_by_default(host: &str, stream: Socket) -> Result<Socket, DialFailure> {
    let config = rustls::shared().map_err(unusable)?;
    rustls::connect(&config, host, stream).await
}

#[cfg(all(feature = "native-tls", not(feature = "rustls")))]
async fn connect_by_default(host: &str, stream: Socket) -> Result<Socket, DialFailure> {
    let connector = native::shared().map_err(unusable)?;
    native::connect(&connector, host, stream).await
}

#[cfg(not(any(feature = "native-tls", feature = "rustls")))]
async fn connect_by_default(_: &str, _: Socket) -> Result<Socket, DialFailure> {
    let what = "webpubsub-client was built without TLS: enable one of its features `aws-lc-rs`, `ring` and `native-tls`";
    Err(unusable(TlsError(what.to_owned())))
}

/// Settings may hold private keys.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "Default",
            #[cfg(feature = "rustls")]
            Self::Rustls(_) => "Rustls",
            #[cfg(feature = "native-tls")]
            Self::Native(_) => "Native",
        })
    }
}

fn unusable(error: TlsError) -> DialFailure {
    DialFailure::Configuration(error.to_string())
}
