//! The task of a socket on transports that no network gives.

use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf, duplex,
};
use tokio::task::JoinHandle;
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::{GroupName, HubName, UserId};
use webpubsub_protocol::payload::Payload;

use super::guard::SocketGuard;
use super::task::SocketTask;
use crate::clock::Clock;
use crate::hub::{
    Attachment, Hub, OPEN_TIMEOUT, OpenRequest, Outgoing, Overrides, RawMode, STALL_LIMIT,
    Selection, Target, WireForm,
};
use crate::service::Service;
use crate::settings::Settings;

/// A client that neither sends nor reads.
struct Stalled;

impl AsyncRead for Stalled {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Stalled {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Pending
    }
}

/// A service whose clock belongs to the test.
struct World {
    clock: Clock,
    service: Arc<Service>,
    hub: Arc<Hub>,
}

impl World {
    fn new(settings: Settings) -> Self {
        let clock = Clock::manual();
        let service = Service::new(settings, clock.clone(), Some(1), None, BTreeMap::new());
        let hub = service.hub(&HubName::new("chat").expect("a name"));
        Self {
            clock,
            service,
            hub,
        }
    }

    fn open(&self, user: &str, form: WireForm, reliable: bool) -> Attachment {
        let request = OpenRequest {
            id: None,
            user: Some(UserId::new(user.to_owned()).expect("an id")),
            token_expires_at: None,
            roles: vec!["webpubsub.sendToGroup".to_owned()],
            groups: vec![GroupName::new("g").expect("a name")],
            form,
            reliable,
            protocol: None,
            raw_mode: RawMode::SendEvent,
            timeout: OPEN_TIMEOUT,
            session: Arc::default(),
        };
        let (ticket, _) = self.hub.open(request);
        let accepted = self.hub.accept(ticket, Overrides::default());
        accepted.expect("accepted")
    }

    fn run<T>(&self, io: T, attachment: Attachment) -> JoinHandle<()>
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (service, hub) = (Arc::clone(&self.service), Arc::clone(&self.hub));
        let guard = SocketGuard::new(service, hub, attachment, None);
        tokio::spawn(SocketTask::new(io, guard))
    }

    /// A JSON client at the other end of a pipe that holds so many bytes.
    fn json(&self, user: &str, pipe: usize) -> (DuplexStream, JoinHandle<()>) {
        let (near, far) = duplex(pipe);
        (far, self.run(near, self.open(user, WireForm::Json, false)))
    }

    /// A REST call that sends a text to everybody.
    fn send(&self, text: &str) -> JoinHandle<()> {
        self.call(Target::All, text)
    }

    fn send_to(&self, user: &str, text: &str) -> JoinHandle<()> {
        self.call(
            Target::User(UserId::new(user.to_owned()).expect("an id")),
            text,
        )
    }

    fn call(&self, target: Target, text: &str) -> JoinHandle<()> {
        let outgoing = Outgoing {
            payload: Payload::text(text.to_owned()),
            metadata: Metadata::default(),
            ttl_seconds: 0,
        };
        let hub = Arc::clone(&self.hub);
        tokio::spawn(async move {
            hub.send(&target, &Selection::default(), outgoing).await;
        })
    }

    fn has_user(&self, user: &str) -> bool {
        self.hub.user_exists(user)
    }

    async fn pass(&self, by: Duration) {
        self.clock.advance(by);
        settle().await;
    }
}

/// A text frame as clients send it, with a mask that changes nothing.
fn frame(text: &str) -> Vec<u8> {
    let len = u8::try_from(text.len()).expect("a short text");
    assert!(len < 126, "a short text");
    [&[0x81, 0x80 | len, 0, 0, 0, 0], text.as_bytes()].concat()
}

/// Reads until `needle` came so many times, or nothing comes for a while.
async fn read_until(client: &mut DuplexStream, needle: &str, times: usize) -> String {
    let mut all = Vec::new();
    while String::from_utf8_lossy(&all).matches(needle).count() < times {
        let mut more = [0; 4096];
        let read = client.read(&mut more).await.expect("an open pipe");
        assert!(read > 0, "the line ended after {} bytes", all.len());
        all.extend_from_slice(&more[..read]);
    }
    String::from_utf8_lossy(&all).into_owned()
}

