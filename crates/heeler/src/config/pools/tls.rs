//! The keys of a pool about TLS.

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;

use super::Address;
use super::address::ServerLine;
use super::keys::{Fault, Key, named, switch};
use crate::config::conceal::quoted;
use crate::config::diagnostic::{Finding, Findings};
use crate::config::document::{Block, Scalar};
use crate::config::tls::{Accept, ClientAuth, Connect, Identity, Version};

const VERSION: &str = "write 1.2 or 1.3";
const PEM: &str = "write the path of a PEM file from the root, such as /etc/heeler/ca.pem";

/// What has been read of them.
#[derive(Default)]
pub(super) struct Draft {
    cert: Vec<PathBuf>,
    key: Vec<PathBuf>,
    ca: Option<PathBuf>,
    client_auth: Option<ClientAuth>,
    min_version: Option<Version>,
    server: Option<bool>,
    server_ca: Option<PathBuf>,
    server_name: Option<String>,
    server_cert: Option<PathBuf>,
    server_key: Option<PathBuf>,
    server_min_version: Option<Version>,
}

/// The keys. Their names begin with `tls_` where they are about clients, else with `server_tls`.
pub(super) const KEYS: [Key; 11] = [
    Key {
        name: "tls_cert",
        allowed: "write the path of a PEM file from the root, such as /etc/heeler/cert.pem, or a \
                  list of them, '- /path' each",
        set: |draft, value| file(value).map(|path| draft.tls.cert.push(path)),
    },
    Key {
        name: "tls_key",
        allowed: "write the path of a PEM file from the root, such as /etc/heeler/key.pem, or a \
                  list of them, '- /path' each",
        set: |draft, value| file(value).map(|path| draft.tls.key.push(path)),
    },
    Key {
        name: "tls_ca",
        allowed: PEM,
        set: |draft, value| file(value).map(|path| draft.tls.ca = Some(path)),
    },
    Key {
        name: "tls_client_auth",
        allowed: "write require, request or off",
        set: |draft, value| {
            let slot = &mut draft.tls.client_auth;
            named(value, ClientAuth::from_name, "known", slot)
        },
    },
    Key {
        name: "tls_min_version",
        allowed: VERSION,
        set: |draft, value| version(value, &mut draft.tls.min_version),
    },
    Key {
        name: "server_tls",
        allowed: "write true or false",
        set: |draft, value| switch(value, &mut draft.tls.server),
    },
    Key {
        name: "server_tls_ca",
        allowed: PEM,
        set: |draft, value| file(value).map(|path| draft.tls.server_ca = Some(path)),
    },
    Key {
        name: "server_tls_name",
        allowed: "write the name in the servers' certificates, such as redis.example.com",
        set: |draft, value| name(value).map(|name| draft.tls.server_name = Some(name)),
    },
    Key {
        name: "server_tls_cert",
        allowed: PEM,
        set: |draft, value| file(value).map(|path| draft.tls.server_cert = Some(path)),
    },
    Key {
        name: "server_tls_key",
        allowed: PEM,
        set: |draft, value| file(value).map(|path| draft.tls.server_key = Some(path)),
    },
    Key {
        name: "server_tls_min_version",
        allowed: VERSION,
        set: |draft, value| version(value, &mut draft.tls.server_min_version),
    },
];

/// The path of a file. What it is relative to would depend on where the process was started, so it
/// has to begin at the root.
pub(super) fn file(value: &Scalar<'_>) -> Result<PathBuf, Fault> {
    let fault = |message: String| Err(Fault::new(value.at.clone(), message));
    match &*value.text {
        text if !text.starts_with('/') => {
            fault(format!("{} does not begin at the root", quoted(text)))
        }
        text if text.contains('\0') => fault("a path cannot hold a NUL".to_owned()),
        text => Ok(text.into()),
    }
}

fn name(value: &Scalar<'_>) -> Result<String, Fault> {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    match value.text.chars().all(is_letter) {
        true => Ok(value.text.to_string()),
        false => {
            let message = format!("{} is no name of a host", quoted(&value.text));
            Err(Fault::new(value.at.clone(), message))
        }
    }
}

fn version(value: &Scalar<'_>, slot: &mut Option<Version>) -> Result<(), Fault> {
    named(value, Version::from_name, "a version that is known", slot)
}

