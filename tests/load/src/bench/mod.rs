//! What things cost: ours beside the official packages and beside what lies beneath, alternating in one run.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::Serialize;

use stats::Summary;

mod at_work;
pub mod chart;
mod codecs;
mod density;
mod fan_out;
mod http_load;
mod latency;
pub mod machine;
mod peers;
mod sdk;
mod service;
pub mod stats;
pub mod table;

/// The share of a round for which the generator may work before it is said to be the limit itself.
const SATURATED: f64 = 0.9;

/// Where the programs are, and how long to measure.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder with the release programs of this workspace.
    pub programs: PathBuf,
    /// The folder with the scripts for the official JavaScript packages.
    pub scripts: PathBuf,
    /// The Python that has the official packages; without it their sides are left out.
    pub python: Option<PathBuf>,
    /// Fewer and shorter rounds, and smaller numbers: to see that everything runs, not to judge it.
    pub quick: bool,
}

impl Settings {
    fn program(&self, name: &str) -> PathBuf {
        self.programs
            .join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
    }

    fn pick<T>(&self, quick: T, whole: T) -> T {
        if self.quick { quick } else { whole }
    }
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Operations a second.
    Rate,
    /// Time of all processors for one operation, in µs, by the system's accounting.
    Cpu,
    /// Nanoseconds for one operation, by the clock, of work that one thread does.
    Nanoseconds,
    /// Megabytes (10⁶ bytes) a second.
    Throughput,
    /// Half of the latencies are below, in µs.
    Median,
    /// 99 of 100 latencies are below, in µs.
    Percentile99,
    /// KiB of memory for one unit.
    Memory,
    /// KiB of memory that no file backs, for one unit.
    Heap,
    /// Milliseconds.
    Time,
    /// Percent of what it was before.
    Share,
}

impl Measure {
    /// All of them, in the order of columns.
    pub const ALL: [Self; 10] = [
        Self::Rate,
        Self::Cpu,
        Self::Nanoseconds,
        Self::Throughput,
        Self::Median,
        Self::Percentile99,
        Self::Memory,
        Self::Heap,
        Self::Time,
        Self::Share,
    ];

    /// The heading of its column.
    #[must_use]
    pub fn heading(self) -> &'static str {
        match self {
            Self::Rate => "rate, 1/s",
            Self::Cpu => "CPU, µs each",
            Self::Nanoseconds => "ns each",
            Self::Throughput => "MB/s",
            Self::Median => "p50, µs",
            Self::Percentile99 => "p99, µs",
            Self::Memory => "RSS, KiB each",
            Self::Heap => "not in files, KiB each",
            Self::Time => "time, ms",
            Self::Share => "memory, % of before",
        }
    }
}

/// One round of one side.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// What was measured.
    pub values: Vec<(Measure, f64)>,
    /// The share of the time for which the generator worked, when it is what drives the load.
    pub generator_busy: Option<f64>,
}

/// Measures one round.
pub type Round = Box<dyn FnMut(&Settings) -> Result<Sample>>;

/// Who is measured.
pub struct Side {
    /// As it stands in the table.
    pub name: &'static str,
    /// Measures one round.
    pub round: Round,
}

impl fmt::Debug for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Side")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What a row should reach.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Aim {
    /// The first side's median is at most this.
    AtMost {
        /// Of what.
        measure: Measure,
        /// In the unit of the measure.
        bound: f64,
    },
    /// The first side's median, divided by that of the last side, is at least this.
    RatioAtLeast {
        /// Of what.
        measure: Measure,
        /// The quotient.
        bound: f64,
    },
    /// The same quotient is at most this.
    RatioAtMost {
        /// Of what.
        measure: Measure,
        /// The quotient.
        bound: f64,
    },
}

/// One row of the table: the same work, done by each side in turn.
#[derive(Debug)]
pub struct Row {
    /// What it is called on the command line.
    pub id: &'static str,
    /// What one operation is.
    pub about: String,
    /// What it should reach.
    pub aims: Vec<Aim>,
    /// Ours first; what lies beneath, if anything does, last.
    pub sides: Vec<Side>,
}

