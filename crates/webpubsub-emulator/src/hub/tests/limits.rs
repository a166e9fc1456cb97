//! Limits and lifetimes, the same on every wire form.

use serde_json::{Value, json};
use webpubsub_protocol::frame::{SequenceId, protobuf};

use super::*;
use crate::hub::outbox::Acknowledged;

const MIB: usize = 1 << 20;
const QUEUE_FULL: &str = "The outbound message queue is full.";
const REPLAY_FULL: &str = "The reliable message buffer is full.";

/// A kind of client: its wire form, and whether it is reliable.
type Kind = (WireForm, bool);

const KINDS: [Kind; 5] = [
    (WireForm::Raw, false),
    (WireForm::Json, false),
    (WireForm::Json, true),
    (WireForm::Protobuf, false),
    (WireForm::Protobuf, true),
];

/// A member of the group `g` whose first frame was read.
fn member(world: &mut World, id: &str, (form, reliable): Kind) -> Client {
    let request = request(id, None, &["g"], form);
    let client = world.connect_with(OpenRequest {
        reliable,
        ..request
    });
    client.frames(world);
    client
}

/// What waits in the outbox, in one form for all kinds.
fn seen(client: &Client, world: &World) -> Vec<Value> {
    let value = |frame: WireFrame| match (client.0.outbox.form(), frame.kind()) {
        (WireForm::Json, FrameKind::Text) => {
            serde_json::from_slice(&frame.payload()).expect("JSON")
        }
        (WireForm::Protobuf, FrameKind::Binary) => {
            let frame = protobuf::decode_server(frame.payload()).expect("a frame");
            serde_json::from_str(&json::encode_server(&frame)).expect("JSON")
        }
        (WireForm::Raw, FrameKind::Text) => {
            json!({"data": String::from_utf8(frame.payload().into()).expect("text")})
        }
        (form, kind) => panic!("{kind:?} is not of {form:?}"),
    };
    client.drain(world).into_iter().map(value).collect()
}

fn data(frames: &[Value]) -> Vec<&str> {
    frames
        .iter()
        .filter_map(|frame| frame["data"].as_str())
        .collect()
}

fn to_group(world: &mut World, text: &str, ttl_seconds: u32) {
    let outgoing = Outgoing {
        payload: Payload::text(text.to_owned()),
        metadata: Metadata::default(),
        ttl_seconds,
    };
    let (now, target) = (world.clock.now(), Target::Group(group("g")));
    world.state.send(
        now,
        &target,
        &Selection::default(),
        outgoing,
        &mut world.effects,
    );
}

fn acknowledge(client: &Client, world: &World, id: u64) {
    let (now, wakes) = (world.clock.mono(), &mut Wakes::default());
    let acknowledged = Acknowledged::UpTo(SequenceId(id));
    client.0.outbox.acknowledge(now, acknowledged, wakes);
    client.be_strict();
}

/// A client that was told to go: what it sees last, and that a quick one saw everything.
fn assert_told(world: &mut World, slow: &Client, kind: Kind, reason: &str) {
    let last = seen(slow, world).pop();
    if kind.0 != WireForm::Raw {
        let disconnected = json!({"type": "system", "event": "disconnected", "message": reason});
        assert_eq!(last, Some(disconnected), "{kind:?}");
    }
    assert_eq!(
        slow.close(world),
        Some((1008, reason.to_owned())),
        "{kind:?}"
    );
    assert!(world.state.key_of("slow").is_none(), "{kind:?}");
    assert_eq!(
        world.recover("slow").err(),
        Some(Refusal::NotRecoverable),
        "{kind:?}"
    );
}

