use std::time::Duration;

use std::collections::BTreeSet;

use super::world::*;
use crate::session::*;

fn part(w: &mut World, group: &str, id: &str, number: u64, data: &str) {
    w.receive(&format!(
        r#"{{"type":"message","from":"group","fromUserId":"ann","group":"{group}","dataType":"text","data":"{data}","stream":{{"streamId":"{id}","streamSequenceId":{number}}}}}"#
    ));
}

fn last(w: &mut World, id: &str, number: u64, error: &str) {
    w.receive(&format!(
        r#"{{"type":"message","from":"group","fromUserId":"ann","group":"g","dataType":"text","data":"","stream":{{"streamId":"{id}","streamSequenceId":{number},"endOfStream":true{error}}}}}"#
    ));
}

/// What happened to streams, in short; messages are left out.
fn seen(w: &mut World) -> Vec<String> {
    let mut keys = BTreeSet::new();
    let short = |event: Event| match event {
        Event::StreamOpened {
            stream_id, stream, ..
        } => {
            assert!(keys.insert(stream), "keys are unique");
            Some(format!("open {stream_id}"))
        }
        Event::StreamFragment { fragment, .. } => {
            Some(format!("{} missing {}", fragment.number, fragment.missing))
        }
        Event::StreamEnded { end, .. } => Some(match end {
            StreamEnd::Failed(error) => {
                format!("failed {} {:?}", error.name, error.user_error_code)
            }
            end => format!("{end:?}"),
        }),
        _ => None,
    };
    w.events().into_iter().filter_map(short).collect()
}

fn subscribed(options: StreamOptions) -> World {
    let mut w = World::connected(SessionConfig::default());
    w.session.subscribe_streams(options);
    w
}

#[test]
fn fragments_come_in_order_and_are_messages_too() {
    let mut w = subscribed(StreamOptions::default());
    part(&mut w, "g", "s", 1, "a");
    let events = w.events();
    assert!(matches!(
        &events[..],
        [Event::StreamOpened { .. }, Event::StreamFragment { fragment, .. }, Event::Message(message)]
            if fragment.from_user_id.as_deref() == Some("ann")
                && message.stream.as_ref().is_some_and(|info| info.stream_sequence_id == 1)
    ));
    part(&mut w, "g", "s", 2, "b");
    last(&mut w, "s", 3, "");
    assert_eq!(seen(&mut w), ["2 missing 0", "Complete"]);
    part(&mut w, "g", "s", 1, "a");
    assert_eq!(
        seen(&mut w),
        ["open s", "1 missing 0"],
        "the name is free again"
    );
}

#[test]
fn gaps_are_reported_and_duplicates_dropped() {
    let mut w = subscribed(StreamOptions::default());
    for number in [3, 4, 4, 3, 7] {
        part(&mut w, "g", "s", number, "x");
    }
    last(&mut w, "s", 10, "");
    assert_eq!(
        seen(&mut w),
        [
            "open s",
            "3 missing 0",
            "4 missing 0",
            "7 missing 2",
            "Incomplete { missing: 2 }"
        ]
    );
}

