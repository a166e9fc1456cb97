//! What the official library answers, row by row.

use crate::support::{Answer, chat, connect, event, mqtt_connect, preflight, user_event};
use axum::{Json, extract::State};
use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use webpubsub_axum::{
    ConnectRequest, ConnectResponse, ConnectionContext, DisconnectedRequest, UserEventRequest,
    UserEventResponse, WebPubSubClientProtocol,
    mqtt::{MqttDisconnectReasonCode, MqttUserProperty, MqttV500ConnectReasonCode},
};
use webpubsub_protocol::cloud_event::ConnectionState;

const JSON: Option<&str> = Some("application/json; charset=utf-8");
const TEXT: Option<&str> = Some("text/plain; charset=utf-8");
const BINARY: Option<&str> = Some("application/octet-stream");

#[tokio::test]
async fn without_handlers_everything_is_accepted() {
    let handler = chat().build().unwrap();
    for ce_type in [
        "sys.connect",
        "sys.connected",
        "sys.disconnected",
        "user.message",
        "gp.joined",
        "gp.left",
    ] {
        let call = event(&format!("azure.webpubsub.{ce_type}"), "not even JSON");
        assert_eq!(call.to(&handler).await.seen(), (200, None, ""), "{ce_type}");
    }
    assert_eq!(mqtt_connect(5).to(&handler).await.seen(), (204, None, ""));
}

#[tokio::test]
async fn the_preflight_is_answered() {
    let all = chat().build().unwrap();
    let answer = preflight().to(&all).await;
    assert_eq!(answer.seen(), (200, None, ""));
    assert_eq!(answer.header("webhook-allowed-origin"), Some("*"));
    assert_eq!(
        preflight()
            .without("webhook-request-origin")
            .to(&all)
            .await
            .status,
        400
    );
    assert_eq!(
        preflight().without("ce-awpsversion").to(&all).await.status,
        404
    );

    let endpoints = ["https://a.webpubsub.azure.com", "http://LOCALHOST:8080"];
    let some = chat().allowed_endpoints(endpoints).build().unwrap();
    let answer = preflight().to(&some).await;
    let lines: Vec<_> = answer
        .parts
        .headers
        .get_all("webhook-allowed-origin")
        .iter()
        .collect();
    assert_eq!(
        lines,
        ["a.webpubsub.azure.com", "localhost:8080", "localhost"]
    );
}

