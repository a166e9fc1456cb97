//! The subprotocols that PubSub clients negotiate in `Sec-WebSocket-Protocol`.

/// A PubSub subprotocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subprotocol {
    /// `json.webpubsub.azure.v1`
    Json,
    /// `json.reliable.webpubsub.azure.v1`
    ReliableJson,
    /// `protobuf.webpubsub.azure.v1`
    Protobuf,
    /// `protobuf.reliable.webpubsub.azure.v1`
    ReliableProtobuf,
}

impl Subprotocol {
    /// All subprotocols.
    pub const ALL: [Self; 4] = [
        Self::Json,
        Self::ReliableJson,
        Self::Protobuf,
        Self::ReliableProtobuf,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json.webpubsub.azure.v1",
            Self::ReliableJson => "json.reliable.webpubsub.azure.v1",
            Self::Protobuf => "protobuf.webpubsub.azure.v1",
            Self::ReliableProtobuf => "protobuf.reliable.webpubsub.azure.v1",
        }
    }

    /// The subprotocol with this name, which is compared without regard to case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|protocol| protocol.as_str().eq_ignore_ascii_case(name))
    }

    /// Whether messages carry sequence ids, so that the connection can be recovered.
    #[must_use]
    pub const fn is_reliable(self) -> bool {
        matches!(self, Self::ReliableJson | Self::ReliableProtobuf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_in_any_case() {
        for protocol in Subprotocol::ALL {
            assert_eq!(Subprotocol::from_name(protocol.as_str()), Some(protocol));
            assert_eq!(
                Subprotocol::from_name(&protocol.as_str().to_uppercase()),
                Some(protocol)
            );
        }
        assert_eq!(Subprotocol::from_name("mqtt"), None);
    }
}
