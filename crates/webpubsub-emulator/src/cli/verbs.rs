//! What the verbs of `group`, `user`, `connection` and `permission` have in common.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use webpubsub::action::{self, Excluding};
use webpubsub::azure_core;

use super::Stop;
use super::output::{self, line};
use super::service::refused;
use super::stop::NO;

/// What the help says about the exit status of commands that may ask something.
pub(super) const QUESTIONS: &str = "\
Exit status: 0 when it worked or the answer is yes, 1 when the service refused it or cannot be reached, 2 when the command
cannot be understood, 3 when the answer is no.";

#[derive(Args)]
pub(super) struct Question {
    /// Print one JSON object in place of `yes` or `no`
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Closing {
    /// What the clients are told
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Args)]
pub(super) struct Excluded {
    /// Connection that stays open. May be repeated
    #[arg(long, value_name = "CONNECTION")]
    exclude: Vec<String>,
}

impl Question {
    /// Prints the answer; the exit status says it, too.
    pub(super) async fn ask(
        self,
        call: impl IntoFuture<Output = azure_core::Result<bool>>,
    ) -> Result<ExitCode, Stop> {
        #[derive(Serialize)]
        struct Answer {
            answer: bool,
        }

        let answer = call.await.map_err(|error| refused(&error))?;
        match (self.json, answer) {
            (true, answer) => output::json(&Answer { answer })?,
            (false, true) => line("yes")?,
            (false, false) => line("no")?,
        }
        Ok(match answer {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(NO),
        })
    }
}

impl Closing {
    pub(super) fn of<A: action::Closing>(self, call: webpubsub::Call<A>) -> webpubsub::Call<A> {
        match self.reason {
            Some(reason) => call.reason(reason),
            None => call,
        }
    }
}

impl Excluded {
    pub(super) fn of<A: Excluding>(self, call: webpubsub::Call<A>) -> webpubsub::Call<A> {
        call.exclude_all(self.exclude)
    }
}

/// Does what answers nothing.
pub(super) async fn done(
    call: impl IntoFuture<Output = azure_core::Result<()>>,
) -> Result<(), Stop> {
    call.await.map_err(|error| refused(&error))
}