#[test]
fn a_thousand_frames_may_wait_for_a_client_that_does_not_read() {
    // req: S-7.1-5, S-7.1-6
    for kind in KINDS {
        let mut world = World::new();
        let slow = member(&mut world, "slow", kind);
        let quick = member(&mut world, "quick", kind);
        for number in 1..=1001 {
            assert!(world.state.key_of("slow").is_some(), "{kind:?}: {number}");
            to_group(&mut world, "x", 0);
            // Nobody waits for the slow one: the quick one has it at once.
            let frames = seen(&quick, &world);
            assert_eq!(data(&frames), ["x"], "{kind:?}: {number}");
            acknowledge(
                &quick,
                &world,
                frames[0]["sequenceId"].as_u64().unwrap_or_default(),
            );
        }
        let reason = if kind.1 { REPLAY_FULL } else { QUEUE_FULL };
        assert_told(&mut world, &slow, kind, reason);
    }
}

#[test]
fn sixteen_mebibytes_may_wait_for_a_client_that_does_not_read() {
    // req: S-7.1-3, S-7.1-5
    // What a frame is larger than its payload, at most.
    const HEAD: usize = 256;
    for kind in KINDS {
        let mut world = World::new();
        let slow = member(&mut world, "slow", kind);
        let large = "x".repeat(MIB - HEAD);
        for _ in 0..16 {
            to_group(&mut world, &large, 0);
        }
        assert!(world.state.key_of("slow").is_some(), "{kind:?}");
        to_group(&mut world, &"x".repeat(16 * HEAD + 1), 0);
        let reason = if kind.1 { REPLAY_FULL } else { QUEUE_FULL };
        assert_told(&mut world, &slow, kind, reason);
    }
}

#[test]
fn a_thousand_messages_may_stay_unacknowledged_by_a_client_that_reads() {
    // req: S-7.1-3, S-7.1-4, S-7.1-7
    for kind in KINDS.into_iter().filter(|(_, reliable)| *reliable) {
        let mut world = World::new();
        let slow = member(&mut world, "slow", kind);
        for _ in 0..1000 {
            to_group(&mut world, "x", 0);
            assert_eq!(seen(&slow, &world).len(), 1);
        }
        acknowledge(&slow, &world, 1);
        to_group(&mut world, "one was acknowledged", 0);
        assert_eq!(seen(&slow, &world)[0]["sequenceId"], 1001, "{kind:?}");
        to_group(&mut world, "one too many", 0);
        assert_told(&mut world, &slow, kind, REPLAY_FULL);
    }
}

#[test]
fn what_nobody_reads_expires_on_every_form() {
    // req: S-7.4-1, S-7.4-3
    for kind in KINDS {
        let mut world = World::new();
        let client = member(&mut world, "a", kind);
        let publisher = world.connect("p", None, &[]);
        to_group(&mut world, "rest, 10 s", 10);
        for (ttl, text) in [
            (10, "client, 10 s"),
            (300, "client, 300 s"),
            (0, "for ever"),
        ] {
            let frame = format!(
                r#"{{"type":"sendToGroup","group":"g","ttlSeconds":{ttl},"dataType":"text","data":"{text}"}}"#
            );
            world.say(&publisher, &frame);
        }
        to_group(&mut world, "rest, 11 s", 11);
        world.pass(Duration::from_secs(10));
        let frames = seen(&client, &world);
        assert_eq!(
            data(&frames),
            ["client, 300 s", "for ever", "rest, 11 s"],
            "{kind:?}"
        );
        if kind.1 {
            let ids: Vec<_> = frames
                .iter()
                .map(|frame| frame["sequenceId"].clone())
                .collect();
            assert_eq!(ids, [3, 4, 5], "their ids are skipped");
        }

        // Just before its time it is still delivered.
        to_group(&mut world, "in time", 10);
        world.pass(Duration::from_millis(9_999));
        assert_eq!(data(&seen(&client, &world)), ["in time"], "{kind:?}");
    }
}

