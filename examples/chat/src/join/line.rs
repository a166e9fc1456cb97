//! One line of output: for people, or as JSON for programs.

use std::fmt;
use std::io::{self, Write};

use rand::Rng;
use serde::{Deserialize, Serialize};
use webpubsub_client::{Closure, DialFailure, Loss, StopReason};

/// The content of a message, which is the same for the page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ChatMessage {
    /// Identifies the message, so that receivers can drop repetitions.
    pub(super) id: String,
    pub(super) text: String,
}

/// Ids for the messages of this process.
pub(super) struct MessageIds {
    prefix: u64,
    last: u64,
}

impl MessageIds {
    pub(super) fn new() -> Self {
        Self {
            prefix: rand::rng().random(),
            last: 0,
        }
    }

    pub(super) fn next(&mut self) -> String {
        self.last += 1;
        format!("{:016x}-{}", self.prefix, self.last)
    }
}

/// A line of output. `README.md` documents its JSON form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(
    tag = "event",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub(super) enum Line {
    Connecting {
        attempt: u32,
    },
    Connected {
        connection_id: String,
        user_id: Option<String>,
    },
    Recovering {
        connection_id: String,
        cause: Cause,
    },
    Recovered {
        connection_id: String,
        replayed: u64,
    },
    Disconnected {
        connection_id: String,
        cause: Cause,
        /// The reason that the service gave for ending the connection.
        message: Option<String>,
    },
    Stopped {
        reason: Cause,
    },
    RejoinFailed {
        reason: String,
    },
    Arrival {
        user: String,
    },
    /// Handler mode: who is in the room.
    Presence {
        users: Vec<String>,
    },
    Message {
        from: String,
        id: Option<String>,
        text: String,
    },
    Sent(ChatMessage),
    Unsent {
        reason: String,
        #[serde(flatten)]
        message: ChatMessage,
    },
}

/// Why the state of the connection changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Cause {
    kind: &'static str,
    /// The close code of the WebSocket.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
    pub(super) text: String,
}

impl From<&Loss> for Cause {
    fn from(loss: &Loss) -> Self {
        let (kind, code) = match loss {
            Loss::Closed(Closure { code, .. }) => ("closed", *code),
            Loss::Silent(_) => ("silent", None),
            Loss::RecoveryRefused(Closure { code, .. }) => ("recoveryRefused", *code),
            Loss::RecoveryExpired(_) => ("recoveryExpired", None),
            Loss::Replaced => ("replaced", None),
            Loss::Stopped => ("stopped", None),
            _ => ("other", None),
        };
        Self {
            kind,
            code,
            text: loss.to_string(),
        }
    }
}

impl From<&StopReason> for Cause {
    fn from(reason: &StopReason) -> Self {
        let kind = match reason {
            StopReason::Requested => "requested",
            StopReason::Lost(_) => "lost",
            StopReason::Refused(_) => "refused",
            StopReason::Exhausted { .. } => "exhausted",
            _ => "other",
        };
        Self {
            kind,
            code: None,
            text: match reason {
                // Our own words, from the negotiator.
                StopReason::Refused(DialFailure::Credential(text)) => text.clone(),
                reason => reason.to_string(),
            },
        }
    }
}

