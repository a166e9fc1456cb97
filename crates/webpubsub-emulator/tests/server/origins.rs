//! Pages in a browser: which of them may open a WebSocket.

use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use webpubsub_emulator::{Emulator, StartError};

/// What a page of this origin gets: the status of a refusal and its text, or nothing when it is connected.
async fn refusal(emulator: &Emulator, origin: Option<&'static str>) -> Option<(u16, String)> {
    let url = emulator.client_access_url("chat", "ana", &[]);
    let mut request = url.into_client_request().expect("a URL");
    if let Some(origin) = origin {
        let headers = request.headers_mut();
        headers.insert("origin", origin.parse().expect("a header value"));
    }
    match connect_async(request).await {
        Ok(_) => None,
        Err(Error::Http(response)) => {
            let status = response.status().as_u16();
            let body = response.into_body().unwrap_or_default();
            Some((status, String::from_utf8(body).expect("UTF-8")))
        }
        Err(other) => panic!("no answer: {other}"),
    }
}

#[tokio::test]
async fn a_foreign_page_cannot_connect_while_the_key_is_public() {
    let emulator = Emulator::builder()
        .public_endpoint("https://pubsub.example.com")
        .allowed_origin("https://app.example.com")
        .start()
        .await
        .unwrap();
    let foreign = refusal(&emulator, Some("https://evil.example")).await;
    let (status, text) = foreign.expect("refused");
    assert_eq!(status, 403);
    assert!(
        text.contains("--allowed-origin https://evil.example"),
        "{text}"
    );
    assert_eq!(emulator.state().connections("chat"), 0);
    for origin in [
        None,
        Some("http://localhost:3000"),
        Some("https://pubsub.example.com"),
        Some("https://app.example.com"),
    ] {
        assert_eq!(refusal(&emulator, origin).await, None, "{origin:?}");
    }
}

#[tokio::test]
async fn with_a_key_of_its_own_every_page_that_has_a_token_may_connect() {
    let emulator = Emulator::builder()
        .access_key("only for this test, and long enough")
        .start()
        .await
        .unwrap();
    assert_eq!(refusal(&emulator, Some("https://any.example")).await, None);
}

#[tokio::test]
async fn an_allowed_origin_must_be_one() {
    let start = Emulator::builder()
        .allowed_origin("*")
        .allowed_origin("app.example.com")
        .start();
    match start.await {
        Err(StartError::InvalidAllowedOrigin { number: 2 }) => {}
        other => panic!("{other:?}"),
    }
}
