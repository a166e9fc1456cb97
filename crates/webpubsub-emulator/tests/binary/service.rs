//! The commands that do what a server does: tokens, sends, and the nouns of the REST client.

use std::process::Stdio;

use serde_json::{Value, json};
use webpubsub_protocol::access::ClientTokenOptions;

use super::process::{Ended, command, run};
use crate::support::World;

/// What the program says to a command whose service is the one in `world`.
async fn asked(world: &World, words: &[&str]) -> Ended {
    let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
    let connection = world.emulator.connection_string();
    let ran = tokio::task::spawn_blocking(move || {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let words = [words.as_slice(), &["--hub", "chat"]].concat();
        run(&words, &[("WebPubSubConnectionString", &connection)])
    });
    ran.await.expect("it ends")
}

async fn done(world: &World, words: &[&str]) {
    let ended = asked(world, words).await;
    assert_eq!(ended.status.code(), Some(0), "{words:?} {ended:?}");
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""));
}

/// A question, and the exit status that says yes or no.
async fn answered(world: &World, words: &[&str], answer: bool) {
    let ended = asked(world, words).await;
    let (text, code) = if answer { ("yes\n", 0) } else { ("no\n", 3) };
    assert_eq!(ended.stdout, text, "{words:?} {ended:?}");
    assert_eq!(ended.status.code(), Some(code));
    let as_json = asked(world, &[words, &["--json"]].concat()).await;
    assert_eq!(as_json.stdout, format!("{{\"answer\":{answer}}}\n"));
    assert_eq!(as_json.status.code(), Some(code));
}

#[tokio::test]
async fn what_is_sent_arrives() {
    let world = World::start().await;
    let mut ana = world.user("chat", "ana", &["room"]).await;
    let mut ben = world.user("chat", "ben", &[]).await;
    let id = ana.id.clone();
    done(
        &world,
        &["send", "all", "hello", "--filter", "userId eq 'ben'"],
    )
    .await;
    assert_eq!(ben.data().await, "hello");
    let group = [
        "send",
        "group",
        "room",
        r#"{"b":1,"a":2}"#,
        "--type",
        "json",
    ];
    done(&world, &group).await;
    assert_eq!(ana.data().await, json!({"b": 1, "a": 2}));
    done(&world, &["send", "user", "ana", "-text", "--ttl", "60"]).await;
    assert_eq!(ana.data().await, "-text");
    let connection = ["send", "connection", &id, "x", "--metadata", "k=v"];
    done(&world, &connection).await;
    let message = ana.json().await;
    assert_eq!(message["metadata"], json!({"k": "v"}), "{message}");
    done(&world, &["send", "all", "not to ana", "--exclude", &id]).await;
    done(&world, &["send", "all", "to both"]).await;
    assert_eq!(ana.data().await, "to both");
    assert_eq!(ben.data().await, "not to ana");
}

