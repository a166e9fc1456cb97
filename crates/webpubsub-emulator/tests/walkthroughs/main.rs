//! The commands in `docs/testing.md` and `docs/debugging.md`, run as they stand there. No part of the package, since the
//! documents are none.
#![cfg(unix)]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::{Router, extract, http::StatusCode, routing::any};

/// Where the handler of the documents listens.
const HANDLER: &str = "127.0.0.1:3000";

/// A part of a document: what is typed, and what is said to appear.
#[derive(Debug, Default)]
struct Section {
    title: String,
    script: String,
    expected: Vec<String>,
}

fn sections(text: &str) -> Vec<Section> {
    let mut sections = Vec::new();
    let mut fence = None;
    for line in text.lines() {
        if let Some(info) = line.strip_prefix("```") {
            fence = match fence {
                None => Some(info.to_owned()),
                Some(_) => None,
            };
        } else if let (None, Some(title)) = (&fence, line.strip_prefix("## ")) {
            sections.push(Section {
                title: title.to_owned(),
                ..Section::default()
            });
        } else if let (Some(info), Some(section)) = (&fence, sections.last_mut()) {
            match info.as_str() {
                "sh" => section.script += &format!("{line}\n"),
                "text" => section.expected.push(line.to_owned()),
                other => panic!("a block of `{other}`"),
            }
        }
    }
    sections
}

/// Types a section into a shell, and compares what appears.
fn play(section: &Section, handler: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let program = Path::new(env!("CARGO_BIN_EXE_webpubsub-emulator"));
    let programs = program.parent().expect("a folder").display();
    let path = std::env::var("PATH").expect("a PATH");
    let mut shell = Command::new("bash");
    shell
        .current_dir(folder.path())
        .env("PATH", format!("{programs}:{path}"))
        .env("HOME", folder.path())
        // In every shell: the first command that fails ends it.
        .env("SHELLOPTS", "errexit:pipefail")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut shell = shell.spawn().expect("bash starts");
    let mut stdin = shell.stdin.take().expect("a pipe");
    let script = section.script.replace(HANDLER, handler);
    stdin.write_all(script.as_bytes()).expect("it reads");
    drop(stdin);
    let output = shell.wait_with_output().expect("it ends");
    let title = &section.title;
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{title}: {said}{errors}");
    for expected in &section.expected {
        let expected = expected.replace(HANDLER, handler);
        let found = said.lines().any(|line| matches(line, expected.trim()));
        assert!(found, "{title}: no line `{expected}` in: {said}{errors}");
    }
}

/// Whether a line holds a text, in which `..` stands for anything.
fn matches(line: &str, expected: &str) -> bool {
    let mut rest = line;
    expected.split("..").all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

/// A server that cannot take the first order.
async fn handler() -> String {
    let is_broken = Arc::new(AtomicBool::new(true));
    let answer = move |extract::Path(event): extract::Path<String>| {
        let breaks = event == "order" && is_broken.swap(false, Ordering::SeqCst);
        let status = match breaks {
            // Not one that is tried again.
            true => StatusCode::BAD_REQUEST,
            false => StatusCode::OK,
        };
        async move { (status, [("WebHook-Allowed-Origin", "*")]) }
    };
    let router = Router::new().route("/eventhandler/{event}", any(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address.to_string()
}

async fn play_all(document: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs")
        .join(document);
    let text = fs::read_to_string(&file).expect("a document");
    let sections = sections(&text);
    assert!(sections.len() > 2, "{sections:?}");
    let handler = handler().await;
    for section in sections {
        let handler = handler.clone();
        let played = tokio::task::spawn_blocking(move || play(&section, &handler));
        played.await.expect("it passes");
    }
}

#[tokio::test]
async fn the_commands_of_testing_work() {
    play_all("testing.md").await;
}

#[tokio::test]
async fn the_commands_of_debugging_work() {
    play_all("debugging.md").await;
}

#[test]
fn lines_are_compared_around_what_varies() {
    assert!(matches("a 1 b 22 c", "a .. b .. c"));
    assert!(matches("xax", "a"));
    assert!(!matches("b a", "a..b"));
}