impl Line {
    /// Writes it at once. People see nothing of what they just typed, unless it failed.
    pub(super) fn print(&self, out: &mut impl Write, json: bool) -> io::Result<()> {
        if json {
            serde_json::to_writer(&mut *out, self)?;
            writeln!(out)?;
        } else if !matches!(self, Self::Sent(_)) {
            writeln!(out, "{self}")?;
        }
        out.flush()
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connecting { attempt: 1 } => f.write_str("* connecting"),
            Self::Connecting { attempt } => write!(f, "* connecting, attempt {attempt}"),
            Self::Connected {
                connection_id,
                user_id,
            } => {
                let user = Person(user_id.as_deref().unwrap_or("nobody"));
                write!(
                    f,
                    "* connected as {user} (connection {})",
                    Shown(connection_id)
                )
            }
            Self::Recovering { cause, .. } => {
                write!(f, "* recovering: {}", Shown(&cause.text))
            }
            Self::Recovered { replayed: 0, .. } => f.write_str("* recovered, nothing was missed"),
            Self::Recovered { replayed, .. } => {
                write!(f, "* recovered, with {replayed} from meanwhile")
            }
            Self::Disconnected { cause, message, .. } => {
                write!(f, "* disconnected: {}", Shown(&cause.text))?;
                match message {
                    Some(message) => write!(f, " ({})", Shown(message)),
                    None => Ok(()),
                }
            }
            Self::Stopped { reason } => write!(f, "* stopped: {}", Shown(&reason.text)),
            Self::RejoinFailed { reason } => {
                write!(f, "* the room is not joined again: {}", Shown(reason))
            }
            Self::Presence { users } => {
                f.write_str("* here:")?;
                for (index, user) in users.iter().enumerate() {
                    let separator = if index == 0 { " " } else { ", " };
                    write!(f, "{separator}{}", Person(user))?;
                }
                Ok(())
            }
            Self::Arrival { user } => write!(f, "* {} joined", Person(user)),
            Self::Message { from, text, .. } => write!(f, "{}: {}", Person(from), Shown(text)),
            Self::Sent(message) => write!(f, "* sent: {}", Shown(&message.text)),
            Self::Unsent { reason, message } => {
                write!(
                    f,
                    "* not sent ({}): {}",
                    Shown(reason),
                    Shown(&message.text)
                )
            }
        }
    }
}

/// Text of others on a terminal, which would obey their control characters.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                // Nobody can pass the next line off as another one's.
                '\n' => f.write_str("\n    ")?,
                c if c.is_control() => write!(f, "{}", c.escape_default())?,
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

/// A user id as the page shows it: the name, then its tag.
struct Person<'a>(&'a str);

impl fmt::Display for Person<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.rsplit_once('#') {
            Some((name, tag)) => write!(f, "{} #{}", Shown(name), Shown(tag)),
            None => Shown(self.0).fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;

    fn printed(line: &Line) -> (Value, String) {
        let (mut program, mut person) = (Vec::new(), Vec::new());
        line.print(&mut program, true).unwrap();
        line.print(&mut person, false).unwrap();
        (
            serde_json::from_slice(&program).unwrap(),
            String::from_utf8(person).unwrap(),
        )
    }

    #[test]
    fn states_are_told_with_their_cause() {
        let closed = Loss::RecoveryRefused(Closure {
            code: Some(1008),
            reason: "Unknown".to_owned(),
            ..Closure::default()
        });
        let (json, text) = printed(&Line::Disconnected {
            connection_id: "c".to_owned(),
            cause: (&closed).into(),
            message: None,
        });
        assert_eq!(
            json,
            json!({
                "event": "disconnected",
                "connectionId": "c",
                "cause": {
                    "kind": "recoveryRefused",
                    "code": 1008,
                    "text": closed.to_string(),
                },
                "message": null,
            })
        );
        assert_eq!(text, format!("* disconnected: {closed}\n"));

        let silent = Loss::Silent(Duration::from_secs(4));
        let (json, _) = printed(&Line::Recovering {
            connection_id: "c".to_owned(),
            cause: (&silent).into(),
        });
        assert_eq!(
            json["cause"],
            json!({ "kind": "silent", "text": silent.to_string() })
        );
    }

    #[test]
    fn what_was_typed_is_repeated_to_programs_only() {
        let message = ChatMessage {
            id: "1".to_owned(),
            text: "hello".to_owned(),
        };
        let (json, text) = printed(&Line::Sent(message.clone()));
        assert_eq!(json, json!({ "event": "sent", "id": "1", "text": "hello" }));
        assert_eq!(text, "");
        let reason = "no".to_owned();
        let (json, text) = printed(&Line::Unsent { reason, message });
        assert_eq!(
            json,
            json!({ "event": "unsent", "reason": "no", "id": "1", "text": "hello" })
        );
        assert_eq!(text, "* not sent (no): hello\n");
    }

    #[test]
    fn terminals_obey_nobody_else() {
        let (_, text) = printed(&Line::Message {
            from: "Eve\u{1b}[2J#abc".to_owned(),
            id: None,
            text: "\u{1b}]0;x\u{7}hi\r\nAna #xyz: yes".to_owned(),
        });
        assert_eq!(
            text,
            "Eve\\u{1b}[2J #abc: \\u{1b}]0;x\\u{7}hi\\r\n    Ana #xyz: yes\n"
        );
    }
}
