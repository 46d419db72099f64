//! OpenMetrics text, read strictly.
//! (<https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md>)

use std::collections::{BTreeMap, BTreeSet};

/// Labels with their values, sorted.
type Labels = BTreeMap<String, String>;

/// All samples.
#[derive(Debug, Default)]
pub struct Samples {
    values: BTreeMap<String, Vec<(Labels, f64)>>,
}

impl Samples {
    /// Reads the text. Panics where it is not as it must be.
    pub fn read(text: &str) -> Samples {
        let (mut samples, mut family, mut seen) = (Samples::default(), None, BTreeSet::new());
        let body = text.strip_suffix("# EOF\n").expect("an end");
        for line in body.lines() {
            if let Some(told) = line.strip_prefix("# ") {
                let [what, name, rest] = told.splitn(3, ' ').collect::<Vec<_>>()[..] else {
                    panic!("{line}")
                };
                if what == "TYPE" {
                    assert!(seen.insert(name), "{name} comes twice");
                    family = Some((name, rest));
                }
                assert!(matches!(what, "TYPE" | "HELP" | "UNIT"), "{line}");
                continue;
            }
            let (series, value) = line.rsplit_once(' ').expect(line);
            let (name, labels) = match series.split_once('{') {
                Some((name, rest)) => (name, labels(rest.strip_suffix('}').expect(line))),
                None => (series, Labels::new()),
            };
            let (family, kind) = family.expect(line);
            let suffix = name.strip_prefix(family).expect(line);
            let suffixes: &[&str] = match kind {
                "counter" => &["_total"],
                "gauge" => &[""],
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => panic!("{kind}"),
            };
            assert!(suffixes.contains(&suffix), "{line} of a {kind}");
            let of_name = samples.values.entry(name.into()).or_default();
            assert!(of_name.iter().all(|(l, _)| *l != labels), "{line} twice");
            of_name.push((labels, value.parse().expect(line)));
        }
        samples.check_histograms();
        samples
    }

    /// Steps grow, and the last is the count.
    fn check_histograms(&self) {
        for (name, of_name) in &self.values {
            let Some(family) = name.strip_suffix("_bucket") else {
                continue;
            };
            for (labels, count) in &self.values[&format!("{family}_count")] {
                let is_of = |l: &Labels| labels.iter().all(|(n, v)| l.get(n) == Some(v));
                let steps = of_name.iter().filter(|(l, _)| is_of(l)).map(|(_, v)| *v);
                let steps: Vec<f64> = steps.collect();
                assert!(steps.is_sorted(), "{name} {labels:?}");
                assert_eq!(steps.last(), Some(count), "{name} {labels:?}");
            }
        }
    }

    /// The value of a name with exactly these labels, `a=1,b=2`; 0 if there is none.
    pub fn get(&self, name: &str, labels: &str) -> f64 {
        let wanted: Labels = labels
            .split(',')
            .filter_map(|l| l.split_once('='))
            .map(|(n, v)| (n.into(), v.into()))
            .collect();
        let of_name = self.values.get(name).map_or(&[][..], Vec::as_slice);
        let found = of_name.iter().find(|(labels, _)| *labels == wanted);
        found.map_or(0.0, |(_, value)| *value)
    }

    /// The sum of all values of a name.
    pub fn sum(&self, name: &str) -> f64 {
        let of_name = self.values.get(name).map_or(&[][..], Vec::as_slice);
        of_name.iter().map(|(_, value)| value).sum()
    }

    /// How many series there are.
    pub fn len(&self) -> usize {
        self.values.values().map(Vec::len).sum()
    }

    /// All values of a label.
    pub fn values_of(&self, label: &str) -> BTreeSet<&str> {
        let all = self.values.values().flatten();
        all.filter_map(|(l, _)| l.get(label).map(String::as_str))
            .collect()
    }
}

fn labels(text: &str) -> Labels {
    let pairs = text.split("\",").filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once("=\"").expect(text);
            (name.into(), value.trim_end_matches('"').into())
        })
        .collect()
}
