//! What waits to go out on one connection. It has its own lock, so a socket drains it without the
//! hub's; only the hub puts in, under its lock, so that all sockets see one order.
//!
//! On a reliable connection every message gets a sequence id and stays here until the client
//! acknowledged it: that part is the replay queue. It fills while no socket is attached.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;
use webpubsub_protocol::frame::SequenceId;

use super::message::{Frame, Shared, WireForm};

/// How long a close waits for queued frames before the socket is aborted.
pub(crate) const CLOSE_DRAIN: Duration = Duration::from_secs(5);

/// The same for a client that does not read: most likely it never will.
pub(crate) const SLOW_DRAIN: Duration = Duration::from_secs(1);

/// On reliable connections control frames fit even when messages fill the queue.
const RELIABLE_EXTRA_FRAMES: usize = 32;
const RELIABLE_EXTRA_BYTES: usize = 64 * 1024;

/// What a sequence id adds to a frame, at most.
const SEQUENCE_ID_BYTES: usize = 34;

/// The most that a queue of one connection may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OutboxLimits {
    pub(crate) frames: usize,
    pub(crate) bytes: usize,
}

/// Something to go out.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    /// Something published, encoded in the connection's wire form when it goes out.
    Shared(Arc<Shared>),
    /// A frame for this connection alone; lost with its socket.
    Control(Frame),
}

/// How the service ends a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Close {
    pub(crate) code: u16,
    pub(crate) reason: String,
    /// When the socket is aborted if it has not drained.
    pub(crate) abort_at: Instant,
}

/// What a drain found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Drained {
    /// Frames were taken, or there were none.
    Open,
    /// Nothing is left, and nothing will come: send this close.
    Closed(Close),
    /// Another socket took over: hang up.
    Superseded,
}

/// Why nothing more fits; the connection must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// The client does not read.
    Queue,
    /// The client does not acknowledge.
    Replay,
}

#[derive(Debug)]
pub(crate) struct Outbox {
    form: WireForm,
    reliable: bool,
    /// For what goes to the socket.
    limits: OutboxLimits,
    /// For what the client has not acknowledged.
    replay: OutboxLimits,
    queue: Mutex<Queue>,
    /// Signalled when there is something to drain.
    filled: Notify,
    /// Signalled when the service closes the connection.
    closed: Notify,
    /// Set while frames of this client wait for a handler and no more may be read.
    paused: AtomicBool,
    resumed: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    /// What the socket has not taken yet.
    waiting: VecDeque<(Item, Option<SequenceId>)>,
    waiting_bytes: usize,
    /// What the client has not acknowledged yet, sent or not. Reliable connections only.
    unacknowledged: VecDeque<(SequenceId, Arc<Shared>)>,
    unacknowledged_bytes: usize,
    last_id: u64,
    end: Option<End>,
}

#[derive(Debug)]
enum End {
    /// No socket is attached; messages are still kept.
    Detached,
    Closed(Close),
    Superseded,
}

impl Outbox {
    pub(crate) fn new(
        form: WireForm,
        reliable: bool,
        limits: OutboxLimits,
        replay: OutboxLimits,
    ) -> Arc<Self> {
        Arc::new(Self::with(form, reliable, limits, replay, Queue::default()))
    }

    fn with(
        form: WireForm,
        reliable: bool,
        limits: OutboxLimits,
        replay: OutboxLimits,
        queue: Queue,
    ) -> Self {
        Self {
            form,
            reliable,
            limits,
            replay,
            queue: Mutex::new(queue),
            filled: Notify::new(),
            closed: Notify::new(),
            paused: AtomicBool::new(false),
            resumed: Notify::new(),
        }
    }

    pub(crate) fn form(&self) -> WireForm {
        self.form
    }

    pub(crate) fn is_reliable(&self) -> bool {
        self.reliable
    }

    /// Puts an item at the end. The caller wakes the socket once the hub's lock is released.
    pub(super) fn push(&self, now: Instant, item: Item) -> Result<(), Full> {
        let mut queue = self.queue.lock();
        let detached = match queue.end {
            None => false,
            Some(End::Detached) => true,
            // Nobody will read it.
            Some(End::Closed(_) | End::Superseded) => return Ok(()),
        };
        let mut id = None;
        if self.reliable
            && let Item::Shared(shared) = &item
        {
            let bytes = shared.len(self.form) + SEQUENCE_ID_BYTES;
            if !queue.can_keep(bytes, self.replay) {
                queue.forget_expired(now, self.form);
                if !queue.can_keep(bytes, self.replay) {
                    return Err(Full::Replay);
                }
            }
            queue.last_id += 1;
            let next = SequenceId(queue.last_id);
            queue.unacknowledged_bytes += bytes;
            queue.unacknowledged.push_back((next, Arc::clone(shared)));
            id = Some(next);
        }
        if detached {
            // Acks and pongs are lost; messages wait in the replay queue.
            return Ok(());
        }
        let bytes = self.size(&item, id);
        let (frames_most, bytes_most) = self.waiting_limits();
        if queue.waiting.len() >= frames_most || queue.waiting_bytes + bytes > bytes_most {
            return Err(Full::Queue);
        }
        queue.waiting_bytes += bytes;
        queue.waiting.push_back((item, id));
        Ok(())
    }

