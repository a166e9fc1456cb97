//! The commands besides running the emulator.

use std::net::TcpListener;
use std::process::{Command, Stdio};

use super::process::{Running, run};

#[test]
fn health_asks_the_emulator_and_the_exit_status_tells() {
    let emulator = Running::start(&[], &[]);
    let port = emulator.address.port().to_string();
    let healthy = run(&["health", "--port", &port], &[]);
    assert_eq!(healthy.status.code(), Some(0), "{}", healthy.stderr);
    // As in a container, whose variables are those of the emulator.
    let urls = format!("http://0.0.0.0:{port}");
    assert!(run(&["health"], &[("Urls", &urls)]).status.success());
    emulator.stop();
    let gone = run(&["health", "--port", &port], &[]);
    assert_eq!(gone.status.code(), Some(1));
    let beginning = format!("error: 127.0.0.1:{port}: ");
    assert!(gone.stderr.starts_with(&beginning), "{}", gone.stderr);
}

#[test]
fn health_is_not_fooled_by_another_server() {
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = other.local_addr().expect("an address").port().to_string();
    let server = std::thread::spawn(move || {
        use std::io::Write as _;
        let (mut stream, _) = other.accept().expect("a connection");
        stream
            .write_all(b"HTTP/1.1 404 Not Found\r\n\r\n")
            .expect("it reads");
        stream
    });
    let asked = run(&["health", "--port", &port], &[]);
    server.join().expect("it answers");
    assert_eq!(asked.status.code(), Some(1));
    assert!(
        asked.stderr.contains("no healthy emulator"),
        "{}",
        asked.stderr
    );
}

#[test]
fn completions_are_what_their_shell_reads() {
    let printed = run(&["completions", "bash"], &[]);
    assert!(printed.status.success(), "{}", printed.stderr);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("script");
    std::fs::write(&file, printed.stdout).expect("it is written");
    // Nothing but reading: `-n` runs no command.
    let bash = Command::new("bash")
        .arg("-n")
        .arg(&file)
        .stdin(Stdio::null())
        .output();
    match bash {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.is_empty(), "{said}");
        }
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound),
    }
}

#[test]
fn what_is_printed_needs_no_valid_environment() {
    for arguments in [
        &["man"][..],
        &["man", "doctor"],
        &["completions", "zsh"],
        &["--help"],
        &["--version"],
    ] {
        let printed = run(arguments, &[("WEBPUBSUB_EMULATOR_PORT", "none")]);
        assert!(
            printed.status.success() && !printed.stdout.is_empty(),
            "{arguments:?} {}",
            printed.stderr
        );
    }
}
