//! One task per socket: it drains the outbox, hands frames to the hub, and keeps the line alive.
//! Generic over the framed transport, so that tests can stall, cut or script one.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::ws::{CloseFrame, Message};
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use parking_lot::Mutex;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_util::task::task_tracker::TaskTrackerToken;
use webpubsub_protocol::frame::json;
use webpubsub_protocol::limits::MESSAGE_BYTES;
use webpubsub_protocol::payload::Payload;

use crate::hub::{Attachment, Drained, End, Frame, Hub, MALFORMED_JSON, Received, WireForm};
use crate::service::Service;
use crate::tap::Tapped;

/// How often the service pings an open socket.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// How long a socket may stay silent before it counts as lost.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);

/// Frames that are taken from the outbox at once and share one flush.
const BATCH: usize = 64;

const TOO_LARGE: &str = "The client message is too large.";
const INVALID_FRAME: &str = "The client frame is invalid.";
const TEXT_ONLY: &str = "The JSON subprotocol requires text messages.";

/// A socket's hold on its connection: dropped, the connection knows that the socket is gone.
pub(super) struct SocketGuard {
    service: Arc<Service>,
    hub: Arc<Hub>,
    attachment: Attachment,
    _tracked: TaskTrackerToken,
}

impl SocketGuard {
    pub(super) fn new(service: Arc<Service>, hub: Arc<Hub>, attachment: Attachment) -> Self {
        let tracked = service.sockets().token();
        service.counters().connections_opened.add(1);
        tracing::debug!(hub = %hub.name(), connection = %attachment.connection_id, "opened");
        Self {
            service,
            hub,
            attachment,
            _tracked: tracked,
        }
    }

    fn end(&self, end: &End) {
        self.hub.end(self.attachment.key, end);
    }
}

impl Drop for SocketGuard {
    fn drop(&mut self) {
        let Attachment {
            key,
            epoch,
            connection_id,
            ..
        } = &self.attachment;
        self.hub.socket_gone(*key, *epoch);
        self.service.counters().connections_closed.add(1);
        tracing::debug!(hub = %self.hub.name(), connection = %connection_id, "closed");
    }
}

/// Runs a socket until it is closed, or until the service goes away without waiting for it.
pub(super) async fn run<S>(socket: S, guard: SocketGuard)
where
    S: Stream<Item = Result<Message, axum::Error>> + Sink<Message, Error = axum::Error> + Send,
{
    guard.service.run_socket(converse(socket, &guard)).await;
}

async fn converse<S>(socket: S, guard: &SocketGuard)
where
    S: Stream<Item = Result<Message, axum::Error>> + Sink<Message, Error = axum::Error> + Send,
{
    let (mut sink, mut stream) = socket.split();
    let clock = guard.service.clock().clone();
    let heard = Mutex::new(clock.now().mono);

    let mut closed_by_peer = false;
    let exchange = async {
        tokio::select! {
            written = write(&mut sink, guard, &heard) => written,
            () = read(&mut stream, guard, &heard) => {
                closed_by_peer = true;
                Written::Lost
            }
        }
    };
    // A client that does not read cannot hold a close back for ever.
    let written = or_abort(exchange, guard).await.unwrap_or(Written::Lost);

    let grace = clock.now().mono + crate::hub::CLOSE_DRAIN;
    if closed_by_peer {
        // The hub must not see frames after this; the transport still answers the close.
        guard
            .hub
            .socket_gone(guard.attachment.key, guard.attachment.epoch);
    }
    if closed_by_peer || written == Written::Close {
        // Finishes the close handshake: reads what is under way until the peer hangs up.
        let hang_up = async { while let Some(Ok(_)) = stream.next().await {} };
        tokio::select! {
            () = hang_up => {}
            () = clock.sleep_until(grace) => {}
        }
    }
}

