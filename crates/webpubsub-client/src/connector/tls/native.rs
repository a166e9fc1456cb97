//! By the library of the machine: SChannel, Secure Transport or OpenSSL.

use native_tls::TlsConnector;
use webpubsub_protocol::session::DialFailure;

use crate::connector::proxy;
use crate::connector::socket::Socket;

/// The settings of connectors that have none of their own.
#[cfg(not(feature = "rustls"))]
pub(super) fn shared() -> Result<TlsConnector, super::TlsError> {
    static SHARED: parking_lot::Mutex<Option<TlsConnector>> = parking_lot::Mutex::new(None);
    let mut shared = SHARED.lock();
    if let Some(connector) = &*shared {
        return Ok(connector.clone());
    }
    let connector = TlsConnector::new().map_err(|error| super::TlsError(error.to_string()))?;
    Ok(shared.insert(connector).clone())
}

pub(super) async fn connect(
    connector: &TlsConnector,
    host: &str,
    stream: Socket,
) -> Result<Socket, DialFailure> {
    let connector = tokio_native_tls::TlsConnector::from(connector.clone());
    match connector.connect(host, stream).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(proxy::network(&error)),
    }
}
