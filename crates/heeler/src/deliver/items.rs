//! memcached's requests to this node: each becomes a hidden command, and goes a command's way.

use super::{Behind, Caller, Door};
use crate::admin::MEMCACHED_VERSION;
use crate::command::item::unsigned;
use crate::command::{Command, Family, Id, Reply};
use crate::stats::{ErrorKind, ItemStat};
use crate::store::{MemoryLimit, Store};
use crate::wire::memcache::{self, AtNode, Quiet, Request};

const NOT_IN: &str = "CLIENT_ERROR unauthenticated\r\n";
const BAD_TOKEN: &str = "CLIENT_ERROR bad authentication token format\r\n";
const WRONG_PASSWORD: &str = "CLIENT_ERROR authentication failure\r\n";
const NO_LEVEL: &str = "CLIENT_ERROR bad command line format\r\n";

impl Door {
    /// Takes a request for this node, which its decoder has not refused.
    pub(super) fn item_request(&self, now: u64, caller: &mut Caller, request: &Request<'_>) {
        caller.session.quiet = request.quiet;
        if let Some(command) = request.command() {
            return self.run_or_pause(now, caller, &command);
        }
        let Some(spec) = request.spec else {
            return;
        };
        match spec.at_node {
            AtNode::Quit => {
                caller.session.pipeline.answer_nothing();
                caller.session.closing = true;
            }
            AtNode::Version => self.say(caller, &format!("VERSION {MEMCACHED_VERSION}\r\n")),
            AtNode::Verbosity => {
                let is_level = request.words(1).next().and_then(unsigned).is_some();
                self.say(caller, if is_level { "OK\r\n" } else { NO_LEVEL });
            }
            AtNode::Stats => {
                let words: Vec<&[u8]> = request.words(1).collect();
                if let Behind::Node(store) = &self.behind {
                    self.say(caller, &self.process.memcached_stats(now, store, &words));
                }
            }
            AtNode::Slabs => {
                let words: Vec<&[u8]> = request.words(1).collect();
                if let [b"automove", .., b"noreply"] = words[..] {
                    caller.session.quiet = Quiet::All;
                }
                self.say(caller, slabs(&words));
            }
            AtNode::MemoryLimit => {
                let mebibytes = request.words(1).next().and_then(unsigned);
                if let Behind::Node(store) = &self.behind {
                    self.say(caller, limit_memory(store, mebibytes));
                }
            }
            AtNode::Says(text) => self.say(caller, text),
            AtNode::Item(_) => {}
        }
    }

    /// Whether a client of this node has to say the password first.
    #[inline]
    pub(super) fn is_strange(&self, caller: &Caller) -> bool {
        let access = &self.greeting.access;
        !caller.session.authenticated
            && matches!(self.behind, Behind::Node(_))
            && access.refuses(&caller.session, Id::Get).is_some()
    }

    /// Before the password: `set` with any key and `default PASSWORD` as its data.
    #[cold]
    pub(super) fn log_in_item(&self, caller: &mut Caller, request: &Request<'_>) {
        caller.session.quiet = Quiet::No;
        let command = request.command().filter(|_| request.refused.is_none());
        let text = match command {
            Some(command) if command.spec.id == Id::ItemSet => {
                self.items.count(ItemStat::AuthCmds);
                let data = command.arg(command.len() - 1);
                match data.iter().position(|&b| b == b' ') {
                    None => BAD_TOKEN,
                    Some(end) => {
                        let (user, password) = (&data[..end], &data[end + 1..]);
                        let access = &self.greeting.access;
                        match access.log_in(&mut caller.session, user, password) {
                            Ok(()) => "STORED\r\n",
                            Err(_) => WRONG_PASSWORD,
                        }
                    }
                }
            }
            _ => NOT_IN,
        };
        if text != "STORED\r\n" {
            if text != NOT_IN {
                self.items.count(ItemStat::AuthErrors);
            }
            let family = request.spec.map_or(Family::Unknown, |spec| spec.family);
            self.counters.failed(family, ErrorKind::Auth);
        }
        caller.session.closing |= request.spec.is_some_and(|s| s.at_node == AtNode::Quit);
        caller.session.answer_bytes(text.as_bytes());
    }

    /// Answers the request at hand with these bytes, if the client wants to hear them.
    fn say(&self, caller: &mut Caller, text: &str) {
        if memcache::is_error(text.as_bytes()) {
            self.counters.failed(Family::Admin, ErrorKind::Usage);
        }
        match caller.session.quiet {
            Quiet::All => caller.session.pipeline.answer_nothing(),
            _ => caller.session.answer_bytes(text.as_bytes()),
        }
    }

    /// Answers a hidden command.
    #[inline]
    pub(super) fn answer_item(&self, caller: &mut Caller, command: &Command<'_>, reply: &Reply) {
        self.count_item(command, reply);
        if self.process.prefixes.is_on() {
            self.count_prefixes(command, reply);
        }
        let quiet = caller.session.quiet;
        caller
            .session
            .pipeline
            .answer_with(|out| memcache::write(command, quiet, reply, out));
    }

    #[inline]
    fn count_item(&self, command: &Command<'_>, reply: &Reply) {
        let count = |stat| self.items.count(stat);
        match (command.spec.id, reply) {
            (Id::ItemGet, Reply::Bulk(_)) => {
                count(ItemStat::CmdGet);
                count(ItemStat::GetHits);
            }
            (Id::ItemGet, _) => {
                count(ItemStat::CmdGet);
                count(ItemStat::GetMisses);
            }
            (Id::ItemSet, Reply::Status(_)) => {
                count(ItemStat::CmdSet);
                count(ItemStat::TotalItems);
            }
            _ => self.count_other_item(command, reply),
        }
    }

