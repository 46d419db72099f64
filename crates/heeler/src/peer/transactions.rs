//! Transactions whose keys are all another node's, and WATCH of its keys.
//!
//! | endpoint | body | answer |
//! | --- | --- | --- |
//! | `versions` | `WATCH key …` | for each key its version, null where it is absent |
//! | `transaction` | `WATCH key version …`, the commands | their replies; null: a key has changed |
//!
//! All of it is RESP. Before the body of a transaction may stand [who asks](Asker).
//!
//! A version is what tells one state of a key from another ([`Store::state_of`]); that of an absent
//! key is empty in the body.
//!
//! [`Store::state_of`]: crate::store::Store::state_of

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use heeler_ringpop::channel::{Answer, Call};

use super::commands::{agreed, count};
use super::keyspace::{DISAGREE, Keyspace, encoded, error, moved, refused, respond};
use super::pulse::in_time;
use super::tracking::reader;
use crate::admission::{Admission, Permit, all_of, kept};
use crate::clock;
use crate::command::number::natural;
use crate::command::{Command, OwnedCommand, Reply, Room};
use crate::limits;
use crate::store::Guarded;
use crate::wire::resp::{self, Asker, Decoder, Elements};

const VERSIONS: &str = "versions";
const TRANSACTION: &str = "transaction";
const WATCH: &[u8] = b"WATCH";
/// The one word after WATCH where nothing is watched.
const NOTHING: &[u8] = b"-";

/// Answers the other nodes.
pub(super) fn serve(keyspace: &Arc<Keyspace>) {
    keyspace.answer_with(VERSIONS, answer_versions);
    keyspace.answer_with(TRANSACTION, answer_transaction);
}

async fn answer_versions(keyspace: Arc<Keyspace>, call: Call) -> Answer {
    agreed(keyspace.members.terms(), &call)?;
    in_time(&keyspace)?;
    let requests = read(&call.request.arg3).map_err(refused)?;
    let watch = requests.first().ok_or_else(|| refused("no key".into()))?;
    let reply = keyspace.versions_here(&watch.as_command()).await;
    Ok(respond(reply.as_ref(), b""))
}

async fn answer_transaction(keyspace: Arc<Keyspace>, call: Call) -> Answer {
    agreed(keyspace.members.terms(), &call)?;
    in_time(&keyspace)?;
    let (asker, body) = Asker::split(&call.request.arg3);
    let mut requests = read(body).map_err(refused)?;
    if requests.is_empty() {
        return Err(refused("no command".into()));
    }
    let commands = requests.split_off(1);
    let guarded = guarded(&requests[0].as_command()).ok_or_else(|| refused("no version".into()))?;
    let reply = keyspace.transaction_here(&guarded, &commands, asker).await;
    Ok(respond(reply.as_ref(), b""))
}

/// The commands in a body.
fn read(body: &[u8]) -> Result<Vec<OwnedCommand>, String> {
    let (mut commands, mut decoder, mut at) = (Vec::new(), Decoder::default(), 0);
    while at < body.len() {
        let decoded = decoder
            .decode(&body[at..])
            .map_err(|fault| fault.to_string())?;
        let length = decoded.ok_or("a command is cut")?;
        let (raw, args) = decoder.request(&body[at..]);
        if args.is_empty() {
            return Err("a command is empty".into());
        }
        match Command::resolve(raw, args) {
            Ok(command) => commands.push(command.to_owned()),
            Err(reply) => return Err(String::from_utf8_lossy(&encoded(&reply)).trim().into()),
        }
        at += length;
    }
    Ok(commands)
}

/// What `WATCH key version …` says.
fn guarded(watch: &Command<'_>) -> Option<Vec<Guarded>> {
    let words: Vec<&[u8]> = watch.args(1).collect();
    if words == [NOTHING] {
        return Some(Vec::new());
    }
    let pair = |pair: &[&[u8]]| match pair {
        [key, b""] => Some(((*key).into(), None)),
        [key, version] => {
            let version = natural(version)?;
            Some(((*key).into(), Some(version)))
        }
        _ => None,
    };
    words.chunks(2).map(pair).collect()
}

fn body(guarded: &[Guarded], commands: &[OwnedCommand]) -> Bytes {
    let versions: Vec<String> = guarded
        .iter()
        .map(|(_, version)| version.map_or_else(String::new, |v| v.to_string()))
        .collect();
    let pairs = guarded.iter().zip(&versions);
    let mut words: Vec<&[u8]> = vec![WATCH];
    words.extend(pairs.flat_map(|((key, _), version)| [&**key, version.as_bytes()]));
    if guarded.is_empty() {
        words.push(NOTHING);
    }
    let mut out = Vec::new();
    resp::encode_command(words.into_iter(), &mut out);
    for command in commands {
        out.extend_from_slice(command.as_command().raw());
    }
    out.into()
}

