//! `nutcracker.yml`: the pools of a proxy, as twemproxy 0.5.0 reads them.
//!
//! ```yaml
//! alpha:
//!   listen: 127.0.0.1:22121
//!   hash: fnv1a_64
//!   distribution: ketama
//!   timeout: 400
//!   redis: true
//!   servers:
//!     - 10.0.0.1:6379:1 server1
//!     - 10.0.0.2:6379:1 server2
//! ```
//!
//! What twemproxy takes is taken, with the same meaning; what it refuses is refused, but with the
//! reason. Deliberate differences: `reuseport` (twemproxy's master branch) is known, and so are
//! keys of our own (`cross_slot`, `probe_interval`, `probe_timeout`, `resolve_interval`,
//! `redis_auth_file`, `redis_auth_env`, and those about TLS); a number past 2147483647 is refused
//! where twemproxy's wraps around; a host is resolved when the pool is started, not when the file
//! is read; a quoted value must not go on at the margin; a line of only a tab, and a comment after
//! a tab, are taken.

mod address;
mod change;
mod keys;
mod password;
mod tls;
mod warnings;

pub use change::{changes, origins};
pub use password::Source;

use std::collections::HashMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use heeler_ring::{Distribution, Hash, HashTag};

use super::diagnostic::{
    Diagnostic, Finding, Findings, Found, Invalid, Level, Reference, line_and_column,
};
use super::document::{self, Block};
use super::secret::Secret;
use super::tls::{Accept, Connect};
use crate::limits;

/// A file that is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// How it was named by the caller.
    name: Arc<str>,
    /// At least one, in twemproxy's order: by the length of the name, then by its bytes.
    pub pools: Vec<Pool>,
    /// What is allowed but hardly meant.
    pub warnings: Vec<Diagnostic>,
    /// What it names outside of itself.
    references: Vec<Reference>,
}

impl File {
    /// Something is wrong with what the file names in a pool, by a key and a value that `is_meant`
    /// knows.
    pub fn problem(
        &self,
        level: Level,
        pool: &str,
        is_meant: impl Fn(&str, &str) -> bool,
        (message, help): (String, Option<String>),
    ) -> Diagnostic {
        let is_it = |reference: &&Reference| {
            let Reference { value, blank } = reference;
            blank.pool.as_deref() == Some(pool)
                && blank.key.as_deref().is_some_and(|key| is_meant(key, value))
        };
        let found = self.references.iter().find(is_it);
        Diagnostic {
            level,
            file: self.name.clone(),
            place: found.and_then(|reference| reference.blank.place.clone()),
            pool: Some(pool.to_owned()),
            key: found.and_then(|reference| reference.blank.key.clone()),
            message,
            help,
        }
    }
}

/// A pool: one address for clients, and the servers behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Its name: not empty, and of no other pool.
    pub name: String,
    /// Where clients connect.
    pub listen: Listen,
    /// The hash function of keys.
    pub hash: Hash,
    /// Delimiters of the part of a key that is hashed.
    pub hash_tag: Option<HashTag>,
    /// How keys are distributed over the servers.
    pub distribution: Distribution,
    /// How long a request may take, connecting and queueing included. `None`: for ever.
    pub timeout: Option<Duration>,
    /// Connections that may wait to be accepted.
    pub backlog: u32,
    /// Most clients at a time. `None`: no limit of the pool's own.
    pub client_connections: Option<u32>,
    /// Whether client connections get SO_KEEPALIVE.
    pub tcpkeepalive: bool,
    /// Whether the listener gets SO_REUSEPORT.
    pub reuseport: bool,
    /// True for Redis, false for memcached's text protocol.
    pub redis: bool,
    /// The password that clients give, and that servers get. Only in Redis pools.
    pub redis_auth: Option<Secret>,
    /// Where the password has to be fetched from, see [`File::fetch_passwords`]. `None`: it stands
    /// in the file, or there is none.
    pub redis_auth_from: Option<Source>,
    /// The database that is selected on servers.
    pub redis_db: u32,
    /// Whether servers are connected to at start.
    pub preconnect: bool,
    /// Whether a server that fails is left out for a while.
    pub auto_eject_hosts: bool,
    /// Connections to each server, at least 1.
    pub server_connections: u32,
    /// What becomes of a command whose keys lie on different servers.
    pub cross_slot: CrossSlot,
    /// How long an ejected server is left out.
    pub server_retry_timeout: Duration,
    /// Failures in a row after which a server is ejected.
    pub server_failure_limit: u32,
    /// How often servers are probed. Zero: never. `None`: not said, see [`Pool::probes`].
    pub probe_interval: Option<Duration>,
    /// How long a probe may take.
    pub probe_timeout: Duration,
    /// How often the names of servers are looked up. `None`: only to connect.
    pub resolve_interval: Option<Duration>,
    /// Clients speak TLS.
    pub tls: Option<Accept>,
    /// Servers speak TLS.
    pub server_tls: Option<Connect>,
    /// At least one, in twemproxy's order: by the length of the name, then by its bytes.
    pub servers: Vec<Server>,
}

