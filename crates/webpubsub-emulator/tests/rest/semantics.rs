//! What calls do to the clients that are there.

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use webpubsub_protocol::access::ClientTokenOptions;

use crate::support::{Client, World, encode};

async fn send(world: &World, target: &str, text: &str) {
    let reply = world.call("POST", target).text(text).send().await;
    assert_eq!(reply.status, 202, "{target}: {}", reply.text());
}

async fn done(world: &World, method: &str, target: &str, status: u16) {
    let reply = world.call(method, target).send().await;
    assert_eq!(reply.status, status, "{method} {target}: {}", reply.text());
}

/// Sends to each target in turn, then a last word to all; returns who got what.
async fn deliveries(world: &World, clients: &mut [Client], targets: &[&str]) -> Vec<Vec<String>> {
    for (n, target) in targets.iter().enumerate() {
        send(world, target, &n.to_string()).await;
    }
    send(world, "/api/hubs/chat/:send", "end").await;
    let mut all = Vec::new();
    for client in clients {
        let mut got = Vec::new();
        loop {
            match client.data().await.as_str().expect("text") {
                "end" => break,
                text => got.push(text.to_owned()),
            }
        }
        all.push(got);
    }
    all
}

async fn three(world: &World) -> [Client; 3] {
    [
        world.user("chat", "ana", &["room", "vip"]).await,
        world.user("chat", "bo", &["room"]).await,
        world.client("chat", ClientTokenOptions::default()).await,
    ]
}

#[tokio::test]
async fn sends_reach_their_targets_and_nobody_else() {
    let world = World::start().await;
    let mut clients = three(&world).await;
    let mut elsewhere = world.user("other", "ana", &["room"]).await;
    let ids = clients.each_ref().map(|client| client.id.clone());
    let to_bo = format!("/api/hubs/chat/connections/{}/:send", ids[1]);
    let others = format!(
        "/api/hubs/chat/:send?excluded={}&excluded={}",
        ids[0], ids[2]
    );
    let listed = format!("/api/hubs/chat/:send?excluded={},{}", ids[0], ids[2]);
    let rest = format!("/api/hubs/chat/groups/room/:send?excluded={}", ids[0]);
    let filter = |text: &str| format!("/api/hubs/chat/:send?filter={}", encode(text));
    let (named, vip, none, empty) = (
        filter("userId ne null"),
        filter("'vip' in groups"),
        filter("userId eq 'nobody'"),
        filter(""),
    );
    let both = format!("{}&excluded={}", filter("userId ne null"), ids[0]);
    let user = format!(
        "/api/hubs/chat/users/ana/:send?filter={}",
        encode("'vip' in groups")
    );
    let targets = [
        "/api/hubs/CHAT/:send",
        "/api/hubs/chat/users/ana/:send",
        "/api/hubs/chat/groups/room/:send",
        &to_bo,
        &others,
        &listed,
        &rest,
        &named,
        &vip,
        &none,
        &empty,
        &both,
        &user,
        "/api/hubs/chat/users/ana/:send?filter=false",
        "/api/hubs/chat/:send?messageTtlSeconds=300",
        "/api/hubs/chat/users/nobody/:send",
    ];
    let got = deliveries(&world, &mut clients, &targets).await;
    assert_eq!(got[0], ["0", "1", "2", "5", "7", "8", "10", "12", "14"]);
    assert_eq!(
        got[1],
        ["0", "2", "3", "4", "5", "6", "7", "10", "11", "14"]
    );
    assert_eq!(got[2], ["0", "5", "10", "14"]);
    send(&world, "/api/hubs/other/:send", "first").await;
    assert_eq!(elsewhere.data().await, "first", "hubs are apart");
}

#[tokio::test]
async fn frames_say_where_they_come_from() {
    let world = World::start().await;
    let mut ana = world.user("chat", "ana", &["room"]).await;
    send(&world, "/api/hubs/chat/groups/room/:send", "hi").await;
    assert_eq!(
        ana.text().await,
        r#"{"type":"message","from":"group","fromUserId":null,"group":"room","dataType":"text","data":"hi"}"#
    );
    send(&world, "/api/hubs/chat/users/ana/:send", "hi").await;
    assert_eq!(
        ana.text().await,
        r#"{"type":"message","from":"server","dataType":"text","data":"hi"}"#
    );
}

