//! What clients say to each other, over real sockets.

use std::time::Duration;

use tokio_tungstenite::tungstenite::Message;
use webpubsub_emulator::Emulator;
use webpubsub_protocol::access::ClientTokenOptions;

use super::{ALL_GROUPS, Client, JSON, TEST_TIMEOUT, emulator, json_client, request};

#[tokio::test]
async fn two_clients_chat_in_a_group() {
    // req: S-4-5, S-4-7, S-4-8, S-5-2, S-5-8, S-6-1, S-6-10
    let emulator = emulator().await;
    let mut ana = json_client(&emulator, "ana").await;
    let mut bob = json_client(&emulator, "bob").await;
    for client in [&mut ana, &mut bob] {
        client
            .say(r#"{"type":"joinGroup","group":"room","ackId":1}"#)
            .await;
        assert_eq!(
            client.text().await,
            r#"{"type":"ack","ackId":1,"success":true}"#
        );
        client
            .say(r#"{"type":"joinGroup","group":"room","ackId":2}"#)
            .await;
        assert_eq!(
            client.text().await,
            r#"{"type":"ack","ackId":2,"success":true}"#
        );
    }
    ana.say(r#"{"type":"sendToGroup","group":"room","ackId":3,"data":{"say":"hi"}}"#)
        .await;
    let message = r#"{"type":"message","from":"group","fromUserId":"ana","group":"room","dataType":"json","data":{"say":"hi"}}"#;
    assert_eq!(bob.text().await, message);
    assert_eq!(ana.text().await, message);
    assert_eq!(
        ana.text().await,
        r#"{"type":"ack","ackId":3,"success":true}"#
    );

    bob.say(
        r#"{"type":"sendToGroup","group":"room","noEcho":true,"dataType":"binary","data":"AQID"}"#,
    )
    .await;
    assert!(
        ana.text()
            .await
            .ends_with(r#""dataType":"binary","data":"AQID"}"#)
    );
    bob.say(r#"{"type":"leaveGroup","group":"room","ackId":4}"#)
        .await;
    assert_eq!(
        bob.text().await,
        r#"{"type":"ack","ackId":4,"success":true}"#,
        "no echo came before it"
    );
    ana.say(r#"{"type":"sendToGroup","group":"room","dataType":"text","data":"gone?"}"#)
        .await;
    bob.say(r#"{"type":"ping"}"#).await;
    assert_eq!(
        bob.text().await,
        r#"{"type":"pong"}"#,
        "nothing after leaving"
    );
}

#[tokio::test]
async fn payloads_reach_each_kind_of_client_in_its_form() {
    // req: S-2-5, S-2-6, S-2-7, S-3-1, S-3-4, S-3-5, S-3-6, S-3.1-1, S-3.1-2, S-3.1-11, S-2-4
    let emulator = emulator().await;
    let mut ana = json_client(&emulator, "ana").await;
    let url = format!(
        "{}&webpubsub_mode=sendToGroup&group=room",
        emulator.client_access_url("chat", "raw", &ALL_GROUPS)
    );
    let mut raw = Client::open(request(&url, None)).await;
    ana.say(r#"{"type":"joinGroup","group":"room","ackId":1}"#)
        .await;
    ana.text().await;
    let id = emulator
        .state()
        .hubs
        .values()
        .next()
        .expect("one hub")
        .connections
        .iter()
        .find(|(_, c)| c.subprotocol.is_none())
        .map(|(id, _)| id.to_string())
        .expect("the simple client");
    let rest = super::closing::Rest::of(&emulator);
    assert_eq!(
        rest.put(&format!("/api/hubs/chat/groups/room/connections/{id}"))
            .await,
        200
    );

    let any = "CgF0EgIIAQ==";
    for (frame, to_json, to_raw) in [
        (
            r#""dataType":"text","data":"é\n""#,
            r#""dataType":"text","data":"é\n"}"#,
            Message::text("é\n"),
        ),
        (
            r#""data":{"a": 1}"#,
            r#""dataType":"json","data":{"a": 1}}"#,
            Message::text(r#"{"a": 1}"#),
        ),
        (
            r#""dataType":"BINARY","data":"AQID""#,
            r#""dataType":"binary","data":"AQID"}"#,
            Message::binary(vec![1, 2, 3]),
        ),
        (
            &format!(r#""dataType":"protobuf","data":"{any}""#),
            &format!(r#""dataType":"protobuf","data":"{any}"}}"#),
            Message::binary(b"\x0a\x01t\x12\x02\x08\x01".to_vec()),
        ),
        (
            r#""metadata":{"k":"v"},"dataType":"text","data":"m""#,
            r#""dataType":"text","data":"m","metadata":{"k":"v"}}"#,
            Message::text("m"),
        ),
        (
            r#""metadata":{"k":"v"}"#,
            r#""dataType":"text","data":"","metadata":{"k":"v"}}"#,
            Message::text(""),
        ),
    ] {
        ana.say(&format!(
            r#"{{"type":"sendToGroup","group":"room",{frame}}}"#
        ))
        .await;
        let received = ana.text().await;
        assert!(received.ends_with(to_json), "{received}");
        assert_eq!(raw.next().await, to_raw);
    }

    raw.send(Message::text("from raw")).await;
    let received = ana.text().await;
    assert!(
        received.contains(r#""fromUserId":"raw""#) && received.contains(r#""data":"from raw""#)
    );
}

#[tokio::test]
async fn many_messages_arrive_in_order() {
    let emulator = emulator().await;
    let mut ana = json_client(&emulator, "ana").await;
    let mut bob = json_client(&emulator, "bob").await;
    bob.say(r#"{"type":"joinGroup","group":"g","ackId":1}"#)
        .await;
    bob.text().await;
    for n in 0..900 {
        ana.say(&format!(
            r#"{{"type":"sendToGroup","group":"g","data":{n}}}"#
        ))
        .await;
    }
    for n in 0..900 {
        assert!(
            bob.text().await.ends_with(&format!(r#""data":{n}}}"#)),
            "{n}"
        );
    }
}

#[tokio::test]
async fn fragmented_messages_are_one_frame() {
    use tokio_tungstenite::tungstenite::protocol::frame::Frame;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
    let emulator = emulator().await;
    let mut client = json_client(&emulator, "ana").await;
    let part = |text: &str, opcode, last| {
        Message::Frame(Frame::message(
            text.to_owned().into_bytes(),
            OpCode::Data(opcode),
            last,
        ))
    };
    client.send(part(r#"{"type":"#, Data::Text, false)).await;
    client.send(Message::Ping(Vec::new().into())).await;
    client.send(part(r#""ping"}"#, Data::Continue, true)).await;
    assert_eq!(client.text().await, r#"{"type":"pong"}"#);
}

#[tokio::test]
async fn a_simple_client_without_a_handler_is_closed() {
    // req: S-2-9
    let emulator = emulator().await;
    let url = emulator.client_access_url("chat", None, &[]);
    let mut client = Client::open(request(&url, None)).await;
    client.send(Message::text("anyone?")).await;
    assert_eq!(
        client.closed().await,
        (1011, "Internal server error".to_owned())
    );
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_nobody_up() {
    // req: S-7.1-6
    for subprotocol in [
        None,
        Some(JSON),
        Some("json.reliable.webpubsub.azure.v1"),
        Some("protobuf.webpubsub.azure.v1"),
        Some("protobuf.reliable.webpubsub.azure.v1"),
    ] {
        let builder = Emulator::builder().manual_clock();
        let emulator = builder.start().await.expect("a free port");
        let options = ClientTokenOptions::default().group("g");
        let url = emulator.client_access_url_with("chat", &options);
        let _slow = Client::open(request(&url, subprotocol)).await;
        let mut quick = json_client(&emulator, "quick").await;
        quick
            .say(r#"{"type":"joinGroup","group":"g","ackId":1}"#)
            .await;
        quick.text().await;
        let mut publisher = json_client(&emulator, "publisher").await;
        let body = "x".repeat(1_000_000);
        let frame =
            format!(r#"{{"type":"sendToGroup","group":"g","dataType":"text","data":"{body}"}}"#);
        let mut sent = 0;
        // Until the kernel's buffers and the 16 MiB are full.
        while emulator.state().members("chat", "g").len() == 2 {
            publisher.say(&frame).await;
            // The slow one holds the publisher back until it counts as stalled, which it does when time passes.
            let text = loop {
                let wait = Duration::from_millis(50);
                match tokio::time::timeout(wait, quick.text()).await {
                    Ok(text) => break text,
                    Err(_) => emulator.clock().advance(Duration::from_secs(1)),
                }
            };
            assert!(text.len() > body.len());
            sent += 1;
            assert!(
                sent < 200,
                "{subprotocol:?}: the slow client is never closed"
            );
        }
        assert!(sent > 16, "{subprotocol:?}: closed after {sent} messages");
        let gone = emulator.wait_until(|state| state.connections("chat") == 2);
        tokio::time::timeout(TEST_TIMEOUT, gone)
            .await
            .expect("the slow one is gone");
        quick.say(r#"{"type":"ping"}"#).await;
        assert_eq!(quick.text().await, r#"{"type":"pong"}"#);
    }
}
