//! Programs under load, each a process of its own on the loopback interface.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use webpubsub_protocol::access::{ClientTokenOptions, ConnectionString, sign_client_token};

use crate::usage::{self, Memory};
use crate::wire::upgrade_request;
use crate::{kind::Kind, member::Look, swarm::Plan};

const READY_WITHIN: Duration = Duration::from_secs(20);
const STOPPED_WITHIN: Duration = Duration::from_secs(20);

/// The one hub that scenarios use unless they need more.
pub const HUB: &str = "load";

/// A child process that says on its first line of standard output that it is ready. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// The first line.
    pub ready: String,
    /// From the start to the first line.
    pub started_in: Duration,
    lines: Receiver<(String, Instant)>,
    stderr: Option<JoinHandle<String>>,
}

impl Process {
    /// Starts a program and waits for its first line.
    ///
    /// # Errors
    ///
    /// Fails when it does not start, and with what it printed when it ends or says nothing within 20 s.
    pub fn start(command: &mut Command) -> Result<Self> {
        let name = command.get_program().display().to_string();
        let began = Instant::now();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let stdout = child.stdout.take().context("standard output is piped")?;
        let mut stderr = child.stderr.take().context("standard error is piped")?;
        let (sender, lines) = mpsc::channel();
        let mut process = Self {
            child,
            lines,
            ready: String::new(),
            started_in: Duration::ZERO,
            stderr: Some(thread::spawn(move || {
                let mut bytes = Vec::new();
                stderr.read_to_end(&mut bytes).ok();
                String::from_utf8_lossy(&bytes).into_owned()
            })),
        };
        thread::spawn(move || {
            // Read to the end, so that the program never waits for a full pipe.
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                sender.send((line, Instant::now())).ok();
            }
        });
        let Ok((line, at)) = process.lines.recv_timeout(READY_WITHIN) else {
            process.child.kill().ok();
            bail!(
                "{name} does not say that it is ready: {}",
                process.last_words()
            );
        };
        process.ready = line;
        process.started_in = at - began;
        Ok(process)
    }

    /// Its id in the system.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes a line to its standard input.
    ///
    /// # Errors
    ///
    /// Fails when it does not read any more.
    pub fn tell(&mut self, line: &str) -> Result<()> {
        let stdin = self
            .child
            .stdin
            .as_mut()
            .context("standard input is piped")?;
        writeln!(stdin, "{line}").context("the process does not read its input")
    }

    /// The next line of its standard output.
    ///
    /// # Errors
    ///
    /// Fails with what it printed when it says nothing within `limit`.
    pub fn next_line(&mut self, limit: Duration) -> Result<String> {
        match self.lines.recv_timeout(limit) {
            Ok((line, _)) => Ok(line),
            Err(_) => {
                self.child.kill().ok();
                bail!(
                    "a process said nothing within {limit:?}: {}",
                    self.last_words()
                );
            }
        }
    }

    /// Its memory now.
    ///
    /// # Errors
    ///
    /// Fails when it is gone.
    pub fn memory(&self) -> Result<Memory> {
        usage::memory(self.pid())
    }

    /// The time for which it has run.
    ///
    /// # Errors
    ///
    /// Fails when it is gone.
    pub fn cpu(&self) -> Result<Duration> {
        usage::cpu(self.pid())
    }

    /// Asks it to stop.
    ///
    /// # Errors
    ///
    /// Fails with what it printed when it ended by itself before, ends badly, takes longer than 20 s, or panicked.
    pub fn stop(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("it ended by itself with {status}: {}", self.last_words());
        }
        let asked = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        if !asked.is_ok_and(|status| status.success()) {
            bail!("cannot ask the process to stop");
        }
        let limit = Instant::now() + STOPPED_WITHIN;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if Instant::now() > limit {
                bail!("it did not stop within {STOPPED_WITHIN:?}");
            }
            thread::sleep(Duration::from_millis(10));
        };
        let words = self.last_words();
        if !status.success() {
            bail!("it ended with {status}: {words}");
        }
        if words.contains("panicked") {
            bail!("it panicked: {words}");
        }
        Ok(())
    }

    /// The end of its standard error.
    fn last_words(&mut self) -> String {
        let text = match self.stderr.take().map(JoinHandle::join) {
            Some(Ok(text)) => text,
            _ => String::new(),
        };
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(5)..].join(" / ")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The emulator.
#[derive(Debug)]
pub struct Server {
    /// Its process.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
    connection: ConnectionString,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ready {
    connection_string: String,
}

impl Server {
    /// Starts the program with these flags on a free port.
    ///
    /// # Errors
    ///
    /// Fails when it does not start, or does not say where it listens.
    pub fn start(emulator: &Path, flags: &[&str]) -> Result<Self> {
        let mut command = Command::new(emulator);
        command.args(["--port", "0", "--json", "--log", "warn"]);
        let process = Process::start(command.args(flags))?;
        let ready: Ready = serde_json::from_str(&process.ready)
            .context("the emulator's first line is not its ready record")?;
        let connection: ConnectionString = ready.connection_string.parse()?;
        let endpoint = connection.endpoint();
        let address = endpoint
            .socket_addrs(|| None)?
            .into_iter()
            .find(SocketAddr::is_ipv4)
            .context("the emulator listens on no IPv4 address")?;
        Ok(Self {
            process,
            address,
            connection,
        })
    }

    /// Its endpoint and key.
    #[must_use]
    pub fn connection(&self) -> &ConnectionString {
        &self.connection
    }

    /// A client of the hub [`HUB`] with every permission in all groups, in `groups` from its start.
    #[must_use]
    pub fn plan(&self, kind: Kind, groups: &[&str]) -> Plan {
        self.plan_for(HUB, kind, groups)
    }

    /// The same in another hub.
    #[must_use]
    pub fn plan_for(&self, hub: &str, kind: Kind, groups: &[&str]) -> Plan {
        self.plan_of(hub, "u", kind, groups)
    }

    /// The same for a user.
    #[must_use]
    pub fn plan_of(&self, hub: &str, user: &str, kind: Kind, groups: &[&str]) -> Plan {
        let mut options = ClientTokenOptions::default()
            .user_id(user)
            .role("webpubsub.sendToGroup")
            .role("webpubsub.joinLeaveGroup")
            .role("webpubsub.setGroupState")
            .role("webpubsub.getGroupState");
        for &group in groups {
            options = options.group(group);
        }
        let (endpoint, key) = (self.connection.endpoint(), self.connection.access_key());
        let token = sign_client_token(endpoint, hub, key, &options, SystemTime::now());
        let target = format!("/client/hubs/{hub}?access_token={}", token.token().as_str());
        Plan {
            kind,
            request: upgrade_request(&self.address.to_string(), &target, kind.subprotocol()),
            look: Look::Closely,
            receive_buffer: None,
        }
    }
}
