//! The task that owns the socket: it carries out what the session wants and reports what happens.
//!
//! One poll reads what has arrived, fires deadlines, hands out events and writes what waits: many frames per wake, one
//! flush for all of them. A dial is one more thing that is polled, so deadlines fire while it hangs.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytestring::ByteString;
use tokio::time::Sleep;
use tracing::Span;
use url::Url;
use webpubsub_protocol::session::{
    Action, Attempt, Closure, DialFailure, Input, Protocol, Recovery, State,
};

use crate::connector::{AnyConnector, AnyTransport, Dial};
use crate::credential::WebPubSubClientCredential;
use crate::shared::{Inner, Shared, now};

/// How long the closing handshake of a stopped client may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// How long requests wait for their answers while a consumer blocks the connection.
const PATIENCE: Duration = Duration::from_secs(1);

/// Frames that are read before anything else gets its turn.
const READ_BATCH: usize = 64;

/// What a driver needs besides the session.
pub(crate) struct Link {
    pub(crate) credential: WebPubSubClientCredential,
    pub(crate) connector: Arc<dyn AnyConnector>,
    pub(crate) protocol: Arc<dyn Protocol>,
    pub(crate) max_message_bytes: usize,
}

/// Drives the session until it stops.
pub(crate) fn spawn(shared: Arc<Shared>, link: Arc<Link>) {
    let mut driver = Driver {
        shared,
        link,
        url: None,
        dialing: None,
        transport: None,
        farewells: Vec::new(),
        alarm: None,
        blocked_since: None,
        unflushed: false,
        wrote: false,
        is_stalled: false,
        span: Span::none(),
        connection_id: None,
    };
    tokio::spawn(poll_fn(move |cx| driver.poll(cx)));
}

struct Driver {
    shared: Arc<Shared>,
    link: Arc<Link>,
    /// Where the current connection was opened.
    url: Option<Url>,
    dialing: Option<(Attempt, DialFuture)>,
    transport: Option<(Attempt, AnyTransport)>,
    /// Sockets that are being closed.
    farewells: Vec<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// The deadline that is being waited for, and its timer.
    alarm: Option<(Instant, Pin<Box<Sleep>>)>,
    blocked_since: Option<Instant>,
    unflushed: bool,
    /// Frames were written since those who wait for room were told.
    wrote: bool,
    is_stalled: bool,
    /// Names the hub and the connection in logs.
    span: Span,
    connection_id: Option<ByteString>,
}

type DialFuture = Pin<Box<dyn Future<Output = Result<(Url, AnyTransport), DialFailure>> + Send>>;