/// What the keys say together. Every error is in `findings`.
pub(super) fn finish(
    draft: Draft,
    servers: &[ServerLine],
    places: &HashMap<&str, Range<usize>>,
    block: &Block<'_>,
    findings: &mut Findings<'_>,
) -> (Option<Accept>, Option<Connect>) {
    let mut told = Told {
        places,
        pool: &block.name.text,
        findings,
    };
    told.alone(&draft);
    told.unlike(&draft, servers);
    let Draft { cert, key, .. } = draft;
    let keys = key.into_iter().map(Some).chain(std::iter::repeat(None));
    let identities: Vec<Identity> = cert
        .into_iter()
        .zip(keys)
        .map(|(certificate, key)| Identity { certificate, key })
        .collect();
    let usual = match draft.ca {
        Some(_) => ClientAuth::Require,
        None => ClientAuth::Off,
    };
    let accept = (!identities.is_empty()).then(|| Accept {
        identities,
        client_auth: draft.client_auth.unwrap_or(usual),
        ca: draft.ca,
        min_version: draft.min_version.unwrap_or_default(),
    });
    let key = draft.server_key;
    let identity = draft
        .server_cert
        .map(|certificate| Identity { certificate, key });
    let connect = (draft.server == Some(true)).then(|| Connect {
        ca: draft.server_ca,
        name: draft.server_name,
        identity,
        min_version: draft.server_min_version.unwrap_or_default(),
    });
    (accept, connect)
}

struct Told<'a, 't> {
    places: &'a HashMap<&'a str, Range<usize>>,
    pool: &'a str,
    findings: &'a mut Findings<'t>,
}

impl Told<'_, '_> {
    fn error(&mut self, key: &str, message: &str, help: &str) {
        if let Some(at) = self.places.get(key) {
            let fault = Finding::error(at.clone(), message).pool(self.pool).key(key);
            self.findings.push(fault.help(help));
        }
    }

    fn warning(&mut self, key: &str, message: &str, help: &str) {
        if let Some(at) = self.places.get(key) {
            let fault = Finding::warning(at.clone(), message)
                .pool(self.pool)
                .key(key);
            self.findings.push(fault.help(help));
        }
    }

    /// Keys that mean nothing without another.
    fn alone(&mut self, draft: &Draft) {
        let mut given: Vec<&str> = self.places.keys().copied().collect();
        given.sort_unstable();
        // Of a key whose value is wrong the place is known, and its own error is enough.
        let has_cert = self.places.contains_key("tls_cert");
        let says = self.places.contains_key("server_tls");
        for key in given {
            let of_servers = key.starts_with("server_tls_");
            if key.starts_with("tls_") && !has_cert {
                let help = "add 'tls_cert: /path/of/certificate.pem', or remove the key";
                self.error(key, "without 'tls_cert' clients speak no TLS", help);
            } else if of_servers && !says {
                let help = "add 'server_tls: true', or remove the key";
                self.error(
                    key,
                    "without 'server_tls' servers are spoken to in plain",
                    help,
                );
            } else if of_servers && draft.server == Some(false) {
                let help = "write 'server_tls: true', or remove the key";
                self.warning(key, "ignored with 'server_tls: false'", help);
            }
        }
        if !self.places.contains_key("server_tls_cert") {
            let help = "add 'server_tls_cert: /path/of/certificate.pem', or remove the key";
            self.error("server_tls_key", "a key without its certificate", help);
        }
    }

    /// Keys that do not go together.
    fn unlike(&mut self, draft: &Draft, servers: &[ServerLine]) {
        let (certs, keys) = (draft.cert.len(), draft.key.len());
        if keys > 0 && certs > 0 && keys != certs {
            let message = format!("certificates and keys do not pair up: {certs} and {keys}");
            let help = "write a key for each certificate, in the same order; or none, where each \
                        key stands in the file of its certificate";
            self.error("tls_key", &message, help);
        }
        let has_ca = self.places.contains_key("tls_ca");
        match draft.client_auth {
            Some(ClientAuth::Require | ClientAuth::Request) if !has_ca => {
                let help = "add 'tls_ca: /path/of/authorities.pem', or write off";
                let message = "clients' certificates cannot be checked without 'tls_ca'";
                self.error("tls_client_auth", message, help);
            }
            Some(ClientAuth::Off) if has_ca => {
                let help = "remove the key, or 'tls_client_auth: off'";
                self.warning("tls_ca", "ignored with 'tls_client_auth: off'", help);
            }
            _ => {}
        }
        let is_unix = |line: &&ServerLine| matches!(line.server.address, Address::Unix { .. });
        if draft.server == Some(true)
            && !self.places.contains_key("server_tls_name")
            && servers.iter().any(|line| is_unix(&line))
        {
            let message = "a server at a Unix socket has no host that its certificate could name";
            let help = "add 'server_tls_name: ' and the name in its certificate";
            self.error("server_tls", message, help);
        }
    }
}
