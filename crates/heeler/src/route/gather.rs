//! The replies to the parts of one command, put together again.

use super::memcached;
use super::scan::Turn;
use crate::command::number::integer;
use crate::wire::resp::Elements;

/// Waits for the replies to all parts of a command, then merges them.
#[derive(Debug)]
pub struct Gather {
    merge: Merge,
    /// The replies so far.
    parts: Vec<Option<Vec<u8>>>,
}

/// How the replies to the parts of a command become one.
#[derive(Clone, Debug)]
pub enum Merge {
    /// Integers are added.
    Sum,
    /// Integers are added of those who answer: whoever gives an error counts for nothing, unless
    /// all do.
    Reached,
    /// All say `+OK`.
    Ok,
    /// Arrays follow one another.
    Append,
    /// For each key the next element of the part of this number.
    InOrder(Vec<u32>),
    /// All say the same.
    Same,
    /// Arrays of integers: each element is the least that any part says.
    Least,
    /// One that is not null, if there is one; which one, this random number chooses.
    Any(u64),
    /// The one reply is a server's turn in a SCAN.
    Scan(Turn),
    /// Replies of memcacheds.
    Memcached(memcached::Merge),
}

impl Gather {
    /// Waits for `parts` replies.
    pub fn new(merge: Merge, parts: usize) -> Gather {
        Gather {
            merge,
            parts: vec![None; parts],
        }
    }

    /// Takes the reply to a part, in RESP2 or memcached's protocol. Returns the merged reply once
    /// all parts are there.
    pub fn put(&mut self, part: usize, reply: &[u8]) -> Option<Vec<u8>> {
        *self.parts.get_mut(part)? = Some(reply.to_vec());
        let replies: Vec<&[u8]> = self.parts.iter().map_while(Option::as_deref).collect();
        (replies.len() == self.parts.len()).then(|| self.merge(&replies))
    }

    /// Whether the command has succeeded if some of its parts have not.
    pub fn forgives(&self) -> bool {
        matches!(self.merge, Merge::Reached)
    }

    /// One reply of all: the first error where there is one.
    fn merge(&self, replies: &[&[u8]]) -> Vec<u8> {
        // A reply in memcached's protocol never starts so.
        let is_error = |reply: &&&[u8]| reply.first() == Some(&b'-');
        let forgives = self.forgives() && !replies.iter().all(|reply| is_error(&reply));
        if let Some(error) = replies.iter().find(is_error).filter(|_| !forgives) {
            return error.to_vec();
        }
        let merged = match &self.merge {
            Merge::Sum => sum(replies),
            Merge::Reached => {
                let answers = replies.iter().filter(|reply| !is_error(reply));
                sum(&answers.copied().collect::<Vec<_>>())
            }
            Merge::Ok => replies
                .iter()
                .all(|&r| r == b"+OK\r\n")
                .then(|| b"+OK\r\n".to_vec()),
            Merge::Append => append(replies),
            Merge::InOrder(order) => in_order(replies, order),
            Merge::Same => same(replies),
            Merge::Least => least(replies),
            Merge::Any(random) => any(replies, *random),
            Merge::Scan(turn) => replies.first().and_then(|reply| turn.reply(reply)),
            Merge::Memcached(merge) => Some(merge.merge(replies)),
        };
        merged.unwrap_or_else(|| b"-ERR a server's reply is not of the kind expected\r\n".to_vec())
    }
}

fn sum(replies: &[&[u8]]) -> Option<Vec<u8>> {
    let mut sum = 0i64;
    for reply in replies {
        sum = sum.saturating_add(number(reply)?);
    }
    Some(format!(":{sum}\r\n").into_bytes())
}

/// For each key the next element of the part that answers for it.
fn in_order(replies: &[&[u8]], order: &[u32]) -> Option<Vec<u8>> {
    let mut parts = elements(replies)?;
    let mut merged = format!("*{}\r\n", order.len()).into_bytes();
    merged.reserve(replies.iter().map(|reply| reply.len()).sum());
    for &part in order {
        merged.extend_from_slice(parts.get_mut(part as usize)?.next()?);
    }
    parts.iter().all(|part| part.left() == 0).then_some(merged)
}

fn append(replies: &[&[u8]]) -> Option<Vec<u8>> {
    let parts = elements(replies)?;
    let count: usize = parts.iter().map(Elements::left).sum();
    let mut merged = format!("*{count}\r\n").into_bytes();
    for element in parts.into_iter().flatten() {
        merged.extend_from_slice(element);
    }
    Some(merged)
}

fn same(replies: &[&[u8]]) -> Option<Vec<u8>> {
    let (first, others) = replies.split_first()?;
    others
        .iter()
        .all(|other| other == first)
        .then(|| first.to_vec())
}

