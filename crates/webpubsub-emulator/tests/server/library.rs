//! The emulator in a program.

use std::{error::Error as _, net::TcpListener, time::Duration};

use tokio_tungstenite::{connect_async, tungstenite::Error};
use webpubsub_emulator::{AccessKeyError, Emulator, KeyRole, StartError, WELL_KNOWN_KEY};
use webpubsub_protocol::access::{ClientTokenOptions, ConnectionString};

use crate::{
    server::health,
    support::{World, tokens},
};

const KEY: &str = "sEcReT0123456789sEcReT0123456789";

#[tokio::test]
async fn the_connection_string_names_the_port_and_the_key() {
    let emulator = Emulator::start().await.unwrap();
    let port = emulator.addresses()[0].port();
    let text = emulator.connection_string();
    assert_eq!(
        text,
        format!("Endpoint=http://127.0.0.1:{port};AccessKey={WELL_KNOWN_KEY};Version=1.0;")
    );
    assert!(text.parse::<ConnectionString>().is_ok());
    assert_eq!(emulator.endpoint(), format!("http://127.0.0.1:{port}"));
    let own = Emulator::builder()
        .access_key(KEY)
        .secondary_access_key(WELL_KNOWN_KEY);
    let own = own.start().await.unwrap();
    assert!(own.connection_string().contains(KEY));
}

#[tokio::test]
async fn localhost_is_served_in_both_families() {
    let emulator = Emulator::builder().host("localhost").start().await.unwrap();
    let port = emulator.addresses()[0].port();
    assert_eq!(emulator.endpoint(), format!("http://localhost:{port}"));
    for address in emulator.addresses() {
        let url = format!("http://{address}/api/health");
        let reply = reqwest::Client::new().head(&url).send().await.unwrap();
        assert_eq!(reply.status(), 200, "{url}");
    }
}

#[tokio::test]
async fn a_given_listener_is_served() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let emulator = Emulator::builder()
        .listener(listener)
        .start()
        .await
        .unwrap();
    assert_eq!(emulator.addresses(), [address]);
    assert_eq!(health(&emulator, "Host: localhost\r\n").await.status, 200);
    let public = TcpListener::bind("0.0.0.0:0").unwrap();
    let refused = Emulator::builder().listener(public).start().await;
    assert!(matches!(refused, Err(StartError::WellKnownKey { .. })));
}

#[tokio::test]
async fn client_urls_are_signed_with_the_given_grants() {
    let emulator = Emulator::builder().access_key(KEY).start().await.unwrap();
    let port = emulator.addresses()[0].port();
    let url = emulator.client_access_url("chat", "ana", &["webpubsub.joinLeaveGroup.a"]);
    let (base, token) = url.split_once("?access_token=").unwrap();
    assert_eq!(base, format!("ws://127.0.0.1:{port}/client/hubs/chat"));
    let claims = tokens::claims(token);
    assert_eq!(claims["sub"], "ana");
    assert_eq!(
        claims["role"],
        serde_json::json!(["webpubsub.joinLeaveGroup.a"])
    );
    assert_eq!(
        claims["aud"],
        format!("http://127.0.0.1:{port}/client/hubs/chat")
    );
    let anonymous = emulator.client_access_url("chat", None, &[]);
    let (_, token) = anonymous.split_once("?access_token=").unwrap();
    assert!(tokens::claims(token).get("sub").is_none());
    assert!(connect_async(anonymous).await.is_ok());
}

#[tokio::test]
async fn a_manual_clock_ends_the_life_of_tokens() {
    let emulator = Emulator::builder().manual_clock().start().await.unwrap();
    let url = emulator.client_access_url("chat", "ana", &[]);
    assert!(connect_async(url.as_str()).await.is_ok());
    emulator.clock().advance(Duration::from_secs(66 * 60));
    match connect_async(url.as_str()).await {
        Err(Error::Http(response)) => assert_eq!(response.status(), 401),
        other => panic!("expected a refusal, got {other:?}"),
    }
    let fresh = emulator.client_access_url("chat", "ana", &[]);
    assert!(connect_async(fresh).await.is_ok());
}

