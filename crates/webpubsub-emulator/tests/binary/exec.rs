//! `exec`: a command beside an emulator of its own.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use webpubsub_emulator::WELL_KNOWN_KEY;
use webpubsub_protocol::access::ConnectionString;

use super::process::{Ended, command, run};

/// Where shells are found.
fn path() -> (&'static str, String) {
    ("PATH", std::env::var("PATH").expect("a PATH"))
}

fn exec(words: &[&str], variables: &[(&str, &str)]) -> Ended {
    let (name, value) = path();
    let variables = [variables, &[(name, value.as_str())]].concat();
    run(&[&["exec"], words].concat(), &variables)
}

fn kill(signal: &str, child: &Child) {
    let mut kill = Command::new("kill");
    kill.args([format!("-{signal}"), child.id().to_string()]);
    assert!(kill.status().expect("kill runs").success());
}

#[test]
fn the_command_finds_the_emulator_in_its_variables() {
    // What they held before is not used, and where the application listens is not where the emulator does.
    let before = [
        ("WebPubSubConnectionString", "Endpoint=http://localhost:1;"),
        ("WPS_ENDPOINT", "http://localhost:1"),
        ("Urls", "http://0.0.0.0:1"),
    ];
    let script = "echo \"$WebPubSubConnectionString\"; echo \"$WEBPUBSUB_CONNECTION_STRING\"; \
                  echo \"$WEBPUBSUB_CONNECTIONSTRING\"; echo \"$Azure__WebPubSub__ConnectionString\"; \
                  echo \"$WPS_CONNECTION_STRING\"; echo \"$WEB_PUB_SUB_CONNECTION_STRING\"; \
                  echo \"$WEBPUBSUB_ENDPOINT\"; echo \"$WPS_ENDPOINT\"; echo \"$WebPubSubEndpoint\"; \
                  echo \"$WEBPUBSUB_ACCESS_KEY\"; echo \"$WPS_API_KEY\"";
    let ended = exec(&["--", "sh", "-c", script], &before);
    assert!(ended.status.success(), "{ended:?}");
    // The output is the command's alone.
    assert_eq!(ended.stderr, "");
    let lines: Vec<&str> = ended.stdout.lines().collect();
    let [strings @ .., _, _, endpoint, key, other_key] = lines.as_slice() else {
        panic!("{ended:?}")
    };
    assert_eq!(strings.len(), 6);
    for string in strings {
        let connection: ConnectionString = string.parse().expect("a connection string");
        assert_eq!(connection.access_key().expose(), WELL_KNOWN_KEY);
        let found = connection
            .endpoint()
            .as_str()
            .trim_end_matches('/')
            .to_owned();
        assert_eq!(found, *endpoint);
        assert_ne!(connection.endpoint().port(), Some(1));
    }
    assert_eq!([*key, *other_key], [WELL_KNOWN_KEY; 2]);
}

#[test]
fn the_emulator_is_ready_when_the_command_starts() {
    let program = env!("CARGO_BIN_EXE_webpubsub-emulator");
    let ended = exec(&["--", program, "send", "all", "hi", "--hub", "chat"], &[]);
    assert!(ended.status.success(), "{ended:?}");
}

#[test]
fn it_ends_as_the_command_does() {
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 137)] {
        let ended = exec(&["--", "sh", "-c", script], &[]);
        assert_eq!(ended.status.code(), Some(code), "{script}: {ended:?}");
    }
}

#[test]
fn signals_reach_the_command() {
    let (name, value) = path();
    for (signal, code) in [("TERM", 143), ("INT", 130), ("HUP", 129)] {
        let words = ["exec", "--", "sh", "-c", "echo ready; exec cat"];
        let mut child = command(&words, &[(name, value.as_str())])
            // The command reads until somebody ends it.
            .stdin(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        stdout.read_line(&mut line).expect("text");
        assert_eq!(line, "ready\n");
        kill(signal, &child);
        // Not `wait`, which would close the command's stdin.
        let stdin = child.stdin.take();
        let status = child.wait().expect("it ends");
        drop(stdin);
        assert_eq!(status.code(), Some(code), "{signal}");
    }
}

#[test]
fn failures_of_its_own_are_told_from_those_of_the_command() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("no-program");
    std::fs::write(&file, "").expect("it is written");
    let file = file.to_str().expect("text");
    for (words, code, expected) in [
        (
            &["--", "no-such-program"][..],
            127,
            "cannot run no-such-program: ",
        ),
        (&["--", file], 126, "cannot run "),
        (&["--port", &port, "--", "true"], 125, "is already in use"),
        (
            &["--prot", "1", "--", "true"],
            125,
            "did you mean `--port`?",
        ),
        (
            &["true"],
            125,
            "there is an argument that belongs to no flag",
        ),
        (&[], 125, "write the command after `--`"),
    ] {
        let ended = exec(words, &[]);
        assert_eq!(ended.status.code(), Some(code), "{words:?} {ended:?}");
        assert!(ended.stderr.contains(expected), "{ended:?}");
        assert_eq!(ended.stdout, "");
    }
}
