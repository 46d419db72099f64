//! Runs the machine that knows what this node holds: gives it the membership, what other nodes say
//! and the time, and lets commands be executed only where it allows that.
//!
//! A command is executed under a [`Permit`], which holds the picture of what may be served. When a
//! range is given up, a new picture is published, and nothing is answered before all permits of the
//! old one are back: then no command can be executed any more on what was given up.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use heeler_ring::Ring;
use heeler_ringpop::channel::{self, Call, ErrorCode};
use heeler_ringpop::{Response, RingHash, Ringpop, Status};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot, watch};

use super::commands::{agreed, request};
use super::keyspace::{SERVICE, refused};
use crate::admission::{Admission, Pending, Permit, Tenure};
use crate::clock;
use crate::command::{Command, Id, Reply, Room};
use crate::holding::{
    self, Answer, Ask, Config, Holding, Input, Letter, Node, Now, Output, Progress, RangeMap,
    Standing, View, WriteAcks,
};
use crate::limits;
use crate::route::Terms;
use crate::store::{Clearing, Store};

/// The endpoint of the service `heeler`.
const ENDPOINT: &str = "hold";

/// The error where a write cannot be kept by as many nodes as must have it.
const NO_REPLICAS: &str = "NOREPLICAS Not enough good replicas to write.";

/// The error where they have not said in time that they have it: it ends as [`IN_DOUBT`] does.
///
/// [`IN_DOUBT`]: crate::wire::resp::IN_DOUBT
const NOT_CONFIRMED: &str = "NOREPLICAS Not enough good replicas have confirmed the write to the \
    key's owner, and it may have executed the command";

/// The error where those that had the keys do not answer, and are not known to be dead.
const NOT_GIVEN_UP: &str = "CLUSTERDOWN the nodes that had the key before do not answer; it is \
    served as soon as they do, or are taken for dead";

/// How keys are kept in a ring.
#[derive(Clone, Copy, Debug)]
pub struct Keeping {
    /// How many nodes hold a key.
    pub replicas: u32,
    /// How many of them must have a write before it is acknowledged.
    pub write_acks: WriteAcks,
    /// Bytes a second that are taken of others in the background.
    pub pull_rate: u64,
    /// How long this node waits for others to take over, when it stops.
    pub leave_timeout: Duration,
}

impl Default for Keeping {
    fn default() -> Keeping {
        Keeping {
            replicas: 1,
            write_acks: WriteAcks::One,
            pull_rate: limits::PULL_RATE,
            leave_timeout: Duration::from_millis(limits::LEAVE_TIMEOUT_MS),
        }
    }
}

/// The machine at work.
pub struct Keeper {
    keeping: Keeping,
    terms: Terms,
    began: Instant,
    tenure: ArcSwap<Tenure>,
    core: Mutex<Holding>,
    /// Held from a look at the membership until the machine knows of it.
    following: Mutex<()>,
    /// Held from an input until all that follows is done.
    turn: Mutex<()>,
    store: Arc<Store>,
    /// The machine may be due earlier than before.
    due: Notify,
    woken: watch::Sender<u64>,
    /// Writes that wait for replicas.
    writes: Mutex<HashMap<u64, oneshot::Sender<bool>>>,
    /// Nodes that wait for an answer.
    asked: Mutex<HashMap<u64, oneshot::Sender<Letter<Answer>>>>,
    tokens: AtomicU64,
    /// Some of what this node has held is not wholly with others.
    owes: AtomicBool,
    ringpop: Ringpop,
    /// The ring has too few members for `--write-acks`, and the log says so.
    told_refusals: AtomicBool,
    runtime: tokio::runtime::Handle,
}

impl Keeper {
    /// Nothing held yet.
    pub fn new(
        (terms, keeping): (Terms, Keeping),
        store: Arc<Store>,
        ringpop: &Ringpop,
        runtime: &tokio::runtime::Handle,
    ) -> Arc<Keeper> {
        // Another for each start.
        let life = RandomState::new().hash_one(clock::now());
        let me: Node = ringpop.whoami().into();
        store.keep_versions();
        store.salt_versions(RingHash::Fingerprint32.hash(me.as_bytes()) as u16);
        let config = Config {
            me,
            terms,
            replicas: keeping.replicas.max(1) as usize,
            write_acks: keeping.write_acks,
            pull_rate: keeping.pull_rate,
            write_timeout_ms: limits::WRITE_TIMEOUT_MS,
        };
        Arc::new(Keeper {
            keeping,
            terms,
            began: Instant::now(),
            tenure: ArcSwap::from_pointee(Tenure::new(
                RangeMap::new(Standing::Ask),
                ringpop.ring(),
                terms,
            )),
            core: Mutex::new(Holding::new(config, store.clone(), life)),
            following: Mutex::new(()),
            turn: Mutex::new(()),
            store,
            due: Notify::new(),
            woken: watch::Sender::new(0),
            writes: Mutex::default(),
            asked: Mutex::default(),
            tokens: AtomicU64::new(0),
            owes: AtomicBool::new(false),
            ringpop: ringpop.clone(),
            told_refusals: AtomicBool::new(false),
            runtime: runtime.clone(),
        })
    }

