//! The program, serving or in a room.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;
use webpubsub_emulator::WELL_KNOWN_KEY;

/// How long a test waits for a line before it fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// `chat` as a process; killed when a test drops it.
pub(crate) struct Program {
    child: Child,
    lines: Receiver<Value>,
    /// All lines so far.
    history: Vec<Value>,
    stderr: Option<JoinHandle<String>>,
}

/// How a process ended, and all that it printed.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) lines: Vec<Value>,
    pub(crate) stderr: String,
}

/// A process that serves.
pub(crate) struct Server {
    pub(crate) program: Program,
    /// Where its page is.
    pub(crate) url: String,
    /// The endpoint of the service behind it.
    pub(crate) service: String,
}

/// Serves, with the emulator in the same process.
pub(crate) fn serve() -> Server {
    Server::of(Program::start(&["--port", "0", "--json"], &[]))
}

/// Serves in handler mode.
pub(crate) fn serve_as_handler() -> Server {
    Server::of(Program::start(&["--handler", "--port", "0", "--json"], &[]))
}

/// Serves in front of another process's emulator, or of a wire to it.
pub(crate) fn serve_on(service: &str) -> Server {
    let connection_string = format!("Endpoint={service};AccessKey={WELL_KNOWN_KEY};Version=1.0;");
    let variables = [("WebPubSubConnectionString", connection_string.as_str())];
    Server::of(Program::start(&["--port", "0", "--json"], &variables))
}

/// Enters the room `r` by a server.
pub(crate) fn join(server: &Server, name: &str, options: &[&str]) -> Program {
    let arguments = [
        "join",
        "r",
        "--server",
        &server.url,
        "--name",
        name,
        "--json",
    ];
    Program::start(&[&arguments, options].concat(), &[])
}

impl Server {
    fn of(mut program: Program) -> Self {
        let ready = program.until("the server is ready", |line| line["event"] == "ready");
        let text = |member: &str| ready[member].as_str().expect("a text").to_owned();
        Self {
            url: text("url"),
            service: text("service"),
            program,
        }
    }
}

impl Program {
    pub(crate) fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_chat"))
            .args(arguments)
            .env_clear()
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in stdout.lines() {
                let line = line.expect("text");
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut errors = child.stderr.take().expect("a pipe");
        let stderr = thread::spawn(move || {
            let mut text = String::new();
            errors.read_to_string(&mut text).expect("text");
            text
        });
        Self {
            child,
            lines,
            history: Vec::new(),
            stderr: Some(stderr),
        }
    }

    /// The first line of all that is so, as soon as it is printed.
    pub(crate) fn until(&mut self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        if let Some(line) = self.history.iter().find(|line| is_so(line)) {
            return line.clone();
        }
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                panic!("not until: {what}; it printed {:#?}", self.history);
            };
            self.history.push(line.clone());
            if is_so(&line) {
                return line;
            }
        }
    }

    pub(crate) fn until_event(&mut self, event: &str) -> Value {
        self.until(event, |line| line["event"] == event)
    }

    /// Until a message is heard.
    pub(crate) fn until_heard(&mut self, text: &str) {
        let is_it = |line: &Value| line["event"] == "message" && line["text"] == text;
        self.until(&format!("heard {text}"), is_it);
    }

    /// Until the service has accepted a message.
    pub(crate) fn until_sent(&mut self, text: &str) {
        let is_it = |line: &Value| line["event"] == "sent" && line["text"] == text;
        self.until(&format!("sent {text}"), is_it);
    }

    /// Until somebody's arrival is announced.
    pub(crate) fn until_arrival(&mut self, name: &str) {
        let is_it = |line: &Value| line["event"] == "arrival" && person(&line["user"]) == name;
        self.until(&format!("{name} joined"), is_it);
    }

    /// Types a line.
    pub(crate) fn say(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().expect("a pipe");
        writeln!(stdin, "{text}").expect("it reads");
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status()
            .expect("there is `kill`");
        assert!(status.success(), "kill -{name}");
    }

    pub(crate) fn close_input(&mut self) {
        self.child.stdin = None;
    }

    /// Ends its input and waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        self.close_input();
        self.ended()
    }

    /// Waits for its end.
    pub(crate) fn ended(mut self) -> Ended {
        let status = self.child.wait().expect("a child");
        let stderr = self.stderr.take().expect("taken once").join();
        let mut lines = std::mem::take(&mut self.history);
        lines.extend(self.lines.iter());
        Ended {
            status,
            lines,
            stderr: stderr.expect("it reads"),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// The states of the connection, in order, with what matters of their causes.
    pub(crate) fn states(&self) -> Vec<String> {
        let states = self.lines.iter().filter_map(|line| {
            let cause = |cause: &Value| {
                let kind = cause["kind"].as_str().expect("a kind");
                match cause["code"].as_u64() {
                    Some(code) => format!("{kind} {code}"),
                    None => kind.to_owned(),
                }
            };
            let event = line["event"].as_str().expect("an event");
            match event {
                "connecting" => Some(format!("{event} {}", line["attempt"])),
                "connected" => Some(event.to_owned()),
                "recovering" | "disconnected" => {
                    Some(format!("{event}: {}", cause(&line["cause"])))
                }
                "recovered" => Some(format!("{event}: {}", line["replayed"])),
                "stopped" => Some(format!("{event}: {}", cause(&line["reason"]))),
                "rejoinFailed" => Some(event.to_owned()),
                _ => None,
            }
        });
        states.collect()
    }

    /// The ids of the connections, one for each state that has one.
    pub(crate) fn connection_ids(&self) -> Vec<&str> {
        let ids = self.lines.iter().map(|line| line["connectionId"].as_str());
        ids.flatten().collect()
    }

    /// Who said what, in order.
    pub(crate) fn heard(&self) -> Vec<String> {
        let is_message = |line: &&Value| line["event"] == "message";
        self.lines
            .iter()
            .filter(is_message)
            .map(|line| {
                let text = line["text"].as_str().expect("a text");
                format!("{}: {text}", person(&line["from"]))
            })
            .collect()
    }

    /// Checks that it went well, and that its log holds no secret.
    pub(crate) fn went_well(&self) -> &Self {
        assert!(self.status.success(), "{}: {}", self.status, self.stderr);
        for what in ["panicked", "access_token", "eyJ"] {
            assert!(!self.stderr.contains(what), "{}", self.stderr);
        }
        self
    }
}

/// The name in a user id, without its tag.
fn person(user_id: &Value) -> &str {
    let user_id = user_id.as_str().expect("a user id");
    user_id.rsplit_once('#').expect("a tag").0
}