    /// Ends the connection after what waits, plus one `last` frame that no limit holds back.
    pub(super) fn close(&self, last: Option<Frame>, close: Close) {
        let mut queue = self.queue.lock();
        if matches!(queue.end, None | Some(End::Detached)) {
            queue
                .waiting
                .extend(last.map(|frame| (Item::Control(frame), None)));
            queue.end = Some(End::Closed(close));
        }
    }

    /// The client has everything up to `id`; a lower id than before changes nothing.
    pub(super) fn acknowledge(&self, id: SequenceId) {
        let mut queue = self.queue.lock();
        while let Some((first, shared)) = queue.unacknowledged.front()
            && *first <= id
        {
            let bytes = shared.len(self.form) + SEQUENCE_ID_BYTES;
            queue.unacknowledged_bytes = queue.unacknowledged_bytes.saturating_sub(bytes);
            queue.unacknowledged.pop_front();
        }
    }

    /// The socket is gone, the connection waits for another one.
    pub(super) fn detach(&self) {
        let mut queue = self.queue.lock();
        if queue.end.is_none() {
            queue.waiting.clear();
            queue.waiting_bytes = 0;
            queue.end = Some(End::Detached);
        }
    }

    /// The outbox for the connection's next socket: `first`, then everything unacknowledged in
    /// order. This one ends, whatever its socket still does.
    pub(super) fn succeed(&self, now: Instant, first: Option<Frame>) -> Arc<Self> {
        let mut old = self.queue.lock();
        let mut queue = Queue {
            last_id: old.last_id,
            ..Queue::default()
        };
        queue
            .waiting
            .extend(first.map(|frame| (Item::Control(frame), None)));
        for (id, shared) in std::mem::take(&mut old.unacknowledged) {
            if !shared.is_expired(now) {
                queue.unacknowledged_bytes += shared.len(self.form) + SEQUENCE_ID_BYTES;
                queue
                    .waiting
                    .push_back((Item::Shared(Arc::clone(&shared)), Some(id)));
                queue.unacknowledged.push_back((id, shared));
            }
        }
        queue.waiting_bytes = queue
            .waiting
            .iter()
            .map(|(item, id)| self.size(item, *id))
            .sum();
        old.waiting.clear();
        old.end = Some(End::Superseded);
        drop(old);
        self.wake();
        Arc::new(Self::with(
            self.form,
            self.reliable,
            self.limits,
            self.replay,
            queue,
        ))
    }

    /// Wakes the socket; called after the hub's lock was released.
    pub(super) fn wake(&self) {
        self.filled.notify_one();
        if matches!(self.queue.lock().end, Some(End::Closed(_))) {
            self.closed.notify_one();
        }
    }

    /// Moves at most `most` frames into `into`, skipping expired messages.
    pub(crate) fn drain(&self, now: Instant, most: usize, into: &mut Vec<Frame>) -> Drained {
        let mut queue = self.queue.lock();
        while into.len() < most {
            let Some((item, id)) = queue.waiting.pop_front() else {
                break;
            };
            queue.waiting_bytes = queue.waiting_bytes.saturating_sub(self.size(&item, id));
            match item {
                Item::Control(frame) => into.push(frame),
                Item::Shared(shared) if shared.is_expired(now) => {}
                Item::Shared(shared) => into.extend(shared.frame(self.form, id)),
            }
        }
        match &queue.end {
            Some(End::Closed(close)) if queue.waiting.is_empty() => Drained::Closed(close.clone()),
            Some(End::Superseded) => Drained::Superseded,
            _ => Drained::Open,
        }
    }

    /// Completes when there may be something to drain. For the one socket of the connection.
    pub(crate) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Completes when the service closes the connection, with the moment to abort the socket.
    pub(crate) async fn abort_at(&self) -> Instant {
        loop {
            if let Some(at) = self.aborts_at() {
                return at;
            }
            self.closed.notified().await;
        }
    }

