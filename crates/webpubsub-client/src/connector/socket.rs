//! The connection under a WebSocket: TCP or TLS, perhaps through a proxy.

use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes in both directions. Behind a pointer, so that a plain connection does not carry the size of an encrypted one.
pub(super) type Socket = Box<dyn Duplex>;

pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}
