//! Keys and tokens in what the program prints: nowhere, also when everything is logged and everything goes wrong.

use std::time::{Duration, SystemTime};

use url::Url;
use webpubsub_protocol::access::{
    AccessKey, ClientTokenOptions, sign_client_token, sign_rest_token,
};

use crate::binary::process::{Ended, Running, run};

const KEY: &str = "sEcReT0123456789sEcReT0123456789";
const ADMIN: &str = "aDmIn0123456789aDmIn0123456789";
const SECOND: &str = "hIdDeN0123456789hIdDeN0123456789";

#[track_caller]
fn assert_discreet(ended: &Ended, secrets: &[&str]) {
    for secret in secrets {
        assert!(!ended.stdout.contains(secret), "{}", ended.stdout);
        assert!(!ended.stderr.contains(secret), "{}", ended.stderr);
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the program follows the machine's time"
)]
fn a_run_with_every_log_line_shows_no_secret() {
    let variables = [
        ("WEBPUBSUB_EMULATOR_ACCESS_KEY", KEY),
        ("WEBPUBSUB_EMULATOR_SECONDARY_ACCESS_KEY", SECOND),
        ("WEBPUBSUB_EMULATOR_ADMIN_TOKEN", ADMIN),
        ("WEBPUBSUB_EMULATOR_LOG", "trace"),
    ];
    let running = Running::start(&[], &variables);
    let endpoint: Url = format!("http://{}/", running.address).parse().unwrap();
    let now = SystemTime::now();
    let key = AccessKey::new(KEY);
    let send = format!("{endpoint}api/hubs/chat/:send");
    let rest = sign_rest_token(&send, &key, Duration::from_secs(60), now).into_string();
    // Joining a group is what is logged on the finest level.
    let options = ClientTokenOptions::default().group("g");
    let client = sign_client_token(&endpoint, "chat", &key, &options, now);
    let client = client.token().as_str();
    let foreign = sign_rest_token(
        &send,
        &AccessKey::new("foreign"),
        Duration::from_secs(60),
        now,
    );
    let foreign = foreign.as_str();
    let host = running.address;
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: json.webpubsub.azure.v1\r\n";
    let call = |token: &str| {
        format!(
            "POST /api/hubs/chat/:send HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: text/plain\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
        )
    };
    let status = |token: &str| {
        format!(
            "GET /_emulator/status HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        )
    };
    for (request, status) in [
        (status(ADMIN), "200"),
        (status(client), "401"),
        (call(&rest), "202"),
        (call(foreign), "401"),
        (call(client), "401"),
        (
            format!(
                "GET /client/hubs/chat?access_token={client} HTTP/1.1\r\nHost: {host}\r\n{upgrade}\r\n"
            ),
            "101",
        ),
        (
            format!(
                "GET /client/hubs/chat?access_token={rest} HTTP/1.1\r\nHost: {host}\r\n{upgrade}\r\n"
            ),
            "401",
        ),
        (
            format!(
                "GET /client/hubs/chat HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {client}\r\n{upgrade}\r\n"
            ),
            "101",
        ),
        (
            format!("GET /nowhere?access_token={client} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
            "404",
        ),
        (
            format!("GET /nowhere?access_token={client} HTTP/1.1\r\nHost: evil.example\r\n\r\n"),
            "421",
        ),
        (
            format!("GET /?access_token={client} HTTP/1.1\r\nHost: {host}\r\nno colon\r\n\r\n"),
            "400",
        ),
    ] {
        let answer = if status == "101" {
            running.head(request.as_bytes())
        } else {
            running.exchange(request.as_bytes())
        };
        assert_eq!(answer.get(9..12), Some(status), "{answer}");
        for secret in [KEY, SECOND, ADMIN, &*rest, client, foreign] {
            assert!(!answer.contains(secret), "{answer}");
        }
    }
    let ended = running.stop();
    assert!(
        ended.stderr.contains("TRACE") && ended.stderr.contains("/nowhere"),
        "{}",
        ended.stderr
    );
    // The signatures alone, so that no part of a token passes either.
    let signature = |token: &str| token.rsplit('.').next().unwrap().to_owned();
    let [rest, client, foreign] = [&*rest, client, foreign].map(signature);
    assert_discreet(&ended, &[KEY, SECOND, ADMIN, &rest, &client, &foreign]);
}

#[test]
fn failed_starts_show_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let connection = format!("Endpoint=http://localhost;AccessKey={KEY};");
    let files = [
        file("syntax.toml", &format!("access-key = {KEY}\n")),
        file("quote.toml", &format!("access-key = '{KEY}\n")),
        file("name.toml", &format!("acces-key = '{KEY}'\n")),
        file("short.toml", "access-key = 'sEcReT'\n"),
        file("list.toml", &format!("access-key = ['{KEY}']\n")),
        file("syntax.json", &format!("{{\"access-key\": {KEY}}}")),
        file("quote.json", &format!("{{\"access-key\": \"{KEY}")),
        file("name.json", &format!("{{\"accesKey\": \"{KEY}\"}}")),
        file(
            "appsettings.json",
            &format!("{{\"WebPubSub\": {{\"Acces\": \"{KEY}\"}}}}"),
        ),
    ];
    type Start<'a> = (Vec<&'a str>, Vec<(&'a str, &'a str)>);
    let mut starts: Vec<Start<'_>> = files
        .iter()
        .map(|file| (vec!["--config", file.as_str()], vec![]))
        .collect();
    let glued = format!("--access-key{KEY}");
    let unknown = format!("--acces-key={KEY}");
    starts.extend([
        (vec!["--access-key", "sEcReT"], vec![]),
        (vec!["--access-key", KEY, "--access-key", KEY], vec![]),
        (vec![KEY], vec![]),
        (vec![connection.as_str()], vec![]),
        (vec![glued.as_str()], vec![]),
        (vec![unknown.as_str()], vec![]),
        (vec!["--json", KEY], vec![]),
        (vec!["--admin-token", "sEcReT-too"], vec![]),
        (vec!["--host", connection.as_str()], vec![]),
        (vec!["--port", KEY], vec![]),
        (vec!["--public-endpoint", connection.as_str()], vec![]),
        (vec![], vec![("WEBPUBSUB_EMULATOR_ACCESS_KEY", "sEcReT")]),
        (vec![], vec![("WEBPUBSUB_EMULATOR_PORT", KEY)]),
        (vec![], vec![("WebPubSub__AccessKey", "sEcReT")]),
        (vec![], vec![("WebPubSubConnectionString", KEY)]),
        (
            vec!["--host", "192.0.2.1"],
            vec![("WEBPUBSUB_EMULATOR_ACCESS_KEY", KEY)],
        ),
    ]);
    for (arguments, variables) in starts {
        let ended = run(&arguments, &variables);
        assert!(!ended.status.success(), "{arguments:?} {variables:?}");
        assert!(ended.stderr.starts_with("error: "), "{ended:?}");
        assert_discreet(&ended, &["sEcReT"]);
    }
}
