//! Documents: keys as the HTTP door shows them, in hidden commands. One command is one round, and
//! its reply says all that an answer over HTTP needs, so that it may come from another node.
//!
//! | command | reply |
//! | --- | --- |
//! | `document.load KEY json\|raw` | the document, or null |
//! | `document.index KEY N`, `document.item KEY NAME` | the document with one element |
//! | `document.store KEY text\|json\|list\|hash LIFE IF-MATCH IF-NONE-MATCH DATA...` | its meta |
//! | `document.change KEY OP WHERE LIFE IF-MATCH IF-NONE-MATCH DATA` | the same as `index` |
//! | `document.delete KEY IF-MATCH IF-NONE-MATCH` | how many keys were deleted |
//! | `document.keys CURSOR MOST PREFIX` | cursor, and keys of this node |
//!
//! A document is an array: its version, its index, when it was created and updated, its deadline
//! (milliseconds since 1970, 0: unknown or none), and its data, as JSON text or raw bytes. LIFE is
//! in milliseconds, 0 for ever; empty, it stays as it is. A condition is empty, `*`, or versions
//! with commas between them.
//!
//! A JSON string is a string; a list of strings a list; an object of strings a hash. Everything
//! else is kept as a string of JSON text, and its stamp says so.

use std::borrow::Cow;

use super::collection::Collection;
use super::compact::element::Piece;
use super::encodings::Limits;
use super::entry::{Entry, New, Object, Text};
use super::errors::{Error, NOT_AN_INTEGER, Outcome, SYNTAX};
use super::extras::{Extras, Stamp};
use super::hashes::{self, Hash};
use super::lists::{self, End, List};
use super::numbers;
use super::slot::Slot;
use super::view::View;
use crate::command::{Blob, Command, Id, OwnedCommand, Reply};
use crate::json::{self, Picked, Value};

/// Errors, by their codes.
pub const NOT_FOUND: &str = "NOTFOUND there is no such key";
/// It is no list.
pub const NOT_A_LIST: &str = "NOTLIST the value is not a list";
/// It is no dictionary.
pub const NOT_A_DICTIONARY: &str = "NOTDICT the value is not a dictionary";
/// The list ends before that index.
pub const OUT_OF_RANGE: &str = "RANGE the position is out of range";
/// The dictionary has no such item.
pub const NO_ITEM: &str = "NOITEM there is no such item";
/// It is a string, but no text.
pub const NOT_TEXT: &str = "NOTTEXT the value is not UTF-8";
/// It is a set, or another type that is no JSON; or no string, where raw bytes are asked for.
pub const OTHER_TYPE: &str = "OTHERTYPE";
/// The version is not the one that the condition asks for. The version follows.
pub const CONDITION: &str = "CONDITION";

pub(super) fn load(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let Some(meta) = Meta::of(&mut slot) else {
        slot.read();
        return Ok(Reply::Null);
    };
    let is_json = meta.stamp.is_json;
    let Some(entry) = slot.read() else {
        return Ok(Reply::Null);
    };
    let data = match command.arg(2) {
        b"raw" => raw(entry)?,
        _ => text(entry, is_json)?,
    };
    Ok(meta.reply(Some(data)))
}

pub(super) fn index(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let place: u64 = number(command.arg(2))?;
    let mut slot = view.slot(command.arg(1));
    let meta = Meta::of(&mut slot).ok_or(NOT_FOUND)?;
    let data = match slot.read().map(Shown::of) {
        None => return Err(NOT_FOUND.into()),
        Some(Shown::List(list)) => {
            let element = usize::try_from(place).ok();
            let element = element.and_then(|place| list.get(place));
            let mut digits = itoa::Buffer::new();
            quoted(element.ok_or(OUT_OF_RANGE)?.bytes(&mut digits))?
        }
        Some(Shown::Text(text)) if meta.stamp.is_json => {
            let mut digits = itoa::Buffer::new();
            match json::pick_element(text.bytes(&mut digits), place) {
                Picked::Found(element) => Blob::from_slice(element),
                Picked::Missing => return Err(OUT_OF_RANGE.into()),
                Picked::OtherKind => return Err(NOT_A_LIST.into()),
            }
        }
        Some(_) => return Err(NOT_A_LIST.into()),
    };
    Ok(meta.reply(Some(data)))
}

