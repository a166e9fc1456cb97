//! The emulator and those who load it.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};

use crate::kind::{Kind, marked, send_to_group};
use crate::member::{Log, More, Source};
use crate::report::{Findings, mebibytes};
use crate::rest::Rest;
use crate::server::Server;
use crate::swarm::{Plan, Swarm};

/// The group that most scenarios load.
pub const GROUP: &str = "g";

/// The longest that one step of a scenario may take.
pub const LIMIT: Duration = Duration::from_secs(60);

/// The longest that nothing may arrive while something is awaited. A service that is busy elsewhere needs a moment.
pub const PATIENCE: Duration = Duration::from_secs(8);

/// The longest that an answer may take while the service is busy.
const RESPONSIVE: Duration = Duration::from_secs(5);

/// What a scenario gets from the command line.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The emulator's program.
    pub emulator: PathBuf,
    /// Smaller numbers.
    pub quick: bool,
}

impl Settings {
    /// One number for the short form, one for the whole.
    #[must_use]
    pub fn pick<T>(&self, quick: T, whole: T) -> T {
        if self.quick { quick } else { whole }
    }
}

/// A running emulator and the connections to it.
#[derive(Debug)]
pub struct World {
    /// The emulator.
    pub server: Server,
    /// The connections.
    pub swarm: Swarm,
    prober: Prober,
}

impl World {
    /// Starts an emulator with these flags.
    ///
    /// # Errors
    ///
    /// Fails when it does not start.
    pub fn start(settings: &Settings, flags: &[&str]) -> Result<Self> {
        let server = Server::start(&settings.emulator, flags)?;
        let prober = Prober::start(&server)?;
        Ok(Self {
            server,
            swarm: Swarm::new()?,
            prober,
        })
    }

    /// Opens `count` clients that are in [`GROUP`].
    ///
    /// # Errors
    ///
    /// Fails when one does not open.
    pub fn members(&mut self, kind: Kind, count: usize) -> Result<Range<usize>> {
        let plan = self.server.plan(kind, &[GROUP]);
        self.open(vec![plan; count])
    }

    /// Opens `count` clients that are in no group.
    ///
    /// # Errors
    ///
    /// Fails when one does not open.
    pub fn outsiders(&mut self, kind: Kind, count: usize) -> Result<Range<usize>> {
        let plan = self.server.plan(kind, &[]);
        self.open(vec![plan; count])
    }

    /// Opens clients by their plans.
    ///
    /// # Errors
    ///
    /// Fails when one does not open.
    pub fn open(&mut self, plans: impl IntoIterator<Item = Plan>) -> Result<Range<usize>> {
        let address = self.server.address;
        self.swarm.connect_all(address, plans, LIMIT)
    }

    /// The emulator's memory in bytes.
    ///
    /// # Errors
    ///
    /// Fails when it is gone.
    pub fn resident(&self) -> Result<u64> {
        Ok(self.server.process.memory()?.resident)
    }

    /// Runs the connections for a while.
    ///
    /// # Errors
    ///
    /// Fails when the event loop does.
    pub fn idle(&mut self, time: Duration) -> Result<()> {
        self.swarm.run(time, |_| false)?;
        Ok(())
    }

    /// Looks at the emulator every so often until its memory is below `most`, and returns what it was in the end.
    ///
    /// # Errors
    ///
    /// Fails when it is gone.
    pub fn resident_below(&mut self, most: u64, limit: Duration) -> Result<u64> {
        let deadline = Instant::now() + limit;
        loop {
            let resident = self.resident()?;
            if resident <= most || Instant::now() > deadline {
                return Ok(resident);
            }
            self.idle(Duration::from_millis(200))?;
        }
    }

    /// Checks that these got `expected` marked messages each, in order, and are open.
    pub fn check_readers(
        &self,
        findings: &mut Findings,
        who: &str,
        readers: Range<usize>,
        expected: u64,
    ) {
        let count = readers.len();
        let whole = |log: &&Log| {
            log.messages == expected
                && log.disorder == 0
                && log.close.is_none()
                && log.ended.is_none()
        };
        let fine = self.swarm.logs(readers.clone()).filter(whole).count();
        let mut found = format!("{fine} of {count}");
        if fine < count {
            let closed = self
                .swarm
                .logs(readers.clone())
                .filter(|log| log.close.is_some());
            found += &format!(", {} were closed", closed.count());
        }
        if let Some(log) = self.swarm.logs(readers).find(|log| !whole(log)) {
            found += &format!(
                "; one got {} ({} out of order), close {:?}, told {:?}, end {:?}",
                log.messages, log.disorder, log.close, log.told, log.ended
            );
        }
        let what = format!("{who} get all {expected} messages in order and stay");
        findings.hold(what, fine == count, found);
    }

    /// Checks that the emulator lived through it, answered all the time, and ends when it is asked.
    pub fn end(mut self, findings: &mut Findings) {
        // Nobody would answer the service's goodbyes, and it would wait for that.
        self.swarm.cut_all();
        let slowest = self.prober.stop();
        match &slowest {
            Ok(slowest) => findings.hold(
                "it answers others meanwhile",
                *slowest < RESPONSIVE,
                format!("the slowest health check took {} ms", slowest.as_millis()),
            ),
            Err(error) => findings.hold("it answers others meanwhile", false, format!("{error:#}")),
        }
        if let Ok(memory) = self.server.process.memory() {
            findings.note(format!("memory at the end: {}", mebibytes(memory.resident)));
        }
        let stopped = self.server.process.stop();
        let found = match &stopped {
            Ok(()) => "yes".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        findings.hold("it lives and stops when asked", stopped.is_ok(), found);
    }
}

/// Marked messages to [`GROUP`], one frame each; the last one asks for an acknowledgement.
///
/// # Errors
///
/// Never for this group.
pub fn burst(kind: Kind, publisher: usize, count: u64, size: usize) -> Result<Source> {
    burst_from(kind, publisher, 0, count, size)
}

/// The same from a number on.
///
/// # Errors
///
/// Never for this group.
pub fn burst_from(
    kind: Kind,
    publisher: usize,
    first: u64,
    count: u64,
    size: usize,
) -> Result<Source> {
    send_to_group(GROUP, String::new(), None)?;
    let mut number = first;
    let last = first + count;
    Ok(Box::new(move |out| {
        let ack_id = (number + 1 == last).then_some(last);
        let text = marked(publisher, number, size);
        if let Ok(frame) = send_to_group(GROUP, text, ack_id) {
            kind.write(out, &frame);
        }
        number += 1;
        if number < last { More::Yes } else { More::No }
    }))
}

/// Asks for the emulator's health twenty times a second and remembers the slowest answer.
#[derive(Debug)]
struct Prober {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Duration>>,
}

impl Prober {
    fn start(server: &Server) -> Result<Self> {
        let mut rest = Rest::connect(server)?;
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                let mut slowest = Duration::ZERO;
                while !stop.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    rest.health().context("the health check failed")?;
                    slowest = slowest.max(began.elapsed());
                    thread::sleep(Duration::from_millis(50));
                }
                Ok(slowest)
            }
        });
        Ok(Self { stop, thread })
    }

    fn stop(self) -> Result<Duration> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread
            .join()
            .map_err(|_| anyhow!("the thread that asked panicked"))?
    }
}
