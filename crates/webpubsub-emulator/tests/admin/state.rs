//! Saving groups, permissions and states, and beginning with what was saved.

use serde_json::{Value, json};
use webpubsub_protocol::access::ClientTokenOptions;

use super::{Admin, schema};
use crate::binary::process::{Running, run};

fn stateful(user: &str) -> ClientTokenOptions {
    ClientTokenOptions::default()
        .user_id(user)
        .group("room")
        .role("webpubsub.setGroupState")
        .role("webpubsub.sendToGroups.r*")
}

const SET: &str = r#"{"type":"setGroupState","group":"room","state":{"mood":"fine"},"ackId":1}"#;

impl Admin {
    async fn import(&self, state: &Value) -> Value {
        assert_eq!(schema::problems("SavedState", state), Vec::<String>::new());
        self.document("PUT", "state", &state.to_string()).await
    }

    /// The only connection of a user.
    async fn connection_of(&self, user: &str) -> Value {
        let list = self
            .get(&format!("hubs/chat/connections?user={user}"))
            .await;
        let connections = list["connections"].as_array().expect("a list");
        assert_eq!(connections.len(), 1, "{list}");
        connections[0].clone()
    }
}

#[tokio::test]
async fn what_was_saved_waits_for_its_users() {
    let saved = {
        let admin = Admin::start().await;
        let mut ana = admin.world.client("chat", stateful("ana")).await;
        ana.send(SET).await;
        ana.json().await;
        let revoke = format!(
            "/api/hubs/chat/permissions/sendToGroup/connections/{}?targetName=red",
            ana.id
        );
        assert_eq!(admin.world.call("DELETE", &revoke).send().await.status, 204);
        let _anonymous = admin
            .world
            .client("chat", ClientTokenOptions::default())
            .await;
        admin.get("state").await
    };
    let admin = Admin::start().await;
    let imported = admin.import(&saved).await;
    assert_eq!(imported, json!({"applied": 0, "waiting": 1, "ignored": 1}));
    let waiting = admin.get("state").await;
    let waiting = &waiting["hubs"]["chat"]["connections"];
    assert_eq!(
        waiting.as_array().expect("a list").len(),
        1,
        "what waits is saved again"
    );
    assert_eq!(waiting[0]["states"], json!({"room": {"mood": "fine"}}));

    // A token that gives nothing of it, and something else.
    let options = ClientTokenOptions::default()
        .user_id("ana")
        .group("lobby")
        .role("webpubsub.joinLeaveGroup.lobby");
    let ana = admin.world.client("chat", options).await;
    let shown = admin.connection_of("ana").await;
    assert_eq!(shown["groups"], json!(["lobby", "room"]));
    assert_eq!(
        shown["roles"],
        json!([
            "webpubsub.joinLeaveGroup.lobby",
            "webpubsub.sendToGroups.r*",
            "webpubsub.setGroupState",
        ])
    );
    assert_eq!(shown["revokedRoles"], json!(["webpubsub.sendToGroup.red"]));
    let group = admin.get("hubs/chat/groups/room").await;
    assert_eq!(group["members"][0]["state"], json!({"mood": "fine"}));
    drop(ana);
    admin
        .world
        .emulator
        .wait_until(|state| state.connections("chat") == 0)
        .await;
    let _again = admin.world.user("chat", "ana", &[]).await;
    assert_eq!(
        admin.connection_of("ana").await["groups"],
        json!([]),
        "it is given once"
    );
}

#[tokio::test]
async fn open_connections_become_as_they_were_saved() {
    let admin = Admin::start().await;
    let mut ana = admin.world.client("chat", stateful("ana")).await;
    let bob = admin.world.user("chat", "bob", &["room"]).await;
    ana.send(SET).await;
    ana.json().await;
    let saved = admin.get("state").await;
    assert_eq!(schema::problems("SavedState", &saved), Vec::<String>::new());
    for (method, target) in [
        (
            "DELETE",
            format!("/api/hubs/chat/groups/room/connections/{}", ana.id),
        ),
        (
            "PUT",
            format!("/api/hubs/chat/groups/other/connections/{}", ana.id),
        ),
        (
            "DELETE",
            format!(
                "/api/hubs/chat/permissions/sendToGroup/connections/{}?targetName=r",
                ana.id
            ),
        ),
        (
            "PUT",
            format!("/api/hubs/chat/groups/other/connections/{}", bob.id),
        ),
    ] {
        let status = admin.world.call(method, &target).send().await.status;
        assert!((200..300).contains(&status), "{method} {target}: {status}");
    }
    assert_ne!(admin.get("state").await, saved);
    let imported = admin.import(&saved).await;
    assert_eq!(imported, json!({"applied": 2, "waiting": 0, "ignored": 0}));
    assert_eq!(admin.get("state").await, saved);
    let in_code = admin.world.emulator.export_state();
    assert_eq!(serde_json::to_value(&in_code).expect("JSON"), saved);
    assert!(
        !format!("{in_code:?}").contains("fine"),
        "states are the application's"
    );
}

#[tokio::test]
async fn a_mistake_changes_nothing() {
    let admin = Admin::start().await;
    let connection = |groups: Value, states: Value| json!({"userId": "ana", "groups": groups, "roles": [], "revokedRoles": [], "states": states});
    let good = connection(json!(["g"]), json!({}));
    for (bad, expected) in [
        (
            connection(json!([" "]), json!({})),
            "hub `chat`, connection 2: ",
        ),
        (
            connection(json!([]), json!({"g": {}})),
            "it has a state in group `g`, but is not in it",
        ),
    ] {
        let state = json!({"hubs": {"chat": {"connections": [good, bad]}}});
        let refused = admin.call("PUT", "state", &state.to_string()).await;
        assert_eq!(refused.status, 400);
        assert!(refused.message().contains(expected), "{}", refused.text());
    }
    let refused = admin.call("PUT", "state", r#"{"hubs":{},"more":1}"#).await;
    assert_eq!(refused.status, 400);
    assert_eq!(admin.get("state").await, json!({"hubs": {}}));
}

#[test]
fn the_program_begins_with_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("it is written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let seed = r#"{"hubs":{"chat":{"connections":[{"userId":"ana","groups":["room"]}]}}}"#;
    let variables = [("WEBPUBSUB_EMULATOR_ADMIN_TOKEN", "0123456789abcdef")];
    let running = Running::start(&["--seed", &file("seed.json", seed)], &variables);
    let request = format!(
        "GET /_emulator/state HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer 0123456789abcdef\r\nConnection: close\r\n\r\n",
        running.address
    );
    let answer = running.exchange(request.as_bytes());
    assert!(
        answer.contains(r#""userId":"ana","groups":["room"]"#),
        "{answer}"
    );
    running.stop();
    for (seed, expected) in [
        (file("broken.json", "{"), "`--seed`: "),
        (
            file("bad.json", r#"{"hubs":{"1":{"connections":[]}}}"#),
            "hub `1`",
        ),
        ("none.json".to_owned(), "none.json: "),
    ] {
        let ended = run(&["--port", "0", "--seed", &seed], &[]);
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        assert!(ended.stderr.contains(expected), "{ended:?}");
    }
}
