//! Prometheus' text format, version 0.0.4: families with their help and type, samples with their labels.

use std::fmt::{Display, Write};

use skyhaul_engine::Histogram;

/// What the format is called in `Content-Type`.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A name that is measured, the same for all its samples.
#[derive(Debug)]
pub(crate) struct Family {
    /// With its unit at its end.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) help: &'static str,
    /// Names of the labels that its samples have.
    pub(crate) labels: &'static [&'static str],
}

/// How a family's samples change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It grows until the engine ends.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts by upper bounds, with a sum.
    Histogram,
}

/// A page of samples.
#[derive(Debug, Default)]
pub(crate) struct Page(String);

/// Where the samples of one family are put.
#[derive(Debug)]
pub(crate) struct Samples<'a> {
    page: &'a mut String,
    family: &'static Family,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Page {
    /// Begins a family; each may be begun once.
    pub(crate) fn family(&mut self, family: &'static Family) -> Samples<'_> {
        let Family { name, kind, help, .. } = family;
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {}", kind.as_str());
        Samples { page: &mut self.0, family }
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

impl Samples<'_> {
    /// A sample of a family without labels.
    pub(crate) fn value(&mut self, value: impl Display) {
        self.labelled([], value);
    }

    /// A sample; `labels` are the values of the family's labels, in their order.
    pub(crate) fn labelled<const N: usize>(&mut self, labels: [&str; N], value: impl Display) {
        let pairs = self.family.labels.iter().copied().zip(labels);
        line(self.page, self.family.name, "", pairs, value);
    }

    /// All samples of a histogram without labels of its own.
    pub(crate) fn histogram(&mut self, histogram: &Histogram) {
        let name = self.family.name;
        for (bound, count) in histogram.cumulative() {
            let bound = if bound.is_finite() { bound.to_string() } else { "+Inf".to_owned() };
            line(self.page, name, "_bucket", [("le", bound.as_str())], count);
        }
        line(self.page, name, "_sum", [], histogram.sum());
        line(self.page, name, "_count", [], histogram.count());
    }
}

fn line<'a>(
    page: &mut String,
    name: &str,
    suffix: &str,
    labels: impl IntoIterator<Item = (&'a str, &'a str)>,
    value: impl Display,
) {
    page.push_str(name);
    page.push_str(suffix);
    let labels: Vec<_> =
        labels.into_iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
    if !labels.is_empty() {
        let _ = write!(page, "{{{}}}", labels.join(","));
    }
    let _ = writeln!(page, " {value}");
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    static PLAIN: Family = Family { name: "a_total", kind: Kind::Counter, help: "A thing.", labels: &[] };
    static LABELLED: Family = Family { name: "b_bytes", kind: Kind::Gauge, help: "B.", labels: &["x", "y"] };
    static SPREAD: Family = Family { name: "c_bytes", kind: Kind::Histogram, help: "C.", labels: &[] };

    #[test]
    fn it_is_written_as_the_format_wants_it() {
        let mut page = Page::default();
        page.family(&PLAIN).value(3);
        page.family(&LABELLED).labelled(["a\"b\\c\nd", "é"], 0.5);
        page.family(&SPREAD).histogram(&skyhaul_engine::Counts::default().file_bytes);
        let text = page.into_text();
        let head = "# HELP a_total A thing.\n# TYPE a_total counter\na_total 3\n\
                    # HELP b_bytes B.\n# TYPE b_bytes gauge\nb_bytes{x=\"a\\\"b\\\\c\\nd\",y=\"é\"} 0.5\n\
                    # HELP c_bytes C.\n# TYPE c_bytes histogram\nc_bytes_bucket{le=\"1000\"} 0\n";
        assert!(text.starts_with(head), "{text}");
        assert!(text.ends_with("c_bytes_bucket{le=\"+Inf\"} 0\nc_bytes_sum 0\nc_bytes_count 0\n"), "{text}");
    }
}
