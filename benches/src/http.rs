//! The HTTP door of a store: requests of memhashd's API over kept connections, one at a time on
//! each, as wrk sends them.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};

use crate::kernel::{Machine, cpu_ns};
use crate::process::{Process, free_port};
use crate::{heeler, report};

/// Keys that requests are about.
const KEYS: u64 = 10_000;

#[derive(Args)]
pub struct Options {
    /// Connections.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 32])]
    clients: Vec<u32>,
    /// How long a run takes, in seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Runs; a number is the median of them.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Size of a value, in bytes.
    #[arg(long, default_value_t = 256)]
    value_size: usize,
    /// Threads of heeler.
    #[arg(long, default_value_t = 1)]
    threads: u32,
    /// Another server of the same API that runs already, such as a memhashd: its port.
    #[arg(long, value_name = "PORT")]
    other: Option<u16>,
    /// The program to measure. [beside this one]
    #[arg(long, value_name = "PATH")]
    heeler: Option<PathBuf>,
    /// Where the numbers go.
    #[arg(long, value_name = "FILE", default_value = "target/bench/http.json")]
    json: PathBuf,
}

/// What was measured.
#[derive(Clone, Serialize)]
struct Row {
    server: &'static str,
    method: &'static str,
    clients: u32,
    rps: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// CPU time of the server, where it was started here.
    cpu_s_per_million: Option<f64>,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row {
            server,
            method,
            clients,
            ..
        } = self;
        write!(f, "{server:8} {method} c={clients:<4} {:>9.0}/s", self.rps)?;
        write!(f, "  p50 {:.2} ms  p99 {:.2} ms", self.p50_ms, self.p99_ms)?;
        match self.cpu_s_per_million {
            Some(cpu) => write!(f, "  CPU {cpu:.2} s/million"),
            None => Ok(()),
        }
    }
}

/// Runs the benchmark.
pub fn run(options: &Options) -> Result<()> {
    let heeler = heeler(options.heeler.as_deref())?;
    let machine = Machine::read(&[("heeler", &[&heeler, "--version"])])?;
    println!("{machine}\n");
    let port = free_port()?;
    let (at, threads) = (format!("127.0.0.1:{port}"), options.threads.to_string());
    let args = [
        "serve",
        "--http",
        &at,
        "--threads",
        &threads,
        "--log",
        "warn",
    ];
    let process = Process::start(&heeler, &args, port)?;
    let mut servers = vec![("heeler", port, Some(process.pid()))];
    servers.extend(options.other.map(|port| ("other", port, None)));
    let mut rows = Vec::new();
    for &clients in &options.clients {
        for method in ["PUT", "GET"] {
            for &(server, port, pid) in &servers {
                let load = Load {
                    port,
                    method,
                    clients,
                    options,
                };
                let row = load.measure(server, pid)?;
                println!("{row}");
                rows.push(row);
            }
        }
    }
    report::write(
        &options.json,
        &serde_json::json!({ "machine": machine, "rows": rows }),
    )
}

struct Load<'a> {
    port: u16,
    method: &'static str,
    clients: u32,
    options: &'a Options,
}

impl Load<'_> {
    /// The median of some runs.
    fn measure(&self, server: &'static str, pid: Option<u32>) -> Result<Row> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let mut runs = Vec::new();
        for _ in 0..self.options.rounds {
            LocalSet::new().block_on(&runtime, self.prepare())?;
            let before = pid.map(cpu_ns).transpose()?;
            let mut row = LocalSet::new().block_on(&runtime, self.run(server))?;
            let after = pid.map(cpu_ns).transpose()?;
            let requests = row.rps * self.options.seconds as f64;
            let each = |(after, before): (u64, u64)| (after - before) as f64 / 1e3 / requests;
            row.cpu_s_per_million = after.zip(before).map(each);
            runs.push(row);
        }
        runs.sort_by(|a, b| a.rps.total_cmp(&b.rps));
        Ok(runs[runs.len() / 2].clone())
    }

    /// Stores the keys that are asked for.
    async fn prepare(&self) -> Result<()> {
        let mut client = Client::open(self.port).await?;
        for key in 0..KEYS {
            client.ask(&self.request("PUT", key)).await?;
        }
        Ok(())
    }

    async fn run(&self, server: &'static str) -> Result<Row> {
        let start = Instant::now();
        let end = start + Duration::from_secs(self.options.seconds);
        let requests: Rc<Vec<_>> = Rc::new(
            (0..KEYS)
                .map(|key| self.request(self.method, key))
                .collect(),
        );
        let mut clients = JoinSet::new();
        for seed in 0..self.clients {
            clients.spawn_local(client(self.port, requests.clone(), seed.into(), end));
        }
        let mut latencies = Vec::new();
        while let Some(times) = clients.join_next().await {
            latencies.extend(times??);
        }
        let seconds = start.elapsed().as_secs_f64();
        latencies.sort_unstable();
        let at = |part: f64| {
            let place = (latencies.len() as f64 * part) as usize;
            latencies
                .get(place)
                .map_or(0.0, |t: &Duration| t.as_secs_f64() * 1e3)
        };
        Ok(Row {
            server,
            method: self.method,
            clients: self.clients,
            rps: latencies.len() as f64 / seconds,
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            cpu_s_per_million: None,
        })
    }

    fn request(&self, method: &str, key: u64) -> Vec<u8> {
        let body = match method {
            "PUT" => format!("{{\"data\":\"{}\"}}", "v".repeat(self.options.value_size)),
            _ => String::new(),
        };
        let head = format!("{method} /v1/keys/key:{key} HTTP/1.1\r\nHost: 127.0.0.1\r\n");
        let rest = match method {
            "PUT" => format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
            _ => "\r\n".into(),
        };
        (head + &rest).into_bytes()
    }
}

/// Asks until the end; how long each answer took.
async fn client(
    port: u16,
    requests: Rc<Vec<Vec<u8>>>,
    seed: u64,
    end: Instant,
) -> Result<Vec<Duration>> {
    let mut client = Client::open(port).await?;
    let (mut times, mut random) = (Vec::new(), seed.wrapping_mul(2) + 1);
    loop {
        // Knuth's MMIX.
        random = random
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        let before = Instant::now();
        if before >= end {
            return Ok(times);
        }
        client
            .ask(&requests[(random >> 33) as usize % requests.len()])
            .await?;
        times.push(before.elapsed());
    }
}

/// One connection.
struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    async fn open(port: u16) -> Result<Client> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.set_nodelay(true)?;
        Ok(Client {
            stream,
            buffer: vec![0; 64 * 1024],
        })
    }

    /// Sends a request, and reads the answer, which has to be good.
    async fn ask(&mut self, request: &[u8]) -> Result<()> {
        self.stream.write_all(request).await?;
        let mut length = 0;
        loop {
            let count = self.stream.read(&mut self.buffer[length..]).await?;
            ensure!(count > 0, "the server has closed a connection");
            length += count;
            if is_whole(&self.buffer[..length])? {
                return Ok(());
            }
        }
    }
}

fn is_whole(answer: &[u8]) -> Result<bool> {
    let Some(end) = answer.windows(4).position(|w| w == b"\r\n\r\n") else {
        return Ok(false);
    };
    let head = std::str::from_utf8(&answer[..end])?;
    if !head.starts_with("HTTP/1.1 200") {
        bail!(
            "the server says {}",
            head.lines().next().unwrap_or_default()
        );
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.parse::<usize>().ok())?
    });
    let length = length.context("an answer without a length")?;
    Ok(answer.len() >= end + 4 + length)
}
