//! CLIENT TRACKING over the nodes of a ring: who has read which key where, and who is told of it.
//!
//! ```text
//!   A, whose client reads k                    B, which owns k
//!   reads: k ─► client, read 7    GET k, 7 ─►  readers of k: A, 7
//!   told: its clients of k      ◄─ k, 7        k changes: A is told, and forgotten
//! ```
//!
//! B knows nodes, and A knows which of its clients have read a key. What B has to tell waits in a
//! [`Relay`](crate::pubsub::Relay) until A [asks](super::hearing) for it.
//!
//! | endpoint | body | answer |
//! | --- | --- | --- |
//! | `prefixes` | NODE SESSION prefix … | COUNT |
//! | `hear` | NODE SESSION | what has changed since the last answer; `lost`: nobody knows |
//!
//! B keeps what is to be told from the first read on that says who asks. COUNT tells which account
//! of A's reads this is, from 1 on: one is closed when A asks for nothing for too long, or asks in
//! another session, for then something may not have reached it. All of it is arrays of strings.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use heeler_ringpop::Response;
use heeler_ringpop::channel::{Answer, Call};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use super::commands::agreed;
use super::keyspace::{Keyspace, refused};
use super::told::{body, told_as, words};
use crate::command::number::natural;
use crate::command::{Command, Flags, Reply};
use crate::limits;
use crate::pubsub::{Readers, Told, Tracker, Unheard, Why};
use crate::store::{Reader, Store};
use crate::wire::resp::Asker;

pub(super) const PREFIXES: &str = "prefixes";
pub(super) const HEAR: &str = "hear";

/// Numbers of nodes are above all numbers of connections, and below those of watchers.
const FIRST_NODE: u64 = 1 << 61;

/// Who keeps copies, at this node of a ring.
pub struct Tracking {
    store: Arc<Store>,
    /// This node in this life.
    me: u64,
    /// Nodes whose clients have read here.
    hearers: RwLock<BTreeMap<u64, Hearer>>,
    /// What they all have not asked for yet.
    unheard: Arc<Unheard>,
    began: Instant,
    /// Which clients of this node have read which keys of others.
    reads: Box<[Mutex<Readers>]>,
    /// A client keeps no copies any more, and may be among those.
    has_ended: AtomicBool,
    hashing: RandomState,
    count: AtomicU64,
    broadcasts: Mutex<Broadcasts>,
    /// Which version of the prefixes there is, and whether any client tracks.
    pub(super) version: watch::Sender<u64>,
    pub(super) is_needed: watch::Sender<bool>,
    /// Something has become known to another node.
    known: watch::Sender<u64>,
}

/// A node whose clients have read here.
#[derive(Debug)]
struct Hearer {
    tracker: Arc<Tracker>,
    /// Which account this is.
    count: u64,
    /// The session in which the node asks; `None` before it has.
    session: Option<u64>,
    /// When it has asked last, in milliseconds.
    heard_at: AtomicU64,
}

/// Clients of this node that are told of prefixes.
#[derive(Debug, Default)]
struct Broadcasts {
    clients: BTreeMap<u64, Broadcast>,
    /// Which version of the prefixes each other node knows.
    known: BTreeMap<Arc<str>, u64>,
}

#[derive(Debug)]
struct Broadcast {
    tracker: Arc<Tracker>,
    prefixes: BTreeSet<Box<[u8]>>,
    /// The first version that its prefixes are in.
    version: u64,
    /// It counts on being told.
    is_told: bool,
}

impl Tracking {
    /// Nobody tracks anything.
    pub(super) fn new(store: Arc<Store>) -> Tracking {
        let hashing = RandomState::new();
        Tracking {
            store,
            me: FIRST_NODE | hashing.hash_one(0u64) >> 3,
            hearers: RwLock::default(),
            unheard: Arc::default(),
            began: Instant::now(),
            reads: (0..limits::SHARDS).map(|_| Mutex::default()).collect(),
            has_ended: AtomicBool::new(false),
            hashing,
            count: AtomicU64::new(1),
            broadcasts: Mutex::default(),
            version: watch::Sender::new(0),
            is_needed: watch::Sender::new(false),
            known: watch::Sender::new(0),
        }
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }
}

