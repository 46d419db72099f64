//! What has been written, for whoever keeps copies elsewhere: of each key that a command has
//! changed, how the same change is made to a copy.
//!
//! A change is noted under the lock under which it was made, so that the changes of a key are noted
//! in their order. Where it can be made again with the same outcome it is noted as a **step**: a
//! command of this key alone, which depends on nothing but what was under the key, and the time.
//! What depends on chance or on other keys is noted as what came of it: SPOP as SREM, LMOVE as LPOP
//! and RPUSH. All else is to be copied as a value.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use parking_lot::Mutex;
use smallvec::SmallVec;

use super::Store;
use super::dispatch;
use super::extras::{self, Extras, Recache};
use super::multi_pop::MultiPop;
use super::quicklist::End;
use super::view::View;
use super::zsets::Extreme;
use crate::command::{Command, Id, OwnedCommand, Reply};
use crate::limits;

/// The one step that has the key as its first two arguments.
const ROTATE: &[u8] = b"lmove";

/// One change of a key that can be made again: of a copy with the version before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The version that the key has after it.
    pub version: u64,
    /// When it was made, in milliseconds since 1970.
    pub now: u64,
    /// The command's words but for the key, which is the first argument: each with its length in 4
    /// bytes before it, little-endian.
    pub words: Arc<[u8]>,
}

impl Step {
    /// About how many bytes it has.
    pub fn bytes(&self) -> usize {
        self.words.len() + 24
    }
}

/// A key that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The key.
    pub key: Box<[u8]>,
    /// How; `None` if its value is to be copied. With the version that the key had before.
    pub step: Option<(u64, Step)>,
    /// About how many bytes its value has now.
    pub bytes: usize,
}

/// What came of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The copy is as new as after them, or newer.
    Kept,
    /// The copy is not as it was before them: its value is needed.
    Behind,
    /// They are no steps, or of a time that is far from here.
    Broken,
}

/// What has been written since it was last taken.
#[derive(Debug, Default)]
pub(super) struct Journal {
    is_kept: AtomicBool,
    written: Mutex<Vec<Written>>,
}

/// Which state a key is in. Some changes of what memcached's clients have said leave the version.
#[derive(Clone, Copy, PartialEq, Eq)]
struct State {
    version: Option<u64>,
    recache: Recache,
}

impl Store {
    /// Notes from now on what is written. It is to be [taken](Store::take_written) after each
    /// command: it has no other bound than what one command, and those that it serves, change.
    pub fn keep_journal(&self) {
        self.journal.is_kept.store(true, Relaxed);
    }

    /// What has been written since the last time, for each key in the order of its changes.
    pub fn take_written(&self) -> Vec<Written> {
        std::mem::take(&mut self.journal.written.lock())
    }

    /// Makes changes to a copy that was made to the key elsewhere: those of `steps`, one after the
    /// other, that it does not have already. The first one leads on from the version `base`.
    pub fn apply(&self, now: u64, key: &[u8], base: u64, steps: &[Step]) -> Applied {
        // What is done again at a time that is far from here would have keys expire.
        let latest = now.saturating_add(limits::CLOCK_AHEAD_MS);
        let last = steps.last().map_or(base, |step| step.version);
        let is_out = |version: u64| extras::time_of(version) > limits::LATEST_MS;
        let too_late = |step: &Step| step.now > latest || is_out(step.version);
        if steps.iter().any(too_late) || is_out(last) {
            return Applied::Broken;
        }
        if self
            .version(now, key)
            .is_some_and(|version| version >= last)
        {
            return Applied::Kept;
        }
        let mut base = base;
        for step in steps {
            if step.version <= base {
                return Applied::Broken;
            }
            match self.apply_step(key, base, step) {
                Applied::Kept => base = step.version,
                other => return other,
            }
        }
        match steps.is_empty() {
            true => Applied::Behind,
            false => Applied::Kept,
        }
    }

