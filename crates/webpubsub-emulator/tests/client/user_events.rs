//! Events, invocations and messages of simple clients, answered by a handler in code.

use std::sync::Arc;

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};
use tokio_tungstenite::tungstenite::Message;
use webpubsub_emulator::{
    Direction, Emulator, TrafficEvent, UserEvent, UserEventFailed, UserEventReply,
};
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::payload::Payload;

use super::{Client, JSON, RELIABLE, TEST_TIMEOUT, emulator, json_client, request};

type Outcome = Result<UserEventReply, UserEventFailed>;

/// A handler whose answers the test chooses by the name of the event.
async fn answer(event: UserEvent) -> Outcome {
    match event.event_name.as_str() {
        "echo" => Ok(UserEventReply::new(event.payload).metadata(event.metadata)),
        "hub" => Ok(UserEventReply::text(event.hub.as_str())),
        "metadata" => Ok(UserEventReply::none().metadata(event.metadata)),
        "silent" => Ok(UserEventReply::none()),
        "message" if event.payload == Payload::text("fail") => Err(UserEventFailed::new("told to")),
        "message" if event.payload == Payload::text("silent") => Ok(UserEventReply::none()),
        "message" => Ok(UserEventReply::new(event.payload)),
        "panic" => panic!("told to"),
        other => Err(UserEventFailed::new(format!("no such event: {other}"))),
    }
}

async fn answering() -> Emulator {
    let builder = Emulator::builder().on_user_event(answer);
    builder.start().await.expect("a free port")
}

/// Calls that answer when told, and say when they begin and how they end.
struct Calls {
    emulator: Emulator,
    progress: mpsc::UnboundedReceiver<Progress>,
    permits: Arc<Semaphore>,
}

#[derive(Debug, PartialEq, Eq)]
enum Progress {
    Begun(UserEvent),
    Answered,
    Dropped,
}

/// Tells how a call ended, whatever ended it.
struct Ending {
    progress: mpsc::UnboundedSender<Progress>,
    answered: bool,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let progress = if self.answered {
            Progress::Answered
        } else {
            Progress::Dropped
        };
        // Nobody listens after the test.
        let _ = self.progress.send(progress);
    }
}

impl Calls {
    async fn start() -> Self {
        let (sender, progress) = mpsc::unbounded_channel();
        let permits = Arc::new(Semaphore::new(0));
        let gate = Arc::clone(&permits);
        let builder = Emulator::builder().on_user_event(move |event| {
            let gate = Arc::clone(&gate);
            let ending = Ending {
                progress: sender.clone(),
                answered: false,
            };
            // Fails only after the test.
            let _ = sender.send(Progress::Begun(event));
            async move {
                // The whole of it, not only the field that is set.
                let mut ending = ending;
                gate.acquire().await?.forget();
                ending.answered = true;
                Ok(UserEventReply::none())
            }
        });
        Self {
            emulator: builder.start().await.expect("a free port"),
            progress,
            permits,
        }
    }

    async fn progress(&mut self) -> Progress {
        let next = tokio::time::timeout(TEST_TIMEOUT, self.progress.recv()).await;
        next.expect("in time").expect("the handler lives")
    }

    async fn begun(&mut self) -> UserEvent {
        match self.progress().await {
            Progress::Begun(event) => event,
            other => panic!("not the begin of a call: {other:?}"),
        }
    }

    fn answer_one(&self) {
        self.permits.add_permits(1);
    }
}

impl Client {
    async fn json(&mut self) -> Value {
        serde_json::from_str(&self.text().await).expect("JSON")
    }
}

