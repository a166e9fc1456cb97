//! What the traffic log shows of a connection.

use futures_util::StreamExt as _;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use webpubsub_emulator::{Direction, Emulator, MessageKind, TrafficEvent, UserEventReply};

use super::{ALL_GROUPS, Client, RELIABLE, TEST_TIMEOUT, emulator, json_client, request};

#[tokio::test]
async fn the_log_shows_a_connection_from_its_beginning_to_its_end_without_tokens() {
    let emulator = emulator().await;
    let mut traffic = emulator.traffic();
    let url = emulator.client_access_url("chat", "ana", &ALL_GROUPS);
    let mut client = Client::open(request(&url, Some(RELIABLE))).await;
    let connected = client.text().await;
    for (frame, answers) in [
        (r#"{"type":"joinGroup","group":"g","ackId":1}"#, 1),
        (
            r#"{"type":"sendToGroup","group":"g","data":"hi","ackId":2}"#,
            2,
        ),
    ] {
        client.say(frame).await;
        for _ in 0..answers {
            client.text().await;
        }
    }
    let close = CloseFrame {
        code: 1000.into(),
        reason: "done".into(),
    };
    client.send(Message::Close(Some(close))).await;
    let gone = emulator.wait_until(|state| state.connections("chat") == 0);
    tokio::time::timeout(TEST_TIMEOUT, gone)
        .await
        .expect("gone");

    let mut seen = Vec::new();
    while let Some(entry) = traffic.try_next() {
        match entry.event.clone() {
            TrafficEvent::Opened { recovered, .. } => seen.push(format!("opened {recovered}")),
            TrafficEvent::Ended { reason, .. } => seen.push(format!("ended {reason}")),
            TrafficEvent::Frame {
                direction,
                kind,
                group,
                bytes,
                excerpt,
                ..
            } => {
                if kind == MessageKind::Connected {
                    assert_eq!((bytes, excerpt), (connected.len(), None));
                } else {
                    let excerpt = excerpt.expect("nothing is secret in it");
                    assert_eq!(excerpt.as_bytes().len(), bytes);
                    assert!(excerpt.is_whole() && excerpt.as_bytes().starts_with(b"{"));
                }
                let arrow = match direction {
                    Direction::In => "->",
                    Direction::Out => "<-",
                };
                let group = group.as_ref().map_or("-", |group| group.as_str());
                seen.push(format!("{arrow} {kind} {group}"));
            }
            _ => {}
        }
    }
    assert_eq!(
        seen,
        [
            "opened false",
            "<- connected -",
            "-> joinGroup g",
            "<- ack -",
            "-> sendToGroup g",
            "<- message g",
            "<- ack -",
            "ended done",
        ]
    );
}

#[tokio::test]
async fn the_log_shows_what_a_closure_is_asked_and_answers() {
    let builder = Emulator::builder().on_user_event(async |event| {
        let asked = event.event_name.as_str();
        Ok(UserEventReply::text(format!("{asked}?")))
    });
    let emulator = builder.start().await.expect("a free port");
    let mut client = json_client(&emulator, "ana").await;
    let mut traffic = emulator.traffic();
    client
        .say(r#"{"type":"event","event":"what","ackId":1,"data":"now"}"#)
        .await;
    client.text().await;
    let call = loop {
        let entry = traffic.next().await.expect("an entry");
        if matches!(entry.event, TrafficEvent::HandlerCall { .. }) {
            break entry.event.clone();
        }
    };
    let TrafficEvent::HandlerCall {
        event,
        request,
        status,
        answer,
        succeeded,
        ..
    } = call
    else {
        unreachable!("it was looked for")
    };
    assert_eq!((event.as_str(), status, succeeded), ("what", None, true));
    assert_eq!(request.expect("data").as_bytes(), br#""now""#);
    assert_eq!(answer.expect("an answer").as_bytes(), b"what?");
}
