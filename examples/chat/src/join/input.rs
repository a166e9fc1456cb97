//! The lines that the user types.

use std::io::{BufRead, stdin};
use std::thread;

use tokio::sync::mpsc;

/// The lines of the standard input that are not blank. Ends with the input.
///
/// They are read in a thread of their own, which nothing waits for: a read cannot be cancelled, and would keep the
/// process from ending until another line is typed.
pub(super) fn lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    thread::spawn(move || {
        let mut input = stdin().lock();
        let mut line = Vec::new();
        while matches!(input.read_until(b'\n', &mut line), Ok(1..)) {
            let text = String::from_utf8_lossy(&line).trim().to_owned();
            line.clear();
            if !text.is_empty() && sender.blocking_send(text).is_err() {
                break;
            }
        }
    });
    receiver
}
