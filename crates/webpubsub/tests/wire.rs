//! The client's own transport, over a real socket.

use std::{
    future::IntoFuture as _,
    pin::Pin,
    task::{Context, Poll},
};

use crate::common::KEY;
use azure_core::stream::{BytesStream, SeekableStream};
use futures_util::AsyncRead;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
};
use webpubsub::{AccessKey, ServiceErrorExt as _, Streamed, WebPubSubServiceClient};

/// Answers one connection's requests one after the other, and gives their heads and bodies.
async fn serve(
    answers: &'static [&'static str],
) -> (WebPubSubServiceClient, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut requests = Vec::new();
        for answer in answers {
            let mut request = Vec::new();
            while !is_complete(&request) {
                let read = socket.read_buf(&mut request).await.unwrap();
                assert_ne!(read, 0, "{}", String::from_utf8_lossy(&request));
            }
            requests.push(String::from_utf8(request).unwrap());
            socket.write_all(answer.as_bytes()).await.unwrap();
        }
        requests
    });
    let client =
        WebPubSubServiceClient::with_access_key(&endpoint, AccessKey::new(KEY), "chat", None)
            .unwrap();
    (client, server)
}

fn is_complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    match head
        .split("content-length: ")
        .nth(1)
        .and_then(|rest| rest.lines().next())
    {
        Some(length) => body.len() >= length.parse().unwrap(),
        None if head.contains("transfer-encoding") => body.ends_with("0\r\n\r\n"),
        None => true,
    }
}

/// A stream that is none of `azure_core`'s own.
#[derive(Clone, Debug)]
struct Letters(BytesStream, bool);

impl AsyncRead for Letters {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<std::io::Result<usize>> {
        let few = buffer.len().min(3);
        Pin::new(&mut self.0).poll_read(cx, &mut buffer[..few])
    }
}

#[async_trait::async_trait]
impl SeekableStream for Letters {
    async fn reset(&mut self) -> azure_core::Result<()> {
        self.0.reset().await
    }

    fn len(&self) -> Option<u64> {
        self.1.then(|| SeekableStream::len(&self.0)).flatten()
    }
}

#[tokio::test]
async fn bodies_always_have_a_length_and_connections_are_reused() {
    const ACCEPTED: &str = "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";
    const CLOSED: &str = "HTTP/1.1 204 No Content\r\n\r\n";
    let (client, server) = serve(&[ACCEPTED, ACCEPTED, CLOSED]).await;
    for known in [true, false] {
        let letters = Letters(BytesStream::new("abcdefgh"), known);
        client
            .send_to_all(Streamed::new(letters).text())
            .await
            .unwrap();
    }
    client.close_all_connections().await.unwrap();
    let requests = server.await.unwrap();
    for request in &requests[..2] {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let head = head.to_ascii_lowercase();
        assert!(
            head.starts_with("post /api/hubs/chat/:send?api-version=2024-12-01 http/1.1\r\n"),
            "{head}"
        );
        assert!(head.contains("\r\ncontent-length: 8"), "{head}");
        assert!(head.contains("\r\ncontent-type: text/plain\r\n"), "{head}");
        assert!(
            head.contains("\r\nuser-agent: azsdk-rust-webpubsub/"),
            "{head}"
        );
        assert!(!head.contains("transfer-encoding"), "{head}");
        assert_eq!(body, "abcdefgh");
    }
    let close = requests[2].to_ascii_lowercase();
    assert!(
        close.contains("\r\ncontent-length: 0") && !close.contains("content-type"),
        "{close}"
    );
}

#[tokio::test]
async fn https_endpoints_are_spoken_to_in_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut start = [0; 6];
        socket.read_exact(&mut start).await.unwrap();
        start
    });
    // One try is enough: nobody completes the handshake.
    let client =
        WebPubSubServiceClient::with_access_key(&endpoint, AccessKey::new(KEY), "chat", None)
            .unwrap();
    let send = client.send_to_all("hi").retry_post(false).into_future();
    let (start, sent) = tokio::join!(server, send);
    let [kind, major, _, _, _, message] = start.unwrap();
    assert_eq!(
        (kind, major, message),
        (22, 3, 1),
        "a handshake record with a ClientHello"
    );
    assert!(sent.unwrap_err().service_error().is_none());
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let answer = "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n";
    let (client, server) = serve(Box::leak(Box::new([answer]))).await;
    let error = client.send_to_all("hi").await.unwrap_err();
    assert_eq!(error.service_error().unwrap().status(), 307);
    assert_eq!(server.await.unwrap().len(), 1);
}

#[tokio::test]
async fn existence_checks_read_no_body() {
    let answer = "HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: 120\r\n\
         x-ms-error-code: Warning.User.NotExisted\r\n\r\n";
    let found = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let (client, server) = serve(Box::leak(Box::new([answer, found]))).await;
    assert!(!client.user_exists("u").await.unwrap());
    assert!(client.user_exists("u").await.unwrap());
    assert_eq!(server.await.unwrap().len(), 2);
}
