//! The commands of the program, and the whole command line as the help, completions and manual pages show it.
//!
//! A command is a file here and a row in [`COMMANDS`]. None of them is part of the library: what they need of the service
//! they get as any other program does, over its public interfaces.

mod admin;
mod bench;
mod clock;
mod connect;
mod connection;
mod context;
mod doctor;
mod exec;
mod explain;
mod fault;
mod group;
mod health;
mod inspect;
mod message;
mod output;
mod permission;
mod print;
mod resend;
mod run;
mod send;
mod service;
mod signals;
mod state;
mod stop;
mod token;
mod trigger;
mod usage;
mod user;
mod verbs;
mod watch;

use std::env;
use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use clap::Command;

use crate::config::{self, did_you_mean};
use stop::Stop;

const PROGRAM: &str = "webpubsub-emulator";

/// A command, given as the first argument.
struct Entry {
    name: &'static str,
    command: fn() -> Command,
    run: fn(Call) -> Result<ExitCode, Stop>,
}

/// In the order of `--help`.
const COMMANDS: &[Entry] = &[
    Entry {
        name: "run",
        command: run::command,
        run: run::run,
    },
    Entry {
        name: "exec",
        command: exec::command,
        run: exec::run,
    },
    Entry {
        name: "token",
        command: token::command,
        run: token::run,
    },
    Entry {
        name: "send",
        command: send::command,
        run: send::run,
    },
    Entry {
        name: "group",
        command: group::command,
        run: group::run,
    },
    Entry {
        name: "user",
        command: user::command,
        run: user::run,
    },
    Entry {
        name: "connection",
        command: connection::command,
        run: connection::run,
    },
    Entry {
        name: "permission",
        command: permission::command,
        run: permission::run,
    },
    Entry {
        name: "connect",
        command: connect::command,
        run: connect::run,
    },
    Entry {
        name: "trigger",
        command: trigger::command,
        run: trigger::run,
    },
    Entry {
        name: "bench",
        command: bench::command,
        run: bench::run,
    },
    Entry {
        name: "watch",
        command: watch::command,
        run: watch::run,
    },
    Entry {
        name: "resend",
        command: resend::command,
        run: resend::run,
    },
    Entry {
        name: "inspect",
        command: inspect::command,
        run: inspect::run,
    },
    Entry {
        name: "fault",
        command: fault::command,
        run: fault::run,
    },
    Entry {
        name: "clock",
        command: clock::command,
        run: clock::run,
    },
    Entry {
        name: "state",
        command: state::command,
        run: state::run,
    },
    Entry {
        name: "context",
        command: context::command,
        run: context::run,
    },
    Entry {
        name: "doctor",
        command: doctor::command,
        run: doctor::run,
    },
    Entry {
        name: "health",
        command: health::command,
        run: health::run,
    },
    Entry {
        name: "completions",
        command: print::completions_command,
        run: print::completions,
    },
    Entry {
        name: "man",
        command: print::man_command,
        run: print::man,
    },
];

/// What a command is given.
struct Call {
    /// The first one is the program's name; that of the command is left out.
    arguments: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
}

/// Runs what the command line asks for.
pub(crate) fn main() -> ExitCode {
    let call = Call {
        arguments: env::args_os().collect(),
        variables: env::vars_os().collect(),
    };
    dispatch(call).unwrap_or_else(Stop::report)
}

/// Without the name of a command the emulator runs.
fn dispatch(mut call: Call) -> Result<ExitCode, Stop> {
    let Some(word) = call.arguments.get(1) else {
        return run::by_default(call);
    };
    if let Some(entry) = find(word) {
        call.arguments.remove(1);
        return (entry.run)(call);
    }
    let asks_for_help = |word: &OsString| word == "--help" || word == "-h";
    if call.arguments.iter().skip(1).any(asks_for_help) {
        return Err(Stop::Show(whole().render_help().to_string()));
    }
    match word.to_str() {
        // The word itself is not shown: it may be a key whose flag was forgotten.
        Some(word) if !word.starts_with('-') => {
            let names = COMMANDS.iter().map(|entry| entry.name);
            let suggestion = did_you_mean(word, names, str::to_owned);
            Err(Stop::usage(format!(
                "there is no such command{suggestion}; `--help` lists the commands"
            )))
        }
        _ => run::by_default(call),
    }
}

fn find(word: &OsStr) -> Option<&'static Entry> {
    COMMANDS.iter().find(|entry| word == entry.name)
}

fn whole() -> Command {
    config::command()
        .subcommands(COMMANDS.iter().map(|entry| (entry.command)()))
        .args_conflicts_with_subcommands(true)
        .disable_help_subcommand(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(arguments: &[&str]) -> String {
        let arguments = [PROGRAM].iter().chain(arguments).map(OsString::from);
        let call = Call {
            arguments: arguments.collect(),
            variables: Vec::new(),
        };
        match dispatch(call) {
            Err(Stop::Failed { code: 2, problem }) => problem,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_whole_command_line_is_consistent() {
        whole().debug_assert();
        for entry in COMMANDS {
            assert_eq!((entry.command)().get_name(), entry.name);
        }
    }

    #[test]
    fn help_names_every_command_and_flag() {
        let help = whole().render_help().to_string();
        for entry in COMMANDS {
            assert!(help.contains(&format!("\n  {} ", entry.name)), "{help}");
        }
        for argument in config::command().get_arguments() {
            let name = argument.get_long().unwrap_or_default();
            assert!(help.contains(&format!("--{name}")), "{name}");
        }
        assert!(help.contains("[default: 8080]") && help.contains("Examples:"));
    }

    #[test]
    fn commands_explain_themselves() {
        for entry in COMMANDS {
            let command = (entry.command)();
            assert!(command.get_about().is_some(), "{}", entry.name);
            let help = command.clone().render_help().to_string();
            let is_plain = ["man"].contains(&entry.name);
            assert!(is_plain || help.contains("Example"), "{help}");
        }
    }

    #[test]
    fn a_command_that_does_not_exist_is_not_quoted() {
        for (word, expected) in [
            (
                "docter",
                "there is no such command; did you mean `doctor`?; `--help` lists the commands",
            ),
            (
                "sEcReT",
                "there is no such command; `--help` lists the commands",
            ),
        ] {
            assert_eq!(refused(&[word]), expected);
        }
    }
}
