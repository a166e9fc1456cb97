//! Reads the arguments of a command. What is wrong with them is said without any value: one of them may be a key or a token.

use std::error::Error as _;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Parser};

use super::{PROGRAM, Stop};
use crate::config;

/// Reads the arguments of the command `name`; the first one is the program's name, that of the command is left out.
pub(super) fn parse<P: Parser>(name: &str, arguments: Vec<OsString>) -> Result<P, Stop> {
    let mut command = P::command().bin_name(format!("{PROGRAM} {name}"));
    let matches = command.try_get_matches_from_mut(arguments);
    matches
        .and_then(|matches| P::from_arg_matches(&matches))
        .map_err(|error| match error.use_stderr() {
            false => Stop::Show(error.render().to_string()),
            true => Stop::usage(describe(&error, &command)),
        })
}

/// Words for clap's errors.
fn describe(error: &clap::Error, command: &Command) -> String {
    let argument = names(error, ContextKind::InvalidArg).join(", ");
    match error.kind() {
        ErrorKind::InvalidSubcommand
        | ErrorKind::MissingSubcommand
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let verbs = command.get_subcommands().map(Command::get_name);
            // clap adds it.
            let verbs: Vec<&str> = verbs.filter(|verb| *verb != "help").collect();
            format!(
                "`{}`: say what to do: {}; `--help` explains them",
                command.get_name(),
                verbs.join(", ")
            )
        }
        ErrorKind::MissingRequiredArgument => {
            format!("`{argument}` is missing; `--help` shows examples")
        }
        // Our own parsers and those of numbers quote nothing.
        ErrorKind::ValueValidation => match error.source() {
            Some(source) => format!("`{}`: {source}", flag(&argument)),
            None => format!("`{}`: the value cannot be used", flag(&argument)),
        },
        ErrorKind::InvalidValue if !names(error, ContextKind::ValidValue).is_empty() => {
            let valid = names(error, ContextKind::ValidValue).join(", ");
            format!("`{}`: expected one of {valid}", flag(&argument))
        }
        ErrorKind::ArgumentConflict if !names(error, ContextKind::PriorArg).is_empty() => {
            let prior = names(error, ContextKind::PriorArg).join(", ");
            match prior == argument {
                true => format!("`{}`: given more than once", flag(&argument)),
                false => format!(
                    "`{}`: cannot be given together with `{}`",
                    flag(&argument),
                    flag(&prior)
                ),
            }
        }
        _ => config::describe(error, &flags(command)).to_string(),
    }
}

/// The flags of a command and of all below it.
fn flags(command: &Command) -> Vec<&str> {
    let own = command.get_arguments().filter_map(clap::Arg::get_long);
    own.chain(command.get_subcommands().flat_map(flags))
        .collect()
}

/// The names in clap's context; they come from our definitions.
fn names(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(one)) => vec![one.clone()],
        Some(ContextValue::Strings(many)) => many.clone(),
        _ => Vec::new(),
    }
}

/// `--flag` of clap's `--flag <VALUE>`.
fn flag(argument: &str) -> &str {
    let name = argument.split([' ', '=', '[']).next();
    name.filter(|name| !name.is_empty()).unwrap_or(argument)
}

#[cfg(test)]
mod tests {
    use clap::Subcommand;

    use super::*;

    #[derive(Debug, Parser)]
    #[command(name = "thing")]
    struct Thing {
        #[command(subcommand)]
        verb: Verb,
    }

    #[derive(Debug, Subcommand)]
    enum Verb {
        Make {
            name: String,
            #[arg(long, conflicts_with = "whole")]
            part: Option<u16>,
            #[arg(long)]
            whole: bool,
            #[arg(long, value_parser = ["red", "blue"])]
            colour: Option<String>,
        },
        Lose,
    }

    #[test]
    fn mistakes_are_named_without_their_values() {
        for (arguments, expected) in [
            (
                &[][..],
                "`thing`: say what to do: make, lose; `--help` explains them",
            ),
            (
                &["sEcReT"],
                "`thing`: say what to do: make, lose; `--help` explains them",
            ),
            (&["make"], "`<NAME>` is missing; `--help` shows examples"),
            (
                &["make", "a", "sEcReT"],
                "there is an argument that belongs to no flag; `--help` lists the flags",
            ),
            (
                &["make", "a", "--part", "sEcReT"],
                "`--part`: invalid digit found in string",
            ),
            (
                &["make", "a", "--part=1", "--whole"],
                "`--part`: cannot be given together with `--whole`",
            ),
            (
                &["make", "a", "--whole", "--whole"],
                "`--whole`: given more than once",
            ),
            (
                &["make", "a", "--colour", "sEcReT"],
                "`--colour`: expected one of red, blue",
            ),
            (&["make", "a", "--part"], "`--part`: a value is missing"),
            (
                &["make", "a", "--hole"],
                "`--hole`: there is no such flag; did you mean `--whole`?",
            ),
        ] {
            let arguments = ["program"].iter().chain(arguments);
            let parsed = parse::<Thing>("thing", arguments.map(OsString::from).collect());
            let Err(Stop::Failed { code: 2, problem }) = parsed else {
                panic!("{parsed:?}")
            };
            assert_eq!(problem, expected);
        }
    }

    #[test]
    fn help_is_no_mistake() {
        let arguments = ["program", "make", "--help"].map(OsString::from);
        let Err(Stop::Show(help)) = parse::<Thing>("thing", arguments.into()) else {
            panic!("no help")
        };
        assert!(
            help.contains("Usage: webpubsub-emulator thing make"),
            "{help}"
        );
    }
}
