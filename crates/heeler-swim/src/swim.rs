//! The machine: its state, its door, and the questions that can be asked of it.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use heeler_ring::RingHash;

use crate::bootstrap::Phase;
use crate::damping::Damper;
use crate::errands::Errand;
use crate::full_sync::Synced;
use crate::gossip::Gossip;
use crate::healing::Healer;
use crate::members::{Id, Member, Members};
use crate::meter::Meter;
use crate::pending::Pending;
use crate::random::Random;
use crate::rumors::Rumors;
use crate::{
    Config, ConfigError, Event, Form, Input, Labels, MemberState, Now, Output, Stat, Status,
};

/// A member of a cluster.
///
/// Everything that happens goes into [`Swim::handle`], the passing of time into [`Swim::wake`];
/// what follows is appended to a list of [`Output`]s. The same inputs at the same times and the
/// same seed give the same outputs.
#[derive(Debug)]
pub struct Swim {
    pub(crate) config: Config,
    pub(crate) me: Arc<str>,
    pub(crate) my_id: Id,
    pub(crate) random: Random,
    pub(crate) now: Now,
    /// What follows from the input in work. Empty between inputs.
    pub(crate) out: Vec<Output>,

    pub(crate) members: Members,
    pub(crate) rumors: Rumors,
    /// How often a change is told.
    pub(crate) max_told: u32,
    /// When the status of a member goes a step further.
    pub(crate) timers: BTreeSet<(u64, Id)>,
    /// Members whose place in the ring may be another; and whether their identity is.
    pub(crate) touched: Vec<(Id, bool)>,
    pub(crate) ring_len: usize,
    pub(crate) ring_checksum: Cell<Option<u32>>,

    pub(crate) hash: RingHash,
    pub(crate) hash_is_known: bool,
    pub(crate) default_form: Form,

    pub(crate) phase: Phase,
    pub(crate) seeds: Vec<String>,
    pub(crate) next_id: u64,
    pub(crate) pending: Vec<Pending>,
    pub(crate) gossip: Gossip,
    pub(crate) health: u32,
    pub(crate) errands: Vec<Errand>,
    /// Who has pinged before this member was ready.
    pub(crate) early_callers: Vec<Arc<str>>,
    pub(crate) synced: BTreeMap<Arc<str>, Synced>,
    pub(crate) healer: Healer,
    pub(crate) damper: Damper,
    pub(crate) next_report: Option<u64>,
    pub(crate) client_rate: Meter,
    pub(crate) server_rate: Meter,
}

impl Swim {
    /// A member that knows nobody yet. Its seeds start it ([`Input::Seeds`]). The seed of its
    /// chances should differ from member to member.
    pub fn new(config: Config, now: Now, seed: u64) -> Result<Swim, ConfigError> {
        config.check()?;
        let mut random = Random::new(seed);
        let mut members = Members::default();
        let me: Arc<str> = config.address.as_str().into();
        let incarnation = now.wall_ms.min(crate::limits::INCARNATION);
        let mut member = Member::new(me.clone(), Status::Alive, incarnation);
        member.labels = own_labels(&config.labels, config.identity.as_deref());
        let my_id = members.insert(member, &mut random);
        let hash = config.hash.unwrap_or_default();
        Ok(Swim {
            me,
            my_id,
            random,
            now,
            out: Vec::new(),
            members,
            rumors: Rumors::default(),
            max_told: config.piggyback_factor,
            timers: BTreeSet::new(),
            touched: vec![(my_id, false)],
            ring_len: 0,
            ring_checksum: Cell::new(None),
            hash,
            hash_is_known: config.hash.is_some(),
            default_form: Form::new(hash, config.style),
            phase: Phase::Idle,
            seeds: Vec::new(),
            next_id: 0,
            pending: Vec::new(),
            gossip: Gossip::default(),
            health: 0,
            errands: Vec::new(),
            early_callers: Vec::new(),
            synced: BTreeMap::new(),
            healer: Healer::default(),
            damper: Damper::default(),
            next_report: None,
            client_rate: Meter::new(now.ms),
            server_rate: Meter::new(now.ms),
            config,
        })
    }

    /// Takes what happened, and appends what follows from it.
    pub fn handle(&mut self, now: Now, input: Input<'_>, out: &mut Vec<Output>) {
        self.begin(now, out);
        match input {
            Input::Seeds(seeds) => self.take_seeds(seeds),
            Input::Request {
                token,
                endpoint,
                body,
            } => self.serve(token, endpoint, body),
            Input::Response { id, body } => self.answered(id, Ok(body)),
            Input::Failure { id, failure } => self.answered(id, Err(failure)),
            Input::Command { token, command } => self.obey(token, command),
            Input::Peer { address, form } => self.learn_form(address, form),
        }
        self.end(out);
    }

    /// Does what is due. Earlier than [`Swim::next_wake`] there is nothing to do.
    pub fn wake(&mut self, now: Now, out: &mut Vec<Output>) {
        self.begin(now, out);
        self.expire_requests();
        self.run_timers();
        self.bootstrap_on_time();
        self.gossip_on_time();
        self.heal_on_time();
        self.damp_on_time();
        self.report_on_time();
        self.end(out);
    }

