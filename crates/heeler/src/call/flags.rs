//! The command line, which is tcurl's and more.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{NonEmptyStringValueParser, RangedU64ValueParser};

use crate::config::tls::{Connect, Identity, Version};
use crate::limits;

/// What `heeler call` may be told.
#[derive(clap::Args, Clone, Debug)]
pub struct Flags {
    /// The service, its endpoint, and the body: JSON, SHON (`[ --key value ]`), or with --raw and
    /// --http any text.
    #[arg(value_name = "SERVICE ENDPOINT [BODY]", num_args = 0..)]
    pub words: Vec<OsString>,
    /// Where to call: HOST:PORT. Given several times, one of them is chosen, and the next if it
    /// cannot be reached.
    #[arg(short = 'p', long = "peer", value_name = "HOST:PORT")]
    pub peers: Vec<String>,
    /// A file with a JSON list of HOST:PORT, if there is no -p.
    #[arg(
        short = 'P',
        long,
        value_name = "FILE",
        short_alias = 'H',
        alias = "hostlist"
    )]
    pub peerlist: Option<PathBuf>,
    /// The service, if not as the first word.
    #[arg(short = 's', long, value_name = "NAME")]
    pub service: Option<String>,
    /// The endpoint, if not as a word.
    #[arg(short = '1', long, value_name = "NAME", visible_aliases = ["arg1", "method"])]
    pub endpoint: Option<String>,
    /// The headers of the application: JSON or SHON, an object of strings for thrift and HTTP, any
    /// text with --raw; @FILE reads them from a file, - from standard input.
    #[arg(short = '2', long, value_name = "HEAD", visible_aliases = ["arg2", "headers"],
          allow_hyphen_values = true)]
    pub head: Option<OsString>,
    /// The body, instead of as a word: JSON, or any text with --raw and --http; @FILE reads it from
    /// a file, - from standard input.
    #[arg(
        short = '3',
        long,
        value_name = "BODY",
        visible_alias = "arg3",
        allow_hyphen_values = true
    )]
    pub body: Option<OsString>,
    /// How to call.
    #[command(flatten)]
    pub scheme: Scheme,
    /// Who is calling.
    #[arg(long, value_name = "NAME", visible_alias = "cn", default_value = "tcurl",
          value_parser = NonEmptyStringValueParser::new())]
    pub caller: String,
    /// The transport header sk: the key by which a router finds the node.
    #[arg(long, value_name = "KEY", visible_alias = "sk", alias = "shardKey")]
    pub shard_key: Option<String>,
    /// The transport header rd: the service that is to route the call.
    #[arg(long, value_name = "NAME", visible_alias = "rd")]
    pub routing_delegate: Option<String>,
    /// How long the call may take, connecting included, in milliseconds.
    #[arg(long, value_name = "MS", default_value = "1000", value_parser = milliseconds)]
    pub timeout: Duration,
    /// Ask the service how it is (Meta::health): prints OK, or NOT OK and why.
    #[arg(long, conflicts_with_all = ["endpoint", "body", "head", "raw", "json", "http", "thrift"])]
    pub health: bool,
    /// How the connection is secured.
    #[command(flatten)]
    pub tls: Tls,
    /// Many calls.
    #[command(flatten)]
    pub bench: Bench,
    /// Print the version.
    #[arg(short = 'v', action = clap::ArgAction::Version)]
    pub short_version: Option<bool>,
}

/// How args are written. Without any of these: thrift if the endpoint has `::` in it, else JSON.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Scheme {
    /// Send bytes as they are, and print the answer's body as it is.
    #[arg(short = 'r', long, conflicts_with_all = ["json", "http", "thrift"])]
    pub raw: bool,
    /// Send and print JSON, also where the endpoint has :: in it.
    #[arg(short = 'j', long, short_alias = 'J', conflicts_with_all = ["http", "thrift"])]
    pub json: bool,
    /// Send an HTTP request of this method; the endpoint is its URL.
    #[arg(long, value_name = "METHOD", conflicts_with = "thrift")]
    pub http: Option<String>,
    /// The Thrift IDL of the service: a file, or a folder with SERVICE.thrift in it.
    #[arg(short = 't', long, value_name = "FILE")]
    pub thrift: Option<PathBuf>,
    /// Take fields in the IDL that are neither required nor optional and have no default.
    #[arg(short = 'S', long)]
    pub no_strict: bool,
    /// As tcurl's: what is done without --no-strict.
    #[arg(long, hide = true, overrides_with = "no_strict")]
    strict: bool,
}

