//! What LATENCY tells people: GRAPH, DOCTOR, HELP.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::super::lines;
use super::{EVICTION_CYCLE, EXPIRE_CYCLE, Event, Sample};
use crate::command::Reply;

/// Columns of a graph.
const COLUMNS: usize = 80;
/// Rows of a graph above its labels.
const ROWS: usize = 4;
/// How full a row's place is.
const LEVELS: [char; 3] = ['_', 'o', '#'];

/// The samples of an event as a graph, as Redis draws it. `now` is in seconds since 1970.
pub(super) fn graph(now: u64, name: &str, event: &Event) -> String {
    let took = || event.samples.iter().map(|sample| sample.took);
    let (high, low) = (took().max().unwrap_or(0), took().min().unwrap_or(0));
    let most = event.most;
    let mut text = format!("{name} - high {high} ms, low {low} ms (all time high {most} ms)\n");
    text.extend(std::iter::repeat_n('-', COLUMNS));
    text.push('\n');
    let samples: Vec<Sample> = event.samples.iter().copied().collect();
    for (i, part) in samples.chunks(COLUMNS).enumerate() {
        if i > 0 {
            text.push('\n');
        }
        draw(now, part, (low, high), &mut text);
    }
    text
}

fn draw(now: u64, samples: &[Sample], (low, high): (u64, u64), text: &mut String) {
    let steps = LEVELS.len() * ROWS;
    let range = (high - low).max(1) as f64;
    let step =
        |s: &Sample| (((s.took - low) as f64 * steps as f64 / range) as usize).min(steps - 1);
    for row in (0..ROWS).rev() {
        let place = |s: &Sample| match step(s).checked_sub(row * LEVELS.len()) {
            None => ' ',
            Some(level) => LEVELS.get(level).copied().unwrap_or('|'),
        };
        text.extend(samples.iter().map(place));
        text.push('\n');
    }
    text.extend(samples.iter().map(|_| ' '));
    text.push('\n');
    // How long ago each was, from above to below.
    let labels: Vec<Vec<char>> = samples
        .iter()
        .map(|s| ago(now.saturating_sub(s.time)).chars().collect())
        .collect();
    for row in 0..labels.iter().map(Vec::len).max().unwrap_or(0) {
        let place = |label: &Vec<char>| label.get(row).copied().unwrap_or(' ');
        text.extend(labels.iter().map(place));
        text.push('\n');
    }
}

fn ago(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// What there is to say of all events.
pub(super) fn doctor(threshold: u64, events: &BTreeMap<&'static str, Event>) -> String {
    if threshold == 0 {
        return "Latency is not watched. \"CONFIG SET latency-monitor-threshold <milliseconds>\" \
                has what takes so long become a sample.\n"
            .into();
    }
    if events.is_empty() {
        return format!(
            "Nothing has taken {threshold} ms or longer since latency is watched, or since LATENCY \
             RESET.\n"
        );
    }
    let mut text = String::from("Since latency is watched, or since LATENCY RESET:\n\n");
    for (i, (name, event)) in events.iter().enumerate() {
        let _ = writeln!(text, "{}. {name}: {}", i + 1, summary(event));
    }
    text.push('\n');
    if events.contains_key("command") || events.contains_key("fast-command") {
        text.push_str(
            "- SLOWLOG GET shows which commands are slow. Commands that go through many keys or \
             elements (KEYS, SORT, HGETALL, LRANGE 0 -1, DEL of a large value) may be replaced by \
             SCAN and its kin, ranges, UNLINK.\n",
        );
    }
    if events.contains_key("fast-command") {
        text.push_str(
            "- A command that Redis calls fast was slow: it has waited for others on its keys, or \
             the machine has too little processor time or memory (swapping).\n",
        );
    }
    if events.contains_key(EXPIRE_CYCLE) {
        text.push_str(
            "- Many keys expire at the same time, or large ones: give them times to live that \
             differ a little.\n",
        );
    }
    if events.contains_key(EVICTION_CYCLE) {
        text.push_str(
            "- Much is evicted at a time: more memory (maxmemory), or smaller values, would let it \
             be less.\n",
        );
    }
    text
}

/// The samples of an event in numbers.
fn summary(event: &Event) -> String {
    let count = event.samples.len() as u64;
    let mean = |sum: u64| sum / count.max(1);
    let average = mean(event.samples.iter().map(|s| s.took).sum());
    let deviations = event.samples.iter().map(|s| s.took.abs_diff(average));
    let deviation = mean(deviations.sum());
    let times = event.samples.front().zip(event.samples.back());
    let span = times.map_or(0, |(first, last)| last.time.saturating_sub(first.time));
    format!(
        "{count} samples in {span} s, {average} ms on average (mean deviation {deviation} ms), {} \
         ms at most",
        event.most
    )
}

pub(super) fn help() -> Reply {
    lines(&[
        "LATENCY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "DOCTOR",
        "    Return a human readable latency analysis report.",
        "GRAPH <event>",
        "    Return an ASCII latency graph for the <event> class.",
        "HISTORY <event>",
        "    Return time-latency samples for the <event> class.",
        "LATEST",
        "    Return the latest latency samples for all events.",
        "RESET [<event> ...]",
        "    Reset latency data of one or more <event> classes.",
        "    (default: reset all data for all event classes)",
        "HISTOGRAM [COMMAND ...]",
        "    Return a cumulative distribution of latencies in the format of a histogram for the \
         specified command names.",
        "    If no commands are specified then all histograms are replied.",
        "HELP",
        "    Prints this help.",
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(took: &[u64]) -> Event {
        let at = |(i, took): (usize, &u64)| Sample {
            time: 1000 + i as u64,
            took: *took,
        };
        Event {
            samples: took.iter().enumerate().map(at).collect(),
            most: 70,
        }
    }

    /// What redis-server 7.0.15 draws of one sample, and of three.
    #[test]
    fn a_graph_is_that_of_redis() {
        let drawn = |head: &str, rows: &[&str]| {
            let rule = "-".repeat(80);
            format!(
                "command - {head} (all time high 70 ms)\n{rule}\n{}\n",
                rows.join("\n")
            )
        };
        assert_eq!(
            graph(1000, "command", &event(&[50])),
            drawn(
                "high 50 ms, low 50 ms",
                &[" ", " ", " ", "_", " ", "0", "s"]
            )
        );
        let rows = ["  #", " #|", " ||", "_||", "   ", "115", "mm9", "  s"];
        assert_eq!(
            graph(1061, "command", &event(&[10, 40, 55])),
            drawn("high 55 ms, low 10 ms", &rows)
        );
        let many = graph(2000, "command", &event(&[7; 100]));
        assert_eq!(many.lines().count(), 2 + 8 + 1 + 8);
    }

    #[test]
    fn the_doctor_sees_what_there_is() {
        let none = BTreeMap::new();
        assert!(doctor(0, &none).contains("not watched"));
        assert!(doctor(100, &none).contains("Nothing has taken 100 ms"));
        let events = BTreeMap::from([("command", event(&[10, 30])), (EXPIRE_CYCLE, event(&[5]))]);
        let told = doctor(5, &events);
        assert!(told.contains(
            "1. command: 2 samples in 1 s, 20 ms on average (mean deviation 10 ms), 70 ms at most\n"
        ));
        assert!(told.contains("2. expire-cycle: 1 samples in 0 s, 5 ms on average"));
        assert!(told.contains("SLOWLOG GET") && told.contains("times to live"));
        assert!(!told.contains("calls fast"));
    }
}
