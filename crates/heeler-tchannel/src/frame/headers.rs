//! Lists of names and values: transport headers (`nh:1 (k~1 v~1){nh}`), and the longer form
//! (`nh:2 (k~2 v~2){nh}`) of init frames and of thrift's application headers.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use super::Fault;
use super::decode::Reader;
use crate::limits::{PAIRS, SHORT_BYTES, TRANSPORT_HEADERS, TRANSPORT_KEY_BYTES};

/// Transport headers of a call or an answer, kept as on the wire.
///
/// | name | value |
/// | --- | --- |
/// | `as` | the arg scheme: `raw`, `json`, `thrift`, `sthrift`, `http`; needed, in answers too |
/// | `cn` | the caller's name; needed in calls |
/// | `re` | when the call may be sent again: `c` connection error, `t` timeout, `n` never |
/// | `sk` | shard key |
/// | `rd` | routing delegate |
#[derive(Clone, PartialEq, Eq)]
pub struct Headers(Bytes);

impl Headers {
    /// No headers.
    pub const NONE: Headers = Headers(Bytes::from_static(&[0]));
    /// `as=raw`, which an answer needs at least.
    pub const RAW: Headers = Headers(Bytes::from_static(b"\x01\x02as\x03raw"));
    /// `as=json`.
    pub const JSON: Headers = Headers(Bytes::from_static(b"\x01\x02as\x04json"));
    /// `as=thrift`.
    pub const THRIFT: Headers = Headers(Bytes::from_static(b"\x01\x02as\x06thrift"));
    /// `as=http`.
    pub const HTTP: Headers = Headers(Bytes::from_static(b"\x01\x02as\x04http"));

    /// These headers, in this order.
    ///
    /// # Errors
    ///
    /// More than 128, a name that is empty, doubled or longer than 16 bytes, or a value longer than
    /// 255 bytes.
    pub fn new<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, Fault> {
        let (mut raw, mut count) = (BytesMut::new(), 0);
        raw.put_u8(0);
        for (key, value) in pairs {
            let (key, value) = (key.as_ref(), value.as_ref());
            if value.len() > SHORT_BYTES {
                return Err(Fault::ValueTooLong(format!(
                    "transport header {}",
                    text(key)
                )));
            }
            if key.len() > SHORT_BYTES {
                return Err(Fault::HeaderTooLong(text(key)));
            }
            raw.put_u8(key.len() as u8);
            raw.put_slice(key);
            raw.put_u8(value.len() as u8);
            raw.put_slice(value);
            count += 1;
        }
        raw[0] = u8::try_from(count).map_err(|_| Fault::TooManyHeaders(count))?;
        Reader::new(raw.freeze()).headers()
    }

    /// Reads headers from the front of `reader`.
    pub(super) fn read(reader: &mut Reader) -> Result<Self, Fault> {
        let rest = reader.rest();
        let count = usize::from(reader.u8("the number of headers")?);
        if count > TRANSPORT_HEADERS {
            return Err(Fault::TooManyHeaders(count));
        }
        for _ in 0..count {
            let key = reader.short("the name of a header")?;
            if key == 0 {
                return Err(Fault::NullKey);
            }
            if key > TRANSPORT_KEY_BYTES {
                return Err(Fault::HeaderTooLong(text(reader.last(key))));
            }
            reader.short("the value of a header")?;
        }
        let headers = Headers(rest.slice(..rest.len() - reader.len()));
        match headers.doubled() {
            Some(key) => Err(Fault::DuplicateKey(text(key))),
            None => Ok(headers),
        }
    }

    fn doubled(&self) -> Option<&[u8]> {
        let mut keys = self.iter().map(|(key, _)| key).enumerate();
        let before = |i: usize, key: &[u8]| self.iter().take(i).any(|(k, _)| k == key);
        keys.find(|(i, key)| before(*i, key)).map(|(_, key)| key)
    }

    /// The value of a header.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.iter()
            .find(|(k, _)| *k == key.as_bytes())
            .map(|(_, value)| value)
    }

    /// Names and values, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = &self.0[1..];
        let mut next = move || {
            let (length, bytes) = rest.split_first()?;
            let (field, after) = bytes.split_at_checked(usize::from(*length))?;
            rest = after;
            Some(field)
        };
        std::iter::from_fn(move || Some((next()?, next()?)))
    }

    /// As on the wire, the count included.
    pub fn raw(&self) -> &Bytes {
        &self.0
    }
}

impl Default for Headers {
    fn default() -> Self {
        Headers::NONE
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(k, v)| (text(k), text(v))))
            .finish()
    }
}

/// Names and values of the longer form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs(pub Vec<(Bytes, Bytes)>);

