//! How a command ends before it has done its work, and the exit statuses of all commands.

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::config::ConfigError;

/// The service refused, or the machine or its safety is against it.
pub(super) const FAILED: u8 = 1;

/// The command cannot be understood, or a value in it can never be right.
pub(super) const USAGE: u8 = 2;

/// The answer to a question is no.
pub(super) const NO: u8 = 3;

/// As shells report a program that was ended by Ctrl+C.
pub(super) const INTERRUPTED: u8 = 130;

/// What the help of commands that talk to a service says about their exit status.
pub(super) const STATUSES: &str = "\
Exit status: 0 when it worked, 1 when the service refused it or cannot be reached, 2 when the command cannot be
understood.";

/// The end of a command that does nothing more.
#[derive(Debug)]
pub(super) enum Stop {
    /// Only this text was asked for.
    Show(String),
    /// Something is wrong. The text never quotes a key or a token.
    Failed { code: u8, problem: String },
}

impl Stop {
    pub(super) fn failed(problem: impl Into<String>) -> Self {
        Self::Failed {
            code: FAILED,
            problem: problem.into(),
        }
    }

    pub(super) fn usage(problem: impl Into<String>) -> Self {
        Self::Failed {
            code: USAGE,
            problem: problem.into(),
        }
    }

    /// The same end with another exit status, if it is a failure.
    pub(super) fn with_code(self, code: u8) -> Self {
        match self {
            Self::Failed { problem, .. } => Self::Failed { code, problem },
            show => show,
        }
    }

    /// Prints what there is to say.
    pub(super) fn report(self) -> ExitCode {
        // Nobody is left to tell when an output is closed.
        match self {
            Self::Show(text) => {
                let _ = io::stdout().write_all(text.as_bytes());
                ExitCode::SUCCESS
            }
            Self::Failed { code, problem } => {
                let _ = writeln!(io::stderr(), "error: {problem}");
                ExitCode::from(code)
            }
        }
    }
}

/// A mistake in flags, variables or a file.
impl From<ConfigError> for Stop {
    fn from(error: ConfigError) -> Self {
        Self::usage(error.to_string())
    }
}

/// An error with all that caused it, each once: `Display` prints one level only.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let level = error.to_string();
        if !text.contains(&level) {
            text.push_str(": ");
            text.push_str(&level);
        }
        source = error.source();
    }
    text
}
