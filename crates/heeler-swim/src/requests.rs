//! The questions of peers, and the answers.

use std::borrow::Cow;
use std::sync::Arc;

use crate::body::{DampReqRequest, JoinRequest, PingReqRequest, PingRequest};
use crate::bootstrap::Phase;
use crate::config::is_host_port;
use crate::json::{number, text_field};
use crate::pending::{Pending, Purpose, Relay};
use crate::swim::Swim;
use crate::updates::Origin;
use crate::{Endpoint, Failure, Fault, Output, Token, limits};

impl Swim {
    pub(crate) fn serve(&mut self, token: Token, endpoint: Endpoint, body: &[u8]) {
        self.server_rate.mark(self.now.ms);
        let result = match endpoint {
            Endpoint::Join => self.serve_join(body).map(Some),
            Endpoint::Ping => self.serve_ping(body).map(Some),
            Endpoint::PingReq => self.serve_ping_req(token, body),
            Endpoint::DampReq => self.serve_damp_req(body).map(Some),
        };
        match result {
            Ok(Some(body)) => self.respond(token, Ok(body)),
            Ok(None) => {}
            Err(fault) => self.respond(token, Err(fault.to_body())),
        }
    }

    fn respond(&mut self, token: Token, result: Result<Vec<u8>, Vec<u8>>) {
        self.out.push(Output::Respond { token, result });
    }

    fn serve_join(&mut self, body: &[u8]) -> Result<Vec<u8>, Fault> {
        self.count_one("join.recv");
        let join = JoinRequest::parse(body).map_err(|e| Fault::body("join", e.to_string()))?;
        let app = needed("join", "app", join.app)?;
        let source = needed("join", "source", join.source)?;
        if join.incarnation.is_none_or(|incarnation| incarnation == 0) {
            return Err(Fault::required("join", "incarnationNumber"));
        }
        if self.config.deny_joins {
            return Err(Fault::deny_join());
        }
        if *source == *self.me {
            return Err(Fault::self_join(&source));
        }
        if source.len() > limits::ADDRESS_BYTES || !is_host_port(&source) {
            return Err(Fault::join_source(&cut(&source)));
        }
        if app != self.config.app {
            return Err(Fault::app("join", &self.config.app, &cut(&app)));
        }
        let known = self.members.find(&source);
        let form = known.map_or(self.default_form, |id| self.form_of(id));
        Ok(self.join_answer(form))
    }

    fn check_ready(&mut self, stat: &'static str) -> Result<(), Fault> {
        if matches!(self.phase, Phase::Ready | Phase::Evicted) {
            return Ok(());
        }
        self.count_one(stat);
        Err(Fault::not_ready())
    }

    fn check_app(&self, verb: &str, app: Option<&str>) -> Result<(), Fault> {
        match app.filter(|app| !app.is_empty()) {
            Some(app) if app != self.config.app => {
                Err(Fault::app(verb, &self.config.app, &cut(app)))
            }
            None if self.config.require_app => Err(Fault::required(verb, "app")),
            _ => Ok(()),
        }
    }

    fn serve_ping(&mut self, body: &[u8]) -> Result<Vec<u8>, Fault> {
        self.count_one("ping.recv");
        let ready = self.check_ready("not-ready.ping");
        let ping = PingRequest::parse(body).map_err(|e| Fault::body("ping", e.to_string()));
        if ready.is_err() {
            let source = ping.ok().and_then(|ping| ping.source);
            self.remember_caller(&source.unwrap_or_default());
            return Err(Fault::not_ready());
        }
        let ping = ping?;
        let source = address("ping", "source", ping.source)?;
        let changes = ping
            .changes
            .ok_or_else(|| Fault::required("ping", "changes"))?;
        let checksum = checksum("ping", ping.checksum)?;
        self.check_app("ping", ping.app.as_deref())?;
        self.apply(&changes, &source, Origin::Gossip);
        let mut body = Vec::with_capacity(64);
        let whole = self.begin_answer((&source, ping.source_incarnation), checksum, &mut body);
        body.push(b'}');
        if whole && *source != *self.me {
            self.reverse_full_sync(&source);
        }
        Ok(body)
    }