    /// The moment to abort the socket, once the service closes the connection.
    pub(super) fn aborts_at(&self) -> Option<Instant> {
        match &self.queue.lock().end {
            Some(End::Closed(close)) => Some(close.abort_at),
            Some(End::Detached | End::Superseded) | None => None,
        }
    }

    /// Frames that the socket has not taken yet.
    #[cfg(feature = "__simulation")]
    pub(super) fn waiting(&self) -> usize {
        self.queue.lock().waiting.len()
    }

    /// Stops or goes on reading this client's frames.
    pub(super) fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::Release);
        if !paused {
            self.resumed.notify_one();
        }
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    /// Completes when frames of this client may be read.
    pub(crate) async fn readable(&self) {
        while self.is_paused() {
            self.resumed.notified().await;
        }
    }

    fn waiting_limits(&self) -> (usize, usize) {
        let OutboxLimits { frames, bytes } = self.limits;
        if self.reliable {
            (frames + RELIABLE_EXTRA_FRAMES, bytes + RELIABLE_EXTRA_BYTES)
        } else {
            (frames, bytes)
        }
    }

    fn size(&self, item: &Item, id: Option<SequenceId>) -> usize {
        let of_id = if id.is_some() { SEQUENCE_ID_BYTES } else { 0 };
        match item {
            Item::Shared(shared) => shared.len(self.form) + of_id,
            Item::Control(frame) => frame.len(),
        }
    }
}

impl Queue {
    /// Whether one more message fits into the replay queue.
    fn can_keep(&self, bytes: usize, limits: OutboxLimits) -> bool {
        self.unacknowledged.len() < limits.frames
            && self.unacknowledged_bytes + bytes <= limits.bytes
    }

    /// What will not be delivered any more needs no room. Its ids stay skipped.
    fn forget_expired(&mut self, now: Instant, form: WireForm) {
        let mut freed = 0;
        self.unacknowledged.retain(|(_, shared)| {
            let expired = shared.is_expired(now);
            if expired {
                freed += shared.len(form) + SEQUENCE_ID_BYTES;
            }
            !expired
        });
        self.unacknowledged_bytes = self.unacknowledged_bytes.saturating_sub(freed);
    }
}

#[cfg(test)]
mod tests {
    use webpubsub_protocol::frame::{Message, Sender};
    use webpubsub_protocol::metadata::Metadata;
    use webpubsub_protocol::payload::Payload;

    use super::*;

    fn control(text: &str) -> Item {
        Item::Control(Frame::Text(text.into()))
    }

    fn message(text: &str, expires: Option<Instant>) -> Item {
        let message = Message {
            sequence_id: None,
            from: Sender::Server,
            payload: Payload::text(text.to_owned()),
            metadata: Metadata::default(),
            stream: None,
        };
        Item::Shared(Shared::message(message, expires))
    }

    fn outbox(reliable: bool, frames: usize, bytes: usize) -> Arc<Outbox> {
        let limits = OutboxLimits { frames, bytes };
        Outbox::new(WireForm::Json, reliable, limits, limits)
    }

    fn close(abort_at: Instant) -> Close {
        Close {
            code: 1000,
            reason: String::new(),
            abort_at,
        }
    }

    fn now() -> Instant {
        crate::clock::Clock::manual().now().mono
    }

