//! A transport that can be made worse: slower, narrower, or dead without anybody noticing.
//!
//! What is under way waits here, in each direction, in the order in which it came, so nothing is lost by a line that works
//! again. A line that was never disturbed passes everything on and holds nothing.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::fault::Kind;
use super::rules::{Hit, draw};
use crate::clock::{Clock, Timer};
use crate::traffic::Direction;

/// Bytes that may be under way in one direction; then whoever writes waits, as for a real network.
const UNDER_WAY: usize = 64 * 1024;

/// Where bytes pass slowly, they do so in pieces of at most so many.
const PIECE: usize = 1024;

/// A transport, and how bad it is.
pub(crate) struct Line<T> {
    /// `None` once the service has given it up.
    io: Option<T>,
    weather: Option<Box<Weather>>,
}

struct Weather {
    clock: Clock,
    /// From the client.
    up: Way,
    /// To the client.
    down: Way,
}

/// One direction.
struct Way {
    conditions: Conditions,
    under_way: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
    /// When the last byte passes that is under way.
    busy_until: Instant,
    /// When it arrives.
    arrives: Instant,
    /// Nothing comes after what is under way.
    has_ended: bool,
    timer: Timer,
    rng: SmallRng,
}

/// How bad a direction is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Conditions {
    is_dead: bool,
    latency: Duration,
    jitter: Duration,
    bytes_per_second: Option<u64>,
}

/// A line that the service has given up and that is not over yet.
pub(crate) struct Rest<T>(Line<T>);

impl<T> Line<T> {
    pub(crate) const fn new(io: T) -> Self {
        Self {
            io: Some(io),
            weather: None,
        }
    }

    pub(crate) const fn is_disturbed(&self) -> bool {
        self.weather.is_some()
    }

