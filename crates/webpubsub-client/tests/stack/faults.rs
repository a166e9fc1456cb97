//! The faults of the emulator, and how the client bears them: two tests for each kind that a client can meet.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::join_all;
use webpubsub_client::{
    Acknowledged, Backoff, Event, Events, SendError, Subprotocol, WebPubSubClient,
    WebPubSubClientBuilder,
};
use webpubsub_emulator::{
    Direction, Emulator, EmulatorBuilder, Fault, FaultId, Limit, MessageKind, Restart, State,
    Traffic, UserEventFailed, UserEventReply,
};

use crate::world::next;

const ROLES: [&str; 2] = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"];

/// Clients without a proxy between them and the emulator.
struct Direct(Emulator);

impl Direct {
    async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    async fn with(build: impl FnOnce(EmulatorBuilder) -> EmulatorBuilder) -> Self {
        let emulator = build(Emulator::builder()).start().await;
        Self(emulator.expect("an emulator"))
    }

    async fn client(&self, user: &str) -> (WebPubSubClient, Events) {
        let client = self.builder(user).build().expect("a client");
        let events = client.events();
        client.start().await.expect("connected");
        (client, events)
    }

    /// A client that notices within a second when its connection is dead, and tries again soon.
    fn builder(&self, user: &str) -> WebPubSubClientBuilder {
        let soon = Backoff::Fixed(Duration::from_millis(20));
        WebPubSubClient::builder(self.0.client_access_url("chat", user, &ROLES))
            .protocol(Subprotocol::ReliableJson)
            .keep_alive_interval(Duration::from_millis(200))
            .keep_alive_timeout(Duration::from_secs(1))
            .dial_timeout(Duration::from_secs(1))
            .recovery_backoff(soon)
            .reconnect_backoff(soon)
            .request_retries(3, soon)
            .retry_initial_connect(true)
    }

    /// A client that takes silence for what it is.
    async fn patient(&self, user: &str) -> (WebPubSubClient, Events) {
        let client = self
            .builder(user)
            .keep_alive_interval(Duration::ZERO)
            .keep_alive_timeout(Duration::ZERO)
            .build()
            .expect("a client");
        let events = client.events();
        client.start().await.expect("connected");
        (client, events)
    }

    fn add(&self, fault: Fault) -> FaultId {
        self.0.faults().add(fault).expect("a fault that can hit")
    }

    /// Two clients in a room.
    async fn room(&self) -> [(WebPubSubClient, Events); 2] {
        let (ana, bob) = (self.client("ana").await, self.client("bob").await);
        bob.0.join_group("room").await.expect("joined");
        [ana, bob]
    }
}

/// Waits for a rule to hit.
async fn hit(traffic: &mut Traffic) {
    let within = Duration::from_secs(20);
    let hit = traffic.expect(within, |entry| entry.event.kind() == "fault");
    hit.await.expect("a hit");
}

async fn message(events: &mut Events) -> String {
    next(events, |event| match event {
        Event::GroupMessage(message) => message.text().map(str::to_owned),
        _ => None,
    })
    .await
}

