//! From a request to its reply: resolve it, decide its way, go it. The one `match Destination`.

mod alarm;
mod blocked;
mod debug;
mod items;
mod memcached;
mod messages;
mod monitor;
mod overlap;
mod ring;
mod timer;
mod tracking;
mod transactions;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use crate::admin::{Process, Settings};
use crate::clock;
use crate::cluster::Cluster;
use crate::command::{
    Arg, Command, Family, Flags, Group, Id, OwnedCommand, Reply, Room, Spec, resolve,
};
use crate::pool::{Letter, Mailbox, Pool, ReplyTo};
use crate::route::{self, Destination, Gather, Part, Placement, Route};
use crate::session::{self, Admission, Greeting, Session, Ticket};
use crate::slowlog::{Origin, SlowLog};
use crate::stats::{Call, CommandCounters, ErrorKind, ItemCounters, ONE_LESS, PoolStat};
use crate::store::{Store, Watched};
use crate::wire::{Wire, resp};
pub use alarm::Alarm;
use blocked::Blocked;
use messages::Listening;
use ring::Errand;
pub use ring::Ring;
use timer::Timer;
use tracking::{Copies, asked_by};
use transactions::{Guards, Sent};

/// What stands behind one listener, for the connections of one worker.
pub struct Door {
    behind: Behind,
    /// The ring that the node is in.
    ring: Option<Ring>,
    process: Arc<Process>,
    /// What this worker counts of the commands that come through it.
    counters: Arc<CommandCounters>,
    /// What it counts of memcached's requests.
    items: Arc<ItemCounters>,
    greeting: Greeting,
    random: Cell<u64>,
}

/// Where the keys are.
pub enum Behind {
    /// In this node's memory.
    Node(Arc<Store>),
    /// On the servers of a pool.
    Pool(Arc<Cluster>, Pool),
}

/// One client connection, without its socket.
#[derive(Debug)]
pub struct Caller {
    /// Its conversation.
    pub session: Session,
    /// Replies of servers to it.
    pub mailbox: Rc<Mailbox>,
    /// Its task: woken when a command that waits can go on.
    pub task: Waker,
    /// What it listens to.
    listening: Option<Box<Listening>>,
    /// How it keeps copies of values.
    copies: Option<Box<Copies>>,
    /// The command that waits.
    blocked: Option<Blocked>,
    /// What is done for it elsewhere.
    errand: Option<Errand>,
    /// That may read keys of which it keeps copies.
    reads_elsewhere: bool,
    /// Keys under WATCH.
    watched: Vec<Watched>,
    /// Those of other nodes among them.
    guarded: Guards,
    /// What a transaction has published at other nodes: how many have got it there.
    published: Vec<tokio::task::JoinHandle<i64>>,
    /// The transaction that another node executes.
    sent: Option<Box<Sent>>,
    /// Commands of which some parts have no reply yet, in the order they came.
    gathers: Vec<Gathered>,
    /// Who it is, for the slow log.
    origin: Arc<Origin>,
    timer: Timer,
}

/// A command in parts.
#[derive(Debug)]
struct Gathered {
    ticket: Ticket,
    gather: Gather,
    /// Why the first part failed that did.
    failed: Option<ErrorKind>,
}

/// A request that does not run.
struct Refused {
    spec: Option<&'static Spec>,
    why: ErrorKind,
    reply: Reply,
}

impl Refused {
    fn of(spec: &'static Spec, why: ErrorKind, reply: Reply) -> Box<Refused> {
        let spec = Some(spec);
        Box::new(Refused { spec, why, reply })
    }
}

impl Caller {
    /// A new connection.
    pub fn new(id: u64, origin: Arc<Origin>) -> Caller {
        Caller {
            session: Session::new(id),
            mailbox: Rc::new(Mailbox::new(origin.clone())),
            task: Waker::noop().clone(),
            listening: None,
            copies: None,
            blocked: None,
            errand: None,
            reads_elsewhere: false,
            watched: Vec::new(),
            guarded: Guards::default(),
            published: Vec::new(),
            sent: None,
            gathers: Vec::new(),
            origin,
            timer: Timer::default(),
        }
    }

