//! Streams over a failing network.

use webpubsub_client::{Subprotocol, payload::Json};

use crate::proxy::Weather;
use crate::world::World;

const FRAGMENTS: u32 = 400;

async fn complete(protocol: Subprotocol) {
    let world = World::new().await;
    let (writer, _writer_events) = world.client("ana", protocol).await;
    let (reader, _reader_events) = world.client("bob", protocol).await;
    reader.join_group("room").await.expect("joined");
    let mut streams = reader.group_streams().from_start().subscribe();
    let mut stream = writer.open_group_stream("room").await.expect("opened");
    let writing = async {
        for n in 0..FRAGMENTS {
            stream.write(Json(n)).await.expect("written");
        }
        stream
            .end()
            .await
            .expect("everything arrived at the service");
    };
    let reading = async {
        let mut stream = streams.next().await.expect("a stream");
        for expected in 0..FRAGMENTS {
            let fragment = stream.next().await.expect("not the end").expect("no gap");
            assert_eq!(fragment.payload.as_bytes(), expected.to_string().as_bytes());
            match expected {
                50 | 200 | 300 => world.proxy.kill(),
                120 => {
                    let again = world.proxy.accepts(1);
                    world.proxy.set(Weather::Stalled);
                    let proxy = world.proxy.clone();
                    tokio::spawn(async move {
                        again.await;
                        proxy.set(Weather::Fair);
                        proxy.kill();
                    });
                }
                _ => {}
            }
        }
        assert!(stream.next().await.is_none(), "complete");
    };
    tokio::join!(writing, reading);
}

#[tokio::test]
async fn a_json_stream_is_complete() {
    complete(Subprotocol::ReliableJson).await;
}

#[tokio::test]
async fn a_protobuf_stream_is_complete() {
    complete(Subprotocol::ReliableProtobuf).await;
}

#[tokio::test]
async fn a_stream_on_a_plain_subprotocol_fails_with_its_connection() {
    let world = World::new().await;
    let (client, _events) = world.client("ana", Subprotocol::Json).await;
    let mut stream = client.open_group_stream("room").await.expect("opened");
    stream.write("one").await.expect("written");
    world.proxy.kill();
    assert_eq!(stream.failed().await.name, "ConnectionLost");
    let error = stream.write("two").await.expect_err("it is over");
    assert_eq!(error.name(), Some("ConnectionLost"));
}
