//! Which clients keep copies of which keys: CLIENT TRACKING.
//!
//! Keys are known by their names here, whatever database they are in: who has read `k` in one is
//! told of a change of `k` in any, as by Redis, whose messages do not name a database either.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::{Mutex, RwLock};

use super::Store;
use super::view::View;
use crate::command::{Command, Flags};
use crate::limits;
use crate::pubsub::{Actor, Prefixes, Readers, Told, Tracker, Why};

/// Those who are told of all keys with a prefix.
pub(super) type AllPrefixes = RwLock<Prefixes>;
/// All who keep copies, by number.
pub(super) type Trackers = Mutex<BTreeMap<u64, Arc<Tracker>>>;
/// Who has read the keys of the shards with one number, in all databases. Locked while a shard is,
/// never before.
type Shared = Arc<Mutex<Readers>>;
/// Those of all numbers.
pub(super) type AllReaders = Box<[Shared]>;

/// Nobody has read anything.
pub(super) fn all_readers() -> AllReaders {
    (0..limits::SHARDS).map(|_| Arc::default()).collect()
}

/// The client that a command comes from, if it keeps copies.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// The client, or the node that it is a client of.
    pub tracker: &'a Arc<Tracker>,
    /// Its number at its node.
    pub client: u64,
    /// The number of the read at that node.
    pub read: u64,
    /// Whether it keeps copies of what this command reads.
    pub remembers: bool,
}

/// Who keeps copies of a shard's keys.
#[derive(Debug, Default)]
pub(super) struct Tracking {
    /// Who has read each key since it last changed; `None` while nobody wants to be told.
    readers: Option<Shared>,
    /// Who is told of all changes; `None` while there is nobody.
    prefixes: Option<Arc<AllPrefixes>>,
    /// The client that makes the changes.
    pub(super) actor: Option<Actor>,
    /// What changes are copies that this node keeps for the owner of the keys, who tells of it.
    pub(super) is_copy: bool,
}

impl Tracking {
    /// The same for another database.
    pub(super) fn sister(&self) -> Tracking {
        Tracking {
            readers: self.readers.clone(),
            prefixes: self.prefixes.clone(),
            ..Tracking::default()
        }
    }

    /// Whether nobody keeps copies.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.readers.is_none() && self.prefixes.is_none()
    }

    /// Tells those who keep a copy of a key that it has changed, in this database.
    pub(super) fn changed(&mut self, database: u32, key: &[u8]) {
        if let Some(readers) = &self.readers {
            readers.lock().changed(key, self.actor);
        }
        let Some(prefixes) = &self.prefixes else {
            return;
        };
        prefixes.read().each(key, |tracker| {
            let hears_of_it = !self.is_copy || tracker.hears_of_copies();
            if hears_of_it && tracker.cares_for(database) {
                tracker.changed(key, Why::Prefix, self.actor);
            }
        });
    }
}

/// What INFO says of clients that keep copies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tracked {
    /// The clients.
    pub clients: usize,
    /// Keys that they have read.
    pub keys: usize,
    /// Pairs of such a key and a client.
    pub items: usize,
    /// Prefixes of which somebody is told of all keys.
    pub prefixes: usize,
}

impl Store {
    /// Of how many keys it is remembered who has read them; 0 for any number.
    pub fn most_tracked(&self) -> usize {
        self.most_tracked.load(Ordering::Relaxed)
    }

    /// They may be so many from now on; 0 for any number. Those that are too many go with the next
    /// [`expire_due`](Store::expire_due).
    pub fn track_at_most(&self, keys: usize) {
        self.most_tracked.store(keys, Ordering::Relaxed);
    }

    /// Of how many keys of one shard.
    pub fn most_tracked_of_shard(&self) -> usize {
        match self.most_tracked() {
            0 => usize::MAX,
            most => most.div_ceil(limits::SHARDS),
        }
    }

