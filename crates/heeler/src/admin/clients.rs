//! The connections of this process: CLIENT LIST, INFO, KILL.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::Waker;

use parking_lot::Mutex;

use super::client_filter::{Filter, Kind};
use super::client_help::wrong_number;
use super::client_line::{Own, Seen, Shown};
use crate::command::number::integer;
use crate::command::{Command, Reply};
use crate::pubsub::{Exchange, Slowness, Tracker};
use crate::session::Session;
use crate::slowlog::Origin;
use crate::stats::Counters;
use crate::waiting::{Attempt, Waiter};

/// All connections, by number.
#[derive(Debug)]
pub struct Clients {
    all: Arc<Mutex<BTreeMap<u64, Arc<Client>>>>,
    next: AtomicU64,
    count: Arc<AtomicUsize>,
    most: AtomicUsize,
    /// How many the operating system allows.
    possible: usize,
    stopped: Arc<AtomicBool>,
    /// Commands that wait, by the number of their connection. Locked while `all` is, never before;
    /// so is `paused`.
    waiters: Mutex<BTreeMap<u64, Arc<Waiter>>>,
    /// Connections whose commands are held back by a pause.
    paused: Mutex<BTreeSet<u64>>,
}

/// What other threads may know of a connection, and do to it.
#[derive(Debug)]
pub struct Client {
    /// Its number.
    pub id: u64,
    /// Where it comes from, and its name.
    pub origin: Arc<Origin>,
    pub(super) local: String,
    /// The number of its socket among the process's files.
    pub(super) file: i32,
    service: u64,
    pub(super) since: u64,
    pub(super) seen: AtomicU64,
    killed: AtomicBool,
    leaves: AtomicBool,
    pub(super) monitors: AtomicBool,
    /// The database that it has selected.
    pub(super) database: AtomicU32,
    /// It keeps copies, perhaps of all keys with prefixes.
    pub(super) tracks: Mutex<Option<(Arc<Tracker>, bool)>>,
    /// It may be idle for ever.
    may_idle: AtomicBool,
    /// Bytes of replies that it has not taken, and since when they were too many.
    pub(super) unread: AtomicUsize,
    slowness: Slowness,
    /// What CLIENT LIST shows of it.
    pub(super) shown: Shown,
    stopped: Arc<AtomicBool>,
    task: Mutex<Option<Waker>>,
    counters: Arc<Counters>,
    all: Arc<Mutex<BTreeMap<u64, Arc<Client>>>>,
    count: Arc<AtomicUsize>,
}

impl Client {
    /// Who is woken when the connection shall close.
    pub fn set_task(&self, waker: &Waker) {
        *self.task.lock() = Some(waker.clone());
    }

    /// Where it has connected to.
    pub fn listen(&self) -> &str {
        &self.local
    }

    /// Whether CLIENT KILL has named it.
    pub fn is_killed(&self) -> bool {
        self.killed.load(Relaxed)
    }

    /// Whether the process stops, or only the service that it is connected to.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Relaxed) || self.leaves.load(Relaxed)
    }

    /// Bytes came in.
    pub fn received(&self, count: usize) {
        Counters::add(&self.counters.input, count);
    }

    /// Bytes went out.
    pub fn sent(&self, count: usize) {
        Counters::add(&self.counters.output, count);
    }

    /// So many bytes of replies are left that it has not taken.
    pub fn leaves_unread(&self, count: usize) {
        self.unread.store(count, Relaxed);
    }

    /// Its requests so far have been taken in.
    pub fn shows(&self, session: &Session) {
        self.shown.note(session);
    }

    /// Its buffers have so much room, and of what it sends so many bytes are no whole request yet.
    pub fn keeps(&self, input: usize, room_of_input: usize, room_of_output: usize) {
        self.shown.keeps(input, room_of_input, room_of_output);
    }

    /// A part of a request has come: the places of its arguments have so much room.
    pub fn keeps_arguments(&self, room: usize) {
        self.shown.keeps_arguments(room);
    }

    /// It is not closed for being idle: its protocol has other limits.
    pub fn may_idle(&self) {
        self.may_idle.store(true, Relaxed);
    }

    /// Requests were taken at `now`.
    pub fn requested(&self, now: u64, count: usize) {
        self.seen.store(now, Relaxed);
        Counters::add(&self.counters.requests, count);
    }

    /// It has changed its name, its database, its protocol, or whether it may be evicted.
    pub fn has_changed(&self, session: &Session) {
        self.origin.rename(&session.name);
        self.database.store(session.database, Relaxed);
        self.shown.note_changed(session);
    }

    /// It is closed.
    pub fn left(&self) {
        if self.all.lock().remove(&self.id).is_some() {
            self.count.fetch_sub(1, Relaxed);
        }
    }

    fn close(&self, why: &str) {
        tracing::info!(client = %self.origin.address(), "{why}: the connection is closed");
        self.killed.store(true, Relaxed);
        self.wake();
    }

    /// An end of it, as memcached names them.
    fn at(&self, address: &str) -> String {
        match self.local.starts_with('/') {
            true => format!("unix:{}", self.local),
            false => format!("tcp:{address}"),
        }
    }

    /// It has sent much, and lets others have their turn.
    pub fn yields(&self) {
        Counters::add(&self.counters.yields, 1);
    }

    fn wake(&self) {
        if let Some(task) = &*self.task.lock() {
            task.wake_by_ref();
        }
    }
}

