//! What may be typed.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use heeler::admin::Debugging;
use heeler::call;
use heeler::config::pools::{Listen, Source};
use heeler::log::{LogFormat, Settings};
use heeler::nutcracker::Flags;
use heeler::route::{PARTITIONS, Terms};
use heeler::serve::{AuthClients, TlsDoor};
use heeler::store::{MemoryLimit, Numbering, Policy, memory_bytes};
use heeler::{limits, member, peer, ring, serve, slowlog};
use heeler_ringpop::{Discovery, RingHash};

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
  heeler serve --threads 2 --log debug
  heeler serve --peer 127.0.0.1:3000       a node of a ring; others --join it
  heeler ring --peer 127.0.0.1:3000        who is in that ring
  heeler ringpop -l 127.0.0.1:3001 -h hosts.json
                                           a bare member of a Ringpop ring
  heeler call -p 127.0.0.1:3000 kv get [ --key foo ]
                                           calls a TChannel service, as tcurl does";

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
        /// Which commands are slow.
        #[command(flatten)]
        slowlog: SlowLog,
    },
    /// Run a store: an in-memory server for Redis clients.
    #[command(after_help = "\
Examples:
  heeler serve                             on 127.0.0.1:6380 and, for HTTP, 8001; a worker on
                                           each core
  heeler serve --redis 10.0.0.1:6379       for other machines
  heeler serve --memcached 127.0.0.1:11211 for memcached's clients, too, on the same keys
  redis-cli -p 6380 set greeting hello     from another terminal")]
    Serve(Box<Serve>),
    /// Run a bare member of a Ringpop ring, as ringpop-node's main.js and ringpop-go's testpop do.
    #[command(
        disable_help_flag = true,
        after_help = "\
Examples:
  heeler ringpop --listen 127.0.0.1:3000 --hosts hosts.json
  heeler ringpop -l 127.0.0.1:3001 -h hosts.json --suspect-period=2000
  heeler ring --peer 127.0.0.1:3000        who is in it

hosts.json is a JSON array of addresses: [\"127.0.0.1:3000\",\"127.0.0.1:3001\"]"
    )]
    Ringpop(Ringpop),
    /// Show who is in a ring, whether its members agree, and who owns keys.
    #[command(after_help = "\
Examples:
  heeler ring --peer 127.0.0.1:3000
  heeler ring --peer 127.0.0.1:3000 user:1 user:2
  heeler ring --peer 127.0.0.1:3000 --watch")]
    Ring(Ring),
    /// Call an endpoint of a TChannel service, as tcurl does; --bench: many times.
    #[command(after_help = call::EXAMPLES, override_usage = call::USAGE)]
    Call(Box<call::Flags>),
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

impl Arguments {
    /// Reads the command line. What is said about it has been said when this returns an exit code.
    pub fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, ExitCode> {
        let mut args: Vec<OsString> = args.into_iter().collect();
        if args.first().is_some_and(|program| call::is_called(program)) {
            args.insert(1, "call".into());
        }
        let calls = command(&args).is_some_and(|command| command == "call");
        if calls {
            args = call::fold(args).map_err(|bad| {
                eprintln!("heeler: {bad}");
                ExitCode::from(call::FAULT)
            })?;
        }
        if command(&args).is_some_and(|command| command == "serve") {
            args = serve::fold(args);
        }
        Arguments::try_parse_from(args).map_err(|error| {
            // Nobody is told if it cannot be written.
            let _ = error.print();
            match (error.exit_code(), calls) {
                (0, _) => ExitCode::SUCCESS,
                (_, true) => ExitCode::from(call::FAULT),
                (code, _) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
            }
        })
    }
}

