//! Events and the calls to the event handler that they wait for.

use super::*;
use crate::traffic::Log;

#[test]
fn events_without_a_handler_fail_but_keep_the_connection() {
    // req: S-4-12, S-6-8
    let mut world = World::new();
    let client = world.connect("a", None, &[]);
    world.say(
        &client,
        r#"{"type":"event","event":"e","ackId":1,"data":1}"#,
    );
    world.say(&client, r#"{"type":"event","event":"e","data":1}"#);
    assert_eq!(
        client.frames(&world),
        [
            r#"{"type":"ack","ackId":1,"success":false,"error":{"name":"InternalServerError","message":"Internal server error"}}"#
        ]
    );
    assert_eq!(client.close(&world), None);

    let raw = world.connect_with(request("r", None, &[], WireForm::Raw));
    world.receive(&raw, Received::raw(Payload::text("x")));
    assert_eq!(
        raw.close(&world),
        Some((1011, "Internal server error".into()))
    );
    assert!(world.state.key_of("r").is_none());
}

#[test]
fn a_handler_call_holds_later_frames_back_but_not_pings() {
    // req: S-6-9, S-6-12, S-6-13, S-4-15
    let mut world = World::with(
        OutboxLimits {
            frames: 1000,
            bytes: 1 << 20,
        },
        true,
    );
    let client = world.connect("a", Some("ana"), &[]);
    world.say(
        &client,
        r#"{"type":"event","event":"e","ackId":1,"dataType":"text","data":"q"}"#,
    );
    world.say(&client, r#"{"type":"joinGroup","group":"g","ackId":2}"#);
    world.say(&client, r#"{"type":"ping"}"#);
    assert_eq!(client.frames(&world), [r#"{"type":"pong"}"#]);
    assert!(!world.state.group_exists("g"));

    let call = world.call();
    assert_eq!((call.raised.turn.event_id(), call.event.as_str()), (1, "e"));
    assert_eq!(call.payload, Payload::text("q"));
    world.answer(
        &call,
        Ok(Reply {
            payload: Some(Payload::text("r")),
            metadata: Metadata::default(),
        }),
    );
    assert_eq!(
        client.frames(&world),
        [
            server_text("r"),
            r#"{"type":"ack","ackId":1,"success":true}"#.into(),
            r#"{"type":"ack","ackId":2,"success":true}"#.into(),
        ]
    );
    world.answer(&call, Ok(Reply::default()));
    assert!(
        client.frames(&world).is_empty(),
        "a second answer changes nothing"
    );

    // A failure does not use up the id; the retry is the next event.
    world.say(
        &client,
        r#"{"type":"event","event":"e","ackId":3,"data":1}"#,
    );
    let call = world.call();
    world.answer(&call, Err(HandlerFailed));
    assert!(client.frames(&world)[0].contains("InternalServerError"));
    world.say(
        &client,
        r#"{"type":"event","event":"e","ackId":3,"data":1}"#,
    );
    assert_eq!(world.call().raised.turn.event_id(), 3);
}

#[test]
fn a_client_that_floods_a_busy_handler_is_not_read() {
    let mut world = World::with(
        OutboxLimits {
            frames: 1000,
            bytes: 1 << 20,
        },
        true,
    );
    let client = world.connect("a", None, &[]);
    let event = r#"{"type":"event","event":"e","data":1}"#;
    for _ in 0..64 {
        world.say(&client, event);
    }
    assert!(!client.is_paused(&world), "63 wait");
    world.say(&client, event);
    assert!(client.is_paused(&world));
    let call = world.call();
    world.answer(&call, Ok(Reply::default()));
    assert!(!client.is_paused(&world));
    assert_eq!(
        world.call().raised.turn.event_id(),
        2,
        "the next one is under way"
    );
}

#[test]
fn the_end_of_a_connection_cancels_its_call() {
    // req: S-6-14, S-2-10
    let mut world = World::with(
        OutboxLimits {
            frames: 1000,
            bytes: 1 << 20,
        },
        true,
    );
    let client = world.connect("a", None, &["g"]);
    world.say(
        &client,
        r#"{"type":"event","event":"e","ackId":1,"data":1}"#,
    );
    let call = world.call();
    world.state.socket_gone(
        world.clock.now(),
        client.0.key,
        client.0.epoch,
        Gone::Lost,
        &mut world.effects,
    );
    assert_eq!(world.effects.cancelled, [call.token]);
    assert!(world.state.calls.is_empty());
    assert!(!world.state.group_exists("g"));
    world.answer(&call, Ok(Reply::default()));
    assert!(client.frames(&world).is_empty());
}

#[test]
fn invocations_are_answered_or_cancelled() {
    // req: S-10-1, S-10-3, S-10-4
    let mut world = World::with(
        OutboxLimits {
            frames: 99,
            bytes: 1 << 20,
        },
        true,
    );
    let client = world.connect("a", None, &[]);
    let invoke = |id: &str| {
        format!(
            r#"{{"type":"invoke","invocationId":"{id}","target":"event","event":"sum","dataType":"json","data":[1]}}"#
        )
    };
    world.say(&client, &invoke("1"));
    let call = world.call();
    assert_eq!(call.event.as_str(), "sum");
    let reply = Reply {
        payload: Some(Payload::Json("3".into())),
        metadata: Metadata::default(),
    };
    world.answer(&call, Ok(reply));
    assert_eq!(
        client.frames(&world),
        [
            r#"{"type":"invokeResponse","invocationId":"1","success":true,"dataType":"json","data":3}"#
        ]
    );

    // One under way, one behind it: both can be given up, and nothing is answered.
    world.say(&client, &invoke("2"));
    let second = world.call();
    world.say(&client, &invoke("3"));
    world.say(&client, r#"{"type":"cancelInvocation","invocationId":"3"}"#);
    world.say(&client, r#"{"type":"cancelInvocation","invocationId":"2"}"#);
    assert_eq!(world.effects.cancelled, [second.token]);
    world.answer(&second, Ok(Reply::default()));
    assert!(client.frames(&world).is_empty());

    world.say(&client, &invoke("4"));
    let fourth = world.call();
    world.answer(&fourth, Err(HandlerFailed));
    assert!(
        client.frames(&world)[0]
            .contains(r#""success":false,"error":{"name":"InternalServerError""#)
    );
    world.say(
        &client,
        r#"{"type":"invoke","invocationId":"5","target":"group","event":"e"}"#,
    );
    assert!(client.frames(&world)[0].contains(r#""name":"BadRequest""#));
}

/// An event handler whose connection ends while it is being called.
#[derive(Default)]
struct EndsItsCaller {
    hub: std::sync::OnceLock<Weak<Hub>>,
    ended: Arc<Notify>,
}

impl Upstream for EndsItsCaller {
    fn call(
        &self,
        _: &HubName,
        _: UpstreamCall,
    ) -> BoxFuture<'static, Result<Reply, HandlerFailed>> {
        struct NotifyOnDrop(Arc<Notify>);
        impl Drop for NotifyOnDrop {
            fn drop(&mut self) {
                self.0.notify_one();
            }
        }
        let hub = self.hub.get().and_then(Weak::upgrade).expect("set before");
        hub.end_all(&End::by_server(None));
        let ended = NotifyOnDrop(Arc::clone(&self.ended));
        Box::pin(async move {
            let _ended = ended;
            std::future::pending().await
        })
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_while_it_starts_is_dropped() {
    // req: S-6-14
    let upstream = Arc::new(EndsItsCaller::default());
    let limits = OutboxLimits {
        frames: 9,
        bytes: 1 << 20,
    };
    let settings = HubSettings {
        outbox: limits,
        replay: limits,
        ack_ids: 9,
        open_streams: 9,
        close_failed_events_normally: false,
        recovery_window: Duration::from_secs(30),
        connected_on_recovery: true,
        access_key: AccessKey::new("a key of the tests"),
        has_handler: true,
    };
    let hub = Hub::new(
        HubName::new("h").unwrap(),
        Clock::manual(),
        settings,
        Some(1),
        watch::Sender::new(0),
        Some(upstream.clone()),
        Log::unread(),
    );
    let (ticket, _) = hub.open(request("a", None, &[], WireForm::Json));
    let Attachment { key, epoch, .. } = hub.accept(ticket, Overrides::default()).unwrap();
    upstream.hub.set(Arc::downgrade(&hub)).unwrap();

    let event = json::decode_client(r#"{"type":"event","event":"e","data":1}"#.to_owned());
    let brake = hub.receive(key, epoch, Received::frame(event.unwrap(), 40));
    assert!(brake.crowded.is_empty() && !brake.pauses);
    let ended = tokio::time::timeout(Duration::from_secs(20), upstream.ended.notified());
    ended.await.expect("the call is dropped");
    assert!(hub.calls.lock().is_empty());
}