#[test]
fn what_was_missed_expires_before_its_replay() {
    // req: S-7.4-1, S-7.4-3
    for kind in KINDS.into_iter().filter(|(_, reliable)| *reliable) {
        let mut world = World::new();
        let client = member(&mut world, "a", kind);
        let publisher = world.connect("p", None, &[]);
        // Seen but not acknowledged counts as undelivered, too.
        to_group(&mut world, "seen", 10);
        assert_eq!(data(&seen(&client, &world)), ["seen"]);
        world.lose(&client, Gone::Lost);
        to_group(&mut world, "rest", 10);
        world.say(
            &publisher,
            r#"{"type":"sendToGroup","group":"g","ttlSeconds":10,"dataType":"text","data":"client"}"#,
        );
        to_group(&mut world, "longer", 11);
        world.pass(Duration::from_secs(10));
        let client = world.recover("a").expect("within its window");
        let frames = seen(&client, &world);
        assert_eq!(data(&frames), ["longer"], "{kind:?}");
        assert_eq!(frames.last().expect("a frame")["sequenceId"], 4);
        to_group(&mut world, "next", 0);
        assert_eq!(seen(&client, &world)[0]["sequenceId"], 5);
    }
}

#[test]
fn streams_reach_every_kind_also_through_recovery() {
    // req: S-9-5, S-9-13, S-9-21, S-9-22, S-9-23, S-9-27
    let mut world = World::new();
    let publisher = world.connect("p", Some("u"), &[]);
    let mut clients: Vec<(Kind, Client)> = Vec::new();
    for (number, kind) in KINDS.into_iter().enumerate() {
        clients.push((kind, member(&mut world, &number.to_string(), kind)));
    }
    // What means nothing on a start: an ack id, metadata, a time to live.
    world.say(
        &publisher,
        r#"{"type":"sendToGroup","group":"g","ackId":1,"ttlSeconds":1,"metadata":{"k":"v"},"stream":{"streamId":"s"}}"#,
    );
    let fragment = |number: u64| {
        format!(
            r#"{{"type":"streamData","streamId":"s","streamSequenceId":{number},"dataType":"text","data":"{number}"}}"#
        )
    };
    world.say(&publisher, &fragment(1));
    for (kind, client) in &clients {
        let first = seen(client, &world);
        assert_eq!(data(&first), ["1"], "{kind:?}");
        if kind.1 {
            acknowledge(client, &world, 1);
            world.lose(client, Gone::Lost);
        }
    }
    world.say(&publisher, &fragment(2));
    world.say(
        &publisher,
        r#"{"type":"streamEnd","streamId":"s","error":{"message":"gave up","userErrorCode":"E1"}}"#,
    );
    // Longer than the time to live of the start, which was ignored.
    world.pass(Duration::from_secs(2));
    let late = member(&mut world, "late", (WireForm::Json, false));
    assert!(
        seen(&late, &world).is_empty(),
        "nothing is replayed to late joiners"
    );

    for (number, (kind, client)) in clients.into_iter().enumerate() {
        let client = match kind.1 {
            true => world.recover(&number.to_string()).expect("in its window"),
            false => client,
        };
        let mut frames = seen(&client, &world);
        frames.retain(|frame| frame["type"] != "system");
        if kind.0 == WireForm::Raw {
            assert_eq!(frames, [json!({"data": "2"})], "no terminal frame");
            continue;
        }
        let [second, last] = frames.as_slice() else {
            panic!("{kind:?}: {frames:?}")
        };
        assert_eq!(second["data"], "2");
        assert_eq!(
            second["stream"],
            json!({"streamId": "s", "streamSequenceId": 2})
        );
        let error = json!({"name": "UserError", "message": "gave up", "userErrorCode": "E1"});
        assert_eq!(
            (&last["dataType"], &last["data"]),
            (&json!("text"), &json!(""))
        );
        assert_eq!(
            last["stream"],
            json!({"streamId": "s", "streamSequenceId": 3, "endOfStream": true, "error": error})
        );
        for (frame, id) in [(second, 2), (last, 3)] {
            let expected = if kind.1 { json!(id) } else { Value::Null };
            assert_eq!(frame["sequenceId"], expected, "{kind:?}");
            assert_eq!(frame["metadata"], Value::Null, "{kind:?}");
        }
    }
}
