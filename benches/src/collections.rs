//! What collections cost in memory, in redis-server and in heeler: many small ones of each type,
//! and one big one.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::batches::{BATCH, Client, push};
use crate::kernel::{Machine, rss_kib};
use crate::process::free_port;
use crate::{heeler, heeler_store, redis_server, report};

#[derive(Args)]
pub struct Options {
    /// How many small collections of each type.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    small: u64,
    /// How many elements the big ones have.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    big: u64,
    /// Only the kinds whose name has this in it.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// The program to measure. [beside this one]
    #[arg(long, value_name = "PATH")]
    heeler: Option<PathBuf>,
    /// Where the numbers go.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "target/bench/collections.json"
    )]
    json: PathBuf,
}

/// A kind of collection, and the request that adds to it.
struct Kind {
    name: &'static str,
    is_big: bool,
    /// `#` stands for the number of the collection or of the element, `?` for a random one.
    request: &'static str,
    /// How often the rest comes, with the number of the time for `I`.
    repeated: u64,
    rest: &'static str,
}

const fn small(
    name: &'static str,
    request: &'static str,
    repeated: u64,
    rest: &'static str,
) -> Kind {
    Kind {
        name,
        is_big: false,
        request,
        repeated,
        rest,
    }
}

const fn big(name: &'static str, request: &'static str) -> Kind {
    Kind {
        name,
        is_big: true,
        request,
        repeated: 0,
        rest: "",
    }
}

const KINDS: [Kind; 10] = [
    small("hash of 5 fields", "HSET hash:#", 5, "field:I value:#"),
    small("list of 10", "RPUSH list:#", 10, "element:I"),
    small("set of 10 integers", "SADD ints:#", 10, "10I"),
    small("set of 10 words", "SADD words:#", 10, "member:I"),
    small("sorted set of 10", "ZADD zset:#", 10, "1I member:I"),
    big("list, an element", "RPUSH list element:#"),
    big("hash, a field", "HSET hash field:# value:#"),
    big("set, a word", "SADD set member:#"),
    big("set, an integer", "SADD ints ?"),
    big("sorted set, a member", "ZADD zset ? member:#"),
];

/// What was measured of one kind.
#[derive(Serialize)]
struct Row {
    kind: &'static str,
    count: u64,
    /// Resident bytes for each, beyond those before the first.
    redis: f64,
    heeler: f64,
    ratio: f64,
    /// What the server says itself.
    redis_told: f64,
    heeler_told: f64,
    /// The longest wait for sixteen replies, in milliseconds.
    redis_worst_ms: f64,
    heeler_worst_ms: f64,
}

/// What one server took.
struct Taken {
    resident: f64,
    told: f64,
    worst_ms: f64,
}

/// Runs the benchmark.
pub fn run(options: &Options) -> Result<()> {
    let heeler = heeler(options.heeler.as_deref())?;
    let machine = Machine::read(&[
        ("redis", &["redis-server", "--version"]),
        ("heeler", &[&heeler, "--version"]),
    ])?;
    println!("{machine}\n");
    println!(
        "{:<22} {:>9} {:>9} {:>6}   worst wait, ms",
        "bytes for each", "redis", "heeler", ""
    );
    let mut rows = Vec::new();
    let wanted = |kind: &&Kind| {
        options
            .only
            .as_deref()
            .is_none_or(|w| kind.name.contains(w))
    };
    for kind in KINDS.iter().filter(wanted) {
        let count = if kind.is_big {
            options.big
        } else {
            options.small
        };
        let redis = measure(None, kind, count)?;
        let ours = measure(Some(&heeler), kind, count)?;
        let row = Row {
            kind: kind.name,
            count,
            redis: redis.resident,
            heeler: ours.resident,
            ratio: ours.resident / redis.resident,
            redis_told: redis.told,
            heeler_told: ours.told,
            redis_worst_ms: redis.worst_ms,
            heeler_worst_ms: ours.worst_ms,
        };
        println!(
            "{:<22} {:>9.1} {:>9.1} {:>5.2}x  {:>7.2} {:>7.2}   (say {:.1}, {:.1})",
            row.kind,
            row.redis,
            row.heeler,
            row.ratio,
            row.redis_worst_ms,
            row.heeler_worst_ms,
            row.redis_told,
            row.heeler_told,
        );
        rows.push(row);
    }
    report::write(
        &options.json,
        &serde_json::json!({ "machine": machine, "rows": rows }),
    )?;
    println!("{}", options.json.display());
    Ok(())
}

fn measure(heeler: Option<&str>, kind: &Kind, count: u64) -> Result<Taken> {
    let port = free_port()?;
    let process = match heeler {
        None => redis_server(port, &[])?,
        Some(heeler) => heeler_store(heeler, port, &[])?,
    };
    let mut client = Client::connect(port)?;
    let used = |client: &mut Client| client.told("memory", "used_memory");
    let told_before = used(&mut client)?;
    let before = rss_kib(process.pid())?;
    let mut worst = Duration::ZERO;
    for first in (0..count).step_by(BATCH as usize) {
        let numbers = first..(first + BATCH).min(count);
        let (mut requests, lines) = (Vec::new(), numbers.end - first);
        numbers.for_each(|number| push(&kind.request(number), &mut requests));
        worst = worst.max(client.exchange(&requests, lines as usize)?);
    }
    let (after, told) = (rss_kib(process.pid())?, used(&mut client)?);
    Ok(Taken {
        resident: after.saturating_sub(before) as f64 * 1024.0 / count as f64,
        told: (told - told_before) / count as f64,
        worst_ms: worst.as_secs_f64() * 1e3,
    })
}

impl Kind {
    fn request(&self, number: u64) -> String {
        let random = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        let digits = format!("{number:08}");
        let mut text = self.request.to_owned();
        for i in 0..self.repeated {
            text.push(' ');
            text.push_str(&self.rest.replace('I', &i.to_string()));
        }
        text.replace('#', &digits).replace('?', &random.to_string())
    }
}
