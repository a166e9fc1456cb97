//! `chat join` as a program: what it prints when the service stands still, restarts, or is cut off, and when nothing is
//! there to begin with.
//!
//! The service is the emulator in a process of its own, `chat` without arguments; other processes of `chat` serve the
//! page in front of it, so that the way into a room stays open while the service is away.
#![cfg(unix)]

mod conversation;
mod program;
mod states;
mod wire;
