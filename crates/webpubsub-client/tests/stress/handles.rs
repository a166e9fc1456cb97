//! Handles against a driver that is busy, or at its end.

use std::time::Duration;

use webpubsub_client::{Backoff, ClientState, Event, SendError, StartError, WebPubSubClient};

use crate::fake::{Up, connected, connected_frame, service};
use crate::{Rounds, soon};

/// The driver is kept busy by a sender, so that stops meet it at every point of its way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_beside_a_busy_sender_leaves_nobody_waiting() {
    let rounds = Rounds::begin();
    let mut round = 0_u64;
    while rounds.go_on() {
        round += 1;
        let (client, mut events, _service, mut socket) = connected(|builder| builder).await;
        socket.write_slowly(200);
        let sender = client.clone();
        let pending = tokio::spawn(async move { sender.send_to_group("g", "acked").await });
        let sender = client.clone();
        let noise = tokio::spawn(async move {
            while sender
                .send_to_group("g", "n")
                .fire_and_forget()
                .await
                .is_ok()
            {}
        });
        for _ in 0..round * 37 % 500 {
            tokio::task::yield_now().await;
        }
        // From a thread of its own, which the scheduler of the runtime does not order.
        let stopper = client.clone();
        let runtime = tokio::runtime::Handle::current();
        let stop = tokio::task::spawn_blocking(move || runtime.block_on(stopper.stop()));
        soon("a stop", stop).await.unwrap();

        let error = soon("a request", pending).await.unwrap();
        let error = error.expect_err("nobody answers");
        assert!(
            matches!(error, SendError::Lost(_) | SendError::NotStarted),
            "{error:?}"
        );
        soon("a sender without answers", noise).await.unwrap();
        let close_frame = async {
            while let Some(heard) = socket.heard().await {
                if heard == Up::CloseFrame(1000) {
                    return true;
                }
            }
            false
        };
        assert!(
            soon("the end of a socket", close_frame).await,
            "no close frame"
        );
        let stopped = async {
            while let Some(event) = events.next().await {
                if matches!(event, Event::Stopped { .. }) {
                    return;
                }
            }
        };
        soon("the last event", stopped).await;
    }
    assert!(round > 10, "only {round} rounds");
}

/// More threads than cores, so that a driver is interrupted at its end, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn a_client_can_be_started_the_moment_it_has_stopped() {
    let restarting: Vec<_> = (0..6)
        .map(|_| tokio::spawn(restart_again_and_again()))
        .collect();
    for restarting in restarting {
        restarting.await.unwrap();
    }
}

async fn restart_again_and_again() {
    let (client, answering) = restartable();
    let rounds = Rounds::begin();
    let mut round = 0_u64;
    while rounds.go_on() {
        round += 1;
        soon("a start", client.start()).await.expect("started");
        assert_eq!(client.state(), ClientState::Connected);
        if !round.is_multiple_of(4) {
            soon("a stop", client.stop()).await;
            continue;
        }
        // Others stop it, too.
        let (one, other) = (client.clone(), client.clone());
        let one = tokio::spawn(async move { one.stop().await });
        let other = tokio::spawn(async move { other.stop().await });
        soon("a stop", client.stop()).await;
        soon("a stop beside it", one).await.unwrap();
        soon("a stop beside it", other).await.unwrap();
    }
    assert!(round > 20, "only {round} rounds");
    answering.abort();
}

/// Starts come as close behind a stop as they can, while the driver before is still at its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_start_that_races_the_end_of_a_driver_is_not_stopped_by_it() {
    let (client, answering) = restartable();
    let (tell, mut told) = tokio::sync::mpsc::channel(1);
    let stopped = client.clone();
    let stopper = tokio::spawn(async move {
        while told.recv().await.is_some() {
            soon("a stop", stopped.stop()).await;
        }
    });
    let rounds = Rounds::begin();
    let mut round = 0_u64;
    while rounds.go_on() {
        round += 1;
        let started = async {
            loop {
                match client.start().await {
                    Err(StartError::AlreadyStarted) => std::hint::spin_loop(),
                    other => break other,
                }
            }
        };
        soon("a start", started).await.expect("nobody stops it now");
        tell.send(()).await.unwrap();
    }
    assert!(round > 20, "only {round} rounds");
    drop(tell);
    stopper.await.unwrap();
    answering.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_in_an_outage_leaves_nobody_without_room() {
    let backoff = Backoff::Fixed(Duration::from_millis(2));
    let rounds = Rounds::begin();
    let mut round = 0_u64;
    while rounds.go_on() {
        round += 1;
        let (client, _events, mut service, socket) =
            connected(|builder| builder.outbox(2, 1 << 20).recovery_backoff(backoff)).await;
        socket.cut();
        soon("a dial", service.dialled()).await.refuse_with(503);
        let sends: Vec<_> = (0..6)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move { client.send_to_group("g", "x").await })
            })
            .collect();
        for _ in 0..round % 50 {
            tokio::task::yield_now().await;
        }
        soon("a stop", client.stop()).await;
        for send in sends {
            let sent = soon("a request", send).await.unwrap();
            assert!(sent.is_err(), "there is no connection");
        }
    }
    assert!(round > 20, "only {round} rounds");
}

/// A client of a service that accepts every dial.
fn restartable() -> (WebPubSubClient, tokio::task::JoinHandle<()>) {
    let (connector, mut service) = service();
    let client = WebPubSubClient::builder("ws://service.test/client/hubs/chat")
        .connector(connector)
        .build()
        .unwrap();
    let answering = tokio::spawn(async move {
        loop {
            let dialled = service.dialled().await;
            if dialled.is_given_up() {
                continue;
            }
            let mut socket = dialled.accept();
            socket.say(&connected_frame("c1", "t1"));
            tokio::spawn(async move { while socket.heard().await.is_some() {} });
        }
    });
    (client, answering)
}

/// Each client lives on a runtime of its own that ends while its handles are in use elsewhere.
#[test]
fn a_runtime_that_ends_leaves_nobody_waiting() {
    let outside = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let rounds = Rounds::begin();
    let mut round = 0_u64;
    while rounds.go_on() {
        round += 1;
        let inside = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (client, mut events, service, socket) = inside.block_on(connected(|builder| builder));
        let requests: Vec<_> = (0..4)
            .map(|_| {
                let client = client.clone();
                outside.spawn(async move { client.send_to_group("g", "x").await })
            })
            .collect();
        let stopper = client.clone();
        let stop = outside.spawn(async move {
            for _ in 0..round % 20 {
                tokio::task::yield_now().await;
            }
            stopper.stop().await;
        });
        inside.shutdown_timeout(Duration::from_secs(10));
        outside.block_on(async {
            for request in requests {
                let settled = soon("a request", request).await.unwrap();
                assert!(settled.is_err());
            }
            soon("a stop", stop).await.unwrap();
            let last =
                async { while !matches!(events.next().await, Some(Event::Stopped { .. })) {} };
            soon("the last event", last).await;
        });
        assert_eq!(client.state(), ClientState::Stopped);
        drop((service, socket));
    }
    assert!(round > 5, "only {round} rounds");
}
