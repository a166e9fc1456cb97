//! The error of a rejected filter, in the service's words.

use std::fmt;

use crate::limits;

/// Why a filter was rejected. `Display` gives the message of the service's 400 answer, which ends
/// in ` (Parameter 'filter')`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterError {
    message: Box<str>,
    position: Option<usize>,
}

impl FilterError {
    /// The byte offset in the filter at which parsing stopped; `None` when the filter was parsed
    /// but is ill typed. (Positions inside the message count UTF-16 code units.)
    #[must_use]
    pub fn position(&self) -> Option<usize> {
        self.position
    }

    /// An error about `expression`: the whole filter, or a printed part of it.
    pub(super) fn new(expression: impl fmt::Display, detail: impl fmt::Display) -> Self {
        let message = format!("Invalid syntax for '{expression}': {detail}").into();
        Self {
            message,
            position: None,
        }
    }

    /// An error of the parser at a byte offset of `text`.
    pub(super) fn at(text: &str, position: usize, detail: impl fmt::Display) -> Self {
        Self {
            position: Some(position),
            ..Self::new(text, detail)
        }
    }

    /// A text above the limit, which is not repeated in the message.
    pub(super) fn too_long(bytes: usize) -> Self {
        let limit = limits::FILTER_BYTES;
        let message = format!("The filter has {bytes} bytes, the limit is {limit}.").into();
        Self {
            message,
            position: None,
        }
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (Parameter 'filter')", self.message)
    }
}

impl std::error::Error for FilterError {}
