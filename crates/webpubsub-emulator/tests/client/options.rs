//! Settings that change what clients see.

use std::time::Duration;

use tokio_tungstenite::tungstenite::Message;
use webpubsub_emulator::{Emulator, EmulatorBuilder, Limit};
use webpubsub_protocol::access::ClientTokenOptions;

use super::closing::Rest;
use super::{ALL_GROUPS, Client, RELIABLE, TEST_TIMEOUT, json_client, refusal, request};

async fn start(builder: EmulatorBuilder) -> Emulator {
    builder.start().await.expect("the emulator starts")
}

async fn with(limit: Limit, value: u64) -> Emulator {
    start(Emulator::builder().limit(limit, value)).await
}

async fn reliable(emulator: &Emulator) -> Client {
    let url = emulator.client_access_url("chat", "ana", &ALL_GROUPS);
    let mut client = Client::open(request(&url, Some(RELIABLE))).await;
    assert!(client.text().await.contains("reconnectionToken"));
    client
}

#[tokio::test]
async fn the_clock_skew_of_access_tokens() {
    for (skew, late, opens) in [(0, 61, false), (10, 65, true), (10, 75, false)] {
        let builder = Emulator::builder().manual_clock();
        let emulator = start(builder.limit(Limit::TokenSkew, skew)).await;
        let options = ClientTokenOptions::default().lifetime(Duration::from_secs(60));
        let url = emulator.client_access_url_with("chat", &options);
        emulator.clock().advance(Duration::from_secs(late));
        if opens {
            Client::open(request(&url, None)).await;
        } else {
            assert_eq!(refusal(request(&url, None)).await.0, 401, "{late}");
        }
    }
}

