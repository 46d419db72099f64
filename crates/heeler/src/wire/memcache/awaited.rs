//! A request whose reply comes later, from another node: in RESP2, to be written as memcached's.

use super::{Quiet, write};
use crate::command::{Command, Id, OwnedCommand, Reply};
use crate::wire::resp::Elements;

/// What must be known of a request to write its reply down when it comes.
#[derive(Clone, Debug)]
pub struct Awaited {
    command: OwnedCommand,
    quiet: Quiet,
}

impl Awaited {
    /// For the reply to a hidden command.
    pub fn new(command: &Command<'_>, quiet: Quiet) -> Awaited {
        Awaited {
            // Data is not shown in a reply.
            command: match has_data(command.spec.id) {
                true => command.to_owned_but_last(),
                false => command.to_owned(),
            },
            quiet,
        }
    }

    /// Writes a whole reply down.
    pub fn write(&self, reply: &[u8], out: &mut Vec<u8>) {
        let command = self.command.as_command();
        write(&command, self.quiet, &read(reply), out);
    }
}

/// Whether the last argument of a hidden command is data.
fn has_data(id: Id) -> bool {
    matches!(
        id,
        Id::ItemSet
            | Id::ItemAdd
            | Id::ItemReplace
            | Id::ItemAppend
            | Id::ItemPrepend
            | Id::ItemCas
            | Id::ItemMetaSet
    )
}

/// The words that stores answer hidden commands with.
const WORDS: [&str; 11] = [
    "OK",
    "STORED",
    "NOT_STORED",
    "EXISTS",
    "NOT_FOUND",
    "DELETED",
    "TOUCHED",
    "HD",
    "NS",
    "EX",
    "NF",
];

/// A reply in RESP2, as far as stores answer hidden commands so.
pub fn read(reply: &[u8]) -> Reply {
    let unexpected = || Reply::error("SERVER_ERROR the reply is not of the kind expected");
    parse(reply).unwrap_or_else(unexpected)
}

fn parse(reply: &[u8]) -> Option<Reply> {
    let (&kind, rest) = reply.split_first()?;
    let end = memchr::memchr(b'\r', rest)?;
    let (line, rest) = (&rest[..end], rest.get(end + 2..)?);
    match kind {
        b'+' => {
            let word = WORDS.iter().find(|word| word.as_bytes() == line)?;
            Some(Reply::Status(word))
        }
        b'-' => Some(Reply::error(String::from_utf8_lossy(line).into_owned())),
        b':' => Some(Reply::Int(std::str::from_utf8(line).ok()?.parse().ok()?)),
        b'$' if line == b"-1" => Some(Reply::Null),
        b'$' => Some(Reply::bulk(rest.strip_suffix(b"\r\n")?)),
        b'*' => {
            let elements = Elements::of(reply)?;
            let count = elements.left();
            let elements = elements.map(parse).collect::<Option<Vec<Reply>>>()?;
            (elements.len() == count).then_some(Reply::Array(elements))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::resp::{Protocol, encode};

    #[test]
    fn what_stores_answer_is_read_as_it_was() {
        let some = || Reply::bulk(b"a\r\n\xff");
        for reply in [
            Reply::Status("NOT_STORED"),
            Reply::OK,
            Reply::error("CLIENT_ERROR no"),
            Reply::Int(-7),
            Reply::Null,
            some(),
            Reply::bulk(""),
            Reply::Array(vec![some(), Reply::Null, Reply::error("SERVER_ERROR no")]),
        ] {
            let mut bytes = Vec::new();
            encode(&reply, Protocol::Resp2, &mut bytes);
            assert_eq!(read(&bytes), reply);
        }
        for bytes in [
            "",
            "+",
            "+WORD\r\n",
            ":x\r\n",
            "$5",
            "%1\r\n+OK\r\n",
            "*2\r\n+OK\r\n",
        ] {
            assert!(read(bytes.as_bytes()).is_error(), "{bytes:?}");
        }
    }
}
