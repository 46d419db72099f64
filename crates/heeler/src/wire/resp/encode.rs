//! Replies to bytes.

use std::borrow::Cow;

use super::Protocol;
use crate::command::{Arg, Command, Flags, Grouping, Reply, Strings, number};

/// Writes a reply in the client's version of the protocol.
pub fn encode(reply: &Reply, protocol: Protocol, out: &mut Vec<u8>) {
    let three = protocol == Protocol::Resp3;
    match reply {
        Reply::Status(text) => line(b'+', text.as_bytes(), out),
        Reply::Error(text) => line(b'-', text.as_bytes(), out),
        Reply::Int(value) => header(b':', *value, out),
        Reply::Bulk(bytes) => bulk(bytes, out),
        Reply::Null => null(protocol, out),
        Reply::NullArray if three => out.extend_from_slice(b"_\r\n"),
        Reply::NullArray => out.extend_from_slice(b"*-1\r\n"),
        Reply::Array(items) => many(b'*', items, protocol, out),
        Reply::Set(items) => many(if three { b'~' } else { b'*' }, items, protocol, out),
        Reply::Strings(all) => strings(all, protocol, out),
        Reply::Push(items) => many(if three { b'>' } else { b'*' }, items, protocol, out),
        Reply::Several(each) => each.iter().for_each(|reply| encode(reply, protocol, out)),
        Reply::Map(pairs) => map(pairs, protocol, out),
        Reply::Pairs(each) => pairs(each, protocol, out),
        Reply::Double(value) if three => line(b',', number::double(*value).as_bytes(), out),
        Reply::Double(value) => bulk(number::double(*value).as_bytes(), out),
        Reply::Bool(value) if three => line(b'#', if *value { b"t" } else { b"f" }, out),
        Reply::Bool(value) => header(b':', i64::from(*value), out),
        Reply::Text(text) if three => verbatim(text, out),
        Reply::Text(text) => bulk(text.as_bytes(), out),
        Reply::Raw(raw) => out.extend_from_slice(raw),
    }
}

/// Writes a request as an array of bulk strings.
pub fn encode_command<'a>(args: impl ExactSizeIterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
    header(b'*', args.len() as i64, out);
    for arg in args {
        bulk(arg, out);
    }
}

/// The same, and where each of the words stands in `out`, which is empty before.
pub fn encode_with_places(words: &[&[u8]], out: &mut Vec<u8>, places: &mut Vec<Arg>) {
    header(b'*', words.len() as i64, out);
    for word in words {
        bulk(word, out);
        let end = (out.len() - b"\r\n".len()) as u32;
        let start = end - word.len() as u32;
        places.push(Arg { start, end });
    }
}

/// The bytes of a command for another node: those that it came in, or where it came through
/// another door and has no such, the command in RESP.
pub fn request_of<'a>(command: &Command<'a>) -> Cow<'a, [u8]> {
    if !command.spec.flags.has(Flags::HIDDEN) {
        return Cow::Borrowed(command.raw());
    }
    let mut request = Vec::with_capacity(command.raw().len() + 64);
    header(b'*', command.len() as i64, &mut request);
    bulk(command.spec.name.as_bytes(), &mut request);
    command.args(1).for_each(|arg| bulk(arg, &mut request));
    Cow::Owned(request)
}

