//! What the program says when it is ready, and how it stops.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    time::{Duration, SystemTime},
};

use serde_json::Value;
use webpubsub_emulator::WELL_KNOWN_KEY;
use webpubsub_protocol::access::{AccessKey, sign_rest_token};

use crate::binary::process::{Running, run};

const ADMIN_TOKEN: &str = "aDmIn-0123456789";

const OWN_KEY: &str = "sEcReT0123456789sEcReT0123456789";

#[test]
fn people_get_a_greeting_on_stdout_and_logs_on_stderr() {
    let running = Running::start(&[], &[]);
    let address = running.address;
    let health = running.exchange(b"HEAD /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(health.starts_with("HTTP/1.1 200 "), "{health}");
    let ended = running.stop();
    assert!(ended.status.success(), "{ended:?}");
    let version = env!("CARGO_PKG_VERSION");
    let (_, admin) = ended
        .stdout
        .split_once("/_emulator, token ")
        .expect("a token");
    let token = &admin[..32];
    assert!(
        token.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{token}"
    );
    assert!(!ended.stderr.contains(token), "{ended:?}");
    let expected = format!(
        "Azure Web PubSub emulator {version} is ready.\n\
         \n\
         \x20 Listening on:       http://{address}\n\
         \x20 Connection string:  Endpoint=http://{address};AccessKey={WELL_KNOWN_KEY};Version=1.0;\n\
         \x20 Client endpoint:    ws://{address}/client/hubs/{{hub}}?access_token={{token}}\n\
         \x20 Health:             HEAD http://{address}/api/health\n\
         \x20 Admin API:          http://{address}/_emulator, token {token}\n\
         \n\
         Press Ctrl+C to stop.\n"
    );
    assert_eq!(ended.stdout, expected);
    assert!(ended.stderr.contains("stopping"), "{ended:?}");
}

#[test]
fn programs_get_one_line_of_json() {
    let variables = [
        ("WEBPUBSUB_EMULATOR_ACCESS_KEY", OWN_KEY),
        ("WEBPUBSUB_EMULATOR_ADMIN_TOKEN", ADMIN_TOKEN),
    ];
    let running = Running::start(&["--json"], &variables);
    let address = running.address;
    let ended = running.stop();
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(
        ended.stdout,
        format!(
            "{{\"event\":\"ready\",\"endpoint\":\"http://{address}\",\
             \"connectionString\":\"Endpoint=http://{address};AccessKey={OWN_KEY};Version=1.0;\",\
             \"adminUrl\":\"http://{address}/_emulator\",\"adminToken\":\"{ADMIN_TOKEN}\"}}\n"
        )
    );
    assert!(serde_json::from_str::<Value>(&ended.stdout).is_ok());
    for secret in [OWN_KEY, ADMIN_TOKEN] {
        assert!(!ended.stderr.contains(secret), "{ended:?}");
    }
}

#[test]
fn the_admin_api_is_off_when_told_so_and_an_own_token_is_not_shown() {
    let variables = [("WEBPUBSUB_EMULATOR_ADMIN_TOKEN", ADMIN_TOKEN)];
    let ended = Running::start(&[], &variables).stop();
    assert!(
        ended.stdout.contains("/_emulator, token <your token>\n"),
        "{ended:?}"
    );
    assert!(!ended.stdout.contains(ADMIN_TOKEN), "{ended:?}");
    let ended = Running::start(&["--no-admin"], &variables).stop();
    assert!(!ended.stdout.contains("Admin"), "{ended:?}");
}

#[test]
fn the_log_is_json_when_asked_for() {
    let ended = Running::start(&["--log-format", "json", "--log", "debug"], &[]).stop();
    let lines: Vec<Value> = ended
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let stopping = lines.iter().find(|line| {
        line["message"]
            .as_str()
            .is_some_and(|it| it.starts_with("stopping"))
    });
    let stopping = stopping.expect("a line about the stop");
    assert_eq!(stopping["level"], "INFO");
    let ended = run(&["--log-format", "xml"], &[]);
    assert_eq!(ended.status.code(), Some(2));
    assert!(
        ended
            .stderr
            .contains("`--log-format`: expected `text` or `json`"),
        "{ended:?}"
    );
}

#[test]
fn both_signals_stop_it() {
    for signal in ["INT", "TERM"] {
        let running = Running::start(&["--json"], &[]);
        running.signal(signal);
        let ended = running.ended();
        assert!(ended.status.success(), "{signal}: {ended:?}");
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the program follows the machine's time"
)]
fn a_second_signal_does_not_wait_for_requests() {
    let running = Running::start(&["--json"], &[]);
    let host = running.address;
    let target = "/api/hubs/chat/:send";
    let token = sign_rest_token(
        &format!("http://{host}{target}"),
        &AccessKey::new(WELL_KNOWN_KEY),
        Duration::from_secs(60),
        SystemTime::now(),
    );
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {}\r\nContent-Type: text/plain\r\n\
         Content-Length: 2\r\n",
        token.as_str()
    );
    // The first request shows that the connection has spoken; the body of the second one never comes.
    let mut stream = TcpStream::connect(host).unwrap();
    let requests = format!("{head}\r\nhi{head}Expect: 100-continue\r\n\r\n");
    stream.write_all(requests.as_bytes()).unwrap();
    let mut answers = BufReader::new(stream).lines().map(Result::unwrap);
    assert!(answers.next().unwrap().starts_with("HTTP/1.1 202 "));
    // It is being read once its client is told to go on.
    assert!(answers.any(|line| line.starts_with("HTTP/1.1 100 ")));
    running.signal("INT");
    running.signal("TERM");
    let ended = running.ended();
    assert_eq!(ended.status.code(), Some(130), "{ended:?}");
}

#[test]
fn help_and_version_go_to_stdout() {
    for (argument, expected) in [
        ("--help", "--public-endpoint <URL>"),
        ("--version", env!("CARGO_PKG_VERSION")),
    ] {
        let ended = run(&[argument], &[]);
        assert!(ended.status.success());
        assert!(ended.stdout.contains(expected), "{ended:?}");
        assert_eq!(ended.stderr, "");
    }
}

#[test]
fn addresses_that_others_can_reach_are_explained() {
    let running = Running::start(
        &["--host", "0.0.0.0"],
        &[("WEBPUBSUB_EMULATOR_ACCESS_KEY", OWN_KEY)],
    );
    let port = running.address.port();
    let ended = running.stop();
    for expected in [
        format!("Listening on:       http://0.0.0.0:{port}\n"),
        format!("Endpoint=http://localhost:{port};AccessKey=<your key>;Version=1.0;"),
        "host.docker.internal".to_owned(),
    ] {
        assert!(ended.stdout.contains(&expected), "{ended:?}");
    }
}
