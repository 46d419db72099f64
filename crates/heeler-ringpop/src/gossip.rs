//! Runs the membership's machine: gives it the time, what peers say and what operators wish, and
//! does what it asks for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Weak};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use bytes::Bytes;
use heeler_ring::{Ring, RingHash};
use heeler_swim::{
    Answer, Command, Endpoint, Failure, Fault, Input, Now, Output, RequestId, Stats, Swim, Token,
};
use heeler_tchannel::{ErrorCode, Headers, Origin, Request};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, broadcast, oneshot, watch};
use tokio::time::Instant;

use crate::channel::Channel;
use crate::discovery::Discovery;
use crate::event::{self, Event};
use crate::limits;
use crate::statistics::Statistics;

/// TChannel's service of all that members say to each other.
pub(crate) const SERVICE: &str = "ringpop";

/// Their transport headers: what ringpop-node says.
pub(crate) static HEADERS: LazyLock<Headers> =
    LazyLock::new(|| Headers::new([("as", "raw"), ("cn", SERVICE)]).unwrap_or(Headers::RAW));

/// A member at work.
pub(crate) struct Gossip {
    began: Instant,
    machine: Mutex<Machine>,
    /// The machine may be due earlier than before.
    changed: Notify,
    ring: ArcSwap<Ring>,
    stage: watch::Sender<Stage>,
    events: broadcast::Sender<Event>,
    channel: Channel,
    discovery: Discovery,
    statistics: Statistics,
    /// Each request is in the log.
    shown: AtomicBool,
}

/// How far the bootstrap is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Stage {
    /// Seeds are being asked.
    Joining,
    /// It is a member.
    Ready,
    /// It has given up: why.
    Failed(String),
}

struct Machine {
    swim: Swim,
    waiting: HashMap<Token, Waiting>,
    last_token: Token,
}

/// Who waits for a token to come back.
enum Waiting {
    Peer(oneshot::Sender<Result<Vec<u8>, Vec<u8>>>),
    Operator(oneshot::Sender<Result<Answer, Fault>>),
}

/// A request that the machine has made.
struct Question {
    id: RequestId,
    to: Arc<str>,
    endpoint: Endpoint,
    body: Vec<u8>,
    timeout: Duration,
}

impl Gossip {
    /// A member that has not begun: [seeds](Gossip::take_seeds) make it begin, and
    /// [`run`](Gossip::run) keeps it going.
    pub(crate) fn new(
        swim: impl FnOnce(Now) -> Result<Swim, heeler_swim::ConfigError>,
        channel: Channel,
        discovery: Discovery,
        statistics: Statistics,
    ) -> Result<Arc<Gossip>, heeler_swim::ConfigError> {
        let began = Instant::now();
        let swim = swim(now(began))?;
        let ring = Ring::new(swim.config().hash.unwrap_or(RingHash::Fingerprint32));
        Ok(Arc::new(Gossip {
            began,
            ring: ArcSwap::from_pointee(ring),
            machine: Mutex::new(Machine {
                swim,
                waiting: HashMap::new(),
                last_token: 0,
            }),
            changed: Notify::new(),
            stage: watch::Sender::new(Stage::Joining),
            events: broadcast::Sender::new(limits::EVENTS),
            channel,
            discovery,
            statistics,
            shown: AtomicBool::new(false),
        }))
    }

    /// Wakes the machine whenever it is due, until nobody holds it any more.
    pub(crate) async fn run(gossip: Weak<Gossip>) {
        while let Some(this) = gossip.upgrade() {
            let due = this.lock().swim.next_wake();
            let due = due
                .unwrap_or(u64::MAX)
                .min(this.now().ms + limits::LONGEST_SLEEP_MS);
            let due = this.began + Duration::from_millis(due);
            let changed = this.changed.notified();
            let _ = tokio::time::timeout_at(due, changed).await;
            this.turn(|machine, now, out| machine.swim.wake(now, out));
        }
    }

    /// The ring as it is now.
    pub(crate) fn ring(&self) -> &ArcSwap<Ring> {
        &self.ring
    }

