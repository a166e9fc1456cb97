//! User events: how they are told, and what answers do to each kind of client.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use webpubsub_emulator::TrafficEvent;
use webpubsub_protocol::frame::{ServerFrame, protobuf};
use webpubsub_protocol::payload::Payload;

use super::*;

const PROTOBUF: &str = "protobuf.webpubsub.azure.v1";

/// A serialised `google.protobuf.Any`.
const ANY: &str = "\n\u{1}t\u{12}\u{2}\u{8}\u{1}";

/// Answers as the name of the event says.
fn answer(seen: &Seen) -> Reply {
    match seen.event() {
        "echo" => Reply::body(seen.header("content-type"), seen.body.clone()),
        "untyped" => Reply::Answer {
            status: 200,
            headers: Vec::new(),
            body: seen.body.clone(),
        },
        "typed-but-empty" => Reply::body("application/json", ""),
        "metadata" => Reply::body("text/html", "").with("x-webpubsub-metadata-k", "a, v"),
        "html" => Reply::body("text/html", "x"),
        "broken" => Reply::body("application/json", "{"),
        "redirect" => Reply::status(307).with("location", "http://127.0.0.1:1/"),
        "too-large" => Reply::body("text/plain", vec![b'x'; (16 << 20) + 1]),
        "large" => Reply::body("text/plain", vec![b'x'; 1 << 20]),
        "missing" => Reply::status(404),
        _ => Reply::ok(),
    }
}

async fn answering() -> (World, Handler) {
    let handler = Handler::new(answer);
    let service = handler
        .in_process()
        .system_events([])
        .user_events("*")
        .expect("a pattern");
    (world(service).await, handler)
}

