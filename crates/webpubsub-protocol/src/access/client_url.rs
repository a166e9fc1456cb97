//! The URLs that clients connect to, one for each kind of client, and the audiences of their tokens.

use std::str::FromStr;

use url::Url;

/// The kind of client that a client access URL is for. Each has its own path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ClientProtocol {
    /// WebSocket clients, simple or with one of the PubSub subprotocols: `/client/hubs/{hub}`.
    #[default]
    Default,
    /// MQTT over WebSocket: `/clients/mqtt/hubs/{hub}`.
    Mqtt,
    /// Socket.IO: `/clients/socketio/hubs/{hub}`.
    SocketIo,
}

impl ClientProtocol {
    /// The value of `clientType` in `:generateToken`, in the spelling of the official package.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Mqtt => "mqtt",
            Self::SocketIo => "socketio",
        }
    }

    /// The path below the endpoint, without a leading slash.
    #[must_use]
    pub fn path(self, hub: &str) -> String {
        format!("{}{hub}", self.path_prefix())
    }

    fn path_prefix(self) -> &'static str {
        match self {
            Self::Default => "client/hubs/",
            Self::Mqtt => "clients/mqtt/hubs/",
            Self::SocketIo => "clients/socketio/hubs/",
        }
    }
}

impl FromStr for ClientProtocol {
    type Err = UnknownClientProtocol;

    /// Compared without regard to case, as by the service.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Default, Self::Mqtt, Self::SocketIo]
            .into_iter()
            .find(|protocol| protocol.as_str().eq_ignore_ascii_case(text))
            .ok_or(UnknownClientProtocol)
    }
}

/// The client type is not `default`, `mqtt` or `socketio`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown client type; expected `default`, `mqtt` or `socketio`")]
pub struct UnknownClientProtocol;

/// The URL that clients connect to, without a token: `ws` for an `http` endpoint, `wss` for `https`.
#[must_use]
pub fn client_url(endpoint: &Url, hub: &str, protocol: ClientProtocol) -> String {
    let audience = client_audience(endpoint, hub, protocol);
    // Endpoints are http or https, so replacing the first four characters keeps the `s`.
    format!("ws{}", audience.strip_prefix("http").unwrap_or(&audience))
}

/// The audience of client tokens: the URL that clients connect to, but with `http` or `https`.
#[must_use]
pub fn client_audience(endpoint: &Url, hub: &str, protocol: ClientProtocol) -> String {
    let base = endpoint.as_str();
    let slash = if base.ends_with('/') { "" } else { "/" };
    format!("{base}{slash}{}{hub}", protocol.path_prefix())
}

/// Whether an audience is a client endpoint, so that tokens for REST calls never open a connection. Behind a proxy, the
/// endpoint may have a path of its own.
#[cfg(feature = "tokens")]
pub(super) fn is_client_url(audience: &str) -> bool {
    let Some((scheme, rest)) = audience.split_once("://") else {
        return false;
    };
    // Hub names hold no slash.
    let Some((before_hub, _hub)) = rest.rsplit_once('/') else {
        return false;
    };
    let before_hub = before_hub.to_ascii_lowercase();
    ["http", "https", "ws", "wss"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known))
        && !before_hub.contains("/api/hubs/")
        && [
            ClientProtocol::Default,
            ClientProtocol::Mqtt,
            ClientProtocol::SocketIo,
        ]
        .iter()
        .any(|protocol| {
            let path = protocol.path_prefix().trim_end_matches('/');
            before_hub
                .strip_suffix(path)
                .is_some_and(|left| left.ends_with('/'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_the_three_kinds() {
        let http = Url::parse("http://localhost:8080").unwrap();
        let azure = Url::parse("https://example.webpubsub.azure.com/").unwrap();
        let table = [
            (
                ClientProtocol::Default,
                "ws://localhost:8080/client/hubs/chat",
            ),
            (
                ClientProtocol::Mqtt,
                "ws://localhost:8080/clients/mqtt/hubs/chat",
            ),
            (
                ClientProtocol::SocketIo,
                "ws://localhost:8080/clients/socketio/hubs/chat",
            ),
        ];
        for (protocol, url) in table {
            assert_eq!(client_url(&http, "chat", protocol), url);
            assert_eq!(protocol.as_str().to_uppercase().parse(), Ok(protocol));
        }
        assert_eq!("".parse::<ClientProtocol>(), Err(UnknownClientProtocol));
        assert_eq!(
            client_url(&azure, "chat", ClientProtocol::Default),
            "wss://example.webpubsub.azure.com/client/hubs/chat"
        );
        let prefixed = Url::parse("https://gateway.example/pubsub/").unwrap();
        assert_eq!(
            client_audience(&prefixed, "chat", ClientProtocol::Default),
            "https://gateway.example/pubsub/client/hubs/chat"
        );
    }

    #[test]
    fn client_urls_are_recognised() {
        for good in [
            "https://h/client/hubs/chat",
            "WSS://H:1/Client/Hubs/Chat",
            "http://h/clients/mqtt/hubs/chat",
            "http://h/prefix/clients/socketio/hubs/chat",
        ] {
            assert!(is_client_url(good), "{good}");
        }
        for bad in [
            "",
            "https://webpubsub.azure.com",
            "https://h/client/hubs",
            "https://h/api/hubs/chat/:send?api-version=2024-12-01",
            "https://h/api/hubs/chat/groups/client/hubs/x",
            "https://h/myclient/hubs/chat",
            "ftp://h/client/hubs/chat",
            "0123456789abcdef",
        ] {
            assert!(!is_client_url(bad), "{bad}");
        }
    }
}