/// How a pool's servers are probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probes {
    /// How often.
    pub interval: Duration,
    /// How long a probe may take.
    pub timeout: Duration,
    /// Whether servers are probed that are in use, too, and not only those that are ejected.
    pub live: bool,
}

impl Pool {
    /// The files that it names: certificates, keys, authorities, and that of the password.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let of_tls = self.tls.iter().flat_map(Accept::files);
        let of_servers = self.server_tls.iter().flat_map(Connect::files);
        let password = match &self.redis_auth_from {
            Some(Source::File(path)) => Some(path.as_path()),
            _ => None,
        };
        of_tls.chain(of_servers).chain(password)
    }

    /// Ejected servers are probed unless the file says otherwise; those in use only if it says so.
    pub fn probes(&self) -> Option<Probes> {
        let usual = Duration::from_millis(limits::PROBE_INTERVAL_MS.into());
        let interval = match self.probe_interval {
            Some(interval) => Some(interval).filter(|interval| !interval.is_zero()),
            None => self.auto_eject_hosts.then_some(usual),
        };
        interval.map(|interval| Probes {
            interval,
            timeout: self.probe_timeout,
            live: self.probe_interval.is_some(),
        })
    }
}

/// What becomes of a command whose keys lie on different servers and which cannot be split.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CrossSlot {
    /// It is refused with `-CROSSSLOT`.
    #[default]
    Refuse,
    /// The server of its first key gets it, as with twemproxy: the answer may be wrong.
    FirstKey,
}

impl CrossSlot {
    fn name(self) -> &'static str {
        match self {
            CrossSlot::Refuse => "refuse",
            CrossSlot::FirstKey => "first_key",
        }
    }

    fn from_name(name: &str) -> Option<CrossSlot> {
        match name {
            "refuse" => Some(CrossSlot::Refuse),
            "first_key" => Some(CrossSlot::FirstKey),
            _ => None,
        }
    }
}

/// Where a pool's clients connect.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Listen {
    /// A host (a name or an address, to be resolved) and a port.
    Tcp {
        /// Not empty. An IPv6 address stands without brackets.
        host: String,
        /// From 1.
        port: u16,
    },
    /// A Unix socket.
    Unix {
        /// An absolute path of at most 107 bytes.
        path: String,
        /// Mode bits, at most 0o777. `None`: left to the process's umask.
        permissions: Option<u32>,
    },
}

/// A server of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Server {
    /// The name under which it is placed, unique in its pool: the one in the file, or one made of
    /// its address as [`heeler_ring::Server`] does.
    pub name: String,
    /// True if the file gives it a name.
    pub is_named: bool,
    /// Where it is.
    pub address: Address,
    /// Its share of the keys, at least 1.
    pub weight: u32,
}

impl Server {
    /// The server as placement sees it: its name and its weight.
    pub fn placed(&self) -> heeler_ring::Server {
        heeler_ring::Server::named(self.name.clone(), self.weight)
    }
}

/// The address of a server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A host (a name or an address, to be resolved at each connect) and a port.
    Tcp {
        /// Not empty. An IPv6 address stands without brackets.
        host: String,
        /// From 1.
        port: u16,
    },
    /// The path of a Unix socket.
    Unix {
        /// Absolute.
        path: String,
    },
}

