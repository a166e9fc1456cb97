//! Requests that the service acknowledges.

use webpubsub_protocol::frame::AckId;
use webpubsub_protocol::session::Outcome;

use crate::action::answer::Answer;
use crate::error::SendError;
use crate::invoke::InvokeEventResult;

/// The service did what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Acknowledged {
    /// Now.
    Accepted {
        /// The id under which it was done; `None` for fire and forget.
        ack_id: Option<AckId>,
    },
    /// Earlier, under the same id: it was sent again after a lost answer, by the client or by you.
    Duplicate {
        /// The id.
        ack_id: AckId,
    },
}

impl Answer for Acknowledged {
    fn read(outcome: Outcome, _: Option<InvokeEventResult>) -> Result<Self, SendError> {
        match outcome {
            Outcome::Accepted { ack_id } => Ok(Self::Accepted { ack_id }),
            Outcome::Duplicate { ack_id } => Ok(Self::Duplicate { ack_id }),
            other => Err(failure(other)),
        }
    }
}

/// Any outcome but a success.
pub(crate) fn failure(outcome: Outcome) -> SendError {
    match outcome {
        Outcome::Rejected { error, ack_id } => SendError::Rejected { error, ack_id },
        Outcome::Lost(loss) => SendError::Lost(loss),
        Outcome::Stalled => SendError::Stalled,
        Outcome::TimedOut => SendError::TimedOut,
        Outcome::Unreadable(error) => SendError::UnreadableAnswer(error),
        _ => SendError::NotStarted,
    }
}
