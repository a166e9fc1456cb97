//! What time does on every wire form: messages that expire, and pings.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use webpubsub_emulator::Emulator;
use webpubsub_protocol::frame::{json as json_frames, protobuf};

use super::closing::Rest;
use super::{ALL_GROUPS, Client, TEST_TIMEOUT, json_client, request};

const PLAIN: [Option<&str>; 3] = [
    None,
    Some("json.webpubsub.azure.v1"),
    Some("protobuf.webpubsub.azure.v1"),
];

const RELIABLE: [&str; 2] = [
    "json.reliable.webpubsub.azure.v1",
    "protobuf.reliable.webpubsub.azure.v1",
];

async fn emulator() -> Emulator {
    let builder = Emulator::builder().manual_clock();
    builder.start().await.expect("a free port")
}

/// The next frame, whatever its form.
async fn frame(client: &mut Client) -> Value {
    match client.next().await {
        Message::Text(text) => serde_json::from_str(&text).expect("JSON"),
        Message::Binary(bytes) => {
            let frame = protobuf::decode_server(bytes).expect("a frame");
            serde_json::from_str(&json_frames::encode_server(&frame)).expect("JSON")
        }
        other => panic!("no frame: {other:?}"),
    }
}

#[tokio::test]
async fn messages_expire_while_their_client_is_away() {
    // req: S-7.4-1, S-7.4-2, S-7.4-3
    for subprotocol in RELIABLE {
        let emulator = emulator().await;
        let rest = Rest::of(&emulator);
        let mut publisher = json_client(&emulator, "bob").await;
        let url = emulator.client_access_url("chat", "ana", &ALL_GROUPS);
        let mut client = Client::open(request(&url, Some(subprotocol))).await;
        let connected = frame(&mut client).await;
        let text = |name: &str| connected[name].as_str().expect("a string");
        let (id, token) = (text("connectionId"), text("reconnectionToken"));
        let member = format!("/api/hubs/chat/groups/g/connections/{id}");
        assert_eq!(rest.put(&member).await, 200);
        drop(client);

        for (ttl, text) in [(10, "rest 10"), (11, "rest 11"), (0, "rest 0")] {
            let path =
                format!("/api/hubs/chat/:send?messageTtlSeconds={ttl}&api-version=2024-12-01");
            assert_eq!(rest.send(&path, text).await, 202);
        }
        let path = "/api/hubs/chat/:send?messageTtlSeconds=301&api-version=2024-12-01";
        assert_eq!(rest.send(path, "x").await, 400);
        for (ttl, text) in [(10, "client 10"), (300, "client 300")] {
            let sent = json!({"type": "sendToGroup", "group": "g", "ttlSeconds": ttl, "dataType": "text", "data": text});
            publisher.say(&sent.to_string()).await;
        }
        publisher.say(r#"{"type":"ping"}"#).await;
        while !publisher.text().await.contains("pong") {}
        emulator.clock().advance(Duration::from_secs(10));

        let url = format!(
            "{}/client/hubs/chat?awps_connection_id={id}&awps_reconnection_token={token}",
            emulator.endpoint().replace("http://", "ws://")
        );
        let mut client = Client::open(request(&url, Some(subprotocol))).await;
        assert_eq!(frame(&mut client).await["event"], "connected");
        for (id, text) in [(2, "rest 11"), (3, "rest 0"), (5, "client 300")] {
            let message = frame(&mut client).await;
            assert_eq!(message["data"], text, "{subprotocol}");
            assert_eq!(message["sequenceId"], id, "{subprotocol}");
        }
    }
}

#[tokio::test]
async fn messages_with_a_life_reach_clients_that_are_there() {
    // req: S-7.4-1
    for subprotocol in PLAIN.into_iter().chain(RELIABLE.map(Some)) {
        let emulator = emulator().await;
        let url = emulator.client_access_url("chat", "ana", &[]);
        let mut client = Client::open(request(&url, subprotocol)).await;
        if subprotocol.is_some() {
            frame(&mut client).await;
        }
        let path = "/api/hubs/chat/:send?messageTtlSeconds=1&api-version=2024-12-01";
        assert_eq!(Rest::of(&emulator).send(path, "now").await, 202);
        match subprotocol {
            None => assert_eq!(client.text().await, "now"),
            Some(_) => assert_eq!(frame(&mut client).await["data"], "now"),
        }
    }
}

#[tokio::test]
async fn every_kind_of_socket_is_pinged_and_answers_pings() {
    // req: S-8-1
    use futures_util::StreamExt as _;
    for subprotocol in PLAIN.into_iter().chain(RELIABLE.map(Some)) {
        let emulator = emulator().await;
        let url = emulator.client_access_url("chat", "ana", &[]);
        let mut client = Client::open(request(&url, subprotocol)).await;
        if subprotocol.is_some() {
            frame(&mut client).await;
        }
        client.send(Message::Ping(b"anyone?".to_vec().into())).await;
        let pong = tokio::time::timeout(TEST_TIMEOUT, client.socket.next()).await;
        let expected = Message::Pong(b"anyone?".to_vec().into());
        assert_eq!(
            pong.expect("in time").expect("open").expect("a frame"),
            expected
        );

        emulator.clock().advance(Duration::from_secs(20));
        let ping = tokio::time::timeout(TEST_TIMEOUT, client.socket.next()).await;
        let expected = Message::Ping(Vec::new().into());
        assert_eq!(
            ping.expect("in time").expect("open").expect("a frame"),
            expected
        );
    }
}
