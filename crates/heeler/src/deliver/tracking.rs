//! CLIENT TRACKING, CACHING, GETREDIR and TRACKINGINFO.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::overlap::{Overlap, overlap};
use super::{Caller, Door, Ring};
use crate::command::number::integer;
use crate::command::{Command, Id, OwnedCommand, Reply};
use crate::pubsub::Tracker;
use crate::route::Part;
use crate::store::{Reader, Store};
use crate::wire::resp::Asker;

/// How a connection keeps copies of values.
#[derive(Debug)]
pub(super) struct Copies {
    tracker: Arc<Tracker>,
    mode: Mode,
    /// CLIENT CACHING was said for the next command, or transaction.
    exception: bool,
    /// None of which begins with another, but for the empty one of who has asked for all keys.
    prefixes: BTreeSet<Box<[u8]>>,
}

/// Of which keys a client keeps copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Of all that it reads.
    Read,
    /// Of those alone that it reads after CLIENT CACHING YES.
    OptIn,
    /// Of all that it reads but after CLIENT CACHING NO.
    OptOut,
    /// Of any keys with its prefixes.
    Broadcast,
}

impl Copies {
    /// The client, for the store.
    pub(super) fn reader(&self) -> Reader<'_> {
        Reader {
            tracker: &self.tracker,
            client: self.tracker.id,
            read: 0,
            remembers: match self.mode {
                Mode::Read => true,
                Mode::OptIn => self.exception,
                Mode::OptOut => !self.exception,
                Mode::Broadcast => false,
            },
        }
    }
}

impl Caller {
    /// A command has run: what CLIENT CACHING said before it is over, and what it has changed
    /// itself is told right after its reply.
    #[inline]
    pub(super) fn has_run(&mut self, command: &Command<'_>) {
        let Some(copies) = &mut self.copies else {
            return;
        };
        let is_about_client = command.spec.name.starts_with("client|");
        if !is_about_client && self.session.transaction.is_none() {
            copies.exception = false;
        }
        self.take_all_messages();
    }
}

impl Door {
    /// Answers one of these commands.
    pub(super) fn tracking(
        &self,
        caller: &mut Caller,
        store: &Store,
        command: &Command<'_>,
    ) -> Reply {
        match command.spec.id {
            Id::ClientCaching => caching(caller, command.arg(2)),
            Id::ClientGetredir => Reply::Int(redirection(caller)),
            Id::ClientTrackinginfo => told(caller),
            _ => match Request::parse(self, command) {
                Ok(request) if request.is_on => {
                    match self.start_tracking(caller, store, &request) {
                        Ok(added) => {
                            self.tracks_in_ring(caller, &added, true);
                            Reply::OK
                        }
                        Err(refused) => refused,
                    }
                }
                Ok(_) => {
                    self.stop_tracking(caller, store);
                    Reply::OK
                }
                Err(refused) => refused,
            },
        }
    }

    /// CLIENT TRACKING at a node of a ring. `None`: the reply comes once all know the prefixes.
    pub(super) fn track_in_ring(
        &self,
        caller: &mut Caller,
        (ring, store): (&Ring, &Store),
        command: &Command<'_>,
    ) -> Option<Reply> {
        if self.waits_its_turn(caller, command) {
            return None;
        }
        let request = match Request::parse(self, command) {
            Ok(request) if request.is_on => request,
            Ok(_) => {
                self.stop_tracking(caller, store);
                return Some(Reply::OK);
            }
            Err(refused) => return Some(refused),
        };
        let version = match self.start_tracking(caller, store, &request) {
            Ok(added) => self.tracks_in_ring(caller, &added, false),
            Err(refused) => return Some(refused),
        };
        if !request.broadcasts {
            return Some(Reply::OK);
        }
        let (keyspace, client) = (ring.keyspace.clone(), caller.session.id);
        self.run_errand_to(caller, ring, command, async move {
            let nodes = keyspace.members.picture();
            let others = nodes
                .addresses()
                .filter(|address| &***address != keyspace.members.me());
            let others: Vec<Arc<str>> = others.cloned().collect();
            keyspace.tracking.are_known(version, client, &others).await;
            Reply::OK
        });
        None
    }

    /// The other nodes are to tell of changes, too, with these prefixes beside those before.
    /// Returns from which version of the prefixes on they do. `is_told`: the client counts on that
    /// from now on.
    fn tracks_in_ring(&self, caller: &Caller, added: &[Box<[u8]>], is_told: bool) -> u64 {
        match (&self.ring, &caller.copies) {
            (Some(ring), Some(copies)) => {
                let tracking = &ring.keyspace.tracking;
                tracking.begin(&copies.tracker, added, is_told)
            }
            _ => 0,
        }
    }

