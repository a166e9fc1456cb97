//! The traffic log over the API: what is in it, what is not, and why something was refused.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use webpubsub_emulator::{Emulator, HubOptions};
use webpubsub_protocol::access::{AccessKey, ClientTokenOptions, sign_rest_token};

use super::{Admin, schema};
use crate::handlers::handler::{Handler, Reply};
use crate::support::World;

const TEST_TIMEOUT: Duration = Duration::from_secs(30);

impl Admin {
    /// The entries that a query selects.
    async fn traffic(&self, query: &str) -> Vec<Value> {
        let reply = self.call("GET", &format!("traffic?{query}"), "").await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(
            reply.header("content-type"),
            Some("application/x-ndjson; charset=utf-8")
        );
        let entries = reply.text().lines();
        let entries: Vec<Value> = entries
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        for entry in &entries {
            assert_eq!(
                schema::problems("Entry", entry),
                Vec::<String>::new(),
                "{entry:#}"
            );
        }
        entries
    }

    /// Follows the log. Returns once the answer has begun, from when on nothing is missed.
    async fn follow(&self, query: &str) -> Follower {
        let address = self.world.address;
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let request = format!(
            "GET /_emulator/traffic?follow&{query} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\r\n",
            self.token()
        );
        stream
            .write_all(request.as_bytes())
            .await
            .expect("it is sent");
        let (read, write) = stream.into_split();
        // Kept open: a client that closes its side has hung up.
        let mut follower = Follower {
            lines: BufReader::new(read).lines(),
            _write: write,
        };
        while !follower.line().await.expect("a head").is_empty() {}
        follower
    }
}

struct Follower {
    lines: Lines<BufReader<OwnedReadHalf>>,
    _write: tokio::net::tcp::OwnedWriteHalf,
}

impl Follower {
    async fn line(&mut self) -> Option<String> {
        let line = tokio::time::timeout(TEST_TIMEOUT, self.lines.next_line());
        line.await.expect("a line in time").expect("no error")
    }

    /// The next entry, out of the chunks of the answer.
    async fn entry(&mut self) -> Value {
        loop {
            let line = self.line().await.expect("it goes on");
            if line.starts_with('{') {
                let entry: Value = serde_json::from_str(&line).expect("JSON");
                assert_eq!(schema::problems("Entry", &entry), Vec::<String>::new());
                return entry;
            }
        }
    }
}

