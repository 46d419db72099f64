//! The way of memcached's requests.

use super::{Behind, Caller, Door};
use crate::command::Family;
use crate::route::Route;
use crate::session::Form;
use crate::stats::{ErrorKind, PoolStat};
use crate::wire::memcache::{Quiet, Request, Way};
use crate::wire::{Wire, is_error};

impl Door {
    /// Takes a request of memcached's protocol. Its reply is in the caller's session at once, or
    /// will be after some [`Door::collect`].
    pub fn memcached(&self, now: u64, caller: &mut Caller, request: &Request<'_>) {
        let muted = request.quiet == Quiet::All;
        let family = request.spec.map_or(Family::Unknown, |spec| spec.family);
        self.took(caller, family);
        if self.is_strange(caller) {
            return self.log_in_item(caller, request);
        }
        let mut answer = |reply: &str, failed: Option<ErrorKind>| {
            match muted {
                true => caller.session.pipeline.answer_nothing(),
                false => caller.session.answer_bytes(reply.as_bytes()),
            }
            if let Some(why) = failed {
                self.counters.failed(family, why);
            }
        };
        match (request.refused, request.spec.map(|spec| spec.way)) {
            (Some(refused), _) => {
                self.count(PoolStat::ForwardError, 1);
                return answer(refused, Some(why_refused(request, refused)));
            }
            _ if matches!(self.behind, Behind::Node(_)) => {
                return self.item_request(now, caller, request);
            }
            (None, Some(Way::Here(reply))) => {
                let failed = is_error(reply.as_bytes()).then_some(ErrorKind::Usage);
                return answer(reply, failed);
            }
            (None, Some(Way::Quit)) => {
                caller.session.pipeline.answer_nothing();
                caller.session.closing = true;
                return;
            }
            (None, _) => {}
        }
        let route = match &self.behind {
            Behind::Pool(cluster, _) => {
                let placement = cluster.placement(now);
                placement.route_memcached(request, self.random())
            }
            Behind::Node(_) => None,
        };
        let form = if muted { Form::Dropped } else { Form::AsItIs };
        match route {
            Some(Route::To(to)) => {
                let ticket = caller.session.pipeline.wait(form);
                self.send(now, caller, to, request.raw(), (ticket, 0));
            }
            Some(Route::Parts(parts, gather)) => {
                let ticket = caller.session.pipeline.wait(form);
                self.send_parts(now, caller, &parts, gather, ticket);
            }
            // What nutcracker says when all servers are ejected.
            Some(Route::Here | Route::Refused(_)) | None => {
                self.count(PoolStat::ForwardError, 1);
                let refused = Wire::Memcache.error("Connection refused");
                answer(&refused, Some(ErrorKind::NoServer));
            }
        }
    }
}

/// Why a request is refused where it is read.
fn why_refused(request: &Request<'_>, refused: &str) -> ErrorKind {
    match request.spec {
        None => ErrorKind::Unknown,
        Some(_) if refused.starts_with("SERVER_ERROR") => ErrorKind::Limit,
        Some(_) => ErrorKind::Usage,
    }
}