    /// Takes keys for changed until no more are remembered than may be.
    pub(super) fn forget_some_readers(&self) {
        if self.trackers.lock().is_empty() {
            return;
        }
        let first = self.random() as usize % self.readers.len();
        let (before, from) = self.readers.split_at(first);
        let all = from.iter().chain(before).map(|it| &**it);
        Readers::keep(all, self.most_tracked());
    }

    /// What INFO says of clients that keep copies.
    pub fn tracked(&self) -> Tracked {
        let trackers = self.trackers.lock();
        let clients = trackers.values().filter(|tracker| tracker.is_client());
        let mut all = Tracked {
            clients: clients.count(),
            prefixes: self.prefixes.read().len(),
            ..Tracked::default()
        };
        let is_nobody = trackers.is_empty();
        drop(trackers);
        if !is_nobody {
            for readers in &self.readers {
                let readers = readers.lock();
                all.keys += readers.len();
                all.items += readers.pairs();
            }
        }
        all
    }

    /// Tells a client of no more changes.
    pub fn stop_tracking(&self, tracker: &Arc<Tracker>) {
        tracker.stop();
        self.prefixes.write().remove_all(tracker);
        self.trackers.lock().remove(&tracker.id);
        self.set_trackers();
    }

    /// Tells a client, a watcher or a node of changes from now on: of all keys with these prefixes,
    /// beside those before, and of those that it will have read. Keys that both comprise are told
    /// of all the time.
    pub fn track(&self, tracker: &Arc<Tracker>, prefixes: &[Box<[u8]>]) {
        self.trackers.lock().insert(tracker.id, tracker.clone());
        if !prefixes.is_empty() {
            let mut all = self.prefixes.write();
            prefixes.iter().for_each(|prefix| all.add(tracker, prefix));
        }
        self.set_trackers();
    }

    /// The same with these prefixes in the place of those before.
    pub fn track_only(&self, tracker: &Arc<Tracker>, prefixes: &[Box<[u8]>]) {
        self.trackers.lock().insert(tracker.id, tracker.clone());
        self.prefixes.write().set(tracker, prefixes);
        self.set_trackers();
    }

    /// Has all shards know whether somebody wants to be told.
    fn set_trackers(&self) {
        let making = self.databases.making();
        let has_readers = self
            .trackers
            .lock()
            .values()
            .any(|it| !it.hears_of_copies());
        let has_prefixes = !self.prefixes.read().is_empty();
        let is_so = {
            let tracking = &self.databases.first()[0].lock().tracking;
            (tracking.readers.is_some(), tracking.prefixes.is_some()) == (has_readers, has_prefixes)
        };
        if is_so {
            return;
        }
        if !has_readers {
            self.readers
                .iter()
                .for_each(|readers| readers.lock().clear());
        }
        self.set_made(&making, |spot, shard| {
            let readers = &self.readers[spot % limits::SHARDS];
            shard.tracking.readers = has_readers.then(|| readers.clone());
            shard.tracking.prefixes = has_prefixes.then(|| self.prefixes.clone());
        });
    }

    /// Forgets what those have read who are told of no more changes.
    pub fn forget_stopped(&self) {
        let all = self.readers.iter();
        all.for_each(|readers| readers.lock().forget_stopped());
    }

    /// The one who keeps copies and has this number.
    pub fn tracker(&self, id: u64) -> Option<Arc<Tracker>> {
        self.trackers.lock().get(&id).cloned()
    }

    /// Tells who has read keys that other nodes own now that these have changed, for changes are
    /// told to others.
    pub fn have_moved(&self, mut has_moved: impl FnMut(&[u8]) -> bool) {
        if self.trackers.lock().is_empty() {
            return;
        }
        let all = self.readers.iter();
        all.for_each(|readers| readers.lock().changed_if(&mut has_moved));
    }

