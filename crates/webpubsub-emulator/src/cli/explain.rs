//! What is in a token, and what becomes of it: each check that a service makes, on its own, so that all that is wrong shows
//! at once. Nothing here holds the token.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Map, Value};
use url::Url;
use webpubsub_protocol::access::{
    CheckedAt, ClientProtocol, ENTRA_AUDIENCE, SERVICE_ISSUER, TokenError, client_audience,
    verify_client_token,
};
use webpubsub_protocol::limits::TOKEN_SKEW;
use webpubsub_protocol::name::{GroupName, UserId};
use webpubsub_protocol::permission::{PermissionSet, Role, RoleAction, RoleScope};

use super::service::Service;

/// The end of the year 9999, the last that dates are written for.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// What a token is for, by its audience and issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Kind {
    /// Lets a client connect.
    Client,
    /// Allows REST calls.
    Rest,
    /// Lets a client recover its connection.
    Reconnection,
    /// Made by Microsoft Entra ID, for REST calls.
    Entra,
    Unknown,
}

/// A token that was looked at.
#[derive(Debug, Serialize)]
pub(super) struct Explanation {
    kind: Kind,
    /// Whether the service lets it pass.
    accepted: bool,
    /// Why not.
    problems: Vec<Finding>,
    /// What works differently from how it looks.
    warnings: Vec<Finding>,
    /// What its holder may do, in words.
    grants: Vec<String>,
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

/// Something that was found by a check.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Finding {
    /// The check: a claim, `signature`, `header` or `form`.
    check: &'static str,
    text: String,
}

impl Explanation {
    /// Looks at a token, or at a client access URL with one, as `service` would at `now`.
    pub(super) fn of(token: &str, service: &Service, now: SystemTime) -> Self {
        let in_url = Url::parse(token).ok().and_then(|url| {
            let mut pairs = url.query_pairs();
            let found = pairs.find(|(name, _)| name == "access_token");
            found.map(|(_, token)| token.into_owned())
        });
        let token = in_url.as_deref().unwrap_or(token);
        let mut it = Self {
            kind: Kind::Unknown,
            accepted: false,
            problems: Vec::new(),
            warnings: Vec::new(),
            grants: Vec::new(),
            header: Map::new(),
            claims: Map::new(),
        };
        let parts: Vec<&str> = token.split('.').collect();
        let [header, claims, _] = parts.as_slice() else {
            let dots = parts.len() - 1;
            it.problem("form", format!("a token has two dots, and this has {dots}"));
            return it;
        };
        match (object(header), object(claims)) {
            (Some(header), Some(claims)) => (it.header, it.claims) = (header, claims),
            _ => {
                it.problem("form", "its parts are not base64url of JSON objects");
                return it;
            }
        }
        it.kind = it.find_kind();
        it.check_signature(token, service, now);
        it.check_lifetime(now);
        it.check_audience(service);
        if it.kind == Kind::Client {
            it.look_at_user();
            it.look_at_groups();
            it.look_at_roles();
        }
        it.accepted = it.problems.is_empty();
        it
    }

    pub(super) fn is_accepted(&self) -> bool {
        self.accepted
    }

    fn problem(&mut self, check: &'static str, text: impl Into<String>) {
        let text = text.into();
        self.problems.push(Finding { check, text });
    }

    fn warn(&mut self, check: &'static str, text: impl Into<String>) {
        let text = text.into();
        self.warnings.push(Finding { check, text });
    }

    fn find_kind(&self) -> Kind {
        let audiences = self.strings("aud");
        let any = |is: &dyn Fn(&str) -> bool| audiences.iter().any(|audience| is(audience));
        if any(&|audience| audience == ENTRA_AUDIENCE) {
            Kind::Entra
        } else if any(&|audience| hub_of(audience).is_some()) {
            Kind::Client
        } else if any(&|audience| audience.contains("/api/")) {
            Kind::Rest
        } else if self.text("iss") == Some(SERVICE_ISSUER) && self.text("jti").is_some() {
            Kind::Reconnection
        } else {
            Kind::Unknown
        }
    }

    /// Header and signature. The service looks at nothing else where one of them is wrong.
    fn check_signature(&mut self, token: &str, service: &Service, now: SystemTime) {
        if self.kind == Kind::Entra {
            self.problem(
                "signature",
                "only Azure can check the signature of a Microsoft Entra ID token; the emulator lets it pass with \
                 `--accept-unvalidated-entra-tokens`",
            );
            return;
        }
        let keys = [service.connection.access_key().clone()];
        let checked = verify_client_token(token, &keys, &|_| true, CheckedAt::from(now));
        match checked {
            Err(TokenError::Algorithm) => {
                let found = self.header.get("alg").map_or("none".to_owned(), shown);
                self.problem(
                    "header",
                    format!("it must be signed with HS256, and its header says {found}"),
                );
            }
            Err(error @ TokenError::CriticalHeader) => self.problem("header", error.to_string()),
            Err(TokenError::Signature) => {
                let host = service.connection.endpoint().host_str().unwrap_or("?");
                self.problem(
                    "signature",
                    format!(
                        "another key made it than the one that this command has for {host}; if it was regenerated, tokens \
                         made with the old one are refused"
                    ),
                );
            }
            Err(TokenError::Malformed) => self.problem("form", TokenError::Malformed.to_string()),
            _ => {}
        }
    }

