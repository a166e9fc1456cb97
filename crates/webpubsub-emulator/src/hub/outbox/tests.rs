//! An outbox without a hub: the test fills it and is its socket.

use webpubsub_protocol::frame::{Message, Sender, SequenceId};
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::payload::Payload;

use super::*;
use crate::hub::message::{Draft, Encoded, SEQUENCE_ID_BYTES};
use crate::hub::wire::WireFrame;

/// An outbox, its socket, and a clock that stands still.
struct Tested {
    outbox: Arc<Outbox>,
    epoch: Epoch,
    now: Instant,
}

fn control(text: &str) -> Item {
    Item::Control(Box::new(Frame::text(text)))
}

fn encoded(text: &str, expires: Option<Instant>) -> Arc<Encoded> {
    let message = Message {
        sequence_id: None,
        from: Sender::Server,
        payload: Payload::text(text.to_owned()),
        metadata: Metadata::default(),
        stream: None,
    };
    let draft = Draft::message(message, expires);
    Arc::clone(draft.encoded(WireForm::Json).expect("JSON can say it"))
}

impl Tested {
    /// One whose client reads when the test likes: its limits are strict.
    fn strict(is_reliable: bool, frames: usize, bytes: usize) -> Self {
        let it = Self::new(is_reliable, frames, bytes);
        it.be_strict();
        it
    }

    fn new(is_reliable: bool, frames: usize, bytes: usize) -> Self {
        let limits = OutboxLimits { frames, bytes };
        let acknowledging = match is_reliable {
            true => Acknowledging::Cumulative,
            false => Acknowledging::Never,
        };
        let now = crate::clock::Clock::manual().mono();
        Self {
            outbox: Outbox::new(WireForm::Json, acknowledging, limits, limits, now),
            epoch: Epoch::default(),
            now,
        }
    }

    fn be_strict(&self) {
        self.outbox.set_reads(self.epoch, false).expect("room");
        self.outbox.set_unacknowledging(self.epoch).expect("room");
    }

    fn push(&self, item: Item) -> Result<bool, Full> {
        self.outbox.push(self.now, item, &mut Wakes::default())
    }

    fn say(&self, text: &str) -> Result<bool, Full> {
        self.push(control(text))
    }

    fn publish(&self, text: &str) -> Result<bool, Full> {
        self.push(Item::Message(encoded(text, None)))
    }

    fn publish_until(&self, text: &str, expires: Instant) -> Result<bool, Full> {
        self.push(Item::Message(encoded(text, Some(expires))))
    }

    fn acknowledge(&self, id: u64) {
        let wakes = &mut Wakes::default();
        let acknowledged = Acknowledged::UpTo(SequenceId(id));
        self.outbox.acknowledge(self.now, acknowledged, wakes);
    }

    /// The connection's next socket. The one before lets go later.
    fn attach(&mut self, first: Option<&str>) {
        self.epoch = self.epoch.next();
        let first = first.map(Frame::text);
        self.outbox
            .attach(self.now, self.epoch, first, &mut Wakes::default());
    }

    fn poll(&self, frames: usize) -> (Line, Vec<String>) {
        let cx = Context::from_waker(Waker::noop());
        let bytes = usize::MAX;
        let mut waiting = Vec::new();
        let most = Batch { frames, bytes };
        let found = self
            .outbox
            .poll(&cx, self.epoch, self.now, most, |it| waiting.push(it));
        (found.line, waiting.into_iter().map(name).collect())
    }

    /// The ids, or the text of control frames, that a drain finds.
    fn drained(&self) -> Vec<String> {
        self.poll(usize::MAX).1
    }
}

fn name(waiting: Waiting) -> String {
    let payload = WireFrame::from(waiting).payload();
    let text = std::str::from_utf8(&payload).expect("text");
    let id = text
        .strip_prefix(r#"{"sequenceId":"#)
        .and_then(|rest| rest.split_once(','));
    id.map_or_else(|| text.to_owned(), |(id, _)| id.to_owned())
}

fn close(abort_at: Instant) -> Close {
    Close {
        code: 1000,
        reason: String::new(),
        abort_at,
    }
}

#[test]
fn limits_count_frames_and_bytes() {
    let frames = Tested::strict(false, 2, 100);
    frames.say("a").expect("room");
    frames.say("b").expect("room");
    assert_eq!(frames.say("c"), Err(Full::Queue));

    let bytes = Tested::strict(false, 100, 3);
    bytes.say("abc").expect("room");
    assert_eq!(bytes.say("d"), Err(Full::Queue));
    bytes.drained();
    bytes.say("d").expect("what was drained no longer counts");
}

#[test]
fn who_takes_what_it_is_sent_is_never_full_but_crowded() {
    let it = Tested::new(false, 4, 100);
    for (number, is_crowded) in [(1, false), (2, false), (3, true), (4, true), (5, true)] {
        assert_eq!(it.say("x"), Ok(is_crowded), "{number}");
    }
    let mut crowded = Crowded::default();
    crowded.add([Arc::clone(&it.outbox)]);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(crowded.poll_clear(&mut cx).is_pending());
    it.poll(2);
    assert!(crowded.poll_clear(&mut cx).is_pending(), "three of four");
    it.poll(1);
    assert!(crowded.poll_clear(&mut cx).is_ready(), "two of four");
}

#[test]
fn who_stalls_holds_nobody_back_and_may_not_exceed_its_limits() {
    let it = Tested::new(false, 4, 100);
    for _ in 0..3 {
        it.say("x").expect("it reads");
    }
    let mut crowded = Crowded::default();
    crowded.add([Arc::clone(&it.outbox)]);
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);
    assert!(crowded.poll_clear(&mut cx).is_pending());
    assert!(crowded.poll_clear(&mut cx).is_pending());
    assert_eq!(it.outbox.set_reads(it.epoch, false), Ok(()));
    assert_eq!(woken.count(), 1, "once, however often it asked");
    assert!(crowded.poll_clear(&mut cx).is_ready());
    assert_eq!(it.say("x"), Ok(false));
    assert_eq!(it.say("x"), Err(Full::Queue));

    let it = Tested::new(false, 4, 100);
    for _ in 0..5 {
        it.say("x").expect("it reads");
    }
    assert_eq!(it.outbox.set_reads(it.epoch, false), Err(Full::Queue));
}

