//! Faults in files and in the admin API.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::fault::{Fault, InvalidFault, Kind, Refuse};
use super::scope::Scope;
use crate::hub::MessageKind;
use crate::traffic::Direction;

/// One object with the members of all kinds, so that one that a kind does not have is named. Times are in seconds.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Form {
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jitter_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_per_second: Option<u64>,

    #[serde(skip_serializing_if = "Option::is_none")]
    hub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    handler: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frame: Option<String>,

    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probability: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hit_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<i32>,
}

impl TryFrom<Form> for Fault {
    type Error = InvalidFault;

    fn try_from(mut form: Form) -> Result<Self, InvalidFault> {
        let kind = form.take_kind()?;
        let scope = Scope {
            direction: form.direction.as_deref().map(direction).transpose()?,
            frame: form.frame.as_deref().map(frame).transpose()?,
            hub: form.hub,
            user: form.user,
            connection: form.connection,
            group: form.group,
            operation: form.operation,
            handler: form.handler,
        };
        let after = form
            .after_seconds
            .map(|after| seconds("afterSeconds", after));
        let fault = Self {
            name: form.name,
            kind,
            scope,
            probability: form.probability.unwrap_or(1.0),
            seed: form.seed,
            hit_count: form.hit_count,
            after: after.transpose()?.unwrap_or_default(),
            order: form.order.unwrap_or_default(),
        };
        fault.place()?;
        Ok(fault)
    }
}

impl Form {
    /// The kind with its members, which it must have, and which others must not be.
    fn take_kind(&mut self) -> Result<Kind, InvalidFault> {
        let name = std::mem::take(&mut self.kind);
        let missing = |member: &str| InvalidFault::Form(format!("`{name}` needs `{member}`"));
        let kind = match name.as_str() {
            "refuse_upgrade" | "refuse_operation" => {
                let refuse = Refuse {
                    status: self.status.take().ok_or_else(|| missing("status"))?,
                    retry_after: self.retry_after_seconds.take(),
                };
                match name.as_str() {
                    "refuse_upgrade" => Kind::RefuseUpgrade(refuse),
                    _ => Kind::RefuseOperation(refuse),
                }
            }
            "lose_answer" => Kind::LoseAnswer,
            "drop_connection" => Kind::DropConnection,
            "reset_peer" => Kind::ResetPeer,
            "close" => Kind::Close {
                code: self.code.take().ok_or_else(|| missing("code"))?,
                reason: self.reason.take().unwrap_or_default(),
            },
            "half_open" => Kind::HalfOpen,
            "latency" => {
                let latency = self.latency_seconds.take();
                let latency = latency.ok_or_else(|| missing("latencySeconds"))?;
                let jitter = self.jitter_seconds.take().unwrap_or_default();
                Kind::Latency {
                    latency: seconds("latencySeconds", latency)?,
                    jitter: seconds("jitterSeconds", jitter)?,
                }
            }
            "bandwidth" => {
                let rate = self.bytes_per_second.take();
                let bytes_per_second = rate.ok_or_else(|| missing("bytesPerSecond"))?;
                Kind::Bandwidth { bytes_per_second }
            }
            "lose_frame" => Kind::LoseFrame,
            "duplicate_frame" => Kind::DuplicateFrame,
            "handler_timeout" => Kind::HandlerTimeout,
            "handler_error" => Kind::HandlerError {
                status: self.status.take().ok_or_else(|| missing("status"))?,
            },
            "" => return Err(InvalidFault::Form("a fault needs a `kind`".to_owned())),
            _ => return Err(InvalidFault::Form(format!("there is no kind `{name}`"))),
        };
        let left = [
            (self.status.is_some(), "status"),
            (self.retry_after_seconds.is_some(), "retryAfterSeconds"),
            (self.code.is_some(), "code"),
            (self.reason.is_some(), "reason"),
            (self.latency_seconds.is_some(), "latencySeconds"),
            (self.jitter_seconds.is_some(), "jitterSeconds"),
            (self.bytes_per_second.is_some(), "bytesPerSecond"),
        ];
        match left.into_iter().find(|(is_left, _)| *is_left) {
            Some((_, member)) => {
                let text = format!("`{}` has no `{member}`", kind.name());
                Err(InvalidFault::Form(text))
            }
            None => Ok(kind),
        }
    }
}

