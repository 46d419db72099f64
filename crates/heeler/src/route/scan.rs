//! SCAN over the servers of a pool, one after the other.
//!
//! ```text
//!   cursor  =  the server's own cursor (48 bits)  |  the server's mark (16 bits)
//! ```
//!
//! A mark is made of the server's name, and servers are visited in the order of their marks: a scan
//! goes on right while other servers come and go. A server that is gone is passed over.

use crate::command::number;
use crate::wire::resp::Elements;

/// The live servers in the order in which SCAN visits them.
#[derive(Clone, Debug, Default)]
pub struct Order(Vec<(u16, usize)>);

/// One server's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The server.
    pub server: usize,
    /// The cursor that it is asked with.
    pub cursor: u64,
    mark: u16,
    /// The mark of the server after it; 0: it is the last.
    next: u16,
}

const MARK_BITS: u32 = 16;

impl Order {
    /// The order of the servers with these names for which `live` is true. A name's mark does not
    /// depend on who is live.
    pub fn new<'n>(names: impl Iterator<Item = &'n str>, live: impl Fn(usize) -> bool) -> Order {
        let mut names: Vec<(&str, usize)> = names.zip(0..).collect();
        names.sort_unstable();
        let mut marks = std::collections::BTreeMap::new();
        for (name, server) in names {
            let mut mark = heeler_ring::fingerprint32(name.as_bytes()) as u16;
            // Of more servers than marks the last ones get none; no pool is that large.
            for _ in 0..u16::MAX {
                if mark != 0 && !marks.contains_key(&mark) {
                    marks.insert(mark, server);
                    break;
                }
                mark = mark.wrapping_add(1);
            }
        }
        Order(
            marks
                .into_iter()
                .filter(|&(_, server)| live(server))
                .collect(),
        )
    }

    /// Whose turn it is at a client's cursor. `None`: nobody's, the scan is over.
    pub fn turn(&self, cursor: u64) -> Option<Turn> {
        let asked = cursor as u16;
        let at = self.0.partition_point(|&(mark, _)| mark < asked);
        let &(mark, server) = self.0.get(at)?;
        // The server that was asked is gone: the next one is scanned from its start.
        let cursor = if mark == asked {
            cursor >> MARK_BITS
        } else {
            0
        };
        let next = self.0.get(at + 1).map_or(0, |&(mark, _)| mark);
        Some(Turn {
            server,
            cursor,
            mark,
            next,
        })
    }
}

impl Turn {
    /// The client's reply, made of the server's. `None`: it is not a reply to SCAN.
    pub fn reply(self, reply: &[u8]) -> Option<Vec<u8>> {
        let mut parts = Elements::of(reply)?;
        let (cursor, keys) = (parts.next()?, parts.next()?);
        let digits = cursor.strip_prefix(b"$")?.strip_suffix(b"\r\n")?;
        let start = memchr::memchr(b'\n', digits)? + 1;
        let cursor = match unsigned(&digits[start..])? {
            0 => u64::from(self.next),
            inner if inner >> (u64::BITS - MARK_BITS) == 0 => {
                inner << MARK_BITS | u64::from(self.mark)
            }
            _ => return Some(b"-ERR the server's cursor is too large\r\n".to_vec()),
        };
        let cursor = cursor.to_string();
        let mut merged = format!("*2\r\n${}\r\n{cursor}\r\n", cursor.len()).into_bytes();
        merged.extend_from_slice(keys);
        Some(merged)
    }
}

/// A client's cursor.
pub fn cursor(word: &[u8]) -> Option<u64> {
    unsigned(word)
}

fn unsigned(digits: &[u8]) -> Option<u64> {
    match number::integer(digits) {
        Some(number) => u64::try_from(number).ok(),
        // Past 63 bits.
        None => std::str::from_utf8(digits).ok()?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] = ["one", "two", "three", "four"];

    /// Scans servers that answer with their number, in two steps each.
    fn scan(mut order: impl FnMut(usize) -> Order) -> Vec<usize> {
        let (mut cursor, mut seen) = (0, Vec::new());
        for step in 0..100 {
            let Some(turn) = order(step).turn(cursor) else {
                return seen;
            };
            seen.push(turn.server);
            let inner = if turn.cursor == 0 { "12345678901" } else { "0" };
            let server = format!("*2\r\n${}\r\n{inner}\r\n*0\r\n", inner.len());
            let reply = turn.reply(server.as_bytes()).unwrap();
            let text = String::from_utf8(reply).unwrap();
            cursor = text.lines().nth(2).unwrap().parse().unwrap();
            if cursor == 0 {
                return seen;
            }
        }
        panic!("the scan does not end")
    }

    #[test]
    fn every_server_is_scanned_to_its_end() {
        let seen = scan(|_| Order::new(NAMES.into_iter(), |_| true));
        assert_eq!(seen.len(), 8);
        for server in 0..4 {
            assert_eq!(seen.iter().filter(|&&s| s == server).count(), 2);
        }
    }

    #[test]
    fn a_server_that_goes_is_passed_over_and_the_others_are_not() {
        let first = Order::new(NAMES.into_iter(), |_| true)
            .turn(0)
            .unwrap()
            .server;
        let seen = scan(|step| Order::new(NAMES.into_iter(), |s| step == 0 || s != first));
        assert_eq!(seen.len(), 7);
        assert_eq!(seen.iter().filter(|&&s| s == first).count(), 1);
    }

    #[test]
    fn marks_do_not_depend_on_the_files_order() {
        let order = Order::new(NAMES.into_iter(), |_| true);
        let backwards = Order::new(NAMES.into_iter().rev(), |_| true);
        let marks = |o: &Order| o.0.iter().map(|&(mark, _)| mark).collect::<Vec<_>>();
        assert_eq!(marks(&order), marks(&backwards));
    }

    #[test]
    fn without_servers_the_scan_is_over() {
        assert_eq!(Order::default().turn(0), None);
    }
}