#[test]
fn a_stream_may_fail() {
    let mut w = subscribed(StreamOptions::default());
    part(&mut w, "g", "s", 1, "x");
    last(
        &mut w,
        "s",
        2,
        r#","error":{"name":"UserError","message":"m","userErrorCode":"E42"}"#,
    );
    assert_eq!(
        seen(&mut w),
        ["open s", "1 missing 0", r#"failed UserError Some("E42")"#]
    );
}

#[test]
fn only_from_the_start_when_that_is_wanted() {
    let mut options = StreamOptions::default();
    options.from_start = true;
    let mut w = subscribed(options);
    part(&mut w, "g", "late", 2, "x");
    part(&mut w, "g", "late", 1, "x");
    part(&mut w, "g", "s", 1, "x");
    last(&mut w, "late", 3, "");
    last(&mut w, "unseen", 3, "");
    part(&mut w, "g", "late", 1, "x");
    assert_eq!(
        seen(&mut w),
        ["open s", "1 missing 0", "open late", "1 missing 0"]
    );
}

#[test]
fn subscriptions_are_independent() {
    let mut options = StreamOptions::default();
    options.groups = Some(BTreeSet::from([group("h")]));
    let mut w = subscribed(options);
    let all = w.session.subscribe_streams(StreamOptions::default());
    part(&mut w, "g", "s", 1, "x");
    assert_eq!(seen(&mut w).len(), 2);
    part(&mut w, "h", "s", 1, "x");
    assert_eq!(seen(&mut w).len(), 4);
    w.session.unsubscribe_streams(all);
    part(&mut w, "g", "s", 2, "x");
    part(&mut w, "h", "s", 2, "x");
    assert_eq!(seen(&mut w), ["2 missing 0"]);
}

// req: C-9-8
#[test]
fn a_silent_stream_is_given_up() {
    let mut config = SessionConfig::default();
    config.keep_alive_timeout = Duration::ZERO;
    let mut w = World::connected(config);
    let mut options = StreamOptions::default();
    w.session.subscribe_streams(options.clone());
    options.idle_timeout = Duration::MAX;
    w.session.subscribe_streams(options);
    part(&mut w, "g", "s", 1, "x");
    w.advance(SECOND * 299);
    part(&mut w, "g", "s", 1, "x");
    seen(&mut w);
    w.advance(SECOND * 299);
    assert_eq!(seen(&mut w), [""; 0], "any frame counts");
    w.advance(SECOND);
    assert_eq!(seen(&mut w), ["IdleTimeout"], "the other waits for ever");
}

#[test]
fn a_stop_ends_streams_but_not_subscriptions() {
    let mut w = subscribed(StreamOptions::default());
    part(&mut w, "g", "s", 1, "x");
    w.events();
    w.stop();
    let events = w.events();
    assert!(matches!(
        events[..],
        [
            Event::Disconnected { .. },
            Event::StreamEnded {
                end: StreamEnd::Stopped,
                ..
            },
            Event::Stopped { .. }
        ]
    ));
    assert_eq!(w.session.poll_timeout(), None);
    w.actions();
    w.connect();
    part(&mut w, "g", "s", 2, "x");
    assert_eq!(seen(&mut w), ["open s", "2 missing 0"]);
}

// req: C-9-9
#[test]
fn a_stream_without_a_number_is_an_ordinary_message() {
    let mut w = subscribed(StreamOptions::default());
    for number in [r#""1""#, "null", "-1"] {
        w.receive(&format!(
            r#"{{"type":"message","from":"group","group":"g","dataType":"text","data":"x","stream":{{"streamId":"s","streamSequenceId":{number}}}}}"#
        ));
        let events = w.events();
        assert!(
            matches!(&events[..], [Event::Message(message)] if message.stream.is_none()),
            "{number}: {events:?}"
        );
    }
}

#[test]
fn publishers_cannot_fill_the_memory() {
    let mut w = subscribed(StreamOptions::default());
    for id in 0..10_000 {
        part(&mut w, "g", &id.to_string(), 1, "");
    }
    w.events();
    part(&mut w, "g", "one more", 1, "");
    let events = w.events();
    assert!(matches!(
        events[..],
        [Event::Ignored(Ignored::TooManyStreams), Event::Message(_)]
    ));
    last(&mut w, "17", 2, "");
    part(&mut w, "g", "one more", 2, "");
    assert_eq!(seen(&mut w), ["Complete", "open one more", "2 missing 0"]);
}

#[test]
fn the_largest_number_is_no_trouble() {
    let mut w = subscribed(StreamOptions::default());
    part(&mut w, "g", "s", u64::MAX, "x");
    part(&mut w, "g", "s", u64::MAX, "x");
    last(&mut w, "s", u64::MAX, "");
    assert_eq!(seen(&mut w).len(), 4, "it cannot count on");
}

#[test]
fn a_stream_ends_although_its_last_words_are_missing_or_cannot_be_read() {
    let last = |data: &str| {
        format!(
            r#"{{"type":"message","from":"group","group":"g",{data}"stream":{{"streamId":"s","streamSequenceId":1,"endOfStream":true}}}}"#
        )
    };
    for (data, is_failure) in [
        (r#""dataType":"json","#, false),
        ("", false),
        (r#""dataType":"binary","data":"?","#, true),
        (r#""dataType":"xml","data":"?","#, true),
    ] {
        let mut w = World::connected(SessionConfig::default());
        w.session.subscribe_streams(StreamOptions::default());
        w.receive(&last(data));
        let events = w.events();
        let end = events.iter().find_map(|event| match event {
            Event::StreamEnded { end, .. } => Some(end),
            _ => None,
        });
        let is_expected = match end {
            Some(StreamEnd::Failed(error)) => is_failure && error.name == "InvalidData",
            Some(StreamEnd::Complete) => !is_failure,
            _ => false,
        };
        assert!(is_expected, "{data}: {events:?}");
    }
}

#[test]
fn streams_with_overlong_ids_are_not_kept() {
    let mut w = World::connected(SessionConfig::default());
    w.session.subscribe_streams(StreamOptions::default());
    let id = "s".repeat(1025);
    w.receive(&format!(
        r#"{{"type":"message","from":"group","group":"g","dataType":"text","data":"x","stream":{{"streamId":"{id}","streamSequenceId":1}}}}"#
    ));
    assert!(matches!(
        w.events()[..],
        [Event::Ignored(Ignored::StreamIdTooLong), Event::Message(_)]
    ));
}

#[test]
fn a_fragment_moves_the_time_out_of_its_stream_and_of_no_other() {
    let options = StreamOptions::default().idle_timeout(10 * SECOND);
    let mut w = subscribed(options);
    part(&mut w, "g", "kept", 1, "a");
    part(&mut w, "g", "silent", 1, "a");
    w.advance(6 * SECOND);
    part(&mut w, "g", "kept", 2, "b");
    w.events();
    w.advance(4 * SECOND);
    assert_eq!(seen(&mut w), ["IdleTimeout"]);
    part(&mut w, "g", "kept", 3, "c");
    assert_eq!(seen(&mut w), ["3 missing 0"]);
    w.advance(10 * SECOND);
    assert_eq!(seen(&mut w), ["IdleTimeout"]);
    let ping = SessionConfig::default().keep_alive_interval;
    assert!(w.session.poll_timeout() <= Some(w.now.mono + ping));
}

/// The ratio is some thousand when all streams are looked at.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the time that calls take is what this is about"
)]
fn the_next_deadline_is_found_as_fast_among_many_streams() {
    let asking = |streams: usize| {
        let mut w = subscribed(StreamOptions::default());
        for n in 0..streams {
            part(&mut w, "g", &format!("s{n}"), 1, "a");
        }
        w.events();
        let begin = Instant::now();
        for _ in 0..20_000 {
            std::hint::black_box(w.session.poll_timeout());
        }
        begin.elapsed()
    };
    let (one, many) = (asking(1), asking(10_000));
    assert!(many < 200 * one, "{many:?} in place of {one:?}");
}
