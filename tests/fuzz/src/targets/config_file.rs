//! The emulator's configuration file, read as a running emulator reads one that has changed.

use std::fs;
use std::sync::LazyLock;

use config::{Asked, Config};

use crate::check;

#[expect(
    dead_code,
    unused_imports,
    reason = "a part of the emulator's program, which offers it to nobody else; a file is all that is read here"
)]
#[path = "../../../../crates/webpubsub-emulator/src/config/mod.rs"]
mod config;

const NAMES: [&str; 3] = ["emulator.toml", "emulator.json", "appsettings.json"];

/// What an emulator knows that was started with an empty file of each name.
static STARTED: LazyLock<[Config; 3]> = LazyLock::new(|| NAMES.map(started));

/// The first line is the name of the file, the rest what is in it.
pub(super) fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let (name, content) = text.split_once('\n').unwrap_or((NAMES[0], text));
    let at = NAMES.iter().position(|known| *known == name);
    let config = &STARTED[at.unwrap_or(0)];
    let mut reload = config.reload().expect("there is a file");
    let change = check::frugal(content.len(), 2000, || {
        // A change counts when two looks see the same.
        let first = reload.take(Ok(content.to_owned()));
        assert!(first.is_none());
        reload.take(Ok(content.to_owned()))
    });
    match change {
        None => {}
        Some(Ok(change)) => {
            for warning in &change.warnings {
                assert!(!warning.is_empty());
            }
            let again = reload.take(Ok(content.to_owned()));
            assert!(again.is_none(), "what is known is no change");
        }
        Some(Err(error)) => {
            // It may name a value, and what it should have been.
            check::error(&error, 1024 + 2 * content.len());
            assert!(
                error
                    .to_string()
                    .starts_with(&*reload.path().to_string_lossy())
            );
            if let Some(key) = planted_key(content) {
                check::hides(&error.to_string(), key);
            }
        }
    }
}

/// The value of a line such as `access-key = 'secret'`.
fn planted_key(content: &str) -> Option<&str> {
    let (_, rest) = content.split_once("access-key = '")?;
    let (key, _) = rest.split_once('\'')?;
    let occurs_once = content.matches(key).count() == 1;
    occurs_once.then_some(key)
}

fn started(name: &str) -> Config {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join(name);
    let empty = if name.ends_with(".json") { "{}" } else { "" };
    fs::write(&path, empty).expect("a file can be written");
    let arguments = [
        "webpubsub-emulator".as_ref(),
        "--config".as_ref(),
        path.as_os_str(),
    ];
    let arguments = arguments.map(Into::into).into();
    match Config::read(config::command(), arguments, []) {
        Ok(Asked::Config(config)) => *config,
        _ => panic!("an empty file is a configuration"),
    }
}
