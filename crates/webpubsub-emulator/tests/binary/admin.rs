//! The commands that use the admin API: a running emulator is looked into and directed.

use serde_json::Value;
use webpubsub_emulator::{EventHandler, HubOptions};

use super::process::{Ended, run};
use crate::support::World;

const TOKEN: &str = "aDmIn-0123456789";

/// An emulator whose admin API has a known token.
async fn world() -> World {
    World::with(|builder| builder.admin_token(TOKEN)).await
}

async fn asked_with(world: &World, token: &'static str, words: &[&str]) -> Ended {
    let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
    let connection = world.emulator.connection_string();
    let ran = tokio::task::spawn_blocking(move || {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let variables = [
            ("WebPubSubConnectionString", connection.as_str()),
            ("WEBPUBSUB_EMULATOR_ADMIN_TOKEN", token),
        ];
        run(&words, &variables)
    });
    ran.await.expect("it ends")
}

async fn asked(world: &World, words: &[&str]) -> String {
    let ended = asked_with(world, TOKEN, words).await;
    assert_eq!(ended.status.code(), Some(0), "{words:?} {ended:?}");
    assert_eq!(ended.stderr, "");
    ended.stdout
}

#[tokio::test]
async fn the_clock_is_read_and_moved() {
    let world = world().await;
    let before = world.emulator.clock().advanced();
    let said = asked(&world, &["clock", "advance", "1m 30s"]).await;
    assert!(said.contains("moved by 90"), "{said}");
    assert!(
        said.ends_with("it stands still until it is moved\n"),
        "{said}"
    );
    let moved = world.emulator.clock().advanced() - before;
    assert_eq!(moved.as_secs(), 90);
    let shown = asked(&world, &["clock", "show", "--json"]).await;
    let clock: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(clock["manual"], true);
}

#[tokio::test]
async fn what_is_inside_is_listed() {
    let world = world().await;
    let ana = world.user("chat", "ana", &["room"]).await;
    let hubs = asked(&world, &["inspect", "hubs"]).await;
    assert!(hubs.starts_with("name  connections  users"), "{hubs}");
    let connections = asked(&world, &["inspect", "connections", "chat", "--user", "ana"]).await;
    assert!(
        connections.contains(&format!("{}  ana", ana.id)),
        "{connections}"
    );
    let nobody = asked(&world, &["inspect", "connections", "chat", "--group", "x"]).await;
    assert_eq!(nobody.lines().count(), 1, "{nobody}");
    for words in [
        &["groups", "chat"][..],
        &["group", "chat", "room"],
        &["handlers"],
        &["status"],
    ] {
        let words = [&["inspect"], words].concat();
        assert!(!asked(&world, &words).await.is_empty());
        let document = asked(&world, &[&words[..], &["--json"]].concat()).await;
        assert!(
            serde_json::from_str::<Value>(&document).is_ok(),
            "{document}"
        );
    }
}

