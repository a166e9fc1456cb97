//! The sockets' world: the real tasks of sockets, over pipes of few bytes.
//!
//! | module | holds |
//! |---|---|
//! | `scenario` | what a seed chooses before a run |
//! | `pipe` | the line of one socket: room for some bytes, pieces of any size, cuts and silence |
//! | `peer` | the client at its far end: what it sends, how it reads, and what it finds wrong |
//! | `trouble` | what goes wrong, and what is much at once |
//! | `world` | time, and what clients and servers do in it |
//! | `checks` | what must hold |
//! | `property` | the same for any list of troubles, which shrinks to a short one when something does not hold |

mod checks;
mod peer;
mod pipe;
#[cfg(test)]
mod property;
mod scenario;
mod trouble;
mod world;

pub(crate) use world::World;
