//! Filters: reading is deterministic, negation excludes, and quoted text is that text.

use webpubsub_protocol::filter::{Filter, FilterSubject, quote};
use webpubsub_protocol::limits::FILTER_BYTES;

use crate::check;

/// Bytes of memory for each byte of a filter: nodes of its syntax tree.
const FACTOR: usize = 400;

struct Subject {
    user_id: Option<&'static str>,
    protocol: Option<&'static str>,
    groups: &'static [&'static str],
}

const SUBJECTS: [Subject; 3] = [
    Subject {
        user_id: None,
        protocol: None,
        groups: &[],
    },
    Subject {
        user_id: Some("ana"),
        protocol: Some("json.webpubsub.azure.v1"),
        groups: &["g", "vip"],
    },
    Subject {
        user_id: Some("İß😀"),
        protocol: Some(""),
        groups: &[""],
    },
];

impl FilterSubject for Subject {
    fn user_id(&self) -> Option<&str> {
        self.user_id
    }

    fn connection_id(&self) -> &str {
        "connection-1"
    }

    fn protocol(&self) -> Option<&str> {
        self.protocol
    }

    fn in_group(&self, group: &str) -> bool {
        self.groups.contains(&group)
    }

    fn group_count(&self) -> usize {
        self.groups.len()
    }
}

pub(super) fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    quoted(text);
    let parsed = check::frugal(text.len(), FACTOR, || Filter::parse(text));
    let filter = match parsed {
        Ok(filter) => filter,
        // The service's texts repeat the expression that is wrong, spelled out.
        Err(error) => return check::error(&error, 256 + 16 * text.len()),
    };
    assert!(text.len() <= FILTER_BYTES);
    assert_eq!(filter.as_str(), text);
    assert_eq!(Filter::parse(text).as_ref(), Ok(&filter));
    // Both may nest too deeply.
    if let Ok(same) = Filter::parse(&format!("({text})")) {
        assert_eq!(same, filter);
    }
    let negated = Filter::parse(&format!("not ({text})")).ok();
    for subject in &SUBJECTS {
        let matches = filter.matches(subject);
        assert_eq!(filter.matches(subject), matches);
        // Neither matches where it is ill typed.
        if let Some(negated) = &negated {
            assert!(!(matches && negated.matches(subject)));
        }
    }
}

/// Any text can be put into a filter.
fn quoted(text: &str) {
    let literal = quote::quote(text);
    let source = format!("{literal} eq {literal}");
    if source.len() > FILTER_BYTES {
        return;
    }
    let filter = Filter::parse(&source).expect("quoted text is a literal");
    assert!(filter.matches(&SUBJECTS[0]));
    let trimmed = format!("concat({literal}, 'x') eq {literal}");
    let filter = Filter::parse(&trimmed).expect("quoted text is a literal");
    assert!(!filter.matches(&SUBJECTS[0]));
}
