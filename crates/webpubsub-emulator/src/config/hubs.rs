//! The settings of hubs: who gets their events, and whether anonymous clients may connect.
//!
//! Sources give them piece by piece. A hub's handlers are one value, of the highest source that names one; only pieces
//! in Microsoft's form complete each other by their numbers, as in .NET's configuration.

use std::{collections::BTreeMap, fmt, time::Duration};

use webpubsub_emulator::{
    AnonymousConnectPolicy, EventHandler, EventPattern, HubOptions, InvalidTemplate, SystemEvent,
    UrlTemplate,
};
use webpubsub_protocol::name::HubName;

use super::{
    error::ConfigError,
    setting::{Origin, Setting, is_true},
};

/// The advice for handlers that need an Azure identity.
pub(super) const NO_AUTH: &str = "handlers are called without Microsoft Entra tokens: remove it, and let the handler \
                                  check the signature of requests (`ce-signature`) instead";

/// The advice for Event Hubs.
pub(super) const NO_LISTENERS: &str = "events are not sent to Azure Event Hubs: remove the listeners, and name an event \
                                       handler with a URL for these events instead";

/// Longest time limit of a handler, in seconds.
const MAX_TIMEOUT: u64 = 86_400;

/// The settings of all hubs that a source names.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Hubs(BTreeMap<HubName, Hub>);

#[derive(Clone, Debug, Default, PartialEq)]
struct Hub {
    anonymous_connect: Option<Setting<AnonymousConnectPolicy>>,
    form: Form,
    /// By their numbers in the source. A handler's origin is where it was first mentioned.
    handlers: BTreeMap<usize, Setting<Handler>>,
}

/// Whose names and defaults a handler is written with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Form {
    /// Without settings, a handler takes all user events and the documented system events.
    #[default]
    Ours,
    /// Without settings, a handler takes nothing.
    Microsofts,
}

/// What a source says about one handler.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Handler {
    url: Option<HandlerUrl>,
    user_events: Option<String>,
    /// By their numbers in the source.
    system_events: Option<BTreeMap<usize, SystemEvent>>,
    timeout: Option<Duration>,
    validate: Option<bool>,
}

/// Where a handler is.
#[derive(Clone, Debug, PartialEq)]
enum HandlerUrl {
    Direct(UrlTemplate),
    /// What follows `tunnel://`: a path on whatever server is at the other end.
    Tunnel(String),
}

/// A part of what is said about a handler. `Some` is the number of an item in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Url,
    UserEvents(Option<usize>),
    SystemEvents(Option<usize>),
    Timeout,
    Validate,
}

impl Hubs {
    /// Adds the handler of `hub=url`, after those that are there.
    pub(super) fn add_handler(&mut self, text: &str, origin: Origin) -> Result<(), ConfigError> {
        let example = "chat=http://127.0.0.1:3000/eventhandler/{event}";
        let (hub, url) = assignment(text, example, &origin)?;
        let last = self.hub(hub, &origin)?.handlers.keys().next_back();
        let number = last.map_or(0, |last| last + 1);
        self.handler(hub, Form::Ours, number, &origin)?
            .set(Field::Url, url)
            .map_err(|problem| ConfigError::new(origin, format!("hub `{hub}`: {problem}")))
    }

    /// Takes the policy of `hub=allow`.
    pub(super) fn set_anonymous(&mut self, text: &str, origin: Origin) -> Result<(), ConfigError> {
        let (hub, policy) = assignment(text, "chat=allow", &origin)?;
        self.set_anonymous_of(hub, policy, origin)
    }

    /// Takes the policy of one hub.
    pub(super) fn set_anonymous_of(
        &mut self,
        hub: &str,
        policy: &str,
        origin: Origin,
    ) -> Result<(), ConfigError> {
        let slot = &mut self.hub(hub, &origin)?.anonymous_connect;
        let value = policy
            .trim()
            .parse()
            .map_err(|error| ConfigError::new(&origin, format!("hub `{hub}`: {error}")))?;
        if slot.is_some() {
            let problem = format!("hub `{hub}`: given more than once");
            return Err(ConfigError::new(origin, problem));
        }
        *slot = Some(Setting { value, origin });
        Ok(())
    }

    /// Refuses what cannot be the name of a hub.
    pub(super) fn check_name(&mut self, hub: &str, origin: &Origin) -> Result<(), ConfigError> {
        self.hub(hub, origin).map(|_| ())
    }

    /// The handler with this number, to set its fields. It exists from then on.
    pub(super) fn handler(
        &mut self,
        hub: &str,
        form: Form,
        number: usize,
        origin: &Origin,
    ) -> Result<&mut Handler, ConfigError> {
        let hub = self.hub(hub, origin)?;
        hub.form = form;
        let handler = hub.handlers.entry(number).or_insert_with(|| Setting {
            value: Handler::default(),
            origin: origin.clone(),
        });
        Ok(&mut handler.value)
    }

