//! The clock over the API.

use serde_json::json;
use webpubsub_emulator::Emulator;
use webpubsub_protocol::access::ClientTokenOptions;

use super::Admin;
use crate::support::World;

const RELIABLE: &str = "json.reliable.webpubsub.azure.v1";

#[tokio::test]
async fn what_is_due_happens_when_the_clock_is_moved() {
    let admin = Admin::start().await;
    let world = &admin.world;
    let before = admin.get("clock").await;
    assert_eq!(
        (&before["advancedSeconds"], &before["manual"]),
        (&json!(0.0), &json!(true))
    );
    let url = world.emulator.client_access_url("chat", "ana", &[]);
    let mut ana = world
        .connect("chat", ClientTokenOptions::default(), Some(RELIABLE))
        .await;
    ana.json().await;
    drop(ana);
    // The 30 s of the recovery window: lost, but not forgotten before they are over.
    let after = admin
        .document("POST", "clock/advance", r#"{"seconds": 29.5}"#)
        .await;
    assert_eq!(after["advancedSeconds"], 29.5);
    assert_eq!(world.emulator.state().connections("chat"), 1);
    let gone = world
        .emulator
        .wait_until(|state| state.connections("chat") == 0);
    let mut gone = Box::pin(gone);
    loop {
        // Its socket may be found lost only now, so the window may have begun after the first move.
        admin
            .document("POST", "clock/advance", r#"{"seconds": 1}"#)
            .await;
        if futures_util::poll!(gone.as_mut()).is_ready() {
            break;
        }
    }
    // The hour of the token, and the 5 minutes of tolerance.
    admin
        .document("POST", "clock/advance", r#"{"seconds": 3900}"#)
        .await;
    let refused = tokio_tungstenite::connect_async(url).await;
    assert!(refused.is_err(), "the token has expired");
}

#[tokio::test]
async fn a_clock_that_follows_the_machine_goes_on_from_where_it_is_moved_to() {
    let world = World::of(Emulator::builder().admin(true)).await;
    let admin = Admin { world };
    let clock = admin
        .document("POST", "clock/advance", r#"{"seconds": 0.25}"#)
        .await;
    assert_eq!(
        (&clock["advancedSeconds"], &clock["manual"]),
        (&json!(0.25), &json!(false))
    );
    let later = admin.get("clock").await;
    assert!(
        later["now"].as_str() >= clock["now"].as_str(),
        "{later} {clock}"
    );
}
