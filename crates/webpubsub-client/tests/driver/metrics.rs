//! What a metrics system is told.

use std::sync::Arc;

use parking_lot::Mutex;
use webpubsub_client::{ClientState, Loss, Metrics};

use crate::fake::{connected, connected_frame, settle};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().push(what.into());
    }
}

impl Metrics for Log {
    fn frame_sent(&self, bytes: usize) {
        self.note(format!("sent {bytes}"));
    }
    fn frame_ignored(&self) {
        self.note("ignored");
    }
    fn state_changed(&self, state: ClientState) {
        self.note(format!("{state:?}"));
    }
    fn recovering(&self, _: &Loss) {
        self.note("recovering");
    }
    fn recovered(&self, replayed: u64) {
        self.note(format!("recovered {replayed}"));
    }
    fn disconnected(&self, _: &Loss) {
        self.note("disconnected");
    }
}

#[tokio::test(start_paused = true)]
async fn everything_is_counted_once() {
    let log = Log::default();
    let (client, _events, mut service, socket) =
        connected(|builder| builder.metrics(log.clone())).await;
    socket.say("nonsense");
    settle().await;
    socket.cut();
    let mut again = service.dialled().await.accept();
    assert_eq!(again.text().await, r#"{"type":"ping"}"#);
    again.say(&connected_frame("c1", "t2"));
    again.say(r#"{"sequenceId":1,"type":"message","from":"server","dataType":"text","data":"x"}"#);
    again.say(r#"{"type":"pong"}"#);
    client.wait_for(ClientState::Connected).await;
    settle().await;
    client.stop().await;
    let expected = [
        "Connecting",
        "Connected",
        "ignored",
        "recovering",
        "Recovering",
        "sent 15",
        "recovered 1",
        "Connected",
        "disconnected",
        "Stopped",
    ];
    assert_eq!(*log.0.lock(), expected);
}
