//! Ids that nobody guesses, or that a seed repeats.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use webpubsub_protocol::name::ConnectionId;

/// Draws connection ids and other secrets. Seeded, it draws the same ones each run.
pub(crate) struct Ids(StdRng);

impl Ids {
    /// From the system's randomness, or from `seed` and the name of what draws the ids.
    pub(crate) fn new(seed: Option<u64>, stream: &str) -> Self {
        let rng = match seed {
            None => StdRng::from_os_rng(),
            Some(seed) => {
                // FNV-1a: hubs of one seed draw different ids, whichever is made first.
                let mix = stream
                    .bytes()
                    .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
                    });
                StdRng::seed_from_u64(seed ^ mix)
            }
        };
        Self(rng)
    }

    /// 32 lower-case hexadecimal digits.
    pub(crate) fn connection_id(&mut self) -> ConnectionId {
        ConnectionId::new(self.token_id()).expect("hexadecimal digits are an id")
    }

    /// What makes a token differ from all others: 32 lower-case hexadecimal digits.
    pub(crate) fn token_id(&mut self) -> String {
        format!("{:032x}", self.0.random::<u128>())
    }

    /// A random UUID (version 4), as Microsoft's services name requests.
    pub(crate) fn guid(&mut self) -> String {
        let mut bits = self.0.random::<u128>();
        bits = bits & !(0xf << 76) | 4 << 76;
        bits = bits & !(0x3 << 62) | 2 << 62;
        let hex = format!("{bits:032x}");
        let parts = [
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..],
        ];
        parts.join("-")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guids_are_of_version_4() {
        let mut ids = Ids::new(Some(1), "");
        for _ in 0..100 {
            let guid = ids.guid();
            assert_eq!(guid.len(), 36, "{guid}");
            assert_eq!(&guid[14..15], "4", "{guid}");
            assert!("89ab".contains(&guid[19..20]), "{guid}");
        }
        assert_ne!(ids.guid(), ids.guid());
    }

    #[test]
    fn a_seed_repeats_per_stream() {
        let draw = |seed, stream| Ids::new(seed, stream).connection_id();
        assert_eq!(draw(Some(1), "chat"), draw(Some(1), "chat"));
        assert_ne!(draw(Some(1), "chat"), draw(Some(1), "news"));
        assert_ne!(draw(Some(1), "chat"), draw(Some(2), "chat"));
        assert_ne!(draw(None, "chat"), draw(None, "chat"));
        assert_eq!(draw(None, "chat").as_str().len(), 32);
    }
}
