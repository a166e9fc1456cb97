//! The text format of Prometheus, version 0.0.4. A registry of metrics would keep a second copy of what the hubs know, so it
//! is written here.

use std::fmt::Write as _;

use super::counts::{BOUNDS, Latency};

type Labels<'a> = [(&'a str, &'a str)];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// The lines so far.
#[derive(Debug, Default)]
pub(super) struct Metrics(String);

impl Metrics {
    /// Begins a family, whose values follow.
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _ = writeln!(self.0, "# HELP {name} {help}.\n# TYPE {name} {kind}");
    }

    pub(super) fn value(&mut self, name: &str, labels: &Labels<'_>, value: u64) {
        self.line(name, "", labels, None, &value.to_string());
    }

    pub(super) fn histogram(&mut self, name: &str, labels: &Labels<'_>, latency: &Latency) {
        let mut count = 0;
        for (index, bucket) in latency.buckets.iter().enumerate() {
            count += bucket;
            let bound = BOUNDS.get(index).map_or("+Inf".to_owned(), f64::to_string);
            self.line(name, "_bucket", labels, Some(&bound), &count.to_string());
        }
        self.line(name, "_sum", labels, None, &latency.seconds.to_string());
        self.line(name, "_count", labels, None, &count.to_string());
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }

    fn line(
        &mut self,
        name: &str,
        suffix: &str,
        labels: &Labels<'_>,
        bound: Option<&str>,
        value: &str,
    ) {
        let labels = labels
            .iter()
            .copied()
            .chain(bound.map(|bound| ("le", bound)));
        let labels = labels.map(|(name, value)| format!("{name}=\"{}\"", escaped(value)));
        let labels = labels.collect::<Vec<_>>().join(",");
        let _ = writeln!(self.0, "{name}{suffix}{{{labels}}} {value}");
    }
}

fn escaped(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '"' => escaped.push_str("\\\""),
            '\n' => escaped.push_str("\\n"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn values_and_histograms_are_written_as_prometheus_reads_them() {
        let mut metrics = Metrics::default();
        metrics.family("a_total", Kind::Counter, "What it is");
        metrics.value("a_total", &[("hub", "q\"b\\\n")], 7);
        let mut latency = Latency::default();
        for millis in [5, 5, 200_000] {
            latency.add(Duration::from_millis(millis));
        }
        let mut twice = latency;
        twice.merge(&latency);
        metrics.histogram("t_seconds", &[], &twice);
        let text = metrics.into_text();
        let head = "# HELP a_total What it is.\n# TYPE a_total counter\na_total{hub=\"q\\\"b\\\\\\n\"} 7\n\
                    t_seconds_bucket{le=\"0.005\"} 4\nt_seconds_bucket{le=\"0.01\"} 4\n";
        assert!(text.starts_with(head), "{text}");
        let tail = "t_seconds_bucket{le=\"100\"} 4\nt_seconds_bucket{le=\"+Inf\"} 6\nt_seconds_sum{} 400.02\nt_seconds_count{} 6\n";
        assert!(text.ends_with(tail), "{text}");
    }
}
