//! What the program can do besides running the emulator, and the whole command line as the help, completions and
//! manual pages show it.

use std::ffi::{OsStr, OsString};

use clap::{
    Arg, Command, ValueEnum as _,
    builder::{PossibleValue, PossibleValuesParser},
};
use clap_complete::Shell;
use clap_mangen::Man;

use super::{ConfigError, cli, doctor, health};

const PROGRAM: &str = "webpubsub-emulator";

/// A command, given as the first argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Doctor,
    Health,
    Completions,
    Man,
}

impl Name {
    const ALL: [Self; 4] = [Self::Doctor, Self::Health, Self::Completions, Self::Man];

    const fn text(self) -> &'static str {
        match self {
            Self::Doctor => "doctor",
            Self::Health => "health",
            Self::Completions => "completions",
            Self::Man => "man",
        }
    }

    pub(super) fn find(word: &OsStr) -> Option<Self> {
        Self::ALL.into_iter().find(|name| word == name.text())
    }

    fn command(self) -> Command {
        match self {
            Self::Doctor => doctor::command(),
            Self::Health => health::command(),
            Self::Completions => Command::new(self.text())
                .about("Print a script for a shell that completes the commands and flags of this program")
                .after_help(COMPLETIONS)
                .arg(
                    Arg::new("shell")
                        .value_name("SHELL")
                        .required(true)
                        .value_parser(PossibleValuesParser::new(shells())),
                ),
            Self::Man => Command::new(self.text())
                .about("Print a manual page: `webpubsub-emulator man | man -l -`")
                .arg(
                    Arg::new("command")
                        .value_name("COMMAND")
                        .help("The command that it is about [default: the emulator]")
                        .value_parser(PossibleValuesParser::new(Self::ALL.map(Self::text))),
                ),
        }
    }

    /// Reads the arguments; the first one is the program's name, that of the command is left out.
    pub(super) fn read(
        self,
        arguments: Vec<OsString>,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<super::Command, ConfigError> {
        match self {
            Self::Doctor => Ok(match doctor::read(arguments, variables)? {
                doctor::Asked::Examination(it) => super::Command::Examine(it),
                doctor::Asked::Show(text) => super::Command::Show(text),
            }),
            Self::Health => health::read(arguments, variables),
            Self::Completions | Self::Man => self.print(arguments).map(super::Command::Show),
        }
    }

    /// The text of `completions` or `man`.
    fn print(self, arguments: Vec<OsString>) -> Result<String, ConfigError> {
        let command = self
            .command()
            .bin_name(format!("{PROGRAM} {}", self.text()));
        let mut matches = match command.try_get_matches_from(arguments) {
            Ok(matches) => matches,
            Err(error) if !error.use_stderr() => return Ok(error.render().to_string()),
            Err(_) => return Err(ConfigError::text(self.usage())),
        };
        let mut bytes = Vec::new();
        match self {
            Self::Man => {
                let name: Option<String> = matches.remove_one("command");
                page(name.as_deref())
                    .render(&mut bytes)
                    .map_err(|error| ConfigError::text(error.to_string()))?;
            }
            _ => {
                let name: Option<String> = matches.remove_one("shell");
                let shell = name.and_then(|name| Shell::from_str(&name, false).ok());
                let shell = shell.ok_or_else(|| ConfigError::text(self.usage()))?;
                clap_complete::generate(shell, &mut whole(), PROGRAM, &mut bytes);
            }
        }
        String::from_utf8(bytes).map_err(|error| ConfigError::text(error.to_string()))
    }

    /// What to write instead.
    fn usage(self) -> String {
        match self {
            Self::Man => {
                let names = Self::ALL.map(Self::text).join(", ");
                format!("`man`: name no command, or one of {names}")
            }
            _ => {
                let shells = shells();
                let names: Vec<&str> = shells.iter().map(PossibleValue::get_name).collect();
                format!("`{}`: name a shell: {}", self.text(), names.join(", "))
            }
        }
    }
}

