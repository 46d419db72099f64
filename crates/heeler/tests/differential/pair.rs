//! A redis-server and a store that get the same commands.

use heeler::command::OwnedCommand;
use heeler::store::{Limit, Store};
use heeler::wire::resp::Protocol;

use crate::grammar::{Step, Words};
use crate::oracle::{Redis, Value, encode, execute, now, resolve, show};

/// What differs, in words.
pub type Difference = String;

pub struct Pair {
    redis: Redis,
    store: Store,
    protocol: Protocol,
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
        Pair {
            redis: Redis::start(protocol),
            store: Store::new(42),
            protocol,
        }
    }

    fn redis(&mut self, words: &[Vec<u8>]) -> Value {
        Value::parse(&self.redis.call(words))
    }

    fn store(&self, words: &[Vec<u8>]) -> Value {
        Value::parse(&encode(&execute(&self.store, words), self.protocol))
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
        self.redis(&words("FLUSHALL"));
        self.store = Store::new(seed);
        self.limit(seed);
        for step in script {
            match step {
                Step::One(words) => self.one(words)?,
                Step::Exec(commands) => self.exec(commands)?,
            }
        }
        self.contents()
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

    fn one(&mut self, words: &Words) -> Result<(), Difference> {
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
        // Redis gives up what it cannot queue.
        let resolved: Vec<(&Words, OwnedCommand)> = commands
            .iter()
            .filter_map(|words| Some((words, resolve(words).ok()?)))
            .collect();
        self.redis(&words("MULTI"));
        for (words, _) in &resolved {
            self.redis(words);
        }
        let Value::Many(_, expected) = self.redis(&words("EXEC")) else {
            return Err("EXEC has no replies".into());
        };
        let commands: Vec<OwnedCommand> = resolved.iter().map(|(_, c)| c.clone()).collect();
        let replies = self.store.transaction(now(), &[], &commands);
        let replies = replies.expect("no key was watched");
        for ((words, _), (expected, reply)) in resolved.iter().zip(expected.iter().zip(replies)) {
            let found = Value::parse(&encode(&reply, self.protocol));
            self.compare(words, expected.clone(), found)?;
        }
        Ok(())
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
