//! Arg schemes: how a call's args are to be read. The transport header `as` names the scheme.
//!
//! | scheme | arg1 | arg2 | arg3 |
//! | --- | --- | --- | --- |
//! | raw | endpoint | bytes | bytes |
//! | json | endpoint | JSON object or nothing | JSON |
//! | [`thrift`] | `Service::method` | [`Pairs`](crate::Pairs) | a struct in the binary protocol |
//! | [`http`] | anything | method, URL, headers; status, headers | the HTTP body |
//!
//! For raw and json there is nothing to do here: their args are bytes and JSON texts.
//! (uber/tchannel, docs/raw.md, json.md, thrift.md, http.md)

pub mod http;
pub mod thrift;

use crate::frame::Headers;

/// An arg scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Bytes.
    Raw,
    /// JSON texts.
    Json,
    /// Thrift's binary protocol.
    Thrift,
    /// The same, streaming.
    Sthrift,
    /// HTTP requests and responses.
    Http,
}

impl Scheme {
    /// The scheme that the header `as` names.
    pub fn of(headers: &Headers) -> Option<Self> {
        let all = [
            Scheme::Raw,
            Scheme::Json,
            Scheme::Thrift,
            Scheme::Sthrift,
            Scheme::Http,
        ];
        let name = headers.get("as")?;
        all.into_iter()
            .find(|scheme| scheme.name().as_bytes() == name)
    }

    /// Its name in the header.
    pub fn name(self) -> &'static str {
        match self {
            Scheme::Raw => "raw",
            Scheme::Json => "json",
            Scheme::Thrift => "thrift",
            Scheme::Sthrift => "sthrift",
            Scheme::Http => "http",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_of_headers() {
        for name in ["raw", "json", "thrift", "sthrift", "http"] {
            let headers = Headers::new([("as", name)]).unwrap();
            assert_eq!(Scheme::of(&headers).unwrap().name(), name);
        }
        assert_eq!(Scheme::of(&Headers::NONE), None);
        assert_eq!(Scheme::of(&Headers::new([("as", "RAW")]).unwrap()), None);
    }
}