async fn recovered(events: &mut Events) {
    next(events, |event| {
        matches!(event, Event::Recovered { .. }).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_upgrade_that_is_refused_for_a_while_is_tried_again() {
    let world = Direct::new().await;
    let rule = world.add(Fault::refuse_upgrade(503).hub("chat").hit_count(2));
    let (client, _events) = world.client("ana").await;
    assert!(client.connection_id().is_some());
    assert_eq!(world.0.faults().hits(rule), 2);
}

#[tokio::test]
async fn a_token_that_has_run_out_stops_the_client() {
    let world = Direct::with(EmulatorBuilder::manual_clock).await;
    let half_an_hour = Duration::from_secs(30 * 60);
    world.add(Fault::refuse_upgrade(401).user("ana").after(half_an_hour));
    world.client("ana").await.0.stop().await;
    world.0.clock().advance(half_an_hour);
    let (bob, _events) = world.client("bob").await;
    assert!(bob.connection_id().is_some(), "another user");
    let ana = world.builder("ana").build().expect("a client");
    let refused = ana.start().await.expect_err("refused");
    let source = std::error::Error::source(&refused).expect("a reason");
    assert!(source.to_string().contains("401"), "{source}");
}

#[tokio::test]
async fn a_dropped_connection_is_recovered_with_what_was_sent_meanwhile() {
    let world = Direct::new().await;
    let [(ana, _ana), (bob, mut events)] = world.room().await;
    let id = bob.connection_id();
    world.add(Fault::drop_connection().user("bob").hit_count(1));
    ana.send_to_group("room", "hi").await.expect("accepted");
    assert_eq!(message(&mut events).await, "hi");
    assert_eq!(bob.connection_id(), id);
}

#[tokio::test]
async fn what_was_done_before_its_ack_was_dropped_is_done_once() {
    let world = Direct::new().await;
    let [(ana, _ana), (_bob, mut events)] = world.room().await;
    let on_ack = Fault::drop_connection()
        .direction(Direction::Out)
        .frame(MessageKind::Ack);
    let rule = world.add(on_ack.user("ana").hit_count(1));
    let sent = ana.send_to_group("room", "1").await.expect("accepted");
    assert!(matches!(sent, Acknowledged::Duplicate { .. }), "{sent:?}");
    assert_eq!(world.0.faults().hits(rule), 1);
    ana.send_to_group("room", "2").await.expect("accepted");
    assert_eq!(message(&mut events).await, "1");
    assert_eq!(message(&mut events).await, "2");
}

#[tokio::test]
async fn a_reset_connection_is_recovered() {
    let world = Direct::new().await;
    let [(ana, _ana), (bob, mut events)] = world.room().await;
    let id = bob.connection_id().expect("connected");
    world.add(Fault::reset_peer().connection(&*id).hit_count(1));
    recovered(&mut events).await;
    ana.send_to_group("room", "hi").await.expect("accepted");
    assert_eq!(message(&mut events).await, "hi");
    assert_eq!(bob.connection_id(), Some(id));
}

#[tokio::test]
async fn what_a_reset_kept_from_the_service_is_sent_again() {
    let world = Direct::new().await;
    let [(ana, _ana), (_bob, mut events)] = world.room().await;
    let on_send = Fault::reset_peer().direction(Direction::In).group("room");
    let rule = world.add(on_send.hit_count(1));
    let sent = ana.send_to_group("room", "hi").await.expect("accepted");
    assert!(matches!(sent, Acknowledged::Accepted { .. }), "{sent:?}");
    assert_eq!(message(&mut events).await, "hi");
    assert_eq!(world.0.faults().hits(rule), 1);
}

#[tokio::test]
async fn a_connection_that_is_closed_with_1008_is_replaced() {
    let world = Direct::new().await;
    let (client, mut events) = world.client("ana").await;
    let id = client.connection_id();
    world.add(Fault::close(1008, "not today").user("ana").hit_count(1));
    let mut cause = None;
    while let Some(event) = events.next().await {
        match event {
            Event::Disconnected { cause: its, .. } => cause = Some(format!("{its:?}")),
            Event::Connected { connection_id, .. } if cause.is_some() => {
                assert_ne!(Some(connection_id), id);
                break;
            }
            _ => {}
        }
    }
    let cause = cause.expect("it was disconnected");
    assert!(
        cause.contains("1008") && cause.contains("not today"),
        "{cause}"
    );
}

#[tokio::test]
async fn a_connection_that_is_closed_with_another_code_is_recovered() {
    let world = Direct::new().await;
    let [(ana, _ana), (bob, mut events)] = world.room().await;
    let id = bob.connection_id();
    let on_message = Fault::close(1011, "oops")
        .direction(Direction::Out)
        .group("room");
    world.add(on_message.user("bob").hit_count(1));
    ana.send_to_group("room", "hi").await.expect("accepted");
    let cause = next(&mut events, |event| match event {
        Event::Recovering { cause } => Some(format!("{cause:?}")),
        _ => None,
    });
    let cause = cause.await;
    assert!(cause.contains("1011") && cause.contains("oops"), "{cause}");
    assert_eq!(message(&mut events).await, "hi", "it was not acknowledged");
    assert_eq!(bob.connection_id(), id);
}

#[tokio::test]
async fn a_half_open_connection_is_noticed_and_recovered() {
    let world = Direct::new().await;
    let [(ana, _ana), (bob, mut events)] = world.room().await;
    let id = bob.connection_id();
    world.add(Fault::half_open().user("bob").hit_count(1));
    ana.send_to_group("room", "hi").await.expect("accepted");
    assert_eq!(message(&mut events).await, "hi");
    assert_eq!(bob.connection_id(), id);
}

#[tokio::test]
async fn a_connection_that_is_dead_in_one_direction_is_noticed_and_recovered() {
    let world = Direct::new().await;
    let [(ana, mut ana_events), (_bob, mut events)] = world.room().await;
    let id = ana.connection_id();
    let deaf = Fault::half_open().direction(Direction::In);
    world.add(deaf.user("ana").hit_count(1));
    ana.send_to_group("room", "hi").await.expect("accepted");
    recovered(&mut ana_events).await;
    assert_eq!(message(&mut events).await, "hi");
    assert_eq!(ana.connection_id(), id);
}

#[tokio::test]
async fn latency_passes_with_the_clock() {
    let world = Direct::with(at_its_leisure).await;
    let (ana, _ana) = world.patient("ana").await;
    let (bob, mut events) = world.patient("bob").await;
    bob.join_group("room").await.expect("joined");
    let delay = Duration::from_secs(5);
    world.add(Fault::latency(delay).direction(Direction::Out).user("bob"));
    ana.send_to_group("room", "hi").await.expect("accepted");
    let arrives = async { assert_eq!(message(&mut events).await, "hi") };
    let time = time_for(&world, arrives).await;
    assert!(time >= delay, "{time:?}");
}

#[tokio::test]
async fn jitter_changes_no_order() {
    let world = Direct::new().await;
    let [(ana, _ana), (_bob, mut events)] = world.room().await;
    let millisecond = Duration::from_millis(1);
    world.add(Fault::latency(millisecond).jitter(millisecond).seed(3));
    let sends = (0..100).map(|n| ana.send_to_group("room", n.to_string()).into_future());
    for sent in join_all(sends).await {
        sent.expect("accepted");
    }
    for n in 0..100 {
        assert_eq!(message(&mut events).await, n.to_string());
    }
}

/// Time belongs to the test, and nobody counts as lost meanwhile.
fn at_its_leisure(builder: EmulatorBuilder) -> EmulatorBuilder {
    builder
        .manual_clock()
        .limit(Limit::SilenceLimit, 24 * 60 * 60)
}

/// Moves the clock until something is done; by how much.
async fn time_for(world: &Direct, done: impl Future<Output = ()>) -> Duration {
    let step = Duration::from_millis(100);
    let mut time = Duration::ZERO;
    let mut done = pin!(done);
    loop {
        tokio::select! {
            biased;
            () = &mut done => return time,
            () = tokio::task::yield_now() => {
                world.0.clock().advance(step);
                time += step;
            }
        }
    }
}

#[tokio::test]
async fn a_narrow_line_takes_its_time() {
    let world = Direct::with(at_its_leisure).await;
    let (ana, _ana) = world.patient("ana").await;
    let (bob, mut events) = world.patient("bob").await;
    bob.join_group("room").await.expect("joined");
    world.add(Fault::bandwidth(1000).user("bob").direction(Direction::Out));
    let text = "x".repeat(10_000);
    ana.send_to_group("room", text.as_str())
        .await
        .expect("accepted");
    let arrives = async { assert_eq!(message(&mut events).await, text) };
    let time = time_for(&world, arrives).await;
    assert!(time >= Duration::from_secs(9), "{time:?}");
}

#[tokio::test]
async fn a_client_that_is_read_slowly_waits_for_its_ack() {
    let world = Direct::with(at_its_leisure).await;
    let (ana, _events) = world.patient("ana").await;
    world.add(Fault::bandwidth(1000).user("ana").direction(Direction::In));
    let text = "x".repeat(10_000);
    let acked = async {
        ana.send_to_group("room", text.as_str())
            .await
            .expect("accepted");
    };
    let time = time_for(&world, acked).await;
    assert!(time >= Duration::from_secs(9), "{time:?}");
}

#[tokio::test]
async fn a_request_whose_ack_was_lost_is_known_after_a_recovery() {
    let world = Direct::new().await;
    let [(ana, _ana), (_bob, mut events)] = world.room().await;
    let mut traffic = world.0.traffic();
    world.add(Fault::lose_acks().user("ana").hit_count(1));
    let sent = ana.send_to_group("room", "hi").into_future();
    let then = async {
        hit(&mut traffic).await;
        world.add(Fault::drop_connection().user("ana").hit_count(1));
    };
    let (sent, ()) = tokio::join!(sent, then);
    let sent = sent.expect("accepted");
    assert!(matches!(sent, Acknowledged::Duplicate { .. }), "{sent:?}");
    assert_eq!(message(&mut events).await, "hi");
}

#[tokio::test]
async fn a_request_that_was_lost_is_sent_again_after_a_recovery() {
    let world = Direct::new().await;
    let [(ana, _ana), (_bob, mut events)] = world.room().await;
    let mut traffic = world.0.traffic();
    let lost = Fault::lose_frame()
        .direction(Direction::In)
        .frame(MessageKind::SendToGroup);
    world.add(lost.hit_count(1));
    let sent = ana.send_to_group("room", "hi").into_future();
    let then = async {
        hit(&mut traffic).await;
        world.add(Fault::drop_connection().user("ana").hit_count(1));
    };
    let (sent, ()) = tokio::join!(sent, then);
    let sent = sent.expect("accepted");
    assert!(matches!(sent, Acknowledged::Accepted { .. }), "{sent:?}");
    assert_eq!(message(&mut events).await, "hi");
}

#[tokio::test]
async fn an_ack_that_comes_twice_settles_a_request_once() {
    let world = Direct::new().await;
    let [(ana, _ana), (_bob, mut events)] = world.room().await;
    let rule = world.add(Fault::duplicate_acks().user("ana"));
    for n in 0..20 {
        let sent = ana
            .send_to_group("room", n.to_string())
            .await
            .expect("accepted");
        assert!(matches!(sent, Acknowledged::Accepted { .. }), "{sent:?}");
        assert_eq!(message(&mut events).await, n.to_string());
    }
    assert_eq!(world.0.faults().hits(rule), 20);
}

#[tokio::test]
async fn a_message_that_comes_twice_is_told_once() {
    let world = Direct::new().await;
    let [(ana, _ana), (_bob, mut events)] = world.room().await;
    let twice = Fault::duplicate_frame().direction(Direction::Out);
    let rule = world.add(twice.group("room"));
    for n in 0..20 {
        ana.send_to_group("room", n.to_string())
            .await
            .expect("accepted");
        assert_eq!(message(&mut events).await, n.to_string());
    }
    assert_eq!(world.0.faults().hits(rule), 20);
}

fn answers(builder: EmulatorBuilder) -> EmulatorBuilder {
    builder.on_user_event(|_| async { Ok::<_, UserEventFailed>(UserEventReply::none()) })
}

#[tokio::test]
async fn an_event_whose_handler_fails_once_is_tried_again() {
    let world = Direct::with(answers).await;
    let (client, _events) = world.client("ana").await;
    let rule = world.add(Fault::handler_error(503).handler("order").hit_count(1));
    client.send_event("order", "tea").await.expect("accepted");
    assert_eq!(world.0.faults().hits(rule), 1);
}

#[tokio::test]
async fn an_event_whose_handler_keeps_failing_is_refused() {
    let world = Direct::with(answers).await;
    let (client, _events) = world.client("ana").await;
    let rule = world.add(Fault::handler_error(500).user("ana"));
    let refused = client.send_event("order", "tea").await;
    let Err(SendError::Rejected { error, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(error.name, "InternalServerError");
    world.0.faults().remove(rule);
    client.send_event("order", "tea").await.expect("accepted");
}

#[tokio::test]
async fn a_handler_that_does_not_answer_times_out_with_the_clock() {
    let world = Direct::with(|builder| answers(builder.manual_clock())).await;
    let (client, _events) = world.patient("ana").await;
    world.add(Fault::handler_timeout().handler("order").hit_count(1));
    let accepted = async {
        client
            .send_event("order", "tea")
            .await
            .expect("accepted, the second time");
    };
    let time = time_for(&world, accepted).await;
    assert!(time >= Duration::from_secs(100), "{time:?}");
}

#[tokio::test]
async fn an_event_waits_for_its_turn_behind_one_that_times_out() {
    let world = Direct::with(|builder| answers(builder.manual_clock())).await;
    let (client, _events) = world.patient("ana").await;
    world.add(Fault::handler_timeout().handler("order").hit_count(1));
    let both = async {
        let (first, second) = (
            client.send_event("order", "tea"),
            client.send_event("pay", "1"),
        );
        let (first, second) = tokio::join!(first.into_future(), second.into_future());
        first.expect("accepted, the second time");
        second.expect("accepted");
    };
    let time = time_for(&world, both).await;
    assert!(time >= Duration::from_secs(100), "{time:?}");
}

#[tokio::test]
async fn a_restart_that_keeps_state_goes_unnoticed_but_for_the_socket() {
    let world = Direct::new().await;
    let [(ana, _ana), (bob, mut events)] = world.room().await;
    let id = bob.connection_id();
    world.0.faults().restart(Restart::KeepState);
    ana.send_to_group("room", "hi").await.expect("accepted");
    assert_eq!(message(&mut events).await, "hi");
    assert_eq!(bob.connection_id(), id);
}

#[tokio::test]
async fn after_a_restart_that_loses_state_clients_begin_anew() {
    let world = Direct::new().await;
    let (bob, mut events) = world.client("bob").await;
    bob.join_group("room").await.expect("joined");
    let id = bob.connection_id();
    world.0.faults().restart(Restart::LoseState);
    loop {
        match events.next().await.expect("the client lives") {
            Event::Connected { connection_id, .. } if Some(&connection_id) != id.as_ref() => break,
            _ => {}
        }
    }
    let joined = |state: &State| state.members("chat", "room").len() == 1;
    world.0.wait_until(joined).await;
}