/// Reads a file. In errors it is named as `path` shows itself.
pub fn read(path: &Path) -> Result<File, Invalid> {
    let name = path.display().to_string();
    let unreadable = |error| Invalid::unreadable(&name, format!("cannot read: {error}"), None);
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(limits::CONFIG_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    parse(&name, &decode(&name, bytes)?)
}

/// Parses the text of a file. `file_name` is how errors name it. No host is resolved and no file
/// is touched.
pub fn parse(file_name: &str, text: &str) -> Result<File, Invalid> {
    if text.len() > limits::CONFIG_BYTES {
        let limit = limits::CONFIG_BYTES;
        let message = format!("the file is longer than {limit} bytes");
        return Err(Invalid::unreadable(file_name, message, None));
    }
    let mut findings = Findings::new(file_name, text, keys::is_key);
    let blocks = document::read(text, &mut findings, keys::is_key);
    let pools = pools(&blocks, text, &mut findings);
    let Found {
        warnings,
        references,
    } = findings.finish()?;
    Ok(File {
        name: file_name.into(),
        pools,
        warnings,
        references,
    })
}

/// UTF-8, or UTF-16 if a byte-order mark says so, as in YAML.
fn decode(name: &str, bytes: Vec<u8>) -> Result<String, Invalid> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        let text = char::decode_utf16(units).collect::<Result<String, _>>();
        text.ok().filter(|_| bytes.len().is_multiple_of(2))
    };
    let text = match bytes.as_slice() {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => return String::from_utf8(bytes).map_err(|error| not_utf8(name, &error)),
    };
    text.ok_or_else(|| {
        let help = Some("save the file as UTF-8".to_owned());
        Invalid::unreadable(name, "the file is not valid UTF-16".to_owned(), help)
    })
}

fn not_utf8(name: &str, error: &std::string::FromUtf8Error) -> Invalid {
    let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
    let text = String::from_utf8_lossy(valid);
    let (line, column) = line_and_column(&text, text.len());
    let byte = error
        .as_bytes()
        .get(valid.len())
        .copied()
        .unwrap_or_default();
    let message = format!("line {line}, column {column}: byte 0x{byte:02x} is not UTF-8");
    Invalid::unreadable(name, message, Some("save the file as UTF-8".to_owned()))
}

