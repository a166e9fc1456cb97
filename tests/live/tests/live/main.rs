//! The whole stack against a resource, see the crate's documentation. What a resource may not have stands in a module of
//! its own, which `cargo xtask test --azure --without NAME` leaves out.

mod clients;
mod group_state;
mod recovery;
mod rest;
mod streams;