#[derive(Args, Debug)]
#[command(mut_args(of_ring))]
pub struct Serve {
    /// Where to speak the Redis protocol: HOST:PORT, or the path of a Unix socket. Where no door
    /// is named it is 127.0.0.1:6380.
    #[arg(long, value_name = "ADDRESS", value_parser = listen)]
    redis: Option<Listen>,
    /// Where to speak memcached's text and meta protocol, on the same keys: HOST:PORT, or the path
    /// of a Unix socket. Without it there is no such port.
    #[arg(long, value_name = "ADDRESS", value_parser = listen)]
    memcached: Option<Listen>,
    /// Where to speak HTTP, memhashd's API and more: HOST:PORT, or the path of a Unix socket. Where
    /// no door is named it is 127.0.0.1:8001. With --tls-cert it is HTTPS.
    #[arg(long, visible_alias = "client-addr", value_name = "ADDRESS", value_parser = listen)]
    http: Option<Listen>,
    /// Where to talk to other nodes, over TChannel: HOST:PORT. Without it this node is alone.
    #[arg(long, visible_alias = "server-addr", value_name = "HOST:PORT",
          value_parser = host_and_port)]
    peer: Option<String>,
    /// A node of the ring to join, HOST:PORT; more than one by commas or by more flags. One that
    /// is up is enough; its own address does no harm.
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', requires = "peer",
          value_parser = host_and_port)]
    join: Vec<String>,
    /// How often more to try the nodes to join, after 1, 2, 4 ... seconds, before this node begins
    /// a ring of its own, into which the others come [default: for 3 seconds].
    #[arg(long, value_name = "N", requires = "peer",
          value_parser = clap::value_parser!(u32).range(..=20))]
    join_retries: Option<u32>,
    /// The name of the ring; nodes of another are turned away.
    #[arg(long, value_name = "NAME", default_value = "kv", requires = "peer")]
    app: String,
    /// So many partitions between keys and the ring, the same number on all nodes: a key's is
    /// FNV-1 of it modulo N, and the ring places partitions. Without it, it places the keys.
    #[arg(long, value_name = "N", requires = "peer",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(PARTITIONS)))]
    num_partitions: Option<u32>,
    /// Of a key with a tag, such as {user:1}:name, place the tag alone, so that the keys of one tag
    /// are one node's; on all nodes or on none. ringpop-node knows no tags.
    #[arg(long, requires = "peer")]
    hash_tags: bool,
    /// How it keeps keys in the ring.
    #[command(flatten)]
    keeping: Keeping,
    /// How it behaves as a member of the ring.
    #[command(flatten)]
    member: Member,
    /// Who may come in.
    #[command(flatten)]
    guards: Guards,
    /// What to tell of it over HTTP.
    #[command(flatten)]
    admin: Admin,
    /// How many threads.
    #[command(flatten)]
    workers: Workers,
    /// How many numbered databases Redis's clients may SELECT, from 0 on; memcached's and those of
    /// HTTP have database 0. A ring has that one alone.
    #[arg(long, value_name = "N", default_value_t = limits::DATABASES, conflicts_with = "peer",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::DATABASES_MOST)))]
    databases: u32,
    /// How much memory keys may take.
    #[command(flatten)]
    memory: Memory,
    /// Which commands are slow.
    #[command(flatten)]
    slowlog: SlowLog,
    /// Who may use the command DEBUG.
    #[arg(long, value_name = "WHO", default_value = "no")]
    enable_debug_command: Debugging,
}

/// What says how a node takes part in a ring means nothing of one that is in none: `heeler ringpop`
/// always is, and has these flags, too.
fn of_ring(arg: clap::Arg) -> clap::Arg {
    match arg.get_id().as_str() {
        "advertise" | "suspect_period" | "faulty_period" | "tombstone_period" | "identity"
        | "hash" | "stats_file" | "stats_udp" => arg.requires("peer"),
        _ => arg,
    }
}