#[tokio::test]
async fn each_payload_has_its_content_type_and_its_bytes() {
    let (world, mut handler) = answering().await;
    let any = STANDARD.encode(ANY);
    let mut client = world.client("chat", user("u")).await;
    let mut simple = world.simple("chat", user("u")).await;
    for (sent, content_type, body) in [
        (
            r#""dataType":"text","data":"ü""#,
            "text/plain; charset=utf-8",
            "ü",
        ),
        (
            r#""data":{ "n" : 1.0 }"#,
            "application/json",
            "{ \"n\" : 1.0 }",
        ),
        (
            r#""dataType":"binary","data":"AQI=""#,
            "application/octet-stream",
            "\u{1}\u{2}",
        ),
        (
            &format!(r#""dataType":"protobuf","data":"{any}""#),
            "application/x-protobuf",
            ANY,
        ),
        (r#""metadata":{"k":"v"}"#, "text/plain; charset=utf-8", ""),
    ] {
        client
            .send(&format!(r#"{{"type":"event","event":"silent",{sent}}}"#))
            .await;
        let seen = handler.event("silent").await;
        assert_eq!(seen.header("content-type"), content_type);
        assert_eq!(seen.body, body, "{content_type}");
    }
    for (sent, content_type) in [
        (Message::text("raw"), "text/plain; charset=utf-8"),
        (Message::binary("raw"), "application/octet-stream"),
    ] {
        simple.send_message(sent).await;
        let seen = handler.event("message").await;
        assert_eq!(seen.header("content-type"), content_type);
        assert_eq!(
            (seen.body.as_ref(), seen.header("ce-subprotocol")),
            (&b"raw"[..], "")
        );
    }
}

#[tokio::test]
async fn answers_reach_json_clients_before_the_ack() {
    let (world, _handler) = answering().await;
    let any = STANDARD.encode(ANY);
    let mut client = world.client("chat", user("u")).await;
    let ok = [
        (
            "echo",
            r#""dataType":"text","data":"ü""#,
            json!({"dataType": "text", "data": "ü"}),
        ),
        (
            "echo",
            r#""data":[1]"#,
            json!({"dataType": "json", "data": [1]}),
        ),
        (
            "echo",
            r#""dataType":"binary","data":"AQI=""#,
            json!({"dataType": "binary", "data": "AQI="}),
        ),
        (
            "echo",
            &format!(r#""dataType":"protobuf","data":"{any}""#),
            json!({"dataType": "protobuf", "data": any}),
        ),
        (
            "untyped",
            r#""data":1"#,
            json!({"dataType": "binary", "data": "MQ=="}),
        ),
        (
            "metadata",
            r#""data":1"#,
            json!({"dataType": "text", "data": "", "metadata": {"k": "v"}}),
        ),
        ("silent", r#""data":1"#, Value::Null),
        ("typed-but-empty", r#""data":1"#, Value::Null),
    ];
    for (id, (event, data, expected)) in ok.into_iter().enumerate() {
        client
            .send(&format!(
                r#"{{"type":"event","event":"{event}","ackId":{id},{data}}}"#
            ))
            .await;
        if let Value::Object(mut expected) = expected {
            expected.insert("type".into(), "message".into());
            expected.insert("from".into(), "server".into());
            assert_eq!(client.json().await, Value::Object(expected), "{event}");
        }
        let ack = json!({"type": "ack", "ackId": id, "success": true});
        assert_eq!(client.json().await, ack, "{event}");
    }
}

#[tokio::test]
async fn answers_reach_protobuf_clients_in_their_kind() {
    let (world, _handler) = answering().await;
    let mut json_client = world.client("chat", user("u")).await;
    let mut client = world.connect("chat", user("u"), Some(PROTOBUF)).await;
    client.binary().await;
    for payload in [
        Payload::text("t"),
        Payload::Json("[1]".into()),
        Payload::binary("b"),
        Payload::protobuf(ANY.as_bytes()).expect("an Any"),
    ] {
        let frame = webpubsub_protocol::frame::ClientFrame::Event {
            event: "echo".try_into().expect("a name"),
            ack_id: None,
            metadata: webpubsub_protocol::metadata::Metadata::default(),
            payload: payload.clone(),
        };
        client
            .send_message(Message::Binary(protobuf::encode_client(&frame)))
            .await;
        match protobuf::decode_server(client.binary().await).expect("a frame") {
            ServerFrame::Message(message) => assert_eq!(message.payload, payload),
            other => panic!("no message: {other:?}"),
        }
    }
    json_client.send(r#"{"type":"ping"}"#).await;
    assert_eq!(
        json_client.json().await["type"],
        "pong",
        "told to its sender only"
    );
}

#[tokio::test]
async fn answers_reach_simple_clients_as_bare_frames() {
    let handler = Handler::new(|seen| match &seen.body[..] {
        b"metadata" => Reply::ok().with("x-webpubsub-metadata-a", "b"),
        b"silent" => Reply::ok(),
        b"json" => Reply::json(json!([1])),
        b"any" => Reply::body("application/x-protobuf", ANY),
        _ => Reply::body(seen.header("content-type"), seen.body.clone()),
    });
    let world = world(handler.in_process().system_events([])).await;
    let mut client = world.simple("chat", user("u")).await;
    client.send("silent").await;
    for (sent, expected) in [
        (Message::text("text"), Message::text("text")),
        (Message::binary("bytes"), Message::binary("bytes")),
        (Message::text("json"), Message::text("[1]")),
        (Message::text("any"), Message::binary(ANY)),
        (Message::text("metadata"), Message::text("")),
    ] {
        client.send_message(sent).await;
        assert_eq!(client.next().await, expected);
    }
}

#[tokio::test]
async fn an_invocation_gets_the_answer_and_nothing_else() {
    let (world, mut handler) = answering().await;
    let mut client = world.client("chat", user("u")).await;
    let invoke = |event: &str, data: &str| {
        format!(
            r#"{{"type":"invoke","invocationId":"1","target":"event","event":"{event}"{data}}}"#
        )
    };
    client
        .send(&invoke("echo", r#","dataType":"json","data":{"a":1}"#))
        .await;
    assert_eq!(
        client.json().await,
        json!({"type": "invokeResponse", "invocationId": "1", "success": true, "dataType": "json", "data": {"a": 1}})
    );
    assert_eq!(
        handler.event("echo").await.header("ce-type"),
        "azure.webpubsub.user.echo"
    );
    client.send(&invoke("silent", "")).await;
    assert_eq!(
        client.json().await,
        json!({"type": "invokeResponse", "invocationId": "1", "success": true})
    );
    assert_eq!(handler.event("silent").await.body, "");
    client.send(&invoke("missing", "")).await;
    assert_eq!(
        client.json().await,
        json!({"type": "invokeResponse", "invocationId": "1", "success": false, "error": {
            "name": "InternalServerError", "message": "Internal server error"
        }})
    );
}

#[tokio::test]
async fn a_failure_is_an_error_without_its_cause_and_the_connection_stays() {
    let (world, mut handler) = answering().await;
    let mut client = world.client("chat", user("u")).await;
    for event in ["html", "broken", "redirect", "too-large", "missing"] {
        client
            .send(&format!(
                r#"{{"type":"event","event":"{event}","ackId":1,"data":1}}"#
            ))
            .await;
        assert_eq!(
            client.json().await,
            json!({"type": "ack", "ackId": 1, "success": false, "error": {
                "name": "InternalServerError", "message": "Internal server error"
            }}),
            "{event}"
        );
        handler.event(event).await;
    }
    assert!(handler.is_quiet(), "none of these is tried again");
    client
        .send(r#"{"type":"event","event":"missing","data":1}"#)
        .await;
    client
        .send(r#"{"type":"event","event":"large","ackId":1,"data":1}"#)
        .await;
    assert_eq!(client.data().await.as_str().map(str::len), Some(1 << 20));
    assert_eq!(
        client.json().await["success"],
        true,
        "the id was not used up"
    );
    assert_eq!(world.emulator.counts().handler_failures, 6);

    let mut simple = world.simple("chat", user("u")).await;
    world.emulator.set_hubs([].into());
    simple.send("nobody takes this").await;
    let close = simple.closed().await.expect("a close frame");
    assert_eq!(
        (u16::from(close.code), close.reason.as_str()),
        (1011, "Internal server error")
    );
}

#[tokio::test]
async fn state_and_cookies_come_back_with_the_next_event() {
    let mut handler = Handler::new(|seen| match seen.event() {
        "connect" => Reply::ok()
            .with("ce-connectionstate", "from connect")
            .with("set-cookie", "a=1"),
        "connected" => Reply::ok()
            .with("ce-connectionstate", "ignored")
            .with("set-cookie", "b=2; Path=/"),
        "set" => Reply::ok().with("ce-connectionstate", "set"),
        "clear" => Reply::ok()
            .with("ce-connectionstate", "")
            .with("set-cookie", "a=; Max-Age=0"),
        "fail" => Reply::status(400)
            .with("ce-connectionstate", "lost")
            .with("set-cookie", "c=3"),
        "unusable" => Reply::body("text/html", "x").with("ce-connectionstate", "lost"),
        "foreign" => Reply::ok().with("ce-connectionstate", "ü"),
        _ => Reply::ok(),
    });
    let world = world(handler.in_process()).await;
    let mut client = world.client("chat", user("u")).await;
    handler.event("connect").await;
    let seen = handler.event("connected").await;
    assert_eq!(seen.header("ce-connectionstate"), "from connect");
    assert_eq!(seen.header("cookie"), "a=1");
    for (event, state, cookies) in [
        ("set", "from connect", "a=1; b=2"),
        ("fail", "set", "a=1; b=2"),
        ("unusable", "set", "a=1; b=2"),
        ("clear", "set", "a=1; b=2"),
        ("foreign", "", "b=2"),
    ] {
        let frame = format!(r#"{{"type":"event","event":"{event}","data":1}}"#);
        client.send(&frame).await;
        let seen = handler.event(event).await;
        assert!(seen.headers.contains_key("ce-connectionstate"), "{event}");
        assert_eq!(seen.header("ce-connectionstate"), state, "{event}");
        assert_eq!(seen.header("cookie"), cookies, "{event}");
    }
    // What is not ASCII can be no header, so nothing more can be told.
    client
        .send(r#"{"type":"event","event":"set","ackId":1,"data":1}"#)
        .await;
    assert_eq!(client.json().await["success"], false);
    assert!(handler.is_quiet());

    let _other = world.client("chat", user("u")).await;
    let seen = handler.event("connect").await;
    assert!(
        !seen.headers.contains_key("cookie"),
        "each connection has its own"
    );
}

#[tokio::test]
async fn one_event_of_a_connection_is_under_way_and_pings_pass() {
    let mut handler = Handler::new(|seen| match seen.event() {
        "hang" => Reply::Hang,
        _ => Reply::ok(),
    });
    let world = world(handler.in_process().system_events([])).await;
    let mut client = world.client("chat", user("u")).await;
    let mut other = world.client("chat", user("v")).await;
    client
        .send(r#"{"type":"event","event":"hang","ackId":1,"data":1}"#)
        .await;
    client
        .send(r#"{"type":"event","event":"next","ackId":2,"data":1}"#)
        .await;
    client.send(r#"{"type":"ping"}"#).await;
    assert_eq!(client.json().await, json!({"type": "pong"}));
    handler.event("hang").await;
    // Had the second event been told, it would come before this one.
    other
        .send(r#"{"type":"event","event":"other","data":1}"#)
        .await;
    handler.event("other").await;
    world.emulator.clock().advance(EventHandler::TIMEOUT);
    assert_eq!(client.json().await["success"], false);
    assert_eq!(handler.event("next").await.id(), 3);
    assert_eq!(client.json().await["success"], true);
}

#[tokio::test]
async fn the_end_of_a_connection_drops_its_request() {
    /// Tells when it is dropped.
    struct Dropped(tokio::sync::mpsc::UnboundedSender<()>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            // Fails only after the test.
            let _ = self.0.send(());
        }
    }
    let (begun, mut begins) = tokio::sync::mpsc::unbounded_channel();
    let (dropped, mut drops) = tokio::sync::mpsc::unbounded_channel();
    let service = tower::service_fn(move |_: http::Request<axum::body::Body>| {
        // Fails only after the test.
        let _ = begun.send(());
        let guard = Dropped(dropped.clone());
        async move {
            let _guard = guard;
            std::future::pending::<Result<http::Response<axum::body::Body>, _>>().await
        }
    });
    let handler = EventHandler::service(service)
        .system_events([])
        .skip_validation();
    let world = world(handler).await;
    let mut client = world.client("chat", user("u")).await;
    client
        .send(r#"{"type":"event","event":"e","data":1}"#)
        .await;
    begins.recv().await.expect("called");
    drop(client);
    let dropped = tokio::time::timeout(TEST_TIMEOUT, drops.recv()).await;
    dropped.expect("in time").expect("dropped");
}

#[tokio::test]
async fn a_closure_answers_what_no_handler_takes() {
    let mut handler = Handler::new(answer);
    let service = handler.in_process().system_events([]);
    let service = service.user_events("echo").expect("a pattern");
    let world = World::with(|builder| {
        builder
            .hub("chat", HubOptions::new().event_handler(service))
            .on_user_event(async |event| {
                Ok(webpubsub_emulator::UserEventReply::text(format!(
                    "closure {} {}",
                    event.event_name, event.event_id
                )))
            })
    })
    .await;
    let mut client = world.client("chat", user("u")).await;
    client
        .send(r#"{"type":"event","event":"ECHO","data":1}"#)
        .await;
    client
        .send(r#"{"type":"event","event":"other","data":1}"#)
        .await;
    assert_eq!(handler.event("ECHO").await.id(), 2);
    assert_eq!(client.data().await, "closure other 3");
}

#[tokio::test]
async fn the_log_shows_calls_and_prints_nothing_of_what_they_hold() {
    let mut handler = Handler::new(|seen| match seen.event() {
        "private" => Reply::status(400).with("ce-connectionstate", "private"),
        _ => Reply::ok(),
    });
    let world = world(handler.in_process().system_events([])).await;
    let mut traffic = world.emulator.traffic();
    let mut client = world.client("chat", user("u")).await;
    client
        .send(r#"{"type":"event","event":"private","ackId":1,"data":"private data"}"#)
        .await;
    handler.event("private").await;
    client.json().await;
    let call = loop {
        let entry = traffic.next().await.expect("an entry");
        if matches!(entry.event, TrafficEvent::HandlerCall { .. }) {
            break entry.event.clone();
        }
    };
    let shown = format!("{call} {call:?}");
    assert!(!shown.contains("private data"), "{shown}");
    let TrafficEvent::HandlerCall {
        hub,
        connection_id,
        event,
        event_id,
        request,
        status,
        answer,
        succeeded,
        ..
    } = call
    else {
        unreachable!("it was asked for")
    };
    assert_eq!(
        (hub.as_str(), connection_id.as_str()),
        ("chat", &*client.id)
    );
    assert_eq!((event.as_str(), event_id), ("private", 2));
    assert_eq!((status, succeeded), (Some(400), false));
    assert_eq!(request.expect("a body").as_bytes(), br#""private data""#);
    assert_eq!(answer.expect("an answer").as_bytes(), b"");
}
