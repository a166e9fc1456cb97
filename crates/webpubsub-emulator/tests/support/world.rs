//! An emulator and calls to it.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use webpubsub_emulator::{Emulator, EmulatorBuilder, WELL_KNOWN_KEY};
use webpubsub_protocol::access::{AccessKey, sign_rest_token};

use super::http::{Reply, exchange, exchange_in_turn};
use super::tokens::machine_time;

/// A running emulator whose clock only a test moves.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) emulator: Emulator,
    pub(crate) address: SocketAddr,
    /// The machine's time before the emulator started; its own clock starts a moment later.
    pub(crate) started: SystemTime,
    pub(crate) key: AccessKey,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(|builder| builder).await
    }

    /// Starts an emulator with other settings than the default ones.
    pub(crate) async fn with(settings: impl FnOnce(EmulatorBuilder) -> EmulatorBuilder) -> Self {
        Self::of(settings(Emulator::builder().manual_clock().seed(7))).await
    }

    /// Starts an emulator with exactly these settings, and the well-known key.
    pub(crate) async fn of(builder: EmulatorBuilder) -> Self {
        let started = machine_time();
        let emulator = builder.start().await.expect("the emulator starts");
        let address = emulator.addresses()[0];
        Self {
            emulator,
            address,
            started,
            key: AccessKey::new(WELL_KNOWN_KEY),
        }
    }

    /// A call of a raw target, signed with the primary key for exactly this URL.
    pub(crate) fn call(&self, method: &str, target: &str) -> Call<'_> {
        Call {
            world: self,
            method: method.to_owned(),
            target: target.to_owned(),
            authorization: Some(format!("Bearer {}", self.token_for(target))),
            headers: Vec::new(),
            body: Vec::new(),
            length: Length::OfBody,
        }
    }

    /// `http://host:port` and a target.
    pub(crate) fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.address)
    }

    /// A token for this target, good for a minute from the start of this world.
    pub(crate) fn token_for(&self, target: &str) -> String {
        self.token(&self.url(target), Duration::from_secs(60))
    }

    /// A token for this audience, from the start of this world.
    pub(crate) fn token(&self, audience: &str, lifetime: Duration) -> String {
        sign_rest_token(audience, &self.key, lifetime, self.started).into_string()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    OfBody,
    None,
    Chunked,
}

/// A call that is not yet sent.
#[derive(Debug, Clone)]
#[must_use = "send it"]
pub(crate) struct Call<'w> {
    world: &'w World,
    method: String,
    target: String,
    authorization: Option<String>,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    length: Length,
}

impl Call<'_> {
    pub(crate) fn token(mut self, token: impl AsRef<str>) -> Self {
        self.authorization = Some(format!("Bearer {}", token.as_ref()));
        self
    }

    pub(crate) fn no_token(mut self) -> Self {
        self.authorization = None;
        self
    }

    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers
            .push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    pub(crate) fn body(mut self, content_type: &str, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_owned();
        if content_type.is_empty() {
            self
        } else {
            self.header("Content-Type", content_type)
        }
    }

    pub(crate) fn text(self, text: &str) -> Self {
        self.body("text/plain", text)
    }

    pub(crate) fn json(self, text: impl AsRef<str>) -> Self {
        self.body("application/json", text.as_ref())
    }

    pub(crate) fn without_length(mut self) -> Self {
        self.length = Length::None;
        self
    }

    pub(crate) fn chunked(mut self) -> Self {
        self.length = Length::Chunked;
        self
    }

    pub(crate) async fn send(self) -> Reply {
        let address = self.world.address;
        exchange(address, &self.into_bytes())
            .await
            .expect("an answer")
    }

    /// Writes the whole call before it reads; see [`exchange_in_turn`].
    pub(crate) async fn send_in_turn(self) -> Reply {
        let address = self.world.address;
        exchange_in_turn(address, &self.into_bytes())
            .await
            .expect("an answer")
    }

    fn into_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut line = |text: &[u8]| {
            bytes.extend_from_slice(text);
            bytes.extend_from_slice(b"\r\n");
        };
        line(format!("{} {} HTTP/1.1", self.method, self.target).as_bytes());
        line(format!("Host: {}", self.world.address).as_bytes());
        line(b"Connection: close");
        if let Some(authorization) = &self.authorization {
            line(format!("Authorization: {authorization}").as_bytes());
        }
        for (name, value) in &self.headers {
            line(&[name.as_bytes(), b": ", value].concat());
        }
        match self.length {
            Length::OfBody => line(format!("Content-Length: {}", self.body.len()).as_bytes()),
            Length::Chunked => line(b"Transfer-Encoding: chunked"),
            Length::None => {}
        }
        line(b"");
        if self.length == Length::Chunked {
            let size = self.body.len();
            bytes.extend_from_slice(format!("{size:x}\r\n").as_bytes());
            bytes.extend_from_slice(&self.body);
            bytes.extend_from_slice(b"\r\n0\r\n\r\n");
        } else {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}
