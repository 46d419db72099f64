//! Which thing a path means, and what may be done with it.

use std::borrow::Cow;

/// What a path means. Keys are bytes: a segment of the path, percent-decoded once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource<'a> {
    /// `/v1/keys`
    Keys,
    /// `/v1/keys/{key}`
    Key(Cow<'a, [u8]>),
    /// `/v1/keys/{key}/index`: the element that the body names.
    Index(Cow<'a, [u8]>),
    /// `/v1/keys/{key}/index/{n}`
    Element(Cow<'a, [u8]>, u64),
    /// `/v1/keys/{key}/item`: the item that the body names.
    Item(Cow<'a, [u8]>),
    /// `/v1/keys/{key}/item/{name}`
    Member(Cow<'a, [u8]>, Cow<'a, [u8]>),
    /// `/v1/keys/{key}/append`
    Append(Cow<'a, [u8]>),
    /// `/v1/bulk/get`
    BulkGet,
    /// `/v1/bulk/put`
    BulkPut,
    /// `/v1/watch`
    Watch,
    /// `/v1/nodes`
    Nodes,
    /// `/v1/openapi.json`
    OpenApi,
    /// `/healthz`
    Healthz,
    /// `/readyz`
    Readyz,
    /// `/metrics`
    Metrics,
}

/// Why a path means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoResource {
    /// There is no such thing.
    Unknown,
    /// A `%` is not followed by two hexadecimal digits.
    BadEscape,
    /// The place of an element is no number, or too large.
    BadPlace,
}

impl<'a> Resource<'a> {
    /// Reads a path.
    ///
    /// # Errors
    /// It means nothing.
    pub fn parse(path: &'a str) -> Result<Resource<'a>, NoResource> {
        if let Some(rest) = path.strip_prefix("/v1/keys/") {
            return of_key(rest);
        }
        Ok(match path {
            "/v1/keys" => Resource::Keys,
            "/v1/bulk/get" => Resource::BulkGet,
            "/v1/bulk/put" => Resource::BulkPut,
            "/v1/watch" => Resource::Watch,
            "/v1/nodes" => Resource::Nodes,
            "/v1/openapi.json" => Resource::OpenApi,
            "/healthz" => Resource::Healthz,
            "/readyz" => Resource::Readyz,
            "/metrics" => Resource::Metrics,
            _ => return Err(NoResource::Unknown),
        })
    }

    /// The methods that it has, as the header `Allow` names them.
    pub fn methods(&self) -> &'static str {
        match self {
            Resource::Key(_) => "GET, HEAD, PUT, POST, DELETE, OPTIONS",
            Resource::Index(_) | Resource::Item(_) => "GET, HEAD, POST, OPTIONS",
            Resource::Element(..) => "GET, HEAD, PUT, POST, DELETE, OPTIONS",
            Resource::Member(..) => "GET, HEAD, PUT, DELETE, OPTIONS",
            Resource::Append(_) | Resource::BulkGet | Resource::BulkPut => "POST, OPTIONS",
            _ => "GET, HEAD, OPTIONS",
        }
    }

    /// Whether it has this method.
    pub fn has(&self, method: &str) -> bool {
        self.methods().split(", ").any(|name| name == method)
    }
}

fn of_key(rest: &str) -> Result<Resource<'_>, NoResource> {
    let mut segments = rest.splitn(4, '/');
    let key = segment(segments.next())?;
    let Some(what) = segments.next() else {
        return Ok(Resource::Key(key));
    };
    let part = segments.next();
    if segments.next().is_some() {
        return Err(NoResource::Unknown);
    }
    Ok(match (what, part) {
        ("index", None) => Resource::Index(key),
        ("item", None) => Resource::Item(key),
        ("append", None) => Resource::Append(key),
        ("item", name @ Some(_)) => Resource::Member(key, segment(name)?),
        ("index", Some("")) => return Err(NoResource::Unknown),
        ("index", Some(place)) => Resource::Element(key, number(place)?),
        _ => return Err(NoResource::Unknown),
    })
}

fn number(place: &str) -> Result<u64, NoResource> {
    let is_number = place.bytes().all(|b| b.is_ascii_digit());
    let number = is_number.then(|| place.parse().ok()).flatten();
    number.ok_or(NoResource::BadPlace)
}

/// A segment that is not empty, decoded.
fn segment(segment: Option<&str>) -> Result<Cow<'_, [u8]>, NoResource> {
    match segment {
        None | Some("") => Err(NoResource::Unknown),
        Some(text) => decode(text.as_bytes(), false).ok_or(NoResource::BadEscape),
    }
}

/// The value of a parameter of a query, decoded: the first of that name.
///
/// # Errors
/// A `%` in it is not followed by two hexadecimal digits.
pub fn parameter<'a>(query: &'a str, name: &str) -> Result<Option<Cow<'a, [u8]>>, NoResource> {
    let pairs = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut named = pairs.filter(|(n, _)| *n == name);
    let value = named
        .next()
        .map(|(_, value)| decode(value.as_bytes(), true));
    value
        .map(|value| value.ok_or(NoResource::BadEscape))
        .transpose()
}

