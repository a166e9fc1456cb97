//! The command line. Values are taken as they are and checked later: clap would quote them in its errors, and one of
//! them may be a key.

use std::ffi::OsString;

use clap::{
    Arg, ArgAction, Command, ValueHint,
    error::{ContextKind, ContextValue, ErrorKind},
    value_parser,
};

use super::{
    error::{ConfigError, did_you_mean},
    setting::{Key, Kind, Layer, Origin},
    table,
};

/// The one flag that is no setting: where the file is.
const CONFIG: &str = "config";

const EXAMPLES: &str = "\
Examples:
  webpubsub-emulator                              127.0.0.1:8080 and the well-known development key
  webpubsub-emulator --port 0 --json              a free port, and one line of JSON that names it
  webpubsub-emulator --log debug                  a line for each request
  webpubsub-emulator --event-handler 'chat=http://127.0.0.1:3000/eventhandler/{event}'
                                                  the events of hub `chat` go to your server
  WEBPUBSUB_EMULATOR_ACCESS_KEY=... webpubsub-emulator --host 0.0.0.0
                                                  reachable from other machines, with a key of your own
  webpubsub-emulator exec -- npm test             a test suite beside an emulator of its own
  webpubsub-emulator connect --hub chat           be a client; `--help` of each command has more examples
  webpubsub-emulator doctor --url 'http://127.0.0.1:3000/eventhandler/{event}'
                                                  find out what is wrong with an event handler

Each flag can also be set by a variable (`--access-key` by WEBPUBSUB_EMULATOR_ACCESS_KEY, and so on) or in the file of
`--config`. Flags come before variables, variables before the file. Also read, after these variables: Urls,
WebPubSub__AccessKey and WebPubSub__AllowUnvalidatedEntraTokens of Microsoft's emulator, then host, port and key of
WebPubSubConnectionString when it names this machine, and RUST_LOG.
Prefer a variable or the file for keys: others on this machine can see the arguments of a program.";

/// The flags that run the emulator. The commands besides them are in `cli/`.
pub(crate) fn command() -> Command {
    Command::new("webpubsub-emulator")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Azure Web PubSub on your own machine: REST calls and WebSocket clients, for development and tests")
        .after_help(EXAMPLES)
        .max_term_width(120)
        .args(table::ALL.into_iter().map(flag).chain([config()]))
}

/// A command with the flags that say where the emulator listens.
pub(crate) fn address_command(name: &'static str) -> Command {
    Command::new(name)
        .max_term_width(120)
        .args([flag(&table::HOST), flag(&table::PORT), config()])
}

/// `--config`.
fn config() -> Arg {
    Arg::new(CONFIG)
        .long(CONFIG)
        .value_name("FILE")
        .value_parser(value_parser!(OsString))
        .value_hint(ValueHint::FilePath)
        .help(
            "File with settings: TOML or JSON with the names of these flags, or the appsettings.json of Microsoft's \
             emulator",
        )
}

/// The flag of a setting.
fn flag(key: Key) -> Arg {
    let arg = Arg::new(key.name)
        .long(key.name)
        .value_name(key.value)
        .value_parser(value_parser!(OsString))
        .help(key.help);
    match key.kind {
        Kind::Switch(_) => arg
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
        Kind::Secret(_) | Kind::Port | Kind::Number(_) => arg.allow_hyphen_values(true),
        Kind::Texts(_) | Kind::EventHandler | Kind::AnonymousConnect => {
            arg.action(ArgAction::Append)
        }
        Kind::Text(_) => arg,
    }
}

/// What the arguments ask for.
#[derive(Debug)]
pub(super) enum Arguments {
    Run {
        layer: Box<Layer>,
        config: Option<OsString>,
    },
    /// Holds the text of `--help`.
    Help(String),
    /// Holds the text of `--version`.
    Version(String),
}

/// Reads the arguments of a command whose flags are settings; the first one is the program's name.
pub(super) fn read(
    mut command: Command,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Arguments, ConfigError> {
    let mut matches = match command.try_get_matches_from_mut(arguments) {
        Ok(matches) => matches,
        Err(error) if error.kind() == ErrorKind::DisplayVersion => {
            return Ok(Arguments::Version(error.render().to_string()));
        }
        Err(error) if !error.use_stderr() => {
            return Ok(Arguments::Help(error.render().to_string()));
        }
        Err(error) => {
            let names: Vec<&str> = command.get_arguments().filter_map(Arg::get_long).collect();
            return Err(describe(&error, &names));
        }
    };
    let mut layer = Layer::default();
    for key in table::ALL {
        // A command need not have every flag.
        let values = matches.try_remove_many::<OsString>(key.name);
        for value in values.ok().flatten().into_iter().flatten() {
            let origin = Origin::Flag(key.name);
            let text = value
                .into_string()
                .map_err(|_| ConfigError::new(&origin, "the value is not valid UTF-8"))?;
            layer.set(key, text, origin)?;
        }
    }
    Ok(Arguments::Run {
        layer: Box::new(layer),
        config: matches.try_remove_one(CONFIG).ok().flatten(),
    })
}

/// Words for clap's errors without any value. `names` are the flags.
pub(crate) fn describe(error: &clap::Error, names: &[&str]) -> ConfigError {
    let flag = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => flag_of(argument),
        Some(ContextValue::Strings(arguments)) => {
            arguments.first().and_then(|argument| flag_of(argument))
        }
        _ => None,
    };
    let see_help = "`--help` lists the flags";
    ConfigError::text(match (error.kind(), flag) {
        (ErrorKind::UnknownArgument, Some(flag)) => unknown(flag, names),
        (ErrorKind::UnknownArgument, None) => {
            format!("there is an argument that belongs to no flag; {see_help}")
        }
        (ErrorKind::ArgumentConflict, Some(flag)) => format!("`{flag}`: given more than once"),
        (ErrorKind::InvalidValue | ErrorKind::WrongNumberOfValues, Some(flag)) => {
            format!("`{flag}`: a value is missing")
        }
        (ErrorKind::TooManyValues, Some(flag)) => format!("`{flag}`: there are too many values"),
        (ErrorKind::NoEquals, Some(flag)) => {
            format!("`{flag}`: a value has to follow after `=`")
        }
        (_, Some(flag)) => format!("`{flag}`: cannot be understood; {see_help}"),
        (_, None) => format!("the arguments cannot be understood; {see_help}"),
    })
}

