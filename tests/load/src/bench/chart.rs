//! A bar chart of a group: one block for each row, one bar for each side.

use super::{GroupResult, Measure, SideResult};

const WIDTH: f64 = 760.0;
const LABEL: f64 = 200.0;
const BAR: f64 = 18.0;
const COLOURS: [&str; 4] = ["#0f6cbd", "#8a8886", "#c19c00", "#605e5c"];

/// The chart as SVG. Bars of one row share a scale, rows do not: they measure different things.
#[must_use]
pub fn svg(group: &GroupResult) -> String {
    let mut body = String::new();
    let mut y = 40.0;
    for row in &group.rows {
        let Some(measure) = shown(&row.sides) else {
            continue;
        };
        body += &format!(
            "<text x=\"10\" y=\"{:.0}\" class=\"row\">{} — {}</text>\n",
            y + 12.0,
            escape(&row.about),
            escape(measure.heading()),
        );
        y += 20.0;
        let values = row
            .sides
            .iter()
            .filter_map(|side| side.values.get(&measure));
        let most = values.map(|value| value.high).fold(0.0, f64::max);
        for (number, side) in row.sides.iter().enumerate() {
            let Some(value) = side.values.get(&measure) else {
                continue;
            };
            let scale = if most > 0.0 {
                (WIDTH - LABEL - 120.0) / most
            } else {
                0.0
            };
            let (end, low, high) = (
                value.median * scale,
                LABEL + value.low * scale,
                LABEL + value.high * scale,
            );
            let middle = y + BAR / 2.0;
            body += &format!(
                "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>\n\
                 <rect x=\"{LABEL}\" y=\"{y:.1}\" width=\"{end:.1}\" height=\"{BAR}\" fill=\"{}\"/>\n\
                 <line x1=\"{low:.1}\" y1=\"{middle:.1}\" x2=\"{high:.1}\" y2=\"{middle:.1}\" stroke=\"#000\"/>\n\
                 <text x=\"{:.0}\" y=\"{:.0}\">{:.4}</text>\n",
                LABEL - 8.0,
                middle + 4.0,
                escape(side.name),
                COLOURS[number % COLOURS.len()],
                high.max(LABEL + end) + 8.0,
                middle + 4.0,
                significant(value.median),
            );
            y += BAR + 4.0;
        }
        y += 12.0;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{y:.0}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <style>.row{{font-weight:bold}}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"10\" y=\"22\" font-size=\"16\">{}</text>\n{body}</svg>\n",
        escape(group.title)
    )
}

/// What the bars show: the first of the measures that tells most.
fn shown(sides: &[SideResult]) -> Option<Measure> {
    let order = [
        Measure::Cpu,
        Measure::Rate,
        Measure::Memory,
        Measure::Time,
        Measure::Share,
        Measure::Heap,
    ];
    let is_alone = sides.len() == 1;
    order
        .into_iter()
        .filter(|&measure| !(is_alone && matches!(measure, Measure::Cpu | Measure::Rate)))
        .chain(order)
        .find(|measure| sides.iter().any(|side| side.values.contains_key(measure)))
}

/// Three digits that count, without a unit.
fn significant(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{RowResult, Sample};

    #[test]
    fn a_chart_has_a_bar_for_each_side() {
        let side = |name, cpu| {
            let sample = Sample {
                values: vec![(Measure::Cpu, cpu)],
                generator_busy: None,
            };
            SideResult::of(name, &[sample])
        };
        let chart = svg(&GroupResult {
            name: "g",
            title: "A & B",
            rows: vec![RowResult {
                id: "row",
                about: "a < b".to_owned(),
                aims: Vec::new(),
                sides: vec![side("ours", 5.0), side("beneath", 4.0)],
            }],
        });
        assert_eq!(
            chart.matches("fill=\"#").count(),
            3,
            "the ground and two bars"
        );
        assert!(chart.contains("A &amp; B") && chart.contains("a &lt; b"));
        assert!(chart.contains(">5.00<") && chart.contains(">4.00<"));
    }
}
