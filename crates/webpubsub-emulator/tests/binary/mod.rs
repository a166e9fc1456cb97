//! The program itself: what it prints, how it ends, and that no key is ever in it.
#![cfg(unix)]

mod commands;
mod errors;
mod hubs;
mod malformed;
pub(crate) mod process;
mod ready;
mod secrets;
mod startup;
