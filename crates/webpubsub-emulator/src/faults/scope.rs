//! What a rule applies to, and what it is held against.

use webpubsub_protocol::name::{ConnectionId, GroupName, HubName, UserId};

use crate::hub::MessageKind;
use crate::traffic::Direction;

/// Where something can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Before a WebSocket is opened.
    Upgrade,
    /// Before an operation of the REST API is carried out.
    Operation,
    /// After that, before it is answered.
    Answer,
    /// On the line of a client, from the moment when it is open.
    Line,
    /// When a client sends a frame, or is sent one.
    Frame,
    /// When an event handler is sent an event.
    Handler,
}

impl Place {
    pub(super) const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Something that is about to happen. Whatever is `None` is unknown, or does not apply.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Subject<'a> {
    pub(crate) hub: Option<&'a HubName>,
    pub(crate) user: Option<&'a UserId>,
    pub(crate) connection: Option<&'a ConnectionId>,
    pub(crate) group: Option<&'a GroupName>,
    /// The name of the operation in the description of the REST API.
    pub(crate) operation: Option<&'a str>,
    /// The name of the event.
    pub(crate) event: Option<&'a str>,
    pub(crate) frame: Option<(Direction, MessageKind)>,
}

/// What a rule applies to: everything that is set must be so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) hub: Option<String>,
    pub(super) user: Option<String>,
    pub(super) connection: Option<String>,
    pub(super) group: Option<String>,
    pub(super) operation: Option<String>,
    pub(super) handler: Option<String>,
    pub(super) direction: Option<Direction>,
    pub(super) frame: Option<MessageKind>,
}

impl Scope {
    pub(super) fn matches(&self, place: Place, subject: &Subject<'_>) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        let (direction, frame) = subject.frame.unzip();
        // Hub names are not case-sensitive.
        let is_hub = self.hub.as_deref().is_none_or(|wanted| {
            subject
                .hub
                .is_some_and(|found| found.as_str().eq_ignore_ascii_case(wanted))
        });
        is_hub
            && is(&self.user, subject.user.map(UserId::as_str))
            && is(&self.connection, subject.connection.map(ConnectionId::as_str))
            && is(&self.group, subject.group.map(GroupName::as_str))
            && self.operation.as_deref().is_none_or(|wanted| {
                subject
                    .operation
                    .is_some_and(|found| is_operation(wanted, found))
            })
            && is(&self.handler, subject.event)
            // On a line it says which way is disturbed.
            && (place == Place::Line || self.direction.is_none_or(|wanted| direction == Some(wanted)))
            && self.frame.is_none_or(|wanted| frame == Some(wanted))
    }
}

/// Whether a name is that of an operation, with or without what comes before its underscore, in any case.
pub(super) fn is_operation(name: &str, operation: &str) -> bool {
    let short = operation
        .split_once('_')
        .map_or(operation, |(_, name)| name);
    name.eq_ignore_ascii_case(operation) || name.eq_ignore_ascii_case(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_set_must_be_so() {
        let some = |text: &str| Some(text.to_owned());
        let hub = HubName::new("chat").expect("a name");
        let user = UserId::new("ana").expect("a name");
        let subject = Subject {
            hub: Some(&hub),
            user: Some(&user),
            operation: Some("WebPubSub_SendToAll"),
            frame: Some((Direction::Out, MessageKind::Ack)),
            ..Subject::default()
        };
        let matches = |scope: &Scope| scope.matches(Place::Frame, &subject);
        assert!(matches(&Scope::default()));
        let mut scope = Scope {
            hub: some("Chat"),
            user: some("ana"),
            operation: some("sendToAll"),
            direction: Some(Direction::Out),
            frame: Some(MessageKind::Ack),
            ..Scope::default()
        };
        assert!(matches(&scope));
        scope.group = some("room");
        assert!(!matches(&scope), "it has no group");
        scope.group = None;
        scope.user = some("Ana");
        assert!(!matches(&scope), "user ids are case-sensitive");
        scope.user = None;
        scope.direction = Some(Direction::In);
        assert!(!matches(&scope));
        assert!(scope.matches(Place::Line, &subject));
    }
}
