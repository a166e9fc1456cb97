//! Requests that the official library takes or passes on, and this one refuses or takes: the rows of `IMPROVEMENTS.md`.

use crate::support::{CONNECTION, Call, KEY, bare, chat, connect, event, preflight, user_event};
use serde::Deserialize;
use webpubsub_axum::{
    BodyRejection, ConnectRequest, ConnectedRequest, GroupJoinedRequest, HeaderProblem, Rejection,
    SignatureRejection, UserEventRequest, UserEventResponse, WebPubSubEventHandler,
};
use webpubsub_protocol::{access::AccessKey, cloud_event::signature};

/// Takes everything.
fn all() -> WebPubSubEventHandler {
    chat()
        .on_connect(|_: ConnectRequest| async {})
        .on_connected(|_: ConnectedRequest| async {})
        .on_group_joined(|_: GroupJoinedRequest| async {})
        .on_any_user_event(|event: UserEventRequest| async {
            UserEventResponse::success(event.data)
        })
        .build()
        .expect("the configuration is right")
}

/// Status, text and the error in the extensions of the answer.
async fn refused(call: Call) -> (u16, String, Option<Rejection>) {
    let answer = call.to(&all()).await;
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    let status = answer.status.as_u16();
    (
        status,
        answer.text().to_owned(),
        answer.rejection().cloned(),
    )
}

#[tokio::test]
async fn signatures_are_checked_with_every_key() {
    let other = || signature::sign(&[AccessKey::new("other")], CONNECTION);
    let elsewhere = signature::sign(&[AccessKey::new(KEY)], "conn-0002");
    for (call, reason) in [
        (
            connect().without("ce-signature"),
            SignatureRejection::Missing,
        ),
        (
            connect().with("ce-signature", ""),
            SignatureRejection::Wrong,
        ),
        (
            connect().with("ce-signature", "sha256=00"),
            SignatureRejection::Wrong,
        ),
        (
            connect().with("ce-signature", other()),
            SignatureRejection::Wrong,
        ),
        (
            connect().with("ce-signature", elsewhere),
            SignatureRejection::Wrong,
        ),
        (
            event("azure.webpubsub.sys.disconnected", "{}").without("ce-signature"),
            SignatureRejection::Missing,
        ),
    ] {
        let (status, text, rejection) = refused(call).await;
        assert_eq!((status, text), (401, reason.to_string()));
        assert_eq!(rejection, Some(Rejection::Signature(reason)));
    }
    let both = format!(
        "{},{}",
        other(),
        signature::sign(&[AccessKey::new(KEY)], CONNECTION)
    );
    assert_eq!(
        connect().with("ce-signature", both).to(&all()).await.status,
        204
    );

    let string = "Endpoint=https://a.webpubsub.azure.com;AccessKey=other;Version=1.0;";
    let several = chat().connection_string(string).unwrap().build().unwrap();
    assert_eq!(
        connect()
            .with("ce-signature", other())
            .to(&several)
            .await
            .status,
        200
    );
    assert_eq!(connect().to(&several).await.status, 200);
    let unchecked = bare().without_signature_check().build().unwrap();
    assert_eq!(
        connect()
            .without("ce-signature")
            .to(&unchecked)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn long_bodies_are_refused_at_the_limit() {
    let text = |length: usize| user_event("message", "text/plain", vec![b'a'; length]);
    let limit = 1024 * 1024 + 64 * 1024;
    assert_eq!(text(limit).to(&all()).await.status, 200);
    let (status, _, rejection) = refused(text(limit + 1)).await;
    let expected = Rejection::Body(BodyRejection::TooLarge { limit });
    assert_eq!((status, rejection), (413, Some(expected)));

    let handler = chat()
        .body_limit(3)
        .on_any_user_event(|body: String| async { body })
        .build()
        .unwrap();
    assert_eq!(text(3).to(&handler).await.text(), "aaa");
    assert_eq!(text(4).to(&handler).await.status, 413);
    let announced = text(2).with("content-length", "4");
    assert_eq!(announced.to(&handler).await.status, 413);
}

#[tokio::test]
async fn a_large_limit_also_holds_for_axums_extractors() {
    let limit = 4 * 1024 * 1024;
    let handler = chat()
        .body_limit(limit)
        .on_any_user_event(|body: String| async { body })
        .build()
        .unwrap();
    let answer = user_event("message", "text/plain", vec![b'a'; limit])
        .to(&handler)
        .await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, limit));
}