pub(super) fn item(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let name = command.arg(2);
    let mut slot = view.slot(command.arg(1));
    let meta = Meta::of(&mut slot).ok_or(NOT_FOUND)?;
    let data = match slot.read().map(Shown::of) {
        None => return Err(NOT_FOUND.into()),
        Some(Shown::Hash(hash)) => {
            let mut digits = itoa::Buffer::new();
            quoted(hash.get(name).ok_or(NO_ITEM)?.bytes(&mut digits))?
        }
        Some(Shown::Text(text)) if meta.stamp.is_json => {
            let (mut digits, mut written) = (itoa::Buffer::new(), Vec::new());
            json::write_bytes(name, &mut written);
            match json::pick_member(text.bytes(&mut digits), &written) {
                Picked::Found(value) => Blob::from_slice(value),
                Picked::Missing => return Err(NO_ITEM.into()),
                Picked::OtherKind => return Err(NOT_A_DICTIONARY.into()),
            }
        }
        Some(_) => return Err(NOT_A_DICTIONARY.into()),
    };
    Ok(meta.reply(Some(data)))
}

pub(super) fn store(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let life = Life::parse(command.arg(3))?;
    let limits = Limits::of(view);
    let mut slot = view.slot(command.arg(1));
    check(&mut slot, command.arg(4), command.arg(5))?;
    let before = Before::of(&slot);
    let deadline = life.deadline(&slot);
    let data = command.args(6);
    let new = match command.arg(2) {
        b"text" | b"json" => Text::from_value(command.arg(6)).to_store(),
        b"list" => list_of(data, limits),
        b"hash" if data.len().is_multiple_of(2) => hash_of(data, limits),
        _ => return Err(SYNTAX.into()),
    };
    let is_json = command.arg(2) == b"json";
    slot.set_known(new, deadline, before.known(&slot, is_json));
    Ok(Meta::of(&mut slot).map_or(Reply::Null, |meta| meta.reply(None)))
}

pub(super) fn delete(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    check(&mut slot, command.arg(2), command.arg(3))?;
    Ok(Reply::Int(i64::from(slot.remove())))
}

pub(super) fn change(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let (key, life) = (command.arg(1), Life::parse(command.arg(4))?);
    let change = Change::parse(command)?;
    let mut slot = view.slot(key);
    check(&mut slot, command.arg(5), command.arg(6))?;
    let before = Before::of(&slot);
    let (is_json, data) = match change.run_as_command(view, key)? {
        Some(data) => (false, data),
        None => change.run_as_document(view, key, &before)?,
    };
    let mut slot = view.slot(key);
    let deadline = life.deadline(&slot);
    if deadline != slot.deadline() {
        slot.set_deadline(deadline);
    }
    before.stamp(&mut slot, is_json);
    // A list or dictionary may have lost its last element, and is empty then.
    Ok(Meta::of(&mut slot).map_or(Reply::Null, |meta| meta.reply(Some(data))))
}

fn number<N: TryFrom<i64>>(bytes: &[u8]) -> Result<N, Error> {
    let number = numbers::integer(bytes).and_then(|number| N::try_from(number).ok());
    number.ok_or_else(|| NOT_AN_INTEGER.into())
}

/// What is known of a key beside its value.
struct Meta {
    version: u64,
    stamp: Stamp,
    deadline: u64,
}

impl Meta {
    /// Of a key that is there. From now on it has a version.
    fn of(slot: &mut Slot<'_, '_>) -> Option<Meta> {
        let version = slot.ensure_version()?;
        Some(Meta {
            version,
            stamp: slot.extras().stamp.unwrap_or(UNSTAMPED),
            deadline: slot.deadline().unwrap_or(0),
        })
    }

    fn reply(&self, data: Option<Blob>) -> Reply {
        let stamp = &self.stamp;
        let mut all = Vec::with_capacity(6);
        all.extend([
            Reply::Int(self.version as i64),
            Reply::Int(stamp.index.into()),
            Reply::Int(stamp.created as i64),
            Reply::Int(stamp.updated as i64),
            Reply::Int(self.deadline as i64),
        ]);
        all.extend(data.map(Reply::Bulk));
        Reply::Array(all)
    }
}

/// That of a key which was stored by another door.
const UNSTAMPED: Stamp = Stamp {
    index: 1,
    is_json: false,
    created: 0,
    updated: 0,
};

/// What was known of a key before it is changed.
struct Before(Option<Stamp>);

impl Before {
    fn of(slot: &Slot<'_, '_>) -> Before {
        let stamp = || slot.extras().stamp.unwrap_or(UNSTAMPED);
        Before(slot.exists().then(stamp))
    }

    fn is_json(&self) -> bool {
        self.0.is_some_and(|stamp| stamp.is_json)
    }

