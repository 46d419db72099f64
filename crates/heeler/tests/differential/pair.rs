//! A redis-server and a store that get the same commands.

use std::sync::Arc;
use std::task::Waker;

use heeler::command::{Command, OwnedCommand, Reply, Room};
use heeler::store::{Limit, Store};
use heeler::waiting::Waiter;
use heeler::wire::resp::Protocol;

use crate::grammar::{DATABASES, Step, WAITERS, Words};
use crate::oracle::{Redis, Value, encode, execute_in, is_cut_sketch, now, resolve, select, show};
use crate::servers::{Client, request};

/// What differs, in words.
pub type Difference = String;

pub struct Pair {
    redis: Redis,
    store: Store,
    /// The database that is selected.
    database: u32,
    protocol: Protocol,
    others: Vec<Other>,
}

/// Another client of redis-server, and what it waits for in the store.
struct Other {
    client: Client,
    id: Vec<u8>,
    waits: Option<(Arc<Waiter>, Words)>,
}

impl Other {
    fn start(redis: &Redis, protocol: Protocol) -> Other {
        let mut other = Other {
            client: redis.client(),
            id: Vec::new(),
            waits: None,
        };
        if protocol == Protocol::Resp3 {
            other.call(&words("HELLO 3"));
        }
        let id = other.call(&words("CLIENT ID")).integer().expect("a number");
        other.id = id.to_string().into();
        other
    }

    fn send(&mut self, words: &[Vec<u8>]) {
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        self.client.send(&request(&words));
    }

    fn read(&mut self) -> Value {
        Value::parse(&self.client.read_raw_reply())
    }

    fn call(&mut self, words: &[Vec<u8>]) -> Value {
        self.send(words);
        self.read()
    }

    fn select(&mut self, database: u32) {
        self.call(&with("SELECT", &[database.to_string().as_bytes()]));
    }
}

fn is_of_sketch(words: &Words) -> bool {
    words[0].to_ascii_uppercase().starts_with(b"PF")
}

fn words(line: &str) -> Words {
    line.split(' ')
        .map(|word| word.as_bytes().to_vec())
        .collect()
}

fn with(line: &str, more: &[&[u8]]) -> Words {
    let more = more.iter().map(|word| word.to_vec());
    words(line).into_iter().chain(more).collect()
}

impl Pair {
    pub fn start(protocol: Protocol) -> Pair {
        let redis = Redis::start(protocol);
        let others = (0..=WAITERS).map(|_| Other::start(&redis, protocol));
        Pair {
            others: others.collect(),
            redis,
            store: Store::new(42),
            database: 0,
            protocol,
        }
    }

    fn redis(&mut self, words: &[Vec<u8>]) -> Value {
        Value::parse(&self.redis.call(words))
    }

    fn store(&mut self, words: &[Vec<u8>]) -> Value {
        let reply = execute_in(&self.store, &mut self.database, words);
        self.seen(&reply)
    }

    fn seen(&self, reply: &Reply) -> Value {
        Value::parse(&encode(reply, self.protocol))
    }

    fn select(&mut self, database: u32) {
        self.redis(&with("SELECT", &[database.to_string().as_bytes()]));
        self.database = database;
    }

