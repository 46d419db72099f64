//! What is told of changes of keys, if the operator wants that: `notify-keyspace-events`.
//!
//! Shards log what happens to their entries; from that and from the command that has run come the
//! events, by Redis's names.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use smallvec::{SmallVec, smallvec};

use super::Store;
use super::view::View;
use crate::command::{Command, Group, Id};
use crate::pubsub::Exchange;

/// The letters of the parameter, each with its bit by its place. `A` stands for some of them.
const LETTERS: &[u8] = b"g$lshzxetdnKEm";
/// Those that `A` stands for.
const ALL: u32 = (1 << 10) - 1;

/// What happened to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It was added.
    New,
    /// It was added by a command that does not say so.
    Placed,
    /// Its value is another one.
    Value,
    /// Its deadline is another one; whether it has one.
    Deadline(bool),
    /// It was removed.
    Removed,
    /// It was removed because its time was up.
    Expired,
    /// It was removed because memory was full.
    Evicted,
    /// It was asked for, and is absent.
    Missed,
}

/// A change with its key, and its place in the order of changes.
pub(super) type Logged = (u64, Box<[u8]>, Change);

/// The same with the number of the database.
pub(super) type Happened = (u64, u32, Box<[u8]>, Change);

/// Which events are told, and to whom.
#[derive(Debug, Default)]
pub(super) struct Notices {
    classes: AtomicU32,
    exchange: OnceLock<Arc<Exchange>>,
}

/// A class of events, by its letter.
type Event = (u8, &'static str);

impl Store {
    /// Tells events of these classes from now on, by letters as Redis's parameter
    /// `notify-keyspace-events` has them.
    /// Letters that stand for nothing are passed over.
    pub fn notify(&self, letters: &[u8], exchange: &Arc<Exchange>) {
        let class = |letter: &u8| if *letter == b'A' { ALL } else { bit(*letter) };
        let classes = letters.iter().map(class).fold(0, |all, class| all | class);
        self.notices.exchange.get_or_init(|| exchange.clone());
        self.notices.classes.store(classes, Relaxed);
        let log = || (classes & (bit(b'K') | bit(b'E')) != 0).then(Vec::new);
        self.set_all(|_, shard| {
            shard.log = log();
            shard.logs_misses = classes & bit(b'm') != 0;
        });
    }

    /// The classes of events that are told, as letters.
    pub fn notified(&self) -> String {
        let mut classes = self.notices.classes.load(Relaxed);
        let mut letters = String::new();
        if classes & ALL == ALL {
            classes &= !ALL;
            letters.push('A');
        }
        let told = |(place, _): &(usize, &u8)| classes & 1 << place != 0;
        let rest = LETTERS.iter().enumerate().filter(told);
        letters.extend(rest.map(|(_, letter)| char::from(*letter)));
        letters
    }

    /// Tells what has happened because of a command, or because of time.
    pub(super) fn tell(&self, mut changes: Vec<Happened>, command: Option<&Command<'_>>) {
        // An element or a key that is moved arrives before it is gone.
        let arrives = |key: &[u8], change: Change| {
            let is_there = |c: &Command<'_>| match c.spec.id {
                Id::Move => change == Change::New,
                id => is_move(id) && key == c.arg(2),
            };
            command.is_some_and(is_there)
        };
        changes.sort_unstable_by_key(|(order, _, key, change)| (!arrives(key, *change), *order));
        let mut changes = changes.into_iter().peekable();
        let mut arrived = None;
        while let Some((_, database, key, change)) = changes.next() {
            // A collection is added empty, and then filled.
            let is_filled = |(_, other, next, then): &Happened| {
                let is_same = *other == database && *next == key;
                change == Change::New && is_same && *then == Change::Value
            };
            changes.next_if(is_filled);
            let puts = |c: &&Command<'_>| matches!(c.spec.id, Id::Copy | Id::Rename);
            let is_put = change == Change::Value && command.filter(puts).is_some();
            if matches!(change, Change::New | Change::Placed) || is_put {
                self.tell_one((b'n', "new"), database, &key);
            }
            if change == Change::New && command.is_some_and(|c| c.spec.id == Id::Move) {
                // That it has come is told after that it has gone.
                arrived = Some((database, key));
                continue;
            }
            let events = match command {
                Some(command) => events(command, &key, change),
                None if change == Change::Evicted => smallvec![(b'e', "evicted")],
                None => smallvec![(b'x', "expired")],
            };
            for event in events {
                self.tell_one(event, database, &key);
            }
        }
        if let Some((database, key)) = arrived {
            self.tell_one((b'g', "move_to"), database, &key);
        }
    }

    fn tell_one(&self, (class, name): Event, database: u32, key: &[u8]) {
        let classes = self.notices.classes.load(Relaxed);
        let Some(exchange) = self.notices.exchange.get() else {
            return;
        };
        if classes & bit(class) == 0 {
            return;
        }
        if classes & bit(b'K') != 0 {
            let channel = format!("__keyspace@{database}__:");
            exchange.publish(&[channel.as_bytes(), key].concat(), name.as_bytes());
        }
        if classes & bit(b'E') != 0 {
            exchange.publish(format!("__keyevent@{database}__:{name}").as_bytes(), key);
        }
    }
}

