//! Heeler beside the programs that it stands in for, on the same machine and in the same minutes:
//! runs alternate, so that a noisy moment meets all of them.
//!
//! ```text
//! cargo build --release -p heeler
//! cargo run --release -p heeler-bench -- proxy
//! cargo run --release -p heeler-bench -- memcached
//! cargo run --release -p heeler-bench -- store --quick
//! ```

mod contest;
mod kernel;
mod load;
mod memcache;
mod process;
mod report;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Args, Parser, Subcommand};

use contest::Contestant;
use load::{Load, Wire};
use process::{Process, free_port};

/// Measures Heeler beside nutcracker or redis-server .
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
    /// redis-server and heeler serve.
    Store(Options),
}

#[derive(Args)]
struct Options {
    /// Rounds; a table's cell is the median of them.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Requests of a run without pipelining; a run with P in flight sends P/2 times as
    /// many, one of N keys at a time an Nth of that.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1..))]
    requests: u32,
    /// Requests in flight on a connection.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16],
          value_parser = clap::value_parser!(u32).range(1..))]
    pipeline: Vec<u32>,
    /// Threads of heeler, a contestant for each number. [proxy: 1, store: 1,2]
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    threads: Option<Vec<u32>>,
    /// Size of a value, in bytes.
    #[arg(long, default_value_t = 64)]
    value_size: u32,
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
    let (name, tests, options) = match Cli::parse().what {
        What::Proxy(options) => ("proxy", &["set", "get"][..], options),
        What::Memcached(options) => ("memcached", &["set", "get", "get10", "get100"][..], options),
        What::Store(options) => ("store", &["set", "get", "incr"][..], options),
    };
    let wire = match name {
        "memcached" => Wire::Memcached,
        _ => Wire::Redis,
    };
    process::stop_on_signals()?;
    let heeler = heeler(&options)?;
    let machine = kernel::Machine::read(&heeler)?;
    println!("{machine}\n");

    let mut servers = Vec::new();
    let contestants = match name {
        "proxy" | "memcached" => proxies(wire, &heeler, &options, &mut servers)?,
        _ => stores(&heeler, &options)?,
    };
    let cells = contest::run(
        &contestants,
        &loads(wire, tests, &options),
        rounds(&options),
    )?;
    println!("{}", report::table(&cells));

    let json = options
        .json
        .unwrap_or_else(|| format!("target/bench/{name}.json").into());
    report::write_json(&json, name, &machine, &cells)?;
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
    let ports = [free_port()?, free_port()?];
    for port in ports {
        servers.push(match wire {
            Wire::Redis => redis_server(port)?,
            Wire::Memcached => memcached(port)?,
        });
    }
    let redis = wire == Wire::Redis;
    let config = |listen: u16| {
        format!(
            "bench:\n  listen: 127.0.0.1:{listen}\n  redis: {redis}\n  hash: fnv1a_64\n  \
             distribution: ketama\n  servers:\n   - 127.0.0.1:{}:1 one\n   - 127.0.0.1:{}:1 two\n",
            ports[0], ports[1]
        )
    };
    let (port, stats) = (free_port()?, free_port()?.to_string());
    let args = ["-a", "127.0.0.1", "-s", &stats, "-c"];
    let process = Process::with_config("nutcracker", &args, &config(port), port)?;
    let mut all = vec![Contestant {
        name: "nutcracker".into(),
        port,
        process,
    }];
    for threads in options.threads.as_deref().unwrap_or(&[1]) {
        let (port, count) = (free_port()?, threads.to_string());
        let args = ["proxy", "--threads", &count, "-c"];
        let process = Process::with_config(heeler, &args, &config(port), port)?;
        all.push(Contestant {
            name: format!("heeler, threads {threads}"),
            port,
            process,
        });
    }
    Ok(all)
}

/// redis-server first: ratios are to the first.
fn stores(heeler: &str, options: &Options) -> Result<Vec<Contestant>> {
    let port = free_port()?;
    let process = redis_server(port)?;
    let mut all = vec![Contestant {
        name: "redis-server".into(),
        port,
        process,
    }];
    for threads in options.threads.as_deref().unwrap_or(&[1, 2]) {
        let port = free_port()?;
        let (address, count) = (format!("127.0.0.1:{port}"), threads.to_string());
        let args = ["serve", "--redis", &address, "--threads", &count];
        let process = Process::start(heeler, &args, port)?;
        all.push(Contestant {
            name: format!("heeler, threads {threads}"),
            port,
            process,
        });
    }
    Ok(all)
}

fn redis_server(port: u16) -> Result<Process> {
    let at = port.to_string();
    let args = [
        "--port",
        &at,
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
    ];
    Process::start("redis-server", &args, port)
}

/// With room for all keys.
fn memcached(port: u16) -> Result<Process> {
    let at = port.to_string();
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
        "1024",
    ];
    Process::start("memcached", &args, port)
}

fn loads(wire: Wire, tests: &[&'static str], options: &Options) -> Vec<Load> {
    let requests = if options.quick {
        options.requests / 10
    } else {
        options.requests
    }
    .max(1);
    let load = |pipeline: u32, test| Load {
        wire,
        test,
        pipeline,
        requests: u64::from(requests) * u64::from(pipeline / 2).max(1)
            / memcache::keys(test).max(1),
        value_size: options.value_size,
    };
    let pipelines = options.pipeline.iter();
    pipelines
        .flat_map(|p| tests.iter().map(|test| load(*p, *test)))
        .collect()
}

fn rounds(options: &Options) -> u32 {
    if options.quick { 1 } else { options.rounds }
}

/// The path of the program to measure: the release build stands beside this program.
fn heeler(options: &Options) -> Result<String> {
    let beside = || Ok::<_, std::io::Error>(std::env::current_exe()?.with_file_name("heeler"));
    let path = options.heeler.clone().map_or_else(beside, Ok)?;
    let hint = "build it with `cargo build --release -p heeler`, or give --heeler PATH";
    ensure!(path.is_file(), "there is no {}: {hint}", path.display());
    // Children run in directories of their own.
    Ok(path.canonicalize()?.to_string_lossy().into_owned())
}