    /// Dumps of values of all types.
    pub fn payloads(&mut self) -> Vec<Vec<u8>> {
        let lines = "
            SET v 10
            SET v word
            SET v 0123456789012345678901234567890123456789
            RPUSH v a b 1 2
            SADD v 1 2 3
            SADD v 1 100000
            SADD v a b
            HSET v a 1 b 2
            ZADD v 1 a 2.5 b -inf c
            PFADD v a b c d e f g h i j k l m n o p q r s t";
        let mut payloads = Vec::new();
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            self.redis(&words("DEL v"));
            self.redis(&words(line));
            payloads.extend(self.redis(&words("DUMP v")).bulks());
        }
        payloads
    }

    /// Runs a script on both from the start.
    pub fn run(&mut self, seed: u64, script: &[Step]) -> Result<(), Difference> {
        self.release();
        self.redis(&words("FLUSHALL"));
        self.store = Store::new(seed);
        self.select(0);
        self.limit(seed);
        for step in script {
            let waiting = self.others.iter().filter(|other| other.waits.is_some());
            let waiting = waiting.count();
            if waiting > 0 && step.is_left_out(waiting) {
                continue;
            }
            match step {
                Step::One(words) => self.one(words)?,
                Step::Exec(commands) => self.exec(commands)?,
                Step::Wait(who, database, words) => self.wait(*who, *database, words)?,
                Step::Guard(database, key, commands) => self.guard(*database, key, commands)?,
            }
            self.served()?;
        }
        for database in 0..DATABASES {
            self.select(database);
            self.contents()?;
        }
        Ok(())
    }

    /// Nobody waits any more.
    fn release(&mut self) {
        for who in 0..WAITERS {
            if let Some((waiter, _)) = self.others[who].waits.take() {
                self.store.stop_waiting(&waiter);
                let unblock = with("CLIENT UNBLOCK", &[&self.others[who].id.clone()]);
                self.redis(&unblock);
                self.others[who].read();
            }
        }
    }

    /// Another client waits, unless it does already.
    fn wait(&mut self, who: usize, database: u32, words: &Words) -> Result<(), Difference> {
        if self.others[who].waits.is_some() {
            return Ok(());
        }
        self.others[who].select(database);
        self.others[who].send(words);
        let command = resolve(words).expect("a command");
        let waker = Waker::noop();
        let command = &command.as_command();
        match self
            .store
            .execute_or_wait(database, now(), (command, None), waker)
        {
            Ok(reply) => {
                let (expected, found) = (self.others[who].read(), self.seen(&reply));
                self.compare(words, expected, found)
            }
            Err(waiter) => {
                self.others[who].waits = Some((waiter, words.clone()));
                let waiting = self
                    .others
                    .iter()
                    .filter(|other| other.waits.is_some())
                    .count();
                while self.blocked() != waiting {}
                Ok(())
            }
        }
    }

    /// Clients of redis-server that wait.
    fn blocked(&mut self) -> usize {
        let info = self.redis(&words("INFO clients"));
        let text = info.bulks().concat();
        let text = String::from_utf8_lossy(&text);
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("blocked_clients:"));
        line.and_then(|count| count.parse().ok()).expect("a number")
    }

    /// Those who waited and wait no more are the same at both, and have the same replies.
    fn served(&mut self) -> Result<(), Difference> {
        let waiting = |other: &&mut Other| other.waits.is_some();
        let mut left = 0;
        let mut served = Vec::new();
        for other in self.others.iter_mut().filter(waiting) {
            match other.waits.as_ref().and_then(|(waiter, _)| waiter.take(0)) {
                None => left += 1,
                Some(reply) => served.push((other.id.clone(), reply)),
            }
        }
        if left + served.len() == 0 {
            return Ok(());
        }
        let blocked = self.blocked();
        let mut wrong =
            (blocked != left).then(|| format!("redis: {blocked} clients wait\n  store: {left}"));
        for (id, reply) in served {
            let found = self.seen(&reply);
            let other = self.others.iter_mut().find(|other| other.id == id);
            let other = other.expect("one who waits");
            if let Some(wrong) = wrong {
                return Err(wrong);
            }
            let expected = other.read();
            if let Some((waiter, words)) = other.waits.take() {
                self.store.stop_waiting(&waiter);
                if expected != found {
                    let shown = show(&words);
                    wrong = Some(format!(
                        "{shown}\n  redis: {expected:?}\n  store: {found:?}"
                    ));
                }
            }
        }
        wrong.map_or(Ok(()), Err)
    }

    /// Another client watches a key while these commands run: whether its transaction runs then.
    fn guard(&mut self, database: u32, key: &[u8], commands: &[Words]) -> Result<(), Difference> {
        self.others[WAITERS].select(database);
        self.others[WAITERS].call(&with("WATCH", &[key]));
        let watched = self.store.watch_in(database, key, now());
        let done = commands.iter().try_for_each(|words| self.one(words));
        let other = &mut self.others[WAITERS];
        other.call(&words("MULTI"));
        let is_done = matches!(other.call(&words("EXEC")), Value::Many(..));
        let watched = [watched];
        let is_done_here = self.store.transaction(now(), &watched, &[]).is_some();
        watched
            .into_iter()
            .for_each(|watched| self.store.unwatch(watched));
        done?;
        match is_done == is_done_here {
            true => Ok(()),
            false => Err(format!("EXEC\n  redis: {is_done}\n  store: {is_done_here}")),
        }
    }

    /// In every second script collections leave their compact encodings early.
    fn limit(&mut self, seed: u64) {
        let small = seed / 2 % 2 == 1;
        for limit in Limit::ALL {
            let (usual, early) = match limit {
                Limit::HashEntries | Limit::IntsetEntries => (512, 5),
                Limit::HashValue => (64, 3),
                Limit::ListSize => (-2, 4),
                Limit::ZsetEntries => (128, 4),
                Limit::ZsetValue => (64, 2),
                Limit::SketchBytes => (3000, 40),
            };
            let value = if small { early } else { usual };
            self.store.set_encoding_limit(limit, value);
            let set = format!("CONFIG SET {} {value}", limit.names().0);
            self.redis(&words(&set));
        }
    }

    /// The fewest steps of a script that still differ.
    pub fn shrink(
        &mut self,
        seed: u64,
        mut script: Vec<Step>,
        mut difference: Difference,
    ) -> (Vec<Step>, Difference) {
        let mut size = script.len() / 2;
        while size > 0 {
            let mut at = 0;
            while at < script.len() {
                let mut shorter = script.clone();
                shorter.drain(at..(at + size).min(script.len()));
                match self.run(seed, &shorter) {
                    Err(found) => (script, difference) = (shorter, found),
                    Ok(()) => at += size,
                }
            }
            size /= 2;
        }
        (script, difference)
    }

    /// Whether a command may read a sketch on which Redis 7.0 reads on behind the end.
    fn reads_cut_sketch(&mut self, words: &Words) -> bool {
        let get = |pair: &mut Pair, key: &Vec<u8>| pair.store(&with("GET", &[key])).bulks();
        is_of_sketch(words)
            && words[1..]
                .iter()
                .any(|key| get(self, key).iter().any(|value| is_cut_sketch(value)))
    }

    fn one(&mut self, words: &Words) -> Result<(), Difference> {
        if self.reads_cut_sketch(words) {
            return Ok(());
        }
        match &words[0].to_ascii_uppercase()[..] {
            b"SPOP" => self.pop(words),
            b"SCAN" | b"SSCAN" | b"HSCAN" | b"ZSCAN" => self.scan(words),
            _ => {
                let (expected, found) = (self.redis(words), self.store(words));
                self.compare(words, expected, found)
            }
        }
    }

    fn exec(&mut self, commands: &[Words]) -> Result<(), Difference> {
        // What another command leaves of a sketch cannot be looked at in between.
        let mut others = false;
        let is_asked = |words: &&Words| {
            others |= !is_of_sketch(words);
            !is_of_sketch(words) || !others && !self.reads_cut_sketch(words)
        };
        let asked: Vec<&Words> = commands.iter().filter(is_asked).collect();
        // Redis gives up what it cannot queue.
        let resolved: Vec<(&Words, OwnedCommand)> = asked
            .into_iter()
            .filter_map(|words| Some((words, resolve(words).ok()?)))
            .collect();
        self.redis(&words("MULTI"));
        for (words, _) in &resolved {
            self.redis(words);
        }
        let Value::Many(_, expected) = self.redis(&words("EXEC")) else {
            return Err("EXEC has no replies".into());
        };
        let (replies, databases) = self.exec_in_store(&resolved);
        let selected = self.database;
        let both = expected.into_iter().zip(replies.into_iter().zip(databases));
        for ((words, _), (expected, (reply, database))) in resolved.iter().zip(both) {
            let found = self.seen(&reply);
            if expected != found {
                // What it is compared by is asked there.
                self.select(database);
                self.compare(words, expected, found)?;
                self.select(selected);
            }
        }
        Ok(())
    }

    /// The replies of the store to a transaction, each with the database that it comes from.
    fn exec_in_store(&mut self, commands: &[(&Words, OwnedCommand)]) -> (Vec<Reply>, Vec<u32>) {
        let (mut databases, mut selections) = (Vec::new(), Vec::new());
        let is_of_store = |command: &Command<'_>| command.spec.room == Room::Store;
        for (_, command) in commands {
            let command = command.as_command();
            if !is_of_store(&command) {
                selections.push(select(&self.store, &mut self.database, &command));
            }
            databases.push(self.database);
        }
        let all = databases.iter().copied();
        let all = all.zip(commands.iter().map(|(_, command)| command.as_command()));
        let of_store = all.filter(|(_, command)| is_of_store(command));
        let done = |_, _: &Command<'_>, _: &Reply| ();
        let replies = self.store.transaction_for(now(), &[], of_store, None, done);
        let mut replies = replies.expect("no key was watched").into_iter();
        let mut selections = selections.into_iter();
        let reply = |(_, command): &(&Words, OwnedCommand)| {
            match is_of_store(&command.as_command()) {
                true => replies.next(),
                false => selections.next(),
            }
            .expect("a reply to each")
        };
        (commands.iter().map(reply).collect(), databases)
    }

    fn compare(&mut self, words: &Words, expected: Value, found: Value) -> Result<(), Difference> {
        let name = words[0].to_ascii_uppercase();
        let near = |most: u64| match (expected.integer(), found.integer()) {
            (Some(first), Some(second)) => first.abs_diff(second) <= most,
            _ => false,
        };
        let is_same = expected == found
            || match &name[..] {
                b"TTL" | b"EXPIRETIME" => near(1),
                b"PTTL" | b"PEXPIRETIME" => near(3_000),
                b"SMEMBERS" | b"SUNION" | b"SINTER" | b"SDIFF" | b"KEYS" | b"HKEYS" | b"HVALS" => {
                    !self.has_order(words) && expected.sorted(1) == found.sorted(1)
                }
                b"HGETALL" => !self.has_order(words) && expected.sorted(2) == found.sorted(2),
                b"SRANDMEMBER" | b"HRANDFIELD" | b"ZRANDMEMBER" | b"RANDOMKEY" => {
                    expected.shape() == found.shape() && self.is_there(&name, words, &found)
                }
                b"SORT" | b"SORT_RO" => {
                    self.is_unsorted(words) && expected.width() == found.width()
                }
                b"OBJECT" | b"MEMORY" => {
                    let sub = words[1].to_ascii_uppercase();
                    let is_own = [&b"IDLETIME"[..], b"REFCOUNT", b"USAGE"].contains(&&sub[..]);
                    is_own && expected.shape() == found.shape()
                }
                b"DUMP" => return self.same_dumps(&words[1]),
                _ => false,
            };
        match is_same {
            true => Ok(()),
            false => Err(format!(
                "{}\n  redis: {expected:?}\n  store: {found:?}",
                show(words)
            )),
        }
    }

    /// Whether Redis keeps the elements of a key in an order that it shows.
    fn has_order(&mut self, command: &Words) -> bool {
        let encoding = self.redis(&with("OBJECT ENCODING", &[&command[1]]));
        encoding == Value::Bulk(b"listpack".to_vec())
    }

    /// Whether SORT takes the elements of a set as they come, or those with equal texts.
    fn is_unsorted(&mut self, command: &Words) -> bool {
        let has = |name: &[u8]| command.iter().any(|word| word.eq_ignore_ascii_case(name));
        let is_set = self.redis(&with("TYPE", &[&command[1]])) == Value::Line(b"+set".to_vec());
        has(b"by") && (is_set || has(b"alpha"))
    }

    /// Whether all that was chosen at random is there.
    fn is_there(&mut self, name: &[u8], command: &Words, found: &Value) -> bool {
        let (lookup, with_values) = match name {
            b"SRANDMEMBER" => ("SISMEMBER", false),
            b"HRANDFIELD" => ("HEXISTS", command.len() == 4),
            b"ZRANDMEMBER" => ("ZSCORE", command.len() == 4),
            _ => ("EXISTS", false),
        };
        // RESP3 nests pairs, and shows scores as numbers.
        let is_score = with_values && lookup == "ZSCORE" && self.protocol == Protocol::Resp3;
        let step = if with_values && !is_score { 2 } else { 1 };
        found.bulks().iter().step_by(step).all(|element| {
            let key: &[&[u8]] = if lookup == "EXISTS" {
                &[]
            } else {
                &[&command[1]]
            };
            let answer = self.redis(&with(lookup, &[key, &[element]].concat()));
            answer != Value::Null && answer != Value::Line(b":0".to_vec())
        })
    }

    /// What the store popped goes in Redis, too.
    fn pop(&mut self, command: &Words) -> Result<(), Difference> {
        let found = self.store(command);
        let popped = found.bulks();
        let card = self.redis(&with(
            "SCARD",
            &command[1..2].iter().map(|w| &w[..]).collect::<Vec<_>>(),
        ));
        if popped.is_empty() || card.integer().is_none_or(|card| card == 0) {
            let expected = self.redis(command);
            return self.compare(command, expected, found);
        }
        let members: Vec<&[u8]> = popped.iter().map(Vec::as_slice).collect();
        let all = [&[&command[1][..]][..], &members].concat();
        let removed = self.redis(&with("SREM", &all)).integer();
        if removed != Some(popped.len() as i64) {
            return Err(format!(
                "{}\n  store: {found:?}, not all of redis",
                show(command)
            ));
        }
        self.renew(&command[1]);
        // A set of its own is popped from, for the shape of the reply.
        self.redis(&with("SADD popped", &members));
        let mut again = command.clone();
        again[1] = b"popped".to_vec();
        let expected = self.redis(&again);
        self.redis(&words("DEL popped"));
        self.compare(command, expected.shape(), found.shape())
    }

    /// Gives a set the encoding that it has in the store, which a large pop may have renewed.
    fn renew(&mut self, key: &[u8]) {
        let encoding = with("OBJECT ENCODING", &[key]);
        if self.store(&encoding) != self.redis(&encoding) {
            let deadline = self.redis(&with("PEXPIRETIME", &[key])).integer();
            self.redis(&with("SUNIONSTORE", &[key, key]));
            if let Some(deadline) = deadline.filter(|deadline| *deadline > 0) {
                let deadline = deadline.to_string();
                self.redis(&with("PEXPIREAT", &[key, deadline.as_bytes()]));
            }
        }
    }

    /// Walks to the end on both: what is found is the same.
    fn scan(&mut self, command: &Words) -> Result<(), Difference> {
        let (expected, found) = (self.redis(command), self.store(command));
        if expected.is_error() || found.is_error() {
            return self.compare(command, expected, found);
        }
        let cursor = if command[0] == b"SCAN" { 1 } else { 2 };
        let mut walked = [expected, found].map(|first| (first, Vec::new()));
        for (side, (reply, all)) in walked.iter_mut().enumerate() {
            loop {
                let Value::Many(_, parts) = reply else {
                    return Err(format!("{}: {reply:?}", show(command)));
                };
                let [Value::Bulk(next), Value::Many(_, elements)] = &parts[..] else {
                    return Err(format!("{}: {parts:?}", show(command)));
                };
                all.extend(elements.iter().cloned());
                if next == b"0" {
                    break;
                }
                let mut again = command.clone();
                again[cursor] = next.clone();
                *reply = match side {
                    0 => self.redis(&again),
                    _ => self.store(&again),
                };
            }
        }
        let width = 1 + usize::from(matches!(&command[0][..], b"HSCAN" | b"ZSCAN"));
        let [expected, found] = walked.map(|(_, all)| Value::Many(b'*', all).sorted(width));
        match expected == found {
            true => Ok(()),
            false => Err(format!(
                "{}\n  redis: {expected:?}\n  store: {found:?}",
                show(command)
            )),
        }
    }

    /// What the store dumps, Redis restores as what it has itself.
    fn same_dumps(&mut self, key: &[u8]) -> Result<(), Difference> {
        let dump = with("DUMP", &[key]);
        let (expected, found) = (self.redis(&dump), self.store(&dump));
        if expected == found {
            return Ok(());
        }
        let difference = format!("{}\n  redis: {expected:?}\n  store: {found:?}", show(&dump));
        let encoding = self.redis(&with("OBJECT ENCODING", &[key]));
        // Tables have no order, and lists are cut anywhere.
        let varies = [&b"hashtable"[..], b"quicklist"].map(|name| Value::Bulk(name.to_vec()));
        let Value::Bulk(found) = found else {
            return Err(difference);
        };
        // A digest tells whether there is a deadline.
        let deadline = self.redis(&with("PEXPIRETIME", &[key])).integer();
        let deadline = deadline.unwrap_or(0).max(0).to_string();
        let options: [&[u8]; 4] = [deadline.as_bytes(), &found, b"REPLACE", b"ABSTTL"];
        let restored = self.redis(&with("RESTORE dumped", &options));
        let digests = self.redis(&with("DEBUG DIGEST-VALUE dumped", &[key]));
        self.redis(&words("DEL dumped"));
        let Value::Many(_, digests) = digests else {
            return Err(difference);
        };
        let is_same = restored == Value::Line(b"+OK".to_vec())
            && varies.contains(&encoding)
            && digests.len() == 2
            && digests[0] == digests[1];
        is_same.then_some(()).ok_or(difference)
    }

    /// Compares all that the script left.
    fn contents(&mut self) -> Result<(), Difference> {
        let mut keys = self.redis(&words("KEYS *")).bulks();
        keys.sort();
        let mut found = self.store(&words("KEYS *")).bulks();
        found.sort();
        if keys != found {
            return Err(format!("KEYS *\n  redis: {keys:?}\n  store: {found:?}"));
        }
        for key in &keys {
            for line in ["TYPE", "OBJECT ENCODING", "PEXPIRETIME", "DUMP"] {
                self.one(&with(line, &[key]))?;
            }
            for line in ["SSCAN", "HSCAN", "ZSCAN"] {
                self.one(&with(line, &[key, b"0"]))?;
            }
        }
        Ok(())
    }
}
