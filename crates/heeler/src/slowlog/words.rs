//! The words of a command as they are shown: as Redis shows them, with no secret among them.

use crate::command::{find, find_subcommand, number::integer};
use crate::limits;
use crate::wire::resp::Asker;
use crate::wire::{Wire, memcache};

/// What stands for a secret.
pub const REDACTED: &[u8] = b"(redacted)";

/// Parameters of CONFIG SET that are secrets.
const SECRETS: [&[u8]; 5] = [
    b"requirepass",
    b"masterauth",
    b"masteruser",
    b"tls-key-file-pass",
    b"tls-client-key-file-pass",
];

/// A word, of which perhaps only the beginning is known.
#[derive(Clone, Copy, Debug)]
struct Word<'a> {
    known: &'a [u8],
    length: usize,
}

/// The words of a command: of more than 32 the first 31 and how many there are more, and of a word
/// of more than 128 bytes the first 128 and how many there are more. Secrets are left out.
pub fn shown<'a>(words: impl ExactSizeIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let count = words.len();
    let known: Vec<Word> = words
        .take(limits::SLOWLOG_WORDS)
        .map(|known| Word {
            known,
            length: known.len(),
        })
        .collect();
    show(&known, count)
}

/// The same of a request's bytes, of which perhaps only the beginning is known.
pub fn of_request(wire: Wire, request: &[u8]) -> Vec<Vec<u8>> {
    match wire {
        Wire::Resp => {
            let (words, count) = split(Asker::split(request).1);
            show(&words, count)
        }
        Wire::Memcache => {
            let words: Vec<&[u8]> = line(request).collect();
            shown(words.into_iter())
        }
    }
}

/// Whether a request is of a command that takes about the same short time whatever it finds.
pub fn is_quick(wire: Wire, request: &[u8]) -> bool {
    match wire {
        Wire::Resp => {
            let (words, count) = split(Asker::split(request).1);
            let name = words.first().map(|w| w.known).and_then(find);
            let subcommand = name.zip(words.get(1));
            let spec = subcommand.and_then(|(spec, w)| find_subcommand(spec, w.known));
            let is_short = count <= limits::QUICK_WORDS;
            is_short && spec.or(name).is_some_and(|spec| spec.is_quick())
        }
        Wire::Memcache => {
            let mut words = line(request);
            words.next().and_then(memcache::find).is_some()
                && words.nth(limits::QUICK_WORDS - 1).is_none()
        }
    }
}

/// The words of a memcached request's line.
fn line(request: &[u8]) -> impl Iterator<Item = &[u8]> {
    let end = request
        .iter()
        .position(|b| b"\r\n".contains(b))
        .unwrap_or(request.len());
    request[..end]
        .split(|&b| b == b' ')
        .filter(|word| !word.is_empty())
}

/// The first words of a RESP request, as far as it is known, and how many it has.
fn split(request: &[u8]) -> (Vec<Word<'_>>, usize) {
    let (mut words, mut at) = (Vec::new(), 0);
    let count = header(request, &mut at, b'*').unwrap_or(0);
    while words.len() < count.min(limits::SLOWLOG_WORDS) {
        let Some(length) = header(request, &mut at, b'$') else {
            break;
        };
        let rest = request.get(at..).unwrap_or_default();
        words.push(Word {
            known: &rest[..length.min(rest.len())],
            length,
        });
        at += length + 2;
    }
    (words, count)
}

/// A number on a line of its own, behind its mark.
fn header(bytes: &[u8], at: &mut usize, mark: u8) -> Option<usize> {
    let line = bytes.get(*at..)?.strip_prefix(&[mark])?;
    let end = line
        .iter()
        .take(limits::LENGTH_DIGITS)
        .position(|&b| b == b'\r')?;
    *at += 1 + end + 2;
    integer(&line[..end]).and_then(|n| usize::try_from(n).ok())
}

