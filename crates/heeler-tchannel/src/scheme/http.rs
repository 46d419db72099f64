//! HTTP over TChannel: the head of a request or a response as arg2. The body is arg3.
//!
//! ```text
//! request   method~1 url~N      nh:2 (k~2 v~2){nh}
//! response  status:2 message~N  nh:2 (k~2 v~2){nh}
//! ```
//!
//! `~N` is a length in groups of seven bits. tchannel-node writes the highest group first,
//! tchannel-go the lowest; up to 127 they are the same. Written is tchannel-node's form; read is
//! either: the one by which the bytes come out even.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::frame::{Fault, Pairs};

/// The head of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestHead {
    /// `GET`, …; at most 255 bytes.
    pub method: Bytes,
    /// What is asked for.
    pub url: Bytes,
    /// In their order; names may be repeated.
    pub headers: Pairs,
}

impl RequestHead {
    /// As arg2.
    ///
    /// # Errors
    ///
    /// A method over 255 bytes, or headers that break a bound of [`Pairs::write`].
    pub fn encode(&self) -> Result<Bytes, Fault> {
        let mut out = BytesMut::new();
        let length = u8::try_from(self.method.len());
        out.put_u8(length.map_err(|_| Fault::ValueTooLong("the method".into()))?);
        out.put_slice(&self.method);
        put_string(&mut out, &self.url);
        self.headers.write(&mut out)?;
        Ok(out.freeze())
    }

    /// From arg2.
    ///
    /// # Errors
    ///
    /// Bytes of another form.
    pub fn decode(mut arg2: Bytes) -> Result<Self, Fault> {
        if !arg2.has_remaining() {
            return Err(Fault::Short("the method"));
        }
        let length = usize::from(arg2.get_u8());
        let method = take(&mut arg2, length, "the method")?;
        let (url, headers) = string_and_pairs(&arg2, "the URL")?;
        Ok(RequestHead {
            method,
            url,
            headers,
        })
    }
}

/// The head of a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseHead {
    /// 200, …
    pub status: u16,
    /// `OK`, …
    pub message: Bytes,
    /// In their order; names may be repeated.
    pub headers: Pairs,
}

impl ResponseHead {
    /// As arg2.
    ///
    /// # Errors
    ///
    /// Headers that break a bound of [`Pairs::write`].
    pub fn encode(&self) -> Result<Bytes, Fault> {
        let mut out = BytesMut::new();
        out.put_u16(self.status);
        put_string(&mut out, &self.message);
        self.headers.write(&mut out)?;
        Ok(out.freeze())
    }

    /// From arg2.
    ///
    /// # Errors
    ///
    /// Bytes of another form.
    pub fn decode(mut arg2: Bytes) -> Result<Self, Fault> {
        if arg2.len() < 2 {
            return Err(Fault::Short("the status"));
        }
        let status = arg2.get_u16();
        let (message, headers) = string_and_pairs(&arg2, "the message")?;
        Ok(ResponseHead {
            status,
            message,
            headers,
        })
    }
}

fn put_string(out: &mut BytesMut, string: &[u8]) {
    let length = string.len() as u64;
    let groups = (u64::BITS - length.leading_zeros()).div_ceil(7).max(1);
    for group in (0..groups).rev() {
        let more = if group > 0 { 0x80 } else { 0 };
        out.put_u8(more | (length >> (7 * group)) as u8 & 0x7f);
    }
    out.put_slice(string);
}

fn string_and_pairs(bytes: &Bytes, field: &'static str) -> Result<(Bytes, Pairs), Fault> {
    let groups = bytes
        .iter()
        .take(4)
        .take_while(|byte| **byte & 0x80 != 0)
        .count()
        + 1;
    let length = bytes.get(..groups).filter(|l| l[groups - 1] & 0x80 == 0);
    let length = length.ok_or(Fault::Short(field))?;
    let add = |sum: usize, byte: &u8| sum << 7 | usize::from(byte & 0x7f);
    let (highest_first, lowest_first) =
        (length.iter().fold(0, add), length.iter().rev().fold(0, add));
    let read = |length| {
        let mut rest = bytes.slice(groups..);
        let string = take(&mut rest, length, field)?;
        Ok((string, Pairs::from_bytes(rest)?))
    };
    read(highest_first).or_else(|fault| read(lowest_first).map_err(|_: Fault| fault))
}

fn take(bytes: &mut Bytes, length: usize, field: &'static str) -> Result<Bytes, Fault> {
    if bytes.len() < length {
        return Err(Fault::Short(field));
    }
    Ok(bytes.split_to(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(url: usize) -> RequestHead {
        RequestHead {
            method: Bytes::from("GET"),
            url: Bytes::from("u".repeat(url)),
            headers: Pairs::new([("host", "a"), ("cookie", "1"), ("cookie", "2")]),
        }
    }

    #[test]
    fn heads_there_and_back() {
        for url in [0, 1, 127, 128, 300, 16383, 16384, 100_000] {
            let head = request(url);
            assert_eq!(RequestHead::decode(head.encode().unwrap()), Ok(head));
        }
        let head = ResponseHead {
            status: 404,
            message: "Not Found".into(),
            ..Default::default()
        };
        assert_eq!(&head.encode().unwrap()[..], b"\x01\x94\x09Not Found\0\0");
        assert_eq!(ResponseHead::decode(head.encode().unwrap()), Ok(head));
    }

    #[test]
    fn lengths_of_both_forms_are_read() {
        let head = request(300);
        let node = head.encode().unwrap();
        assert_eq!(&node[4..6], &[0x82, 0x2c]);
        let mut go = BytesMut::from(&node[..]);
        go[4..6].copy_from_slice(&[0xac, 0x02]);
        assert_eq!(RequestHead::decode(go.freeze()), Ok(head));
    }

    #[test]
    fn heads_that_end_too_early() {
        let whole = request(200).encode().unwrap();
        for end in 0..whole.len() {
            assert!(RequestHead::decode(whole.slice(..end)).is_err(), "{end}");
        }
        assert!(ResponseHead::decode(Bytes::from_static(&[0])).is_err());
        let endless = Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        assert!(RequestHead::decode(endless).is_err());
    }
}
