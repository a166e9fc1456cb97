//! Turns the events of the client into lines of output.

use std::collections::{HashSet, VecDeque};

use serde::Deserialize;
use webpubsub_client::{DataType, Event, GroupMessage, StopReason};

use crate::negotiate::Announcement;

use super::line::{Cause, Line};

/// The number of message ids to remember, to drop repetitions; the same as in the page.
const SEEN: usize = 1_000;
/// The maximum length of a message id, in bytes. Other programs choose the ids, and they are stored here.
const LONGEST_ID: usize = 64;

/// Turns events into lines.
pub(super) struct Transcript {
    group: String,
    connection_id: String,
    failure: Option<String>,
    seen: Seen,
}

impl Transcript {
    pub(super) fn new(group: &str) -> Self {
        Self {
            group: group.to_owned(),
            connection_id: String::new(),
            failure: None,
            seen: Seen::default(),
        }
    }

    /// Why the client stopped, unless it was asked to.
    pub(super) fn failure(self) -> Option<String> {
        self.failure
    }

    /// The line for an event, if any.
    pub(super) fn read(&mut self, event: Event) -> Option<Line> {
        Some(match event {
            Event::Connecting { attempt } => Line::Connecting { attempt },
            Event::Connected {
                connection_id,
                user_id,
            } => {
                self.connection_id = connection_id.to_string();
                Line::Connected {
                    connection_id: connection_id.into(),
                    user_id: user_id.map(Into::into),
                }
            }
            Event::Recovering { cause } => Line::Recovering {
                connection_id: self.connection_id.clone(),
                cause: (&cause).into(),
            },
            Event::Recovered { replayed } => Line::Recovered {
                connection_id: self.connection_id.clone(),
                replayed,
            },
            Event::Disconnected {
                connection_id,
                cause,
                message,
            } => Line::Disconnected {
                connection_id: connection_id.into(),
                cause: (&cause).into(),
                message,
            },
            Event::Stopped { reason } => {
                let cause = Cause::from(&reason);
                if reason != StopReason::Requested {
                    self.failure = Some(cause.text.clone());
                }
                Line::Stopped { reason: cause }
            }
            Event::RejoinGroupFailed { error, .. } => Line::RejoinFailed {
                reason: error.name.into(),
            },
            Event::GroupMessage(message) if message.group.as_str() == self.group => {
                return self.hear(&message);
            }
            _ => return None,
        })
    }

    fn hear(&mut self, message: &GroupMessage) -> Option<Line> {
        if message.data_type() != DataType::Json {
            return None;
        }
        let Some(from) = &message.from_user_id else {
            // Only the chat's server sends without a user id: its REST calls, which take the key.
            return match message.json().ok()? {
                Announcement::Joined { user } => Some(Line::Arrival { user }),
                Announcement::Presence { users, .. } => Some(Line::Presence { users }),
                Announcement::Said { id, from, text, .. } => self.say(from, Some(id), text),
            };
        };
        #[derive(Deserialize)]
        struct Heard {
            id: Option<String>,
            text: String,
        }
        let Heard { id, text } = message.json().ok()?;
        self.say(from.to_string(), id, text)
    }

    fn say(&mut self, from: String, id: Option<String>, text: String) -> Option<Line> {
        if let Some(id) = &id {
            let is_legal = (1..=LONGEST_ID).contains(&id.len());
            if !is_legal || !self.seen.is_first(format!("{from}\n{id}")) {
                return None;
            }
        }
        Some(Line::Message { from, id, text })
    }
}

/// The latest ids.
#[derive(Default)]
struct Seen {
    known: HashSet<String>,
    ages: VecDeque<String>,
}

impl Seen {
    fn is_first(&mut self, key: String) -> bool {
        if !self.known.insert(key.clone()) {
            return false;
        }
        self.ages.push_back(key);
        if self.ages.len() > SEEN
            && let Some(oldest) = self.ages.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_known_as_long_as_they_are_remembered() {
        let mut seen = Seen::default();
        assert!(seen.is_first("first".to_owned()));
        assert!(!seen.is_first("first".to_owned()));
        for n in 0..SEEN {
            assert!(seen.is_first(n.to_string()));
        }
        assert!(seen.is_first("first".to_owned()));
        assert_eq!((seen.known.len(), seen.ages.len()), (SEEN, SEEN));
    }
}
