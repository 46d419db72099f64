//! Owners found a second, as an application asks for them.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use heeler_ringpop::channel::Channel;
use heeler_ringpop::{Discovery, Request, Ringpop};
use serde::{Deserialize, Serialize};

use super::ring::HASH;
use crate::contest::median;
use crate::process::output_with;

/// Members of the ring, 100 points each.
const MEMBERS: usize = 100;
/// Different keys, asked for again and again.
const KEYS: usize = 1000;
/// How long a ring may take to agree.
const PATIENCE: Duration = Duration::from_secs(30);
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/ringpop/lookups.js");

/// Owners found a second, on one thread.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Rates {
    /// Of the ring alone.
    pub ring: f64,
    /// Of the member: `ringpop.lookup`.
    pub ringpop: f64,
    /// Of the member, three owners of each key: `lookupN(key, 3)`.
    pub ringpop_n3: f64,
}

/// All rates of one contestant, by rounds.
#[derive(Debug, Serialize)]
pub struct Rounds {
    pub who: &'static str,
    pub rounds: Vec<Rates>,
}

/// Measures each kind, in turns.
pub fn run(modules: &str, rounds: u32, time: Duration) -> Result<Vec<Rounds>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let members = runtime.block_on(quiet_ring())?;
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        eprintln!("lookups, round {round} of {rounds}");
        theirs.push(node(modules, time)?);
        ours.push(rates(&members[0], time));
    }
    let round = |who, rounds| Rounds { who, rounds };
    Ok(vec![round("ringpop-node", theirs), round("heeler", ours)])
}

/// Real members of this process. They agree, and have stopped to gossip: what is measured then
/// has a core of its own.
async fn quiet_ring() -> Result<Vec<Ringpop>> {
    let first = Ringpop::builder("kv").hash(HASH).bootstrap().await?;
    let seeds = Discovery::list([first.whoami()]);
    let mut members = vec![first];
    for _ in 1..MEMBERS {
        let member = Ringpop::builder("kv").seeds(seeds.clone());
        let member = member.configure(|config| config.bootstrap.join_size = 1);
        members.push(member.bootstrap().await?);
    }
    let end = Instant::now() + PATIENCE;
    while members.iter().any(|member| member.ring().len() < MEMBERS) {
        ensure!(Instant::now() < end, "{MEMBERS} members do not agree");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let channel = Channel::builder("bench").start().await?;
    for member in &members {
        let stop = Request::raw("ringpop", "bench", "/admin/gossip/stop", "");
        channel.call(member.whoami(), stop, PATIENCE).await?;
    }
    Ok(members)
}

fn node(modules: &str, time: Duration) -> Result<Rates> {
    let (members, ms) = (MEMBERS.to_string(), time.as_millis().to_string());
    let args = [SCRIPT, &members, &ms];
    let output = output_with("node", &args, &[("NODE_PATH", modules)])?;
    serde_json::from_str(&output).with_context(|| output)
}

fn rates(member: &Ringpop, time: Duration) -> Rates {
    let keys: Vec<String> = (0..KEYS).map(|n| format!("key-{n}")).collect();
    let ring = member.ring();
    Rates {
        ring: rate(&keys, time, |key| {
            black_box(ring.lookup(key.as_bytes()));
        }),
        ringpop: rate(&keys, time, |key| {
            black_box(&*member.lookup(key));
        }),
        ringpop_n3: rate(&keys, time, |key| {
            black_box(&*member.lookup_n(key, 3));
        }),
    }
}

fn rate(keys: &[String], time: Duration, lookup: impl Fn(&str)) -> f64 {
    let begun = Instant::now();
    let mut done = 0;
    while begun.elapsed() < time {
        keys.iter().for_each(|key| lookup(black_box(key)));
        done += keys.len();
    }
    done as f64 / begun.elapsed().as_secs_f64()
}

/// Medians, with the ratio to the first contestant's.
pub fn table(all: &[Rounds]) -> String {
    let mut text = format!(
        "{:<28}{:<14}{:>12}{:>8}\n",
        "lookups, 100 members", "who", "a second", "×"
    );
    type Of = fn(&Rates) -> f64;
    let lines: [(&str, Of); 3] = [
        ("ring.lookup(key)", |rates| rates.ring),
        ("ringpop.lookup(key)", |rates| rates.ringpop),
        ("ringpop.lookupN(key, 3)", |rates| rates.ringpop_n3),
    ];
    for (what, of) in lines {
        let middle = |one: &Rounds| median(one.rounds.iter().map(of).collect());
        let base = all.first().map_or(1.0, middle);
        for one in all {
            let (rate, who) = (middle(one), one.who);
            let ratio = rate / base;
            let _ = writeln!(text, "{what:<28}{who:<14}{rate:>12.0}{ratio:>8.1}");
        }
    }
    text
}

#[test]
fn ratios_are_to_the_first() {
    let of = |who, ring| Rounds {
        who,
        rounds: vec![Rates {
            ring,
            ringpop: 1.0,
            ringpop_n3: 1.0,
        }],
    };
    let table = table(&[of("a", 100.0), of("b", 250.0)]);
    assert!(
        table.lines().nth(2).unwrap().ends_with("250     2.5"),
        "{table}"
    );
}
