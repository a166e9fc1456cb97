//! Keys, tokens and messages stay out of `Debug`, errors and logs.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::common::{Answer, CONNECTION_STRING, KEY, Recorder};
use tracing_subscriber::{filter::LevelFilter, fmt::MakeWriter};
use webpubsub::WebPubSubServiceClient;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// A client access token is signed here, so the first part of every token is known.
const TOKEN_START: &str = "eyJhbGciOiJIUzI1NiIs";

#[tokio::test]
async fn logs_show_what_happened_and_to_whom_not() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_writer(log.clone())
        .with_ansi(false);
    let body = r#"{"code":"Error.BadRequest","message":"no"}"#;
    let headers = vec![("x-ms-error-code", "Error.BadRequest")];
    let recorder = Recorder::new([Answer::Full(400, headers, body.into())], 202);
    {
        let _guard = tracing::subscriber::set_default(subscriber.finish());
        let client = recorder.client("chat");
        let send = client
            .send_to_all("private words")
            .filter("userId eq 'private-user'")
            .exclude("private-connection")
            .metadata("k", "private-value")
            .ttl(Duration::from_secs(17));
        send.await.unwrap_err();
        client
            .client_access_token()
            .user_id("private-user")
            .await
            .unwrap();
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for shown in [
        "call=\"send_to_all\"",
        "hub=\"chat\"",
        "messageTtlSeconds=17",
        "api-version=2024-12-01",
        "x-ms-error-code: Error.BadRequest",
    ] {
        assert!(log.contains(shown), "no {shown} in:\n{log}");
    }
    for hidden in [KEY, TOKEN_START, "private"] {
        assert!(!log.contains(hidden), "{hidden} in:\n{log}");
    }
}

#[tokio::test]
async fn debug_and_errors_hide_secrets() {
    let recorder = Recorder::always(401);
    let client = recorder.client("chat");
    let call = client
        .send_to_all("private words")
        .metadata("k", "private-value");
    let access = client.client_access_token().user_id("ana").await.unwrap();
    let shown = [
        format!("{client:#?} {:?}", client.group("g")),
        format!("{call:?}"),
        format!("{access:?} {:?}", access.token()),
        format!("{:?}", client.client_access_token()),
    ];
    let error = call.await.unwrap_err();
    for text in shown.into_iter().chain([format!("{error} {error:?}")]) {
        for hidden in [KEY, TOKEN_START, "private"] {
            assert!(!text.contains(hidden), "{hidden} in {text}");
        }
    }
    assert!(format!("{client:?}").contains("credential: access key"));
    for wrong in [";Port=x", ";Version=9", ";AccessKey=again"] {
        let text = format!("{CONNECTION_STRING}{wrong}");
        let error = WebPubSubServiceClient::from_connection_string(&text, "chat").unwrap_err();
        assert!(!format!("{error} {error:?}").contains(KEY), "{error:?}");
    }
}
