//! Heeler beside the programs that it stands in for, on the same machine and in the same minutes:
//! runs alternate, so that a noisy moment meets all of them.
//!
//! ```text
//! cargo build --release -p heeler
//! cargo run --release -p heeler-bench -- proxy
//! cargo run --release -p heeler-bench -- memcached
//! cargo run --release -p heeler-bench -- items
//! cargo run --release -p heeler-bench -- store --quick
//! cargo run --release -p heeler-bench -- memory
//! cargo run --release -p heeler-bench -- http
//! cargo run --release -p heeler-bench -- collections
//! cargo run --release -p heeler-bench -- ring
//! cargo run --release -p heeler-bench -- ringpop
//! cargo run --release -p heeler-bench -- threads
//! ```

mod batches;
mod collections;
mod contest;
mod eviction;
mod http;
mod idle;
mod kernel;
mod load;
mod memcache;
mod memory;
mod process;
mod report;
mod ring;
mod ringpop;
mod threads;

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::{Args, Parser, Subcommand};

use contest::Contestant;
use idle::Before;
use load::{CLIENTS, Load, Wire};
use process::{Process, free_port};

/// Measures Heeler beside nutcracker, redis-server or ringpop-node.
#[derive(Parser)]
#[command(name = "heeler-bench", version)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// nutcracker and heeler proxy over the same two redis-servers.
    Proxy(Options),
    /// nutcracker and heeler proxy over the same two memcacheds.
    Memcached(Options),
    /// redis-server and heeler serve, also with room for a part of the keys.
    Store(Options),
    /// Two nodes of a ring: through the owner of all keys, and through the other.
    Ring(Options),
    /// memcached and heeler serve --memcached, a thread each.
    Items(Options),
    /// What a key costs: redis-server, memcached and heeler serve.
    Memory(memory::Options),
    /// heeler serve over HTTP, and another server of memhashd's API, if one runs.
    Http(http::Options),
    /// redis-server and heeler serve: what collections cost.
    Collections(collections::Options),
    /// heeler serve with one thread and with two.
    Threads(threads::Options),
    /// ringpop-node and heeler serve --peer: calls, membership, lookups.
    Ringpop(ringpop::Options),
}

