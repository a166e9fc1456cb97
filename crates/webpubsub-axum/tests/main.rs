//! The tests of the public API, in one binary: linking one is much faster than linking eight.

mod answers;
mod anything;
mod background;
mod configuration;
mod official;
mod refusals;
mod servers;
mod stack;
mod support;
