//! Requests: what their futures promise when they are dropped, delayed or lost.

use std::time::Duration;

use webpubsub_client::{Acknowledged, Backoff, ClientState, Loss, SendError, payload::Json};

use crate::fake::{client, connected, connected_frame, settle};

fn ack(id: u64) -> String {
    format!(r#"{{"type":"ack","ackId":{id},"success":true}}"#)
}

fn refusal(id: u64, name: &str) -> String {
    format!(
        r#"{{"type":"ack","ackId":{id},"success":false,"error":{{"name":"{name}","message":"no"}}}}"#
    )
}

// req: C-4-3
#[tokio::test(start_paused = true)]
async fn requests_are_answered_one_by_one() {
    let (client, _events, _service, mut socket) = connected(|builder| builder).await;
    let (sent, ()) = tokio::join!(client.send_to_group("g", Json([1])).into_future(), async {
        let expected = r#"{"type":"sendToGroup","group":"g","ackId":1,"noEcho":false,"dataType":"json","data":[1]}"#;
        assert_eq!(socket.text().await, expected);
        socket.say(&ack(1));
    });
    let accepted = sent.expect("sent");
    assert!(matches!(accepted, Acknowledged::Accepted { ack_id: Some(id) } if id.0 == 1));

    let (sent, ()) = tokio::join!(client.send_event("e", "x").ack_id(9).into_future(), async {
        assert_eq!(
            socket.text().await,
            r#"{"type":"event","event":"e","ackId":9,"dataType":"text","data":"x"}"#
        );
        socket.say(&refusal(9, "Duplicate"));
    });
    assert!(
        matches!(sent.expect("done before"), Acknowledged::Duplicate { ack_id } if ack_id.0 == 9)
    );

    let (joined, ()) = tokio::join!(client.join_group("g").into_future(), async {
        assert_eq!(
            socket.text().await,
            r#"{"type":"joinGroup","group":"g","ackId":2}"#
        );
        socket.say(&refusal(2, "Forbidden"));
    });
    let error = joined.expect_err("refused");
    assert_eq!(error.name(), Some("Forbidden"));
    assert_eq!(
        socket.texts().await,
        [""; 0],
        "a refusal that cannot heal is not tried again"
    );

    let sent = client
        .send_to_group("g", "x")
        .fire_and_forget()
        .no_echo()
        .await
        .expect("written");
    assert!(matches!(sent, Acknowledged::Accepted { ack_id: None }));
    let expected =
        r#"{"type":"sendToGroup","group":"g","noEcho":true,"dataType":"text","data":"x"}"#;
    assert_eq!(socket.text().await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_passing_failure_is_tried_again_under_the_same_id() {
    let (client, _events, _service, mut socket) =
        connected(|builder| builder.request_retries(2, Backoff::Fixed(Duration::from_secs(3))))
            .await;
    let (sent, ()) = tokio::join!(client.send_event("e", "x").into_future(), async {
        for _ in 0..3 {
            assert!(socket.text().await.contains(r#""ackId":1,"#));
            socket.say(&refusal(1, "InternalServerError"));
        }
    });
    assert_eq!(
        sent.expect_err("failed").name(),
        Some("InternalServerError")
    );
}

#[tokio::test(start_paused = true)]
async fn a_future_that_is_dropped_withdraws_what_was_not_written() {
    let (client, _events, _service, mut socket) = connected(|builder| builder).await;
    socket.jam(true);
    let mut unwritten = Box::pin(client.send_to_group("g", "unwritten").into_future());
    assert!(futures_util::poll!(unwritten.as_mut()).is_pending());
    settle().await;
    drop(unwritten);
    socket.jam(false);
    assert_eq!(socket.texts().await, [""; 0]);

    let mut written = Box::pin(client.send_to_group("g", "written").into_future());
    assert!(futures_util::poll!(written.as_mut()).is_pending());
    assert!(socket.text().await.contains("written"));
    drop(written);
    socket.say(&ack(2));
    let (sent, ()) = tokio::join!(client.send_to_group("g", "next").into_future(), async {
        assert!(socket.text().await.contains(r#""ackId":3,"#));
        socket.say(&ack(3));
    });
    sent.expect("others are not disturbed");
}

#[tokio::test(start_paused = true)]
async fn a_full_outbox_holds_callers_back_and_loses_nothing() {
    let (client, mut service) = client(|builder| builder.outbox(2, 1 << 20));
    let mut start = Box::pin(client.start());
    assert!(futures_util::poll!(start.as_mut()).is_pending());
    let mut sends = Vec::new();
    for n in 0..5 {
        let mut send = Box::pin(
            client
                .send_to_group("g", Json(n))
                .fire_and_forget()
                .into_future(),
        );
        assert!(futures_util::poll!(send.as_mut()).is_pending());
        sends.push(send);
    }
    let mut socket = service.dialled().await.accept();
    socket.say(&connected_frame("c1", "t1"));
    start.await.expect("started");
    for send in sends {
        send.await.expect("sent");
    }
    let texts = socket.texts().await;
    let numbers: Vec<_> = texts
        .iter()
        .map(|text| text[text.len() - 2..=text.len() - 2].to_owned())
        .collect();
    assert_eq!(numbers, ["0", "1", "2", "3", "4"]);
}

#[tokio::test(start_paused = true)]
async fn many_requests_share_a_flush() {
    let (client, _events, _service, mut socket) = connected(|builder| builder).await;
    let before = socket.flushes();
    let sends = (0..50).map(|n| {
        client
            .send_to_group("g", Json(n))
            .fire_and_forget()
            .into_future()
    });
    for sent in futures_util::future::join_all(sends).await {
        sent.expect("sent");
    }
    assert_eq!(socket.texts().await.len(), 50);
    assert!(
        socket.flushes() - before <= 2,
        "{} flushes",
        socket.flushes() - before
    );
}

// req: C-6-3
// req: C-6-4
#[tokio::test(start_paused = true)]
async fn what_was_written_goes_out_again_after_a_recovery_and_is_lost_without() {
    let (client, _events, mut service, mut socket) = connected(|builder| builder).await;
    let mut send = Box::pin(client.send_to_group("g", "x").into_future());
    assert!(futures_util::poll!(send.as_mut()).is_pending());
    let first = socket.text().await;
    socket.cut();
    let mut again = service.dialled().await.accept();
    assert_eq!(again.text().await, r#"{"type":"ping"}"#);
    again.say(r#"{"type":"pong"}"#);
    assert_eq!(again.text().await, first);
    again.close(1008, "The connection could not be recovered.");
    let error = send.await.expect_err("lost");
    assert!(
        matches!(&error, SendError::Lost(Loss::Closed(closure)) if closure.code == Some(1008)),
        "{error:?}"
    );
    assert!(error.is_uncertain());
}

// req: C-10-3
#[tokio::test(start_paused = true)]
async fn an_invocation_that_nobody_waits_for_is_cancelled_at_the_service() {
    let (client, _events, _service, mut socket) = connected(|builder| builder).await;
    let invoke = client
        .invoke_event("e", "x")
        .timeout(Duration::from_secs(5));
    let (answer, ()) = tokio::join!(invoke.into_future(), async {
        let expected = r#"{"type":"invoke","invocationId":"1","target":"event","event":"e","dataType":"text","data":"x"}"#;
        assert_eq!(socket.text().await, expected);
    });
    assert!(matches!(answer, Err(SendError::TimedOut)));
    assert_eq!(
        socket.text().await,
        r#"{"type":"cancelInvocation","invocationId":"1"}"#
    );
    // Too late, and ignored.
    socket.say(r#"{"type":"invokeResponse","invocationId":"1","success":true,"dataType":"text","data":"y"}"#);

    let (answer, ()) = tokio::join!(client.invoke_event_without_data("e").into_future(), async {
        assert_eq!(
            socket.text().await,
            r#"{"type":"invoke","invocationId":"2","target":"event","event":"e"}"#
        );
        socket.say(r#"{"type":"invokeResponse","invocationId":"2","success":true,"dataType":"json","data":[1,2]}"#);
    });
    assert_eq!(
        answer
            .expect("answered")
            .json::<[u8; 2]>()
            .expect("two numbers"),
        [1, 2]
    );
}

#[tokio::test(start_paused = true)]
async fn misuse_is_a_typed_error() {
    let (client, _service) = client(|builder| builder);
    assert!(matches!(
        client.send_to_group("g", "x").await,
        Err(SendError::NotStarted)
    ));
    let (client, _events, _service, mut socket) = connected(|builder| builder).await;
    assert!(matches!(
        client.join_group("").await,
        Err(SendError::InvalidName(_))
    ));
    assert!(matches!(
        client.send_event("1 2", "x").await,
        Err(SendError::InvalidName(_))
    ));
    let too_long = client
        .send_to_group("g", "x")
        .ttl(Duration::from_secs(301))
        .await;
    assert!(matches!(too_long, Err(SendError::InvalidValue(_))));
    let too_large = client.send_to_group("g", "x".repeat(1 << 20)).await;
    assert!(matches!(too_large, Err(SendError::TooLarge { limit, .. }) if limit == 1 << 20));
    let mut first = Box::pin(client.send_to_group("g", "x").ack_id(7).into_future());
    assert!(futures_util::poll!(first.as_mut()).is_pending());
    assert!(matches!(
        client.send_to_group("g", "x").ack_id(7).await,
        Err(SendError::AckIdInUse(_))
    ));
    assert_eq!(socket.texts().await.len(), 1);
    client.stop().await;
    assert!(matches!(first.await, Err(SendError::Lost(Loss::Stopped))));
    assert!(matches!(
        client.send_to_group("g", "x").await,
        Err(SendError::NotStarted)
    ));
    assert_eq!(client.state(), ClientState::Stopped);
}
