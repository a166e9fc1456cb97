//! `odata!` writes what the official JavaScript helper writes; the texts are its output for the
//! same template and values.

use std::borrow::Cow;

use webpubsub_protocol::name::UserId;
use webpubsub_protocol::odata;

#[test]
fn quotes_text() {
    let user = String::from("vic's");
    assert_eq!(odata!("userId eq {}", user), "userId eq 'vic''s'");
    assert_eq!(odata!("userId eq '{}'", user), "userId eq 'vic''s'");
    assert_eq!(odata!("userId eq ' {}'", user), "userId eq ' vic''s'");
    assert_eq!(odata!("userId eq {}", ""), "userId eq ''");
    assert_eq!(odata!("{} in groups", "'"), "'''' in groups");
    assert_eq!(odata!("userId eq {}", "{}"), "userId eq '{}'");
    drop(user);
}

#[test]
fn an_open_quote_counts_only_right_before_the_value() {
    assert_eq!(
        odata!("userId eq '{}' or userId eq {}", "a", "b"),
        "userId eq 'a' or userId eq 'b'"
    );
    assert_eq!(
        odata!("userId in ('{}','{}')", "a", "b'"),
        "userId in ('a','b''')"
    );
    assert_eq!(
        odata!("userId in ({},{})", "a", "b'"),
        "userId in ('a','b''')"
    );
    // Only the text since the last value counts, not a quote that this value ended with.
    assert_eq!(odata!("concat({}{})", "a", "b"), "concat('a''b')");
}

#[test]
fn writes_other_values_as_they_are() {
    let anonymous: Option<&str> = None;
    assert_eq!(
        odata!(
            "userId eq {} or userId eq {} or length(userId) > {}",
            anonymous,
            "vic's",
            3
        ),
        "userId eq null or userId eq 'vic''s' or length(userId) > 3"
    );
    assert_eq!(odata!("{} eq {}", true, false), "true eq false");
    assert_eq!(odata!("userId eq '{}'", 5), "userId eq '5'");
    assert_eq!(odata!("userId eq '{}'", anonymous), "userId eq 'null'");
    assert_eq!(
        odata!("{} {} {}", -1_i64, u64::MAX, 7_usize),
        "-1 18446744073709551615 7"
    );
}

#[test]
fn takes_whatever_holds_text() {
    let shared: std::sync::Arc<str> = "a".into();
    let user = UserId::new("a").unwrap();
    let texts = [
        odata!("{}", "a"),
        odata!("{}", &"a"),
        odata!("{}", String::from("a")),
        odata!("{}", Cow::Borrowed("a")),
        odata!("{}", shared),
        odata!("{}", Some("a")),
        odata!("{}", &Some(user)),
        odata!("{}", 'a'.to_string(),),
    ];
    assert!(texts.iter().all(|text| text == "'a'"), "{texts:?}");
}

#[test]
fn templates_may_be_constants_with_braces() {
    const TEMPLATE: &str = concat!("userId eq ", "{} or userId eq '{{}}'");
    assert_eq!(odata!(TEMPLATE, "a"), "userId eq 'a' or userId eq '{}'");
    assert_eq!(odata!("true"), "true");
    // A brace is template text like any other for the rule of open quotes.
    assert_eq!(odata!("'{{{}}}'", "a'"), "'{'a'''}'");
}
