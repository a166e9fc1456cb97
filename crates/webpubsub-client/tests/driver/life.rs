//! Starting, stopping, losing and recovering.

use std::time::Duration;

use tokio::time::Instant;
use webpubsub_client::{
    ClientState, DialFailure, Event, Events, Loss, StartError, StopReason, Subprotocol,
};

use crate::fake::{Up, client, connected, connected_frame, settle};

/// The next event that is not a message.
async fn next(events: &mut Events) -> Event {
    events.next().await.expect("an event")
}

#[tokio::test(start_paused = true)]
async fn a_start_fails_with_the_first_dial_and_can_be_repeated() {
    let (client, mut service) = client(|builder| builder);
    let (started, ()) = tokio::join!(client.start(), async {
        service.dialled().await.refuse_with(403);
    });
    let Err(StartError::Stopped(StopReason::Refused(DialFailure::Refused { status, .. }))) =
        started
    else {
        panic!("not refused: {started:?}");
    };
    assert_eq!((status, client.state()), (403, ClientState::Stopped));

    let (started, _socket) = tokio::join!(client.start(), async {
        let socket = service.dialled().await.accept();
        socket.say(&connected_frame("c1", "t1"));
        socket
    });
    started.expect("started");
    assert_eq!(client.state(), ClientState::Connected);
    assert_eq!(client.connection_id().as_deref(), Some("c1"));
    assert_eq!(client.user_id().as_deref(), Some("ana"));
    assert_eq!(client.start().await, Err(StartError::AlreadyStarted));
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_given_up_stops_the_client() {
    let (client, mut service) = client(|builder| builder);
    let mut start = Box::pin(client.start());
    assert!(futures_util::poll!(start.as_mut()).is_pending());
    let dialled = service.dialled().await;
    drop(start);
    settle().await;
    assert_eq!(client.state(), ClientState::Stopped);
    assert!(dialled.is_given_up());
}

#[tokio::test(start_paused = true)]
async fn a_hanging_dial_ends_in_time() {
    let (client, mut service) = client(|builder| builder.dial_timeout(Duration::from_secs(7)));
    let before = Instant::now();
    let (started, dialled) = tokio::join!(client.start(), service.dialled());
    assert!(matches!(
        started,
        Err(StartError::Stopped(StopReason::Refused(
            DialFailure::TimedOut(_)
        )))
    ));
    assert_eq!(before.elapsed().as_secs(), 7);
    assert!(dialled.is_given_up());
}

#[tokio::test(start_paused = true)]
async fn a_stop_closes_with_1000_and_does_not_wait_for_ever() {
    let (client, mut events, _service, mut socket) = connected(|builder| builder).await;
    client.stop().await;
    assert_eq!(socket.heard().await, Some(Up::CloseFrame(1000)));
    assert_eq!(socket.heard().await, None, "the socket is dropped");
    assert!(matches!(
        next(&mut events).await,
        Event::Disconnected {
            cause: Loss::Stopped,
            ..
        }
    ));
    let Event::Stopped { reason } = next(&mut events).await else {
        panic!("not stopped");
    };
    assert_eq!(reason, StopReason::Requested);

    let (client, _events, _service, socket) = connected(|builder| builder).await;
    socket.ignore_close_frame();
    let before = Instant::now();
    client.stop().await;
    assert_eq!(before.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_takes_the_client_and_its_events_with_it() {
    let (client, mut events, _service, mut socket) = connected(|builder| builder).await;
    let mut streams = client.group_streams().subscribe();
    let other = client.clone();
    drop(client);
    settle().await;
    assert_eq!(other.state(), ClientState::Connected);
    drop(other);
    assert_eq!(socket.heard().await, Some(Up::CloseFrame(1000)));
    let mut last = None;
    while let Some(event) = events.next().await {
        assert!(!matches!(event, Event::Connecting { .. }), "{event:?}");
        last = Some(event);
    }
    assert!(matches!(last, Some(Event::Stopped { .. })), "{last:?}");
    assert!(streams.next().await.is_none());
}

// req: C-7.2-1
// req: C-7.2-6
#[tokio::test(start_paused = true)]
async fn a_lost_socket_is_recovered_at_the_same_url_with_the_latest_token() {
    let (client, mut events, mut service, socket) = connected(|builder| builder).await;
    for (round, token) in [(1, "t1"), (2, "t2")] {
        if round == 1 {
            socket.cut();
        }
        assert!(matches!(next(&mut events).await, Event::Recovering { .. }));
        assert_eq!(client.state(), ClientState::Recovering);
        let dialled = service.dialled().await;
        let query: Vec<_> = dialled.dial.url.query_pairs().into_owned().collect();
        let expected = [
            ("access_token", "the-token"),
            ("awps_connection_id", "c1"),
            ("awps_reconnection_token", token),
        ];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(query, expected);
        let mut again = dialled.accept();
        assert_eq!(again.text().await, r#"{"type":"ping"}"#);
        again.say(&connected_frame("c1", "t2"));
        again.say(r#"{"sequenceId":1,"type":"message","from":"server","dataType":"text","data":"while away"}"#);
        again.say(r#"{"type":"pong"}"#);
        if round == 1 {
            assert!(matches!(next(&mut events).await, Event::ServerMessage(_)));
        }
        let replayed = if round == 1 { 1 } else { 0 };
        assert_eq!(next(&mut events).await, Event::Recovered { replayed });
        again.cut();
    }
}

#[tokio::test(start_paused = true)]
async fn the_window_ends_although_a_dial_hangs() {
    let (client, mut events, mut service, socket) =
        connected(|builder| builder.dial_timeout(Duration::from_secs(3600))).await;
    socket.cut();
    let before = Instant::now();
    let hanging = service.dialled().await;
    assert!(matches!(next(&mut events).await, Event::Recovering { .. }));
    let Event::Disconnected { cause, .. } = next(&mut events).await else {
        panic!("not disconnected");
    };
    assert_eq!(cause, Loss::RecoveryExpired(Duration::from_secs(30)));
    assert_eq!(before.elapsed().as_secs(), 30);
    let fresh = service.dialled().await;
    assert!(hanging.is_given_up());
    assert!(!fresh.dial.url.as_str().contains("awps_connection_id"));
    let socket = fresh.accept();
    socket.say(&connected_frame("c2", "t1"));
    client.wait_for(ClientState::Connected).await;
    assert_eq!(client.connection_id().as_deref(), Some("c2"));
}

#[tokio::test(start_paused = true)]
async fn a_plain_subprotocol_starts_afresh() {
    let (_client, mut events, mut service, socket) =
        connected(|builder| builder.protocol(Subprotocol::Json)).await;
    socket.close(1001, "bye");
    let Event::Disconnected {
        cause: Loss::Closed(closure),
        ..
    } = next(&mut events).await
    else {
        panic!("not disconnected");
    };
    assert_eq!((closure.code, closure.reason.as_str()), (Some(1001), "bye"));
    let dialled = service.dialled().await;
    assert!(!dialled.dial.url.as_str().contains("awps_connection_id"));
}

#[tokio::test(start_paused = true)]
async fn a_silent_socket_is_dropped_without_a_close_frame_and_recovered() {
    let (_client, mut events, mut service, mut socket) = connected(|builder| builder).await;
    let before = Instant::now();
    for _ in 0..5 {
        assert_eq!(socket.text().await, r#"{"type":"ping"}"#);
    }
    assert_eq!(before.elapsed().as_secs(), 100);
    let Event::Recovering {
        cause: Loss::Silent(silence),
    } = next(&mut events).await
    else {
        panic!("not recovering");
    };
    assert_eq!((silence.as_secs(), before.elapsed().as_secs()), (120, 120));
    // The service must not take it for a normal close.
    while let Some(heard) = socket.heard().await {
        assert_eq!(heard, Up::Text(r#"{"type":"ping"}"#.to_owned()));
    }
    assert!(
        service
            .dialled()
            .await
            .dial
            .url
            .as_str()
            .contains("awps_connection_id=c1")
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_can_be_started_while_its_old_socket_is_closing() {
    let (client, _events, mut service, mut socket) = connected(|builder| builder).await;
    socket.ignore_close_frame();
    let mut stop = Box::pin(client.stop());
    assert!(futures_util::poll!(stop.as_mut()).is_pending());
    let (started, new) = tokio::join!(client.start(), async {
        let socket = service.dialled().await.accept();
        socket.say(&connected_frame("c2", "t1"));
        socket
    });
    started.expect("started");
    stop.await;
    assert_eq!(socket.heard().await, Some(Up::CloseFrame(1000)));
    assert_eq!(client.connection_id().as_deref(), Some("c2"));
    drop(new);
}

/// A program with two runtimes, or a test that ends its runtime.
#[test]
fn a_runtime_that_goes_away_stops_the_client() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
    };
    let first = runtime().expect("a runtime");
    let (client, mut events, _service, _socket) = first.block_on(connected(|builder| builder));
    drop(first);
    assert_eq!(client.state(), ClientState::Stopped);
    let second = runtime().expect("a runtime");
    second.block_on(async {
        client.stop().await;
        while let Some(event) = events.next().await {
            if matches!(event, Event::Stopped { .. }) {
                break;
            }
        }
    });
}
