//! Calls over TLS.

use std::sync::Arc;

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::authority::{Authority, Pair};
use super::program::heeler;
use super::served::Served;

fn server(authority: &Authority, shown: &Pair, mutual: bool) -> Served {
    let mut roots = RootCertStore::empty();
    let ca = rustls::pki_types::CertificateDer::from_pem_file(authority.ca()).unwrap();
    roots.add(ca).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match mutual {
        true => builder.with_client_cert_verifier(verifier.build().unwrap()),
        false => builder.with_no_client_auth(),
    };
    let key = PrivateKeyDer::from_pem_file(&shown.key).unwrap();
    let config = builder.with_single_cert(vec![shown.der()], key).unwrap();
    Served::with(move |channel| channel.tls_server(Arc::new(config)))
}

#[test]
fn a_peer_whose_authority_is_trusted() {
    let authority = Authority::new();
    let server = server(&authority, &authority.sign("server", &["127.0.0.1"]), false);
    let call = ["-p", &server.address, "kv", "get"];
    let ca = authority.ca();
    let ended = heeler(&[&call[..], &["--tls-ca", &ca]].concat());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    for words in [&["--tls"][..], &["--tls-ca", &ca, "--tls-name", "other"]] {
        let ended = heeler(&[&call[..], words].concat());
        assert_eq!(ended.code, 7, "{words:?} {}", ended.stderr);
    }
    let ended = heeler(&[&call[..], &["--tls-ca", "there/is/none"]].concat());
    assert_eq!(ended.code, 125);
    assert!(ended.stderr.contains("there/is/none"), "{}", ended.stderr);
    let stranger = Authority::new();
    let ended = heeler(&[&call[..], &["--tls-ca", &stranger.ca()]].concat());
    assert_eq!(ended.code, 7);
    assert!(ended.stderr.contains("certificate"), "{}", ended.stderr);
}

#[test]
fn a_name_other_than_the_hosts() {
    let authority = Authority::new();
    let server = server(
        &authority,
        &authority.sign("server", &["node.example"]),
        false,
    );
    let call = [
        "-p",
        &server.address,
        "kv",
        "get",
        "--tls-ca",
        &authority.ca(),
    ];
    assert_eq!(heeler(&call).code, 7);
    let named = heeler(&[&call[..], &["--tls-name", "node.example"]].concat());
    assert_eq!(named.code, 0, "{}", named.stderr);
}

#[test]
fn a_peer_that_wants_to_know_us() {
    let authority = Authority::new();
    let server = server(&authority, &authority.sign("server", &["127.0.0.1"]), true);
    let call = [
        "-p",
        &server.address,
        "kv",
        "get",
        "--tls-ca",
        &authority.ca(),
    ];
    assert_eq!(heeler(&call).code, 7);
    let pair = authority.sign("client", &["client"]);
    let [cert, key] = pair.paths();
    let shown = heeler(&[&call[..], &["--tls-cert", cert, "--tls-key", key]].concat());
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    let without_key = heeler(&[&call[..], &["--tls-key", key]].concat());
    assert_eq!(without_key.code, 125);
}
