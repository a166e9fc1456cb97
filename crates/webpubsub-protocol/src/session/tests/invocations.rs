use super::world::*;
use crate::payload::Payload;
use crate::session::*;

#[test]
fn an_answer_comes_with_its_payload() {
    let mut w = World::connected(SessionConfig::default());
    let request = w.submit(&invoke(None));
    assert_eq!(
        w.written(),
        [
            r#"{"type":"invoke","invocationId":"1","target":"event","event":"sum","dataType":"json","data":[1,2]}"#
        ]
    );
    w.receive(
        r#"{"type":"invokeResponse","invocationId":"1","success":true,"dataType":"json","data":3}"#,
    );
    assert_eq!(
        w.events(),
        [
            Event::Answered {
                request,
                payload: Some(Payload::Json("3".into())),
                metadata: Default::default(),
            },
            Event::Settled {
                request,
                outcome: WRITTEN
            },
        ]
    );
}

// req: C-10-4
#[test]
fn answers_that_nobody_waits_for_are_ignored() {
    let mut w = World::connected(SessionConfig::default());
    w.receive(r#"{"type":"invokeResponse","invocationId":"1","success":true}"#);
    assert_eq!(w.events(), [Event::Ignored(Ignored::UnknownInvocation)]);
}

// req: C-10-1
#[test]
fn ids_are_unique_among_the_pending_ones() {
    let mut w = World::connected(SessionConfig::default());
    w.submit(&invoke(Some("2")));
    assert_eq!(
        w.try_submit(&invoke(Some("2"))),
        Err(SubmitError::InvocationIdInUse)
    );
    w.submit(&invoke(None));
    w.submit(&invoke(None));
    let ids: Vec<_> = w
        .written()
        .iter()
        .map(|frame| frame.split('"').nth(7).map(str::to_owned))
        .collect();
    assert_eq!(ids, ["2", "1", "3"].map(|id| Some(id.to_owned())));
    w.receive(r#"{"type":"invokeResponse","invocationId":"2","success":true}"#);
    w.submit(&invoke(Some("2")));
}

// req: C-10-2
#[test]
fn a_drop_fails_what_was_written_and_nothing_is_tried_again() {
    let mut w = World::connected(SessionConfig::default());
    let written = w.submit(&invoke(None));
    w.written();
    let waiting = w.submit(&invoke(None));
    w.cut();
    let lost = Outcome::Lost(Loss::Closed(Closure::default()));
    assert_eq!(w.settled(), [(written, lost)]);
    w.recover();
    let frames = w.written();
    assert!(
        matches!(&frames[..], [one] if one.contains(r#""invocationId":"2""#)),
        "{frames:?}"
    );
    w.receive(
        r#"{"type":"invokeResponse","invocationId":"2","success":false,"error":{"name":"InternalServerError","message":"no"}}"#,
    );
    assert!(matches!(w.settled()[..], [(id, Outcome::Rejected { .. })] if id == waiting));
    w.advance(SECOND * 15);
    assert_eq!(w.written(), [""; 0], "not even a passing failure");
}

// req: C-10-3
#[test]
fn giving_up_tells_the_service_but_an_error_does_not() {
    let mut w = World::connected(SessionConfig::default());
    let request = w.submit(&invoke(None));
    w.written();
    w.cancel(request);
    assert_eq!(w.settled(), [(request, Outcome::Cancelled)]);
    assert_eq!(
        w.written(),
        [r#"{"type":"cancelInvocation","invocationId":"1"}"#]
    );
    w.receive(r#"{"type":"invokeResponse","invocationId":"1","success":true}"#);
    assert_eq!(w.events(), [Event::Ignored(Ignored::UnknownInvocation)]);

    let request = w.submit(&invoke(None));
    w.written();
    w.receive(
        r#"{"type":"invokeResponse","invocationId":"2","success":false,"error":{"name":"BadRequest"}}"#,
    );
    w.cancel(request);
    assert_eq!(w.written(), [""; 0]);
}
