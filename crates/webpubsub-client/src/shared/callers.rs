//! Who waits for which request.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::task::Waker;

use webpubsub_protocol::session::RequestId;

use super::Settled;

/// Callers by their requests. Not in order: every request passes through here, and a tree would move its neighbours about.
pub(super) type Callers = HashMap<RequestId, Caller, BuildHasherDefault<NumberHasher>>;

/// Who waits for a request, or how it went.
#[derive(Debug)]
pub(super) enum Caller {
    Waiting(Waker),
    Settled(Settled),
}

/// Spreads the numbers of requests. The session counts them, so nobody can choose some that collide.
#[derive(Debug, Default)]
pub(super) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // The odd number next to 2⁶⁴ divided by the golden ratio: it changes the high bits, too.
        self.0 = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}
