//! `connect`, `trigger` and `bench`: what is seen of a client, a handler and an endpoint.

use std::io::Write as _;
use std::process::Stdio;

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::{Router, routing::post};
use serde_json::Value;
use webpubsub_emulator::{Emulator, UserEventReply};

use super::process::{Ended, command, run};

/// Runs `connect` with these lines on stdin, beside the service with this connection string.
async fn connect(connection: String, flags: &[&str], commands: &str) -> Ended {
    let flags: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
    let commands = commands.to_owned();
    let ran = tokio::task::spawn_blocking(move || {
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let words = [&["connect", "--hub", "chat"], flags.as_slice()].concat();
        let mut child = command(&words, &[("WebPubSubConnectionString", &connection)])
            .stdin(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        // It may end before it has read all.
        let _ = stdin.write_all(commands.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        Ended {
            status: output.status,
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    });
    ran.await.expect("it ends")
}

/// The events in lines of JSON: each with its name and a member that tells it from others.
fn events(ended: &Ended) -> Vec<(String, Value)> {
    let lines = ended.stdout.lines().map(|line| {
        let mut event: Value = serde_json::from_str(line).expect("JSON");
        let name = event["event"].as_str().expect("a name").to_owned();
        let said = ["data", "state", "command", "error"].into_iter();
        let said = said.map(|member| event[member].take());
        (
            name,
            said.into_iter()
                .find(|value| !value.is_null())
                .unwrap_or_default(),
        )
    });
    lines.collect()
}

#[tokio::test]
async fn a_script_of_commands_is_carried_out_line_by_line() {
    let emulator = Emulator::builder()
        .on_user_event(|event| async move {
            let bytes = event.payload.as_bytes().len();
            Ok(UserEventReply::text(format!("{bytes} bytes")))
        })
        .start()
        .await
        .expect("it starts");
    let commands = "join room\nsend room hi there\nwait 1\nsend room --json {\"a\":1.00}\nwait 2\ninvoke measure abc\n\
                  event note x\nstate room typing=yes\nwatch room\nunwatch room\nclear room\nleave room\n";
    let ended = connect(
        emulator.connection_string(),
        &["--json", "--user", "ana"],
        commands,
    )
    .await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let events = events(&ended);
    let said = |name: &str, value: &str| {
        let found = events
            .iter()
            .any(|(event, said)| event == name && said == value);
        assert!(found, "{name} {value}: {events:?}");
    };
    said("groupMessage", "hi there");
    said("answer", "3 bytes");
    for command in [
        "join", "send", "event", "state", "watch", "unwatch", "clear", "leave",
    ] {
        said("done", command);
    }
    assert!(ended.stdout.contains("\"data\":{\"a\":1.00}"), "{ended:?}");
}

#[tokio::test]
async fn streams_are_written_and_read() {
    let emulator = Emulator::start().await.expect("it starts");
    let commands =
        "join room\nstreams room\nstream room\nwrite one\nwrite two\nend\nwait 2\nwrite late\n";
    let ended = connect(emulator.connection_string(), &[], commands).await;
    // The last command fails: the stream is over.
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    for expected in [
        "#1: one",
        "#2: two",
        "end: ok",
        "write: there is no open stream",
    ] {
        assert!(ended.stdout.contains(expected), "{expected}: {ended:?}");
    }
}

#[tokio::test]
async fn what_a_client_may_not_do_fails_with_the_services_words() {
    let emulator = Emulator::start().await.expect("it starts");
    let role = ["--role", "webpubsub.sendToGroup.other"];
    let ended = connect(emulator.connection_string(), &role, "join room\n").await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(
        ended
            .stdout
            .contains("join: the service refused the request: Forbidden"),
        "{ended:?}"
    );
    let stranger = "Endpoint=http://127.0.0.1:1;AccessKey=sEcReT0123456789sEcReT0123456789;";
    let ended = connect(stranger.to_owned(), &[], "").await;
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended
            .stderr
            .starts_with("error: no connection to the service: ")
    );
    assert!(!ended.stderr.contains("sEcReT"), "{ended:?}");
}

/// A handler that answers with what it was told, and knows one event that it cannot take.
async fn handler() -> String {
    let answer = |Path(event): Path<String>, headers: HeaderMap, body: String| async move {
        let user = headers.get("ce-userid").and_then(|user| user.to_str().ok());
        let signed = headers.contains_key("ce-signature");
        match event.as_str() {
            "broken" => (StatusCode::INTERNAL_SERVER_ERROR, "no such item".to_owned()),
            "connect" => (StatusCode::OK, "{}".to_owned()),
            _ => (
                StatusCode::OK,
                format!("{event} of {} ({signed}): {body}", user.unwrap_or("nobody")),
            ),
        }
    };
    let router = Router::new().route("/eventhandler/{event}", post(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/eventhandler/{{event}}")
}

async fn trigger(words: &[&str]) -> Ended {
    let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
    let ran = tokio::task::spawn_blocking(move || {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        run(&[&["trigger"], words.as_slice()].concat(), &[])
    });
    ran.await.expect("it ends")
}

#[tokio::test]
async fn one_event_is_played_to_a_handler() {
    let url = handler().await;
    let order = ["user-event", "order", "two", "--url", &url, "--user", "ana"];
    let ended = trigger(&order).await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(ended.stdout.starts_with("200 after "), "{ended:?}");
    assert!(
        ended.stdout.ends_with("\norder of ana (true): two\n"),
        "{ended:?}"
    );
    let joined = trigger(&["joined", "room", "--url", &url, "--json"]).await;
    let answer: Value = serde_json::from_str(&joined.stdout).expect("JSON");
    assert_eq!(
        answer["body"],
        "joined of nobody (true): {\"group\":\"room\"}"
    );
    assert_eq!(answer["problem"], Value::Null);
    for event in [
        &["connect"][..],
        &["connected"],
        &["disconnected", "--reason", "x"],
    ] {
        let ended = trigger(&[event, &["--url", &url]].concat()).await;
        assert_eq!(ended.status.code(), Some(0), "{event:?} {ended:?}");
    }
}

#[tokio::test]
async fn answers_that_fail_an_event_are_told_from_mistakes() {
    let url = handler().await;
    let broken = trigger(&["user-event", "broken", "x", "--url", &url]).await;
    assert_eq!(broken.status.code(), Some(1), "{broken:?}");
    for expected in [
        "no such item",
        "The event has FAILED: HttpHandlerUnexpectedResponse",
    ] {
        assert!(broken.stdout.contains(expected), "{broken:?}");
    }
    for (words, code, expected) in [
        (
            &["connect"][..],
            2,
            "error: `--url`: give the URL of the handler",
        ),
        (&["connect", "--url", "nonsense"], 2, "error: the URL: "),
        (
            &["connect", "--url", &url, "--header", "x"],
            2,
            "error: `--header`: ",
        ),
        (
            &["connect", "--url", "http://127.0.0.1:1/"],
            1,
            "error: no answer from the handler",
        ),
    ] {
        let ended = trigger(words).await;
        assert_eq!(ended.status.code(), Some(code), "{words:?} {ended:?}");
        assert!(ended.stderr.starts_with(expected), "{ended:?}");
    }
}

#[tokio::test]
async fn an_endpoint_is_measured() {
    let emulator = Emulator::start().await.expect("it starts");
    for flags in [
        &["--json"][..],
        &["--json", "--rest"],
        &["--json", "--rate", "1000"],
    ] {
        let connection = emulator.connection_string();
        let flags: Vec<&'static str> = flags.to_vec();
        let ran = tokio::task::spawn_blocking(move || {
            let words = [
                "bench",
                "--hub",
                "b",
                "--connections",
                "3",
                "--messages",
                "20",
            ];
            let words = [&words[..], &flags].concat();
            run(&words, &[("WebPubSubConnectionString", &connection)])
        });
        let ended = ran.await.expect("it ends");
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
        assert_eq!(report["received"], 60, "{report}");
        assert_eq!(report["lost"], 0);
        let delivered = &report["delivered"];
        let [min, max] = ["min", "max"].map(|name| delivered[name].as_f64().expect("a number"));
        assert!(0.0 < min && min <= max, "{report}");
    }
}
