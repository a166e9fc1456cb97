//! Pipeline policies of this crate.
#![allow(
    elided_lifetimes_in_paths,
    reason = "`Policy::send` is declared without them, and to `async_trait` the two forms differ"
)]

mod access_key;
mod loopback_bearer;
mod reverse_proxy;

pub(crate) use access_key::AccessKeyPolicy;
pub(crate) use loopback_bearer::{LoopbackBearerPolicy, is_loopback};
pub(crate) use reverse_proxy::ReverseProxyPolicy;
