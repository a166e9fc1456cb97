//! Writers and readers of streams.

use std::time::Duration;

use webpubsub_client::{
    GroupStreamError, GroupStreamWriter, SendError, StreamEndError, WebPubSubClient,
};

use crate::fake::{Socket, connected, settle};

async fn open(client: &WebPubSubClient, socket: &mut Socket) -> GroupStreamWriter {
    let open = client
        .open_group_stream("g")
        .stream_id("s")
        .write_timeout(Duration::from_secs(3));
    let (writer, ()) = tokio::join!(open.into_future(), async {
        let expected =
            r#"{"type":"sendToGroup","group":"g","noEcho":false,"stream":{"streamId":"s"}}"#;
        assert_eq!(socket.text().await, expected);
        socket.say(r#"{"type":"streamAck","streamId":"s","expectedSequenceId":1}"#);
    });
    writer.expect("opened")
}

// req: C-9-1
#[tokio::test(start_paused = true)]
async fn a_stream_is_written_and_ended() {
    let (client, _events, _service, mut socket) = connected(|builder| builder).await;
    let mut writer = open(&client, &mut socket).await;
    writer.write("one").await.expect("written");
    let expected = r#"{"type":"streamData","streamId":"s","streamSequenceId":1,"dataType":"text","data":"one"}"#;
    assert_eq!(socket.text().await, expected);
    writer.keep_alive().await.expect("written");
    assert_eq!(
        socket.text().await,
        r#"{"type":"streamData","streamId":"s"}"#
    );
    let (ended, ()) = tokio::join!(writer.end(), async {
        assert_eq!(
            socket.text().await,
            r#"{"type":"streamEnd","streamId":"s"}"#
        );
        socket.say(r#"{"type":"streamClosed","streamId":"s"}"#);
    });
    ended.expect("ended");
    assert_eq!(
        socket.texts().await,
        [""; 0],
        "an ended stream is not ended again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_is_dropped_or_aborted_tells_the_receivers() {
    let (client, _events, _service, mut socket) = connected(|builder| builder).await;
    drop(open(&client, &mut socket).await);
    let told = socket.text().await;
    assert!(
        told.starts_with(r#"{"type":"streamEnd","streamId":"s","error":{"message":"#),
        "{told}"
    );
    socket.say(r#"{"type":"streamClosed","streamId":"s"}"#);
    settle().await;

    let writer = open(&client, &mut socket).await;
    let error = StreamEndError {
        message: Some("gave up".to_owned()),
        user_error_code: Some("E42".to_owned()),
    };
    let (aborted, ()) = tokio::join!(writer.abort(error), async {
        let expected = r#"{"type":"streamEnd","streamId":"s","error":{"message":"gave up","userErrorCode":"E42"}}"#;
        assert_eq!(socket.text().await, expected);
        socket.say(r#"{"type":"streamClosed","streamId":"s"}"#);
    });
    aborted.expect("aborted");
}

#[tokio::test(start_paused = true)]
async fn a_full_window_holds_the_writer_back_and_a_failure_says_why() {
    let (client, _events, _service, mut socket) = connected(|builder| builder).await;
    let mut writer = open(&client, &mut socket).await;
    for _ in 0..64 {
        writer.write("x").await.expect("there is room");
    }
    assert!(matches!(writer.write("y").await, Err(SendError::TimedOut)));
    assert_eq!(socket.texts().await.len(), 64);
    socket.say(r#"{"type":"streamAck","streamId":"s","expectedSequenceId":65}"#);
    writer.write("y").await.expect("there is room again");
    socket.say(
        r#"{"type":"streamClosed","streamId":"s","error":{"name":"IdleTimeout","message":"m"}}"#,
    );
    assert_eq!(writer.failed().await.name, "IdleTimeout");
    assert_eq!(
        writer.write("z").await.expect_err("over").name(),
        Some("IdleTimeout")
    );
}

#[tokio::test(start_paused = true)]
async fn readers_see_fragments_gaps_and_errors() {
    let (client, _events, _service, socket) = connected(|builder| builder).await;
    let mut streams = client.group_streams().subscribe();
    let fragment = |number: u64, rest: &str| {
        format!(
            r#"{{"type":"message","from":"group","fromUserId":null,"group":"g","dataType":"text","data":"{number}","stream":{{"streamId":"s","streamSequenceId":{number}{rest}}}}}"#
        )
    };
    for number in [1, 2, 5] {
        socket.say(&fragment(number, ""));
    }
    socket.say(&fragment(
        6,
        r#","endOfStream":true,"error":{"name":"UserError","userErrorCode":"E1"}"#,
    ));
    let mut stream = streams.next().await.expect("a stream");
    assert_eq!((stream.group().as_str(), stream.stream_id()), ("g", "s"));
    let mut seen = Vec::new();
    let error = loop {
        match stream.next().await.expect("it ends with an error") {
            Ok(fragment) => seen.push(fragment.number),
            Err(GroupStreamError::Gap { missing }) => assert_eq!((missing, seen.len()), (2, 2)),
            Err(error) => break error,
        }
    };
    assert_eq!(seen, [1, 2, 5, 6]);
    assert!(
        matches!(error, GroupStreamError::Failed(error) if error.user_error_code.as_deref() == Some("E1"))
    );
    assert!(stream.next().await.is_none());
}

/// A fragment of the stream `id`.
fn fragment(id: &str, number: u64, data: &str) -> String {
    format!(
        r#"{{"type":"message","from":"group","fromUserId":null,"group":"g","dataType":"text","data":"{data}","stream":{{"streamId":"{id}","streamSequenceId":{number}}}}}"#
    )
}

#[tokio::test(start_paused = true)]
async fn a_dead_writer_leaves_a_newer_stream_of_its_name_alone() {
    let (client, _events, _service, mut socket) = connected(|builder| builder).await;
    let mut old = open(&client, &mut socket).await;
    socket.say(
        r#"{"type":"streamClosed","streamId":"s","error":{"name":"IdleTimeout","message":"m"}}"#,
    );
    settle().await;
    let mut new = open(&client, &mut socket).await;
    let error = old.write("x").await.expect_err("it is over");
    assert_eq!(error.name(), Some("IdleTimeout"));
    drop(old);
    assert_eq!(socket.texts().await, [""; 0]);
    new.write("y").await.expect("written");
    assert!(socket.text().await.contains(r#""streamSequenceId":1,"#));
    // It hears of its own failure.
    socket.say(
        r#"{"type":"streamClosed","streamId":"s","error":{"name":"Forbidden","message":"m"}}"#,
    );
    assert_eq!(new.failed().await.name, "Forbidden");
}

#[tokio::test(start_paused = true)]
async fn a_fragment_that_was_not_written_in_time_never_is() {
    let (client, _events, mut service, mut socket) = connected(|builder| builder).await;
    let mut writer = open(&client, &mut socket).await;
    socket.cut();
    let dialled = service.dialled().await;
    let error = writer.write("once").await.expect_err("no connection");
    assert!(matches!(error, SendError::TimedOut), "{error:?}");
    {
        let mut dropped = Box::pin(writer.write("dropped"));
        assert!(futures_util::poll!(dropped.as_mut()).is_pending());
    }
    let mut again = dialled.accept();
    again.say(r#"{"type":"pong"}"#);
    writer.write("once").await.expect("written");
    let texts = again.texts().await;
    assert_eq!(
        texts,
        [
            r#"{"type":"ping"}"#,
            r#"{"type":"streamData","streamId":"s","streamSequenceId":1,"dataType":"text","data":"once"}"#
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_given_up_still_ends_the_stream() {
    let (client, _events, _service, mut socket) = connected(|builder| builder).await;
    let writer = open(&client, &mut socket).await;
    socket.jam(true);
    {
        let mut end = Box::pin(writer.end());
        assert!(futures_util::poll!(end.as_mut()).is_pending());
    }
    socket.jam(false);
    let texts = socket.texts().await;
    assert!(
        matches!(&texts[..], [end] if end.starts_with(r#"{"type":"streamEnd","streamId":"s","error""#)),
        "{texts:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_is_dropped_ends_its_streams() {
    let (client, _events, _service, socket) = connected(|builder| builder).await;
    let mut streams = client.group_streams().subscribe();
    let mut others = client.group_streams().subscribe();
    socket.say(&fragment("s", 1, "x"));
    let mut stream = streams.next().await.expect("a stream");
    let mut other = others.next().await.expect("a stream");
    for stream in [&mut stream, &mut other] {
        stream.next().await.expect("a fragment").expect("complete");
    }
    drop(streams);
    let end = stream.next().await;
    assert_eq!(end, Some(Err(GroupStreamError::Unsubscribed)));
    assert_eq!(stream.next().await, None);

    socket.say(&fragment("s", 2, "x"));
    other.next().await.expect("a fragment").expect("complete");
    client.stop().await;
    assert_eq!(other.next().await, Some(Err(GroupStreamError::Stopped)));
}

#[tokio::test(start_paused = true)]
async fn streams_that_nobody_takes_are_limited_in_number() {
    let (client, _events, _service, socket) = connected(|builder| builder).await;
    let mut streams = client.group_streams().max_waiting(2).subscribe();
    for id in ["a", "b", "c"] {
        socket.say(&fragment(id, 1, "x"));
    }
    settle().await;
    assert_eq!(streams.missed(), 1);
    for id in ["a", "b"] {
        assert_eq!(streams.next().await.expect("a stream").stream_id(), id);
    }
    socket.say(&fragment("d", 1, "x"));
    assert_eq!(streams.next().await.expect("a stream").stream_id(), "d");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_not_read_ends_at_its_limit_and_no_other_does() {
    let (client, _events, _service, socket) = connected(|builder| builder).await;
    let mut streams = client.group_streams().max_bytes(10_000).subscribe();
    let data = "x".repeat(4_000);
    for (id, number) in [("a", 1), ("b", 1), ("a", 2), ("a", 3), ("b", 2)] {
        socket.say(&fragment(id, number, &data));
    }
    settle().await;
    let mut ends = Vec::new();
    for _ in 0..2 {
        let mut stream = streams.next().await.expect("a stream");
        for _ in 0..2 {
            assert!(matches!(stream.next().await, Some(Ok(_))));
        }
        ends.push(futures_util::FutureExt::now_or_never(stream.next()));
    }
    assert_eq!(ends, [Some(Some(Err(GroupStreamError::Overflow))), None]);
}

#[tokio::test(start_paused = true)]
async fn the_streams_of_a_subscription_are_limited_together() {
    let (client, _events, _service, socket) = connected(|builder| builder).await;
    let mut streams = client.group_streams().max_total_bytes(10_000).subscribe();
    let data = "x".repeat(4_000);
    for id in ["a", "b", "c"] {
        socket.say(&fragment(id, 1, &data));
    }
    settle().await;
    let mut ends = Vec::new();
    let mut taken = Vec::new();
    for _ in 0..3 {
        let mut stream = streams.next().await.expect("a stream");
        ends.push(stream.next().await.expect("a fragment or its end").is_ok());
        taken.push(stream);
    }
    assert_eq!(ends, [true, true, false]);
    let end = taken[0].next();
    // What was read makes room again.
    socket.say(&fragment("a", 2, &data));
    assert!(end.await.expect("a fragment").is_ok());
}
