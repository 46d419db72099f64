//! Removing all keys of all nodes: FLUSHALL, FLUSHDB and memcached's `flush_all` in a ring.
//!
//! The node that got the command asks all nodes, itself too, in this order; how the keys are
//! chosen, and why they are the same everywhere, is told in `store::clearing`.
//!
//! | endpoint `clear`, body | answer |
//! | --- | --- |
//! | `highest` | the highest version that was given or seen there |
//! | `announce VERSION` | the same, before this one |
//! | `clear VERSION SYNC\|ASYNC [CANCEL]` | `OK` |
//! | `plan TIME VERSION` | `OK` |
//!
//! A node that cannot be reached when a version is announced keeps anything from being removed. Of
//! one that can be reached no more after that, the others remove their keys; it does so as soon as
//! it hears from one of them. Members that leave are asked, too, for what they have yet to hand
//! over; one that does not answer is gone.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use heeler_ringpop::channel::{Answer, Call};
use heeler_ringpop::{Response, Status};

use super::commands::{agreed, request};
use super::keyspace::{Keyspace, command, refused};
use super::pulse::in_time;
use crate::clock;
use crate::command::{Command, Id, Reply};
use crate::limits;
use crate::route::Nodes;
use crate::store::{Store, Wipe};
use crate::wire::resp::{Asker, Decoder};

const ENDPOINT: &str = "clear";

/// What a node is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// To tell its highest version.
    Highest,
    /// To go on above a version.
    Announce(u64),
    /// To remove the keys up to it.
    Clear {
        version: u64,
        in_background: bool,
        /// Whether what is planned is not to be done any more.
        cancels: bool,
    },
    /// The same at a time in milliseconds since 1970.
    Plan { at: u64, version: u64 },
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Order::Highest => f.write_str("highest"),
            Order::Announce(version) => write!(f, "announce {version}"),
            Order::Clear {
                version,
                in_background,
                cancels,
            } => {
                let how = if *in_background { "ASYNC" } else { "SYNC" };
                let cancel = if *cancels { " CANCEL" } else { "" };
                write!(f, "clear {version} {how}{cancel}")
            }
            Order::Plan { at, version } => write!(f, "plan {at} {version}"),
        }
    }
}

impl Order {
    /// What [`Display`](fmt::Display) writes.
    fn read(text: &[u8]) -> Option<Order> {
        let words: Vec<&[u8]> = text.split(|byte| *byte == b' ').collect();
        let clear = |version: &[u8], how: &[u8], cancels| {
            let in_background = match how {
                b"SYNC" => false,
                b"ASYNC" => true,
                _ => return None,
            };
            Some(Order::Clear {
                version: natural(version)?,
                in_background,
                cancels,
            })
        };
        match words[..] {
            [b"highest"] => Some(Order::Highest),
            [b"announce", version] => natural(version).map(Order::Announce),
            [b"clear", version, how] => clear(version, how, false),
            [b"clear", version, how, b"CANCEL"] => clear(version, how, true),
            [b"plan", at, version] => Some(Order::Plan {
                at: natural(at)?,
                version: natural(version)?,
            }),
            _ => None,
        }
    }

    /// Does it; the highest version of before, if that is asked for.
    fn carry_out(self, store: &Store) -> Option<u64> {
        match self {
            Order::Highest => return Some(store.highest_version()),
            Order::Announce(version) => return Some(store.announce_clearing(version)),
            Order::Clear {
                version,
                in_background,
                cancels,
            } => {
                if cancels {
                    store.clear_at(None);
                }
                store.clear_up_to(version, in_background);
            }
            Order::Plan { at, version } => store.clear_at(Some((at, Some(version)))),
        }
        None
    }
}

