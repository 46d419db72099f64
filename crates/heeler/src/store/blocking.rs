//! Commands that wait for an element: BLPOP and its kin.
//!
//! At first each does what its sister does that never waits. If there is nothing, the client's
//! [`Waiter`] joins the queues of its keys. A command that changes such a key serves those who wait
//! once it is done itself, before it unlocks the shards: in the order of the changes, and for each
//! key in the order in which they came.

use std::sync::Arc;
use std::task::Waker;

use smallvec::SmallVec;

use super::collection::Collection;
use super::errors::{Error, Outcome};
use super::lists::{self, End, List};
use super::long_double::LongDouble;
use super::multi_pop::MultiPop;
use super::numbers;
use super::slot::Slot;
use super::sorted_set::SortedSet;
use super::view::View;
use super::zsets::{self, Extreme};
use super::{Reader, Store};
use crate::command::{Command, Id, OwnedCommand, Reply};
use crate::waiting::{Attempt, Waiter};

/// What a blocking command does when it may not wait.
pub(super) fn at_once(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let now = view.now();
    match command.spec.id {
        Id::Blmpop => {
            let request = MultiPop::parse(command, 2, End::parse)?;
            deadline(command, now)?;
            lists::pop_first(view, command, &request)
        }
        Id::Bzmpop => {
            let request = MultiPop::parse(command, 2, Extreme::parse)?;
            deadline(command, now)?;
            zsets::pop_first(view, command, &request)
        }
        Id::Blmove => {
            let (from, to) = (End::parse(command.arg(3))?, End::parse(command.arg(4))?);
            deadline(command, now)?;
            lists::move_element(view, command, from, to)
        }
        Id::Brpoplpush => {
            deadline(command, now)?;
            lists::move_element(view, command, End::Right, End::Left)
        }
        _ => {
            deadline(command, now)?;
            pop_first(view, command)
        }
    }
}

/// BLPOP, BRPOP, BZPOPMIN and BZPOPMAX: from the first key that is there.
fn pop_first(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    for key in command.args(1).take(command.len() - 2) {
        if let Some(reply) = pop_one(&mut view.slot(key), command.spec.id, key)? {
            return Ok(reply);
        }
    }
    Ok(Reply::NullArray)
}

fn pop_one(slot: &mut Slot<'_, '_>, id: Id, key: &[u8]) -> Result<Option<Reply>, Error> {
    let mut reply = vec![Reply::bulk(key)];
    match id {
        Id::Blpop | Id::Brpop => {
            let end = if id == Id::Blpop {
                End::Left
            } else {
                End::Right
            };
            let Some(popped) = slot.pop_elements(end, 1)? else {
                return Ok(None);
            };
            reply.extend(popped);
        }
        _ => {
            let end = if id == Id::Bzpopmin {
                Extreme::Min
            } else {
                Extreme::Max
            };
            let Some(popped) = slot.pop_scored(end, 1)? else {
                return Ok(None);
            };
            reply.extend(
                popped
                    .into_iter()
                    .flat_map(|(member, score)| [member, score]),
            );
        }
    }
    Ok(Some(Reply::Array(reply)))
}

/// Which argument of a blocking command says how long it waits, in seconds.
pub fn timeout_at(command: &Command<'_>) -> usize {
    match command.spec.id {
        Id::Blmpop | Id::Bzmpop => 1,
        _ => command.len() - 1,
    }
}

/// When a blocking command gives up, in milliseconds since 1970. `None`: never, or its timeout is
/// none.
pub fn gives_up_at(command: &Command<'_>, now: u64) -> Option<u64> {
    deadline(command, now).unwrap_or_default()
}

/// When a blocking command gives up: `None` is never.
fn deadline(command: &Command<'_>, now: u64) -> Result<Option<u64>, Error> {
    let argument = command.arg(timeout_at(command));
    const NOT_A_TIMEOUT: &str = "ERR timeout is not a float or out of range";
    let millis = LongDouble::parse(argument).ok_or(NOT_A_TIMEOUT)?.to_f64() * 1000.0;
    match millis.ceil() {
        // What does not fit 64 bits counts as negative.
        ..0.0 | 9.223_372_036_854_775_8e18.. => Err("ERR timeout is negative".into()),
        0.0 => Ok(None),
        millis => Ok(Some(now.saturating_add(millis as u64))),
    }
}

/// The timeout of WAIT: milliseconds, `None` for ever.
///
/// # Errors
/// It is none.
pub fn wait_deadline(argument: &[u8], now: u64) -> Result<Option<u64>, Error> {
    let millis =
        numbers::integer(argument).ok_or("ERR timeout is not an integer or out of range")?;
    match u64::try_from(millis) {
        Err(_) => Err("ERR timeout is negative".into()),
        Ok(0) => Ok(None),
        Ok(millis) => Ok(Some(now.saturating_add(millis))),
    }
}

