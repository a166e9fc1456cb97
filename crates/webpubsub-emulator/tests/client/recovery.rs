//! Reliable clients that lose their socket.

use std::time::Duration;

use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use webpubsub_emulator::Emulator;

use super::raw::{RawSocket, Received};
use super::{ALL_GROUPS, Client, RELIABLE, TEST_TIMEOUT, emulator, json_client, request};

const REFUSED: &str = "The connection could not be recovered.";

/// What a client needs to come back.
pub(super) struct Session {
    id: String,
    token: String,
}

pub(super) async fn reliable(emulator: &Emulator) -> (Client, Session) {
    let url = emulator.client_access_url("chat", "ana", &ALL_GROUPS);
    let mut client = Client::open(request(&url, Some(RELIABLE))).await;
    let session = session(&client.text().await);
    (client, session)
}

/// Reads a `connected` frame.
fn session(connected: &str) -> Session {
    let frame: serde_json::Value = serde_json::from_str(connected).expect("JSON");
    let text = |name: &str| frame[name].as_str().expect("a string").to_owned();
    Session {
        id: text("connectionId"),
        token: text("reconnectionToken"),
    }
}

/// A recovery URL without an access token: only connection id and reconnection token count.
fn recovery_url(emulator: &Emulator, hub: &str, session: &Session) -> String {
    let endpoint = emulator.endpoint().replace("http://", "ws://");
    format!(
        "{endpoint}/client/hubs/{hub}?awps_connection_id={}&awps_reconnection_token={}",
        session.id, session.token
    )
}

pub(super) async fn recover(emulator: &Emulator, session: &Session) -> Client {
    Client::open(request(
        &recovery_url(emulator, "chat", session),
        Some(RELIABLE),
    ))
    .await
}

#[tokio::test]
async fn missed_messages_arrive_once_and_in_order() {
    // req: S-7.2-4, S-7.2-8, S-5-3
    let emulator = emulator().await;
    let (mut ana, first) = reliable(&emulator).await;
    ana.say(r#"{"type":"joinGroup","group":"g","ackId":1}"#)
        .await;
    ana.text().await;
    drop(ana);

    let mut bob = json_client(&emulator, "bob").await;
    for n in 1..=500 {
        bob.say(&format!(
            r#"{{"type":"sendToGroup","group":"g","data":{n}}}"#
        ))
        .await;
    }
    bob.say(r#"{"type":"ping"}"#).await;
    bob.text().await;

    let mut ana = recover(&emulator, &first).await;
    assert_eq!(ana.subprotocol.as_deref(), Some(RELIABLE));
    let second = session(&ana.text().await);
    assert_eq!(second.id, first.id);
    assert_ne!(second.token, first.token, "a fresh token");
    for n in 1..=500 {
        let frame = ana.text().await;
        assert!(
            frame.starts_with(&format!(r#"{{"sequenceId":{n},"#)),
            "{frame}"
        );
        assert!(frame.ends_with(&format!(r#""data":{n}}}"#)), "{frame}");
    }
    ana.say(r#"{"type":"sequenceAck","sequenceId":499}"#).await;
    ana.say(r#"{"type":"ping"}"#).await;
    assert_eq!(ana.text().await, r#"{"type":"pong"}"#);
    drop(ana);

    // The older token still works, and only what was not acknowledged comes again.
    let mut ana = recover(&emulator, &first).await;
    ana.text().await;
    assert!(ana.text().await.starts_with(r#"{"sequenceId":500,"#));
}

#[tokio::test]
async fn closes_other_than_1000_can_be_recovered() {
    // req: S-7.2-12, S-7.2-13
    for (code, recoverable) in [(1000, false), (1001, true), (4000, true)] {
        let emulator = emulator().await;
        let (mut client, session) = reliable(&emulator).await;
        let close = CloseFrame {
            code: code.into(),
            reason: "".into(),
        };
        client.send(Message::Close(Some(close))).await;
        assert_eq!(client.closed().await.0, code);
        let mut again = recover(&emulator, &session).await;
        if recoverable {
            assert!(again.text().await.contains(&session.id), "{code}");
        } else {
            assert_eq!(again.closed().await, (1008, REFUSED.to_owned()));
        }
    }
}

#[tokio::test]
async fn refused_recoveries_close_with_1008_and_harm_nothing() {
    // req: S-7.2-9, S-7.2-10
    let emulator = emulator().await;
    let (client, mine) = reliable(&emulator).await;
    let (_other, other) = reliable(&emulator).await;
    drop(client);
    let session = |id: &str, token: &str| Session {
        id: id.to_owned(),
        token: token.to_owned(),
    };
    let access = emulator.client_access_url("chat", "ana", &[]);
    let access = access.split_once("access_token=").expect("a token").1;
    for (name, hub, session) in [
        ("unknown connection", "chat", session("nobody", &mine.token)),
        ("no token", "chat", session(&mine.id, "")),
        ("nonsense", "chat", session(&mine.id, "nonsense")),
        (
            "another connection's token",
            "chat",
            session(&mine.id, &other.token),
        ),
        ("an access token", "chat", session(&mine.id, access)),
        ("another hub", "news", session(&mine.id, &mine.token)),
    ] {
        let url = recovery_url(&emulator, hub, &session);
        let mut client = Client::open(request(&url, Some(RELIABLE))).await;
        assert_eq!(client.closed().await, (1008, REFUSED.to_owned()), "{name}");
    }
    assert!(
        recover(&emulator, &mine)
            .await
            .text()
            .await
            .contains(&mine.id)
    );
}

#[tokio::test]
async fn the_window_is_over_after_30_seconds() {
    let emulator = Emulator::builder()
        .manual_clock()
        .start()
        .await
        .expect("a free port");
    let (mut client, session) = reliable(&emulator).await;
    let close = CloseFrame {
        code: 1001.into(),
        reason: "".into(),
    };
    client.send(Message::Close(Some(close))).await;
    client.closed().await;
    emulator.clock().advance(Duration::from_secs(29));
    let mut client = recover(&emulator, &session).await;
    client.text().await;

    let close = CloseFrame {
        code: 1001.into(),
        reason: "".into(),
    };
    client.send(Message::Close(Some(close))).await;
    client.closed().await;
    emulator.clock().advance(Duration::from_secs(30));
    let gone = emulator.wait_until(|state| state.connections("chat") == 0);
    tokio::time::timeout(TEST_TIMEOUT, gone)
        .await
        .expect("gone");
    let mut late = recover(&emulator, &session).await;
    assert_eq!(late.closed().await, (1008, REFUSED.to_owned()));
}

#[tokio::test]
async fn a_recovered_connection_keeps_its_subprotocol_whatever_is_offered() {
    // req: S-7.2-6
    let emulator = emulator().await;
    let spelled = "JSON.reliable.webpubsub.AZURE.v1";
    let url = emulator.client_access_url("chat", "ana", &[]);
    let mut client = Client::open(request(&url, Some(spelled))).await;
    let session = session(&client.text().await);
    drop(client);
    let url = recovery_url(&emulator, "chat", &session);
    for offer in [None, Some("protobuf.webpubsub.azure.v1"), Some("other")] {
        let mut socket = RawSocket::open(&emulator, &url, offer).await;
        let echo = format!("sec-websocket-protocol: {spelled}\r\n");
        assert!(socket.answer.contains(&echo), "{}", socket.answer);
        match socket.next().await {
            Ok(Received::Text(connected)) => assert!(connected.contains(&session.id)),
            other => panic!("{offer:?}: {other:?}"),
        }
    }
}
