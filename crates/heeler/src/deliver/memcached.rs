//! The way of memcached's requests.

use super::{Behind, Caller, Door};
use crate::route::Route;
use crate::session::Form;
use crate::stats::PoolStat;
use crate::wire::Wire;
use crate::wire::memcache::{Quiet, Request, Way};

impl Door {
    /// Takes a request of memcached's protocol. Its reply is in the caller's session at once, or
    /// will be after some [`Caller::collect`].
    pub fn memcached(&self, now: u64, caller: &mut Caller, request: &Request<'_>) {
        let muted = request.quiet == Quiet::All;
        let mut answer = |reply: &str| {
            if !muted {
                caller.session.answer_bytes(reply.as_bytes());
            }
        };
        match (request.refused, request.spec.map(|spec| spec.way)) {
            (Some(refused), _) => {
                self.count(PoolStat::ForwardError, 1);
                return answer(refused);
            }
            (None, Some(Way::Here(reply))) => return answer(reply),
            (None, Some(Way::Quit)) => {
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
                self.count(PoolStat::Fragments, parts.len() as u64);
                let ticket = caller.session.pipeline.wait(form);
                caller.gathers.push((ticket, gather));
                for (i, part) in parts.iter().enumerate() {
                    self.send(now, caller, part.to, &part.request, (ticket, i as u32));
                }
            }
            // What nutcracker says when all servers are ejected.
            Some(Route::Here | Route::Refused(_)) | None => {
                self.count(PoolStat::ForwardError, 1);
                answer(&Wire::Memcache.error("Connection refused"));
            }
        }
    }
}