    /// What another node has to know of the client that a command comes from.
    #[inline]
    pub(super) fn asker(&self, caller: &Caller, command: &Command<'_>) -> Option<Asker> {
        let (copies, ring) = (caller.copies.as_ref()?, self.ring.as_ref()?);
        ring.keyspace.tracking.asker(command, copies.reader())
    }

    /// The same of a transaction.
    pub(super) fn asker_of_all(&self, caller: &Caller, all: &[OwnedCommand]) -> Option<Asker> {
        let askers = all.iter().map(|c| self.asker(caller, &c.as_command()));
        askers.flatten().max_by_key(|asker| asker.read)
    }

    /// Has the parts of a command say who asks.
    #[inline]
    pub(super) fn say_who_asks(&self, caller: &Caller, command: &Command<'_>, parts: &mut [Part]) {
        if let Some(asker) = self.asker(caller, command) {
            for part in parts {
                part.request = asker.before(&part.request);
            }
        }
    }

    /// Ends the keeping of copies.
    pub(super) fn stop_tracking(&self, caller: &mut Caller, store: &Store) {
        let Some(copies) = caller.copies.take() else {
            return;
        };
        store.stop_tracking(&copies.tracker);
        if let Some(ring) = &self.ring {
            ring.keyspace.tracking.end(&copies.tracker);
        }
        self.process.clients.tracks(caller.session.id, None);
    }

    /// Returns the prefixes that are new.
    fn start_tracking(
        &self,
        caller: &mut Caller,
        store: &Store,
        request: &Request<'_>,
    ) -> Result<Vec<Box<[u8]>>, Reply> {
        if let Some(refused) = request.refused(caller.copies.as_deref()) {
            return Err(Reply::error(refused));
        }
        let mode = request.mode();
        let mut added: Vec<Box<[u8]>> = request.prefixes.iter().map(|p| (*p).into()).collect();
        if mode == Mode::Broadcast && added.is_empty() {
            added.push(Box::default());
        }
        let target = request
            .redirection
            .map(|to| (to, self.process.exchange.clone()));
        let copies = match &mut caller.copies {
            // It has copies of what it has read before.
            Some(copies) => {
                copies.tracker.set(request.ignores_own, target);
                (copies.mode, copies.exception) = (mode, false);
                copies
            }
            None => {
                let inbox = caller.inbox(&self.process.exchange);
                caller.copies.insert(Box::new(Copies {
                    tracker: Arc::new(Tracker::new(inbox, request.ignores_own, target)),
                    mode,
                    exception: false,
                    prefixes: BTreeSet::new(),
                }))
            }
        };
        store.track(&copies.tracker, &added);
        copies.prefixes.extend(added.iter().cloned());
        let broadcasts = mode == Mode::Broadcast;
        let told = Some((&copies.tracker, broadcasts));
        self.process.clients.tracks(caller.session.id, told);
        Ok(added)
    }
}

/// A request, and before it who asks.
pub(super) fn asked_by(asker: Option<Asker>, request: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    match asker {
        None => request,
        Some(asker) => Cow::Owned(asker.before(&request)),
    }
}

/// What CLIENT TRACKING is asked for.
#[derive(Default)]
struct Request<'a> {
    is_on: bool,
    broadcasts: bool,
    opt_in: bool,
    opt_out: bool,
    ignores_own: bool,
    redirection: Option<u64>,
    prefixes: Vec<&'a [u8]>,
}

