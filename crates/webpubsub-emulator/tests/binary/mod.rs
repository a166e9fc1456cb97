//! The program itself: what it prints, how it ends, and that no key is ever in it.
#![cfg(unix)]

mod admin;
mod commands;
mod errors;
mod exec;
mod hubs;
mod malformed;
pub(crate) mod process;
mod ready;
mod secrets;
mod service;
mod startup;
mod tools;
