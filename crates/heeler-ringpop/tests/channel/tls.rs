//! Channels over TLS.

use std::sync::Arc;

use heeler_ringpop::channel::{Builder, Channel, ErrorCode};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::{PATIENCE, builder, request, server};

/// Who signs the nodes' certificates.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    roots: Arc<RootCertStore>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::self_signed(params, key).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(issuer.der().clone()).unwrap();
        Authority {
            issuer,
            roots: Arc::new(roots),
        }
    }

    /// A certificate for 127.0.0.1.
    fn node(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        (vec![certificate.der().clone()], key)
    }

    fn server(&self, mutual: bool) -> Arc<ServerConfig> {
        let (chain, key) = self.node();
        let config = ServerConfig::builder();
        let config = match mutual {
            false => config.with_no_client_auth(),
            true => config.with_client_cert_verifier(
                WebPkiClientVerifier::builder(self.roots.clone())
                    .build()
                    .unwrap(),
            ),
        };
        Arc::new(config.with_single_cert(chain, key).unwrap())
    }

    fn client(&self, with_certificate: bool) -> Arc<ClientConfig> {
        let config = ClientConfig::builder().with_root_certificates(self.roots.clone());
        Arc::new(match with_certificate {
            false => config.with_no_client_auth(),
            true => {
                let (chain, key) = self.node();
                config.with_client_auth_cert(chain, key).unwrap()
            }
        })
    }
}

async fn echo(from: &Channel, to: &Channel, length: usize) -> Result<(), ErrorCode> {
    let body = vec![b'x'; length];
    let answer = from
        .call(to.host_port(), request("echo", body.clone()), PATIENCE)
        .await;
    assert!(answer.map_err(|failure| failure.code)?.arg3 == body);
    Ok(())
}

async fn client(builder: Builder) -> Channel {
    builder.start().await.unwrap()
}

#[tokio::test]
async fn calls_over_tls() {
    let ours = Authority::new();
    let server = server(builder("server").tls_server(ours.server(false))).await;
    let good = client(Channel::builder("client").tls_client(ours.client(false))).await;
    for length in [1, 100_000, 5_000_000] {
        assert_eq!(echo(&good, &server, length).await, Ok(()));
    }
    let plain = client(Channel::builder("plain")).await;
    assert_eq!(echo(&plain, &server, 1).await, Err(ErrorCode::Network));
    let stranger = Authority::new().client(false);
    let stranger = client(Channel::builder("stranger").tls_client(stranger)).await;
    assert_eq!(echo(&stranger, &server, 1).await, Err(ErrorCode::Network));
    assert_eq!(echo(&good, &server, 1).await, Ok(()));
}

#[tokio::test]
async fn calls_over_mutual_tls_both_ways() {
    let ours = Authority::new();
    let node = |name| {
        builder(name)
            .tls_server(ours.server(true))
            .tls_client(ours.client(true))
    };
    let (one, other) = (server(node("one")).await, server(node("other")).await);
    assert_eq!(echo(&one, &other, 70_000).await, Ok(()));
    assert_eq!(echo(&other, &one, 70_000).await, Ok(()));
    assert_eq!(other.counters().connections_dialled, 0);
    let nobody = client(Channel::builder("nobody").tls_client(ours.client(false))).await;
    assert_eq!(echo(&nobody, &one, 1).await, Err(ErrorCode::Network));
    let other_house = Authority::new().client(true);
    let forged = client(Channel::builder("forged").tls_client(other_house)).await;
    assert_eq!(echo(&forged, &one, 1).await, Err(ErrorCode::Network));
}
