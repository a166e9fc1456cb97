//! The result of an examination, for people and programs.

use std::fmt;

use serde::Serialize;

/// What an examination of an event handler found. `Display` is a checklist for people; serialised it is one stable
/// document. Neither shows a key, nor the query of a URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// The handler's URL template.
    pub url: String,
    /// The hub that was played.
    pub hub: String,
    /// Everything that was to be checked, in its order.
    pub checks: Vec<Check>,
}

impl Diagnosis {
    /// Whether nothing failed. Warnings are no failures.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        self.count(Status::Failed) == 0
    }

    /// The check that found this, if one did.
    #[must_use]
    pub fn find(&self, code: Code) -> Option<&Check> {
        self.checks.iter().find(|check| check.code == Some(code))
    }

    fn count(&self, status: Status) -> usize {
        let of_status = self.checks.iter().filter(|check| check.status == status);
        of_status.count()
    }
}

/// One line of the checklist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// How it went.
    pub status: Status,
    /// What is wrong, when it failed or gave a warning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// What was sent, in short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<String>,
    /// What came back, in short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received: Option<String>,
    /// Why it failed or was skipped, or what else is worth knowing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It works.
    Passed,
    /// It works, but should not stay so.
    Warning,
    /// It does not work.
    Failed,
    /// It would tell nothing, after what was found before.
    Skipped,
}

/// What can be wrong. The names are stable: programs may rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[non_exhaustive]
pub enum Code {
    /// The URL or the hub cannot be used.
    #[serde(rename = "E_URL")]
    Url,
    /// Nobody listens there, or the connection breaks.
    #[serde(rename = "E_UNREACHABLE")]
    Unreachable,
    /// No secure connection can be established.
    #[serde(rename = "E_TLS")]
    Tls,
    /// There is no handler at this path.
    #[serde(rename = "E_PATH")]
    Path,
    /// The request before the first event is not answered as it must be.
    #[serde(rename = "E_PREFLIGHT")]
    Preflight,
    /// The right signature is refused, or, when strict, a wrong one accepted.
    #[serde(rename = "E_SIGNATURE")]
    Signature,
    /// A wrong signature is accepted.
    #[serde(rename = "W_SIGNATURE")]
    SignatureUnchecked,
    /// The handler does not take events of this hub.
    #[serde(rename = "E_HUB")]
    Hub,
    /// No answer came in time.
    #[serde(rename = "E_TIMEOUT")]
    Timeout,
    /// The status says that the event failed.
    #[serde(rename = "E_STATUS")]
    Status,
    /// Type, body or headers of an answer cannot be used.
    #[serde(rename = "E_REPLY")]
    Reply,
    /// The handler answers with a redirect.
    #[serde(rename = "E_REDIRECT")]
    Redirect,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Event handler {}, hub `{}`", self.url, self.hub)?;
        writeln!(f)?;
        for check in &self.checks {
            check.fmt(f)?;
        }
        writeln!(f)?;
        match (self.count(Status::Failed), self.count(Status::Warning)) {
            (0, 0) => writeln!(f, "All is well."),
            (problems, warnings) => writeln!(
                f,
                "{}, {}.",
                plural(problems, "problem"),
                plural(warnings, "warning")
            ),
        }
    }
}

fn plural(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = match self.status {
            Status::Passed => "ok",
            Status::Warning => "WARNING",
            Status::Failed => "FAILED",
            Status::Skipped => "skipped",
        };
        write!(f, "  {status:<9}{}", self.name)?;
        if let Some(code) = self.code {
            write!(f, ": {code}")?;
        }
        if let (Status::Passed | Status::Skipped, Some(why)) = (self.status, &self.why) {
            return writeln!(f, " ({why})");
        }
        writeln!(f)?;
        if self.code.is_none() {
            return Ok(());
        }
        for (label, text) in [
            ("sent", &self.sent),
            ("received", &self.received),
            ("why", &self.why),
            ("fix", &self.fix),
        ] {
            if let Some(text) = text {
                writeln!(f, "           {label:<9} {text}")?;
            }
        }
        Ok(())
    }
}
