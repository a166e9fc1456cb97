//! Hubs that are set up from outside: what the program says about them, and that a changed file reaches it.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    sync::mpsc::{Receiver, channel},
    thread,
};

use serde_json::{Value, json};

use crate::binary::process::{Running, TEST_TIMEOUT};

const HANDLER: &str = "chat=http://127.0.0.1:9/eventhandler/{event}?code=sEcReT";

#[test]
fn the_greeting_names_the_event_handlers_without_their_queries() {
    let running = Running::start(
        &[
            "--event-handler",
            HANDLER,
            "--event-handler=news=http://127.0.0.1:9/",
        ],
        &[("WEBPUBSUB_EMULATOR_ANONYMOUS_CONNECT", "lobby=allow")],
    );
    let ended = running.stop();
    let all = "(user events: *; system events: connect, connected, disconnected)";
    let expected = format!(
        "\n  Event handlers:     chat: http://127.0.0.1:9/eventhandler/{{event}}?.. {all}\n\
         \x20                     news: http://127.0.0.1:9/ {all}\n  Anonymous clients:  lobby\n"
    );
    assert!(ended.stdout.contains(&expected), "{}", ended.stdout);
    assert!(!ended.stderr.contains("sEcReT"), "{}", ended.stderr);
}

#[test]
fn a_handler_that_a_flag_names_is_asked_whether_it_wants_events() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let flag = format!(
        "chat=http://{}/{{hub}}/{{event}}",
        listener.local_addr().unwrap()
    );
    let asked = first_line(listener);
    let running = Running::start(&["--event-handler", &flag], &[]);
    let line = asked.recv_timeout(TEST_TIMEOUT).unwrap();
    assert_eq!(line, "OPTIONS /chat/validate HTTP/1.1");
    running.stop();
}

#[test]
fn the_ready_line_names_the_event_handlers_without_their_queries() {
    let ended = Running::start(&["--json", "--event-handler", HANDLER], &[]).stop();
    let ready: Value = serde_json::from_str(&ended.stdout).unwrap();
    let expected = json!([{
        "hub": "chat",
        "anonymousConnect": false,
        "eventHandlers": [{
            "url": "http://127.0.0.1:9/eventhandler/{event}?..",
            "userEvents": "*",
            "systemEvents": ["connect", "connected", "disconnected"],
        }],
    }]);
    assert_eq!(ready["hubs"], expected);
}

/// The first line of the first request that comes.
fn first_line(listener: TcpListener) -> Receiver<String> {
    let (line, received) = channel();
    thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        let first = BufReader::new(stream).lines().next();
        line.send(first.expect("a line").expect("text"))
    });
    received
}

#[test]
fn a_changed_file_is_read_again_and_a_broken_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("emulator.toml");
    let write = |text: &str| {
        // As editors and orchestrators do it: another file takes the name.
        let new = folder.path().join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, &path).unwrap();
    };
    let hub = |url: &str| format!("[[hubs.chat.event_handlers]]\nurl = '{url}'\n");
    write(&hub("http://127.0.0.1:9/"));
    let running = Running::start(&["--json", "--config", path.to_str().unwrap()], &[]);

    write(&hub("ftp://two/"));
    let line = running.logged("ftp:");
    assert!(
        line.contains(
            "emulator.toml:2: `hubs.chat.event_handlers.0.url`: `ftp:` URLs are not called: use `http` or `https`: the \
             last valid settings of hubs stay"
        ),
        "{line}"
    );
    // In place, and with something that cannot change.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let url = format!("http://{address}/{{event}}?code=sEcReT");
    let asked = first_line(listener);
    fs::write(&path, format!("max-ack-ids = 9\n{}", hub(&url))).unwrap();
    let line = running.logged("max-ack-ids");
    assert!(
        line.contains("emulator.toml: `max-ack-ids` differs from the start: it needs a restart"),
        "{line}"
    );
    let line = running.logged("the settings of hubs changed");
    let expected = format!("changed: chat: http://{address}/{{event}}?.. (user events: *;");
    assert!(line.contains(&expected), "{line}");
    // A new handler is asked at once whether it wants events.
    let asked = asked.recv_timeout(TEST_TIMEOUT).unwrap();
    assert_eq!(asked, "OPTIONS /validate?code=sEcReT HTTP/1.1");
    fs::remove_file(&path).unwrap();
    running.logged("emulator.toml: cannot be read");
    let ended = running.stop();
    assert!(!ended.stderr.contains("sEcReT"), "{}", ended.stderr);
}