    fn apply_step(&self, key: &[u8], base: u64, step: &Step) -> Applied {
        let is_step = |command: &Command<'_>| {
            let keys = command.keys();
            let is_own = keys.is_ok_and(|keys| keys.iter().all(|at| command.arg(at) == key));
            is_own && (is_repeatable(command.spec.id) || command.spec.id == Id::Lmove)
        };
        let words = unpacked(key, &step.words);
        let owned = words.and_then(|words| OwnedCommand::resolve(words).ok());
        let command = owned.as_ref().map(OwnedCommand::as_command);
        let Some(command) = command.filter(is_step) else {
            return Applied::Broken;
        };
        let mut view = View::of_key(self, 0, step.now, key);
        let here = view.slot(key).ensure_version();
        match here {
            Some(version) if version >= step.version => return Applied::Kept,
            Some(version) if version == base => {}
            _ => return Applied::Behind,
        }
        view.set_copies(true);
        let reply = dispatch::run(&mut view, &command);
        let mut slot = view.slot(key);
        let applied = if reply.is_error() || !slot.exists() {
            // The value that is copied now must find nothing that looks newer.
            slot.remove();
            view.shard_of_key(key, |shard| shard.tombstones.lives(key));
            Applied::Behind
        } else {
            let extras = slot.extras();
            slot.set_extras(Extras {
                version: Some(step.version),
                ..extras
            });
            Applied::Kept
        };
        view.set_copies(false);
        // It happened elsewhere, and was told there.
        view.each_held(|shard| shard.log.iter_mut().for_each(Vec::clear));
        applied
    }
}

impl View<'_> {
    /// Runs a command, and notes what it writes if that is to be noted.
    #[inline]
    pub(super) fn run(&mut self, command: &Command<'_>) -> Reply {
        if !self.notes() {
            return dispatch::run(self, command);
        }
        // What `mg` reads it may mark as being stored anew; PFCOUNT notes what it has counted.
        let notes_what_it_reads = matches!(command.spec.id, Id::ItemMetaGet | Id::Pfcount);
        match command.spec.is_write() || notes_what_it_reads {
            true => self.run_noted(command),
            false => dispatch::run(self, command),
        }
    }

    /// Whether it is to be noted what is written.
    #[inline]
    pub(super) fn notes(&self) -> bool {
        self.store().journal.is_kept.load(Relaxed)
    }

    #[cold]
    fn run_noted(&mut self, command: &Command<'_>) -> Reply {
        let Ok(places) = command.keys() else {
            return dispatch::run(self, command);
        };
        let mut keys: SmallVec<[&[u8]; 2]> = SmallVec::new();
        for key in places.iter().map(|at| command.arg(at)) {
            // Where there are many, one that comes twice is noted twice, which does no harm.
            if keys.len() > 8 || !keys.contains(&key) {
                keys.push(key);
            }
        }
        self.noting(command, &keys, |view| Some(dispatch::run(view, command)))
            .unwrap_or(Reply::Null)
    }

    /// Runs `run`, which is what a command does to these keys, and notes what it has written.
    pub(super) fn noting(
        &mut self,
        command: &Command<'_>,
        keys: &[&[u8]],
        run: impl FnOnce(&mut Self) -> Option<Reply>,
    ) -> Option<Reply> {
        let before: SmallVec<[State; 2]> = keys.iter().map(|key| self.state(key)).collect();
        let reply = run(self);
        let now = self.now();
        for (key, before) in keys.iter().zip(before) {
            let after = self.state(key);
            if after == before {
                continue;
            }
            let slot = self.slot(key);
            let bytes = slot.peek().map_or(0, |entry| entry.bytes());
            let reply = reply.as_ref().unwrap_or(&Reply::Null);
            let step = match (before.version, after.version) {
                (Some(base), Some(version)) if base < version => {
                    let step = |words| Step {
                        version,
                        now,
                        words,
                    };
                    repeatable(command, key, reply).map(|words| (base, step(words)))
                }
                _ => None,
            };
            let key = (*key).into();
            let written = Written { key, step, bytes };
            self.store().journal.written.lock().push(written);
        }
        reply
    }

    fn state(&mut self, key: &[u8]) -> State {
        let extras = self.slot(key).extras();
        State {
            version: extras.version,
            recache: extras.recache,
        }
    }
}