#[tokio::test]
async fn a_close_that_does_not_drain_is_aborted_on_time() {
    // req: S-8-6
    let by_server = |hub: &Hub| hub.close(&Target::All, &[], Some("bye"));
    for (overflows, seconds) in [(true, 1), (false, 5)] {
        for (form, reliable) in [
            (WireForm::Raw, false),
            (WireForm::Json, false),
            (WireForm::Json, true),
            (WireForm::Protobuf, true),
        ] {
            let world = World::new(Settings::default());
            let task = world.run(Stalled, world.open("u", form, reliable));
            settle().await;
            if overflows {
                for _ in 0..1100 {
                    world.send("x");
                }
                settle().await;
                assert!(world.has_user("u"), "{form:?}: it may still begin to read");
                world.pass(STALL_LIMIT).await;
            } else {
                by_server(&world.hub);
            }
            assert!(!world.has_user("u"), "{form:?}: gone for everybody else");
            world.pass(Duration::from_millis(seconds * 1000 - 1)).await;
            assert!(!task.is_finished(), "{form:?}: it may still drain");
            world.pass(Duration::from_millis(1)).await;
            assert!(task.is_finished(), "{form:?}");
            let counts = world.service.counters().counts();
            assert_eq!(counts.connections_closed, 1);
        }
    }
}

