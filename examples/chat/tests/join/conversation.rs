//! How one comes in and goes, and what is said when that fails.

use std::cell::Cell;
use std::net::{Ipv4Addr, TcpListener};

use serde_json::Value;

use crate::program::{Ended, Program, join, serve, serve_as_handler};

#[test]
fn what_was_typed_before_the_input_ends_is_sent() {
    let server = serve();
    let mut ben = join(&server, "Ben", &["--listen"]);
    ben.until_arrival("Ben");
    let mut ana = join(&server, "Ana", &[]);
    ana.say("  first ");
    ana.say("");
    ana.say("second");
    let ana = ana.end();
    let states = ana.went_well().states();
    assert_eq!(
        states,
        [
            "connecting 1",
            "connected",
            "disconnected: stopped",
            "stopped: requested"
        ]
    );

    ben.until_heard("second");
    ben.signal("INT");
    let ben = ben.ended();
    let states = ben.went_well().states();
    assert_eq!(
        states,
        [
            "connecting 1",
            "connected",
            "disconnected: stopped",
            "stopped: requested"
        ]
    );
    assert_eq!(ben.heard(), ["Ana: first", "Ana: second"]);
}

#[test]
fn a_listener_stays_when_its_input_ends() {
    let server = serve();
    let mut ben = join(&server, "Ben", &["--listen"]);
    ben.close_input();
    ben.until_arrival("Ben");
    let mut ana = join(&server, "Ana", &[]);
    ana.say("still there?");
    ana.end().went_well();
    ben.until_heard("still there?");
    ben.signal("TERM");
    ben.ended().went_well();
}

#[test]
fn without_a_server_it_says_how_to_start_one() {
    let nobody = {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.local_addr().expect("an address")
    };
    let url = format!("http://{nobody}/");
    let ended = Program::start(&["join", "r", "--server", &url, "--json"], &[]).ended();
    assert_eq!(ended.states(), ["connecting 1", "stopped: refused"]);
    assert_eq!(
        ended.stderr,
        format!(
            "chat: no chat server at {url}; start one with `cargo run -p chat` in another terminal, or name yours \
             with `--server`\n"
        )
    );
    assert_eq!(ended.status.code(), Some(1));
}

#[test]
fn what_is_no_chat_server_is_called_so() {
    let server = serve();
    let ended = Program::start(&["join", "r", "--server", &server.service], &[]).ended();
    assert!(
        ended.stderr.contains("is no chat server"),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.status.code(), Some(1));
}

#[test]
fn bad_arguments_are_refused_before_anything_is_asked() {
    let refused = |arguments: &[&str], words: &str| {
        let Ended {
            status,
            lines,
            stderr,
        } = Program::start(&[&["join"], arguments].concat(), &[]).ended();
        assert!(stderr.contains(words), "{arguments:?}: {stderr}");
        assert_eq!((status.code(), lines.len()), (Some(2), 0));
    };
    refused(&[], "<ROOM>");
    refused(&["a.b"], "A room has only letters a to z");
    refused(&["r", "--name", "a#b"], "A name has no '#'.");
    refused(&["r", "--name", ""], "Please type a name.");
    refused(&["r", "--server", "localhost:3000"], "begins with http://");
    refused(&["r", "--server", "here"], "it is no URL");
    refused(
        &["r", "--keep-alive-timeout", "soon"],
        "--keep-alive-timeout",
    );
}

#[test]
fn in_handler_mode_the_server_publishes_and_tells_who_is_here() {
    let server = serve_as_handler();
    let mut ana = join(&server, "Ana", &[]);
    let present = |count: usize| {
        move |line: &Value| {
            line["event"] == "presence" && line["users"].as_array().map(Vec::len) == Some(count)
        }
    };
    ana.until("Ana is here", present(1));
    let mut ben = join(&server, "Ben", &[]);
    for person in [&mut ana, &mut ben] {
        person.until("both are here", present(2));
    }
    ana.say("hello");
    ana.until_sent("hello");
    ben.until_heard("hello");
    ben.say("hello yourself");
    ana.until_heard("hello yourself");
    let ben = ben.end();
    assert_eq!(ben.went_well().heard(), ["Ana: hello"]);
    let alone = Cell::new(0);
    ana.until("she is alone again", |line| {
        alone.set(alone.get() + usize::from(present(1)(line)));
        alone.get() == 2
    });
    let ana = ana.end();
    assert_eq!(ana.went_well().heard(), ["Ben: hello yourself"]);
}
