//! What memcached's requests do: items are strings with flags, an expiry and a number for cas
//! (memcached's protocol.txt).
//!
//! An item is the string that Redis's commands see under the same key. Its flags are the key's
//! marks, its cas is the key's version, which a key is given when somebody first asks for it.

use super::aging::Use;
use super::entry::Text;
use super::errors::{Error, Outcome};
use super::extras::Recache;
use super::freeing::{Lazy, Removing};
use super::slot::Slot;
use super::{View, aging};
use crate::command::item::{self, Facts, Life, brief, not_a_string, unsigned, with_cas};
use crate::command::meta::{Flags, Step};
use crate::command::{Command, Id, Reply};
use crate::limits;

const STORED: Reply = Reply::Status("STORED");
const NOT_STORED: Reply = Reply::Status("NOT_STORED");
const EXISTS: Reply = Reply::Status("EXISTS");
const NOT_FOUND: Reply = Reply::Status("NOT_FOUND");

const BAD_FORMAT: &str = "CLIENT_ERROR bad command line format";
const BAD_EXPIRY: &str = "CLIENT_ERROR invalid exptime argument";
const BAD_DELTA: &str = "CLIENT_ERROR invalid numeric delta argument";
const BAD_DELETE: &str = "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]";
const NO_NUMBER: &str = "CLIENT_ERROR cannot increment or decrement non-numeric value";
const TOO_LARGE: &str = "SERVER_ERROR object too large for cache";
const BAD_SET_MODE: &str = "CLIENT_ERROR invalid mode for ms M token";
const BAD_ARITHMETIC_MODE: &str = "CLIENT_ERROR invalid mode for ma M token";

/// Answers a hidden command of memcached's door.
pub(super) fn run(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    match command.spec.id {
        Id::ItemGet => get(&mut view.slot(command.arg(1))),
        Id::ItemGetMany => many(view, command, 1, get),
        Id::ItemGets => many(view, command, 1, gets),
        Id::ItemGat | Id::ItemGats => get_and_touch(view, command),
        Id::ItemSet | Id::ItemAdd | Id::ItemReplace | Id::ItemCas => store(view, command),
        Id::ItemAppend | Id::ItemPrepend => extend(view, command),
        Id::ItemDelete => delete(view, command),
        Id::ItemIncr | Id::ItemDecr => arithmetic(view, command),
        Id::ItemTouch => touch(view, command),
        Id::ItemMetaGet | Id::ItemMetaTouch => meta_get(view, command),
        Id::ItemMetaSet => meta_set(view, command),
        Id::ItemMetaDelete => meta_delete(view, command),
        Id::ItemMetaArithmetic => meta_arithmetic(view, command),
        Id::ItemMetaDebug => meta_debug(view, command),
        Id::ItemFlush => flush(view, command),
        _ => Ok(command.unknown(|_| false)),
    }
}

/// Checks that what is there, if something is, is a string.
#[inline]
fn check(slot: &Slot<'_, '_>) -> Result<(), Error> {
    match slot.peek().is_some_and(|entry| entry.as_text().is_none()) {
        true => Err(wrong_type(slot)),
        false => Ok(()),
    }
}

/// The string that is there, for a client that reads it.
#[inline]
fn read<'s>(slot: &'s mut Slot<'_, '_>) -> Result<Option<Text<'s>>, Error> {
    check(slot)?;
    slot.read_text()
}

/// The string that is there, for a client that goes on to change it.
fn text<'s>(slot: &'s mut Slot<'_, '_>) -> Result<Option<Text<'s>>, Error> {
    check(slot)?;
    slot.text()
}

#[cold]
fn wrong_type(slot: &Slot<'_, '_>) -> Error {
    let kind = slot.peek().map_or("string", |entry| match entry.kind() {
        super::entry::Kind::SortedSet => "sorted set",
        kind => kind.name(),
    });
    not_a_string(kind).into()
}

#[inline]
fn get(slot: &mut Slot<'_, '_>) -> Outcome {
    let flags = slot.extras().marks;
    Ok(match read(slot)? {
        Some(text) => Reply::Bulk(brief(flags, text.bytes(&mut itoa::Buffer::new()))),
        None => Reply::Null,
    })
}

