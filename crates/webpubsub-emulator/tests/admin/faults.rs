//! Faults over the API.

use serde_json::json;
use tokio_tungstenite::connect_async;

use super::Admin;
use super::schema::problems;
use crate::binary::process::{Running, run};

#[tokio::test]
async fn rules_are_added_listed_and_removed() {
    let admin = Admin::start().await;
    let rule = r#"{"kind": "refuse_upgrade", "status": 503, "hub": "chat", "hitCount": 1}"#;
    let added = admin.call("POST", "faults", rule).await;
    assert_eq!(added.status, 201, "{}", added.text());
    let added = added.json();
    assert_eq!(problems("FaultRule", &added), Vec::<String>::new());
    let url = admin.world.emulator.client_access_url("chat", "ana", &[]);
    assert!(connect_async(&url).await.is_err());
    assert!(connect_async(&url).await.is_ok());
    let expected = json!({"id": 1, "hits": 1, "kind": "refuse_upgrade", "status": 503, "hub": "chat", "hitCount": 1});
    assert_eq!(admin.get("faults").await, json!({"faults": [expected]}));
    admin
        .call("POST", "faults", r#"{"kind": "lose_answer"}"#)
        .await;
    let left = admin.document("DELETE", "faults/1", "").await;
    assert_eq!(
        left,
        json!({"faults": [{"id": 2, "hits": 0, "kind": "lose_answer"}]})
    );
    assert_eq!(admin.call("DELETE", "faults/1", "").await.status, 404);
    let left = admin.document("DELETE", "faults", "").await;
    assert_eq!(left, json!({"faults": []}));
}

#[tokio::test]
async fn a_rule_that_cannot_hit_is_refused_with_the_reason() {
    let admin = Admin::start().await;
    for (rule, reason) in [
        (r#"{"kind": "sing"}"#, "there is no kind `sing`"),
        (r#"{"kind": "latency"}"#, "`latency` needs `latencySeconds`"),
        (
            r#"{"kind": "half_open", "hits": 3}"#,
            "unknown field `hits`",
        ),
    ] {
        let refused = admin.call("POST", "faults", rule).await;
        assert_eq!(refused.status, 400, "{}", refused.text());
        assert!(refused.text().contains(reason), "{}", refused.text());
    }
}

#[tokio::test]
async fn a_restart_breaks_connections() {
    let admin = Admin::start().await;
    let url = admin.world.emulator.client_access_url("chat", "ana", &[]);
    let (_socket, _) = connect_async(&url).await.expect("accepted");
    let done = admin
        .document("POST", "restart", r#"{"state": "lose"}"#)
        .await;
    assert_eq!(done, json!({"state": "lose"}));
    let gone = |state: &webpubsub_emulator::State| state.connections("chat") == 0;
    admin.world.emulator.wait_until(gone).await;
}

#[test]
fn the_program_begins_with_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("it is written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let rules = r#"[
        {"kind": "refuse_operation", "status": 429, "retryAfterSeconds": 2, "hitCount": 1},
        {"kind": "latency", "latencySeconds": 0.2, "user": "ana"}
    ]"#;
    let variables = [("WEBPUBSUB_EMULATOR_ADMIN_TOKEN", "0123456789abcdef")];
    let running = Running::start(&["--faults", &file("faults.json", rules)], &variables);
    let request = format!(
        "GET /_emulator/faults HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer 0123456789abcdef\r\nConnection: close\r\n\r\n",
        running.address
    );
    let answer = running.exchange(request.as_bytes());
    let expected = [
        r#""kind":"refuse_operation""#,
        r#""kind":"latency""#,
        r#""user":"ana""#,
    ];
    for expected in expected {
        assert!(answer.contains(expected), "{answer}");
    }
    running.stop();
    for (faults, expected) in [
        (file("broken.json", "["), "`--faults`: "),
        (file("kind.json", r#"[{"kind":"magic"}]"#), "magic"),
        (
            file(
                "bad.json",
                r#"[{"kind":"refuse_upgrade","status":503},{"kind":"refuse_upgrade","status":99}]"#,
            ),
            "99",
        ),
        ("none.json".to_owned(), "none.json: "),
    ] {
        let ended = run(&["--port", "0", "--faults", &faults], &[]);
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        assert!(ended.stderr.contains(expected), "{ended:?}");
    }
}
