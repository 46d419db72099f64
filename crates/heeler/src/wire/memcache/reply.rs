//! Replies of a node, written down.
//!
//! What is written depends on the request: its name, its key, and the flags of a meta command in
//! their order.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Quiet;
use crate::command::item::{Facts, read_brief, read_with_cas};
use crate::command::{Command, Id, Reply};

/// The error for a value past the limit.
pub const TOO_LARGE: &str = "SERVER_ERROR object too large for cache\r\n";

/// The error for what a store does not write for want of memory.
const NO_MEMORY: &str = "SERVER_ERROR out of memory storing object\r\n";
const UNEXPECTED: &str = "SERVER_ERROR the reply is not of the kind expected";

/// Writes the reply to a command that a [`Request`](super::Request) has become, as far as the
/// client wants it.
pub fn write(command: &Command<'_>, quiet: Quiet, reply: &Reply, out: &mut Vec<u8>) {
    if quiet == Quiet::All {
        return;
    }
    let start = out.len();
    let written = match (command.spec.id, reply) {
        (_, Reply::Raw(bytes)) => {
            return write(command, quiet, &super::awaited::read(bytes), out);
        }
        (_, Reply::Error(text)) => {
            error(text, out);
            return;
        }
        (Id::ItemGet, reply) => one_value(command, reply, out),
        (Id::ItemGetMany, Reply::Array(all)) => values(command, 1, false, all, out),
        (Id::ItemGets, Reply::Array(all)) => values(command, 1, true, all, out),
        (Id::ItemGat, Reply::Array(all)) => values(command, 2, false, all, out),
        (Id::ItemGats, Reply::Array(all)) => values(command, 2, true, all, out),
        (Id::ItemMetaGet | Id::ItemMetaTouch | Id::ItemMetaArithmetic, Reply::Bulk(facts)) => {
            told(command, facts, out)
        }
        (Id::ItemMetaDebug, reply) => debug(command, reply, out),
        (Id::ItemMetaGet | Id::ItemMetaTouch, Reply::Null) => {
            return missed(command, quiet, out);
        }
        (Id::ItemMetaSet, Reply::Int(cas)) => {
            line(command, "HD", 3, *cas as u64, out);
            Some(())
        }
        (Id::ItemMetaSet, Reply::Status(word)) => {
            line(command, word, 3, 0, out);
            Some(())
        }
        (Id::ItemMetaDelete | Id::ItemMetaArithmetic, Reply::Status(word)) => {
            line(command, word, 2, 0, out);
            Some(())
        }
        (_, Reply::Status(word)) => {
            out.extend_from_slice(word.as_bytes());
            out.extend_from_slice(b"\r\n");
            Some(())
        }
        (_, Reply::Bulk(text)) => {
            out.extend_from_slice(text);
            out.extend_from_slice(b"\r\n");
            Some(())
        }
        _ => None,
    };
    if written.is_none() {
        out.truncate(start);
        error(UNEXPECTED, out);
        return;
    }
    if let Quiet::Usual(usual) = quiet {
        mute(command, usual, reply, start, out);
    }
}

/// Takes back what a quiet client does not want.
#[cold]
fn mute(command: &Command<'_>, usual: &[&str], reply: &Reply, start: usize, out: &mut Vec<u8>) {
    // memcached tells of a number that it has made all the same.
    let is_made = match (command.spec.id, reply) {
        (Id::ItemMetaArithmetic, Reply::Bulk(bytes)) => {
            Facts::unpack(bytes).is_some_and(|(facts, _)| facts.created)
        }
        _ => false,
    };
    let word = out[start..].get(..2).unwrap_or_default();
    if !is_made && usual.iter().any(|usual| usual.as_bytes() == word) {
        out.truncate(start);
    }
}