impl From<&Fault> for Form {
    fn from(fault: &Fault) -> Self {
        let Scope {
            hub,
            user,
            connection,
            group,
            operation,
            handler,
            direction,
            frame,
        } = fault.scope.clone();
        let mut form = Self {
            kind: fault.kind.name().to_owned(),
            hub,
            user,
            connection,
            group,
            operation,
            handler,
            direction: direction.map(|direction| direction_name(direction).to_owned()),
            frame: frame.map(|frame| frame.as_str().to_owned()),
            name: fault.name.clone(),
            probability: (fault.probability < 1.0).then_some(fault.probability),
            seed: fault.seed,
            hit_count: fault.hit_count,
            after_seconds: (!fault.after.is_zero()).then_some(fault.after.as_secs_f64()),
            order: (fault.order != 0).then_some(fault.order),
            ..Self::default()
        };
        match &fault.kind {
            Kind::RefuseUpgrade(refuse) | Kind::RefuseOperation(refuse) => {
                form.status = Some(refuse.status);
                form.retry_after_seconds = refuse.retry_after;
            }
            Kind::Close { code, reason } => {
                form.code = Some(*code);
                form.reason = (!reason.is_empty()).then(|| reason.clone());
            }
            Kind::Latency { latency, jitter } => {
                form.latency_seconds = Some(latency.as_secs_f64());
                form.jitter_seconds = (!jitter.is_zero()).then_some(jitter.as_secs_f64());
            }
            Kind::Bandwidth { bytes_per_second } => form.bytes_per_second = Some(*bytes_per_second),
            Kind::HandlerError { status } => form.status = Some(*status),
            _ => {}
        }
        form
    }
}

impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Form::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Fault {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Form::deserialize(deserializer)?
            .try_into()
            .map_err(de::Error::custom)
    }
}

fn seconds(member: &str, seconds: f64) -> Result<Duration, InvalidFault> {
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| *duration <= Fault::LONGEST)
        .ok_or_else(|| {
            InvalidFault::Form(format!(
                "`{member}` is a number from 0 to {}",
                Fault::LONGEST.as_secs()
            ))
        })
}

const fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::In => "in",
        Direction::Out => "out",
    }
}

fn direction(name: &str) -> Result<Direction, InvalidFault> {
    [Direction::In, Direction::Out]
        .into_iter()
        .find(|direction| direction_name(*direction) == name)
        .ok_or_else(|| InvalidFault::Form("`direction` is `in` or `out`".to_owned()))
}

fn frame(name: &str) -> Result<MessageKind, InvalidFault> {
    let kind = MessageKind::ALL.iter().find(|kind| kind.as_str() == name);
    kind.copied()
        .ok_or_else(|| InvalidFault::Form(format!("there is no kind of frame `{name}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_as_it_is_written() {
        let second = Duration::from_secs(1);
        for fault in [
            Fault::refuse_upgrade(503).retry_after(3).hub("chat"),
            Fault::refuse_operation(429)
                .operation("SendToAll")
                .user("ana"),
            Fault::lose_answer().group("room"),
            Fault::drop_connection().connection("c").after(second),
            Fault::reset_peer().order(-2),
            Fault::close(1011, "oops").name("a bad day"),
            Fault::half_open().direction(Direction::In).hit_count(1),
            Fault::latency(second)
                .jitter(second / 4)
                .probability(0.25)
                .seed(7),
            Fault::bandwidth(1000),
            Fault::lose_acks(),
            Fault::duplicate_acks(),
            Fault::handler_timeout().handler("connect"),
            Fault::handler_error(500),
        ] {
            let text = serde_json::to_string(&fault).expect("a form");
            let again: Fault = serde_json::from_str(&text).expect(&text);
            assert_eq!(again, fault, "{text}");
        }
        let text = serde_json::to_string(&Fault::lose_acks()).expect("a form");
        assert_eq!(
            text,
            r#"{"kind":"lose_frame","direction":"out","frame":"ack"}"#
        );
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("{}", "a fault needs a `kind`"),
            (r#"{"kind":"sing"}"#, "there is no kind `sing`"),
            (r#"{"kind":"latency"}"#, "`latency` needs `latencySeconds`"),
            (
                r#"{"kind":"latency","latencySeconds":-1}"#,
                "`latencySeconds` is a number from 0",
            ),
            (
                r#"{"kind":"half_open","status":500}"#,
                "`half_open` has no `status`",
            ),
            (
                r#"{"kind":"half_open","direction":"up"}"#,
                "`direction` is `in` or `out`",
            ),
            (
                r#"{"kind":"lose_frame","frame":"hello"}"#,
                "there is no kind of frame `hello`",
            ),
            (r#"{"kind":"half_open","hits":1}"#, "unknown field `hits`"),
            (
                r#"{"kind":"close","code":1005}"#,
                "1005 is not a close code",
            ),
        ] {
            let error = serde_json::from_str::<Fault>(text)
                .expect_err(text)
                .to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