impl Pairs {
    /// These pairs, in this order.
    pub fn new<K: AsRef<[u8]>, V: AsRef<[u8]>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let bytes = |x: &[u8]| Bytes::copy_from_slice(x);
        let pairs = pairs.into_iter();
        Pairs(
            pairs
                .map(|(k, v)| (bytes(k.as_ref()), bytes(v.as_ref())))
                .collect(),
        )
    }

    /// The value of a name, as text; `None` if it is not there or no UTF-8.
    pub fn get(&self, key: &str) -> Option<&str> {
        let pair = self.0.iter().find(|(k, _)| k == key)?;
        std::str::from_utf8(&pair.1).ok()
    }

    pub(super) fn read(reader: &mut Reader) -> Result<Self, Fault> {
        let count = usize::from(reader.u16("the number of headers")?);
        if count > PAIRS {
            return Err(Fault::TooManyPairs(count));
        }
        let mut pairs = Vec::with_capacity(count.min(16));
        for _ in 0..count {
            let key = reader.long("the name of a header")?;
            if key.is_empty() {
                return Err(Fault::NullKey);
            }
            pairs.push((key, reader.long("the value of a header")?));
        }
        Ok(Pairs(pairs))
    }

    /// From bytes that hold nothing else.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, Fault> {
        let mut reader = Reader::new(bytes);
        let pairs = Pairs::read(&mut reader)?;
        reader.end()?;
        Ok(pairs)
    }

    /// Appends them to `out`.
    ///
    /// # Errors
    ///
    /// More pairs than [`PAIRS`], an empty name, or a name or value over 65535 bytes.
    pub fn write(&self, out: &mut BytesMut) -> Result<(), Fault> {
        let count = u16::try_from(self.0.len())
            .ok()
            .filter(|n| usize::from(*n) <= PAIRS);
        out.put_u16(count.ok_or(Fault::TooManyPairs(self.0.len()))?);
        for (key, value) in &self.0 {
            if key.is_empty() {
                return Err(Fault::NullKey);
            }
            for field in [key, value] {
                out.put_u16(u16::try_from(field.len()).map_err(|_| Fault::TooLong)?);
                out.put_slice(field);
            }
        }
        Ok(())
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_as_on_the_wire() {
        let headers = Headers::new([("as", "raw")]).unwrap();
        assert_eq!(headers, Headers::RAW);
        for (headers, scheme) in [
            (Headers::JSON, "json"),
            (Headers::THRIFT, "thrift"),
            (Headers::HTTP, "http"),
        ] {
            assert_eq!(headers, Headers::new([("as", scheme)]).unwrap());
            assert_eq!(headers.get("as"), Some(scheme.as_bytes()));
        }
        assert_eq!(Headers::NONE, Headers::new([("", ""); 0]).unwrap());
        assert_eq!(Headers::NONE.get("as"), None);
    }

    #[test]
    fn headers_that_break_a_bound() {
        let name = |n: usize| format!("{n:016}");
        let many = |n| Headers::new((0..n).map(|i| (name(i), "")));
        assert_eq!(many(128).unwrap().iter().count(), 128);
        assert_eq!(many(129), Err(Fault::TooManyHeaders(129)));
        assert_eq!(many(300), Err(Fault::TooManyHeaders(300)));
        let one = |key: &str, value: &str| Headers::new([(key, value)]);
        assert_eq!(one("", "x"), Err(Fault::NullKey));
        assert_eq!(
            one(&"k".repeat(17), ""),
            Err(Fault::HeaderTooLong("k".repeat(17)))
        );
        assert_eq!(
            one(&"k".repeat(300), ""),
            Err(Fault::HeaderTooLong("k".repeat(300)))
        );
        assert!(one(&"k".repeat(16), &"v".repeat(255)).is_ok());
        assert!(matches!(
            one("k", &"v".repeat(256)),
            Err(Fault::ValueTooLong(_))
        ));
        let twice = Headers::new([("a", "1"), ("b", ""), ("a", "2")]);
        assert_eq!(twice, Err(Fault::DuplicateKey("a".into())));
    }

    #[test]
    fn pairs_there_and_back() {
        let pairs = Pairs::new([("a", "1"), ("b", "")]);
        let mut out = BytesMut::new();
        pairs.write(&mut out).unwrap();
        assert_eq!(&out[..], b"\0\x02\0\x01a\0\x011\0\x01b\0\0");
        assert_eq!(Pairs::from_bytes(out.clone().freeze()), Ok(pairs));
        out.put_u8(0);
        assert_eq!(Pairs::from_bytes(out.freeze()), Err(Fault::Long(1)));
        let long = Pairs::new([("a", "x".repeat(65536))]);
        assert_eq!(long.write(&mut BytesMut::new()), Err(Fault::TooLong));
    }
}
