//! What may be typed.

use std::ffi::OsString;

use clap::{Args, Parser, Subcommand};
use heeler::config::pools::Listen;
use heeler::log::{LogFormat, Settings};
use heeler::nutcracker::Flags;

/// Heeler keeps keys with the herd: it shards key-value data over many machines.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, after_help = EXAMPLES)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What to tell of it.
    #[command(flatten)]
    pub log: Log,
}

const EXAMPLES: &str = "\
Examples:
  heeler demo                              three stores and a proxy, to try things out
  heeler proxy -c nutcracker.yml           one address in front of many servers
  heeler proxy -c nutcracker.yml -d -p heeler.pid -o heeler.log
                                           the same in the background
  heeler proxy -c nutcracker.yml -t        check the file, and say what is wrong with it
  heeler proxy -c nutcracker.yml --explain user:1 user:2
                                           which server holds these keys, and why
  heeler serve --redis 127.0.0.1:6380      a store of its own, for any Redis client
  heeler serve --threads 2 --log debug";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Put one address in front of many Redis or memcached servers, as twemproxy does.
    #[command(after_help = "\
Example of a file:
  herd:
    listen: 127.0.0.1:22121
    hash: murmur
    distribution: ketama
    redis: true
    timeout: 400
    servers:
     - 127.0.0.1:6379:1 one
     - 127.0.0.1:6380:1 two")]
    Proxy {
        /// As nutcracker is asked.
        #[command(flatten)]
        flags: Flags,
        /// When the file changes.
        #[command(flatten)]
        watching: Watching,
        /// What to tell of it over HTTP.
        #[command(flatten)]
        admin: Admin,
        /// Print for each key what is hashed of it, and which server of each pool holds it.
        #[arg(long, value_name = "KEY", num_args = 1..)]
        explain: Vec<OsString>,
        /// How many threads.
        #[command(flatten)]
        workers: Workers,
    },
    /// Run a store: an in-memory server for Redis clients.
    #[command(after_help = "\
Examples:
  heeler serve                             on 127.0.0.1:6380, a worker on each core
  heeler serve --redis 10.0.0.1:6379       for other machines
  redis-cli -p 6380 set greeting hello     from another terminal")]
    Serve {
        /// Where to speak the Redis protocol: HOST:PORT, or the path of a Unix socket.
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:6380",
              value_parser = listen)]
        redis: Listen,
        /// What to tell of it over HTTP.
        #[command(flatten)]
        admin: Admin,
        /// How many threads.
        #[command(flatten)]
        workers: Workers,
    },
    /// Run some stores and a proxy over them in one process, to try things out.
    Demo {
        /// How many stores stand behind the proxy.
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
        stores: u16,
        /// How many threads.
        #[command(flatten)]
        workers: Workers,
    },
}

#[derive(Args, Debug)]
pub struct Admin {
    /// Where to answer GET /healthz, /readyz, /metrics, and for a proxy GET /v1/pools and
    /// POST /v1/reload, over HTTP: HOST:PORT. Without it there is no such port. It asks for no
    /// password: keep it on 127.0.0.1 or in a trusted network.
    #[arg(long, value_name = "HOST:PORT", value_parser = host_and_port)]
    pub admin: Option<String>,
}

#[derive(Args, Debug)]
pub struct Watching {
    /// Reload the file when it, or a certificate, key or password file that it names, has changed,
    /// as on SIGHUP [default].
    #[arg(long, overrides_with = "no_watch")]
    watch: bool,
    /// Reload the file only on SIGHUP, or when asked at the admin port.
    #[arg(long)]
    no_watch: bool,
}

impl Watching {
    /// Whether the file is watched: unless the last of the two flags says otherwise.
    pub fn watch(&self) -> bool {
        self.watch || !self.no_watch
    }
}

#[derive(Args, Debug)]
pub struct Workers {
    /// Threads that serve clients [default: one a core].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

impl Workers {
    /// The number, if one was given.
    pub fn threads(&self) -> Option<usize> {
        self.threads.map(usize::from)
    }
}

#[derive(Args, Debug)]
pub struct Log {
    /// What to log to standard error: error, warn, info, debug, trace.
    #[arg(long, global = true, default_value = "info", env = "HEELER_LOG")]
    pub log: String,
    /// How to log: lines for people, or a JSON object a line.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

impl Log {
    /// The settings of the log.
    pub fn settings(self) -> Settings {
        Settings {
            filter: self.log,
            format: self.log_format,
            ..Settings::default()
        }
    }
}

/// Reads an address that cannot be a Unix socket.
fn host_and_port(text: &str) -> Result<String, String> {
    match listen(text)? {
        Listen::Tcp { .. } => Ok(text.into()),
        Listen::Unix { .. } => Err("write HOST:PORT, such as 127.0.0.1:22223".into()),
    }
}

/// Reads an address to listen on.
fn listen(text: &str) -> Result<Listen, String> {
    if text.starts_with('/') {
        return Ok(Listen::Unix {
            path: text.into(),
            permissions: None,
        });
    }
    const FORM: &str = "write HOST:PORT, such as 127.0.0.1:6380, or the path of a Unix socket";
    let (host, port) = text.rsplit_once(':').ok_or(FORM)?;
    let host = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    let port = port
        .parse()
        .map_err(|_| format!("'{port}' is no port; {FORM}"))?;
    match host.is_empty() {
        true => Err(FORM.into()),
        false => Ok(Listen::Tcp {
            host: host.into(),
            port,
        }),
    }
}
