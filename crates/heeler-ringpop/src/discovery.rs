//! Where the addresses of the first members come from.
//!
//! Bootstrap and partition healing ask for the seeds each time they need them, so that a list in a
//! file or in DNS may change while the process runs.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;

use crate::limits;

/// Where the addresses of the first members come from.
///
/// ```
/// use heeler_ringpop::Discovery;
///
/// let seeds = Discovery::list(["127.0.0.1:3000", "127.0.0.1:3001"]);
/// let in_kubernetes = Discovery::dns("kv.default.svc.cluster.local", 3000);
/// let elsewhere = Discovery::srv("_ringpop._tcp.kv.example.com");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Discovery {
    /// These, `host:port` each.
    List(Vec<String>),
    /// A file with a JSON array of `"host:port"`, read anew each time.
    File(PathBuf),
    /// Every address (A and AAAA) of a name, with one port.
    Dns {
        /// The name.
        name: String,
        /// The port of all members.
        port: u16,
    },
    /// The targets and ports of a name's SRV records, by their addresses.
    Srv {
        /// The name: `_service._tcp.domain`.
        name: String,
        /// The DNS server to ask; the system's if there is none here.
        server: Option<SocketAddr>,
    },
}

impl Discovery {
    /// From a list.
    pub fn list<S: Into<String>>(seeds: impl IntoIterator<Item = S>) -> Discovery {
        Discovery::List(seeds.into_iter().map(Into::into).collect())
    }

    /// From a file, such as Ringpop's `hosts.json`.
    pub fn file(path: impl Into<PathBuf>) -> Discovery {
        Discovery::File(path.into())
    }

    /// From the addresses of a name.
    pub fn dns(name: impl Into<String>, port: u16) -> Discovery {
        let name = name.into();
        Discovery::Dns { name, port }
    }

    /// From SRV records.
    pub fn srv(name: impl Into<String>) -> Discovery {
        let name = name.into();
        Discovery::Srv { name, server: None }
    }

    /// The seeds as they are now, each once.
    ///
    /// # Errors
    /// The file cannot be read or holds something else; the name has no address; the list is
    /// longer than [`limits::SEEDS`].
    pub async fn seeds(&self) -> Result<Vec<String>, DiscoveryError> {
        let mut seeds = match self {
            Discovery::List(seeds) => seeds.clone(),
            Discovery::File(path) => read(path).await?,
            Discovery::Dns { name, port } => look_up(name, *port).await?,
            Discovery::Srv { name, server } => look_up_srv(name, *server).await?,
        };
        for seed in &seeds {
            check(seed).map_err(|reason| self.wrong(reason))?;
        }
        let mut known = std::collections::HashSet::new();
        seeds.retain(|seed| known.insert(seed.clone()));
        match seeds.len() {
            0..=limits::SEEDS => Ok(seeds),
            len => Err(self.wrong(format!("{len} seeds, where {} may be", limits::SEEDS))),
        }
    }

    fn wrong(&self, reason: String) -> DiscoveryError {
        DiscoveryError::Wrong(self.to_string(), reason)
    }
}

impl fmt::Display for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Discovery::List(_) => f.write_str("the list of seeds"),
            Discovery::File(path) => write!(f, "{}", path.display()),
            Discovery::Dns { name, .. } => write!(f, "the addresses of {name}"),
            Discovery::Srv { name, .. } => write!(f, "the SRV records of {name}"),
        }
    }
}

/// Why there are no seeds.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// The file cannot be read.
    #[error("cannot read the seeds from {}: {}", .0.display(), .1)]
    Unreadable(PathBuf, std::io::Error),
    /// What is there are no seeds: where, and what is wrong.
    #[error("{0}: {1}")]
    Wrong(String, String),
    /// The DNS has no answer: the name, and why.
    #[error("cannot look up {0}: {1}")]
    NoAddress(String, String),
}

