//! The cookies that event handlers leave with one connection, which keep it with one instance behind a load balancer.
//!
//! Small on purpose: a handler talks to us from one host, so there are no public suffixes to know.

use std::time::{Duration, SystemTime};

use cookie::{Cookie, Expiration};
use http::{HeaderMap, HeaderValue, header};
use url::Url;

/// Cookies of one connection. The oldest gives way to a new one.
const MOST_COOKIES: usize = 50;

/// Name and value of one cookie. Longer ones are not kept.
const MOST_BYTES: usize = 4096;

/// Names and values of all cookies of one connection: what the head of a request may grow by.
const MOST_BYTES_IN_ALL: usize = 16 * 1024;

/// In the order in which they were first set.
#[derive(Default)]
pub(super) struct Jar(Vec<StoredCookie>);

struct StoredCookie {
    name: String,
    value: String,
    host: String,
    /// Whether hosts below `host` get it as well.
    below: bool,
    path: String,
    secure: bool,
    expires: Option<SystemTime>,
}

impl Jar {
    /// Keeps what an answer from `url` sets. What cannot be a cookie for that host is left out.
    pub(super) fn keep(&mut self, url: &Url, headers: &HeaderMap, now: SystemTime) {
        for line in headers.get_all(header::SET_COOKIE) {
            let read = line
                .to_str()
                .ok()
                .and_then(|line| StoredCookie::read(line, url, now));
            let Some(new) = read else {
                tracing::debug!("a handler set a cookie that cannot be kept");
                continue;
            };
            self.put(new, now);
        }
    }

    /// The `Cookie` header for a request; longer paths come first, then older cookies.
    pub(super) fn header(&self, url: &Url, now: SystemTime) -> Option<HeaderValue> {
        let mut fitting: Vec<&StoredCookie> = self
            .0
            .iter()
            .filter(|kept| kept.goes_to(url, now))
            .collect();
        fitting.sort_by_key(|kept| std::cmp::Reverse(kept.path.len()));
        let pairs: Vec<String> = fitting
            .iter()
            .map(|kept| format!("{}={}", kept.name, kept.value))
            .collect();
        if pairs.is_empty() {
            return None;
        }
        HeaderValue::try_from(pairs.join("; ")).ok()
    }

    fn put(&mut self, new: StoredCookie, now: SystemTime) {
        let place = self.0.iter().position(|old| old.is_same_as(&new));
        match (place, new.is_alive(now)) {
            (Some(place), true) => self.0[place] = new,
            (Some(place), false) => drop(self.0.remove(place)),
            (None, true) => self.0.push(new),
            (None, false) => {}
        }
        self.0.retain(|kept| kept.is_alive(now));
        while self.0.len() > MOST_COOKIES
            || self.0.iter().map(StoredCookie::size).sum::<usize>() > MOST_BYTES_IN_ALL
        {
            self.0.remove(0);
        }
    }
}

impl StoredCookie {
    fn read(line: &str, url: &Url, now: SystemTime) -> Option<Self> {
        let cookie = Cookie::parse(line).ok()?;
        let own_host = url.host_str()?;
        let domain = cookie.domain().map(str::to_ascii_lowercase);
        let (host, below) = match domain.as_deref().map(|it| it.trim_start_matches('.')) {
            None | Some("") => (own_host.to_owned(), false),
            // A host may speak for those above it, but for no top-level domain.
            Some(domain) if domain == own_host => (domain.to_owned(), true),
            Some(domain) if domain.contains('.') && is_below(own_host, domain) => {
                (domain.to_owned(), true)
            }
            Some(_) => return None,
        };
        let path = match cookie.path() {
            Some(path) if path.starts_with('/') => path.to_owned(),
            _ => default_path(url.path()).to_owned(),
        };
        let expires = match (cookie.max_age(), cookie.expires()) {
            (Some(age), _) if age.is_positive() => {
                let age = Duration::from_secs(age.whole_seconds().unsigned_abs());
                // What ends after all time does not end.
                now.checked_add(age)
            }
            (Some(_), _) => Some(SystemTime::UNIX_EPOCH),
            (None, Some(Expiration::DateTime(at))) => Some(SystemTime::from(at)),
            (None, Some(Expiration::Session) | None) => None,
        };
        let kept = Self {
            name: cookie.name().to_owned(),
            value: cookie.value().to_owned(),
            host,
            below,
            path,
            secure: cookie.secure() == Some(true),
            expires,
        };
        (!kept.name.is_empty() && kept.size() <= MOST_BYTES).then_some(kept)
    }

    fn size(&self) -> usize {
        self.name.len() + self.value.len()
    }

    fn is_same_as(&self, other: &Self) -> bool {
        (&self.name, &self.host, &self.path) == (&other.name, &other.host, &other.path)
    }

    fn is_alive(&self, now: SystemTime) -> bool {
        self.expires.is_none_or(|at| now < at)
    }