fn gets(slot: &mut Slot<'_, '_>) -> Outcome {
    text(slot)?;
    let cas = slot.ensure_version().unwrap_or_default();
    let flags = slot.extras().marks;
    Ok(match read(slot)? {
        Some(text) => Reply::Bulk(with_cas(flags, cas, text.bytes(&mut itoa::Buffer::new()))),
        None => Reply::Null,
    })
}

/// One reply for each key, from word `first` on.
fn many(
    view: &mut View<'_>,
    command: &Command<'_>,
    first: usize,
    mut each: impl FnMut(&mut Slot<'_, '_>) -> Outcome,
) -> Outcome {
    let one = |key| each(&mut view.slot(key)).unwrap_or_else(Reply::Error);
    Ok(Reply::Array(command.args(first).map(one).collect()))
}

fn get_and_touch(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let life = Life::parse(command.arg(1), view.now()).ok_or(BAD_EXPIRY)?;
    let each = match command.spec.id {
        Id::ItemGat => get,
        _ => gets,
    };
    many(view, command, 2, |slot| {
        let told = each(slot)?;
        live(slot, life);
        Ok(told)
    })
}

/// Gives an item that is there another life.
fn live(slot: &mut Slot<'_, '_>, life: Life) {
    match life {
        Life::Endless if slot.deadline().is_some() => slot.set_deadline(None),
        Life::Endless => {}
        Life::Until(at) => slot.set_deadline(Some(at)),
        Life::Over => {
            slot.remove();
        }
    }
}

/// Stores an item, whatever was there before.
fn put(slot: &mut Slot<'_, '_>, value: &[u8], flags: u32, life: Life) {
    let deadline = match life {
        Life::Endless => None,
        Life::Until(at) => Some(at),
        Life::Over => {
            slot.remove();
            return;
        }
    };
    slot.set_marked_text(Text::from_value(value), deadline, flags);
}

/// `set key flags exptime bytes [unique] data` and its kin.
fn store(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let flags = item::flags(command.arg(2)).ok_or(BAD_FORMAT)?;
    let life = Life::parse(command.arg(3), view.now()).ok_or(BAD_FORMAT)?;
    let value = command.arg(command.len() - 1);
    if value.len() > limits::VALUE_BYTES {
        return Err(TOO_LARGE.into());
    }
    let mut slot = view.slot(command.arg(1));
    match command.spec.id {
        Id::ItemAdd if slot.exists() => {
            slot.touch(Use::Changed);
            return Ok(NOT_STORED);
        }
        Id::ItemReplace if !slot.exists() => return Ok(NOT_STORED),
        Id::ItemCas => {
            let unique = unsigned(command.arg(5)).ok_or(BAD_FORMAT)?;
            match slot.exists() {
                false => return Ok(NOT_FOUND),
                true if slot.extras().version != Some(unique) => return Ok(EXISTS),
                true => {}
            }
        }
        _ => {}
    }
    put(&mut slot, value, flags, life);
    Ok(STORED)
}

/// `append` and `prepend`: flags and expiry stay as they are.
fn extend(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let value = command.arg(command.len() - 1);
    let mut slot = view.slot(command.arg(1));
    match lengthen(&mut slot, value, command.spec.id == Id::ItemPrepend)? {
        true => Ok(STORED),
        false => Ok(NOT_STORED),
    }
}

/// Adds bytes to an item, if there is one.
fn lengthen(slot: &mut Slot<'_, '_>, more: &[u8], before: bool) -> Result<bool, Error> {
    let Some(old) = text(slot)?.map(|text| text.len()) else {
        return Ok(false);
    };
    let length = old + more.len();
    if length > limits::VALUE_BYTES {
        return Err(TOO_LARGE.into());
    }
    if let Some(value) = slot.grow(length) {
        match before {
            true => {
                value.copy_within(..old, more.len());
                value[..more.len()].copy_from_slice(more);
            }
            false => value[old..length].copy_from_slice(more),
        }
    }
    slot.set_recache(Recache::default());
    slot.changed();
    Ok(true)
}

/// `delete key [0]`: memcached once took a time there.
fn delete(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    if command.len() > 2 && (command.len() > 3 || command.arg(2) != b"0") {
        return Err(BAD_DELETE.into());
    }
    view.removes(Removing::Deletes);
    match view.slot(command.arg(1)).remove() {
        true => Ok(Reply::Status("DELETED")),
        false => Ok(NOT_FOUND),
    }
}