#[test]
fn who_does_not_acknowledge_is_told_so_in_time() {
    let mut it = Tested::new(true, 4, 1 << 20);
    let until = |it: &Tested| {
        let cx = Context::from_waker(Waker::noop());
        let most = Batch {
            frames: 9,
            bytes: 9,
        };
        let found = it.outbox.poll(&cx, it.epoch, it.now, most, drop);
        found.acknowledges_until
    };
    for is_crowded in [false, false, true] {
        assert_eq!(it.publish("x"), Ok(is_crowded));
    }
    let start = it.now;
    assert_eq!(until(&it), Some(start + STALL_LIMIT));
    it.now += Duration::from_secs(1);
    it.publish("x").expect("room");
    it.acknowledge(1);
    assert_eq!(until(&it), Some(it.now + STALL_LIMIT));
    it.publish("x").expect("room");
    it.publish("x")
        .expect("more than the limit, as it acknowledges");
    let late = it.outbox.set_unacknowledging(it.epoch);
    assert_eq!(late, Err(Full::Replay));
}

#[test]
fn who_acknowledges_late_is_not_ended_but_cannot_be_recovered_meanwhile() {
    let mut it = Tested::new(true, 4, 1 << 20);
    for _ in 0..8 {
        it.publish("x").expect("it acknowledges");
    }
    assert!(it.outbox.is_recoverable());
    it.publish("9").expect("the first one is forgotten");
    it.publish("10").expect("and the second");
    assert!(!it.outbox.is_recoverable());
    it.acknowledge(1);
    assert!(!it.outbox.is_recoverable(), "the second may be missing");
    it.acknowledge(2);
    assert!(it.outbox.is_recoverable());
    it.outbox.let_go();
    it.attach(None);
    let rest: Vec<_> = (3..=10).map(|id| id.to_string()).collect();
    assert_eq!(it.drained(), rest);
}

#[test]
fn nobody_waits_for_who_is_not_heard() {
    let it = Tested::new(true, 4, 1 << 20);
    for is_crowded in [false, false, true] {
        assert_eq!(it.publish("x"), Ok(is_crowded));
    }
    it.drained();
    let mut crowded = Crowded::default();
    crowded.add([Arc::clone(&it.outbox)]);
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);
    assert!(crowded.poll_clear(&mut cx).is_pending());
    it.outbox.set_heard(it.epoch, it.now, false);
    assert_eq!(woken.count(), 1);
    assert!(crowded.poll_clear(&mut cx).is_ready());
    assert_eq!(it.publish("x"), Ok(false));
    it.outbox.set_heard(it.epoch, it.now, true);
    assert_eq!(it.publish("x"), Ok(true));
}

#[test]
fn a_close_comes_after_what_waits_and_only_once() {
    let it = Tested::strict(false, 1, 100);
    it.say("a").expect("room");
    let wakes = &mut Wakes::default();
    let bye = |text: &str| Some(Frame::text(text));
    it.outbox.close(bye("bye"), close(it.now), wakes);
    let other = Close {
        code: 1001,
        ..close(it.now)
    };
    it.outbox.close(bye("again"), other, wakes);

    let closed = |drained| Line::Closed {
        abort_at: it.now,
        drained,
    };
    assert_eq!(it.poll(1), (closed(false), vec!["a".to_owned()]));
    assert_eq!(it.poll(2), (closed(true), vec!["bye".to_owned()]));
    assert_eq!(it.outbox.closing(), Some(close(it.now)));
}

