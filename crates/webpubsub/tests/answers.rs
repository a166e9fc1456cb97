//! What is made of the service's answers.

use std::future::IntoFuture;

use crate::common::{Answer, Recorder};
use azure_core::http::{
    ClientMethodOptions, Context, headers::HeaderName, request::options::ClientRequestId,
};
use futures_util::FutureExt as _;
use webpubsub::ServiceErrorExt as _;

fn answer(status: u16, body: &str) -> Answer {
    Answer::Full(status, vec![("x-ms-request-id", "r-1")], body.to_owned())
}

#[test]
fn failures_say_what_the_service_said() {
    let body = r#"{"code":"Error.Connection.NotExisted","message":"Connection `c` is not found.","target":"Connection"}"#;
    let recorder = Recorder::new([answer(404, body)], 500);
    let group = recorder.client("chat").group("g");
    let error = group
        .add_connection("c")
        .into_future()
        .now_or_never()
        .unwrap()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "group.add_connection: Connection `c` is not found. \
         (404 Not Found, Error.Connection.NotExisted, target Connection)"
    );
    let reason = error.service_error().unwrap();
    assert_eq!(
        (reason.status().into(), reason.code()),
        (404_u16, "Error.Connection.NotExisted")
    );
    assert_eq!(reason.request_id(), Some("r-1"));
}

/// 404 means "no" to existence checks only, and no other status does.
#[test]
fn absence_is_an_answer_only_where_it_was_asked_for() {
    let recorder = Recorder::always(404);
    let client = recorder.client("chat");
    assert!(
        client
            .send_to_all("")
            .into_future()
            .now_or_never()
            .unwrap()
            .is_err()
    );
    assert!(
        client
            .service_health()
            .into_future()
            .now_or_never()
            .unwrap()
            .is_err()
    );
    assert!(
        client
            .close_connection("c")
            .into_future()
            .now_or_never()
            .unwrap()
            .is_err()
    );
    assert!(
        client
            .group("g")
            .add_user("u")
            .into_future()
            .now_or_never()
            .unwrap()
            .is_err()
    );
    for status in [204, 400, 401, 403, 409] {
        let client = Recorder::always(status).client("chat");
        assert!(
            client
                .user_exists("u")
                .into_future()
                .now_or_never()
                .unwrap()
                .is_err(),
            "{status}"
        );
    }
}

/// As in the official packages, another success than the documented one is a failure.
#[test]
fn other_successes_are_failures() {
    for status in [200, 204] {
        let client = Recorder::always(status).client("chat");
        let error = client
            .send_to_all("")
            .into_future()
            .now_or_never()
            .unwrap()
            .unwrap_err();
        assert_eq!(error.service_error().unwrap().status(), status);
    }
}

#[test]
fn the_raw_answer_can_be_had() {
    let recorder = Recorder::new(
        [Answer::Full(
            202,
            vec![("x-ms-request-id", "r-2")],
            String::new(),
        )],
        400,
    );
    let client = recorder.client("chat");
    let raw = client
        .send_to_all("")
        .send()
        .now_or_never()
        .unwrap()
        .unwrap();
    assert_eq!(raw.status(), 202);
    assert_eq!(
        raw.headers()
            .get_optional_str(&HeaderName::from_static("x-ms-request-id")),
        Some("r-2")
    );
    assert!(
        client
            .send_to_all("")
            .send()
            .now_or_never()
            .unwrap()
            .is_err()
    );
}

#[test]
fn options_of_a_call_reach_the_pipeline() {
    let recorder = Recorder::always(202);
    let context = Context::new().with_value(ClientRequestId::new("mine".to_owned()));
    let send = recorder
        .client("chat")
        .send_to_all("")
        .with_options(ClientMethodOptions { context });
    send.into_future().now_or_never().unwrap().unwrap();
    assert_eq!(
        recorder.only().header("x-ms-client-request-id"),
        Some("mine")
    );
}
