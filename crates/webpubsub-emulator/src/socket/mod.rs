//! Client connections: the checks before an upgrade, then one task per socket.

mod authorize;
mod connect_event;
mod decode;
#[cfg(feature = "__simulation")]
pub(crate) mod driven;
mod endpoint;
mod guard;
mod query;
mod reader;
mod task;
mod upgrade;
mod writer;

#[cfg(feature = "__simulation")]
pub(crate) use decode::Decoder;
#[cfg(feature = "__simulation")]
pub(crate) use endpoint::NOT_RECOVERABLE;
pub(crate) use endpoint::handle;
#[cfg(test)]
mod tests;
