//! The emulator as others see it. One program, so that it is linked once: `cargo test --test all client::` runs a part.

mod admin;
mod binary;
mod client;
mod doctor;
mod handlers;
mod rest;
mod server;
mod support;
