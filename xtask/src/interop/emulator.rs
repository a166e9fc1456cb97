//! The emulator as a program of its own: started, asked where it listens, stopped, and searched
//! for what it must never print.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use serde::Deserialize;

const READY_WITHIN: Duration = Duration::from_secs(10);
const STOPPED_WITHIN: Duration = Duration::from_secs(10);

/// A running emulator; dropping it kills it.
pub(crate) struct Emulator {
    process: Killed,
    ready: Ready,
    stderr: JoinHandle<String>,
}

/// The line on standard output that says it listens.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ready {
    event: String,
    connection_string: String,
    admin_url: Option<String>,
    admin_token: Option<String>,
    #[serde(default)]
    hubs: Vec<Hub>,
}

#[derive(Deserialize)]
struct Hub {
    hub: String,
}

impl Emulator {
    /// Starts the program of `command`, which has to print its ready record, and waits until it listens.
    ///
    /// # Errors
    ///
    /// Fails when it does not start, or does not say where it listens within 10 s.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let stdout = child.stdout.take().context("standard output is piped")?;
        let mut stderr = child.stderr.take().context("standard error is piped")?;
        let process = Killed(child);
        let stderr = thread::spawn(move || {
            let mut bytes = Vec::new();
            stderr.read_to_end(&mut bytes).ok();
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let (sender, first_line) = mpsc::channel();
        thread::spawn(move || {
            // Read to the end, so that the emulator never waits for a full pipe.
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                sender.send(line).ok();
            }
        });
        let line = first_line.recv_timeout(READY_WITHIN).map_err(|_| {
            anyhow!("the emulator did not say within {READY_WITHIN:?} that it is ready")
        })?;
        let ready: Ready = serde_json::from_str(&line)
            .context("the emulator's first line is not its ready record")?;
        if ready.event != "ready" {
            bail!(
                "the emulator's first record is `{}`, not `ready`",
                ready.event
            );
        }
        Ok(Self {
            process,
            ready,
            stderr,
        })
    }

    pub(crate) fn connection_string(&self) -> &str {
        &self.ready.connection_string
    }

    /// The URL and the token of the admin API.
    ///
    /// # Errors
    ///
    /// Fails when it serves none.
    pub(crate) fn admin(&self) -> Result<(&str, &str)> {
        let Ready {
            admin_url,
            admin_token,
            ..
        } = &self.ready;
        let admin = admin_url.as_deref().zip(admin_token.as_deref());
        admin.context("the emulator serves no admin API")
    }

    /// The id of the process that was started.
    pub(crate) fn id(&self) -> u32 {
        self.process.0.id()
    }

    /// The names of the hubs that were set up.
    pub(crate) fn hubs(&self) -> impl Iterator<Item = &str> {
        self.ready.hubs.iter().map(|hub| hub.hub.as_str())
    }

    /// Asks it to stop and checks how it lived: it ends well, never panicked, and printed neither
    /// its key nor a token.
    ///
    /// # Errors
    ///
    /// Fails when one of this does not hold.
    pub(crate) fn stop(self) -> Result<()> {
        self.process.ask_to_stop()?;
        self.ended()
    }

    /// Waits for its end, for which somebody else has asked, and checks the same as [`Self::stop`].
    ///
    /// # Errors
    ///
    /// Fails when it does not end within 10 s, or one of this does not hold.
    pub(crate) fn ended(self) -> Result<()> {
        let (status, stderr) = self.end()?;
        if !status.success() {
            bail!("the emulator ended with {status}; it printed:\n{stderr}");
        }
        Ok(())
    }

    /// Waits for the end of the program that was started and of everything that it started in turn, and returns how it
    /// ended and what went to standard error.
    ///
    /// # Errors
    ///
    /// Fails when it does not end within 10 s, panicked, or printed its key or a token.
    pub(crate) fn end(self) -> Result<(ExitStatus, String)> {
        let Self {
            mut process,
            ready,
            stderr,
        } = self;
        let status = process.ended()?;
        let stderr = stderr
            .join()
            .map_err(|_| anyhow!("reading standard error panicked"))?;
        inspect(&stderr, access_key(&ready.connection_string)?)?;
        Ok((status, stderr))
    }
}

/// What is wrong with the emulator's standard error, without repeating a secret.
fn inspect(stderr: &str, key: &str) -> Result<()> {
    if let Some(line) = stderr.lines().find(|line| line.contains("panicked")) {
        bail!("the emulator panicked: {line}");
    }
    if stderr.contains(key) {
        bail!("the emulator printed its access key");
    }
    if stderr.contains("access_token=ey") {
        bail!("the emulator printed an access token");
    }
    Ok(())
}

/// The key in a connection string.
///
/// # Errors
///
/// Fails when there is none.
pub(crate) fn access_key(connection_string: &str) -> Result<&str> {
    connection_string
        .split(';')
        .find_map(|segment| segment.strip_prefix("AccessKey="))
        .context("the emulator's connection string has no AccessKey")
}

#[derive(Debug)]
struct Killed(Child);

impl Killed {
    fn ask_to_stop(&self) -> Result<()> {
        // The standard library can only kill; a graceful stop is what is asked for.
        let asked = Command::new("kill")
            .args(["-TERM", &self.0.id().to_string()])
            .status();
        if !asked.is_ok_and(|status| status.success()) {
            bail!("cannot ask the emulator to stop");
        }
        Ok(())
    }

    fn ended(&mut self) -> Result<ExitStatus> {
        let limit = Instant::now() + STOPPED_WITHIN;
        while Instant::now() < limit {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("the emulator did not stop within {STOPPED_WITHIN:?}")
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_panics_and_secrets_without_repeating_them() {
        let key = "S3cretK3y";
        assert!(inspect("listening\nGET /client?access_token=[redacted]\n", key).is_ok());
        assert!(inspect("thread 'main' panicked at src/hub.rs", key).is_err());
        assert!(inspect("url ws://x/client?access_token=eyJhbGci", key).is_err());
        let leaked = inspect("AccessKey=S3cretK3y;", key)
            .unwrap_err()
            .to_string();
        assert!(!leaked.contains(key), "{leaked}");
    }

    #[test]
    fn reads_the_key() {
        assert_eq!(
            access_key("Endpoint=http://x;AccessKey=a=b=;Version=1.0;").unwrap(),
            "a=b="
        );
        assert!(access_key("Endpoint=http://x;").is_err());
    }
}