    /// What to store with a value in place of it: storing it raises version and stamp.
    fn known(&self, slot: &Slot<'_, '_>, is_json: bool) -> Extras {
        Extras {
            version: slot.extras().version.or(Some(0)),
            stamp: Some(self.unraised(slot, is_json)),
            ..Extras::default()
        }
    }

    /// Stamps what became of it, if it is not stamped so.
    fn stamp(&self, slot: &mut Slot<'_, '_>, is_json: bool) {
        let mut stamp = self.unraised(slot, is_json);
        stamp.raise(slot.now());
        slot.set_stamp(Some(stamp));
    }

    fn unraised(&self, slot: &Slot<'_, '_>, is_json: bool) -> Stamp {
        let new = Stamp {
            created: slot.now(),
            ..Stamp::default()
        };
        Stamp {
            is_json,
            ..self.0.unwrap_or(new)
        }
    }
}

/// How long a key shall live.
#[derive(Clone, Copy)]
struct Life {
    is_given: bool,
    millis: u64,
}

impl Life {
    fn parse(word: &[u8]) -> Result<Life, Error> {
        if word.is_empty() {
            return Ok(Life {
                is_given: false,
                millis: 0,
            });
        }
        Ok(Life {
            is_given: true,
            millis: number(word)?,
        })
    }

    fn deadline(self, slot: &Slot<'_, '_>) -> Option<u64> {
        match self {
            Life {
                is_given: false, ..
            } => slot.deadline(),
            Life { millis: 0, .. } => None,
            Life { millis, .. } => Some(slot.now().saturating_add(millis)),
        }
    }
}

/// Whether the conditions hold that a request depends on.
fn check(slot: &mut Slot<'_, '_>, if_match: &[u8], if_none_match: &[u8]) -> Result<(), Error> {
    if if_match.is_empty() && if_none_match.is_empty() {
        return Ok(());
    }
    let version = slot.ensure_version();
    let names = |condition: &[u8]| match condition {
        b"*" => version.is_some(),
        list => version.is_some_and(|version| {
            let mut each = list.split(|b| *b == b',');
            each.any(|word| numbers::integer(word) == Some(version as i64))
        }),
    };
    let holds = (if_match.is_empty() || names(if_match))
        && (if_none_match.is_empty() || !names(if_none_match));
    match holds {
        true => Ok(()),
        false => Err(format!("{CONDITION} {}", version.unwrap_or(0)).into()),
    }
}