/// Writes a bulk string.
pub(super) fn bulk(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() + 16);
    header(b'$', bytes.len() as i64, out);
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// Writes a type, a number and CRLF.
pub(super) fn header(kind: u8, value: i64, out: &mut Vec<u8>) {
    if (0..10).contains(&value) {
        out.extend_from_slice(&[kind, b'0' + value as u8, b'\r', b'\n']);
        return;
    }
    out.push(kind);
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Writes a line; a line break in the text would end it early, so it becomes a blank.
fn line(kind: u8, text: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    let start = out.len();
    out.extend_from_slice(text);
    for byte in &mut out[start..] {
        if matches!(byte, b'\r' | b'\n') {
            *byte = b' ';
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn many(kind: u8, items: &[Reply], protocol: Protocol, out: &mut Vec<u8>) {
    header(kind, items.len() as i64, out);
    for item in items {
        encode(item, protocol, out);
    }
}

fn strings(strings: &Strings, protocol: Protocol, out: &mut Vec<u8>) {
    let count = strings.len() as i64;
    out.reserve(strings.bytes() + 8 * strings.len());
    match (strings.grouping(), protocol) {
        (Grouping::Set, Protocol::Resp3) => header(b'~', count, out),
        (Grouping::Map, Protocol::Resp3) => header(b'%', count / 2, out),
        _ => header(b'*', count, out),
    }
    for string in strings.iter() {
        match string {
            Some(bytes) => bulk(bytes, out),
            None => null(protocol, out),
        }
    }
}

fn null(protocol: Protocol, out: &mut Vec<u8>) {
    match protocol {
        Protocol::Resp3 => out.extend_from_slice(b"_\r\n"),
        Protocol::Resp2 => out.extend_from_slice(b"$-1\r\n"),
    }
}

fn map(pairs: &[(Reply, Reply)], protocol: Protocol, out: &mut Vec<u8>) {
    match protocol {
        Protocol::Resp3 => header(b'%', pairs.len() as i64, out),
        Protocol::Resp2 => header(b'*', 2 * pairs.len() as i64, out),
    }
    for (key, value) in pairs {
        encode(key, protocol, out);
        encode(value, protocol, out);
    }
}

fn pairs(pairs: &[(Reply, Reply)], protocol: Protocol, out: &mut Vec<u8>) {
    let three = protocol == Protocol::Resp3;
    header(
        b'*',
        if three { pairs.len() } else { 2 * pairs.len() } as i64,
        out,
    );
    for (first, second) in pairs {
        if three {
            header(b'*', 2, out);
        }
        encode(first, protocol, out);
        encode(second, protocol, out);
    }
}

fn verbatim(text: &str, out: &mut Vec<u8>) {
    header(b'=', text.len() as i64 + 4, out);
    out.extend_from_slice(b"txt:");
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::wire::resp::Decoder;

    #[test]
    fn words_stand_where_a_decoder_finds_them() {
        let long = [b'x'; 1000];
        let words: [&[u8]; 5] = [b"SET", b"", b"\r\n", b"0123456789", &long];
        let (mut request, mut places) = (Vec::new(), Vec::new());
        encode_with_places(&words, &mut request, &mut places);
        let mut decoder = Decoder::default();
        assert_eq!(decoder.decode(&request), Ok(Some(request.len())));
        assert_eq!(decoder.request(&request), (&request[..], &places[..]));
        let word = |place: &Arg| &request[place.start as usize..place.end as usize];
        assert_eq!(places.iter().map(word).collect::<Vec<_>>(), words);
    }

    #[test]
    fn replies_in_both_versions() {
        let map = Reply::Map(vec![(Reply::bulk("a"), Reply::Int(12))]);
        let pairs = Reply::Pairs(vec![(Reply::bulk("a"), Reply::Int(12))]);
        let many = |n| vec![Reply::Int(n), Reply::Null];
        for (reply, two, three) in [
            (Reply::OK, "+OK\r\n", "+OK\r\n"),
            (Reply::error("ERR a\r\nb"), "-ERR a  b\r\n", "-ERR a  b\r\n"),
            (Reply::Int(-7), ":-7\r\n", ":-7\r\n"),
            (Reply::bulk(""), "$0\r\n\r\n", "$0\r\n\r\n"),
            (
                Reply::bulk("0123456789"),
                "$10\r\n0123456789\r\n",
                "$10\r\n0123456789\r\n",
            ),
            (Reply::Null, "$-1\r\n", "_\r\n"),
            (Reply::NullArray, "*-1\r\n", "_\r\n"),
            (
                Reply::Array(many(1)),
                "*2\r\n:1\r\n$-1\r\n",
                "*2\r\n:1\r\n_\r\n",
            ),
            (
                Reply::Set(many(1)),
                "*2\r\n:1\r\n$-1\r\n",
                "~2\r\n:1\r\n_\r\n",
            ),
            (
                pairs,
                "*2\r\n$1\r\na\r\n:12\r\n",
                "*1\r\n*2\r\n$1\r\na\r\n:12\r\n",
            ),
            (
                Reply::Push(many(1)),
                "*2\r\n:1\r\n$-1\r\n",
                ">2\r\n:1\r\n_\r\n",
            ),
            (Reply::Several(many(1)), ":1\r\n$-1\r\n", ":1\r\n_\r\n"),
            (map, "*2\r\n$1\r\na\r\n:12\r\n", "%1\r\n$1\r\na\r\n:12\r\n"),
            (Reply::Double(1.5), "$3\r\n1.5\r\n", ",1.5\r\n"),
            (Reply::Bool(true), ":1\r\n", "#t\r\n"),
            (Reply::Text("hi".into()), "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n"),
            (
                Reply::Raw(Bytes::from_static(b":1\r\n")),
                ":1\r\n",
                ":1\r\n",
            ),
        ] {
            for (protocol, expected) in [(Protocol::Resp2, two), (Protocol::Resp3, three)] {
                let mut out = Vec::new();
                encode(&reply, protocol, &mut out);
                assert_eq!(String::from_utf8_lossy(&out), expected, "{reply:?}");
            }
        }
    }
}
