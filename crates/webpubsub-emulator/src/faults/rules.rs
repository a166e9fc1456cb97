//! Which rules hit. No clock and no locks: moments come in, and randomness comes from the seeds of rules.

use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use serde::Serialize;

use super::fault::{Fault, InvalidFault, Kind};
use super::scope::{Place, Subject};
use crate::traffic::Direction;

/// Identifies a rule of one emulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct FaultId(pub(super) u64);

/// All rules, in the order in which they are looked at.
#[derive(Debug, Default)]
pub(super) struct Rules {
    rules: Vec<Rule>,
    added: u64,
}

#[derive(Debug)]
struct Rule {
    id: FaultId,
    fault: Fault,
    place: Place,
    starts: Instant,
    hits: u64,
    rng: SmallRng,
}

/// A rule that hit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) id: FaultId,
    pub(crate) name: Option<String>,
    pub(crate) kind: Kind,
    /// Which way it disturbs a line; `None` is both.
    pub(crate) direction: Option<Direction>,
    /// Draws the jitter of a line.
    pub(crate) seed: u64,
}

/// What becomes of something that happens once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// How long it takes in addition.
    pub(super) delay: Duration,
    /// All that hit: those that delay it, and at most one other, the last.
    pub(super) hits: Vec<Hit>,
}

impl Rules {
    /// Adds a rule; when it begins to hit, and where.
    ///
    /// # Errors
    ///
    /// It cannot hit anything.
    pub(super) fn add(
        &mut self,
        now: Instant,
        fault: Fault,
        seed: u64,
    ) -> Result<(FaultId, Instant), InvalidFault> {
        let place = fault.place()?;
        self.added += 1;
        let id = FaultId(self.added);
        let starts = now + fault.after;
        // Two rules draw apart, whatever seed they share.
        let rng = SmallRng::seed_from_u64(fault.seed.unwrap_or(seed ^ (self.added << 32)));
        let at = self
            .rules
            .partition_point(|rule| rule.fault.order <= fault.order);
        let rule = Rule {
            id,
            fault,
            place,
            starts,
            hits: 0,
            rng,
        };
        self.rules.insert(at, rule);
        Ok((id, starts))
    }

    /// Whether there was such a rule.
    pub(super) fn remove(&mut self, id: FaultId) -> bool {
        let before = self.rules.len();
        self.rules.retain(|rule| rule.id != id);
        self.rules.len() < before
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(super) fn contains(&self, id: FaultId) -> bool {
        self.rules.iter().any(|rule| rule.id == id)
    }

    /// All rules, and how often they hit.
    pub(super) fn all(&self) -> impl Iterator<Item = (FaultId, &Fault, u64)> {
        self.rules
            .iter()
            .map(|rule| (rule.id, &rule.fault, rule.hits))
    }

    /// The bits of all places that some rule concerns.
    pub(super) fn places(&self) -> u8 {
        self.rules
            .iter()
            .fold(0, |bits, rule| bits | rule.place.bit())
    }

    /// What becomes of something that happens now.
    pub(super) fn decide(&mut self, now: Instant, place: Place, subject: &Subject<'_>) -> Verdict {
        let mut verdict = Verdict::default();
        for rule in &mut self.rules {
            let Some(hit) = rule.try_hit(now, place, subject) else {
                continue;
            };
            let delay = rule.draw_delay();
            verdict.hits.push(hit);
            match delay {
                Some(delay) => verdict.delay += delay,
                None => break,
            }
        }
        verdict
    }

    /// The rules that disturb a line from now on, of those that have not been judged for it. They are judged then, and not
    /// again: one that did not hit never will.
    pub(super) fn judge(
        &mut self,
        now: Instant,
        subject: &Subject<'_>,
        judged: &mut Vec<FaultId>,
    ) -> Vec<Hit> {
        judged.retain(|id| self.contains(*id));
        let mut hits = Vec::new();
        for rule in &mut self.rules {
            if rule.place == Place::Line && rule.starts <= now && !judged.contains(&rule.id) {
                judged.push(rule.id);
                hits.extend(rule.try_hit(now, Place::Line, subject));
            }
        }
        hits
    }
}

impl Rule {
    fn try_hit(&mut self, now: Instant, place: Place, subject: &Subject<'_>) -> Option<Hit> {
        let may_hit = self.place == place
            && self.starts <= now
            && self.fault.hit_count.is_none_or(|most| self.hits < most)
            && self.fault.scope.matches(place, subject);
        // Drawn only for what the rule is about, so that a seed repeats itself whatever else happens.
        if !may_hit || !self.rng.random_bool(self.fault.probability) {
            return None;
        }
        self.hits += 1;
        Some(Hit {
            id: self.id,
            name: self.fault.name.clone(),
            kind: self.fault.kind.clone(),
            direction: self.fault.scope.direction,
            seed: self.rng.random(),
        })
    }

    /// How long what it hits takes in addition, if that is all it does.
    fn draw_delay(&mut self) -> Option<Duration> {
        match self.fault.kind {
            Kind::Latency { latency, jitter } => Some(draw(&mut self.rng, latency, jitter)),
            _ => None,
        }
    }
}

/// A latency with its jitter.
pub(super) fn draw(rng: &mut SmallRng, latency: Duration, jitter: Duration) -> Duration {
    if jitter.is_zero() {
        return latency;
    }
    let least = latency.saturating_sub(jitter);
    rng.random_range(least..=latency + jitter)
}

#[cfg(test)]
mod tests {
    use webpubsub_protocol::name::UserId;

    use super::*;
    use crate::clock::Clock;

    const UPGRADE: Place = Place::Upgrade;

