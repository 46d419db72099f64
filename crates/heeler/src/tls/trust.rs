//! Whom we connect to has to be who is meant.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::certificate;

/// Trusts certificates that an authority has signed, and those that are named themselves: what
/// `openssl req -x509` makes signs itself, and as the authority that it claims to be it could be
/// nobody's certificate.
#[derive(Debug)]
pub(super) struct Trust {
    pub(super) authorities: Arc<WebPkiServerVerifier>,
    pub(super) named: Vec<CertificateDer<'static>>,
    /// Our own, where no authority is named: whoever shows it holds our key, be it under another
    /// name.
    pub(super) own: Option<CertificateDer<'static>>,
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let is_ours = self.own.as_ref() == Some(own);
        if !is_ours && !self.named.contains(own) {
            let authorities = &self.authorities;
            return authorities.verify_server_cert(own, others, name, ocsp, now);
        }
        let (not_before, not_after) =
            certificate::validity(own).map_err(|_| CertificateError::BadEncoding)?;
        match now.as_secs() {
            now if now < not_before => return Err(CertificateError::NotValidYet.into()),
            now if now > not_after => return Err(CertificateError::Expired.into()),
            _ => {}
        }
        if !is_ours {
            verify_server_name(&ParsedCertificate::try_from(own)?, name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities
            .verify_tls12_signature(message, own, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities
            .verify_tls13_signature(message, own, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}