    /// Tells clients of prefixes, and the nodes that are told for theirs, that any key may have
    /// changed: so it is with keys that this node has taken over.
    pub fn have_come(&self) {
        let all = self.prefixes.read();
        let trackers = all.trackers();
        for tracker in trackers.filter(|tracker| !tracker.hears_of_copies()) {
            match tracker.relay() {
                Some(relay) => relay.put(Told::AllPrefixes),
                None => tracker.invalidate(None),
            }
        }
    }

    /// A key has changed at another node, which one of this node's clients has done, or 0: tells
    /// those who are told of its prefix.
    pub fn changed_elsewhere(&self, key: &[u8], by: u64) {
        let actor = Actor {
            tracker: by,
            client: by,
        };
        self.prefixes.read().each(key, |tracker| {
            if tracker.is_client() {
                tracker.changed(key, Why::Prefix, Some(actor));
            }
        });
    }

    /// Tells all clients of this node that keep copies that any key may have changed.
    pub fn tell_clients_of_all(&self) {
        let trackers = self.trackers.lock();
        let clients = trackers.values().filter(|tracker| tracker.is_client());
        clients.for_each(|client| client.invalidate(None));
    }

    /// Tells all who keep copies that all keys of a database are gone, or all of all.
    pub(super) fn tell_of_clearing(&self, database: Option<u32>) {
        let trackers = self.trackers.lock();
        if trackers.is_empty() {
            return;
        }
        // First: whoever reads a key from now on has not been told yet.
        self.readers
            .iter()
            .for_each(|readers| readers.lock().clear());
        for tracker in trackers.values() {
            if database.is_none_or(|database| tracker.cares_for(database)) {
                tracker.invalidate(None);
            }
        }
    }

    /// Tells who watches database 0 that it has other keys now. Clients learn nothing of that, as
    /// from Redis.
    pub(super) fn tell_of_swap(&self) {
        let trackers = self.trackers.lock();
        let watchers = trackers
            .values()
            .filter(|tracker| tracker.hears_of_copies());
        watchers.for_each(|watcher| watcher.invalidate(None));
    }
}