    /// Has these faults disturb it from now on, and no others.
    pub(crate) fn disturb<'a>(
        &mut self,
        clock: &Clock,
        hits: impl Iterator<Item = &'a Hit> + Clone,
    ) {
        let [up, down] = [Direction::In, Direction::Out].map(|direction| {
            let mut conditions = Conditions::default();
            hits.clone()
                .filter(|hit| hit.direction.is_none_or(|only| only == direction))
                .for_each(|hit| conditions.add(&hit.kind));
            conditions
        });
        if self.weather.is_none() && (up, down) == Default::default() {
            return;
        }
        let seed = hits.map(|hit| hit.seed).next().unwrap_or_default();
        let weather = self.weather.get_or_insert_with(|| {
            Box::new(Weather {
                clock: clock.clone(),
                up: Way::new(clock, seed),
                down: Way::new(clock, seed.rotate_left(32)),
            })
        });
        weather.up.conditions = up;
        weather.down.conditions = down;
    }

    /// What is left when the service gives the line up: a client that is not to be told does not see it close, and bytes
    /// that are under way still arrive.
    pub(crate) fn give_up(&mut self) -> Option<Rest<T>> {
        let weather = self
            .weather
            .take_if(|it| it.down.conditions.is_dead || !it.down.is_empty())?;
        Some(Rest(Self {
            io: self.io.take(),
            weather: Some(weather),
        }))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Line<T> {
    /// Passes on what is due to the client, and has the task woken for what comes due. Whether something passed.
    ///
    /// # Errors
    ///
    /// The transport is broken.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let (Some(io), Some(weather)) = (&mut self.io, &mut self.weather) else {
            return Ok(false);
        };
        let mut has_passed = false;
        while let Poll::Ready(piece) = weather.down.poll_due(cx, &weather.clock) {
            let Poll::Ready(taken) = Pin::new(&mut *io).poll_write(cx, piece) else {
                break;
            };
            weather.down.advance(taken?);
            has_passed = true;
        }
        if weather.is_over() {
            self.weather = None;
        }
        Ok(has_passed)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Rest<T> {
    /// Whether nobody is to see the line close.
    pub(crate) fn is_dead(&self) -> bool {
        let weather = self.0.weather.as_ref();
        weather.is_some_and(|weather| weather.down.conditions.is_dead)
    }

    /// Passes on what is under way, until all of it has arrived.
    pub(crate) async fn finish(mut self) {
        std::future::poll_fn(|cx| match self.0.drive(cx) {
            Ok(_)
                if self
                    .0
                    .weather
                    .as_ref()
                    .is_some_and(|it| !it.down.is_empty()) =>
            {
                Poll::Pending
            }
            _ => Poll::Ready(()),
        })
        .await;
    }
}

impl Weather {
    /// Whether the line is as good as a new one.
    fn is_over(&self) -> bool {
        [&self.up, &self.down]
            .iter()
            .all(|way| way.is_empty() && !way.has_ended && way.conditions == Conditions::default())
    }
}

impl Way {
    fn new(clock: &Clock, seed: u64) -> Self {
        let now = clock.mono();
        Self {
            conditions: Conditions::default(),
            under_way: VecDeque::new(),
            bytes: 0,
            busy_until: now,
            arrives: now,
            has_ended: false,
            timer: Timer::new(clock.clone(), now),
            rng: SmallRng::seed_from_u64(seed),
        }
    }

    fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// How many more bytes may be under way.
    fn room(&self) -> usize {
        // A narrow line holds what passes in a second.
        let most = self.conditions.bytes_per_second.map_or(UNDER_WAY, |rate| {
            usize::try_from(rate).map_or(UNDER_WAY, |rate| rate.clamp(PIECE, UNDER_WAY))
        });
        most.saturating_sub(self.bytes)
    }

    fn push(&mut self, now: Instant, bytes: &[u8]) {
        for piece in bytes.chunks(PIECE) {
            let takes = self.conditions.transmission(piece.len());
            self.busy_until = self.busy_until.max(now) + takes;
            let Conditions {
                latency, jitter, ..
            } = self.conditions;
            let arrives = self.busy_until + draw(&mut self.rng, latency, jitter);
            // Nothing overtakes.
            self.arrives = self.arrives.max(arrives);
            self.under_way.push_back((self.arrives, piece.to_vec()));
            self.bytes += piece.len();
        }
    }

    /// The next bytes once they are due.
    fn poll_due(&mut self, cx: &mut Context<'_>, clock: &Clock) -> Poll<&[u8]> {
        let Some((due, piece)) = self.under_way.front().filter(|_| !self.conditions.is_dead) else {
            return Poll::Pending;
        };
        if *due > clock.mono() {
            self.timer.reset(*due);
            ready!(self.timer.poll(cx));
        }
        Poll::Ready(piece)
    }

    fn advance(&mut self, by: usize) {
        self.bytes -= by;
        if let Some((_, piece)) = self.under_way.front_mut() {
            piece.drain(..by);
            if piece.is_empty() {
                self.under_way.pop_front();
            }
        }
    }
}

impl Conditions {
    fn add(&mut self, kind: &Kind) {
        match kind {
            Kind::HalfOpen => self.is_dead = true,
            Kind::Latency { latency, jitter } => {
                self.latency += *latency;
                self.jitter += *jitter;
            }
            Kind::Bandwidth { bytes_per_second } => {
                let lowest = self
                    .bytes_per_second
                    .map_or(*bytes_per_second, |it| it.min(*bytes_per_second));
                self.bytes_per_second = Some(lowest);
            }
            _ => {}
        }
    }

    fn transmission(&self, bytes: usize) -> Duration {
        self.bytes_per_second.map_or(Duration::ZERO, |rate| {
            Duration::from_secs(bytes as u64) / u32::try_from(rate).unwrap_or(u32::MAX)
        })
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Line<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { io, weather } = self.get_mut();
        let Some(io) = io else {
            return Poll::Ready(Ok(()));
        };
        let Some(weather) = weather else {
            return Pin::new(io).poll_read(cx, into);
        };
        let way = &mut weather.up;
        if way.conditions.is_dead {
            // Whatever comes stays where it is.
            return Poll::Pending;
        }
        while !way.has_ended && way.room() > 0 {
            let mut space = [MaybeUninit::uninit(); PIECE];
            let mut bytes = ReadBuf::uninit(&mut space[..way.room().min(PIECE)]);
            match Pin::new(&mut *io).poll_read(cx, &mut bytes) {
                Poll::Pending => break,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) if bytes.filled().is_empty() => way.has_ended = true,
                Poll::Ready(Ok(())) => way.push(weather.clock.mono(), bytes.filled()),
            }
        }
        if way.is_empty() && way.has_ended {
            return Poll::Ready(Ok(()));
        }
        let mut taken = 0;
        while into.remaining() > 0
            && let Poll::Ready(piece) = way.poll_due(cx, &weather.clock)
        {
            let len = piece.len().min(into.remaining());
            into.put_slice(&piece[..len]);
            way.advance(len);
            taken += len;
        }
        match taken {
            0 => Poll::Pending,
            _ => Poll::Ready(Ok(())),
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Line<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { io, weather } = self.get_mut();
        match (weather, io) {
            // Room comes when the line is driven, which has the task woken.
            (Some(weather), _) => match weather.down.room().min(bytes.len()) {
                0 => Poll::Pending,
                taken => {
                    weather.down.push(weather.clock.mono(), &bytes[..taken]);
                    Poll::Ready(Ok(taken))
                }
            },
            (None, Some(io)) => Pin::new(io).poll_write(cx, bytes),
            (None, None) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self.get_mut() {
            Self {
                io: Some(io),
                weather: None,
            } => Pin::new(io).poll_write_vectored(cx, slices),
            disturbed => {
                let first = slices.iter().find(|slice| !slice.is_empty());
                Pin::new(disturbed).poll_write(cx, first.map_or(&[], |slice| slice))
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.io.as_ref().is_some_and(T::is_write_vectored)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Some(io) => Pin::new(io).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self.get_mut() {
            // A line that is disturbed is closed when it is given up.
            Self {
                io: Some(io),
                weather: None,
            } => Pin::new(io).poll_shutdown(cx),
            _ => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::super::fault::Fault;
    use super::super::rules::Rules;
    use super::super::scope::Subject;
    use super::*;

    struct World {
        clock: Clock,
        line: Line<DuplexStream>,
        far: DuplexStream,
    }

    impl World {
        fn new() -> Self {
            let (near, far) = duplex(1 << 20);
            Self {
                clock: Clock::manual(),
                line: Line::new(near),
                far,
            }
        }

        fn disturb(&mut self, faults: impl IntoIterator<Item = Fault>) {
            let (mut rules, now) = (Rules::default(), self.clock.mono());
            for fault in faults {
                rules.add(now, fault, 7).expect("a fault that can hit");
            }
            let hits = rules.judge(now, &Subject::default(), &mut Vec::new());
            self.line.disturb(&self.clock, hits.iter());
        }

        /// The line's end writes as much as it can now.
        fn write(&mut self, bytes: &[u8]) -> usize {
            let mut cx = Context::from_waker(std::task::Waker::noop());
            let mut written = 0;
            while let Poll::Ready(taken) =
                Pin::new(&mut self.line).poll_write(&mut cx, &bytes[written..])
            {
                written += taken.expect("an open line");
                if written == bytes.len() {
                    break;
                }
            }
            written
        }

        /// What arrives at the far end within a time.
        fn arrives(&mut self, after: Duration) -> Vec<u8> {
            self.clock.advance(after);
            let mut cx = Context::from_waker(std::task::Waker::noop());
            while self.line.drive(&mut cx).expect("an open line") {}
            read_now(&mut self.far)
        }

        /// What the line's end reads after a time.
        fn reads(&mut self, after: Duration) -> Vec<u8> {
            self.clock.advance(after);
            read_now(&mut self.line)
        }
    }

    fn read_now(from: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut all = Vec::new();
        loop {
            let mut space = [0; 4096];
            let mut bytes = ReadBuf::new(&mut space);
            match Pin::new(&mut *from).poll_read(&mut cx, &mut bytes) {
                Poll::Ready(Ok(())) if !bytes.filled().is_empty() => all.extend(bytes.filled()),
                _ => return all,
            }
        }
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn what_is_late_arrives_in_time_and_in_order() {
        let mut world = World::new();
        world.disturb([Fault::latency(SECOND).direction(Direction::Out)]);
        assert_eq!(world.write(b"one"), 3);
        assert_eq!(world.arrives(SECOND / 2), b"");
        assert_eq!(world.write(b"two"), 3);
        assert_eq!(world.arrives(SECOND / 2), b"one");
        assert_eq!(world.arrives(SECOND / 2), b"two");
        world.far.write_all(b"back").await.expect("room");
        assert_eq!(
            world.reads(Duration::ZERO),
            b"back",
            "the other way is fine"
        );
        world.disturb([]);
        world.arrives(Duration::ZERO);
        assert!(!world.line.is_disturbed());
    }

    #[tokio::test]
    async fn a_narrow_line_holds_back_whoever_writes() {
        let mut world = World::new();
        world.disturb([Fault::bandwidth(2048), Fault::bandwidth(4096)]);
        let bytes = vec![b'x'; 10_000];
        assert_eq!(world.write(&bytes), 2048);
        assert_eq!(world.arrives(SECOND / 2).len(), 1024);
        assert_eq!(world.arrives(SECOND / 2).len(), 1024);
        world.far.write_all(&bytes).await.expect("room");
        assert_eq!(world.reads(Duration::ZERO).len(), 0);
        assert_eq!(world.reads(SECOND).len(), 2048);
    }

    #[tokio::test]
    async fn nothing_passes_a_dead_line_and_all_of_it_when_it_works_again() {
        let mut world = World::new();
        world.disturb([Fault::half_open()]);
        assert_eq!(world.write(b"down"), 4, "the service does not notice");
        world.far.write_all(b"up").await.expect("room");
        assert_eq!(world.arrives(SECOND), b"");
        assert_eq!(world.reads(SECOND), b"");
        world.disturb([]);
        assert_eq!(world.arrives(Duration::ZERO), b"down");
        assert_eq!(world.reads(Duration::ZERO), b"up");
    }

    #[tokio::test]
    async fn a_line_that_is_given_up_is_not_over_for_its_client() {
        let mut world = World::new();
        world.disturb([Fault::latency(SECOND)]);
        world.write(b"bye");
        let rest = world.line.give_up().expect("something is under way");
        assert!(!rest.is_dead());
        let finish = tokio::spawn(rest.finish());
        tokio::task::yield_now().await;
        world.clock.advance(SECOND);
        finish.await.expect("no panic");
        let mut all = Vec::new();
        world.far.read_to_end(&mut all).await.expect("an open line");
        assert_eq!(all, b"bye");

        let mut world = World::new();
        assert!(world.line.give_up().is_none(), "nothing is wrong");
        world.disturb([Fault::half_open()]);
        let rest = world.line.give_up().expect("nobody is to be told");
        assert!(rest.is_dead());
        assert_eq!(read_now(&mut world.far), b"");
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut space = [0; 1];
        let end = Pin::new(&mut world.far).poll_read(&mut cx, &mut ReadBuf::new(&mut space));
        assert!(end.is_pending(), "it does not see the line close");
    }
}
