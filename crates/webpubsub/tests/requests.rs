//! What each call sends.

use std::{future::IntoFuture, time::Duration};

use crate::common::{CONNECTION_STRING, HOST, KEY, Recorder, Sent};
use azure_core::stream::BytesStream;
use futures_util::FutureExt as _;
use webpubsub::{
    AccessKey, Permission, Streamed, WebPubSubServiceClient, WebPubSubServiceClientOptions, odata,
    payload,
};
use webpubsub_protocol::access::{EntraTokens, verify_rest_token};

const VERSION: &str = "api-version=2024-12-01";

/// Makes a call that is answered at once, and gives what was sent.
fn sent<F: IntoFuture<Output = azure_core::Result<T>>, T>(
    status: u16,
    call: impl FnOnce(&WebPubSubServiceClient) -> F,
) -> Sent {
    let recorder = Recorder::always(status);
    let client = recorder.client("Chat");
    call(&client)
        .into_future()
        .now_or_never()
        .expect("an answer")
        .expect("success");
    recorder.only()
}

fn refused<F: IntoFuture<Output = azure_core::Result<T>>, T>(
    call: impl FnOnce(&WebPubSubServiceClient) -> F,
) -> String {
    let recorder = Recorder::always(200);
    let client = recorder.client("Chat");
    let Err(error) = call(&client)
        .into_future()
        .now_or_never()
        .expect("an answer")
    else {
        panic!("not refused");
    };
    assert_eq!(recorder.sent().len(), 0, "nothing may be sent");
    error.to_string()
}

#[track_caller]
fn assert_line(sent: &Sent, method: &str, target: &str) {
    assert_eq!((sent.method.as_str(), sent.target()), (method, target));
}

#[test]
fn sends() {
    let all = sent(202, |c| {
        c.send_to_all("hi")
            .filter(odata!("userId ne {}", "a'b"))
            .exclude("c 1")
            .exclude_all(["c2", "c,3"])
            .ttl(Duration::from_secs(300))
    });
    assert_line(
        &all,
        "POST",
        "/api/hubs/Chat/:send?api-version=2024-12-01&excluded=c%201&excluded=c2&excluded=c%2C3\
         &filter=userId%20ne%20%27a%27%27b%27&messageTtlSeconds=300",
    );
    assert_eq!(
        (all.header("content-type"), all.body.as_slice()),
        (Some("text/plain"), &b"hi"[..])
    );
    assert_eq!(all.header("accept"), Some("application/json"));

    let user = sent(202, |c| {
        c.send_to_user("a/ü", payload::Json("hi"))
            .filter("")
            .ttl(Duration::ZERO)
    });
    assert_line(
        &user,
        "POST",
        "/api/hubs/Chat/users/a%2F%C3%BC/:send?api-version=2024-12-01&filter=&messageTtlSeconds=0",
    );
    assert_eq!(
        (user.header("content-type"), user.body.as_slice()),
        (Some("application/json"), &b"\"hi\""[..])
    );

    let connection = sent(202, |c| c.send_to_connection("x+y", vec![0, 255]));
    assert_line(
        &connection,
        "POST",
        &format!("/api/hubs/Chat/connections/x%2By/:send?{VERSION}"),
    );
    assert_eq!(
        connection.header("content-type"),
        Some("application/octet-stream")
    );
    assert_eq!(connection.body, [0, 255]);

    let group = sent(202, |c| c.group("g:1").send_to_all("hi").exclude("c"));
    assert_line(
        &group,
        "POST",
        &format!("/api/hubs/Chat/groups/g%3A1/:send?{VERSION}&excluded=c"),
    );
}

#[test]
fn streams_are_sent_with_their_length() {
    let stream = sent(202, |c| {
        c.send_to_all(Streamed::new(BytesStream::new("abc")).text())
    });
    assert_eq!(stream.header("content-length"), Some("3"));
    assert_eq!(
        (stream.header("content-type"), stream.body.as_slice()),
        (Some("text/plain"), &b"abc"[..])
    );
}

