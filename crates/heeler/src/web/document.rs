//! Replies of the store to commands about documents, and the bodies of answers that they become.

use std::sync::Arc;

use super::duration::GoDuration;
use super::timestamp;
use crate::command::number::integer;
use crate::json;
use crate::wire::resp::Elements;

/// A document, or its meta alone, as [`crate::store::documents`] describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Document<'a> {
    /// Which state of the key this is.
    pub version: u64,
    /// How often it was stored.
    pub index: u64,
    /// When it was created, in milliseconds since 1970; 0 where nobody knows.
    pub created: u64,
    /// When it was stored last.
    pub updated: u64,
    /// When it expires; 0: never.
    pub deadline: u64,
    /// JSON text, or raw bytes.
    pub data: Option<&'a [u8]>,
}

/// A reply of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said<'a> {
    /// There is no such key.
    Nothing,
    /// This is it.
    Document(Document<'a>),
    /// So many.
    Count(i64),
    /// It was refused: code and text.
    Error(&'a str),
    /// What no command of this door is answered with.
    Other,
}

impl<'a> Said<'a> {
    /// Reads a whole reply.
    pub fn read(reply: &'a [u8]) -> Said<'a> {
        let line = || reply[1..].trim_ascii_end();
        match reply.first() {
            Some(b'-') => std::str::from_utf8(line()).map_or(Said::Other, Said::Error),
            Some(b':') => integer(line()).map_or(Said::Other, Said::Count),
            Some(b'$') if reply.starts_with(b"$-1") => Said::Nothing,
            Some(b'*') => Document::read(reply).map_or(Said::Other, Said::Document),
            _ => Said::Other,
        }
    }
}

impl<'a> Document<'a> {
    fn read(reply: &'a [u8]) -> Option<Document<'a>> {
        let mut all = Elements::of(reply)?;
        let mut number = || number(all.next()?);
        Some(Document {
            version: number()?,
            index: number()?,
            created: number()?,
            updated: number()?,
            deadline: number()?,
            data: all.next().and_then(bulk),
        })
    }
}

fn number(element: &[u8]) -> Option<u64> {
    let digits = element.strip_prefix(b":")?.trim_ascii_end();
    integer(digits).map(|number| number as u64)
}

/// The bytes of a bulk string.
pub fn bulk(element: &[u8]) -> Option<&[u8]> {
    let end = memchr::memchr(b'\n', element.strip_prefix(b"$")?)? + 2;
    element.get(end..)?.strip_suffix(b"\r\n")
}

/// Who answers for a key.
#[derive(Clone, Debug)]
pub struct Node<'a> {
    /// The node that answers the client.
    pub id: &'a str,
    /// The address of the node that has the key.
    pub address: Arc<str>,
}

/// The body of an answer that shows a document.
#[derive(Clone, Debug)]
pub struct Envelope<'a> {
    /// What was done.
    pub action: &'static str,
    /// The document.
    pub document: &'a Document<'a>,
    /// How long it lives as the client has said it, if it has.
    pub life: Option<GoDuration>,
    /// When it was read, in milliseconds since 1970; 0 if it was not.
    pub accessed: u64,
    /// The time.
    pub now: u64,
    /// JSON text to show.
    pub data: Option<&'a [u8]>,
    /// Who answers.
    pub node: Node<'a>,
}

impl Envelope<'_> {
    /// Appends it, without the braces around it.
    pub fn write_members(&self, out: &mut Vec<u8>) {
        let document = self.document;
        out.reserve(320 + self.data.map_or(0, <[u8]>::len));
        out.extend_from_slice(b"\"action\":\"");
        out.extend_from_slice(self.action.as_bytes());
        out.extend_from_slice(b"\",\"meta\":{\"index\":");
        out.extend_from_slice(itoa::Buffer::new().format(document.index).as_bytes());
        out.extend_from_slice(b",\"expire_time\":\"");
        self.write_life(out);
        for (name, time) in [
            (&b"\",\"accessed_at\":\""[..], self.accessed),
            (b"\",\"created_at\":\"", document.created),
            (b"\",\"updated_at\":\"", document.updated),
        ] {
            out.extend_from_slice(name);
            timestamp::write(time, out);
        }
        out.extend_from_slice(b"\"}");
        if let Some(data) = self.data.filter(|data| *data != b"null") {
            out.extend_from_slice(b",\"data\":");
            out.extend_from_slice(data);
        }
        out.extend_from_slice(b",\"node\":{\"id\":\"");
        out.extend_from_slice(self.node.id.as_bytes());
        out.extend_from_slice(b"\",\"addr\":");
        json::write_text(&self.node.address, out);
        out.push(b'}');
    }

    /// The whole body.
    pub fn to_body(self) -> Vec<u8> {
        let mut out = Vec::new();
        out.push(b'{');
        self.write_members(&mut out);
        out.extend_from_slice(b"}\n");
        out
    }

    /// How long the key lives since it was stored; since now where nobody knows when that was.
    fn write_life(&self, out: &mut Vec<u8>) {
        use std::io::Write;
        let document = self.document;
        let since = match document.updated {
            0 => self.now,
            updated => updated,
        };
        match (self.life, document.deadline) {
            (None, 0) | (Some(GoDuration(0)), _) => out.extend_from_slice(b"0s"),
            (Some(life), _) => {
                let _ = write!(out, "{life}");
            }
            (None, deadline) => {
                let left = GoDuration::from_millis(deadline.saturating_sub(since));
                let _ = write!(out, "{left}");
            }
        }
    }
}

