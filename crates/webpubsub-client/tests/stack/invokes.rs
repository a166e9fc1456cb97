//! Invocations over a failing network: answered or failed, never repeated.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use webpubsub_client::{SendError, Subprotocol, payload::Json};
use webpubsub_emulator::{UserEventFailed, UserEventReply};

use crate::world::World;

#[tokio::test]
async fn an_invocation_is_answered_or_fails_and_is_never_repeated() {
    let calls: Arc<Mutex<BTreeMap<u32, u32>>> = Arc::default();
    let seen = Arc::clone(&calls);
    let world = World::with(|builder| {
        builder.on_user_event(move |event| {
            let number: u32 = serde_json::from_slice(event.payload.as_bytes()).expect("a number");
            *seen.lock().entry(number).or_default() += 1;
            async move { UserEventReply::json(&(number * 2)).map_err(UserEventFailed::new) }
        })
    })
    .await;
    let (client, _events) = world.client("ana", Subprotocol::ReliableJson).await;
    let connection = client.connection_id();
    let mut lost = 0;
    for n in 0..300_u32 {
        // Every tenth is under way when the network breaks.
        let invoke = client.invoke_event("double", Json(n)).into_future();
        let kill = async {
            if n % 10 == 9 {
                world.proxy.kill();
            }
        };
        match tokio::join!(invoke, kill).0 {
            Ok(answer) => assert_eq!(answer.json::<u32>().expect("a number"), n * 2),
            Err(SendError::Lost(_)) => lost += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(client.connection_id(), connection, "the same connection");
    assert!(
        lost > 0,
        "no invocation was under way when the network broke"
    );
    let calls = calls.lock();
    assert!(calls.values().all(|count| *count == 1), "{calls:?}");
    assert!(calls.len() + lost >= 300);
}
