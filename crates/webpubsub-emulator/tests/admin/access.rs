//! Who may call the admin API.

use webpubsub_emulator::{Emulator, StartError};

use super::Admin;
use crate::support::World;
use crate::support::http::exchange;

const TOKEN: &str = "a token for tests";

#[tokio::test]
async fn it_is_off_unless_it_is_asked_for() {
    let world = World::start().await;
    assert_eq!(world.emulator.admin_url(), None);
    assert!(world.emulator.admin_token().is_none());
    let request = format!(
        "GET /_emulator/status HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        world.address
    );
    let reply = exchange(world.address, request.as_bytes()).await.unwrap();
    assert_eq!(reply.status, 404);
    assert!(reply.message().contains("--no-admin"), "{}", reply.text());
}

#[tokio::test]
async fn calls_need_the_token_of_this_run() {
    let (admin, other) = (Admin::start().await, Admin::start().await);
    assert_ne!(admin.token(), other.token());
    let url = format!("http://{}/_emulator", admin.world.address);
    assert_eq!(admin.world.emulator.admin_url(), Some(&*url));
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    let rest = admin.world.token_for("/_emulator/status");
    for headers in [
        String::new(),
        bearer(""),
        bearer(other.token()),
        bearer(&admin.token()[..31]),
        bearer(&rest),
    ] {
        let reply = admin.send("GET", "status", &headers, "").await;
        assert_eq!(reply.status, 401, "{headers}");
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
        assert_eq!(reply.header("x-ms-error-code"), Some("Error.Unauthorized"));
        assert_eq!(reply.json()["code"], "Error.Unauthorized");
        assert!(!reply.text().contains(admin.token()));
    }
    // In the query it would end up in histories and logs.
    let path = format!("status?access_token={}", admin.token());
    assert_eq!(admin.send("GET", &path, "", "").await.status, 401);
    assert_eq!(admin.call("GET", "status", "").await.status, 200);
    assert!(!format!("{:?}", admin.world.emulator).contains(admin.token()));
}

#[tokio::test]
async fn pages_of_other_origins_are_refused_whatever_the_key() {
    for key in [None, Some("a key of our own, and long enough")] {
        let admin = Admin::with(|mut builder| {
            if let Some(key) = key {
                builder = builder.access_key(key);
            }
            builder
                .allowed_origin("*")
                .allowed_origin("https://app.example")
        })
        .await;
        let authorization = format!("Authorization: Bearer {}\r\n", admin.token());
        for (origin, status) in [
            (format!("http://{}", admin.world.address), 200),
            ("http://localhost:3000".to_owned(), 200),
            ("https://app.example".to_owned(), 200),
            ("https://evil.example".to_owned(), 403),
            ("null".to_owned(), 403),
        ] {
            let headers = format!("{authorization}Origin: {origin}\r\n");
            let reply = admin.send("GET", "status", &headers, "").await;
            assert_eq!(reply.status, status, "{origin}");
            assert_eq!(reply.header("access-control-allow-origin"), None);
        }
        let preflight = "Origin: http://localhost:3000\r\nAccess-Control-Request-Method: GET\r\n\
                         Access-Control-Request-Headers: authorization\r\n";
        let reply = admin.send("OPTIONS", "status", preflight, "").await;
        assert_eq!(reply.status, 401);
        assert_eq!(reply.header("access-control-allow-origin"), None);
    }
}

#[tokio::test]
async fn where_others_can_reach_it_only_a_chosen_token_turns_it_on() {
    let start = |token: Option<&str>| {
        let builder = Emulator::builder()
            .host("0.0.0.0")
            .allow_well_known_key(true);
        match token {
            Some(token) => builder.admin_token(token),
            None => builder.admin(true),
        }
        .start()
    };
    let drawn = start(None).await.unwrap();
    assert_eq!(drawn.admin_url(), None);
    let chosen = start(Some(TOKEN)).await;
    assert!(
        matches!(chosen, Err(StartError::InvalidAdminToken)),
        "blanks"
    );
    let token = TOKEN.replace(' ', "-");
    let chosen = start(Some(&token)).await.unwrap();
    assert_eq!(chosen.admin_token().unwrap().as_str(), token);
    assert!(chosen.admin_url().unwrap().starts_with("http://localhost:"));
    assert!(!format!("{:?}", Emulator::builder().admin_token(&token)).contains(&token));
}

#[tokio::test]
async fn mistakes_are_answered_as_everywhere() {
    let admin = Admin::start().await;
    for (method, path, body, status, expected) in [
        ("GET", "no/such/path", "", 404, "openapi.json"),
        ("GET", "", "", 404, "openapi.json"),
        ("DELETE", "clock", "", 405, "Allowed: GET"),
        (
            "POST",
            "clock/advance",
            "",
            400,
            "The body of the request cannot be read",
        ),
        (
            "POST",
            "clock/advance",
            "{\"minutes\":1}",
            400,
            "unknown field `minutes`",
        ),
        (
            "POST",
            "clock/advance",
            "{\"seconds\":-1}",
            400,
            "`seconds`: expected a number",
        ),
        (
            "POST",
            "clock/advance",
            "{\"seconds\":1e12}",
            400,
            "`seconds`: expected a number",
        ),
        (
            "GET",
            "clock?zone=utc",
            "",
            400,
            "`zone`: this operation has no such parameter",
        ),
    ] {
        let reply = admin.call(method, path, body).await;
        assert_eq!(reply.status, status, "{method} {path}");
        assert!(reply.message().contains(expected), "{}", reply.text());
        assert_eq!(
            reply.header("content-type"),
            Some("application/json; charset=utf-8")
        );
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        for member in ["code", "message", "target", "details", "innererror"] {
            assert!(reply.json().get(member).is_some(), "{member}");
        }
    }
    let reply = admin.call("DELETE", "clock", "").await;
    assert_eq!(reply.header("allow"), Some("GET"));
}