    fn check_lifetime(&mut self, now: SystemTime) {
        let skew = match self.kind {
            Kind::Reconnection => Duration::ZERO,
            _ => TOKEN_SKEW,
        };
        let tolerance = match skew.is_zero() {
            true => String::new(),
            false => format!(", more than the {} that are forgiven", age(skew)),
        };
        match self.time("exp") {
            Err(problem) => self.problem("exp", problem),
            Ok(None) => self.problem("exp", "the claim is missing: a token must expire"),
            Ok(Some(at)) if at + skew < now => {
                let ago = age(now.duration_since(at).unwrap_or_default());
                let date = humantime::format_rfc3339_seconds(at);
                self.problem("exp", format!("it expired at {date}, {ago} ago{tolerance}"));
            }
            Ok(Some(at)) if at < now => {
                let ago = age(now.duration_since(at).unwrap_or_default());
                self.warn(
                    "exp",
                    format!("it expired {ago} ago, and passes for the difference in clocks that is forgiven"),
                );
            }
            Ok(Some(_)) => {}
        }
        match self.time("nbf") {
            Err(problem) => self.problem("nbf", problem),
            Ok(Some(at)) if at > now + skew => {
                let left = age(at.duration_since(now).unwrap_or_default());
                let date = humantime::format_rfc3339_seconds(at);
                self.problem(
                    "nbf",
                    format!("it is valid from {date}, in {left}{tolerance}"),
                );
            }
            Ok(_) => {}
        }
    }

    fn check_audience(&mut self, service: &Service) {
        let audiences = self.strings("aud");
        if audiences.is_empty() {
            self.problem("aud", "the claim is missing: a token names what it is for");
            return;
        }
        let endpoint = service.connection.endpoint();
        match self.kind {
            Kind::Client => {
                let fits = |audience: &String| {
                    hub_of(audience).is_some_and(|(protocol, hub)| {
                        let hub = service.named_hub().unwrap_or(&hub);
                        same_but_scheme(audience, &client_audience(endpoint, hub, protocol))
                    })
                };
                if !audiences.iter().any(fits) {
                    let protocol = audiences.iter().find_map(|audience| hub_of(audience));
                    let (protocol, hub) = protocol.unwrap_or_default();
                    let hub = service.named_hub().unwrap_or(&hub);
                    let expected = client_audience(endpoint, hub, protocol);
                    self.problem(
                        "aud",
                        format!(
                            "it is for {}, and the service expects {expected}",
                            audiences.join(", ")
                        ),
                    );
                }
            }
            Kind::Rest => {
                let authority = endpoint.authority();
                let fits = |audience: &String| {
                    let url = Url::parse(audience);
                    url.is_ok_and(|url| url.authority().eq_ignore_ascii_case(authority))
                };
                if !audiences.iter().any(fits) {
                    self.problem(
                        "aud",
                        format!("it is for {}, and the service is {endpoint}", audiences.join(", ")),
                    );
                }
            }
            Kind::Reconnection | Kind::Entra => {}
            Kind::Unknown => self.problem(
                "aud",
                format!(
                    "it is for {}, which is neither the URL of a client endpoint nor that of a REST call",
                    audiences.join(", ")
                ),
            ),
        }
    }

    fn look_at_user(&mut self) {
        match self.text("sub").map(str::to_owned) {
            Some(user) if UserId::new(user.as_str()).is_ok() => {
                self.grants.push(format!("connect as user `{user}`"));
            }
            Some(user) if !user.is_empty() => {
                self.warn("sub", "a user id of blanks only counts as none");
            }
            _ => self
                .grants
                .push("connect as an anonymous client".to_owned()),
        }
    }

    fn look_at_groups(&mut self) {
        let named = ["webpubsub.group", "group"].map(|name| self.strings(name));
        for group in named.concat() {
            match GroupName::new(group.as_str()) {
                Ok(_) => self
                    .grants
                    .push(format!("be in group `{group}` from the start")),
                Err(error) => self.problem(
                    "webpubsub.group",
                    format!("`{group}` is no name of a group: {error}"),
                ),
            }
        }
    }

