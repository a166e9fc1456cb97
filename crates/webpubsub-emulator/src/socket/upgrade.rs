//! The handshake of a WebSocket, and the switch from HTTP to it.

use axum::body::Body;
use axum::response::Response;
use bytestring::ByteString;
use http::request::Parts;
use http::{HeaderValue, Request, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::handshake::server::create_response;

use super::guard::SocketGuard;
use super::task::{SocketTask, close_frame};

/// A request that asks for a WebSocket and may have one.
pub(super) struct Upgrade {
    response: Response,
    switched: OnUpgrade,
}

impl Upgrade {
    /// # Errors
    ///
    /// What is wrong with the request.
    pub(super) fn of(parts: &mut Parts) -> Result<Self, String> {
        let mut request = Request::new(());
        *request.method_mut() = parts.method.clone();
        *request.version_mut() = parts.version;
        request.headers_mut().clone_from(&parts.headers);
        let response = create_response(&request).map_err(|error| match error {
            Error::Protocol(error) => {
                format!("This endpoint takes WebSocket upgrades only: {error}.")
            }
            error => format!("This is no WebSocket upgrade: {error}."),
        })?;
        let switched = parts
            .extensions
            .remove::<OnUpgrade>()
            .ok_or("This connection cannot be upgraded.")?;
        Ok(Self {
            response: response.map(|()| Body::empty()),
            switched,
        })
    }

    /// Answers with this subprotocol.
    pub(super) fn choose(&mut self, subprotocol: &ByteString) {
        // It came in a header, so it fits into one.
        if let Ok(name) = HeaderValue::from_str(subprotocol) {
            let headers = self.response.headers_mut();
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, name);
        }
    }

    /// Answers, and runs the socket once the client has the answer.
    pub(super) fn serve(self, guard: SocketGuard) -> Response {
        let switched = self.switched;
        guard.spawn(|guard| async move {
            match switched.await {
                Ok(io) => SocketTask::new(TokioIo::new(io), guard).await,
                Err(error) => tracing::debug!(%error, "a client left during its handshake"),
            }
        });
        self.response
    }

    /// Answers, only to close the socket with this code and reason.
    pub(super) fn refuse(self, code: u16, reason: &'static str) -> Response {
        let switched = self.switched;
        tokio::spawn(async move {
            if let Ok(io) = switched.await {
                let mut io = TokioIo::new(io);
                let close = close_frame(Some((code, reason)));
                // The client may be gone already.
                let _ = io.write_all(&close.parts().concat()).await;
                let _ = io.shutdown().await;
            }
        });
        self.response
    }
}
