//! The programs that are measured beside ours.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::Settings;
use crate::server::Process;
use crate::usage;

const READY_WITHIN: Duration = Duration::from_secs(20);

/// A program that does some work with a client library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// The crates of this workspace.
    Ours,
    /// The official packages for JavaScript.
    JavaScript,
    /// The official packages for Python.
    Python,
}

impl Peer {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::JavaScript => "official JavaScript",
            Self::Python => "official Python",
        }
    }

    /// Starts it and waits for its first line.
    pub(super) fn start(
        self,
        settings: &Settings,
        work: &str,
        target: &str,
        count: u64,
    ) -> Result<Process> {
        let mut command = match self {
            Self::Ours => Command::new(settings.program("bench-peer")),
            Self::JavaScript => {
                let mut node = Command::new("node");
                node.arg("bench/peer.mjs").current_dir(&settings.scripts);
                node
            }
            Self::Python => {
                let mut python = Command::new(settings.python.as_ref().context("no Python")?);
                python
                    .arg("../python/bench/peer.py")
                    .current_dir(&settings.scripts);
                python
            }
        };
        Process::start(command.args([work, target]).arg(count.to_string()))
    }
}

/// What is known of a server under load, whoever wrote it.
pub(super) trait Measured {
    /// The time for which it has run, all its threads together.
    fn cpu(&self) -> Result<Duration>;
}

impl Measured for Process {
    fn cpu(&self) -> Result<Duration> {
        Self::cpu(self)
    }
}

/// A NATS server that takes clients over WebSocket. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Nats {
    child: Child,
    pub(super) address: SocketAddr,
    configuration: PathBuf,
}

impl Nats {
    /// Where the program is, if it is installed.
    pub(super) fn program() -> Option<PathBuf> {
        std::env::split_paths(&std::env::var_os("PATH")?)
            .chain(["/usr/sbin".into()])
            .map(|folder| folder.join("nats-server"))
            .find(|path| path.is_file())
    }

    /// Starts it and waits until it accepts.
    pub(super) fn start() -> Result<Self> {
        let program = Self::program().context("no nats-server")?;
        // It does not say which free port it took: one is reserved for it.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let configuration = std::env::temp_dir().join(format!(
            "nats-{}-{}.conf",
            std::process::id(),
            address.port()
        ));
        std::fs::write(
            &configuration,
            format!(
                "listen: \"127.0.0.1:-1\"\nmax_connections: 20000\n\
                 websocket {{ listen: \"{address}\", no_tls: true, compression: false }}\n"
            ),
        )?;
        let child = Command::new(program)
            .arg("-c")
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start nats-server")?;
        let server = Self {
            child,
            address,
            configuration,
        };
        let deadline = Instant::now() + READY_WITHIN;
        while let Err(error) = TcpStream::connect(address) {
            if error.kind() != io::ErrorKind::ConnectionRefused || Instant::now() > deadline {
                bail!("nats-server does not accept: {error}");
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(server)
    }
}

impl Measured for Nats {
    fn cpu(&self) -> Result<Duration> {
        usage::cpu(self.child.id())
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        std::fs::remove_file(&self.configuration).ok();
    }
}