#[tokio::test]
async fn messages_come_from_files_and_stdin() {
    let world = World::start().await;
    let mut ana = world.user("chat", "ana", &[]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("message");
    std::fs::write(&file, "from a file").expect("it is written");
    let file = file.to_str().expect("text");
    done(&world, &["send", "all", "--file", file]).await;
    assert_eq!(ana.data().await, "from a file");
    let connection = world.emulator.connection_string();
    let ended = tokio::task::spawn_blocking(move || {
        let words = ["send", "all", "-", "--hub", "chat"];
        let mut child = command(&words, &[("WebPubSubConnectionString", &connection)])
            .stdin(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        std::io::Write::write_all(&mut stdin, b"from stdin").expect("it reads");
        drop(stdin);
        child.wait_with_output().expect("it ends")
    });
    assert!(ended.await.expect("it ends").status.success());
    assert_eq!(ana.data().await, "from stdin");
}

#[tokio::test]
async fn groups_users_connections_and_permissions() {
    let world = World::start().await;
    let mut ana = world.user("chat", "ana", &[]).await;
    let id = ana.id.clone();
    answered(&world, &["group", "exists", "room"], false).await;
    done(&world, &["group", "add-connection", "room", &id]).await;
    answered(&world, &["group", "exists", "room"], true).await;
    let listed = asked(&world, &["group", "list", "room"]).await;
    assert_eq!(listed.stdout, format!("{id}\tana\n"));
    let listed = asked(&world, &["group", "list", "room", "--json"]).await;
    let row: Value = serde_json::from_str(&listed.stdout).expect("a line of JSON");
    assert_eq!(row, json!({"connectionId": id, "userId": "ana"}));
    done(&world, &["group", "remove-connection", "room", &id]).await;
    done(&world, &["group", "add-user", "room", "ana"]).await;
    done(&world, &["group", "remove-user", "room", "ana"]).await;
    answered(&world, &["group", "exists", "room"], false).await;
    let filter = "userId eq 'ana'";
    done(&world, &["group", "add-matching", filter, "a", "b"]).await;
    answered(&world, &["group", "exists", "b"], true).await;
    done(&world, &["group", "remove-matching", filter, "a"]).await;
    done(&world, &["user", "leave-all", "ana"]).await;
    answered(&world, &["group", "exists", "b"], false).await;
    done(&world, &["connection", "leave-all", &id]).await;

    let may = ["permission", "check", &id, "sendToGroup", "room"];
    answered(&world, &may, false).await;
    done(&world, &["permission", "grant", &id, "sendToGroup", "room"]).await;
    answered(&world, &may, true).await;
    done(
        &world,
        &["permission", "revoke", &id, "sendToGroup", "room"],
    )
    .await;
    answered(&world, &may, false).await;

    answered(&world, &["connection", "exists", &id], true).await;
    answered(&world, &["user", "exists", "ana"], true).await;
    done(&world, &["connection", "close", &id, "--reason", "enough"]).await;
    let told = ana.json().await;
    let message = told["message"].as_str().expect("a reason");
    assert!(message.ends_with("Reason: enough"), "{told}");
    answered(&world, &["user", "exists", "ana"], false).await;
    for words in [
        &["user", "close", "ana"][..],
        &["group", "close", "room", "--exclude", &id],
        &["connection", "close-all", "--reason", "maintenance"],
    ] {
        done(&world, words).await;
    }
}

#[tokio::test]
async fn refusals_are_told_from_mistakes() {
    let world = World::start().await;
    for (words, code, expected) in [
        (
            &["group", "add-connection", "room", "nobody"][..],
            1,
            "error: the service refused: ",
        ),
        (
            &["send", "all", "x", "--filter", "nonsense"],
            1,
            "error: the service refused: ",
        ),
        (
            &["send", "all", "{", "--type", "json"],
            2,
            "error: the message is not JSON",
        ),
        (
            &["permission", "grant", "id", "fly", "room"],
            2,
            "error: `<PERMISSION>`: ",
        ),
        (
            &["group"],
            2,
            "error: `group`: say what to do: exists, list, ",
        ),
        (
            &["send", "all", "x", "--context", "nowhere"],
            2,
            "error: there is no folder for settings",
        ),
    ] {
        let ended = asked(&world, words).await;
        assert_eq!(ended.status.code(), Some(code), "{words:?} {ended:?}");
        assert!(ended.stderr.starts_with(expected), "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    }
    let nobody = "Endpoint=http://127.0.0.1:1;AccessKey=sEcReT0123456789sEcReT0123456789;";
    let words = ["send", "all", "x", "--hub", "chat"];
    let ended = run(&words, &[("WebPubSubConnectionString", nobody)]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(!ended.stderr.contains("sEcReT"), "{ended:?}");
    let ended = run(&words[..3], &[("WebPubSubConnectionString", nobody)]);
    assert_eq!(ended.status.code(), Some(2));
    assert_eq!(
        ended.stderr,
        "error: `--hub`: name the hub, as in `--hub chat`\n"
    );
}

#[tokio::test]
async fn tokens_let_clients_connect_and_are_explained() {
    let world = World::start().await;
    let flags = ["--user", "ana", "--group", "room", "--lifetime", "10m"];
    let made = asked(&world, &[&["token", "--url"], &flags[..]].concat()).await;
    assert!(made.status.success(), "{made:?}");
    let url = made.stdout.trim();
    let mut client = world.open(url, Some("json.webpubsub.azure.v1")).await;
    assert_eq!(client.json().await["userId"], "ana");
    done(&world, &["send", "group", "room", "hi"]).await;
    assert_eq!(client.data().await, "hi");

    let explained = asked(&world, &["token", "explain", url]).await;
    assert_eq!(explained.status.code(), Some(0), "{explained:?}");
    for expected in ["connect as user `ana`", "The service accepts it."] {
        assert!(explained.stdout.contains(expected), "{explained:?}");
    }
    let token = url.split_once("access_token=").expect("a token").1;
    assert!(!explained.stdout.contains(token));

    let other = "Endpoint=http://other.example;AccessKey=sEcReT0123456789sEcReT0123456789;";
    let words = [
        "token",
        "explain",
        token,
        "--json",
        "--connection-string",
        other,
    ];
    let refused = asked(&world, &words).await;
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    let document: Value = serde_json::from_str(&refused.stdout).expect("JSON");
    let problems = document["problems"].as_array().expect("a list");
    let checks: Vec<_> = problems.iter().map(|problem| &problem["check"]).collect();
    assert_eq!(checks, ["signature", "aud"]);
    assert!(!refused.stdout.contains(token) && !refused.stdout.contains("sEcReT"));
}

#[tokio::test]
async fn tokens_are_printed_alone_or_as_json() {
    let world = World::start().await;
    let made = asked(&world, &["token", "--role", "webpubsub.fly"]).await;
    assert_eq!(made.stdout.trim().split('.').count(), 3, "{made:?}");
    assert!(
        made.stderr
            .starts_with("warning: role `webpubsub.fly` has no effect: ")
    );
    let made = asked(&world, &["token", "--json"]).await;
    let document: Value = serde_json::from_str(&made.stdout).expect("JSON");
    let [url, base, token] = ["url", "baseUrl", "token"].map(|name| {
        let text = document[name].as_str();
        text.expect("text").to_owned()
    });
    assert_eq!(url, format!("{base}?access_token={token}"));
    for flags in [&["--lifetime", "0s"][..], &["--lifetime", "soon"]] {
        let refused = asked(&world, &[&["token"], flags].concat()).await;
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
        assert!(refused.stderr.starts_with("error: `--lifetime`: "));
    }
}

#[tokio::test]
async fn contexts_are_stored_without_their_keys() {
    let world = World::with(|builder| builder.access_key("sEcReT0123456789sEcReT0123456789")).await;
    let mut ana = world.client("chat", ClientTokenOptions::default()).await;
    let endpoint = format!("http://{}", world.address);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("deep").join("contexts.toml");
    let text = file.to_str().expect("text").to_owned();
    let path = std::env::var("PATH").expect("a PATH");
    let connection = world.emulator.connection_string();
    tokio::task::spawn_blocking(move || {
        let run = |words: &[&str]| {
            let variables = [
                ("WEBPUBSUB_CONTEXTS", text.as_str()),
                ("PATH", path.as_str()),
                ("MY_KEY", "sEcReT0123456789sEcReT0123456789"),
                ("MY_STRING", connection.as_str()),
            ];
            run(words, &variables)
        };
        let set = [
            "context",
            "set",
            "here",
            "--endpoint",
            &endpoint,
            "--hub",
            "chat",
        ];
        for (kind, source) in [
            ("--key-variable", "MY_KEY"),
            ("--key-variable", "MY_STRING"),
            ("--key-command", "echo $MY_KEY"),
        ] {
            let ended = run(&[&set[..], &[kind, source]].concat());
            assert!(ended.status.success(), "{ended:?}");
            let ended = run(&["send", "all", source, "--context", "here"]);
            assert!(ended.status.success(), "{ended:?}");
        }
        let listed = run(&["context", "list"]).stdout;
        assert_eq!(
            listed,
            format!("here: {endpoint}, hub chat; key: command `echo $MY_KEY`\n")
        );
        let listed = run(&["context", "list", "--json"]).stdout;
        assert!(
            listed.contains("\"keyCommand\":\"echo $MY_KEY\""),
            "{listed}"
        );
        let ended = run(&["send", "all", "x", "--context", "hear"]);
        assert!(ended.stderr.contains("did you mean `here`?"), "{ended:?}");
        let stored = std::fs::read_to_string(&text).expect("a file");
        assert!(!stored.contains("sEcReT"), "{stored}");
        assert!(run(&["context", "remove", "here"]).status.success());
        assert_eq!(run(&["context", "list"]).stdout, "");
    })
    .await
    .expect("they run");
    for sent in ["MY_KEY", "MY_STRING", "echo $MY_KEY"] {
        assert_eq!(ana.data().await, sent);
    }
}
