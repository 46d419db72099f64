//! How long a certificate is good (RFC 5280, section 4.1.2.5).

use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use x509_cert::der::Decode;
use x509_cert::time::Time;

use super::Problem;

/// A certificate that is shown to the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The file that it came from.
    pub file: PathBuf,
    /// When it begins to be good, in seconds since 1970.
    pub not_before: u64,
    /// When it ends, in seconds since 1970.
    pub not_after: u64,
    shown: [String; 2],
}

impl Certificate {
    /// The first of a chain.
    pub(super) fn of(file: &Path, chain: &[CertificateDer<'_>]) -> Result<Certificate, Problem> {
        let unusable = |error: x509_cert::der::Error| {
            Problem::of("certificate file", file, format_args!("unusable: {error}"))
        };
        let own = chain.first().map_or(&[][..], |own| own.as_ref());
        let times = times(own).map_err(unusable)?;
        let [not_before, not_after] = times.map(seconds);
        Ok(Certificate {
            file: file.into(),
            not_before,
            not_after,
            shown: times.map(date),
        })
    }

    /// What is doubtful about it at `now`, in seconds since 1970: the others will refuse it.
    pub(super) fn doubt(&self, now: u64) -> Option<Problem> {
        let [begin, end] = &self.shown;
        let what = match () {
            () if now > self.not_after => format!("the certificate has expired on {end}"),
            () if now < self.not_before => format!("the certificate is not good before {begin}"),
            () => return None,
        };
        let fault = Problem::of("certificate file", &self.file, what);
        Some(fault.help("put a new one in its place, and look at the clock of this machine"))
    }
}

/// When a certificate begins to be good, and when it ends, in seconds since 1970.
pub(super) fn validity(certificate: &CertificateDer<'_>) -> x509_cert::der::Result<(u64, u64)> {
    let [not_before, not_after] = times(certificate)?.map(seconds);
    Ok((not_before, not_after))
}

fn times(certificate: &[u8]) -> x509_cert::der::Result<[Time; 2]> {
    let certificate = x509_cert::Certificate::from_der(certificate)?;
    let validity = certificate.tbs_certificate.validity;
    Ok([validity.not_before, validity.not_after])
}

fn seconds(time: Time) -> u64 {
    time.to_unix_duration().as_secs()
}

fn date(time: Time) -> String {
    let date = time.to_date_time();
    let (year, month, day) = (date.year(), date.month(), date.day());
    format!(
        "{year}-{month:02}-{day:02} {:02}:{:02} UTC",
        date.hour(),
        date.minutes()
    )
}