impl Driver {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let span = self.span.clone();
        let _entered = span.enter();
        self.farewells
            .retain_mut(|farewell| farewell.as_mut().poll(cx).is_pending());
        let mut changed = false;
        loop {
            let mut progress = self.poll_dial(cx);
            progress |= self.poll_read(cx);
            progress |= self.poll_alarm(cx);
            progress |= self.carry_out(cx);
            progress |= self.poll_write(cx);
            changed |= progress;
            if !progress {
                break;
            }
        }
        if changed || std::mem::take(&mut self.wrote) {
            // What waited for room may find some, or finds the client stopped.
            self.shared.room.notify_waiters();
        }
        if !self.farewells.is_empty() {
            return Poll::Pending;
        }
        let mut inner = self.shared.lock();
        inner.sockets_closed();
        if inner.session.state() != State::Stopped {
            return Poll::Pending;
        }
        inner.driven = false;
        Poll::Ready(())
    }

    fn poll_dial(&mut self, cx: &mut Context<'_>) -> bool {
        let Some((attempt, dial)) = &mut self.dialing else {
            return false;
        };
        let Poll::Ready(result) = dial.as_mut().poll(cx) else {
            return false;
        };
        let attempt = *attempt;
        self.dialing = None;
        let input = match result {
            Ok((url, transport)) => {
                self.url = Some(url);
                self.transport = Some((attempt, transport));
                Input::Opened
            }
            Err(failure) => {
                tracing::debug!(%failure, "a dial failed");
                Input::DialFailed(failure)
            }
        };
        self.shared
            .lock()
            .session
            .handle_input(now(), attempt, input);
        true
    }

    /// Reads what has arrived, at most a batch: then the others get their turn, and it comes back.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> bool {
        for read in 0..READ_BATCH {
            let Some((attempt, transport)) = &mut self.transport else {
                return read > 0;
            };
            if !self.shared.lock().may_read() {
                return read > 0;
            }
            let Poll::Ready(item) = transport.as_mut().poll_next(cx) else {
                return read > 0;
            };
            let attempt = *attempt;
            let input = match item {
                Some(Ok(frame)) => {
                    self.shared.metrics.frame_received(frame.len());
                    Input::Frame(frame)
                }
                Some(Err(closure)) => Input::Closed(closure),
                None => Input::Closed(Closure::default()),
            };
            if matches!(input, Input::Closed(_)) {
                self.transport = None;
            }
            let mut inner = self.shared.lock();
            inner.session.handle_input(now(), attempt, input);
            inner.dispatch(&*self.shared.metrics);
        }
        true
    }

    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> bool {
        let shared = Arc::clone(&self.shared);
        let mut inner = shared.lock();
        let at = now();
        self.watch_consumers(&mut inner, at.mono);
        let patience = self
            .blocked_since
            .filter(|_| !self.is_stalled)
            .map(|since| since + PATIENCE);
        let next = [inner.session.poll_timeout(), patience]
            .into_iter()
            .flatten()
            .min();
        let Some(deadline) = next else {
            self.alarm = None;
            return false;
        };
        if self.alarm.as_ref().is_none_or(|(set, _)| *set != deadline) {
            let sleep = tokio::time::sleep_until(deadline.into());
            self.alarm = Some((deadline, Box::pin(sleep)));
        }
        let Some((_, sleep)) = &mut self.alarm else {
            return false;
        };
        if sleep.as_mut().poll(cx).is_pending() {
            return false;
        }
        self.alarm = None;
        let at = now();
        if patience.is_some_and(|patience| patience <= at.mono) {
            tracing::warn!(
                "a consumer of events does not keep up; requests fail because answers cannot arrive"
            );
            self.is_stalled = true;
            inner.session.set_stalled(at, true);
        }
        inner.session.handle_timeout(at);
        true
    }

    /// Notices when a consumer begins, or ceases, to block the connection.
    fn watch_consumers(&mut self, inner: &mut Inner, at: Instant) {
        match (inner.is_blocked(), self.blocked_since) {
            (true, None) => self.blocked_since = Some(at),
            (false, Some(_)) => {
                self.blocked_since = None;
                self.is_stalled = false;
                inner.session.set_stalled(now(), false);
            }
            _ => {}
        }
    }

    /// Does what the session wants and tells its events.
    fn carry_out(&mut self, cx: &mut Context<'_>) -> bool {
        let shared = Arc::clone(&self.shared);
        let mut inner = shared.lock();
        inner.set_driver(cx.waker());
        let mut progress = false;
        while let Some(action) = inner.session.poll_action() {
            progress = true;
            match action {
                Action::Dial { attempt, recover } => {
                    self.transport = None;
                    self.dialing = Some((attempt, self.dial(recover)));
                }
                Action::Hangup {
                    attempt,
                    close_code,
                } => self.hang_up(attempt, close_code),
                action => tracing::error!(?action, "the driver does not know this action"),
            }
        }
        inner.dispatch(&*shared.metrics);
        shared.publish_status(&inner);
        if inner.session.connection_id() != self.connection_id.as_ref() {
            self.connection_id = inner.session.connection_id().cloned();
            self.span = self.name();
        }
        progress
    }

    /// A span of the current connection. It has no parent: that would be the span of the connection before, which would
    /// live as long as this one, and so on.
    fn name(&self) -> Span {
        let segments = self.url.as_ref().and_then(Url::path_segments);
        let hub = segments.and_then(|mut segments| segments.rfind(|segment| !segment.is_empty()));
        match &self.connection_id {
            Some(id) => {
                tracing::info_span!(parent: None, "webpubsub_client", hub, connection_id = %id)
            }
            None => tracing::info_span!(parent: None, "webpubsub_client", hub),
        }
    }

    fn dial(&self, recover: Option<Recovery>) -> DialFuture {
        let link = Arc::clone(&self.link);
        let first = self.url.clone();
        Box::pin(async move {
            let url = match (&recover, &first) {
                (Some(_), Some(url)) => url.clone(),
                _ => fresh_url(&link.credential).await?,
            };
            let mut dialled = url.clone();
            if let Some(recovery) = recover {
                dialled
                    .query_pairs_mut()
                    .append_pair("awps_connection_id", &recovery.connection_id)
                    .append_pair("awps_reconnection_token", &recovery.reconnection_token);
            }
            let dial = Dial {
                url: dialled,
                subprotocol: link.protocol.name().to_owned(),
                max_message_bytes: link.max_message_bytes,
            };
            let transport = link.connector.connect_any(dial).await?;
            Ok((url, transport))
        })
    }

    fn hang_up(&mut self, attempt: Attempt, close_code: Option<u16>) {
        self.dialing.take_if(|(dialing, _)| *dialing == attempt);
        let transport = self.transport.take_if(|(open, _)| *open == attempt);
        let (Some((_, mut transport)), Some(code)) = (transport, close_code) else {
            return;
        };
        let goodbye = async move {
            let goodbye = poll_fn(|cx| transport.as_mut().poll_goodbye(cx, code));
            // A peer that does not answer has had its chance.
            let _ = tokio::time::timeout(GOODBYE, goodbye).await;
        };
        self.farewells.push(Box::pin(goodbye));
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> bool {
        // A socket that was just told to close must be polled once.
        self.farewells
            .retain_mut(|farewell| farewell.as_mut().poll(cx).is_pending());
        let Some((attempt, transport)) = &mut self.transport else {
            self.unflushed = false;
            return false;
        };
        let attempt = *attempt;
        let mut wrote = false;
        let result = loop {
            match transport.as_mut().poll_ready(cx) {
                Poll::Pending => break Ok(()),
                Poll::Ready(Err(closure)) => break Err(closure),
                Poll::Ready(Ok(())) => {}
            }
            let mut inner = self.shared.lock();
            let Some(frame) = inner.session.poll_transmit(now()) else {
                break Ok(());
            };
            inner.dispatch(&*self.shared.metrics);
            drop(inner);
            self.shared.metrics.frame_sent(frame.len());
            wrote = true;
            if let Err(closure) = transport.as_mut().start_send(frame) {
                break Err(closure);
            }
        };
        self.wrote |= wrote;
        let result = result.and_then(|()| {
            self.unflushed |= wrote;
            if self.unflushed {
                match transport.as_mut().poll_flush(cx) {
                    Poll::Ready(Ok(())) => self.unflushed = false,
                    Poll::Ready(Err(closure)) => return Err(closure),
                    Poll::Pending => {}
                }
            }
            Ok(())
        });
        if let Err(closure) = result {
            // The peer's close frame, if there is one, says more than the error of a write.
            let closure = match transport.as_mut().poll_next(cx) {
                Poll::Ready(Some(Err(told))) if told.code.is_some() => told,
                _ => closure,
            };
            self.transport = None;
            let mut inner = self.shared.lock();
            inner
                .session
                .handle_input(now(), attempt, Input::Closed(closure));
            return true;
        }
        false
    }
}

/// The runtime went away before the client was stopped: nobody shall wait for a driver that is gone.
impl Drop for Driver {
    fn drop(&mut self) {
        let mut inner = self.shared.lock();
        if inner.driven {
            inner.session.stop(now());
            inner.dispatch(&*self.shared.metrics);
            inner.sockets_closed();
            inner.driven = false;
            self.shared.publish_status(&inner);
            self.shared.room.notify_waiters();
        }
    }
}

async fn fresh_url(credential: &WebPubSubClientCredential) -> Result<Url, DialFailure> {
    let url = credential
        .client_access_url()
        .await
        .map_err(|error| DialFailure::Credential(error.to_string()))?;
    Url::parse(&url)
        .ok()
        .filter(|url| matches!(url.scheme(), "ws" | "wss") && url.has_host())
        .ok_or_else(|| {
            let what = "it gave no URL that begins with ws:// or wss:// and has a host";
            DialFailure::Credential(what.to_owned())
        })
}
