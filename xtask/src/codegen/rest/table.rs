//! Parameters that several operations share stand in a generated table once, under a name.

use std::collections::BTreeMap;

use super::model::{Api, Location, Parameter};

/// The names of the constants for all parameters.
pub(crate) struct Names<'a> {
    render: fn(&Parameter) -> String,
    by_row: BTreeMap<String, (String, &'a Parameter)>,
}

/// Names the parameters that differ in what `render` makes of them.
pub(crate) fn distinct(api: &Api, render: fn(&Parameter) -> String) -> Names<'_> {
    let mut names = Names {
        render,
        by_row: BTreeMap::new(),
    };
    let (in_path, in_query): (Vec<_>, Vec<_>) = api
        .parameters()
        .partition(|parameter| parameter.location == Location::Path);
    for parameter in in_path.into_iter().chain(in_query) {
        let row = render(parameter);
        if names.by_row.contains_key(&row) {
            continue;
        }
        let mut name = parameter.field.to_uppercase();
        if parameter.location == Location::Query && names.has(&name) {
            name.push_str("_IN_QUERY");
        }
        while names.has(&name) {
            name.push_str("_TOO");
        }
        names.by_row.insert(row, (name, parameter));
    }
    names
}

impl<'a> Names<'a> {
    /// All of them, in the order of their names.
    pub(crate) fn named(&self) -> BTreeMap<&str, &'a Parameter> {
        let rows = self.by_row.values();
        rows.map(|(name, parameter)| (name.as_str(), *parameter))
            .collect()
    }

    /// The name for a parameter of the API.
    pub(crate) fn of(&self, parameter: &Parameter) -> &str {
        &self.by_row[&(self.render)(parameter)].0
    }

    fn has(&self, name: &str) -> bool {
        self.by_row.values().any(|(known, _)| known == name)
    }
}
