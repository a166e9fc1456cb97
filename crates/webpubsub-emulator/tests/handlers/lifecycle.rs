//! From `connect` to `disconnected`: what is told, in which order, and how often.

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use webpubsub_protocol::access::AccessKey;
use webpubsub_protocol::cloud_event::signature;

use super::*;

#[tokio::test]
async fn a_life_is_told_over_http_with_every_header() {
    let mut handler = Handler::new(|seen| match seen.event() {
        "connect" => Reply::ok().with("ce-connectionstate", "c3RhdGU="),
        "echo" => Reply::body("text/plain", seen.body.clone()),
        _ => Reply::ok(),
    });
    let at = handler.on_a_port().await;
    let secondary = "the secondary key of this test, long enough";
    let world = World::with(|builder| {
        builder
            .secondary_access_key(secondary)
            .hub("Chat", HubOptions::new().event_handler(at))
    })
    .await;
    let mut client = world.client("chat", user("zoë")).await;
    client
        .send(r#"{"type":"event","event":"echo","ackId":1,"dataType":"text","data":"hi","metadata":{"Trace":"7"}}"#)
        .await;
    assert_eq!(client.data().await, "hi");
    assert_eq!(client.json().await["success"], true);
    client.close(1000, "done").await;

    let keys = [world.key.clone(), AccessKey::new(secondary)];
    let expected = [
        ("connect", "sys.connect", "application/json"),
        ("connected", "sys.connected", "application/json"),
        ("echo", "user.echo", "text/plain; charset=utf-8"),
        ("disconnected", "sys.disconnected", "application/json"),
    ];
    let mut request_ids = std::collections::BTreeSet::new();
    let events = handler.events(expected.len()).await;
    for (id, (seen, (name, kind, content_type))) in events.iter().zip(expected).enumerate() {
        let source = format!("/hubs/chat/client/{}", client.id);
        let kind = format!("azure.webpubsub.{kind}");
        let id = id.to_string();
        let subprotocol = if name == "connect" { "" } else { JSON };
        let state = if name == "connect" { "" } else { "c3RhdGU=" };
        let signature = signature::sign(&keys, &client.id);
        assert_eq!(
            seen.uri,
            format!("/eventhandler/{name}?code=1&hub=chat").as_str()
        );
        for (header, value) in [
            ("webhook-request-origin", "127.0.0.1"),
            ("content-type", content_type),
            ("ce-specversion", "1.0"),
            ("ce-awpsversion", "1.0"),
            ("ce-type", kind.as_str()),
            ("ce-source", &source),
            ("ce-id", &id),
            ("ce-userid", "zoë"),
            ("ce-connectionid", &client.id),
            ("ce-hub", "chat"),
            ("ce-eventname", name),
            ("ce-subprotocol", subprotocol),
            ("ce-connectionstate", state),
            ("ce-signature", &signature),
            ("accept-encoding", ""),
        ] {
            assert_eq!(seen.header(header), value, "{header} of {name}");
        }
        assert_eq!(seen.header("ce-time").len(), "2026-01-01T00:00:00Z".len());
        assert!(seen.headers.contains_key("host"));
        request_ids.insert(seen.header("x-ms-client-request-id").to_owned());
    }
    assert_eq!(request_ids.len(), expected.len(), "one for each event");
    assert_eq!(events[1].json(), json!({}));
    assert_eq!(events[2].header("x-webpubsub-metadata-trace"), "7");
    assert_eq!(events[2].body, "hi");
    assert_eq!(events[3].json(), json!({"reason": "done"}));
    world.emulator.shutdown().await;
    assert!(handler.is_quiet(), "told once");
}

#[tokio::test]
async fn a_service_in_this_process_gets_the_same() {
    let mut handler = Handler::silent();
    let world = world(handler.in_process()).await;
    let mut client = world.client("chat", user("u")).await;
    client
        .send(r#"{"type":"event","event":"a","data":1}"#)
        .await;
    for (id, name) in ["connect", "connected", "a"].into_iter().enumerate() {
        let seen = handler.event(name).await;
        assert_eq!(seen.uri, "/api/webpubsub/hubs/chat/");
        assert_eq!((seen.id(), seen.header("host")), (id as u64, "localhost"));
        assert_eq!(seen.header("webhook-request-origin"), "127.0.0.1");
    }
    assert_eq!(world.emulator.counts().handler_calls, 3);
}

/// A connection ends in some way, and its handler hears why, once.
#[tokio::test]
async fn every_end_is_told_once_with_its_reason() {
    let mut handler = Handler::new(|seen| match seen.event() {
        "message" => Reply::status(400),
        _ => Reply::ok(),
    });
    let only = [SystemEvent::Disconnected];
    let world = world(handler.in_process().system_events(only)).await;
    let close = "/api/hubs/chat/:closeConnections?api-version=2024-12-01";
    let close_with = format!("{close}&reason=tired");

    let mut reasons = Vec::new();
    for how in 0..7 {
        let mut client = match how {
            5 => world.simple("chat", user("u")).await,
            _ => world.client("chat", user("u")).await,
        };
        match how {
            0 => client.close(1000, "").await,
            1 => client.close(4000, "not the last word").await,
            2 => drop(client),
            3 => drop(world.call("POST", close).send().await),
            4 => drop(world.call("POST", &close_with).send().await),
            5 => client.send("this fails").await,
            _ => client.send("no JSON").await,
        }
        let mut seen = handler.next().await;
        if how == 5 {
            assert_eq!(seen.event(), "message");
            seen = handler.next().await;
        }
        assert_eq!(seen.event(), "disconnected");
        reasons.push(seen.json()["reason"].as_str().expect("text").to_owned());
    }
    assert_eq!(
        reasons,
        [
            "",
            "The connection ended.",
            "The connection ended.",
            "Application server closed the connection.",
            "Application server closed the connection. Reason: tired",
            "Internal server error",
            "The client message is not a valid JSON protocol message.",
        ]
    );
    let mut last = world.client("chat", user("u")).await;
    // Takes the client along, so that it hangs up once it has seen it all.
    let leaving = async move {
        assert_eq!(last.json().await["event"], "disconnected");
        last.closed().await;
    };
    tokio::join!(world.emulator.shutdown(), leaving);
    let seen = handler.event("disconnected").await;
    assert_eq!(seen.json()["reason"], "Service reload");
    assert!(handler.is_quiet());
}

#[tokio::test]
async fn a_reliable_session_ends_when_it_cannot_be_recovered_any_more() {
    let mut handler = Handler::new(|seen| match seen.event() {
        "remember" => Reply::ok()
            .with("ce-connectionstate", "first")
            .with("ce-connectionstate", "second")
            .with("set-cookie", "instance=7"),
        _ => Reply::ok(),
    });
    let world = world(handler.in_process()).await;
    let mut client = world.connect("chat", user("u"), Some(RELIABLE)).await;
    let connected = client.json().await;
    client
        .send(r#"{"type":"event","event":"remember","data":1}"#)
        .await;
    for name in ["connect", "connected", "remember"] {
        handler.event(name).await;
    }
    client.close(4000, "").await;

    let mut again = world.recover("chat", &connected).await;
    assert_eq!(again.json().await["event"], "connected");
    again
        .send(r#"{"type":"event","event":"next","data":1}"#)
        .await;
    let seen = handler.event("next").await;
    assert_eq!(seen.id(), 3, "not connected again, and the numbers go on");
    assert_eq!(seen.header("ce-connectionstate"), "second");
    assert_eq!(seen.header("cookie"), "instance=7");

    again.close(4000, "").await;
    assert!(handler.is_quiet(), "it may still come back");
    world.emulator.clock().advance(Duration::from_secs(30));
    let seen = handler.event("disconnected").await;
    assert_eq!(
        seen.json()["reason"],
        "The connection recovery timeout expired."
    );
    assert_eq!(seen.header("ce-connectionstate"), "second");
}

#[tokio::test]
async fn a_hanging_handler_of_notices_holds_nobody_up() {
    let mut handler = Handler::new(|seen| match seen.event() {
        "connected" => Reply::Hang,
        "echo" => Reply::body("text/plain", "yes"),
        _ => Reply::ok(),
    });
    let world = world(handler.in_process()).await;
    let mut client = world.client("chat", user("u")).await;
    client
        .send(r#"{"type":"event","event":"echo","data":1}"#)
        .await;
    assert_eq!(client.data().await, "yes");
    client.send_message(Message::Close(None)).await;
    for name in ["connect", "connected", "echo", "disconnected"] {
        handler.event(name).await;
    }
}