/// A server that hears of the events of a hub: the first user event breaks it.
async fn handler() -> String {
    use axum::{Router, extract::Path, http::StatusCode, routing::any};
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    let is_broken = Arc::new(AtomicBool::new(true));
    let answer = move |Path(event): Path<String>| {
        let breaks = event == "order" && is_broken.swap(false, Ordering::SeqCst);
        async move {
            match breaks {
                true => (
                    StatusCode::BAD_REQUEST,
                    [("WebHook-Allowed-Origin", "*")],
                    "no such item",
                ),
                false => (StatusCode::OK, [("WebHook-Allowed-Origin", "*")], ""),
            }
        }
    };
    let router = Router::new().route("/eventhandler/{event}", any(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/eventhandler/{{event}}")
}

#[tokio::test]
async fn traffic_is_watched_and_a_broken_event_sent_again() {
    let handler = EventHandler::url(&handler().await).expect("a URL");
    let hub = HubOptions::new().event_handler(handler);
    let world = World::with(|builder| builder.admin_token(TOKEN).hub("chat", hub)).await;
    let mut ana = world.user("chat", "ana", &[]).await;
    ana.send(r#"{"type":"event","event":"order","ackId":1,"dataType":"text","data":"two"}"#)
        .await;
    assert_eq!(ana.json().await["success"], false);
    ana.send(r#"{"type":"joinGroup","group":"room","ackId":2}"#)
        .await;
    assert_eq!(ana.json().await["success"], false);

    let denied = asked(
        &world,
        &["watch", "--no-follow", "--kind", "denied", "--user", "ana"],
    )
    .await;
    assert_eq!(denied.lines().count(), 3, "{denied}");
    assert!(
        denied.contains("it needs webpubsub.joinLeaveGroup.room"),
        "{denied}"
    );
    let coloured = asked(
        &world,
        &["watch", "--no-follow", "--kind=denied", "--color=always"],
    )
    .await;
    assert!(coloured.starts_with('\u{1b}'), "{coloured:?}");

    let events = asked(
        &world,
        &["watch", "--no-follow", "--kind", "event", "--json"],
    )
    .await;
    let events = events
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let broken: Vec<Value> = events.filter(|event| event["succeeded"] == false).collect();
    let [broken] = broken.as_slice() else {
        panic!("{broken:?}")
    };
    let number = broken["number"].to_string();
    let again = asked(&world, &["resend", &number]).await;
    assert!(again.starts_with("200 from http://127.0.0.1:"), "{again}");
    let nothing = asked_with(&world, TOKEN, &["resend", "999999"]).await;
    assert_eq!(nothing.status.code(), Some(1), "{nothing:?}");
}

#[tokio::test]
async fn state_is_exported_and_imported() {
    let world = world().await;
    let ana = world.user("chat", "ana", &["room"]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("state.json");
    let file = file.to_str().expect("text");
    assert_eq!(asked(&world, &["state", "export", file]).await, "");
    let said = asked(&world, &["state", "import", file]).await;
    assert_eq!(said, "1 applied, 0 waiting, 0 ignored\n");
    let printed = asked(&world, &["state", "export"]).await;
    assert!(
        printed.contains("\"room\"") && printed.contains(&ana.id),
        "{printed}"
    );
    std::fs::write(file, "nonsense").expect("it is written");
    let refused = asked_with(&world, TOKEN, &["state", "import", "no-such-file"]).await;
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
}

#[tokio::test]
async fn faults_are_added_listed_and_removed() {
    let world = world().await;
    let flags = [
        "--status",
        "503",
        "--retry-after",
        "2",
        "--hub",
        "chat",
        "--hit-count",
        "3",
    ];
    let added = asked(
        &world,
        &[&["fault", "add", "refuse-upgrade"], &flags[..]].concat(),
    )
    .await;
    assert!(
        added.starts_with("1: refuse-upgrade ") && added.contains("status=503"),
        "{added}"
    );
    let late = ["fault", "add", "latency", "--latency", "200ms", "--json"];
    let rule: Value = serde_json::from_str(&asked(&world, &late).await).expect("JSON");
    assert_eq!(rule["latencySeconds"], 0.2, "{rule}");
    assert_eq!(asked(&world, &["fault", "list"]).await.lines().count(), 2);
    assert_eq!(asked(&world, &["fault", "remove", "1"]).await, "");
    assert_eq!(
        asked(&world, &["fault", "list", "--json"])
            .await
            .lines()
            .count(),
        1
    );
    asked(&world, &["fault", "clear"]).await;
    assert_eq!(asked(&world, &["fault", "list"]).await, "");
    // What goes together is the emulator's to say.
    let words = ["fault", "add", "close", "--status", "503"];
    let refused = asked_with(&world, TOKEN, &words).await;
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.starts_with("error: the emulator refused: "));
}

#[tokio::test]
async fn refusals_and_a_missing_token_are_explained() {
    let world = world().await;
    let wrong = asked_with(&world, "sEcReT0123456789", &["clock", "show"]).await;
    assert_eq!(wrong.status.code(), Some(1), "{wrong:?}");
    assert!(
        wrong.stderr.starts_with("error: the emulator refused: "),
        "{wrong:?}"
    );
    assert!(!wrong.stderr.contains("sEcReT"));
    let missing = asked_with(&world, "", &["clock", "show"]).await;
    assert_eq!(missing.status.code(), Some(2), "{missing:?}");
    assert!(missing.stderr.contains("WEBPUBSUB_EMULATOR_ADMIN_TOKEN"));
    let nothing = asked_with(&world, TOKEN, &["inspect", "group", "chat", "nobody"]).await;
    assert_eq!(nothing.status.code(), Some(1), "{nothing:?}");
}