/// Rows that belong together: one table, one chart.
#[derive(Debug)]
pub struct Group {
    /// What it is called on the command line, and its files.
    pub name: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// Its rows.
    pub rows: Vec<Row>,
}

/// A measured group.
#[derive(Debug, Clone, Serialize)]
pub struct GroupResult {
    /// What it is called.
    pub name: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// Its rows.
    pub rows: Vec<RowResult>,
}

/// A measured row.
#[derive(Debug, Clone, Serialize)]
pub struct RowResult {
    /// What it is called.
    pub id: &'static str,
    /// What one operation is.
    pub about: String,
    /// What it should reach.
    pub aims: Vec<Aim>,
    /// As in [`Row`].
    pub sides: Vec<SideResult>,
}

/// A measured side.
#[derive(Debug, Clone, Serialize)]
pub struct SideResult {
    /// As it stands in the table.
    pub name: &'static str,
    /// What was measured.
    pub values: BTreeMap<Measure, Summary>,
    /// Whether the generator was the limit in most rounds, so that the rate says little.
    pub is_saturated: bool,
}

impl SideResult {
    fn of(name: &'static str, samples: &[Sample]) -> Self {
        let mut values: BTreeMap<Measure, Vec<f64>> = BTreeMap::new();
        for &(measure, value) in samples.iter().flat_map(|sample| &sample.values) {
            values.entry(measure).or_default().push(value);
        }
        let busy: Vec<f64> = samples
            .iter()
            .filter_map(|sample| sample.generator_busy)
            .collect();
        Self {
            name,
            values: values
                .into_iter()
                .filter_map(|(measure, samples)| Some((measure, Summary::of(&samples)?)))
                .collect(),
            is_saturated: stats::percentile(&busy, 50.0).is_some_and(|busy| busy >= SATURATED),
        }
    }
}

impl RowResult {
    fn median(&self, side: Option<&SideResult>, measure: Measure) -> Option<f64> {
        Some(side?.values.get(&measure)?.median)
    }

    /// The first side's median, divided by that of the last one; nothing with one side.
    #[must_use]
    pub fn ratio(&self, measure: Measure) -> Option<f64> {
        let base = self.sides.get(1..)?.last();
        let base = self.median(base, measure)?;
        let ours = self.median(self.sides.first(), measure)?;
        (base > 0.0).then(|| ours / base)
    }

    /// Whether an aim is met; nothing when what it is about was not measured.
    #[must_use]
    pub fn meets(&self, aim: Aim) -> Option<bool> {
        Some(match aim {
            Aim::AtMost { measure, bound } => self.median(self.sides.first(), measure)? <= bound,
            Aim::RatioAtLeast { measure, bound } => self.ratio(measure)? >= bound,
            Aim::RatioAtMost { measure, bound } => self.ratio(measure)? <= bound,
        })
    }
}

/// Every group there is.
#[must_use]
pub fn groups(settings: &Settings) -> Vec<Group> {
    let mut groups = vec![
        fan_out::group(settings),
        latency::group(settings),
        at_work::group(settings),
        density::group(settings),
    ];
    groups.extend(sdk::groups(settings));
    groups.push(codecs::group(settings));
    groups
}

/// Keeps the groups and rows whose name begins with one of `only`; all of them without any.
///
/// # Errors
///
/// Fails when a name fits nothing.
pub fn choose(groups: Vec<Group>, only: &[String]) -> Result<Vec<Group>> {
    let fits = |group: &Group, row: &Row, name: &str| {
        group.name == name || row.id == name || row.id.starts_with(&format!("{name}-"))
    };
    for name in only {
        groups
            .iter()
            .any(|group| group.rows.iter().any(|row| fits(group, row, name)))
            .then_some(())
            .with_context(|| format!("there is no group or row `{name}`; --list shows them"))?;
    }
    Ok(groups
        .into_iter()
        .filter_map(|mut group| {
            let mut rows = std::mem::take(&mut group.rows);
            rows.retain(|row| only.is_empty() || only.iter().any(|name| fits(&group, row, name)));
            group.rows = rows;
            (!group.rows.is_empty()).then_some(group)
        })
        .collect())
}