impl View<'_> {
    /// Tells what has happened in this view because of a command.
    #[inline]
    pub(super) fn tell(&mut self, command: &Command<'_>) {
        if self.logs() {
            let mut changes = Vec::new();
            self.each_held(|shard| changes.extend(shard.take_log()));
            self.store().tell(changes, Some(command));
        }
    }
}

fn bit(letter: u8) -> u32 {
    let place = LETTERS.iter().position(|known| *known == letter);
    place.map_or(0, |place| 1 << place)
}

const DEL: Event = (b'g', "del");

/// The events that a change of a key stands for, made by a command.
fn events(command: &Command<'_>, key: &[u8], change: Change) -> SmallVec<[Event; 3]> {
    let own = own(command, key, change);
    match (change, own) {
        (Change::Expired, _) => smallvec![(b'x', "expired")],
        (Change::Evicted, _) => smallvec![(b'e', "evicted")],
        // As in Redis, who looks at how a key is kept has not asked for it.
        (Change::Missed, _) if command.spec.name.starts_with("object|") => smallvec![],
        (Change::Missed, _) => smallvec![(b'm', "keymiss")],
        (Change::Placed, _) => smallvec![],
        (Change::Deadline(true), _) => smallvec![(b'g', "expire")],
        (Change::Deadline(false), _) => smallvec![(b'g', "persist")],
        (Change::New | Change::Value, None) => smallvec![],
        (Change::New | Change::Value, Some(own)) => match command.spec.id {
            Id::Set | Id::Setex | Id::Psetex | Id::DocumentStore if sets_deadline(command) => {
                smallvec![own, (b'g', "expire")]
            }
            Id::ItemSet | Id::ItemAdd | Id::ItemReplace | Id::ItemCas if command.arg(3) != b"0" => {
                smallvec![own, (b'g', "expire")]
            }
            id if is_move(id) && command.arg(1) == command.arg(2) => {
                smallvec![moves(command).1, own]
            }
            _ => smallvec![own],
        },
        (Change::Removed, _) => match command.spec.id {
            Id::Rename | Id::Renamenx => smallvec![(b'g', "rename_from")],
            Id::Move => smallvec![(b'g', "move_from")],
            Id::Restore => smallvec![],
            _ => removal(command, own),
        },
    }
}

/// A key whose last element is taken is told of that, too; one that is replaced by nothing is not.
fn removal(command: &Command<'_>, own: Option<Event>) -> SmallVec<[Event; 3]> {
    let takes = match command.spec.group {
        Group::List | Group::Hash => true,
        Group::Set | Group::SortedSet => !command.spec.name.ends_with("store"),
        _ => false,
    };
    match own.filter(|_| takes) {
        Some(own) => smallvec![own, DEL],
        None => smallvec![DEL],
    }
}

/// Whether SET or one of its kin gives a deadline.
fn sets_deadline(command: &Command<'_>) -> bool {
    let times: [&[u8]; 4] = [b"ex", b"px", b"exat", b"pxat"];
    if command.spec.id == Id::DocumentStore {
        return command.arg(3) != b"0";
    }
    command.spec.id != Id::Set
        || command
            .args(3)
            .any(|word| times.iter().any(|time| word.eq_ignore_ascii_case(time)))
}

fn is_move(id: Id) -> bool {
    matches!(id, Id::Lmove | Id::Rpoplpush | Id::Blmove | Id::Brpoplpush)
}

