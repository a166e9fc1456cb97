//! Bodies of sends and of the bulk group operations: what may come, in which order it is checked.

use webpubsub_protocol::limits::MESSAGE_BYTES;

use crate::rest::{BAD_REQUEST, assert_cause, assert_error};
use crate::support::World;

const SEND: &str = "/api/hubs/chat/:send";
const BULK: &str = "/api/hubs/chat/:addToGroups";
const LENGTH: &str = "Invalid Content-Length header.";
const JSON: &str = "The request body is not a valid JSON.";

#[tokio::test]
async fn content_types_are_data_types() {
    let world = World::start().await;
    let mut ana = world.user("chat", "ana", &[]).await;
    let any = b"\x0a\x01t\x12\x02\x08\x01";
    let table: &[(&str, &[u8], &str)] = &[
        (
            "text/plain",
            b"hi \xc3\xbc",
            r#""dataType":"text","data":"hi ü""#,
        ),
        (
            "text/plain; charset=utf-8",
            b"",
            r#""dataType":"text","data":"""#,
        ),
        (
            "Text/Plain;charset=\"ISO-8859-1\"",
            b"\xfc",
            r#""dataType":"text","data":"ü""#,
        ),
        (
            "text/plain; charset=utf-16",
            b"\xff\xfeh\0i\0",
            r#""dataType":"text","data":"hi""#,
        ),
        (
            "application/json",
            b"{\"b\": 1,\"a\":[1.50, null]}",
            r#""dataType":"json","data":{"b": 1,"a":[1.50, null]}"#,
        ),
        (
            "application/json; charset=utf-8",
            b"\"hi\"",
            r#""dataType":"json","data":"hi""#,
        ),
        (
            "application/json",
            b"null",
            r#""dataType":"json","data":null"#,
        ),
        (
            "application/octet-stream",
            b"\0\xff",
            r#""dataType":"binary","data":"AP8=""#,
        ),
        ("", b"\x01\x02\x03", r#""dataType":"binary","data":"AQID""#),
        (
            "application/x-protobuf",
            any,
            r#""dataType":"protobuf","data":"CgF0EgIIAQ==""#,
        ),
    ];
    for (content_type, body, expected) in table {
        let reply = world
            .call("POST", SEND)
            .body(content_type, body)
            .send()
            .await;
        assert_eq!(reply.status, 202, "{content_type}: {}", reply.text());
        let frame = format!(r#"{{"type":"message","from":"server",{expected}}}"#);
        assert_eq!(ana.text().await, frame);
    }
}

#[tokio::test]
async fn unusable_content_types_are_415() {
    let world = World::start().await;
    let code = "Error.UnsupportedMediaType";
    for (content_type, cause) in [
        ("application/xml", "application/xml"),
        ("text/html", "text/html"),
        ("text/json", "text/json"),
        ("text/plain; charset=klingon", "klingon"),
        ("nonsense", "malformed"),
    ] {
        let reply = world
            .call("POST", SEND)
            .body(content_type, "x")
            .send()
            .await;
        assert_cause(&reply, 415, code, cause);
    }
    for content_type in [
        "",
        "text/plain",
        "application/octet-stream",
        "application/json-x",
    ] {
        let reply = world
            .call("POST", BULK)
            .body(content_type, r#"{"groups":["a"]}"#)
            .send()
            .await;
        assert_cause(&reply, 415, code, "application/json");
    }
    for target in [SEND, BULK] {
        let call = world.call("POST", target).json(r#"{"groups":["a"]}"#);
        let reply = call.header("Content-Encoding", "gzip").send().await;
        assert_cause(&reply, 415, code, "uncompressed");
    }
}

#[tokio::test]
async fn lengths_are_announced_and_at_most_a_mebibyte() {
    let world = World::start().await;
    let mut ana = world.user("chat", "ana", &[]).await;
    let call = || world.call("POST", SEND);
    let most = "x".repeat(MESSAGE_BYTES);
    assert_eq!(call().text(&most).send().await.status, 202);
    assert_eq!(ana.data().await, most);
    assert_eq!(call().text("").send().await.status, 202);
    assert_eq!(ana.data().await, "");

    let over = "x".repeat(MESSAGE_BYTES + 1);
    let far_over = "x".repeat(4 * MESSAGE_BYTES);
    for reply in [
        call().text(&over).send().await,
        call().text(&far_over).send().await,
        call().text("hi").chunked().send().await,
        call().without_length().send().await,
        world
            .call("POST", BULK)
            .json(r#"{"groups":["a"]}"#)
            .chunked()
            .send()
            .await,
        world.call("POST", BULK).json(&over).send().await,
    ] {
        assert_error(&reply, 400, BAD_REQUEST, "Request", LENGTH);
    }
}

#[tokio::test]
async fn refused_bodies_are_taken_in_so_that_the_answer_arrives() {
    let world = World::start().await;
    let far_over = "x".repeat(6 * MESSAGE_BYTES);
    let call = || world.call("POST", SEND).text(&far_over);
    assert_eq!(call().send_in_turn().await.status, 400);
    assert_eq!(call().no_token().send_in_turn().await.status, 401);
}

#[tokio::test]
async fn clients_that_ask_first_are_told_before_they_send() {
    let world = World::start().await;
    let call = |text: &str| {
        world
            .call("POST", SEND)
            .text(text)
            .header("Expect", "100-continue")
    };
    assert_eq!(call("hi").send().await.status, 100);
    assert_eq!(call("hi").no_token().send().await.status, 401);
    assert_eq!(
        call(&"x".repeat(MESSAGE_BYTES + 1)).send().await.status,
        400
    );
}

#[tokio::test]
async fn broken_bodies_are_400() {
    let world = World::start().await;
    let deep = "[".repeat(128) + &"]".repeat(128);
    for (content_type, body, message) in [
        ("application/json", "", JSON),
        ("application/json", "{", JSON),
        ("application/json", "hi", JSON),
        ("application/json", "1 2", JSON),
        (
            "application/json",
            &deep,
            "The request body is nested deeper than 127 levels.",
        ),
        (
            "application/x-protobuf",
            "\u{7f}",
            "The request body is not a serialised google.protobuf.Any.",
        ),
    ] {
        let reply = world
            .call("POST", SEND)
            .body(content_type, body)
            .send()
            .await;
        assert_error(&reply, 400, BAD_REQUEST, "Request", message);
    }
    let reply = world
        .call("POST", SEND)
        .body("text/plain", b"\xff")
        .send()
        .await;
    assert_cause(&reply, 400, BAD_REQUEST, "UTF-8");
    let reply = world
        .call("POST", SEND)
        .body("application/json", b"\"\xff\"")
        .send()
        .await;
    assert_error(&reply, 400, BAD_REQUEST, "Request", JSON);
}

#[tokio::test]
async fn bulk_bodies_say_what_is_wrong() {
    let world = World::start().await;
    const SHAPE: &str = "The request body is not a valid groups request.";
    const NAMES: &str = "A nonempty list of valid group names is required.";
    for target in [BULK, "/api/hubs/chat/:removeFromGroups"] {
        for (body, message) in [
            ("", JSON),
            ("{", JSON),
            ("[]", SHAPE),
            (r#"{"groups":"a"}"#, SHAPE),
            ("{}", NAMES),
            (r#"{"groups":[],"filter":null}"#, NAMES),
            (r#"{"groups":["a",""]}"#, NAMES),
        ] {
            let reply = world.call("POST", target).json(body).send().await;
            assert_error(&reply, 400, BAD_REQUEST, "Request", message);
        }
        for body in [
            r#"{"groups":["a"]}"#,
            r#"{"groups":["a"],"filter":null}"#,
            r#"{"groups":["a"],"filter":""}"#,
        ] {
            assert_eq!(
                world.call("POST", target).json(body).send().await.status,
                200,
                "{body}"
            );
        }
    }
}

#[tokio::test]
async fn metadata_headers_travel_with_the_message() {
    let world = World::start().await;
    let mut ana = world.user("chat", "ana", &[]).await;
    let reply = world
        .call("POST", SEND)
        .text("hi")
        .header("X-WebPubSub-Metadata-Trace", "one")
        .header("x-webpubsub-metadata-trace", "two, three")
        .header("X-WebPubSub-Metadata-B", " x ")
        .send()
        .await;
    assert_eq!(reply.status, 202);
    assert_eq!(
        ana.text().await,
        r#"{"type":"message","from":"server","dataType":"text","data":"hi","metadata":{"b":"x","trace":"three"}}"#
    );
    let long = "v".repeat(1025);
    for (name, value, cause) in [
        ("X-WebPubSub-Metadata-", "v", "key"),
        ("X-WebPubSub-Metadata-a", "\u{fc}", "ASCII"),
        ("X-WebPubSub-Metadata-a", long.as_str(), "1024"),
    ] {
        let reply = world
            .call("POST", SEND)
            .text("hi")
            .header(name, value)
            .send()
            .await;
        assert_cause(&reply, 400, BAD_REQUEST, cause);
    }
    let mut many = world.call("POST", SEND).text("hi");
    for n in 0..9 {
        many = many.header(&format!("X-WebPubSub-Metadata-{n}"), "v".repeat(1000));
    }
    let reply = many.send().await;
    assert_error(
        &reply,
        400,
        BAD_REQUEST,
        "Request",
        "Metadata exceeds 8192 bytes.",
    );
}

/// A call with every fault, which are mended one after the other: the answers come in the order of
/// the service's checks.
#[tokio::test]
async fn checks_come_in_the_services_order() {
    let world = World::start().await;
    let mut version = "2020-10-01";
    let mut hub = "1chat";
    let mut ttl = "301";
    let mut filter = "nonsense";
    let mut token = "rubbish".to_owned();
    let mut chunked = true;
    let mut content_type = "application/xml";
    let mut body = "{";
    let mut metadata = "\u{fc}";
    let mut answers = Vec::new();
    for step in 0..=9 {
        match step {
            1 => version = "2024-12-01",
            2 => hub = "chat",
            3 => ttl = "300",
            4 => token = world.token_for("/api/hubs/chat/:send"),
            5 => filter = "true",
            6 => chunked = false,
            7 => content_type = "application/json",
            8 => body = "{}",
            9 => metadata = "v",
            _ => {}
        }
        let target = format!(
            "/api/hubs/{hub}/:send?api-version={version}&messageTtlSeconds={ttl}&filter={filter}"
        );
        let call = world
            .call("POST", &target)
            .token(&token)
            .body(content_type, body);
        let call = call.header("X-WebPubSub-Metadata-a", metadata);
        let reply = if chunked { call.chunked() } else { call }.send().await;
        let message = if reply.body.is_empty() {
            String::new()
        } else {
            reply.message()
        };
        answers.push((reply.status, message));
    }
    let expected = [
        (400, "The specified API version is not supported."),
        (400, "Invalid hub name."),
        (400, "Invalid messageTtlSeconds."),
        (401, "The access token is refused: the token is not a JWT."),
        (
            400,
            "Invalid syntax for 'nonsense': Token 'nonsense' is not supported. (Parameter 'filter')",
        ),
        (400, LENGTH),
        (415, "The Content-Type `application/xml` is not supported."),
        (400, JSON),
        (400, "Metadata value contains"),
        (202, ""),
    ];
    for ((status, message), (expected_status, start)) in answers.iter().zip(expected) {
        assert_eq!(*status, expected_status, "{answers:#?}");
        assert!(
            message.starts_with(start),
            "{message} should start with {start}"
        );
    }
}