fn touch(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let life = Life::parse(command.arg(2), view.now()).ok_or(BAD_EXPIRY)?;
    let mut slot = view.slot(command.arg(1));
    if slot.read().is_none() {
        return Ok(NOT_FOUND);
    }
    live(&mut slot, life);
    Ok(Reply::Status("TOUCHED"))
}

fn arithmetic(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let by = unsigned(command.arg(2)).ok_or(BAD_DELTA)?;
    let mut slot = view.slot(command.arg(1));
    let falls = command.spec.id == Id::ItemDecr;
    Ok(match number(&mut slot)? {
        Some(old) => Reply::bulk(itoa::Buffer::new().format(count(&mut slot, old, by, falls))),
        None => NOT_FOUND,
    })
}

/// The number that is there.
fn number(slot: &mut Slot<'_, '_>) -> Result<Option<u64>, Error> {
    let number = match text(slot)? {
        None => return Ok(None),
        Some(Text::Int(number)) => u64::try_from(number).ok(),
        Some(Text::Bytes(text) | Text::Raw(text)) => unsigned(text),
    };
    number.map_or(Err(NO_NUMBER.into()), |number| Ok(Some(number)))
}

/// Adds to a number, past 2^64 from 0 on, or takes from it, down to 0.
///
/// The result is written in as few digits as it has: memcached leaves blanks behind it up to the
/// length of what was there, with which it would be no number to Redis's commands, and its protocol
/// lets a server choose. A result that is longer than what was there is another item for memcached,
/// which nobody has read, and which is not stale.
fn count(slot: &mut Slot<'_, '_>, old: u64, by: u64, falls: bool) -> u64 {
    let new = match falls {
        true => old.saturating_sub(by),
        false => old.wrapping_add(by),
    };
    let mut digits = itoa::Buffer::new();
    let text = digits.format(new).as_bytes();
    let length = slot
        .peek()
        .and_then(|entry| entry.as_text())
        .map_or(0, |text| text.len());
    if text.len() > length {
        slot.touch(Use::Stored);
        slot.set_recache(Recache::default());
    }
    slot.update_text(Text::from_value(text));
    new
}

/// `flush_all [delay]`.
fn flush(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    match flush_time(command, view.now())? {
        Some(at) => view.store().clear_at(Some((at, None))),
        None => {
            view.store().clear_at(None);
            let later = view.store().is_lazy(Lazy::UserFlush);
            view.clear(Some(view.database()), later);
        }
    }
    Ok(Reply::OK)
}

/// When `flush_all [delay]` is to remove all items; `None` for now.
///
/// # Errors
/// The delay is no number.
pub(super) fn flush_time(command: &Command<'_>, now: u64) -> Result<Option<u64>, Error> {
    let delay = command.args(1).next().unwrap_or(b"0");
    match Life::parse(delay, now).ok_or(BAD_EXPIRY)? {
        Life::Until(at) => Ok(Some(at)),
        Life::Endless | Life::Over => Ok(None),
    }
}

/// `mg key flag …`
fn meta_get(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let now = view.now();
    let flags = Flags::parse(command, 2, command.len(), now)?;
    let mut slot = view.slot(command.arg(1));
    let mut facts = Facts::default();
    look(&slot, now, &mut facts);
    if !slot.exists() && flags.vivify().is_some() {
        slot.set_text(Text::Bytes(b""), None);
        facts.created = true;
    }
    // What is not there counts as a miss.
    match flags.is_unused && slot.exists() {
        true => check(&slot)?,
        false => drop(read(&mut slot)?),
    }
    if !slot.exists() {
        return Ok(Reply::Null);
    }
    facts.ttl = seconds_left(slot.deadline(), now);
    let over = step(&mut slot, &flags, now, &mut facts);
    let recache = slot.extras().recache;
    facts.stale = recache.stale;
    facts.is_awaited = recache.awaited;
    facts.won |= recache.stale && !recache.awaited;
    if facts.won {
        slot.set_recache(Recache {
            awaited: true,
            ..recache
        });
    }
    let told = tell(&mut slot, &flags, facts)?;
    if over {
        slot.remove();
    }
    Ok(told)
}