async fn read(path: &Path) -> Result<Vec<String>, DiscoveryError> {
    let unreadable = |error| DiscoveryError::Unreadable(path.to_path_buf(), error);
    let wrong = |reason| DiscoveryError::Wrong(path.display().to_string(), reason);
    let length = tokio::fs::metadata(path).await.map_err(unreadable)?.len();
    if length > limits::SEEDS_FILE_BYTES {
        let reason = format!("longer than {} bytes", limits::SEEDS_FILE_BYTES);
        return Err(wrong(reason));
    }
    let text = tokio::fs::read(path).await.map_err(unreadable)?;
    serde_json::from_slice(&text).map_err(|error| {
        wrong(format!(
            "not a JSON array of \"host:port\", such as [\"127.0.0.1:3000\"]: {error}"
        ))
    })
}

fn check(seed: &str) -> Result<(), String> {
    let port = seed.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    match port.map(|(_, port)| port.parse::<u16>()) {
        Some(Ok(1..)) => Ok(()),
        _ => Err(format!("{seed:?} is not host:port")),
    }
}

async fn look_up(name: &str, port: u16) -> Result<Vec<String>, DiscoveryError> {
    let failed = |reason: String| DiscoveryError::NoAddress(name.to_string(), reason);
    let found = tokio::net::lookup_host((name, port)).await;
    let found = found.map_err(|error| failed(error.to_string()))?;
    Ok(found.map(|address| address.to_string()).collect())
}

async fn look_up_srv(
    name: &str,
    server: Option<SocketAddr>,
) -> Result<Vec<String>, DiscoveryError> {
    let failed = |reason: String| DiscoveryError::NoAddress(name.to_string(), reason);
    let resolver = resolver(server).map_err(&failed)?;
    let records = resolver.srv_lookup(name).await;
    let records = records.map_err(|error| failed(error.to_string()))?;
    let mut seeds = Vec::new();
    for record in records.answers() {
        let RData::SRV(srv) = &record.data else {
            continue;
        };
        let addresses = resolver.lookup_ip(srv.target.clone()).await;
        let addresses = addresses.map_err(|error| failed(format!("{}: {error}", srv.target)))?;
        seeds.extend(
            addresses
                .iter()
                .map(|ip| SocketAddr::new(ip, srv.port).to_string()),
        );
    }
    if seeds.is_empty() {
        return Err(failed("it has no SRV records".into()));
    }
    Ok(seeds)
}