#[tokio::test]
async fn encoded_bodies_are_refused() {
    for encoding in ["gzip", "br", "identity, gzip"] {
        let call = user_event("message", "text/plain", "x").with("content-encoding", encoding);
        let answer = call.to(&all()).await;
        assert_eq!(answer.status, 415, "{encoding}");
        assert_eq!(answer.header("accept-encoding"), Some("identity"));
    }
    for encoding in ["identity", "IDENTITY", ""] {
        let call = user_event("message", "text/plain", "x").with("content-encoding", encoding);
        assert_eq!(call.to(&all()).await.status, 200, "{encoding}");
    }
}

#[tokio::test]
async fn malformed_headers_are_named() {
    for (call, expected) in [
        (
            connect().without("ce-connectionid"),
            "the header ce-connectionid is missing",
        ),
        (
            connect().with("ce-connectionid", ""),
            "the header ce-connectionid is missing",
        ),
        (
            connect().and("ce-connectionid", "b"),
            "the header ce-connectionid appears more than once",
        ),
        (
            connect().with("ce-userid", b"\xff"),
            "the header ce-userid is not UTF-8",
        ),
        (
            connect().with("ce-userid", "a\tb"),
            "the header ce-userid contains control characters",
        ),
        (
            connect().with("ce-userid", "\u{85}"),
            "the header ce-userid contains control characters",
        ),
        (
            connect().with("ce-connectionstate", "%"),
            "the header ce-connectionstate is not base64 of a JSON object",
        ),
        (
            connect().with("ce-connectionstate", "WzFd"),
            "the header ce-connectionstate is not base64 of a JSON object",
        ),
        (
            connect().with("ce-connectionstate", "a\tb"),
            "the header ce-connectionstate contains control characters",
        ),
    ] {
        let (status, text, rejection) = refused(call).await;
        assert_eq!((status, text.as_str()), (400, expected));
        assert!(
            matches!(rejection, Some(Rejection::Header(_))),
            "{rejection:?}"
        );
    }
    let answer = connect().with("ce-userid", b"\xff").to(&all()).await;
    let Some(Rejection::Header(header)) = answer.rejection() else {
        panic!("{:?}", answer.rejection());
    };
    assert_eq!(
        (header.name, header.problem),
        ("ce-userid", HeaderProblem::NotUtf8)
    );
}

#[tokio::test]
async fn metadata_must_keep_the_rules() {
    let send = |name: &str, value: &str| {
        let name = format!("x-webpubsub-metadata-{name}");
        refused(user_event("message", "text/plain", "").with(&name, value))
    };
    for (name, value) in [
        ("a", "é"),
        ("a", "x\ty"),
        ("", "x"),
        ("a", &"v".repeat(1025)),
    ] {
        let (status, text, _) = send(name, value).await;
        assert_eq!(status, 400);
        assert!(
            text.starts_with("the metadata of the event is invalid: "),
            "{text}"
        );
    }
    let twice = user_event("message", "text/plain", "")
        .and("x-webpubsub-metadata-a", "1")
        .and("x-webpubsub-metadata-a", "2");
    assert_eq!(refused(twice).await.0, 400);
}