    /// The ids, or the text of control frames, that a drain finds.
    fn drained(outbox: &Outbox, now: Instant) -> Vec<String> {
        let mut frames = Vec::new();
        outbox.drain(now, usize::MAX, &mut frames);
        let name = |frame| match frame {
            Frame::Text(text) => {
                let id = text
                    .strip_prefix(r#"{"sequenceId":"#)
                    .and_then(|rest| rest.split_once(','));
                id.map_or_else(|| text.to_string(), |(id, _)| id.to_owned())
            }
            Frame::Binary(_) => panic!("not text"),
        };
        frames.into_iter().map(name).collect()
    }

    #[test]
    fn limits_count_frames_and_bytes() {
        let at = now();
        let frames = outbox(false, 2, 100);
        assert_eq!(frames.push(at, control("a")), Ok(()));
        assert_eq!(frames.push(at, control("b")), Ok(()));
        assert_eq!(frames.push(at, control("c")), Err(Full::Queue));

        let bytes = outbox(false, 100, 3);
        assert_eq!(bytes.push(at, control("abc")), Ok(()));
        assert_eq!(bytes.push(at, control("d")), Err(Full::Queue));
        drained(&bytes, at);
        assert_eq!(
            bytes.push(at, control("d")),
            Ok(()),
            "what was drained no longer counts"
        );
    }

    #[test]
    fn a_close_comes_after_what_waits_and_only_once() {
        let at = now();
        let outbox = outbox(false, 1, 100);
        outbox.push(at, control("a")).expect("room");
        outbox.close(Some(Frame::Text("bye".into())), close(at));
        outbox.close(
            Some(Frame::Text("again".into())),
            Close {
                code: 1001,
                ..close(at)
            },
        );

        let mut taken = Vec::new();
        assert_eq!(outbox.drain(at, 1, &mut taken), Drained::Open);
        assert_eq!(outbox.drain(at, 2, &mut taken), Drained::Closed(close(at)));
        assert_eq!(taken, [Frame::Text("a".into()), Frame::Text("bye".into())]);
    }

    #[tokio::test]
    async fn a_wake_is_not_lost_when_nobody_waits_yet() {
        let outbox = outbox(false, 1, 100);
        let at = now();
        outbox.close(None, close(at));
        outbox.wake();
        outbox.filled().await;
        assert_eq!(outbox.abort_at().await, at);
    }

    #[test]
    fn unacknowledged_messages_are_replayed_and_control_frames_are_not() {
        // req: S-6-15, S-7.1-7
        let at = now();
        let first = outbox(true, 10, 1 << 20);
        first.push(at, message("1", None)).expect("room");
        first.push(at, control("ack")).expect("room");
        first.push(at, message("2", None)).expect("room");
        assert_eq!(drained(&first, at), ["1", "ack", "2"]);
        first.acknowledge(SequenceId(1));
        first.acknowledge(SequenceId(0));

        first.detach();
        first.push(at, message("3", None)).expect("room");
        first.push(at, control("lost")).expect("not kept");
        let second = first.succeed(at, Some(Frame::Text("connected".into())));
        assert_eq!(first.drain(at, 9, &mut Vec::new()), Drained::Superseded);
        second.push(at, message("4", None)).expect("room");
        assert_eq!(drained(&second, at), ["connected", "2", "3", "4"]);

        // Nothing was acknowledged: the next socket gets the same again.
        let third = second.succeed(at, None);
        assert_eq!(drained(&third, at), ["2", "3", "4"]);
        third.acknowledge(SequenceId(99));
        assert!(
            drained(&third.succeed(at, None), at).is_empty(),
            "a high id acknowledges all"
        );
    }

    #[test]
    fn the_replay_queue_is_limited_while_attached_and_while_away() {
        let at = now();
        let frames = outbox(true, 2, 1 << 20);
        frames.push(at, message("1", None)).expect("room");
        assert_eq!(drained(&frames, at), ["1"]);
        frames.detach();
        frames.push(at, message("2", None)).expect("room");
        assert_eq!(frames.push(at, message("3", None)), Err(Full::Replay));

        let size = 64 + 1 + SEQUENCE_ID_BYTES;
        let bytes = outbox(true, 99, size);
        bytes.push(at, message("1", None)).expect("room for one");
        assert_eq!(bytes.push(at, message("2", None)), Err(Full::Replay));
    }

    #[test]
    fn control_frames_have_room_of_their_own_on_reliable_connections() {
        // req: S-7.1-5
        let at = now();
        let outbox = outbox(true, 2, 1 << 20);
        outbox.push(at, message("1", None)).expect("room");
        outbox.push(at, message("2", None)).expect("room");
        for _ in 0..32 {
            outbox.push(at, control("ack")).expect("room");
        }
        assert_eq!(outbox.push(at, control("ack")), Err(Full::Queue));
    }

    #[test]
    fn expired_messages_are_skipped_with_their_ids() {
        let at = now();
        let later = at + Duration::from_secs(10);
        let first = outbox(true, 100, 1 << 20);
        first.push(at, message("1", Some(later))).expect("room");
        first.push(at, message("2", None)).expect("room");
        first.detach();
        let next = first.succeed(later, None);
        assert_eq!(drained(&next, later), ["2"]);

        // They give their room back when it is needed, frames as well as bytes.
        let large = outbox(true, 99, 2 * (64 + 1 + SEQUENCE_ID_BYTES));
        for full in [outbox(true, 2, 1 << 20), large] {
            for _ in 0..2 {
                full.push(at, message("x", Some(later))).expect("room");
            }
            drained(&full, at);
            assert_eq!(full.push(at, message("x", None)), Err(Full::Replay));
            assert_eq!(full.push(later, message("x", None)), Ok(()));
        }
    }
}