/// As the node whose clients read.
impl Tracking {
    /// A client of this node keeps copies from now on, of keys with these prefixes, beside those
    /// before, or, without any, of those that it will have read. Returns what
    /// [`are_known`](Tracking::are_known) waits for.
    pub fn begin(&self, tracker: &Arc<Tracker>, added: &[Box<[u8]>], is_told: bool) -> u64 {
        self.is_needed
            .send_if_modified(|is| !std::mem::replace(is, true));
        let mut broadcasts = self.broadcasts.lock();
        if added.is_empty() {
            let before = broadcasts.clients.get_mut(&tracker.id);
            return before.map_or(0, |client| {
                client.is_told |= is_told;
                client.version
            });
        }
        let version = *self.version.borrow() + 1;
        let clients = broadcasts.clients.entry(tracker.id);
        let client = clients.or_insert_with(|| Broadcast {
            tracker: tracker.clone(),
            prefixes: BTreeSet::new(),
            version,
            is_told,
        });
        client.prefixes.extend(added.iter().cloned());
        client.version = version;
        client.is_told |= is_told;
        self.version.send_replace(version);
        version
    }

    /// A client of this node keeps no copies any more.
    pub fn end(&self, tracker: &Tracker) {
        self.has_ended.store(true, Relaxed);
        let mut broadcasts = self.broadcasts.lock();
        if broadcasts.clients.remove(&tracker.id).is_some() {
            self.version.send_modify(|version| *version += 1);
        }
    }

    /// What a request says of its client, which keeps copies; `None` where nobody need know.
    pub fn asker(&self, command: &Command<'_>, reader: Reader<'_>) -> Option<Asker> {
        let keys = command.keys().ok().filter(|keys| !keys.is_empty())?;
        let read = match reader.remembers && command.spec.flags.has(Flags::READONLY) {
            true => self.count.fetch_add(1, Relaxed),
            false if reader.tracker.ignores_own() && command.spec.is_write() => 0,
            false => return None,
        };
        let most = self.store.most_tracked_of_shard();
        for key in keys.iter().map(|at| command.arg(at)).filter(|_| read > 0) {
            let mut readers = self.readers(key).lock();
            readers.remember(key, reader.tracker, read, most);
        }
        Some(Asker {
            node: self.me,
            client: reader.client,
            read,
        })
    }

    fn readers(&self, key: &[u8]) -> &Mutex<Readers> {
        &self.reads[self.hashing.hash_one(key) as usize % self.reads.len()]
    }

    /// Whether all of these nodes know a version of the prefixes: until then, or for a time.
    pub async fn are_known(&self, version: u64, client: u64, nodes: &[Arc<str>]) {
        let mut known = self.known.subscribe();
        let wait = async {
            loop {
                let knows = |node| self.broadcasts.lock().known.get(node) >= Some(&version);
                if nodes.iter().all(knows) || known.changed().await.is_err() {
                    break;
                }
            }
        };
        let patience = Duration::from_millis(limits::PREFIXES_MS);
        let _ = tokio::time::timeout(patience, wait).await;
        if let Some(client) = self.broadcasts.lock().clients.get_mut(&client) {
            client.is_told = true;
        }
    }

    /// The prefixes that other nodes are to tell of, none of which begins with another, and their
    /// version.
    pub(super) fn prefixes(&self) -> (u64, Vec<Box<[u8]>>) {
        let broadcasts = self.broadcasts.lock();
        let clients = broadcasts.clients.values();
        let all: BTreeSet<&[u8]> = clients
            .flat_map(|c| c.prefixes.iter().map(|p| &**p))
            .collect();
        let version = *self.version.borrow();
        let mut least: Vec<Box<[u8]>> = Vec::new();
        for prefix in all {
            if least
                .last()
                .is_none_or(|shorter| !prefix.starts_with(shorter))
            {
                least.push(prefix.into());
            }
        }
        if least.len() > limits::PREFIXES {
            least = vec![Box::default()];
        }
        (version, least)
    }

