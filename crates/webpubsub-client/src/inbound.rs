//! A stream that another client publishes to a group, as its reader sees it.

mod feed;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytestring::ByteString;
use futures_util::Stream;
use webpubsub_protocol::frame::StreamError;
use webpubsub_protocol::name::GroupName;
use webpubsub_protocol::session::Fragment;

pub(crate) use feed::{Arrivals, InboundFeeds, Limits};

use feed::Fragments;

/// A stream of fragments. Ends after its last fragment, or with an error.
#[derive(Debug)]
pub struct GroupStream {
    group: GroupName,
    stream_id: ByteString,
    fragments: Arc<Fragments>,
}

impl GroupStream {
    /// The group it is published to.
    #[must_use]
    pub const fn group(&self) -> &GroupName {
        &self.group
    }

    /// The publisher's id for it.
    #[must_use]
    pub fn stream_id(&self) -> &str {
        &self.stream_id
    }

    /// The next fragment; `None` after the last one.
    pub async fn next(&mut self) -> Option<Result<Fragment, GroupStreamError>> {
        std::future::poll_fn(|cx| self.fragments.poll(cx)).await
    }
}

impl Stream for GroupStream {
    type Item = Result<Fragment, GroupStreamError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.fragments.poll(cx)
    }
}

/// A stream is not what its publisher wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupStreamError {
    /// Fragments did not arrive: they were sent while this client had no connection. The stream goes on behind the gap.
    #[error("{missing} fragments did not arrive")]
    Gap {
        /// How many.
        missing: u64,
    },
    /// The publisher, or the service for it, ended it early.
    #[error("the publisher ended the stream early: {}{}", .0.name, code(.0))]
    Failed(StreamError),
    /// Nothing arrived for the idle time-out.
    #[error("the stream was silent for too long")]
    IdleTimeout,
    /// More arrived than may wait to be taken.
    #[error("the stream was not read fast enough")]
    Overflow,
    /// The client was stopped.
    #[error("the client was stopped")]
    Stopped,
    /// The [`GroupStreams`] that it was taken from was dropped.
    #[error("the subscription that the stream belongs to was dropped")]
    Unsubscribed,
}

fn code(error: &StreamError) -> String {
    let code = error.user_error_code.as_ref();
    code.map(|code| format!(" {code}")).unwrap_or_default()
}
