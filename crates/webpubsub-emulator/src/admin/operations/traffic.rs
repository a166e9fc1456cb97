//! The traffic log.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, future, stream};
use webpubsub_protocol::name::{ConnectionId, GroupName, HubName};

use super::{Context, Outcome};
use crate::admin::answer::{AdminError, Answer};
use crate::admin::generated::{GetTraffic, GetTrafficEntry, ResendEvent};
use crate::traffic::{TrafficEntry, TrafficEvent};

const NDJSON: &str = "application/x-ndjson; charset=utf-8";

pub(in crate::admin) async fn get_traffic(context: &Context<'_>, wanted: GetTraffic) -> Outcome {
    let log = context.service.traffic();
    let (after, limit) = (wanted.after, wanted.limit);
    let follow = wanted.follow;
    let filter = Filter::new(wanted)?;
    let mut kept = log.kept();
    // Without a gap between what is kept and what follows, whatever happens meanwhile.
    let next = kept.last().map_or(1, |entry| entry.number + 1);
    let looks_back = !follow || after.is_some() || limit.is_some();
    kept.retain(|entry| {
        looks_back && after.is_none_or(|after| entry.number > after) && filter.fits(entry)
    });
    let limit = limit.and_then(|limit| usize::try_from(limit).ok());
    let hidden = limit.map_or(0, |limit| kept.len().saturating_sub(limit));
    let kept: Vec<Bytes> = kept[hidden..].iter().map(|entry| line(entry)).collect();
    if !follow {
        return Ok(Answer::text(NDJSON, Body::from(kept.concat())));
    }
    let following = log.follow_from(next).filter(move |entry| {
        // Whoever follows must know what it has missed.
        let is_gap = matches!(entry.event, TrafficEvent::Missed { .. });
        future::ready(is_gap || filter.fits(entry))
    });
    let lines = stream::iter(kept).chain(following.map(|entry| line(&entry)));
    Ok(Answer::text(NDJSON, body(lines.take_until(context.over()))))
}

pub(in crate::admin) async fn get_traffic_entry(
    context: &Context<'_>,
    GetTrafficEntry { number }: GetTrafficEntry,
) -> Outcome {
    Ok(Answer::json(&*entry(context, number)?))
}

pub(in crate::admin) async fn resend_event(
    context: &Context<'_>,
    ResendEvent { number }: ResendEvent,
) -> Outcome {
    let entry = entry(context, number)?;
    let TrafficEvent::HandlerCall {
        sent: Some(sent), ..
    } = &entry.event
    else {
        let problem = "this entry is no event that can be sent again: `connect` events, events that went to a closure, and \
                       those with more than 256 KiB are not kept";
        return Err(AdminError::bad_parameter("number", problem));
    };
    let resent = context.service.handlers().resend(sent.event()).await;
    let resent = resent.map_err(|problem| AdminError::not_found("Handler", problem))?;
    Ok(Answer::json(&resent))
}

fn entry(context: &Context<'_>, number: u64) -> Result<Arc<TrafficEntry>, AdminError> {
    let entry = context.service.traffic().entry(number);
    entry.ok_or_else(|| {
        let message = format!("Entry {number} is not, or no longer, in the log.");
        AdminError::not_found("Entry", message)
    })
}

fn line(entry: &TrafficEntry) -> Bytes {
    let mut line = serde_json::to_vec(entry).expect("texts and numbers always serialise");
    line.push(b'\n');
    line.into()
}

fn body(lines: impl Stream<Item = Bytes> + Send + 'static) -> Body {
    Body::from_stream(lines.map(Ok::<_, Infallible>))
}

/// Which entries are wanted.
struct Filter {
    hub: Option<HubName>,
    user: Option<String>,
    connection: Option<ConnectionId>,
    group: Option<GroupName>,
    kinds: Vec<String>,
}

impl Filter {
    fn new(wanted: GetTraffic) -> Result<Self, AdminError> {
        const KINDS: &[&str] = TrafficEvent::KINDS;
        if let Some(unknown) = wanted.kind.iter().find(|it| !KINDS.contains(&it.as_str())) {
            let problem = format!("`{unknown}` is none of {}", KINDS.join(", "));
            return Err(AdminError::bad_parameter("kind", &problem));
        }
        Ok(Self {
            hub: wanted.hub,
            user: wanted.user,
            connection: wanted.connection,
            group: wanted.group,
            kinds: wanted.kind,
        })
    }

    fn fits(&self, entry: &TrafficEntry) -> bool {
        fn is<T: PartialEq>(wanted: Option<&T>, found: Option<&T>) -> bool {
            wanted.is_none() || wanted == found
        }

        let event = &entry.event;
        let user = event.user_id().map(|user| user.as_str());
        is(self.hub.as_ref(), event.hub())
            && (self.user.is_none() || self.user.as_deref() == user)
            && is(self.connection.as_ref(), event.connection_id())
            && is(self.group.as_ref(), event.group())
            && (self.kinds.is_empty() || self.kinds.iter().any(|kind| kind == event.kind()))
    }
}