    fn hub(&mut self, name: &str, origin: &Origin) -> Result<&mut Hub, ConfigError> {
        let name = HubName::new(name).map_err(|_| {
            let rule = "a letter, then up to 127 of `A-Z a-z 0-9 _ ` , . [ ]`";
            ConfigError::new(
                origin,
                format!("this cannot be the name of a hub; expected {rule}"),
            )
        })?;
        Ok(self.0.entry(name).or_default())
    }

    /// Takes from `lower` what is not set here.
    pub(super) fn or(mut self, lower: Self) -> Self {
        for (name, lower) in lower.0 {
            let hub = self.0.entry(name).or_default();
            hub.anonymous_connect = hub.anonymous_connect.take().or(lower.anonymous_connect);
            let complete = hub.form == Form::Microsofts && lower.form == Form::Microsofts;
            if hub.handlers.is_empty() {
                hub.form = lower.form;
                hub.handlers = lower.handlers;
            } else if complete {
                for (number, lower) in lower.handlers {
                    match hub.handlers.get_mut(&number) {
                        Some(upper) => upper.value.complete(lower.value),
                        None => {
                            hub.handlers.insert(number, lower);
                        }
                    }
                }
            }
        }
        self
    }

    /// The options for the emulator. `tunnel` is the server at the other end of `tunnel:` URLs.
    pub(super) fn options(
        &self,
        tunnel: Option<&str>,
    ) -> Result<BTreeMap<HubName, HubOptions>, ConfigError> {
        let options = self.0.iter().map(|(name, hub)| {
            let mut options = HubOptions::new();
            if let Some(policy) = &hub.anonymous_connect {
                options = options.anonymous_connect(policy.value);
            }
            for handler in hub.handlers.values() {
                let built = handler
                    .value
                    .build(name, hub.form, tunnel)
                    .map_err(|problem| ConfigError::new(&handler.origin, problem))?;
                options = options.event_handler(built);
            }
            Ok((name.clone(), options))
        });
        options.collect()
    }

    /// What people and programs are shown, without hubs that nothing was said about.
    pub(super) fn summary(&self, tunnel: Option<&str>) -> Vec<HubSummary> {
        let hubs = self.0.iter().map(|(name, hub)| HubSummary {
            hub: name.to_string(),
            anonymous_connect: hub
                .anonymous_connect
                .as_ref()
                .is_some_and(|policy| policy.value == AnonymousConnectPolicy::Allow),
            event_handlers: hub
                .handlers
                .values()
                .map(|handler| handler.value.summary(hub.form, tunnel))
                .collect(),
        });
        hubs.filter(|hub| hub.anonymous_connect || !hub.event_handlers.is_empty())
            .collect()
    }
}

/// One hub for people and programs. No query of a URL is in it.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HubSummary {
    pub(crate) hub: String,
    /// Whether clients without a token may connect.
    pub(crate) anonymous_connect: bool,
    pub(crate) event_handlers: Vec<HandlerSummary>,
}

/// One handler for people and programs.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HandlerSummary {
    pub(crate) url: String,
    pub(crate) user_events: String,
    pub(crate) system_events: Vec<String>,
}

impl fmt::Display for HandlerSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_none = |text: &str| match text {
            "" => "none".to_owned(),
            text => text.to_owned(),
        };
        write!(
            f,
            "{} (user events: {}; system events: {})",
            self.url,
            or_none(&self.user_events),
            or_none(&self.system_events.join(", "))
        )
    }
}

impl Handler {
    /// Takes one part, or says what is wrong with it.
    pub(super) fn set(&mut self, field: Field, text: &str) -> Result<(), String> {
        match field {
            Field::Url => once(&mut self.url, url(text)?),
            Field::UserEvents(item) => {
                text.parse::<EventPattern>()
                    .map_err(|error| error.to_string())?;
                match (&mut self.user_events, item) {
                    (Some(list), Some(1..)) => {
                        *list = format!("{list}, {}", text.trim());
                        Ok(())
                    }
                    (slot, _) => once(slot, text.trim().to_owned()),
                }
            }
            Field::SystemEvents(Some(item)) => {
                let event = system_event(text)?;
                let events = self.system_events.get_or_insert_default();
                match events.insert(item, event) {
                    None => Ok(()),
                    Some(_) => Err("given more than once".to_owned()),
                }
            }
            Field::SystemEvents(None) => {
                let names = text.split(',').filter(|name| !name.trim().is_empty());
                let events: Result<Vec<SystemEvent>, String> = names.map(system_event).collect();
                once(
                    &mut self.system_events,
                    events?.into_iter().enumerate().collect(),
                )
            }
            Field::Timeout => once(&mut self.timeout, timeout(text)?),
            Field::Validate => once(&mut self.validate, is_true(text)?),
        }
    }

    /// Takes from `lower` what is not set here.
    fn complete(&mut self, lower: Self) {
        self.url = self.url.take().or(lower.url);
        self.user_events = self.user_events.take().or(lower.user_events);
        self.timeout = self.timeout.or(lower.timeout);
        self.validate = self.validate.or(lower.validate);
        self.system_events = match (self.system_events.take(), lower.system_events) {
            (Some(upper), Some(lower)) => Some(lower.into_iter().chain(upper).collect()),
            (upper, lower) => upper.or(lower),
        };
    }

