//! The sockets' world: the real tasks of sockets, over pipes of few bytes.
//!
//! | module | holds |
//! |---|---|
//! | `scenario` | what a seed chooses before a run |
//! | `pipe` | the line of one socket: room for some bytes, pieces of any size, cuts and silence |
//! | `peer` | the client at its far end: what it sends, how it reads, and what it finds wrong |
//! | `world` | time, troubles, and what must hold |

mod peer;
mod pipe;
mod scenario;
mod world;

pub(crate) use world::World;
