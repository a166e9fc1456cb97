//! The state that a handler stores with a connection.

use std::fmt;

use base64::Engine as _;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{GeneralPurposeConfig, STANDARD};
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// Padding is optional, as in the official library.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
);

/// The state of a connection: named JSON values that a handler stores, and that the service sends with each later event of
/// that connection.
///
/// To the service the state is one opaque string. The official libraries write a JSON object as base64, and so does this
/// one. Names keep their order, and values keep their exact text. `Debug` shows the names only.
#[derive(Clone, Default)]
pub struct ConnectionState {
    values: Vec<(String, Box<RawValue>)>,
}

/// Why a header is not a connection state.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidState {
    /// It is not base64.
    #[error("the connection state is not base64")]
    Base64(#[source] base64::DecodeError),
    /// It is not a JSON object.
    #[error("the connection state is not a JSON object")]
    Json(#[source] serde_json::Error),
}

/// Why a value of the state cannot be read or written. The error never contains the value.
#[derive(Debug, thiserror::Error)]
#[error("the value `{name}` of the connection state cannot be {action}")]
pub struct StateError {
    name: String,
    action: &'static str,
    source: serde_json::Error,
}

impl ConnectionState {
    /// Reads the header `ce-connectionState`.
    ///
    /// # Errors
    ///
    /// If it is not the base64 of a JSON object. An empty header is the empty state.
    pub fn from_header(header: &str) -> Result<Self, InvalidState> {
        if header.is_empty() {
            return Ok(Self::default());
        }
        let json = LENIENT.decode(header).map_err(InvalidState::Base64)?;
        serde_json::from_slice(&json).map_err(InvalidState::Json)
    }

    /// Writes the header `ce-connectionState`.
    #[must_use]
    pub fn to_header(&self) -> String {
        let json = serde_json::to_vec(self).expect("names and JSON texts always serialise");
        STANDARD.encode(json)
    }

    /// Whether there are no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The names of the values, in the order in which they were first set.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(|(name, _)| name.as_str())
    }

    /// Deserializes the value with this name; `None` if there is none.
    ///
    /// # Errors
    ///
    /// If the value cannot be deserialized as `T`.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StateError> {
        let Some((_, raw)) = self.values.iter().find(|(known, _)| known == name) else {
            return Ok(None);
        };
        serde_json::from_str(raw.get())
            .map(Some)
            .map_err(|source| StateError {
                name: name.to_owned(),
                action: "read",
                source,
            })
    }

    /// The JSON text of the value with this name.
    #[must_use]
    pub fn get_raw(&self, name: &str) -> Option<&str> {
        let (_, raw) = self.values.iter().find(|(known, _)| known == name)?;
        Some(raw.get())
    }

    /// Sets the value with this name. Other values are kept.
    ///
    /// # Errors
    ///
    /// If the value cannot be serialised as JSON.
    pub fn set<T: Serialize + ?Sized>(
        &mut self,
        name: impl Into<String>,
        value: &T,
    ) -> Result<(), StateError> {
        let name = name.into();
        match serde_json::value::to_raw_value(value) {
            Ok(raw) => {
                self.put(name, raw);
                Ok(())
            }
            Err(source) => Err(StateError {
                name,
                action: "written",
                source,
            }),
        }
    }

    /// Deserializes the whole state.
    ///
    /// # Errors
    ///
    /// If the state cannot be deserialized as `T`.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        let json = serde_json::to_vec(self)?;
        serde_json::from_slice(&json)
    }

    /// Adds all values of another state, which replace those with the same names.
    pub fn merge(&mut self, other: Self) {
        for (name, raw) in other.values {
            self.put(name, raw);
        }
    }

    fn put(&mut self, name: String, raw: Box<RawValue>) {
        match self.values.iter_mut().find(|(known, _)| *known == name) {
            Some((_, value)) => *value = raw,
            None => self.values.push((name, raw)),
        }
    }
}

impl PartialEq for ConnectionState {
    fn eq(&self, other: &Self) -> bool {
        let texts = |state: &Self| -> Vec<(String, String)> {
            let text = |(name, raw): &(String, Box<RawValue>)| (name.clone(), raw.get().to_owned());
            state.values.iter().map(text).collect()
        };
        texts(self) == texts(other)
    }
}

impl fmt::Debug for ConnectionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl Serialize for ConnectionState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.values.len()))?;
        for (name, raw) in &self.values {
            map.serialize_entry(name, raw)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for ConnectionState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = ConnectionState;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut state = ConnectionState::default();
                while let Some((name, raw)) = map.next_entry()? {
                    state.put(name, raw);
                }
                Ok(state)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_order_and_text() {
        let mut state =
            ConnectionState::from_header(&STANDARD.encode(r#"{"z":1.0,"a":{"y":1,"x":2}}"#))
                .unwrap();
        state.set("m", "é").unwrap();
        state.set("z", &[1]).unwrap();
        let json = STANDARD.decode(state.to_header()).unwrap();
        assert_eq!(
            String::from_utf8(json).unwrap(),
            r#"{"z":[1],"a":{"y":1,"x":2},"m":"é"}"#
        );
        assert_eq!(state.get::<String>("m").unwrap().as_deref(), Some("é"));
        assert_eq!(state.get_raw("a"), Some(r#"{"y":1,"x":2}"#));
        assert_eq!(state.get::<u8>("none").unwrap(), None);
        assert!(state.names().eq(["z", "a", "m"]));
    }

    #[test]
    fn the_sample_of_the_reference_is_read() {
        let state = ConnectionState::from_header("eyJuIjoxfQ==").unwrap();
        assert_eq!(state.get::<u64>("n").unwrap(), Some(1));
        assert_eq!(state.to_header(), "eyJuIjoxfQ==");
        assert_eq!(ConnectionState::from_header("eyJuIjoxfQ").unwrap(), state);
    }

    #[test]
    fn what_is_no_state_is_refused() {
        assert!(ConnectionState::from_header("").unwrap().is_empty());
        assert!(matches!(
            ConnectionState::from_header("%"),
            Err(InvalidState::Base64(_))
        ));
        for json in ["[]", "1", "", "{", "null", "{}x"] {
            let header = STANDARD.encode(format!(" {json}"));
            assert!(
                matches!(
                    ConnectionState::from_header(&header),
                    Err(InvalidState::Json(_))
                ),
                "{json}"
            );
        }
    }

    #[test]
    fn errors_and_debug_name_the_value_and_do_not_show_it() {
        let mut state = ConnectionState::default();
        state.set("token", "private").unwrap();
        let error = state.get::<u8>("token").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the value `token` of the connection state cannot be read"
        );
        assert_eq!(format!("{state:?}"), r#"{"token"}"#);
    }

    #[test]
    fn a_typed_state_is_merged() {
        #[derive(Serialize, Deserialize, PartialEq, Debug)]
        struct Seen {
            count: u32,
        }
        let mut state = ConnectionState::default();
        state.set("other", &true).unwrap();
        let mut seen = ConnectionState::default();
        seen.set("count", &3).unwrap();
        state.merge(seen);
        assert_eq!(state.read::<Seen>().unwrap(), Seen { count: 3 });
        assert_eq!(state.get::<bool>("other").unwrap(), Some(true));
    }
}