    /// Answers other nodes, and wakes the machine whenever it is due.
    pub(super) fn serve(self: &Arc<Keeper>) {
        let keeper = self.clone();
        let answer = move |call: Call| {
            let keeper = keeper.clone();
            async move { keeper.answer(call).await }
        };
        let service = self.ringpop.channel().service(SERVICE);
        service.endpoint(ENDPOINT, answer);
        let keeper = self.clone();
        self.runtime.spawn(async move { keeper.run().await });
    }

    /// Whether a command may be executed, for as long as the permit lives.
    #[inline]
    pub fn admit(self: &Arc<Keeper>, command: &Command<'_>) -> Admission {
        let tenure = self.tenure.load();
        match tenure.of(command) {
            Standing::Serve => Admission::Execute(Permit::new(tenure)),
            // A channel is no key: its messages are for the subscribers of every node.
            _ if command.spec.id == Id::Spublish => Admission::Execute(Permit::new(tenure)),
            Standing::Moved(_) => Admission::Moved,
            Standing::Ask => self.ask(tenure, command),
        }
    }

    /// The same for a command that was routed to this node by this ring: its keys need not be
    /// looked at again as long as the node has all that is its own.
    #[inline]
    pub fn admit_routed(
        self: &Arc<Keeper>,
        ring: Option<&Arc<Ring>>,
        command: &Command<'_>,
    ) -> Admission {
        let tenure = self.tenure.load();
        match ring.is_some_and(|ring| tenure.serves_its_own_of(ring)) {
            true => Admission::Execute(Permit::new(tenure)),
            false => self.admit(command),
        }
    }

    #[cold]
    fn ask(self: &Arc<Keeper>, tenure: Guard<Arc<Tenure>>, command: &Command<'_>) -> Admission {
        // From before the question on, so that no news is missed.
        let woken = self.woken.subscribe();
        let Ok(keys) = command.keys() else {
            return Admission::Execute(Permit::new(tenure));
        };
        let keys = keys.iter().map(|key| command.arg(key));
        let admission = self.core.lock().admit(keys, command.spec.is_write());
        match admission {
            holding::Admission::Execute => Admission::Execute(Permit::new(tenure)),
            holding::Admission::Moved(_) => Admission::Moved,
            holding::Admission::NoReplicas => {
                let refused: Pending = Box::pin(async { Err(Reply::error(NO_REPLICAS)) });
                Admission::Wait(refused)
            }
            holding::Admission::Wait => {
                drop(tenure);
                self.due.notify_one();
                let keys = command.keys().into_iter();
                let keys = keys.flat_map(|keys| keys.iter().map(|key| command.arg(key).into()));
                let wish = (keys.collect(), command.spec.is_write());
                Admission::Wait(Box::pin(self.clone().until_admitted(wish, woken)))
            }
        }
    }

    /// Until a command on these keys need not wait any more, but not for ever.
    async fn until_admitted(
        self: Arc<Keeper>,
        (keys, writes): (Vec<Box<[u8]>>, bool),
        mut woken: watch::Receiver<u64>,
    ) -> Result<(), Reply> {
        let end = tokio::time::Instant::now() + Duration::from_millis(limits::ADMISSION_MS);
        loop {
            if tokio::time::timeout_at(end, woken.changed()).await.is_err() {
                return Err(Reply::error(NOT_GIVEN_UP));
            }
            let asked = keys.iter().map(|key| &**key);
            match self.core.lock().admit(asked, writes) {
                holding::Admission::Wait => self.due.notify_one(),
                _ => return Ok(()),
            }
        }
    }

    /// A command has been executed: what its reply has to wait for.
    #[inline]
    pub fn written(
        self: &Arc<Keeper>,
        now: u64,
        command: &Command<'_>,
        reply: &Reply,
    ) -> Option<Pending> {
        let is_of_store = command.spec.room == Room::Store;
        let replicates = self.keeping.replicas > 1 && command.spec.is_write() && is_of_store;
        if !replicates || reply.is_error() {
            return None;
        }
        self.replicate(now, command)
    }

