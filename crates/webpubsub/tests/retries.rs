//! When calls are made again.

use std::{future::IntoFuture, time::Duration};

use crate::common::{Answer, Recorder};
use azure_core::stream::BytesStream;
use tokio::time::{Instant, timeout};
use webpubsub::{ServiceErrorExt as _, Streamed};

fn after(status: u16, header: &'static str, value: &'static str) -> Answer {
    Answer::Full(status, vec![(header, value)], String::new())
}

#[tokio::test(start_paused = true)]
async fn waits_as_long_as_the_service_says() {
    for (answer, least) in [
        (after(503, "retry-after", "7"), 7.0),
        (after(429, "retry-after", "9"), 9.0),
        (after(429, "retry-after-ms", "2500"), 2.5),
        (after(429, "x-ms-retry-after-ms", "3500"), 3.5),
        // Only 429 and 503 may say so.
        (after(500, "retry-after", "60"), 0.2),
    ] {
        let recorder = Recorder::new([answer], 202);
        let start = Instant::now();
        recorder.client("chat").send_to_all("hi").await.unwrap();
        let waited = start.elapsed().as_secs_f64();
        assert!(
            (least..least + 1.0).contains(&waited),
            "{waited} instead of {least}"
        );
        assert_eq!(recorder.sent().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn every_try_is_signed_for_the_endpoint_and_carries_the_message() {
    let recorder = Recorder::new([Answer::Status(500), Answer::Io, Answer::NoConnection], 202);
    let client = recorder.client_with("chat", |options| {
        options.reverse_proxy_endpoint = Some("https://proxy.example".into());
    });
    client
        .send_to_all(Streamed::new(BytesStream::new("abc")))
        .await
        .unwrap();
    let sent = recorder.sent();
    assert_eq!(sent.len(), 4);
    for sent in sent {
        assert_eq!(sent.body, b"abc");
        assert!(
            sent.url.starts_with("https://proxy.example/api/"),
            "{}",
            sent.url
        );
        let claims = sent.token().split('.').nth(1).unwrap();
        let claims = azure_core::base64::decode_url_safe(claims).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        let expected =
            "https://example.webpubsub.azure.com/api/hubs/chat/:send?api-version=2024-12-01";
        assert_eq!(claims["aud"], expected);
    }
}

#[tokio::test(start_paused = true)]
async fn gives_up_in_the_end_with_the_last_answer() {
    let recorder = Recorder::always(503);
    let error = recorder.client("chat").send_to_all("hi").await.unwrap_err();
    assert_eq!(error.service_error().unwrap().status(), 503);
    assert_eq!(recorder.sent().len(), 9, "one try and eight retries");

    let recorder = Recorder::new((0..20).map(|_| Answer::Io), 202);
    let error = recorder.client("chat").send_to_all("hi").await.unwrap_err();
    assert!(error.service_error().is_none());
    assert_eq!(recorder.sent().len(), 9);
}

#[tokio::test(start_paused = true)]
async fn what_the_service_refuses_is_not_tried_again() {
    for status in [400, 401, 403, 404, 409, 415, 501] {
        let recorder = Recorder::always(status);
        let error = recorder.client("chat").send_to_all("hi").await.unwrap_err();
        assert_eq!(error.service_error().unwrap().status(), status);
        assert_eq!(recorder.sent().len(), 1, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn retries_of_post_can_be_turned_off() {
    // (for the client, for the call, tries)
    for (client, call, tries) in [
        (true, None, 2),
        (true, Some(false), 1),
        (false, None, 1),
        (false, Some(true), 2),
    ] {
        for answer in [|| Answer::Status(503), || Answer::Io] {
            let recorder = Recorder::new([answer()], 202);
            let service = recorder.client_with("chat", |options| options.retry_post = client);
            let mut send = service.send_to_all("hi");
            if let Some(retry) = call {
                send = send.retry_post(retry);
            }
            assert_eq!(send.await.is_ok(), tries == 2);
            assert_eq!(recorder.sent().len(), tries, "{client} {call:?}");
        }
    }
    // Other methods may be repeated without harm, and are.
    let recorder = Recorder::new([Answer::Io], 200);
    let service = recorder.client_with("chat", |options| options.retry_post = false);
    assert!(service.user_exists("u").retry_post(false).await.unwrap());
    assert_eq!(recorder.sent().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_call_gives_it_up() {
    let recorder = Recorder::new([Answer::Silence], 202);
    let client = recorder.client("chat");
    let call = timeout(
        Duration::from_secs(1),
        client.send_to_all("hi").into_future(),
    );
    assert!(call.await.is_err());
    assert_eq!(recorder.sent().len(), 1);

    // Also while it waits for its next try.
    let recorder = Recorder::new([after(503, "retry-after", "30")], 202);
    let client = recorder.client("chat");
    let call = timeout(
        Duration::from_secs(10),
        client.send_to_all("hi").into_future(),
    );
    assert!(call.await.is_err());
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(recorder.sent().len(), 1);
}

#[tokio::test]
async fn a_call_that_is_not_awaited_sends_nothing() {
    let recorder = Recorder::always(202);
    drop(recorder.client("chat").send_to_all("hi").into_future());
    assert_eq!(recorder.sent().len(), 0);
}