impl<'a> Request<'a> {
    fn parse(door: &Door, command: &Command<'a>) -> Result<Request<'a>, Reply> {
        let syntax = || Reply::error("ERR syntax error");
        let mut found = Request::default();
        let mut words = command.args(3);
        while let Some(word) = words.next() {
            match word.to_ascii_lowercase().as_slice() {
                b"redirect" if words.len() > 0 => {
                    let to = words.next().unwrap_or_default();
                    found.redirect(door, to)?;
                }
                b"bcast" => found.broadcasts = true,
                b"optin" => found.opt_in = true,
                b"optout" => found.opt_out = true,
                b"noloop" => found.ignores_own = true,
                b"prefix" if words.len() > 0 => found.prefixes.extend(words.next()),
                _ => return Err(syntax()),
            }
        }
        found.is_on = match command.arg(2) {
            w if w.eq_ignore_ascii_case(b"on") => true,
            w if w.eq_ignore_ascii_case(b"off") => false,
            _ => return Err(syntax()),
        };
        Ok(found)
    }

    fn redirect(&mut self, door: &Door, to: &[u8]) -> Result<(), Reply> {
        if self.redirection.is_some() {
            let text = "ERR A client can only redirect to a single other client";
            return Err(Reply::error(text));
        }
        let Some(to) = integer(to) else {
            let text = "ERR value is not an integer or out of range";
            return Err(Reply::error(text));
        };
        let to = u64::try_from(to)
            .ok()
            .filter(|to| door.process.clients.has(*to));
        let text = "ERR The client ID you want redirect to does not exist";
        self.redirection = Some(to.ok_or_else(|| Reply::error(text))?);
        Ok(())
    }

    fn mode(&self) -> Mode {
        match () {
            () if self.broadcasts => Mode::Broadcast,
            () if self.opt_in => Mode::OptIn,
            () if self.opt_out => Mode::OptOut,
            () => Mode::Read,
        }
    }

    /// Why these options cannot be, together or after the ones before.
    fn refused(&self, before: Option<&Copies>) -> Option<String> {
        let was = before.map(|copies| copies.mode);
        let text = match () {
            () if !self.broadcasts && !self.prefixes.is_empty() => {
                "PREFIX option requires BCAST mode to be enabled"
            }
            () if was.is_some_and(|was| (was == Mode::Broadcast) != self.broadcasts) => {
                "You can't switch BCAST mode on/off before disabling tracking for this client, \
                 and then re-enabling it with a different mode."
            }
            () if self.broadcasts && (self.opt_in || self.opt_out) => {
                "OPTIN and OPTOUT are not compatible with BCAST"
            }
            () if self.opt_in && self.opt_out => {
                "You can't specify both OPTIN mode and OPTOUT mode"
            }
            () if self.opt_in && was == Some(Mode::OptOut)
                || self.opt_out && was == Some(Mode::OptIn) =>
            {
                "You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, \
                 and then re-enabling it with a different mode."
            }
            () => return self.overlap(before),
        };
        Some(format!("ERR {text}"))
    }

    /// Two prefixes of which one begins with the other.
    fn overlap(&self, before: Option<&Copies>) -> Option<String> {
        let none = BTreeSet::new();
        let existing = before.map_or(&none, |copies| &copies.prefixes);
        let (prefix, with, other) = match overlap(existing, &self.prefixes)? {
            Overlap::WithExisting(new, old) => (new, "an existing", old),
            Overlap::WithProvided(new, other) => (new, "another provided", other),
        };
        let shown = |prefix: &[u8]| String::from_utf8_lossy(prefix).into_owned();
        Some(format!(
            "ERR Prefix '{}' overlaps with {with} prefix '{}'. Prefixes for a single client must \
             not overlap.",
            shown(prefix),
            shown(other)
        ))
    }
}

fn caching(caller: &mut Caller, word: &[u8]) -> Reply {
    let Some(copies) = &mut caller.copies else {
        return Reply::error(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with \
             OPTIN or OPTOUT mode enabled",
        );
    };
    let (mode, error) = match word {
        w if w.eq_ignore_ascii_case(b"yes") => (
            Mode::OptIn,
            "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.",
        ),
        w if w.eq_ignore_ascii_case(b"no") => (
            Mode::OptOut,
            "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.",
        ),
        _ => return Reply::error("ERR syntax error"),
    };
    if copies.mode != mode {
        return Reply::error(error);
    }
    copies.exception = true;
    Reply::OK
}

/// The connection that gets the messages: 0 for this one, -1 without any.
fn redirection(caller: &Caller) -> i64 {
    let Some(copies) = &caller.copies else {
        return -1;
    };
    copies.tracker.redirected_to().map_or(0, |to| to as i64)
}

fn told(caller: &Caller) -> Reply {
    let mut flags = Vec::new();
    match &caller.copies {
        None => flags.push("off"),
        Some(copies) => {
            flags.push("on");
            match copies.mode {
                Mode::Read => {}
                Mode::Broadcast => flags.push("bcast"),
                Mode::OptIn => {
                    flags.push("optin");
                    flags.extend(copies.exception.then_some("caching-yes"));
                }
                Mode::OptOut => {
                    flags.push("optout");
                    flags.extend(copies.exception.then_some("caching-no"));
                }
            }
            flags.extend(copies.tracker.ignores_own().then_some("noloop"));
            flags.extend(copies.tracker.is_broken().then_some("broken_redirect"));
        }
    }
    let prefixes = caller.copies.iter().flat_map(|copies| &copies.prefixes);
    Reply::Map(vec![
        (
            Reply::bulk("flags"),
            Reply::Set(flags.into_iter().map(Reply::bulk).collect()),
        ),
        (Reply::bulk("redirect"), Reply::Int(redirection(caller))),
        (
            Reply::bulk("prefixes"),
            Reply::Array(prefixes.map(Reply::bulk).collect()),
        ),
    ])
}