    /// A node knows a version of the prefixes. What has happened there meanwhile, nobody has been
    /// told who counts on that.
    pub(super) fn knows(&self, node: &Arc<str>, version: u64) {
        let mut broadcasts = self.broadcasts.lock();
        let before = broadcasts.known.insert(node.clone(), version).unwrap_or(0);
        for client in broadcasts.clients.values() {
            if client.is_told && client.version > before {
                client.tracker.invalidate(None);
            }
        }
        self.known.send_modify(|count| *count += 1);
    }

    /// What a node knew, it does not any more.
    pub(super) fn knows_nothing(&self, node: &Arc<str>) {
        self.broadcasts.lock().known.remove(node);
    }

    /// What another node tells.
    pub(super) fn hears(&self, told: Told) {
        match told {
            Told::All => self.has_missed(),
            Told::AllPrefixes => {
                for client in self.broadcasts.lock().clients.values() {
                    client.tracker.invalidate(None);
                }
            }
            Told::Key {
                key,
                why: Why::Read(read),
                by,
            } => self.readers(&key).lock().changed_since(&key, read, by),
            Told::Key {
                key,
                why: Why::Prefix,
                by,
            } => self.store.changed_elsewhere(&key, by),
        }
    }

    /// Nobody knows what has changed elsewhere: this node's clients are told that everything has.
    pub(super) fn has_missed(&self) {
        self.reads.iter().for_each(|readers| readers.lock().clear());
        self.store.tell_clients_of_all();
    }

    /// The number of another session with a node, and this node's own.
    pub(super) fn session(&self) -> (u64, u64) {
        (self.me, self.count.fetch_add(1, Relaxed))
    }
}

/// As the node that owns the keys.
impl Tracking {
    /// The one who is to be told of what this client reads.
    pub(super) fn tracker(&self, asker: Asker) -> Option<Arc<Tracker>> {
        if asker.node == self.me {
            return self.store.tracker(asker.client);
        }
        if asker.node & FIRST_NODE == 0 || asker.node >= FIRST_NODE << 1 {
            return None;
        }
        let known = self.hearers.read();
        if let Some(hearer) = known.get(&asker.node).filter(|it| it.tracker.is_on()) {
            return Some(hearer.tracker.clone());
        }
        drop(known);
        let mut hearers = self.hearers.write();
        let count = match hearers.get(&asker.node) {
            Some(hearer) if hearer.tracker.is_on() => return Some(hearer.tracker.clone()),
            Some(hearer) => hearer.count + 1,
            None => 1,
        };
        Some(self.begin_account(&mut hearers, asker.node, count, None))
    }

    /// Executes a command of this node's store for a client that may keep copies.
    pub(super) fn execute(&self, now: u64, command: &Command<'_>, asker: Asker) -> Reply {
        match self.tracker(asker) {
            None => self.store.execute(now, command),
            Some(tracker) => self
                .store
                .execute_for(0, now, command, reader(asker, &tracker)),
        }
    }

    fn begin_account(
        &self,
        hearers: &mut BTreeMap<u64, Hearer>,
        node: u64,
        count: u64,
        session: Option<u64>,
    ) -> Arc<Tracker> {
        let tracker = Arc::new(Tracker::node(node, &self.unheard));
        self.store.track(&tracker, &[]);
        let hearer = Hearer {
            tracker: tracker.clone(),
            count,
            session,
            heard_at: AtomicU64::new(self.now()),
        };
        hearers.insert(node, hearer);
        if hearers.len() > limits::HEARERS {
            let oldest = hearers
                .iter()
                .min_by_key(|(_, it)| it.heard_at.load(Relaxed));
            if let Some(node) = oldest.map(|(node, _)| *node)
                && let Some(hearer) = hearers.remove(&node)
            {
                self.store.stop_tracking(&hearer.tracker);
            }
        }
        tracker
    }

