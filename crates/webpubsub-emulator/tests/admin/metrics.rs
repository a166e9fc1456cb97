//! What is measured.

use std::collections::BTreeMap;

use webpubsub_emulator::{HubOptions, Limit};
use webpubsub_protocol::access::ClientTokenOptions;

use super::Admin;
use crate::handlers::handler::{Handler, Reply};

impl Admin {
    /// The values by their names and labels.
    async fn metrics(&self) -> BTreeMap<String, f64> {
        let reply = self.call("GET", "metrics", "").await;
        assert_eq!(reply.status, 200);
        assert_eq!(
            reply.header("content-type"),
            Some("text/plain; version=0.0.4; charset=utf-8")
        );
        let lines = reply.text().lines().filter(|line| !line.starts_with('#'));
        let values = lines.map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            (name.to_owned(), value.parse().expect("a number"))
        });
        values.collect()
    }
}

#[tokio::test]
async fn hubs_handlers_and_rest_calls_are_measured() {
    let handler = Handler::new(|seen| match &*seen.body {
        b"\"good\"" => Reply::ok(),
        _ => Reply::status(404),
    });
    let events = handler.in_process().system_events([]);
    let admin =
        Admin::with(|builder| builder.hub("chat", HubOptions::new().event_handler(events))).await;
    let world = &admin.world;
    let mut ana = world.user("chat", "ana", &["room"]).await;
    let _simple = world
        .simple("chat", ClientTokenOptions::default().group("other"))
        .await;
    for (ack, data) in [(1, "good"), (2, "bad")] {
        let event = format!(r#"{{"type":"event","event":"e","ackId":{ack},"data":"{data}"}}"#);
        ana.send(&event).await;
        ana.json().await;
    }
    let send = "/api/hubs/chat/groups/room/:send";
    assert_eq!(world.call("POST", send).text("hi").send().await.status, 202);
    assert_eq!(
        world
            .call("POST", send)
            .no_token()
            .text("hi")
            .send()
            .await
            .status,
        401
    );
    ana.json().await;
    let metrics = admin.metrics().await;
    for (name, value) in [
        (
            r#"webpubsub_connections{hub="chat",protocol="json.webpubsub.azure.v1"}"#,
            1.0,
        ),
        (r#"webpubsub_connections{hub="chat",protocol="none"}"#, 1.0),
        (r#"webpubsub_users{hub="chat"}"#, 1.0),
        (r#"webpubsub_groups{hub="chat"}"#, 2.0),
        (r#"webpubsub_acks_total{hub="chat"}"#, 2.0),
        (r#"webpubsub_frames_total{hub="chat",direction="in"}"#, 2.0),
        // connected, two acks, a message.
        (r#"webpubsub_frames_total{hub="chat",direction="out"}"#, 4.0),
        (r#"webpubsub_slow_closes_total{hub="chat"}"#, 0.0),
        (r#"webpubsub_event_failures_total{hub="chat"}"#, 1.0),
        (r#"webpubsub_event_duration_seconds_count{hub="chat"}"#, 2.0),
        (
            r#"webpubsub_event_duration_seconds_bucket{hub="chat",le="+Inf"}"#,
            2.0,
        ),
        (
            r#"webpubsub_rest_requests_total{operation="WebPubSub_SendToGroup",status="202"}"#,
            1.0,
        ),
        (
            r#"webpubsub_rest_requests_total{operation="WebPubSub_SendToGroup",status="401"}"#,
            1.0,
        ),
    ] {
        assert_eq!(metrics.get(name), Some(&value), "{name} in {metrics:#?}");
    }
}

#[tokio::test]
async fn recoveries_and_what_is_not_acknowledged_are_measured() {
    let admin = Admin::with(|builder| builder.limit(Limit::SilenceLimit, 24 * 60 * 60)).await;
    let world = &admin.world;
    let options = ClientTokenOptions::default().user_id("ana");
    let reliable = "json.reliable.webpubsub.azure.v1";
    let mut ana = world.connect("chat", options, Some(reliable)).await;
    let connected = ana.json().await;
    assert_eq!(
        world
            .call("POST", "/api/hubs/chat/:send")
            .text("hi")
            .send()
            .await
            .status,
        202
    );
    ana.json().await;
    let unacknowledged = r#"webpubsub_replay_frames{hub="chat"}"#;
    let recoveries = r#"webpubsub_recoveries_total{hub="chat"}"#;
    let metrics = admin.metrics().await;
    assert_eq!((metrics[unacknowledged], metrics[recoveries]), (1.0, 0.0));
    let mut again = world.recover("chat", &connected).await;
    again.json().await;
    again.send(r#"{"type":"sequenceAck","sequenceId":1}"#).await;
    again.send(r#"{"type":"ping"}"#).await;
    while again.json().await["type"] != "pong" {}
    let metrics = admin.metrics().await;
    assert_eq!((metrics[unacknowledged], metrics[recoveries]), (0.0, 1.0));
}