/// Writes an error: one of memcached's as it is, one of a store as the server's.
pub fn error(text: &str, out: &mut Vec<u8>) {
    let is_ours = super::is_error(text.as_bytes());
    if text.starts_with("OOM ") {
        out.extend_from_slice(NO_MEMORY.as_bytes());
        return;
    }
    if !is_ours {
        out.extend_from_slice(b"SERVER_ERROR ");
    }
    out.extend_from_slice(text.strip_prefix("ERR ").unwrap_or(text).as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[inline]
fn one_value(command: &Command<'_>, reply: &Reply, out: &mut Vec<u8>) -> Option<()> {
    match reply {
        Reply::Null => {}
        Reply::Bulk(bytes) => {
            let (flags, value) = read_brief(bytes)?;
            item(command.arg(1), flags, None, value, out);
        }
        _ => return None,
    }
    out.extend_from_slice(super::END);
    Some(())
}

fn values(
    command: &Command<'_>,
    first: usize,
    has_cas: bool,
    replies: &[Reply],
    out: &mut Vec<u8>,
) -> Option<()> {
    let start = out.len();
    for (key, reply) in command.args(first).zip(replies) {
        match reply {
            Reply::Null => {}
            Reply::Bulk(bytes) if has_cas => {
                let (flags, cas, value) = read_with_cas(bytes)?;
                item(key, flags, Some(cas), value, out);
            }
            Reply::Bulk(bytes) => {
                let (flags, value) = read_brief(bytes)?;
                item(key, flags, None, value, out);
            }
            Reply::Error(text) => {
                // No value is shown beside an error, so that nobody takes them for all.
                out.truncate(start);
                error(text, out);
                return Some(());
            }
            _ => return None,
        }
    }
    out.extend_from_slice(super::END);
    Some(())
}

#[inline]
fn item(key: &[u8], flags: u32, cas: Option<u64>, value: &[u8], out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    out.reserve(key.len() + value.len() + 64);
    out.extend_from_slice(b"VALUE ");
    out.extend_from_slice(key);
    out.push(b' ');
    out.extend_from_slice(buffer.format(flags).as_bytes());
    out.push(b' ');
    out.extend_from_slice(buffer.format(value.len()).as_bytes());
    if let Some(cas) = cas {
        out.push(b' ');
        out.extend_from_slice(buffer.format(cas).as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// ` k` and the key, as the client has given it.
fn key(command: &Command<'_>, first: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(b" k");
    match is_base64(command, first) {
        true => {
            out.extend_from_slice(STANDARD.encode(command.arg(1)).as_bytes());
            out.extend_from_slice(b" b");
        }
        false => out.extend_from_slice(command.arg(1)),
    }
}

fn is_base64(command: &Command<'_>, first: usize) -> bool {
    flags(command, first).any(|flag| flag.first() == Some(&b'b'))
}

/// The flags of a meta command. Behind those of `ms` comes its data.
fn flags<'a>(command: &Command<'a>, first: usize) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let data = usize::from(command.spec.id == Id::ItemMetaSet);
    command
        .args(first)
        .take(command.len().saturating_sub(first + data))
}

/// A reply of one word, with the flags that are shown beside every reply.
fn line(command: &Command<'_>, word: &str, first: usize, cas: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(word.as_bytes());
    for flag in flags(command, first) {
        match flag.first() {
            Some(b'O') => opaque(flag, out),
            Some(b'k') => key(command, first, out),
            Some(b'c') if command.spec.id == Id::ItemMetaSet => number(b'c', cas, out),
            _ => {}
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// `EN`: a quiet client is told nothing of what is not there.
fn missed(command: &Command<'_>, quiet: Quiet, out: &mut Vec<u8>) {
    if quiet == Quiet::No {
        line(command, "EN", 2, 0, out);
    }
}

fn opaque(flag: &[u8], out: &mut Vec<u8>) {
    out.push(b' ');
    out.extend_from_slice(flag);
}

fn number(letter: u8, number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b' ', letter]);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// `HD` or `VA`, with what was asked for.
fn told(command: &Command<'_>, bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (facts, value) = Facts::unpack(bytes)?;
    let is_get = command.spec.id != Id::ItemMetaArithmetic;
    let with_value = flags(command, 2).any(|flag| flag.first() == Some(&b'v'));
    match with_value {
        true => {
            out.extend_from_slice(b"VA ");
            out.extend_from_slice(itoa::Buffer::new().format(value.len()).as_bytes());
        }
        false => out.extend_from_slice(b"HD"),
    }
    for flag in flags(command, 2) {
        match flag.first()? {
            b'O' => opaque(flag, out),
            b'k' => key(command, 2, out),
            b'c' => number(b'c', facts.cas, out),
            b't' => match facts.ttl {
                Some(ttl) => number(b't', ttl.into(), out),
                None => out.extend_from_slice(b" t-1"),
            },
            b's' if is_get => number(b's', facts.size.into(), out),
            b'f' if is_get => number(b'f', facts.flags.into(), out),
            b'l' if is_get => number(b'l', facts.idle.into(), out),
            b'h' if is_get => number(b'h', facts.was_read.into(), out),
            _ => {}
        }
    }
    if is_get {
        for (letter, is_so) in [
            (b'Z', facts.is_awaited),
            (b'X', facts.stale),
            (b'W', facts.won),
        ] {
            if is_so {
                out.extend_from_slice(&[b' ', letter]);
            }
        }
    }
    out.extend_from_slice(b"\r\n");
    if with_value {
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    Some(())
}

/// `ME key name=value …`
fn debug(command: &Command<'_>, reply: &Reply, out: &mut Vec<u8>) -> Option<()> {
    let Reply::Bulk(bytes) = reply else {
        out.extend_from_slice(b"EN\r\n");
        return (*reply == Reply::Null).then_some(());
    };
    let (facts, _) = Facts::unpack(bytes)?;
    out.extend_from_slice(b"ME ");
    match is_base64(command, 2) {
        true => out.extend_from_slice(STANDARD.encode(command.arg(1)).as_bytes()),
        false => out.extend_from_slice(command.arg(1)),
    }
    let expires = facts.ttl.map_or("-1".into(), |ttl| format!("-{ttl}"));
    let fetched = if facts.was_read { "yes" } else { "no" };
    let Facts {
        idle,
        cas,
        footprint,
        ..
    } = facts;
    let text =
        format!(" exp={expires} la={idle} cas={cas} fetch={fetched} cls=1 size={footprint}\r\n");
    out.extend_from_slice(text.as_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::item::{brief, not_a_string, with_cas};
    use crate::wire::memcache::Decoder;

    /// What is written for a request that is answered so.
    fn written(request: &str, reply: &Reply) -> String {
        let mut decoder = Decoder::of_node();
        let bytes = request.as_bytes();
        assert_eq!(decoder.decode(bytes), Ok(Some(bytes.len())), "{request}");
        let request = decoder.request(bytes).unwrap();
        assert_eq!(request.refused, None);
        let mut out = b"before ".to_vec();
        write(&request.command().unwrap(), request.quiet, reply, &mut out);
        let written = out.strip_prefix(b"before ").unwrap();
        written.escape_ascii().to_string()
    }

    #[test]
    fn items_are_written_with_their_keys() {
        let a = Reply::Bulk(brief(7, b"x"));
        let b = Reply::Bulk(with_cas(0, u64::MAX, b""));
        let error = Reply::error(not_a_string("list"));
        let shown = r"SERVER_ERROR the value is a list; this protocol shows strings only\r\n";
        for (request, reply, text) in [
            ("get a\r\n", a.clone(), r"VALUE a 7 1\r\nx\r\nEND\r\n"),
            ("get a\r\n", Reply::Null, r"END\r\n"),
            ("get a\r\n", error.clone(), shown),
            (
                "get a b c\r\n",
                Reply::Array(vec![a.clone(), Reply::Null, a.clone()]),
                r"VALUE a 7 1\r\nx\r\nVALUE c 7 1\r\nx\r\nEND\r\n",
            ),
            ("get a b\r\n", Reply::Array(vec![a.clone(), error]), shown),
            (
                "gets b\r\n",
                Reply::Array(vec![b.clone()]),
                r"VALUE b 0 0 18446744073709551615\r\n\r\nEND\r\n",
            ),
            (
                "gat 5 a\r\n",
                Reply::Array(vec![a.clone()]),
                r"VALUE a 7 1\r\nx\r\nEND\r\n",
            ),
            (
                "gats 5 b\r\n",
                Reply::Array(vec![b]),
                r"VALUE b 0 0 18446744073709551615\r\n\r\nEND\r\n",
            ),
            ("incr n 1\r\n", Reply::bulk("5"), r"5\r\n"),
            ("delete n\r\n", Reply::Status("DELETED"), r"DELETED\r\n"),
            ("delete n noreply\r\n", Reply::Status("DELETED"), ""),
            ("flush_all\r\n", Reply::OK, r"OK\r\n"),
            (
                "incr n 1\r\n",
                Reply::error("CLIENT_ERROR no"),
                r"CLIENT_ERROR no\r\n",
            ),
            (
                "set n 0 0 1\r\nx\r\n",
                Reply::error("OOM command not allowed when used memory > 'maxmemory'."),
                r"SERVER_ERROR out of memory storing object\r\n",
            ),
            (
                "set n 0 0 1\r\nx\r\n",
                Reply::error("ERR no such node"),
                r"SERVER_ERROR no such node\r\n",
            ),
            (
                "get a\r\n",
                Reply::Int(7),
                r"SERVER_ERROR the reply is not of the kind expected\r\n",
            ),
            (
                "get a b\r\n",
                Reply::Array(vec![a, Reply::bulk("x")]),
                r"SERVER_ERROR the reply is not of the kind expected\r\n",
            ),
        ] {
            assert_eq!(written(request, &reply), text, "{request:?} {reply:?}");
        }
    }

    /// An item of which all is so, and one of which nothing is.
    fn two_items() -> [Facts; 2] {
        let rich = Facts {
            flags: 7,
            cas: 9,
            ttl: Some(30),
            size: 5,
            footprint: 80,
            idle: 3,
            was_read: true,
            won: true,
            stale: true,
            is_awaited: false,
            created: false,
        };
        let plain = Facts {
            ttl: None,
            was_read: false,
            won: false,
            stale: false,
            ..rich
        };
        [rich, plain]
    }

    #[test]
    fn meta_replies_show_what_was_asked_for() {
        let [facts, plain] = two_items();
        let made = Facts {
            created: true,
            ..plain
        };
        let item = |facts: Facts, value: &str| Reply::Bulk(facts.pack(value.as_bytes()));
        for (request, reply, text) in [
            (
                "mg k v t f c s h l k Oab P L u\r\n",
                item(facts, "value"),
                r"VA 5 t30 f7 c9 s5 h1 l3 kk Oab X W\r\nvalue\r\n",
            ),
            ("mg k t h\r\n", item(plain, ""), r"HD t-1 h0\r\n"),
            ("mg k q v k\r\n", item(plain, "x"), r"VA 1 kk\r\nx\r\n"),
            ("mg k\r\n", Reply::Null, r"EN\r\n"),
            ("mg k k O1 t\r\n", Reply::Null, r"EN kk O1\r\n"),
            ("mg k q\r\n", Reply::Null, ""),
            ("mg AP8= b k\r\n", item(plain, ""), r"HD kAP8= b\r\n"),
            ("mg k N30 q\r\n", Reply::Null, ""),
            ("ms k 1 c k\r\nx\r\n", Reply::Int(9), r"HD c9 kk\r\n"),
            ("ms k 1 c\r\nb\r\n", Reply::Status("NS"), r"NS c0\r\n"),
            ("ms k 1 Oz q\r\nk\r\n", Reply::Status("HD"), ""),
            ("ms k 1 Oz q\r\nk\r\n", Reply::Status("EX"), r"EX Oz\r\n"),
            ("md k k q\r\n", Reply::Status("HD"), ""),
            ("md k k q\r\n", Reply::Status("NF"), r"NF kk\r\n"),
            (
                "ma k v t c f\r\n",
                item(plain, "12"),
                r"VA 2 t-1 c9\r\n12\r\n",
            ),
            ("ma k q v\r\n", item(plain, "12"), ""),
            ("ma k q v N0\r\n", item(made, "12"), r"VA 2\r\n12\r\n"),
            ("ma k q\r\n", Reply::Status("NF"), r"NF\r\n"),
            (
                "me k\r\n",
                item(facts, ""),
                r"ME k exp=-30 la=3 cas=9 fetch=yes cls=1 size=80\r\n",
            ),
            (
                "me AP8= b\r\n",
                item(plain, ""),
                r"ME AP8= exp=-1 la=3 cas=9 fetch=no cls=1 size=80\r\n",
            ),
            ("me k\r\n", Reply::Null, r"EN\r\n"),
            (
                "mg k q\r\n",
                Reply::error("CLIENT_ERROR invalid flag"),
                r"CLIENT_ERROR invalid flag\r\n",
            ),
        ] {
            assert_eq!(written(request, &reply), text, "{request:?}");
        }
    }
}
