//! A running program.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver},
    thread::{self, JoinHandle},
    time::Duration,
};

/// How long a test waits for an answer before it fails.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) fn command(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_webpubsub-emulator"));
    command
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// What a program printed until its end.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the program until it ends by itself.
pub(crate) fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let output = command(arguments, variables).output().expect("it runs");
    Ended {
        status: output.status,
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}

/// The program, ready; killed when a test drops it.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    printed: String,
    stderr: JoinHandle<String>,
    log: Receiver<String>,
    pub(crate) address: SocketAddr,
}

impl Running {
    /// Starts it on a free port, and reads its stdout up to the line that names the address.
    pub(crate) fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = command(arguments, variables)
            .args(["--port", "0"])
            .spawn()
            .expect("it starts");
        let errors = BufReader::new(child.stderr.take().expect("a pipe"));
        let (lines, log) = mpsc::channel();
        let stderr = thread::spawn(move || {
            let mut text = String::new();
            for line in errors.lines() {
                let line = line.expect("text");
                text.push_str(&line);
                text.push('\n');
                // Most tests read the log at the end only.
                let _ = lines.send(line);
            }
            text
        });
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut printed = String::new();
        let address = loop {
            let before = printed.len();
            let read = stdout.read_line(&mut printed).expect("text");
            assert_ne!(read, 0, "it ended: {printed}");
            if let Some(address) = address_in(&printed[before..]) {
                break address;
            }
        };
        Self {
            child,
            stdout,
            printed,
            stderr,
            log,
            address,
        }
    }

    /// Waits for the next line of the log that contains this, and returns it.
    pub(crate) fn logged(&self, part: &str) -> String {
        loop {
            let line = self.log.recv_timeout(TEST_TIMEOUT).expect(part);
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Sends bytes and returns all that comes back until the program closes the connection.
    pub(crate) fn exchange(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        stream
            .set_read_timeout(Some(TEST_TIMEOUT))
            .expect("a timeout");
        // It may answer and close before all is written.
        let _ = stream.write_all(request);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        // A reset is as good as an end.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The head of the answer to a request whose connection stays open.
    pub(crate) fn head(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        stream
            .set_read_timeout(Some(TEST_TIMEOUT))
            .expect("a timeout");
        stream.write_all(request).expect("it reads");
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
            head.push(byte[0]);
        }
        String::from_utf8_lossy(&head).into_owned()
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status()
            .expect("kill runs");
        assert!(status.success());
    }

    /// Waits for its end.
    pub(crate) fn ended(mut self) -> Ended {
        self.stdout.read_to_string(&mut self.printed).expect("text");
        Ended {
            status: self.child.wait().expect("it ends"),
            stdout: self.printed,
            stderr: self.stderr.join().expect("text"),
        }
    }

    /// Stops it as a service manager does.
    pub(crate) fn stop(self) -> Ended {
        self.signal("TERM");
        self.ended()
    }
}

/// The first `http://address:port` in a line.
fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("http://")?;
    let end = rest.find(|c: char| !(c.is_ascii_hexdigit() || "[].:".contains(c)));
    rest[..end.unwrap_or(rest.len())].parse().ok()
}
