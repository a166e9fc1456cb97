//! The queue for events that are acknowledged before they are handled.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    sync::Arc,
};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

/// A bounded queue. Jobs with the same key run one after the other, in the order in which they were pushed; jobs with
/// different keys run concurrently.
#[derive(Debug)]
pub(crate) struct Queue {
    places: Arc<Semaphore>,
    tasks: TaskTracker,
    waiting: Waiting,
}

/// For each key with a running job, the jobs that wait for it to finish.
type Waiting = Arc<Mutex<HashMap<String, VecDeque<Job>>>>;

/// Permission to push one job. It is returned when the job is done.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    // A shutdown also waits for places whose job has not been pushed yet.
    _awaited: TaskTrackerToken,
}

/// The queue accepts no more jobs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Closed;

struct Job {
    run: BoxFuture<'static, ()>,
    _place: Place,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Job")
    }
}

impl Queue {
    /// A queue for at most `places` jobs, waiting or running.
    pub(crate) fn new(places: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places.clamp(1, Semaphore::MAX_PERMITS))),
            tasks: TaskTracker::new(),
            waiting: Waiting::default(),
        }
    }

    /// Waits for a place. Places are given out in the order of the calls.
    pub(crate) async fn place(&self) -> Result<Place, Closed> {
        let permit = Arc::clone(&self.places).acquire_owned().await;
        match permit {
            Ok(_permit) => Ok(Place {
                _permit,
                _awaited: self.tasks.token(),
            }),
            Err(_) => Err(Closed),
        }
    }

    /// Appends a job to those with the same key.
    pub(crate) fn push(
        &self,
        place: Place,
        key: &str,
        run: impl Future<Output = ()> + Send + 'static,
    ) {
        let job = Job {
            run: Box::pin(run),
            _place: place,
        };
        let mut waiting = self.waiting.lock();
        if let Some(behind) = waiting.get_mut(key) {
            behind.push_back(job);
            return;
        }
        waiting.insert(key.to_owned(), VecDeque::new());
        drop(waiting);
        let (waiting, key) = (Arc::clone(&self.waiting), key.to_owned());
        self.tasks.spawn(async move {
            let mut next = Some(job);
            while let Some(job) = next {
                job.run.await;
                let mut waiting = waiting.lock();
                next = waiting.get_mut(&key).and_then(VecDeque::pop_front);
                if next.is_none() {
                    waiting.remove(&key);
                }
            }
        });
    }

    /// Closes the queue and waits until its jobs are done.
    pub(crate) async fn drain(&self) {
        self.places.close();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::{mpsc, oneshot};

    use super::*;

    #[tokio::test]
    async fn jobs_of_one_key_keep_their_order_and_others_pass() {
        let queue = Queue::new(8);
        let (log, mut entries) = mpsc::unbounded_channel();
        let (release, held) = oneshot::channel::<()>();
        let send = |entry: &'static str| {
            let log = log.clone();
            async move { log.send(entry).expect("the test listens") }
        };
        let first = send("a1");
        queue.push(queue.place().await.unwrap(), "a", async move {
            held.await.unwrap();
            first.await;
        });
        queue.push(queue.place().await.unwrap(), "a", send("a2"));
        queue.push(queue.place().await.unwrap(), "a", send("a3"));
        queue.push(queue.place().await.unwrap(), "b", send("b1"));
        assert_eq!(entries.recv().await, Some("b1"));
        release.send(()).unwrap();
        queue.drain().await;
        for entry in ["a1", "a2", "a3"] {
            assert_eq!(entries.try_recv(), Ok(entry));
        }
        assert!(queue.waiting.lock().is_empty());
        assert_eq!(queue.place().await.unwrap_err(), Closed);
    }

    #[tokio::test]
    async fn a_shutdown_waits_for_those_who_have_a_place() {
        let queue = Queue::new(8);
        let place = queue.place().await.unwrap();
        let mut drained = Box::pin(queue.drain());
        assert!(futures_util::poll!(&mut drained).is_pending());
        let (done, mut is_done) = oneshot::channel();
        queue.push(place, "a", async move { done.send(()).unwrap() });
        drained.await;
        assert_eq!(is_done.try_recv(), Ok(()));
    }

    #[tokio::test]
    async fn a_full_queue_lets_the_next_wait() {
        let queue = Queue::new(1);
        let (release, held) = oneshot::channel::<()>();
        queue.push(queue.place().await.unwrap(), "a", async move {
            held.await.unwrap();
        });
        let mut next = Box::pin(queue.place());
        assert!(futures_util::poll!(&mut next).is_pending());
        release.send(()).unwrap();
        assert!(next.await.is_ok());
    }
}