    #[cold]
    fn replicate(self: &Arc<Keeper>, now: u64, command: &Command<'_>) -> Option<Pending> {
        let keys = command.keys().ok()?;
        let keys = keys.iter().map(|key| command.arg(key));
        let now = Now {
            wall_ms: now,
            ..self.now()
        };
        let (sender, receiver) = oneshot::channel();
        {
            let mut core = self.core.lock();
            let write = core.wrote(now, keys);
            if let Some(write) = write {
                self.writes.lock().insert(write, sender);
            }
            drop(core);
            self.due.notify_one();
            write?;
        }
        Some(Box::pin(async move {
            match receiver.await {
                Ok(true) => Ok(()),
                Ok(false) | Err(_) => Err(Reply::error(NOT_CONFIRMED)),
            }
        }))
    }

    /// The membership has changed, perhaps.
    pub(super) fn follow(self: &Arc<Keeper>) {
        // What is read first is told first.
        let _order = self.following.lock();
        if !self.ringpop.is_ready() && self.ringpop.ring().is_empty() {
            return;
        }
        let ring = self.ringpop.ring();
        self.tell_of_refusals(ring.members().len());
        let (mut leaving, mut gone) = (BTreeSet::new(), BTreeSet::new());
        for member in self.ringpop.members() {
            match member.status {
                Status::Alive | Status::Suspect => {}
                Status::Leave => _ = leaving.insert(member.address),
                Status::Faulty | Status::Tombstone => _ = gone.insert(member.address),
            }
        }
        let view = View {
            ring,
            leaving,
            gone,
        };
        self.give(Input::View(view));
    }

    /// Why every write is refused, if it is: the ring is too small for `--write-acks`.
    pub fn refuses_writes(&self) -> Option<String> {
        self.refusal(self.ringpop.ring().members().len())
    }

    /// The same in a ring of so many members.
    fn refusal(&self, members: usize) -> Option<String> {
        let replicas = self.keeping.replicas.max(1);
        let acks = self.keeping.write_acks;
        let needed = acks.of(replicas as usize);
        // A ring without members is one that this node has left, or has yet to find.
        (0 < members && members < needed).then(|| {
            let acks = acks.name();
            format!(
                "writes are refused (NOREPLICAS): --replicas {replicas} --write-acks {acks} needs \
                 {needed} nodes in the ring, and there are {members}; start the others"
            )
        })
    }

    /// Says when the ring gets too small for `--write-acks`, and when it is large enough again.
    fn tell_of_refusals(&self, members: usize) {
        let why = self.refusal(members);
        let refuses = why.is_some();
        if members == 0 || self.told_refusals.swap(refuses, Relaxed) == refuses {
            return;
        }
        match why {
            Some(why) => tracing::warn!("{why}"),
            None => tracing::info!("writes are taken again: {members} nodes are in the ring"),
        }
    }

    /// Others have taken this node for dead.
    pub(super) fn doubted(self: &Arc<Keeper>) {
        self.give(Input::Doubted);
    }

    /// Whether a key of another's is here still, because that may not have it yet.
    pub(super) fn owes(&self, key: &[u8]) -> bool {
        self.owes.load(Relaxed) && self.core.lock().owes(key)
    }

    /// How keys are kept.
    pub fn keeping(&self) -> &Keeping {
        &self.keeping
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.core.lock().progress()
    }

    /// Waits until all that this node held is with others, but not for ever.
    pub(super) async fn hand_over(self: &Arc<Keeper>) {
        // That it leaves may not have come here yet.
        self.follow();
        let end = Instant::now() + self.keeping.leave_timeout;
        let mut told = Instant::now();
        while !self.core.lock().has_handed_over(self.now()) {
            let left = self.progress();
            if Instant::now() >= end {
                tracing::warn!(
                    ranges = left.owed,
                    "stopping, though the others have not taken over everything; see \
                     --leave-timeout"
                );
                return;
            }
            if told.elapsed() > Duration::from_secs(1) {
                told = Instant::now();
                tracing::info!(
                    ranges_left = left.owed,
                    keys = left.keys_out,
                    bytes = left.bytes_out,
                    "handing over"
                );
            }
            tokio::time::sleep(Duration::from_millis(limits::HANDED_OVER_MS)).await;
        }
        let (lost, alone) = {
            let core = self.core.lock();
            (core.lost(), core.is_alone())
        };
        let keys = self.store.count_all();
        if alone && keys > 0 {
            tracing::warn!(
                keys,
                "stopping, and no other node is left that could take over: the keys are gone"
            );
        }
        if lost > 0 {
            tracing::info!(
                ranges = lost,
                "members that keep no keys, as those of Ringpop, have taken over none"
            );
        }
    }

    async fn run(self: &Arc<Keeper>) {
        loop {
            let now = self.now();
            let due = self.core.lock().next_wake(now);
            let wait = due.map_or(limits::LONGEST_REST_MS, |at| at.saturating_sub(now.ms));
            if wait > 0 {
                let wait = Duration::from_millis(wait.min(limits::LONGEST_REST_MS));
                let _ = tokio::time::timeout(wait, self.due.notified()).await;
            }
            // It is asked next when it is due: nobody need be woken for that.
            self.step(Holding::wake);
            tokio::task::yield_now().await;
        }
    }