/// One that asks the system's DNS servers, or this one.
fn resolver(server: Option<SocketAddr>) -> Result<TokioResolver, String> {
    let builder = match server {
        None => TokioResolver::builder_tokio().map_err(|error| error.to_string())?,
        Some(server) => {
            let config = ResolverConfig::from_name_servers(vec![name_server(server)]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    builder.build().map_err(|error| error.to_string())
}

fn name_server(server: SocketAddr) -> NameServerConfig {
    let ip: IpAddr = server.ip();
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()]
        .map(|mut connection| {
            connection.port = server.port();
            connection
        })
        .into();
    NameServerConfig::new(ip, true, connections)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::str::FromStr;

    use hickory_resolver::proto::op::{Message, Query};
    use hickory_resolver::proto::rr::rdata::{A, AAAA, SRV};
    use hickory_resolver::proto::rr::{Name, Record, RecordType};
    use tokio::net::UdpSocket;

    use super::*;

    #[tokio::test]
    async fn a_list_names_each_seed_once() {
        let list = Discovery::list(["a:1", "b:2", "a:1"]);
        assert_eq!(list.seeds().await.unwrap(), ["a:1", "b:2"]);
    }

    #[tokio::test]
    async fn mistakes_are_named_with_their_place() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("hosts.json");
        let missing = Discovery::file(&file)
            .seeds()
            .await
            .unwrap_err()
            .to_string();
        assert!(missing.contains("hosts.json: No such file"), "{missing}");
        let cases = [
            ("{}", "hosts.json: not a JSON array of \"host:port\""),
            ("[\"127.0.0.1:3000\",]", "line 1 column"),
            ("[1]", "not a JSON array"),
            (
                "[\"127.0.0.1\"]",
                "hosts.json: \"127.0.0.1\" is not host:port",
            ),
            ("[\":3000\"]", "\":3000\" is not host:port"),
            ("[\"a:0\"]", "\"a:0\" is not host:port"),
            ("[\"a:65536\"]", "\"a:65536\" is not host:port"),
        ];
        for (text, words) in cases {
            std::fs::write(&file, text).unwrap();
            let error = Discovery::file(&file)
                .seeds()
                .await
                .unwrap_err()
                .to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[tokio::test]
    async fn a_file_is_read_anew() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("hosts.json");
        let discovery = Discovery::file(&file);
        std::fs::write(&file, "[\"a:1\"]").unwrap();
        assert_eq!(discovery.seeds().await.unwrap(), ["a:1"]);
        std::fs::write(&file, "[\"a:1\", \"[::1]:2\"]\n").unwrap();
        assert_eq!(discovery.seeds().await.unwrap(), ["a:1", "[::1]:2"]);
    }

    #[tokio::test]
    async fn a_name_stands_for_its_addresses() {
        let seeds = Discovery::dns("localhost", 3000).seeds().await.unwrap();
        assert!(seeds.contains(&"127.0.0.1:3000".to_string()), "{seeds:?}");
        let error = Discovery::dns("no-such-name.invalid", 1)
            .seeds()
            .await
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("cannot look up no-such-name.invalid: ")
        );
    }

    #[tokio::test]
    async fn srv_records_stand_for_the_addresses_of_their_targets() {
        let server = Some(dns_server().await);
        let name = "_ringpop._tcp.kv.test.".to_string();
        let mut seeds = Discovery::Srv { name, server }.seeds().await.unwrap();
        seeds.sort();
        assert_eq!(seeds, ["10.0.0.1:3000", "10.0.0.2:3001", "[fd00::2]:3001"]);
        let name = "_nothing._tcp.kv.test.".to_string();
        let error = Discovery::Srv { name, server }.seeds().await.unwrap_err();
        assert!(
            error
                .to_string()
                .contains("cannot look up _nothing._tcp.kv.test."),
            "{error}"
        );
    }

    /// A DNS server for `kv.test.`.
    async fn dns_server() -> SocketAddr {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut bytes = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut bytes).await {
                let question = Message::from_vec(&bytes[..length]).unwrap();
                let mut answer = Message::response(question.id, question.op_code);
                for query in &question.queries {
                    answer.add_query(query.clone());
                    answer.add_answers(records(query));
                }
                socket
                    .send_to(&answer.to_vec().unwrap(), from)
                    .await
                    .unwrap();
            }
        });
        address
    }

    fn records(query: &Query) -> Vec<Record> {
        let name = |text| Name::from_str(text).unwrap();
        let (one, two) = (name("one.kv.test."), name("two.kv.test."));
        let data: Vec<RData> = match (query.name().to_string().as_str(), query.query_type()) {
            ("_ringpop._tcp.kv.test.", RecordType::SRV) => vec![
                RData::SRV(SRV::new(0, 0, 3000, one)),
                RData::SRV(SRV::new(0, 0, 3001, two)),
            ],
            ("one.kv.test.", RecordType::A) => vec![RData::A(A::new(10, 0, 0, 1))],
            ("two.kv.test.", RecordType::A) => vec![RData::A(A::new(10, 0, 0, 2))],
            ("two.kv.test.", RecordType::AAAA) => {
                vec![RData::AAAA(AAAA::new(0xfd00, 0, 0, 0, 0, 0, 0, 2))]
            }
            _ => Vec::new(),
        };
        let record = |data| Record::from_rdata(query.name().clone(), 60, data);
        data.into_iter().map(record).collect()
    }
}