/// Runs `exchange` until the service closed the connection and its time to drain is over.
async fn or_abort<F: Future>(exchange: F, guard: &SocketGuard) -> Option<F::Output> {
    let overdue = async {
        let at = guard.attachment.outbox.abort_at().await;
        guard.service.clock().sleep_until(at).await;
    };
    tokio::select! {
        done = exchange => Some(done),
        () = overdue => None,
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Written {
    /// A close frame went out.
    Close,
    /// The transport failed, or was silent for too long.
    Lost,
}

async fn write<K>(sink: &mut K, guard: &SocketGuard, heard: &Mutex<Instant>) -> Written
where
    K: Sink<Message, Error = axum::Error> + Unpin,
{
    let clock = guard.service.clock();
    let outbox = &guard.attachment.outbox;
    let mut ping_at = clock.now().mono + PING_INTERVAL;
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let drained = outbox.drain(clock.now().mono, BATCH, &mut batch);
        let more = batch.len() == BATCH;
        if !batch.is_empty() {
            count_out(guard, &batch);
            for frame in batch.drain(..) {
                if sink.feed(frame.into()).await.is_err() {
                    return Written::Lost;
                }
            }
            if sink.flush().await.is_err() {
                return Written::Lost;
            }
        }
        if let Drained::Closed(close) = drained {
            let frame = CloseFrame {
                code: close.code,
                reason: close.reason.into(),
            };
            let sent = sink.send(Message::Close(Some(frame))).await;
            return if sent.is_ok() {
                Written::Close
            } else {
                Written::Lost
            };
        }
        if more {
            continue;
        }
        tokio::select! {
            () = outbox.filled() => {}
            () = clock.sleep_until(ping_at) => {
                let now = clock.now().mono;
                let silent = now.saturating_duration_since(*heard.lock());
                if silent >= SILENCE_LIMIT && !outbox.is_paused() {
                    tracing::info!(
                        connection = %guard.attachment.connection_id,
                        "silent for {} s: taken as lost", silent.as_secs()
                    );
                    return Written::Lost;
                }
                ping_at = now + PING_INTERVAL;
                if sink.send(Message::Ping(bytes::Bytes::new())).await.is_err() {
                    return Written::Lost;
                }
            }
        }
    }
}

/// Reads until the peer closed or was lost; the hub learns of everything else.
async fn read<R>(stream: &mut R, guard: &SocketGuard, heard: &Mutex<Instant>)
where
    R: Stream<Item = Result<Message, axum::Error>> + Unpin,
{
    let Attachment {
        key, epoch, outbox, ..
    } = &guard.attachment;
    let form = outbox.form();
    loop {
        outbox.readable().await;
        let message = stream.next().await;
        *heard.lock() = guard.service.clock().now().mono;
        let received = match message {
            None | Some(Ok(Message::Close(_))) => return,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Err(error)) => Err(end_of(error)),
            Some(Ok(Message::Text(text))) => {
                count_in(guard, text.len());
                from_text(form, text).map_err(Some)
            }
            Some(Ok(Message::Binary(bytes))) => {
                count_in(guard, bytes.len());
                from_binary(form, bytes).map_err(Some)
            }
        };
        match received {
            Ok(received) => guard.hub.receive(*key, *epoch, received),
            Err(None) => return,
            Err(Some(end)) => {
                guard.end(&end);
                // The writer sends the close and ends this loop with it.
                std::future::pending::<()>().await;
            }
        }
    }
}

fn from_text(form: WireForm, text: axum::extract::ws::Utf8Bytes) -> Result<Received, End> {
    if text.len() > MESSAGE_BYTES {
        return Err(End::protocol_error(1009, TOO_LARGE));
    }
    match form {
        WireForm::Raw => {
            let text = bytestring::ByteString::try_from(bytes::Bytes::from(text));
            text.map(|text| Received::Raw(Payload::Text(text)))
                .map_err(|_| End::protocol_error(1007, INVALID_FRAME))
        }
        WireForm::Json => match json::decode_client(bytes::Bytes::from(text)) {
            Ok(frame) => Ok(Received::Frame(frame)),
            Err(error) => {
                tracing::info!(%error, "a malformed frame: closing with 1007");
                Err(End::protocol_error(1007, MALFORMED_JSON))
            }
        },
    }
}

fn from_binary(form: WireForm, bytes: bytes::Bytes) -> Result<Received, End> {
    if bytes.len() > MESSAGE_BYTES {
        return Err(End::protocol_error(1009, TOO_LARGE));
    }
    match form {
        WireForm::Raw => Ok(Received::Raw(Payload::Binary(bytes))),
        WireForm::Json => Err(End::protocol_error(1003, TEXT_ONLY)),
    }
}

/// How a broken socket ends its connection; `None` when it is simply gone.
fn end_of(error: axum::Error) -> Option<End> {
    let error = error.into_inner().downcast::<WsError>().ok()?;
    match *error {
        WsError::Capacity(_) => Some(End::protocol_error(1009, TOO_LARGE)),
        WsError::Utf8(_) => Some(End::protocol_error(1007, INVALID_FRAME)),
        WsError::Protocol(
            tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
        ) => None,
        WsError::Protocol(_) => Some(End::protocol_error(1002, INVALID_FRAME)),
        _ => None,
    }
}

fn count_in(guard: &SocketGuard, bytes: usize) {
    let counters = guard.service.counters();
    counters.frames_in.add(1);
    counters.bytes_in.add(bytes as u64);
    guard.service.tap().emit(|| Tapped::FrameIn {
        hub: guard.hub.name().clone(),
        connection_id: guard.attachment.connection_id.clone(),
        bytes,
    });
}

fn count_out(guard: &SocketGuard, frames: &[Frame]) {
    let counters = guard.service.counters();
    counters.frames_out.add(frames.len() as u64);
    counters
        .bytes_out
        .add(frames.iter().map(|frame| frame.len() as u64).sum());
    for frame in frames {
        guard.service.tap().emit(|| Tapped::FrameOut {
            hub: guard.hub.name().clone(),
            connection_id: guard.attachment.connection_id.clone(),
            bytes: frame.len(),
        });
    }
}

impl From<Frame> for Message {
    fn from(frame: Frame) -> Self {
        match frame {
            Frame::Text(text) => Self::Text(text),
            Frame::Binary(bytes) => Self::Binary(bytes),
        }
    }
}
