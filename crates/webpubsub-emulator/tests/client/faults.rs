//! What a client sees of faults on its own line, and what the traffic log shows of them.

use std::time::Duration;

use webpubsub_emulator::{Direction, Fault, MessageKind, TrafficEntry, TrafficEvent};
use webpubsub_protocol::name::{HubName, UserId};

use super::raw::{RawFrame, RawSocket, Received};
use super::{ALL_GROUPS, JSON, TEST_TIMEOUT, emulator};

fn text(payload: &str) -> Vec<u8> {
    let frame = RawFrame {
        opcode: 1,
        last: true,
        reserved: 0,
        masked: true,
        payload: payload.into(),
    };
    frame.into_bytes()
}

#[tokio::test]
async fn a_drop_ends_the_stream_a_reset_breaks_it_and_a_close_says_why() {
    let emulator = emulator().await;
    let url = emulator.client_access_url("chat", "ana", &[]);
    let open = || RawSocket::open(&emulator, &url, None);

    let mut client = open().await;
    let rule = emulator
        .faults()
        .add(Fault::drop_connection())
        .expect("valid");
    assert_eq!(client.end().await, Ok(()));
    assert!(emulator.faults().remove(rule));

    let mut client = open().await;
    let rule = emulator.faults().add(Fault::reset_peer()).expect("valid");
    let end = client.end().await.expect_err("it breaks");
    assert!(end.contains("reset"), "{end}");
    emulator.faults().remove(rule);

    let mut client = open().await;
    let close = Fault::close(4001, "go away");
    emulator.faults().add(close).expect("valid");
    let closed = Received::Close(Some((4001, "go away".to_owned())));
    assert_eq!(client.next().await, Ok(closed));
}

#[tokio::test]
async fn a_dead_line_stays_open_until_its_rule_is_removed() {
    let emulator = emulator().await;
    let url = emulator.client_access_url("chat", "ana", &[]);
    let mut client = RawSocket::open(&emulator, &url, None).await;
    let rule = emulator.faults().add(Fault::half_open()).expect("valid");
    // Silence is noticed, and the connection is over for the service, but not for its client.
    let gone = emulator.wait_until(|state| state.connections("chat") == 0);
    let mut gone = Box::pin(gone);
    while futures_util::poll!(gone.as_mut()).is_pending() {
        emulator.clock().advance(Duration::from_secs(20));
        tokio::task::yield_now().await;
    }
    let end = client.end();
    let mut end = Box::pin(end);
    assert!(futures_util::poll!(end.as_mut()).is_pending());
    emulator.faults().remove(rule);
    assert_eq!(end.await, Ok(()));
}

#[tokio::test]
async fn the_log_shows_which_rule_hit_whom() {
    let emulator = emulator().await;
    let mut traffic = emulator.traffic();
    let lost = Fault::lose_acks().name("no answer").hit_count(1);
    let rule = emulator.faults().add(lost).expect("valid");
    let url = emulator.client_access_url("chat", "ana", &ALL_GROUPS);
    let mut client = RawSocket::open(&emulator, &url, Some(JSON)).await;
    client.next().await.expect("a connected frame");
    for ack_id in 1..=2 {
        let join = format!(r#"{{"type":"joinGroup","group":"g","ackId":{ack_id}}}"#);
        client.send(&text(&join)).await.expect("an open socket");
    }
    let Ok(Received::Text(second)) = client.next().await else {
        panic!("the second ack");
    };
    assert!(second.contains(r#""ackId":2"#), "{second}");

    let hit = traffic.expect(TEST_TIMEOUT, |entry| entry.event.kind() == "fault");
    let hit = hit.await.expect("it is shown");
    let TrafficEvent::Fault {
        id, name, fault, ..
    } = &hit.event
    else {
        panic!("{hit:?}");
    };
    assert_eq!((*id, fault.as_str()), (rule, "lose_frame"));
    assert_eq!(name.as_deref(), Some("no answer"));
    assert_eq!(hit.event.hub().map(HubName::as_str), Some("chat"));
    assert_eq!(hit.event.user_id().map(UserId::as_str), Some("ana"));
    let shown = hit.to_string();
    assert!(shown.ends_with("fault 1: lose_frame, no answer"), "{shown}");
    let is_ack = |entry: &TrafficEntry| {
        matches!(
            entry.event,
            TrafficEvent::Frame {
                direction: Direction::Out,
                kind: MessageKind::Ack,
                ..
            }
        )
    };
    traffic
        .expect(TEST_TIMEOUT, is_ack)
        .await
        .expect("the second ack");
    assert_eq!(
        traffic.try_next(),
        None,
        "what is lost is not shown as sent"
    );
    assert_eq!(emulator.faults().list()[0].hits, 1);
}
