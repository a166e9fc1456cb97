//! A transport that records requests and gives prepared answers.

use std::{
    collections::{BTreeMap, VecDeque},
    future::pending,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use azure_core::{
    Error,
    error::ErrorKind,
    http::{
        AsyncRawResponse, Body, ClientOptions, HttpClient, Request, StatusCode, Transport,
        headers::Headers,
    },
};
use futures_util::AsyncReadExt as _;
use webpubsub::{WebPubSubServiceClient, WebPubSubServiceClientOptions};

pub(crate) const KEY: &str = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=";
pub(crate) const CONNECTION_STRING: &str = "Endpoint=https://example.webpubsub.azure.com;AccessKey=QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=;Version=1.0;";
pub(crate) const HOST: &str = "https://example.webpubsub.azure.com";

/// A request as it reached the transport.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub method: String,
    pub url: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Sent {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Path and query.
    pub(crate) fn target(&self) -> &str {
        let after_scheme = self.url.split_once("://").unwrap().1;
        &after_scheme[after_scheme.find('/').unwrap()..]
    }

    pub(crate) fn token(&self) -> &str {
        self.header("authorization")
            .unwrap()
            .strip_prefix("Bearer ")
            .unwrap()
    }
}

pub(crate) enum Answer {
    Status(u16),
    Full(u16, Vec<(&'static str, &'static str)>, String),
    /// The connection broke after the request was sent.
    Io,
    /// There was no connection.
    NoConnection,
    /// None comes.
    Silence,
}

/// Answers in the given order; the last one is repeated.
#[derive(Clone)]
pub(crate) struct Recorder(Arc<Mutex<State>>);

struct State {
    sent: Vec<Sent>,
    answers: VecDeque<Answer>,
    fallback: u16,
}

impl Recorder {
    /// Gives each of `answers` once, then `fallback` for ever.
    pub(crate) fn new(answers: impl IntoIterator<Item = Answer>, fallback: u16) -> Self {
        let answers = answers.into_iter().collect();
        Self(Arc::new(Mutex::new(State {
            sent: Vec::new(),
            answers,
            fallback,
        })))
    }

    pub(crate) fn always(status: u16) -> Self {
        Self::new([], status)
    }

    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.0.lock().unwrap().sent.clone()
    }

    pub(crate) fn only(&self) -> Sent {
        let sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.into_iter().next().unwrap()
    }

    pub(crate) fn client_options(&self) -> ClientOptions {
        ClientOptions {
            transport: Some(Transport::new(Arc::new(self.clone()))),
            ..Default::default()
        }
    }

    pub(crate) fn options(&self) -> WebPubSubServiceClientOptions {
        WebPubSubServiceClientOptions {
            client_options: self.client_options(),
            ..Default::default()
        }
    }

    pub(crate) fn client(&self, hub: &str) -> WebPubSubServiceClient {
        self.client_with(hub, |_| ())
    }

    pub(crate) fn client_with(
        &self,
        hub: &str,
        change: impl FnOnce(&mut WebPubSubServiceClientOptions),
    ) -> WebPubSubServiceClient {
        let mut options = self.options();
        change(&mut options);
        WebPubSubServiceClient::from_connection_string_with(CONNECTION_STRING, hub, options)
            .unwrap()
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recorder")
    }
}

#[async_trait]
impl HttpClient for Recorder {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let body = match request.body().clone() {
            Body::Bytes(bytes) => bytes.to_vec(),
            Body::SeekableStream(mut stream) => {
                let mut body = Vec::new();
                stream.read_to_end(&mut body).await.unwrap();
                body
            }
        };
        let headers = request.headers().iter();
        let headers =
            headers.map(|(name, value)| (name.as_str().to_owned(), value.as_str().to_owned()));
        let sent = Sent {
            method: request.method().to_string(),
            url: request.url().to_string(),
            headers: headers.collect(),
            body,
        };
        let answer = {
            let mut state = self.0.lock().unwrap();
            state.sent.push(sent);
            let fallback = state.fallback;
            state
                .answers
                .pop_front()
                .unwrap_or(Answer::Status(fallback))
        };
        let (status, headers, body) = match answer {
            Answer::Status(status) => (status, Vec::new(), String::new()),
            Answer::Full(status, headers, body) => (status, headers, body),
            Answer::Io => return Err(Error::with_message(ErrorKind::Io, "connection reset")),
            Answer::NoConnection => {
                return Err(Error::with_message(
                    ErrorKind::Connection,
                    "connection refused",
                ));
            }
            Answer::Silence => pending().await,
        };
        let mut all = Headers::new();
        for (name, value) in headers {
            all.insert(name, value);
        }
        Ok(AsyncRawResponse::from_bytes(
            StatusCode::from(status),
            all,
            body,
        ))
    }
}
