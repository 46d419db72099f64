//! The header `Authorization`: `Basic` (RFC 7617) and `Bearer` (RFC 6750).

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

/// Who a client says it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user, if another than the default one.
    pub user: Option<Vec<u8>>,
    /// The password.
    pub password: Vec<u8>,
}

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Login {
    /// Reads the header. `None`: it is of another kind, or faulty.
    pub fn read(header: &[u8]) -> Option<Login> {
        let at = memchr::memchr(b' ', header)?;
        let (scheme, rest) = (&header[..at], header[at..].trim_ascii());
        if scheme.eq_ignore_ascii_case(b"bearer") {
            return Some(Login {
                user: None,
                password: rest.to_vec(),
            });
        }
        if !scheme.eq_ignore_ascii_case(b"basic") {
            return None;
        }
        let pair = BASE64.decode(rest).ok()?;
        let colon = memchr::memchr(b':', &pair)?;
        let user = &pair[..colon];
        Some(Login {
            user: (!user.is_empty() && user != b"default").then(|| user.to_vec()),
            password: pair[colon + 1..].to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins() {
        let login = |user: Option<&str>, password: &str| {
            Some(Login {
                user: user.map(Into::into),
                password: password.into(),
            })
        };
        for (header, expected) in [
            ("Bearer s3cret", login(None, "s3cret")),
            ("bearer  s3 cret ", login(None, "s3 cret")),
            ("Basic ZGVmYXVsdDpzM2NyZXQ=", login(None, "s3cret")),
            ("basic OnMzY3JldA", login(None, "s3cret")),
            (
                "Basic QWxhZGRpbjpvcGVuIHNlc2FtZTo=",
                login(Some("Aladdin"), "open sesame:"),
            ),
            ("Basic c2VjcmV0", None),
            ("Basic !", None),
            ("Digest x", None),
            ("", None),
        ] {
            assert!(Login::read(header.as_bytes()) == expected, "{header}");
        }
    }
}
