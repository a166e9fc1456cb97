//! Load on programs of this workspace from outside: real sockets, real time, a process of its own.
//!
//! [`swarm`] drives thousands of connections on one thread, so that the generator costs less than what it measures;
//! [`server`] starts programs and asks the system what they cost; [`scenario`] says what must hold under load, [`mod@bench`]
//! what things cost.

#![allow(
    clippy::print_stdout,
    reason = "the report of a run goes to standard output"
)]

pub mod bench;
pub mod kind;
pub mod member;
pub mod report;
pub mod rest;
pub mod scenario;
pub mod server;
pub mod swarm;
pub mod usage;
pub mod wire;
pub mod world;
