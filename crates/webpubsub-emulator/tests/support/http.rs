//! HTTP/1.1 by the byte: what is sent and what comes back is exactly what a test says and sees.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long a test waits for an answer before it fails.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// An answer as it came over the wire.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Names as sent, in order.
    pub(crate) headers: Vec<(String, String)>,
    /// Everything after the empty line.
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// The value of the one header with this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self
            .headers
            .iter()
            .filter(|(found, _)| found.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} is sent twice: {self:?}");
        value
    }

    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).expect("answers are UTF-8")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The member `message` of an error.
    pub(crate) fn message(&self) -> String {
        self.json()["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let mut lines = str::from_utf8(&bytes[..end]).ok()?.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').expect("header lines have a colon");
            (name.to_owned(), value.trim().to_owned())
        });
        Some(Self {
            status,
            headers: headers.collect(),
            body: bytes[end + 4..].to_vec(),
        })
    }
}

/// Sends bytes and reads the answer until the server closes the connection; `None` when it closes
/// without an answer.
pub(crate) async fn exchange(address: SocketAddr, request: &[u8]) -> Option<Reply> {
    talk(address, request, false).await
}

/// As [`exchange`], but says that nothing more will come, so that no server waits for the rest.
pub(crate) async fn exchange_closing(address: SocketAddr, request: &[u8]) -> Option<Reply> {
    talk(address, request, true).await
}

/// As [`exchange`], like a client that reads nothing before it has written everything, and that
/// fails when it cannot.
pub(crate) async fn exchange_in_turn(address: SocketAddr, request: &[u8]) -> Option<Reply> {
    let exchange = async {
        let mut stream = TcpStream::connect(address)
            .await
            .expect("the emulator listens");
        stream
            .write_all(request)
            .await
            .expect("the emulator takes the whole request");
        let mut answer = Vec::new();
        stream
            .read_to_end(&mut answer)
            .await
            .expect("the connection ends in an orderly way");
        Reply::parse(&answer)
    };
    tokio::time::timeout(TEST_TIMEOUT, exchange)
        .await
        .expect("an answer in time")
}

async fn talk(address: SocketAddr, request: &[u8], close: bool) -> Option<Reply> {
    let exchange = async {
        let mut stream = TcpStream::connect(address)
            .await
            .expect("the emulator listens");
        let (mut reader, mut writer) = stream.split();
        let mut answer = Vec::new();
        // A server may answer and close before all is written: what counts is what it answered.
        let write = async {
            let _ = writer.write_all(request).await;
            if close {
                let _ = writer.shutdown().await;
            }
        };
        let read = async {
            let _ = reader.read_to_end(&mut answer).await;
        };
        tokio::join!(write, read);
        Reply::parse(&answer)
    };
    tokio::time::timeout(TEST_TIMEOUT, exchange)
        .await
        .expect("an answer in time")
}