/// An entry by what the door makes of it.
enum Shown<'e> {
    Text(Text<'e>),
    List(&'e List),
    Hash(&'e Hash),
    Other(&'static str),
}

impl Shown<'_> {
    fn of(entry: Entry<'_>) -> Shown<'_> {
        if let Some(text) = entry.as_text() {
            return Shown::Text(text);
        }
        match entry.as_object() {
            Some(Object::List(list)) => Shown::List(list),
            Some(Object::Hash(hash)) => Shown::Hash(hash),
            _ => Shown::Other(entry.kind().name()),
        }
    }
}

/// The JSON text of a value.
fn text(entry: Entry<'_>, is_json: bool) -> Result<Blob, Error> {
    let mut out = Vec::new();
    match Shown::of(entry) {
        Shown::Text(text) => {
            let mut digits = itoa::Buffer::new();
            let bytes = text.bytes(&mut digits);
            // Another door may have made of it what is no JSON any more.
            if is_json && json::is_value(bytes) {
                return Ok(Blob::from_slice(bytes));
            }
            return quoted(bytes);
        }
        Shown::List(list) => {
            let texts: Result<Vec<Cow<'_, str>>, _> = list.iter().map(piece).collect();
            json::write_texts(texts?.iter().map(AsRef::as_ref), &mut out);
        }
        Shown::Hash(hash) => {
            let member = |(name, value)| Ok((piece(name)?, piece(value)?));
            let members: Result<Vec<_>, Error> = hash.iter().map(member).collect();
            let mut members = members?;
            members.sort_unstable();
            let members = members.iter().map(|(name, value)| (&**name, &**value));
            json::write_text_members(members, &mut out);
        }
        Shown::Other(kind) => return Err(format!("{OTHER_TYPE} {kind}").into()),
    }
    Ok(Blob::from_vec(out))
}

/// The bytes of a string.
fn raw(entry: Entry<'_>) -> Result<Blob, Error> {
    match entry.as_text() {
        Some(text) => Ok(text.to_blob()),
        None => Err(format!("{OTHER_TYPE} {}", entry.kind().name()).into()),
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(bytes).map_err(|_| NOT_TEXT.into())
}

/// The text of an element.
fn piece(piece: Piece<'_>) -> Result<Cow<'_, str>, Error> {
    Ok(match piece {
        Piece::Int(number) => itoa::Buffer::new().format(number).to_owned().into(),
        Piece::Bytes(bytes) => utf8(bytes)?.into(),
    })
}

/// A JSON string.
fn quoted(bytes: &[u8]) -> Result<Blob, Error> {
    let mut out = Vec::with_capacity(bytes.len() + 2);
    json::write_text(utf8(bytes)?, &mut out);
    Ok(Blob::from_vec(out))
}

fn list_of<'a>(elements: impl Iterator<Item = &'a [u8]>, limits: Limits<'_>) -> New<'static> {
    let mut list = List::default();
    elements.for_each(|element| list.push(End::Right, element, limits));
    New::Object(list.into_object())
}

fn hash_of<'a>(mut words: impl Iterator<Item = &'a [u8]>, limits: Limits<'_>) -> New<'static> {
    let mut hash = Hash::default();
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        hash.set(name, value, limits);
    }
    New::Object(hash.into_object())
}

/// A change of one element.
enum Change<'a> {
    /// Of a list, at a place: `None` takes it out.
    At(usize, Option<Value>),
    /// A new element of a list before that place.
    Before(usize, Value),
    /// A new last element of a list.
    Append(Value),
    /// Of a dictionary: `None` takes it out.
    Item(&'a [u8], Option<Value>),
}

impl<'a> Change<'a> {
    fn parse(command: &Command<'a>) -> Result<Change<'a>, Error> {
        let place = command.arg(3);
        let value = || json::read(command.arg(7)).map_err(|_| Error::from(SYNTAX));
        Ok(match command.arg(2) {
            b"set-index" => Change::At(number(place)?, Some(value()?)),
            b"delete-index" => Change::At(number(place)?, None),
            b"insert-index" => Change::Before(number(place)?, value()?),
            b"append" => Change::Append(value()?),
            b"set-item" => Change::Item(place, Some(value()?)),
            b"delete-item" => Change::Item(place, None),
            _ => return Err(SYNTAX.into()),
        })
    }

    /// Does it by a command of Redis, if there is one: the element's JSON text. `None`: there is
    /// none, and nothing was done.
    fn run_as_command(&self, view: &mut View<'_>, key: &[u8]) -> Result<Option<Blob>, Error> {
        let mut slot = view.slot(key);
        let length = match slot.peek().map(Shown::of) {
            Some(Shown::List(list)) => Some(list.len()),
            _ => None,
        };
        let is_hash = matches!(slot.peek().map(Shown::of), Some(Shown::Hash(_)));
        let is_new = !slot.exists();
        let mut digits = itoa::Buffer::new();
        match (self, length) {
            (Change::At(place, _), Some(length)) if *place >= length => Err(OUT_OF_RANGE.into()),
            (Change::At(place, Some(Value::Text(text))), Some(_)) => {
                let words = [
                    b"LSET",
                    key,
                    digits.format(*place).as_bytes(),
                    text.as_bytes(),
                ];
                run(view, Id::Lset, &words, lists::lset)?;
                quoted(text.as_bytes()).map(Some)
            }
            (Change::Append(Value::Text(text)), length) if length.is_some() || is_new => {
                run(
                    view,
                    Id::Rpush,
                    &[b"RPUSH", key, text.as_bytes()],
                    lists::rpush,
                )?;
                quoted(text.as_bytes()).map(Some)
            }
            (Change::Item(name, Some(Value::Text(text))), _) if is_hash || is_new => {
                utf8(name)?;
                let words = [b"HSET", key, name, text.as_bytes()];
                run(view, Id::Hset, &words, hashes::hset)?;
                quoted(text.as_bytes()).map(Some)
            }
            (Change::Item(name, None), _) if is_hash => {
                let hash: Option<&Hash> = slot.read_collection()?;
                let hash = hash.ok_or(NOT_FOUND)?;
                let mut digits = itoa::Buffer::new();
                let old = quoted(hash.get(name).ok_or(NO_ITEM)?.bytes(&mut digits))?;
                if hash.len() == 1 {
                    return Ok(None);
                }
                run(view, Id::Hdel, &[b"HDEL", key, name], hashes::hdel)?;
                Ok(Some(old))
            }
            _ => Ok(None),
        }
    }

    /// Takes the document apart and puts it together again: whether it is JSON text now, and the
    /// element's JSON text.
    fn run_as_document(
        self,
        view: &mut View<'_>,
        key: &[u8],
        before: &Before,
    ) -> Result<(bool, Blob), Error> {
        let limits = Limits::of(view);
        let mut slot = view.slot(key);
        let deadline = slot.deadline();
        let mut value = match slot.read() {
            Some(entry) => value_of(entry, before.is_json())?,
            None => match &self {
                Change::Append(_) => Value::List(Vec::new()),
                Change::Item(_, Some(_)) => Value::Object(Vec::new()),
                _ => return Err(NOT_FOUND.into()),
            },
        };
        let element = self.run(&mut value)?;
        let is_json = put(&mut slot, &value, deadline, before, limits)?;
        Ok((is_json, Blob::from_vec(element)))
    }

    /// Changes the value; the JSON text of the element.
    fn run(self, value: &mut Value) -> Result<Vec<u8>, Error> {
        let written = |element: &Value| Ok(element.to_vec());
        match (self, value) {
            (Change::At(place, _), Value::List(all)) if place >= all.len() => {
                Err(OUT_OF_RANGE.into())
            }
            (Change::Before(place, _), Value::List(all)) if place > all.len() => {
                Err(OUT_OF_RANGE.into())
            }
            (Change::At(place, None), Value::List(all)) => written(&all.remove(place)),
            (Change::At(place, Some(new)), Value::List(all)) => {
                all[place] = new;
                written(&all[place])
            }
            (Change::Before(place, new), Value::List(all)) => {
                let text = written(&new);
                all.insert(place, new);
                text
            }
            (Change::Append(new), Value::List(all)) => {
                let text = written(&new);
                all.push(new);
                text
            }
            (Change::Item(name, new), Value::Object(all)) => {
                let name = utf8(name)?;
                let at = all.binary_search_by(|(n, _)| n.as_str().cmp(name));
                match (at, new) {
                    (Ok(at), None) => written(&all.remove(at).1),
                    (Err(_), None) => Err(NO_ITEM.into()),
                    (Ok(at), Some(new)) => {
                        all[at].1 = new;
                        written(&all[at].1)
                    }
                    (Err(at), Some(new)) => {
                        let text = written(&new);
                        all.insert(at, (name.to_owned(), new));
                        text
                    }
                }
            }
            (Change::Item(..), _) => Err(NOT_A_DICTIONARY.into()),
            _ => Err(NOT_A_LIST.into()),
        }
    }
}

/// Runs a command of Redis on the same view.
fn run(
    view: &mut View<'_>,
    id: Id,
    words: &[&[u8]],
    execute: impl FnOnce(&mut View<'_>, &Command<'_>) -> Outcome,
) -> Outcome {
    execute(view, &OwnedCommand::new(id.spec(), words).as_command())
}

fn value_of(entry: Entry<'_>, is_json: bool) -> Result<Value, Error> {
    let owned = |element| Ok(piece(element)?.into_owned());
    Ok(match Shown::of(entry) {
        Shown::Text(text) => {
            let mut digits = itoa::Buffer::new();
            let bytes = text.bytes(&mut digits);
            match is_json.then(|| json::read(bytes)) {
                Some(Ok(value)) => value,
                _ => Value::Text(utf8(bytes)?.to_owned()),
            }
        }
        Shown::List(list) => {
            let texts: Result<_, Error> = list.iter().map(|e| owned(e).map(Value::Text)).collect();
            Value::List(texts?)
        }
        Shown::Hash(hash) => {
            let member = |(name, value)| Ok((owned(name)?, Value::Text(owned(value)?)));
            let members: Result<Vec<_>, Error> = hash.iter().map(member).collect();
            let mut members = members?;
            members.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(members)
        }
        Shown::Other(kind) => return Err(format!("{OTHER_TYPE} {kind}").into()),
    })
}

/// Stores a value in its form; whether that is JSON text.
fn put(
    slot: &mut Slot<'_, '_>,
    value: &Value,
    deadline: Option<u64>,
    before: &Before,
    limits: Limits<'_>,
) -> Result<bool, Error> {
    let json;
    let (new, is_json) = if let Some(texts) = value.as_texts() {
        (list_of(texts.map(str::as_bytes), limits), false)
    } else if let Some(members) = value.as_text_members() {
        let words = members.flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        (hash_of(words, limits), false)
    } else if let Value::Text(text) = value {
        (Text::from_value(text.as_bytes()).to_store(), false)
    } else {
        json = value.to_vec();
        if !json::is_value(&json) {
            return Err("ERR the value is nested too deep".into());
        }
        (Text::from_value(&json).to_store(), true)
    };
    slot.set_known(new, deadline, before.known(slot, is_json));
    Ok(is_json)
}
