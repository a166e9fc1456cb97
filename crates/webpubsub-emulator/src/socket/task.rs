//! One task per socket: it drains the outbox, hands frames to the hub, and keeps the line alive.
//! Generic over the framed transport, so that tests can stall, cut or script one.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::ws::{CloseFrame, Message};
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use parking_lot::Mutex;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::decode;
use crate::hub::{Attachment, CONNECTION_ENDED, Drained, End, Frame, Gone, Hub};
use crate::service::Service;
use crate::tap::Tapped;

/// Frames that are taken from the outbox at once and share one flush.
const BATCH: usize = 64;

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

    pub(super) fn end(&self, end: &End) {
        self.hub
            .socket_failed(self.attachment.key, self.attachment.epoch, end);
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
        self.hub.socket_gone(*key, *epoch, Gone::Lost);
        self.service.counters().connections_closed.add(1);
        tracing::debug!(hub = %self.hub.name(), connection = %connection_id, "closed");
    }
}

/// Runs a socket until it is closed, or until the service goes away without waiting for it.
pub(super) async fn run<S>(socket: S, guard: SocketGuard)
where
    S: Stream<Item = Result<Message, axum::Error>> + Sink<Message, Error = axum::Error> + Send,
{
    guard.hub.greet(guard.attachment.key);
    guard.service.run_socket(converse(socket, &guard)).await;
}

async fn converse<S>(socket: S, guard: &SocketGuard)
where
    S: Stream<Item = Result<Message, axum::Error>> + Sink<Message, Error = axum::Error> + Send,
{
    let (mut sink, mut stream) = socket.split();
    let clock = guard.service.clock().clone();
    let heard = Mutex::new(clock.now().mono);

    let exchange = async {
        tokio::select! {
            finished = write(&mut sink, guard, &heard) => finished,
            finished = read(&mut stream, guard, &heard) => finished,
        }
    };
    // A client that does not read cannot hold a close back for ever.
    let finished = or_abort(exchange, guard).await.unwrap_or(Finished::Lost);

    let closes = matches!(finished, Finished::ByClient(_) | Finished::ByService);
    if let Finished::ByClient(gone) = finished {
        // The hub must not see frames after this; the transport still answers the close.
        guard
            .hub
            .socket_gone(guard.attachment.key, guard.attachment.epoch, gone);
    }
    if closes {
        // Finishes the close handshake: reads what is under way until the peer hangs up.
        let hang_up = async { while let Some(Ok(_)) = stream.next().await {} };
        let grace = clock.now().mono + crate::hub::CLOSE_DRAIN;
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

/// How the exchange of frames ended.
#[derive(Debug, PartialEq, Eq)]
enum Finished {
    /// A close frame went out.
    ByService,
    /// The client sent a close frame.
    ByClient(Gone),
    /// The transport failed, was silent for too long, or was replaced by another one.
    Lost,
}

async fn write<K>(sink: &mut K, guard: &SocketGuard, heard: &Mutex<Instant>) -> Finished
where
    K: Sink<Message, Error = axum::Error> + Unpin,
{
    let clock = guard.service.clock();
    let limits = &guard.service.settings().limits;
    let outbox = &guard.attachment.outbox;
    let mut ping_at = clock.now().mono + limits.ping_interval;
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let drained = outbox.drain(clock.now().mono, BATCH, &mut batch);
        let more = batch.len() == BATCH;
        if !batch.is_empty() {
            count_out(guard, &batch);
            for frame in batch.drain(..) {
                if sink.feed(frame.into()).await.is_err() {
                    return Finished::Lost;
                }
            }
            if sink.flush().await.is_err() {
                return Finished::Lost;
            }
        }
        if drained == Drained::Superseded {
            return Finished::Lost;
        }
        if let Drained::Closed(close) = drained {
            let frame = CloseFrame {
                code: close.code,
                reason: close.reason.into(),
            };
            let sent = sink.send(Message::Close(Some(frame))).await;
            return if sent.is_ok() {
                Finished::ByService
            } else {
                Finished::Lost
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
                if silent >= limits.silence_limit && !outbox.is_paused() {
                    tracing::info!(
                        connection = %guard.attachment.connection_id,
                        "silent for {} s: taken as lost", silent.as_secs()
                    );
                    return Finished::Lost;
                }
                ping_at = now + limits.ping_interval;
                if sink.send(Message::Ping(bytes::Bytes::new())).await.is_err() {
                    return Finished::Lost;
                }
            }
        }
    }
}

/// Reads until the peer closed or was lost; the hub learns of everything else.
async fn read<R>(stream: &mut R, guard: &SocketGuard, heard: &Mutex<Instant>) -> Finished
where
    R: Stream<Item = Result<Message, axum::Error>> + Unpin,
{
    let Attachment {
        key, epoch, outbox, ..
    } = &guard.attachment;
    let form = outbox.form();
    let most = guard.service.settings().limits.message_bytes;
    loop {
        outbox.readable().await;
        let message = stream.next().await;
        *heard.lock() = guard.service.clock().now().mono;
        let received = match message {
            None => return Finished::Lost,
            Some(Ok(Message::Close(close))) => {
                let settings = guard.service.settings();
                let gone = match &close {
                    Some(close) => decode::closed_by_client(close),
                    None if settings.end_on_close_without_status => {
                        Gone::ClosedForGood(CONNECTION_ENDED)
                    }
                    None => Gone::Lost,
                };
                return Finished::ByClient(gone);
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Text(text))) => {
                count_in(guard, text.len());
                decode::text(form, text, most)
            }
            Some(Ok(Message::Binary(bytes))) => {
                count_in(guard, bytes.len());
                decode::binary(form, bytes, most)
            }
            Some(Err(error)) => match decode::broken(error) {
                Some(end) => Err(end),
                None => return Finished::Lost,
            },
        };
        match received {
            Ok(received) => guard.hub.receive(*key, *epoch, received),
            Err(end) => {
                guard.end(&end);
                // The writer sends the close and ends this loop with it.
                std::future::pending::<()>().await;
            }
        }
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
