//! Results as Markdown.

use std::fmt::Write as _;

use super::stats::Summary;
use super::{Aim, GroupResult, Measure, RowResult, Sample};

/// Where a document holds the tables.
const BEGIN: &str = "<!-- bench: begin -->\n";
const END: &str = "<!-- bench: end -->\n";

/// What a group's title stands behind.
const HEADING: &str = "### ";

/// One round in one line.
#[must_use]
pub fn sample(sample: &Sample) -> String {
    let values = sample
        .values
        .iter()
        .map(|&(measure, value)| format!("{}: {}", measure.heading(), number(value)));
    let mut text = values.collect::<Vec<_>>().join("; ");
    if let Some(busy) = sample.generator_busy {
        // Writing to a String does not fail.
        let _ = write!(text, "; generator {:.0} % busy", busy * 100.0);
    }
    text
}

/// A group: its heading, what it was measured on, and a table with a line for each side and what the row should reach.
#[must_use]
pub fn markdown(group: &GroupResult, measured_on: &str) -> String {
    let measured = |measure: &Measure| {
        let mut sides = group.rows.iter().flat_map(|row| &row.sides);
        sides.any(|side| side.values.contains_key(measure))
    };
    let measures: Vec<Measure> = Measure::ALL.into_iter().filter(measured).collect();
    let mut text = format!(
        "{HEADING}{}\n\n{measured_on}\n\n| what | who |",
        group.title
    );
    for measure in &measures {
        text += &format!(" {} |", measure.heading());
    }
    text += " aim |\n|---|---|";
    text += &"---:|".repeat(measures.len());
    text += "---|\n";
    for row in &group.rows {
        for (number, side) in row.sides.iter().enumerate() {
            let is_first = number == 0;
            let about = if is_first { row.about.as_str() } else { "" };
            let mark = if side.is_saturated { " \\*" } else { "" };
            text += &format!("| {about} | {}{mark} |", side.name);
            for measure in &measures {
                let value = side.values.get(measure).map(summary);
                let ratio = match row.ratio(*measure) {
                    Some(ratio) if is_first => format!(" = {ratio:.2} ×"),
                    _ => String::new(),
                };
                text += &format!(" {}{ratio} |", value.unwrap_or_default());
            }
            let aims = if is_first { aims(row) } else { String::new() };
            text += &format!(" {aims} |\n");
        }
    }
    let mut sides = group.rows.iter().flat_map(|row| &row.sides);
    if sides.any(|side| side.is_saturated) {
        text += "\n\\* The generator worked all the time: the rate is its own limit, the CPU time is not.\n";
    }
    text
}

/// Puts groups between the marks of a document, each in the place of the one with its title, and the new ones last.
/// Nothing when the document has no marks.
#[must_use]
pub fn replace(document: &str, groups: &[String]) -> Option<String> {
    let (head, rest) = document.split_once(BEGIN)?;
    let (old, tail) = rest.split_once(END)?;
    let title = |group: &str| group.lines().next().unwrap_or_default().to_owned();
    // What stands before the first heading says that there is nothing yet.
    let start = format!("\n{old}");
    let mut all: Vec<String> = start
        .split(&format!("\n{HEADING}"))
        .skip(1)
        .map(|group| format!("{HEADING}{}", group.trim()))
        .collect();
    for group in groups {
        match all.iter_mut().find(|it| title(it) == title(group)) {
            Some(place) => group.trim().clone_into(place),
            None => all.push(group.trim().to_owned()),
        }
    }
    Some(format!(
        "{head}{BEGIN}\n{}\n\n{END}{tail}",
        all.join("\n\n")
    ))
}

