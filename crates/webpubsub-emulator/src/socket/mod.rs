//! Client connections: the checks before an upgrade, then one task per socket.

mod decode;
mod endpoint;
mod query;
mod task;

pub(crate) use endpoint::handle;
#[cfg(test)]
mod tests;