/// Whether a command of one key, its first argument, has the same outcome wherever the same is
/// under the key.
fn is_repeatable(id: Id) -> bool {
    use Id::*;
    matches!(
        id,
        Append | Setrange | Setbit | Bitfield | Pfadd | Pfcount | ItemAppend | ItemPrepend
    ) || matches!(
        id,
        Lpush | Rpush | Lpushx | Rpushx | Lpop | Rpop | Lset | Linsert | Lrem | Ltrim
    ) || matches!(id, Hset | Hmset | Hsetnx | Hdel | Hincrby | Sadd | Srem)
        || matches!(
            id,
            Zadd | Zincrby | Zrem | Zpopmin | Zpopmax | Zremrangebyrank | Zremrangebyscore
        )
        || matches!(
            id,
            Zremrangebylex | Expire | Expireat | Pexpire | Pexpireat | Persist | DocumentChange
        )
}

/// What a command with this reply has done to a key, as words to do it again.
fn repeatable(command: &Command<'_>, key: &[u8], reply: &Reply) -> Option<Arc<[u8]>> {
    let id = command.spec.id;
    if is_repeatable(id) {
        let name = command.spec.name.as_bytes();
        return Some(packed(std::iter::once(name).chain(command.args(2))));
    }
    match id {
        Id::Spop => Some(packed(
            std::iter::once(&b"srem"[..]).chain(elements(reply)?),
        )),
        Id::Hincrbyfloat => Some(words(&[b"hset", command.arg(2), bulk(reply)?])),
        Id::Smove if key == command.arg(1) => Some(words(&[b"srem", command.arg(3)])),
        Id::Smove => Some(words(&[b"sadd", command.arg(3)])),
        Id::Lmove | Id::Blmove => moved(
            command,
            key,
            end(command.arg(3))?,
            end(command.arg(4))?,
            reply,
        ),
        Id::Rpoplpush | Id::Brpoplpush => moved(command, key, End::Right, End::Left, reply),
        Id::Blpop => Some(words(&[b"lpop"])),
        Id::Brpop => Some(words(&[b"rpop"])),
        Id::Bzpopmin => Some(words(&[b"zpopmin"])),
        Id::Bzpopmax => Some(words(&[b"zpopmax"])),
        Id::Lmpop | Id::Blmpop => {
            let at = 1 + usize::from(id == Id::Blmpop);
            let request = MultiPop::parse(command, at, End::parse).ok()?;
            Some(words(&[pop(request.from), &popped(reply)?]))
        }
        Id::Zmpop | Id::Bzmpop => {
            let at = 1 + usize::from(id == Id::Bzmpop);
            let request = MultiPop::parse(command, at, Extreme::parse).ok()?;
            let name: &[u8] = match request.from {
                Extreme::Min => b"zpopmin",
                Extreme::Max => b"zpopmax",
            };
            Some(words(&[name, &popped(reply)?]))
        }
        _ => None,
    }
}

/// What the move of an element has done to one of its keys, which may be the same.
fn moved(
    command: &Command<'_>,
    key: &[u8],
    from: End,
    to: End,
    reply: &Reply,
) -> Option<Arc<[u8]>> {
    let (source, destination) = (command.arg(1), command.arg(2));
    Some(match () {
        () if source == destination => words(&[ROTATE, side(from), side(to)]),
        () if key == source => words(&[pop(from)]),
        () => words(&[push(to), bulk(reply)?]),
    })
}

fn end(word: &[u8]) -> Option<End> {
    End::parse(word).ok()
}

fn side(end: End) -> &'static [u8] {
    match end {
        End::Left => b"left",
        End::Right => b"right",
    }
}

fn pop(end: End) -> &'static [u8] {
    match end {
        End::Left => b"lpop",
        End::Right => b"rpop",
    }
}

