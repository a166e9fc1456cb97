//! What must hold under load. Each scenario starts an emulator of its own, is bounded in numbers and time, and ends by
//! itself.

use std::time::Instant;

use anyhow::Result;

use crate::report::Findings;
use crate::world::Settings;

mod burst;
mod handlers;
mod memory;
mod self_burst;
mod silence;
mod stalled;

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    run: fn(&Settings, &mut Findings) -> Result<()>,
}

/// All of them.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "burst",
        about: "one publisher sends without pause to readers of every kind",
        run: burst::one_publisher,
    },
    Scenario {
        name: "burst-many",
        about: "many publishers send without pause to readers of every kind",
        run: burst::many_publishers,
    },
    Scenario {
        name: "burst-rest",
        about: "REST callers send without pause to readers of every kind",
        run: burst::rest_callers,
    },
    Scenario {
        name: "conversation",
        about: "members of a group send without pause, and read what all send",
        run: burst::conversation,
    },
    Scenario {
        name: "self-burst",
        about: "a client sends 5,000 requests at once and reads their answers",
        run: self_burst::run,
    },
    Scenario {
        name: "stalled",
        about: "some members of a group do not read",
        run: stalled::among_healthy,
    },
    Scenario {
        name: "stalled-state",
        about: "hundreds of members with group state stop reading, and nobody is left",
        run: stalled::with_group_state,
    },
    Scenario {
        name: "padded",
        about: "small names arrive in frames of a megabyte",
        run: memory::padded_frames,
    },
    Scenario {
        name: "large",
        about: "messages of 256 KiB go to many members, then nothing happens",
        run: memory::large_broadcast,
    },
    Scenario {
        name: "hubs",
        about: "many hubs are used once",
        run: memory::many_hubs,
    },
    Scenario {
        name: "churn",
        about: "clients come, join groups and are gone, again and again",
        run: memory::churn,
    },
    Scenario {
        name: "silence",
        about: "peers vanish, hang up halfway, or do not read while their socket is full",
        run: silence::run,
    },
    Scenario {
        name: "connect-storm",
        about: "many clients connect at once while an event handler decides about each",
        run: handlers::connect_storm,
    },
    Scenario {
        name: "waiting-frames",
        about: "large events wait behind an event handler that does not answer",
        run: handlers::waiting_frames,
    },
];

/// Runs a scenario and records what it finds.
pub fn run(scenario: &Scenario, settings: &Settings, findings: &mut Findings) {
    println!("{}: {}", scenario.name, scenario.about);
    let began = Instant::now();
    if let Err(error) = (scenario.run)(settings, findings) {
        findings.error(&error);
    }
    findings.note(format!("took {:.1} s", began.elapsed().as_secs_f64()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SCENARIOS.len());
    }
}