    fn count_other_item(&self, command: &Command<'_>, reply: &Reply) {
        use ItemStat::*;
        let count = |stat| self.items.count(stat);
        let either = |hit, miss| count(if is_hit(reply) { hit } else { miss });
        match command.spec.id {
            Id::ItemGetMany | Id::ItemGets | Id::ItemGat | Id::ItemGats => {
                let touches = matches!(command.spec.id, Id::ItemGat | Id::ItemGats);
                let Reply::Array(all) = reply else {
                    return;
                };
                for reply in all {
                    let is_hit = is_hit(reply);
                    count(CmdGet);
                    count(if is_hit { GetHits } else { GetMisses });
                    if touches {
                        count(CmdTouch);
                        count(if is_hit { TouchHits } else { TouchMisses });
                    }
                }
            }
            Id::ItemAdd | Id::ItemReplace | Id::ItemAppend | Id::ItemPrepend | Id::ItemSet => {
                count(CmdSet);
                self.count_stored(reply);
            }
            Id::ItemCas => {
                count(CmdSet);
                self.count_stored(reply);
                count(match reply {
                    Reply::Status("STORED") => CasHits,
                    Reply::Status("EXISTS") => CasBadval,
                    _ => CasMisses,
                });
            }
            Id::ItemDelete => either(DeleteHits, DeleteMisses),
            Id::ItemIncr => either(IncrHits, IncrMisses),
            Id::ItemDecr => either(DecrHits, DecrMisses),
            Id::ItemTouch => {
                count(CmdTouch);
                either(TouchHits, TouchMisses);
            }
            Id::ItemFlush => count(CmdFlush),
            _ => {
                count(CmdMeta);
                self.count_meta(command, reply);
            }
        }
    }

    fn count_meta(&self, command: &Command<'_>, reply: &Reply) {
        use ItemStat::*;
        let count = |stat| self.items.count(stat);
        let either = |hit, miss| count(if is_hit(reply) { hit } else { miss });
        match command.spec.id {
            Id::ItemMetaGet | Id::ItemMetaTouch => {
                count(CmdGet);
                either(GetHits, GetMisses);
            }
            Id::ItemMetaSet => {
                count(CmdSet);
                self.count_stored(reply);
            }
            Id::ItemMetaDelete => either(DeleteHits, DeleteMisses),
            Id::ItemMetaArithmetic => {
                let falls = |flag: &[u8]| matches!(flag, b"MD" | b"M-");
                match command.args(2).any(falls) {
                    true => either(DecrHits, DecrMisses),
                    false => either(IncrHits, IncrMisses),
                }
            }
            _ => {}
        }
    }

    /// Of the same commands as memcached: of none of the meta commands.
    #[cold]
    fn count_prefixes(&self, command: &Command<'_>, reply: &Reply) {
        let prefixes = &self.process.prefixes;
        let got = |keys: usize| {
            let Reply::Array(all) = reply else {
                return;
            };
            for (key, reply) in command.args(keys).zip(all) {
                prefixes.got(key, is_hit(reply));
            }
        };
        match command.spec.id {
            Id::ItemGet => prefixes.got(command.arg(1), is_hit(reply)),
            Id::ItemGetMany | Id::ItemGets => got(1),
            Id::ItemGat | Id::ItemGats => got(2),
            Id::ItemSet
            | Id::ItemAdd
            | Id::ItemReplace
            | Id::ItemAppend
            | Id::ItemPrepend
            | Id::ItemCas => prefixes.stored(command.arg(1)),
            Id::ItemDelete => prefixes.deleted(command.arg(1)),
            _ => {}
        }
    }

    fn count_stored(&self, reply: &Reply) {
        match reply {
            Reply::Status("STORED" | "HD") | Reply::Int(_) => {
                self.items.count(ItemStat::TotalItems);
            }
            Reply::Error(text) if text.starts_with("OOM") => {
                self.items.count(ItemStat::StoreNoMemory);
            }
            Reply::Error(text) if text.contains("too large") => {
                self.items.count(ItemStat::StoreTooLarge);
            }
            _ => {}
        }
    }
}

/// `slabs`, of a memcached that was started with `no_slab_reassign`: how slabs would move by
/// themselves can be set there, too, and is for nothing.
fn slabs(words: &[&[u8]]) -> &'static str {
    let is_ratio =
        |text: &[u8]| std::str::from_utf8(text).is_ok_and(|it| it.parse::<f64>().is_ok());
    match words {
        [b"reassign", _, _] => "CLIENT_ERROR slab reassignment disabled\r\n",
        [b"automove", b"ratio", ratio, ..] if is_ratio(ratio) => "OK\r\n",
        [b"automove", b"ratio", ..] => "ERROR\r\n",
        [b"automove", level, ..] => match unsigned(level).map(|level| level as u32) {
            Some(0..=2) => "OK\r\n",
            Some(_) => "ERROR\r\n",
            None => NO_LEVEL,
        },
        _ => "ERROR\r\n",
    }
}

/// `cache_memlimit`: what happens then is said elsewhere (`maxmemory-policy`).
fn limit_memory(store: &Store, mebibytes: Option<u64>) -> &'static str {
    match mebibytes {
        None => "ERROR\r\n",
        Some(..8) => "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n",
        Some(mebibytes) => {
            store.limit_memory(MemoryLimit {
                most: mebibytes.saturating_mul(1 << 20),
                ..store.memory_limit()
            });
            "OK\r\n"
        }
    }
}

/// Whether a reply tells of an item that was there.
fn is_hit(reply: &Reply) -> bool {
    match reply {
        Reply::Bulk(_) | Reply::Int(_) => true,
        Reply::Status(word) => matches!(*word, "DELETED" | "TOUCHED" | "HD"),
        _ => false,
    }
}
