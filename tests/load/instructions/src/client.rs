//! The real-time client with its driver, connected to a service in memory.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use anyhow::{Context as _, Result};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use futures_util::{Sink, Stream};
use tokio::runtime::{Builder, Runtime};
use webpubsub_client::connector::{Connector, Dial, Transport, WireFrame};
use webpubsub_client::{Closure, DialFailure, Event, WebPubSubClient};
use webpubsub_protocol::bytestring::ByteString;
use webpubsub_protocol::frame::{SequenceId, ServerFrame, json};

use crate::frames;

/// Requests under way at once, as in the benchmarks of times.
const IN_FLIGHT: usize = 64;

/// The client receives messages.
pub(crate) fn receive(count: u64) -> Result<()> {
    let client = client(count)?;
    let mut events = client.events();
    runtime()?.block_on(async {
        client.start().await?;
        let mut received = 0;
        while received < count {
            let event = events.next().await.context("the events ended")?;
            received += u64::from(matches!(event, Event::GroupMessage(_)));
        }
        anyhow::Ok(())
    })
}

/// The client sends messages, 64 at once, which the service acknowledges.
pub(crate) fn send_acknowledged(count: u64) -> Result<()> {
    let client = client(0)?;
    let text = frames::text();
    runtime()?.block_on(async {
        client.start().await?;
        stream::iter(0..count)
            .map(|_| {
                client
                    .send_to_group(frames::GROUP, text.as_str())
                    .into_future()
            })
            .buffer_unordered(IN_FLIGHT)
            .try_for_each(|_| async { Ok(()) })
            .await?;
        anyhow::Ok(())
    })
}

/// The client sends messages, 64 at once, which nobody acknowledges.
pub(crate) fn send_and_forget(count: u64) -> Result<()> {
    let client = client(0)?;
    let text = frames::text();
    let send = |_| {
        let call = client.send_to_group(frames::GROUP, text.as_str());
        call.fire_and_forget().into_future()
    };
    runtime()?.block_on(async {
        client.start().await?;
        stream::iter(0..count)
            .map(send)
            .buffer_unordered(IN_FLIGHT)
            .try_for_each(|_| async { Ok(()) })
            .await?;
        anyhow::Ok(())
    })
}

fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_time().build()?)
}

fn client(messages: u64) -> Result<WebPubSubClient> {
    let client = WebPubSubClient::builder("ws://service.test/client/hubs/load")
        .connector(Service { messages })
        .seed(42)
        .build()?;
    Ok(client)
}

/// Sends so many messages to whoever connects.
struct Service {
    messages: u64,
}

impl Connector for Service {
    type Transport = Socket;

    async fn connect(&self, _: Dial) -> Result<Socket, DialFailure> {
        let message =
            frames::message(0).map_err(|error| DialFailure::Network(error.to_string()))?;
        let connected = ServerFrame::Connected {
            connection_id: ByteString::from_static("c"),
            user_id: None,
            reconnection_token: Some(ByteString::from_static("t")),
        };
        let ServerFrame::Message(message) = message else {
            return Err(DialFailure::Network("there is no message".to_owned()));
        };
        Ok(Socket {
            waiting: VecDeque::from([json::encode_server(&connected)]),
            body: json::encode_message(&message),
            sent: 0,
            messages: self.messages,
            reader: None,
        })
    }
}

/// Both ends of a connection.
struct Socket {
    /// What the service says next.
    waiting: VecDeque<String>,
    /// The message that it sends again and again, each time with the next number.
    body: String,
    sent: u64,
    messages: u64,
    reader: Option<Waker>,
}

impl Stream for Socket {
    type Item = Result<WireFrame, Closure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(frame) = self.waiting.pop_front() {
            return Poll::Ready(Some(Ok(WireFrame::Text(frame.into()))));
        }
        if self.sent < self.messages {
            self.sent += 1;
            let frame = json::number_message(&self.body, SequenceId(self.sent));
            return Poll::Ready(Some(Ok(WireFrame::Text(frame.into()))));
        }
        self.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Sink<WireFrame> for Socket {
    type Error = Closure;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Closure>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(mut self: Pin<&mut Self>, frame: WireFrame) -> Result<(), Closure> {
        const MEMBER: &str = "\"ackId\":";
        let WireFrame::Text(text) = frame else {
            return Err(Closure::default());
        };
        if let Some((_, rest)) = text.split_once(MEMBER) {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let id = &rest[..digits];
            let ack = format!(r#"{{"type":"ack","ackId":{id},"success":true}}"#);
            self.waiting.push_back(ack);
        }
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Closure>> {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Closure>> {
        self.poll_flush(cx)
    }
}

impl Transport for Socket {
    fn poll_close_with(self: Pin<&mut Self>, _: &mut Context<'_>, _: u16) -> Poll<()> {
        Poll::Ready(())
    }
}