#[tokio::test]
async fn a_handler_is_told_everything_about_an_event() {
    // req: S-6-12
    let mut calls = Calls::start().await;
    let url = calls.emulator.client_access_url("Chat", "zoë", &[]);
    let mut client = Client::open(request(&url, Some(JSON))).await;
    let connected = client.json().await;
    client
        .say(r#"{"type":"event","event":"first","ackId":1,"dataType":"binary","data":"AQI=","metadata":{"a":"b"}}"#)
        .await;
    let event = calls.begun().await;
    assert_eq!(event.hub.as_str(), "chat");
    assert_eq!(event.connection_id.as_str(), connected["connectionId"]);
    assert_eq!(event.user_id.expect("a user").as_str(), "zoë");
    assert_eq!(event.event_name.as_str(), "first");
    assert_eq!(event.event_id, 2, "connected was the first");
    assert_eq!(event.payload, Payload::binary(&[1, 2][..]));
    assert_eq!(
        event.metadata,
        Metadata::new([("a", "b")]).expect("metadata")
    );
    calls.answer_one();
    assert_eq!(calls.progress().await, Progress::Answered);
    assert_eq!(
        client.json().await,
        json!({"type": "ack", "ackId": 1, "success": true})
    );

    let url = calls.emulator.client_access_url("news", None, &[]);
    let mut anonymous = Client::open(request(&url, None)).await;
    anonymous.say("as it is").await;
    let event = calls.begun().await;
    assert_eq!((event.hub.as_str(), event.user_id), ("news", None));
    assert_eq!(event.event_name.as_str(), "message");
    assert_eq!(event.payload, Payload::text("as it is"));
}

#[tokio::test]
async fn the_answer_comes_before_the_ack() {
    // req: S-6-9
    let emulator = answering().await;
    let mut client = json_client(&emulator, "u").await;
    let echo = r#"{"type":"event","event":"echo","ackId":1,"dataType":"json","data":{"n":[1]},"metadata":{"k":"v"}}"#;
    client.say(echo).await;
    assert_eq!(
        client.json().await,
        json!({"type": "message", "from": "server", "dataType": "json", "data": {"n": [1]}, "metadata": {"k": "v"}})
    );
    let ack = json!({"type": "ack", "ackId": 1, "success": true});
    assert_eq!(client.json().await, ack);

    client.say(echo).await;
    let duplicate = client.json().await;
    assert_eq!(duplicate["error"]["name"], "Duplicate", "{duplicate}");

    client
        .say(r#"{"type":"event","event":"silent","ackId":2,"data":1}"#)
        .await;
    assert_eq!(client.json().await["ackId"], 2);

    client
        .say(r#"{"type":"event","event":"metadata","ackId":3,"data":1,"metadata":{"k":"v"}}"#)
        .await;
    assert_eq!(
        client.json().await,
        json!({"type": "message", "from": "server", "dataType": "text", "data": "", "metadata": {"k": "v"}})
    );
    assert_eq!(client.json().await["ackId"], 3);
}

#[tokio::test]
async fn an_answer_to_a_reliable_client_is_numbered() {
    let emulator = answering().await;
    let url = emulator.client_access_url("chat", "u", &[]);
    let mut client = Client::open(request(&url, Some(RELIABLE))).await;
    client.text().await;
    client
        .say(r#"{"type":"event","event":"hub","ackId":1,"data":1}"#)
        .await;
    assert_eq!(
        client.json().await,
        json!({"sequenceId": 1, "type": "message", "from": "server", "dataType": "text", "data": "chat"})
    );
    assert_eq!(client.json().await["ackId"], 1);
}

#[tokio::test]
async fn a_failure_is_an_error_without_its_cause_and_the_next_event_is_answered() {
    // req: S-6-8, S-6-6
    let emulator = answering().await;
    let mut client = json_client(&emulator, "u").await;
    for event in ["unknown", "panic"] {
        client
            .say(&format!(
                r#"{{"type":"event","event":"{event}","ackId":1,"data":1}}"#
            ))
            .await;
        assert_eq!(
            client.json().await,
            json!({"type": "ack", "ackId": 1, "success": false, "error": {
                "name": "InternalServerError", "message": "Internal server error"
            }})
        );
    }
    client
        .say(r#"{"type":"event","event":"silent","ackId":1,"data":1}"#)
        .await;
    assert_eq!(client.json().await["success"], true);
}

#[tokio::test]
async fn invocations_are_answered_once() {
    // req: S-10-1, S-10-2, S-10-4, S-10-5, S-10-7
    let emulator = answering().await;
    let mut client = json_client(&emulator, "u").await;
    let invoke = |id: &str, event: &str| {
        format!(
            r#"{{"type":"invoke","invocationId":"{id}","target":"event","event":"{event}","dataType":"text","data":"q","metadata":{{"k":"v"}}}}"#
        )
    };
    client.say(&invoke("1", "echo")).await;
    assert_eq!(
        client.json().await,
        json!({"type": "invokeResponse", "invocationId": "1", "success": true, "dataType": "text", "data": "q", "metadata": {"k": "v"}})
    );
    client.say(&invoke("2", "silent")).await;
    assert_eq!(
        client.json().await,
        json!({"type": "invokeResponse", "invocationId": "2", "success": true})
    );
    for event in ["unknown", "panic"] {
        client.say(&invoke("3", event)).await;
        assert_eq!(
            client.json().await,
            json!({"type": "invokeResponse", "invocationId": "3", "success": false, "error": {
                "name": "InternalServerError", "message": "Internal server error"
            }})
        );
    }
}

#[tokio::test]
async fn a_cancelled_invocation_drops_its_call() {
    // req: S-10-3
    let mut calls = Calls::start().await;
    let mut client = json_client(&calls.emulator, "u").await;
    client
        .say(r#"{"type":"invoke","invocationId":"1","target":"event","event":"e"}"#)
        .await;
    assert_eq!(calls.begun().await.payload, Payload::text(""));
    client
        .say(r#"{"type":"cancelInvocation","invocationId":"1"}"#)
        .await;
    assert_eq!(calls.progress().await, Progress::Dropped);
    client.say(r#"{"type":"ping"}"#).await;
    assert_eq!(client.json().await, json!({"type": "pong"}));
}

#[tokio::test]
async fn the_end_of_a_connection_drops_its_call() {
    // req: S-6-14
    let mut calls = Calls::start().await;
    for subprotocol in [None, Some(JSON)] {
        let url = calls.emulator.client_access_url("chat", "u", &[]);
        let mut client = Client::open(request(&url, subprotocol)).await;
        client.say(r#"{"type":"event","event":"e","data":1}"#).await;
        calls.begun().await;
        drop(client);
        assert_eq!(calls.progress().await, Progress::Dropped);
    }
}

#[tokio::test]
async fn a_stopping_emulator_drops_its_calls() {
    let mut calls = Calls::start().await;
    let mut client = json_client(&calls.emulator, "u").await;
    client.say(r#"{"type":"event","event":"e","data":1}"#).await;
    calls.begun().await;
    let Calls {
        emulator,
        mut progress,
        ..
    } = calls;
    let closing = async move {
        assert_eq!(client.json().await["event"], "disconnected");
        client.closed().await;
    };
    tokio::join!(emulator.shutdown(), closing);
    assert_eq!(progress.recv().await, Some(Progress::Dropped));
}

#[tokio::test]
async fn simple_clients_are_answered_with_bare_frames() {
    let emulator = answering().await;
    let url = emulator.client_access_url("chat", "u", &[]);
    let mut client = Client::open(request(&url, None)).await;
    client.say("silent").await;
    client.say("text").await;
    assert_eq!(client.text().await, "text");
    client.send(Message::binary(vec![0, 255])).await;
    assert_eq!(client.next().await, Message::binary(vec![0, 255]));
    client.say("fail").await;
    assert_eq!(
        client.closed().await,
        (1011, "Internal server error".to_owned())
    );
}

#[tokio::test]
async fn without_a_handler_a_simple_client_is_closed() {
    let emulator = emulator().await;
    let url = emulator.client_access_url("chat", "u", &[]);
    let mut client = Client::open(request(&url, None)).await;
    client.say("anybody?").await;
    assert_eq!(
        client.closed().await,
        (1011, "Internal server error".to_owned())
    );
}

#[tokio::test]
async fn a_connection_has_one_call_under_way_and_pings_pass() {
    // req: S-6-12, S-6-13
    let mut calls = Calls::start().await;
    let mut client = json_client(&calls.emulator, "u").await;
    let mut other = json_client(&calls.emulator, "v").await;
    for id in 1..=2 {
        client
            .say(&format!(
                r#"{{"type":"event","event":"e","ackId":{id},"data":1}}"#
            ))
            .await;
    }
    client.say(r#"{"type":"ping"}"#).await;
    assert_eq!(client.json().await, json!({"type": "pong"}));
    assert_eq!(calls.begun().await.event_id, 2);

    // The second event was read before the ping; had it been handed on, it would come before this one.
    other
        .say(r#"{"type":"event","event":"other","data":1}"#)
        .await;
    assert_eq!(calls.begun().await.event_name.as_str(), "other");

    calls.answer_one();
    assert_eq!(calls.progress().await, Progress::Answered);
    assert_eq!(client.json().await["ackId"], 1);
    assert_eq!(calls.begun().await.event_id, 3);
}

#[tokio::test]
async fn frames_that_wait_for_a_call_are_bounded() {
    const SENT: u64 = 200;
    const WAITING: u64 = 64;
    let mut calls = Calls::start().await;
    let mut client = json_client(&calls.emulator, "u").await;
    let mut traffic = calls.emulator.traffic();
    let sending = tokio::spawn(async move {
        for _ in 0..SENT {
            client.say(r#"{"type":"event","event":"e","data":1}"#).await;
        }
        client
    });
    let mut read = 0;
    for handled in 1..=SENT {
        assert_eq!(calls.begun().await.event_id, handled + 1);
        let most = SENT.min(handled + WAITING);
        while read < most {
            let entry = traffic.next().await.expect("no frame is missed");
            if matches!(
                entry.event,
                TrafficEvent::Frame {
                    direction: Direction::In,
                    ..
                }
            ) {
                read += 1;
            }
        }
        assert_eq!(calls.emulator.counts().frames_in, most);
        calls.answer_one();
        assert_eq!(calls.progress().await, Progress::Answered);
    }
    sending.await.expect("all sent");
}
