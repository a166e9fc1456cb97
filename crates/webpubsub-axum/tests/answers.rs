//! What becomes of answers that cannot be sent, or that MQTT clients could not read.

use std::collections::BTreeMap;

use crate::support::{chat, connect, event, mqtt_connect, user_event};
use axum::extract::FromRequestParts as _;
use http::StatusCode;
use webpubsub_axum::{
    ConnectRequest, ConnectResponse, ConnectedRequest, ExtractRejection, Rejection,
    UserEventRequest, UserEventResponse, payload,
};

#[tokio::test]
async fn a_panic_is_an_answer() {
    async fn broken(_: UserEventRequest) -> UserEventResponse {
        panic!("a handler panics on purpose")
    }
    let handler = chat().on_any_user_event(broken).build().unwrap();
    let answer = user_event("message", "text/plain", "").to(&handler).await;
    assert_eq!(answer.status, 500);
    assert_eq!(answer.rejection(), Some(&Rejection::Panicked));
}

#[tokio::test]
async fn answers_that_cannot_be_sent_are_named() {
    let handler = chat()
        .on_connect(|client: ConnectRequest| async move {
            match client.query("do") {
                Some("user") => ConnectResponse::accept().user_id("a\nb"),
                Some("name") => ConnectResponse::accept().state("a\nb", &1),
                Some("states") => ConnectResponse::accept().states(&[1]),
                _ => ConnectResponse::fail(StatusCode::OK, ""),
            }
        })
        .on_user_event("metadata", |_: UserEventRequest| async {
            UserEventResponse::success("").metadata("a", "x\r\ny")
        })
        .on_user_event("twice", |_: UserEventRequest| async {
            UserEventResponse::success("")
                .metadata("a", "x")
                .metadata("A", "y")
        })
        .on_user_event("json", |_: UserEventRequest| async {
            UserEventResponse::success(payload::Json(BTreeMap::from([((1, 2), 3)])))
        })
        .build()
        .unwrap();
    let ask = |what: &str| {
        event(
            "azure.webpubsub.sys.connect",
            format!(r#"{{"query":{{"do":["{what}"]}}}}"#),
        )
    };
    for (call, reason) in [
        (ask("user"), "the user id contains control characters"),
        (
            ask("name"),
            "the value `a\\nb` of the connection state cannot be written",
        ),
        (
            ask("states"),
            "the value `` of the connection state cannot be written",
        ),
        (ask("status"), "a failure needs a status from 400 to 599"),
        (
            user_event("metadata", "text/plain", ""),
            "Metadata value contains characters other than printable ASCII.",
        ),
        (
            user_event("twice", "text/plain", ""),
            "Metadata contains a duplicate key.",
        ),
        (
            user_event("json", "text/plain", ""),
            "the payload cannot be written as JSON",
        ),
    ] {
        let answer = call.to(&handler).await;
        assert_eq!(answer.status, 500);
        assert_eq!(
            answer.text(),
            format!("the response of the event handler cannot be sent: {reason}")
        );
        assert_eq!(answer.header("ce-connectionstate"), None);
    }
}

#[tokio::test]
async fn mqtt_clients_get_a_code_for_every_failure() {
    let handler = chat()
        .on_connect(|client: ConnectRequest| async move {
            match client.mqtt().and_then(|mqtt| mqtt.username.as_deref()) {
                Some("u") => Err((StatusCode::FORBIDDEN, "not you")),
                _ => panic!("a handler panics on purpose"),
            }
            .map(|()| ConnectResponse::accept())
        })
        .build()
        .unwrap();
    let json = Some("application/json; charset=utf-8");
    let answer = mqtt_connect(5).to(&handler).await;
    assert_eq!(
        answer.seen(),
        (403, json, r#"{"mqtt":{"code":128,"reason":"not you"}}"#)
    );
    let anonymous = event(
        "azure.webpubsub.sys.connect",
        r#"{"mqtt":{"protocolVersion":4}}"#,
    )
    .mqtt();
    assert_eq!(
        anonymous.to(&handler).await.seen(),
        (500, json, r#"{"mqtt":{"code":3}}"#)
    );
}

#[tokio::test]
async fn extractors_outside_of_their_event_say_so() {
    let handler = chat()
        .on_connect(|_: ConnectedRequest| async {})
        .build()
        .unwrap();
    let answer = connect().to(&handler).await;
    assert_eq!(answer.status, 500);
    assert_eq!(
        answer.text(),
        "ConnectedRequest was used in the handler of another event"
    );
    let mut outside = connect().request().into_parts().0;
    let extractor = "ConnectRequest";
    assert_eq!(
        ConnectRequest::from_request_parts(&mut outside, &())
            .await
            .unwrap_err(),
        ExtractRejection::NoEvent { extractor }
    );
}
