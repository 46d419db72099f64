//! Reads the file of pools, and all that it names: passwords, certificates, keys.

use std::path::Path;

use anyhow::bail;

use crate::clock;
use crate::config::pools::{self, File, Pool};
use crate::config::{Diagnostic, Invalid, Level, Watch};
use crate::tls::{Acceptor, Certificate, Connector, Problem};

/// A file without mistakes, with all that it names.
#[derive(Debug)]
pub struct Loaded {
    /// The pools. Their passwords have been fetched.
    pub pools: Vec<Pool>,
    /// TLS of each.
    pub tls: Vec<Tls>,
}

/// TLS of a pool, as far as it is spoken.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// With its clients.
    pub clients: Option<Acceptor>,
    /// With its servers.
    pub servers: Option<Connector>,
}

impl Tls {
    /// Whether both shake hands in the same way, with the same certificates.
    pub fn is_as(&self, other: &Tls) -> bool {
        let clients = match (&self.clients, &other.clients) {
            (Some(a), Some(b)) => a.is_as(b),
            (a, b) => a.is_none() && b.is_none(),
        };
        clients
            && match (&self.servers, &other.servers) {
                (Some(a), Some(b)) => a.is_as(b),
                (a, b) => a.is_none() && b.is_none(),
            }
    }

    /// The certificates that are shown to clients, and to servers: one for each file.
    pub fn certificates(&self) -> Vec<Certificate> {
        let to_clients = self.clients.iter().flat_map(Acceptor::certificates);
        let to_servers = self.servers.iter().flat_map(Connector::certificates);
        let mut certificates: Vec<Certificate> = Vec::new();
        for certificate in to_clients.chain(to_servers) {
            if !certificates.iter().any(|c| c.file == certificate.file) {
                certificates.push(certificate.clone());
            }
        }
        certificates
    }
}

/// Reads the file alone, and nothing that it names. Warnings are logged.
///
/// # Errors
/// What is wrong, and where.
pub fn read_alone(path: &Path) -> anyhow::Result<File> {
    let file = parsed(path)?;
    warn(&file.warnings);
    Ok(file)
}

/// Reads the file and all that it names, and checks it. Whatever is read is watched from then on.
/// `before` has what was loaded for a pool before. Warnings are logged.
///
/// # Errors
/// What is wrong, and where.
pub fn read<'b>(
    path: &Path,
    watch: &mut Watch,
    before: impl Fn(&Pool) -> Option<&'b Tls>,
) -> anyhow::Result<Loaded> {
    watch.reads();
    let mut file = parsed(path)?;
    watch.follow(file.pools.iter().flat_map(Pool::files));
    if let Err(invalid) = file.fetch_passwords() {
        bail!("{}", invalid.render(false));
    }
    let (mut tls, mut problems, mut doubts) = (Vec::new(), Vec::new(), Vec::new());
    for pool in &file.pools {
        let mut loading = Loading {
            file: &file,
            pool,
            before: before(pool),
            doubts: &mut doubts,
        };
        match loading.load() {
            Ok(loaded) => tls.push(loaded),
            Err((side, problem)) => problems.push(loading.placed(side, problem)),
        }
    }
    if !problems.is_empty() {
        bail!("{}", Invalid { problems }.render(false));
    }
    warn(&file.warnings);
    warn(&doubts);
    let pools = file.pools;
    Ok(Loaded { pools, tls })
}

/// Reads the file and all that it names, only to check it.
///
/// # Errors
/// What is wrong, and where.
pub fn check(path: &Path) -> anyhow::Result<Loaded> {
    read(path, &mut Watch::new(path), |_| None)
}

fn parsed(path: &Path) -> anyhow::Result<File> {
    match pools::read(path) {
        Ok(file) => Ok(file),
        Err(invalid) => bail!("{}", invalid.render(false)),
    }
}

fn warn(warnings: &[Diagnostic]) {
    for warning in warnings {
        tracing::warn!("{}", Diagnostic::one_line(warning));
    }
}

/// How the keys about TLS with clients begin.
const CLIENTS: &str = "tls_";
/// How those about TLS with servers begin. One is just that.
const SERVERS: &str = "server_tls";

/// Loads what one pool names.
struct Loading<'a> {
    file: &'a File,
    pool: &'a Pool,
    before: Option<&'a Tls>,
    doubts: &'a mut Vec<Diagnostic>,
}

impl Loading<'_> {
    /// # Errors
    /// What is wrong, and how the keys begin that may have named it.
    fn load(&mut self) -> Result<Tls, (&'static str, Problem)> {
        let now = clock::now() / 1000;
        let before = self.before.and_then(|tls| tls.clients.as_ref());
        let clients = self.pool.tls.as_ref();
        let clients = clients.map(|wanted| Acceptor::load(wanted, before));
        let clients = clients.transpose().map_err(|problem| (CLIENTS, problem))?;
        for doubt in clients.iter().flat_map(|acceptor| acceptor.doubts(now)) {
            self.doubt(CLIENTS, doubt);
        }
        let before = self.before.and_then(|tls| tls.servers.as_ref());
        let servers = self.pool.server_tls.as_ref();
        let servers = servers.map(|wanted| Connector::load(wanted, before));
        let servers = servers.transpose().map_err(|problem| (SERVERS, problem))?;
        for doubt in servers.iter().flat_map(|connector| connector.doubts(now)) {
            self.doubt(SERVERS, doubt);
        }
        Ok(Tls { clients, servers })
    }

    fn doubt(&mut self, side: &str, doubt: Problem) {
        let mut placed = self.placed(side, doubt);
        placed.level = Level::Warning;
        self.doubts.push(placed);
    }

    /// The problem at the key that names the file; `side` is how the key begins.
    fn placed(&self, side: &str, problem: Problem) -> Diagnostic {
        let Problem {
            file,
            message,
            help,
        } = problem;
        let is_meant = |key: &str, value: &str| match &file {
            Some(file) => key.starts_with(side) && Path::new(value) == file,
            None => key == side,
        };
        let what = (message, help);
        self.file
            .problem(Level::Error, &self.pool.name, is_meant, what)
    }
}