const COMPLETIONS: &str = "\
Examples:
  webpubsub-emulator completions bash > ~/.local/share/bash-completion/completions/webpubsub-emulator
  webpubsub-emulator completions zsh > \"${fpath[1]}/_webpubsub-emulator\"
  webpubsub-emulator completions fish > ~/.config/fish/completions/webpubsub-emulator.fish
  webpubsub-emulator completions powershell >> $PROFILE";

/// The text of `webpubsub-emulator --help`.
pub(super) fn help() -> String {
    whole().render_help().to_string()
}

fn whole() -> Command {
    cli::command()
        .subcommands(Name::ALL.map(Name::command))
        .args_conflicts_with_subcommands(true)
        .disable_help_subcommand(true)
}

/// The page of a command, or of the program itself.
fn page(name: Option<&str>) -> Man {
    let mut whole = whole();
    // Gives commands the names that pages show: `webpubsub-emulator doctor`, in the page webpubsub-emulator-doctor(1).
    whole.build();
    match name.and_then(|name| whole.find_subcommand(name)) {
        Some(command) => Man::new(command.clone()),
        None => Man::new(whole),
    }
}

fn shells() -> Vec<PossibleValue> {
    let shells = Shell::value_variants().iter();
    shells.filter_map(Shell::to_possible_value).collect()
}

#[cfg(test)]
mod tests {
    use super::super::setting::Spec;
    use super::*;

    fn printed(arguments: &[&str]) -> Result<String, String> {
        let name = Name::find(OsStr::new(arguments[0])).unwrap();
        let arguments = [PROGRAM].iter().chain(&arguments[1..]);
        let printed = name.print(arguments.map(OsString::from).collect());
        printed.map_err(|error| error.to_string())
    }

    #[test]
    fn the_whole_command_line_is_consistent() {
        whole().debug_assert();
        assert_eq!(Name::find(OsStr::new("docter")), None);
    }

    #[test]
    fn help_names_every_command_and_flag() {
        let help = help();
        for name in Name::ALL {
            assert!(help.contains(&format!("\n  {} ", name.text())), "{help}");
        }
        for name in Spec::names() {
            assert!(help.contains(&format!("--{name}")), "{name}");
        }
        assert!(help.contains("[default: 8080]") && help.contains("Examples:"));
    }

    #[test]
    fn completions_know_every_command_and_flag() {
        for shell in shells() {
            let shell = shell.get_name();
            let script = printed(&["completions", shell]).unwrap();
            for name in Spec::names().chain(Name::ALL.map(Name::text)) {
                assert!(script.contains(name), "{shell}: {name}");
            }
        }
    }

    #[test]
    fn pages_are_about_what_was_named() {
        let page = printed(&["man"]).unwrap();
        assert!(page.contains(".TH webpubsub-emulator 1"), "{page}");
        assert!(page.contains("\\-\\-public\\-endpoint"));
        for name in Name::ALL {
            let page = printed(&["man", name.text()]).unwrap();
            let title = format!(".TH webpubsub-emulator-{} 1", name.text());
            assert!(page.contains(&title), "{page}");
        }
    }

    #[test]
    fn mistakes_say_what_to_write() {
        for (arguments, expected) in [
            (
                &["completions"][..],
                "`completions`: name a shell: bash, elvish, fish, powershell, zsh",
            ),
            (
                &["completions", "tcsh"],
                "`completions`: name a shell: bash, elvish, fish, powershell, zsh",
            ),
            (
                &["man", "sEcReT"],
                "`man`: name no command, or one of doctor, health, completions, man",
            ),
        ] {
            assert_eq!(printed(arguments).unwrap_err(), expected);
        }
        assert!(
            printed(&["completions", "--help"])
                .unwrap()
                .contains("Usage: webpubsub-emulator completions <SHELL>")
        );
    }
}
