//! What the service answers to most requests.

use webpubsub_protocol::frame::AckId;
use webpubsub_protocol::session::Outcome;

use crate::error::SendError;

/// The service did what it was asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Acknowledged {
    /// It did it now.
    Accepted {
        /// The id under which it was done; `None` for fire and forget.
        ack_id: Option<AckId>,
    },
    /// It had done it before, under the same id: the request was sent again after a lost answer, by the client or by
    /// you.
    Duplicate {
        /// The id.
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