    /// A node asks in a session, and wants to be told of these prefixes. Returns which account of
    /// its reads there is.
    fn opens(&self, node: u64, session: u64, prefixes: &[Box<[u8]>]) -> u64 {
        let mut hearers = self.hearers.write();
        let (mut count, mut account) = (1, None);
        if let Some(hearer) = hearers.get_mut(&node) {
            let is_same = hearer.session.is_none_or(|before| before == session);
            if is_same && hearer.tracker.is_on() {
                hearer.session = Some(session);
                hearer.heard_at.store(self.now(), Relaxed);
                (count, account) = (hearer.count, Some(hearer.tracker.clone()));
            } else {
                self.store.stop_tracking(&hearer.tracker);
                count = hearer.count + 1;
            }
        }
        let account =
            account.unwrap_or_else(|| self.begin_account(&mut hearers, node, count, Some(session)));
        self.store.track_only(&account, prefixes);
        count
    }

    /// What is to be told to a node, once there is something, or nothing after a time. `None`: that
    /// is not known.
    async fn tell(&self, node: u64, session: u64) -> Option<Vec<Told>> {
        let tracker = {
            let hearers = self.hearers.read();
            let hearer = hearers.get(&node)?;
            hearer.heard_at.store(self.now(), Relaxed);
            (hearer.session == Some(session)).then(|| hearer.tracker.clone())?
        };
        let relay = tracker.relay()?;
        let taken = poll_fn(|cx| relay.poll_take(cx, limits::TOLD));
        let patience = Duration::from_millis(limits::HEAR_MS);
        match tokio::time::timeout(patience, taken).await {
            Ok(told) => told,
            Err(_) => Some(Vec::new()),
        }
    }

    /// Keeps nothing any more for nodes that do not ask for it, nor of what clients have read that
    /// are gone or read too much.
    fn tend(&self, now: u64) {
        if self.has_ended.swap(false, Relaxed) {
            let reads = self.reads.iter();
            reads.for_each(|readers| readers.lock().forget_stopped());
        }
        let first = self.count.load(Relaxed) as usize % self.reads.len();
        let (before, from) = self.reads.split_at(first);
        Readers::keep(from.iter().chain(before), self.store.most_tracked());
        let latest = now.saturating_sub(limits::UNHEARD_MS);
        let mut forgets = false;
        for hearer in self.hearers.write().values_mut() {
            if hearer.tracker.is_on() && hearer.heard_at.load(Relaxed) < latest {
                self.store.stop_tracking(&hearer.tracker);
                forgets = true;
            }
        }
        if forgets {
            self.store.forget_stopped();
        }
    }
}

/// The client that asks, for the store.
pub(super) fn reader(asker: Asker, tracker: &Arc<Tracker>) -> Reader<'_> {
    Reader {
        tracker,
        client: asker.client,
        read: asker.read,
        remembers: asker.read > 0,
    }
}

/// Answers the other nodes.
pub(super) fn serve(keyspace: &Arc<Keyspace>) {
    keyspace.answer_with(PREFIXES, answer_prefixes);
    keyspace.answer_with(HEAR, answer_hear);
    let tracking = Arc::downgrade(&keyspace.tracking);
    keyspace.spawn(async move {
        let mut pauses = tokio::time::interval(Duration::from_millis(limits::UNHEARD_MS / 3));
        loop {
            pauses.tick().await;
            let Some(tracking) = tracking.upgrade() else {
                return;
            };
            tracking.tend(tracking.now());
        }
    });
}

async fn answer_prefixes(keyspace: Arc<Keyspace>, call: Call) -> Answer {
    agreed(keyspace.members.terms(), &call)?;
    let words = words(&call.request.arg3).unwrap_or_default();
    let (node, session) = session_in(&words).ok_or_else(|| refused("no session".into()))?;
    let tracking = &keyspace.tracking;
    let count = tracking.opens(node, session, &words[2..]);
    let count = count.to_string();
    Ok(Response::raw(body(std::iter::once(count.as_bytes()))))
}