#[tokio::test]
async fn the_size_of_messages_from_clients_and_rest() {
    let emulator = with(Limit::MessageBytes, 20).await;
    let mut client = json_client(&emulator, "ana").await;
    client.say(r#"{"type":"ping"     }"#).await;
    assert_eq!(client.text().await, r#"{"type":"pong"}"#);
    client.say(r#"{"type":"ping"      }"#).await;
    let too_large = "The client message is too large.".to_owned();
    assert_eq!(client.closed().await, (1009, too_large));
    let rest = Rest::of(&emulator);
    for (size, status) in [(20, 202), (21, 400)] {
        assert_eq!(
            rest.send("/api/hubs/chat/:send", &"x".repeat(size)).await,
            status
        );
    }
}

#[tokio::test]
async fn the_messages_that_may_stay_unacknowledged() {
    let builder = Emulator::builder().manual_clock();
    let emulator = start(builder.limit(Limit::ReplayMessages, 2)).await;
    let mut client = reliable(&emulator).await;
    let rest = Rest::of(&emulator);
    let sends = async {
        for text in ["one", "two", "three"] {
            assert_eq!(rest.send("/api/hubs/chat/:send", text).await, 202);
        }
    };
    let reads = async {
        assert!(client.text().await.ends_with(r#""data":"one"}"#));
        assert!(client.text().await.ends_with(r#""data":"two"}"#));
        // The second send waits for an acknowledgement, until the client counts as one that sends none.
        emulator.clock().advance(Duration::from_secs(5));
    };
    tokio::join!(sends, reads);
    let full = "The reliable message buffer is full.";
    let disconnected = format!(r#"{{"type":"system","event":"disconnected","message":"{full}"}}"#);
    assert_eq!(client.text().await, disconnected);
    assert_eq!(client.closed().await, (1008, full.to_owned()));
}

#[tokio::test]
async fn the_bytes_that_may_wait() {
    // req: S-7.1-5
    let full = "The outbound message queue is full.";
    for subprotocol in [
        None,
        Some("json.webpubsub.azure.v1"),
        Some(RELIABLE),
        Some("protobuf.webpubsub.azure.v1"),
        Some("protobuf.reliable.webpubsub.azure.v1"),
    ] {
        let emulator = with(Limit::OutboxBytes, 4096).await;
        let url = emulator.client_access_url("chat", "ana", &[]);
        let mut client = Client::open(request(&url, subprotocol)).await;
        // Reliable connections have 64 KiB more, for their control frames.
        let too_much = "x".repeat(4096 + 64 * 1024 + 1);
        let rest = Rest::of(&emulator);
        assert_eq!(rest.send("/api/hubs/chat/:send", &too_much).await, 202);
        let mut last = Vec::new();
        let close = loop {
            match client.next().await {
                Message::Close(close) => break close.expect("a status"),
                frame => last = frame.into_data().to_vec(),
            }
        };
        let told = (u16::from(close.code), close.reason.as_str());
        assert_eq!(told, (1008, full), "{subprotocol:?}");
        let says_why = last.windows(full.len()).any(|part| part == full.as_bytes());
        assert_eq!(says_why, subprotocol.is_some(), "{subprotocol:?}");
    }
}

#[tokio::test]
async fn the_remembered_ack_ids() {
    let emulator = with(Limit::AckIds, 1).await;
    let mut client = json_client(&emulator, "ana").await;
    for (id, success) in [(1, true), (1, false), (2, true), (1, true)] {
        client
            .say(&format!(
                r#"{{"type":"joinGroup","group":"g","ackId":{id}}}"#
            ))
            .await;
        let ack = client.text().await;
        assert!(
            ack.contains(&format!(r#""success":{success}"#)),
            "{id}: {ack}"
        );
    }
}

#[tokio::test]
async fn the_open_streams_of_a_connection() {
    // req: S-9-3
    for (emulator, most) in [
        (with(Limit::OpenStreams, 1).await, 1),
        (super::emulator().await, 100),
    ] {
        let mut client = json_client(&emulator, "ana").await;
        let start = |n: usize| {
            format!(r#"{{"type":"sendToGroup","group":"g","stream":{{"streamId":"{n}"}}}}"#)
        };
        for n in 0..most {
            client.say(&start(n)).await;
            assert!(client.text().await.contains("streamAck"), "{n}");
        }
        client.say(&start(most)).await;
        let refused = client.text().await;
        assert!(
            refused.contains("streamClosed") && refused.contains("BadRequest"),
            "{refused}"
        );
        client.say(r#"{"type":"streamEnd","streamId":"0"}"#).await;
        assert!(client.text().await.contains("streamClosed"));
        client.say(&start(most)).await;
        assert!(
            client.text().await.contains("streamAck"),
            "there is room again"
        );
    }
}

#[tokio::test]
async fn pings_and_silence() {
    let builder = Emulator::builder().manual_clock();
    let builder = builder
        .limit(Limit::PingInterval, 5)
        .limit(Limit::SilenceLimit, 5);
    let emulator = start(builder).await;
    let mut client = json_client(&emulator, "ana").await;
    // Its socket is not read, so nothing answers the ping, and nothing else was heard for 5 s.
    client.say(r#"{"type":"ping"}"#).await;
    client.text().await;
    emulator.clock().advance(Duration::from_secs(5));
    let gone = emulator.wait_until(|state| state.connections("chat") == 0);
    tokio::time::timeout(TEST_TIMEOUT, gone)
        .await
        .expect("taken as lost");
}

#[tokio::test]
async fn a_close_without_status_ends_a_reliable_connection_when_asked_to() {
    for end in [false, true] {
        let emulator = start(Emulator::builder().end_on_close_without_status(end)).await;
        let mut client = reliable(&emulator).await;
        let mut witness = json_client(&emulator, "bob").await;
        client.send(Message::Close(None)).await;
        assert_eq!(client.next().await, Message::Close(None));
        // The answer goes out after the hub has learnt of the close.
        let left = if end { 1 } else { 2 };
        assert_eq!(emulator.state().connections("chat"), left, "{end}");
        witness.say(r#"{"type":"ping"}"#).await;
        assert_eq!(witness.text().await, r#"{"type":"pong"}"#);
    }
}

#[tokio::test]
async fn failed_events_of_simple_clients_close_with_1000_when_asked_to() {
    let emulator = start(Emulator::builder().close_failed_events_normally(true)).await;
    let url = emulator.client_access_url("chat", None, &[]);
    let mut client = Client::open(request(&url, None)).await;
    client.send(Message::text("anyone?")).await;
    assert_eq!(client.closed().await, (1000, String::new()));
}

#[tokio::test]
async fn what_is_out_of_range_is_not_started() {
    let refused = Emulator::builder()
        .limit(Limit::RecoveryWindow, 86_401)
        .start()
        .await;
    let error = refused.expect_err("a day at most").to_string();
    assert_eq!(error, "the recovery window in seconds must be 0 to 86400");
}

#[tokio::test]
async fn a_recovered_socket_begins_with_its_messages_when_asked_to() {
    // req: S-7.1-2
    let emulator = start(Emulator::builder().connected_on_recovery(false)).await;
    let url = emulator.client_access_url("chat", "ana", &ALL_GROUPS);
    let mut client = Client::open(request(&url, Some(RELIABLE))).await;
    let connected: serde_json::Value = serde_json::from_str(&client.text().await).expect("JSON");
    assert_eq!(connected.get("sequenceId"), None);
    let text = |name: &str| connected[name].as_str().expect("a string");
    let (id, token) = (text("connectionId"), text("reconnectionToken"));
    drop(client);
    assert_eq!(
        Rest::of(&emulator)
            .send("/api/hubs/chat/:send", "missed")
            .await,
        202
    );
    let url = format!("{url}&awps_connection_id={id}&awps_reconnection_token={token}");
    let mut client = Client::open(request(&url, Some(RELIABLE))).await;
    assert_eq!(
        client.text().await,
        r#"{"sequenceId":1,"type":"message","from":"server","dataType":"text","data":"missed"}"#
    );
    // What is not a message has no number.
    for (frame, answer) in [
        (r#"{"type":"ping"}"#, "pong"),
        (r#"{"type":"joinGroup","group":"g","ackId":1}"#, "ack"),
        (
            r#"{"type":"sendToGroup","group":"g","stream":{"streamId":"s"}}"#,
            "streamAck",
        ),
        (
            r#"{"type":"streamData","streamId":"s","streamSequenceId":9,"dataType":"text","data":""}"#,
            "streamNack",
        ),
        (r#"{"type":"streamData","streamId":"none"}"#, "streamClosed"),
        (
            r#"{"type":"invoke","invocationId":"1","target":"event","event":"e"}"#,
            "invokeResponse",
        ),
    ] {
        client.say(frame).await;
        let answered = client.text().await;
        assert!(
            answered.starts_with(&format!(r#"{{"type":"{answer}""#)),
            "{answered}"
        );
        assert!(!answered.contains(r#""sequenceId""#), "{answered}");
    }
}