/// Measures a group: in every round each side of a row in turn, so that what disturbs the machine disturbs all.
///
/// # Errors
///
/// Fails when a side does.
pub fn run(group: Group, settings: &Settings) -> Result<GroupResult> {
    let rounds = settings.pick(2, 7);
    let mut rows = Vec::new();
    for mut row in group.rows {
        println!("{}: {}", row.id, row.about);
        let mut samples = vec![Vec::new(); row.sides.len()];
        for round in 0..rounds {
            for (side, samples) in row.sides.iter_mut().zip(&mut samples) {
                let sample = (side.round)(settings)
                    .with_context(|| format!("{}, {}, round {round}", row.id, side.name))?;
                println!("  {:24} {}", side.name, table::sample(&sample));
                samples.push(sample);
            }
        }
        let sides = row.sides.iter().zip(&samples);
        rows.push(RowResult {
            id: row.id,
            about: row.about,
            aims: row.aims,
            sides: sides
                .map(|(side, samples)| SideResult::of(side.name, samples))
                .collect(),
        });
    }
    Ok(GroupResult {
        name: group.name,
        title: group.title,
        rows,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(name: &'static str, rates: &[f64], busy: f64) -> SideResult {
        let samples: Vec<_> = rates
            .iter()
            .map(|&rate| Sample {
                values: vec![(Measure::Rate, rate)],
                generator_busy: Some(busy),
            })
            .collect();
        SideResult::of(name, &samples)
    }

    fn row(sides: Vec<SideResult>) -> RowResult {
        RowResult {
            id: "row",
            about: String::new(),
            aims: Vec::new(),
            sides,
        }
    }

    #[test]
    fn a_ratio_compares_the_medians_of_the_first_and_the_last() {
        let row = row(vec![
            side("ours", &[80.0, 70.0, 500.0], 0.1),
            side("peer", &[1.0], 0.1),
            side("beneath", &[100.0, 90.0, 110.0], 0.1),
        ]);
        assert_eq!(row.ratio(Measure::Rate), Some(0.8));
        assert_eq!(row.ratio(Measure::Cpu), None);
        let measure = Measure::Rate;
        let meets = |bound| row.meets(Aim::RatioAtLeast { measure, bound });
        assert_eq!((meets(0.8), meets(0.81)), (Some(true), Some(false)));
        let meets = |bound| row.meets(Aim::AtMost { measure, bound });
        assert_eq!((meets(80.0), meets(79.0)), (Some(true), Some(false)));
    }

    #[test]
    fn one_side_has_no_ratio() {
        let row = row(vec![side("ours", &[80.0], 0.1)]);
        assert_eq!(row.ratio(Measure::Rate), None);
    }

    #[test]
    fn a_generator_that_never_rests_is_the_limit() {
        assert!(side("ours", &[1.0, 2.0], 0.95).is_saturated);
        assert!(!side("ours", &[1.0, 2.0], 0.5).is_saturated);
    }

    #[test]
    fn groups_and_rows_are_chosen_by_name() {
        let settings = Settings {
            programs: PathBuf::new(),
            scripts: PathBuf::new(),
            python: None,
            quick: true,
        };
        let choose = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            choose(groups(&settings), &names).map(|groups| {
                let rows = groups.iter().flat_map(|group| &group.rows);
                rows.map(|row| row.id).collect::<Vec<_>>()
            })
        };
        assert!(choose(&["nothing"]).is_err());
        assert_eq!(choose(&["start"]).unwrap(), ["start"]);
        assert!(choose(&["density"]).unwrap().contains(&"start"));
        assert!(choose(&["members"]).unwrap().len() > 2);
        let all = choose(&[]).unwrap();
        let mut unique = all.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(all.len(), unique.len());
    }
}