#[tokio::test]
async fn a_client_that_sends_much_at_once_gets_every_answer() {
    let world = World::new(Settings::default());
    let (client, _task) = world.json("u", 8 * 1024);
    let (mut reads, mut writes) = tokio::io::split(client);
    let requests = async {
        for ack_id in 1..=5000 {
            let request = format!(
                r#"{{"type":"sendToGroup","group":"none","ackId":{ack_id},"dataType":"text","data":"x"}}"#
            );
            writes
                .write_all(&frame(&request))
                .await
                .expect("an open pipe");
            writes
                .write_all(&frame(r#"{"type":"ping"}"#))
                .await
                .expect("an open pipe");
        }
    };
    let answers = async {
        let (mut acks, mut pongs) = (0, 0);
        let mut text = String::new();
        while acks + pongs < 10_000 {
            let mut more = [0; 4096];
            let read = reads.read(&mut more).await.expect("an open pipe");
            assert!(read > 0, "closed after {acks} acks and {pongs} pongs");
            // Only whole names count, so a cut one is kept.
            text.push_str(&String::from_utf8_lossy(&more[..read]));
            (acks, pongs) = (
                acks + text.matches(r#""type":"ack""#).count(),
                pongs + text.matches(r#""type":"pong""#).count(),
            );
            let keep = text.len().saturating_sub(13);
            let keep = (keep..text.len())
                .find(|at| text.is_char_boundary(*at))
                .unwrap_or(text.len());
            let tail = text.split_off(keep);
            let whole = tail.contains(r#""type":"ack""#) || tail.contains(r#""type":"pong""#);
            text = if whole { String::new() } else { tail };
        }
        (acks, pongs)
    };
    let ((), counts) = tokio::join!(requests, answers);
    assert_eq!(counts, (5000, 5000));
    assert!(world.has_user("u"));
}

#[tokio::test]
async fn a_publisher_is_not_read_while_a_reader_has_much_to_read() {
    let world = World::new(Settings::default());
    let (mut reader, _reading) = world.json("reader", 1024);
    let (mut publisher, _publishing) = world.json("publisher", 128);
    read_until(&mut reader, "connected", 1).await;
    read_until(&mut publisher, "connected", 1).await;
    let publish = frame(r#"{"type":"sendToGroup","group":"g","noEcho":true,"data":"0123456789"}"#);
    let mut sent = 0;
    loop {
        let mut write = pin!(publisher.write_all(&publish));
        if futures_util::poll!(&mut write).is_pending() {
            settle().await;
            if futures_util::poll!(&mut write).is_pending() {
                break;
            }
        }
        sent += 1;
        assert!(sent < 3000, "it is read without end");
    }
    assert!(sent > 500, "{sent}: the first half is free");
    // The reader reads on, so it loses nothing, and the publisher is read again.
    let rest = tokio::spawn(async move {
        // The frame that was cut is of no use any more: the line ends.
        drop(publisher);
    });
    read_until(&mut reader, "0123456789", sent).await;
    rest.await.expect("no panic");
    assert!(world.has_user("reader"));
}

#[tokio::test]
async fn a_rest_call_waits_for_a_reader_with_much_to_read() {
    let world = World::new(Settings::default());
    let (mut reader, _task) = world.json("reader", 1024);
    let mut calls = Vec::new();
    for _ in 0..600 {
        calls.push(world.send("0123456789"));
    }
    settle().await;
    assert!(calls[0].is_finished());
    assert!(!calls[599].is_finished(), "more than half is full");
    read_until(&mut reader, "0123456789", 600).await;
    for call in calls {
        call.await.expect("no panic");
    }
    assert!(world.has_user("reader"));
}

#[tokio::test]
async fn nobody_waits_for_a_client_that_is_gone() {
    for reliable in [false, true] {
        let world = World::new(Settings::default());
        let (near, reader) = duplex(1024);
        let task = world.run(near, world.open("reader", WireForm::Json, reliable));
        let calls: Vec<_> = (0..600).map(|_| world.send("0123456789")).collect();
        settle().await;
        assert!(!calls[599].is_finished(), "more than half is full");
        drop(reader);
        settle().await;
        assert!(task.is_finished());
        assert!(calls[599].is_finished(), "{reliable}");
    }
}

#[tokio::test]
async fn two_clients_that_fill_each_other_and_do_not_read_hold_each_other_only_so_long() {
    let world = World::new(Settings::default());
    let (a, _a) = world.json("a", 1024);
    let (b, _b) = world.json("b", 1024);
    let publish = frame(r#"{"type":"sendToGroup","group":"g","noEcho":true,"data":"x"}"#);
    let fill = |client: DuplexStream| {
        let publish = publish.clone();
        tokio::spawn(async move {
            let (_unread, mut writes) = tokio::io::split(client);
            while writes.write_all(&publish).await.is_ok() {}
        })
    };
    let (filling_a, filling_b) = (fill(a), fill(b));
    settle().await;
    assert!(world.has_user("a") && world.has_user("b"));
    // They hold each other back only until both have stalled; then the first whose queue is full ends.
    for _ in 0..3 {
        world.pass(STALL_LIMIT).await;
    }
    assert!(!world.has_user("a") || !world.has_user("b"));
    filling_a.abort();
    filling_b.abort();
}

#[tokio::test]
async fn a_client_that_publishes_to_itself_makes_progress() {
    let world = World::new(Settings::default());
    let (client, _task) = world.json("u", 2048);
    let (mut reads, mut writes) = tokio::io::split(client);
    let publish = frame(r#"{"type":"sendToGroup","group":"g","data":"0123456789"}"#);
    let send = async {
        for _ in 0..3000 {
            writes.write_all(&publish).await.expect("an open pipe");
        }
    };
    let receive = async {
        let mut bytes = 0;
        // A message is 93 bytes with its head, what comes first not much more.
        while bytes < 3000 * 90 {
            let read = reads.read(&mut [0; 4096]).await.expect("an open pipe");
            assert!(read > 0, "closed after {bytes} bytes");
            bytes += read;
        }
    };
    tokio::join!(send, receive);
    assert!(world.has_user("u"));
}

/// A reliable client that sends all its frames at once, acknowledges behind them, and reads all the time. Returns when it
/// has read so many messages, with the id of the last one.
async fn send_all_and_acknowledge(client: DuplexStream, frames: Vec<u8>, messages: u64) -> u64 {
    let (mut reads, mut writes) = tokio::io::split(client);
    let (acknowledge, mut acknowledged) = tokio::sync::mpsc::unbounded_channel();
    let write = async {
        writes.write_all(&frames).await.expect("an open pipe");
        while let Some(id) = acknowledged.recv().await {
            let ack = frame(&format!(r#"{{"type":"sequenceAck","sequenceId":{id}}}"#));
            writes.write_all(&ack).await.expect("an open pipe");
        }
    };
    let read = async {
        let (mut text, mut last) = (Vec::new(), 0);
        while last < messages {
            let mut more = [0; 4096];
            let read = reads.read(&mut more).await.expect("an open pipe");
            assert!(read > 0, "closed after {last} messages");
            text.extend_from_slice(&more[..read]);
            // Only whole lines of digits count, so what is cut is looked at again.
            let seen = String::from_utf8_lossy(&text).into_owned();
            let found = seen
                .rmatch_indices(r#""sequenceId":"#)
                .find_map(|(at, name)| {
                    let (digits, _) = seen[at + name.len()..].split_once(',')?;
                    digits.parse::<u64>().ok()
                });
            if let Some(id) = found.filter(|id| *id > last) {
                assert!(id <= last + 100, "{last} is followed by {id}");
                last = id;
                acknowledge.send(id).expect("the writer waits");
            }
            let keep = text.len().saturating_sub(256);
            text.drain(..keep);
        }
        drop(acknowledge);
        last
    };
    tokio::join!(write, read).1
}

#[tokio::test]
async fn reliable_clients_that_acknowledge_behind_their_own_frames_hold_each_other_for_a_while_only()
 {
    const MESSAGES: u64 = 4000;
    let world = World::new(Settings::default());
    let publish = frame(r#"{"type":"sendToGroup","group":"g","noEcho":true,"data":"x"}"#);
    let frames = publish.repeat(usize::try_from(MESSAGES).expect("a small number"));
    let client = |user| {
        let (near, far) = duplex(4096);
        let task = world.run(near, world.open(user, WireForm::Json, true));
        (
            send_all_and_acknowledge(far, frames.clone(), MESSAGES),
            task,
        )
    };
    let ((a, _a), (b, _b)) = (client("a"), client("b"));
    // Nothing is waited for that the clock, which stands still, would have to bring about.
    let both = Box::pin(async { tokio::join!(a, b) });
    let read = tokio::time::timeout(Duration::from_secs(60), both).await;
    assert_eq!(
        read.expect("they hold each other for ever"),
        (MESSAGES, MESSAGES)
    );
    assert!(world.has_user("a") && world.has_user("b"));
}

#[tokio::test]
async fn acknowledgements_are_taken_from_a_client_that_is_held_back() {
    let world = World::new(Settings::default());
    let (mut reader, _reading) = world.json("reader", 1024);
    let (near, mut client) = duplex(1 << 20);
    let _task = world.run(near, world.open("client", WireForm::Json, true));
    let publish = frame(r#"{"type":"sendToGroup","group":"g","noEcho":true,"data":"0123456789"}"#);
    // The other one does not read, so the client is held back long before the end.
    client.write_all(&publish.repeat(900)).await.expect("room");
    settle().await;
    let mut calls: Vec<_> = (0..501).map(|_| world.send_to("client", "x")).collect();
    settle().await;
    assert!(
        !calls.pop().expect("a call").is_finished(),
        "501 are not acknowledged"
    );
    let waiting = world.send_to("client", "x");
    let ack = frame(r#"{"type":"sequenceAck","sequenceId":400}"#);
    client.write_all(&ack).await.expect("room");
    settle().await;
    assert!(
        waiting.is_finished(),
        "the acknowledgement waits behind what is held back"
    );
    read_until(&mut reader, "0123456789", 900).await;
    assert!(world.has_user("client"));
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_lost_after_the_silence_limit() {
    let world = World::new(Settings::default());
    let task = world.run(Stalled, world.open("u", WireForm::Json, false));
    settle().await;
    world.send("x");
    for _ in 0..3 {
        assert!(world.has_user("u"));
        world.pass(Duration::from_secs(20)).await;
    }
    assert!(task.is_finished(), "pings go on while a write is blocked");
    assert!(!world.has_user("u"));
}

#[tokio::test]
async fn pings_pass_what_waits() {
    let world = World::new(Settings::default());
    let (mut client, _task) = world.json("u", 64);
    settle().await;
    world.send("much more than what the pipe holds at once, so that the rest has to wait");
    settle().await;
    world.pass(Duration::from_secs(20)).await;
    client
        .write_all(&[0x89, 0x81, 0, 0, 0, 0, b'p'])
        .await
        .expect("an open pipe");
    settle().await;
    let text = read_until(&mut client, "wait\"}", 1).await;
    let pong = text.find("\u{fffd}\u{1}p").expect("a pong");
    assert!(pong < text.find("much more").expect("the message"));
}

#[tokio::test]
async fn a_ping_is_answered_by_itself() {
    let world = World::new(Settings::default());
    let (mut client, _task) = world.json("u", 1024);
    read_until(&mut client, "connected", 1).await;
    settle().await;
    let ping = [0x89, 0x81, 0, 0, 0, 0, b'p'];
    client.write_all(&ping).await.expect("an open pipe");
    settle().await;
    let mut pong = [0; 3];
    let read = client.read_exact(&mut pong);
    let read = futures_util::FutureExt::now_or_never(read);
    read.expect("an answer").expect("an open pipe");
    assert_eq!(pong, [0x8a, 1, b'p']);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_told_why() {
    // req: S-7.1-5, S-7.1-4
    for (form, reason) in [
        (WireForm::Raw, "The outbound message queue is full."),
        (WireForm::Json, "The outbound message queue is full."),
    ] {
        let world = World::new(Settings::default());
        let (near, mut client) = duplex(64);
        let _task = world.run(near, world.open("u", form, false));
        for _ in 0..1100 {
            world.send("x");
        }
        settle().await;
        world.pass(STALL_LIMIT).await;
        assert!(!world.has_user("u"));
        // What waits, the `disconnected` message and the close still come, if it reads at last.
        let mut seen = Vec::new();
        while !seen.ends_with(reason.as_bytes()) || seen.len() < 1000 {
            let mut more = [0; 512];
            let read = client.read(&mut more).await.expect("an open pipe");
            assert!(read > 0, "{form:?}: no close");
            seen.extend_from_slice(&more[..read]);
        }
        let disconnected =
            format!(r#"{{"type":"system","event":"disconnected","message":"{reason}"}}"#);
        let text = String::from_utf8_lossy(&seen);
        assert_eq!(
            text.contains(&disconnected),
            form == WireForm::Json,
            "{form:?}"
        );
        let close = [&[0x88, 2 + 35, 0x03, 0xf0], reason.as_bytes()].concat();
        assert!(seen.ends_with(&close), "{form:?}");
    }
}

#[tokio::test]
async fn the_second_socket_begins_when_the_first_is_gone() {
    // req: S-7.2-15
    let world = World::new(Settings::default());
    let attachment = world.open("u", WireForm::Json, true);
    let id = attachment.connection_id.clone();
    let (near, mut first) = duplex(16);
    let old = world.run(near, attachment);
    settle().await;
    let recovered = world.hub.recover(id.as_str()).expect("recoverable");
    let (near, mut second) = duplex(1 << 16);
    let _new = world.run(near, recovered);
    old.await.expect("no panic");
    let mut rest = Vec::new();
    first.read_to_end(&mut rest).await.expect("an end");
    assert_eq!(rest.len(), 16, "what was written before, and nothing after");
    read_until(&mut second, "connected", 1).await;
}

#[tokio::test]
async fn an_idle_socket_is_small() {
    assert!(
        super::task::size::<tokio::net::TcpStream>() <= 600,
        "{}",
        super::task::size::<tokio::net::TcpStream>()
    );
}

/// Lets every task run until it waits.
async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}
