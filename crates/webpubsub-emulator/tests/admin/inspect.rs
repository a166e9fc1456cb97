//! What the API and the library say of what is inside.

use serde_json::json;
use webpubsub_emulator::HubOptions;
use webpubsub_protocol::access::ClientTokenOptions;

use super::Admin;
use crate::handlers::handler::{Handler, Reply};

const RELIABLE: &str = "json.reliable.webpubsub.azure.v1";

#[tokio::test]
async fn a_connection_is_shown_with_all_that_is_known_of_it() {
    let admin = Admin::start().await;
    let world = &admin.world;
    let options = ClientTokenOptions::default()
        .user_id("ana")
        .group("room")
        .role("webpubsub.sendToGroups.r*")
        .role("webpubsub.nonsense");
    let mut ana = world.connect("chat", options, Some(RELIABLE)).await;
    let connected = ana.json().await;
    let id = connected["connectionId"].as_str().expect("an id");
    let revoke = format!("/api/hubs/chat/permissions/sendToGroup/connections/{id}?targetName=red");
    assert_eq!(world.call("DELETE", &revoke).send().await.status, 204);
    let send = "/api/hubs/chat/groups/room/:send";
    assert_eq!(world.call("POST", send).text("hi").send().await.status, 202);
    ana.json().await;
    admin
        .document("POST", "clock/advance", r#"{"seconds": 2}"#)
        .await;

    let shown = admin.get(&format!("hubs/CHAT/connections/{id}")).await;
    let replay = &shown["replay"];
    assert_eq!(replay["frames"], 1);
    assert!(replay["bytes"].as_u64() > Some(60), "{replay}");
    for (member, expected) in [
        ("hub", json!("chat")),
        ("userId", json!("ana")),
        ("subprotocol", json!(RELIABLE)),
        ("reliable", json!(true)),
        ("attached", json!(true)),
        ("ageSeconds", json!(2.0)),
        ("groups", json!(["room"])),
        ("roles", json!(["webpubsub.sendToGroups.r*"])),
        ("revokedRoles", json!(["webpubsub.sendToGroup.red"])),
        ("queue", json!({"frames": 0, "bytes": 0})),
        ("waiting", json!({"frames": 0, "bytes": 0})),
        ("streams", json!(0)),
        ("reads", json!(true)),
    ] {
        assert_eq!(shown[member], expected, "{member}");
    }
    assert!(shown["tokenExpiresAt"].as_str() > shown["connectedAt"].as_str());

    let in_code = world.emulator.connections("Chat");
    assert_eq!(serde_json::to_value(&in_code).unwrap(), json!([shown]));
    assert_eq!(
        admin.get("hubs/chat/connections").await["connections"],
        json!([shown])
    );
    let unknown = admin.call("GET", "hubs/chat/connections/none", "").await;
    assert_eq!(
        (unknown.status, &unknown.json()["target"]),
        (404, &json!("Connection"))
    );
}

#[tokio::test]
async fn connections_are_listed_by_hub_user_and_group() {
    let admin = Admin::start().await;
    let world = &admin.world;
    let _clients = [
        world.user("chat", "ana", &["a", "b"]).await,
        world.user("chat", "ana", &["a"]).await,
        world.user("chat", "bob", &["b"]).await,
        world.user("news", "ana", &[]).await,
    ];
    for (query, count) in [
        ("chat/connections", 3),
        ("chat/connections?user=ana", 2),
        ("chat/connections?user=ana&group=b", 1),
        ("chat/connections?group=a", 2),
        ("chat/connections?user=nobody", 0),
        ("news/connections", 1),
        ("empty/connections", 0),
    ] {
        let list = admin.get(&format!("hubs/{query}")).await;
        let connections = list["connections"].as_array().expect("a list");
        assert_eq!(connections.len(), count, "{query}");
        assert!(connections.is_sorted_by_key(|it| it["connectionId"].as_str()));
    }
    let bad = admin.call("GET", "hubs/1st/connections", "").await;
    assert_eq!((bad.status, &bad.json()["target"]), (400, &json!("hub")));
}

#[tokio::test]
async fn groups_show_members_and_states() {
    let admin = Admin::start().await;
    let all = ["webpubsub.setGroupState", "webpubsub.getGroupState"];
    let options = |user: &str| {
        let options = ClientTokenOptions::default().user_id(user).group("room");
        all.iter()
            .fold(options, |options, role| options.role(*role))
    };
    let mut ana = admin.world.client("chat", options("ana")).await;
    let mut bob = admin.world.client("chat", options("bob")).await;
    ana.send(r#"{"type":"setGroupState","group":"room","state":{"mood":"fine"},"ackId":1}"#)
        .await;
    ana.json().await;
    bob.send(r#"{"type":"subscribeGroupState","group":"room","ackId":1}"#)
        .await;
    bob.json().await;

    let groups = admin.get("hubs/chat/groups").await;
    let expected = json!([{"name": "room", "members": 2, "states": 1, "subscribers": 1}]);
    assert_eq!(groups["groups"], expected);
    let group = admin.get("hubs/chat/groups/room").await;
    let member = |id: &str| {
        let members = group["members"].as_array().expect("a list").iter();
        members
            .clone()
            .find(|it| it["connectionId"] == id)
            .expect("a member")
            .clone()
    };
    assert_eq!(
        member(&ana.id),
        json!({"connectionId": ana.id, "userId": "ana", "state": {"mood": "fine"}, "subscribed": false})
    );
    assert_eq!(
        member(&bob.id),
        json!({"connectionId": bob.id, "userId": "bob", "state": null, "subscribed": true})
    );
    let in_code = admin.world.emulator.groups("chat");
    assert_eq!(serde_json::to_value(&in_code).unwrap(), json!([group]));
    assert!(
        !format!("{in_code:?}").contains("fine"),
        "states are the application's"
    );
    assert_eq!(
        admin.call("GET", "hubs/chat/groups/none", "").await.status,
        404
    );
}

#[tokio::test]
async fn hubs_are_those_in_use_and_those_set_up() {
    let admin = Admin::with(|builder| {
        let handler =
            webpubsub_emulator::EventHandler::url("http://127.0.0.1:9/{event}?code=k").unwrap();
        builder.hub(
            "Idle",
            HubOptions::new().event_handler(handler.skip_validation()),
        )
    })
    .await;
    let _ana = admin.world.user("chat", "ana", &["a", "b"]).await;
    let hubs = admin.get("hubs").await;
    let zero = json!({"connections": 0, "connecting": 0, "users": 0, "groups": 0, "handlers": 1, "anonymousConnect": false, "name": "idle"});
    let used = json!({"connections": 1, "connecting": 0, "users": 1, "groups": 2, "handlers": 0, "anonymousConnect": false, "name": "chat"});
    assert_eq!(hubs["hubs"], json!([used, zero]));
    assert_eq!(admin.get("hubs/IDLE").await, zero);
    assert_eq!(admin.call("GET", "hubs/other", "").await.status, 404);

    let handlers = admin.get("handlers").await;
    let handler = &handlers["handlers"][0];
    assert_eq!(handler["url"], "http://127.0.0.1:9/{event}?..");
    assert_eq!(
        (&handler["healthy"], &handler["events"]),
        (&json!(null), &json!(0))
    );
    assert_eq!(
        handler["systemEvents"],
        json!(["connect", "connected", "disconnected"])
    );
    assert_eq!(admin.get("handlers?hub=chat").await["handlers"], json!([]));
}

#[tokio::test]
async fn handlers_show_how_they_are_doing() {
    let handler = Handler::new(|seen| match &*seen.body {
        b"\"good\"" => Reply::ok(),
        _ => Reply::status(404),
    });
    let events = handler.in_process().system_events([]);
    let admin =
        Admin::with(|builder| builder.hub("chat", HubOptions::new().event_handler(events))).await;
    let mut ana = admin.world.user("chat", "ana", &[]).await;
    for (ack, data, healthy, failures) in [
        (1, "good", true, 0),
        (2, "bad", false, 1),
        (3, "good", true, 1),
    ] {
        let event = json!({"type": "event", "event": "e", "ackId": ack, "data": data});
        ana.send(&event.to_string()).await;
        ana.json().await;
        let handlers = admin.get("handlers").await;
        let shown = &handlers["handlers"][0];
        assert_eq!(
            (&shown["events"], &shown["healthy"], &shown["failures"]),
            (&json!(ack), &json!(healthy), &json!(failures)),
        );
        assert_eq!(shown["url"], json!(null));
        let failure = shown["lastFailure"].as_str();
        assert_eq!(failure.is_some(), failures > 0);
        assert!(
            failure.is_none_or(|text| text.contains("404")),
            "{failure:?}"
        );
    }
    let in_code = admin.world.emulator.handlers();
    assert_eq!(in_code.len(), 1);
    assert_eq!(
        (in_code[0].health.events, in_code[0].health.failures),
        (3, 1)
    );
}
