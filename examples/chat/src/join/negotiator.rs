//! The client side of the calls to the server of the chat.

use std::error::Error;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use parking_lot::Mutex;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Response, redirect};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::names::{PersonName, RoomName};
use crate::negotiate::{Arrival, Grant, Mode, Question};
use crate::refusal::describe;
use crate::serve::DEFAULT_PORT;

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Gets access to one room from the server, always as the same person.
pub(super) struct Negotiator {
    http: Client,
    server: Url,
    name: String,
    room: String,
    known: Mutex<Known>,
}

/// From the latest answer of the server.
#[derive(Default)]
struct Known {
    session: Option<String>,
    ticket: Option<String>,
    mode: Option<Mode>,
}

pub(super) fn default_server() -> Url {
    Url::parse(&format!("http://127.0.0.1:{DEFAULT_PORT}/")).expect("a URL by its form")
}

pub(super) fn parse_server(typed: &str) -> Result<Url> {
    let url = Url::parse(typed).context("it is no URL; try http://127.0.0.1:3000")?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err(anyhow!("the URL of a chat server begins with http://")),
    }
}

impl Negotiator {
    pub(super) fn new(server: Url, name: &PersonName, room: &RoomName) -> Result<Self> {
        let http = Client::builder()
            // The server answers to this machine only, and to the names that it has here.
            .no_proxy()
            .redirect(redirect::Policy::none())
            .timeout(PATIENCE)
            .build()
            .context("no HTTP client")?;
        Ok(Self {
            http,
            server,
            name: name.as_str().to_owned(),
            room: room.as_str().to_owned(),
            known: Mutex::default(),
        })
    }

    /// A client access URL with a fresh token.
    pub(super) async fn client_access_url(&self) -> Result<String> {
        let granted = self.negotiate().await;
        // The first failure ends the program, which says why; later ones are tried again.
        if let Err(error) = &granted
            && self.known.lock().session.is_some()
        {
            tracing::warn!(error = describe(error.as_ref()), "no way into the room yet");
        }
        granted
    }

    /// How messages are sent; `Token` until the server responded.
    pub(super) fn mode(&self) -> Mode {
        self.known.lock().mode.unwrap_or(Mode::Token)
    }

    /// Has the server announce in the room that we joined. The chat works without it, so failures are only logged.
    pub(super) async fn announce(&self) {
        let Some(ticket) = self.known.lock().ticket.take() else {
            return;
        };
        if let Err(error) = self.post("announce", &Arrival { ticket }).await {
            tracing::warn!(
                error = describe(error.as_ref()),
                "the arrival was not announced"
            );
        }
    }

    async fn negotiate(&self) -> Result<String> {
        let question = Question {
            name: self.name.clone(),
            room: self.room.clone(),
            session: self.known.lock().session.clone(),
        };
        let answer = self.post("negotiate", &question).await?;
        let body = answer.bytes().await.map_err(|error| self.lost(&error))?;
        // The error could quote the token.
        let grant: Grant = serde_json::from_slice(&body).map_err(|_| self.stranger())?;
        *self.known.lock() = Known {
            session: Some(grant.session),
            // In handler mode it is a login, and part of the URL.
            ticket: (grant.mode == Mode::Token).then_some(grant.ticket),
            mode: Some(grant.mode),
        };
        Ok(grant.url)
    }

    async fn post(&self, path: &str, body: &impl Serialize) -> Result<Response> {
        let url = self.server.join(path).context("not a chat server's URL")?;
        let answer = self
            .http
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .body(serde_json::to_vec(body)?)
            .send()
            .await
            .map_err(|error| self.lost(&error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        #[derive(Deserialize)]
        struct Refusal {
            error: String,
        }
        let body = answer.bytes().await.map_err(|error| self.lost(&error))?;
        match serde_json::from_slice(&body) {
            Ok(Refusal { error }) => Err(anyhow!("the chat server refuses: {error}")),
            Err(_) => Err(self.stranger()),
        }
    }

    fn lost(&self, error: &reqwest::Error) -> anyhow::Error {
        let server = &self.server;
        if error.is_connect() {
            anyhow!(
                "no chat server at {server}; start one with `cargo run -p chat` in another terminal, or name yours \
                 with `--server`"
            )
        } else if error.is_timeout() {
            anyhow!("the chat server at {server} does not answer")
        } else {
            let cause = error.source().map(describe).unwrap_or_default();
            anyhow!("the chat server at {server} was lost: {cause}")
        }
    }

    fn stranger(&self) -> anyhow::Error {
        anyhow!(
            "what answers at {} is no chat server; name yours with `--server`",
            self.server
        )
    }
}
