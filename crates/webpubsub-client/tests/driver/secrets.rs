//! Tokens appear in no `Debug` text.

use webpubsub_client::connector::Dial;
use webpubsub_client::{WebPubSubClient, WebPubSubClientCredential};

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