    /// Watches keys of the selected database, each once.
    fn watch<'k>(&mut self, store: &Store, now: u64, keys: impl Iterator<Item = &'k [u8]>) {
        let database = self.session.database;
        let before = self.watched.iter().filter(|it| it.database() == database);
        let mut known: BTreeSet<&[u8]> = before.map(Watched::key).collect();
        let new: Vec<&[u8]> = keys.filter(|key| known.insert(key)).collect();
        let watch = |key| store.watch_in(database, key, now);
        self.watched.extend(new.into_iter().map(watch));
    }

    /// Takes in a reply to a part of a command, or an error. Returns why the command failed, once
    /// it did.
    fn take_in(&mut self, letter: Letter, reply: &[u8]) -> Option<ErrorKind> {
        let ticket = Ticket(letter.ticket);
        let Some(i) = self.gathers.iter().position(|g| g.ticket == ticket) else {
            self.session.pipeline.complete(ticket, reply);
            return letter.failed;
        };
        let gathered = &mut self.gathers[i];
        gathered.failed = gathered.failed.or(letter.failed);
        let merged = gathered.gather.put(letter.part as usize, reply)?;
        let failed = self.gathers.remove(i).failed;
        self.session.pipeline.complete(ticket, &merged);
        failed
    }
}

impl Door {
    /// A door of this process. `seed` is any random number.
    pub fn new(behind: Behind, process: Arc<Process>, greeting: Greeting, seed: u64) -> Door {
        let counters = match &behind {
            Behind::Node(_) => process.commands.join(),
            Behind::Pool(_, pool) => pool.counters().commands().clone(),
        };
        Door {
            behind,
            ring: None,
            items: process.items.join(),
            process,
            counters,
            greeting,
            random: Cell::new(seed),
        }
    }

    /// What this worker counts of the commands that come through it.
    pub fn counters(&self) -> &CommandCounters {
        &self.counters
    }

    fn pool_name(&self) -> Option<&str> {
        self.pool().map(Pool::name)
    }

    /// How connections are kept.
    pub fn settings(&self) -> &Settings {
        &self.process.settings
    }

    fn slowlog(&self) -> &SlowLog {
        &self.process.slowlog
    }

    /// Takes in the replies that servers have sent.
    pub fn collect(&self, caller: &mut Caller) {
        let mailbox = caller.mailbox.clone();
        mailbox.empty(|letter, reply| {
            if self.ring.is_some() && self.goes_on_elsewhere(&mailbox, letter, reply) {
                return;
            }
            if letter.failed.is_none() && caller.gathers.is_empty() {
                let ticket = Ticket(letter.ticket);
                caller.session.pipeline.complete(ticket, reply);
            } else if let Some(why) = caller.take_in(letter, reply) {
                let family = caller.session.pipeline.family_of(Ticket(letter.ticket));
                self.counters.failed(family, why);
            }
        });
    }

    /// The replies that are ready leave now.
    pub fn leaves(&self, caller: &mut Caller) {
        if caller.session.pipeline.has_answered() {
            let now = caller.timer.ended.take().unwrap_or_else(clock::ticks);
            caller
                .session
                .pipeline
                .note(now, |family, micros, requests| {
                    self.counters.waited(family, micros, requests);
                });
        }
    }

    /// What the client has sent is no request: answers with these bytes and closes.
    pub fn faulty(&self, caller: &mut Caller, reply: &[u8]) {
        self.took(caller, Family::Unknown);
        self.counters.failed(Family::Unknown, ErrorKind::Protocol);
        if !reply.is_empty() {
            self.counters.told_error(reply);
        }
        caller.session.answer_bytes(reply);
        caller.session.closing = true;
    }

    fn took(&self, caller: &mut Caller, family: Family) {
        caller.session.pipeline.took(family);
        self.counters.requested(family);
    }