    /// The answer comes when the target has been pinged.
    fn serve_ping_req(&mut self, token: Token, body: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        self.count_one("ping-req.recv");
        self.check_ready("not-ready.ping-req")?;
        let ask =
            PingReqRequest::parse(body).map_err(|e| Fault::body("ping-req", e.to_string()))?;
        let source = address("ping-req", "source", ask.source)?;
        let target = address("ping-req", "target", ask.target)?;
        let changes = ask
            .changes
            .ok_or_else(|| Fault::required("ping-req", "changes"))?;
        let checksum = checksum("ping-req", ask.checksum)?;
        self.check_app("ping-req", ask.app.as_deref())?;
        self.apply(&changes, &source, Origin::Gossip);
        let relay = Relay {
            token,
            caller: source.into_owned(),
            caller_incarnation: ask.source_incarnation,
            caller_checksum: checksum,
        };
        if *target == *self.me {
            return Ok(Some(self.relay_answer(&relay, true, &target)));
        }
        let relays = |pending: &&Pending| matches!(pending.purpose, Purpose::Relay(_));
        if self.pending.iter().filter(relays).count() >= limits::RELAYED_PINGS {
            return Err(Fault::busy());
        }
        self.relay(relay, &target)?;
        Ok(None)
    }

    fn relay(&mut self, relay: Relay, target: &str) -> Result<(), Fault> {
        let to: Arc<str> = target.into();
        let message = self.ping_for(target);
        self.count_one("ping.send");
        let timeout = self.config.ping_timeout_ms;
        let purpose = Purpose::Relay(Box::new(relay));
        match self.send(&to, Endpoint::Ping, message, timeout, purpose) {
            true => Ok(()),
            false => Err(Fault::busy()),
        }
    }

    pub(crate) fn relayed(&mut self, pending: Pending, outcome: Result<&[u8], Failure>) {
        self.time("ping-req-ping", pending.sent_at);
        let alive = self.take_ping_answer(&pending, outcome);
        if let Purpose::Relay(relay) = &pending.purpose {
            let body = self.relay_answer(relay, alive, &pending.to);
            self.respond(relay.token, Ok(body));
        }
    }

    fn relay_answer(&mut self, relay: &Relay, alive: bool, target: &str) -> Vec<u8> {
        let mut body = Vec::with_capacity(128);
        let caller = (relay.caller.as_str(), relay.caller_incarnation);
        self.begin_answer(caller, relay.caller_checksum, &mut body);
        body.extend_from_slice(b",\"pingStatus\":");
        body.extend_from_slice(if alive { b"true" } else { b"false" });
        text_field(&mut body, ",\"target\":", target);
        body.push(b'}');
        body
    }

    fn serve_damp_req(&mut self, body: &[u8]) -> Result<Vec<u8>, Fault> {
        self.count_one("damp-req.recv");
        let ask =
            DampReqRequest::parse(body).map_err(|e| Fault::body("damp-req", e.to_string()))?;
        let flappers = ask
            .flappers
            .ok_or_else(|| Fault::required("damp-req", "flappers"))?;
        if flappers.len() > limits::FLAPPERS {
            let max = limits::FLAPPERS;
            let reason = format!(
                "{} flappers are asked for, of at most {max}",
                flappers.len()
            );
            return Err(Fault::body("damp-req", reason));
        }
        let mut body = b"{\"scores\":[".to_vec();
        let known = flappers
            .iter()
            .filter_map(|flapper| self.members.find(flapper));
        for (i, id) in known.enumerate() {
            if i > 0 {
                body.push(b',');
            }
            text_field(&mut body, "{\"member\":", &self.members.get(id).address);
            body.extend_from_slice(b",\"dampScore\":");
            number(&mut body, self.damp_score(id).into());
            body.push(b'}');
        }
        body.extend_from_slice(b"]}");
        Ok(body)
    }
}

/// A text that must be there, and not empty.
fn needed<'a>(verb: &str, field: &str, value: Option<Cow<'a, str>>) -> Result<Cow<'a, str>, Fault> {
    let value = value.filter(|value| !value.is_empty());
    value.ok_or_else(|| Fault::required(verb, field))
}

/// An address that must be there.
fn address<'a>(
    verb: &str,
    field: &str,
    value: Option<Cow<'a, str>>,
) -> Result<Cow<'a, str>, Fault> {
    let address = needed(verb, field, value)?;
    if address.len() > limits::ADDRESS_BYTES || address.chars().any(char::is_control) {
        return Err(Fault::body(verb, format!("{field} is no address")));
    }
    Ok(address)
}

/// A checksum that must be there. 0 counts as missing, as in Ringpop.
fn checksum(verb: &str, value: Option<u64>) -> Result<u64, Fault> {
    let value = value.filter(|value| *value != 0);
    value.ok_or_else(|| Fault::required(verb, "checksum"))
}

/// As much of a text of a stranger as an error repeats.
fn cut(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(limits::ADDRESS_BYTES) {
        None => text.into(),
        Some((at, _)) => format!("{}...", &text[..at]).into(),
    }
}
