//! What is wrong with the configuration, and the nearest name that exists.

use std::fmt;

/// A mistake in flags, environment or file, with the place where it was made. Never quotes a value that could be a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigError(String);

impl ConfigError {
    pub(crate) fn new(place: impl fmt::Display, problem: impl fmt::Display) -> Self {
        Self(format!("{place}: {problem}"))
    }

    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

/// `; did you mean ..?` when one of `names` is near `wrong`, else nothing.
pub(crate) fn did_you_mean<'a>(
    wrong: &str,
    names: impl IntoIterator<Item = &'a str>,
    show: impl Fn(&str) -> String,
) -> String {
    let wrong = plain(wrong);
    names
        .into_iter()
        .map(|name| (distance(&wrong, &plain(name)), name))
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(2))
        .min()
        .map_or_else(String::new, |(_, name)| {
            format!("; did you mean `{}`?", show(name))
        })
}

/// Names that differ in case and separators only are the same to a reader.
fn plain(name: &str) -> Vec<char> {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// The number of characters to insert, remove or replace.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested() {
        let names = ["host", "port", "access-key", "secondary-access-key"];
        for (wrong, suggested) in [
            ("prot", Some("port")),
            ("ports", Some("port")),
            ("accessKey", Some("access-key")),
            ("acces_key", Some("access-key")),
            ("Host", Some("host")),
            ("secondary-key", Some("secondary-access-key")),
            ("certificate", None),
            ("x", None),
            ("", None),
        ] {
            let expected =
                suggested.map_or_else(String::new, |name| format!("; did you mean `--{name}`?"));
            assert_eq!(
                did_you_mean(wrong, names, |name| format!("--{name}")),
                expected,
                "{wrong}"
            );
        }
    }

    #[test]
    fn distances() {
        for (from, to, expected) in [
            ("", "", 0),
            ("abc", "", 3),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("port", "prot", 2),
        ] {
            assert_eq!(distance(&plain(from), &plain(to)), expected, "{from} {to}");
        }
    }
}
