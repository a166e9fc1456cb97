//! Vendor extensions: read strictly, so that a misspelt one is an error and not a silent default.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The `x-` members of one object of the description.
pub(crate) struct Extensions<'a>(BTreeMap<&'a str, &'a Value>);

impl<'a> Extensions<'a> {
    /// Takes the members of an object that may have only those in `known`.
    pub(crate) fn new(
        members: impl IntoIterator<Item = (&'a String, &'a Value)>,
        known: &[&str],
    ) -> Result<Self> {
        let members: BTreeMap<_, _> = members
            .into_iter()
            .map(|(name, value)| (name.as_str(), value))
            .collect();
        if let Some(unknown) = members.keys().find(|name| !known.contains(name)) {
            bail!(
                "unknown extension `{unknown}`; known here: {}",
                known.join(", ")
            );
        }
        Ok(Self(members))
    }

    /// The value of an extension that must be there.
    pub(crate) fn required<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        self.optional(name)?
            .with_context(|| format!("extension `{name}` is missing"))
    }

    /// The value of an extension that may be left out.
    pub(crate) fn optional<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        self.0
            .get(name)
            .map(|&value| T::deserialize(value))
            .transpose()
            .with_context(|| format!("extension `{name}`"))
    }
}