#[tokio::test]
async fn malformed_bodies_are_refused_before_they_are_acknowledged() {
    for (call, expected) in [
        (
            event("azure.webpubsub.sys.connect", ""),
            "the body is not valid JSON (line 1, column 0)",
        ),
        (
            event("azure.webpubsub.sys.connect", "{"),
            "the body is not valid JSON (line 1, column 1)",
        ),
        (
            event("azure.webpubsub.sys.connect", "5"),
            "the body does not fit the event (line 1, column 1)",
        ),
        (
            event("azure.webpubsub.sys.connect", r#"{"claims":{"a":1}}"#),
            "the body does not fit the event (line 1, column 16)",
        ),
        (
            event("azure.webpubsub.sys.connect", "{}").mqtt(),
            "the body of an MQTT connect lacks `mqtt`",
        ),
        (
            event("azure.webpubsub.sys.connected", "{"),
            "the body is not valid JSON (line 1, column 1)",
        ),
        (
            event("azure.webpubsub.gp.joined", "{}"),
            "the body does not fit the event (line 1, column 2)",
        ),
        (
            event("azure.webpubsub.gp.joined", b"\"\xff\"".to_vec()),
            "the body is not UTF-8",
        ),
        (
            user_event("message", "text/plain", b"\xff".to_vec()),
            "the body is not UTF-8",
        ),
        (
            user_event("message", "application/json", "{}{"),
            "the body is not valid JSON (line 1, column 3)",
        ),
        (
            user_event("message", "application/x-protobuf", "\u{7f}"),
            "the body is not a serialised google.protobuf.Any",
        ),
    ] {
        let shown = format!("{call:?}");
        let (status, text, _) = refused(call).await;
        assert_eq!((status, text.as_str()), (400, expected), "{shown}");
    }
}

#[tokio::test]
async fn content_types_are_told_apart() {
    for content_type in ["image/png", "", "application/problem+json"] {
        assert_eq!(
            refused(user_event("message", content_type, "")).await.0,
            415,
            "{content_type}"
        );
    }
    let (status, text, _) = refused(user_event("message", "x", "").without("content-type")).await;
    assert_eq!(status, 415);
    assert_eq!(
        text,
        "the header Content-Type is missing: the kind of the payload is unknown"
    );
    let odd_case = user_event("message", "Application/JSON ;x=y", "1");
    assert_eq!(odd_case.to(&all()).await.status, 200);
    let mqtt = user_event("message", "image/png", b"\xff".to_vec()).mqtt();
    let answer = mqtt.to(&all()).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("content-type")),
        (200, Some("application/octet-stream"))
    );
}

#[derive(Deserialize)]
struct Order {
    item: u32,
}

#[tokio::test]
async fn typed_handlers_see_their_type_only() {
    let handler = chat()
        .on_user_event("order", |order: UserEventRequest<Order>| async move {
            order.data.item.to_string()
        })
        .build()
        .unwrap();
    let send = |kind: &str, body: &'static str| user_event("order", kind, body);
    assert_eq!(
        send("application/json", r#"{"item":1}"#)
            .to(&handler)
            .await
            .text(),
        "1"
    );
    for (kind, body, found) in [
        (
            "application/json",
            r#"{"item":"private"}"#,
            "json payload (line 1, column 17)",
        ),
        ("text/plain", "private", "text payload"),
        ("application/octet-stream", "private", "binary payload"),
    ] {
        let answer = send(kind, body).to(&handler).await;
        assert_eq!(answer.status, 400);
        assert_eq!(
            answer.text(),
            format!("the handler of this event cannot take its {found}")
        );
        assert!(matches!(answer.rejection(), Some(Rejection::Payload(_))));
    }
    let answer = user_event("other", "text/plain", "").to(&handler).await;
    assert_eq!(
        (answer.status.as_u16(), answer.rejection()),
        (404, Some(&Rejection::UnknownUserEvent))
    );
}

#[tokio::test]
async fn a_refused_request_says_what_it_lacks() {
    assert_eq!(
        refused(connect().at("/x")).await.1,
        "no event handler listens on this path"
    );
    assert!(
        refused(connect().with("ce-hub", "x"))
            .await
            .1
            .contains("ce-hub")
    );
    let (status, text, _) = refused(preflight().without("webhook-request-origin")).await;
    assert_eq!(
        (status, text.as_str()),
        (400, "the header webhook-request-origin is missing")
    );
}
