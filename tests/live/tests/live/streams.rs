//! Streams to groups.

use live::{Hub, SUBPROTOCOLS, with_hub, within};

#[test]
fn a_stream_arrives_in_order_on_every_subprotocol() {
    with_hub(async |hub: Hub| {
        for subprotocol in SUBPROTOCOLS {
            let ana = hub.client("ana", subprotocol).await;
            let ben = hub.client("ben", subprotocol).await;
            ben.client.join_group("room").await.expect("he joins");
            let mut streams = ben.client.group_streams().subscribe();
            let mut writer = ana
                .client
                .open_group_stream("room")
                .await
                .expect("it opens");
            for word in ["one", "two", "three"] {
                writer.write(word).await.expect("it is written");
            }
            writer.end().await.expect("the service has all of it");

            let mut stream = within("a stream", streams.next())
                .await
                .expect("one stream");
            let mut words = Vec::new();
            while let Some(fragment) = within("a fragment", stream.next()).await {
                let payload = fragment.expect("it ends well").payload;
                words.push(String::from_utf8(payload.as_bytes().to_vec()).expect("a text"));
            }
            assert_eq!(words, ["one", "two", "three"]);
            ana.client.stop().await;
            ben.client.stop().await;
        }
    });
}