#[tokio::test]
async fn simple_clients_get_the_bare_payload() {
    let world = World::start().await;
    let mut client = world
        .simple("chat", ClientTokenOptions::default().group("room"))
        .await;
    let target = "/api/hubs/chat/groups/room/:send";
    for (content_type, body, expected) in [
        ("text/plain", &b"hi"[..], Message::text("hi")),
        (
            "application/json",
            b"{ \"a\" : 1.0 }",
            Message::text("{ \"a\" : 1.0 }"),
        ),
        ("application/json", b"\"hi\"", Message::text("\"hi\"")),
        (
            "application/octet-stream",
            b"\0\x01",
            Message::binary(&b"\0\x01"[..]),
        ),
    ] {
        let reply = world
            .call("POST", target)
            .body(content_type, body)
            .send()
            .await;
        assert_eq!(reply.status, 202);
        assert_eq!(client.next().await, expected);
    }
}

#[tokio::test]
async fn closing_says_why_and_spares_the_excluded() {
    let world = World::start().await;
    let [mut ana, mut bo, mut cy] = three(&world).await;
    let assert_closed = async |client: &mut Client, message: &str| {
        let expected = json!({"type": "system", "event": "disconnected", "message": message});
        assert_eq!(client.json().await, expected);
        let frame = client.closed().await.expect("a close code");
        assert_eq!((frame.code, frame.reason.as_str()), (CloseCode::Normal, ""));
    };
    let spare = format!(
        "/api/hubs/chat/groups/room/:closeConnections?excluded={}&reason=too%20loud",
        ana.id
    );
    done(&world, "POST", &spare, 204).await;
    assert_closed(
        &mut bo,
        "Application server closed the connection. Reason: too loud",
    )
    .await;
    done(
        &world,
        "POST",
        "/api/hubs/chat/users/ana/:closeConnections?reason=",
        204,
    )
    .await;
    assert_closed(&mut ana, "Application server closed the connection.").await;
    done(&world, "HEAD", "/api/hubs/chat/users/ana", 404).await;
    done(&world, "HEAD", "/api/hubs/chat/groups/room", 404).await;
    done(
        &world,
        "HEAD",
        &format!("/api/hubs/chat/connections/{}", cy.id),
        200,
    )
    .await;
    done(
        &world,
        "DELETE",
        &format!("/api/hubs/chat/connections/{}", cy.id),
        204,
    )
    .await;
    assert_closed(&mut cy, "Application server closed the connection.").await;

    let mut dan = world.user("chat", "dan", &[]).await;
    let mut eve = world.simple("chat", ClientTokenOptions::default()).await;
    done(&world, "POST", "/api/hubs/chat/:closeConnections", 204).await;
    assert_closed(&mut dan, "Application server closed the connection.").await;
    assert_eq!(
        eve.closed().await.map(|frame| frame.code),
        Some(CloseCode::Normal)
    );
    assert_eq!(world.emulator.state().connections("chat"), 0);
}

