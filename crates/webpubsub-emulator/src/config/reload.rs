//! Reading the configuration file again while the emulator runs.
//!
//! The file is read twice a second rather than watched. The system's notifications do not reach a container whose file is
//! mounted, or a network drive, and they differ with every way in which editors and orchestrators replace a file. The
//! content does not, and it is small.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use webpubsub_emulator::HubOptions;
use webpubsub_protocol::name::HubName;

use super::{
    error::ConfigError,
    file,
    hubs::{HubSummary, Hubs},
    setting::Layer,
};

/// How often the file is looked at. A change counts when two looks see the same, for a file may be half written.
pub(crate) const INTERVAL: Duration = Duration::from_millis(500);

/// What one look at the file sees: its text, or why it cannot be read.
pub(crate) type Look = Result<String, ConfigError>;

/// What is known about the file, and what the emulator runs with.
#[derive(Debug)]
pub(crate) struct Reload {
    path: PathBuf,
    /// Flags and variables, which come before the file.
    above: Layer,
    /// What the emulator was started with.
    started: Layer,
    /// The hubs that are in force.
    hubs: Hubs,
    /// The content that was last applied.
    known: Look,
    /// What the last look saw, when that is something else.
    fresh: Option<Look>,
}

/// What a change of the file means.
#[derive(Debug)]
pub(crate) struct Change {
    /// The hubs from now on, when something about them changed.
    pub(crate) hubs: Option<(BTreeMap<HubName, HubOptions>, Vec<HubSummary>)>,
    /// Names of settings that are not as the emulator was started.
    pub(crate) needs_restart: Vec<&'static str>,
    /// What is ignored in the file.
    pub(crate) warnings: Vec<String>,
}

impl Reload {
    pub(super) fn new(path: PathBuf, text: String, above: Layer, started: Layer) -> Self {
        Self {
            path,
            above,
            hubs: started.hubs.clone(),
            started,
            known: Ok(text),
            fresh: None,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Looks at the file. Blocks while it is read.
    pub(crate) fn look(path: &Path) -> Look {
        file::load(path)
    }

    /// Takes what a look saw. An answer means that the file changed: what to do, or what is wrong with it, when what was
    /// in force stays.
    pub(crate) fn take(&mut self, look: Look) -> Option<Result<Change, ConfigError>> {
        if look == self.known {
            self.fresh = None;
            return None;
        }
        if self.fresh.as_ref() != Some(&look) {
            self.fresh = Some(look);
            return None;
        }
        self.fresh = None;
        self.known = look;
        Some(self.change())
    }

    fn change(&mut self) -> Result<Change, ConfigError> {
        let text = self.known.as_ref().map_err(ConfigError::clone)?;
        let (layer, warnings) = file::parse(&self.path, text)?;
        let layer = self.above.clone().or(layer);
        let options = layer.hub_options()?;
        let needs_restart = layer.differences(&self.started);
        let hubs = (layer.hubs != self.hubs).then(|| (options, layer.hub_summary()));
        self.hubs = layer.hubs;
        Ok(Change {
            hubs,
            needs_restart,
            warnings,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::setting::Origin;
    use super::*;

    const ONE: &str = "port = 1\n[[hubs.chat.event_handlers]]\nurl = 'http://one/'\n";

    fn reload(above: Layer) -> Reload {
        let path = PathBuf::from("emulator.toml");
        let (file, _) = file::parse(&path, ONE).unwrap();
        let started = above.clone().or(file);
        Reload::new(path, ONE.to_owned(), above, started)
    }

    /// What a content comes to that two looks see.
    fn settle(reload: &mut Reload, look: Look) -> Option<Result<Change, ConfigError>> {
        assert!(
            reload.take(look.clone()).is_none(),
            "one look is not enough"
        );
        reload.take(look)
    }

    fn change(reload: &mut Reload, text: &str) -> Change {
        settle(reload, Ok(text.to_owned())).unwrap().unwrap()
    }

    fn urls(change: &Change) -> Vec<String> {
        let (_, hubs) = change.hubs.as_ref().expect("hubs changed");
        let handlers = hubs.iter().flat_map(|hub| &hub.event_handlers);
        handlers.map(|handler| handler.url.clone()).collect()
    }

    #[test]
    fn a_change_counts_when_two_looks_see_the_same() {
        let mut reload = reload(Layer::default());
        assert!(reload.take(Ok(ONE.to_owned())).is_none());
        // Truncated, half written, written.
        let two = ONE.replace("one", "two");
        assert!(reload.take(Ok(String::new())).is_none());
        assert!(reload.take(Ok(two[..20].to_owned())).is_none());
        assert!(reload.take(Ok(two.clone())).is_none());
        let change = reload.take(Ok(two.clone())).unwrap().unwrap();
        assert_eq!(urls(&change), ["http://two/"]);
        assert!(change.needs_restart.is_empty());
        assert!(reload.take(Ok(two)).is_none());
        // Gone for a moment, as while a file is replaced.
        assert!(reload.take(Err(ConfigError::text("gone"))).is_none());
        assert!(reload.take(Ok(ONE.replace("one", "two"))).is_none());
    }

    #[test]
    fn what_is_wrong_is_said_once_and_the_hubs_stay() {
        let mut reload = reload(Layer::default());
        let broken = || Ok(ONE.replace("http:", "ftp:"));
        let error = settle(&mut reload, broken()).unwrap().unwrap_err();
        assert_eq!(
            error.to_string(),
            "emulator.toml:3: `hubs.chat.event_handlers.0.url`: `ftp:` URLs are not called: use `http` or `https`"
        );
        assert!(reload.take(broken()).is_none());
        let gone = || Err(ConfigError::text("emulator.toml: cannot be read: gone"));
        let error = settle(&mut reload, gone()).unwrap().unwrap_err();
        assert_eq!(error, gone().unwrap_err());
        assert!(reload.take(gone()).is_none());
        // As it was: nothing to apply.
        let change = change(&mut reload, ONE);
        assert!(change.hubs.is_none() && change.needs_restart.is_empty());
    }

    #[test]
    fn other_settings_are_named_as_long_as_they_differ_from_the_start() {
        let mut reload = reload(Layer::default());
        let text = format!(
            "# a comment\nmax-ack-ids = 7\njson = true\n{}",
            ONE.replace("= 1", "= 2")
        );
        let first = change(&mut reload, &text);
        assert!(first.hubs.is_none(), "lines that move are no change");
        assert_eq!(first.needs_restart, ["port", "json", "max-ack-ids"]);
        let second = change(&mut reload, &text.replace("one", "two"));
        assert_eq!(urls(&second), ["http://two/"]);
        assert_eq!(second.needs_restart, ["port", "json", "max-ack-ids"]);
        let third = change(&mut reload, "port = 1");
        assert_eq!(urls(&third), [""; 0]);
        assert!(third.needs_restart.is_empty());
    }

    #[test]
    fn flags_and_variables_stay_above_the_file() {
        let mut above = Layer::default();
        let flag = Origin::Flag("event-handler");
        above.hubs.add_handler("chat=http://flag/", flag).unwrap();
        let mut reload = reload(above);
        assert!(
            change(&mut reload, &ONE.replace("one", "two"))
                .hubs
                .is_none()
        );
        let text = format!("{ONE}[[hubs.news.event_handlers]]\nurl = 'http://news/'");
        assert_eq!(
            urls(&change(&mut reload, &text)),
            ["http://flag/", "http://news/"]
        );
    }
}