fn push(end: End) -> &'static [u8] {
    match end {
        End::Left => b"lpush",
        End::Right => b"rpush",
    }
}

fn bulk(reply: &Reply) -> Option<&[u8]> {
    match reply {
        Reply::Bulk(bytes) => Some(bytes),
        _ => None,
    }
}

/// The elements that were taken.
fn elements(reply: &Reply) -> Option<impl Iterator<Item = &[u8]>> {
    let all = match reply {
        Reply::Array(all) | Reply::Set(all) => &all[..],
        one @ Reply::Bulk(_) => std::slice::from_ref(one),
        _ => return None,
    };
    let are_bytes = all.iter().all(|one| bulk(one).is_some());
    are_bytes.then(|| all.iter().filter_map(bulk))
}

/// How many elements LMPOP or one of its kin has taken.
fn popped(reply: &Reply) -> Option<Vec<u8>> {
    let Reply::Array(both) = reply else {
        return None;
    };
    match both.get(1)? {
        Reply::Array(taken) => Some(taken.len().to_string().into_bytes()),
        Reply::Pairs(taken) => Some(taken.len().to_string().into_bytes()),
        _ => None,
    }
}

fn words(words: &[&[u8]]) -> Arc<[u8]> {
    packed(words.iter().copied())
}

/// No word is longer than its length can say.
fn packed<'a>(words: impl Iterator<Item = &'a [u8]>) -> Arc<[u8]> {
    let mut bytes = Vec::new();
    for word in words {
        bytes.extend_from_slice(&(word.len() as u32).to_le_bytes());
        bytes.extend_from_slice(word);
    }
    bytes.into()
}