/// Undoes percent-encoding (RFC 3986, section 2.1), and in forms `+` for a blank.
fn decode(text: &[u8], is_form: bool) -> Option<Cow<'_, [u8]>> {
    let is_plain = |byte: &u8| *byte != b'%' && !(is_form && *byte == b'+');
    if text.iter().all(is_plain) {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || char::from(*bytes.next()?).to_digit(16);
                (digit()? * 16 + digit()?) as u8
            }
            b'+' if is_form => b' ',
            other => other,
        });
    }
    Some(Cow::Owned(decoded))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(bytes: &[u8]) -> Cow<'_, [u8]> {
        Cow::Borrowed(bytes)
    }

    #[test]
    fn paths() {
        for (path, resource) in [
            ("/v1/keys", Resource::Keys),
            ("/v1/keys/1", Resource::Key(key(b"1"))),
            ("/v1/keys/a+b", Resource::Key(key(b"a+b"))),
            ("/v1/keys/a;b", Resource::Key(key(b"a;b"))),
            ("/v1/keys/a%2Fb", Resource::Key(key(b"a/b"))),
            ("/v1/keys/a%252Fb", Resource::Key(key(b"a%2Fb"))),
            ("/v1/keys/%00%fF", Resource::Key(key(b"\0\xff"))),
            ("/v1/keys/%C3%A9", Resource::Key(key("é".as_bytes()))),
            ("/v1/keys/é", Resource::Key(key("é".as_bytes()))),
            ("/v1/keys/index", Resource::Key(key(b"index"))),
            ("/v1/keys/k/index", Resource::Index(key(b"k"))),
            ("/v1/keys/k/index/0", Resource::Element(key(b"k"), 0)),
            ("/v1/keys/k/item", Resource::Item(key(b"k"))),
            (
                "/v1/keys/k/item/a%20b",
                Resource::Member(key(b"k"), key(b"a b")),
            ),
            ("/v1/keys/k/append", Resource::Append(key(b"k"))),
            ("/v1/nodes", Resource::Nodes),
            ("/metrics", Resource::Metrics),
        ] {
            assert_eq!(Resource::parse(path), Ok(resource), "{path}");
        }
        for path in [
            "",
            "/",
            "/v1",
            "/v1/",
            "/v1/keys/",
            "/v1//keys",
            "/v1/keys//index",
            "/v2/keys",
            "/v1/keys/k/",
            "/v1/keys/k/index/",
            "/v1/keys/k/item/",
            "/v1/keys/k/item/a/b",
            "/v1/keys/k/append/x",
            "/v1/keys/k/other",
            "/v1/nodes/",
        ] {
            assert_eq!(Resource::parse(path), Err(NoResource::Unknown), "{path}");
        }
        for path in [
            "/v1/keys/%",
            "/v1/keys/%4",
            "/v1/keys/%zz",
            "/v1/keys/k/item/%+1",
        ] {
            assert_eq!(Resource::parse(path), Err(NoResource::BadEscape), "{path}");
        }
        for place in ["-1", "+1", "x", "1.0", "%31", "99999999999999999999"] {
            let path = format!("/v1/keys/k/index/{place}");
            assert_eq!(Resource::parse(&path), Err(NoResource::BadPlace), "{path}");
        }
    }

    #[test]
    fn parameters() {
        let query = "prefix=a%2Bb+c&limit=10&empty=&bare&limit=11";
        for (name, value) in [
            ("prefix", Some(&b"a+b c"[..])),
            ("limit", Some(b"10")),
            ("empty", Some(b"")),
            ("bare", Some(b"")),
            ("none", None),
        ] {
            assert_eq!(parameter(query, name).unwrap().as_deref(), value, "{name}");
        }
        assert_eq!(parameter("a=%x", "a"), Err(NoResource::BadEscape));
    }

    #[test]
    fn methods() {
        let resource = Resource::parse("/v1/keys/k").unwrap();
        assert!(resource.has("PUT") && resource.has("HEAD") && !resource.has("PATCH"));
        assert!(!Resource::Keys.has("DELETE") && !Resource::Keys.has("GET, HEAD"));
    }
}
