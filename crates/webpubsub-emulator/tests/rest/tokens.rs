//! `:generateToken`.

use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use webpubsub_protocol::access::ENTRA_AUDIENCE;

use crate::rest::{BAD_REQUEST, assert_error};
use crate::support::World;
use crate::support::tokens::{claims, header, unix};

async fn generate(world: &World, hub: &str, query: &str) -> String {
    let target = format!("/api/hubs/{hub}/:generateToken?{query}");
    let reply = world
        .call("POST", &target)
        .header("Accept", "application/json, text/json")
        .send()
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(
        reply.header("content-type"),
        Some("application/json; charset=utf-8")
    );
    let Value::Object(members) = reply.json() else {
        panic!("an object")
    };
    assert_eq!(members.len(), 1);
    members["token"].as_str().expect("a token").to_owned()
}

/// The claims, and how long after the issue they end. The clock of the world stands still.
fn timeless(world: &World, token: &str) -> (Value, u64) {
    let mut claims = claims(token);
    let members = claims.as_object_mut().expect("claims");
    let mut take = |name: &str| {
        members
            .remove(name)
            .and_then(|value| value.as_u64())
            .expect("a time")
    };
    let (nbf, exp, iat) = (take("nbf"), take("exp"), take("iat"));
    assert_eq!(nbf, iat);
    assert!(iat >= unix(world.started));
    (claims, exp - iat)
}

#[tokio::test]
async fn tokens_carry_what_was_asked_for() {
    let world = World::start().await;
    let audience = |path: &str| world.url(path);
    let issuer = "https://webpubsub.azure.com";
    let full = generate(
        &world,
        "Test",
        "userId=foo&role=a&role=b&group=a%26b&group=c&minutesToExpire=5",
    )
    .await;
    let expected = json!({
        "sub": "foo", "role": ["a", "b"], "webpubsub.group": ["a&b", "c"],
        "iss": issuer, "aud": audience("/client/hubs/test"),
    });
    assert_eq!(timeless(&world, &full), (expected, 300));
    assert_eq!(header(&full), json!({"alg": "HS256", "typ": "JWT"}));

    for query in ["", "userId=", "minutesToExpire=60&clientType=Default"] {
        let bare = generate(&world, "test", query).await;
        let expected = json!({"iss": issuer, "aud": audience("/client/hubs/test")});
        assert_eq!(timeless(&world, &bare), (expected, 3600), "{query}");
    }
    for kind in ["MQTT", "mqtt"] {
        let mqtt = generate(&world, "test", &format!("clientType={kind}")).await;
        let expected = json!({"iss": issuer, "aud": audience("/clients/mqtt/hubs/test")});
        assert_eq!(timeless(&world, &mqtt), (expected, 3600));
    }
    let longest = generate(&world, "test", "minutesToExpire=2147483647").await;
    assert_eq!(timeless(&world, &longest).1, 2_147_483_647 * 60);
}

#[tokio::test]
async fn tokens_open_connections() {
    let world = World::start().await;
    let token = generate(&world, "chat", "userId=ana&group=room").await;
    let url = format!(
        "ws://{}/client/hubs/chat?access_token={token}",
        world.address
    );
    let (_socket, _) = connect_async(url).await.expect("the token is good");
    for target in ["/api/hubs/chat/users/ana", "/api/hubs/chat/groups/room"] {
        assert_eq!(
            world.call("HEAD", target).send().await.status,
            200,
            "{target}"
        );
    }
}

#[tokio::test]
async fn bad_wishes_are_named() {
    let world = World::start().await;
    let group_name =
        "Invalid group name. Valid group name should be in between 1 and 1024 characters long.";
    for (query, target, message) in [
        ("clientType=pigeon", "clientType", "Invalid clientType."),
        ("clientType=", "clientType", "Invalid clientType."),
        (
            "minutesToExpire=0",
            "minutesToExpire",
            "Invalid minutesToExpire.",
        ),
        (
            "minutesToExpire=-1",
            "minutesToExpire",
            "Invalid minutesToExpire.",
        ),
        (
            "minutesToExpire=2147483648",
            "minutesToExpire",
            "Invalid minutesToExpire.",
        ),
        ("group=a&group=%20", "group", group_name),
    ] {
        let reply = world
            .call("POST", &format!("/api/hubs/chat/:generateToken?{query}"))
            .send()
            .await;
        assert_error(&reply, 400, BAD_REQUEST, target, message);
    }
}

#[tokio::test]
async fn entra_callers_get_tokens_too() {
    let world = World::with(|builder| builder.accept_unvalidated_entra_tokens(true)).await;
    let entra = world.token(ENTRA_AUDIENCE, std::time::Duration::from_secs(60));
    let reply = world
        .call("POST", "/api/hubs/chat/:generateToken")
        .token(entra)
        .send()
        .await;
    assert_eq!(reply.status, 200);
}