    /// Prefetches what these requests of a client look up: their raw bytes, and the places of their
    /// arguments.
    pub fn prefetch<'r>(
        &self,
        caller: &Caller,
        requests: impl Iterator<Item = (&'r [u8], &'r [Arg])>,
    ) {
        // In a ring most keys may be those of others.
        if let (Behind::Node(store), None) = (&self.behind, &self.ring) {
            store.prefetch(caller.session.database, requests);
        }
    }

    /// The connections to servers behind it, if it has any.
    pub fn pool(&self) -> Option<&Pool> {
        match &self.behind {
            Behind::Node(_) => None,
            Behind::Pool(_, pool) => Some(pool),
        }
    }

    /// Takes a request. Its reply is in the caller's session at once, or will be after some
    /// [`Door::collect`].
    pub fn request(&self, now: u64, caller: &mut Caller, raw: &[u8], args: &[Arg]) {
        caller.session.begin();
        match self.admit(caller, raw, args) {
            Ok(command) => self.take(now, caller, &command),
            Err(refused) => self.answer_refused(caller, &refused),
        }
    }

    /// Answers a command that has been executed.
    #[inline]
    fn answer(&self, caller: &mut Caller, command: &Command<'_>, reply: &Reply) {
        match caller.session.wire {
            Wire::Memcache => self.answer_item(caller, command, reply),
            Wire::Resp => caller.session.answer(reply),
        }
    }

    /// Takes a command that another protocol's request stands for: a hidden one, too.
    pub fn command(&self, now: u64, caller: &mut Caller, command: &Command<'_>) {
        caller.session.begin();
        match self.lets_use(caller, command.spec) {
            Ok(()) => self.take(now, caller, command),
            Err(refused) => self.answer_refused(caller, &refused),
        }
    }

    #[inline]
    fn take(&self, now: u64, caller: &mut Caller, command: &Command<'_>) {
        self.took(caller, command.spec.family());
        caller.session.latest = Some(command.spec.id);
        self.run_or_pause(now, caller, command);
    }

    /// Runs a command, or queues it in a transaction.
    fn run(&self, now: u64, caller: &mut Caller, command: &Command<'_>) {
        if caller.session.transaction.is_some()
            && let Some(reply) = self.refuses_to_queue(now, command)
        {
            caller.session.spoil();
            self.rejected(Some(command.spec), ErrorKind::Usage, &reply);
            caller.session.answer(&reply);
            return;
        }
        match caller.session.admit(command) {
            Admission::Run => self.go(now, caller, command),
            Admission::Answer(reply) => {
                if reply.is_error() {
                    self.rejected(Some(command.spec), ErrorKind::Usage, &reply);
                }
                caller.session.answer(&reply);
            }
        }
        caller.has_run(command);
    }

    #[cold]
    fn refuses_to_queue(&self, now: u64, command: &Command<'_>) -> Option<Reply> {
        match (command.spec.id, &self.behind) {
            (Id::Exec | Id::Discard | Id::Quit | Id::Reset, _) => None,
            (_, Behind::Node(store)) => store.refuses_to_queue(now),
            _ => None,
        }
    }

    #[cold]
    fn answer_refused(&self, caller: &mut Caller, refused: &Refused) {
        let family = refused.spec.map_or(Family::Unknown, Spec::family);
        self.took(caller, family);
        self.rejected(refused.spec, refused.why, &refused.reply);
        caller.session.answer(&refused.reply);
    }

    /// The command, if there is such a one and this client may use it.
    fn admit<'a>(
        &self,
        caller: &mut Caller,
        raw: &'a [u8],
        args: &'a [Arg],
    ) -> Result<Command<'a>, Box<Refused>> {
        let serves = |spec: &_| self.behind.serves(spec);
        let resolved = Command::resolve_for(raw, args, serves);
        let command = resolved.map_err(|reply| self.refuse(caller, raw, args, reply))?;
        self.lets_use(caller, command.spec)?;
        match caller.session.refuses_listener(&command) {
            Some(reply) => {
                caller.session.spoil();
                Err(Refused::of(command.spec, ErrorKind::Usage, reply))
            }
            None => Ok(command),
        }
    }

    /// Whether this client may use a command: before it has said a password it may not.
    #[inline]
    fn lets_use(&self, caller: &Caller, spec: &'static Spec) -> Result<(), Box<Refused>> {
        match self.greeting.access.refuses(&caller.session, spec.id) {
            None => Ok(()),
            Some(reply) => Err(Refused::of(spec, ErrorKind::Auth, reply)),
        }
    }

    /// Whether this client has still to say a password.
    #[inline]
    pub fn is_stranger(&self, caller: &Caller) -> bool {
        self.greeting.access.misses(&caller.session)
    }

    /// A request was refused before it was executed.
    fn rejected(&self, spec: Option<&Spec>, why: ErrorKind, reply: &Reply) {
        self.told_error(reply);
        let family = spec.map_or(Family::Unknown, Spec::family);
        self.counters.failed(family, why);
        if let Some(spec) = spec {
            self.counters.called(spec.id as usize, Call::Rejected);
        }
    }

    /// Counts a command that this process has executed.
    #[inline]
    fn executed(&self, spec: &Spec, reply: &Reply) {
        if reply.is_error() && needs_memory(reply) {
            return self.rejected(Some(spec), ErrorKind::Reply, reply);
        }
        self.counters.called(spec.id as usize, Call::Made);
        if reply.is_error() {
            let why = match (spec.id, &self.behind) {
                (Id::Auth | Id::Hello, _) => ErrorKind::Auth,
                (_, Behind::Node(_)) => ErrorKind::Reply,
                (_, Behind::Pool(..)) => ErrorKind::Usage,
            };
            self.counters.failed(spec.family(), why);
            self.counters.called(spec.id as usize, Call::Failed);
            self.told_error(reply);
        }
    }

    #[cold]
    fn told_error(&self, reply: &Reply) {
        match reply {
            Reply::Error(text) => self.counters.told_error(text.as_bytes()),
            Reply::Raw(raw) => self.counters.told_error(raw),
            _ => {}
        }
    }

    /// A request that is no command here.
    #[cold]
    fn refuse(&self, caller: &mut Caller, raw: &[u8], args: &[Arg], reply: Reply) -> Box<Refused> {
        let word = |i: usize| {
            args.get(i)
                .map(|a: &Arg| &raw[a.start as usize..a.end as usize])
        };
        let name = word(0).unwrap_or_default();
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        if is(b"post") || is(b"host:") {
            return hang_up(caller);
        }
        let spec = resolve(name, word(1)).ok();
        let spec = spec.filter(|spec| self.behind.serves(spec));
        Box::new(Refused {
            spec,
            why: spec.map_or(ErrorKind::Unknown, |_| ErrorKind::Usage),
            reply: self.spoil(caller, name, reply),
        })
    }

    /// What a refused command does to the transaction that it comes in: a refused EXEC ends it.
    fn spoil(&self, caller: &mut Caller, name: &[u8], refused: Reply) -> Reply {
        caller.session.spoil();
        match (&self.behind, refused) {
            (Behind::Node(store), Reply::Error(text)) if name.eq_ignore_ascii_case(b"exec") => {
                caller.session.transaction = None;
                unwatch(caller, store);
                let text = text.strip_prefix("ERR ").unwrap_or(&text);
                Reply::error(format!(
                    "EXECABORT Transaction discarded because of: {text}"
                ))
            }
            (_, refused) => refused,
        }
    }

    fn go(&self, now: u64, caller: &mut Caller, command: &Command<'_>) {
        let random = self.random();
        let route = match &self.behind {
            Behind::Node(_) => match &self.ring {
                None => Placement::Node.route(command, random),
                Some(ring) => ring.route(command, random),
            },
            Behind::Pool(cluster, _) => cluster.placement(now).route(command, random),
        };
        match route {
            Route::Here if command.spec.id == Id::Wait => self.wait(now, caller, command),
            Route::Here if self.goes_round(command) => self.go_round(now, caller, command),
            Route::Here if command.spec.id == Id::Monitor => {
                self.executed(command.spec, &Reply::OK);
                self.monitor(caller);
            }
            Route::Here if command.spec.id == Id::Debug => {
                if let Some(reply) = self.of_node(now, caller, command) {
                    self.executed(command.spec, &reply);
                    caller.session.answer(&reply);
                }
            }
            Route::Here => {
                let began = self.start(caller, command);
                let reply = self.here(now, caller, command);
                if let Some(began) = began {
                    self.stop(now, caller, command, began);
                }
                self.executed(command.spec, &reply);
                caller.session.answer(&reply);
            }
            Route::Refused(reply) => {
                // A SCAN that is over sends nothing, and is no error.
                if reply.is_error() {
                    self.count(PoolStat::ForwardError, 1);
                    self.rejected(Some(command.spec), why_refused(&reply), &reply);
                }
                self.answer(caller, command, &reply);
            }
            Route::To(to) => self.deliver(now, caller, to, command),
            Route::Parts(..) if self.ring.is_some() && ring::clears_all(command) => {
                self.clear_all(caller, command);
            }
            Route::Parts(mut parts, gather) => {
                self.say_who_asks(caller, command, &mut parts);
                let ticket = caller.session.wait(command);
                self.send_parts(now, caller, &parts, gather, ticket);
                if command.spec.group == Group::Pubsub {
                    // Its own message comes before the reply.
                    caller.take_all_messages();
                }
            }
        }
    }

    /// Sends each part of a request where it goes; their replies are put together.
    fn send_parts(
        &self,
        now: u64,
        caller: &mut Caller,
        parts: &[Part],
        gather: Gather,
        ticket: Ticket,
    ) {
        self.count(PoolStat::Fragments, parts.len() as u64);
        caller.gathers.push(Gathered {
            ticket,
            gather,
            failed: None,
        });
        for (i, part) in parts.iter().enumerate() {
            self.send(now, caller, part.to, &part.request, (ticket, i as u32));
        }
    }

    fn deliver(&self, now: u64, caller: &mut Caller, to: Destination, command: &Command<'_>) {
        match (to, &self.behind) {
            (Destination::Store, Behind::Node(store)) => {
                if let Some(_permit) = self.permit(caller, command) {
                    self.execute_on(now, caller, store, command);
                }
            }
            (Destination::Server(_), _) if command.spec.flags.has(Flags::BLOCKING) => {
                self.wait_there(caller, command);
            }
            (Destination::Server(_), _) => {
                let asker = self.asker(caller, command);
                let ticket = caller.session.wait(command);
                let request = asked_by(asker, resp::request_of(command));
                self.send(now, caller, to, &request, (ticket, 0));
            }
            (Destination::Store, Behind::Pool(..)) => unreachable!("a pool has no store"),
        }
    }

    fn send(
        &self,
        now: u64,
        caller: &Caller,
        to: Destination,
        request: &[u8],
        (Ticket(ticket), part): (Ticket, u32),
    ) {
        let (client, mailbox) = (caller.session.id, caller.mailbox.clone());
        let reply_to = ReplyTo {
            mailbox,
            ticket,
            part,
        };
        match (to, &self.behind, &self.ring) {
            (Destination::Server(server), Behind::Pool(_, pool), _) => {
                pool.send(now, server, client, request, reply_to);
            }
            (Destination::Server(node), Behind::Node(_), Some(ring)) => {
                ring.send(now, node, client, request, reply_to);
            }
            (Destination::Store, Behind::Node(_), Some(ring)) => {
                self.execute_part(now, ring, request, reply_to);
            }
            _ => unreachable!("requests are sent to servers and nodes only"),
        }
    }

    /// What this connection or this process answers.
    fn here(&self, now: u64, caller: &mut Caller, command: &Command<'_>) -> Reply {
        match (command.spec.id, &self.behind) {
            (Id::Exec, Behind::Node(store)) => self.exec(now, caller, store),
            (Id::Watch, Behind::Node(store)) => watch(now, caller, store, command),
            (Id::Unwatch, Behind::Node(store)) => {
                unwatch(caller, store);
                Reply::OK
            }
            (Id::Discard | Id::Reset, Behind::Node(store)) => {
                let in_transaction = caller.session.transaction.is_some();
                if in_transaction || command.spec.id == Id::Reset {
                    unwatch(caller, store);
                }
                if command.spec.id == Id::Reset {
                    self.stop_tracking(caller, store);
                    self.stop_monitoring(caller);
                    self.stop_listening(caller);
                }
                session::answer(&mut caller.session, command, &self.greeting)
            }
            (_, Behind::Node(_)) if command.spec.group == Group::Pubsub => {
                self.messages(caller, command)
            }
            (
                Id::ClientTracking
                | Id::ClientCaching
                | Id::ClientGetredir
                | Id::ClientTrackinginfo,
                Behind::Node(store),
            ) => self.tracking(caller, store, command),
            (Id::Debug, _) => self.of_node(now, caller, command).unwrap_or(Reply::OK),
            (Id::Shutdown, _) => {
                let reply = self.of_process(now, &caller.session, command);
                caller.session.closing |= !reply.is_error();
                reply
            }
            (Id::ClientInfo, _) => self.of_process(now, &caller.session, command),
            _ if command.spec.room == Room::Session => {
                let reply = session::answer(&mut caller.session, command, &self.greeting);
                caller.tell_protocol();
                reply
            }
            _ => self.of_process(now, &caller.session, command),
        }
    }

    /// DEBUG, which only nodes answer.
    fn of_node(&self, now: u64, caller: &mut Caller, command: &Command<'_>) -> Option<Reply> {
        match &self.behind {
            Behind::Node(store) => self.debug(now, caller, store, command),
            Behind::Pool(..) => None,
        }
    }

    fn of_process(&self, now: u64, session: &Session, command: &Command<'_>) -> Reply {
        let serves = |spec: &_| self.behind.serves(spec);
        self.process.answer(
            now,
            session,
            command,
            self.behind.store(),
            self.pool_name(),
            serves,
        )
    }

    /// EXEC, or why nothing is executed.
    fn exec(&self, now: u64, caller: &mut Caller, store: &Store) -> Reply {
        let commands = caller.session.end_transaction();
        let watched = std::mem::take(&mut caller.watched);
        caller.guarded.forget();
        let reply = match commands {
            Ok(commands) => match out_of_memory(now, store, &commands) {
                Some(refused) => refused,
                None => self.execute(now, caller, store, &watched, commands),
            },
            Err(refused) => refused,
        };
        watched
            .into_iter()
            .for_each(|watched| store.unwatch(watched));
        reply
    }

    /// Runs a transaction: what reads or writes keys as one, and what does not in its place.
    fn execute(
        &self,
        now: u64,
        caller: &mut Caller,
        store: &Store,
        watched: &[Watched],
        commands: Vec<OwnedCommand>,
    ) -> Reply {
        let placed = self.placed(caller.session.database, &commands);
        let all = || {
            placed
                .iter()
                .copied()
                .zip(commands.iter().map(OwnedCommand::as_command))
        };
        let is_of_store = |(_, command): &(u32, Command<'_>)| command.spec.room == Room::Store;
        let (mut began, origin) = (clock::ticks(), caller.origin.clone());
        let done = |_, command: &Command<'_>, reply: &Reply| {
            let before = std::mem::replace(&mut began, clock::ticks());
            self.note(now, &origin, command, began.saturating_sub(before));
            self.executed(command.spec, reply);
        };
        let reader = caller.copies.as_ref().map(|copies| copies.reader());
        let of_store = all().filter(is_of_store);
        let Some(replies) = store.transaction_for(now, watched, of_store, reader, done) else {
            return Reply::NullArray;
        };
        if self.process.monitors.any() {
            self.tell_monitors_of_all(&caller.origin, all());
        }
        let mut replies = replies.into_iter();
        let reply = |placed: (u32, Command<'_>)| match is_of_store(&placed) {
            true => replies.next(),
            false => Some(self.here_in_transaction(now, caller, &placed.1)),
        };
        Reply::Array(all().filter_map(reply).collect())
    }

    /// The database that is selected once each of these commands has run.
    fn placed(&self, mut database: u32, commands: &[OwnedCommand]) -> Vec<u32> {
        let place = |command: &OwnedCommand| {
            let command = command.as_command();
            if command.spec.id == Id::Select
                && let Ok(selected) = self.greeting.databases.selected(&command)
            {
                database = selected;
            }
            database
        };
        commands.iter().map(place).collect()
    }

    /// What this process answers to a command of a transaction.
    fn here_in_transaction(&self, now: u64, caller: &mut Caller, command: &Command<'_>) -> Reply {
        let reply = match command.spec.id {
            // A shard's channels may move to another node at any time.
            Id::Ssubscribe => {
                Reply::error("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client")
            }
            Id::Publish | Id::Spublish => {
                let reply = self.here(now, caller, command);
                self.publish_elsewhere(caller, command, reply)
            }
            Id::Monitor => Reply::error("ERR MONITOR isn't allowed for DENY BLOCKING client"),
            Id::Debug if debug::sleeps(command) => Reply::error(
                "ERR DEBUG SLEEP isn't allowed in a transaction: it holds nobody up but its client",
            ),
            _ => self.here(now, caller, command),
        };
        self.executed(command.spec, &reply);
        reply
    }

    /// A new connection is in, unless it has to say a password first.
    pub fn greet(&self, caller: &mut Caller) {
        caller.session.authenticated = self.greeting.access.lets_in();
    }

    /// A connection was opened.
    pub fn enter(&self) {
        self.count(PoolStat::ClientConnections, 1);
        self.count(PoolStat::ClientsEver, 1);
    }

    /// A client has shaken hands (TLS), or has tried to.
    pub fn shook_hands(&self, succeeded: bool) {
        match succeeded {
            true => self.count(PoolStat::TlsHandshakes, 1),
            false => self.count(PoolStat::TlsFailures, 1),
        }
    }

    fn count(&self, stat: PoolStat, count: u64) {
        if let Behind::Pool(_, pool) = &self.behind {
            pool.counters().add(stat, count);
        }
    }

    /// A connection is closed: nothing of it stays behind. `by_client`: the client wanted that.
    pub fn leave(&self, caller: &mut Caller, by_client: bool) {
        self.count(PoolStat::ClientConnections, ONE_LESS);
        match by_client {
            true => self.count(PoolStat::ClientEof, 1),
            false => self.count(PoolStat::ClientErr, 1),
        }
        self.abandon(caller);
        self.stop_monitoring(caller);
        self.stop_listening(caller);
        caller.mailbox.close();
        if let Behind::Node(store) = &self.behind {
            unwatch(caller, store);
            self.stop_tracking(caller, store);
        }
    }

    /// The next of a row of numbers that looks random (xorshift64*, Vigna 2016).
    fn random(&self) -> u64 {
        let mut x = self.random.get() | 1;
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.random.set(x);
        x.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

impl Behind {
    fn serves(&self, spec: &crate::command::Spec) -> bool {
        match self {
            Behind::Node(_) => route::served_by_node(spec),
            Behind::Pool(..) => route::served_by_pool(spec),
        }
    }

    fn store(&self) -> Option<&Store> {
        match self {
            Behind::Node(store) => Some(store),
            Behind::Pool(..) => None,
        }
    }
}

/// Whether a command was refused for want of memory: then nothing of it was executed.
#[cold]
fn needs_memory(reply: &Reply) -> bool {
    matches!(reply, Reply::Error(text) if text.starts_with("OOM "))
}

/// A line of HTTP: whoever has a browser send requests here shall not have its body taken for
/// commands. As with Redis, there is no reply.
fn hang_up(caller: &mut Caller) -> Box<Refused> {
    tracing::info!(client = %caller.origin.address(), "this port speaks no HTTP");
    caller.session.closing = true;
    Box::new(Refused {
        spec: None,
        why: ErrorKind::Protocol,
        reply: Reply::Several(Vec::new()),
    })
}

/// Why the route refuses a command.
fn why_refused(reply: &Reply) -> ErrorKind {
    match reply {
        Reply::Error(text) if text == route::CROSS_SLOT => ErrorKind::CrossSlot,
        Reply::Error(text) if text == route::NO_SERVER => ErrorKind::NoServer,
        _ => ErrorKind::Usage,
    }
}

fn watch(now: u64, caller: &mut Caller, store: &Store, command: &Command<'_>) -> Reply {
    if caller.session.transaction.is_some() {
        return Reply::error("ERR WATCH inside MULTI is not allowed");
    }
    caller.watch(store, now, command.args(1));
    Reply::OK
}

/// The reply to EXEC if one of its commands needs memory where there is none left.
fn out_of_memory(now: u64, store: &Store, commands: &[OwnedCommand]) -> Option<Reply> {
    let mut refusals = commands.iter().map(|c| store.refuses(now, &c.as_command()));
    let Reply::Error(text) = refusals.find_map(|refusal| refusal)? else {
        return None;
    };
    Some(Reply::error(format!(
        "EXECABORT Transaction discarded because of: {text}"
    )))
}

fn unwatch(caller: &mut Caller, store: &Store) {
    caller.guarded.forget();
    for watched in caller.watched.drain(..) {
        store.unwatch(watched);
    }
}