    fn rules(faults: impl IntoIterator<Item = Fault>) -> (Rules, Instant) {
        let (mut rules, now) = (Rules::default(), Clock::manual().mono());
        for fault in faults {
            rules.add(now, fault, 7).expect("a fault that can hit");
        }
        (rules, now)
    }

    fn upgrades(rules: &mut Rules, now: Instant, times: usize) -> Vec<Option<u16>> {
        let subject = Subject::default();
        let mut status = || {
            let verdict = rules.decide(now, UPGRADE, &subject);
            verdict.hits.last().map(|hit| match hit.kind {
                Kind::RefuseUpgrade(refuse) => refuse.status,
                _ => 0,
            })
        };
        (0..times).map(|_| status()).collect()
    }

    #[test]
    fn the_first_in_order_hits_until_it_has_hit_so_often() {
        let (mut rules, now) = rules([
            Fault::refuse_upgrade(500),
            Fault::refuse_upgrade(503).order(-1).hit_count(2),
        ]);
        let seen = upgrades(&mut rules, now, 3);
        assert_eq!(seen, [Some(503), Some(503), Some(500)]);
        let hits: Vec<_> = rules.all().map(|(id, _, hits)| (id.0, hits)).collect();
        assert_eq!(hits, [(2, 2), (1, 1)]);
        assert!(rules.remove(FaultId(1)) && !rules.remove(FaultId(1)));
        assert_eq!(upgrades(&mut rules, now, 1), [None]);
    }

    #[test]
    fn a_seed_repeats_its_hits_whatever_other_rules_do() {
        let flaky = || Fault::refuse_upgrade(503).probability(0.5).seed(3);
        let (mut alone, now) = rules([flaky()]);
        let (mut among, later) = rules([Fault::lose_answer().probability(0.5), flaky()]);
        let seen = upgrades(&mut alone, now, 64);
        for expected in &seen {
            among.decide(later, Place::Answer, &Subject::default());
            assert_eq!(upgrades(&mut among, later, 1), [*expected]);
        }
        let hits = seen.iter().flatten().count();
        assert!((16..48).contains(&hits), "{hits}");
        let (mut never, now) = rules([Fault::refuse_upgrade(503).probability(0.0)]);
        assert_eq!(upgrades(&mut never, now, 8), [None; 8]);
    }

    #[test]
    fn a_rule_begins_when_it_is_told_to() {
        let minutes = Duration::from_secs(60);
        let (mut rules, now) = rules([Fault::refuse_upgrade(401).after(minutes)]);
        assert_eq!(upgrades(&mut rules, now, 1), [None]);
        assert_eq!(upgrades(&mut rules, now + minutes, 1), [Some(401)]);
    }

    #[test]
    fn delays_add_up_before_a_refusal() {
        let delay = Duration::from_millis(100);
        let slow = || Fault::latency(delay).operation("SendToAll");
        let (mut rules, now) = rules([
            slow(),
            slow().jitter(Duration::from_millis(50)),
            Fault::refuse_operation(429),
            slow(),
        ]);
        let subject = Subject {
            operation: Some("WebPubSub_SendToAll"),
            ..Subject::default()
        };
        let verdict = rules.decide(now, Place::Operation, &subject);
        assert_eq!(verdict.hits.len(), 3, "nothing comes after a refusal");
        let spread = Duration::from_millis(150)..=Duration::from_millis(250);
        assert!(spread.contains(&verdict.delay), "{:?}", verdict.delay);
        let other = rules.decide(now, Place::Operation, &Subject::default());
        assert_eq!((other.delay, other.hits.len()), (Duration::ZERO, 1));
    }

    #[test]
    fn a_line_is_judged_once_by_each_rule() {
        let (mut rules, now) = rules([
            Fault::half_open().hit_count(1),
            Fault::latency(Duration::from_secs(1)).user("ana"),
        ]);
        let (mut first, mut second) = (Vec::new(), Vec::new());
        let subject = Subject::default();
        assert_eq!(rules.judge(now, &subject, &mut first).len(), 1);
        assert!(rules.judge(now, &subject, &mut first).is_empty());
        let ana = UserId::new("ana").expect("a name");
        let ana = Subject {
            user: Some(&ana),
            ..subject
        };
        let hits = rules.judge(now, &ana, &mut second);
        assert_eq!(hits.len(), 1, "the first one has hit as often as it may");
        assert_eq!(hits[0].kind.name(), "latency");
        rules.add(now, Fault::reset_peer(), 7).expect("valid");
        assert_eq!(rules.judge(now, &subject, &mut first).len(), 1);
    }

    #[test]
    fn what_could_never_hit_is_refused() {
        let second = Duration::from_secs(1);
        for (fault, expected) in [
            (
                Fault::refuse_upgrade(200),
                "200 is not a status from 400 to 599",
            ),
            (Fault::close(1005, ""), "1005 is not a close code"),
            (
                Fault::close(1008, "x".repeat(124)),
                "a close frame has room",
            ),
            (Fault::bandwidth(0), "a bandwidth is at least"),
            (Fault::half_open().probability(1.5), "a probability is"),
            (Fault::half_open().probability(f64::NAN), "a probability is"),
            (
                Fault::lose_answer().operation("Sing"),
                "there is no operation `Sing`",
            ),
            (
                Fault::lose_answer().handler("connect"),
                "`lose_answer` has nothing to do with a handler",
            ),
            (
                Fault::latency(second).group("g"),
                "`latency` has nothing to do with a group",
            ),
            (
                Fault::refuse_upgrade(503).group("g"),
                "`refuse_upgrade` has nothing to do with a group",
            ),
            (
                Fault::handler_error(500).direction(Direction::In),
                "`handler_error` has nothing to do with a direction",
            ),
        ] {
            let error = fault.place().expect_err(expected).to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