/// A number of 64 bits.
fn natural(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A node has not done what it was asked to, and what it said.
struct Failed {
    address: Arc<str>,
    text: String,
}

impl Failed {
    /// The reply to the command. `done`: what others may have done.
    fn reply(&self, done: &str) -> Reply {
        let text = self.text.replace(['\r', '\n'], " ");
        Reply::error(format!(
            "CLUSTERDOWN the node {}: {text}; {done}",
            self.address
        ))
    }
}

/// Whether a request, before which may stand who asks, removes all keys of all nodes.
pub(super) fn clears(request: &[u8]) -> bool {
    let (mut decoder, (_, asked)) = (Decoder::default(), Asker::split(request));
    let command = command(&mut decoder, asked);
    command.is_ok_and(|c| matches!(c.spec.id, Id::Flushall | Id::Flushdb | Id::ItemFlush))
}

/// Answers the other nodes.
pub(super) fn serve(keyspace: &Arc<Keyspace>) {
    keyspace.answer_with(ENDPOINT, answer);
}

async fn answer(keyspace: Arc<Keyspace>, call: Call) -> Answer {
    agreed(keyspace.members.terms(), &call)?;
    in_time(&keyspace)?;
    let order = Order::read(&call.request.arg3);
    let order = order.ok_or_else(|| refused("this is no order to clear keys".into()))?;
    let highest = order.carry_out(&keyspace.store);
    let text = highest.map_or_else(|| "OK".to_owned(), |highest| highest.to_string());
    Ok(Response::raw(text))
}

impl Keyspace {
    /// Removes all keys of all nodes, or has it done at a time. It is done to its end if nobody
    /// waits for the reply any more. Before the request may stand who asks.
    pub async fn clear_all(self: &Arc<Self>, request: Bytes) -> Reply {
        let now = clock::now();
        let wipe = {
            let (mut decoder, (_, asked)) = (Decoder::default(), Asker::split(&request));
            let command = command(&mut decoder, asked);
            command.map(|command: Command<'_>| Wipe::of(&self.store, &command, now))
        };
        let wipe = match wipe {
            Ok(Some(Ok(wipe))) => wipe,
            Err(refused) | Ok(Some(Err(refused))) => return refused,
            Ok(None) => return Reply::error("ERR the command removes no keys"),
        };
        let this = self.clone();
        let done = self.spawn(async move { this.wipe(wipe).await });
        let done = done.await;
        done.unwrap_or_else(|_| Reply::error("ERR the node stops"))
    }

    async fn wipe(self: Arc<Self>, wipe: Wipe) -> Reply {
        for _ in 0..limits::CLEAR_TRIES {
            let nodes = self.members.picture();
            let done = match wipe {
                Wipe::Now {
                    in_background,
                    cancels,
                } => self.wipe_now(&nodes, in_background, cancels).await,
                Wipe::At(at) => self.plan(&nodes, at).await,
            };
            if let Err(reply) = done {
                return reply;
            }
            let after = self.members.picture();
            let was_asked = |address: &Arc<str>| nodes.addresses().any(|asked| asked == address);
            if after.version() == nodes.version() || after.addresses().all(was_asked) {
                return Reply::OK;
            }
            // Who has come meanwhile may have taken keys before they were removed elsewhere.
        }
        Reply::error("TRYAGAIN nodes join the ring all the time, and some may have kept keys")
    }

    async fn wipe_now(
        self: &Arc<Self>,
        nodes: &Arc<Nodes>,
        in_background: bool,
        cancels: bool,
    ) -> Result<(), Reply> {
        let nothing = |failed: Failed| failed.reply("no key was removed");
        let mut version = self.store.version_to_clear(clock::now(), 0);
        let announced = self.ask_all(nodes, Order::Announce(version)).await;
        let highest = announced.map_err(nothing)?;
        if highest > version {
            version = self.store.version_to_clear(clock::now(), highest);
            let announced = self.ask_all(nodes, Order::Announce(version)).await;
            announced.map_err(nothing)?;
        }
        let order = Order::Clear {
            version,
            in_background,
            cancels,
        };
        let cleared = self.ask_all(nodes, order).await;
        let elsewhere = "the keys of the other nodes were removed, its own will be as soon as it \
                         answers";
        cleared.map_err(|failed| failed.reply(elsewhere))?;
        Ok(())
    }

    /// All nodes remove at a time what was written before it by the clock of its owner: versions
    /// follow that, and are ahead of it by little where many are needed.
    async fn plan(self: &Arc<Self>, nodes: &Arc<Nodes>, at: u64) -> Result<(), Reply> {
        let nothing = |failed: Failed| failed.reply("no key will be removed");
        let asked = self.ask_all(nodes, Order::Highest).await;
        let highest = asked.map_err(nothing)?;
        let version = self.store.version_to_clear_at(at, highest);
        let planned = self.ask_all(nodes, Order::Plan { at, version }).await;
        planned.map_err(|failed| failed.reply("the keys of the other nodes will be removed"))?;
        Ok(())
    }

    /// Has all nodes do something; returns the highest version that they have told.
    async fn ask_all(self: &Arc<Self>, nodes: &Arc<Nodes>, order: Order) -> Result<u64, Failed> {
        let others = nodes.addresses().enumerate();
        let others = others.filter(|(node, _)| Some(*node) != nodes.me());
        let ask = |address: Arc<str>, timeout: u64| {
            let this = self.clone();
            self.spawn(async move {
                let said = this.order(&address, order, timeout).await;
                said.map_err(|text| Failed { address, text })
            })
        };
        let timeout = match order {
            Order::Clear { .. } => limits::CLEAR_MS,
            _ => limits::FORWARD_MS,
        };
        let asked = others.map(|(_, address)| ask(address.clone(), timeout));
        let asked: Vec<_> = asked.collect();
        let members = self.ringpop.members().into_iter();
        let leave = members.filter(|member| member.status == Status::Leave);
        let leaving = leave.map(|member| ask(member.address, limits::CLEAR_LEAVING_MS));
        let leaving: Vec<_> = leaving.collect();
        let mut highest = order.carry_out(&self.store).unwrap_or_default();
        for answer in leaving {
            if let Ok(Ok(told)) = answer.await {
                highest = highest.max(told);
            }
        }
        let mut failed = None;
        for answer in asked {
            match answer.await {
                Ok(Ok(told)) => highest = highest.max(told),
                Ok(Err(why)) => failed = Some(why),
                Err(_) => {
                    failed = Some(Failed {
                        address: self.ringpop.whoami().into(),
                        text: "the node stops".into(),
                    });
                }
            }
        }
        failed.map_or(Ok(highest), Err)
    }

    /// Has one other node do it.
    async fn order(&self, address: &str, order: Order, timeout: u64) -> Result<u64, String> {
        let call = request(self.members.terms(), ENDPOINT, order.to_string().into());
        let timeout = Duration::from_millis(timeout);
        let answer = self.ringpop.channel().call(address, call, timeout).await;
        let answer = answer.map_err(|failure| failure.to_string())?;
        let told = || String::from_utf8_lossy(&answer.arg3).into_owned();
        match (answer.is_ok(), order) {
            (false, _) => Err(told()),
            (true, Order::Highest | Order::Announce(_)) => {
                let highest = natural(&answer.arg3);
                highest.ok_or_else(|| format!("it has said {:?}", told()))
            }
            (true, _) => Ok(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_read() {
        let clear = |in_background, cancels| Order::Clear {
            version: u64::MAX,
            in_background,
            cancels,
        };
        for order in [
            Order::Highest,
            Order::Announce(7),
            clear(false, false),
            clear(true, true),
            Order::Plan { at: 5, version: 6 },
        ] {
            assert_eq!(Order::read(order.to_string().as_bytes()), Some(order));
        }
        for bad in [
            "",
            "clear",
            "clear 5",
            "clear 5 NOW",
            "announce x",
            "plan 5",
            "highest 1",
        ] {
            assert_eq!(Order::read(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn requests_that_clear_are_known() {
        assert!(clears(b"*1\r\n$8\r\nFLUSHALL\r\n"));
        assert!(!clears(b"*1\r\n$6\r\nDBSIZE\r\n"));
        assert!(!clears(b""));
    }
}