/// `count`: how many words there are in all.
fn show(words: &[Word<'_>], count: usize) -> Vec<Vec<u8>> {
    let secret = secrets(|i, text| {
        let word: Option<&Word> = words.get(i);
        word.is_some_and(|w| w.known.eq_ignore_ascii_case(text))
    });
    let most = limits::SLOWLOG_WORDS;
    // The last of them says how many there are more.
    let full = if count > most { most - 1 } else { most };
    let show = |(i, word): (usize, &Word<'_>)| {
        if secret(i) {
            return REDACTED.to_vec();
        }
        let first = &word.known[..word.known.len().min(limits::SLOWLOG_WORD_BYTES)];
        let mut shown = first.to_vec();
        if word.length > first.len() {
            let more = word.length - first.len();
            shown.extend_from_slice(format!("... ({more} more bytes)").as_bytes());
        }
        shown
    };
    let mut shown: Vec<Vec<u8>> = words.iter().take(full).enumerate().map(show).collect();
    if count > shown.len() {
        let more = count - shown.len();
        shown.push(format!("... ({more} more arguments)").into_bytes());
    }
    shown
}

/// Which words of a command are secrets, by their places.
pub fn are_secret<'a>(words: &'a [&'a [u8]]) -> impl Fn(usize) -> bool + 'a {
    let is = |i: usize, text: &[u8]| words.get(i).is_some_and(|w| w.eq_ignore_ascii_case(text));
    secrets(is)
}

/// Which of the words are secrets, given whether a word is a certain one: those
/// that Redis leaves out, and a few more where it would have to know better.
fn secrets(is: impl Fn(usize, &[u8]) -> bool) -> impl Fn(usize) -> bool {
    move |i: usize| {
        // Whether one of the `back` words before this one, but not before the options begin, is so.
        let follows = |text: &[u8], back: usize, options: usize| {
            (1..=back).any(|b| i >= options + b && is(i - b, text))
        };
        i > 0
            && (is(0, b"auth")
                || (is(0, b"hello") && follows(b"auth", 2, 2))
                || (is(0, b"acl") && is(1, b"setuser") && i > 1)
                || (is(0, b"config")
                    && is(1, b"set")
                    && i > 2
                    && SECRETS.iter().any(|name| is(i - 1, name)))
                || (is(0, b"migrate") && (follows(b"auth", 1, 6) || follows(b"auth2", 2, 6))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(words: Vec<Vec<u8>>) -> Vec<String> {
        words
            .into_iter()
            .map(|w| String::from_utf8(w).unwrap())
            .collect()
    }

    fn of(line: &str) -> String {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        texts(shown(words.into_iter())).join(" ")
    }

    fn request(words: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        crate::wire::resp::encode_command(words.iter().map(|w| w.as_bytes()), &mut bytes);
        bytes
    }

    #[test]
    fn secrets_are_left_out() {
        for (line, shown) in [
            ("AUTH hunter2", "AUTH (redacted)"),
            ("auth me hunter2", "auth (redacted) (redacted)"),
            (
                "HELLO 3 SETNAME x AUTH me hunter2",
                "HELLO 3 SETNAME x AUTH (redacted) (redacted)",
            ),
            ("hello 3 setname auth", "hello 3 setname auth"),
            (
                "config set timeout 0 RequirePass hunter2 masterauth x",
                "config set timeout 0 RequirePass (redacted) masterauth (redacted)",
            ),
            ("CONFIG GET requirepass", "CONFIG GET requirepass"),
            (
                "ACL SETUSER me on >hunter2 ~*",
                "ACL SETUSER (redacted) (redacted) (redacted) (redacted)",
            ),
            (
                "MIGRATE h 1 k 0 5 COPY AUTH hunter2 KEYS a",
                "MIGRATE h 1 k 0 5 COPY AUTH (redacted) KEYS a",
            ),
            (
                "migrate h 1 k 0 5 auth2 me hunter2",
                "migrate h 1 k 0 5 auth2 (redacted) (redacted)",
            ),
            ("GET auth", "GET auth"),
            ("SET requirepass x", "SET requirepass x"),
        ] {
            assert_eq!(of(line), shown);
            let words: Vec<&str> = line.split(' ').collect();
            let again = of_request(Wire::Resp, &request(&words));
            assert_eq!(texts(again).join(" "), shown);
        }
    }

    #[test]
    fn long_commands_are_cut_as_redis_cuts_them() {
        let long = "v".repeat(130);
        let cut = format!("{}... (2 more bytes)", "v".repeat(128));
        let whole = request(&["SET", "k", &long]);
        // However much of it is known.
        for known in [whole.len(), whole.len() - 2, whole.len() - 4] {
            let shown = texts(of_request(Wire::Resp, &whole[..known]));
            assert_eq!(shown, ["SET", "k", &cut]);
        }
        let less = texts(of_request(Wire::Resp, &whole[..31]));
        assert_eq!(less, ["SET", "k", "vvvvv... (125 more bytes)"]);
        let none = texts(of_request(Wire::Resp, &whole[..14]));
        assert_eq!(none, ["SET", "... (2 more arguments)"]);
        for (words, last) in [
            (32, "w"),
            (33, "... (2 more arguments)"),
            (100, "... (69 more arguments)"),
        ] {
            let many = vec!["w"; words];
            let shown = texts(of_request(Wire::Resp, &request(&many)));
            assert_eq!((shown.len(), shown[31].as_str()), (32, last));
            assert_eq!(of(&many.join(" ")), shown.join(" "));
        }
    }

    #[test]
    fn a_memcached_request_is_its_line() {
        let shown = of_request(Wire::Memcache, b"set k 0 0 5\r\nvalue\r\n");
        assert_eq!(texts(shown), ["set", "k", "0", "0", "5"]);
        let key = "k".repeat(250);
        let shown = of_request(Wire::Memcache, format!("get {key}\r\n").as_bytes());
        assert_eq!(texts(shown)[1].len(), 128 + "... (122 more bytes)".len());
    }

    #[test]
    fn what_is_quick() {
        let resp = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            is_quick(Wire::Resp, &request(&words))
        };
        assert!(resp("GET k") && resp("set k v") && resp("PING") && resp("hset k f v"));
        assert!(!resp("KEYS *") && !resp("eval x 1 k") && !resp("nosuch") && !resp("DEBUG sleep"));
        assert!(!resp(&format!("MGET {}", "k ".repeat(50))));
        assert!(is_quick(Wire::Memcache, b"get k\r\n"));
        assert!(!is_quick(
            Wire::Memcache,
            b"get a b c d e f g h i j k l m n o p q r s\r\n"
        ));
        assert!(!is_quick(Wire::Resp, b""));
    }
}
