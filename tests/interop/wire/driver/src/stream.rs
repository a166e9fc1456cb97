//! A body of known length that arrives in parts.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use azure_core::stream::SeekableStream;
use bytes::Bytes;
use futures_util::AsyncRead;

/// Hands out one part per read.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    parts: Vec<Bytes>,
    left: Vec<Bytes>,
}

impl Parts {
    pub(crate) fn new(mut parts: Vec<Bytes>) -> Self {
        parts.reverse();
        Self {
            left: parts.clone(),
            parts,
        }
    }
}

impl AsyncRead for Parts {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Some(mut part) = self.left.pop() else {
            return Poll::Ready(Ok(0));
        };
        let now = part.split_to(part.len().min(buffer.len()));
        buffer[..now.len()].copy_from_slice(&now);
        if !part.is_empty() {
            self.left.push(part);
        }
        Poll::Ready(Ok(now.len()))
    }
}

#[async_trait::async_trait]
impl SeekableStream for Parts {
    async fn reset(&mut self) -> azure_core::Result<()> {
        self.left = self.parts.clone();
        Ok(())
    }

    fn len(&self) -> Option<u64> {
        Some(self.parts.iter().map(|part| part.len() as u64).sum())
    }
}