#[test]
fn metadata_travels_in_headers() {
    let sent = sent(202, |c| {
        c.send_to_all("")
            .metadata("Trace-Id", "7")
            .metadata("b", "x y")
    });
    assert_eq!(sent.header("x-webpubsub-metadata-trace-id"), Some("7"));
    assert_eq!(sent.header("x-webpubsub-metadata-b"), Some("x y"));
    for (key, value) in [
        ("", "v"),
        ("a b", "v"),
        ("k", "a\r\nx-evil: 1"),
        ("k", "é"),
        ("k", &"v".repeat(1025)),
    ] {
        let error = refused(|c| c.send_to_all("").metadata(key, value));
        assert!(error.starts_with("Metadata"), "{error}");
    }
    let twice = refused(|c| c.send_to_all("").metadata("K", "1").metadata("k", "2"));
    assert!(twice.contains("duplicate"), "{twice}");
}

#[test]
fn existence() {
    for (status, expected) in [(200, true), (404, false)] {
        let recorder = Recorder::always(status);
        let client = recorder.client("Chat");
        let ask = |answer: azure_core::Result<bool>| assert_eq!(answer.unwrap(), expected);
        ask(client
            .connection_exists("c")
            .into_future()
            .now_or_never()
            .unwrap());
        ask(client
            .group_exists("g")
            .into_future()
            .now_or_never()
            .unwrap());
        ask(client
            .user_exists("u")
            .into_future()
            .now_or_never()
            .unwrap());
        let permission = client.has_permission("c", Permission::SendToGroup, "g");
        ask(permission.into_future().now_or_never().unwrap());
        let sent = recorder.sent();
        assert_line(
            &sent[0],
            "HEAD",
            &format!("/api/hubs/Chat/connections/c?{VERSION}"),
        );
        assert_line(
            &sent[1],
            "HEAD",
            &format!("/api/hubs/Chat/groups/g?{VERSION}"),
        );
        assert_line(
            &sent[2],
            "HEAD",
            &format!("/api/hubs/Chat/users/u?{VERSION}"),
        );
        let target =
            format!("/api/hubs/Chat/permissions/sendToGroup/connections/c?{VERSION}&targetName=g");
        assert_line(&sent[3], "HEAD", &target);
        assert!(
            sent.iter()
                .all(|sent| sent.body.is_empty() && sent.header("content-type").is_none())
        );
    }
}

#[test]
fn closes() {
    let one = sent(204, |c| c.close_connection("c").reason("a&b"));
    assert_line(
        &one,
        "DELETE",
        &format!("/api/hubs/Chat/connections/c?{VERSION}&reason=a%26b"),
    );
    let all = sent(204, |c| c.close_all_connections().exclude("x").reason("r"));
    assert_line(
        &all,
        "POST",
        &format!("/api/hubs/Chat/:closeConnections?{VERSION}&excluded=x&reason=r"),
    );
    let user = sent(204, |c| c.close_user_connections("u").exclude("x"));
    assert_line(
        &user,
        "POST",
        &format!("/api/hubs/Chat/users/u/:closeConnections?{VERSION}&excluded=x"),
    );
    let group = sent(204, |c| c.group("g").close_all_connections().reason("r"));
    assert_line(
        &group,
        "POST",
        &format!("/api/hubs/Chat/groups/g/:closeConnections?{VERSION}&reason=r"),
    );
    assert_eq!(group.header("content-length"), Some("0"));
    assert_eq!(group.header("content-type"), None);
}

