//! TLS on the doors of a store, and secrets that are renewed while it runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::doors::Offered;
use crate::config::Watch;
use crate::config::pools::Source as PasswordSource;
use crate::config::tls::{Accept, ClientAuth, Version};
use crate::net::{Number, Renewing, Server};
use crate::session::Password;
use crate::tls::Acceptor;
use crate::{limits, peer};

/// What HTTP's clients are offered (ALPN).
const HTTP: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// A door that may speak TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum TlsDoor {
    /// `--redis`
    Redis,
    /// `--memcached`
    Memcached,
    /// `--http`
    Http,
    /// None of them: only the port between nodes does.
    None,
}

impl TlsDoor {
    /// Its name in the log.
    pub fn name(self) -> &'static str {
        match self {
            TlsDoor::Redis => "redis",
            TlsDoor::Memcached => "memcached",
            TlsDoor::Http => "http",
            TlsDoor::None => "none",
        }
    }
}

/// Whether clients have to show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum AuthClients {
    /// They are not asked for one.
    #[default]
    No,
    /// Who shows none that --tls-ca has signed is turned away.
    Yes,
    /// Who shows one must show a good one.
    Optional,
}

/// TLS on the doors.
#[derive(Clone, Debug)]
pub struct DoorTls {
    /// The certificate and who signs those of others.
    pub files: peer::Tls,
    /// The doors; all where none is named.
    pub doors: Vec<TlsDoor>,
    /// Whether clients have to show a certificate.
    pub clients: AuthClients,
}

impl DoorTls {
    /// Whether a door speaks it.
    pub fn covers(&self, door: TlsDoor) -> bool {
        self.doors.is_empty() || self.doors.contains(&door)
    }

    fn accept(&self) -> anyhow::Result<Accept> {
        let client_auth = match self.clients {
            AuthClients::No => ClientAuth::Off,
            AuthClients::Yes => ClientAuth::Require,
            AuthClients::Optional => ClientAuth::Request,
        };
        if client_auth != ClientAuth::Off && self.files.ca.is_none() {
            anyhow::bail!("--tls-auth-clients needs --tls-ca: who signs the clients' certificates");
        }
        Ok(Accept {
            identities: vec![self.files.identity()],
            client_auth,
            ca: self
                .files
                .ca
                .clone()
                .filter(|_| client_auth != ClientAuth::Off),
            min_version: Version::default(),
        })
    }

    /// Loads what the files hold.
    ///
    /// # Errors
    /// A file is wrong.
    pub fn load(&self) -> anyhow::Result<Certificates> {
        let wanted = self.accept()?;
        let acceptor = Acceptor::load(&wanted, None)?;
        for doubt in acceptor.doubts(crate::clock::now() / 1000) {
            tracing::warn!("{doubt}");
        }
        Ok(Certificates { wanted, acceptor })
    }
}

/// What is shown to clients.
pub struct Certificates {
    wanted: Accept,
    acceptor: Acceptor,
}

impl Certificates {
    /// How hands are shaken at a door.
    pub fn at(&self, door: TlsDoor) -> Acceptor {
        match door {
            TlsDoor::Http => self.acceptor.offering(&HTTP),
            _ => self.acceptor.clone(),
        }
    }
}

/// What may be renewed in files.
pub struct Secrets {
    /// Of the doors that speak TLS.
    certificates: Option<Certificates>,
    /// Those doors, by their numbers and names.
    doors: Vec<(Number, String, TlsDoor)>,
    /// Where the password is.
    source: Option<PasswordSource>,
    /// What all doors ask for.
    password: Arc<Password>,
}

impl Secrets {
    /// Opens the doors.
    pub fn open(
        server: &mut Server,
        offered: Offered,
        source: Option<PasswordSource>,
        password: Arc<Password>,
    ) -> Secrets {
        let mut doors = Vec::new();
        for (service, door) in offered.services {
            let name = service.name.clone();
            let number = server.open(service);
            doors.extend(door.map(|door| (number, name, door)));
        }
        Secrets {
            certificates: offered.certificates,
            doors,
            source,
            password,
        }
    }

    /// Takes renewed certificates and another password from their files, as long as the process
    /// lives. What cannot be used is told, and what was there stays.
    pub async fn follow(mut self, server: Renewing) {
        let mut files: Vec<PathBuf> = Vec::new();
        if let Some(certificates) = &self.certificates {
            files.extend(certificates.wanted.files().map(PathBuf::from));
        }
        let password = self.source.as_ref().and_then(PasswordSource::file);
        files.extend(password.map(PathBuf::from));
        let Some((first, others)) = files.split_first() else {
            return;
        };
        let mut watch = Watch::new(first);
        watch.follow(others.iter().map(PathBuf::as_path));
        loop {
            tokio::time::sleep(Duration::from_millis(limits::WATCH_MS)).await;
            let Some(changed) = watch.has_changed() else {
                continue;
            };
            let is_password = self.source.as_ref().and_then(PasswordSource::file);
            match is_password == Some(&*changed) {
                true => self.renew_password(),
                false => self.renew_certificates(&server),
            }
        }
    }

    fn renew_password(&self) {
        match self.source.as_ref().map(PasswordSource::secret) {
            Some(Ok(secret)) => {
                self.password.set(Some(secret));
                tracing::info!("another password is asked for from now on");
            }
            Some(Err(error)) => tracing::error!("the old password stays: {error}"),
            None => {}
        }
    }

    fn renew_certificates(&mut self, server: &Renewing) {
        let Some(certificates) = &mut self.certificates else {
            return;
        };
        let loaded = Acceptor::load(&certificates.wanted, Some(&certificates.acceptor));
        match loaded {
            Ok(acceptor) if acceptor.is_as(&certificates.acceptor) => {}
            Ok(acceptor) => {
                certificates.acceptor = acceptor;
                for (number, name, door) in &self.doors {
                    server.renew(*number, certificates.at(*door), name);
                }
                tracing::info!("a renewed certificate is shown from now on");
            }
            Err(error) => tracing::error!("the old certificate stays: {error}"),
        }
    }
}
