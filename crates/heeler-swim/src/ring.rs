//! What outside is told of the ring.

use heeler_ring::Member as RingMember;

use crate::bootstrap::Phase;
use crate::members::Id;
use crate::rumors::times_to_tell;
use crate::swim::Swim;
use crate::{Damping, Event, Output, Stat};

impl Swim {
    /// Tells of all members at once that came to the ring or went from it.
    pub(crate) fn settle_ring(&mut self) {
        // The ring begins with the whole list.
        if self.touched.is_empty() || matches!(self.phase, Phase::Idle | Phase::Joining(_)) {
            return;
        }
        let (mut added, mut removed, mut renamed) = (Vec::new(), Vec::new(), 0);
        for (id, identity_changed) in std::mem::take(&mut self.touched) {
            let in_ring = self.belongs_to_ring(id);
            let member = self.members.get_mut(id);
            let was = std::mem::replace(&mut member.ringed, in_ring);
            if in_ring && (!was || identity_changed) {
                added.push(match member.identity() {
                    Some(identity) => RingMember::with_identity(&*member.address, identity),
                    None => RingMember::new(&*member.address),
                });
                renamed += usize::from(was);
            } else if was && !in_ring {
                removed.push(member.address.clone());
            }
        }
        self.ring_len = self.ring_len + added.len() - renamed - removed.len();
        if !added.is_empty() || !removed.is_empty() {
            self.max_told = times_to_tell(self.config.piggyback_factor, self.ring_len);
            self.ring_checksum.set(None);
            self.ring_stats(added.len() - renamed, removed.len());
            self.event(Event::RingChanged { added, removed });
            self.seek_soon();
        }
        self.gauge("num-members", self.members.len() as f64);
    }

    fn ring_stats(&mut self, added: usize, removed: usize) {
        self.count_one("ring.changed");
        for (name, n) in [
            ("ring.server-added", added),
            ("ring.server-removed", removed),
        ] {
            if n > 0 {
                self.out.push(Output::Stat(Stat::Count(name, n as u64)));
            }
        }
        self.gauge("max-piggyback", f64::from(self.max_told));
    }

    fn belongs_to_ring(&self, id: Id) -> bool {
        let member = self.members.get(id);
        let damped = self.config.damping == Damping::Act && member.damped();
        member.status.in_ring() && !damped
    }
}