/// The flag in clap's `--flag <VALUE>`, if it is one.
fn flag_of(argument: &str) -> Option<&str> {
    let flag = argument.split(['=', ' ', '[']).next()?;
    flag.starts_with('-').then_some(flag)
}

fn unknown(flag: &str, names: &[&str]) -> String {
    let name = flag.trim_start_matches('-');
    let names = names.iter().copied();
    let glued = names
        .clone()
        .filter(|known| name.len() > known.len() && name.starts_with(known))
        .max_by_key(|known| known.len());
    // Without this, a key that was written right after its flag would be shown as a part of the flag's name.
    if let Some(known) = glued
        && name.len() > known.len() + 2
    {
        return format!(
            "there is no flag like this one that starts with `--{known}`; put a blank or `=` before the value"
        );
    }
    let names = names.chain(["help", "version"]);
    let suggestion = did_you_mean(name, names, |name| format!("--{name}"));
    format!("`{flag}`: there is no such flag{suggestion}")
}

#[cfg(test)]
mod tests {
    use super::super::setting::Spec;
    use super::*;

    fn read_all(arguments: &[&str]) -> Result<Arguments, ConfigError> {
        let arguments = ["webpubsub-emulator"].iter().chain(arguments);
        read(command(), arguments.map(OsString::from))
    }

    #[test]
    fn mistakes_are_named_without_their_values() {
        const KEY: &str = "sEcReT0123456789sEcReT0123456789";
        for (arguments, expected) in [
            (
                vec!["--prot", "1"],
                "`--prot`: there is no such flag; did you mean `--port`?",
            ),
            (
                vec!["--nothing-near"],
                "`--nothing-near`: there is no such flag",
            ),
            (vec!["-p", "1"], "`-p`: there is no such flag"),
            (
                vec![KEY],
                "there is an argument that belongs to no flag; `--help` lists the flags",
            ),
            (
                vec!["--access-key=", KEY],
                "there is an argument that belongs to no flag; `--help` lists the flags",
            ),
            (vec!["--access-key"], "`--access-key`: a value is missing"),
            (
                vec!["--access-key", KEY, "--access-key", KEY],
                "`--access-key`: given more than once",
            ),
            (
                vec!["--acces-key", KEY],
                "`--acces-key`: there is no such flag; did you mean `--access-key`?",
            ),
            (
                vec!["--acces-key=sEcReT0123456789sEcReT0123456789"],
                "`--acces-key`: there is no such flag; did you mean `--access-key`?",
            ),
            (
                vec!["--access-keysEcReT0123456789sEcReT0123456789"],
                "there is no flag like this one that starts with `--access-key`; put a blank or `=` before the value",
            ),
            (
                vec!["--port", "http"],
                "`--port`: the port must be a number from 0 to 65535; 0 takes a free one",
            ),
            (
                vec!["--port", "65536"],
                "`--port`: the port must be a number from 0 to 65535; 0 takes a free one",
            ),
            (
                vec!["--port", "-1"],
                "`--port`: the port must be a number from 0 to 65535; 0 takes a free one",
            ),
            (
                vec!["--recovery-window", "-1"],
                "`--recovery-window`: expected a whole number",
            ),
            (
                vec!["--token-skew", "5m"],
                "`--token-skew`: expected a whole number",
            ),
            (
                vec!["--max-ack-ids", "1", "--max-ack-ids", "2"],
                "`--max-ack-ids`: given more than once",
            ),
            (
                vec!["--end-on-close-without-status=x"],
                "`--end-on-close-without-status`: expected `true` or `false`",
            ),
            (vec!["--json=maybe"], "`--json`: expected `true` or `false`"),
            (
                vec!["--json", KEY],
                "there is an argument that belongs to no flag; `--help` lists the flags",
            ),
        ] {
            let error = read_all(&arguments).unwrap_err().to_string();
            assert_eq!(error, expected, "{arguments:?}");
        }
    }

    #[test]
    fn the_readme_names_every_setting() {
        let readme = include_str!("../../README.md");
        for name in Spec::names() {
            assert!(readme.contains(&format!("| `--{name}")), "{name}");
        }
    }

    #[test]
    fn switches_need_no_value_but_take_one() {
        for (argument, expected) in [
            ("--json", true),
            ("--json=true", true),
            ("--json=false", false),
        ] {
            let Ok(Arguments::Run { layer, .. }) = read_all(&[argument]) else {
                panic!("{argument}")
            };
            assert_eq!(layer.is_on(&table::JSON), expected);
        }
    }

    #[test]
    fn help_and_version_are_told_apart() {
        assert!(matches!(read_all(&["--help"]), Ok(Arguments::Help(_))));
        let Ok(Arguments::Version(version)) = read_all(&["--version"]) else {
            panic!("no version")
        };
        assert!(version.contains(env!("CARGO_PKG_VERSION")));
    }
}
