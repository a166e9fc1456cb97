//! All jobs of all users, in memory.

use std::collections::{BTreeMap, VecDeque};

use parking_lot::Mutex;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

/// Jobs of one user that may run at the same time.
pub(crate) const RUNNING: usize = 3;
/// The number of jobs of a user that are kept.
const REMEMBERED: usize = 20;
/// The number of users whose jobs are kept.
const USERS: usize = 1000;

/// A job as its user sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Job {
    pub(crate) id: u64,
    /// Counts the changes of this job, so that outdated messages can be recognised.
    pub(crate) version: u64,
    /// Primes below this number are counted.
    pub(crate) below: u64,
    /// The numbers checked so far.
    pub(crate) checked: u64,
    /// Primes among them.
    pub(crate) primes: u64,
    pub(crate) state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum State {
    Running,
    Finished,
    Cancelled,
}

/// The user may not start another job now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// Too many of their own are running.
    User,
    /// Too many users have running jobs.
    Everybody,
}

#[derive(Default)]
pub(crate) struct Jobs(Mutex<All>);

#[derive(Default)]
struct All {
    last_id: u64,
    users: BTreeMap<String, VecDeque<Entry>>,
}

struct Entry {
    job: Job,
    cancel: CancellationToken,
}

impl Jobs {
    /// Adds a new job, which runs until it is finished or the token is cancelled.
    pub(crate) fn start(&self, user: &str, below: u64) -> Result<(Job, CancellationToken), Full> {
        let mut all = self.0.lock();
        if !all.users.contains_key(user) && all.users.len() >= USERS {
            all.forget_an_idle_user()?;
        }
        let All { last_id, users } = &mut *all;
        let entries = users.entry(user.to_owned()).or_default();
        if entries.iter().filter(|entry| entry.is_running()).count() >= RUNNING {
            return Err(Full::User);
        }
        if entries.len() >= REMEMBERED
            && let Some(oldest) = entries.iter().position(|entry| !entry.is_running())
        {
            entries.remove(oldest);
        }
        *last_id += 1;
        let job = Job {
            id: *last_id,
            version: 0,
            below,
            checked: 0,
            primes: 0,
            state: State::Running,
        };
        let cancel = CancellationToken::new();
        entries.push_back(Entry {
            job: job.clone(),
            cancel: cancel.clone(),
        });
        Ok((job, cancel))
    }

    /// The user's jobs, the newest first.
    pub(crate) fn of(&self, user: &str) -> Vec<Job> {
        let all = self.0.lock();
        let entries = all.users.get(user).into_iter().flatten();
        entries.rev().map(|entry| entry.job.clone()).collect()
    }

    /// Records progress; `None` if the job is no longer running.
    pub(crate) fn progress(&self, user: &str, id: u64, checked: u64, primes: u64) -> Option<Job> {
        self.change(user, id, |job| {
            (job.checked, job.primes) = (checked, primes);
            if checked >= job.below {
                job.state = State::Finished;
            }
        })
    }

    /// Cancels a job that runs; `None` when there is no such job of this user.
    pub(crate) fn cancel(&self, user: &str, id: u64) -> Option<Job> {
        self.change(user, id, |job| job.state = State::Cancelled)
    }

    fn change(&self, user: &str, id: u64, change: impl FnOnce(&mut Job)) -> Option<Job> {
        let mut all = self.0.lock();
        let mut entries = all.users.get_mut(user)?.iter_mut();
        let entry = entries.find(|entry| entry.job.id == id && entry.is_running())?;
        change(&mut entry.job);
        entry.job.version += 1;
        if !entry.is_running() {
            entry.cancel.cancel();
        }
        Some(entry.job.clone())
    }
}

impl All {
    fn forget_an_idle_user(&mut self) -> Result<(), Full> {
        let mut users = self.users.iter();
        let idle = users.find(|(_, entries)| !entries.iter().any(Entry::is_running));
        let idle = idle.map(|(user, _)| user.clone()).ok_or(Full::Everybody)?;
        self.users.remove(&idle);
        Ok(())
    }
}

impl Entry {
    fn is_running(&self) -> bool {
        self.job.state == State::Running
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_runs_until_it_is_finished_or_cancelled() {
        let jobs = Jobs::default();
        let (one, token) = jobs.start("ana", 10).unwrap();
        let half = jobs.progress("ana", one.id, 5, 2).unwrap();
        assert_eq!(
            (half.version, half.state, half.primes),
            (1, State::Running, 2)
        );
        assert!(!token.is_cancelled());
        let whole = jobs.progress("ana", one.id, 10, 4).unwrap();
        assert_eq!((whole.version, whole.state), (2, State::Finished));
        assert_eq!(jobs.progress("ana", one.id, 10, 4), None);
        assert_eq!(jobs.cancel("ana", one.id), None);

        let (two, token) = jobs.start("ana", 10).unwrap();
        assert_eq!(jobs.cancel("ben", two.id), None, "it is another's");
        assert_eq!(jobs.cancel("ana", two.id).unwrap().state, State::Cancelled);
        assert!(token.is_cancelled());
        assert_eq!(jobs.progress("ana", two.id, 10, 4), None);
        assert!(jobs.of("ana").iter().map(|job| job.id).eq([two.id, one.id]));
    }

    #[test]
    fn nobody_fills_the_memory() {
        let jobs = Jobs::default();
        for _ in 0..RUNNING {
            jobs.start("ana", 10).unwrap();
        }
        assert_eq!(jobs.start("ana", 10).unwrap_err(), Full::User);
        for _ in 0..3 * REMEMBERED {
            let (job, _) = jobs.start("ben", 10).unwrap();
            jobs.cancel("ben", job.id).unwrap();
        }
        assert_eq!(jobs.of("ben").len(), REMEMBERED);
        for user in 2..USERS {
            jobs.start(&format!("user {user}"), 10).unwrap();
        }
        jobs.start("one more", 10).unwrap();
        assert!(jobs.of("ben").is_empty(), "he had nothing running");
        assert_eq!(jobs.start("yet one", 10).unwrap_err(), Full::Everybody);
    }
}
