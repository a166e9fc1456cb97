//! What is checked before a WebSocket opens.

use std::time::{Duration, SystemTime};

use url::Url;
use webpubsub_emulator::Emulator;
use webpubsub_protocol::access::{
    AccessKey, ClientProtocol, ClientTokenOptions, ConnectionString, sign_client_token,
    sign_reconnection_token, sign_rest_token,
};

use super::{ALL_GROUPS, Client, JSON, RELIABLE, emulator, json_client, refusal, request};

fn parts(emulator: &Emulator) -> (Url, AccessKey) {
    let connection: ConnectionString = emulator.connection_string().parse().expect("ours");
    (
        connection.endpoint().clone(),
        connection.access_key().clone(),
    )
}

#[expect(
    clippy::disallowed_methods,
    reason = "tokens are checked against the machine's clock"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

fn token(emulator: &Emulator, hub: &str, options: &ClientTokenOptions, at: SystemTime) -> String {
    let (endpoint, key) = parts(emulator);
    sign_client_token(&endpoint, hub, &key, options, at)
        .token()
        .as_str()
        .to_owned()
}

fn url(emulator: &Emulator, path_and_query: &str) -> String {
    format!(
        "{}{path_and_query}",
        emulator.endpoint().replace("http://", "ws://")
    )
}

