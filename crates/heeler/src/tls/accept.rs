//! TLS with those who connect to us.

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

use super::{Certificate, Problem, pem, provider, versions};
use crate::config::tls::{Accept, ClientAuth};
use crate::socket::Stream;

/// Shakes hands with those who connect to us. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Acceptor(Arc<Loaded>);

#[derive(Debug)]
struct Loaded {
    wanted: Accept,
    config: Arc<ServerConfig>,
    certificates: Vec<Certificate>,
    /// What the files hold, but for the keys: they match the certificates.
    content: Vec<CertificateDer<'static>>,
    /// Doubts about the files of keys.
    doubts: Vec<Problem>,
}

impl Acceptor {
    /// Reads the files and checks them. `before` is what was loaded before: where all is as it was,
    /// it is used on, and clients can resume their sessions.
    ///
    /// # Errors
    /// The first file that is wrong, and why.
    pub fn load(wanted: &Accept, before: Option<&Acceptor>) -> Result<Acceptor, Problem> {
        let mut identities = Vec::new();
        let (mut certificates, mut content, mut doubts) = (Vec::new(), Vec::new(), Vec::new());
        for identity in &wanted.identities {
            let (certified, doubt) = pem::identity(identity)?;
            certificates.push(Certificate::of(&identity.certificate, &certified.cert)?);
            content.extend(certified.cert.iter().cloned());
            doubts.extend(doubt);
            identities.push(Arc::new(certified));
        }
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions(wanted.min_version))
            .map_err(|error| unusable(wanted, &error))?;
        let builder = match (wanted.client_auth, &wanted.ca) {
            (ClientAuth::Off, _) | (_, None) => builder.with_no_client_auth(),
            (auth, Some(ca)) => {
                let (trusted, store) = pem::authorities(Some(ca))?;
                content.extend(trusted);
                let verifier = WebPkiClientVerifier::builder_with_provider(store, provider());
                let verifier = match auth {
                    ClientAuth::Require => verifier,
                    _ => verifier.allow_unauthenticated(),
                };
                let verifier = verifier.build().map_err(|error| {
                    Problem::of("file of authorities", ca, format_args!("unusable: {error}"))
                })?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let chooser = Arc::new(Chooser(identities));
        let before = before.filter(|b| b.0.wanted == *wanted && b.0.content == content);
        let config = match before {
            Some(before) => before.0.config.clone(),
            None => Arc::new(builder.with_cert_resolver(chooser)),
        };
        Ok(Acceptor(Arc::new(Loaded {
            wanted: wanted.clone(),
            config,
            certificates,
            content,
            doubts,
        })))
    }

    /// The same, for an application that agrees on its protocol (ALPN, RFC 7301): of these, the
    /// first that the client knows.
    #[must_use]
    pub fn offering(&self, protocols: &[&[u8]]) -> Acceptor {
        let Loaded {
            wanted,
            config,
            certificates,
            content,
            doubts,
        } = &*self.0;
        let mut config = rustls::ServerConfig::clone(config);
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Acceptor(Arc::new(Loaded {
            wanted: wanted.clone(),
            config: Arc::new(config),
            certificates: certificates.clone(),
            content: content.clone(),
            doubts: doubts.clone(),
        }))
    }

    /// What rustls is given.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.0.config.clone()
    }

    /// Whether both shake hands in the same way, with the same certificates.
    pub fn is_as(&self, other: &Acceptor) -> bool {
        Arc::ptr_eq(&self.0.config, &other.0.config)
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

    /// Shakes hands over a connection that has been accepted. May be dropped wherever it waits.
    ///
    /// # Errors
    /// The handshake failed: [`super::reason`] says why. `UnexpectedEof`: the other side has closed
    /// the connection without a word.
    pub async fn accept(&self, stream: Stream) -> io::Result<Stream> {
        let acceptor = TlsAcceptor::from(self.0.config.clone());
        let done = acceptor.accept(stream).await?;
        Ok(Stream::secured(done.into()))
    }
}

fn unusable(wanted: &Accept, error: &rustls::Error) -> Problem {
    let file = &wanted.identities[0].certificate;
    Problem::of("certificate file", file, format_args!("unusable: {error}"))
}

/// Chooses the certificate by the name that a client asks for (SNI, RFC 6066, section 3).
#[derive(Debug)]
struct Chooser(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for Chooser {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let fits = |key: &&Arc<CertifiedKey>| {
            let schemes = hello.signature_schemes();
            key.key.choose_scheme(schemes).is_some()
        };
        let name = hello
            .server_name()
            .and_then(|name| ServerName::try_from(name).ok());
        let named = |key: &&Arc<CertifiedKey>| name.as_ref().is_some_and(|name| is_for(key, name));
        // Two with the same name may have keys of two kinds.
        let all = || self.0.iter();
        let chosen = all().filter(named).find(fits).or_else(|| all().find(fits));
        chosen.or(self.0.first()).cloned()
    }
}

fn is_for(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let own = key
        .cert
        .first()
        .and_then(|own| ParsedCertificate::try_from(own).ok());
    own.is_some_and(|own| verify_server_name(&own, name).is_ok())
}