#[derive(Args)]
struct Options {
    /// Rounds; a table's cell is the median of them.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Requests of a run without pipelining; a run with P in flight sends P/2 times as
    /// many, 8 times at most, one of N keys at a time or of large values fewer.
    #[arg(long, default_value_t = 150_000, value_parser = clap::value_parser!(u32).range(1..))]
    requests: u32,
    /// Requests in flight on a connection. [store: 1,16,64, others: 1,16]
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    pipeline: Option<Vec<u32>>,
    /// Threads of heeler, a contestant for each number. [proxy: 1, store: 1,2]
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    threads: Option<Vec<u32>>,
    /// Size of a value, in bytes, where the test does not say another. [store: 100, others: 64]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    value_size: Option<u32>,
    /// Only the tests whose line (`get P=1 c=50 64 B`) has this in it.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Idle connections whose memory is measured (proxy).
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    idle: u32,
    /// One round of a tenth of the requests: to see that all of it works.
    #[arg(long)]
    quick: bool,
    /// The program to measure. [beside this one]
    #[arg(long, value_name = "PATH")]
    heeler: Option<PathBuf>,
    /// Where the numbers go. [target/bench/proxy.json, store.json, memcached.json]
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> Result<()> {
    let what = Cli::parse().what;
    if !matches!(what, What::Ringpop(_)) {
        process::stop_on_signals()?;
    }
    match what {
        What::Proxy(options) => compare("proxy", Wire::Redis, options),
        What::Memcached(options) => compare("memcached", Wire::Memcached, options),
        What::Store(options) => compare("store", Wire::Redis, options),
        What::Ring(options) => compare("ring", Wire::Redis, options),
        What::Items(options) => compare("items", Wire::Memcached, options),
        What::Memory(options) => memory::run(&options),
        What::Http(options) => http::run(&options),
        What::Collections(options) => collections::run(&options),
        What::Threads(options) => threads::run(&options),
        What::Ringpop(options) => ringpop::run(&options),
    }
}

/// The same loads for several servers, in turn.
fn compare(name: &str, wire: Wire, options: Options) -> Result<()> {
    let heeler = heeler(options.heeler.as_deref())?;
    let machine = kernel::Machine::read(&[
        ("redis", &["redis-server", "--version"]),
        ("memcached", &["memcached", "--version"]),
        ("nutcracker", &["nutcracker", "-V"]),
        ("heeler", &[&heeler, "--version"]),
    ])?;
    println!("{machine}\n");

    let mut servers = Vec::new();
    let contestants = match name {
        "proxy" | "memcached" => proxies(wire, &heeler, &options, &mut servers)?,
        "ring" => ring::contestants(&heeler, options.threads.as_deref().unwrap_or(&[1]))?,
        "items" => items(&heeler, &options)?,
        _ => stores(&heeler, &options)?,
    };
    let mut crowds = Vec::new();
    if name == "proxy" && options.only.is_none() {
        let clients = if options.quick { 100 } else { options.idle };
        let ways = [Before::OneByOne, Before::AllAtOnce];
        crowds = ways
            .iter()
            .flat_map(|before| contestants.iter().map(move |it| (it, *before)))
            .map(|(contestant, before)| idle::crowd(contestant, clients, before))
            .collect::<Result<_>>()?;
        println!("{}", report::idle_table(&crowds));
    }
    let loads = loads(name, wire, &options);
    ensure!(!loads.is_empty(), "no test is called that way");
    let (evicting, usual): (Vec<_>, Vec<_>) = loads.into_iter().partition(|load| load.evicts);
    let mut cells = contest::run(&contestants, &usual, rounds(&options))?;
    drop(contestants);
    if !evicting.is_empty() {
        let stores = eviction::contestants(&heeler)?;
        cells.extend(contest::run(&stores, &evicting, rounds(&options))?);
        eviction::ensure_evicted(&stores)?;
    }
    println!("{}", report::table(&cells));

    let json = options
        .json
        .unwrap_or_else(|| format!("target/bench/{name}.json").into());
    report::write_json(&json, name, &machine, &cells, &crowds)?;
    println!("{}", json.display());
    Ok(())
}

/// nutcracker first: ratios are to the first. The servers behind go to `servers`.
fn proxies(
    wire: Wire,
    heeler: &str,
    options: &Options,
    servers: &mut Vec<Process>,
) -> Result<Vec<Contestant>> {
    let mut behind = Vec::new();
    for _ in 0..4 {
        let port = free_port()?;
        behind.push(port);
        servers.push(match wire {
            Wire::Redis => redis_server(port, &[])?,
            Wire::Memcached => memcached(port, "1024", 4)?,
        });
    }
    let contestant = |name: String, program: &str, args: &[&str]| {
        let (port, wide_port) = (free_port()?, free_port()?);
        let config =
            pool("two", port, wire, &behind[..2]) + &pool("four", wide_port, wire, &behind);
        Ok::<_, anyhow::Error>(Contestant {
            name,
            port,
            wide_port,
            process: Process::with_config(program, args, &config, port)?,
            with: Vec::new(),
        })
    };
    let stats = free_port()?.to_string();
    let args = ["-a", "127.0.0.1", "-s", &stats, "-c"];
    let mut all = vec![contestant("nutcracker".into(), "nutcracker", &args)?];
    for threads in options.threads.as_deref().unwrap_or(&[1]) {
        let count = threads.to_string();
        let args = ["proxy", "--threads", &count, "-c"];
        all.push(contestant(
            format!("heeler, threads {threads}"),
            heeler,
            &args,
        )?);
    }
    Ok(all)
}

/// A pool of a nutcracker.yml.
fn pool(name: &str, listen: u16, wire: Wire, servers: &[u16]) -> String {
    let redis = wire == Wire::Redis;
    let mut text = format!(
        "{name}:\n  listen: 127.0.0.1:{listen}\n  redis: {redis}\n  hash: fnv1a_64\n  \
         distribution: ketama\n  servers:\n"
    );
    for (index, port) in servers.iter().enumerate() {
        text += &format!("   - 127.0.0.1:{port}:1 server{index}\n");
    }
    text
}

/// redis-server first: ratios are to the first.
fn stores(heeler: &str, options: &Options) -> Result<Vec<Contestant>> {
    let port = free_port()?;
    let redis = redis_server(port, &[])?;
    let mut all = vec![Contestant::alone("redis-server", port, redis)];
    for threads in options.threads.as_deref().unwrap_or(&[1, 2]) {
        let (port, count) = (free_port()?, threads.to_string());
        let process = heeler_store(heeler, port, &["--threads", &count])?;
        let name = format!("heeler, threads {threads}");
        all.push(Contestant::alone(name, port, process));
    }
    Ok(all)
}

/// memcached first, with as many threads as the first heeler.
fn items(heeler: &str, options: &Options) -> Result<Vec<Contestant>> {
    let threads = options.threads.as_deref().unwrap_or(&[1]);
    let first = threads.first().copied().unwrap_or(1);
    let port = free_port()?;
    let process = memcached(port, "4096", first)?;
    let name = format!("memcached, threads {first}");
    let mut all = vec![Contestant::alone(name, port, process)];
    for threads in threads {
        let (port, redis) = (free_port()?, free_port()?);
        let at = |port: u16| format!("127.0.0.1:{port}");
        let (address, redis, count) = (at(port), at(redis), threads.to_string());
        let args = [
            "serve",
            "--redis",
            &redis,
            "--memcached",
            &address,
            "--threads",
            &count,
        ];
        let process = Process::start(heeler, &args, port)?;
        let name = format!("heeler, threads {threads}");
        all.push(Contestant::alone(name, port, process));
    }
    Ok(all)
}

fn redis_server(port: u16, more: &[&str]) -> Result<Process> {
    let at = port.to_string();
    let mut args = vec!["--port", &at, "--bind", "127.0.0.1"];
    args.extend(["--save", "", "--appendonly", "no"]);
    args.extend(more);
    Process::start("redis-server", &args, port)
}

/// `heeler serve` with a door for the Redis protocol.
fn heeler_store(heeler: &str, port: u16, more: &[&str]) -> Result<Process> {
    let address = format!("127.0.0.1:{port}");
    let mut args = vec!["serve", "--redis", &address];
    args.extend(more);
    Process::start(heeler, &args, port)
}

/// With room for so many megabytes of keys, and so many threads.
fn memcached(port: u16, megabytes: &str, threads: u32) -> Result<Process> {
    let (at, threads) = (port.to_string(), threads.to_string());
    let args = [
        "-l",
        "127.0.0.1",
        "-p",
        &at,
        "-U",
        "0",
        "-u",
        "nobody",
        "-m",
        megabytes,
        "-t",
        &threads,
    ];
    Process::start("memcached", &args, port)
}

/// The loads of a bench, those of one data set after the other.
fn loads(name: &str, wire: Wire, options: &Options) -> Vec<Load> {
    let is_store = name == "store";
    let usual = Load {
        wire,
        test: "get",
        pipeline: 1,
        requests: 0,
        clients: CLIENTS,
        value_size: options
            .value_size
            .unwrap_or(if is_store { 100 } else { 64 }),
        wide: false,
        evicts: false,
    };
    let groups = match name {
        "store" => groups_of_store(&usual),
        "ring" => vec![(&["set", "get", "incr", "lpush", "hset"][..], usual)],
        _ => groups_of_proxy(&usual),
    };
    let mut loads = Vec::new();
    for (tests, like) in &groups {
        let in_flight: &[u32] = match is_store && !like.evicts {
            true => &[1, 16, 64],
            false => &[1, 16],
        };
        for pipeline in options.pipeline.as_deref().unwrap_or(in_flight) {
            loads.extend(tests.iter().map(|test| Load {
                test,
                pipeline: *pipeline,
                ..like.clone()
            }));
        }
    }
    for load in &mut loads {
        load.requests = requests(load, options);
    }
    let only = options.only.as_deref().unwrap_or_default();
    loads.retain(|load| load.to_string().contains(only));
    loads
}

/// Tests that are alike but for their names.
type Group = (&'static [&'static str], Load);

