//! Which tokens open which calls.

use std::time::Duration;

use serde_json::{Value, json};
use webpubsub_emulator::WELL_KNOWN_KEY;
use webpubsub_protocol::access::{
    AccessKey, ClientTokenOptions, ENTRA_AUDIENCE, sign_client_token, sign_reconnection_token,
    sign_rest_token,
};

use crate::rest::assert_cause;
use crate::support::tokens::{jwt, unix};
use crate::support::{Reply, World};

const TARGET: &str = "/api/hubs/chat/users/ana/groups/room?api-version=2024-12-01";
const PATH: &str = "/api/hubs/chat/users/ana/groups/room";
const HOUR: Duration = Duration::from_secs(3600);

async fn try_token(world: &World, token: impl AsRef<str>) -> Reply {
    world.call("DELETE", TARGET).token(token).send().await
}

fn hs256() -> Value {
    json!({"alg": "HS256", "typ": "JWT"})
}

#[track_caller]
fn assert_refused(reply: &Reply, cause: &str) {
    assert_cause(reply, 401, "Error.Unauthorized", cause);
    let challenge = reply.header("www-authenticate").expect("a challenge");
    assert!(challenge.starts_with("Bearer"), "{challenge}");
}

#[tokio::test]
async fn audiences() {
    let world =
        World::with(|builder| builder.public_endpoint("https://gateway.example/pubsub")).await;
    let host = world.address.to_string();
    let path = PATH;
    let fits = [
        format!("http://{host}{path}"),
        format!("https://{host}{path}"),
        format!("ws://{host}{path}"),
        format!("wss://{host}{path}"),
        format!("http://{host}{path}/"),
        format!("http://{host}{path}?api-version=2024-12-01"),
        format!("http://{host}{path}?anything"),
        format!("http://{host}{path}/child"),
        format!("HTTP://{}{}", host.to_uppercase(), path.to_uppercase()),
        format!("http://{host}{}", path.replace("ana", "%61na")),
        format!("https://gateway.example/pubsub{path}?api-version=2024-12-01"),
        format!("https://GATEWAY.example/pubsub{path}"),
    ];
    for audience in &fits {
        let reply = try_token(&world, world.token(audience, HOUR)).await;
        assert_eq!(reply.status, 204, "{audience}");
    }
    let misses = [
        format!("ftp://{host}{path}"),
        format!("{host}{path}"),
        format!("http://{host}/api/hubs/chat"),
        format!("http://{host}{path}x"),
        format!("http://{host}{}", path.replace("room", "roo")),
        format!("http://{host}{}", path.replace("chat", "other")),
        format!("http://elsewhere{path}"),
        format!("http://{host}.example{path}"),
        format!("https://gateway.example{path}"),
        format!("http://{host}"),
        format!("http://{host}/"),
        String::new(),
    ];
    for audience in &misses {
        let reply = try_token(&world, world.token(audience, HOUR)).await;
        assert_refused(&reply, &format!("It must be `http://{host}{path}`"));
    }
}

#[tokio::test]
async fn one_of_many_audiences_is_enough() {
    let world = World::start().await;
    let exp = unix(world.started) + 60;
    let with = |aud: Value| jwt(&hs256(), &json!({"aud": aud, "exp": exp}), WELL_KNOWN_KEY);
    let many = with(json!(["http://elsewhere/api", world.url(PATH)]));
    assert_eq!(try_token(&world, many).await.status, 204);
    let none = with(json!(["http://elsewhere/api"]));
    assert_refused(&try_token(&world, none).await, "audience");
}

#[tokio::test]
async fn audiences_follow_names_with_escapes() {
    let world = World::start().await;
    for name in [
        "a%20b",
        "tenant%2Falice",
        "tenant%2Falice%20x",
        "%252F",
        "%C3%BC",
        "a+b",
        "100%25",
    ] {
        let target = format!("/api/hubs/chat/users/{name}/groups?api-version=2024-12-01");
        let reply = world.call("DELETE", &target).send().await;
        assert_eq!(reply.status, 204, "{target}: {}", reply.text());
    }
    let token = world.token_for("/api/hubs/chat/users/b/groups");
    let reply = world
        .call("DELETE", "/api/hubs/chat/users/a/groups")
        .token(token)
        .send()
        .await;
    assert_refused(&reply, "audience");
}

#[tokio::test]
async fn lifetimes_have_five_minutes_of_skew() {
    let world = World::start().await;
    let minute = world.token_for(TARGET);
    let now = unix(world.started);
    let claims = |extra: Value| {
        let mut claims = json!({"aud": world.url(PATH), "exp": now + 7200});
        claims
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        jwt(&hs256(), &claims, WELL_KNOWN_KEY)
    };
    let early = claims(json!({"nbf": now + 240}));
    let too_early = claims(json!({"nbf": now + 400}));
    assert_eq!(try_token(&world, &early).await.status, 204);
    assert_refused(&try_token(&world, &too_early).await, "not valid yet");

    world
        .emulator
        .clock()
        .advance(Duration::from_secs(60 + 240));
    assert_eq!(try_token(&world, &minute).await.status, 204);
    assert_eq!(try_token(&world, &too_early).await.status, 204);
    world.emulator.clock().advance(Duration::from_secs(120));
    assert_refused(&try_token(&world, &minute).await, "expired");
}

