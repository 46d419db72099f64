//! The replies to the parts of one command, put together again.

use super::memcached;
use crate::command::Split;
use crate::command::number::integer;
use crate::wire::resp::Elements;

/// Waits for the replies to all parts of a command, then merges them.
#[derive(Debug)]
pub struct Gather {
    merge: Merge,
    /// Which part answers for each key, in the order of the keys.
    order: Vec<u32>,
    /// The replies so far.
    parts: Vec<Option<Vec<u8>>>,
}

/// How the replies to the parts become one.
#[derive(Debug)]
enum Merge {
    /// Of a Redis command, by its line of the table.
    Redis(Split),
    /// Of a memcached command.
    Memcached(memcached::Merge),
}

impl Gather {
    /// Waits for `parts` replies. `order` tells for each key which part answers for it.
    pub fn new(split: Split, parts: usize, order: Vec<u32>) -> Gather {
        Gather {
            merge: Merge::Redis(split),
            order,
            parts: vec![None; parts],
        }
    }

    /// Waits for `parts` replies of memcacheds.
    pub fn of_memcached(merge: memcached::Merge, parts: usize, order: Vec<u32>) -> Gather {
        Gather {
            merge: Merge::Memcached(merge),
            order,
            parts: vec![None; parts],
        }
    }

    /// Takes the reply to a part, in RESP2 or memcached's protocol. Returns the merged reply once all parts are there.
    pub fn put(&mut self, part: usize, reply: &[u8]) -> Option<Vec<u8>> {
        *self.parts.get_mut(part)? = Some(reply.to_vec());
        let replies: Vec<&[u8]> = self.parts.iter().map_while(Option::as_deref).collect();
        (replies.len() == self.parts.len()).then(|| self.merge(&replies))
    }

    /// One reply of all: the first error where there is one.
    fn merge(&self, replies: &[&[u8]]) -> Vec<u8> {
        let split = match &self.merge {
            Merge::Redis(split) => split,
            Merge::Memcached(merge) => return merge.merge(replies, &self.order),
        };
        if let Some(error) = replies.iter().find(|reply| reply.first() == Some(&b'-')) {
            return error.to_vec();
        }
        let merged = match split {
            Split::Sum | Split::EverySum => sum(replies),
            Split::Gather => in_order(replies, &self.order),
            Split::EveryGather => one_after_another(replies),
            _ => replies
                .iter()
                .all(|&r| r == b"+OK\r\n")
                .then(|| b"+OK\r\n".to_vec()),
        };
        merged.unwrap_or_else(|| b"-ERR a server's reply is not of the kind expected\r\n".to_vec())
    }
}

fn sum(replies: &[&[u8]]) -> Option<Vec<u8>> {
    let mut sum = 0i64;
    for reply in replies {
        let number = reply.strip_prefix(b":")?.strip_suffix(b"\r\n")?;
        sum = sum.saturating_add(integer(number)?);
    }
    Some(format!(":{sum}\r\n").into_bytes())
}

/// For each key the next element of the part that answers for it.
fn in_order(replies: &[&[u8]], order: &[u32]) -> Option<Vec<u8>> {
    let mut parts: Vec<Elements<'_>> = replies
        .iter()
        .map(|reply| Elements::of(reply))
        .collect::<Option<_>>()?;
    let mut merged = format!("*{}\r\n", order.len()).into_bytes();
    merged.reserve(replies.iter().map(|reply| reply.len()).sum());
    for &part in order {
        merged.extend_from_slice(parts.get_mut(part as usize)?.next()?);
    }
    parts.iter().all(|part| part.left() == 0).then_some(merged)
}

fn one_after_another(replies: &[&[u8]]) -> Option<Vec<u8>> {
    let parts: Vec<Elements<'_>> = replies
        .iter()
        .map(|reply| Elements::of(reply))
        .collect::<Option<_>>()?;
    let count: usize = parts.iter().map(Elements::left).sum();
    let mut merged = format!("*{count}\r\n").into_bytes();
    for element in parts.into_iter().flatten() {
        merged.extend_from_slice(element);
    }
    Some(merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_merged_whatever_order_they_come_in() {
        const NOT: &str = "-ERR a server's reply is not of the kind expected\r\n";
        for (split, order, parts, merged) in [
            (Split::Sum, &[][..], [":2\r\n", ":3\r\n"], ":5\r\n"),
            (Split::Sum, &[], [":2\r\n", "+OK\r\n"], NOT),
            (Split::Sum, &[], [":2\r\n", "-ERR x\r\n"], "-ERR x\r\n"),
            (Split::AllOk, &[0, 1], ["+OK\r\n", "+OK\r\n"], "+OK\r\n"),
            (
                Split::AllOk,
                &[0, 1],
                ["+OK\r\n", "-OOM x\r\n"],
                "-OOM x\r\n",
            ),
            (Split::AllOk, &[0, 1], ["+OK\r\n", ":1\r\n"], NOT),
            (
                Split::Gather,
                &[0, 1, 0],
                ["*2\r\n$1\r\na\r\n$-1\r\n", "*1\r\n$1\r\nb\r\n"],
                "*3\r\n$1\r\na\r\n$1\r\nb\r\n$-1\r\n",
            ),
            (Split::Gather, &[0, 1], ["*0\r\n", "*1\r\n$1\r\nb\r\n"], NOT),
            (
                Split::Gather,
                &[0, 1],
                ["*2\r\n:1\r\n:1\r\n", "*1\r\n:1\r\n"],
                NOT,
            ),
            (
                Split::EveryGather,
                &[],
                ["*1\r\n$1\r\na\r\n", "*1\r\n$1\r\nb\r\n"],
                "*2\r\n$1\r\na\r\n$1\r\nb\r\n",
            ),
        ] {
            for [first, second] in [[0, 1], [1, 0]] {
                let mut gather = Gather::new(split, 2, order.to_vec());
                assert_eq!(gather.put(first, parts[first].as_bytes()), None);
                let reply = gather.put(second, parts[second].as_bytes()).unwrap();
                assert_eq!(
                    String::from_utf8(reply).unwrap(),
                    merged,
                    "{split:?} {parts:?}"
                );
            }
        }
    }
}