/// The words of a command, with the key as its first argument.
fn unpacked<'a>(key: &'a [u8], mut packed: &'a [u8]) -> Option<Vec<&'a [u8]>> {
    let mut words = Vec::new();
    while let Some((length, rest)) = packed.split_first_chunk() {
        let (word, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        packed = rest;
        words.push(word);
        match &words[..] {
            [name] if *name == ROTATE => words.extend([key, key]),
            [_] => words.push(key),
            _ => {}
        }
    }
    (packed.is_empty() && !words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{of_node, run};

    fn store(salt: u16) -> Store {
        let store = of_node(salt);
        store.keep_journal();
        store
    }

    /// Brings a copy on: by steps where there are any; returns how many keys took their value.
    fn bring_on(from: &Store, to: &Store, now: u64) -> usize {
        let mut values = 0;
        for written in from.take_written() {
            match &written.step {
                Some((base, step)) => {
                    let steps = std::slice::from_ref(step);
                    let applied = to.apply(now, &written.key, *base, steps);
                    assert_eq!(applied, Applied::Kept, "{written:?}");
                }
                None => {
                    let copy = from.export(now, &written.key).expect("a copy");
                    to.import(now, &copy);
                    values += 1;
                }
            }
        }
        values
    }

    const KEYS: [&str; 9] = ["l", "m", "h", "s", "t", "z", "b", "n", "p"];

    fn filled() -> (Store, Store) {
        let (from, to) = (store(1), store(2));
        for line in [
            "RPUSH l a b c d e f",
            "RPUSH m x y",
            "HSET h f 1 g 2 i 3",
            "SADD s a b c d e",
            "SADD t x y z",
            "ZADD z 1 a 2 b 3 c 4 d",
            "SET b text",
            "SET n 17",
            "PFADD p a b c",
        ] {
            run(&from, 1000, line);
        }
        assert_eq!(bring_on(&from, &to, 1000), KEYS.len());
        (from, to)
    }

    fn assert_equal(from: &Store, to: &Store, now: u64, what: &str) {
        for key in KEYS {
            assert_eq!(
                from.version(now, key.as_bytes()),
                to.version(now, key.as_bytes()),
                "{what}: {key}"
            );
            for read in [
                "PEXPIRETIME {}",
                "LRANGE {} 0 -1",
                "HGETALL {}",
                "SORT {} ALPHA",
                "ZRANGE {} 0 -1 WITHSCORES",
                "GET {}",
            ] {
                let read = read.replace("{}", key);
                assert_eq!(run(from, now, &read), run(to, now, &read), "{what}: {read}");
            }
        }
    }

    #[test]
    fn a_step_makes_of_a_copy_what_the_command_made() {
        for line in [
            "RPUSH l g h",
            "LPUSH l g h",
            "RPUSHX l g",
            "LPUSHX l g",
            "LPOP l",
            "RPOP l 2",
            "LSET l 1 other",
            "LINSERT l BEFORE c between",
            "LREM l 1 c",
            "LTRIM l 1 3",
            "LMOVE l m LEFT RIGHT",
            "LMOVE l l LEFT RIGHT",
            "RPOPLPUSH l m",
            "RPOPLPUSH l l",
            "BLMOVE l m RIGHT LEFT 1",
            "BRPOPLPUSH l l 1",
            "BLPOP none l 1",
            "BRPOP l 1",
            "LMPOP 2 none l RIGHT COUNT 3",
            "BLMPOP 1 1 l LEFT COUNT 2",
            "HSET h f 5 k 6",
            "HSETNX h k 6",
            "HMSET h k 6",
            "HDEL h f g",
            "HINCRBY h f 7",
            "HINCRBYFLOAT h f 0.1",
            "SADD s f g",
            "SREM s a b",
            "SPOP s",
            "SPOP s 3",
            "SMOVE s t a",
            "ZADD z 9 a 8 f",
            "ZADD z INCR 0.1 a",
            "ZINCRBY z 0.3 b",
            "ZREM z a",
            "ZPOPMIN z",
            "ZPOPMAX z 2",
            "BZPOPMIN z 1",
            "BZPOPMAX z 1",
            "ZMPOP 1 z MAX COUNT 2",
            "BZMPOP 1 1 z MIN",
            "ZREMRANGEBYRANK z 0 1",
            "ZREMRANGEBYSCORE z 2 3",
            "ZREMRANGEBYLEX z - (c",
            "APPEND b more",
            "SETRANGE b 2 XX",
            "SETBIT b 7 1",
            "BITFIELD b SET u8 0 65",
            "PFADD p 1 2 3",
            "PFCOUNT p",
            "EXPIRE l 100",
            "PEXPIRE h 100 NX",
            "PEXPIREAT s 90000",
            "EXPIREAT z 90",
        ] {
            let (from, to) = filled();
            let reply = run(&from, 2000, line);
            assert!(!reply.is_error(), "{line}: {reply:?}");
            // The clock of who keeps the copy is another.
            assert_eq!(bring_on(&from, &to, 2600), 0, "{line} takes a value");
            assert_equal(&from, &to, 2000, line);
        }
    }

    #[test]
    fn what_is_no_step_is_copied() {
        for (line, values) in [
            ("SET b other", 1),
            ("INCR n", 1),
            ("DEL l", 1),
            ("RENAME l m", 2),
            ("LPOP m 2", 1),
            ("SUNIONSTORE t s t", 1),
            ("SORT l ALPHA STORE m", 1),
            ("MSET b 1 n 2", 2),
            ("RPUSH new a", 1),
            ("RPOPLPUSH l new", 1),
            ("GETDEL b", 1),
        ] {
            let (from, to) = filled();
            run(&from, 2000, line);
            assert_eq!(bring_on(&from, &to, 2000), values, "{line}");
            assert_equal(&from, &to, 2000, line);
        }
    }

    #[test]
    fn what_changes_nothing_is_not_noted() {
        let (from, _) = filled();
        for line in [
            "SADD s a",
            "HDEL h none",
            "SETNX b x",
            "LPOP none",
            "DEL none",
            "ZADD z 1 a",
            "LLEN l",
            "LPUSH b x",
            "PERSIST l",
            "ZADD z GT 0 a",
        ] {
            run(&from, 2000, line);
            assert_eq!(from.take_written(), [], "{line}");
        }
    }

    #[test]
    fn who_pushes_has_noted_what_it_moved_for_who_waited() {
        let (from, to) = filled();
        let command =
            crate::store::tests::command(&[b"BLMOVE", b"empty", b"m", b"LEFT", b"RIGHT", b"0"]);
        let waits = from.execute_or_wait(
            0,
            2000,
            (&command.as_command(), None),
            std::task::Waker::noop(),
        );
        assert!(waits.is_err());
        run(&from, 2000, "RPUSH empty one two");
        let keys: Vec<Box<[u8]>> = from.take_written().into_iter().map(|it| it.key).collect();
        assert_eq!(keys, [&b"empty"[..], b"empty", b"m"].map(Box::from));
        drop(to);
    }

    #[test]
    fn steps_are_taken_once_and_in_order() {
        let (from, to) = filled();
        run(&from, 2000, "RPUSH l g");
        run(&from, 2000, "RPUSH l h");
        run(&from, 2000, "RPUSH l i");
        let written = from.take_written();
        let base = written[0].step.as_ref().expect("a step").0;
        let steps: Vec<Step> = written
            .into_iter()
            .filter_map(|it| Some(it.step?.1))
            .collect();
        let late = to.apply(2000, b"l", steps[0].version, &steps[1..]);
        assert_eq!(late, Applied::Behind);
        assert_eq!(to.apply(2000, b"l", base, &steps[..2]), Applied::Kept);
        assert_eq!(to.apply(2000, b"l", base, &steps[..1]), Applied::Kept);
        assert_eq!(to.apply(2000, b"l", base, &steps), Applied::Kept);
        assert_equal(&from, &to, 2000, "pushes");
        assert_eq!(to.apply(2000, b"l", steps[2].version, &[]), Applied::Kept);
        assert_eq!(
            to.apply(2000, b"l", steps[2].version + 1, &[]),
            Applied::Behind
        );
        assert_eq!(to.apply(2000, b"gone", base, &steps), Applied::Behind);
    }

    #[test]
    fn a_copy_that_has_expired_here_is_behind() {
        let (from, to) = filled();
        run(&from, 2000, "PEXPIREAT l 5000");
        bring_on(&from, &to, 2000);
        assert_eq!(run(&to, 6000, "EXISTS l"), Reply::Int(0));
        run(&from, 4000, "RPUSH l g");
        let written = from.take_written().pop().expect("it was written");
        let (base, step) = written.step.expect("a step");
        assert_eq!(to.apply(6000, b"l", base, &[step]), Applied::Behind);
    }

    #[test]
    fn what_is_no_step_is_refused_without_harm() {
        let (from, to) = filled();
        let base = from.version(1000, b"l").expect("a version");
        let step = |words: Arc<[u8]>| Step {
            version: base + 1024,
            now: 2000,
            words,
        };
        let mut cut = words(&[b"rpush", b"x"]).to_vec();
        cut.pop();
        let bad = [
            words(&[]),
            cut.into(),
            words(&[b"flushall"]),
            words(&[b"del"]),
            words(&[b"LMOVE", b"m", b"left", b"left"]),
            words(&[b"pfcount", b"m"]),
            words(&[b"client", b"kill"]),
            words(&[b"none", b"x"]),
            words(&[b"rpush"]),
        ];
        for words in bad {
            let applied = to.apply(2000, b"l", base, &[step(words.clone())]);
            assert_eq!(applied, Applied::Broken, "{words:?}");
        }
        let ahead = Step {
            version: u64::MAX,
            ..step(words(&[b"rpush", b"x"]))
        };
        assert_eq!(to.apply(2000, b"l", base, &[ahead]), Applied::Broken);
        assert_equal(&from, &to, 1000, "bad steps");
        // One that fails, though it was executed elsewhere: the copy is not what it should be.
        let fails = to.apply(2000, b"l", base, &[step(words(&[b"hset", b"f", b"v"]))]);
        assert_eq!(fails, Applied::Behind);
        assert_eq!(
            to.import(2000, &from.export(2000, b"l").unwrap()),
            super::super::Imported::Taken
        );
    }
}
