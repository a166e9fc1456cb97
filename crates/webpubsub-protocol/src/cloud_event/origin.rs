//! Abuse protection: whether a handler accepts events from a service.

/// What the `WebHook-Allowed-Origin` lines of a response say about an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllowedOrigin {
    /// A line names the origin, or is `*`.
    Yes,
    /// Only a line with several origins, separated by commas, names it. The service does not split lines, so such a
    /// response does not allow the origin there.
    InList,
    /// No line names the origin.
    No,
}

/// Reads the lines of the response to a preflight request. Hosts are compared without regard to case.
#[must_use]
pub fn allowed_origin<'a>(lines: impl IntoIterator<Item = &'a str>, origin: &str) -> AllowedOrigin {
    let names = |value: &str| value == "*" || value.eq_ignore_ascii_case(origin);
    let mut best = AllowedOrigin::No;
    for line in lines {
        if names(line.trim()) {
            return AllowedOrigin::Yes;
        }
        if line.split(',').any(|item| names(item.trim())) {
            best = AllowedOrigin::InList;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_compared_whole_first() {
        for (lines, expected) in [
            (&["*"][..], AllowedOrigin::Yes),
            (
                &["other.example", " Contoso.webpubsub.azure.com "],
                AllowedOrigin::Yes,
            ),
            (&["a, contoso.webpubsub.azure.com"], AllowedOrigin::InList),
            (&["a,*", "*"], AllowedOrigin::Yes),
            (&["contoso.webpubsub.azure.com:443"], AllowedOrigin::No),
            (&["contoso"], AllowedOrigin::No),
            (&[""], AllowedOrigin::No),
            (&[], AllowedOrigin::No),
        ] {
            let found = allowed_origin(lines.iter().copied(), "contoso.webpubsub.azure.com");
            assert_eq!(found, expected, "{lines:?}");
        }
    }
}
