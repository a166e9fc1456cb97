//! Reading the log as it grows.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};

use super::event::{TrafficEntry, TrafficEvent};
use super::log::Log;

/// Entries that [`NotSeen`] shows.
const SHOWN: usize = 50;

/// Everything that happens in an emulator from the moment that [`Emulator::traffic`](crate::Emulator::traffic) was called,
/// as a [`Stream`] that never ends. Frames are logged as long as somebody has one of these.
///
/// A reader that is more than 5,000 entries behind misses the oldest, and reads how many in a
/// [`TrafficEvent::Missed`].
#[derive(Debug)]
#[must_use = "a stream shows what happens to whoever reads it"]
pub struct Traffic {
    log: Arc<Log>,
    /// The number of the entry to read next.
    next: u64,
}

impl Traffic {
    pub(super) fn new(log: Arc<Log>, next: u64) -> Self {
        log.add_follower();
        Self { log, next }
    }

    /// The next entry, if there is one already.
    pub fn try_next(&mut self) -> Option<Arc<TrafficEntry>> {
        match self.poll(None) {
            Poll::Ready(entry) => Some(entry),
            Poll::Pending => None,
        }
    }

    /// Reads on until an entry is as `wanted` says, and returns it. `within` is by the machine's time, wherever the
    /// emulator's clock stands.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use webpubsub_emulator::{Emulator, TrafficEvent};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let emulator = Emulator::start().await?;
    /// let mut traffic = emulator.traffic();
    /// let url = emulator.client_access_url("chat", "ana", &[]);
    /// let (_client, _) = tokio_tungstenite::connect_async(url).await?;
    /// let opened = traffic
    ///     .expect(Duration::from_secs(5), |entry| entry.event.kind() == "opened")
    ///     .await?;
    /// assert_eq!(opened.event.user_id().map(|user| user.as_str()), Some("ana"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// There was none in time. The error shows what was read instead, without payloads.
    pub async fn expect(
        &mut self,
        within: Duration,
        mut wanted: impl FnMut(&TrafficEntry) -> bool,
    ) -> Result<Arc<TrafficEntry>, NotSeen> {
        let mut seen = Vec::new();
        let search = async {
            // The stream never ends.
            while let Some(entry) = self.next().await {
                if wanted(&entry) {
                    return Some(entry);
                }
                seen.push(entry);
            }
            None
        };
        match tokio::time::timeout(within, search).await {
            Ok(Some(entry)) => Ok(entry),
            Ok(None) | Err(_) => Err(NotSeen { within, seen }),
        }
    }

    fn poll(&mut self, cx: Option<&Context<'_>>) -> Poll<Arc<TrafficEntry>> {
        let next = self.next;
        let read = self.log.with_ring(|ring| {
            let first = ring.first();
            if next < first {
                // What was dropped is told as one entry, with the number of the last of them.
                let entries = first - next;
                return Some((first, Err(entries)));
            }
            match (ring.entry(next), cx) {
                (Some(entry), _) => Some((next + 1, Ok(Arc::clone(entry)))),
                (None, Some(cx)) => {
                    if !ring.waiting.iter().any(|it| it.will_wake(cx.waker())) {
                        ring.waiting.push(cx.waker().clone());
                    }
                    None
                }
                (None, None) => None,
            }
        });
        let Some((next, read)) = read else {
            return Poll::Pending;
        };
        self.next = next;
        Poll::Ready(read.unwrap_or_else(|entries| {
            Arc::new(TrafficEntry {
                number: next - 1,
                at: self.log.now(),
                event: TrafficEvent::Missed { entries },
            })
        }))
    }
}

impl Stream for Traffic {
    type Item = Arc<TrafficEntry>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll(Some(cx)).map(Some)
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.log.remove_follower();
    }
}

/// What was expected did not happen in time. `Display` and `Debug` show what happened instead, without payloads.
#[derive(Clone)]
pub struct NotSeen {
    within: Duration,
    seen: Vec<Arc<TrafficEntry>>,
}

impl NotSeen {
    /// What was read instead, the oldest first.
    #[must_use]
    pub fn seen(&self) -> &[Arc<TrafficEntry>] {
        &self.seen
    }
}

impl fmt::Display for NotSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.within.as_secs_f64();
        write!(f, "what was expected did not happen within {seconds} s; ")?;
        let hidden = self.seen.len().saturating_sub(SHOWN);
        match (self.seen.len(), hidden) {
            (0, _) => f.write_str("nothing happened"),
            (_, 0) => f.write_str("what happened:"),
            (all, _) => write!(f, "the last {SHOWN} of the {all} entries that were read:"),
        }?;
        self.seen[hidden..]
            .iter()
            .try_for_each(|entry| write!(f, "\n{entry}"))
    }
}

impl fmt::Debug for NotSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What a test shows that unwraps it.
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for NotSeen {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wait_reads_up_to_what_it_wants_and_shows_the_rest_when_it_fails() {
        let log = Log::unread();
        let mut traffic = log.follow();
        let missed = |entries| TrafficEvent::Missed { entries };
        let later = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            (1..=60).for_each(|n| log.note(|| missed(n)));
        };
        let second = Duration::from_secs(2);
        let wanted = traffic.expect(second, |entry| entry.number == 3);
        let (found, ()) = tokio::join!(wanted, later);
        assert_eq!(found.expect("it happens").event, missed(3));
        let failed = traffic.expect(second, |_| false).await.expect_err("none");
        assert_eq!(failed.seen().len(), 57);
        let shown = failed.to_string();
        assert!(
            shown.starts_with("what was expected did not happen within 2 s; the last 50 of the 57"),
            "{shown}"
        );
        assert!(shown.ends_with("    60  60 entries were missed"), "{shown}");
        let nothing = traffic.expect(second, |_| true).await.expect_err("none");
        assert!(nothing.to_string().ends_with("nothing happened"));
    }
}
