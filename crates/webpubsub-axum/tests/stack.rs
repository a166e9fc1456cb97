//! The whole way: a client, the service, the handler, and back.

use axum::extract::State;
use http::StatusCode;
use tokio::sync::mpsc::{self, UnboundedSender};
use webpubsub_axum::{
    ConnectRequest, ConnectResponse, ConnectedRequest, DisconnectedRequest, GroupJoinedRequest,
    GroupLeftRequest, UserEventRequest, UserEventResponse, WebPubSubEventHandler,
};
use webpubsub_client::WebPubSubClient;
use webpubsub_emulator::{Emulator, EventHandler, HubOptions, SystemEvent};

const KEY: &str = "a key of this test, which is long enough";

/// Greets by the name that a client gave when it connected, and reports what happens.
fn greeter(log: UnboundedSender<String>) -> WebPubSubEventHandler {
    type Log = State<UnboundedSender<String>>;

    fn report(log: &UnboundedSender<String>, entry: String) {
        log.send(entry).expect("the test listens");
    }

    WebPubSubEventHandler::builder("chat")
        .access_key(KEY)
        .on_connect(|client: ConnectRequest| async move {
            match client.query("name") {
                Some(name) => ConnectResponse::accept()
                    .user_id(name)
                    .roles(["webpubsub.joinLeaveGroup"])
                    .state("name", name),
                None => ConnectResponse::fail(StatusCode::UNAUTHORIZED, "no name"),
            }
        })
        .on_user_event("greet", |event: UserEventRequest<String>| async move {
            let name: String = event
                .context
                .states()
                .get("name")
                .ok()
                .flatten()
                .unwrap_or_default();
            let seen: u32 = event
                .context
                .states()
                .get("seen")
                .ok()
                .flatten()
                .unwrap_or_default();
            UserEventResponse::success(format!("{}, {name} ({seen})", event.data))
                .state("seen", &(seen + 1))
        })
        .on_any_user_event(|event: UserEventRequest| async {
            UserEventResponse::success(event.data)
        })
        .on_connected(|event: ConnectedRequest, State(log): Log| async move {
            report(&log, format!("connected {:?}", event.context.user_id()));
        })
        .on_disconnected(|event: DisconnectedRequest, State(log): Log| async move {
            report(&log, format!("disconnected {:?}", event.context.user_id()));
        })
        .on_group_joined(|event: GroupJoinedRequest, State(log): Log| async move {
            report(&log, format!("joined {}", event.group));
        })
        .on_group_left(|event: GroupLeftRequest, State(log): Log| async move {
            report(&log, format!("left {}", event.group));
        })
        .with_state(log)
        .build()
        .expect("the configuration is right")
}

/// The emulator with this handler.
async fn emulator(handler: EventHandler) -> Emulator {
    let events = [
        SystemEvent::Connect,
        SystemEvent::Connected,
        SystemEvent::Disconnected,
        SystemEvent::GroupJoined,
        SystemEvent::GroupLeft,
    ];
    let options = HubOptions::new().event_handler(handler.system_events(events));
    let emulator = Emulator::builder()
        .access_key(KEY)
        .hub("chat", options)
        .start();
    emulator.await.expect("the emulator starts")
}

/// What clients see, however the handler is reached.
async fn conversation(emulator: &Emulator, mut log: mpsc::UnboundedReceiver<String>) {
    let url = emulator.client_access_url("chat", "somebody", &[]);
    assert!(
        WebPubSubClient::connect(url.clone()).await.is_err(),
        "no name"
    );

    let client = WebPubSubClient::connect(format!("{url}&name=ana"))
        .await
        .expect("accepted");
    assert_eq!(client.user_id().as_deref(), Some("ana"));
    assert_eq!(log.recv().await.as_deref(), Some("connected Some(\"ana\")"));
    for seen in 0..3 {
        let answer = client
            .invoke_event("greet", "hello")
            .await
            .expect("answered");
        assert_eq!(answer.text(), Some(format!("hello, ana ({seen})").as_str()));
    }
    let echo = client
        .invoke_event("other", vec![1, 2])
        .await
        .expect("answered");
    assert_eq!(
        echo.payload.as_ref().map(|payload| payload.as_bytes()),
        Some(&[1, 2][..])
    );

    client.join_group("g").await.expect("allowed");
    assert_eq!(log.recv().await.as_deref(), Some("joined g"));
    client.stop().await;
    // Two requests, which may overtake each other.
    let mut last = [log.recv().await, log.recv().await];
    last.sort();
    let expected = ["disconnected Some(\"ana\")", "left g"].map(|entry| Some(entry.to_owned()));
    assert_eq!(last, expected);
}

#[tokio::test]
async fn a_handler_in_the_same_process_serves_clients() {
    let (send, log) = mpsc::unbounded_channel();
    let emulator = emulator(EventHandler::service(greeter(send))).await;
    conversation(&emulator, log).await;
}

#[tokio::test]
async fn a_handler_on_a_socket_serves_clients() {
    let (send, log) = mpsc::unbounded_channel();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = greeter(send).into_router();
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let template = format!("http://{address}/api/webpubsub/hubs/{{hub}}/{{event}}");
    let emulator = emulator(EventHandler::url(&template).unwrap()).await;
    conversation(&emulator, log).await;
    server.abort();
}