fn aims(row: &RowResult) -> String {
    let texts = row.aims.iter().map(|&aim| {
        let text = match aim {
            Aim::AtMost { measure, bound } => format!("{} ≤ {}", measure.heading(), number(bound)),
            Aim::RatioAtLeast { measure, bound } => {
                format!("{} ≥ {bound:.2} ×", measure.heading())
            }
            Aim::RatioAtMost { measure, bound } => {
                format!("{} ≤ {bound:.2} ×", measure.heading())
            }
        };
        match row.meets(aim) {
            Some(true) => format!("{text}: met"),
            Some(false) => format!("{text}: **missed**"),
            None => format!("{text}: not measured"),
        }
    });
    texts.collect::<Vec<_>>().join("; ")
}

fn summary(summary: &Summary) -> String {
    let Summary { median, low, high } = *summary;
    if low == high {
        return number(median);
    }
    format!("{} ({}–{})", number(median), number(low), number(high))
}

/// Three digits that count, thousands in groups.
fn number(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude < 9.995 {
        return format!("{value:.2}");
    }
    if magnitude < 99.95 {
        return format!("{value:.1}");
    }
    let digits = format!("{magnitude:.0}");
    let mut text = if value < 0.0 {
        "-".to_owned()
    } else {
        String::new()
    };
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::SideResult;

    #[test]
    fn numbers_have_the_digits_that_count() {
        for (value, text) in [
            (0.2549, "0.25"),
            (9.999, "10.0"),
            (99.96, "100"),
            (1_234_567.8, "1,234,568"),
            (1_000.0, "1,000"),
            (-2_500.0, "-2,500"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    fn result(saturated: bool) -> GroupResult {
        let side = |name, rate: f64| {
            let sample = Sample {
                values: vec![(Measure::Rate, rate)],
                generator_busy: Some(if saturated { 0.99 } else { 0.1 }),
            };
            SideResult::of(name, &[sample])
        };
        GroupResult {
            name: "g",
            title: "Group",
            rows: vec![RowResult {
                id: "row",
                about: "an operation".to_owned(),
                aims: vec![Aim::RatioAtLeast {
                    measure: Measure::Rate,
                    bound: 0.8,
                }],
                sides: vec![side("ours", 60.0), side("beneath", 100.0)],
            }],
        }
    }

    #[test]
    fn a_table_shows_both_sides_their_ratio_and_the_aim() {
        let expected = "### Group\n\nA machine.\n\n| what | who | rate, 1/s | aim |\n|---|---|---:|---|\n\
            | an operation | ours | 60.0 = 0.60 × | rate, 1/s ≥ 0.80 ×: **missed** |\n\
            |  | beneath | 100 |  |\n";
        assert_eq!(markdown(&result(false), "A machine."), expected);
    }

    #[test]
    fn a_table_says_when_the_generator_was_the_limit() {
        let text = markdown(&result(true), "");
        assert!(text.contains("| ours \\* |"), "{text}");
        assert!(text.ends_with("the CPU time is not.\n"), "{text}");
    }

    #[test]
    fn a_group_takes_its_old_place_and_the_others_stay() {
        let document = format!("before\n{BEGIN}\nNothing yet.\n\n{END}after\n");
        let groups = |names: &[&str]| -> Vec<String> {
            let group = |name: &&str| format!("### {}\n\ntable {name}\n", &name[..1]);
            names.iter().map(group).collect()
        };
        let first = replace(&document, &groups(&["a1", "b1"])).unwrap();
        let tables = "### a\n\ntable a1\n\n### b\n\ntable b1";
        assert_eq!(first, format!("before\n{BEGIN}\n{tables}\n\n{END}after\n"));
        assert_eq!(replace(&first, &groups(&["a1"])), Some(first.clone()));
        let second = replace(&first, &groups(&["a2", "c2"])).unwrap();
        let tables = "### a\n\ntable a2\n\n### b\n\ntable b1\n\n### c\n\ntable c2";
        assert_eq!(second, format!("before\n{BEGIN}\n{tables}\n\n{END}after\n"));
        assert_eq!(replace("no marks", &groups(&["a1"])), None);
    }
}
