//! CLIENT TRACKING, CACHING, GETREDIR and TRACKINGINFO.

use std::sync::Arc;

use super::{Caller, Door};
use crate::command::number::integer;
use crate::command::{Command, Id, Reply};
use crate::pubsub::Tracker;
use crate::store::{Reader, Store};

/// How a connection keeps copies of values.
#[derive(Debug)]
pub(super) struct Copies {
    tracker: Arc<Tracker>,
    mode: Mode,
    /// CLIENT CACHING was said for the next command, or transaction.
    exception: bool,
    prefixes: Vec<Box<[u8]>>,
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
                Ok(request) if request.is_on && self.ring.is_some() => Reply::error(
                    "ERR CLIENT TRACKING is not for nodes of a ring: changes of keys that other \
                     nodes own could not be told",
                ),
                Ok(request) if request.is_on => self.start_tracking(caller, store, request),
                Ok(_) => {
                    self.process.clients.tracks(caller.session.id, None);
                    stop(caller, store);
                    Reply::OK
                }
                Err(refused) => refused,
            },
        }
    }

    fn start_tracking(&self, caller: &mut Caller, store: &Store, request: Request<'_>) -> Reply {
        if let Some(refused) = request.refused(caller.copies.as_deref()) {
            return Reply::error(refused);
        }
        let mode = request.mode();
        let mut prefixes: Vec<Box<[u8]>> = request.prefixes.iter().map(|p| (*p).into()).collect();
        if mode == Mode::Broadcast {
            prefixes.extend(
                caller
                    .copies
                    .iter()
                    .flat_map(|c| c.prefixes.iter().cloned()),
            );
            if prefixes.is_empty() {
                prefixes.push(Box::default());
            }
            prefixes.sort();
        }
        stop(caller, store);
        let target = request
            .redirection
            .map(|to| (to, self.process.exchange.clone()));
        let tracker = Tracker::new(
            caller.inbox(&self.process.exchange),
            request.ignores_own,
            target,
        );
        let tracker = Arc::new(tracker);
        let to = tracker.redirected_to().unwrap_or(0);
        let how = Some((to, mode == Mode::Broadcast));
        self.process.clients.tracks(caller.session.id, how);
        store.track(&tracker, &prefixes);
        caller.copies = Some(Box::new(Copies {
            tracker,
            mode,
            exception: false,
            prefixes,
        }));
        Reply::OK
    }
}

/// Ends the keeping of copies.
pub(super) fn stop(caller: &mut Caller, store: &Store) {
    if let Some(copies) = caller.copies.take() {
        store.stop_tracking(&copies.tracker);
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
        let overlap = |a: &[u8], b: &[u8]| a.starts_with(b) || b.starts_with(a);
        let shown = |prefix: &[u8]| String::from_utf8_lossy(prefix).into_owned();
        let rule = "Prefixes for a single client must not overlap.";
        for (i, prefix) in self.prefixes.iter().enumerate() {
            let old = before.into_iter().flat_map(|copies| copies.prefixes.iter());
            if let Some(old) = old.into_iter().find(|old| overlap(old, prefix)) {
                let (prefix, old) = (shown(prefix), shown(old));
                return Some(format!(
                    "ERR Prefix '{prefix}' overlaps with an existing prefix '{old}'. {rule}"
                ));
            }
            if let Some(other) = self.prefixes[i + 1..].iter().find(|p| overlap(p, prefix)) {
                let (prefix, other) = (shown(prefix), shown(other));
                return Some(format!(
                    "ERR Prefix '{prefix}' overlaps with another provided prefix '{other}'. {rule}"
                ));
            }
        }
        None
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
            flags.extend(copies.tracker.ignores_own.then_some("noloop"));
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
