//! Every operation against the emulator, with what it does to connected clients.

mod connections;
mod entra;
mod errors;
mod faults;
mod groups;
mod sends;
mod world;
