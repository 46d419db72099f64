//! A connection's line of CLIENT LIST and CLIENT INFO, in Redis's words.
//!
//! What a connection shows of itself to others it notes with plain stores: once for the requests of
//! one read `cmd`, and within a transaction `multi` and `multi-mem`; once for a turn how large its
//! buffers are; and what a command of its own changes only then.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering::Relaxed};

use super::Client;
use crate::command::{Command, TABLE};
use crate::pubsub::{Exchange, Tracker};
use crate::session::Session;
use crate::wire::resp::Protocol;

/// What a connection has last noted of itself.
#[derive(Debug)]
pub(super) struct Shown {
    /// The place of its latest command in the table; one past the end: there was none.
    command: AtomicUsize,
    speaks_resp3: AtomicBool,
    stays: AtomicBool,
    /// Commands in its transaction; -1: there is none.
    queued: AtomicI64,
    queued_bytes: AtomicUsize,
    input: AtomicUsize,
    room_of_input: AtomicUsize,
    room_of_arguments: AtomicUsize,
    room_of_output: AtomicUsize,
    most_room_of_output: AtomicUsize,
}

impl Default for Shown {
    fn default() -> Shown {
        Shown {
            command: TABLE.len().into(),
            speaks_resp3: false.into(),
            stays: false.into(),
            queued: (-1).into(),
            queued_bytes: 0.into(),
            input: 0.into(),
            room_of_input: 0.into(),
            room_of_arguments: 0.into(),
            room_of_output: 0.into(),
            most_room_of_output: 0.into(),
        }
    }
}

impl Shown {
    /// Requests have been taken in.
    pub(super) fn note(&self, session: &Session) {
        if let Some(command) = session.latest {
            self.command.store(command as usize, Relaxed);
        }
        if session.transaction.is_some() || self.queued.load(Relaxed) >= 0 {
            let (queued, bytes) = queue_of(session);
            self.queued.store(queued, Relaxed);
            self.queued_bytes.store(bytes, Relaxed);
        }
    }

    /// It has changed what seldom changes.
    pub(super) fn note_changed(&self, session: &Session) {
        let is_new = session.protocol == Protocol::Resp3;
        self.speaks_resp3.store(is_new, Relaxed);
        self.stays.store(session.stays, Relaxed);
    }

    /// A request has come in parts.
    pub(super) fn keeps_arguments(&self, room: usize) {
        self.room_of_arguments.store(room, Relaxed);
    }

    pub(super) fn keeps(&self, input: usize, room_of_input: usize, room_of_output: usize) {
        self.input.store(input, Relaxed);
        self.room_of_input.store(room_of_input, Relaxed);
        self.room_of_output.store(room_of_output, Relaxed);
        if room_of_output > self.most_room_of_output.load(Relaxed) {
            self.most_room_of_output.store(room_of_output, Relaxed);
        }
    }
}

/// Commands in a transaction, or -1 where there is none; and their bytes.
fn queue_of(session: &Session) -> (i64, usize) {
    let transaction = session.transaction.as_ref();
    transaction.map_or((-1, 0), |t| (t.commands.len() as i64, t.bytes))
}

/// The connection that asks, and its question.
#[derive(Clone, Copy)]
pub(super) struct Own<'a> {
    pub session: &'a Session,
    pub command: &'a Command<'a>,
}

/// What others know of a connection.
pub(super) struct Seen {
    /// Its command waits.
    pub waits: bool,
    /// How many channels, patterns and shard channels it listens to.
    pub listens: [usize; 3],
    /// Bytes of messages that its task has not taken yet.
    pub untaken: usize,
}

impl Seen {
    /// What the exchange of messages knows of a connection whose command does not wait.
    pub(super) fn of(exchange: &Exchange, id: u64) -> Seen {
        let (listens, untaken) = exchange.state_of(id);
        Seen {
            waits: false,
            listens,
            untaken,
        }
    }
}

/// Bytes of replies up to which Redis keeps them in a connection's own buffer, and counts them as
/// `obl`; it has lists for more.
const OWN_BUFFER: usize = 16 * 1024;

