//! REST calls, one after the other on one connection.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use webpubsub_protocol::access::{ConnectionString, sign_rest_token};

use crate::server::{HUB, Server};

/// Longer than any call may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A connection for REST calls.
#[derive(Debug)]
pub struct Rest {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
    connection: ConnectionString,
}

/// Status and body of an answer.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Rest {
    /// Connects.
    ///
    /// # Errors
    ///
    /// Fails when the server does not accept within 30 s.
    pub fn connect(server: &Server) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&server.address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
            address: server.address,
            connection: server.connection().clone(),
        })
    }

    /// Sends a text to a group, or to all without one.
    ///
    /// # Errors
    ///
    /// Fails when the call does, or is not accepted.
    pub fn send(&mut self, group: Option<&str>, text: &str) -> Result<()> {
        let target = match group {
            Some(group) => format!("/api/hubs/{HUB}/groups/{group}/:send?api-version=2024-12-01"),
            None => format!("/api/hubs/{HUB}/:send?api-version=2024-12-01"),
        };
        let answer = self.call("POST", &target, text.as_bytes())?;
        if answer.status != 202 {
            bail!("a send was answered with status {}", answer.status);
        }
        Ok(())
    }

    /// Whether a group has connections.
    ///
    /// # Errors
    ///
    /// Fails when the call does.
    pub fn group_exists(&mut self, group: &str) -> Result<bool> {
        let target = format!("/api/hubs/{HUB}/groups/{group}?api-version=2024-12-01");
        match self.call("HEAD", &target, b"")?.status {
            200 => Ok(true),
            404 => Ok(false),
            status => bail!("a look at a group was answered with status {status}"),
        }
    }

    /// Whether a server answers at all.
    ///
    /// # Errors
    ///
    /// Fails when it does not.
    pub fn health(&mut self) -> Result<()> {
        match self.call("HEAD", "/api/health", b"")?.status {
            200 => Ok(()),
            status => bail!("the health check was answered with status {status}"),
        }
    }

    /// Any call.
    ///
    /// # Errors
    ///
    /// Fails when the connection does, or the answer has no length.
    pub fn call(&mut self, method: &str, target: &str, body: &[u8]) -> Result<Answer> {
        let url = self.connection.endpoint().join(target)?;
        let key = self.connection.access_key();
        let token = sign_rest_token(
            url.as_str(),
            key,
            Duration::from_secs(600),
            SystemTime::now(),
        );
        let mut request = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
             Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
            self.address,
            token.as_str(),
            body.len()
        )
        .into_bytes();
        request.extend(body);
        self.stream.get_mut().write_all(&request)?;
        self.answer(method)
    }

    fn answer(&mut self, method: &str) -> Result<Answer> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .context("the answer has no status")?;
        let mut length = None;
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.trim().parse()?);
            }
        }
        let has_body = method != "HEAD" && status != 204;
        let mut body = vec![
            0;
            if has_body {
                length.context("the answer has no length")?
            } else {
                0
            }
        ];
        self.stream.read_exact(&mut body)?;
        Ok(Answer { status, body })
    }
}