/// How keys are kept in a ring.
#[derive(Args, Debug)]
pub struct Keeping {
    /// So many nodes hold a key: its owner, and those that follow on the ring; the same number on
    /// all nodes. If one of them dies, the next serves its copies.
    #[arg(long, value_name = "N", requires = "peer", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::REPLICAS)))]
    replicas: u32,
    /// So many of them must have a write before it is acknowledged: 1 (the owner), quorum (most of
    /// them), or all. With fewer nodes in the ring writes are refused (NOREPLICAS) and reads are
    /// served: GET /readyz is 200 then, and GET /readyz?writes 503.
    #[arg(
        long,
        value_name = "1|quorum|all",
        requires = "peer",
        default_value = "1"
    )]
    write_acks: WriteAcks,
    /// Most bytes a second that are taken from other nodes when the ring has changed; K, M and G
    /// stand for powers of 1024.
    #[arg(long, value_name = "BYTES", requires = "peer", default_value = "32M",
          value_parser = rate)]
    handover_rate: u64,
    /// On SIGTERM, wait so long for the others to take over what this node holds.
    #[arg(long, value_name = "SECONDS", requires = "peer", default_value_t = 60)]
    leave_timeout: u64,
}

impl Keeping {
    fn options(self) -> peer::Keeping {
        peer::Keeping {
            replicas: self.replicas,
            write_acks: self.write_acks.into(),
            pull_rate: self.handover_rate,
            leave_timeout: Duration::from_secs(self.leave_timeout),
        }
    }
}

/// How many holders must have a write.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum WriteAcks {
    /// The owner.
    #[value(name = "1")]
    One,
    /// Most of them.
    Quorum,
    /// All.
    All,
}

impl From<WriteAcks> for heeler::holding::WriteAcks {
    fn from(acks: WriteAcks) -> heeler::holding::WriteAcks {
        match acks {
            WriteAcks::One => heeler::holding::WriteAcks::One,
            WriteAcks::Quorum => heeler::holding::WriteAcks::Quorum,
            WriteAcks::All => heeler::holding::WriteAcks::All,
        }
    }
}

/// Bytes a second, at least one kilobyte: less would never end.
fn rate(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" => 1,
        unit if unit.eq_ignore_ascii_case("k") => 1 << 10,
        unit if unit.eq_ignore_ascii_case("m") => 1 << 20,
        unit if unit.eq_ignore_ascii_case("g") => 1 << 30,
        unit => return Err(format!("{unit} is none of K, M and G")),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "it is no number of bytes".to_owned())?;
    let rate = number.checked_mul(unit).ok_or("it is too large")?;
    match rate {
        1024.. => Ok(rate),
        _ => Err("it is less than 1K".into()),
    }
}

impl Serve {
    /// What is asked for.
    pub fn options(self) -> serve::Options {
        let Serve {
            app, member, join, ..
        } = self;
        let seeds = (!join.is_empty()).then(|| Discovery::list(join));
        let doors = serve::Doors {
            redis: self.redis,
            memcached: self.memcached,
            http: self.http,
            tls: None,
        };
        let doors = match doors.are_named() {
            true => doors,
            false => serve::Doors::local(),
        };
        let doors = serve::Doors {
            tls: self.guards.tls(member.tls.clone()),
            ..doors
        };
        // Pauses of 1, 2, 4 ... seconds.
        let patience = |retries: u32| Duration::from_secs((1 << retries) - 1);
        let patience = self.join_retries.map(patience);
        let peer = self.peer.map(|listen| peer::Options {
            patience,
            ..member.options(listen, app, seeds)
        });
        let numbering = match peer {
            None => Numbering::Upto(self.databases),
            Some(_) => Numbering::OfRing,
        };
        let terms = Terms {
            partitions: self.num_partitions.unwrap_or(0),
            hash_tags: self.hash_tags,
            hash: peer.as_ref().and_then(|peer| peer.hash),
        };
        serve::Options {
            doors,
            password: self.guards.password(),
            admin: self.admin.admin,
            peer,
            terms,
            keeping: self.keeping.options(),
            threads: self.workers.threads(),
            numbering,
            memory: self.memory.settings(),
            slowlog: self.slowlog.settings(),
            debugging: self.enable_debug_command,
        }
    }
}

