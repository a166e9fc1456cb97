//! `completions` and `man`: what packages install besides the program.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{
    Arg, ArgAction, Command, ValueEnum as _,
    builder::{PossibleValue, PossibleValuesParser},
};
use clap_complete::Shell;
use clap_mangen::Man;

use super::{Call, PROGRAM, Stop, whole};

const COMPLETIONS: &str = "\
Examples:
  webpubsub-emulator completions bash > ~/.local/share/bash-completion/completions/webpubsub-emulator
  webpubsub-emulator completions zsh > \"${fpath[1]}/_webpubsub-emulator\"
  webpubsub-emulator completions fish > ~/.config/fish/completions/webpubsub-emulator.fish
  webpubsub-emulator completions powershell >> $PROFILE";

pub(super) fn completions_command() -> Command {
    Command::new("completions")
        .about("Print a script for a shell that completes the commands and flags of this program")
        .after_help(COMPLETIONS)
        .arg(
            Arg::new("shell")
                .value_name("SHELL")
                .required(true)
                .value_parser(PossibleValuesParser::new(shells())),
        )
}

pub(super) fn man_command() -> Command {
    Command::new("man")
        .about("Print a manual page: `webpubsub-emulator man | man -l -`")
        .arg(
            Arg::new("page")
                .value_name("PAGE")
                .help("What it is about: a command, or a command and its verb as in `group-list` [default: the emulator]"),
        )
        .arg(
            Arg::new("list")
                .long("list")
                .action(ArgAction::SetTrue)
                .conflicts_with("page")
                .help("Print the names of all pages but the emulator's, each in a line"),
        )
}

pub(super) fn completions(call: Call) -> Result<ExitCode, Stop> {
    let shells = shells();
    let names: Vec<&str> = shells.iter().map(PossibleValue::get_name).collect();
    let usage = format!("`completions`: name a shell: {}", names.join(", "));
    let mut matches = matches(completions_command(), call.arguments, &usage)?;
    let name: Option<String> = matches.remove_one("shell");
    let shell = name.and_then(|name| Shell::from_str(&name, false).ok());
    let shell = shell.ok_or_else(|| Stop::usage(usage))?;
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut whole(), PROGRAM, &mut bytes);
    Err(shown(bytes))
}

pub(super) fn man(call: Call) -> Result<ExitCode, Stop> {
    let mut whole = whole();
    // Gives commands the names that pages show: `webpubsub-emulator doctor`, in the page webpubsub-emulator-doctor(1).
    whole.build();
    let pages = pages(&whole, "");
    let names = pages.iter().map(|(name, _)| name.as_str());
    let names: Vec<&str> = names.collect();
    let usage = format!("`man`: name no page, or one of {}", names.join(", "));
    let mut matches = matches(man_command(), call.arguments, &usage)?;
    if matches.get_flag("list") {
        return Err(Stop::Show(names.join("\n") + "\n"));
    }
    let page = match matches.remove_one::<String>("page") {
        None => &whole,
        Some(wanted) => {
            let found = pages.iter().find(|(name, _)| *name == wanted);
            found.ok_or_else(|| Stop::usage(usage))?.1
        }
    };
    let mut bytes = Vec::new();
    Man::new(page.clone())
        .render(&mut bytes)
        .map_err(|error| Stop::failed(error.to_string()))?;
    Err(shown(bytes))
}

/// All commands below `command` by the names of their pages: `group`, `group-list` and so on.
fn pages<'a>(command: &'a Command, prefix: &str) -> Vec<(String, &'a Command)> {
    let below = command.get_subcommands();
    // clap adds `help` to commands with verbs.
    let below = below.filter(|command| command.get_name() != "help");
    let pages = below.flat_map(|command| {
        let name = format!("{prefix}{}", command.get_name());
        let further = pages(command, &format!("{name}-"));
        [(name, command)].into_iter().chain(further)
    });
    pages.collect()
}

fn matches(
    command: Command,
    arguments: Vec<OsString>,
    usage: &str,
) -> Result<clap::ArgMatches, Stop> {
    let name = format!("{PROGRAM} {}", command.get_name());
    let matches = command.bin_name(name).try_get_matches_from(arguments);
    matches.map_err(|error| match error.use_stderr() {
        false => Stop::Show(error.render().to_string()),
        true => Stop::usage(usage),
    })
}

fn shown(bytes: Vec<u8>) -> Stop {
    match String::from_utf8(bytes) {
        Ok(text) => Stop::Show(text),
        Err(error) => Stop::failed(error.to_string()),
    }
}

fn shells() -> Vec<PossibleValue> {
    let shells = Shell::value_variants().iter();
    shells.filter_map(Shell::to_possible_value).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{COMMANDS, find};
    use super::*;
    use crate::config;

    fn printed(arguments: &[&str]) -> Result<String, String> {
        let entry = find(arguments[0].as_ref()).unwrap();
        let arguments = [PROGRAM].iter().chain(&arguments[1..]);
        let call = Call {
            arguments: arguments.map(OsString::from).collect(),
            variables: Vec::new(),
        };
        match (entry.run)(call) {
            Err(Stop::Show(text)) => Ok(text),
            Err(Stop::Failed { code: 2, problem }) => Err(problem),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn completions_know_every_command_and_flag() {
        let run = config::command();
        let flags = run.get_arguments().filter_map(Arg::get_long);
        let names: Vec<&str> = flags.chain(COMMANDS.iter().map(|c| c.name)).collect();
        for shell in shells() {
            let shell = shell.get_name();
            let script = printed(&["completions", shell]).unwrap();
            for name in &names {
                assert!(script.contains(name), "{shell}: {name}");
            }
        }
    }

    #[test]
    fn pages_are_about_what_was_named() {
        let page = printed(&["man"]).unwrap();
        assert!(page.contains(".TH webpubsub-emulator 1"), "{page}");
        assert!(page.contains("\\-\\-public\\-endpoint"));
        let list = printed(&["man", "--list"]).unwrap();
        for entry in COMMANDS {
            assert!(list.lines().any(|name| name == entry.name), "{list}");
        }
        for name in list.lines() {
            let page = printed(&["man", name]).unwrap();
            let title = format!(".TH webpubsub-emulator-{name} 1");
            assert!(page.contains(&title), "{page}");
        }
    }

    #[test]
    fn mistakes_say_what_to_write() {
        for arguments in [&["completions"][..], &["completions", "tcsh"]] {
            assert_eq!(
                printed(arguments).unwrap_err(),
                "`completions`: name a shell: bash, elvish, fish, powershell, zsh"
            );
        }
        let problem = printed(&["man", "sEcReT"]).unwrap_err();
        assert!(
            problem.starts_with("`man`: name no page, or one of run, exec, ")
                && !problem.contains("sEcReT"),
            "{problem}"
        );
        assert!(
            printed(&["completions", "--help"])
                .unwrap()
                .contains("Usage: webpubsub-emulator completions <SHELL>")
        );
    }
}
