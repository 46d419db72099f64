//! Commands about strings and counters.

use super::encodings::Limits;
use super::entry::Text;
use super::errors::{
    DECREMENT_OVERFLOW, Error, NOT_A_FLOAT, NOT_AN_INTEGER, NOT_FINITE, OFFSET, OVERFLOW, Outcome,
    SYNTAX, TOO_LONG, wrong_arguments,
};
use super::expiry::{Time, TimeOption};
use super::long_double::LongDouble;
use super::numbers;
use super::slot::Slot;
use super::view::View;
use crate::command::{Blob, Command, Grouping, Reply, Strings};

pub(super) fn get(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    Ok(text_reply(slot.read_text()?))
}

pub(super) fn getset(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let old = text_reply(slot.read_text()?);
    slot.set_text(Text::from_value(command.arg(2)), None);
    Ok(old)
}

pub(super) fn getdel(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let old = text_reply(slot.read_text()?);
    slot.remove();
    Ok(old)
}

pub(super) fn getex(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let (time, persist) = getex_options(command)?;
    let mut slot = view.slot(command.arg(1));
    let old = text_reply(slot.read_text()?);
    if !slot.exists() {
        return Ok(old);
    }
    match time.deadline(slot.now(), command)? {
        Some((time, at)) if !time.is_relative() && at <= slot.now() => {
            slot.remove();
        }
        Some((_, at)) => slot.set_deadline(Some(at)),
        None if persist && slot.deadline().is_some() => slot.set_deadline(None),
        None => {}
    }
    Ok(old)
}

fn getex_options<'a>(command: &Command<'a>) -> Result<(TimeOption<'a>, bool), Error> {
    let mut time = TimeOption::default();
    let mut persist = false;
    let mut words = command.args(2);
    while let Some(word) = words.next() {
        if word.eq_ignore_ascii_case(b"persist") && time.is_none() {
            persist = true;
        } else if let Some(kind) = Time::option(word).filter(|_| !persist) {
            time.set(kind, words.next())?;
        } else {
            return Err(SYNTAX.into());
        }
    }
    Ok((time, persist))
}

pub(super) fn mget(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut values = Strings::expecting(Grouping::Array, command.len() - 1);
    let mut buffer = itoa::Buffer::new();
    for key in command.args(1) {
        match view.slot(key).read_text() {
            Ok(Some(text)) => values.push(text.bytes(&mut buffer)),
            // MGET shows keys of other types as absent.
            Ok(None) | Err(_) => values.push_absent(),
        }
    }
    Ok(Reply::Strings(values))
}

pub(super) fn set(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let value = Text::from_value(command.arg(2));
    if command.len() == 3 {
        view.slot(command.arg(1)).set_text(value, None);
        return Ok(Reply::OK);
    }
    let options = SetOptions::parse(command)?;
    let deadline = options.time.deadline(view.now(), command)?;
    let mut slot = view.slot(command.arg(1));
    let old = match options.get {
        true => Some(text_reply(slot.read_text()?)),
        false => None,
    };
    if options.nx && slot.exists() || options.xx && !slot.exists() {
        return Ok(old.unwrap_or(Reply::Null));
    }
    let deadline = match options.keep_ttl {
        true => slot.deadline(),
        false => deadline.map(|(_, at)| at),
    };
    slot.set_text(value, deadline);
    Ok(old.unwrap_or(Reply::OK))
}

#[derive(Default)]
struct SetOptions<'a> {
    nx: bool,
    xx: bool,
    get: bool,
    keep_ttl: bool,
    time: TimeOption<'a>,
}