    fn build(
        &self,
        hub: &HubName,
        form: Form,
        tunnel: Option<&str>,
    ) -> Result<EventHandler, String> {
        let Some(url) = &self.url else {
            let name = match form {
                Form::Ours => "url",
                Form::Microsofts => "UrlTemplate",
            };
            return Err(format!("this event handler has no URL: add `{name}`"));
        };
        let url = url
            .at(tunnel)
            .map_err(|problem| format!("hub `{hub}`: {problem}"))?;
        let mut handler = EventHandler::from(url)
            .user_events(&self.user_events(form))
            .map_err(|error| error.to_string())?
            .system_events(self.system_events(form));
        if let Some(timeout) = self.timeout {
            handler = handler.timeout(timeout);
        }
        if self.validate == Some(false) {
            handler = handler.skip_validation();
        }
        Ok(handler)
    }

    fn user_events(&self, form: Form) -> String {
        let unsaid = match form {
            Form::Ours => "*",
            Form::Microsofts => "",
        };
        self.user_events
            .clone()
            .unwrap_or_else(|| unsaid.to_owned())
    }

    fn system_events(&self, form: Form) -> Vec<SystemEvent> {
        match (&self.system_events, form) {
            (Some(events), _) => events.values().copied().collect(),
            (None, Form::Ours) => SystemEvent::DOCUMENTED.into(),
            (None, Form::Microsofts) => Vec::new(),
        }
    }

    fn summary(&self, form: Form, tunnel: Option<&str>) -> HandlerSummary {
        let system_events = self.system_events(form);
        let url = self.url.as_ref().and_then(|url| url.at(tunnel).ok());
        HandlerSummary {
            url: url
                .as_ref()
                .map_or_else(String::new, UrlTemplate::to_string),
            user_events: self.user_events(form),
            system_events: system_events.iter().map(SystemEvent::to_string).collect(),
        }
    }
}

fn assignment<'a>(
    text: &'a str,
    example: &str,
    origin: &Origin,
) -> Result<(&'a str, &'a str), ConfigError> {
    // The text is not quoted: a URL may hold a key.
    text.split_once('=')
        .map(|(hub, value)| (hub.trim(), value))
        .filter(|(hub, _)| !hub.contains(':'))
        .ok_or_else(|| {
            ConfigError::new(origin, format!("expected a hub and `=`, as in `{example}`"))
        })
}

impl HandlerUrl {
    /// The URL to call, with the server at the other end of the tunnel.
    fn at(&self, tunnel: Option<&str>) -> Result<UrlTemplate, String> {
        match (self, tunnel) {
            (Self::Direct(url), _) => Ok(url.clone()),
            (Self::Tunnel(path), Some(server)) => format!("{server}{path}")
                .parse()
                .map_err(|error: InvalidTemplate| error.to_string()),
            (Self::Tunnel(_), None) => Err("`tunnel:` URLs need Azure's tunnel, which nothing goes through here: name the \
                 server at its other end, as in `--tunnel http://127.0.0.1:3000`, or write the URL at which the handler \
                 itself listens"
                .to_owned()),
        }
    }
}

fn url(text: &str) -> Result<HandlerUrl, String> {
    /// Any server will do to check the rest.
    const SOME_SERVER: &str = "http://localhost";

    let scheme = text.trim().split_at_checked("tunnel://".len());
    match scheme {
        Some((scheme, path)) if scheme.eq_ignore_ascii_case("tunnel://") => {
            if !path.starts_with('/') {
                return Err("a `tunnel:` URL names no host: expected `tunnel:///path`".to_owned());
            }
            let tunnel = HandlerUrl::Tunnel(path.to_owned());
            tunnel.at(Some(SOME_SERVER)).map(|_| tunnel)
        }
        _ => match text.parse() {
            Ok(url) => Ok(HandlerUrl::Direct(url)),
            Err(error) => Err(InvalidTemplate::to_string(&error)),
        },
    }
}

/// The server at the other end of `tunnel:` URLs, to which their paths are appended.
pub(super) fn tunnel_server(text: &str) -> Result<String, &'static str> {
    let url = url::Url::parse(text.trim()).ok().filter(|url| {
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        is_bare && matches!(url.scheme(), "http" | "https") && url.username().is_empty()
    });
    let url =
        url.ok_or("expected scheme, host and port of a server, as in `http://127.0.0.1:3000`")?;
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn system_event(name: &str) -> Result<SystemEvent, String> {
    name.parse()
        .map_err(|error| format!("there is no such system event: {error}"))
}

fn timeout(text: &str) -> Result<Duration, String> {
    let seconds = text.trim().parse().ok();
    seconds
        .filter(|seconds| (1..=MAX_TIMEOUT).contains(seconds))
        .map(Duration::from_secs)
        .ok_or_else(|| format!("expected a number of seconds from 1 to {MAX_TIMEOUT}"))
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), String> {
    match slot {
        Some(_) => Err("given more than once".to_owned()),
        None => {
            *slot = Some(value);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