/// What is known of an entry before the command changes that.
fn look(slot: &Slot<'_, '_>, now: u64, facts: &mut Facts) {
    let Some(entry) = slot.peek() else { return };
    facts.was_read = aging::was_read(entry.access());
    facts.idle = entry.idle_seconds(now);
}

/// Does what the flags say of times, in their order. Returns whether the item's life is over, as
/// soon as it has been told.
fn step(slot: &mut Slot<'_, '_>, flags: &Flags, now: u64, facts: &mut Facts) -> bool {
    let (mut over, mut told) = (false, None);
    for step in &flags.steps {
        let left = seconds_left(slot.deadline(), now);
        match *step {
            Step::Live(life) | Step::Vivify(life) => {
                let applies = matches!(step, Step::Live(_)) || facts.created;
                match life {
                    _ if !applies => {}
                    Life::Over => over = true,
                    life => live(slot, life),
                }
                facts.won |= facts.created && matches!(step, Step::Vivify(_));
            }
            Step::Recache(seconds) => {
                let awaited = slot.extras().recache.awaited;
                let soon = left.is_some_and(|left| i64::from(left) < seconds);
                facts.won |= soon && !awaited && !facts.created;
            }
            Step::Ttl => told = Some(if over { Some(0) } else { left }),
        }
    }
    facts.ttl = told.unwrap_or(facts.ttl);
    over
}

/// Whole seconds, of which the last is not over.
fn seconds_left(deadline: Option<u64>, now: u64) -> Option<u32> {
    let left = deadline?.saturating_sub(now).div_ceil(1000);
    Some(u32::try_from(left).unwrap_or(u32::MAX - 1))
}

/// The reply of a meta command that tells of an item which is there.
fn tell(slot: &mut Slot<'_, '_>, flags: &Flags, mut facts: Facts) -> Outcome {
    if flags.cas {
        facts.cas = slot.ensure_version().unwrap_or_default();
    }
    facts.flags = slot.extras().marks;
    let Some(text) = slot.peek().and_then(|entry| entry.as_text()) else {
        return Ok(Reply::Null);
    };
    let mut buffer = itoa::Buffer::new();
    let value = text.bytes(&mut buffer);
    facts.size = value.len() as u32;
    let value = if flags.value { value } else { b"" };
    Ok(Reply::Bulk(facts.pack(value)))
}

/// How an item's cas fits the one that a client gives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fit {
    /// None was given.
    Any,
    Same,
    /// The item has changed since, and the value is wanted all the same.
    Older,
    Other,
}

fn fit(slot: &mut Slot<'_, '_>, flags: &Flags) -> Fit {
    let Some(given) = flags.compare.filter(|given| *given != 0) else {
        return Fit::Any;
    };
    match slot.ensure_version() {
        Some(cas) if cas == given => Fit::Same,
        Some(cas) if flags.invalidate && given < cas => Fit::Older,
        _ => Fit::Other,
    }
}

/// `ms key bytes flag … data`
fn meta_set(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let last = command.len() - 1;
    let flags = Flags::parse(command, 3, last, view.now())?;
    let value = command.arg(last);
    let mut slot = view.slot(command.arg(1));
    let is_there = slot.exists();
    let life = flags.life().unwrap_or(Life::Endless);
    let stored = match flags.mode {
        Some(b'R') if flags.compare.is_none() => is_there,
        None | Some(b'S') if flags.compare.is_none() => true,
        None | Some(b'S' | b'R') if !is_there => return Ok(Reply::Status("NF")),
        None | Some(b'S' | b'R') => match fit(&mut slot, &flags) {
            Fit::Same => true,
            Fit::Older => return store_stale(&mut slot, value, &flags),
            Fit::Any | Fit::Other => return Ok(Reply::Status("EX")),
        },
        Some(b'E') => {
            slot.touch(Use::Changed);
            !is_there
        }
        Some(mode @ (b'A' | b'P')) => {
            if is_there && matches!(fit(&mut slot, &flags), Fit::Older | Fit::Other) {
                return Ok(Reply::Status("EX"));
            }
            return match lengthen(&mut slot, value, mode == b'P')? {
                true => Ok(has_stored(&mut slot, &flags)),
                false => Ok(Reply::Status("NS")),
            };
        }
        Some(_) => return Err(BAD_SET_MODE.into()),
    };
    if !stored {
        return Ok(Reply::Status("NS"));
    }
    if life == Life::Over && flags.cas {
        // The cas of what is gone at once is told, too.
        put(&mut slot, value, flags.flags, Life::Endless);
        let told = has_stored(&mut slot, &flags);
        slot.remove();
        return Ok(told);
    }
    put(&mut slot, value, flags.flags, life);
    Ok(has_stored(&mut slot, &flags))
}

