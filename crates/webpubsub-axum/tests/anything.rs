//! Whatever is sent, there is an answer.

use crate::support::{Call, chat, event};
use http::StatusCode;
use proptest::prelude::*;
use webpubsub_axum::{
    ConnectRequest, ConnectResponse, ConnectedRequest, DisconnectedRequest, GroupJoinedRequest,
    GroupLeftRequest, Rejection, UserEventRequest, UserEventResponse, WebPubSubEventHandler,
};

fn handler() -> WebPubSubEventHandler {
    chat()
        .on_connect(|client: ConnectRequest| async move {
            match client.claim("sub") {
                Some(user) => ConnectResponse::accept().user_id(user).state("user", user),
                None => ConnectResponse::fail(StatusCode::UNAUTHORIZED, "no user"),
            }
        })
        .on_any_user_event(|event: UserEventRequest| async {
            UserEventResponse::success(event.data).state("n", &1)
        })
        .on_connected(|_: ConnectedRequest| async {})
        .on_disconnected(|_: DisconnectedRequest| async {})
        .on_group_joined(|_: GroupJoinedRequest| async {})
        .on_group_left(|_: GroupLeftRequest| async {})
        .build()
        .expect("the configuration is right")
}

fn answered(call: Call) -> Option<Rejection> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime starts");
    runtime.block_on(async {
        let handler = handler();
        let answer = call.to(&handler).await;
        handler.shutdown().await;
        answer.rejection().cloned()
    })
}

/// Anything that an HTTP library lets through as the value of a header.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(b'\t'), 0x20..=0x7e_u8, 0x80..=0xff_u8];
    prop_oneof![
        proptest::collection::vec(byte, 0..40),
        "[a-zA-Z0-9+/]{0,30}={0,2}".prop_map(String::into_bytes),
        Just(b"eyJuIjoxfQ==".to_vec()),
        Just(b"mqtt".to_vec()),
    ]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..60),
        r#"[{}\[\]":,0-9a-z]{0,40}"#.prop_map(String::into_bytes),
        Just(br#"{"group":"g","reason":"r","claims":{"sub":["\u0000"]}}"#.to_vec()),
        Just(br#"{"mqtt":{"protocolVersion":5},"claims":{"sub":["ana"]}}"#.to_vec()),
        (1..4000_usize).prop_map(|depth| vec![b'['; depth]),
    ]
}

fn ce_type() -> impl Strategy<Value = String> {
    prop_oneof![
        "azure\\.webpubsub\\.(sys\\.connect|sys\\.connected|sys\\.disconnected|gp\\.joined|gp\\.left)",
        "azure\\.webpubsub\\.user\\.[a-zA-Z.~ ]{0,12}",
        "[ -~]{0,40}",
    ]
}

fn header() -> impl Strategy<Value = (String, Vec<u8>)> {
    const NAMES: [&str; 17] = [
        "ce-userid",
        "ce-connectionid",
        "ce-signature",
        "ce-connectionstate",
        "ce-subprotocol",
        "ce-eventname",
        "ce-physicalconnectionid",
        "ce-sessionid",
        "ce-hub",
        "ce-id",
        "content-type",
        "content-length",
        "content-encoding",
        "traceparent",
        "webhook-request-origin",
        "x-webpubsub-metadata-",
        "x-webpubsub-metadata-a",
    ];
    (
        proptest::sample::select(&NAMES[..]).prop_map(str::to_owned),
        value(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_request_makes_it_panic(
        ce_type in ce_type(),
        body in body(),
        headers in proptest::collection::vec((header(), any::<bool>()), 0..5),
    ) {
        let mut call = event(&ce_type, body);
        for ((name, value), replaces) in headers {
            call = match replaces {
                true => call.with(&name, value),
                false => call.and(&name, value),
            };
        }
        // A panic of the crate itself would end this test, one behind a handler's arguments is caught.
        let rejection = answered(call);
        prop_assert_ne!(rejection, Some(Rejection::Panicked));
    }
}
