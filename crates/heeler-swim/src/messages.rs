//! The bodies that this member sends, written as ringpop-node writes them.

use std::sync::Arc;

use crate::body::write_claim;
use crate::json::{number_field, text_field};
use crate::members::{Id, Member};
use crate::rumors::{Caller, Sent};
use crate::swim::Swim;
use crate::{Form, Status};

impl Swim {
    pub(crate) fn join_request(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(128);
        text_field(&mut body, "{\"app\":", &self.config.app);
        text_field(&mut body, ",\"source\":", &self.me);
        number_field(&mut body, ",\"incarnationNumber\":", self.incarnation());
        if let Some(labels) = &self.members.get(self.my_id).labels {
            body.extend_from_slice(b",\"labels\":");
            crate::body::write_labels(&mut body, labels);
        }
        body.push(b'}');
        body
    }

    pub(crate) fn join_answer(&mut self, form: Form) -> Vec<u8> {
        let mut body = Vec::with_capacity(128 + 128 * self.members.len());
        text_field(&mut body, "{\"app\":", &self.config.app);
        text_field(&mut body, ",\"coordinator\":", &self.me);
        body.extend_from_slice(b",\"membership\":");
        self.write_members(&mut body);
        let checksum = self.checksum_for(form);
        number_field(&mut body, ",\"membershipChecksum\":", checksum.into());
        if !self.hash_is_known {
            body.extend_from_slice(b",\"hashIsProvisional\":true");
        }
        body.push(b'}');
        body
    }

    /// The whole list, as in a join's answer and in a full sync.
    pub(crate) fn write_members(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        for (i, member) in self.members.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            text_field(out, "{\"source\":", &self.me);
            out.push(b',');
            write_member(out, member);
            out.push(b'}');
        }
        out.push(b']');
    }

    /// A ping for the member with this number, and the rumors in it. What the target must know
    /// comes in, though it may have been told often enough.
    pub(crate) fn ping_request(&mut self, target: Id) -> (Vec<u8>, Sent) {
        let mut changes = Vec::new();
        let sent = self.rumors.write_request(&self.members, &mut changes);
        self.add_buddy(target, &sent, &mut changes);
        if !sent.is_empty() {
            self.gauge("changes.disseminate", sent.len() as f64);
        }
        (self.ping_with(self.form_of(target), &changes), sent)
    }

    /// A ping for somebody who need not be a member.
    pub(crate) fn ping_for(&mut self, address: &str) -> (Vec<u8>, Sent) {
        if let Some(id) = self.members.find(address) {
            return self.ping_request(id);
        }
        let mut changes = Vec::new();
        let sent = self.rumors.write_request(&self.members, &mut changes);
        (self.ping_with(self.default_form, &changes), sent)
    }

    /// A ping with these changes, which have commas between them.
    pub(crate) fn ping_with(&mut self, form: Form, changes: &[u8]) -> Vec<u8> {
        let mut body = Vec::with_capacity(192 + changes.len());
        self.begin_ping(form, changes, &mut body);
        text_field(&mut body, ",\"source\":", &self.me);
        text_field(&mut body, ",\"app\":", &self.config.app);
        number_field(
            &mut body,
            ",\"sourceIncarnationNumber\":",
            self.incarnation(),
        );
        body.push(b'}');
        body
    }

    fn begin_ping(&mut self, form: Form, changes: &[u8], body: &mut Vec<u8>) {
        let checksum = self.checksum_for(form);
        number_field(body, "{\"checksum\":", checksum.into());
        body.extend_from_slice(b",\"changes\":[");
        body.extend_from_slice(changes);
        body.push(b']');
    }

    /// With Lifeguard's buddy system: a suspect is told that it is suspected.
    fn add_buddy(&self, target: Id, sent: &Sent, changes: &mut Vec<u8>) {
        let member = self.members.get(target);
        let buddy = self
            .config
            .lifeguard
            .as_ref()
            .is_some_and(|guard| guard.buddy);
        let suspect = member.status == Status::Suspect;
        if !buddy || !suspect || sent.iter().any(|(id, _)| *id == target) {
            return;
        }
        if !changes.is_empty() {
            changes.push(b',');
        }
        text_field(changes, "{\"source\":", &self.me);
        number_field(changes, ",\"sourceIncarnationNumber\":", self.incarnation());
        changes.push(b',');
        write_member(changes, member);
        changes.push(b'}');
    }

    /// A request to ping somebody.
    pub(crate) fn ping_req_request(&mut self, helper: Id, target: &str) -> (Vec<u8>, Sent) {
        let mut changes = Vec::new();
        let sent = self.rumors.write_request(&self.members, &mut changes);
        let mut body = Vec::with_capacity(192 + changes.len());
        self.begin_ping(self.form_of(helper), &changes, &mut body);
        text_field(&mut body, ",\"source\":", &self.me);
        number_field(
            &mut body,
            ",\"sourceIncarnationNumber\":",
            self.incarnation(),
        );
        text_field(&mut body, ",\"target\":", target);
        if self.config.require_app {
            text_field(&mut body, ",\"app\":", &self.config.app);
        }
        body.push(b'}');
        (body, sent)
    }

    /// Begins an answer: `{"changes":[...]`, with what the caller has to know. Returns whether that
    /// is the whole list.
    pub(crate) fn begin_answer(
        &mut self,
        caller: Caller<'_>,
        caller_checksum: u64,
        body: &mut Vec<u8>,
    ) -> bool {
        body.extend_from_slice(b"{\"changes\":[");
        let (written, filtered) =
            self.rumors
                .write_answer(&mut self.members, caller, self.max_told, body);
        if filtered > 0 {
            self.count_one("filtered-change");
        }
        if written > 0 {
            self.gauge("changes.disseminate", written as f64);
            body.push(b']');
            return false;
        }
        if !self.needs_full_sync(caller.0, caller_checksum) {
            body.push(b']');
            return false;
        }
        body.pop();
        self.write_members(body);
        true
    }

    pub(crate) fn form_of(&self, id: Id) -> Form {
        self.members.get(id).form.unwrap_or(self.default_form)
    }

    pub(crate) fn address_of(&self, id: Id) -> Arc<str> {
        self.members.get(id).address.clone()
    }
}

pub(crate) fn write_member(out: &mut Vec<u8>, member: &Member) {
    let labels = member.labels.as_deref();
    write_claim(
        out,
        &member.address,
        member.status,
        member.incarnation,
        labels,
    );
}
