//! The `connect` event: what a handler is told, and what its answer changes.

use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use webpubsub_emulator::{AnonymousConnectPolicy, Fault};

use super::*;

/// Connects with these subprotocols; the chosen one, or the status and text of the refusal.
async fn try_connect(url: &str, offered: Option<&str>) -> Result<Option<String>, (u16, String)> {
    let mut request = url.into_client_request().expect("a URL");
    if let Some(offered) = offered {
        let offered = offered.parse().expect("a header value");
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", offered);
    }
    match connect_async(request).await {
        Ok((_, response)) => {
            let name = response.headers().get("sec-websocket-protocol");
            Ok(name.map(|name| name.to_str().expect("ASCII").to_owned()))
        }
        Err(Error::Http(response)) => {
            let status = response.status().as_u16();
            let body = response.into_body().unwrap_or_default();
            Err((status, String::from_utf8(body).expect("UTF-8")))
        }
        Err(other) => panic!("not an answer: {other}"),
    }
}

/// What a world answers to a user who connects with JSON, after its handler answered so.
async fn outcome(reply: Reply) -> Result<Option<String>, (u16, String)> {
    let handler = Handler::new(move |_| reply.clone());
    let world = world(handler.in_process()).await;
    let url = world.emulator.client_access_url("chat", "u", &[]);
    try_connect(&url, Some(JSON)).await
}