/// The pools of a file, sorted. Of a pool with an error only what others are checked against is
/// right; `findings` then has that error, and the file is refused.
fn pools(blocks: &[Block<'_>], text: &str, findings: &mut Findings<'_>) -> Vec<Pool> {
    let mut names = HashMap::new();
    let mut listens = HashMap::new();
    let mut pools = Vec::new();
    for block in blocks {
        let name = &*block.name.text;
        if name.is_empty() {
            let fault = Finding::error(block.name.at.clone(), "the pool has no name");
            findings.push(fault.help("write 'name:' before its keys"));
        }
        if let Some(first) = names.insert(name, &block.name.at) {
            let line = findings.line_of(first);
            let fault = format!("the name is already that of the pool on line {line}");
            let fault = Finding::error(block.name.at.clone(), fault).pool(name);
            findings.push(fault.help("give each pool a name of its own"));
        }
        let listen = block
            .entries
            .iter()
            .find(|entry| entry.key.text == "listen");
        if let Some(listen) = listen
            .map(|entry| &entry.value)
            .filter(|l| !l.text.is_empty())
            && let Some((first, at)) = listens.insert(&*listen.text, (name, &listen.at))
        {
            let line = findings.line_of(at);
            let first = super::conceal::quoted(first);
            let fault = format!("pool {first} listens there too, on line {line}");
            let fault = Finding::error(listen.at.clone(), fault)
                .pool(name)
                .key("listen");
            findings.push(fault.help("give each pool an address of its own"));
        }
        pools.extend(keys::pool(block, text, findings));
    }
    pools.sort_by(|a: &Pool, b| {
        (a.name.len(), a.name.as_bytes()).cmp(&(b.name.len(), b.name.as_bytes()))
    });
    pools
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(line: &str) -> Server {
        let text = format!("a:\n  listen: 127.0.0.1:1\n  servers:\n    - {line}\n");
        let file = parse("f.yml", &text).unwrap_or_else(|invalid| panic!("{invalid}"));
        file.pools[0].servers[0].clone()
    }

    #[test]
    fn servers_are_named_as_placement_names_them() {
        for (line, name) in [
            ("10.0.0.1:6379:1", "10.0.0.1:6379"),
            ("10.0.0.1:06379:1", "10.0.0.1:06379"),
            ("10.0.0.1:11211:1", "10.0.0.1"),
            ("10.0.0.1:011211:1", "10.0.0.1"),
            ("::1:6379:1", "::1:6379"),
            ("10.0.0.1:6379:1 server1", "server1"),
            ("10.0.0.1:11211:1 a:b:c", "a:b:c"),
            ("/run/redis.sock:1", "/run/redis.sock:"),
            ("/run/redis.sock:1 s", "s"),
        ] {
            assert_eq!(server(line).name, name, "{line}");
            assert_eq!(server(line).placed(), heeler_ring::Server::named(name, 1));
        }
    }

    #[test]
    fn a_host_is_what_stands_before_the_last_two_colons() {
        let address = Address::Tcp {
            host: "::1".to_owned(),
            port: 6379,
        };
        assert_eq!(
            server("::1:6379:3"),
            Server {
                name: "::1:6379".to_owned(),
                is_named: false,
                address,
                weight: 3
            }
        );
        let address = Address::Unix {
            path: "/tmp/x y".to_owned(),
        };
        assert_eq!(server("/tmp/x y:1 n").address, address);
    }

    #[test]
    fn servers_are_probed_as_the_file_says() {
        let probes = |lines: &str| {
            let servers = "  servers:\n    - 10.0.0.1:1:1 a\n";
            let text = format!("a:\n  listen: 127.0.0.1:1\n{lines}{servers}");
            let file = parse("f.yml", &text).unwrap_or_else(|invalid| panic!("{invalid}"));
            let probes = file.pools[0].probes()?;
            let [interval, timeout] = [probes.interval, probes.timeout].map(|d| d.as_millis());
            Some((interval, timeout, probes.live))
        };
        assert_eq!(probes(""), None);
        assert_eq!(probes("  probe_interval: 0\n"), None);
        let ejecting = "  auto_eject_hosts: true\n";
        assert_eq!(probes(ejecting), Some((1000, 1000, false)));
        assert_eq!(probes(&format!("{ejecting}  probe_interval: 0\n")), None);
        let all = "  probe_interval: 250\n  probe_timeout: 100\n";
        assert_eq!(probes(all), Some((250, 100, true)));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let invalid = read(Path::new("/nonexistent/nutcracker.yml")).unwrap_err();
        let line = invalid.problems[0].one_line();
        assert!(
            line.starts_with("/nonexistent/nutcracker.yml: cannot read: No such file"),
            "{line}"
        );
        assert!(read(Path::new("/")).is_err());
    }

    #[test]
    fn a_byte_that_is_no_text_has_its_place() {
        let invalid = decode("f.yml", b"a:\n  # \xe9\n".to_vec()).unwrap_err();
        let line = invalid.problems[0].one_line();
        assert_eq!(
            line,
            "f.yml: line 2, column 5: byte 0xe9 is not UTF-8; save the file as UTF-8"
        );
    }

    #[test]
    fn a_file_has_a_longest_length() {
        let long = "#".repeat(limits::CONFIG_BYTES + 1);
        let invalid = parse("f.yml", &long).unwrap_err();
        assert!(invalid.to_string().contains("longer than"), "{invalid}");
    }

    #[test]
    fn a_flood_of_problems_is_cut() {
        let text: String = (0..5000).map(|i| format!("p{i}:\n")).collect();
        let invalid = parse("f.yml", &text).unwrap_err();
        assert_eq!(invalid.problems.len(), limits::CONFIG_PROBLEMS + 1);
        assert!(
            invalid
                .to_string()
                .ends_with("more than 100 problems, the rest is not shown")
        );
    }
}
