//! What the program says when it is ready, and how it stops.

use std::net::TcpStream;

use serde_json::Value;
use webpubsub_emulator::WELL_KNOWN_KEY;

use crate::process::{Running, run};

const OWN_KEY: &str = "sEcReT0123456789sEcReT0123456789";

#[test]
fn people_get_a_greeting_on_stdout_and_logs_on_stderr() {
    let running = Running::start(&[], &[]);
    let address = running.address;
    assert!(
        running
            .exchange(b"HEAD /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .is_empty()
            || TcpStream::connect(address).is_ok()
    );
    let ended = running.stop();
    assert!(ended.status.success(), "{ended:?}");
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "Azure Web PubSub emulator {version} is ready.\n\
         \n\
         \x20 Listening on:       http://{address}\n\
         \x20 Connection string:  Endpoint=http://{address};AccessKey={WELL_KNOWN_KEY};Version=1.0;\n\
         \x20 Client endpoint:    ws://{address}/client/hubs/{{hub}}?access_token={{token}}\n\
         \x20 Health:             HEAD http://{address}/api/health\n\
         \n\
         Press Ctrl+C to stop.\n"
    );
    assert_eq!(ended.stdout, expected);
    assert!(ended.stderr.contains("stopping"), "{ended:?}");
}

#[test]
fn programs_get_one_line_of_json() {
    let running = Running::start(&["--json"], &[("WEBPUBSUB_EMULATOR_ACCESS_KEY", OWN_KEY)]);
    let address = running.address;
    let ended = running.stop();
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(
        ended.stdout,
        format!(
            "{{\"event\":\"ready\",\"endpoint\":\"http://{address}\",\
             \"connectionString\":\"Endpoint=http://{address};AccessKey={OWN_KEY};Version=1.0;\"}}\n"
        )
    );
    assert!(serde_json::from_str::<Value>(&ended.stdout).is_ok());
    assert!(!ended.stderr.contains(OWN_KEY), "{ended:?}");
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
fn a_second_signal_does_not_wait_for_requests() {
    use std::io::{Read as _, Write as _};

    let running = Running::start(&["--json"], &[]);
    // A request whose body never comes holds the shutdown up.
    let mut stream = TcpStream::connect(running.address).unwrap();
    stream
        .write_all(
            b"HEAD /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n\
              POST /api/hubs/chat/:send HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n",
        )
        .unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).unwrap();
    running.signal("INT");
    running.signal("TERM");
    let ended = running.ended();
    assert!(matches!(ended.status.code(), Some(0 | 130)), "{ended:?}");
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
