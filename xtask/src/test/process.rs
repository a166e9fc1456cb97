//! Running a program so that its output is both seen and kept.

use std::cell::RefCell;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result, bail};

thread_local! {
    /// What this thread has printed while its output is held back.
    static HELD: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Prints a line, or keeps it while the output of this thread is held back.
pub(crate) fn say(line: &str) {
    HELD.with_borrow_mut(|held| match held {
        Some(held) => {
            held.push_str(line);
            held.push('\n');
        }
        None => println!("{line}"),
    });
}

/// Does something and returns what it would have printed, so that the output of things that run side by side does not
/// get mixed up.
pub(crate) fn held_back<T>(work: impl FnOnce() -> T) -> (T, String) {
    let before = HELD.replace(Some(String::new()));
    let result = work();
    (result, HELD.replace(before).unwrap_or_default())
}

/// What a program left behind.
#[derive(Debug)]
pub(crate) struct Finished {
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// Standard output and standard error, line by line as they came.
    pub(crate) output: String,
}

/// Runs `command` to its end, shows its output as it comes (or at the end, while output is held back), and returns it.
///
/// # Errors
///
/// Fails when the program cannot be started; that it ended badly is in the status.
pub(crate) fn run(command: &mut Command) -> Result<Finished> {
    let shown = show(command);
    say(&format!("$ {shown}"));
    let live = HELD.with_borrow(Option::is_none);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{shown}`"))?;
    let output = Arc::new(Mutex::new(String::new()));
    let readers = [
        child.stdout.take().map(|pipe| tee(pipe, &output, live)),
        child.stderr.take().map(|pipe| tee(pipe, &output, live)),
    ];
    let status = child
        .wait()
        .with_context(|| format!("cannot wait for `{shown}`"))?;
    for reader in readers.into_iter().flatten() {
        reader.join().ok();
    }
    let output = std::mem::take(&mut *output.lock().unwrap_or_else(PoisonError::into_inner));
    if !live {
        say(output.trim_end());
    }
    Ok(Finished { status, output })
}

/// Runs `command` like [`run`] and fails unless it ended well.
///
/// # Errors
///
/// Fails when the program cannot be started or ends with another code than 0.
pub(crate) fn run_ok(command: &mut Command) -> Result<()> {
    let Finished { status, .. } = run(command)?;
    if !status.success() {
        bail!("`{}` failed: {status}", show(command));
    }
    Ok(())
}

/// The first line that `program` prints when asked, or `None` when it is not there.
pub(crate) fn probe(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then(|| {
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().next().unwrap_or_default().trim().to_owned()
    })
}

/// Whether cargo failed because it could not reach what it needs from elsewhere.
pub(crate) fn is_offline(finished: &Finished) -> bool {
    const SIGNS: [&str; 4] = [
        "Could not resolve host",
        "failed to download",
        "failed to fetch",
        "--offline was specified",
    ];
    !finished.status.success() && SIGNS.iter().any(|sign| finished.output.contains(sign))
}

fn show(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|part| part.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

fn tee(
    pipe: impl Read + Send + 'static,
    output: &Arc<Mutex<String>>,
    live: bool,
) -> thread::JoinHandle<()> {
    let output = Arc::clone(output);
    thread::spawn(move || {
        let mut lines = BufReader::new(pipe);
        let mut line = Vec::new();
        while lines
            .read_until(b'\n', &mut line)
            .is_ok_and(|read| read > 0)
        {
            let text = String::from_utf8_lossy(&line).into_owned();
            // One lock for both, so that what is kept has the order of what is shown.
            let mut kept = output.lock().unwrap_or_else(PoisonError::into_inner);
            if live {
                let mut stdout = std::io::stdout().lock();
                stdout
                    .write_all(text.as_bytes())
                    .and_then(|()| stdout.flush())
                    .ok();
            }
            kept.push_str(&text);
            line.clear();
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_both_streams_and_the_status() {
        let finished =
            run(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"])).unwrap();
        assert_eq!(finished.status.code(), Some(3));
        let mut lines: Vec<_> = finished.output.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["err", "out"]);
    }

    #[test]
    fn a_missing_network_is_not_any_failure() {
        for (script, expected) in [
            ("echo failed to fetch advisory database; exit 1", true),
            ("echo failed to fetch, trying again", false),
            ("echo no such version; exit 1", false),
        ] {
            let finished = run(Command::new("sh").args(["-c", script])).unwrap();
            assert_eq!(is_offline(&finished), expected, "{script}");
        }
    }

    #[test]
    fn output_that_is_held_back_comes_in_one_piece() {
        let (finished, text) = held_back(|| run(Command::new("sh").args(["-c", "echo out"])));
        assert_eq!(finished.unwrap().output, "out\n");
        assert_eq!(text, "$ sh -c echo out\nout\n");
    }

    #[test]
    fn names_the_program_that_failed() {
        let error = run_ok(Command::new("sh").args(["-c", "exit 3"])).unwrap_err();
        assert!(
            error.to_string().contains("`sh -c exit 3` failed"),
            "{error}"
        );
        assert!(run(&mut Command::new("no-such-program-here")).is_err());
    }

    #[test]
    fn probes_what_is_there() {
        assert_eq!(
            probe("sh", &["-c", "echo v1; echo more"]).as_deref(),
            Some("v1")
        );
        assert_eq!(probe("sh", &["-c", "exit 1"]), None);
        assert_eq!(probe("no-such-program-here", &[]), None);
    }
}