impl View<'_> {
    /// Whose changes the next ones are.
    pub(super) fn set_actor(&mut self, reader: Option<Reader<'_>>) {
        let actor = reader.map(|reader| Actor {
            tracker: reader.tracker.id,
            client: reader.client,
        });
        self.each_held(|shard| shard.tracking.actor = actor);
    }

    /// Whether what changes next are copies that this node keeps for others.
    pub(super) fn set_copies(&mut self, are_copies: bool) {
        self.each_held(|shard| shard.tracking.is_copy = are_copies);
    }

    /// Notes what a client has read.
    pub(super) fn remember(&mut self, command: &Command<'_>, reader: Reader<'_>) {
        if !reader.remembers || !command.spec.flags.has(Flags::READONLY) {
            return;
        }
        let most = self.store().most_tracked_of_shard();
        for i in command.keys().into_iter().flat_map(|keys| keys.iter()) {
            let key = command.arg(i);
            let (tracker, read) = (reader.tracker, reader.read);
            self.shard_of_key(key, |shard| {
                if let Some(readers) = &shard.tracking.readers {
                    readers.lock().remember(key, tracker, read, most);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::pubsub::Subscriber;
    use crate::store::tests::{command, run};

    const NODE: u64 = 1 << 61;

    /// The keys that one is told of; "all" for everything.
    fn told(inbox: &Subscriber) -> Vec<String> {
        let mut out = Vec::new();
        inbox.take(&mut out);
        let text = String::from_utf8(out).unwrap();
        let pushes = text.split('>').skip(1);
        let key = |push: &str| match push.contains("\r\n_\r\n") {
            true => "all".to_owned(),
            false => push.lines().last().unwrap_or_default().to_owned(),
        };
        pushes.map(key).collect()
    }

    fn relayed(node: &Tracker) -> Vec<Told> {
        let relay = node.relay().expect("a node");
        match relay.poll_take(&Context::from_waker(Waker::noop()), 99) {
            Poll::Ready(told) => told.expect("it is open"),
            Poll::Pending => Vec::new(),
        }
    }

    fn key(key: &str, why: Why, by: u64) -> Told {
        let key = key.as_bytes().into();
        Told::Key { key, why, by }
    }

    fn execute(store: &Store, node: &Arc<Tracker>, client: u64, read: u64, words: &[&[u8]]) {
        let reader = Reader {
            tracker: node,
            client,
            read,
            remembers: read > 0,
        };
        store.execute_for(0, 1000, &command(words).as_command(), reader);
    }

    #[test]
    fn a_change_is_told_once() {
        for (commands, key) in [
            (&["ZADD z 1 a"][..], "z"),
            (&["SADD s a b"], "s"),
            (&["HSET h f v g w"], "h"),
            (&["HSETNX h f v"], "h"),
            (&["HINCRBY h f 1"], "h"),
            (&["HINCRBYFLOAT h f 1.5"], "h"),
            (&["RPUSH l a b"], "l"),
            (&["SET k v EX 9"], "k"),
            (&["SETBIT k 9 1"], "k"),
            (&["PFADD p a"], "p"),
            (&["ZADD z 1 a", "ZREM z a"], "z"),
            (&["SADD s a", "SADD s b"], "s"),
        ] {
            let (store, inbox) = (Store::new(7), Subscriber::asleep(1));
            let tracker = Arc::new(Tracker::watcher(inbox.clone()));
            store.track(&tracker, &[Box::default()]);
            for command in commands {
                run(&store, 1000, command);
                assert_eq!(told(&inbox), [key], "{command}");
            }
        }
        let (store, inbox) = (Store::new(7), Subscriber::asleep(1));
        let tracker = Arc::new(Tracker::watcher(inbox.clone()));
        store.track(&tracker, &[Box::default()]);
        run(&store, 1000, "RPUSH a x");
        assert_eq!(told(&inbox), ["a"]);
        run(&store, 1000, "RPOPLPUSH a b");
        assert_eq!(told(&inbox), ["a", "b"]);
        run(&store, 1000, "ZADD none XX 1 a");
        assert_eq!(told(&inbox), Vec::<String>::new());
    }

    #[test]
    fn a_node_is_told_which_read_is_the_latest_and_who_made_the_change() {
        let (store, node) = (
            Store::new(7),
            Arc::new(Tracker::node(NODE, &Arc::default())),
        );
        store.track(&node, &[]);
        execute(&store, &node, 5, 3, &[b"GET", b"k"]);
        execute(&store, &node, 6, 4, &[b"MGET", b"k", b"l"]);
        execute(&store, &node, 5, 0, &[b"SET", b"k", b"v"]);
        run(&store, 1000, "SET k w");
        run(&store, 1000, "SET l w");
        let expected = [key("k", Why::Read(4), 5), key("l", Why::Read(4), 0)];
        assert_eq!(relayed(&node), expected);
        execute(&store, &node, 5, 9, &[b"GET", b"k"]);
        run(&store, 1000, "FLUSHALL");
        run(&store, 1000, "SET k v");
        assert_eq!(relayed(&node), [Told::All]);
        execute(&store, &node, 5, 9, &[b"GET", b"k"]);
        store.stop_tracking(&node);
        run(&store, 1000, "SET k v");
        store.forget_stopped();
        let mut all = store.databases.all_made();
        assert!(all.all(|(_, shard)| shard.lock().tracking.is_empty()));
    }

    /// Redis does not tell them, so that their copies are out of date.
    #[test]
    fn who_keeps_a_copy_hears_of_a_string_that_was_only_made_longer() {
        let (store, one) = (Store::new(7), Subscriber::asleep(1));
        store.keep_versions();
        let client = Arc::new(Tracker::new(one.clone(), true, None));
        store.track(&client, &[]);
        run(&store, 1000, "SET k v");
        execute(&store, &client, 1, 1, &[b"GET", b"k"]);
        let version = || store.export(1000, b"k").expect("it is there");
        let before = version();
        run(&store, 1000, "BITFIELD k OVERFLOW FAIL INCRBY u2 100 5");
        assert_eq!(
            run(&store, 1000, "STRLEN k"),
            crate::command::Reply::Int(13)
        );
        assert_eq!(told(&one), ["k"]);
        assert_ne!(version(), before);
        // No more than this command was quiet.
        let watched = [store.watch(b"k", 1000)];
        run(&store, 1000, "SETBIT k 0 1");
        assert!(store.transaction(1000, &watched, &[]).is_none());
        watched.into_iter().for_each(|it| store.unwatch(it));
    }

    #[test]
    fn what_is_done_to_copies_of_others_only_watchers_hear() {
        let (from, to) = (Store::new(7), Store::new(7));
        from.keep_versions();
        to.keep_versions();
        to.salt_versions(3);
        let (one, two) = (Subscriber::asleep(1), Subscriber::asleep(2));
        let client = Arc::new(Tracker::new(one.clone(), false, None));
        let watcher = Arc::new(Tracker::watcher(two.clone()));
        let node = Arc::new(Tracker::node(NODE, &Arc::default()));
        for tracker in [&client, &watcher, &node] {
            to.track(tracker, &[b"k"[..].into()]);
        }
        run(&from, 1000, "SET k v");
        to.import(1000, &from.export(1000, b"k").unwrap());
        assert_eq!((told(&one), told(&two)), (vec![], vec!["k".to_owned()]));
        assert_eq!(relayed(&node), []);
        run(&from, 1001, "SET k w");
        to.import_as_owner(1001, &from.export(1001, b"k").unwrap(), 0, true);
        assert_eq!((told(&one).len(), told(&two).len()), (1, 1));
        assert_eq!(relayed(&node), [key("k", Why::Prefix, 0)]);
        // It lives on elsewhere.
        for shard in 0..limits::SHARDS as u64 {
            to.forget(1002, shard, |_| true);
        }
        assert_eq!((told(&one).len(), told(&two).len()), (0, 1));
        to.changed_elsewhere(b"k", 0);
        to.changed_elsewhere(b"other", 0);
        assert_eq!((told(&one).len(), told(&two).len()), (1, 0));
        assert_eq!(relayed(&node), []);
        to.have_come();
        assert_eq!((told(&one), told(&two)), (vec!["all".to_owned()], vec![]));
        assert_eq!(relayed(&node), [Told::AllPrefixes]);
    }

    #[test]
    fn who_has_read_is_told_when_keys_move_and_not_once_more() {
        let (store, one) = (Store::new(7), Subscriber::asleep(1));
        let client = Arc::new(Tracker::new(one.clone(), true, None));
        store.track(&client, &[]);
        for key in [&b"a"[..], b"b"] {
            execute(&store, &client, 1, 1, &[b"GET", key]);
        }
        store.have_moved(|key| key == b"a");
        assert_eq!(told(&one), ["a"]);
        run(&store, 1000, "MSET a 1 b 1");
        assert_eq!(told(&one), ["b"]);
    }

    #[test]
    fn a_client_that_wants_to_be_told_otherwise_is_told_of_what_it_has_read_before() {
        let (store, one) = (Store::new(7), Subscriber::asleep(1));
        let client = Arc::new(Tracker::new(one.clone(), false, None));
        store.track(&client, &[]);
        execute(&store, &client, 1, 1, &[b"GET", b"a"]);
        client.set(true, None);
        store.track(&client, &[]);
        run(&store, 1000, "SET a 1");
        assert_eq!(told(&one), ["a"]);
        execute(&store, &client, 1, 1, &[b"GET", b"a"]);
        execute(&store, &client, 1, 0, &[b"SET", b"a", b"2"]);
        assert!(told(&one).is_empty());
    }
}
