//! Protobuf messages.

use anyhow::Result;

use super::Output;

/// The files generated from `spec/webpubsub.proto`.
pub fn outputs() -> Result<Vec<Output>> {
    Ok(Vec::new())
}