impl<'a> SetOptions<'a> {
    fn parse(command: &Command<'a>) -> Result<SetOptions<'a>, Error> {
        let mut found = SetOptions::default();
        let mut words = command.args(3);
        while let Some(word) = words.next() {
            if word.eq_ignore_ascii_case(b"nx") && !found.xx {
                found.nx = true;
            } else if word.eq_ignore_ascii_case(b"xx") && !found.nx {
                found.xx = true;
            } else if word.eq_ignore_ascii_case(b"get") {
                found.get = true;
            } else if word.eq_ignore_ascii_case(b"keepttl") && found.time.is_none() {
                found.keep_ttl = true;
            } else if let Some(kind) = Time::option(word).filter(|_| !found.keep_ttl) {
                found.time.set(kind, words.next())?;
            } else {
                return Err(SYNTAX.into());
            }
        }
        Ok(found)
    }
}

pub(super) fn setex(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    set_with_life(view, command, Time::InSeconds)
}

pub(super) fn psetex(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    set_with_life(view, command, Time::InMillis)
}

fn set_with_life(view: &mut View<'_>, command: &Command<'_>, time: Time) -> Outcome {
    let deadline = time.positive_deadline(command.arg(2), view.now(), command)?;
    let value = Text::from_value(command.arg(3));
    view.slot(command.arg(1)).set_text(value, Some(deadline));
    Ok(Reply::OK)
}

pub(super) fn setnx(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    if slot.exists() {
        return Ok(Reply::Int(0));
    }
    slot.set_text(Text::from_value(command.arg(2)), None);
    Ok(Reply::Int(1))
}

pub(super) fn mset(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    set_pairs(view, command)?;
    Ok(Reply::OK)
}

pub(super) fn msetnx(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut keys = command.args(1).step_by(2);
    if !command.len().is_multiple_of(2) && keys.any(|key| view.slot(key).exists()) {
        return Ok(Reply::Int(0));
    }
    set_pairs(view, command)?;
    Ok(Reply::Int(1))
}

fn set_pairs(view: &mut View<'_>, command: &Command<'_>) -> Result<(), Error> {
    if command.len().is_multiple_of(2) {
        return Err(wrong_arguments(command));
    }
    for i in (1..command.len()).step_by(2) {
        let value = Text::from_value(command.arg(i + 1));
        view.slot(command.arg(i)).set_text(value, None);
    }
    Ok(())
}

pub(super) fn incr(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    add(view, command, 1)
}

pub(super) fn decr(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    add(view, command, -1)
}

pub(super) fn incrby(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    add(view, command, numbers::integer_argument(command.arg(2))?)
}

pub(super) fn decrby(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let by = numbers::integer_argument(command.arg(2))?;
    add(view, command, by.checked_neg().ok_or(DECREMENT_OVERFLOW)?)
}

fn add(view: &mut View<'_>, command: &Command<'_>, by: i64) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let old = match slot.text()? {
        None => 0,
        Some(Text::Int(old)) => old,
        Some(Text::Bytes(old) | Text::Raw(old)) => numbers::integer(old).ok_or(NOT_AN_INTEGER)?,
    };
    let new = old.checked_add(by).ok_or(OVERFLOW)?;
    slot.update_text(Text::Int(new));
    Ok(Reply::Int(new))
}

pub(super) fn incrbyfloat(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let old = match slot.text()? {
        None => LongDouble::ZERO,
        Some(Text::Int(old)) => old.into(),
        Some(Text::Bytes(old) | Text::Raw(old)) => LongDouble::parse(old).ok_or(NOT_A_FLOAT)?,
    };
    let by = LongDouble::parse(command.arg(2)).ok_or(NOT_A_FLOAT)?;
    let new = old.add(by).and_then(LongDouble::finite).ok_or(NOT_FINITE)?;
    let new = new.to_string();
    slot.update_text(Text::Bytes(new.as_bytes()));
    Ok(Reply::bulk(new))
}

pub(super) fn append(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let (tail, limits) = (command.arg(2), Limits::of(view));
    let mut slot = view.slot(command.arg(1));
    let Some(old) = slot.text()?.map(|text| text.len()) else {
        slot.set_text(Text::from_value(tail), None);
        return Ok(Reply::Int(tail.len() as i64));
    };
    let len = bounded_len(limits, old, tail.len())?;
    write_at(&mut slot, old, tail);
    Ok(Reply::Int(len as i64))
}

pub(super) fn setrange(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let offset = numbers::integer_argument(command.arg(2))?;
    let offset = usize::try_from(offset).map_err(|_| OFFSET)?;
    let (bytes, limits) = (command.arg(3), Limits::of(view));
    let mut slot = view.slot(command.arg(1));
    let old = slot.text()?.map_or(0, |text| text.len());
    if bytes.is_empty() {
        return Ok(Reply::Int(old as i64));
    }
    let len = bounded_len(limits, offset, bytes.len())?.max(old);
    if !slot.exists() {
        slot.begin(Text::Raw(b"").to_store());
    }
    write_at(&mut slot, offset, bytes);
    Ok(Reply::Int(len as i64))
}

/// Writes bytes into the string that is there, made longer with zeros as needed.
fn write_at(slot: &mut Slot<'_, '_>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if let Some(value) = slot.grow(end) {
        value[offset..end].copy_from_slice(bytes);
    }
    slot.changed();
}

/// The sum of two lengths, unless a string may not be that long.
fn bounded_len(limits: Limits<'_>, first: usize, second: usize) -> Result<usize, Error> {
    first
        .checked_add(second)
        .filter(|len| *len <= limits.most_bytes())
        .ok_or_else(|| TOO_LONG.into())
}

pub(super) fn getrange(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let first = numbers::integer_argument(command.arg(2))?;
    let last = numbers::integer_argument(command.arg(3))?;
    let mut slot = view.slot(command.arg(1));
    let Some(text) = slot.read_text()? else {
        return Ok(Reply::Bulk(Blob::new()));
    };
    let mut buffer = itoa::Buffer::new();
    let bytes = text.bytes(&mut buffer);
    Ok(Reply::bulk(
        &bytes[numbers::text_range(first, last, bytes.len())],
    ))
}

pub(super) fn strlen(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let len = slot.read_text()?.map_or(0, |text| text.len());
    Ok(Reply::Int(len as i64))
}

#[inline]
fn text_reply(text: Option<Text<'_>>) -> Reply {
    text.map_or(Reply::Null, |text| Reply::Bulk(text.to_blob()))
}
