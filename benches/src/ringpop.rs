//! Heeler beside ringpop-node: calls of the key-value service, membership, lookups.
//!
//! The client of both is one and the same: a TChannel connection of Heeler's library, on one
//! thread. Members are processes of their own with one thread for calls.

mod calls;
mod lookups;
mod membership;
mod ring;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::json;

use crate::kernel::Machine;
use crate::{heeler, process, report};
use ring::Kind;

/// What is measured, and how long.
#[derive(Args)]
pub struct Options {
    /// Rounds of calls and lookups; a table's cell is the median of them.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Milliseconds of each run of calls or lookups.
    #[arg(long, value_name = "MS", default_value_t = 1000,
          value_parser = clap::value_parser!(u64).range(1..))]
    time: u64,
    /// Rings that are started, and of which a member is killed; each takes some seven seconds.
    #[arg(long, value_name = "RUNS", default_value_t = 5,
          value_parser = clap::value_parser!(u32).range(1..))]
    membership: u32,
    /// Only `membership`, `lookups`, or the calls whose line (`local get 32`) has this in it.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// One short round of everything: to see that all of it works.
    #[arg(long)]
    quick: bool,
    /// The program to measure. [beside this one]
    #[arg(long, value_name = "PATH")]
    heeler: Option<PathBuf>,
    /// Where ringpop-node is installed. [target/peers, where .ci/peers installs it]
    #[arg(long, value_name = "DIR")]
    peers: Option<PathBuf>,
    /// Where the numbers go.
    #[arg(long, value_name = "FILE", default_value = "target/bench/ringpop.json")]
    json: PathBuf,
}

/// Measures, prints the tables, and writes the numbers.
pub fn run(options: &Options) -> Result<()> {
    process::stop_on_signals()?;
    let heeler = heeler(options.heeler.as_deref())?;
    let modules = modules(options.peers.as_deref())?;
    let version = format!("require('{modules}/ringpop/package.json').version");
    let machine = Machine::read(&[
        ("node", &["node", "--version"]),
        ("ringpop", &["node", "-p", &version]),
        ("heeler", &[&heeler, "--version"]),
    ])?;
    println!("{machine}\n");

    // Ringpop first: ratios are to the first.
    let kinds = [Kind::Node(&modules), Kind::Heeler(&heeler)];
    let (rounds, time, runs) = match options.quick {
        true => (1, Duration::from_millis(options.time / 10), 1),
        false => (
            options.rounds,
            Duration::from_millis(options.time),
            options.membership,
        ),
    };
    let only = options.only.as_deref().unwrap_or_default();
    let wanted = |part: &str| only.is_empty() || only == part;

    let calls = calls::run(&kinds, rounds, time, only)?;
    if !calls.is_empty() {
        println!("{}", calls::table(&calls));
    }
    let mut membership = Vec::new();
    if wanted("membership") {
        membership = membership::run(&kinds, runs)?;
        println!("{}", membership::table(&membership));
    }
    let mut lookups = Vec::new();
    if wanted("lookups") {
        lookups = lookups::run(&modules, rounds, time)?;
        println!("{}", lookups::table(&lookups));
    }
    let measured = !(calls.is_empty() && membership.is_empty() && lookups.is_empty());
    ensure!(measured, "nothing is called that way");
    let all = json!({
        "bench": "ringpop",
        "machine": machine,
        "calls": calls,
        "membership": membership,
        "lookups": lookups,
    });
    report::write(&options.json, &all)?;
    println!("{}", options.json.display());
    Ok(())
}

/// The `node_modules` with ringpop in it.
fn modules(given: Option<&Path>) -> Result<String> {
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers");
    let modules = given.unwrap_or(&usual).join("node_modules");
    let there = modules.join("ringpop").is_dir();
    ensure!(
        there,
        "there is no ringpop in {}: run .ci/peers",
        modules.display()
    );
    let modules = modules.canonicalize()?;
    let modules = modules.to_str().context("a path that is no UTF-8")?;
    Ok(modules.to_string())
}

/// A runtime on this thread, whose tasks and connections end with it.
fn alone() -> Result<tokio::runtime::Runtime> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    Ok(runtime.enable_all().build()?)
}
