//! Starts that fail: one line on stderr that names the place, nothing on stdout, and the usual exit code.

use std::net::TcpListener;

use crate::binary::process::run;

#[test]
fn mistakes_end_the_program_with_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("emulator.toml");
    std::fs::write(&file, "\n\nprot = 1\n").unwrap();
    let file = file.to_str().unwrap();
    let in_file =
        format!("error: {file}:3: `prot`: there is no such setting; did you mean `port`?");
    for (arguments, variables, code, expected) in [
        (
            vec!["--prot", "1"],
            vec![],
            2,
            "error: `--prot`: there is no such flag; did you mean `--port`?",
        ),
        (vec!["--config", file], vec![], 2, &*in_file),
        (
            vec![],
            vec![("WEBPUBSUB_EMULATOR_JSON", "x")],
            2,
            "error: environment variable `WEBPUBSUB_EMULATOR_JSON`: expected `true` or `false`",
        ),
        (vec!["--log", "a=loud"], vec![], 2, "error: `--log`: "),
        (
            vec!["--host", "example.com"],
            vec![],
            2,
            "error: `--host`: the host must be an IP address or `localhost`",
        ),
        (
            vec!["--event-handler", "chat=tunnel:///eventhandler/{event}"],
            vec![],
            2,
            "error: `--event-handler`: hub `chat`: `tunnel:` URLs need Azure's tunnel",
        ),
        (
            vec![],
            vec![("WEBPUBSUB_EMULATOR_ACCESS_KEY", "short")],
            2,
            "error: environment variable `WEBPUBSUB_EMULATOR_ACCESS_KEY`: the key cannot be used: it has 5 bytes",
        ),
        (
            vec!["--public-endpoint", "ftp://a"],
            vec![],
            2,
            "error: `--public-endpoint`: the endpoint is not usable",
        ),
        (
            vec!["--port", &port],
            vec![],
            1,
            &*format!("error: 127.0.0.1:{port} is already in use"),
        ),
        (
            vec!["--host", "0.0.0.0"],
            vec![],
            1,
            "error: `--host`: everybody knows the well-known key",
        ),
    ] {
        let ended = run(&arguments, &variables);
        assert_eq!(ended.status.code(), Some(code), "{ended:?}");
        assert_eq!(ended.stdout, "");
        assert!(ended.stderr.starts_with(expected), "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    }
}

#[test]
fn what_is_ignored_is_logged() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("appsettings.json");
    let text = r#"{"WebPubSub": {"Hubs": {"chat": {}}}, "Other": {"A": 1}}"#;
    std::fs::write(&file, text).unwrap();
    let running =
        crate::binary::process::Running::start(&["--config", file.to_str().unwrap()], &[]);
    let ended = running.stop();
    assert!(
        ended
            .stderr
            .contains("`Other`: not a setting of the emulator: ignored"),
        "{ended:?}"
    );
}
