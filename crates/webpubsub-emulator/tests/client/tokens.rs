//! The three kinds of tokens, each of which opens one kind of door.

use aws_lc_rs::hmac;
use serde_json::{Value, json};
use webpubsub_emulator::WELL_KNOWN_KEY;
use webpubsub_protocol::access::{
    ClientProtocol, ClientTokenOptions, sign_client_token, sign_reconnection_token,
};

use crate::support::World;
use crate::support::tokens::{claims, jwt, jwt_with, unix};

use super::{Client, RELIABLE, refusal, request};

const HUB: &str = "chat";
const TARGET: &str = "/api/hubs/chat/users/ana/groups/room";
const REFUSED: &str = "The connection could not be recovered.";

/// Where a token is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    /// The query of a client's upgrade.
    Query,
    /// Its header.
    Header,
    /// A REST call.
    Rest,
    /// The upgrade that recovers a connection.
    Recovery,
}

const DOORS: [Door; 4] = [Door::Query, Door::Header, Door::Rest, Door::Recovery];

/// An emulator, and a reliable connection that lost its socket.
struct House {
    world: World,
    lost: String,
    reconnection: String,
}

impl House {
    async fn open() -> Self {
        let world = World::start().await;
        let url = world.emulator.client_access_url(HUB, "ana", &[]);
        let mut client = Client::open(request(&url, Some(RELIABLE))).await;
        let connected: Value = serde_json::from_str(&client.text().await).expect("JSON");
        let text = |name: &str| connected[name].as_str().expect("a string").to_owned();
        Self {
            world,
            lost: text("connectionId"),
            reconnection: text("reconnectionToken"),
        }
    }

    /// The token that opens a door.
    fn key_of(&self, door: Door) -> String {
        match door {
            Door::Query | Door::Header => {
                let options = ClientTokenOptions::default().user_id("ana");
                self.client_token(HUB, &options)
            }
            Door::Rest => self.world.token_for(TARGET),
            Door::Recovery => self.reconnection.clone(),
        }
    }

    fn client_token(&self, hub: &str, options: &ClientTokenOptions) -> String {
        let endpoint = self.world.url("/").parse().expect("a URL");
        let (key, now) = (&self.world.key, self.world.started);
        let signed = sign_client_token(&endpoint, hub, key, options, now);
        signed.token().as_str().to_owned()
    }

    /// Whether a token opens a door. Each refusal must be the one of its door.
    async fn opens(&self, door: Door, token: &str) -> bool {
        match door {
            Door::Query => self.upgrades(&format!("?access_token={token}"), None).await,
            Door::Header => self.upgrades("", Some(token)).await,
            Door::Rest => match self.world.call("DELETE", TARGET).token(token).send().await {
                reply if reply.status == 204 => true,
                reply => {
                    assert_eq!(reply.status, 401);
                    false
                }
            },
            Door::Recovery => self.recovers(HUB, &self.lost, token).await,
        }
    }

    async fn upgrades(&self, query: &str, bearer: Option<&str>) -> bool {
        let url = format!("ws://{}/client/hubs/{HUB}{query}", self.world.address);
        let mut upgrade = request(&url, None);
        if let Some(token) = bearer {
            let header = format!("Bearer {token}").parse().expect("a header");
            upgrade.headers_mut().insert("authorization", header);
        }
        match tokio_tungstenite::connect_async(upgrade.clone()).await {
            Ok(_) => true,
            Err(_) => {
                assert_eq!(refusal(upgrade).await, (401, String::new()));
                false
            }
        }
    }