impl Store {
    /// Executes a blocking command in a database, for a client that may keep copies.
    ///
    /// # Errors
    /// There is nothing yet: it waits. To be given to [`stop_waiting`](Store::stop_waiting) at its
    /// end, however it ends.
    pub fn execute_or_wait(
        &self,
        database: u32,
        now: u64,
        (command, reader): (&Command<'_>, Option<Reader<'_>>),
        task: &Waker,
    ) -> Result<Reply, Arc<Waiter>> {
        let mut view = self.view(database, now, command);
        if reader.is_some() {
            view.set_actor(reader);
        }
        let reply = view.run(command);
        if reader.is_some() {
            view.set_actor(None);
        }
        view.tell(command);
        if !matches!(reply, Reply::Null | Reply::NullArray) {
            serve(&mut view);
            return Ok(reply);
        }
        // The arguments have been read once without an error.
        let until = gives_up_at(command, now);
        let (arrival, own) = (self.next_arrival(), command.to_owned());
        // Who gives up gets the same null, whatever the command is.
        let nothing = Reply::NullArray;
        let waiter = Waiter::for_element(arrival, own, until, nothing, task.clone());
        let waiter = Arc::new(waiter.in_database(database));
        let destination = destination(command).map(|key| self.hashing.hash(key));
        for key in waited_for(command) {
            view.waits(key, |waits| waits.add(key, &waiter, destination));
        }
        Err(waiter)
    }

    /// Sends those away who wait for a key of database 0 that leaves. Nobody may begin to wait for
    /// one meanwhile.
    pub fn send_waiters_away(&self, mut leaves: impl FnMut(&[u8]) -> bool) {
        for shard in self.databases.first() {
            for waiter in shard.lock().waits.all() {
                let Some(command) = waiter.command().map(OwnedCommand::as_command) else {
                    continue;
                };
                // Also that to which an element is to be moved.
                let keys = command.keys();
                if keys.is_ok_and(|keys| keys.iter().any(|key| leaves(command.arg(key)))) {
                    waiter.send_away();
                }
            }
        }
    }

    /// Takes a waiter out of the queues of its keys.
    pub fn stop_waiting(&self, waiter: &Waiter) {
        waiter.leave();
        let Some(command) = waiter.command() else {
            return;
        };
        for key in waited_for(&command.as_command()) {
            let mut view = View::of_key(self, waiter.database, 0, key);
            view.waits(key, |waits| waits.remove(key, waiter.arrival));
        }
    }
}

/// The keys that a blocking command waits for.
fn waited_for<'a>(command: &Command<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let command = *command;
    let only_first = destination(&command).is_some();
    let keys = command.keys().ok().into_iter().flat_map(|keys| keys.iter());
    let most = if only_first { 1 } else { usize::MAX };
    keys.take(most).map(move |i| command.arg(i))
}

/// The key to which a blocking command moves the element.
fn destination<'a>(command: &Command<'a>) -> Option<&'a [u8]> {
    matches!(command.spec.id, Id::Blmove | Id::Brpoplpush).then(|| command.arg(2))
}

/// Serves those who wait for keys that have changed in this view.
#[inline]
pub(super) fn serve(view: &mut View<'_>) {
    if view.has_changed_waits() {
        serve_all(view);
    }
}

#[cold]
fn serve_all(view: &mut View<'_>) {
    view.hold_as_several();
    let selected = view.database();
    while let Some((database, key)) = view.next_changed() {
        view.select(database);
        serve_key(view, &key);
    }
    view.select(selected);
}

fn serve_key(view: &mut View<'_>, key: &[u8]) {
    let mut arrival = 0;
    while view.slot(key).exists() {
        let Some(waiter) = view.waits(key, |waits| waits.next(key, arrival)) else {
            return;
        };
        arrival = waiter.arrival + 1;
        let Some(command) = waiter.command() else {
            continue;
        };
        let command = command.as_command();
        if waiter.serve(|| noted_answer(view, &command, key)) != Attempt::Waits {
            view.waits(key, |waits| waits.remove(key, waiter.arrival));
            view.tell(&command);
        }
    }
}

/// [`answer`], of which is noted what it writes if that is to be noted.
fn noted_answer(view: &mut View<'_>, command: &Command<'_>, key: &[u8]) -> Option<Reply> {
    if !view.notes() {
        return answer(view, command, key);
    }
    let moved_to = destination(command).filter(|to| *to != key);
    let keys: SmallVec<[&[u8]; 2]> = std::iter::once(key).chain(moved_to).collect();
    view.noting(command, &keys, |view| answer(view, command, key))
}

/// The reply to a command that has waited for this key, if the key has something for it.
fn answer(view: &mut View<'_>, command: &Command<'_>, key: &[u8]) -> Option<Reply> {
    let slot = &mut view.slot(key);
    let id = command.spec.id;
    let is_for_list = !matches!(id, Id::Bzpopmin | Id::Bzpopmax | Id::Bzmpop);
    let object = slot.peek()?.as_object()?;
    match is_for_list {
        true => List::of(object).map(drop)?,
        false => SortedSet::of(object).map(drop)?,
    }
    let outcome = match id {
        Id::Blmpop => {
            let request = MultiPop::parse(command, 2, End::parse).ok()?;
            let popped = slot.pop_elements(request.from, request.count);
            popped.map(|p| p.map(|p| Reply::Array(vec![Reply::bulk(key), Reply::Array(p)])))
        }
        Id::Bzmpop => {
            let request = MultiPop::parse(command, 2, Extreme::parse).ok()?;
            let popped = slot.pop_scored(request.from, request.count);
            popped.map(|p| p.map(|p| zsets::popped_of(key, p)))
        }
        Id::Blmove => {
            let (from, to) = (
                End::parse(command.arg(3)).ok()?,
                End::parse(command.arg(4)).ok()?,
            );
            lists::move_element(view, command, from, to).map(Some)
        }
        Id::Brpoplpush => lists::move_element(view, command, End::Right, End::Left).map(Some),
        id => pop_one(slot, id, key),
    };
    outcome.unwrap_or_else(|error| Some(Reply::Error(error)))
}
