//! The long job, and the messages to its user.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio_util::sync::CancellationToken;
use webpubsub::{WebPubSubServiceClient, payload};

use crate::jobs::{Job, Jobs, State};

/// How many numbers are checked at once: some milliseconds of work.
const CHUNK: u64 = 100_000;
/// Nobody could read more frequent updates.
const BETWEEN_PUSHES: Duration = Duration::from_millis(100);

/// Works on the job until it is finished or cancelled, and sends its progress to the user.
pub(crate) async fn run(
    service: Arc<WebPubSubServiceClient>,
    jobs: Arc<Jobs>,
    user: String,
    job: Job,
    cancelled: CancellationToken,
) {
    let (mut checked, mut primes) = (0, 0);
    let mut pushed: Option<Instant> = None;
    while checked < job.below {
        let end = job.below.min(checked + CHUNK);
        let counted = tokio::task::spawn_blocking(move || count_primes(checked, end));
        let counted = tokio::select! {
            biased;
            () = cancelled.cancelled() => return,
            counted = counted => counted.expect("counting does not panic"),
        };
        (checked, primes) = (end, primes + counted);
        let Some(job) = jobs.progress(&user, job.id, checked, primes) else {
            return;
        };
        let due = pushed.is_none_or(|at| at.elapsed() >= BETWEEN_PUSHES);
        if due || job.state != State::Running {
            push(&service, &user, &job).await;
            pushed = Some(Instant::now());
        }
    }
}

/// Sends the job to every window of its user. A failed push is not repeated: the next push contains more, and a page that
/// missed the last one calls the backend.
pub(crate) async fn push(service: &WebPubSubServiceClient, user: &str, job: &Job) {
    #[derive(Serialize)]
    struct Push<'a> {
        job: &'a Job,
    }
    if let Err(error) = service
        .send_to_user(user, payload::Json(&Push { job }))
        .await
    {
        tracing::warn!(job = job.id, %error, "progress could not be sent");
    }
}

/// How many of the numbers from `start` to before `end` are primes: a sieve of this segment.
fn count_primes(start: u64, end: u64) -> u64 {
    let length = usize::try_from(end - start).expect("a chunk fits into memory");
    let mut composite = vec![false; length];
    for factor in 2..=end.isqrt() {
        // Its multiples were crossed out by its own factors, but finding that out takes as long.
        let first = (factor * factor).max(start.div_ceil(factor) * factor);
        for multiple in (first..end).step_by(usize::try_from(factor).expect("a root of u64")) {
            composite[usize::try_from(multiple - start).expect("inside the chunk")] = true;
        }
    }
    let numbers = start..end;
    let primes = numbers
        .zip(composite)
        .filter(|&(number, composite)| number >= 2 && !composite);
    primes.count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primes_are_counted() {
        for (start, end, primes) in [
            (0, 2, 0),
            (0, 3, 1),
            (0, 100, 25),
            (0, 1_000_000, 78_498),
            (2, 3, 1),
            (4, 5, 0),
            (90, 97, 0),
            (90, 98, 1),
            (999_900, 1_000_000, 8),
            (7, 7, 0),
        ] {
            assert_eq!(count_primes(start, end), primes, "{start}..{end}");
        }
    }
}
