//! Every command that the store answers against a real redis-server: thousands of short scripts,
//! each from a seed, that meet few keys and few elements, so that types and options collide. What
//! differs is cut down to the fewest commands that show it.
//!
//! `HEELER_SEEDS=20000` runs more of them, `HEELER_SEED=123` one.

mod oracle;
mod servers;

#[path = "differential/copies.rs"]
mod copies;
#[path = "differential/grammar.rs"]
mod grammar;
#[path = "differential/pair.rs"]
mod pair;

use std::collections::BTreeSet;

use heeler::command::{Flags, Room, TABLE};
use heeler::wire::resp::Protocol;

use grammar::{Generator, LINES};
use pair::Pair;

/// Scripts of each test, where the environment does not say.
const SEEDS: u64 = 2_000;
/// Steps of a script.
const STEPS: usize = 60;

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn compare(protocol: Protocol, parity: u64) {
    let seeds = match from_environment("HEELER_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..2 * from_environment("HEELER_SEEDS").unwrap_or(SEEDS),
    };
    let mut pair = Pair::start(protocol);
    let payloads = pair.payloads();
    for seed in seeds.filter(|seed| seed % 2 == parity) {
        let script = Generator::new(seed, &payloads).script(STEPS);
        if let Err(difference) = pair.run(seed, &script) {
            let (script, difference) = pair.shrink(seed, script, difference);
            let steps: Vec<String> = script.iter().map(ToString::to_string).collect();
            panic!(
                "seed {seed}, {protocol:?}:\n  {}\n{difference}",
                steps.join("\n  ")
            );
        }
    }
}

#[test]
fn scripts_get_the_replies_of_redis() {
    compare(Protocol::Resp2, 0);
}

#[test]
fn scripts_get_the_replies_of_redis_in_resp3() {
    compare(Protocol::Resp3, 1);
}

#[test]
fn no_command_of_the_store_is_left_out() {
    let named: BTreeSet<String> = LINES.lines().flat_map(grammar::commands_of).collect();
    let is_shown = |flags: Flags| !flags.has(Flags::HIDDEN);
    let ours = TABLE
        .iter()
        .filter(|s| s.room == Room::Store && is_shown(s.flags));
    let missing: Vec<&str> = ours
        .filter(|spec| !spec.is_container() && !named.contains(spec.name))
        .map(|spec| spec.name)
        .collect();
    assert!(missing.is_empty(), "no line of the grammar has {missing:?}");
}