#[tokio::test]
async fn both_keys_sign_and_no_other() {
    const SECOND: &str = "the second key, which is long enough";
    let world = World::with(|builder| builder.secondary_access_key(SECOND)).await;
    let sign = |key: &str| {
        sign_rest_token(&world.url(PATH), &AccessKey::new(key), HOUR, world.started).into_string()
    };
    assert_eq!(try_token(&world, sign(WELL_KNOWN_KEY)).await.status, 204);
    assert_eq!(try_token(&world, sign(SECOND)).await.status, 204);
    assert_refused(
        &try_token(&world, sign("another key, as long as the others are")).await,
        "signature",
    );
    // The key looks like base64 but is not decoded.
    let one_only = World::start().await;
    assert_refused(&try_token(&one_only, sign(SECOND)).await, "signature");
}

#[tokio::test]
async fn malformed_and_unsigned_tokens() {
    let world = World::start().await;
    let exp = unix(world.started) + 60;
    let good = json!({"aud": world.url(PATH), "exp": exp});
    let signed = |header: Value, claims: &Value| jwt(&header, claims, WELL_KNOWN_KEY);
    let unsigned = |token: String| format!("{}.", token.rsplit_once('.').unwrap().0);
    let table = [
        (signed(json!({"alg": "none"}), &good), "HS256"),
        (unsigned(signed(json!({"alg": "none"}), &good)), "HS256"),
        (unsigned(signed(hs256(), &good)), "signature"),
        (
            signed(json!({"alg": "RS256", "typ": "JWT"}), &good),
            "HS256",
        ),
        (
            signed(json!({"alg": "HS512", "typ": "JWT"}), &good),
            "HS256",
        ),
        (
            signed(hs256(), &json!({"aud": world.url(PATH)})),
            "`exp` is missing",
        ),
        (signed(hs256(), &json!({"exp": exp})), "`aud` is missing"),
        (
            signed(hs256(), &json!({"aud": world.url(PATH), "exp": "soon"})),
            "`exp` has the wrong type",
        ),
        (signed(hs256(), &json!([])), "not a JWT"),
        ("a.b.c".to_owned(), "not a JWT"),
        ("rubbish".to_owned(), "not a JWT"),
    ];
    for (token, cause) in table {
        assert_refused(&try_token(&world, &token).await, cause);
    }
    let extra = json!({"alg": "HS256", "typ": "JWT", "kid": "any", "cty": "JWT"});
    assert_eq!(try_token(&world, signed(extra, &good)).await.status, 204);
    let missing = world.call("DELETE", TARGET).no_token().send().await;
    assert_refused(&missing, "Authorization: Bearer <token>");
    let basic = world
        .call("DELETE", TARGET)
        .no_token()
        .header("Authorization", "Basic YTpi");
    assert_refused(&basic.send().await, "Authorization: Bearer <token>");
}

#[tokio::test]
async fn tokens_of_other_kinds_are_refused() {
    let world = World::start().await;
    let endpoint = world.url("/").parse().unwrap();
    let options = ClientTokenOptions::default().user_id("ana");
    let client = sign_client_token(&endpoint, "chat", &world.key, &options, world.started);
    assert_refused(
        &try_token(&world, client.token().as_str()).await,
        "audience",
    );
    let reconnection = sign_reconnection_token("id", "jti", &world.key, world.started);
    assert_refused(&try_token(&world, reconnection.as_str()).await, "audience");
}

#[tokio::test]
async fn entra_tokens_pass_only_when_they_are_allowed_to() {
    let strict = World::start().await;
    let lenient = World::with(|builder| builder.accept_unvalidated_entra_tokens(true)).await;
    let now = unix(strict.started);
    let entra = |exp: u64| {
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": "theirs"});
        jwt(
            &header,
            &json!({"aud": ENTRA_AUDIENCE, "exp": exp, "iss": "https://sts"}),
            "their key",
        )
    };
    assert_refused(
        &try_token(&strict, entra(now + 60)).await,
        "--accept-unvalidated-entra-tokens",
    );
    assert_eq!(try_token(&lenient, entra(now + 60)).await.status, 204);
    assert_refused(&try_token(&lenient, entra(now - 400)).await, "expired");
    let timeless = jwt(&hs256(), &json!({"aud": ENTRA_AUDIENCE}), "their key");
    assert_refused(&try_token(&lenient, timeless).await, "`exp` is missing");
    // Key-signed, but for the audience of Entra: counts as an Entra token.
    let signed = strict.token(ENTRA_AUDIENCE, HOUR);
    assert_refused(&try_token(&strict, signed).await, "Entra");
    // The switch opens nothing else.
    let foreign = jwt(
        &hs256(),
        &json!({"aud": lenient.url(PATH), "exp": now + 60}),
        "their key",
    );
    assert_refused(&try_token(&lenient, foreign).await, "signature");
}

#[tokio::test]
async fn refusals_never_repeat_a_token_or_a_key() {
    let world = World::start().await;
    let token = world.token("http://elsewhere/secret-path", HOUR);
    let reply = try_token(&world, &token).await;
    let everything = format!("{reply:?} {}", reply.text());
    for secret in [token.as_str(), world.key.expose(), "secret-path"] {
        assert!(!everything.contains(secret), "{everything}");
    }
}

#[tokio::test]
async fn tokens_in_the_query_do_not_count() {
    let world = World::start().await;
    let target = format!("{TARGET}&access_token={}", world.token_for(TARGET));
    let reply = world.call("DELETE", &target).no_token().send().await;
    assert_refused(&reply, "Authorization");
}
