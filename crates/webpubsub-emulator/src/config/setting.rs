//! What a setting is, where its value came from, and the values of one source.

use std::collections::BTreeMap;
use std::fmt;

use webpubsub_emulator::{EmulatorBuilder, HubOptions, Limit};
use webpubsub_protocol::access::AccessKey;
use webpubsub_protocol::name::HubName;

use super::hubs::{HubSummary, Hubs, tunnel_server};
use super::{error::ConfigError, table};

/// A row of the [table](super::table).
pub(super) type Key = &'static Spec;

/// A setting.
#[derive(Debug)]
pub(super) struct Spec {
    /// As in a flag without its dashes, and in a file. Variables have it in capitals.
    pub name: &'static str,
    /// What the help shows in place of a value.
    pub value: &'static str,
    pub kind: Kind,
    pub help: &'static str,
}

/// What a setting takes, and what that does to the emulator.
#[derive(Debug)]
pub(super) enum Kind {
    Text(fn(EmulatorBuilder, String) -> EmulatorBuilder),
    /// Any number of texts.
    Texts(fn(EmulatorBuilder, String) -> EmulatorBuilder),
    Secret(fn(EmulatorBuilder, String) -> EmulatorBuilder),
    Port,
    Switch(fn(EmulatorBuilder, bool) -> EmulatorBuilder),
    Number(Limit),
    /// Any number of `hub=url`.
    EventHandler,
    /// Any number of `hub=policy`.
    AnonymousConnect,
}

impl Spec {
    /// Finds a name; `_` is as good as `-`.
    pub(super) fn find(name: &str) -> Option<Key> {
        let name = name.replace('_', "-");
        table::ALL.into_iter().find(|key| key.name == name)
    }

    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        table::ALL.into_iter().map(|key| key.name)
    }

    /// Whether it may be given more than once.
    pub(super) fn is_list(&self) -> bool {
        matches!(
            self.kind,
            Kind::Texts(_) | Kind::EventHandler | Kind::AnonymousConnect
        )
    }

    /// Understands a value. Those of hubs are not kept here, but among the hubs.
    fn parse(&self, text: String, origin: &Origin) -> Result<Value, ConfigError> {
        let wrong = |problem| ConfigError::new(origin, problem);
        Ok(match self.kind {
            Kind::Text(_) | Kind::Texts(_) | Kind::EventHandler | Kind::AnonymousConnect => {
                Value::Text(text)
            }
            Kind::Secret(_) => Value::Secret(AccessKey::new(text)),
            Kind::Port => Value::Port(text.trim().parse().map_err(|_| {
                wrong("the port must be a number from 0 to 65535; 0 takes a free one")
            })?),
            Kind::Switch(_) => Value::Switch(is_true(&text).map_err(wrong)?),
            Kind::Number(_) => {
                let number = text.trim().parse();
                Value::Number(number.map_err(|_| wrong("expected a whole number"))?)
            }
        })
    }

    fn apply(&self, builder: EmulatorBuilder, value: &Value) -> EmulatorBuilder {
        match (&self.kind, value) {
            (Kind::Text(set) | Kind::Texts(set), Value::Text(text)) => set(builder, text.clone()),
            (Kind::Secret(set), Value::Secret(key)) => set(builder, key.expose().to_owned()),
            (Kind::Port, Value::Port(port)) => builder.port(*port),
            (Kind::Switch(set), Value::Switch(on)) => set(builder, *on),
            (Kind::Number(limit), Value::Number(number)) => builder.limit(*limit, *number),
            // Other pairs do not come about: `parse` makes the value that belongs to the kind.
            _ => builder,
        }
    }
}

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Holds the name of the flag without its dashes.
    Flag(&'static str),
    Variable(String),
    File {
        file: String,
        line: usize,
        key: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "`--{name}`"),
            Self::Variable(name) => write!(f, "environment variable `{name}`"),
            Self::File { file, line, key } => write!(f, "{file}:{line}: `{key}`"),
        }
    }
}

