//! Commands about keys of any type.

use super::Store;
use super::aging::Aging;
use super::entry::{Entry, Text};
use super::errors::{Error, NO_SUCH_KEY, Outcome, SAME_OBJECT, SYNTAX};
use super::freeing::Removing;
use super::keyspace;
use super::view::View;
use super::wanted::Wanted;
use crate::command::{Command, Id, Reply, unknown_subcommand};

pub(super) fn del(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    view.removes(match command.spec.id {
        Id::Unlink => Removing::Unlinks,
        _ => Removing::Deletes,
    });
    let keys = command.args(1);
    let removed = keys.filter(|key| view.slot(key).remove());
    Ok(Reply::Int(removed.count() as i64))
}

pub(super) fn exists(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let keys = command.args(1);
    let found = keys.filter(|key| view.slot(key).inspect().is_some());
    Ok(Reply::Int(found.count() as i64))
}

pub(super) fn touch(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let keys = command.args(1);
    let found = keys.filter(|key| view.slot(key).read().is_some());
    Ok(Reply::Int(found.count() as i64))
}

pub(super) fn kind(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let name = slot.inspect().map_or("none", |entry| entry.kind().name());
    Ok(Reply::Status(name))
}

pub(super) fn rename(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    move_entry(view, command, true)?;
    Ok(Reply::OK)
}

pub(super) fn renamenx(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let moved = move_entry(view, command, false)?;
    Ok(Reply::Int(i64::from(moved)))
}

/// Whether the key was renamed: not if the new name is taken and must not be replaced.
fn move_entry(view: &mut View<'_>, command: &Command<'_>, replace: bool) -> Result<bool, Error> {
    let (from, to) = (command.arg(1), command.arg(2));
    if !view.slot(from).exists() {
        return Err(NO_SUCH_KEY.into());
    }
    if from == to {
        return Ok(false);
    }
    if !replace && view.slot(to).exists() {
        return Ok(false);
    }
    let Some(entry) = view.slot(from).take() else {
        return Ok(false);
    };
    view.slot(to).set_entry(entry);
    Ok(true)
}

pub(super) fn copy(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let selected = view.database();
    let Copying { database, replace } = Copying::parse(view.store(), command)?;
    let database = database.unwrap_or(selected);
    if database != selected && view.store().is_of_ring() {
        let text = "ERR Copying to another database is not allowed in cluster mode";
        return Err(text.into());
    }
    let (from, to) = (command.arg(1), command.arg(2));
    if from == to && database == selected {
        return Err(SAME_OBJECT.into());
    }
    let Some(copied) = view.slot(from).read().map(|entry| entry.to_owned()) else {
        return Ok(Reply::Int(0));
    };
    view.select(database);
    let mut slot = view.slot(to);
    let is_taken = slot.exists() && !replace;
    if !is_taken {
        slot.set_entry(copied);
    }
    view.select(selected);
    Ok(Reply::Int(i64::from(!is_taken)))
}

/// The options of COPY.
#[derive(Default)]
struct Copying {
    database: Option<u32>,
    replace: bool,
}

impl Copying {
    fn parse(store: &Store, command: &Command<'_>) -> Result<Copying, Error> {
        let mut copying = Copying::default();
        let mut words = command.args(3);
        while let Some(word) = words.next() {
            if word.eq_ignore_ascii_case(b"replace") {
                copying.replace = true;
            } else if word.eq_ignore_ascii_case(b"db") {
                let argument = words.next().ok_or(SYNTAX)?;
                copying.database = Some(keyspace::database(store, argument)?);
            } else {
                return Err(SYNTAX.into());
            }
        }
        Ok(copying)
    }
}

/// The key of another database that MOVE or COPY writes, with the number of that.
pub(super) fn elsewhere<'a>(store: &Store, command: &Command<'a>) -> Option<(u32, &'a [u8])> {
    if store.is_of_ring() {
        return None;
    }
    match command.spec.id {
        Id::Move => {
            let database = keyspace::database(store, command.arg(2)).ok()?;
            Some((database, command.arg(1)))
        }
        _ => {
            let database = Copying::parse(store, command).ok()?.database?;
            Some((database, command.arg(2)))
        }
    }
}

