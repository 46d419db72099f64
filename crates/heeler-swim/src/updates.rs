//! How changes are taken: precedence, refutation, and the steps that time takes.

use std::sync::Arc;

use crate::body::Change;
use crate::members::{Id, Member};
use crate::suspicion::Suspicion;
use crate::swim::Swim;
use crate::{Event, Labels, Status, limits, overrides};

/// From where changes come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Told by a peer, and told on.
    Gossip,
    /// The lists of the bootstrap, which are known to all and not told on.
    Bootstrap,
}

impl Swim {
    /// Takes changes as far as they count. Returns how many did.
    pub(crate) fn apply(&mut self, changes: &[Change<'_>], peer: &str, origin: Origin) -> usize {
        let mut applied = 0;
        for change in changes {
            match self.admissible(change) {
                Ok((status, incarnation)) => {
                    applied += usize::from(self.take(change, status, incarnation, peer, origin));
                }
                Err(reason) => self.doubt(peer, reason),
            }
        }
        if applied > 0 {
            self.gauge("changes.apply", applied as f64);
        }
        applied
    }

    pub(crate) fn doubt(&mut self, peer: &str, reason: String) {
        let peer = peer.to_owned();
        self.event(Event::Doubt { peer, reason });
    }

    /// Status and incarnation number of a change, or why it is left out.
    fn admissible(&self, change: &Change<'_>) -> Result<(Status, u64), String> {
        let address = &change.address;
        if address.is_empty() || address.len() > limits::ADDRESS_BYTES {
            return Err(format!("a change of an address of {} bytes", address.len()));
        }
        if address.chars().any(char::is_control) {
            return Err(format!("a change of the address {address:?}"));
        }
        let Some(status) = change.status else {
            return Err(format!("a change of {address} to no status that is known"));
        };
        let Some(incarnation) = change.incarnation else {
            return Err(format!("a change of {address} without incarnationNumber"));
        };
        if incarnation > limits::INCARNATION {
            return Err(format!(
                "a change of {address} with incarnation number {incarnation}"
            ));
        }
        let ahead = incarnation.saturating_sub(self.now.wall_ms);
        if self
            .config
            .refuse_incarnations_ahead_ms
            .is_some_and(|most| ahead > most)
        {
            return Err(format!(
                "an incarnation of {address} that is {ahead} ms ahead"
            ));
        }
        if change.too_many_labels {
            return Err(format!(
                "a change of {address} with too many labels, or too long ones"
            ));
        }
        let long = |text: &Option<_>, max| {
            text.as_ref()
                .is_some_and(|text: &std::borrow::Cow<'_, str>| text.len() > max)
        };
        if long(&change.source, limits::ADDRESS_BYTES) || long(&change.id, limits::CHANGE_ID_BYTES)
        {
            return Err(format!(
                "a change of {address} with too long a source or id"
            ));
        }
        Ok((status, incarnation))
    }

    fn take(
        &mut self,
        change: &Change<'_>,
        status: Status,
        incarnation: u64,
        peer: &str,
        origin: Origin,
    ) -> bool {
        let Some(id) = self.members.find(&change.address) else {
            return self.take_new(change, status, incarnation, peer, origin);
        };
        let member = self.members.get(id);
        let old = (member.incarnation, member.status);
        let counts = overrides((incarnation, status), old)
            || (incarnation, status) == old && newer_labels(change, member);
        if id == self.my_id {
            if counts {
                self.contradict(change, status, incarnation, origin);
            }
            return counts;
        }
        if !counts {
            if old == (incarnation, status) && status == Status::Suspect {
                self.confirm_suspicion(id, change.source.as_deref(), Some(change));
            }
            return false;
        }
        let labels = match &change.labels {
            Some(labels) => (!labels.is_empty()).then(|| Arc::new(labels.clone())),
            // Only the member itself changes its labels, with a new incarnation number. What has
            // none at the same has come through a ringpop-node, which drops them.
            None if incarnation == old.0 => member.labels.clone(),
            None => None,
        };
        self.warn_of_future(change, incarnation, peer);
        if origin == Origin::Gossip {
            self.add_flap(id);
        }
        self.set(id, status, incarnation, labels, change.source.as_deref());
        self.pass_on(id, change, origin);
        true
    }

    fn take_new(
        &mut self,
        change: &Change<'_>,
        status: Status,
        incarnation: u64,
        peer: &str,
        origin: Origin,
    ) -> bool {
        if status == Status::Tombstone {
            return false;
        }
        if self.members.len() >= limits::MEMBERS {
            self.doubt(
                peer,
                format!("{} and there are too many members", change.address),
            );
            return false;
        }
        self.warn_of_future(change, incarnation, peer);
        let mut member = Member::new((*change.address).into(), status, incarnation);
        let labels = change.labels.as_ref().filter(|labels| !labels.is_empty());
        member.labels = labels.map(|labels| Arc::new(labels.clone()));
        let new = member.state();
        let id = self.members.insert(member, &mut self.random);
        self.touched.push((id, false));
        self.schedule(id, change.source.as_deref());
        self.event(Event::MemberChanged { old: None, new });
        self.count_one(update_stat(status, origin));
        self.pass_on(id, change, origin);
        true
    }

    fn warn_of_future(&mut self, change: &Change<'_>, incarnation: u64, peer: &str) {
        if incarnation.saturating_sub(self.now.wall_ms) > limits::INCARNATION_AHEAD_MS {
            let address = &change.address;
            let reason =
                format!("{address} has the incarnation number {incarnation}, a day or more ahead");
            self.doubt(peer, reason);
        }
    }

    /// Tells a change on, as it came but for what its way may have lost.
    fn pass_on(&mut self, id: Id, change: &Change<'_>, origin: Origin) {
        if origin == Origin::Bootstrap {
            return;
        }
        let mut change = change.clone();
        let random = &mut self.random;
        change.id.get_or_insert_with(|| random.uuid().into());
        change.labels = self.members.get(id).labels.as_deref().cloned();
        self.rumors.record(&mut self.members, id, &change);
        self.count_one(update_stat(self.members.get(id).status, origin));
    }

    /// Changes a member, with all that follows but gossip.
    fn set(
        &mut self,
        id: Id,
        status: Status,
        incarnation: u64,
        labels: Option<Arc<Labels>>,
        source: Option<&str>,
    ) {
        let old = self.members.get(id).state();
        self.members.set(id, status, incarnation, labels);
        let member = self.members.get(id);
        let new = member.state();
        let identity = |state: &crate::MemberState| {
            state
                .labels
                .as_ref()
                .and_then(|labels| labels.identity().map(str::to_owned))
        };
        let renamed = identity(&old) != identity(&new);
        if renamed || member.ringed != status.in_ring() {
            self.touched.push((id, renamed));
        }
        self.schedule(id, source);
        self.event(Event::MemberChanged {
            old: Some(old),
            new,
        });
    }

    /// Starts or ends the time after which a member's status goes further.
    fn schedule(&mut self, id: Id, source: Option<&str>) {
        let now = self.now.ms;
        let member = self.members.get_mut(id);
        let status = member.status;
        let after = match status {
            _ if id == self.my_id => None,
            Status::Alive | Status::Leave => None,
            Status::Suspect => Some(self.config.suspect_ms),
            Status::Faulty => Some(self.config.faulty_ms),
            Status::Tombstone => Some(self.config.tombstone_ms),
        };
        if after.is_none() && member.trouble.is_none() {
            return;
        }
        let trouble = member.trouble();
        if after.is_some() && trouble.since == Some(status) {
            return;
        }
        if let Some(old) = trouble.deadline.take() {
            self.timers.remove(&(old, id));
        }
        trouble.since = after.map(|_| status);
        trouble.suspicion = None;
        let Some(after) = after else {
            return;
        };
        let mut deadline = now.saturating_add(after);
        if let Some(guard) = self
            .config
            .lifeguard
            .as_ref()
            .filter(|guard| status == Status::Suspect && guard.suspicion_factor > 0.0)
        {
            let suspicion = Suspicion::new(guard, now, after, self.ring_len, source);
            deadline = suspicion.deadline();
            trouble.suspicion = Some(suspicion);
        }
        trouble.deadline = Some(deadline);
        self.timers.insert((deadline, id));
    }

    /// Takes the word of one more who finds a member suspect. What is news is told on.
    pub(crate) fn confirm_suspicion(
        &mut self,
        id: Id,
        source: Option<&str>,
        change: Option<&Change<'_>>,
    ) {
        let Some(trouble) = self.members.get_mut(id).trouble.as_deref_mut() else {
            return;
        };
        let (Some(suspicion), Some(source)) = (&mut trouble.suspicion, source) else {
            return;
        };
        if !suspicion.confirm(source) {
            return;
        }
        let deadline = suspicion.deadline();
        if let Some(old) = trouble.deadline.replace(deadline) {
            self.timers.remove(&(old, id));
        }
        self.timers.insert((deadline, id));
        match change {
            Some(change) => self.pass_on(id, change, Origin::Gossip),
            None => self.tell_of(id),
        }
    }

    /// Takes the steps that time takes.
    pub(crate) fn run_timers(&mut self) {
        while let Some(&(at, id)) = self.timers.first() {
            if at > self.now.ms {
                return;
            }
            self.timers.remove(&(at, id));
            self.members.get_mut(id).trouble().deadline = None;
            match self.members.get(id).status {
                Status::Suspect => self.declare(id, Status::Faulty),
                Status::Faulty => self.declare(id, Status::Tombstone),
                Status::Tombstone => self.evict(id),
                Status::Alive | Status::Leave => {}
            }
        }
    }

    /// Says something of another member, and tells it.
    pub(crate) fn declare(&mut self, id: Id, status: Status) {
        let member = self.members.get(id);
        let (incarnation, labels) = (member.incarnation, member.labels.clone());
        let me = self.me.clone();
        if status != Status::Tombstone {
            self.add_flap(id);
        }
        self.set(id, status, incarnation, labels, Some(&me));
        self.tell_of(id);
        self.count_one(make_stat(status));
    }

    /// Tells what is held of a member, in this one's name.
    pub(crate) fn tell_of(&mut self, id: Id) {
        let member = self.members.get(id);
        let (address, me) = (member.address.clone(), self.me.clone());
        let change = Change {
            id: Some(self.random.uuid().into()),
            source: Some((&*me).into()),
            source_incarnation: Some(self.incarnation()),
            address: (&*address).into(),
            status: Some(member.status),
            incarnation: Some(member.incarnation),
            labels: member.labels.as_deref().cloned(),
            too_many_labels: false,
        };
        self.rumors.record(&mut self.members, id, &change);
    }

    fn evict(&mut self, id: Id) {
        // What has gone in this moment is told before it is forgotten.
        self.settle_ring();
        self.touched.retain(|(other, _)| *other != id);
        self.rumors.forget(&mut self.members, id);
        self.forget_flapper(id);
        let member = self.members.remove(id);
        self.synced.remove(&member.address);
        self.event(Event::MemberEvicted(member.state()));
    }

    /// Says something new of this member: a status, with an incarnation number above all that were
    /// seen of it.
    pub(crate) fn reincarnate(&mut self, status: Status, seen: u64) {
        let above = seen.max(self.incarnation()).saturating_add(1);
        let incarnation = self.now.wall_ms.max(above).min(limits::INCARNATION);
        let labels = self.members.get(self.my_id).labels.clone();
        let me = self.me.clone();
        self.set(self.my_id, status, incarnation, labels, Some(&me));
        self.tell_of(self.my_id);
    }

    /// Somebody says of this member what is not so.
    fn contradict(&mut self, change: &Change<'_>, status: Status, claimed: u64, origin: Origin) {
        if self.my_status() == Status::Faulty {
            return;
        }
        self.reincarnate(self.my_status(), claimed);
        if origin == Origin::Bootstrap {
            // An older life under the same address: nobody has doubted this one.
            return;
        }
        self.count_one("refuted-update");
        self.note_trouble(1);
        self.event(Event::Refuted {
            status,
            claimed,
            incarnation: self.incarnation(),
            source: change.source.as_deref().map(str::to_owned),
        });
    }
}

/// ringpop-go's last rule: with the same incarnation number and status the labels with the greater
/// checksum count. A change without labels may have lost them on its way and proves nothing.
fn newer_labels(change: &Change<'_>, member: &Member) -> bool {
    change.labels.as_ref().is_some_and(|labels| {
        let held = member.labels.as_ref().map_or(0, |labels| labels.checksum());
        labels.checksum() > held
    })
}

fn update_stat(status: Status, origin: Origin) -> &'static str {
    match (origin, status) {
        (Origin::Gossip, Status::Alive) => "membership-update.alive",
        (Origin::Gossip, Status::Suspect) => "membership-update.suspect",
        (Origin::Gossip, Status::Faulty) => "membership-update.faulty",
        (Origin::Gossip, Status::Leave) => "membership-update.leave",
        (Origin::Gossip, Status::Tombstone) => "membership-update.tombstone",
        (Origin::Bootstrap, Status::Alive) => "membership-set.alive",
        (Origin::Bootstrap, Status::Suspect) => "membership-set.suspect",
        (Origin::Bootstrap, Status::Faulty) => "membership-set.faulty",
        (Origin::Bootstrap, Status::Leave) => "membership-set.leave",
        (Origin::Bootstrap, Status::Tombstone) => "membership-set.tombstone",
    }
}

pub(crate) fn make_stat(status: Status) -> &'static str {
    match status {
        Status::Alive => "make-alive",
        Status::Suspect => "make-suspect",
        Status::Faulty => "make-faulty",
        Status::Leave => "make-leave",
        Status::Tombstone => "make-tombstone",
    }
}
