//! DUMP and RESTORE: a value in the format of Redis's RDB files, version 10, with a footer.
//!
//! ```text
//! type 1 │ value │ RDB version 2 │ CRC-64 of all before it 8
//! ```
//!
//! Strings of more than 20 bytes are compressed as redis-server does, if that makes them shorter.
//!
//! What redis-server 5 to 7.0 has dumped is restored, and it restores what is dumped here.
//! Streams and what modules keep are refused.

mod crc64;
mod listpack;
mod lzf;
mod reader;
mod writer;
mod ziplist;

use super::encodings::Limits;
use super::entry::{Entry, Object, Text};
use super::errors::{Error, Outcome, SYNTAX};
use super::numbers;
use super::shard::Used;
use super::view::View;
use crate::command::{Command, Reply};
use crate::limits;
use reader::Reader;
use writer::Output;

/// The version of the format that is written, and the newest that is read.
const VERSION: u16 = 10;
/// Bytes of the version and the checksum.
const FOOTER: usize = 10;

// The types of values.
const STRING: u8 = 0;
const LIST: u8 = 1;
const SET: u8 = 2;
const ZSET: u8 = 3;
const HASH: u8 = 4;
const ZSET_2: u8 = 5;
const LIST_ZIPLIST: u8 = 10;
const SET_INTSET: u8 = 11;
const ZSET_ZIPLIST: u8 = 12;
const HASH_ZIPLIST: u8 = 13;
const LIST_QUICKLIST: u8 = 14;
const HASH_LISTPACK: u8 = 16;
const ZSET_LISTPACK: u8 = 17;
const LIST_QUICKLIST_2: u8 = 18;

// How a length says that a string follows in another form.
const INT8: u8 = 0;
const INT16: u8 = 1;
const INT32: u8 = 2;
const LZF: u8 = 3;

pub(super) fn dump(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let limits = Limits::of(view);
    let mut slot = view.slot(command.arg(1));
    Ok(slot.read().map_or(Reply::Null, |entry| {
        Reply::Bulk(payload(entry, limits, limits.compresses()).into())
    }))
}

/// A value with its type and footer. Long strings in it are compressed, if they shall be.
pub(super) fn payload(entry: Entry<'_>, limits: Limits<'_>, compresses: bool) -> Vec<u8> {
    let mut out = Output::new(compresses);
    writer::value(entry, limits, &mut out);
    let mut bytes = out.bytes;
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&crc64::checksum(&bytes).to_le_bytes());
    bytes
}

pub(super) fn restore(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let options = Options::parse(command)?;
    if !options.replace && view.slot(command.arg(1)).exists() {
        return Err("BUSYKEY Target key name already exists.".into());
    }
    let now = view.now();
    let deadline = options.deadline(command.arg(2), now)?;
    let body = checked(command.arg(3)).ok_or("ERR DUMP payload version or checksum are wrong")?;
    let mut reader = Reader::new(body, limits::RESTORE_BYTES, Limits::of(view));
    let value = reader.value().ok_or("ERR Bad data format")?;
    let mut slot = view.slot(command.arg(1));
    slot.remove();
    if deadline.is_some_and(|at| at <= now) {
        return Ok(Reply::OK);
    }
    match value {
        Value::Text(bytes) => slot.set_text(Text::from_value(&bytes), deadline),
        Value::Object(object) => slot.set_object(object, deadline),
    }
    if let Some(used) = options.used {
        slot.set_use(used);
    }
    Ok(Reply::OK)
}

/// The value that [`payload`] wrote. `None` if it cannot be read.
pub(super) fn read(payload: &[u8], limits: Limits<'_>) -> Option<Value> {
    Reader::new(checked(payload)?, limits::RESTORE_BYTES, limits).value()
}

/// A value that was read.
pub(super) enum Value {
    Text(Vec<u8>),
    Object(Object),
}

/// The payload without its footer, if that is right.
fn checked(payload: &[u8]) -> Option<&[u8]> {
    let (body, footer) = payload.split_at_checked(payload.len().checked_sub(FOOTER)?)?;
    let (version, checksum) = footer.split_first_chunk::<2>()?;
    let checksum = u64::from_le_bytes(*checksum.first_chunk()?);
    let is_right = u16::from_le_bytes(*version) <= VERSION
        && checksum == crc64::checksum(&payload[..payload.len() - 8]);
    is_right.then_some(body)
}

#[derive(Default)]
struct Options {
    replace: bool,
    absolute: bool,
    /// When or how often the value was used.
    used: Option<Used>,
}

impl Options {
    fn parse(command: &Command<'_>) -> Result<Options, Error> {
        let mut found = Options::default();
        let mut words = command.args(4);
        while let Some(word) = words.next() {
            let is = |option: &[u8]| word.eq_ignore_ascii_case(option);
            if is(b"replace") {
                found.replace = true;
            } else if is(b"absttl") {
                found.absolute = true;
            } else if is(b"idletime") && words.len() >= 1 && !found.is_often() {
                let idle = numbers::integer_argument(words.next().unwrap_or_default())?;
                let idle = u64::try_from(idle);
                let idle = idle.map_err(|_| "ERR Invalid IDLETIME value, must be >= 0")?;
                found.used = Some(Used::SecondsAgo(idle));
            } else if is(b"freq") && words.len() >= 1 && !found.is_idle() {
                let given = numbers::integer_argument(words.next().unwrap_or_default())?;
                let given = u8::try_from(given);
                let error = "ERR Invalid FREQ value, must be >= 0 and <= 255";
                found.used = Some(Used::Often(given.map_err(|_| error)?));
            } else {
                return Err(SYNTAX.into());
            }
        }
        Ok(found)
    }

    fn is_often(&self) -> bool {
        matches!(self.used, Some(Used::Often(_)))
    }

    fn is_idle(&self) -> bool {
        matches!(self.used, Some(Used::SecondsAgo(_)))
    }

    /// When the key expires; zero stands for never.
    fn deadline(&self, ttl: &[u8], now: u64) -> Result<Option<u64>, Error> {
        let ttl = numbers::integer_argument(ttl)?;
        let ttl = u64::try_from(ttl).map_err(|_| "ERR Invalid TTL value, must be >= 0")?;
        Ok(match (ttl, self.absolute) {
            (0, _) => None,
            (at, true) => Some(at),
            (millis, false) => Some(now.saturating_add(millis)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_redis() {
        assert_eq!(crc64::checksum(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
    }

    /// Whatever bytes there are, the answer is a value or none.
    #[test]
    fn broken_values_are_refused_without_harm() {
        let mut state = 7u64;
        let mut next = |bound: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % bound
        };
        for _ in 0..20_000 {
            let length = next(60) as usize;
            let mut body = vec![next(20) as u8];
            body.extend((0..length).map(|_| match next(3) {
                0 => next(256) as u8,
                1 => next(8) as u8,
                _ => 0xc0 | next(4) as u8,
            }));
            drop(Reader::new(&body, 1 << 20, Limits::default()).value());
        }
    }
}
