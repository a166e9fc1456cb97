//! The bugs that can be planted, in either side.

use webpubsub_emulator::driven;
use webpubsub_protocol::session;

use crate::WorldName;

/// A bug that can be planted; its world is where it must be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    /// In the emulator's hub.
    Hub(driven::Plant),
    /// In the client's session.
    Session(session::Plant),
}

impl Plant {
    /// All of both sides.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let hub = driven::Plant::ALL.iter().copied().map(Self::Hub);
        let session = session::Plant::ALL.iter().copied().map(Self::Session);
        hub.chain(session).collect()
    }

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hub(plant) => plant.name(),
            Self::Session(plant) => plant.name(),
        }
    }

    /// The world that must find it.
    #[must_use]
    pub const fn world(self) -> WorldName {
        match self {
            Self::Hub(_) => WorldName::Hub,
            Self::Session(_) => WorldName::Session,
        }
    }

    /// Plants it for what this thread runs.
    #[cfg(feature = "planted")]
    pub(crate) fn select(self) {
        match self {
            Self::Hub(plant) => driven::select_plant(Some(plant)),
            Self::Session(plant) => session::select_plant(Some(plant)),
        }
    }

    #[cfg(feature = "planted")]
    pub(crate) fn select_none() {
        driven::select_plant(None);
        session::select_plant(None);
    }
}
