//! TLS, on either side of a connection: certificates from files, and the handshake.
//!
//! What is wanted stands in [`crate::config::tls`]. [`Acceptor::load`] and [`Connector::load`] read
//! the files and check them, so that what is wrong is known before anything changes. What they
//! return never changes: files that have been renewed are loaded anew and put in its place, and
//! connections that exist live on with what they began with.

mod accept;
mod certificate;
mod connect;
mod pem;
mod trust;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{CertificateError, InvalidMessage, SupportedProtocolVersion, version};

pub use accept::Acceptor;
pub use certificate::Certificate;
pub use connect::Connector;

use crate::config::tls::Version;

/// What is wrong with a file, or doubtful about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file. `None`: the system's authorities are meant.
    pub file: Option<PathBuf>,
    /// What is wrong, the file's name included.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl Problem {
    fn of(kind: &str, file: &Path, what: impl fmt::Display) -> Problem {
        Problem {
            file: Some(file.into()),
            message: format!("{kind} {}: {what}", file.display()),
            help: None,
        }
    }

    fn help(self, help: impl Into<String>) -> Problem {
        Problem {
            help: Some(help.into()),
            ..self
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.help {
            Some(help) => write!(f, "{}; {help}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Problem {}

/// Why a connection failed, if TLS is why. Nothing of it is secret.
pub fn reason(error: &io::Error) -> Option<String> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match error {
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the other side speaks no TLS".into()
        }
        rustls::Error::NoCertificatesPresented => "it shows no certificate".into(),
        rustls::Error::AlertReceived(alert) => format!("the other side refuses: {alert:?}"),
        rustls::Error::InvalidCertificate(error) => match fault(error) {
            Some(fault) => format!("its certificate {fault}"),
            None => error.to_string(),
        },
        other => other.to_string(),
    })
}

/// What is wrong with a certificate, for what rustls has few words for.
fn fault(error: &CertificateError) -> Option<String> {
    Some(match error {
        // By nobody of a trusted name, or by another who has taken one.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "is signed by no authority that is trusted here".into()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired".into(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not good yet".into()
        }
        CertificateError::Other(other) => match other.to_string().as_str() {
            "UnsupportedCertVersion" => {
                "is of X.509 version 1, which names no host: sign it with a subjectAltName".into()
            }
            "CaUsedAsEndEntity" => "is that of an authority, and not to be shown".into(),
            text => format!("cannot be used: {text}"),
        },
        _ => return None,
    })
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn versions(oldest: Version) -> &'static [&'static SupportedProtocolVersion] {
    static BOTH: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
    match oldest {
        Version::V1_2 => &BOTH,
        Version::V1_3 => &BOTH[..1],
    }
}