/// redis-benchmark's tests, other sizes of values, and more keys than there is room for.
fn groups_of_store(usual: &Load) -> Vec<Group> {
    let mut groups = vec![(load::REDIS_BENCHMARK, usual.clone())];
    for value_size in [16, 4 << 10, 100 << 10] {
        let like = Load {
            value_size,
            ..usual.clone()
        };
        groups.push((&["set", "get"], like));
    }
    let like = Load {
        evicts: true,
        ..usual.clone()
    };
    groups.push((&["set", "get"], like));
    groups
}

/// Values of three sizes, many keys at a time over four servers, many clients.
fn groups_of_proxy(usual: &Load) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for value_size in [usual.value_size, 1 << 10, 16 << 10] {
        let like = Load {
            value_size,
            ..usual.clone()
        };
        groups.push((&["set", "get"], like));
    }
    let wide = Load {
        wide: true,
        ..usual.clone()
    };
    match usual.wire {
        Wire::Memcached => groups.push((&["get10", "get100"], wide)),
        Wire::Redis => {
            groups.push((&["mget10", "mget100"], wide));
            let clients = 1000;
            groups.push((
                &["get"],
                Load {
                    clients,
                    ..usual.clone()
                },
            ));
        }
    }
    groups
}

/// How many requests make a run of some seconds.
fn requests(load: &Load, options: &Options) -> u64 {
    let few = if options.quick { 10 } else { 1 };
    let whole = u64::from(options.requests) * u64::from(load.pipeline / 2).clamp(1, 8);
    let weight = load::weight_of(load.test) + u64::from(load.value_size) / 2048;
    (whole / weight.max(1) / few).max(1)
}

fn rounds(options: &Options) -> u32 {
    if options.quick { 1 } else { options.rounds }
}

/// The path of the program to measure: the release build stands beside this program.
fn heeler(given: Option<&Path>) -> Result<String> {
    let path = match given {
        Some(path) => path.to_path_buf(),
        None => std::env::current_exe()?.with_file_name("heeler"),
    };
    let hint = "build it with `cargo build --release -p heeler`, or give --heeler PATH";
    ensure!(path.is_file(), "there is no {}: {hint}", path.display());
    // Children run in directories of their own.
    Ok(path.canonicalize()?.to_string_lossy().into_owned())
}