    async fn recovers(&self, hub: &str, id: &str, token: &str) -> bool {
        // With a good access token beside it: that one must not help.
        let access = self.key_of(Door::Query);
        let url = format!(
            "ws://{}/client/hubs/{hub}?access_token={access}&awps_connection_id={id}&awps_reconnection_token={token}",
            self.world.address
        );
        let mut client = Client::open(request(&url, Some(RELIABLE))).await;
        match client.next().await {
            tokio_tungstenite::tungstenite::Message::Text(_) => true,
            tokio_tungstenite::tungstenite::Message::Close(Some(close)) => {
                assert_eq!(
                    (u16::from(close.code), close.reason.as_str()),
                    (1008, REFUSED)
                );
                false
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn each_kind_opens_its_own_doors_and_no_other() {
    let house = House::open().await;
    for shown in DOORS {
        let token = house.key_of(shown);
        for door in DOORS {
            let same = |door| matches!(door, Door::Query | Door::Header);
            let expected = shown == door || same(shown) && same(door);
            let opened = house.opens(door, &token).await;
            assert_eq!(opened, expected, "the token of {shown:?} at {door:?}");
        }
    }
}

#[tokio::test]
async fn a_token_that_was_changed_in_any_way_opens_nothing() {
    // req: S-7.2-11
    let house = House::open().await;
    let now = unix(house.world.started);
    for door in DOORS {
        let good = house.key_of(door);
        let body = claims(&good);
        let hs256 = json!({"alg": "HS256", "typ": "JWT"});
        let sign = |header: Value, body: &Value| jwt(&header, body, WELL_KNOWN_KEY);
        let with = |name: &str, value: Value| {
            let mut changed = body.clone();
            changed[name] = value;
            sign(hs256.clone(), &changed)
        };
        let without = |name: &str| {
            let mut changed = body.clone();
            changed.as_object_mut().expect("claims").remove(name);
            sign(hs256.clone(), &changed)
        };
        let unsigned = |token: &str| format!("{}.", token.rsplit_once('.').expect("a JWT").0);
        let other_body = with("sub", json!("eve"));
        let other_body = other_body.split('.').nth(1).expect("a body");
        let (head, tail) = (good.split('.').next(), good.rsplit('.').next());
        let swapped = [
            head.expect("a head"),
            other_body,
            tail.expect("a signature"),
        ]
        .join(".");
        for (name, token) in [
            ("expired", with("exp", json!(now - 301))),
            ("not valid yet", with("nbf", json!(now + 3600))),
            ("without end", without("exp")),
            ("without audience", without("aud")),
            ("with no audience", with("aud", json!([]))),
            (
                "for somebody else",
                with("aud", json!("http://elsewhere/client/hubs/chat")),
            ),
            (
                "of another key",
                jwt(&hs256, &body, "another key that is long enough to be one"),
            ),
            ("of an empty key", jwt(&hs256, &body, "")),
            ("with another body", swapped),
            ("unsigned", unsigned(&good)),
            (
                "alg none, unsigned",
                unsigned(&sign(json!({"alg": "none"}), &body)),
            ),
            ("alg none, signed", sign(json!({"alg": "none"}), &body)),
            (
                "alg None, unsigned",
                unsigned(&sign(json!({"alg": "None"}), &body)),
            ),
            (
                "alg HS384, signed with HS256",
                sign(json!({"alg": "HS384"}), &body),
            ),
            (
                "alg HS384, signed so",
                jwt_with(
                    hmac::HMAC_SHA384,
                    &json!({"alg": "HS384"}),
                    &body,
                    WELL_KNOWN_KEY,
                ),
            ),
            (
                "alg HS256, signed with HS384",
                jwt_with(hmac::HMAC_SHA384, &hs256, &body, WELL_KNOWN_KEY),
            ),
            ("alg RS256", sign(json!({"alg": "RS256"}), &body)),
            ("no alg", sign(json!({"typ": "JWT"}), &body)),
            (
                "a critical header",
                sign(json!({"alg": "HS256", "crit": ["exp"]}), &body),
            ),
            ("cut short", good[..good.len() - 1].to_owned()),
            ("with a fourth part", format!("{good}.e30")),
            ("nothing", String::new()),
        ] {
            assert!(!house.opens(door, &token).await, "{name} at {door:?}");
        }
        assert!(house.opens(door, &good).await, "the good one at {door:?}");
    }
}

#[tokio::test]
async fn a_token_opens_one_hub_one_path_one_connection() {
    let house = House::open().await;
    let options = ClientTokenOptions::default();
    let news = house.client_token("news", &options);
    let mqtt = house.client_token(HUB, &options.clone().protocol(ClientProtocol::Mqtt));
    for token in [news, mqtt] {
        assert!(!house.opens(Door::Query, &token).await);
        assert!(!house.opens(Door::Header, &token).await);
    }
    for target in [
        "/api/hubs/news/users/ana/groups/room",
        "/api/hubs/chat/users/bob",
    ] {
        let token = house.world.token_for(target);
        assert!(!house.opens(Door::Rest, &token).await, "{target}");
    }
    let other = sign_reconnection_token("other", "jti", &house.world.key, house.world.started);
    assert!(!house.opens(Door::Recovery, other.as_str()).await);
    let mine = house.reconnection.as_str();
    assert!(!house.recovers("news", &house.lost, mine).await);
    assert!(!house.recovers(HUB, "other", mine).await);
    // A token for exactly the connection's name as a hub is of another kind all the same.
    let named = house.client_token(&format!("h{}", house.lost), &options);
    assert!(!house.opens(Door::Recovery, &named).await);
    assert!(
        house.opens(Door::Recovery, mine).await,
        "no attempt did harm"
    );
}

#[tokio::test]
async fn reconnection_tokens_last_seven_days_to_the_second() {
    // req: S-7.2-11
    let house = House::open().await;
    let body = claims(&house.reconnection);
    assert_eq!(
        body["exp"].as_u64(),
        body["nbf"].as_u64().map(|at| at + 7 * 24 * 3600)
    );
    let age = |seconds: u64| {
        let mut old = body.clone();
        old["exp"] = json!(unix(house.world.started) - seconds);
        jwt(&json!({"alg": "HS256"}), &old, WELL_KNOWN_KEY)
    };
    assert!(
        !house.opens(Door::Recovery, &age(2)).await,
        "no skew is forgiven"
    );
}