async fn answer_hear(keyspace: Arc<Keyspace>, call: Call) -> Answer {
    agreed(keyspace.members.terms(), &call)?;
    let words = words(&call.request.arg3).unwrap_or_default();
    let (node, session) = session_in(&words).ok_or_else(|| refused("no session".into()))?;
    // Who waits is woken as the task in which this goes on.
    tokio::task::yield_now().await;
    let told = keyspace.tracking.tell(node, session).await;
    Ok(Response::raw(told_as(told.as_deref())))
}

fn session_in(words: &[Box<[u8]>]) -> Option<(u64, u64)> {
    let node = natural(words.first()?)?;
    let is_node = (FIRST_NODE..FIRST_NODE << 1).contains(&node);
    Some((node, natural(words.get(1)?)?)).filter(|_| is_node)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pubsub::Subscriber;

    const OTHER: u64 = FIRST_NODE | 5;

    fn tracking() -> Tracking {
        Tracking::new(Arc::new(Store::new(7)))
    }

    fn client(id: u64) -> (Arc<Subscriber>, Arc<Tracker>) {
        let inbox = Subscriber::asleep(id);
        (inbox.clone(), Arc::new(Tracker::new(inbox, false, None)))
    }

    fn is_told(inbox: &Subscriber) -> bool {
        let mut out = Vec::new();
        inbox.take(&mut out);
        !out.is_empty()
    }

    fn asker(node: u64) -> Asker {
        Asker {
            node,
            client: 1,
            read: 1,
        }
    }

    #[test]
    fn an_account_is_kept_from_the_first_read_on_and_closed_with_its_session() {
        let tracking = tracking();
        let first = tracking.tracker(asker(OTHER)).expect("a node");
        assert_eq!(tracking.opens(OTHER, 1, &[]), 1);
        assert_eq!(tracking.opens(OTHER, 1, &[]), 1, "the same session");
        let again = tracking.tracker(asker(OTHER)).expect("a node");
        assert!(Arc::ptr_eq(&first, &again) && first.is_on());
        assert_eq!(tracking.opens(OTHER, 2, &[]), 2);
        assert!(!first.is_on());
        assert_eq!(tracking.opens(OTHER + 1, 3, &[]), 1, "of another node");
        assert!(tracking.tracker(asker(7)).is_none(), "no node");
    }

    #[test]
    fn who_asks_for_nothing_is_told_that_something_is_lost() {
        let tracking = tracking();
        assert_eq!(tracking.opens(OTHER, 1, &[]), 1);
        let first = tracking.tracker(asker(OTHER)).expect("a node");
        tracking.tend(limits::UNHEARD_MS / 2);
        assert!(first.is_on());
        tracking.tend(tracking.now() + limits::UNHEARD_MS + 1);
        assert!(!first.is_on());
        // Reads go on, and are told of in the next account.
        assert!(tracking.tracker(asker(OTHER)).expect("a node").is_on());
        assert_eq!(tracking.opens(OTHER, 1, &[]), 2);
    }

    #[test]
    fn of_reads_at_other_nodes_no_more_are_kept_than_may_be_nor_those_of_clients_that_are_gone() {
        let (tracking, (inbox, one)) = (tracking(), client(1));
        tracking.store.track_at_most(10 * limits::SHARDS);
        let reader = Reader {
            tracker: &one,
            client: 1,
            read: 0,
            remembers: true,
        };
        let read = |key: usize| {
            let words = ["GET".to_owned(), key.to_string()];
            let get = crate::command::OwnedCommand::resolve(words).expect("a command");
            tracking
                .asker(&get.as_command(), reader)
                .expect("it is said");
        };
        let kept = || -> usize { tracking.reads.iter().map(|it| it.lock().len()).sum() };
        (0..limits::SHARDS).for_each(read);
        assert!(!is_told(&inbox) && kept() == limits::SHARDS);
        tracking.store.track_at_most(5);
        (limits::SHARDS..4 * limits::SHARDS).for_each(read);
        assert!(is_told(&inbox));
        tracking.tend(0);
        assert_eq!(kept(), 5);
        one.stop();
        tracking.end(&one);
        tracking.tend(0);
        assert_eq!(kept(), 0);
    }

    #[tokio::test]
    async fn a_session_hears_what_it_has_not_heard_and_no_other() {
        let tracking = tracking();
        tracking.opens(OTHER, 1, &[b"k"[..].into()]);
        let words = ["SET", "key", "v"];
        let set = crate::command::OwnedCommand::resolve(&words).expect("a command");
        tracking.store.execute(1000, &set.as_command());
        assert_eq!(tracking.tell(OTHER, 2).await, None);
        assert_eq!(tracking.tell(OTHER + 1, 1).await, None);
        let told = tracking.tell(OTHER, 1).await.expect("it is known");
        assert_eq!(told.len(), 1);
        let (waits, ends) = tokio::join!(tracking.tell(OTHER, 1), async {
            tracking.opens(OTHER, 2, &[]);
        });
        assert_eq!((waits, ends), (None, ()));
    }

    #[test]
    fn nodes_are_told_the_fewest_prefixes() {
        let tracking = tracking();
        let prefixes = |list: &[&str]| -> Vec<Box<[u8]>> {
            list.iter().map(|prefix| prefix.as_bytes().into()).collect()
        };
        let (one, two) = (client(1).1, client(2).1);
        assert_eq!(tracking.begin(&one, &prefixes(&["ab", "c"]), true), 1);
        assert_eq!(
            tracking.begin(&two, &prefixes(&["abc", "b", "cd"]), true),
            2
        );
        assert_eq!(tracking.prefixes(), (2, prefixes(&["ab", "b", "c"])));
        tracking.end(&one);
        assert_eq!(tracking.prefixes(), (3, prefixes(&["abc", "b", "cd"])));
    }

    #[test]
    fn who_counts_on_a_node_that_knew_nothing_hears_that() {
        let (tracking, node) = (tracking(), Arc::from("127.0.0.1:1"));
        let prefixes = [b"k"[..].into()];
        let ((waits, one), (counts, two)) = (client(1), client(2));
        tracking.begin(&two, &prefixes, true);
        tracking.begin(&one, &prefixes, false);
        tracking.knows(&node, 2);
        assert_eq!((is_told(&waits), is_told(&counts)), (false, true));
        tracking.knows(&node, 2);
        assert!(!is_told(&counts), "nothing was missed");
        tracking.knows_nothing(&node);
        tracking.knows(&node, 2);
        assert!(is_told(&counts));
    }

    #[test]
    fn clients_are_told_what_is_heard_of_what_they_have_read() {
        let (tracking, (inbox, one)) = (tracking(), client(1));
        tracking.store.track(&one, &[]);
        let get = crate::command::OwnedCommand::resolve(["GET", "k"]).expect("a command");
        let reader = Reader {
            tracker: &one,
            client: 1,
            read: 0,
            remembers: true,
        };
        let asker = tracking
            .asker(&get.as_command(), reader)
            .expect("it is said");
        let told = |read| Told::Key {
            key: b"k"[..].into(),
            why: Why::Read(read),
            by: 0,
        };
        for (read, hears) in [
            (asker.read - 1, true),
            (asker.read, true),
            (asker.read, false),
        ] {
            tracking.hears(told(read));
            assert_eq!(is_told(&inbox), hears);
        }
        tracking.hears(Told::AllPrefixes);
        assert!(!is_told(&inbox));
        tracking.hears(Told::All);
        assert!(is_told(&inbox));
        let set = crate::command::OwnedCommand::resolve(["SET", "k", "v"]).expect("a command");
        assert_eq!(tracking.asker(&set.as_command(), reader), None);
        one.set(true, None);
        let said = tracking.asker(&set.as_command(), reader);
        assert_eq!(said.map(|asker| asker.read), Some(0));
    }
}
