//! Neither tokens nor what applications say appear in a `Debug` text.

use std::future::IntoFuture as _;

use webpubsub_client::connector::Dial;
use webpubsub_client::{Event, WebPubSubClient, WebPubSubClientCredential};

use crate::fake::{URL, connected, service};

#[tokio::test(start_paused = true)]
async fn debug_shows_no_token() {
    let (connector, _service) = service();
    let builder = WebPubSubClient::builder(URL).connector(connector);
    let url = URL.parse().expect("a URL");
    let texts = [
        format!("{builder:?}"),
        format!("{:?}", WebPubSubClientCredential::url(URL)),
        format!("{:?}", Dial::new(url, "json.webpubsub.azure.v1", 1)),
    ];
    for text in texts {
        assert!(!text.contains("the-token"), "{text}");
    }
    let (client, events, mut service, socket) = connected(|builder| builder).await;
    socket.cut();
    let dialled = service.dialled().await;
    let text = format!("{client:?} {events:?} {:?}", dialled.dial);
    assert!(
        !text.contains("the-token") && !text.contains("t1"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn debug_shows_nothing_that_applications_say() {
    let (client, mut events, _service, mut socket) = connected(|builder| builder).await;
    let calls = format!(
        "{:?} {:?} {:?}",
        client
            .send_to_group("g", "s3cret")
            .metadata("key", "s3cret"),
        client.set_group_state("g", [("s3cret", "s3cret")]),
        client.invoke_event("e", "s3cret"),
    );
    let (subscribed, ()) = tokio::join!(client.subscribe_group_state("g").into_future(), async {
        socket.text().await;
        socket.say(r#"{"type":"ack","ackId":1,"success":true}"#);
    });
    subscribed.expect("subscribed");
    socket.say(r#"{"type":"message","from":"group","group":"g","dataType":"text","data":"s3cret","metadata":{"key":"s3cret"}}"#);
    socket.say(r#"{"type":"groupStateUpdate","group":"g","items":[{"connectionId":"c","state":{"s3cret":"s3cret"},"updatedAt":1}]}"#);
    let events = [events.next().await, events.next().await];
    assert!(matches!(
        events,
        [
            Some(Event::GroupMessage(_)),
            Some(Event::GroupStateChanged { .. })
        ]
    ));
    for text in [calls, format!("{events:?}")] {
        assert!(!text.contains("s3cret"), "{text}");
    }
}