    /// The bootstrap's stage, and its changes.
    pub(crate) fn stage(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }

    /// What happens from now on.
    pub(crate) fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Reads the machine.
    pub(crate) fn with<T>(&self, read: impl FnOnce(&Swim) -> T) -> T {
        read(&self.lock().swim)
    }

    /// What `/admin/stats` shows.
    pub(crate) fn stats(&self) -> Stats {
        self.lock().swim.stats(self.now())
    }

    /// Where seeds come from.
    pub(crate) fn discovery(&self) -> &Discovery {
        &self.discovery
    }

    /// When it was made.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// Puts each request of the gossip into the log, or none.
    pub(crate) fn show(&self, shown: bool) {
        self.shown.store(shown, Ordering::Relaxed);
    }

    /// Whether it does.
    pub(crate) fn is_shown(&self) -> bool {
        self.shown.load(Ordering::Relaxed)
    }

    /// Answers a peer.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        endpoint: Endpoint,
        body: &[u8],
    ) -> Result<Vec<u8>, Vec<u8>> {
        let (sender, receiver) = oneshot::channel();
        self.step(|machine, now, out| {
            let token = machine.wait(Waiting::Peer(sender));
            let request = Input::Request {
                token,
                endpoint,
                body,
            };
            machine.swim.handle(now, request, out);
        });
        let ended = |_| Err(Fault::not_ready().to_body());
        receiver.await.unwrap_or_else(ended)
    }

    /// Does what an operator wishes.
    pub(crate) async fn command(self: &Arc<Self>, command: Command) -> Result<Answer, Fault> {
        let (sender, receiver) = oneshot::channel();
        self.step(|machine, now, out| {
            let token = machine.wait(Waiting::Operator(sender));
            machine
                .swim
                .handle(now, Input::Command { token, command }, out);
        });
        receiver.await.unwrap_or_else(|_| Err(Fault::not_ready()))
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock()
    }

    fn now(&self) -> Now {
        now(self.began)
    }

    /// Gives something to the machine, and does what follows. It may be due earlier then.
    fn step(self: &Arc<Self>, input: impl FnOnce(&mut Machine, Now, &mut Vec<Output>)) {
        self.turn(input);
        self.changed.notify_one();
    }

    fn turn(self: &Arc<Self>, input: impl FnOnce(&mut Machine, Now, &mut Vec<Output>)) {
        let mut out = Vec::new();
        let mut questions = Vec::new();
        let mut seeds_wanted = false;
        {
            let mut machine = self.lock();
            input(&mut machine, self.now(), &mut out);
            for output in out {
                match output {
                    Output::Send {
                        id,
                        to,
                        endpoint,
                        body,
                        timeout_ms,
                    } => questions.push(Question {
                        id,
                        to,
                        endpoint,
                        body,
                        timeout: Duration::from_millis(timeout_ms),
                    }),
                    Output::Respond { token, result } => {
                        if let Some(Waiting::Peer(peer)) = machine.waiting.remove(&token) {
                            let _ = peer.send(result);
                        }
                    }
                    Output::Done { token, result } => {
                        if let Some(Waiting::Operator(it)) = machine.waiting.remove(&token) {
                            let _ = it.send(result);
                        }
                    }
                    Output::FetchSeeds => seeds_wanted = true,
                    Output::Event(event) => self.note(event),
                    Output::Stat(stat) => self.statistics.take(stat),
                }
            }
        }
        for question in questions {
            tokio::spawn(Arc::clone(self).ask(question));
        }
        if seeds_wanted {
            self.fetch_seeds();
        }
    }

    /// Lets the ring follow, and tells those who listen. Called with the machine locked, so that
    /// nobody else publishes a ring.
    fn note(&self, event: heeler_swim::Event) {
        event::log(&event);
        let before = self.ring.load();
        match &event {
            heeler_swim::Event::HashDetected { form, .. } if form.hash != before.hash() => {
                let mut ring = Ring::new(form.hash);
                ring.update(before.members().iter().cloned(), &[]);
                self.publish(ring);
            }
            heeler_swim::Event::RingChanged { added, removed } => {
                let removed: Vec<&str> = removed.iter().map(|address| &**address).collect();
                let mut ring = Ring::clone(&before);
                ring.update(added.iter().cloned(), &removed);
                self.statistics
                    .count("ring.server-added", added.len() as u64);
                self.statistics
                    .count("ring.server-removed", removed.len() as u64);
                self.statistics.count("ring.changed", 1);
                self.publish(ring);
            }
            heeler_swim::Event::Ready { .. } => {
                self.stage.send_replace(Stage::Ready);
            }
            heeler_swim::Event::BootstrapFailed { reason } => {
                self.stage.send_replace(Stage::Failed(reason.to_string()));
            }
            _ => (),
        }
        let _ = self.events.send(Event::Membership(event));
    }

    fn publish(&self, ring: Ring) {
        let checksum = ring.checksum();
        self.ring.store(Arc::new(ring));
        self.statistics.count("ring.checksum-computed", 1);
        self.statistics.gauge("ring.checksum", f64::from(checksum));
        let _ = self.events.send(Event::RingChecksumComputed { checksum });
    }

    /// Asks a peer, and gives its answer to the machine.
    async fn ask(self: Arc<Self>, question: Question) {
        let Question { id, endpoint, .. } = question;
        let request = Request {
            service: Bytes::from_static(SERVICE.as_bytes()),
            headers: HEADERS.clone(),
            arg1: Bytes::from_static(endpoint.path().as_bytes()),
            // What ringpop-node sends, and ringpop-go takes.
            arg2: Bytes::from_static(b"null"),
            arg3: question.body.into(),
            ..Request::default()
        };
        let answer = self
            .channel
            .call(&question.to, request, question.timeout)
            .await;
        if self.is_shown() {
            let answer = answer.as_ref().map(|response| response.arg3.len());
            tracing::info!(to = %question.to, endpoint = endpoint.path(), ?answer, "asked");
        }
        self.step(|machine, now, out| {
            let input = match &answer {
                Ok(response) if response.is_ok() => Input::Response {
                    id,
                    body: &response.arg3,
                },
                Ok(response) => Input::Failure {
                    id,
                    failure: Failure::Refused(told(&response.arg3)),
                },
                Err(error) => Input::Failure {
                    id,
                    failure: failure(error),
                },
            };
            machine.swim.handle(now, input, out);
        });
    }

    /// Gives seeds to the machine.
    pub(crate) fn take_seeds(self: &Arc<Self>, seeds: Vec<String>) {
        self.step(|machine, now, out| machine.swim.handle(now, Input::Seeds(seeds), out));
    }

    /// Asks for the seeds, and gives them to the machine.
    fn fetch_seeds(self: &Arc<Self>) {
        let this = Arc::clone(self);
        tokio::spawn(async move {
            match this.discovery.seeds().await {
                Ok(seeds) => this.take_seeds(seeds),
                // The machine goes on with those that it has.
                Err(error) => tracing::warn!("{error}"),
            }
        });
    }
}

impl Machine {
    fn wait(&mut self, waiting: Waiting) -> Token {
        self.last_token += 1;
        self.waiting.insert(self.last_token, waiting);
        self.last_token
    }
}

/// What a peer says when it refuses, fit for a line of the log.
fn told(body: &[u8]) -> String {
    let said = &body[..body.len().min(limits::TOLD_BYTES)];
    String::from_utf8_lossy(said).replace(char::is_control, " ")
}

fn now(began: Instant) -> Now {
    Now {
        ms: began.elapsed().as_millis() as u64,
        wall_ms: wall_ms(),
    }
}

/// Milliseconds since 1970, as this machine believes.
pub(crate) fn wall_ms() -> u64 {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since_1970.unwrap_or_default().as_millis() as u64
}

fn failure(failure: &heeler_tchannel::Failure) -> Failure {
    match (failure.code, failure.origin) {
        (ErrorCode::Timeout, _) => Failure::TimedOut,
        (_, Origin::Peer) => Failure::Refused(told(failure.message.as_bytes())),
        (_, Origin::Here) => Failure::Unreachable(failure.to_string()),
    }
}
