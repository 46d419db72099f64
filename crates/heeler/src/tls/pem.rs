//! PEM files (RFC 7468): certificates, keys, authorities.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::{Problem, fault, provider};
use crate::config::tls::Identity;
use crate::limits;

const CERTIFICATE: &str = "certificate file";
const KEY: &str = "key file";
const AUTHORITIES: &str = "file of authorities";

/// A chain and its key, which match, and what is doubtful about the key's file.
pub(super) fn identity(wanted: &Identity) -> Result<(CertifiedKey, Option<Problem>), Problem> {
    let file = &wanted.certificate;
    let chain = certificates(CERTIFICATE, file)?;
    let (key, warning) = key(wanted.key_file())?;
    let key = provider().key_provider.load_private_key(key);
    let key = key.map_err(|error| {
        let fault = Problem::of(KEY, wanted.key_file(), format_args!("unusable: {error}"));
        fault.help(
            "use an RSA key of 2048 bits or more, an ECDSA key (P-256, P-384, P-521) or Ed25519",
        )
    })?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) => Ok((certified, warning)),
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
            let other = wanted.key_file().display();
            let what = format_args!("is not that of the first certificate in {}", file.display());
            let fault = Problem {
                message: format!("{KEY} {other}: the key {what}"),
                ..Problem::of(KEY, wanted.key_file(), "")
            };
            Err(fault
                .help("name a pair; the own certificate stands first, those that sign it after"))
        }
        Err(error) => {
            let fault = match &error {
                rustls::Error::InvalidCertificate(error) => fault(error),
                _ => None,
            };
            let what = match fault {
                Some(fault) => format!("the certificate {fault}"),
                None => format!("unusable: {error}"),
            };
            Err(Problem::of(CERTIFICATE, file, what))
        }
    }
}

/// The authorities in a file, or those that the system trusts, and what cannot be used of them.
pub(super) fn authorities(
    file: Option<&Path>,
) -> Result<(Vec<CertificateDer<'static>>, Arc<RootCertStore>), Problem> {
    let mut store = RootCertStore::empty();
    let Some(file) = file else {
        let found = rustls_native_certs::load_native_certs();
        let (good, _) = store.add_parsable_certificates(found.certs.iter().cloned());
        if good == 0 {
            let reason = found.errors.first().map(|error| format!(": {error}"));
            return Err(Problem {
                file: None,
                message: format!(
                    "the system trusts no authority{}",
                    reason.unwrap_or_default()
                ),
                help: Some("install ca-certificates, or name a file of authorities".into()),
            });
        }
        return Ok((found.certs, Arc::new(store)));
    };
    let certificates = certificates(AUTHORITIES, file)?;
    for (i, certificate) in certificates.iter().enumerate() {
        let place = i + 1;
        store.add(certificate.clone()).map_err(|error| {
            let what = format_args!("certificate {place} in it cannot be used: {error}");
            Problem::of(AUTHORITIES, file, what)
        })?;
    }
    Ok((certificates, Arc::new(store)))
}

fn certificates(kind: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let (bytes, _) = read(kind, file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|error| broken(kind, file, &error))?;
    match found.is_empty() {
        true => {
            let help = "it has to be PEM: '-----BEGIN CERTIFICATE-----' and lines of base64";
            Err(Problem::of(kind, file, "no certificate in it").help(help))
        }
        false => Ok(found),
    }
}

fn key(file: &Path) -> Result<(PrivateKeyDer<'static>, Option<Problem>), Problem> {
    let (bytes, mode) = read(KEY, file)?;
    let key = PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| match error {
        pem::Error::NoItemsFound if is_encrypted(&bytes) => {
            let shown = file.display();
            let help = format!("take it off: openssl pkey -in {shown} -out FILE");
            Problem::of(KEY, file, "the key is locked with a passphrase").help(help)
        }
        pem::Error::NoItemsFound => {
            let help = "it has to be PEM: '-----BEGIN PRIVATE KEY-----' and lines of base64";
            Problem::of(KEY, file, "no key in it").help(help)
        }
        error => broken(KEY, file, &error),
    })?;
    let warning = (mode & 0o004 != 0).then(|| {
        let fault = Problem::of(KEY, file, "every user of this machine can read it");
        fault.help(format!("run chmod o= {}", file.display()))
    });
    Ok((key, warning))
}

fn is_encrypted(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED")
}

/// What the parser says of broken PEM holds bytes of the file, which may be of a key: not told.
fn broken(kind: &str, file: &Path, error: &pem::Error) -> Problem {
    let what = match error {
        pem::Error::MissingSectionEnd { .. } => "broken PEM: an '-----END …' line is missing",
        pem::Error::IllegalSectionStart { .. } => "broken PEM: a '-----BEGIN …' line is wrong",
        _ => "broken PEM: what stands between BEGIN and END is not base64",
    };
    Problem::of(kind, file, what).help("copy the whole file again")
}

/// The bytes of a file, and its mode.
fn read(kind: &str, file: &Path) -> Result<(Vec<u8>, u32), Problem> {
    let unreadable = |error: io::Error| {
        let reason = error.to_string();
        let reason = reason.split(" (os error").next().unwrap_or_default();
        let help = match error.kind() {
            io::ErrorKind::NotFound => "create it, or write where it is",
            _ => "let the user who runs the process read it",
        };
        Problem::of(kind, file, format_args!("cannot read it: {reason}")).help(help)
    };
    let opened = File::open(file).map_err(unreadable)?;
    let mode = opened.metadata().map_err(unreadable)?.permissions().mode();
    let mut bytes = Vec::new();
    opened
        .take(limits::PEM_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    match bytes.len() > limits::PEM_BYTES {
        true => {
            let what = format_args!("longer than {} bytes", limits::PEM_BYTES);
            Err(Problem::of(kind, file, what))
        }
        false => Ok((bytes, mode)),
    }
}