/// A value and where it was given.
#[derive(Clone, Debug)]
pub(super) struct Setting<T = Value> {
    pub value: T,
    pub origin: Origin,
}

/// Values are equal wherever they were given: the lines of a file move.
impl<T: PartialEq> PartialEq for Setting<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// A value, understood but not yet checked by the emulator.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    Secret(AccessKey),
    Port(u16),
    Switch(bool),
    Number(u64),
}

/// The values of one source, or of several laid over each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Layer {
    /// By the name of the setting; more than one value only for lists.
    values: BTreeMap<&'static str, Vec<Setting>>,
    pub hubs: Hubs,
}

impl Layer {
    /// Sets a value that was given as text, or adds it to a list.
    pub(super) fn set(
        &mut self,
        key: Key,
        text: String,
        origin: Origin,
    ) -> Result<(), ConfigError> {
        match key.kind {
            Kind::EventHandler => return self.hubs.add_handler(&text, origin),
            Kind::AnonymousConnect => return self.hubs.set_anonymous(&text, origin),
            _ => {}
        }
        let value = key.parse(text, &origin)?;
        let values = self.values.entry(key.name).or_default();
        if !values.is_empty() && !key.is_list() {
            return Err(ConfigError::new(origin, "given more than once"));
        }
        values.push(Setting { value, origin });
        Ok(())
    }

    /// What was given for a setting.
    pub(super) fn all(&self, key: Key) -> &[Setting] {
        self.values.get(key.name).map_or(&[], Vec::as_slice)
    }

    /// What was given for a setting that takes one value.
    pub(super) fn one(&self, key: Key) -> Option<&Setting> {
        self.all(key).first()
    }

    pub(super) fn is_on(&self, key: Key) -> bool {
        self.one(key)
            .is_some_and(|setting| setting.value == Value::Switch(true))
    }

    /// Hands all settings to the builder, apart from the hubs.
    pub(super) fn apply(&self, builder: EmulatorBuilder) -> EmulatorBuilder {
        let settings = table::ALL
            .into_iter()
            .flat_map(|key| self.all(key).iter().map(move |setting| (key, setting)));
        settings.fold(builder, |builder, (key, setting)| {
            key.apply(builder, &setting.value)
        })
    }

    /// The hubs that were set up, for the emulator.
    pub(super) fn hub_options(&self) -> Result<BTreeMap<HubName, HubOptions>, ConfigError> {
        self.hubs.options(self.tunnel()?.as_deref())
    }

    /// The hubs that were set up, for people and programs.
    pub(super) fn hub_summary(&self) -> Vec<HubSummary> {
        let tunnel = self.tunnel().ok().flatten();
        self.hubs.summary(tunnel.as_deref())
    }

    fn tunnel(&self) -> Result<Option<String>, ConfigError> {
        let Some(Setting {
            value: Value::Text(text),
            origin,
        }) = self.one(&table::TUNNEL)
        else {
            return Ok(None);
        };
        let server = tunnel_server(text);
        server
            .map(Some)
            .map_err(|problem| ConfigError::new(origin, problem))
    }

    /// The settings other than those of hubs whose values differ.
    pub(super) fn differences(&self, other: &Self) -> Vec<&'static str> {
        let differs = |key: &Key| self.all(key) != other.all(key);
        let differing = table::ALL.into_iter().filter(differs);
        differing.map(|key| key.name).collect()
    }

    /// Takes from `lower` what is not set here. A list counts as one value.
    pub(super) fn or(self, lower: Self) -> Self {
        Self {
            values: lower.values.into_iter().chain(self.values).collect(),
            hubs: self.hubs.or(lower.hubs),
        }
    }
}

/// Reads `true` and `false` as people write them.
pub(crate) fn is_true(text: &str) -> Result<bool, &'static str> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("expected `true` or `false`"),
    }
}
