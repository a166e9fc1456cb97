//! Thousands of connections on one thread.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, SockRef, Socket, Type};

use crate::kind::Kind;
use crate::member::{Ended, Log, Look, Member, More, Phase, Source, Totals};

const READ_BUFFER: usize = 256 << 10;

/// Reads of one connection in a row, so that a busy one does not keep the others waiting.
const READS_AT_ONCE: usize = 8;

/// Bytes that a source may put ahead of the socket.
const AHEAD: usize = 64 << 10;

/// Connections that are opened at once: below the accept queue of any listener.
const OPENING_AT_ONCE: usize = 200;

/// A connection to open.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What it speaks.
    pub kind: Kind,
    /// Its upgrade request.
    pub request: Vec<u8>,
    /// How closely it looks at what it gets.
    pub look: Look,
    /// The size of its receive buffer in the system, when it is not the usual one.
    pub receive_buffer: Option<usize>,
}

/// Many connections, driven by one event loop.
pub struct Swarm {
    poll: Poll,
    events: Events,
    members: Vec<Member>,
    buffer: Vec<u8>,
    /// Connections that have more to read than they were given time for.
    unfinished: VecDeque<usize>,
    totals: Totals,
    idle: Duration,
    arrivals: Option<Vec<Arrival>>,
}

/// A data frame of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// Which frame of its connection it is, from 0.
    pub frame: u64,
    /// When it was read.
    pub at: Instant,
}

impl std::fmt::Debug for Swarm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Swarm")
            .field("members", &self.members.len())
            .field("totals", &self.totals)
            .finish_non_exhaustive()
    }
}