#[tokio::test]
async fn connections_join_and_leave() {
    let world = World::start().await;
    let [ana, bo, _] = three(&world).await;
    let members = |group: &str| {
        let state = world.emulator.state();
        state
            .members("chat", group)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let in_group =
        |group: &str, id: &str| format!("/api/hubs/chat/groups/{group}/connections/{id}");
    done(&world, "PUT", &in_group("new", &ana.id), 200).await;
    done(&world, "PUT", &in_group("new", &ana.id), 200).await;
    assert_eq!(members("new"), [ana.id.as_str()]);
    done(&world, "DELETE", &in_group("new", &bo.id), 204).await;
    done(&world, "DELETE", &in_group("new", &ana.id), 204).await;
    assert_eq!(members("new"), [""; 0]);
    done(
        &world,
        "DELETE",
        &format!("/api/hubs/chat/connections/{}/groups", ana.id),
        204,
    )
    .await;
    assert_eq!(members("vip"), [""; 0]);
    assert_eq!(members("room"), [bo.id.as_str()]);
}

#[tokio::test]
async fn users_join_with_all_their_connections_and_nothing_is_remembered() {
    let world = World::start().await;
    let (one, two) = (
        world.user("chat", "ana", &[]).await,
        world.user("chat", "ana", &["vip"]).await,
    );
    let members = |group: &str| world.emulator.state().members("chat", group).len();
    done(&world, "PUT", "/api/hubs/chat/users/ana/groups/room", 200).await;
    assert_eq!(members("room"), 2, "{} and {}", one.id, two.id);
    let _three = world.user("chat", "ana", &[]).await;
    assert_eq!(members("room"), 2);
    done(
        &world,
        "DELETE",
        "/api/hubs/chat/users/ana/groups/room",
        204,
    )
    .await;
    assert_eq!((members("room"), members("vip")), (0, 1));
    done(&world, "PUT", "/api/hubs/chat/users/ana/groups/room", 200).await;
    done(&world, "DELETE", "/api/hubs/chat/users/ana/groups", 204).await;
    assert_eq!((members("room"), members("vip")), (0, 0));
    done(&world, "PUT", "/api/hubs/chat/users/zoe/groups/room", 404).await;
    let _zoe = world.user("chat", "zoe", &[]).await;
    assert_eq!(members("room"), 0, "not even for later");
}

#[tokio::test]
async fn many_connections_change_many_groups() {
    let world = World::start().await;
    let _clients = three(&world).await;
    let bulk = async |action: &str, body: &str| {
        let reply = world
            .call("POST", &format!("/api/hubs/chat/:{action}"))
            .json(body)
            .send()
            .await;
        assert_eq!((reply.status, reply.text()), (200, ""), "{body}");
    };
    let members = |group: &str| world.emulator.state().members("chat", group).len();
    bulk(
        "addToGroups",
        r#"{"groups":["a","b"],"filter":"userId ne null"}"#,
    )
    .await;
    assert_eq!((members("a"), members("b")), (2, 2));
    bulk("addToGroups", r#"{"groups":["all"]}"#).await;
    assert_eq!(members("all"), 3);
    // All targets are chosen before the first membership changes.
    bulk(
        "removeFromGroups",
        r#"{"groups":["a","vip"],"filter":"'vip' in groups"}"#,
    )
    .await;
    assert_eq!((members("a"), members("vip"), members("b")), (1, 0, 2));
    bulk(
        "addToGroups",
        r#"{"groups":["none"],"filter":"userId eq 'nobody'"}"#,
    )
    .await;
    assert_eq!(members("none"), 0);
    bulk(
        "removeFromGroups",
        r#"{"groups":["all","never"],"filter":null}"#,
    )
    .await;
    assert_eq!(members("all"), 0);
}

#[tokio::test]
async fn filters_are_checked_even_when_nobody_is_there() {
    let world = World::start().await;
    for target in [
        "/api/hubs/chat/:send",
        "/api/hubs/chat/groups/g/:send",
        "/api/hubs/chat/users/u/:send",
    ] {
        for filter in [
            "%20",
            "userId",
            "user%20eq%20'a'",
            "userId%20lt%201",
            "not%20length(userId)%20gt%205",
        ] {
            let target = format!("{target}?filter={filter}");
            let reply = world.call("POST", &target).text("hi").send().await;
            assert_eq!(reply.status, 400, "{target}");
            assert_eq!(
                reply.header("content-type"),
                Some("application/problem+json; charset=utf-8")
            );
            assert_eq!(reply.header("x-ms-error-code"), Some("Error.BadRequest"));
            assert_eq!(reply.header("api-supported-versions"), None);
            let problem = reply.json();
            assert!(
                reply.message().ends_with("(Parameter 'filter')"),
                "{problem}"
            );
            assert_eq!(problem["errors"], json!({"filter": [reply.message()]}));
        }
    }
}
