//! The table for people and the file for programs.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::contest::Cell;
use crate::idle::Crowd;
use crate::kernel::Machine;

/// Medians, a line for each load and contestant, with the ratios to the load's first contestant.
pub fn table(cells: &[Cell]) -> String {
    let mut text = format!(
        "{:<12}{:>3}{:>6}{:>7}  {:<20}{:>10}{:>10}{:>8}{:>8}{:>8}{:>9}{:>7}\n",
        "test",
        "P",
        "c",
        "bytes",
        "who",
        "req/s",
        "CPU s/M",
        "p50 ms",
        "p99 ms",
        "RSS MB",
        "× req/s",
        "× CPU"
    );
    let mut first = &cells[0];
    for cell in cells {
        if cell.load != first.load {
            first = cell;
        }
        let (load, run, base) = (&cell.load, &cell.median, &first.median);
        let _ = write!(
            text,
            "{:<12}{:>3}{:>6}{:>7}  {:<20}{:>10.0}{:>10.3}{:>8.3}{:>8.3}{:>8.1}",
            load.test,
            load.pipeline,
            load.clients,
            load.value_size,
            cell.who,
            run.rps,
            run.cpu_s_per_million,
            run.p50_ms,
            run.p99_ms,
            run.rss_kib / 1024.0,
        );
        if !std::ptr::eq(cell, first) {
            let cpu = run.cpu_s_per_million / base.cpu_s_per_million;
            let _ = write!(text, "{:>9.2}{cpu:>7.2}", run.rps / base.rps);
        }
        text.push('\n');
    }
    text
}

/// What idle connections cost, a line for each contestant.
pub fn idle_table(crowds: &[Crowd]) -> String {
    let mut text = format!(
        "{:<20}{:<12}{:>8}{:>12}{:>12}{:>12}\n",
        "idle", "used", "clients", "RSS before", "after MB", "KiB each"
    );
    for crowd in crowds {
        let grown = crowd.after_kib.saturating_sub(crowd.before_kib) as f64;
        let _ = writeln!(
            text,
            "{:<20}{:<12}{:>8}{:>12.1}{:>12.1}{:>12.2}",
            crowd.who,
            crowd.before.name(),
            crowd.clients,
            crowd.before_kib as f64 / 1024.0,
            crowd.after_kib as f64 / 1024.0,
            grown / f64::from(crowd.clients),
        );
    }
    text
}

/// Everything measured, as JSON.
pub fn write_json(
    path: &Path,
    name: &str,
    machine: &Machine,
    cells: &[Cell],
    crowds: &[Crowd],
) -> Result<()> {
    let all = json!({ "bench": name, "machine": machine, "cells": cells, "idle": crowds });
    write(path, &all)
}

/// Writes a file for programs.
pub fn write(path: &Path, all: &Value) -> Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    }
    let text = serde_json::to_string_pretty(all)? + "\n";
    fs::write(path, text).with_context(|| path.display().to_string())
}

#[test]
fn ratios_are_to_the_first_of_the_same_load() {
    let cell = |test, who: &str, rps, cpu| {
        let median = crate::contest::Run {
            rps,
            cpu_s_per_million: cpu,
            p50_ms: 1.0,
            p99_ms: 2.0,
            rss_kib: 1024.0,
        };
        let load = crate::load::Load {
            wire: crate::load::Wire::Redis,
            test,
            pipeline: 1,
            requests: 1,
            clients: 1,
            value_size: 1,
            wide: false,
            evicts: false,
        };
        Cell {
            load,
            who: who.into(),
            median,
            runs: Vec::new(),
        }
    };
    let cells = [
        cell("set", "a", 100.0, 8.0),
        cell("set", "b", 150.0, 2.0),
        cell("get", "a", 10.0, 1.0),
        cell("get", "b", 30.0, 0.5),
    ];
    let table = table(&cells);
    let lines: Vec<Vec<&str>> = table
        .lines()
        .map(|l| l.split_whitespace().collect())
        .collect();
    assert!(lines[1].ends_with(&["1.000", "2.000", "1.0"]));
    assert!(lines[2].ends_with(&["1.50", "0.25"]));
    assert!(lines[3].ends_with(&["1.000", "2.000", "1.0"]));
    assert!(lines[4].ends_with(&["3.00", "0.50"]));
}