#[test]
fn memberships() {
    let line = |sent: Sent| format!("{} {}", sent.method, sent.target());
    let add = sent(200, |c| c.group("g").add_connection("c"));
    assert_eq!(
        line(add),
        format!("PUT /api/hubs/Chat/groups/g/connections/c?{VERSION}")
    );
    let remove = sent(204, |c| c.group("g").remove_connection("c"));
    assert_eq!(
        line(remove),
        format!("DELETE /api/hubs/Chat/groups/g/connections/c?{VERSION}")
    );
    let add = sent(200, |c| c.group("g").add_user("u"));
    assert_eq!(
        line(add),
        format!("PUT /api/hubs/Chat/users/u/groups/g?{VERSION}")
    );
    let remove = sent(204, |c| c.group("g").remove_user("u"));
    assert_eq!(
        line(remove),
        format!("DELETE /api/hubs/Chat/users/u/groups/g?{VERSION}")
    );
    let user = sent(204, |c| c.remove_user_from_all_groups("u"));
    assert_eq!(
        line(user),
        format!("DELETE /api/hubs/Chat/users/u/groups?{VERSION}")
    );
    let connection = sent(204, |c| c.remove_connection_from_all_groups("c"));
    assert_eq!(
        line(connection),
        format!("DELETE /api/hubs/Chat/connections/c/groups?{VERSION}")
    );

    let add = sent(200, |c| {
        c.add_connections_to_groups(["a", "b"], "userId eq null")
    });
    assert_eq!(
        add.body,
        br#"{"groups":["a","b"],"filter":"userId eq null"}"#
    );
    assert_eq!(add.header("content-type"), Some("application/json"));
    assert_eq!(
        line(add),
        format!("POST /api/hubs/Chat/:addToGroups?{VERSION}")
    );
    let remove = sent(200, |c| {
        c.remove_connections_from_groups(vec!["a".to_owned()], "")
    });
    assert_eq!(remove.body, br#"{"groups":["a"],"filter":""}"#);
    assert_eq!(
        line(remove),
        format!("POST /api/hubs/Chat/:removeFromGroups?{VERSION}")
    );
    assert_eq!(
        refused(|c| c.add_connections_to_groups([""; 0], "")),
        "at least one group is needed"
    );
}

#[test]
fn permissions() {
    let grant = sent(200, |c| {
        c.grant_permission("c", Permission::JoinLeaveGroup, "g*")
    });
    let target =
        format!("/api/hubs/Chat/permissions/joinLeaveGroup/connections/c?{VERSION}&targetName=g*");
    assert_line(&grant, "PUT", &target);
    let revoke = sent(204, |c| {
        c.revoke_permission("c", Permission::SendToGroup, "g")
    });
    let target =
        format!("/api/hubs/Chat/permissions/sendToGroup/connections/c?{VERSION}&targetName=g");
    assert_line(&revoke, "DELETE", &target);
}

#[test]
fn health() {
    assert_line(
        &sent(200, WebPubSubServiceClient::service_health),
        "HEAD",
        &format!("/api/health?{VERSION}"),
    );
}

#[test]
fn tokens_are_for_the_url_that_is_sent() {
    let sent = sent(202, |c| c.send_to_user("a b", "hi").filter("userId eq 'x'"));
    let claims = claims(sent.token());
    assert_eq!(claims["aud"], sent.url);
    assert_eq!(
        claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(),
        3600
    );
    assert_eq!(claims.as_object().unwrap().len(), 3);
    verify_rest_token(
        sent.token(),
        &[AccessKey::new(KEY)],
        &["example.webpubsub.azure.com"],
        "/api/hubs/Chat/users/a b/:send",
        EntraTokens::Refuse,
        std::time::SystemTime::now(),
    )
    .unwrap();
}

#[test]
fn a_reverse_proxy_gets_the_request_but_not_the_audience() {
    let recorder = Recorder::always(202);
    let client = recorder.client_with("chat", |options| {
        options.reverse_proxy_endpoint = Some("http://proxy.example:8080/".into());
    });
    client
        .send_to_all("hi")
        .into_future()
        .now_or_never()
        .unwrap()
        .unwrap();
    let sent = recorder.only();
    assert_eq!(
        sent.url,
        format!("http://proxy.example:8080/api/hubs/chat/:send?{VERSION}")
    );
    assert_eq!(
        claims(sent.token())["aud"],
        format!("{HOST}/api/hubs/chat/:send?{VERSION}")
    );
}

#[test]
fn endpoints_may_have_a_path_and_options_a_version() {
    let recorder = Recorder::always(200);
    let options = WebPubSubServiceClientOptions {
        api_version: "2024-01-01".into(),
        ..recorder.options()
    };
    let key = AccessKey::new(KEY);
    let client = WebPubSubServiceClient::with_access_key(
        "https://gateway.example/pubsub",
        key,
        "chat",
        Some(options),
    )
    .unwrap();
    assert!(
        client
            .user_exists("u")
            .into_future()
            .now_or_never()
            .unwrap()
            .unwrap()
    );
    assert_eq!(
        recorder.only().url,
        "https://gateway.example/pubsub/api/hubs/chat/users/u?api-version=2024-01-01"
    );
    assert_eq!(
        client.endpoint().as_str(),
        "https://gateway.example/pubsub/"
    );
    assert_eq!((client.hub(), client.api_version()), ("chat", "2024-01-01"));
    let group = client.group("g");
    assert_eq!(
        (group.name(), group.hub(), group.api_version()),
        ("g", "chat", "2024-01-01")
    );
}

#[test]
fn names_that_would_address_something_else_are_refused() {
    for name in ["", ".", "..", " ", "\t\n"] {
        refused(|c| c.send_to_user(name, ""));
        refused(|c| c.send_to_connection(name, ""));
        refused(|c| c.group(name).send_to_all(""));
        refused(|c| c.connection_exists(name));
        refused(|c| c.close_user_connections(name));
        refused(|c| c.group("g").add_user(name));
        refused(|c| c.group(name).add_user("u"));
        refused(|c| c.group("g").remove_connection(name));
        refused(|c| c.grant_permission(name, Permission::SendToGroup, "g"));
    }
    refused(|c| c.grant_permission("c", Permission::SendToGroup, " "));
    refused(|c| c.add_connections_to_groups(["ok", ""], ""));
    let long = "g".repeat(1025);
    assert!(refused(|c| c.group_exists(long)).contains("1024"));
    for hub in ["", ".", "1chat", "a/b", "a b", "ü"] {
        let error =
            WebPubSubServiceClient::from_connection_string(CONNECTION_STRING, hub).unwrap_err();
        assert!(error.to_string().contains("hub name"), "{error}");
    }
}

#[test]
fn times_to_live_are_whole_seconds_up_to_five_minutes() {
    for ttl in [
        Duration::from_millis(1500),
        Duration::from_secs(301),
        Duration::MAX,
    ] {
        let error = refused(|c| c.send_to_all("").ttl(ttl));
        assert!(error.contains("whole seconds from 0 to 300"), "{error}");
    }
}

#[test]
fn bad_settings_are_named() {
    let build = |change: fn(&mut WebPubSubServiceClientOptions)| {
        let mut options = WebPubSubServiceClientOptions::default();
        change(&mut options);
        WebPubSubServiceClient::from_connection_string_with(CONNECTION_STRING, "chat", options)
            .unwrap_err()
            .to_string()
    };
    let path = build(|options| options.reverse_proxy_endpoint = Some("https://p.example/x".into()));
    assert!(path.contains("must not have a path"), "{path}");
    let scheme = build(|options| options.reverse_proxy_endpoint = Some("ftp://p.example".into()));
    assert!(scheme.contains("reverse proxy"), "{scheme}");
    let error =
        WebPubSubServiceClient::from_connection_string("Endpoint=https://h", "chat").unwrap_err();
    assert!(error.to_string().contains("`AccessKey`"), "{error}");
}

fn claims(token: &str) -> serde_json::Value {
    let claims = azure_core::base64::decode_url_safe(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&claims).unwrap()
}
