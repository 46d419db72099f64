//! TLS with those whom we connect to.

use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::TlsConnector;

use super::trust::Trust;
use super::{Certificate, Problem, pem, provider, reason, versions};
use crate::config::tls::Connect;
use crate::socket::Stream;

/// Shakes hands with those whom we connect to. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Connector(Arc<Loaded>);

#[derive(Debug)]
struct Loaded {
    wanted: Connect,
    config: Arc<ClientConfig>,
    /// The name that is verified, if it is not that of the host.
    name: Option<ServerName<'static>>,
    certificates: Vec<Certificate>,
    /// What the files hold, but for the key: it matches the certificate.
    content: Vec<CertificateDer<'static>>,
    /// A doubt about the file of the key.
    doubts: Vec<Problem>,
}

impl Connector {
    /// Reads the files and checks them. `before` is what was loaded before: where all is as it was,
    /// it is used on, and sessions can be resumed.
    ///
    /// # Errors
    /// The first file that is wrong, and why.
    pub fn load(wanted: &Connect, before: Option<&Connector>) -> Result<Connector, Problem> {
        let (trusted, store) = pem::authorities(wanted.ca.as_deref())?;
        let (mut certificates, mut content, mut doubts) = (Vec::new(), trusted, Vec::new());
        let no_tls = |error: &dyn std::fmt::Display| unusable(format!("cannot use TLS: {error}"));
        let authorities = WebPkiServerVerifier::builder_with_provider(store, provider()).build();
        let identity = wanted.identity.as_ref().map(pem::identity).transpose()?;
        let own = identity.as_ref().filter(|_| wanted.ca.is_none());
        let trust = Trust {
            authorities: authorities.map_err(|error| no_tls(&error))?,
            named: match wanted.ca {
                Some(_) => content.clone(),
                None => Vec::new(),
            },
            own: own.and_then(|(certified, _)| certified.cert.first().cloned()),
        };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions(wanted.min_version))
            .map_err(|error| no_tls(&error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(trust));
        let config = match (&wanted.identity, identity) {
            (Some(identity), Some((certified, doubt))) => {
                certificates.push(Certificate::of(&identity.certificate, &certified.cert)?);
                content.extend(certified.cert.iter().cloned());
                doubts.extend(doubt);
                builder.with_client_cert_resolver(Arc::new(Shown(Arc::new(certified))))
            }
            _ => builder.with_no_client_auth(),
        };
        let name = wanted.name.as_ref().map(|name| {
            let parsed = ServerName::try_from(name.clone());
            parsed.map_err(|_| unusable(format!("'{name}' is no name of a host")))
        });
        let before = before.filter(|b| b.0.wanted == *wanted && b.0.content == content);
        Ok(Connector(Arc::new(Loaded {
            wanted: wanted.clone(),
            config: before.map_or_else(|| Arc::new(config), |before| before.0.config.clone()),
            name: name.transpose()?,
            certificates,
            content,
            doubts,
        })))
    }

    /// Whether both shake hands in the same way, with the same certificates.
    pub fn is_as(&self, other: &Connector) -> bool {
        Arc::ptr_eq(&self.0.config, &other.0.config)
    }

    /// Whether both are wanted to be the same, whatever their files hold.
    pub fn is_for(&self, other: &Connector) -> bool {
        self.0.wanted == other.0.wanted
    }

    /// For those who shake hands themselves: how, and the name that is verified, if it is not that
    /// of the host.
    pub fn parts(&self) -> (Arc<ClientConfig>, Option<ServerName<'static>>) {
        (self.0.config.clone(), self.0.name.clone())
    }

    /// The certificates that are shown.
    pub fn certificates(&self) -> &[Certificate] {
        &self.0.certificates
    }

    /// What is doubtful at `now`, in seconds since 1970: expired, or open to others.
    pub fn doubts(&self, now: u64) -> impl Iterator<Item = Problem> {
        let expired = self.0.certificates.iter().filter_map(move |c| c.doubt(now));
        expired.chain(self.0.doubts.iter().cloned())
    }

    /// Shakes hands over a new connection to `host`.
    ///
    /// # Errors
    /// The handshake failed, and why; the operating system's. Nothing of it is secret.
    pub async fn connect(&self, stream: Stream, host: &str) -> io::Result<Stream> {
        let name = match &self.0.name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned())
                .map_err(|_| failed(&format!("'{host}' cannot be the name in a certificate")))?,
        };
        let connector = TlsConnector::from(self.0.config.clone());
        match connector.connect(name, stream).await {
            Ok(done) => Ok(Stream::secured(done.into())),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(failed("the other side has closed the connection"))
            }
            Err(error) => Err(match reason(&error) {
                Some(reason) => failed(&reason),
                None => error,
            }),
        }
    }
}

fn failed(reason: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("TLS handshake failed: {reason}"),
    )
}

fn unusable(message: String) -> Problem {
    Problem {
        file: None,
        message,
        help: None,
    }
}

/// Shows one certificate to whoever asks for one.
#[derive(Debug)]
struct Shown(Arc<rustls::sign::CertifiedKey>);

impl rustls::client::ResolvesClientCert for Shown {
    fn resolve(
        &self,
        _authorities: &[&[u8]],
        schemes: &[rustls::SignatureScheme],
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        self.0.key.choose_scheme(schemes).map(|_| self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}