    fn look_at_roles(&mut self) {
        let roles = self.strings("role");
        let (_, ignored) = PermissionSet::from_roles(&roles);
        for role in ignored {
            let text = format!("`{}` has no effect: {}", role.role, role.reason);
            self.warn("role", text);
        }
        let parsed = roles.iter().filter_map(|role| role.parse::<Role>().ok());
        let parsed: Vec<Role> = parsed.collect();
        let in_groups =
            |role: &Role| matches!(role.action(), RoleAction::JoinLeave | RoleAction::Send);
        if !parsed.iter().any(in_groups) {
            self.warn(
                "role",
                "no role lets it join groups or send to them; its events still reach the server",
            );
        }
        self.grants.extend(parsed.iter().map(grant));
    }

    /// A claim that is a string or a list of strings.
    fn strings(&self, name: &str) -> Vec<String> {
        match self.claims.get(name) {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(many)) => {
                let texts = many.iter().filter_map(Value::as_str);
                texts.map(str::to_owned).collect()
            }
            _ => Vec::new(),
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str)
    }

    fn time(&self, name: &str) -> Result<Option<SystemTime>, &'static str> {
        match self.claims.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let seconds = value
                    .as_f64()
                    .ok_or("it must be a number: seconds since 1970")?;
                // What is before 1970 or after 9999 is as good as these.
                let since = Duration::try_from_secs_f64(seconds.clamp(0.0, LAST_SECOND));
                Ok(since.ok().map(|since| UNIX_EPOCH + since))
            }
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Client => "a client access token: it lets a client connect",
            Kind::Rest => "a token of a REST call",
            Kind::Reconnection => {
                "a reconnection token: it lets a client recover its connection, and nothing else"
            }
            Kind::Entra => "a token of Microsoft Entra ID for REST calls",
            Kind::Unknown => "no token of the service's kinds",
        };
        writeln!(f, "This is {kind}.")?;
        for (title, object) in [("Header", &self.header), ("Claims", &self.claims)] {
            if !object.is_empty() {
                writeln!(f, "\n{title}")?;
            }
            for (name, value) in object {
                write!(f, "  {name:<16} {}", shown(value))?;
                match self.time(name) {
                    Ok(Some(at)) if ["exp", "iat", "nbf"].contains(&name.as_str()) => {
                        writeln!(f, "  ({})", humantime::format_rfc3339_seconds(at))?;
                    }
                    _ => writeln!(f)?,
                }
            }
        }
        if !self.grants.is_empty() {
            writeln!(f, "\nWhoever has it may")?;
        }
        for grant in &self.grants {
            writeln!(f, "  {grant}")?;
        }
        if !self.warnings.is_empty() {
            writeln!(f, "\nMind")?;
        }
        for Finding { check, text } in &self.warnings {
            writeln!(f, "  {check}: {text}")?;
        }
        match self.accepted {
            true => writeln!(f, "\nThe service accepts it."),
            false => {
                writeln!(f, "\nThe service REFUSES it:")?;
                let mut problems = self.problems.iter();
                problems.try_for_each(|Finding { check, text }| writeln!(f, "  {check}: {text}"))
            }
        }
    }
}

/// What a role allows, in words.
fn grant(role: &Role) -> String {
    let action = match role.action() {
        RoleAction::JoinLeave => "join and leave",
        RoleAction::Send => "send to",
        RoleAction::GetState => "read the state of",
        RoleAction::SetState => "set its state in",
        // The enum may grow.
        _ => "use",
    };
    match role.scope() {
        RoleScope::All => format!("{action} all groups"),
        RoleScope::Group(group) => format!("{action} group `{group}`"),
        RoleScope::Matching(pattern) => format!("{action} groups like `{}`", pattern.as_str()),
        _ => format!("{action} some groups"),
    }
}

/// The kind of client and the hub that an audience is for, if it is a client endpoint's.
fn hub_of(audience: &str) -> Option<(ClientProtocol, String)> {
    let (_, rest) = audience.split_once("://")?;
    let (_, path) = rest.split_once('/')?;
    let kinds = [
        ClientProtocol::Default,
        ClientProtocol::Mqtt,
        ClientProtocol::SocketIo,
    ];
    kinds.into_iter().find_map(|kind| {
        let prefix = kind.path("");
        let hub = path
            .get(..prefix.len())
            .filter(|beginning| beginning.eq_ignore_ascii_case(&prefix))
            .and_then(|_| path.get(prefix.len()..))?;
        Some((kind, hub.to_owned()))
    })
}

/// Whether audiences are equal but for their schemes, as behind a proxy that has taken TLS off.
fn same_but_scheme(one: &str, other: &str) -> bool {
    let rest = |audience: &str| {
        let (scheme, rest) = audience.split_once("://")?;
        let mut known = ["http", "https"].iter();
        let known = known.any(|known| scheme.eq_ignore_ascii_case(known));
        known.then(|| rest.to_ascii_lowercase())
    };
    rest(one).is_some_and(|one| rest(other) == Some(one))
}