    fn now(&self) -> Now {
        Now {
            ms: self.began.elapsed().as_millis() as u64,
            wall_ms: clock::now(),
        }
    }

    /// Gives an input to the machine, does what follows, and has it asked anew when it is due.
    fn give(self: &Arc<Keeper>, input: Input) {
        self.step(|core, now, out| core.handle(now, input, out));
        self.due.notify_one();
    }

    /// Lets the machine act, and does what follows.
    fn step(self: &Arc<Keeper>, act: impl FnOnce(&mut Holding, Now, &mut Vec<Output>)) {
        let _turn = self.turn.lock();
        let mut out = Vec::new();
        let standing = {
            let mut core = self.core.lock();
            act(&mut core, self.now(), &mut out);
            let changed = out.iter().any(|output| matches!(output, Output::Standing));
            if changed {
                self.owes.store(core.owes_any(), Relaxed);
            }
            changed.then(|| (core.standing(), core.ring().cloned()))
        };
        if let Some((standing, ring)) = standing {
            self.publish(standing, ring.unwrap_or_else(|| self.ringpop.ring()));
        }
        for output in out {
            self.carry_out(output);
        }
    }

    /// Publishes what may be served, and waits for all commands that are being executed by the
    /// picture before.
    fn publish(&self, standing: RangeMap<Standing>, ring: Arc<Ring>) {
        let tenure = Arc::new(Tenure::new(standing, ring, self.terms));
        let before = self.tenure.swap(tenure.clone());
        while Arc::strong_count(&before) > 1 {
            std::thread::sleep(Duration::from_micros(limits::PERMIT_US));
        }
        let (lost, got) = before.turned(&tenure);
        if lost {
            self.store.have_moved(|key| tenure.has_moved(key));
        }
        if got {
            self.store.have_come();
        }
    }

    fn carry_out(self: &Arc<Keeper>, output: Output) {
        match output {
            Output::Send { id, to, ask } => {
                let keeper = self.clone();
                self.runtime.spawn(async move {
                    let answer = keeper.call(&to, &ask).await;
                    keeper.give(Input::Answered { id, answer });
                });
            }
            Output::Respond { token, answer } => {
                if let Some(asker) = self.asked.lock().remove(&token) {
                    let _ = asker.send(answer);
                }
            }
            Output::Woken => self.woken.send_modify(|count| *count += 1),
            Output::Standing => {}
            Output::Written { write, kept } => {
                if let Some(waiting) = self.writes.lock().remove(&write) {
                    let _ = waiting.send(kept);
                }
            }
        }
    }

    async fn call(self: &Arc<Keeper>, to: &str, ask: &Letter<Ask>) -> Option<Letter<Answer>> {
        let body = holding::encode_ask(self.ringpop.whoami(), ask);
        let request = request(self.terms, ENDPOINT, body.into());
        let timeout = Duration::from_millis(limits::HOLD_MS);
        match self.ringpop.channel().call(to, request, timeout).await {
            Ok(response) if response.is_ok() => holding::decode_answer(&response.arg3),
            // It was started with other settings, or is no store: it has nothing for this node.
            Err(failure) if failure.code == ErrorCode::BadRequest => {
                self.give(Input::Stranger(to.into()));
                nothing(ask)
            }
            _ => None,
        }
    }

    async fn answer(self: &Arc<Keeper>, call: Call) -> channel::Answer {
        agreed(self.terms, &call)?;
        let asked = holding::decode_ask(&call.request.arg3);
        let (from, ask) = asked.ok_or_else(|| refused("the question cannot be read".into()))?;
        let token = self.tokens.fetch_add(1, Relaxed);
        let (sender, receiver) = oneshot::channel();
        self.asked.lock().insert(token, sender);
        self.give(Input::Asked { token, from, ask });
        let answer = receiver.await;
        let answer = answer.map_err(|_| refused("there is no answer".into()))?;
        Ok(Response::raw(holding::encode_answer(&answer)))
    }
}

/// The answer of a node that has nothing, to a claim.
fn nothing(ask: &Letter<Ask>) -> Option<Letter<Answer>> {
    let Ask::Claim { ranges, .. } = &ask.body else {
        return None;
    };
    let grant = |range: &holding::Range| holding::Grant {
        range: *range,
        whole: false,
        has_keys: false,
        also: Vec::new(),
    };
    let body = Answer::Granted(ranges.iter().map(grant).collect());
    Some(Letter {
        life: 0,
        wall_ms: 0,
        clearing: Clearing::default(),
        body,
    })
}
