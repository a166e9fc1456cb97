//! The answer of the service to most requests.

use webpubsub_protocol::frame::AckId;
use webpubsub_protocol::session::Outcome;

use crate::error::SendError;

/// The service carried out a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Acknowledged {
    /// It did so now.
    Accepted {
        /// The ack id of the request; `None` for fire and forget.
        ack_id: Option<AckId>,
    },
    /// It had already done so under the same ack id. The request was repeated because the answer was lost, by the client or
    /// by you.
    Duplicate {
        /// The ack id of the request.
        ack_id: AckId,
    },
}

impl Acknowledged {
    pub(crate) fn of(outcome: Outcome) -> Result<Self, SendError> {
        match outcome {
            Outcome::Accepted { ack_id } => Ok(Self::Accepted { ack_id }),
            Outcome::Duplicate { ack_id } => Ok(Self::Duplicate { ack_id }),
            other => Err(SendError::of_outcome(other)),
        }
    }
}