#[tokio::test]
async fn connect_is_answered_as_by_success() {
    let handler = chat()
        .on_connect(|client: ConnectRequest| async move {
            match client.query("as") {
                Some("nobody") => ConnectResponse::accept(),
                Some(name) => ConnectResponse::accept()
                    .user_id(name)
                    .groups(["g"])
                    .roles(["webpubsub.sendToGroup"])
                    .subprotocol("json.webpubsub.azure.v1"),
                None => ConnectResponse::fail(StatusCode::UNAUTHORIZED, "who are you?"),
            }
        })
        .build()
        .unwrap();
    let ask = |query: &str| {
        event(
            "azure.webpubsub.sys.connect",
            format!(r#"{{"query":{query}}}"#),
        )
    };
    let answer = ask(r#"{"as":["nobody"]}"#).to(&handler).await;
    assert_eq!(answer.seen(), (204, None, ""));
    let answer = ask(r#"{"as":["ana"]}"#).to(&handler).await;
    let body: serde_json::Value = serde_json::from_str(answer.text()).unwrap();
    assert_eq!(
        (answer.status.as_u16(), answer.header("content-type")),
        (200, JSON)
    );
    let expected = json!({
        "userId": "ana",
        "groups": ["g"],
        "roles": ["webpubsub.sendToGroup"],
        "subprotocol": "json.webpubsub.azure.v1",
    });
    assert_eq!(body, expected);
    assert_eq!(
        ask("{}").to(&handler).await.seen(),
        (401, None, "who are you?")
    );
}

#[tokio::test]
async fn the_request_of_connect_is_complete() {
    let handler = chat()
        .on_connect(|client: ConnectRequest| async move {
            let context = &client.context;
            let seen = json!({
                "hub": context.hub(), "connection": context.connection_id(), "user": context.user_id(),
                "event": context.event_name(), "origin": context.origin(), "signed": context.signature().is_some(),
                "sub": client.claim("sub"), "cookie": client.header("COOKIE"), "offers": client.subprotocols(),
                "certificate": client.client_certificates()[0].thumbprint,
            });
            ConnectResponse::fail(StatusCode::BAD_REQUEST, seen.to_string())
        })
        .build()
        .unwrap();
    let body = json!({
        "claims": {"sub": ["ana"]}, "query": {}, "headers": {"Cookie": ["a=b"]},
        "subprotocols": ["x", "y"], "clientCertificates": [{"thumbprint": "ABC"}],
    });
    let call = event("azure.webpubsub.sys.connect", body.to_string());
    let answer = call.with("ce-userid", "ünï".as_bytes()).to(&handler).await;
    let expected = json!({
        "hub": "chat", "connection": "conn-0001", "user": "ünï", "event": "connect",
        "origin": "contoso.webpubsub.azure.com", "signed": true, "sub": "ana", "cookie": "a=b", "offers": ["x", "y"],
        "certificate": "ABC",
    });
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(answer.text()).unwrap(),
        expected
    );
}

#[tokio::test]
async fn user_events_are_answered_in_kind() {
    let handler = chat()
        .on_any_user_event(|event: UserEventRequest| async move {
            let kind = event.data_type;
            assert_eq!(event.data.data_type(), kind);
            UserEventResponse::success(event.data)
        })
        .build()
        .unwrap();
    for (sent, answered, body) in [
        ("text/plain; charset=utf-8", TEXT, "hi"),
        ("application/json", JSON, r#"{ "a": 1 }"#),
        ("application/octet-stream", BINARY, "bytes"),
        (
            "application/x-protobuf",
            Some("application/x-protobuf"),
            "\u{a}\u{1}t",
        ),
    ] {
        let answer = user_event("message", sent, body).to(&handler).await;
        assert_eq!(answer.seen(), (200, answered, body), "{sent}");
    }
}

#[tokio::test]
async fn plain_answers_are_what_success_sends() {
    let handler = chat()
        .on_user_event("nothing", |_: UserEventRequest| async {})
        .on_user_event("text", |event: UserEventRequest<String>| async move {
            event.data
        })
        .on_user_event("bytes", |event: UserEventRequest<Bytes>| async move {
            event.data
        })
        .on_user_event("json", |_: UserEventRequest| async {
            Json(json!({"a": 1}))
        })
        .on_user_event("empty", |_: UserEventRequest| async {
            UserEventResponse::empty()
        })
        .on_user_event("none", || async { "no arguments" })
        .on_user_event("fail", |_: UserEventRequest| async {
            UserEventResponse::fail(StatusCode::INTERNAL_SERVER_ERROR, "no")
        })
        .build()
        .unwrap();
    for (name, content_type, expected) in [
        ("nothing", "text/plain", (200, BINARY, "")),
        ("empty", "text/plain", (200, BINARY, "")),
        ("text", "text/plain", (200, TEXT, "hi")),
        ("TEXT", "text/plain", (200, TEXT, "hi")),
        ("bytes", "application/octet-stream", (200, BINARY, "hi")),
        ("json", "text/plain", (200, JSON, r#"{"a":1}"#)),
        ("none", "text/plain", (200, TEXT, "no arguments")),
        ("fail", "text/plain", (500, None, "no")),
    ] {
        let answer = user_event(name, content_type, "hi").to(&handler).await;
        assert_eq!(answer.seen(), expected, "{name}");
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    item: u32,
}

#[tokio::test]
async fn state_extractors_and_errors_are_axums() {
    let handler = chat()
        .on_user_event::<Order, _>(
            "order",
            |order: UserEventRequest<Order>,
             State(price): State<u32>,
             context: ConnectionContext| async move {
                match order.data.item {
                    0 => Err((StatusCode::BAD_REQUEST, "which item?")),
                    item => Ok(format!("{}: {}", context.connection_id(), item * price)),
                }
            },
        )
        .on_connect(|State(price): State<u32>| async move {
            ConnectResponse::accept().user_id(price.to_string())
        })
        .with_state(7)
        .build()
        .unwrap();
    let order = |body: &'static str| user_event("order", "application/json", body);
    let answer = order(r#"{"item":6}"#).to(&handler).await;
    assert_eq!(answer.seen(), (200, TEXT, "conn-0001: 42"));
    let answer = order(r#"{"item":0}"#).to(&handler).await;
    assert_eq!(answer.seen(), (400, TEXT, "which item?"));
    assert_eq!(connect().to(&handler).await.text(), r#"{"userId":"7"}"#);
}

#[tokio::test]
async fn state_is_merged_and_sent_only_when_something_was_set() {
    let handler = chat()
        .on_user_event("read", |event: UserEventRequest| async move {
            event
                .context
                .states()
                .get::<u32>("n")
                .unwrap()
                .unwrap_or_default()
                .to_string()
        })
        .on_user_event("set", |event: UserEventRequest| async move {
            let order: Option<Order> = event.context.state().unwrap();
            UserEventResponse::empty()
                .state("last", &order.map(|order| order.item))
                .states(&Order { item: 2 })
        })
        .on_connect(|| async { ConnectResponse::accept().state("n", &1) })
        .build()
        .unwrap();
    let ask = |name: &str| user_event(name, "text/plain", "");
    let state = |answer: &Answer| {
        answer
            .header("ce-connectionstate")
            .map(|header| ConnectionState::from_header(header).unwrap())
    };

    let answer = connect().to(&handler).await;
    assert_eq!(answer.seen(), (204, None, ""));
    assert_eq!(state(&answer).unwrap().get::<u32>("n").unwrap(), Some(1));

    let sent = "eyJuIjoxLCJpdGVtIjo5fQ=="; // {"n":1,"item":9}
    let answer = ask("read")
        .with("ce-connectionstate", sent)
        .to(&handler)
        .await;
    assert_eq!(
        (answer.text(), answer.header("ce-connectionstate")),
        ("1", None)
    );

    let answer = ask("set")
        .with("ce-connectionstate", sent)
        .to(&handler)
        .await;
    let merged = state(&answer).unwrap();
    assert_eq!(merged.names().collect::<Vec<_>>(), ["n", "item", "last"]);
    assert_eq!(merged.get::<u32>("item").unwrap(), Some(2));
    assert_eq!(merged.get::<u32>("last").unwrap(), Some(9));
}

#[tokio::test]
async fn metadata_travels_both_ways() {
    let handler = chat()
        .on_any_user_event(|event: UserEventRequest| async move {
            let trace = event.metadata.value("trace").unwrap_or_default().to_owned();
            UserEventResponse::success("ok")
                .metadata("Trace", trace)
                .metadata("b", "2")
        })
        .build()
        .unwrap();
    let call = user_event("message", "text/plain", "").with("x-webpubsub-metadata-trace", "t-1");
    let answer = call.to(&handler).await;
    assert_eq!(answer.header("x-webpubsub-metadata-trace"), Some("t-1"));
    assert_eq!(answer.header("x-webpubsub-metadata-b"), Some("2"));
}

#[tokio::test]
async fn mqtt_clients_are_known_and_refused_in_their_codes() {
    let handler = chat()
        .on_connect(|client: ConnectRequest| async move {
            let protocol = client.context.client_protocol();
            let mqtt = client
                .mqtt()
                .map(|mqtt| (mqtt.protocol_version, mqtt.username.as_deref()));
            match (protocol, mqtt) {
                (WebPubSubClientProtocol::Mqtt, Some((5, Some(_)))) => {
                    let code = MqttV500ConnectReasonCode::BANNED;
                    let property = MqttUserProperty {
                        name: "a".into(),
                        value: "b".into(),
                    };
                    ConnectResponse::fail_with(code, Some("go away"), [property])
                }
                (WebPubSubClientProtocol::Mqtt, Some((6, _))) => {
                    ConnectResponse::accept().mqtt_user_property("a", "b")
                }
                _ => ConnectResponse::fail(StatusCode::UNAUTHORIZED, "no"),
            }
        })
        .build()
        .unwrap();
    let answer = mqtt_connect(5).to(&handler).await;
    let body =
        r#"{"mqtt":{"code":138,"reason":"go away","userProperties":[{"name":"a","value":"b"}]}}"#;
    assert_eq!(answer.seen(), (403, JSON, body));
    let answer = mqtt_connect(4).to(&handler).await;
    assert_eq!(
        answer.seen(),
        (401, JSON, r#"{"mqtt":{"code":5,"reason":"no"}}"#)
    );
    let answer = mqtt_connect(6).to(&handler).await;
    assert_eq!(
        answer.seen(),
        (
            200,
            JSON,
            r#"{"mqtt":{"userProperties":[{"name":"a","value":"b"}]}}"#
        )
    );
    assert_eq!(connect().to(&handler).await.seen(), (401, None, "no"));
}

#[tokio::test]
async fn the_end_of_an_mqtt_session_is_told() {
    let (send, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let handler = chat()
        .on_disconnected(move |event: DisconnectedRequest| async move {
            send.send(event).expect("the test listens");
        })
        .build()
        .unwrap();
    let body = json!({
        "reason": null,
        "mqtt": {"initiatedByClient": true, "disconnectPacket": {"code": 4, "userProperties": [{"name": "a", "value": "b"}]}},
    });
    let call = event("azure.webpubsub.sys.disconnected", body.to_string()).mqtt();
    assert_eq!(
        call.with("ce-sessionid", "session-1")
            .to(&handler)
            .await
            .seen(),
        (200, None, "")
    );
    let event = seen.recv().await.unwrap();
    let ids = event.context.mqtt().unwrap().clone();
    assert_eq!(ids.physical_connection_id, "physical-1");
    assert_eq!(ids.session_id.as_deref(), Some("session-1"));
    assert_eq!(
        (event.reason, event.context.subprotocol()),
        (None, Some("mqtt"))
    );
    let end = event.mqtt.unwrap();
    let packet = end.disconnect_packet.unwrap();
    assert!(end.initiated_by_client);
    assert_eq!(
        packet.code,
        MqttDisconnectReasonCode::DISCONNECT_WITH_WILL_MESSAGE
    );
    assert_eq!(packet.user_properties.unwrap()[0].value, "b");
}

#[tokio::test]
async fn what_is_not_ours_is_not_found() {
    let handler = chat().build().unwrap();
    for call in [
        connect().at("/api/webpubsub/hubs/"),
        connect().at("/other"),
        connect().by("GET"),
        connect().by("PUT"),
        connect().without("ce-awpsversion"),
        connect().without("webhook-request-origin"),
        connect().without("ce-type"),
        connect().with("ce-type", "azure.webpubsub.sys.other"),
        connect().without("ce-hub"),
        connect().with("ce-hub", "other"),
    ] {
        assert_eq!(call.clone().to(&handler).await.status, 404, "{call:?}");
    }
    for call in [
        connect().at("/API/WebPubSub/hubs/CHAT"),
        connect().at("/api/webpubsub/hubs/chat/x/y?code=1"),
        connect().with("ce-hub", "CHAT"),
    ] {
        assert_eq!(call.clone().to(&handler).await.status, 200, "{call:?}");
    }
}