impl Swarm {
    /// An event loop without connections.
    ///
    /// # Errors
    ///
    /// Fails when the system has no event queue left.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            members: Vec::new(),
            buffer: vec![0; READ_BUFFER],
            unfinished: VecDeque::new(),
            totals: Totals::default(),
            idle: Duration::ZERO,
            arrivals: None,
        })
    }

    /// Notes when each data frame is read, from now on.
    pub fn record_arrivals(&mut self) {
        self.arrivals = Some(Vec::new());
    }

    /// What was noted since [`record_arrivals`](Self::record_arrivals); nothing is noted any more.
    pub fn take_arrivals(&mut self) -> Vec<Arrival> {
        self.arrivals.take().unwrap_or_default()
    }

    /// Sums over all connections.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Time spent waiting for the system. What is left of a span of time, the generator worked.
    #[must_use]
    pub fn idle(&self) -> Duration {
        self.idle
    }

    /// What a connection saw.
    #[must_use]
    pub fn log(&self, member: usize) -> &Log {
        &self.members[member].log
    }

    /// What these connections saw.
    pub fn logs(&self, members: Range<usize>) -> impl Iterator<Item = &Log> {
        self.members[members].iter().map(|member| &member.log)
    }

    /// When the upgrade of a connection was answered.
    #[must_use]
    pub fn opened_at(&self, member: usize) -> Option<Instant> {
        self.members[member].opened_at
    }

    /// Begins to open a connection and returns its number; numbers count from 0.
    ///
    /// # Errors
    ///
    /// Fails when the system has no socket left.
    pub fn connect(&mut self, address: SocketAddr, plan: Plan) -> Result<usize> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)
            .context("cannot make a socket: is the limit on open files too low?")?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if let Some(size) = plan.receive_buffer {
            socket.set_recv_buffer_size(size)?;
        }
        match socket.connect(&address.into()) {
            Ok(()) => {}
            Err(error) if is_under_way(&error) => {}
            Err(error) => return Err(error).context("cannot connect"),
        }
        let mut socket = TcpStream::from_std(socket.into());
        let number = self.members.len();
        self.poll.registry().register(
            &mut socket,
            Token(number),
            Interest::READABLE | Interest::WRITABLE,
        )?;
        self.members
            .push(Member::new(socket, plan.kind, plan.look, plan.request));
        Ok(number)
    }

    /// Opens connections and waits until each is usable, for a PubSub client until its `connected` frame came.
    ///
    /// # Errors
    ///
    /// Fails when one is refused or lost, or when this takes longer than `limit`.
    pub fn connect_all(
        &mut self,
        address: SocketAddr,
        plans: impl IntoIterator<Item = Plan>,
        limit: Duration,
    ) -> Result<Range<usize>> {
        let first = self.members.len();
        let (opened, ended) = (self.totals.opened, self.totals.ended);
        let connected = self.totals.connected;
        let mut pubsub = 0;
        let deadline = Instant::now() + limit;
        let mut begun = 0;
        for plan in plans {
            pubsub += usize::from(plan.kind.is_pubsub() && plan.look == Look::Closely);
            self.connect(address, plan)?;
            begun += 1;
            while begun - (self.totals.opened - opened) >= OPENING_AT_ONCE {
                self.turn(Duration::from_millis(50))?;
                self.check_opening(ended, deadline)?;
            }
        }
        while self.totals.opened - opened < begun || self.totals.connected - connected < pubsub {
            self.turn(Duration::from_millis(50))?;
            self.check_opening(ended, deadline)?;
        }
        Ok(first..self.members.len())
    }

    fn check_opening(&self, ended: usize, deadline: Instant) -> Result<()> {
        if self.totals.ended > ended {
            let refused = self.members.iter().find_map(|member| member.log.refused);
            match refused {
                Some(status) => bail!("a connection was refused with status {status}"),
                None => bail!("a connection was lost while others were opened"),
            }
        }
        if Instant::now() > deadline {
            bail!("the connections did not open in time");
        }
        Ok(())
    }

    /// Sends frames that are encoded already.
    pub fn send(&mut self, member: usize, frames: &[u8]) {
        self.members[member].out.extend(frames);
        self.write(member);
    }

    /// Sends what `source` makes, as fast as the socket takes it.
    pub fn feed(&mut self, member: usize, source: Source) {
        self.members[member].source = Some(source);
        self.write(member);
    }

    /// Stops to read a connection.
    pub fn stall(&mut self, member: usize) {
        self.members[member].is_stalled = true;
    }

    /// Reads a stalled connection again, whose receive buffer is a usual one from now on: through a small one, what the
    /// systems have buffered would take minutes.
    pub fn resume(&mut self, member: usize) {
        if let Some(socket) = &self.members[member].socket {
            SockRef::from(socket).set_recv_buffer_size(READ_BUFFER).ok();
        }
        self.members[member].is_stalled = false;
        self.unfinished.push_back(member);
    }

    /// Leaves pings without an answer.
    pub fn ignore_pings(&mut self, member: usize) {
        self.members[member].answers_pings = false;
    }

    /// Says to the peer that nothing more comes, and goes on reading.
    pub fn finish(&mut self, member: usize) {
        if let Some(socket) = &self.members[member].socket {
            socket.shutdown(Shutdown::Write).ok();
        }
    }

    /// Resets a connection.
    pub fn cut(&mut self, member: usize) {
        if let Some(socket) = &self.members[member].socket {
            // Without this a thousand closed connections keep their ports for a minute.
            SockRef::from(socket).set_linger(Some(Duration::ZERO)).ok();
        }
        self.end(member, Ended::Cut);
    }

    /// Resets every connection.
    pub fn cut_all(&mut self) {
        for member in 0..self.members.len() {
            self.cut(member);
        }
    }

    /// Runs until `done` says so, and returns whether it did within `limit`.
    ///
    /// # Errors
    ///
    /// Fails when the event loop does.
    pub fn run(
        &mut self,
        limit: Duration,
        mut done: impl FnMut(&mut Self) -> bool,
    ) -> Result<bool> {
        let deadline = Instant::now() + limit;
        loop {
            if done(self) {
                return Ok(true);
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                return Ok(false);
            };
            self.turn(left.min(Duration::from_millis(20)))?;
        }
    }

    /// Runs until `done` says so, `limit` is over, or nothing was read for `patience`.
    ///
    /// # Errors
    ///
    /// Fails when the event loop does.
    pub fn run_while_busy(
        &mut self,
        limit: Duration,
        patience: Duration,
        mut done: impl FnMut(&mut Self) -> bool,
    ) -> Result<bool> {
        let mut seen = (self.totals.bytes, Instant::now());
        let mut held = false;
        self.run(limit, |swarm| {
            held = done(swarm);
            if swarm.totals.bytes != seen.0 {
                seen = (swarm.totals.bytes, Instant::now());
            }
            held || seen.1.elapsed() > patience
        })?;
        Ok(held)
    }

    /// Handles what is there, or waits for it.
    fn turn(&mut self, wait: Duration) -> Result<()> {
        let wait = if self.unfinished.is_empty() {
            wait
        } else {
            Duration::ZERO
        };
        let before = Instant::now();
        if let Err(error) = self.poll.poll(&mut self.events, Some(wait))
            && error.kind() != io::ErrorKind::Interrupted
        {
            return Err(error).context("cannot wait for sockets");
        }
        self.idle += before.elapsed();
        for _ in 0..self.unfinished.len() {
            if let Some(member) = self.unfinished.pop_front() {
                self.read(member, true);
            }
        }
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            let member = event.token().0;
            if event.is_writable() {
                self.write(member);
            }
            if event.is_readable() || event.is_read_closed() || event.is_error() {
                self.read(member, event.is_read_closed() || event.is_error());
            }
        }
        self.events = events;
        Ok(())
    }

    /// Reads until nothing is left; `to_the_end` also when the last read was a short one, after which more would be
    /// announced by another event, but not the end that was announced with this one.
    fn read(&mut self, number: usize, to_the_end: bool) {
        let member = &mut self.members[number];
        for _ in 0..READS_AT_ONCE {
            if member.is_stalled {
                return;
            }
            let Some(socket) = &mut member.socket else {
                return;
            };
            let read = match socket.read(&mut self.buffer) {
                Ok(0) => return self.end(number, Ended::Finished),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return self.end(number, Ended::Failed),
            };
            let before = member.log.frames;
            let taken = member.take(&self.buffer[..read], &mut self.totals);
            if let Some(arrivals) = &mut self.arrivals {
                let at = Instant::now();
                arrivals.extend((before..member.log.frames).map(|frame| Arrival { frame, at }));
            }
            if let Err(ended) = taken {
                return self.end(number, ended);
            }
            if !member.out.is_empty() {
                self.write(number);
                return self.unfinished.push_back(number);
            }
            if read < READ_BUFFER && !to_the_end {
                return;
            }
        }
        self.unfinished.push_back(number);
    }

    fn write(&mut self, number: usize) {
        let member = &mut self.members[number];
        let Some(socket) = &mut member.socket else {
            return;
        };
        loop {
            if let Some(source) = &mut member.source
                && member.phase == Phase::Open
            {
                while member.out.len() - member.written < AHEAD {
                    if source(&mut member.out) == More::No {
                        member.source = None;
                        break;
                    }
                }
            }
            if member.written == member.out.len() {
                member.out.clear();
                member.written = 0;
                return;
            }
            match socket.write(&member.out[member.written..]) {
                Ok(written) => member.written += written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected
                    ) =>
                {
                    member.out.drain(..member.written);
                    member.written = 0;
                    return;
                }
                // What the peer said before it hung up may still be there to read.
                Err(_) => {
                    member.source = None;
                    member.out.clear();
                    member.written = 0;
                    return;
                }
            }
        }
    }

    fn end(&mut self, number: usize, ended: Ended) {
        let member = &mut self.members[number];
        if member.phase == Phase::Ended {
            return;
        }
        member.phase = Phase::Ended;
        member.log.ended = Some(ended);
        member.source = None;
        self.totals.ended += 1;
        if let Some(mut socket) = member.socket.take() {
            self.poll.registry().deregister(&mut socket).ok();
        }
    }
}

fn is_under_way(error: &io::Error) -> bool {
    if error.kind() == io::ErrorKind::WouldBlock {
        return true;
    }
    #[cfg(unix)]
    {
        error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error())
    }
    #[cfg(not(unix))]
    {
        false
    }
}
