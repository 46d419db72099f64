//! What the kernel says of a process and of the machine (Linux, proc(5)).

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::thread;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::process::output_of;

/// CPU time that a process's threads have used, in nanoseconds, user and system together.
///
/// The first number of `/proc/PID/task/*/schedstat`: exact, where `/proc/PID/stat` counts ticks of
/// 10 ms. Threads that have ended are not in it; servers keep theirs.
pub fn cpu_ns(pid: u32) -> Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else {
            // It has ended since the listing.
            continue;
        };
        let first = text
            .split_whitespace()
            .next()
            .context("an empty schedstat")?;
        sum += first.parse::<u64>()?;
    }
    Ok(sum)
}

/// Memory of a process that is in RAM, in KiB: `VmRSS`.
pub fn rss_kib(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.context("no VmRSS")?.parse()?)
}

/// Where the numbers come from.
#[derive(Serialize)]
pub struct Machine {
    cores: usize,
    cpu: String,
    kernel: String,
    load: String,
    /// What each program says of its version.
    #[serde(flatten)]
    programs: BTreeMap<&'static str, String>,
}

impl Machine {
    /// Asks the kernel, and the programs for their versions: a name, and the command to ask with.
    pub fn read(programs: &[(&'static str, &[&str])]) -> Result<Machine> {
        let cpus = fs::read_to_string("/proc/cpuinfo")?;
        let cpu = cpus
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let load = fs::read_to_string("/proc/loadavg")?;
        let version = |(name, command): &(&'static str, &[&str])| {
            let output = output_of(command[0], &command[1..])?;
            Ok((*name, first_line(&output)))
        };
        Ok(Machine {
            cores: thread::available_parallelism()?.get(),
            cpu: cpu.map_or("unknown", |(_, name)| name).to_string(),
            kernel: first_line(&fs::read_to_string("/proc/sys/kernel/osrelease")?),
            load: load
                .split_whitespace()
                .take(3)
                .collect::<Vec<_>>()
                .join(" "),
            programs: programs.iter().map(version).collect::<Result<_>>()?,
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} cores of {}, Linux {}",
            self.cores, self.cpu, self.kernel
        )?;
        write!(f, "load before: {}", self.load)?;
        for (name, version) in &self.programs {
            write!(f, "\n{name}: {version}")?;
        }
        Ok(())
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_string()
}

#[test]
fn this_process_uses_cpu_and_memory() {
    let pid = std::process::id();
    let before = cpu_ns(pid).unwrap();
    let mut x = 1u64;
    for i in 0..20_000_000u64 {
        x = std::hint::black_box(x.wrapping_mul(i | 1));
    }
    assert!(cpu_ns(pid).unwrap() > before);
    assert!(rss_kib(pid).unwrap() > 100);
}
