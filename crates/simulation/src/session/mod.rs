//! The client's world: real sessions against the real hub, over lines that fail.
//!
//! | module | holds |
//! |---|---|
//! | `scenario` | what a seed chooses before a run |
//! | `world` | time and its events |
//! | `drive` | what a driver does: hands in news and takes what the session wants |
//! | `network`, `line` | dials and lines |
//! | `trouble` | what goes wrong |
//! | `script` | what applications and servers do |
//! | `service` | the hub, an observer that misses nothing, and the handler |
//! | `ledger` | what was sent, and what must have become of it |
//! | `outcome` | what requests were told, held against the ledger |
//! | `conduct` | how a session must behave whatever happens |
//! | `calm` | what must be true when everything works again |

mod calm;
mod client;
mod conduct;
mod consumers;
mod drive;
mod ledger;
mod line;
mod mark;
mod network;
mod outcome;
mod scenario;
mod script;
mod service;
mod trouble;
mod world;

pub(crate) use world::World;
