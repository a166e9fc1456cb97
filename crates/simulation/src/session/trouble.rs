//! What goes wrong for a client, besides its dials.

use std::time::Duration;

use rand::Rng as _;
use webpubsub_emulator::driven::{Loss, To};
use webpubsub_protocol::limits::RECOVERY_WINDOW;
use webpubsub_protocol::name::ConnectionId;
use webpubsub_protocol::session::{Attempt, DialFailure, Input};

use super::client::Pen;
use super::network::closed;
use super::world::{Event, Phase, World};
use crate::coverage::Happening;
use crate::failure::{Check, Finding};

/// After this time the driver tells its session that nobody takes what arrives.
const PATIENCE: Duration = Duration::from_secs(1);

impl World {
    pub(super) fn trouble(&mut self, client: usize) -> Check {
        if self.phase != Phase::Busy {
            return Ok(());
        }
        let pause = self.scenario.trouble.clone();
        self.schedule_in(pause, Event::Trouble(client));
        if self.clients[client].asleep {
            return Ok(());
        }
        let line = self.clients[client].transport.and_then(|t| t.line);
        match (self.rng.random_range(0..11), line) {
            (0 | 1, Some(line)) => self.cut(line),
            (2, Some(line)) => {
                self.saw(Happening::LineHalfOpen);
                self.note(|| format!("the line of client {client} goes silent"));
                self.lines[line].cut();
                self.schedule_in(0..60_000, Event::ServiceNotices(line));
                Ok(())
            }
            (3, Some(line)) => self.outage(client, line),
            (4, Some(line)) => {
                self.saw(Happening::ClosedWith1008);
                self.send_down(line, closed(Some(1008), "a policy"));
                self.let_go(line, Loss::Lost);
                Ok(())
            }
            (5, Some(_)) => {
                self.close_by_rest(client);
                Ok(())
            }
            (6 | 7, _) => {
                self.block(client);
                Ok(())
            }
            (8, _) => {
                self.sleep(client);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Both directions lose what is under way, and both sides notice soon.
    pub(super) fn cut(&mut self, line: usize) -> Check {
        if self.lines[line].is_cut() {
            return Ok(());
        }
        self.saw(Happening::LineCut);
        let client = self.lines[line].client;
        self.note(|| format!("a line of client {client} is cut"));
        self.lines[line].cut();
        self.schedule_in(0..3000, Event::ServiceNotices(line));
        self.schedule_in(0..1500, Event::ClientNotices(line));
        Ok(())
    }

    fn outage(&mut self, client: usize, line: usize) -> Check {
        let lasts = Duration::from_secs(self.rng.random_range(3..60));
        if lasts > RECOVERY_WINDOW {
            self.saw(Happening::LongOutage);
        }
        self.note(|| format!("client {client} is offline for {lasts:?}"));
        self.clients[client].offline_until = self.now + lasts;
        self.cut(line)
    }

    fn close_by_rest(&mut self, client: usize) {
        if let Some(id) = self.clients[client].conduct.connection.clone()
            && let Ok(id) = ConnectionId::new(id)
        {
            self.saw(Happening::ClosedByCall);
            self.note(|| format!("REST closes {id}"));
            let to = To::Connection(id);
            self.service.hub.close(self.now, to, Some("by hand"));
        }
    }

    /// The application stops to take its events.
    fn block(&mut self, client: usize) {
        let state = &mut self.clients[client];
        if state.blocked_since.is_some() || state.conduct.is_stopped {
            return;
        }
        state.blocked_since = Some(self.now);
        self.saw(Happening::ConsumerBlocked);
        self.note(|| format!("client {client} reads nothing"));
        self.schedule(self.now + PATIENCE, Event::Patience(client, self.now));
        self.schedule_in(300..15_000, Event::Resume(client));
    }

    /// … for so long that its session is told.
    pub(super) fn lose_patience(&mut self, client: usize, blocked_since: Duration) -> Check {
        if self.clients[client].blocked_since != Some(blocked_since) {
            return Ok(());
        }
        if self.clients[client].asleep {
            self.schedule_in(0..300, Event::Patience(client, blocked_since));
            return Ok(());
        }
        self.saw(Happening::ConsumerStalled);
        self.note(|| format!("client {client} is stalled"));
        let now = self.now_at(client);
        self.clients[client].stalled = true;
        self.clients[client].session.set_stalled(now, true);
        let waits = self.clients[client].session.has_pending_requests();
        Finding::unless_same("who does not read waits for nothing", &false, &waits)?;
        self.pump(client)
    }

    fn sleep(&mut self, client: usize) {
        let lasts = Duration::from_millis(self.rng.random_range(6000..60_000));
        let stands_still = self.rng.random();
        self.note(|| format!("the host of client {client} sleeps for {lasts:?}"));
        self.saw(if stands_still {
            Happening::HostSlept
        } else {
            Happening::HostSuspended
        });
        self.clients[client].asleep = true;
        let stood_still = if stands_still { lasts } else { Duration::ZERO };
        self.schedule(self.now + lasts, Event::Wake(client, stood_still));
        if let Some(line) = self.clients[client].transport.and_then(|t| t.line)
            && self.rng.random()
        {
            self.schedule_in(1000..40_000, Event::ServiceNotices(line));
        }
    }

    /// News of an attempt that is over may still come.
    pub(super) fn maybe_stale(&mut self, client: usize, attempt: Attempt) {
        if !self.by_chance(3) {
            return;
        }
        self.saw(Happening::StaleInput);
        let input = match self.rng.random_range(0..5) {
            0 => Input::Opened,
            1 => closed(Some(1008), "late"),
            2 => closed(None, ""),
            3 => Input::DialFailed(DialFailure::Refused {
                status: 404,
                retry_after: None,
                body: String::new(),
            }),
            _ => Input::DialFailed(DialFailure::Network("late".to_owned())),
        };
        self.schedule_in(0..5000, Event::Stale(client, attempt, input));
    }

    /// From now on everything works for this client. A line that went silent stays so: to notice
    /// that is its session's part.
    pub(super) fn calm_down(&mut self, client: usize) -> Check {
        self.clients[client].pen = Pen::Quick;
        self.clients[client].offline_until = Duration::ZERO;
        self.resume(client)?;
        self.schedule(self.now, Event::Act(client));
        if self.clients[client].asleep {
            return Ok(());
        }
        self.pump(client)
    }
}
