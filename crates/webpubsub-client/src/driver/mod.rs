//! The task that owns the socket: it carries out what the session wants and reports what happens.
//!
//! One poll takes turns: read what has arrived, hand it to the session together with the deadlines that have passed,
//! carry out what the session wants, write what waits. Many frames are read per turn and handed over under one lock,
//! and many are written per flush. A dial is one more thing that is polled, so deadlines fire while it hangs.

mod dial;
mod socket;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]
mod tests;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytestring::ByteString;
use tracing::Span;
use url::Url;
use webpubsub_protocol::session::{Action, Attempt, Input, Protocol};

use crate::connector::{AnyConnector, AnyTransport};
use crate::credential::WebPubSubClientCredential;
use crate::shared::{Rest, Seat, Turn};
use crate::sync::{Alarm, now, within};
use dial::Dialing;
use socket::Socket;

/// How long the closing handshake of a socket may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Turns that are taken before other tasks get theirs.
const TURNS: usize = 16;

/// What a driver needs besides the session.
pub(crate) struct Link {
    pub(crate) credential: WebPubSubClientCredential,
    pub(crate) connector: Arc<dyn AnyConnector>,
    pub(crate) protocol: Arc<dyn Protocol>,
    pub(crate) max_message_bytes: usize,
}

/// Drives the session until it stops.
pub(crate) fn spawn(seat: Seat, link: Arc<Link>) {
    tokio::spawn(Driver::new(seat, link));
}

/// A driver, as a future that completes when the session is stopped and its sockets are closed.
struct Driver {
    seat: Seat,
    link: Arc<Link>,
    /// Where the current connection was opened.
    url: Option<Box<Url>>,
    dialing: Option<Dialing>,
    socket: Option<Socket>,
    /// Sockets that are being closed.
    closing: Vec<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// What happened since the last turn.
    inputs: Vec<(Attempt, Input)>,
    /// How much may be read until the next turn.
    read_limit: usize,
    alarm: Alarm,
    /// Names the hub and the connection in logs.
    span: Span,
    connection_id: Option<ByteString>,
}

impl Driver {
    fn new(seat: Seat, link: Arc<Link>) -> Self {
        Self {
            seat,
            link,
            url: None,
            dialing: None,
            socket: None,
            closing: Vec::new(),
            inputs: Vec::new(),
            read_limit: usize::MAX,
            alarm: Alarm::default(),
            span: Span::none(),
            connection_id: None,
        }
    }

    /// Whether another turn may bring something.
    fn take_turn(&mut self, cx: &mut Context<'_>) -> bool {
        self.poll_closing(cx);
        let has_dialled = self.poll_dial(cx);
        let may_read_on = self.poll_read(cx);
        let turn = self.seat.turn(&mut self.inputs);
        let has_acted = !turn.actions.is_empty();
        let deadline = turn.deadline;
        let may_read_on = may_read_on && turn.read_limit > 0;
        self.carry_out(turn);
        let has_failed = self.poll_write(cx);
        let is_due = self.alarm.poll(cx, deadline).is_ready();
        has_dialled || may_read_on || has_acted || has_failed || is_due
    }

    fn poll_closing(&mut self, cx: &mut Context<'_>) {
        self.closing
            .retain_mut(|closing| closing.as_mut().poll(cx).is_pending());
    }

    /// Whether a dial has ended.
    fn poll_dial(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(dialing) = &mut self.dialing else {
            return false;
        };
        let Poll::Ready(result) = dialing.future.as_mut().poll(cx) else {
            return false;
        };
        let attempt = dialing.attempt;
        self.dialing = None;
        let input = match result {
            Ok((url, transport)) => {
                self.url = Some(Box::new(url));
                self.socket = Some(Socket::new(attempt, transport));
                Input::Opened
            }
            Err(failure) => {
                tracing::debug!(%failure, "a dial failed");
                Input::DialFailed(failure)
            }
        };
        self.inputs.push((attempt, input));
        true
    }