/// Stores a value that is older than the one that is there, and says so to those who read it.
fn store_stale(slot: &mut Slot<'_, '_>, value: &[u8], flags: &Flags) -> Outcome {
    let awaited = slot.extras().recache.awaited;
    let deadline = slot.deadline();
    let life = deadline.map_or(Life::Endless, Life::Until);
    put(slot, value, flags.flags, life);
    slot.set_recache(Recache {
        stale: true,
        awaited,
    });
    Ok(has_stored(slot, flags))
}

/// The reply to a meta command that has stored: the cas where it is wanted.
fn has_stored(slot: &mut Slot<'_, '_>, flags: &Flags) -> Reply {
    match flags.cas {
        true => Reply::Int(slot.ensure_version().unwrap_or_default() as i64),
        false => Reply::Status("HD"),
    }
}

/// `md key flag …`
fn meta_delete(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let flags = Flags::parse_tersely(command, 2, view.now())?;
    let mut slot = view.slot(command.arg(1));
    if !slot.exists() {
        return Ok(Reply::Status("NF"));
    }
    let is_other = |cas: u64, slot: &mut Slot<'_, '_>| slot.ensure_version() != Some(cas);
    if flags.compare.is_some_and(|cas| is_other(cas, &mut slot)) {
        return Ok(Reply::Status("EX"));
    }
    if !flags.invalidate {
        slot.remove();
        return Ok(Reply::Status("HD"));
    }
    slot.set_recache(Recache {
        stale: true,
        awaited: false,
    });
    slot.changed();
    if let Some(life) = flags.life() {
        live(&mut slot, life);
    }
    Ok(Reply::Status("HD"))
}

/// `ma key flag …`
fn meta_arithmetic(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let now = view.now();
    let flags = Flags::parse_tersely(command, 2, now)?;
    let falls = match flags.mode {
        None | Some(b'I' | b'+') => false,
        Some(b'D' | b'-') => true,
        Some(_) => return Err(BAD_ARITHMETIC_MODE.into()),
    };
    let mut slot = view.slot(command.arg(1));
    let mut facts = Facts::default();
    check(&slot)?;
    if let Some(length) = slot
        .peek()
        .and_then(|entry| entry.as_text())
        .map(|text| text.len())
    {
        // What is empty is no number whatever its cas.
        let fits = !matches!(fit(&mut slot, &flags), Fit::Older | Fit::Other);
        if length > 0 && !fits {
            return Ok(Reply::Status("EX"));
        }
        let old = number(&mut slot)?.ok_or(NO_NUMBER)?;
        count(&mut slot, old, flags.delta, falls);
    } else if flags.vivify().is_some() {
        let first = itoa::Buffer::new().format(flags.initial).to_owned();
        slot.set_text(Text::from_value(first.as_bytes()), None);
        facts.created = true;
    } else {
        return Ok(Reply::Status("NF"));
    }
    facts.ttl = seconds_left(slot.deadline(), now);
    let over = step(&mut slot, &flags, now, &mut facts);
    // Nobody has to store anew what has just been counted.
    facts.won = false;
    let told = tell(&mut slot, &flags, facts)?;
    if over {
        slot.remove();
    }
    Ok(told)
}

/// `me key`
fn meta_debug(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let now = view.now();
    let mut slot = view.slot(command.arg(1));
    if !slot.exists() {
        return Ok(Reply::Null);
    }
    let cas = slot.ensure_version().unwrap_or_default();
    let mut facts = Facts {
        cas,
        flags: slot.extras().marks,
        ttl: seconds_left(slot.deadline(), now),
        ..Facts::default()
    };
    look(&slot, now, &mut facts);
    if let Some(entry) = slot.peek() {
        facts.footprint = super::memory::footprint(&entry) as u32;
        facts.size = entry.as_text().map_or(0, |text| text.len()) as u32;
    }
    Ok(Reply::Bulk(facts.pack(b"")))
}
