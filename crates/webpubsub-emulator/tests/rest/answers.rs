//! Answers of the live service, replayed.
//!
//! `spec/vectors/rest-answers.json` holds what recordings of the official SDKs' tests hold: status,
//! headers and body, to the byte where the recording has the bytes or their number.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::support::World;
use crate::support::tokens::claims;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    #[serde(rename = "about")]
    _about: String,
    answers: Vec<Vector>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Vector {
    request: Request,
    /// Made before the call; must succeed.
    #[serde(default)]
    given: Option<Request>,
    status: u16,
    /// Null: the header is absent.
    #[serde(default)]
    headers: BTreeMap<String, Option<String>>,
    /// The exact text of the body.
    #[serde(default)]
    body: Option<String>,
    /// The claims of the token in the body, those that tell the time left out.
    #[serde(default)]
    token_claims: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Request {
    method: String,
    /// `{connection}` stands for the id of a client that is connected to the hub.
    target: String,
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default)]
    body: String,
}

#[tokio::test]
async fn recorded_answers() {
    let text = include_str!("../vectors/rest-answers.json");
    let vectors: Vectors = serde_json::from_str(text).expect("vectors");
    assert!(vectors.answers.len() >= 20);
    for vector in vectors.answers {
        let world = World::start().await;
        let client = world.user("simplechat", "somebody", &["lobby"]).await;
        let send = async |request: &Request| {
            let target = request.target.replace("{connection}", &client.id);
            let content_type = request.content_type.as_deref().unwrap_or_default();
            world
                .call(&request.method, &target)
                .body(content_type, &request.body)
                .send()
                .await
        };
        if let Some(given) = &vector.given {
            assert!(send(given).await.status < 300, "{given:?}");
        }
        let reply = send(&vector.request).await;
        let request = &vector.request;
        assert_eq!(reply.status, vector.status, "{request:?} {reply:?}");
        for (name, value) in &vector.headers {
            let value = value
                .as_ref()
                .map(|value| value.replace("{host}", &world.address.to_string()));
            assert_eq!(
                reply.header(name),
                value.as_deref(),
                "{name}: {request:?} {reply:?}"
            );
        }
        if let Some(body) = &vector.body {
            assert_eq!(reply.text(), body, "{request:?}");
        }
        if let Some(expected) = &vector.token_claims {
            let mut found = claims(reply.json()["token"].as_str().expect("a token"));
            for name in ["exp", "iat", "nbf"] {
                let taken = found
                    .as_object_mut()
                    .and_then(|members| members.remove(name));
                assert!(taken.is_some_and(|value| value.is_u64()), "{name}");
            }
            let audience = world.url("/client/hubs/test");
            assert_eq!(found["aud"].take(), audience);
            assert_eq!(&found, expected);
        }
    }
}