fn object(part: &str) -> Option<Map<String, Value>> {
    let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Texts without quotation marks; the rest as JSON.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn age(duration: Duration) -> String {
    humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string()
}

#[cfg(test)]
mod tests {
    use webpubsub_protocol::access::{
        AccessKey, ClientTokenOptions, ConnectionString, sign_client_token,
        sign_reconnection_token, sign_rest_token,
    };

    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn service(host: &str, key: &str, hub: Option<&str>) -> Service {
        let endpoint = Url::parse(host).unwrap();
        let connection = ConnectionString::new(endpoint, AccessKey::new(key));
        Service::new(connection, hub.map(str::to_owned))
    }

    fn ours() -> Service {
        service("https://a.example", "key", Some("chat"))
    }

    fn token(options: &ClientTokenOptions) -> String {
        let connection = ours().connection;
        let key = connection.access_key();
        let made = sign_client_token(connection.endpoint(), "chat", key, options, at(NOW));
        made.url().to_owned()
    }

    fn checks(explanation: &Explanation) -> Vec<&str> {
        let problems = explanation.problems.iter();
        problems.map(|problem| problem.check).collect()
    }

    #[test]
    fn what_a_token_grants_is_said_in_words() {
        let options = ClientTokenOptions::default()
            .user_id("ana")
            .role("webpubsub.joinLeaveGroup")
            .role("webpubsub.sendToGroup.room-7")
            .role("webpubsub.fly")
            .group("lobby");
        let explanation = Explanation::of(&token(&options), &ours(), at(NOW));
        assert!(explanation.is_accepted(), "{explanation:?}");
        let text = explanation.to_string();
        for expected in [
            "connect as user `ana`",
            "join and leave all groups",
            "send to group `room-7`",
            "be in group `lobby` from the start",
            "role: `webpubsub.fly` has no effect",
            "(2023-11-14T23:13:20Z)",
            "The service accepts it.",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }

    #[test]
    fn every_failed_check_shows_and_the_token_never() {
        let options = ClientTokenOptions::default().group(" ");
        let token = token(&options);
        let there = service("https://b.example", "other", Some("news"));
        let explanation = Explanation::of(&token, &there, at(NOW + 4000));
        assert_eq!(
            checks(&explanation),
            ["signature", "exp", "aud", "webpubsub.group"]
        );
        let text = explanation.to_string() + &serde_json::to_string(&explanation).unwrap();
        assert!(
            text.contains("https://b.example/client/hubs/news"),
            "{text}"
        );
        assert!(text.contains("6m 40s ago"), "{text}");
        let secret = token.split('=').next_back().unwrap();
        for part in secret.split('.') {
            assert!(!text.contains(part), "{text}");
        }
    }

    #[test]
    fn kinds_are_told_apart() {
        let key = AccessKey::new("key");
        let day = Duration::from_secs(86_400);
        let rest = sign_rest_token("https://a.example/api/hubs/chat/:send", &key, day, at(NOW));
        let explanation = Explanation::of(rest.as_str(), &ours(), at(NOW));
        assert_eq!((explanation.kind, explanation.accepted), (Kind::Rest, true));
        let other = sign_rest_token("https://c.example/api/hubs/chat", &key, day, at(NOW));
        let explanation = Explanation::of(other.as_str(), &ours(), at(NOW));
        assert_eq!(checks(&explanation), ["aud"]);
        let recovery = sign_reconnection_token("id", "j", &key, at(NOW));
        let explanation = Explanation::of(recovery.as_str(), &ours(), at(NOW));
        assert_eq!(
            (explanation.kind, explanation.accepted),
            (Kind::Reconnection, true)
        );
        let entra = sign_rest_token(ENTRA_AUDIENCE, &key, day, at(NOW));
        let explanation = Explanation::of(entra.as_str(), &ours(), at(NOW));
        assert_eq!(explanation.kind, Kind::Entra);
        assert_eq!(checks(&explanation), ["signature"]);
    }

    #[test]
    fn what_is_no_token_is_named_without_quoting_it() {
        for text in ["", "sEcReT", "sEcReT.sEcReT.x", "a.b.c.d"] {
            let explanation = Explanation::of(text, &ours(), at(NOW));
            assert_eq!(checks(&explanation), ["form"], "{text}");
            assert!(!explanation.to_string().contains("sEcReT"));
        }
    }

    #[test]
    fn a_hub_that_was_not_named_is_the_tokens() {
        let token = token(&ClientTokenOptions::default());
        let anywhere = service("https://a.example", "key", None);
        assert!(Explanation::of(&token, &anywhere, at(NOW)).is_accepted());
        let elsewhere = service("https://a.example", "key", Some("news"));
        assert_eq!(
            checks(&Explanation::of(&token, &elsewhere, at(NOW))),
            ["aud"]
        );
    }
}
