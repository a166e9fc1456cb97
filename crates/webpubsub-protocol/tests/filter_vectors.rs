//! Filters against `spec/vectors/filter.json`.

use std::collections::BTreeMap;

use serde::Deserialize;
use webpubsub_protocol::filter::{Filter, FilterSubject};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vectors {
    connections: BTreeMap<String, Connection>,
    matching: Vec<Matching>,
    refused: Vec<Refused>,
    ill_typed: Vec<Matching>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Connection {
    user_id: Option<String>,
    connection_id: String,
    groups: Vec<String>,
    protocol: Option<String>,
}

#[derive(Deserialize)]
struct Matching {
    filter: String,
    matches: Vec<String>,
}

#[derive(Deserialize)]
struct Refused {
    filter: String,
    error: String,
}

impl FilterSubject for Connection {
    fn user_id(&self) -> Option<&str> {
        self.user_id.as_deref()
    }

    fn connection_id(&self) -> &str {
        &self.connection_id
    }

    fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    fn in_group(&self, group: &str) -> bool {
        self.groups.iter().any(|name| name == group)
    }

    fn group_count(&self) -> usize {
        self.groups.len()
    }
}

fn vectors() -> Vectors {
    let text = include_str!("vectors/filter.json");
    serde_json::from_str(text).expect("valid vectors")
}

fn targets<'v>(connections: &'v BTreeMap<String, Connection>, filter: &str) -> Vec<&'v str> {
    let filter = Filter::parse(filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
    let matching = connections
        .iter()
        .filter(|(_, connection)| filter.matches(*connection));
    matching.map(|(name, _)| name.as_str()).collect()
}

#[test]
fn filters_choose_their_connections() {
    let vectors = vectors();
    assert!(vectors.matching.len() > 50);
    for Matching { filter, matches } in &vectors.matching {
        assert_eq!(targets(&vectors.connections, filter), *matches, "{filter}");
    }
}

#[test]
fn refused_filters_say_why() {
    let vectors = vectors();
    assert!(vectors.refused.len() > 50);
    for Refused { filter, error } in &vectors.refused {
        let refused = Filter::parse(filter).expect_err(filter);
        assert_eq!(refused.to_string(), *error, "{filter}");
        if let Some(position) = refused.position() {
            assert!(filter.is_char_boundary(position), "{filter}: {position}");
        }
    }
}

#[test]
fn ill_typed_connections_do_not_match() {
    let vectors = vectors();
    for Matching { filter, matches } in &vectors.ill_typed {
        assert_eq!(targets(&vectors.connections, filter), *matches, "{filter}");
    }
}

#[test]
fn positions_are_bytes() {
    let at = |filter: &str| Filter::parse(filter).expect_err(filter).position();
    assert_eq!(at("invalid filter"), Some(8));
    assert_eq!(at("'😀' > 1"), Some(7));
    assert_eq!(at("userId eq 'a"), Some(10));
    assert_eq!(at("userId lt 1"), None);
}