    fn goes_to(&self, url: &Url, now: SystemTime) -> bool {
        let host = url.host_str().unwrap_or_default();
        (host == self.host || self.below && is_below(host, &self.host))
            && path_matches(url.path(), &self.path)
            && (!self.secure || url.scheme() == "https")
            && self.is_alive(now)
    }
}

/// Whether `host` is a name below `domain`. Addresses are below nothing.
fn is_below(host: &str, domain: &str) -> bool {
    let is_address = host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok();
    let rest = host.strip_suffix(domain);
    !is_address && rest.is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

/// The path of the cookies that name none: that of the request, up to its last slash (RFC 6265, 5.1.4).
fn default_path(path: &str) -> &str {
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(end) => &path[..end],
    }
}

/// RFC 6265, 5.1.4.
fn path_matches(path: &str, of_cookie: &str) -> bool {
    path.strip_prefix(of_cookie)
        .is_some_and(|rest| rest.is_empty() || of_cookie.ends_with('/') || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn at(seconds: u64) -> SystemTime {
        NOW + Duration::from_secs(seconds)
    }

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    /// A jar to which `http://h/api/connect` answered with these lines at second 1000.
    fn jar(lines: &[&str]) -> Jar {
        let mut jar = Jar::default();
        set(&mut jar, "http://h/api/connect", lines);
        jar
    }

    fn set(jar: &mut Jar, from: &str, lines: &[&str]) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(
                header::SET_COOKIE,
                HeaderValue::from_bytes(line.as_bytes()).unwrap(),
            );
        }
        jar.keep(&url(from), &headers, at(1000));
    }

    fn sent(jar: &Jar, to: &str, when: u64) -> String {
        let header = jar.header(&url(to), at(when));
        header.map_or(String::new(), |value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn cookies_go_back_to_their_host_and_path() {
        let jar = jar(&[
            "a=1",
            "b=2; Path=/",
            "c=3; Path=/other",
            "d=4; Secure; Path=/",
        ]);
        for (to, expected) in [
            ("http://h/api/message", "a=1; b=2"),
            ("http://h:81/api", "a=1; b=2"),
            ("http://h/apis", "b=2"),
            ("http://h/other/x", "c=3; b=2"),
            ("https://h/", "b=2; d=4"),
            ("http://x.h/api/message", ""),
            ("http://g/api/message", ""),
        ] {
            assert_eq!(sent(&jar, to, 1000), expected, "{to}");
        }
    }

    #[test]
    fn a_new_value_replaces_the_old_and_an_old_date_ends_it() {
        let mut jar = jar(&["a=1", "b=2", "c=3"]);
        set(
            &mut jar,
            "http://h/api/x",
            &[
                "a=9; HttpOnly",
                "b=; Max-Age=0",
                "c=; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            ],
        );
        assert_eq!(sent(&jar, "http://h/api/y", 1000), "a=9");
    }

    #[test]
    fn cookies_end_when_they_said() {
        let jar = jar(&[
            "a=1; Max-Age=10",
            "b=2; Expires=Thu, 01 Jan 1970 00:20:00 GMT",
            "c=3; Max-Age=10; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "d=4; Max-Age=99999999999999999999",
            "e=5; Expires=soon",
        ]);
        assert_eq!(sent(&jar, "http://h/api/", 1009), "a=1; b=2; c=3; d=4; e=5");
        assert_eq!(sent(&jar, "http://h/api/", 1010), "b=2; d=4; e=5");
        assert_eq!(sent(&jar, "http://h/api/", 1200), "d=4; e=5");
    }

    #[test]
    fn a_host_speaks_for_itself_and_those_above_it() {
        let mut jar = Jar::default();
        set(
            &mut jar,
            "http://one.app.example/",
            &[
                "up=1; Domain=.app.example",
                "own=2; Domain=ONE.app.example",
                "top=3; Domain=example",
                "other=4; Domain=two.app.example",
            ],
        );
        assert_eq!(sent(&jar, "http://one.app.example/", 1000), "up=1; own=2");
        assert_eq!(sent(&jar, "http://two.app.example/", 1000), "up=1");
        assert_eq!(sent(&jar, "http://xapp.example/", 1000), "");
        assert!(!is_below("10.1.2.3", "2.3"));
    }

    #[test]
    fn what_is_kept_is_limited() {
        let mut jar = jar(&[
            "",
            "=x",
            "noequals",
            "ü=1",
            &format!("long={}", "x".repeat(4093)),
        ]);
        assert_eq!(sent(&jar, "http://h/api/", 1000), "");
        for n in 0..60 {
            set(&mut jar, "http://h/api/", &[&format!("n{n}=x")]);
        }
        assert_eq!(jar.0.len(), MOST_COOKIES);
        assert!(sent(&jar, "http://h/api/", 1000).starts_with("n10=x; n11=x"));
        for n in 0..6 {
            set(
                &mut jar,
                "http://h/api/",
                &[&format!("n{n}={}", "x".repeat(4090))],
            );
        }
        let bytes: usize = jar.0.iter().map(StoredCookie::size).sum();
        assert!(bytes <= MOST_BYTES_IN_ALL && jar.0.len() == 4, "{bytes}");
    }
}
