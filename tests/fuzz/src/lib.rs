//! What must hold for any input.
//!
//! A [`Target`] is a function that takes any bytes, hands them to a part of the workspace, and panics when something
//! does not hold: that part must not panic itself, what was decoded must survive being encoded, errors must say
//! something and stay short, and memory must stay in proportion to the input.
//!
//! `cargo xtask fuzz` runs the targets behind libFuzzer. The test `replay` runs each of them on its seeds and on what is
//! committed in `corpus/`, without a fuzzer.

mod check;
mod seeds;
mod targets;

pub use targets::{TARGETS, find};

/// Counts what is allocated, see [`check::frugal`].
#[global_allocator]
static MEMORY: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;

/// One thing to fuzz.
#[derive(Debug)]
pub struct Target {
    /// Its name, in the words of a file name.
    pub name: &'static str,
    /// What it looks at.
    pub about: &'static str,
    /// Checks one input.
    pub run: fn(&[u8]),
    /// Inputs to begin with, besides those in `corpus/`.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Words that the fuzzer would take long to find.
    pub words: &'static [&'static str],
    /// The longest input that is tried, in bytes.
    pub longest: usize,
}
