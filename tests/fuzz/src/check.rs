//! What targets assert.

use std::error::Error;

use crate::MEMORY;

/// What anything may allocate whatever its input is: tables that are made once, buffers, the answer itself.
const ALLOWANCE: usize = 256 * 1024;

/// Runs `work` and checks that at its worst it held no more than `factor` bytes for each byte of its input, and a fixed
/// allowance.
pub(crate) fn frugal<T>(input: usize, factor: usize, work: impl FnOnce() -> T) -> T {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let result = work();
    let took = MEMORY.peak_usage().saturating_sub(before);
    let most = ALLOWANCE + input * factor;
    assert!(took <= most, "{took} bytes for {input}, at most {most}");
    result
}

/// An error says something in a few words, with all its causes; so it cannot hold much of a payload.
pub(crate) fn error(error: &dyn Error, most: usize) {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    assert!(!text.trim().is_empty(), "an error without a text");
    assert!(
        text.len() <= most,
        "an error of {} bytes: {text}",
        text.len()
    );
}

/// A text that is shown to people does not hold a secret. One of a few bytes may stand anywhere by chance.
pub(crate) fn hides(text: &str, secret: &str) {
    assert!(secret.len() < 8 || !text.contains(secret), "{text}");
}