#[derive(Args, Debug)]
pub struct Memory {
    /// How many bytes keys and values may take, as redis.conf has it: 100mb, 2gb, 1g (k, m and g
    /// are powers of 1000; kb, mb and gb of 1024). 0 for no limit.
    #[arg(long, value_name = "BYTES", default_value = "0", value_parser = bytes)]
    maxmemory: u64,
    /// Which keys go when that is reached: noeviction (none: commands that need memory are
    /// refused), allkeys-lru, volatile-lru, allkeys-lfu, volatile-lfu, allkeys-random,
    /// volatile-random, volatile-ttl, or allkeys-s3fifo.
    #[arg(long, value_name = "POLICY", default_value = "noeviction", value_parser = policy)]
    maxmemory_policy: Policy,
    /// How many keys LRU and LFU look at to find the one that goes.
    #[arg(long, value_name = "N", default_value_t = MemoryLimit::default().samples,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::EVICTION_SAMPLES)))]
    maxmemory_samples: u32,
    /// How slowly the counters of LFU grow.
    #[arg(long, value_name = "N", default_value_t = MemoryLimit::default().lfu_log_factor,
          value_parser = clap::value_parser!(u32).range(..=i64::from(i32::MAX)))]
    lfu_log_factor: u32,
    /// Minutes after which a counter of LFU loses one; 0 for never.
    #[arg(long, value_name = "MINUTES",
          default_value_t = MemoryLimit::default().lfu_decay_minutes,
          value_parser = clap::value_parser!(u32).range(..=i64::from(i32::MAX)))]
    lfu_decay_time: u32,
}

impl Memory {
    fn settings(&self) -> MemoryLimit {
        MemoryLimit {
            most: self.maxmemory,
            policy: self.maxmemory_policy,
            samples: self.maxmemory_samples,
            lfu_log_factor: self.lfu_log_factor,
            lfu_decay_minutes: self.lfu_decay_time,
            ..MemoryLimit::default()
        }
    }
}

fn bytes(text: &str) -> Result<u64, String> {
    memory_bytes(text).ok_or_else(|| {
        "it is a number of bytes, with k, kb, m, mb, g or gb behind it or nothing".into()
    })
}

fn policy(text: &str) -> Result<Policy, String> {
    let names = || Policy::ALL.map(|(name, _)| name).join(", ");
    Policy::named(text).ok_or_else(|| format!("there are {}", names()))
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Who may come in")]
pub struct Guards {
    /// The file of the password that clients have to give: AUTH in Redis's protocol, Authorization
    /// in HTTP, `set` with the data `default PASSWORD` as the first request in memcached's. A
    /// changed file is taken while the store runs.
    #[arg(long, value_name = "FILE")]
    requirepass_file: Option<PathBuf>,
    /// The variable of the environment that holds that password.
    #[arg(long, value_name = "NAME", conflicts_with = "requirepass_file")]
    requirepass_env: Option<String>,
    /// The doors that speak TLS, with --tls-cert [default: all over TCP].
    #[arg(
        long,
        value_name = "DOORS",
        value_enum,
        value_delimiter = ',',
        requires = "tls_cert"
    )]
    tls_doors: Vec<TlsDoor>,
    /// Whether clients have to show a certificate that --tls-ca has signed.
    #[arg(
        long,
        value_name = "WHETHER",
        value_enum,
        default_value_t,
        requires = "tls_ca"
    )]
    tls_auth_clients: AuthClients,
}

impl Guards {
    fn password(&self) -> Option<Source> {
        let file = self.requirepass_file.clone().map(Source::File);
        file.or_else(|| self.requirepass_env.clone().map(Source::Env))
    }

    /// TLS on the doors: with the certificate that other nodes are shown.
    fn tls(&self, files: PeerTls) -> Option<serve::DoorTls> {
        Some(serve::DoorTls {
            files: files.options()?,
            doors: self.tls_doors.clone(),
            clients: self.tls_auth_clients,
        })
    }
}

