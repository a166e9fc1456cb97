//! Code that `cargo xtask codegen` writes from `spec/`, checked in.
//!
//! The types mirror the wire and check nothing beyond its syntax; the frame types of this crate
//! are what to work with.

#[rustfmt::skip]
pub mod webpubsub;