#[tokio::test]
async fn waiting_sees_changes_and_can_be_given_up() {
    let world = World::start().await;
    {
        let never = world
            .emulator
            .wait_until(|state| state.connections("chat") > 0);
        assert!(futures_util::poll!(Box::pin(never)).is_pending());
    }
    let two = world
        .emulator
        .wait_until(|state| state.members("chat", "a").len() == 2);
    let connect = async {
        let options = || ClientTokenOptions::default().user_id("ana").group("a");
        let first = world.client("CHAT", options()).await;
        (first, world.client("chat", options()).await)
    };
    let (state, clients) = tokio::join!(two, connect);
    assert_eq!(state, world.emulator.state());
    assert_eq!(state.connections("chat"), 2);
    drop(clients);
    let empty = world
        .emulator
        .wait_until(|state| state.connections("chat") == 0)
        .await;
    assert!(empty.members("chat", "a").is_empty());
}

#[tokio::test]
async fn emulators_share_nothing() {
    let (one, two) = (World::start().await, World::start().await);
    let ana = one.user("chat", "ana", &[]).await;
    assert_eq!(one.emulator.state().connections("chat"), 1);
    assert_eq!(two.emulator.state().connections("chat"), 0);
    assert_ne!(one.emulator.endpoint(), two.emulator.endpoint());
    drop(ana);
    one.emulator.shutdown().await;
    let _bob = two.user("chat", "bob", &[]).await;
    assert_eq!(two.emulator.state().connections("chat"), 1);
}

#[test]
fn both_flavours_of_runtime_will_do() {
    let mut current_thread = tokio::runtime::Builder::new_current_thread();
    let mut multi_thread = tokio::runtime::Builder::new_multi_thread();
    for builder in [&mut current_thread, multi_thread.worker_threads(2)] {
        let runtime = builder.enable_all().build().unwrap();
        let emulator = runtime.block_on(async {
            let emulator = Emulator::start().await.unwrap();
            assert_eq!(health(&emulator, "Host: localhost\r\n").await.status, 200);
            emulator
        });
        // Dropped outside of the runtime, and the second time after it.
        drop(runtime);
        drop(emulator);
    }
}

#[tokio::test]
async fn each_failure_is_named_and_shows_no_key() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let builder = Emulator::builder;
    for (builder, variant, text) in [
        (builder().host("example.com"), "InvalidHost", "`localhost`"),
        (
            builder().access_key("sEcReT"),
            "InvalidAccessKey",
            "the primary access key",
        ),
        (
            builder().secondary_access_key(format!("{KEY};")),
            "InvalidAccessKey",
            "the secondary access key",
        ),
        (
            builder().public_endpoint("ftp://sEcReT"),
            "InvalidPublicEndpoint",
            "number 1",
        ),
        (builder().host("0.0.0.0"), "WellKnownKey", "0.0.0.0:0"),
        (
            builder()
                .host("::")
                .access_key(KEY)
                .secondary_access_key(WELL_KNOWN_KEY),
            "WellKnownKey",
            "[::]:0",
        ),
        (
            builder().port(address.port()),
            "AddressInUse",
            &*address.to_string(),
        ),
        (
            builder().host("192.0.2.1").access_key(KEY),
            "Bind",
            "192.0.2.1:0",
        ),
    ] {
        assert!(!format!("{builder:#?}").contains(KEY));
        let error = builder.start().await.unwrap_err();
        let shown = format!("{error}; {error:?}; {:?}", error.source());
        assert!(format!("{error:?}").starts_with(variant), "{shown}");
        assert!(error.to_string().contains(text), "{shown}");
        assert!(!shown.contains("sEcReT"), "{shown}");
    }
    let short = builder().access_key("short").start().await.unwrap_err();
    assert!(matches!(
        short,
        StartError::InvalidAccessKey {
            role: KeyRole::Primary,
            source: AccessKeyError::TooShort { bytes: 5 }
        }
    ));
    let emulator = builder().access_key(KEY).start().await.unwrap();
    assert!(!format!("{emulator:#?}").contains("sEcReT"));
}
