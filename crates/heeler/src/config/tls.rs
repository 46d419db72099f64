//! What a file says of TLS: certificates to show, authorities to trust. Only names of files stand
//! here; the room `tls` reads them.

use std::path::{Path, PathBuf};

/// A chain of certificates, the own one first, and its key. Both are PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The file of the certificates.
    pub certificate: PathBuf,
    /// The file of the key. `None`: it stands in the file of the certificates.
    pub key: Option<PathBuf>,
}

impl Identity {
    /// The file that holds the key.
    pub fn key_file(&self) -> &Path {
        self.key.as_deref().unwrap_or(&self.certificate)
    }
}

/// The oldest version of TLS that is spoken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Version {
    /// TLS 1.2 (RFC 5246).
    #[default]
    V1_2,
    /// TLS 1.3 (RFC 8446).
    V1_3,
}

impl Version {
    /// As it is written in a file.
    pub fn name(self) -> &'static str {
        match self {
            Version::V1_2 => "1.2",
            Version::V1_3 => "1.3",
        }
    }

    /// What a file says.
    pub fn from_name(name: &str) -> Option<Version> {
        [Version::V1_2, Version::V1_3]
            .into_iter()
            .find(|version| version.name() == name)
    }
}

/// Whether those who connect have to show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// They are not asked for one.
    Off,
    /// They are asked; one that is shown has to be good.
    Request,
    /// Without a good one they are refused.
    Require,
}

impl ClientAuth {
    /// As it is written in a file.
    pub fn name(self) -> &'static str {
        match self {
            ClientAuth::Off => "off",
            ClientAuth::Request => "request",
            ClientAuth::Require => "require",
        }
    }

    /// What a file says.
    pub fn from_name(name: &str) -> Option<ClientAuth> {
        [ClientAuth::Off, ClientAuth::Request, ClientAuth::Require]
            .into_iter()
            .find(|auth| auth.name() == name)
    }
}

/// TLS for those who connect to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accept {
    /// At least one. The first is shown to who asks for a name that none of them has.
    pub identities: Vec<Identity>,
    /// Whether they have to show a certificate.
    pub client_auth: ClientAuth,
    /// The authorities that sign their certificates. Given unless they are not asked.
    pub ca: Option<PathBuf>,
    /// The oldest version that is spoken.
    pub min_version: Version,
}

impl Accept {
    /// The files that it names.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let of_identities = self.identities.iter().flat_map(identity_files);
        of_identities.chain(self.ca.as_deref())
    }
}

/// TLS for those whom we connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connect {
    /// The authorities that sign their certificates. `None`: those that the system trusts.
    pub ca: Option<PathBuf>,
    /// The name that their certificates must have, and that is told to them. `None`: the host that
    /// is connected to.
    pub name: Option<String>,
    /// What we show when they ask for a certificate.
    pub identity: Option<Identity>,
    /// The oldest version that is spoken.
    pub min_version: Version,
}

impl Connect {
    /// The files that it names.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let of_identity = self.identity.iter().flat_map(identity_files);
        of_identity.chain(self.ca.as_deref())
    }
}

fn identity_files(identity: &Identity) -> impl Iterator<Item = &Path> {
    [
        Some(identity.certificate.as_path()),
        identity.key.as_deref(),
    ]
    .into_iter()
    .flatten()
}