/// MOVE: to the same name in another database, where there must be none of it.
pub(super) fn move_to_database(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    if view.store().is_of_ring() {
        return Err("ERR MOVE is not allowed in cluster mode".into());
    }
    let (key, selected) = (command.arg(1), view.database());
    let database = keyspace::database(view.store(), command.arg(2))?;
    if database == selected {
        return Err(SAME_OBJECT.into());
    }
    let mut wanted = Wanted::default();
    wanted.key(view.store(), database, key);
    view.hold_too(&wanted);
    if !view.slot(key).exists() {
        return Ok(Reply::Int(0));
    }
    view.select(database);
    let is_taken = view.slot(key).exists();
    view.select(selected);
    let entry = match is_taken {
        true => None,
        false => view.slot(key).take(),
    };
    let Some(entry) = entry else {
        return Ok(Reply::Int(0));
    };
    view.select(database);
    view.slot(key).set_entry(entry);
    view.select(selected);
    Ok(Reply::Int(1))
}

pub(super) fn object_encoding(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    object(view, command, |entry, _, _| {
        Ok(Reply::bulk(entry.encoding()))
    })
}

pub(super) fn object_freq(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    const NO_LFU: &str = "ERR An LFU maxmemory policy is not selected, access frequency not \
        tracked. Please note that when switching between policies at runtime LRU and LFU data \
        will take some time to adjust.";
    object(view, command, |entry, aging, now| match aging {
        Aging::Time => Err(NO_LFU.into()),
        Aging::Frequency(counting) => {
            let count = counting.decayed(entry.access(), now);
            Ok(Reply::Int(i64::from(count)))
        }
    })
}

pub(super) fn object_idletime(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    const LFU: &str = "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note \
        that when switching between policies at runtime LRU and LFU data will take some time to \
        adjust.";
    object(view, command, |entry, aging, now| match aging {
        Aging::Time => Ok(Reply::Int(i64::from(entry.idle_seconds(now)))),
        Aging::Frequency(_) => Err(LFU.into()),
    })
}

/// Redis shares the objects of small numbers, and shows that as the greatest count; but not where
/// it has to know of each when it was used.
pub(super) fn object_refcount(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let limit = view.store().memory_limit();
    let shares = limit.most == 0 || !limit.policy.ages();
    object(view, command, |entry, _, _| {
        Ok(Reply::Int(match entry.as_text() {
            Some(Text::Int(0..10_000)) if shares => i64::from(i32::MAX),
            _ => 1,
        }))
    })
}

fn object(
    view: &mut View<'_>,
    command: &Command<'_>,
    answer: impl FnOnce(Entry<'_>, Aging, u64) -> Outcome,
) -> Outcome {
    let mut slot = view.slot(command.arg(2));
    let (aging, now) = (slot.aging(), slot.now());
    slot.inspect()
        .map_or(Ok(Reply::Null), |e| answer(e, aging, now))
}

/// OBJECT with a subcommand that does not exist.
pub(super) fn object_unknown(_: &mut View<'_>, command: &Command<'_>) -> Outcome {
    Ok(unknown_subcommand(command.arg(0), command.arg(1)))
}

pub(super) fn object_help(_: &mut View<'_>, _: &Command<'_>) -> Outcome {
    const HELP: [&str; 15] = [
        "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "ENCODING <key>",
        "    Return the kind of internal representation used in order to store the value",
        "    associated with a <key>.",
        "FREQ <key>",
        "    Return the access frequency index of the <key>. The returned integer is",
        "    proportional to the logarithm of the recent access frequency of the key.",
        "IDLETIME <key>",
        "    Return the idle time of the <key>, that is the approximated number of",
        "    seconds elapsed since the last access to the key.",
        "REFCOUNT <key>",
        "    Return the number of references of the value associated with the specified",
        "    <key>.",
        "HELP",
        "    Prints this help.",
    ];
    Ok(Reply::Array(HELP.map(Reply::Status).to_vec()))
}
