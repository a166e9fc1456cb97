//! Where URLs come from, and when they are asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use webpubsub_client::{
    ClientState, DialFailure, StartError, StopReason, WebPubSubClient, WebPubSubClientCredential,
};

use crate::fake::{connected_frame, service};

#[tokio::test(start_paused = true)]
async fn a_provider_is_asked_for_new_connections_and_after_401_only() {
    let asked = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&asked);
    let credential = WebPubSubClientCredential::provider(move || {
        let n = counter.fetch_add(1, Ordering::SeqCst) + 1;
        async move {
            Ok::<_, std::io::Error>(format!(
                "wss://service.test/client/hubs/chat?access_token={n}"
            ))
        }
    });
    let (connector, mut service) = service();
    let client = WebPubSubClient::builder(credential)
        .connector(connector)
        .build()
        .expect("a client");
    let (started, socket) = tokio::join!(client.start(), async {
        service.dialled().await.refuse_with(401);
        let dialled = service.dialled().await;
        assert_eq!(dialled.dial.url.query(), Some("access_token=2"));
        let socket = dialled.accept();
        socket.say(&connected_frame("c1", "t1"));
        socket
    });
    started.expect("started with the second URL");
    socket.cut();
    let dialled = service.dialled().await;
    assert!(
        dialled
            .dial
            .url
            .query()
            .expect("a query")
            .starts_with("access_token=2&awps_connection_id=c1")
    );
    assert_eq!(
        asked.load(Ordering::SeqCst),
        2,
        "a recovery asks for no URL"
    );
    dialled.accept().close(1008, "gone");
    let fresh = service.dialled().await;
    assert_eq!(fresh.dial.url.query(), Some("access_token=3"));
    fresh.refuse_with(401);
    service.dialled().await.refuse_with(401);
    client.wait_for(ClientState::Stopped).await;
    assert_eq!(asked.load(Ordering::SeqCst), 4);
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_fails_hangs_or_gives_nonsense_is_named() {
    let failing = WebPubSubClientCredential::provider(|| async { Err::<String, _>("no session") });
    let nonsense =
        WebPubSubClientCredential::url("https://service.test/client/hubs/chat?access_token=secret");
    let hanging =
        WebPubSubClientCredential::provider(std::future::pending::<Result<String, std::io::Error>>);
    for (credential, expected) in [
        (failing, "the credential failed: no session"),
        (nonsense, "ws://"),
        (hanging, "no connection within 5s"),
    ] {
        let (connector, _service) = service();
        let builder = WebPubSubClient::builder(credential).connector(connector);
        let client = builder
            .dial_timeout(Duration::from_secs(5))
            .build()
            .expect("a client");
        let Err(StartError::Stopped(StopReason::Refused(failure))) = client.start().await else {
            panic!("started");
        };
        let text = failure.to_string();
        assert!(
            text.contains(expected) && !text.contains("secret"),
            "{text}"
        );
        assert!(!matches!(failure, DialFailure::Refused { .. }));
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_panics_fails_its_dial_only() {
    let asked = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&asked);
    let credential = WebPubSubClientCredential::provider(move || {
        let n = counter.fetch_add(1, Ordering::SeqCst);
        assert!(n != 0, "the first time, before there is a future");
        async move {
            assert!(n != 1, "the second time, in the future");
            Ok::<_, std::io::Error>("wss://service.test/client/hubs/chat".to_owned())
        }
    });
    let (connector, mut service) = service();
    let client = WebPubSubClient::builder(credential)
        .connector(connector)
        .retry_initial_connect(true)
        .build()
        .expect("a client");
    let (started, _socket) = tokio::join!(client.start(), async {
        let socket = service.dialled().await.accept();
        socket.say(&connected_frame("c1", "t1"));
        socket
    });
    started.expect("the third time is well");
    assert_eq!(asked.load(Ordering::SeqCst), 3);

    let panicking = WebPubSubClientCredential::provider(|| async {
        panic!("always");
        #[expect(unreachable_code, reason = "gives the future its type")]
        Ok::<String, std::io::Error>(String::new())
    });
    let (connector, _service) = crate::fake::service();
    let client = WebPubSubClient::builder(panicking).connector(connector);
    let started = client.build().expect("a client").start().await;
    let Err(StartError::Stopped(StopReason::Refused(DialFailure::Credential(why)))) = started
    else {
        panic!("not refused: {started:?}");
    };
    assert_eq!(why, "its provider panicked");
}
