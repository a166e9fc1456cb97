//! Hubs that are set up from outside: what the program says about them, and that a changed file reaches it.

use std::fs;

use serde_json::{Value, json};

use crate::process::Running;

const HANDLER: &str = "chat=http://127.0.0.1:3000/eventhandler/{event}?code=sEcReT";

#[test]
fn the_greeting_names_the_event_handlers_without_their_queries() {
    let running = Running::start(
        &["--event-handler", HANDLER, "--event-handler=news=http://h/"],
        &[("WEBPUBSUB_EMULATOR_ANONYMOUS_CONNECT", "lobby=allow")],
    );
    let ended = running.stop();
    let all = "(user events: *; system events: connect, connected, disconnected)";
    let expected = format!(
        "\n  Event handlers:     chat: http://127.0.0.1:3000/eventhandler/{{event}}?.. {all}\n\
         \x20                     news: http://h/ {all}\n  Anonymous clients:  lobby\n"
    );
    assert!(ended.stdout.contains(&expected), "{}", ended.stdout);
    assert!(!ended.stderr.contains("sEcReT"), "{}", ended.stderr);
}

#[test]
fn the_ready_line_names_the_event_handlers_without_their_queries() {
    let ended = Running::start(&["--json", "--event-handler", HANDLER], &[]).stop();
    let ready: Value = serde_json::from_str(&ended.stdout).unwrap();
    let expected = json!([{
        "hub": "chat",
        "anonymousConnect": false,
        "eventHandlers": [{
            "url": "http://127.0.0.1:3000/eventhandler/{event}?..",
            "userEvents": "*",
            "systemEvents": ["connect", "connected", "disconnected"],
        }],
    }]);
    assert_eq!(ready["hubs"], expected);
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
    write(&hub("http://one/"));
    let running = Running::start(&["--json", "--config", path.to_str().unwrap()], &[]);

    write(&hub("ftp://two/"));
    let line = running.logged("WARN");
    assert!(
        line.contains(
            "emulator.toml:2: `hubs.chat.event_handlers.0.url`: `ftp:` URLs are not called: use `http` or `https`: the \
             last valid settings of hubs stay"
        ),
        "{line}"
    );
    // In place, and with something that cannot change.
    fs::write(
        &path,
        format!("max-ack-ids = 9\n{}", hub("http://two/{event}?code=sEcReT")),
    )
    .unwrap();
    let line = running.logged("max-ack-ids");
    assert!(
        line.contains("emulator.toml: `max-ack-ids` differs from the start: it needs a restart"),
        "{line}"
    );
    let line = running.logged("the settings of hubs changed");
    assert!(
        line.contains("changed: chat: http://two/{event}?.. (user events: *;"),
        "{line}"
    );
    fs::remove_file(&path).unwrap();
    running.logged("cannot be read");
    let ended = running.stop();
    assert!(!ended.stderr.contains("sEcReT"), "{}", ended.stderr);
}