#[derive(Args, Debug)]
pub struct Ringpop {
    /// Print help.
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    /// Where to listen, and who this member is: HOST:PORT.
    #[arg(short, long, value_name = "HOST:PORT", value_parser = host_and_port)]
    listen: String,
    /// A file with the first members: a JSON array of "HOST:PORT".
    #[arg(short = 'h', long, value_name = "FILE", default_value = "./hosts.json")]
    hosts: PathBuf,
    /// The name of the application; rings of different ones keep apart.
    #[arg(long, value_name = "NAME", default_value = "ringpop")]
    app: String,
    /// How it behaves as a member.
    #[command(flatten)]
    member: Member,
    /// What to tell of it over HTTP.
    #[command(flatten)]
    admin: Admin,
}

impl Ringpop {
    /// What is asked for.
    pub fn options(self) -> member::Options {
        let seeds = Some(Discovery::file(self.hosts));
        member::Options {
            member: self.member.options(self.listen, self.app, seeds),
            admin: self.admin.admin,
        }
    }
}

#[derive(Args, Debug)]
pub struct Ring {
    /// A member of the ring: HOST:PORT.
    #[arg(short, long, value_name = "HOST:PORT", value_parser = host_and_port)]
    peer: String,
    /// Keys whose owners to show.
    #[arg(value_name = "KEY")]
    keys: Vec<String>,
    /// As a line of JSON.
    #[arg(long)]
    json: bool,
    /// Look every second, and show what has changed.
    #[arg(long)]
    watch: bool,
    /// How long a member may take to answer, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    timeout: u64,
    /// TLS to the members.
    #[command(flatten)]
    tls: PeerTls,
}

impl Ring {
    /// What is asked for.
    pub fn options(self) -> ring::Options {
        ring::Options {
            peer: self.peer,
            keys: self.keys,
            json: self.json,
            watch: self.watch,
            timeout: Duration::from_millis(self.timeout),
            tls: self.tls.options(),
        }
    }
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Membership")]
pub struct Member {
    /// The address to tell the others, if it is not the one to listen on: HOST:PORT.
    #[arg(long, value_name = "HOST:PORT", value_parser = host_and_port)]
    advertise: Option<String>,
    /// How long a member that does not answer stays suspect before it is faulty, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 5000)]
    suspect_period: u64,
    /// How long a faulty member is remembered before it is a tombstone, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 86_400_000)]
    faulty_period: u64,
    /// How long a tombstone is remembered, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 5000)]
    tombstone_period: u64,
    /// A name for the ring in the place of the address: keys stay when the address changes.
    /// ringpop-node knows no identities.
    #[arg(long, value_name = "NAME")]
    identity: Option<String>,
    /// The ring's hash function: fingerprint32, or hash32v1 as in ringpop-node's examples [default:
    /// that of the others].
    #[arg(long, value_name = "NAME", value_parser = hash)]
    hash: Option<RingHash>,
    /// Append statistics to this file.
    #[arg(long, value_name = "FILE", conflicts_with = "stats_udp")]
    stats_file: Option<PathBuf>,
    /// Send statistics to a statsd: HOST:PORT.
    #[arg(long, value_name = "HOST:PORT", value_parser = host_and_port)]
    stats_udp: Option<String>,
    #[command(flatten)]
    tls: PeerTls,
}

impl Member {
    /// How a node takes part in a ring.
    pub fn options(self, listen: String, app: String, seeds: Option<Discovery>) -> peer::Options {
        let statistics = match (self.stats_file, self.stats_udp) {
            (Some(file), _) => Some(peer::Statistics::File(file)),
            (None, to) => to.map(peer::Statistics::Udp),
        };
        let periods = [
            self.suspect_period,
            self.faulty_period,
            self.tombstone_period,
        ];
        peer::Options {
            listen,
            advertise: self.advertise,
            app,
            seeds,
            patience: None,
            identity: self.identity,
            hash: self.hash,
            periods: periods.map(Duration::from_millis),
            statistics,
            tls: self.tls.options(),
        }
    }
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "TLS between nodes, and at the doors")]
pub struct PeerTls {
    /// The file of this node's certificate (PEM), for the host that it advertises.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The file of its key (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// The file of the authority (PEM) that signs the nodes' certificates; who shows none of its is
    /// turned away.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_ca: Option<PathBuf>,
}