/// TLS with the peer. Any of these turns it on.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Tls {
    /// Use TLS; the peer's certificate is signed by an authority that the system trusts.
    #[arg(long)]
    pub tls: bool,
    /// Use TLS; the authorities in this PEM file sign the peer's certificate.
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Use TLS, and show the certificates in this PEM file.
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// The PEM file with their key, if it is not in the same file.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Use TLS; the peer's certificate is for this name, and not for the host that is called.
    #[arg(long, value_name = "NAME")]
    pub tls_name: Option<String>,
}

impl Tls {
    /// What is wanted, if TLS is.
    pub fn wanted(&self) -> Option<Connect> {
        let Tls {
            tls,
            tls_ca: ca,
            tls_cert: cert,
            tls_key: key,
            tls_name: name,
        } = self.clone();
        let any = tls || ca.is_some() || cert.is_some() || name.is_some();
        any.then(|| Connect {
            ca,
            name,
            identity: cert.map(|certificate| Identity { certificate, key }),
            min_version: Version::default(),
        })
    }
}

/// How many calls.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Bench {
    /// Make the same call many times, and print calls a second, latencies and errors.
    #[arg(long)]
    pub bench: bool,
    /// Calls that are in flight at a time, over all connections [default: 32].
    #[arg(long, value_name = "N", value_parser = in_flight(),
          requires = "bench")]
    pub in_flight: Option<usize>,
    /// Connections to spread them over [default: 1].
    #[arg(long, value_name = "N", value_parser = connections(),
          requires = "bench")]
    pub connections: Option<usize>,
    /// Stop after so many calls.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub requests: Option<u64>,
    /// Stop after so many milliseconds [default: 10000, or with --rate 30000, if there is no
    /// --requests].
    #[arg(long, value_name = "MS", value_parser = milliseconds)]
    pub time: Option<Duration>,
    /// As tcurl's: send so many calls at once, wait for them and for --delay, and again; implies
    /// --bench.
    #[arg(long, value_name = "N", value_parser = in_flight(),
          conflicts_with_all = ["in_flight", "connections"])]
    pub rate: Option<usize>,
    /// The pause between them, in milliseconds [default: 100].
    #[arg(long, value_name = "MS", value_parser = milliseconds, requires = "rate")]
    pub delay: Option<Duration>,
}

/// Said above the flags.
pub const USAGE: &str = "\
heeler call -p HOST:PORT [OPTIONS] SERVICE ENDPOINT [BODY]
       heeler call -p HOST:PORT [OPTIONS] SERVICE --health";

/// Said below the flags.
pub const EXAMPLES: &str = r#"Examples:
  heeler call -p 127.0.0.1:3000 kv put -3 '{"key":"foo","value":"bar"}'
  heeler call -p 127.0.0.1:3000 kv get '{"key":"foo"}' --timeout 3000
  heeler call -p 127.0.0.1:3000 kv get [ --key foo ]         the same in SHON
  heeler call -p 127.0.0.1:3000 ringpop /admin/stats         a node's view of its ring
  heeler call -p 127.0.0.1:3000 kv put -3 @body.json         the body from a file; - from stdin
  heeler call -p 127.0.0.1:3000 kv KV::get -t kv.thrift '{"key":"foo"}'
  heeler call -p 127.0.0.1:3000 kv --health
  heeler call -p 127.0.0.1:3000 web /hello --http GET -2 '{"accept":"text/plain"}'
  heeler call -p node:3000 --tls-ca ca.pem kv --health        over TLS
  heeler call -p 127.0.0.1:3000 kv get '{"key":"foo"}' --bench --in-flight 64 --time 5000

Standard output has the answer on one line, {"ok":true,"head":…,"body":…,"headers":…}, or with --raw
and --http its body as it is; errors are told there as JSON, too, and on standard error in words.

Exit codes:
  0 answered                 4 declined            8 unhealthy
  1 timeout                  5 unexpected error    124 --health: not OK
  2 cancelled                6 bad request         125 wrong usage, unreadable file or answer
  3 busy                     7 network error       126 answered with an error, or HTTP 400 and above
                                                   127 fatal protocol error"#;

fn in_flight() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=limits::BENCH_IN_FLIGHT)
}

fn connections() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=limits::BENCH_CONNECTIONS)
}

/// A number of milliseconds that is not 0.
fn milliseconds(text: &str) -> Result<Duration, String> {
    let number: u32 = text
        .parse()
        .map_err(|_| "write a number of milliseconds, such as 1000".to_owned())?;
    match number {
        0 => Err("0 milliseconds are too few".into()),
        number => Ok(Duration::from_millis(number.into())),
    }
}