    /// When [`Swim::wake`] is to be called next, by the clock of [`Now::ms`]. It may change with
    /// every input.
    pub fn next_wake(&self) -> Option<u64> {
        [
            self.pending.iter().map(|pending| pending.deadline).min(),
            self.timers.first().map(|(at, _)| *at),
            self.bootstrap_wake(),
            self.gossip.next_at,
            self.healer.next_wake(),
            self.damper.next_at,
            self.next_report,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn begin(&mut self, now: Now, out: &mut Vec<Output>) {
        // A clock that goes back would end no timeout.
        self.now = Now {
            ms: now.ms.max(self.now.ms),
            ..now
        };
        std::mem::swap(&mut self.out, out);
    }

    fn end(&mut self, out: &mut Vec<Output>) {
        self.settle_ring();
        std::mem::swap(&mut self.out, out);
    }

    /// What it was made with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// This member's address.
    pub fn whoami(&self) -> &Arc<str> {
        &self.me
    }

    /// This member's state as the others shall hold it.
    pub fn state(&self) -> MemberState {
        self.members.get(self.my_id).state()
    }

    /// Whether the bootstrap is over, and it was not evicted since.
    pub fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready)
    }

    /// Whether it pings by the clock.
    pub fn is_gossiping(&self) -> bool {
        self.gossip.on
    }

    /// All members, this one and those that are gone included, in the order of addresses.
    pub fn members(&self) -> impl ExactSizeIterator<Item = MemberState> {
        self.members.iter().map(Member::state)
    }

    /// What is held of a member.
    pub fn member(&self, address: &str) -> Option<MemberState> {
        let id = self.members.find(address)?;
        Some(self.members.get(id).state())
    }

    /// How many members have this status.
    pub fn count(&self, status: Status) -> usize {
        self.members.count(status)
    }

    /// How many members are known, this one and those that are gone included. Never 0.
    pub fn known(&self) -> usize {
        self.members.len()
    }

    /// The membership checksum in a form. It is computed when it is asked for after a change.
    pub fn checksum(&self, form: Form) -> u32 {
        self.members.checksum(form)
    }

    /// This member's own form of checksums: that of the ring's hash function, and of the peers
    /// that it met first, or [`Config::style`].
    pub fn form(&self) -> Form {
        self.default_form
    }

    /// The form that a peer uses, as far as is known. The style tells which program it runs:
    /// ringpop-node speaks `raw`, ringpop-go `json`.
    pub fn peer_form(&self, address: &str) -> Option<Form> {
        self.members.get(self.members.find(address)?).form
    }

    /// The hash function of ring and checksums. A member that was not told which takes that of the
    /// first peer that knows, be it after the bootstrap: until then it is provisional.
    pub fn hash(&self) -> RingHash {
        self.hash
    }

    /// The addresses of those in the ring, in order.
    pub fn ring(&self) -> impl Iterator<Item = &Arc<str>> {
        let ringed = self.members.iter().filter(|member| member.ringed);
        ringed.map(|member| &member.address)
    }

    /// The ring checksum: that of [`heeler_ring::Ring`] with the same members.
    pub fn ring_checksum(&self) -> u32 {
        if let Some(checksum) = self.ring_checksum.get() {
            return checksum;
        }
        let mut text = String::with_capacity(self.ring_len * 24);
        for address in self.ring() {
            if !text.is_empty() {
                text.push(';');
            }
            text.push_str(address);
        }
        let checksum = self.hash.hash(text.as_bytes());
        self.ring_checksum.set(Some(checksum));
        checksum
    }

    /// The seeds as they were given last.
    pub fn seeds(&self) -> &[String] {
        &self.seeds
    }

    /// Lifeguard's health score: 0 is well, [`crate::Lifeguard::max_health_score`] is in trouble.
    pub fn health_score(&self) -> u32 {
        self.health
    }

    /// How many changes are still told. A cluster in which nothing happens has none.
    pub fn rumors(&self) -> usize {
        self.rumors.len()
    }

    pub(crate) fn incarnation(&self) -> u64 {
        self.members.get(self.my_id).incarnation
    }

    pub(crate) fn my_status(&self) -> Status {
        self.members.get(self.my_id).status
    }

    /// A number that none before had.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.out.push(Output::Event(event));
    }

    pub(crate) fn count_one(&mut self, name: &'static str) {
        self.out.push(Output::Stat(Stat::Count(name, 1)));
    }

    pub(crate) fn gauge(&mut self, name: &'static str, value: f64) {
        self.out.push(Output::Stat(Stat::Gauge(name, value)));
    }

    pub(crate) fn time(&mut self, name: &'static str, since: u64) {
        let took = self.now.ms.saturating_sub(since);
        self.out.push(Output::Stat(Stat::Time(name, took)));
    }

    /// The checksum for a peer, in its form.
    pub(crate) fn checksum_for(&mut self, form: Form) -> u32 {
        let known = self.members.has_checksum(form);
        let checksum = self.members.checksum(form);
        if !known {
            self.count_one("membership.checksum-computed");
            if form == self.default_form {
                self.gauge("checksum", f64::from(checksum));
                self.event(Event::ChecksumComputed { checksum });
            }
        }
        checksum
    }

    /// Reports checksums as gauges, time and again.
    fn report_on_time(&mut self) {
        if self.next_report.is_none_or(|at| at > self.now.ms) {
            return;
        }
        self.next_report = Some(self.now.ms + self.config.checksum_report_ms.max(10));
        let form = self.default_form;
        let checksum = self.checksum_for(form);
        self.gauge("membership.checksum-periodic", f64::from(checksum));
        self.gauge("ring.checksum-periodic", f64::from(self.ring_checksum()));
    }
}

/// Labels with the identity among them; `None` if there are none.
pub(crate) fn own_labels(labels: &Labels, identity: Option<&str>) -> Option<Arc<Labels>> {
    let mut labels = labels.clone();
    if let Some(identity) = identity {
        labels.insert(Labels::IDENTITY.into(), identity.into());
    }
    (!labels.is_empty()).then(|| Arc::new(labels))
}