#[tokio::test]
async fn a_handler_is_told_what_the_client_says_of_itself() {
    let mut handler = Handler::silent();
    let world = world(handler.in_process()).await;
    let options = user("u").group("g");
    let url = world.emulator.client_access_url_with("chat", &options);
    let url = format!("{url}&room=a&room=b%20c&webpubsub_mode=");
    try_connect(&url, Some("own, json.webpubsub.azure.v1"))
        .await
        .expect("accepted");
    let body = handler.event("connect").await.json();
    assert_eq!(body["claims"]["sub"], json!(["u"]));
    assert_eq!(body["claims"]["webpubsub.group"], json!(["g"]));
    assert_eq!(body["claims"]["role"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        body["query"],
        json!({"room": ["a", "b c"], "webpubsub_mode": [""]})
    );
    assert_eq!(
        body["headers"]["Sec-WebSocket-Protocol"],
        json!(["own, json.webpubsub.azure.v1"])
    );
    assert_eq!(body["subprotocols"], json!(["own", JSON]));
    assert_eq!(body["clientCertificates"], json!([]));
}

#[tokio::test]
async fn what_accepts() {
    for reply in [
        Reply::ok(),
        Reply::status(204),
        Reply::status(299),
        Reply::body("text/html", "null"),
        Reply::json(json!({})),
        Reply::json(json!({"userId": "other", "unknown": 1})),
    ] {
        assert_eq!(
            outcome(reply.clone()).await,
            Ok(Some(JSON.into())),
            "{reply:?}"
        );
    }
}

#[tokio::test]
async fn what_refuses_and_with_which_status() {
    const REJECTED: &str = "The connect event handler rejected the connection.";
    const FAILED: &str = "The connect event handler failed; the log of the emulator says why.";
    for (reply, status, text) in [
        (Reply::status(400), 400, REJECTED),
        (Reply::status(401), 401, REJECTED),
        (Reply::status(403), 403, REJECTED),
        (Reply::status(429), 429, REJECTED),
        (
            Reply::status(302).with("location", "/elsewhere"),
            500,
            FAILED,
        ),
        (Reply::body("application/json", "{"), 500, FAILED),
        (Reply::body("application/json", "[]"), 500, FAILED),
        (Reply::json(json!({"groups": [""]})), 500, FAILED),
        (Reply::json(json!({"groups": [null]})), 500, FAILED),
        (Reply::json(json!({"roles": [null]})), 500, FAILED),
        (
            Reply::json(json!({"subprotocol": "not.offered"})),
            500,
            FAILED,
        ),
        (
            Reply::body("application/json", vec![b' '; (16 << 20) + 1]),
            500,
            FAILED,
        ),
    ] {
        assert_eq!(outcome(reply).await, Err((status, text.into())), "{status}");
    }
}

#[tokio::test]
async fn a_refused_client_is_never_mentioned_again() {
    let mut handler = Handler::new(|seen| match seen.json()["query"].get("bad") {
        Some(_) => Reply::body("text/plain", "secret details").with("ce-connectionstate", "x"),
        None => Reply::ok(),
    });
    let world = world(handler.in_process()).await;
    let url = world.emulator.client_access_url("chat", "u", &[]);
    let refused = try_connect(&format!("{url}&bad=1"), Some(JSON)).await;
    assert_eq!(refused.expect_err("no JSON").0, 500);
    let _client = world.client("chat", user("u")).await;
    handler.event("connect").await;
    handler.event("connect").await;
    let seen = handler.event("connected").await;
    assert!(!seen.headers.contains_key("ce-connectionstate"));
    assert_eq!(world.emulator.state().connections("chat"), 1);
    assert_eq!(world.emulator.counts().handler_failures, 1);
}

#[tokio::test]
async fn the_answer_replaces_what_the_token_says() {
    let handler = Handler::new(|seen| match seen.event() {
        "connect" => {
            let query = &seen.json()["query"];
            let answer = query["answer"][0].as_str().expect("text").to_owned();
            Reply::body("application/json", answer)
        }
        _ => Reply::ok(),
    });
    let world = world(handler.in_process()).await;
    let token = user("token").group("token");
    let url = world.emulator.client_access_url_with("chat", &token);
    for (answer, user, groups, may_join) in [
        ("{}", json!("token"), json!(["token"]), true),
        (
            r#"{"userId":"other"}"#,
            json!("other"),
            json!(["token"]),
            true,
        ),
        (r#"{"userId":""}"#, Value::Null, json!(["token"]), true),
        (
            r#"{"groups":["a","b"]}"#,
            json!("token"),
            json!(["a", "b"]),
            true,
        ),
        (
            r#"{"groups":[],"roles":[]}"#,
            json!("token"),
            json!(["token"]),
            false,
        ),
        (
            r#"{"roles":["webpubsub.joinLeaveGroup.x"]}"#,
            json!("token"),
            json!(["token"]),
            true,
        ),
    ] {
        let answer = support::encode(answer);
        let mut client = world
            .open(&format!("{url}&answer={answer}"), Some(JSON))
            .await;
        let connected = client.json().await;
        assert_eq!(connected["userId"], user, "{answer}");
        let state = world.emulator.state();
        let hub = state.hubs.values().next().expect("the hub");
        let id = connected["connectionId"].as_str().expect("an id");
        let found = hub.connections[id].groups.iter().map(ToString::to_string);
        assert_eq!(json!(found.collect::<Vec<_>>()), groups, "{answer}");
        client
            .send(r#"{"type":"joinGroup","group":"x","ackId":1}"#)
            .await;
        assert_eq!(client.json().await["success"], may_join, "{answer}");
    }
}

#[tokio::test]
async fn the_handler_chooses_among_the_offered_subprotocols() {
    let reliable_first = format!("{RELIABLE}, Own, {JSON}");
    for (chosen, expected) in [
        ("", RELIABLE),
        ("JSON.WEBPUBSUB.AZURE.V1", JSON),
        ("own", "Own"),
    ] {
        let handler = Handler::new(move |seen| match seen.event() {
            "connect" => Reply::json(json!({"subprotocol": chosen})),
            _ => Reply::body("text/plain", seen.header("ce-subprotocol").to_owned()),
        });
        let world = world(handler.in_process()).await;
        let url = world.emulator.client_access_url("chat", "u", &[]);
        let result = try_connect(&url, Some(&reliable_first)).await;
        assert_eq!(result, Ok(Some(expected.into())), "{chosen:?}");
        if expected == "Own" {
            let mut client = world.open(&url, Some("Own")).await;
            client.send("a raw frame").await;
            assert_eq!(client.text().await, "Own");
        }
    }
}

#[tokio::test]
async fn anonymous_clients_need_a_hub_that_allows_them() {
    let mut handler = Handler::new(|seen| match seen.json()["query"].get("name") {
        Some(name) => Reply::json(json!({"userId": name[0]})),
        None => Reply::ok(),
    });
    let only = [SystemEvent::Connect];
    let options = HubOptions::new()
        .event_handler(handler.in_process().system_events(only))
        .anonymous_connect(AnonymousConnectPolicy::Allow);
    let world = World::with(|builder| {
        builder
            .hub("open", options)
            .hub("closed", HubOptions::new())
    })
    .await;
    let url = |hub: &str| format!("ws://{}/client/hubs/{hub}", world.address);
    for hub in ["closed", "other"] {
        assert_eq!(
            try_connect(&url(hub), None).await,
            Err((401, String::new())),
            "{hub}"
        );
    }
    let bad_token = format!("{}?access_token=x", url("open"));
    assert_eq!(
        try_connect(&bad_token, None).await,
        Err((401, String::new()))
    );
    let mut nobody = world.open(&url("open"), Some(JSON)).await;
    assert_eq!(nobody.json().await["userId"], Value::Null);
    let seen = handler.event("connect").await;
    assert!(!seen.headers.contains_key("ce-userid"));
    assert_eq!(seen.json()["claims"], json!({}));
    let named = format!("{}?name=ana", url("open"));
    let mut named = world.open(&named, Some(JSON)).await;
    assert_eq!(named.json().await["userId"], "ana");
}

#[tokio::test]
async fn a_fault_answers_in_place_of_the_handler() {
    let handler = Handler::silent();
    let world = world(handler.in_process()).await;
    let url = world.emulator.client_access_url("chat", "u", &[]);
    let faults = world.emulator.faults();
    let refuses = Fault::handler_error(403).handler("connect").hit_count(1);
    let rule = faults.add(refuses).expect("valid");
    let refused = try_connect(&url, Some(JSON)).await.expect_err("refused");
    assert_eq!(refused.0, 403);
    assert_eq!(faults.hits(rule), 1);
    try_connect(&url, Some(JSON)).await.expect("accepted");
}