impl Client {
    /// Bytes that it takes, with what it has not been given yet; `untaken` of these its task has
    /// not taken.
    pub(super) fn takes(&self, untaken: usize) -> usize {
        let shown = &self.shown;
        let sizes = [
            &shown.room_of_input,
            &shown.room_of_arguments,
            &shown.room_of_output,
            &shown.queued_bytes,
        ];
        let own = size_of::<Client>() + size_of::<Session>();
        own + untaken + sizes.map(|size| size.load(Relaxed)).iter().sum::<usize>()
    }

    /// Whether it is not to be closed for what it takes, by CLIENT NO-EVICT.
    pub(super) fn stays(&self) -> bool {
        self.shown.stays.load(Relaxed)
    }

    /// Its line.
    pub(super) fn line(&self, now: u64, own: Option<Own<'_>>, seen: &Seen) -> String {
        let shown = &self.shown;
        if let Some(own) = own {
            shown.note(own.session);
            shown.note_changed(own.session);
        }
        let load = |number: &AtomicUsize| number.load(Relaxed);
        let seconds = |since: u64| now.saturating_sub(since) / 1000;
        let name = String::from_utf8_lossy(&self.origin.name()).into_owned();
        let [sub, psub, ssub] = seen.listens;
        let asked = own.map_or(0, |own| own.command.raw().len());
        let words = own.map_or(0, |own| own.command.args(0).map(<[u8]>::len).sum());
        let (input, room) = (load(&shown.input) + asked, load(&shown.room_of_input));
        let spare = room.saturating_sub(load(&shown.input));
        let unread = self.unread.load(Relaxed) + seen.untaken;
        let (obl, lists, omem) = match unread > OWN_BUFFER {
            false => (unread, 0, 0),
            true => (0, 1, unread),
        };
        let (multi, queued) = (shown.queued.load(Relaxed), load(&shown.queued_bytes));
        let output = load(&shown.room_of_output);
        let total = asked + words + self.takes(seen.untaken);
        let mut line = String::new();
        let _ = write!(
            line,
            "id={} addr={} laddr={} fd={} name={name} age={} idle={} flags={} db={} sub={sub} \
             psub={psub} ssub={ssub} multi={multi} qbuf={input} qbuf-free={spare} argv-mem={words} \
             multi-mem={queued} rbs={output} rbp={} obl={obl} oll={lists} omem={omem} \
             tot-mem={total} events=r cmd={} user=default redir={} resp={}",
            self.id,
            self.origin.address(),
            self.local,
            self.file,
            seconds(self.since),
            seconds(self.seen.load(Relaxed)),
            self.flags(seen),
            own.map_or(self.database.load(Relaxed), |own| own.session.database),
            load(&shown.most_room_of_output),
            TABLE
                .get(load(&shown.command))
                .map_or("NULL", |spec| spec.name),
            self.redirection(),
            if shown.speaks_resp3.load(Relaxed) {
                3
            } else {
                2
            },
        );
        line
    }

    /// Where it has messages about changes sent: 0 for to itself, -1 if it keeps no copies.
    fn redirection(&self) -> i64 {
        let tracks = self.tracks.lock();
        let to = |tracker: &Tracker| tracker.redirected_to().map_or(0, |to| to as i64);
        tracks.as_ref().map_or(-1, |(tracker, _)| to(tracker))
    }

    fn flags(&self, seen: &Seen) -> String {
        let shown = &self.shown;
        let tracks = self.tracks.lock().clone();
        let is_broken = tracks.as_ref().is_some_and(|(it, _)| it.is_broken());
        let flags = [
            ('O', self.monitors.load(Relaxed)),
            ('P', seen.listens != [0; 3]),
            ('x', shown.queued.load(Relaxed) >= 0),
            ('b', seen.waits),
            ('t', tracks.is_some()),
            ('R', is_broken),
            ('B', tracks.is_some_and(|(_, broadcasts)| broadcasts)),
            // The path of a Unix socket.
            ('U', self.local.starts_with('/')),
            ('e', shown.stays.load(Relaxed)),
        ];
        let mut letters = String::new();
        for (letter, is_set) in flags {
            letters.extend(is_set.then_some(letter));
        }
        match letters.is_empty() {
            true => "N".into(),
            false => letters,
        }
    }
}