impl Keyspace {
    /// The versions of keys, all of which this address owns. The error is a reply in RESP2.
    ///
    /// # Errors
    /// The node cannot be reached, or does not own them (any more).
    pub async fn versions(
        &self,
        address: &str,
        keys: Vec<Box<[u8]>>,
    ) -> Result<Vec<Guarded>, Vec<u8>> {
        let mut body = Vec::new();
        let words = [WATCH].into_iter().chain(keys.iter().map(|key| &**key));
        resp::encode_command(words.collect::<Vec<_>>().into_iter(), &mut body);
        let timeout = Duration::from_millis(limits::FORWARD_MS);
        let reply = self.ask(address, VERSIONS, body.into(), timeout).await;
        let reply = reply.map_err(|error| error.to_vec())?;
        let no_answer = || match moved(&reply) {
            Some(_) => error(DISAGREE),
            None => reply.to_vec(),
        };
        let versions = Elements::of(&reply).ok_or_else(no_answer)?;
        let version = |element: &[u8]| {
            let digits = element
                .strip_suffix(b"\r\n")?
                .rsplit(|b| *b == b'\n')
                .next()?;
            natural(digits)
        };
        Ok(keys.into_iter().zip(versions.map(version)).collect())
    }

    /// Executes commands as one at the node of this address, unless a guarded key has changed, for
    /// a client that may keep copies. The reply is in RESP2.
    pub async fn transaction(
        &self,
        address: &str,
        guarded: &[Guarded],
        commands: &[OwnedCommand],
        asker: Option<Asker>,
    ) -> Vec<u8> {
        let timeout = Duration::from_millis(limits::FORWARD_MS);
        let body = body(guarded, commands);
        let body = asker.map_or(body.clone(), |asker| asker.before(&body).into());
        let asked = self.ask(address, TRANSACTION, body, timeout);
        let reply = asked.await.unwrap_or_else(|error| error);
        match moved(&reply) {
            Some(_) => error(DISAGREE),
            None => reply.to_vec(),
        }
    }

    async fn versions_here(&self, watch: &Command<'_>) -> Option<Reply> {
        let admitted = self.admitted(std::slice::from_ref(watch)).await?;
        let (now, _permits) = match admitted {
            Ok(admitted) => admitted,
            Err(reply) => return Some(reply),
        };
        let version = |key: &[u8]| match self.store.state_of(now, key) {
            Some(version) => Reply::bulk(version.to_string()),
            None => Reply::Null,
        };
        Some(Reply::Array(watch.args(1).map(version).collect()))
    }

    /// Executes commands as one. `None`: a key of them is not this node's.
    async fn transaction_here(
        &self,
        guarded: &[Guarded],
        commands: &[OwnedCommand],
        asker: Option<Asker>,
    ) -> Option<Reply> {
        if commands
            .iter()
            .any(|c| c.as_command().spec.room != Room::Store)
        {
            return Some(Reply::error("ERR a command is not for other nodes"));
        }
        let all: Vec<Command<'_>> = commands.iter().map(OwnedCommand::as_command).collect();
        let (now, permits) = match self.admitted(&all).await? {
            Ok(admitted) => admitted,
            Err(reply) => return Some(reply),
        };
        let nodes = self.members.picture();
        if !guarded.iter().all(|(key, _)| nodes.owns_key(key)) {
            return None;
        }
        let done = |command: &Command<'_>, reply: &Reply| count(self, command, reply);
        let tracker = asker.and_then(|asker| Some((asker, self.tracking.tracker(asker)?)));
        let reader = tracker
            .as_ref()
            .map(|(asker, tracker)| reader(*asker, tracker));
        let store = &self.store;
        let replies = store.transaction_if(now, (&[], guarded), commands, reader, done);
        drop(permits);
        let Some(replies) = replies else {
            return Some(Reply::NullArray);
        };
        let pairs = all.iter().zip(&replies);
        let pending = all_of(pairs.map(|(c, reply)| self.keeper.written(now, c, reply)));
        Some(kept(Reply::Array(replies), pending).await)
    }

    /// When all of these commands may be executed, and permits for them. `None`: a key of them is
    /// not this node's.
    async fn admitted(
        &self,
        commands: &[Command<'_>],
    ) -> Option<Result<(u64, Vec<Permit>), Reply>> {
        loop {
            let (mut permits, mut waits) = (Vec::with_capacity(commands.len()), None);
            for command in commands {
                match self.keeper.admit(command) {
                    Admission::Execute(permit) => permits.push(permit),
                    Admission::Moved => return None,
                    Admission::Wait(pending) => {
                        waits = Some(pending);
                        break;
                    }
                }
            }
            let Some(pending) = waits else {
                return Some(Ok((clock::now(), permits)));
            };
            // Nobody gets anything while there are permits.
            drop(permits);
            if let Err(reply) = pending.await {
                return Some(Err(reply));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_read() {
        let first: Guarded = (b"a\r\n"[..].into(), Some(7 << 40));
        let all = [first, (b"absent"[..].into(), None)];
        for watched in [&all[..], &[]] {
            let raw = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
            let commands = read(raw).unwrap();
            let requests = read(&body(watched, &commands)).unwrap();
            assert_eq!(guarded(&requests[0].as_command()).unwrap(), watched);
            assert_eq!(requests[1].as_command().raw(), raw);
            assert_eq!(requests.len(), 2);
        }
        for bad in ["*1\r\n$3\r\nGE", "*1\r\n$4\r\nNONE\r\n", "*0\r\n", "*x\r\n"] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
        let watch = read(b"*3\r\n$5\r\nWATCH\r\n$1\r\nk\r\n$1\r\nx\r\n").unwrap();
        assert_eq!(guarded(&watch[0].as_command()), None);
    }
}
