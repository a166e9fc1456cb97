//! The time to live and the metadata of a message.

use std::{fmt, time::Duration};

use webpubsub_protocol::limits::MESSAGE_TTL_SECONDS;

use crate::invalid_input::InvalidInput;

/// The time to live and the metadata of a message, set by [`Call::ttl`](crate::Call::ttl) and [`Call::metadata`](crate::Call::metadata).
#[derive(Clone, Default)]
pub struct Delivery {
    pub(crate) ttl: Option<Duration>,
    pub(crate) metadata: Vec<(String, String)>,
}

impl Delivery {
    /// The time to live in the unit of the REST API.
    pub(crate) fn ttl_seconds(&self) -> azure_core::Result<Option<u32>> {
        let Some(ttl) = self.ttl else { return Ok(None) };
        match u32::try_from(ttl.as_secs()) {
            Ok(seconds) if ttl.subsec_nanos() == 0 && seconds <= MESSAGE_TTL_SECONDS => {
                Ok(Some(seconds))
            }
            _ => Err(InvalidInput::TimeToLive(ttl).into()),
        }
    }
}

impl fmt::Debug for Delivery {
    /// Shows the keys of the metadata only: values may be private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.metadata.iter().map(|(key, _)| key).collect();
        f.debug_struct("Delivery")
            .field("ttl", &self.ttl)
            .field("metadata", &keys)
            .finish()
    }
}