impl PeerTls {
    /// TLS, if it is asked for.
    pub fn options(self) -> Option<peer::Tls> {
        Some(peer::Tls {
            certificate: self.tls_cert?,
            key: self.tls_key?,
            ca: self.tls_ca,
        })
    }
}

#[derive(Args, Debug)]
pub struct Admin {
    /// Where to answer GET /healthz, /readyz, /metrics, /v1/slowlog, and for a proxy GET /v1/pools
    /// and POST /v1/reload, over HTTP: HOST:PORT. Without it there is no such port. It asks for no
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
pub struct SlowLog {
    /// Commands that take at least so many milliseconds go to the slow log, which SLOWLOG GET and
    /// the admin port's /v1/slowlog show: 0.5 for half of one, 0 for all commands, -1 for none.
    /// Of a proxy it is the time until the server's reply, of a store the time of execution.
    #[arg(long, value_name = "N", default_value_t = limits::SLOWLOG_MS,
          allow_negative_numbers = true, value_parser = milliseconds)]
    slowlog_ms: f64,
    /// How many of the latest slow commands are kept.
    #[arg(long, value_name = "N", default_value_t = limits::SLOWLOG_ENTRIES as u32,
          value_parser = clap::value_parser!(u32).range(..=i64::from(limits::SLOWLOG_MOST)))]
    slowlog_len: u32,
}

impl SlowLog {
    /// The settings of the slow log.
    pub fn settings(&self) -> slowlog::Settings {
        slowlog::Settings {
            milliseconds: self.slowlog_ms,
            length: self.slowlog_len as usize,
        }
    }
}

/// Reads a number that is one.
fn milliseconds(text: &str) -> Result<f64, String> {
    let number: f64 = text
        .parse()
        .map_err(|_| "write a number, such as 10 or 0.5")?;
    match number.is_finite() {
        true => Ok(number),
        false => Err("write a number, such as 10 or 0.5".into()),
    }
}

#[derive(Args, Debug)]
pub struct Log {
    /// What to log to standard error: off, error, warn, info, debug, trace, or target=level by
    /// commas, such as warn,heeler::net=debug.
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

/// The word that says what to do: the first that is no flag for the log, and no value of one.
fn command(args: &[OsString]) -> Option<&OsString> {
    let mut args = args.iter().skip(1);
    loop {
        let arg = args.next()?;
        match arg.to_str() {
            Some("--log" | "--log-format") => drop(args.next()),
            Some(flag) if flag.starts_with('-') => {}
            _ => return Some(arg),
        }
    }
}

/// Reads an address that cannot be a Unix socket.
fn host_and_port(text: &str) -> Result<String, String> {
    let read = tcp(text, "write HOST:PORT, such as 127.0.0.1:3000")?;
    Ok(match text.starts_with(':') {
        true => read.to_string(),
        false => text.into(),
    })
}

/// Reads the name of a hash function.
fn hash(name: &str) -> Result<RingHash, String> {
    RingHash::from_name(name).ok_or_else(|| "write fingerprint32 or hash32v1".into())
}

/// Reads an address to listen on.
fn listen(text: &str) -> Result<Listen, String> {
    if text.starts_with('/') {
        return Ok(Listen::Unix {
            path: text.into(),
            permissions: None,
        });
    }
    let form = "write HOST:PORT, such as 127.0.0.1:6380, or the path of a Unix socket";
    tcp(text, form)
}

/// Reads a host and a port. `form` is what to write instead.
fn tcp(text: &str, form: &str) -> Result<Listen, String> {
    let (host, port) = text.rsplit_once(':').ok_or(form)?;
    let host = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    let port = port
        .parse()
        .map_err(|_| format!("'{port}' is no port; {form}"))?;
    let host = match host {
        // As Go's programs are told to listen on all addresses.
        "" => "0.0.0.0",
        host => host,
    };
    Ok(Listen::Tcp {
        host: host.into(),
        port,
    })
}