#[test]
fn a_socket_is_woken_once_for_what_comes_after_it_looked() {
    let it = Tested::new(false, 9, 100);
    let wakes = &mut Wakes::default();
    it.outbox
        .push(it.now, control("a"), wakes)
        .expect("it reads");
    assert!(wakes.is_empty(), "nobody waits yet");
    assert_eq!(it.drained(), ["a"]);
    for _ in 0..2 {
        it.outbox
            .push(it.now, control("b"), wakes)
            .expect("it reads");
    }
    assert_eq!(wakes.len(), 1);
}

#[test]
fn nothing_is_written_for_a_new_socket_before_the_old_one_let_go() {
    // req: S-7.2-15
    let mut it = Tested::strict(true, 10, 1 << 20);
    it.publish("1").expect("room");
    let old = it.epoch;
    it.attach(Some("connected"));
    assert_eq!(it.poll(9), (Line::NotYet, Vec::new()));
    let new = std::mem::replace(&mut it.epoch, old);
    assert_eq!(it.poll(9), (Line::Superseded, Vec::new()));
    it.epoch = new;
    it.outbox.let_go();
    assert_eq!(it.drained(), ["connected", "1"]);
}

#[test]
fn unacknowledged_messages_are_replayed_and_control_frames_are_not() {
    // req: S-6-15, S-7.1-7
    let mut it = Tested::strict(true, 10, 1 << 20);
    it.publish("1").expect("room");
    it.say("ack").expect("room");
    it.publish("2").expect("room");
    assert_eq!(it.drained(), ["1", "ack", "2"]);
    it.acknowledge(1);
    it.acknowledge(0);

    it.outbox.detach(&mut Wakes::default());
    it.outbox.let_go();
    it.publish("3").expect("room");
    it.say("lost").expect("not kept");
    it.attach(Some("connected"));
    it.publish("4").expect("room");
    assert_eq!(it.drained(), ["connected", "2", "3", "4"]);

    // Nothing was acknowledged: the next socket gets the same again.
    it.outbox.let_go();
    it.attach(None);
    assert_eq!(it.drained(), ["2", "3", "4"]);
    it.acknowledge(99);
    it.outbox.let_go();
    it.attach(None);
    assert!(it.drained().is_empty(), "a high id acknowledges all");
}

#[test]
fn the_replay_queue_is_limited_while_attached_and_while_away() {
    let frames = Tested::strict(true, 2, 1 << 20);
    frames.publish("1").expect("room");
    assert_eq!(frames.drained(), ["1"]);
    frames.outbox.detach(&mut Wakes::default());
    frames.publish("2").expect("room");
    assert_eq!(frames.publish("3"), Err(Full::Replay));

    let size = encoded("1", None).len(true);
    assert!(size > SEQUENCE_ID_BYTES);
    let bytes = Tested::strict(true, 99, size);
    bytes.publish("1").expect("room for one");
    assert_eq!(bytes.publish("2"), Err(Full::Replay));
}

#[test]
fn control_frames_have_room_of_their_own_on_reliable_connections() {
    // req: S-7.1-5
    let it = Tested::strict(true, 2, 1 << 20);
    it.publish("1").expect("room");
    it.publish("2").expect("room");
    for _ in 0..32 {
        it.say("ack").expect("room");
    }
    assert_eq!(it.say("ack"), Err(Full::Queue));
}

#[test]
fn expired_messages_are_skipped_with_their_ids() {
    let mut it = Tested::strict(true, 100, 1 << 20);
    let later = it.now + Duration::from_secs(10);
    it.publish_until("1", later).expect("room");
    it.publish("2").expect("room");
    it.outbox.detach(&mut Wakes::default());
    it.outbox.let_go();
    it.now = later;
    it.attach(None);
    assert_eq!(it.drained(), ["2"]);

    // They give their room back when it is needed, frames as well as bytes.
    let two = 2 * encoded("x", None).len(true);
    for mut full in [
        Tested::strict(true, 2, 1 << 20),
        Tested::strict(true, 99, two),
    ] {
        let later = full.now + Duration::from_secs(10);
        for _ in 0..2 {
            full.publish_until("x", later).expect("room");
        }
        full.drained();
        assert_eq!(full.publish("x"), Err(Full::Replay));
        full.now = later;
        full.publish("x").expect("room again");
    }
}

#[test]
fn what_waits_is_small() {
    assert!(size_of::<Waiting>() <= 32, "{}", size_of::<Waiting>());
}

#[test]
fn an_empty_queue_holds_little() {
    let it = Tested::new(true, 1000, 1 << 20);
    for _ in 0..100 {
        it.publish("x").expect("it reads");
    }
    it.drained();
    it.acknowledge(100);
    let state = it.outbox.state.lock();
    assert!(state.queue.room() <= 8, "{}", state.queue.room());
    assert_eq!(state.replay.as_ref().expect("reliable").room(), 0);
}

/// Counts how often it was woken.
#[derive(Default)]
struct Woken(std::sync::atomic::AtomicUsize);

impl Woken {
    fn count(&self) -> usize {
        self.0.load(std::sync::atomic::Ordering::SeqCst)
    }
}

impl std::task::Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}
