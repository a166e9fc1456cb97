//! Listing the connections in a group.

use crate::common::{Answer, HOST, Recorder, Sent};
use futures_util::TryStreamExt as _;
use serde_json::{Value, json};
use webpubsub::{ConnectionPage, ServiceErrorExt as _};

const NEXT: &str = "/api/hubs/chat/groups/g/connections?api-version=2024-12-01&maxpagesize=2&continuationToken=a%2Bb";

fn page(ids: &[&str], next: &Value) -> Answer {
    let value: Vec<_> = ids
        .iter()
        .map(|id| json!({"connectionId": id, "userId": null}))
        .collect();
    Answer::Full(
        200,
        Vec::new(),
        json!({"value": value, "nextLink": next}).to_string(),
    )
}

#[tokio::test]
async fn follows_the_links_word_for_word() {
    let recorder = Recorder::new(
        [
            page(&["1", "2"], &json!(format!("{HOST}{NEXT}"))),
            page(&["3"], &Value::Null),
        ],
        500,
    );
    let group = recorder.client("chat").group("g");
    let list = group.list_connections().page_size(2).top(5);
    let connections: Vec<_> = list.into_stream().try_collect().await.unwrap();
    let ids: Vec<_> = connections
        .iter()
        .map(|connection| connection.connection_id.as_str())
        .collect();
    assert_eq!(ids, ["1", "2", "3"]);
    let sent = recorder.sent();
    let targets: Vec<_> = sent.iter().map(Sent::target).collect();
    let first = "/api/hubs/chat/groups/g/connections?api-version=2024-12-01&maxpagesize=2&top=5";
    assert_eq!(targets, [first, NEXT]);
    assert!(
        sent.iter()
            .all(|sent| sent.method == "GET" && sent.header("authorization").is_some())
    );
}

#[tokio::test]
async fn pages_can_be_continued_later() {
    let recorder = Recorder::new(
        [
            page(&["1"], &json!(format!("{HOST}{NEXT}"))),
            page(&["2"], &json!("")),
        ],
        500,
    );
    let group = recorder.client("chat").group("g");
    let first: ConnectionPage = group
        .list_connections()
        .into_pages()
        .try_next()
        .await
        .unwrap()
        .unwrap();
    assert_eq!(first.continuation_token.as_deref(), Some("a+b"));
    let rest = group
        .list_connections()
        .continuation_token(first.continuation_token.unwrap());
    let pages: Vec<_> = rest.into_pages().try_collect().await.unwrap();
    assert_eq!(pages.len(), 1);
    assert_eq!(
        (pages[0].connections.len(), &pages[0].continuation_token),
        (1, &None)
    );
    assert!(
        recorder.sent()[1]
            .url
            .ends_with("connections?api-version=2024-12-01&continuationToken=a%2Bb")
    );
}

#[tokio::test]
async fn pages_are_fetched_only_when_needed_and_empty_ones_are_passed() {
    let recorder = Recorder::new(
        [
            page(&[], &json!(NEXT)),
            page(&["1"], &json!(NEXT)),
            page(&["2"], &Value::Null),
        ],
        500,
    );
    let group = recorder.client("chat").group("g");
    let mut stream = group.list_connections().into_stream();
    assert_eq!(recorder.sent().len(), 0);
    assert_eq!(stream.try_next().await.unwrap().unwrap().connection_id, "1");
    assert_eq!(recorder.sent().len(), 2);
    assert_eq!(stream.try_next().await.unwrap().unwrap().connection_id, "2");
    assert_eq!(stream.try_next().await.unwrap(), None);
    assert_eq!(recorder.sent().len(), 3);
}

#[tokio::test]
async fn users_may_be_absent() {
    let body =
        json!({"value": [{"connectionId": "1"}, {"connectionId": "2", "userId": "u", "more": 1}]});
    let recorder = Recorder::new([Answer::Full(200, Vec::new(), body.to_string())], 500);
    let list = recorder.client("chat").group("g").list_connections();
    let connections: Vec<_> = list.into_stream().try_collect().await.unwrap();
    assert_eq!(connections[0].user_id, None);
    assert_eq!(connections[1].user_id.as_deref(), Some("u"));
}

#[tokio::test]
async fn credentials_never_follow_a_link_to_another_origin() {
    for link in [
        "https://evil.example/api/hubs/chat/groups/g/connections",
        "http://example.webpubsub.azure.com/api",
        "https://example.webpubsub.azure.com:8443/api",
        "https://example.webpubsub.azure.com.evil.example/api",
        "https://user@example.webpubsub.azure.com/api",
        "//evil.example/api",
        "file:///etc/passwd",
    ] {
        let recorder = Recorder::new([page(&["1"], &json!(link))], 200);
        let list = recorder.client("chat").group("g").list_connections();
        let error = list.into_pages().try_next().await.unwrap_err().to_string();
        assert!(error.contains("not followed"), "{link}: {error}");
        assert_eq!(recorder.sent().len(), 1);
    }
}

#[tokio::test]
async fn links_that_name_the_reverse_proxy_go_through_it() {
    let link = format!("https://proxy.example{NEXT}");
    let recorder = Recorder::new(
        [page(&["1"], &json!(link)), page(&["2"], &Value::Null)],
        500,
    );
    let client = recorder.client_with("chat", |options| {
        options.reverse_proxy_endpoint = Some("https://proxy.example".into());
    });
    let connections: Vec<_> = client
        .group("g")
        .list_connections()
        .into_stream()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(connections.len(), 2);
    let second = &recorder.sent()[1];
    assert_eq!(second.url, link);
    let claims =
        azure_core::base64::decode_url_safe(second.token().split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["aud"], format!("{HOST}{NEXT}"));
}

#[tokio::test]
async fn errors_end_the_stream() {
    let recorder = Recorder::new([page(&["1"], &json!(NEXT)), Answer::Status(400)], 200);
    let group = recorder.client("chat").group("g");
    let mut stream = group.list_connections().into_stream();
    assert!(stream.try_next().await.unwrap().is_some());
    assert_eq!(
        stream
            .try_next()
            .await
            .unwrap_err()
            .service_error()
            .unwrap()
            .status(),
        400
    );
    assert_eq!(stream.try_next().await.unwrap(), None);

    let recorder = Recorder::new([Answer::Full(200, Vec::new(), "{}".into())], 200);
    let list = recorder.client("chat").group("g").list_connections();
    let error = list.into_stream().try_next().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the list of connections does not have the expected form"
    );

    let recorder = Recorder::always(200);
    let list = recorder.client("chat").group(" ").list_connections();
    assert!(
        list.into_stream()
            .try_next()
            .await
            .unwrap_err()
            .to_string()
            .contains("group name")
    );
    assert_eq!(recorder.sent().len(), 0);
}
