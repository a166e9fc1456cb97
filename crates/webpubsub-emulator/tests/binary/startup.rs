//! How fast the program is ready.
//!
//! The number is printed: `cargo test -p webpubsub-emulator --test all startup -- --nocapture`, and with `--release` for the
//! one that counts. Its bound there is the promise, 50 ms from exec to the ready line.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// The best of some runs: what else the machine does is not our start.
const RUNS: usize = 10;

#[test]
fn ready_soon_after_exec() {
    let best = (0..RUNS).map(|_| start()).min().expect("some runs");
    let bound = match cfg!(debug_assertions) {
        true => Duration::from_secs(2),
        false => Duration::from_millis(50),
    };
    println!("ready after {best:?}, the best of {RUNS} starts");
    assert!(best < bound, "{best:?}");
}

#[expect(
    clippy::disallowed_methods,
    reason = "this measures the machine's time"
)]
fn start() -> Duration {
    let before = Instant::now();
    let mut emulator = Command::new(env!("CARGO_BIN_EXE_webpubsub-emulator"))
        .args(["--port", "0", "--json"])
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut line = String::new();
    let out = emulator.stdout.take().expect("a pipe");
    BufReader::new(out).read_line(&mut line).expect("a line");
    let elapsed = before.elapsed();
    emulator.kill().expect("it runs");
    emulator.wait().expect("it ends");
    assert!(line.contains(r#""event":"ready""#), "{line}");
    elapsed
}