impl Clients {
    /// No connections yet, and so many at most.
    pub fn new(most: usize) -> Clients {
        Clients {
            all: Arc::default(),
            next: AtomicU64::new(1),
            count: Arc::default(),
            most: most.into(),
            possible: most,
            stopped: Arc::default(),
            waiters: Mutex::default(),
            paused: Mutex::default(),
        }
    }

    /// A connection's command waits.
    pub fn waits(&self, id: u64, waiter: &Arc<Waiter>) {
        self.waiters.lock().insert(id, waiter.clone());
    }

    /// It does not wait any more.
    pub fn waits_no_more(&self, id: u64) {
        self.waiters.lock().remove(&id);
    }

    /// A connection's command is held back by a pause.
    pub fn pauses(&self, id: u64) {
        self.paused.lock().insert(id);
    }

    /// It is not held back any more.
    pub fn pauses_no_more(&self, id: u64) {
        self.paused.lock().remove(&id);
    }

    /// How many wait, or are held back.
    pub fn waiting(&self) -> usize {
        self.waiters.lock().len() + self.paused.lock().len()
    }

    fn is_blocked(&self, id: u64) -> bool {
        self.waiters.lock().contains_key(&id) || self.paused.lock().contains(&id)
    }

    /// Has every connection look again whether it can go on.
    pub(super) fn wake_all(&self) {
        self.all.lock().values().for_each(|client| client.wake());
    }

    /// CLIENT UNBLOCK id [TIMEOUT|ERROR].
    pub(super) fn unblock(&self, command: &Command<'_>) -> Reply {
        let error = match command.args(3).collect::<Vec<_>>()[..] {
            [] => None,
            [word] if word.eq_ignore_ascii_case(b"timeout") => None,
            [word] if word.eq_ignore_ascii_case(b"error") => Some(Reply::error(
                "UNBLOCKED client unblocked via CLIENT UNBLOCK",
            )),
            [_] => {
                let text = "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR";
                return Reply::error(text);
            }
            _ => return wrong_number(command),
        };
        let Some(id) = integer(command.arg(2)) else {
            return Reply::error("ERR value is not an integer or out of range");
        };
        let waiters = self.waiters.lock();
        let waiter = u64::try_from(id).ok().and_then(|id| waiters.get(&id));
        let ended = waiter.is_some_and(|waiter| waiter.unblock(error) == Attempt::Served);
        Reply::Int(i64::from(ended))
    }

    /// A connection to a service, given by its number, was accepted; `file` is its socket's number.
    pub fn join(
        &self,
        service: u64,
        address: String,
        local: String,
        file: i32,
        counters: Arc<Counters>,
    ) -> Arc<Client> {
        Counters::add(&counters.connections, 1);
        self.count.fetch_add(1, Relaxed);
        let now = crate::clock::now();
        let client = Arc::new(Client {
            id: self.next.fetch_add(1, Relaxed),
            origin: Arc::new(Origin::new(address)),
            local,
            file,
            service,
            since: now,
            seen: AtomicU64::new(now),
            killed: AtomicBool::new(false),
            leaves: AtomicBool::new(false),
            monitors: AtomicBool::new(false),
            database: AtomicU32::new(0),
            tracks: Mutex::default(),
            may_idle: AtomicBool::new(false),
            unread: AtomicUsize::new(0),
            slowness: Slowness::default(),
            shown: Shown::default(),
            stopped: self.stopped.clone(),
            task: Mutex::default(),
            counters,
            all: self.all.clone(),
            count: self.count.clone(),
        });
        self.all.lock().insert(client.id, client.clone());
        client
    }