    /// Reads what has arrived, at most a batch; whether there may be more.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(socket) = &mut self.socket else {
            return false;
        };
        let metrics = &*self.seat.shared().metrics;
        let inputs = &mut self.inputs;
        let is_open = socket.poll_read(cx, self.read_limit, |attempt, input| {
            if let Input::Frame(frame) = &input {
                metrics.frame_received(frame.len());
            }
            inputs.push((attempt, input));
        });
        match is_open {
            Poll::Pending => false,
            Poll::Ready(true) => true,
            Poll::Ready(false) => {
                self.socket = None;
                true
            }
        }
    }

    fn carry_out(&mut self, turn: Turn) {
        for action in turn.actions {
            match action {
                Action::Dial { attempt, recover } => {
                    self.socket = None;
                    let future = dial::dial(
                        Arc::clone(&self.link),
                        self.url.as_deref().cloned(),
                        recover,
                    );
                    self.dialing = Some(Dialing { attempt, future });
                }
                Action::Hangup {
                    attempt,
                    close_code,
                } => self.hang_up(attempt, close_code),
                action => tracing::error!(?action, "the driver does not know this action"),
            }
        }
        self.read_limit = turn.read_limit;
        if turn.connection_id != self.connection_id {
            self.connection_id = turn.connection_id;
            self.span = self.name();
        }
        for report in turn.reports {
            report.emit(&*self.seat.shared().metrics);
        }
    }

    /// A span of the current connection. It has no parent: that would be the span of the connection before, which would
    /// live as long as this one, and so on.
    fn name(&self) -> Span {
        let segments = self.url.as_deref().and_then(Url::path_segments);
        let hub = segments.and_then(|mut segments| segments.rfind(|segment| !segment.is_empty()));
        match &self.connection_id {
            Some(id) => {
                tracing::info_span!(parent: None, "webpubsub_client", hub, connection_id = %id)
            }
            None => tracing::info_span!(parent: None, "webpubsub_client", hub),
        }
    }

    fn hang_up(&mut self, attempt: Attempt, close_code: Option<u16>) {
        self.dialing.take_if(|dialing| dialing.attempt == attempt);
        let socket = self.socket.take_if(|socket| socket.attempt() == attempt);
        if let (Some(socket), Some(code)) = (socket, close_code) {
            self.close(socket.into_transport(), code);
        }
    }

    fn close(&mut self, mut transport: AnyTransport, code: u16) {
        self.closing.push(Box::pin(async move {
            let closed = poll_fn(|cx| transport.as_mut().poll_close_with(cx, code));
            // A peer that does not answer in time is left alone.
            let _ = within(CLOSE_TIMEOUT, closed).await;
        }));
    }

    /// Writes what waits; whether the socket has failed.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(socket) = &mut self.socket else {
            return false;
        };
        let seat = &self.seat;
        let now = now();
        let mut has_sent = false;
        let has_failed = socket.poll_write(cx, || {
            let frame = seat.transmit(now)?;
            seat.shared().metrics.frame_sent(frame.len());
            has_sent = true;
            Some(frame)
        });
        if has_sent {
            seat.wake();
        }
        has_failed
    }
}

/// Each client holds a driver all its life, so what is needed for a moment only, such as a dial, is behind a pointer.
const _: () = assert!(size_of::<Driver>() <= 272);

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let driver = &mut *self;
        let span = driver.span.clone();
        let _entered = span.enter();
        for _ in 0..TURNS {
            if driver.take_turn(cx) {
                continue;
            }
            let is_closing = !driver.closing.is_empty();
            let alarm = driver.alarm.deadline();
            match driver.seat.rest(cx.waker(), alarm, is_closing) {
                Rest::NotYet => {}
                Rest::Waiting => {
                    driver.inputs = Vec::new();
                    return Poll::Pending;
                }
                Rest::Over => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