/// What an element that is moved is taken by and added by.
fn moves(command: &Command<'_>) -> (Event, Event) {
    let is_left = |at: usize| match command.spec.id {
        Id::Lmove | Id::Blmove => command.arg(at).eq_ignore_ascii_case(b"left"),
        _ => at == 4,
    };
    let taken = if is_left(3) { "lpop" } else { "rpop" };
    let added = if is_left(4) { "lpush" } else { "rpush" };
    ((b'l', taken), (b'l', added))
}

/// The event of a change over HTTP: that of the command which does the same.
fn of_document(what: &[u8]) -> Event {
    match what {
        b"list" | b"append" => (b'l', "rpush"),
        b"set-index" => (b'l', "lset"),
        b"insert-index" => (b'l', "linsert"),
        b"delete-index" => (b'l', "lrem"),
        b"hash" | b"set-item" => (b'h', "hset"),
        b"delete-item" => (b'h', "hdel"),
        _ => (b'$', "set"),
    }
}

/// The event of a command itself.
fn own(command: &Command<'_>, key: &[u8], change: Change) -> Option<Event> {
    let id = command.spec.id;
    let class = match command.spec.group {
        Group::String | Group::Bitmap | Group::Hyperloglog => b'$',
        Group::List => b'l',
        Group::Set => b's',
        Group::Hash => b'h',
        Group::SortedSet => b'z',
        _ => b'g',
    };
    let has = |word: &[u8]| command.args(1).any(|w| w.eq_ignore_ascii_case(word));
    let name = match id {
        Id::Append | Id::Incrbyfloat | Id::Setrange | Id::Linsert | Id::Lset => command.spec.name,
        Id::Ltrim | Id::Lrem | Id::Sadd | Id::Srem | Id::Hdel | Id::Hincrby => command.spec.name,
        Id::Hincrbyfloat | Id::Zrem | Id::Zpopmin | Id::Zpopmax => command.spec.name,
        Id::Spop | Id::Sinterstore | Id::Sunionstore | Id::Sdiffstore => command.spec.name,
        Id::Zremrangebyscore | Id::Zremrangebyrank | Id::Zremrangebylex => command.spec.name,
        Id::Zinterstore | Id::Zunionstore | Id::Zdiffstore | Id::Zrangestore => command.spec.name,
        Id::Lpush | Id::Rpush | Id::Lpop | Id::Rpop | Id::Zadd | Id::Restore => match id {
            Id::Zadd if has(b"incr") => "zincr",
            _ => command.spec.name,
        },
        Id::Set | Id::Mset | Id::Msetnx | Id::Setnx | Id::Setex | Id::Psetex | Id::Getset => "set",
        Id::Bitop | Id::ItemSet | Id::ItemAdd | Id::ItemReplace | Id::ItemCas => "set",
        Id::ItemMetaSet | Id::ItemMetaDelete | Id::ItemMetaTouch => "set",
        Id::ItemAppend | Id::ItemPrepend => "append",
        Id::ItemIncr | Id::ItemDecr | Id::ItemMetaArithmetic => "incrby",
        Id::Incr | Id::Decr | Id::Incrby | Id::Decrby => "incrby",
        Id::Setbit | Id::Bitfield => "setbit",
        Id::Pfadd | Id::Pfmerge => "pfadd",
        Id::Lpushx => "lpush",
        Id::Rpushx => "rpush",
        Id::Blpop => "lpop",
        Id::Brpop => "rpop",
        Id::Lmpop | Id::Blmpop if has(b"left") => "lpop",
        Id::Lmpop | Id::Blmpop => "rpop",
        id if is_move(id) => {
            return Some(match key == command.arg(1) {
                true => moves(command).0,
                false => moves(command).1,
            });
        }
        Id::Smove if change == Change::Removed || key == command.arg(1) => "srem",
        Id::Smove => "sadd",
        Id::Hset | Id::Hmset | Id::Hsetnx => "hset",
        Id::Zincrby => "zincr",
        Id::Bzpopmin => "zpopmin",
        Id::Bzpopmax => "zpopmax",
        Id::Zmpop | Id::Bzmpop if has(b"min") => "zpopmin",
        Id::Zmpop | Id::Bzmpop => "zpopmax",
        Id::Rename | Id::Renamenx => "rename_to",
        Id::Copy => "copy_to",
        Id::Sort => return Some((b'l', "sortstore")),
        Id::DocumentStore | Id::DocumentChange => return Some(of_document(command.arg(2))),
        _ => return None,
    };
    Some((class, name))
}
