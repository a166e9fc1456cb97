//! HTTP requests over a few connections, as many at once.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// Connections, each with one request under way.
pub(super) const AT_ONCE: usize = 32;

const TIMEOUT: Duration = Duration::from_secs(30);

/// Connections to a server.
#[derive(Debug)]
pub(super) struct HttpLoad {
    streams: Vec<TcpStream>,
    buffer: Vec<u8>,
}

impl HttpLoad {
    pub(super) fn connect(address: SocketAddr) -> Result<Self> {
        let mut streams = Vec::new();
        for _ in 0..AT_ONCE {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            streams.push(stream);
        }
        Ok(Self {
            streams,
            buffer: vec![0; 64 << 10],
        })
    }

    /// Sends the request on every connection and reads every answer, which has to be `200 OK` and to end with `body`.
    pub(super) fn round(&mut self, request: &[u8], body: &[u8]) -> Result<()> {
        for stream in &mut self.streams {
            stream.write_all(request)?;
        }
        for stream in &mut self.streams {
            let mut length = 0;
            loop {
                let read = stream.read(&mut self.buffer[length..])?;
                if read == 0 {
                    bail!("the server hung up");
                }
                length += read;
                let answer = &self.buffer[..length];
                if answer.ends_with(body) {
                    break;
                }
                if length == self.buffer.len() {
                    bail!("an answer is too long");
                }
            }
            if !self.buffer.starts_with(b"HTTP/1.1 200") {
                bail!("an answer is not 200");
            }
        }
        Ok(())
    }
}

/// A server that answers each request with `202 Accepted` and reads no more of it than where it ends.
pub(super) fn accept_everything() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
    Ok(address)
}

fn answer(mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut waiting = Vec::new();
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        waiting.extend(&buffer[..read]);
        while let Some(size) = request_size(&waiting)? {
            waiting.drain(..size);
            stream.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")?;
        }
    }
}

/// The size of the request at the start of `bytes`; nothing when more has to come.
fn request_size(bytes: &[u8]) -> Result<Option<usize>> {
    let Some(head) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes[..head])?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim())
    });
    let length: usize = length
        .unwrap_or("0")
        .parse()
        .context("a length is no number")?;
    let size = head + 4 + length;
    Ok((bytes.len() >= size).then_some(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_ends_with_its_body() {
        let request = b"POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabcGET";
        assert_eq!(request_size(request).unwrap(), Some(request.len() - 3));
        assert_eq!(request_size(&request[..request.len() - 4]).unwrap(), None);
        assert_eq!(request_size(b"GET / HTTP/1.1\r\n\r\n").unwrap(), Some(18));
        assert_eq!(request_size(b"GET / HTTP/1.1\r\n").unwrap(), None);
    }
}
