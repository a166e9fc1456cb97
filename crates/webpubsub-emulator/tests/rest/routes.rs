//! Paths, methods and names as they are written.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing_subscriber::fmt::MakeWriter;

use crate::rest::assert_cause;
use crate::support::World;
use crate::support::http::exchange;
use crate::support::operations::OPERATIONS;

#[tokio::test]
async fn unknown_paths_are_404() {
    let world = World::start().await;
    for path in [
        "/api",
        "/api/",
        "/api/hubs",
        "/api/hubs/chat",
        "/api/hubs/chat/:unknown",
        "/api/x?a=b",
    ] {
        let reply = world.call("GET", path).no_token().send().await;
        assert_cause(&reply, 404, "Error.NotFound", "No operation has this path");
    }
    let head = world.call("HEAD", "/api/unknown").no_token().send().await;
    assert_eq!((head.status, head.text()), (404, ""));
}

#[tokio::test]
async fn other_methods_are_405_and_told_which_exist() {
    let world = World::start().await;
    for operation in &OPERATIONS {
        let path = operation.path.replace(['{', '}'], "");
        let reply = world.call("PATCH", &path).no_token().send().await;
        assert_cause(&reply, 405, "Error.MethodNotAllowed", operation.method);
        let allow = reply.header("allow").expect("an Allow header");
        assert!(
            allow.split(", ").any(|method| method == operation.method),
            "{allow}"
        );
    }
}

#[tokio::test]
async fn hubs_compare_without_case_and_users_and_groups_with_it() {
    let world = World::start().await;
    let _ana = world.user("Chat", "ana", &["room"]).await;
    for (target, status) in [
        ("/api/hubs/CHAT/users/ana", 200),
        ("/api/hubs/chat/users/ana", 200),
        ("/api/hubs/chat/users/Ana", 404),
        ("/api/hubs/cHAT/groups/room", 200),
        ("/api/hubs/chat/groups/ROOM", 404),
    ] {
        assert_eq!(
            world.call("HEAD", target).send().await.status,
            status,
            "{target}"
        );
    }
}

#[tokio::test]
async fn encoded_colons_are_colons() {
    let world = World::start().await;
    let mut ana = world.user("chat", "ana", &[]).await;
    for (n, target) in [
        "/api/hubs/chat/:send",
        "/api/hubs/chat/%3Asend",
        "/api/hubs/chat/%3asend",
    ]
    .into_iter()
    .enumerate()
    {
        let reply = world.call("POST", target).text(&n.to_string()).send().await;
        assert_eq!(reply.status, 202, "{target}");
        assert_eq!(ana.data().await, n.to_string());
    }
    // A proxy may encode the colon after the SDK signed the URL without it.
    let token = world.token_for("/api/hubs/chat/:send");
    let reply = world
        .call("POST", "/api/hubs/chat/%3Asend")
        .token(token)
        .text("3")
        .send()
        .await;
    assert_eq!(reply.status, 202);
}

#[tokio::test]
async fn names_in_paths_are_decoded_once() {
    let world = World::start().await;
    let names = [
        ("a b", "a%20b"),
        ("a+b", "a+b"),
        ("ü", "%C3%BC"),
        ("%20", "%2520"),
        ("tenant%2Falice", "tenant%2Falice"),
        ("tenant%2Fbob", "tenant%252Fbob"),
        ("a%b?#@:!*()'\"", "a%25b%3F%23%40%3A%21%2A%28%29%27%22"),
        (":send", "%3Asend"),
    ];
    let mut clients = Vec::new();
    for (name, encoded) in names {
        clients.push(world.user("chat", name, &[name]).await);
        for kind in ["users", "groups"] {
            let target = format!("/api/hubs/chat/{kind}/{encoded}");
            assert_eq!(
                world.call("HEAD", &target).send().await.status,
                200,
                "{target}"
            );
        }
    }
    let slash = world.user("chat", "tenant/carol", &[]).await;
    let reply = world
        .call("HEAD", "/api/hubs/chat/users/tenant%2Fcarol")
        .send()
        .await;
    assert_eq!(
        reply.status, 404,
        "an encoded slash is three characters: {}",
        slash.id
    );
}

#[tokio::test]
async fn slashes_are_decoded_on_request() {
    let world = World::with(|builder| builder.decode_slashes(true)).await;
    let _carol = world.user("chat", "tenant/carol", &["a/b"]).await;
    for target in [
        "/api/hubs/chat/users/tenant%2Fcarol",
        "/api/hubs/chat/groups/a%2fb",
    ] {
        assert_eq!(
            world.call("HEAD", target).send().await.status,
            200,
            "{target}"
        );
    }
}

#[tokio::test]
async fn kept_slashes_are_warned_of_once_per_request_and_logs_hold_no_secret() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let world = World::start().await;
    let target = "/api/hubs/chat/users/a%2Fb/groups/c%2Fd?api-version=2024-12-01";
    let reply = world.call("DELETE", target).send().await;
    assert_eq!(reply.status, 204);
    let written = log.text();
    assert_eq!(
        written.matches("stays these three characters").count(),
        1,
        "{written}"
    );
    assert!(written.contains("--decode-slashes"));

    let token = world.token_for("/api/hubs/other");
    let refused = world
        .call("HEAD", "/api/hubs/chat/users/u")
        .token(&token)
        .send()
        .await;
    assert_eq!(refused.status, 401);
    let key = world.key.expose();
    let written = log.text();
    for secret in [key, &world.token_for(target), &token] {
        assert!(!written.contains(secret), "{written}");
    }
}

#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock()).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn the_callers_request_id_comes_back() {
    let world = World::start().await;
    for (method, target) in [
        ("HEAD", "/api/health"),
        ("GET", "/api/unknown"),
        ("POST", "/api/hubs/chat/:send?filter=%20"),
    ] {
        let reply = world
            .call(method, target)
            .header("x-ms-client-request-id", "id-1")
            .send()
            .await;
        assert_eq!(
            reply.header("x-ms-client-request-id"),
            Some("id-1"),
            "{target}"
        );
        let reply = world.call(method, target).send().await;
        assert_eq!(reply.header("x-ms-client-request-id"), None, "{target}");
    }
}

#[tokio::test]
async fn answers_to_head_leave_the_connection_usable() {
    let world = World::start().await;
    let target = "/api/hubs/chat/users/nobody";
    let token = world.token_for(target);
    let host = world.address;
    let request = format!(
        "HEAD {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n\
         HEAD /api/health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    );
    let first = exchange(host, request.as_bytes()).await.expect("an answer");
    assert_eq!(
        (first.status, first.header("content-length")),
        (404, Some("123"))
    );
    let second = first.text();
    assert!(second.starts_with("HTTP/1.1 200 OK\r\n"), "{second}");
    assert!(second.ends_with("\r\n\r\n"), "{second}");
}