#[tokio::test]
async fn both_forms_of_the_url_open_a_hub_in_any_case() {
    // req: S-1-1, S-1-2, S-1-6, S-13-2
    let emulator = emulator().await;
    let token = token(&emulator, "chat", &ClientTokenOptions::default(), now());
    for path in [
        "/client/hubs/chat?",
        "/client/hubs/CHAT?",
        "/client/hubs/ch%61t?",
        "/client/?hub=chat&",
        "/client?hub=Chat&",
        "/client/hubs/chat?unknown=1&hub=other&",
    ] {
        let opened = request(
            &url(&emulator, &format!("{path}access_token={token}")),
            Some(JSON),
        );
        let mut client = Client::open(opened).await;
        assert!(client.text().await.contains("connected"), "{path}");
        client.say(r#"{"type":"ping"}"#).await;
        assert_eq!(client.text().await, r#"{"type":"pong"}"#);
    }
    assert_eq!(emulator.state().hubs.len(), 1, "one hub for all spellings");
}

#[tokio::test]
async fn the_token_comes_from_the_query_or_the_header() {
    // req: S-1-3, S-1-4
    let emulator = emulator().await;
    let token = token(&emulator, "chat", &ClientTokenOptions::default(), now());
    let with_header = |query: &str, header: &str| {
        let mut request = request(&url(&emulator, &format!("/client/hubs/chat{query}")), None);
        request
            .headers_mut()
            .insert("authorization", header.parse().expect("a header"));
        request
    };
    let bearer = format!("Bearer {token}");
    Client::open(with_header("", &bearer)).await;
    Client::open(with_header("", &format!("bearer {token}"))).await;
    Client::open(with_header("?access_token=", &bearer)).await;
    Client::open(with_header(
        &format!("?ACCESS_TOKEN={token}"),
        "Bearer wrong",
    ))
    .await;
    assert_eq!(
        refusal(with_header("?access_token=wrong", &bearer)).await,
        (401, String::new())
    );
    assert_eq!(
        refusal(with_header("", &format!("Basic {token}"))).await.0,
        401
    );
}

#[tokio::test]
async fn bad_tokens_are_refused_with_an_empty_401() {
    // req: S-1-13
    let emulator = emulator().await;
    let (endpoint, key) = parts(&emulator);
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let options = ClientTokenOptions::default();
    let wrong_key = AccessKey::new("another key that is long enough to be one");
    let audience = format!("{}client/hubs/chat", endpoint.as_str());
    let elsewhere = Url::parse("http://elsewhere.example/").expect("a URL");
    let sign = |endpoint: &Url, hub: &str, key: &AccessKey| {
        sign_client_token(endpoint, hub, key, &options, now())
            .token()
            .as_str()
            .to_owned()
    };
    let cases = [
        ("missing", String::new()),
        ("nonsense", "access_token=nonsense".to_owned()),
        (
            "expired",
            token(&emulator, "chat", &options, now() - minutes(66)),
        ),
        ("of another hub", sign(&endpoint, "news", &key)),
        ("of another host", sign(&elsewhere, "chat", &key)),
        ("of another key", sign(&endpoint, "chat", &wrong_key)),
        ("for MQTT", {
            let options = ClientTokenOptions::default().protocol(ClientProtocol::Mqtt);
            token(&emulator, "chat", &options, now())
        }),
        ("for REST", {
            let url = format!("{}api/hubs/chat/:send", endpoint.as_str());
            sign_rest_token(&url, &key, minutes(60), now())
                .as_str()
                .to_owned()
        }),
        ("with a longer audience", {
            sign_rest_token(&format!("{audience}/x"), &key, minutes(60), now())
                .as_str()
                .to_owned()
        }),
        ("for recovery", {
            sign_reconnection_token("chat", "jti", &key, now())
                .as_str()
                .to_owned()
        }),
    ];
    for (name, token) in cases {
        let url = url(
            &emulator,
            &format!("/client/hubs/chat?access_token={token}"),
        );
        assert_eq!(
            refusal(request(&url, Some(JSON))).await,
            (401, String::new()),
            "{name}"
        );
    }
    // Within the five minutes that the service forgives.
    let late = token(&emulator, "chat", &options, now() - minutes(64));
    Client::open(request(
        &url(&emulator, &format!("/client/hubs/chat?access_token={late}")),
        None,
    ))
    .await;
    assert_eq!(emulator.counts().connections_opened, 1);
}

#[tokio::test]
async fn the_secondary_key_and_public_endpoints_count() {
    let secondary = "a secondary key that is long enough to be one";
    let emulator = Emulator::builder()
        .secondary_access_key(secondary)
        .public_endpoint("https://push.example.com")
        .start()
        .await
        .expect("a free port");
    let public = Url::parse("https://push.example.com/").expect("a URL");
    let options = ClientTokenOptions::default();
    let token = sign_client_token(&public, "chat", &AccessKey::new(secondary), &options, now());
    let token = token.token().as_str();
    Client::open(request(
        &url(
            &emulator,
            &format!("/client/hubs/chat?access_token={token}"),
        ),
        None,
    ))
    .await;
}

#[tokio::test]
async fn groups_of_a_token_are_checked_and_joined() {
    // req: S-1-14
    let emulator = Emulator::builder()
        .max_groups_per_token(2)
        .start()
        .await
        .expect("a free port");
    let with = |groups: &[&str]| {
        let mut options = ClientTokenOptions::default();
        options.groups = groups.iter().map(|&group| group.to_owned()).collect();
        emulator.client_access_url_with("chat", &options)
    };
    let invalid = refusal(request(&with(&["ok", " "]), None)).await;
    assert_eq!(
        invalid,
        (400, "The token contains an invalid group name.".to_owned())
    );
    let (status, text) = refusal(request(&with(&["a", "b", "c"]), None)).await;
    assert_eq!(status, 400);
    assert!(text.contains("more than 2 groups"), "{text}");

    let _client = Client::open(request(&with(&["a", "b"]), None)).await;
    let state = emulator.state();
    assert_eq!(state.members("chat", "a"), state.members("chat", "b"));
    assert_eq!(state.members("chat", "a").len(), 1);
}

#[tokio::test]
async fn requests_that_are_no_client_of_a_hub_are_refused() {
    // req: S-1-11, S-1-12, S-1-18
    let emulator = emulator().await;
    let ours = emulator.client_access_url("chat", None, &[]);
    let query = ours.split_once('?').expect("a token").1;
    for (path, status) in [
        ("/client/hubs/", 400),
        ("/client/hubs/1chat", 400),
        ("/client/hubs/a-b", 400),
        ("/client/hubs/ch%2Fat", 400),
        ("/client/", 400),
        ("/client/?hub=", 400),
        ("/client/hubs/chat/", 404),
        ("/client/hubs/chat/more", 404),
        ("/client/other", 404),
        ("/clientele", 404),
    ] {
        let separator = if path.contains('?') { '&' } else { '?' };
        let url = url(&emulator, &format!("{path}{separator}{query}"));
        assert_eq!(refusal(request(&url, Some(JSON))).await.0, status, "{path}");
    }

    let plain = reqwest::Client::new();
    let url = ours.replace("ws://", "http://");
    let answer = plain.get(&url).send().await.expect("an answer");
    assert_eq!(answer.status(), 400);
    let answer = plain.post(&url).send().await.expect("an answer");
    assert_eq!(answer.status(), 400);
}

#[tokio::test]
async fn subprotocols_are_chosen_in_the_clients_order_and_spelling() {
    // req: S-1-7, S-1-8, S-1-10, S-1-20, S-1-22
    let emulator = emulator().await;
    let url = emulator.client_access_url("chat", None, &[]);
    let mut clients = Vec::new();
    for (offered, chosen) in [
        (None, None),
        (Some(JSON), Some(JSON)),
        (
            Some("JSON.webpubsub.AZURE.v1"),
            Some("JSON.webpubsub.AZURE.v1"),
        ),
        (Some("other, json.webpubsub.azure.v1 , mqtt"), Some(JSON)),
        (
            Some("json.reliable.webpubsub.azure.v1,json.webpubsub.azure.v1"),
            Some(RELIABLE),
        ),
        (
            Some("protobuf.webpubsub.azure.v1"),
            Some("protobuf.webpubsub.azure.v1"),
        ),
    ] {
        let mut opened = request(&url, offered);
        opened.headers_mut().insert(
            "sec-websocket-extensions",
            "permessage-deflate; client_max_window_bits"
                .parse()
                .expect("a header"),
        );
        let client = Client::open(opened).await;
        assert_eq!(client.subprotocol.as_deref(), chosen, "{offered:?}");
        clients.push(client);
    }
    let state = emulator.state();
    let hub = state.hubs.values().next().expect("one hub");
    let spelled = |c: &webpubsub_emulator::ConnectionSnapshot| c.subprotocol.clone();
    assert!(
        hub.connections
            .values()
            .filter_map(spelled)
            .any(|name| name.starts_with("JSON."))
    );

    // tungstenite insists on an answer to its offer, so look at the bytes.
    let socket = super::raw::RawSocket::open(&emulator, &url, Some("other, mqtt")).await;
    let answer = socket.answer;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    assert!(
        !answer
            .to_ascii_lowercase()
            .contains("sec-websocket-protocol"),
        "{answer}"
    );
    assert!(
        !answer
            .to_ascii_lowercase()
            .contains("sec-websocket-extensions"),
        "{answer}"
    );
}

#[tokio::test]
async fn checks_run_in_order() {
    // req: S-1-19
    let emulator = emulator().await;
    let options = ClientTokenOptions::default().group(" ");
    let bad_groups = emulator.client_access_url_with("chat", &options);
    let no_token = bad_groups.split_once('?').expect("a token").0;
    let status = |url: String| async move { refusal(request(&url, Some(JSON))).await };

    // Recovery is looked at before the token, and answered on an open socket.
    let recovery = format!("{no_token}?awps_connection_id=c1&awps_reconnection_token=t");
    let mut client = Client::open(request(&recovery, Some(JSON))).await;
    assert_eq!(
        client.closed().await,
        (1008, "The connection could not be recovered.".to_owned())
    );
    // The token before its groups, the groups before the raw mode.
    assert_eq!(status(format!("{no_token}?webpubsub_mode=x")).await.0, 401);
    let (_, text) = status(format!("{bad_groups}&webpubsub_mode=x")).await;
    assert_eq!(text, "The token contains an invalid group name.");
    let ours = emulator.client_access_url("chat", None, &[]);
    let (code, text) = status(format!("{ours}&webpubsub_mode=x")).await;
    assert_eq!(code, 400);
    assert_eq!(
        text,
        "Invalid webpubsub_mode. Valid modes are sendToGroup and sendEvent."
    );
}

#[tokio::test]
async fn a_stray_reconnection_token_starts_a_normal_connection() {
    // req: S-1-5
    let emulator = emulator().await;
    let url = emulator.client_access_url("chat", "ana", &ALL_GROUPS);
    let mut client = Client::open(request(
        &format!("{url}&awps_reconnection_token=t"),
        Some(JSON),
    ))
    .await;
    assert!(client.text().await.contains(r#""userId":"ana""#));
}

#[tokio::test]
async fn connection_ids_are_opaque_and_unique() {
    // req: S-1-9, S-5-4, S-5-6
    let emulator = emulator().await;
    let _first = json_client(&emulator, "ana").await;
    let url = emulator.client_access_url("chat", None, &[]);
    let mut second = Client::open(request(&url, Some(JSON))).await;
    let connected = second.text().await;
    let state = emulator.state();
    let ids: Vec<_> = state
        .hubs
        .values()
        .flat_map(|hub| hub.connections.keys())
        .collect();
    assert_eq!(ids.len(), 2);
    for id in &ids {
        assert_eq!(id.as_str().len(), 32);
        assert!(
            id.as_str()
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        );
    }
    let mine = ids
        .iter()
        .find(|id| connected.contains(id.as_str()))
        .expect("named");
    assert_eq!(
        connected,
        format!(r#"{{"type":"system","event":"connected","userId":null,"connectionId":"{mine}"}}"#)
    );
}
