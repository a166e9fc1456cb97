//! Runs many calls, a limited number at a time.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let emulator = webpubsub_emulator::Emulator::start().await?;
//! # let client = webpubsub::WebPubSubServiceClient::from_connection_string(&emulator.connection_string(), "chat")?;
//! use webpubsub::bulk;
//!
//! let users = ["ana", "bob"];
//! let sends = users.iter().map(|user| client.send_to_user(*user, "hello"));
//! let outcomes = bulk::run(16, sends).await;
//! for (user, outcome) in users.iter().zip(outcomes) {
//!     if let Err(error) = outcome {
//!         eprintln!("{user}: {error}");
//!     }
//! }
//! # emulator.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! Each call retries on its own and waits for as long as the service asks it to (`Retry-After`), so limiting the number of
//! concurrent calls also limits the load on the service. Calls are taken from the iterator only when it is their turn, so it
//! may be long.

use std::{future::IntoFuture, pin::Pin};

use futures_util::{FutureExt as _, Stream, StreamExt as _, stream};

/// The outcomes of calls, each with the position of its call, in the order in which the calls finish.
pub type OutcomeStream<'a, T> = Pin<Box<dyn Stream<Item = (usize, T)> + Send + 'a>>;

/// Runs calls, at most `concurrency` at a time (0 counts as 1), and yields the outcome of each as soon as it finishes,
/// together with the position of the call. A failure does not stop the other calls. Dropping the stream cancels the calls
/// that are running and starts no more.
pub fn stream<'a, I>(
    concurrency: usize,
    calls: I,
) -> OutcomeStream<'a, <I::Item as IntoFuture>::Output>
where
    I: IntoIterator,
    I::IntoIter: Send + 'a,
    I::Item: IntoFuture<IntoFuture: Send> + 'a,
    <I::Item as IntoFuture>::Output: Send + 'a,
{
    let calls = calls.into_iter().enumerate();
    let calls = calls.map(|(index, call)| call.into_future().map(move |outcome| (index, outcome)));
    Box::pin(stream::iter(calls).buffer_unordered(concurrency.max(1)))
}

/// Runs calls, at most `concurrency` at a time (0 counts as 1), and returns all outcomes in the order of the calls. A failure
/// does not stop the other calls. Dropping the future cancels the calls that are running and starts no more.
pub async fn run<I>(concurrency: usize, calls: I) -> Vec<<I::Item as IntoFuture>::Output>
where
    I: IntoIterator,
    I::IntoIter: Send,
    I::Item: IntoFuture<IntoFuture: Send>,
    <I::Item as IntoFuture>::Output: Send,
{
    let mut outcomes: Vec<_> = stream(concurrency, calls).collect().await;
    outcomes.sort_unstable_by_key(|(index, _)| *index);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

/// Runs calls, at most `concurrency` at a time (0 counts as 1), until one fails; then cancels those that are running and
/// starts no more. If all succeed, returns their outcomes in the order of the calls.
///
/// # Errors
///
/// The failure that happened first, with the position of its call.
pub async fn try_run<I, T, E>(concurrency: usize, calls: I) -> Result<Vec<T>, (usize, E)>
where
    I: IntoIterator,
    I::IntoIter: Send,
    I::Item: IntoFuture<Output = Result<T, E>, IntoFuture: Send>,
    T: Send,
    E: Send,
{
    let mut outcomes = Vec::new();
    let mut calls = stream(concurrency, calls);
    while let Some((index, outcome)) = calls.next().await {
        outcomes.push((index, outcome.map_err(|error| (index, error))?));
    }
    outcomes.sort_unstable_by_key(|(index, _)| *index);
    Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
}

#[cfg(test)]
mod tests {
    use std::{
        future::{Ready, pending, ready},
        sync::atomic::{AtomicUsize, Ordering::SeqCst},
    };

    use super::*;

    #[tokio::test]
    async fn outcomes_are_in_the_order_of_the_calls() {
        // The later the call, the sooner it ends.
        let calls = (0..20_u64).map(|n| async move {
            for _ in n..20 {
                tokio::task::yield_now().await;
            }
            if n == 7 { Err(n) } else { Ok(n) }
        });
        let outcomes = run(8, calls).await;
        let expected: Vec<_> = (0..20)
            .map(|n| if n == 7 { Err(n) } else { Ok(n) })
            .collect();
        assert_eq!(outcomes, expected);
    }

    #[tokio::test]
    async fn no_more_than_the_limit_run_at_a_time() {
        static RUNNING: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        let calls = (0..50).map(|_| async {
            MOST.fetch_max(RUNNING.fetch_add(1, SeqCst) + 1, SeqCst);
            tokio::task::yield_now().await;
            RUNNING.fetch_sub(1, SeqCst);
        });
        assert_eq!(run(5, calls).await.len(), 50);
        assert_eq!(MOST.load(SeqCst), 5);
    }

    #[tokio::test]
    async fn zero_counts_as_one() {
        assert_eq!(run(0, [ready(1), ready(2)]).await, [1, 2]);
        assert_eq!(run(3, Vec::<Ready<()>>::new()).await, []);
    }

    #[tokio::test]
    async fn calls_are_taken_only_in_their_turn() {
        let taken = AtomicUsize::new(0);
        let calls = (0..100).map(|_| {
            taken.fetch_add(1, SeqCst);
            pending::<()>()
        });
        let mut stream = stream(4, calls);
        assert!(stream.next().now_or_never().is_none());
        drop(stream);
        assert_eq!(taken.load(SeqCst), 4);
    }

    #[tokio::test]
    async fn the_first_failure_stops_the_rest() {
        let taken = AtomicUsize::new(0);
        let calls = (0..100).map(|n| {
            taken.fetch_add(1, SeqCst);
            ready(if n == 3 { Err("no") } else { Ok(n) })
        });
        assert_eq!(try_run(2, calls).await, Err((3, "no")));
        assert!(taken.load(SeqCst) < 10);
        let fine: [Ready<Result<i32, ()>>; 2] = [ready(Ok(1)), ready(Ok(2))];
        assert_eq!(try_run(2, fine).await, Ok(vec![1, 2]));
    }
}
