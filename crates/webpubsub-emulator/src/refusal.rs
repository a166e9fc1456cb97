//! Why a client or a call is refused: one type from where that is decided to the answer, and one for whoever looks at it.

use http::StatusCode;

use crate::traffic::TokenMismatch;

/// Why a connection is not opened, or an operation not carried out. `Display` is for the log and, but for
/// [`Unauthorized`](Self::Unauthorized), for whoever asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{0}")]
    BadRequest(String),
    #[error("clients connect to /client/hubs/{{hub}} or /client/?hub={{hub}}")]
    NoSuchEndpoint,
    /// The client has no token, or one that does not count, for this reason.
    #[error("{reason}")]
    Unauthorized {
        reason: String,
        token: Box<TokenMismatch>,
    },
    /// A page may not connect, for this reason.
    #[error("{0}")]
    ForeignOrigin(String),
    #[error("The connect event handler rejected the connection.")]
    ByHandler(StatusCode),
    #[error("The connect event handler failed; the log of the emulator says why.")]
    HandlerFailed,
    #[error("It took too long to open the connection. Try again.")]
    OpeningTimedOut,
    #[error("Another connection has this id.")]
    IdInUse,
    #[error("The connection has ended, or its subprotocol is not a reliable one.")]
    NotRecoverable,
    #[error("The emulator is stopping.")]
    Stopping,
    #[error("A fault rule refuses this.")]
    Fault {
        status: StatusCode,
        retry_after: Option<u32>,
    },
}

impl Refusal {
    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::NoSuchEndpoint => StatusCode::NOT_FOUND,
            Self::Unauthorized { .. } => StatusCode::UNAUTHORIZED,
            Self::ForeignOrigin(_) => StatusCode::FORBIDDEN,
            Self::ByHandler(status) => *status,
            Self::HandlerFailed | Self::OpeningTimedOut => StatusCode::INTERNAL_SERVER_ERROR,
            Self::IdInUse => StatusCode::CONFLICT,
            Self::NotRecoverable => StatusCode::GONE,
            Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Self::Fault { status, .. } => *status,
        }
    }

    /// Seconds until it is worth trying again, where that is known.
    pub(crate) const fn retry_after(&self) -> Option<u32> {
        match self {
            // About as long as a restart takes.
            Self::Stopping => Some(1),
            Self::Fault { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// Why a request was refused, with its answer as long as that is in this process: for the traffic log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) reason: String,
    pub(crate) token: Option<Box<TokenMismatch>>,
}