fn least(replies: &[&[u8]]) -> Option<Vec<u8>> {
    let mut parts = elements(replies)?;
    let count = parts.first()?.left();
    let mut merged = format!("*{count}\r\n").into_bytes();
    for _ in 0..count {
        let numbers = parts.iter_mut().map(|part| number(part.next()?));
        let least = numbers.collect::<Option<Vec<i64>>>()?.into_iter().min()?;
        merged.extend_from_slice(format!(":{least}\r\n").as_bytes());
    }
    parts.iter().all(|part| part.left() == 0).then_some(merged)
}

fn any(replies: &[&[u8]], random: u64) -> Option<Vec<u8>> {
    let is_null = |reply: &&&[u8]| matches!(**reply, b"$-1\r\n" | b"*-1\r\n" | b"_\r\n");
    let found: Vec<_> = replies.iter().filter(|reply| !is_null(reply)).collect();
    match found.as_slice() {
        [] => replies.first().map(|null| null.to_vec()),
        found => Some(found[(random % found.len() as u64) as usize].to_vec()),
    }
}

fn elements<'a>(replies: &[&'a [u8]]) -> Option<Vec<Elements<'a>>> {
    replies.iter().map(|reply| Elements::of(reply)).collect()
}

/// The number of an integer reply.
fn number(reply: &[u8]) -> Option<i64> {
    integer(reply.strip_prefix(b":")?.strip_suffix(b"\r\n")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_merged_whatever_order_they_come_in() {
        const NOT: &str = "-ERR a server's reply is not of the kind expected\r\n";
        let in_order = |order: &[u32]| Merge::InOrder(order.to_vec());
        for (merge, parts, merged) in [
            (Merge::Sum, [":2\r\n", ":3\r\n"], ":5\r\n"),
            (Merge::Sum, [":2\r\n", "+OK\r\n"], NOT),
            (Merge::Sum, [":2\r\n", "-ERR x\r\n"], "-ERR x\r\n"),
            (Merge::Reached, [":2\r\n", ":3\r\n"], ":5\r\n"),
            (Merge::Reached, [":2\r\n", "-ERR x\r\n"], ":2\r\n"),
            (Merge::Reached, ["-ERR x\r\n", "-ERR x\r\n"], "-ERR x\r\n"),
            (Merge::Reached, [":2\r\n", "+OK\r\n"], NOT),
            (Merge::Ok, ["+OK\r\n", "+OK\r\n"], "+OK\r\n"),
            (Merge::Ok, ["+OK\r\n", "-OOM x\r\n"], "-OOM x\r\n"),
            (Merge::Ok, ["+OK\r\n", ":1\r\n"], NOT),
            (
                in_order(&[0, 1, 0]),
                ["*2\r\n$1\r\na\r\n$-1\r\n", "*1\r\n$1\r\nb\r\n"],
                "*3\r\n$1\r\na\r\n$1\r\nb\r\n$-1\r\n",
            ),
            (in_order(&[0, 1]), ["*0\r\n", "*1\r\n$1\r\nb\r\n"], NOT),
            (
                in_order(&[0, 1]),
                ["*2\r\n:1\r\n:1\r\n", "*1\r\n:1\r\n"],
                NOT,
            ),
            (
                Merge::Append,
                ["*1\r\n$1\r\na\r\n", "*1\r\n$1\r\nb\r\n"],
                "*2\r\n$1\r\na\r\n$1\r\nb\r\n",
            ),
            (Merge::Same, ["$1\r\na\r\n", "$1\r\na\r\n"], "$1\r\na\r\n"),
            (Merge::Same, ["$1\r\na\r\n", "$1\r\nb\r\n"], NOT),
            (
                Merge::Least,
                ["*2\r\n:1\r\n:0\r\n", "*2\r\n:1\r\n:1\r\n"],
                "*2\r\n:1\r\n:0\r\n",
            ),
            (Merge::Least, ["*1\r\n:1\r\n", "*2\r\n:1\r\n:1\r\n"], NOT),
            (Merge::Any(7), ["$-1\r\n", "$1\r\nb\r\n"], "$1\r\nb\r\n"),
            (Merge::Any(1), ["$1\r\na\r\n", "$1\r\nb\r\n"], "$1\r\nb\r\n"),
            (Merge::Any(0), ["$-1\r\n", "$-1\r\n"], "$-1\r\n"),
        ] {
            for [first, second] in [[0, 1], [1, 0]] {
                let mut gather = Gather::new(merge.clone(), 2);
                assert_eq!(gather.put(first, parts[first].as_bytes()), None);
                let reply = gather.put(second, parts[second].as_bytes()).unwrap();
                assert_eq!(
                    String::from_utf8(reply).unwrap(),
                    merged,
                    "{merge:?} {parts:?}"
                );
            }
        }
    }
}
