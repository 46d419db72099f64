//! The header `Host` (RFC 9112, section 3.2): a request that leaves open which host it is for may
//! mean another one to a proxy before this process.

use http::header::{self, HeaderMap, HeaderValue};
use http::version::Version;

/// What is wrong with the header `Host` of a request, if anything is.
pub fn fault(version: Version, headers: &HeaderMap) -> Option<&'static str> {
    let mut hosts = headers.get_all(header::HOST).into_iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if version == Version::HTTP_11 => {
            Some("a request of HTTP/1.1 has a header Host: this one has none")
        }
        (Some(_), Some(_)) => Some("the header Host is there more than once"),
        (Some(host), None) if !is_host(host) => Some("the header Host names no host"),
        _ => None,
    }
}

/// Whether it may be `host[:port]`, or nothing, which is right where the target has no host.
fn is_host(value: &HeaderValue) -> bool {
    let is_of_name = |byte: &u8| byte.is_ascii_graphic() && !b"/\\?#@,\"<>{}|^`".contains(byte);
    value.as_bytes().iter().all(is_of_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(version: Version, hosts: &[&str]) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, HeaderValue::from_str(host).unwrap());
        }
        fault(version, &headers)
    }

    #[test]
    fn a_request_names_one_host() {
        for host in ["a", "a.b:80", "[::1]:8001", "127.0.0.1:1", "", "a%20b"] {
            assert_eq!(of(Version::HTTP_11, &[host]), None, "{host}");
        }
        for host in ["a b", "a/b", "user@a", "a,b", "a\\b"] {
            assert!(of(Version::HTTP_11, &[host]).is_some(), "{host}");
        }
        assert!(of(Version::HTTP_11, &[]).is_some());
        assert_eq!(of(Version::HTTP_10, &[]), None);
        // It has `:authority`.
        assert_eq!(of(Version::HTTP_2, &[]), None);
        for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
            assert!(of(version, &["a", "a"]).is_some());
        }
    }
}