    /// The connections as memcached's `stats conns` tells of them.
    pub(super) fn as_items(&self, now: u64) -> Vec<(String, String)> {
        let all: Vec<Arc<Client>> = self.all.lock().values().cloned().collect();
        let lines = all.iter().flat_map(|client| {
            let idle = now.saturating_sub(client.seen.load(Relaxed)) / 1000;
            [
                ("addr", client.at(client.origin.address())),
                ("listen_addr", client.at(&client.local)),
                ("state", "conn_read".into()),
                ("secs_since_last_cmd", idle.to_string()),
            ]
            .map(|(name, value)| (format!("{}:{name}", client.id), value))
        });
        lines.collect()
    }

    /// A connection tells by MONITOR what others do, or does not any more.
    pub fn monitors(&self, id: u64, monitors: bool) {
        if let Some(client) = self.all.lock().get(&id) {
            client.monitors.store(monitors, Relaxed);
        }
    }

    /// A connection keeps copies of keys, perhaps of all with some prefixes, or does no more.
    pub fn tracks(&self, id: u64, tracker: Option<(&Arc<Tracker>, bool)>) {
        if let Some(client) = self.all.lock().get(&id) {
            *client.tracks.lock() = tracker.map(|(tracker, all)| (tracker.clone(), all));
        }
    }

