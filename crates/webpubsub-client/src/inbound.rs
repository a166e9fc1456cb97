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

/// A stream that another client publishes. It ends after its last fragment, or with an error.
#[derive(Debug)]
pub struct GroupStream {
    group: GroupName,
    stream_id: ByteString,
    fragments: Arc<Fragments>,
}

impl GroupStream {
    /// The group that it is published to.
    #[must_use]
    pub const fn group(&self) -> &GroupName {
        &self.group
    }

    /// The id that its publisher gave it.
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

/// Why a stream is not complete.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupStreamError {
    /// Fragments are missing, because they were sent while this client had no connection. The stream continues after the
    /// gap.
    #[error("{missing} fragments did not arrive")]
    Gap {
        /// The number of missing fragments.
        missing: u64,
    },
    /// The publisher ended the stream early, or the service did so on its behalf.
    #[error("the publisher ended the stream early: {}{}", .0.name, code(.0))]
    Failed(StreamError),
    /// No fragment arrived for longer than the idle time-out.
    #[error("the stream was silent for too long")]
    IdleTimeout,
    /// The stream was not read fast enough: more fragments arrived than may wait to be read.
    #[error("the stream was not read fast enough")]
    Overflow,
    /// The client was stopped.
    #[error("the client was stopped")]
    Stopped,
    /// The [`GroupStreams`](crate::GroupStreams) that it was taken from was dropped.
    #[error("the subscription that the stream belongs to was dropped")]
    Unsubscribed,
}

fn code(error: &StreamError) -> String {
    let code = error.user_error_code.as_ref();
    code.map(|code| format!(" {code}")).unwrap_or_default()
}
