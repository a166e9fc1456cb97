//! Where to listen.

use std::net::{IpAddr, Ipv4Addr};

use crate::http::LOCALHOST;

/// `localhost` or an IP address. Other names are not taken: what they mean depends on the machine, and listening on an
/// unexpected address is worse than an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Host {
    Localhost,
    Address(IpAddr),
}

impl Host {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("localhost") {
            return Some(Self::Localhost);
        }
        let bare = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        match bare {
            Some(bare) => bare.parse().ok().map(IpAddr::V6),
            None => text.parse().ok(),
        }
        .map(Self::Address)
    }

    pub(super) fn addresses(&self) -> &[IpAddr] {
        match self {
            Self::Localhost => &LOCALHOST,
            Self::Address(address) => std::slice::from_ref(address),
        }
    }

    pub(super) fn is_loopback(self) -> bool {
        match self {
            Self::Localhost => true,
            Self::Address(address) => address.is_loopback(),
        }
    }

    /// As it stands in URLs. All addresses are shown as `localhost`, since nobody can connect to `0.0.0.0` everywhere.
    pub(super) fn in_urls(self) -> String {
        match self {
            Self::Address(address) if !address.is_unspecified() => match address {
                IpAddr::V4(address) => address.to_string(),
                IpAddr::V6(address) => format!("[{address}]"),
            },
            _ => "localhost".to_owned(),
        }
    }
}

impl Default for Host {
    fn default() -> Self {
        Self::Address(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_how_they_are_shown() {
        for (text, loopback, shown) in [
            ("localhost", true, "localhost"),
            ("LOCALHOST", true, "localhost"),
            ("127.0.0.1", true, "127.0.0.1"),
            ("127.9.9.9", true, "127.9.9.9"),
            ("::1", true, "[::1]"),
            ("[::1]", true, "[::1]"),
            ("0.0.0.0", false, "localhost"),
            ("::", false, "localhost"),
            ("192.168.0.5", false, "192.168.0.5"),
            ("fd00::1", false, "[fd00::1]"),
        ] {
            let host = Host::parse(text).unwrap();
            assert_eq!(host.is_loopback(), loopback, "{text}");
            assert_eq!(host.in_urls(), shown, "{text}");
        }
        for text in [
            "",
            "example.com",
            "127.0.0.1:8080",
            "http://localhost",
            "127.1",
            "[127.0.0.1]",
            " localhost",
            "*",
        ] {
            assert_eq!(Host::parse(text), None, "{text}");
        }
    }
}