    /// Whether this connection is open.
    pub fn has(&self, id: u64) -> bool {
        self.all.lock().contains_key(&id)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many there may be.
    pub fn most(&self) -> usize {
        self.most.load(Relaxed)
    }

    /// Why there cannot be so many.
    pub(super) fn cannot_be(&self, most: i64) -> Option<String> {
        let possible = self.possible;
        let is_possible = usize::try_from(most).is_ok_and(|most| most <= possible);
        let text = "The operating system is not able to handle the specified number of clients";
        (!is_possible).then(|| format!("{text}, try with {possible}"))
    }

    /// There may be so many from now on. Those that are there stay.
    pub fn set_most(&self, most: usize) {
        self.most.store(most, Relaxed);
    }

    /// Whether there may be no more.
    pub fn is_full(&self) -> bool {
        self.len() >= self.most()
    }

    /// The process stops: each connection closes once it has got its replies.
    pub fn stop(&self) {
        self.stopped.store(true, Relaxed);
        for client in self.all.lock().values() {
            client.wake();
        }
    }

    /// Whether the process stops.
    pub fn is_stopping(&self) -> bool {
        self.stopped.load(Relaxed)
    }

    /// A service is removed: each connection to it closes once it has got its replies.
    pub fn stop_of(&self, service: u64) {
        for client in self.all.lock().values().filter(|c| c.service == service) {
            client.leaves.store(true, Relaxed);
            client.wake();
        }
    }

    /// Closes the connections to a service, whatever they wait for.
    pub fn kill_of(&self, service: u64) {
        for client in self.all.lock().values().filter(|c| c.service == service) {
            client.killed.store(true, Relaxed);
            client.wake();
        }
    }

    /// Closes connections from which nothing has come for so many milliseconds. Those that wait for
    /// something are left alone, and those that listen.
    pub(super) fn close_idle(&self, now: u64, most: u64, listens: impl Fn(u64) -> bool) {
        for client in self.all.lock().values() {
            let idle = now.saturating_sub(client.seen.load(Relaxed));
            let is_exempt = || client.may_idle.load(Relaxed) || self.is_blocked(client.id);
            if idle > most && !is_exempt() && !listens(client.id) {
                client.close(&format!("idle for {} s", idle / 1000));
            }
        }
    }

    /// Closes connections that have left more than so many bytes unread for so many milliseconds.
    pub(super) fn close_slow(
        &self,
        now: u64,
        most: usize,
        millis: u64,
        listens: impl Fn(u64) -> bool,
    ) {
        for client in self.all.lock().values() {
            let is_slow = client.unread.load(Relaxed) > most && !listens(client.id);
            if client.slowness.lasts(is_slow, now, millis) {
                client.close("too much is left unread for too long");
            }
        }
    }

    /// Bytes that all of them take; `untaken` tells how many bytes of messages a connection has not
    /// taken.
    pub(super) fn memory(&self, untaken: impl Fn(u64) -> usize) -> u64 {
        let all: Vec<Arc<Client>> = self.all.lock().values().cloned().collect();
        let sizes = all
            .iter()
            .map(|client| client.takes(untaken(client.id)) as u64);
        sizes.sum()
    }

    /// Closes those that take most, until the others take so many bytes together, each once it is
    /// `counted`. `untaken` tells how many bytes of messages a connection has not taken.
    pub(super) fn close_largest(
        &self,
        most: u64,
        untaken: impl Fn(u64) -> usize,
        counted: impl Fn(),
    ) {
        let all: Vec<Arc<Client>> = self.all.lock().values().cloned().collect();
        let sized = all.iter().filter(|client| !client.is_killed());
        let mut sized: Vec<(usize, &Arc<Client>)> = sized
            .map(|client| (client.takes(untaken(client.id)), client))
            .collect();
        let mut sum: u64 = sized.iter().map(|(size, _)| *size as u64).sum();
        if sum <= most {
            return;
        }
        sized.retain(|(_, client)| !client.stays());
        sized.sort_unstable_by_key(|(size, _)| std::cmp::Reverse(*size));
        for (size, client) in sized {
            if sum <= most {
                break;
            }
            counted();
            client.close("all clients take more than maxmemory-clients");
            sum = sum.saturating_sub(size as u64);
        }
    }

    /// CLIENT LIST [TYPE type] [ID id …].
    pub(super) fn list(
        &self,
        now: u64,
        session: &Session,
        exchange: &Exchange,
        command: &Command<'_>,
    ) -> Reply {
        let mut wanted = None;
        let mut kind = None;
        match command
            .args(2)
            .next()
            .map(<[u8]>::to_ascii_lowercase)
            .as_deref()
        {
            None => {}
            Some(b"type") if command.len() == 4 => match Kind::parse(command.arg(3)) {
                Ok(of) => kind = Some(of),
                Err(refused) => return refused,
            },
            Some(b"id") if command.len() > 3 => {
                let ids: Option<BTreeSet<i64>> = command.args(3).map(integer).collect();
                match ids {
                    Some(ids) if ids.iter().all(|&id| id > 0) => wanted = Some(ids),
                    _ => return Reply::error("ERR Invalid client ID"),
                }
            }
            Some(_) => return Reply::error("ERR syntax error"),
        }
        let mut text = String::new();
        for client in self.all.lock().values() {
            let mut seen = Seen::of(exchange, client.id);
            if kind.is_none_or(|kind| kind == Kind::of(seen.listens))
                && wanted
                    .as_ref()
                    .is_none_or(|ids| ids.contains(&(client.id as i64)))
            {
                let own = (client.id == session.id).then_some(Own { session, command });
                seen.waits = self.is_blocked(client.id);
                text.push_str(&client.line(now, own, &seen));
                text.push('\n');
            }
        }
        Reply::Text(text)
    }

    /// CLIENT INFO.
    pub(super) fn info(
        &self,
        now: u64,
        session: &Session,
        exchange: &Exchange,
        command: &Command<'_>,
    ) -> Reply {
        let seen = Seen::of(exchange, session.id);
        let own = Some(Own { session, command });
        let all = self.all.lock();
        let line = all.get(&session.id).map(|c| c.line(now, own, &seen));
        Reply::Text(line.unwrap_or_default() + "\n")
    }

    /// CLIENT KILL address, or CLIENT KILL [ID id] [ADDR a] [LADDR a] [USER u] [SKIPME yes|no] ….
    pub(super) fn kill(
        &self,
        session: &Session,
        exchange: &Exchange,
        command: &Command<'_>,
    ) -> Reply {
        let old_form = command.len() == 3;
        let filter = match old_form {
            true => Filter {
                address: Some(command.arg(2)),
                skip_me: false,
                ..Filter::default()
            },
            false => match Filter::parse(command) {
                Ok(filter) => filter,
                Err(reply) => return reply,
            },
        };
        let mut count = 0;
        for client in self.all.lock().values() {
            if filter.takes(client, session.id, exchange) {
                client.killed.store(true, Relaxed);
                client.wake();
                count += 1;
            }
        }
        match (old_form, count) {
            (true, 0) => Reply::error("ERR No such client"),
            (true, _) => Reply::OK,
            (false, count) => Reply::Int(count),
        }
    }
}
