//! Hostile filters: long, deep, and both.

use webpubsub_protocol::filter::{Filter, FilterError, FilterSubject};
use webpubsub_protocol::limits::{FILTER_BYTES, FILTER_DEPTH};

/// A connection of the user `ana` in no group.
struct Ana;

impl FilterSubject for Ana {
    fn user_id(&self) -> Option<&str> {
        Some("ana")
    }

    fn connection_id(&self) -> &str {
        "connection"
    }

    fn protocol(&self) -> Option<&str> {
        None
    }

    fn in_group(&self, _group: &str) -> bool {
        false
    }

    fn group_count(&self) -> usize {
        0
    }
}

fn nested(open: &str, inner: &str, close: &str, depth: usize) -> String {
    format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
}

fn is_too_deep(result: &Result<Filter, FilterError>) -> bool {
    let text = result.as_ref().err().map(ToString::to_string);
    text.is_some_and(|text| text.contains(": Recursion depth exceeded allowed limit. (Parameter"))
}

#[test]
fn the_longest_filter_is_16_kib() {
    let text = |bytes: usize| format!("userId eq '{}'", "a".repeat(bytes - 12));
    assert!(Filter::parse(&text(FILTER_BYTES)).is_ok());
    let error = Filter::parse(&text(FILTER_BYTES + 1))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "The filter has 16385 bytes, the limit is 16384. (Parameter 'filter')"
    );
}

#[test]
fn depth_is_limited_for_every_construct() {
    let parts = [
        ("(", "true", ")"),
        ("not ", "true", ""),
        ("not(", "true", ")"),
        ("(1 eq ", "1", ")"),
        ("(true and ", "true", ")"),
        ("1 in (", "1", ")"),
        ("'x' eq tolower(", "'x'", ")"),
        ("tolower(", "'x'", ")"),
    ];
    for (open, inner, close) in parts {
        for depth in [
            FILTER_DEPTH + 1,
            FILTER_BYTES / (open.len() + close.len()) - 20,
        ] {
            let text = nested(open, inner, close, depth);
            let result = Filter::parse(&text);
            assert!(is_too_deep(&result), "{open} {depth}: {result:?}");
        }
    }
    for (open, inner, close) in [
        ("(", "true", ")"),
        ("not ", "true", ""),
        ("(true and ", "true", ")"),
    ] {
        let filter = Filter::parse(&nested(open, inner, close, FILTER_DEPTH - 1)).unwrap();
        let odd_number_of_nots = open == "not ";
        assert_eq!(filter.matches(&Ana), !odd_number_of_nots, "{open}");
    }
}

#[test]
fn chains_of_comparisons_count_as_depth() {
    let chain = |steps: usize| format!("1 eq 1{}", " eq true".repeat(steps - 1));
    assert!(
        Filter::parse(&chain(FILTER_DEPTH - 1))
            .unwrap()
            .matches(&Ana)
    );
    assert!(is_too_deep(&Filter::parse(&chain(FILTER_DEPTH))));
    assert!(is_too_deep(&Filter::parse(&chain(2000))));
    let across_parentheses = format!(
        "{}{}",
        nested("(", &chain(60), ")", 1),
        " eq true".repeat(60)
    );
    assert!(is_too_deep(&Filter::parse(&across_parentheses)));
    let below_operators = nested("(true or ", &chain(60), ")", 60);
    assert!(is_too_deep(&Filter::parse(&below_operators)));
}

#[test]
fn chains_of_and_and_or_may_be_long() {
    let mut text = "userId eq 'a'".to_owned();
    while text.len() < FILTER_BYTES - 80 {
        text.push_str(" or true and userId eq 'b'");
    }
    assert!(!Filter::parse(&text).unwrap().matches(&Ana));
    text.push_str(" or userId eq 'ana'");
    assert!(Filter::parse(&text).unwrap().matches(&Ana));
    // An error at the end prints all of the chain.
    text.push_str(" or 1");
    let error = Filter::parse(&text).unwrap_err().to_string();
    assert!(
        error.ends_with(" or 1': Type 'int', expect 'bool'. (Parameter 'filter')"),
        "{error}"
    );
    assert!(error.starts_with("Invalid syntax for '((((((((((((((("));
}

#[test]
fn long_lists_are_fine() {
    let mut text = "userId in ('x'".to_owned();
    while text.len() < FILTER_BYTES - 20 {
        text.push_str(",'y'");
    }
    text.push_str(",'ana')");
    assert!(Filter::parse(&text).unwrap().matches(&Ana));
}
