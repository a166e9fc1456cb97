#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "access")]
#[cfg_attr(docsrs, doc(cfg(feature = "access")))]
pub mod access;
pub mod cloud_event;
pub mod filter;
pub mod frame;
#[rustfmt::skip]
pub mod generated;
pub mod limits;
pub mod metadata;
pub mod name;
pub mod payload;
pub mod permission;
#[cfg(feature = "session")]
#[cfg_attr(docsrs, doc(cfg(feature = "session")))]
pub mod session;
pub mod subprotocol;
pub mod uri;

pub use bytes;
pub use bytestring;
