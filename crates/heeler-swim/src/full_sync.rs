//! When checksums differ and there is nothing to tell: the whole list, both ways.

use std::sync::Arc;

use crate::body::JoinResponse;
use crate::pending::{Pending, Purpose};
use crate::swim::Swim;
use crate::updates::Origin;
use crate::{Endpoint, Event, Failure, Form, limits};

/// The last full sync for a peer. The same again for the same checksums would bring nothing new, if
/// the first has arrived, and so comes later and later.
#[derive(Debug, Clone)]
pub(crate) struct Synced {
    theirs: u64,
    ours: u32,
    not_before: u64,
    doublings: u32,
}

impl Synced {
    const FIRST_PAUSE_MS: u64 = 1000;
    const DOUBLINGS: u32 = 6;
}

/// Time for an answer to a join in a reverse full sync (ringpop-go; ringpop-node waits 30 s).
const REVERSE_TIMEOUT_MS: u64 = 1000;

impl Swim {
    /// Whether a caller that nothing is to be told holds another list, and the whole one is due.
    pub(crate) fn needs_full_sync(&mut self, caller: &str, theirs: u64) -> bool {
        let id = self.members.find(caller);
        let known = id.and_then(|id| self.members.get(id).form);
        let form = known.unwrap_or(self.default_form);
        let ours = self.checksum_for(form);
        if u64::from(ours) == theirs {
            if known.is_none() {
                self.learn_form(caller, form);
            }
            self.synced.remove(caller);
            return false;
        }
        // Other forms are tried only where that is likely to help: each is a hash of all members.
        let last = self.synced.get(caller);
        let in_vain = last.is_some_and(|last| (last.theirs, last.ours) == (theirs, ours));
        if (known.is_none() || in_vain) && self.agrees_in_another(caller, theirs) {
            self.synced.remove(caller);
            return false;
        }
        if !self.full_sync_is_due(caller, theirs, ours) {
            self.count_one("full-sync.omitted");
            return false;
        }
        self.count_one("full-sync");
        let peer: Arc<str> = caller.into();
        let theirs = theirs.min(u32::MAX.into()) as u32;
        self.event(Event::FullSync { peer, theirs, ours });
        true
    }

    /// Whether a checksum is right in a form in which the caller was not known to write.
    fn agrees_in_another(&mut self, caller: &str, checksum: u64) -> bool {
        let right = |form: &Form| u64::from(self.members.checksum(*form)) == checksum;
        match Form::ALL.into_iter().find(right) {
            Some(form) => {
                self.learn_form(caller, form);
                true
            }
            None => false,
        }
    }

    /// Remembers the form that a peer uses.
    pub(crate) fn learn_form(&mut self, peer: &str, form: Form) {
        let Some(id) = self.members.find(peer).filter(|id| *id != self.my_id) else {
            return;
        };
        let old = self.members.get_mut(id).form.replace(form);
        if old == Some(form) || form.hash == self.hash {
            return;
        }
        let peer = self.address_of(id);
        match self.hash_is_known {
            true => self.event(Event::HashDiffers { peer, form }),
            // Who does not know its own has the default, as this member: the peer knows.
            false => self.take_hash(peer, form),
        }
    }

    /// From now on the ring's hash function is that of a peer.
    fn take_hash(&mut self, peer: Arc<str>, form: Form) {
        self.hash_is_known = true;
        self.hash = form.hash;
        self.default_form = form;
        self.ring_checksum.set(None);
        self.event(Event::HashDetected { peer, form });
    }

    fn full_sync_is_due(&mut self, caller: &str, theirs: u64, ours: u32) -> bool {
        let now = self.now.ms;
        if let Some(last) = self.synced.get_mut(caller) {
            let same = (last.theirs, last.ours) == (theirs, ours);
            if same && now < last.not_before {
                return false;
            }
            last.doublings = if same {
                (last.doublings + 1).min(Synced::DOUBLINGS)
            } else {
                0
            };
            (last.theirs, last.ours) = (theirs, ours);
            last.not_before = now + (Synced::FIRST_PAUSE_MS << last.doublings);
            return true;
        }
        if self.synced.len() >= limits::SYNCED_PEERS {
            self.synced.retain(|_, last| last.not_before > now);
        }
        if self.synced.len() < limits::SYNCED_PEERS {
            let last = Synced {
                theirs,
                ours,
                not_before: now + Synced::FIRST_PAUSE_MS,
                doublings: 0,
            };
            self.synced.insert(caller.into(), last);
        }
        true
    }

    /// Fetches the list of a peer that is given ours: it may know what nobody tells any more.
    pub(crate) fn reverse_full_sync(&mut self, peer: &str) {
        let reverse = |pending: &&Pending| matches!(pending.purpose, Purpose::ReverseFullSync);
        let under_way = self.pending.iter().filter(reverse).count();
        let again = self
            .pending
            .iter()
            .filter(reverse)
            .any(|pending| *pending.to == *peer);
        if again || under_way >= limits::REVERSE_FULL_SYNCS {
            self.count_one("full-sync.reverse-omitted");
            return;
        }
        let body = (self.join_request(), Vec::new());
        let peer: Arc<str> = peer.into();
        let purpose = Purpose::ReverseFullSync;
        if self.send(&peer, Endpoint::Join, body, REVERSE_TIMEOUT_MS, purpose) {
            self.count_one("full-sync.reverse");
            self.gauge("full-sync.reverse-jobs", (under_way + 1) as f64);
        }
    }

    pub(crate) fn reverse_synced(&mut self, pending: &Pending, outcome: Result<&[u8], Failure>) {
        self.time("full-sync.reverse", pending.sent_at);
        let list = outcome.ok().and_then(|body| JoinResponse::parse(body).ok());
        let Some(list) = list.filter(|list| self.same_app(list)) else {
            self.count_one("full-sync.reverse.failed");
            return;
        };
        let changes = list.membership.as_deref().unwrap_or_default();
        if self.apply(changes, &pending.to, Origin::Gossip) == 0 {
            self.count_one("full-sync.redundant-reverse");
        }
        self.learn_from_list(&pending.to, &list);
    }

    /// Whether a list is that of a member of the same application. Ringpop always says so.
    pub(crate) fn same_app(&self, list: &JoinResponse<'_>) -> bool {
        let same = list.app.as_deref().is_none_or(|app| app == self.config.app);
        same && list.membership.is_some()
    }

    /// Finds out the form of a peer from its list and the checksum that it says it has.
    pub(crate) fn learn_from_list(&mut self, peer: &Arc<str>, list: &JoinResponse<'_>) {
        let Some(form) = detect(list) else {
            return;
        };
        self.learn_form(peer, form);
        if !self.hash_is_known && list.hash_is_provisional != Some(true) {
            self.take_hash(peer.clone(), form);
        }
    }
}

fn detect(list: &JoinResponse<'_>) -> Option<Form> {
    let checksum = u32::try_from(list.checksum?).ok()?;
    let members = list.membership.as_deref()?.iter().map(|change| {
        let (status, incarnation) = (change.status?, change.incarnation?);
        Some((
            &*change.address,
            status,
            incarnation,
            change.labels.as_ref(),
        ))
    });
    Form::detect(members.collect::<Option<Vec<_>>>()?, checksum)
}
