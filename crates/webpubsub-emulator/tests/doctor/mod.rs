//! `webpubsub-emulator doctor` against handlers that are wrong in one way each, and one that is not.
#![cfg(unix)]

mod handler;

use std::{future::pending, net::TcpListener, process::Command};

use axum::{http::Method, response::Response};
use serde_json::Value;
use webpubsub_emulator::WELL_KNOWN_KEY;

use self::handler::{Handler, Seen, answer, is_signed};

const OWN_KEY: &str = "sEcReT0123456789sEcReT0123456789";

/// What the doctor printed, and how it ended.
struct Examined {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Examined {
    fn document(&self) -> Value {
        serde_json::from_str(&self.stdout).expect("one document")
    }

    /// The checks that did not just pass, as `name: status CODE`.
    fn findings(&self) -> Vec<String> {
        let document = self.document();
        let checks = document["checks"].as_array().expect("a list").iter();
        assert_eq!(checks.len(), 8, "{}", self.stdout);
        checks
            .filter(|check| check["status"] != "passed")
            .map(|check| {
                let text = |name: &str| check[name].as_str().unwrap_or_default().to_owned();
                // Nothing is sent to a URL that cannot be used.
                if check["status"] != "skipped" && check["code"] != "E_URL" {
                    for name in ["sent", "received", "why", "fix"] {
                        assert_ne!(text(name), "", "{name}: {check}");
                    }
                }
                format!("{}: {} {}", text("name"), text("status"), text("code"))
                    .trim_end()
                    .to_owned()
            })
            .collect()
    }
}

async fn doctor(arguments: &[&str]) -> Examined {
    let mut command = Command::new(env!("CARGO_BIN_EXE_webpubsub-emulator"));
    command.arg("doctor").args(arguments).env_clear();
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.expect("no panic").expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Examined {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

async fn examine(handler: &Handler, arguments: &[&str]) -> Examined {
    let url = handler.url();
    let fixed = ["--json", "--timeout=1", "--url", &url];
    doctor(&[&fixed, arguments].concat()).await
}

/// Findings for a handler that is healthy but for these answers.
async fn findings<F>(but: impl Fn(Seen) -> F + Clone + Send + Sync + 'static) -> Vec<String>
where
    F: Future<Output = Option<Response>> + Send + 'static,
{
    let examined = examine(&Handler::start(but).await, &[]).await;
    let findings = examined.findings();
    let has_failed = findings.iter().any(|finding| finding.contains("failed"));
    assert_eq!(examined.code, Some(i32::from(has_failed)), "{findings:?}");
    findings
}

/// A list of findings: this one, and the checks after `last` are skipped.
fn and_no_more(first: &str, skipped: usize) -> Vec<String> {
    let all = [
        "preflight",
        "connect",
        "connected",
        "user event with text",
        "user event with JSON",
        "disconnected",
        "wrong signature",
        "other hub",
    ];
    let rest = all.iter().skip(all.len() - skipped);
    let rest = rest.map(|name| format!("{name}: skipped"));
    std::iter::once(first.to_owned()).chain(rest).collect()
}

/// Another answer than the healthy one to requests with this method and event, `""` for all; events have to be signed and
/// of the hub `chat`.
macro_rules! instead {
    ($method:literal, $event:literal, $answer:expr) => {
        move |seen: Seen| async move {
            let is_method = $method.is_empty() || seen.method.as_str() == $method;
            let is_event = $event.is_empty() || seen.event() == $event;
            let is_right = seen.method != Method::POST
                || seen.header("ce-hub") == "chat" && is_signed(&seen, WELL_KNOWN_KEY);
            if is_method && is_event && is_right {
                $answer
            } else {
                None
            }
        }
    };
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_handler_passes_everything() {
    let handler = Handler::start(|_| async { None }).await;
    let examined = examine(&handler, &["--strict"]).await;
    assert_eq!(examined.findings(), [""; 0], "{}", examined.stdout);
    assert_eq!(examined.code, Some(0));
    assert_eq!(examined.stderr, "");
    let document = examined.document();
    assert_eq!(document["url"], handler.url());
    assert_eq!(document["hub"], "chat");

    let seen = handler.seen();
    let events: Vec<String> = seen
        .iter()
        .map(|seen| format!("{} {} {}", seen.method, seen.event(), seen.header("ce-id")))
        .collect();
    assert_eq!(
        events,
        [
            "OPTIONS validate ",
            "POST connect 0",
            "POST connected 1",
            "POST message 2",
            "POST message 3",
            "POST disconnected 4",
            "POST connect 0",
            "POST connect 0",
        ]
    );
    for (index, name, expected) in [
        (0, "webhook-request-origin", "localhost"),
        (0, "ce-awpsversion", "1.0"),
        (1, "ce-type", "azure.webpubsub.sys.connect"),
        (1, "ce-userid", "doctor"),
        (1, "ce-subprotocol", ""),
        (2, "ce-subprotocol", "json.webpubsub.azure.v1"),
        (2, "ce-connectionstate", "eyJuIjoxfQ=="),
        (3, "content-type", "text/plain; charset=utf-8"),
        (4, "content-type", "application/json"),
        (5, "ce-eventname", "disconnected"),
    ] {
        assert_eq!(seen[index].header(name), expected, "{index} {name}");
    }
    let ids: Vec<&str> = seen
        .iter()
        .map(|seen| seen.header("ce-connectionid"))
        .collect();
    assert_eq!(ids[1], ids[5]);
    assert!(ids[5] != ids[6] && ids[6] != ids[7]);
    assert!(!is_signed(&seen[6], WELL_KNOWN_KEY));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_addresses_are_told_apart() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let url = format!("http://{address}/eventhandler/{{event}}");
    let examined = doctor(&["--json", "--url", &url]).await;
    assert_eq!(
        examined.findings(),
        and_no_more("preflight: failed E_UNREACHABLE", 7)
    );
    assert_eq!(examined.code, Some(1));

    let handler = Handler::start(|_| async { None }).await;
    let url = format!("http://{}/api/{{event}}", handler.address);
    let examined = doctor(&["--json", "--url", &url]).await;
    assert_eq!(
        examined.findings(),
        and_no_more("preflight: failed E_PATH", 7)
    );

    let url = format!("https://{}/eventhandler/{{event}}", handler.address);
    let examined = doctor(&["--json", "--url", &url]).await;
    assert_eq!(
        examined.findings(),
        and_no_more("preflight: failed E_TLS", 7)
    );

    for url in [
        "tunnel:///x",
        "http://h/?code={@Microsoft.KeyVault(SecretUri=sEcReT)}",
    ] {
        let examined = doctor(&["--json", "--url", url]).await;
        let document = examined.document();
        assert_eq!(document["checks"][0]["code"], "E_URL", "{url}");
        assert_eq!(examined.code, Some(2), "{url}");
        assert!(!examined.stdout.contains("sEcReT"));
    }
    for flag in ["--hub", "--event"] {
        let examined = doctor(&["--json", "--url", &handler.url(), flag, "1-2"]).await;
        assert_eq!(examined.findings()[0], "preflight: failed E_URL", "{flag}");
        assert_eq!(examined.code, Some(2), "{flag}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_preflight() {
    let failed = ["preflight: failed E_PREFLIGHT"];
    assert_eq!(
        findings(instead!("OPTIONS", "", answer(405, &[], ""))).await,
        failed
    );
    // Only events are routed.
    let missing = |seen: Seen| async move {
        if seen.method == Method::POST {
            None
        } else {
            answer(404, &[], "")
        }
    };
    assert_eq!(findings(missing).await, failed);
    assert_eq!(
        findings(instead!("OPTIONS", "", answer(401, &[], ""))).await,
        failed
    );
    assert_eq!(
        findings(instead!("OPTIONS", "", answer(200, &[], ""))).await,
        failed
    );
    let origin = "WebHook-Allowed-Origin";
    let other = instead!(
        "OPTIONS",
        "",
        answer(200, &[(origin, "contoso.example")], "")
    );
    assert_eq!(findings(other).await, failed);
    let list = instead!(
        "OPTIONS",
        "",
        answer(200, &[(origin, "contoso.example, localhost")], "")
    );
    assert_eq!(findings(list).await, failed);
    let lines = instead!(
        "OPTIONS",
        "",
        answer(
            204,
            &[(origin, "contoso.example"), (origin, "LOCALHOST")],
            ""
        )
    );
    assert_eq!(findings(lines).await, [""; 0]);
    let by_get = move |seen: Seen| async move {
        match seen.method.as_str() {
            "OPTIONS" => answer(404, &[], ""),
            "GET" => answer(200, &[(origin, "*")], ""),
            _ => None,
        }
    };
    assert_eq!(findings(by_get).await, [""; 0]);

    let handler = Handler::start(other).await;
    let examined = examine(&handler, &["--origin", "contoso.example"]).await;
    assert_eq!(examined.findings(), [""; 0]);
    let string = format!("Endpoint=https://contoso.example;AccessKey={OWN_KEY};");
    let examined = examine(&handler, &["--connection-string", &string]).await;
    assert_eq!(
        examined.findings(),
        and_no_more("connect: failed E_SIGNATURE", 6)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_signatures() {
    let handler = Handler::start(|_| async { None }).await;
    let examined = examine(&handler, &["--key", OWN_KEY]).await;
    assert_eq!(
        examined.findings(),
        and_no_more("connect: failed E_SIGNATURE", 6)
    );
    assert_eq!(examined.code, Some(1));
    assert!(
        examined.stdout.contains("no signature matches"),
        "{}",
        examined.stdout
    );
    assert!(!examined.stdout.contains(OWN_KEY));

    let careless = |seen: Seen| async move {
        let is_wrong = seen.method == Method::POST && seen.header("ce-hub") == "chat";
        if is_wrong { answer(200, &[], "") } else { None }
    };
    assert_eq!(
        findings(careless).await,
        ["wrong signature: warning W_SIGNATURE"]
    );
    let strict = examine(&Handler::start(careless).await, &["--strict"]).await;
    assert_eq!(strict.findings(), ["wrong signature: failed E_SIGNATURE"]);
    assert_eq!(strict.code, Some(1));

    // A handler may refuse a client whose signature is right.
    let choosy = instead!("POST", "connect", answer(401, &[], "sign in first"));
    assert_eq!(findings(choosy).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn hubs() {
    let handler = Handler::start(|_| async { None }).await;
    let examined = examine(&handler, &["--hub", "news"]).await;
    assert_eq!(examined.findings(), and_no_more("connect: failed E_HUB", 6));
    assert_eq!(examined.code, Some(1));

    let for_all = |seen: Seen| async move {
        let other = seen.header("ce-hub").starts_with("doctor_");
        if other { answer(200, &[], "") } else { None }
    };
    let examined = examine(&Handler::start(for_all).await, &[]).await;
    assert_eq!(examined.findings(), [""; 0]);
    let document = examined.document();
    assert_eq!(
        document["checks"][7]["why"],
        "it takes events of other hubs as well"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn handlers_that_hang() {
    let never = || async { pending::<Option<Response>>().await };
    let (preflight, connect, message) = tokio::join!(
        findings(instead!("OPTIONS", "", never().await)),
        findings(instead!("POST", "connect", never().await)),
        findings(instead!("POST", "message", never().await)),
    );
    assert_eq!(preflight, and_no_more("preflight: failed E_TIMEOUT", 7));
    assert_eq!(connect, and_no_more("connect: failed E_TIMEOUT", 6));
    assert_eq!(
        message,
        [
            "user event with text: failed E_TIMEOUT",
            "user event with JSON: failed E_TIMEOUT",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_not_followed() {
    let away = || {
        answer(
            307,
            &[("location", "https://login.example/?code=sEcReT")],
            "",
        )
    };
    let all = Handler::start(move |_| async move { away() }).await;
    let examined = examine(&all, &[]).await;
    assert_eq!(
        examined.findings(),
        and_no_more("preflight: failed E_REDIRECT", 7)
    );
    assert!(examined.stdout.contains("location: https://login.example/"));
    assert!(!examined.stdout.contains("sEcReT"));
    assert_eq!(all.seen().len(), 1);
    assert_eq!(
        findings(instead!(
            "POST",
            "connect",
            answer(302, &[("location", "/x")], "")
        ))
        .await,
        ["connect: failed E_REDIRECT"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_cannot_be_used() {
    let events = |code: &str| {
        [
            format!("user event with text: failed {code}"),
            format!("user event with JSON: failed {code}"),
        ]
    };
    let reply = ["connect: failed E_REPLY"];
    let page = [("content-type", "text/html")];
    assert_eq!(
        findings(instead!("POST", "connect", answer(200, &[], "<html>"))).await,
        reply
    );
    let groups = instead!(
        "POST",
        "connect",
        answer(200, &[], r#"{"groups": "lobby"}"#)
    );
    assert_eq!(findings(groups).await, reply);
    let chosen = instead!(
        "POST",
        "connect",
        answer(200, &[], r#"{"subprotocol": "mine"}"#)
    );
    assert_eq!(findings(chosen).await, reply);
    let state = instead!(
        "POST",
        "connect",
        answer(200, &[("ce-connectionState", "ü")], "")
    );
    assert_eq!(findings(state).await, reply);
    let html = instead!(
        "POST",
        "message",
        answer(200, &[("content-type", "text/html")], "hi")
    );
    assert_eq!(findings(html).await, events("E_REPLY"));
    let broken = instead!(
        "POST",
        "message",
        answer(200, &[("content-type", "application/json")], "{")
    );
    assert_eq!(findings(broken).await, events("E_REPLY"));
    assert_eq!(
        findings(instead!("POST", "message", answer(500, &[], "boom"))).await,
        events("E_STATUS")
    );
    assert_eq!(
        findings(instead!("POST", "connect", answer(400, &[], ""))).await,
        ["connect: failed E_STATUS"]
    );
    assert_eq!(
        findings(instead!("POST", "connected", answer(500, &[], ""))).await,
        ["connected: failed E_STATUS"]
    );
    assert_eq!(
        findings(instead!("POST", "disconnected", answer(422, &[], ""))).await,
        ["disconnected: failed E_STATUS"]
    );
    let refusing = |seen: Seen| async move {
        if seen.method == Method::POST {
            answer(400, &[], "")
        } else {
            None
        }
    };
    let all = findings(refusing).await;
    assert_eq!(all[0], "connect: failed E_STATUS");
    assert_eq!(all[4], "disconnected: failed E_STATUS");
    assert_eq!(all[5..], ["wrong signature: skipped", "other hub: skipped"]);
    let page_not_found = |seen: Seen| async move {
        let is_event = seen.method == Method::POST;
        is_event
            .then(|| answer(404, &[("content-type", "text/html")], "<p>sEcReT</p>"))
            .flatten()
    };
    let examined = examine(&Handler::start(page_not_found).await, &[]).await;
    assert_eq!(examined.findings(), and_no_more("connect: failed E_HUB", 6));
    assert!(!examined.stdout.contains("<p>"), "{}", examined.stdout);
    // What a client would get is not shown.
    let handler = Handler::start(move |seen| async move {
        (seen.event() == "message")
            .then(|| answer(200, &page, "sEcReT"))
            .flatten()
    });
    let examined = examine(&handler.await, &[]).await;
    assert!(!examined.stdout.contains("sEcReT"), "{}", examined.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_get_a_checklist() {
    let handler = Handler::start(instead!("OPTIONS", "", answer(200, &[], ""))).await;
    let url = format!("{}?code=sEcReT", handler.url());
    let examined = doctor(&["--url", &url]).await;
    let base = format!("http://{}/eventhandler", handler.address);
    let expected = format!(
        "Event handler {base}/{{event}}?.., hub `chat`\n\
         \n\
         \x20 FAILED   preflight: E_PREFLIGHT\n\
         \x20          sent      OPTIONS {base}/validate?..\n\
         \x20          received  200 OK\n\
         \x20          why       the answer has no `WebHook-Allowed-Origin` (Azure logs AbuseProtectionResponseMissingAllowedOrigin)\n\
         \x20          fix       answer OPTIONS with 200 and the header `WebHook-Allowed-Origin: *` (or `localhost`); \
         libraries for event handlers do so when OPTIONS is routed to them\n\
         \x20 ok       connect\n\
         \x20 ok       connected\n\
         \x20 ok       user event with text\n\
         \x20 ok       user event with JSON\n\
         \x20 ok       disconnected\n\
         \x20 ok       wrong signature\n\
         \x20 ok       other hub\n\
         \n\
         1 problem, 0 warnings.\n"
    );
    assert_eq!(examined.stdout, expected);
    assert_eq!(examined.code, Some(1));

    let usage = doctor(&["--hub", "chat"]).await;
    assert_eq!(usage.code, Some(2));
    assert_eq!(
        usage.stderr,
        "error: `--url`: give the URL of the handler\n"
    );
    let help = doctor(&["--help"]).await;
    assert_eq!(help.code, Some(0));
    assert!(help.stdout.contains("--connection-string"));
}