/// What a deleted document shows.
pub const DELETED: Document<'static> = Document {
    version: 0,
    index: 0,
    created: 0,
    updated: 0,
    deadline: 0,
    data: None,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read() {
        let document = Document {
            version: 1 << 60,
            index: 2,
            created: 3,
            updated: 4,
            deadline: 5,
            data: Some(b"\r\n"),
        };
        let numbers = ":1152921504606846976\r\n:2\r\n:3\r\n:4\r\n:5\r\n";
        let whole = format!("*6\r\n{numbers}$2\r\n\r\n\r\n");
        assert_eq!(Said::read(whole.as_bytes()), Said::Document(document));
        let meta = Document {
            data: None,
            ..document
        };
        let whole = format!("*5\r\n{numbers}");
        assert_eq!(Said::read(whole.as_bytes()), Said::Document(meta));
        for (reply, said) in [
            ("$-1\r\n", Said::Nothing),
            (":1\r\n", Said::Count(1)),
            ("-ERR no\r\n", Said::Error("ERR no")),
            ("+OK\r\n", Said::Other),
            ("*1\r\n:1\r\n", Said::Other),
            ("*-1\r\n", Said::Other),
            ("", Said::Other),
        ] {
            assert_eq!(Said::read(reply.as_bytes()), said, "{reply}");
        }
        assert_eq!(bulk(b"$3\r\na\nb\r\n"), Some(&b"a\nb"[..]));
        assert_eq!(bulk(b":3\r\n"), None);
    }

    fn shown(document: &Document<'_>, life: Option<i64>, accessed: u64) -> String {
        let envelope = Envelope {
            action: "load",
            document,
            life: life.map(GoDuration),
            accessed,
            now: 2_000,
            data: document.data,
            node: Node {
                id: "u",
                address: "127.0.0.1:2371".into(),
            },
        };
        String::from_utf8(envelope.to_body()).unwrap()
    }

    #[test]
    fn envelopes_are_those_of_memhashd() {
        let zero = "0001-01-01T00:00:00Z";
        let node = r#""node":{"id":"u","addr":"127.0.0.1:2371"}}"#;
        let envelope = |index: u32, life: &str, times: [&str; 3], data: &str| {
            let [accessed, created, updated] = times;
            format!(
                "{{\"action\":\"load\",\"meta\":{{\"index\":{index},\"expire_time\":\"{life}\",\
                 \"accessed_at\":\"{accessed}\",\"created_at\":\"{created}\",\
                 \"updated_at\":\"{updated}\"}},{data}{node}\n"
            )
        };
        let times = [1, 2, 3].map(|second| format!("1970-01-01T00:00:0{second}Z"));
        let [one, two, three] = times.each_ref().map(String::as_str);
        let stored = Document {
            version: 9,
            index: 2,
            created: 1_000,
            updated: 2_000,
            deadline: 12_000,
            data: Some(b"[\"a\"]"),
        };
        let expected = envelope(2, "10s", [three, one, two], "\"data\":[\"a\"],");
        assert_eq!(shown(&stored, None, 3_000), expected);
        let expected = envelope(2, "1µs", [zero, one, two], "\"data\":[\"a\"],");
        assert_eq!(shown(&stored, Some(1_000), 0), expected);
        let null = Document {
            data: Some(b"null"),
            deadline: 0,
            ..stored
        };
        assert_eq!(
            shown(&null, None, 0),
            envelope(2, "0s", [zero, one, two], "")
        );
        // Of another door's key nobody knows when it was stored.
        let foreign = Document {
            index: 1,
            created: 0,
            updated: 0,
            deadline: 3_500,
            ..stored
        };
        let expected = envelope(1, "1.5s", [zero; 3], "\"data\":[\"a\"],");
        assert_eq!(shown(&foreign, None, 0), expected);
        assert_eq!(shown(&DELETED, None, 0), envelope(0, "0s", [zero; 3], ""));
    }
}