#[tokio::test]
async fn all_but_frames_is_kept_until_somebody_follows() {
    let admin = Admin::start().await;
    let mut ana = admin.world.user("chat", "ana", &[]).await;
    ana.send(r#"{"type":"ping"}"#).await;
    ana.json().await;
    let kinds = |entries: &[Value]| -> Vec<String> {
        let kinds = entries
            .iter()
            .map(|it| it["kind"].as_str().expect("a kind").to_owned());
        kinds.collect()
    };
    let kept = admin.traffic("").await;
    assert_eq!(kinds(&kept), ["opened", "request"]);
    assert_eq!(
        (&kept[0]["number"], &kept[1]["number"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(
        (&kept[0]["hub"], &kept[0]["userId"]),
        (&json!("chat"), &json!("ana"))
    );
    assert_eq!(
        (&kept[1]["path"], &kept[1]["status"]),
        (&json!("/client/hubs/chat"), &json!(101))
    );

    let mut follower = admin.follow("user=ana&limit=1").await;
    assert_eq!(
        follower.entry().await["kind"],
        "opened",
        "the last one that fits"
    );
    let _bob = admin.world.user("chat", "bob", &[]).await;
    ana.send(r#"{"type":"event","event":"e","data":"p\u00e9"}"#)
        .await;
    let frame = follower.entry().await;
    assert_eq!(
        (&frame["kind"], &frame["direction"], &frame["frame"]),
        (&json!("frame"), &json!("in"), &json!("event"))
    );
    assert!(
        frame["payload"]["text"]
            .as_str()
            .expect("a text")
            .contains("\"p\\u00e9\""),
        "{frame}"
    );
    assert!(
        !admin.traffic("kind=frame").await.is_empty(),
        "what was followed is kept"
    );
}

#[tokio::test]
async fn queries_choose_entries() {
    let admin = Admin::with(|builder| builder.traffic_frames(true)).await;
    let roles = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"];
    let options = roles
        .iter()
        .fold(ClientTokenOptions::default().user_id("ana"), |o, r| {
            o.role(*r)
        });
    let mut ana = admin.world.client("chat", options).await;
    let _bob = admin.world.user("news", "bob", &[]).await;
    ana.send(r#"{"type":"joinGroup","group":"g","ackId":1}"#)
        .await;
    ana.json().await;
    let all = admin.traffic("").await;
    assert!(all.is_sorted_by_key(|it| it["number"].as_u64()));
    let connection = format!("connection={}", ana.id);
    for (query, expected) in [
        ("hub=NEWS&kind=opened", 1),
        ("kind=opened", 2),
        ("kind=opened,request", 4),
        ("user=ana&kind=frame", 3),
        (&*connection, 4),
        ("group=g", 1),
        ("limit=2", 2),
        ("after=1&limit=1&kind=opened", 1),
    ] {
        assert_eq!(admin.traffic(query).await.len(), expected, "{query}");
    }
    let last = all.last().expect("entries")["number"]
        .as_u64()
        .expect("a number");
    assert_eq!(
        admin.traffic(&format!("after={last}")).await,
        Vec::<Value>::new()
    );
    let one = admin.get(&format!("traffic/{last}")).await;
    assert_eq!(&one, all.last().expect("entries"));
    assert_eq!(admin.call("GET", "traffic/999999", "").await.status, 404);
    let wrong = admin.call("GET", "traffic?kind=frames", "").await;
    assert!(
        wrong.message().contains("`frames` is none of request"),
        "{}",
        wrong.text()
    );
}

#[tokio::test]
async fn a_refused_join_names_the_roles_that_were_looked_at() {
    let admin = Admin::start().await;
    let options = ClientTokenOptions::default()
        .user_id("ana")
        .role("webpubsub.sendToGroup")
        .role("webpubsub.joinLeaveGroups.room-*");
    let mut ana = admin.world.client("chat", options).await;
    ana.send(r#"{"type":"joinGroup","group":"lobby","ackId":1}"#)
        .await;
    assert_eq!(ana.json().await["success"], false);
    let entries = admin.traffic("user=ana&kind=denied").await;
    assert_eq!(entries.len(), 1);
    let entry = &entries[0];
    assert_eq!(
        (&entry["connectionId"], &entry["group"], &entry["frame"]),
        (&json!(ana.id), &json!("lobby"), &json!("joinGroup"))
    );
    assert_eq!(
        entry["denied"],
        json!({
            "reason": "The client does not have permission to join group 'lobby'.",
            "needs": "webpubsub.joinLeaveGroup.lobby",
            "lookedAt": [
                {"role": "webpubsub.joinLeaveGroups.room-*", "because": "otherGroup"},
                {"role": "webpubsub.sendToGroup", "because": "otherAction"},
            ],
        })
    );
    ana.send(r#"{"type":"joinGroup","group":"room-1","ackId":2}"#)
        .await;
    assert_eq!(ana.json().await["success"], true);
    assert_eq!(
        admin.traffic("kind=denied").await.len(),
        1,
        "what is allowed is not explained"
    );
}

#[tokio::test]
async fn every_kind_of_frame_that_can_be_denied_is_explained() {
    let admin = Admin::start().await;
    let mut ana = admin.world.user("chat", "ana", &["g"]).await;
    for frame in [
        r#"{"type":"leaveGroup","group":"g","ackId":1}"#,
        r#"{"type":"sendToGroup","group":"g","data":1,"ackId":2}"#,
        r#"{"type":"setGroupState","group":"g","state":{},"ackId":3}"#,
        r#"{"type":"subscribeGroupState","group":"g","ackId":4}"#,
        r#"{"type":"sendToGroup","group":"g","stream":{"streamId":"s"}}"#,
    ] {
        ana.send(frame).await;
        ana.json().await;
    }
    let entries = admin.traffic("kind=denied").await;
    let needs: Vec<&str> = entries
        .iter()
        .filter_map(|it| it["denied"]["needs"].as_str())
        .collect();
    assert_eq!(
        needs,
        [
            "webpubsub.joinLeaveGroup.g",
            "webpubsub.sendToGroup.g",
            "webpubsub.setGroupState.g",
            "webpubsub.getGroupState.g",
            "webpubsub.sendToGroup.g",
        ]
    );
    assert!(
        entries
            .iter()
            .all(|it| it["denied"]["lookedAt"] == json!([]))
    );
}

#[tokio::test]
async fn a_filtered_send_says_who_matched_and_why_others_did_not() {
    let admin = Admin::start().await;
    let ana = admin.world.user("chat", "ana", &["a"]).await;
    let bob = admin.world.user("chat", "bob", &["a"]).await;
    let cyd = admin.world.user("chat", "ana", &["b"]).await;
    let out = admin.world.user("chat", "ana", &["a"]).await;
    let target = format!(
        "/api/hubs/chat/:send?filter=userId%20eq%20%27ana%27%20and%20%27a%27%20in%20groups&excluded={}",
        out.id
    );
    let sent = admin.world.call("POST", &target).text("hi").send().await;
    assert_eq!(sent.status, 202, "{}", sent.text());
    let entries = admin.traffic("kind=filtered&hub=chat").await;
    let filtered = &entries[0]["filtered"];
    assert_eq!(filtered["filter"], "userId eq 'ana' and 'a' in groups");
    assert_eq!(
        (&filtered["matched"], &filtered["leftOut"]),
        (&json!(1), &json!(3))
    );
    assert_eq!(filtered["matchedConnections"], json!([ana.id]));
    for (client, because) in [
        (&bob, "userId eq 'ana'"),
        (&cyd, "'a' in groups"),
        (&out, "excluded"),
    ] {
        let left_out = filtered["leftOutConnections"]
            .as_array()
            .expect("a list")
            .iter();
        let entry = left_out.clone().find(|it| it["connectionId"] == client.id);
        assert_eq!(entry.expect("it was left out")["because"], because);
    }
}

#[tokio::test]
async fn a_refused_token_says_which_check_failed_and_never_the_token() {
    let admin = Admin::start().await;
    let world = &admin.world;
    let send = "/api/hubs/chat/:send";
    let elsewhere = world.token(
        "http://elsewhere/api/hubs/chat/:send",
        Duration::from_secs(60),
    );
    let foreign = AccessKey::new("another key, which is long enough");
    let foreign = sign_rest_token(
        &world.url(send),
        &foreign,
        Duration::from_secs(60),
        world.started,
    )
    .into_string();
    world.call("POST", send).no_token().send().await;
    world
        .call("POST", send)
        .token(&elsewhere)
        .text("hi")
        .send()
        .await;
    world
        .call("POST", send)
        .token(&foreign)
        .text("hi")
        .send()
        .await;
    let url = world.emulator.client_access_url("chat", "ana", &[]);
    let elsewhere_url = url.replace("/hubs/chat?", "/hubs/news?");
    assert!(
        tokio_tungstenite::connect_async(&elsewhere_url)
            .await
            .is_err()
    );
    admin
        .document("POST", "clock/advance", r#"{"seconds": 7200}"#)
        .await;
    assert!(tokio_tungstenite::connect_async(&url).await.is_err());

    let host = world.address;
    let entries = admin.traffic("kind=request").await;
    let mismatches: Vec<&Value> = entries.iter().map(|it| &it["token"]).collect();
    assert_eq!(mismatches.len(), 5);
    assert_eq!(mismatches[0]["check"], "token");
    assert_eq!(
        *mismatches[1],
        json!({
            "check": "aud",
            "expected": format!("http://{host}{send}"),
            "found": "http://elsewhere/api/hubs/chat/:send",
        })
    );
    assert_eq!(mismatches[2]["check"], "signature");
    assert_eq!(
        (&mismatches[3]["check"], &mismatches[3]["found"]),
        (
            &json!("aud"),
            &json!(format!("http://{host}/client/hubs/chat"))
        )
    );
    assert!(
        mismatches[3]["expected"]
            .as_str()
            .expect("a text")
            .contains("/client/hubs/news")
    );
    assert_eq!(mismatches[4]["check"], "exp");
    assert!(
        entries
            .iter()
            .all(|it| it["status"] == 401 && it["reason"].is_string())
    );
    let shown = admin.call("GET", "traffic", "").await;
    let signature = |token: &str| token.rsplit('.').next().expect("a signature").to_owned();
    for token in [&elsewhere, &foreign, &url] {
        assert!(
            !shown.text().contains(&signature(token)),
            "{}",
            shown.text()
        );
    }
}

#[tokio::test]
async fn an_event_can_be_sent_again_and_payloads_can_be_left_out() {
    for payloads in [true, false] {
        let mut handler = Handler::new(|_| Reply::body("text/plain", "done"));
        let events = handler.in_process().system_events([]);
        let admin = Admin::with(|builder| {
            builder
                .traffic_payloads(payloads)
                .hub("chat", HubOptions::new().event_handler(events))
        })
        .await;
        let mut ana = admin.world.user("chat", "ana", &[]).await;
        ana.send(r#"{"type":"event","event":"order","dataType":"text","data":"two"}"#)
            .await;
        ana.json().await;
        let first = handler.event("order").await;
        let entries = admin.traffic("kind=event").await;
        let entry = &entries[0];
        assert_eq!(
            (
                &entry["event"],
                &entry["succeeded"],
                &entry["canResend"],
                &entry["userId"]
            ),
            (
                &json!("order"),
                &json!(true),
                &json!(payloads),
                &json!("ana")
            )
        );
        assert_eq!(entry["payload"]["text"].as_str(), payloads.then_some("two"));
        assert_eq!(entry["answer"]["text"].as_str(), payloads.then_some("done"));
        let path = format!("traffic/{}/resend", entry["number"]);
        if !payloads {
            assert_eq!(admin.call("POST", &path, "").await.status, 400);
            continue;
        }
        let resent = admin.document("POST", &path, "").await;
        assert_eq!(
            (
                &resent["status"],
                &resent["body"]["text"],
                &resent["failure"]
            ),
            (&json!(200), &json!("done"), &json!(null))
        );
        let again = handler.event("order").await;
        assert_eq!((again.id(), &again.body), (first.id(), &first.body));
        for header in [
            "ce-connectionid",
            "ce-hub",
            "ce-userid",
            "ce-signature",
            "content-type",
        ] {
            assert_eq!(again.header(header), first.header(header), "{header}");
        }
        let opened = admin.traffic("kind=opened").await;
        let path = format!("traffic/{}/resend", opened[0]["number"]);
        assert_eq!(admin.call("POST", &path, "").await.status, 400);
    }
}

#[tokio::test]
async fn whoever_follows_is_let_go_when_the_emulator_stops_and_frames_stop_when_nobody_follows() {
    let admin = Admin::start().await;
    let mut ana = admin.world.user("chat", "ana", &[]).await;
    let follower = admin.follow("").await;
    drop(follower);
    // Hanging up is noticed at once, but not by us.
    let frames = loop {
        let before = admin.traffic("kind=frame").await.len();
        ana.send(r#"{"type":"ping"}"#).await;
        ana.json().await;
        let after = admin.traffic("kind=frame").await.len();
        if before == after {
            break after;
        }
    };
    ana.send(r#"{"type":"ping"}"#).await;
    ana.json().await;
    assert_eq!(admin.traffic("kind=frame").await.len(), frames);

    let mut follower = admin.follow("").await;
    let Admin { world } = admin;
    let end = async { while follower.line().await.is_some() {} };
    let stop = tokio::time::timeout(TEST_TIMEOUT, world.emulator.shutdown());
    let ((), stopped) = tokio::join!(end, stop);
    stopped.expect("it waits for nobody");
}

#[tokio::test]
async fn a_test_waits_for_what_it_expects_and_is_shown_what_there_was() {
    let world = World::of(Emulator::builder()).await;
    assert!(world.emulator.traffic_log().is_empty());
    let mut traffic = world.emulator.traffic();
    let _ana = world.user("chat", "ana", &[]).await;
    let is = |kind: &'static str| {
        move |entry: &webpubsub_emulator::TrafficEntry| entry.event.kind() == kind
    };
    let opened = traffic
        .expect(TEST_TIMEOUT, is("opened"))
        .await
        .expect("it was");
    assert_eq!(
        opened.event.user_id().map(|user| user.as_str()),
        Some("ana")
    );
    // The log still has it, for those who come later.
    let found = world
        .emulator
        .expect(TEST_TIMEOUT, is("opened"))
        .await
        .expect("it was");
    assert_eq!(found.number, opened.number);
    let failed = world
        .emulator
        .expect(Duration::ZERO, is("ended"))
        .await
        .expect_err("nobody left");
    let shown = failed.to_string();
    assert!(
        shown.contains("what happened:\n") && shown.contains("opened"),
        "{shown}"
    );
}
