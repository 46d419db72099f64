//! Lists, sets, hashes and sorted sets against a real redis-server: the same commands, the same
//! bytes in reply, in both versions of the protocol.
//!
//! Where Redis promises no order, elements are compared as sets. Where it chooses at random, what
//! the store chose is checked against what Redis has, and removed there too.

mod oracle;
mod servers;

use std::collections::BTreeSet;

use heeler::command::Reply;
use heeler::store::Store;
use heeler::wire::resp::Protocol;
use oracle::{Random, Redis, Value, encode, execute, resolve, show, word};

type Words = Vec<Vec<u8>>;

/// Both, side by side.
struct Pair {
    redis: Redis,
    store: Store,
    protocol: Protocol,
    /// Whether the store gets each command in a transaction.
    in_transactions: bool,
    history: Vec<String>,
}

impl Pair {
    fn start(protocol: Protocol) -> Pair {
        let (redis, store) = (Redis::start(protocol), Store::new(42));
        Pair {
            redis,
            store,
            protocol,
            in_transactions: false,
            history: Vec::new(),
        }
    }

    /// Runs a command on the store alone.
    fn store(&self, words: &[Vec<u8>]) -> Value {
        let reply = match (self.in_transactions, resolve(words)) {
            (true, Ok(command)) => {
                let replies = self.store.transaction(oracle::now(), &[], &[command]);
                replies.expect("no key was watched").remove(0)
            }
            _ => execute(&self.store, words),
        };
        Value::parse(&encode(&reply, self.protocol))
    }

    /// Runs a command on Redis alone.
    fn redis(&mut self, words: &[Vec<u8>]) -> Value {
        Value::parse(&self.redis.call(words))
    }

    /// Sends a command to both, and compares what comes back.
    fn check(&mut self, words: &[Vec<u8>]) {
        self.history.push(show(words));
        let name = String::from_utf8_lossy(&words[0]).to_ascii_uppercase();
        match &name[..] {
            "SPOP" => self.check_pop(words),
            "SRANDMEMBER" | "HRANDFIELD" | "ZRANDMEMBER" => self.check_random(&name, words),
            "SSCAN" | "HSCAN" | "ZSCAN" => self.check_scan(&name, words),
            _ => {
                let (found, expected) = (self.store(words), self.redis(words));
                let order = if self.is_listpack(words) { "" } else { &name };
                self.same(
                    without_order(&found, order),
                    without_order(&expected, order),
                );
            }
        }
    }

    fn same(&self, found: Value, expected: Value) {
        self.holds(
            found == expected,
            &format!("redis: {expected:?}\nstore: {found:?}"),
        );
    }

    fn holds(&self, condition: bool, what: &str) {
        let earlier = &self.history[self.history.len().saturating_sub(25)..];
        assert!(
            condition,
            "{what}\n{:?} after:\n  {}",
            self.protocol,
            earlier.join("\n  ")
        );
    }

    /// Whether Redis keeps a command's first key in a listpack, whose elements have an order.
    fn is_listpack(&mut self, words: &[Vec<u8>]) -> bool {
        let Some(key) = words.get(1) else {
            return false;
        };
        let encoding = [b"OBJECT".to_vec(), b"ENCODING".to_vec(), key.clone()];
        self.redis(&encoding) == Value::Bulk(b"listpack".to_vec())
    }

    /// What the store popped must be as many of Redis's members, and goes there too.
    fn check_pop(&mut self, words: &[Vec<u8>]) {
        let size = self.redis(&[b"SCARD".to_vec(), words[1].clone()]);
        let Value::Line(size) = size else {
            panic!("SCARD: {size:?}")
        };
        let has_members = size.strip_prefix(b":").is_some_and(|size| size != b"0");
        let found = self.store(words);
        let popped: Words = found.bulks().into_iter().collect();
        if !has_members || popped.is_empty() {
            let expected = self.redis(words);
            return self.same(found, expected);
        }
        let mut remove = vec![b"SREM".to_vec(), words[1].clone()];
        remove.extend(popped.iter().cloned());
        let removed = self.redis(&remove);
        self.same(Value::Line(format!(":{}", popped.len()).into()), removed);
        if words.len() == 3 {
            self.renew_in_redis(&words[1]);
        }
        // Replies of the same kind as Redis's, for as many members of a set of its own.
        remove[0] = b"SADD".to_vec();
        remove[1] = b"popped".to_vec();
        self.redis(&remove);
        let mut again = words.to_vec();
        again[1] = b"popped".to_vec();
        let expected = self.redis(&again);
        self.same(
            without_order(&found, "SMEMBERS"),
            without_order(&expected, "SMEMBERS"),
        );
        self.redis(&[b"DEL".to_vec(), b"popped".to_vec()]);
    }

    /// Gives a set in Redis the encoding that it has in the store: a large pop may have renewed it,
    /// which has a test of its own.
    fn renew_in_redis(&mut self, key: &[u8]) {
        let with_key = |name: &str| vec![name.into(), key.to_vec()];
        let encoding = [b"OBJECT".to_vec(), b"ENCODING".to_vec(), key.to_vec()];
        if self.store(&encoding) == self.redis(&encoding) {
            return;
        }
        let Value::Line(deadline) = self.redis(&with_key("PEXPIRETIME")) else {
            return;
        };
        self.redis(&[with_key("SUNIONSTORE"), vec![key.to_vec()]].concat());
        if deadline != b":-1" {
            self.redis(&[with_key("PEXPIREAT"), vec![deadline[1..].to_vec()]].concat());
        }
    }

    /// What the store chose must be of the same shape as Redis's choice, and be there.
    fn check_random(&mut self, name: &str, words: &[Vec<u8>]) {
        let (found, expected) = (self.store(words), self.redis(words));
        self.same(found.shape(), expected.shape());
        let (lookup, with_values) = match name {
            "SRANDMEMBER" => ("SMISMEMBER", false),
            "HRANDFIELD" => ("HMGET", words.len() == 4),
            _ => ("ZMSCORE", words.len() == 4),
        };
        let chosen = found.flat();
        if chosen.is_empty() || expected.is_error() {
            return;
        }
        let step = if with_values { 2 } else { 1 };
        let mut members = vec![lookup.into(), words[1].clone()];
        members.extend(chosen.iter().step_by(step).flat_map(|v| v.bulks()));
        let there = self.redis(&members).flat();
        let is_there = |v: &Value| !matches!(v, Value::Null) && *v != Value::Line(b":0".into());
        self.holds(
            there.iter().all(is_there),
            &format!("{found:?} are not all there"),
        );
        if with_values {
            let values: Vec<Value> = chosen.into_iter().skip(1).step_by(2).collect();
            self.holds(values == there, &format!("{values:?} are not {there:?}"));
        }
        let is_distinct = words.get(2).is_some_and(|count| !count.starts_with(b"-"));
        let different: BTreeSet<&Vec<u8>> = members[2..].iter().collect();
        self.holds(
            !is_distinct || different.len() == members.len() - 2,
            "chosen twice",
        );
    }

    /// Walks to the end on both; the walks must find the same.
    fn check_scan(&mut self, name: &str, words: &[Vec<u8>]) {
        let (found, expected) = (self.store(words), self.redis(words));
        if found.is_error() || expected.is_error() || words[2] != b"0" {
            let both_errors = found.is_error() && expected.is_error();
            return if both_errors {
                self.same(found, expected)
            } else {
                self.same(shape_of_scan(&found), shape_of_scan(&expected))
            };
        }
        let found = self.walk(found, words, |pair, words| pair.store(words));
        let expected = self.walk(expected, words, |pair, words| pair.redis(words));
        let order = match name {
            "SSCAN" => "SMEMBERS",
            _ if self.is_listpack(words) => "",
            _ => "HGETALL",
        };
        self.same(
            without_order(&found, order),
            without_order(&expected, order),
        );
    }

    fn walk(
        &mut self,
        first: Value,
        words: &[Vec<u8>],
        run: impl Fn(&mut Pair, &[Vec<u8>]) -> Value,
    ) -> Value {
        let (mut reply, mut found) = (first, Vec::new());
        loop {
            let Value::Many(b'*', parts) = reply else {
                panic!("{words:?}: {reply:?}")
            };
            let [Value::Bulk(cursor), Value::Many(b'*', elements)] = &parts[..] else {
                panic!("{words:?}: {parts:?}");
            };
            found.extend(elements.iter().cloned());
            if cursor == b"0" {
                return Value::Many(b'*', found);
            }
            let mut words = words.to_vec();
            words[2] = cursor.clone();
            reply = run(self, &words);
        }
    }

    fn line(&mut self, line: &str) {
        self.check(&line.split(' ').map(word).collect::<Words>());
    }

    fn lines(&mut self, lines: &str) {
        let lines = lines.lines().map(str::trim);
        lines.filter(|l| !l.is_empty()).for_each(|l| self.line(l));
    }

    /// Compares all that is under a key.
    fn contents(&mut self, key: &[u8]) {
        let with_key = |line: &str| -> Words {
            let word = |w: &str| if w == "KEY" { key.to_vec() } else { w.into() };
            line.split(' ').map(word).collect()
        };
        for line in ["TYPE KEY", "OBJECT ENCODING KEY", "PERSIST KEY"] {
            self.check(&with_key(line));
        }
        for line in ["LRANGE KEY 0 -1", "SMEMBERS KEY", "HGETALL KEY", "GET KEY"] {
            self.check(&with_key(line));
        }
        self.check(&with_key("ZRANGE KEY 0 -1 WITHSCORES"));
        for line in [
            "SSCAN KEY 0",
            "HSCAN KEY 0 COUNT 3",
            "ZSCAN KEY 0 COUNT 100",
        ] {
            self.check(&with_key(line));
        }
    }
}

/// With the elements sorted, if the reply of the command with this name has no order.
fn without_order(reply: &Value, name: &str) -> Value {
    match name {
        "SMEMBERS" | "SUNION" | "SINTER" | "SDIFF" | "HKEYS" | "HVALS" => reply.sorted(1),
        "HGETALL" => {
            assert!(reply.width().is_none_or(|width| width.is_multiple_of(2)));
            reply.sorted(2)
        }
        _ => reply.clone(),
    }
}

/// A scan from a cursor of no meaning to the other finds what it finds.
fn shape_of_scan(reply: &Value) -> Value {
    match reply {
        Value::Many(b'*', items) if items.len() == 2 => Value::Many(b'*', Vec::new()),
        other => other.clone(),
    }
}

const LISTS: &str = r#"
    LPUSH l a
    LPUSH l b c d
    RPUSH l e f ""
    LLEN l
    LLEN none
    TYPE l
    OBJECT ENCODING l
    LRANGE l 0 -1
    LRANGE l 2 3
    LRANGE l -3 -2
    LRANGE l -100 100
    LRANGE l 5 2
    LRANGE l 100 200
    LRANGE l x 1
    LRANGE l 0 x
    LRANGE none x 1
    LRANGE none 0 1
    LRANGE l -9223372036854775808 9223372036854775807
    LRANGE l 9223372036854775807 -9223372036854775808
    LINDEX l 0
    LINDEX l -1
    LINDEX l 6
    LINDEX l 7
    LINDEX l -7
    LINDEX l -8
    LINDEX l x
    LINDEX none x
    LINDEX l -9223372036854775808
    LINDEX l 9223372036854775807
    LSET l 0 first
    LSET l -1 last
    LSET l 7 x
    LSET l -8 x
    LSET l x y
    LSET none 0 x
    LSET none x x
    LINSERT l BEFORE first zero
    LINSERT l after last end
    LINSERT l before none x
    LINSERT l middle last x
    LINSERT none before a b
    LINSERT none middle a b
    LRANGE l 0 -1
    RPUSH r a b a c a b a
    LREM r 2 a
    LRANGE r 0 -1
    LREM r -1 a
    LRANGE r 0 -1
    LREM r 0 b
    LRANGE r 0 -1
    LREM r 0 b
    LREM r x b
    LREM r -9223372036854775808 b
    LREM r -9223372036854775807 c
    LREM none 1 a
    LREM none x a
    LREM r 9223372036854775807 a
    EXISTS r
    RPUSH t 1 2 3 4 5 6 7 8 9
    LTRIM t 1 -2
    LRANGE t 0 -1
    LTRIM t 2 3
    LRANGE t 0 -1
    LTRIM t x 3
    LTRIM t 3 x
    LTRIM none 1 2
    LTRIM t -100 100
    LTRIM t 5 3
    EXISTS t
    RPUSH p a b c 1 2 3 c c
    LPOS p c
    LPOS p c RANK 2
    LPOS p c RANK -1
    LPOS p c RANK -2
    LPOS p c RANK 4
    LPOS p c COUNT 2
    LPOS p c COUNT 0
    LPOS p c COUNT 0 RANK 2
    LPOS p c COUNT 0 RANK -2
    LPOS p c COUNT 0 RANK -2 MAXLEN 2
    LPOS p c COUNT 0 MAXLEN 3
    LPOS p c MAXLEN 2
    LPOS p c MAXLEN 0
    LPOS p x
    LPOS p x COUNT 1
    LPOS p c RANK 0
    LPOS p c RANK x
    LPOS p c RANK -9223372036854775807
    LPOS p c RANK -9223372036854775808
    LPOS p c RANK -9223372036854775808 COUNT 0
    LPOS p c RANK -9223372036854775808 COUNT 0 MAXLEN 2
    LPOS p c RANK -9223372036854775809
    LPOS p c RANK 9223372036854775808
    LPOS p c RANK 9223372036854775807 COUNT 0
    LPOS p c COUNT -1
    LPOS p c COUNT x
    LPOS p c MAXLEN -1
    LPOS p c MAXLEN x
    LPOS p c MAXLEN
    LPOS p c RANK
    LPOS p c bogus 1
    LPOS none c
    LPOS none c COUNT 1
    LPOS none c RANK 0
    LPOP p
    RPOP p
    LPOP p 0
    LPOP p 2
    RPOP p 3
    LPOP p -1
    LPOP p x
    LPOP p 1 2
    RPOP p 1 2
    LPOP none
    LPOP none 1
    LPOP none 0
    LPOP none -1
    RPOP p 100
    EXISTS p
    LPUSHX none a
    RPUSHX none a
    EXISTS none
    LPUSHX l x y
    RPUSHX l x y
    LRANGE l 0 -1
    RPUSH a 1 2 3
    RPOPLPUSH a b
    RPOPLPUSH a b
    RPOPLPUSH a b
    RPOPLPUSH a b
    EXISTS a
    RPOPLPUSH none none
    LRANGE b 0 -1
    RPOPLPUSH b b
    LRANGE b 0 -1
    LMOVE b b LEFT RIGHT
    LMOVE b b left left
    LRANGE b 0 -1
    LMOVE b a right left
    LMOVE b a left right
    LMOVE b a middle right
    LMOVE b a right middle
    LMOVE none a middle right
    LMOVE none a left right
    LRANGE a 0 -1
    RPUSH one x
    EXPIRE one 100
    RPOPLPUSH one one
    PERSIST one
    LRANGE one 0 -1
    SET s v
    LMOVE none s left right
    LMOVE one s left right
    LMOVE s one left right
    LRANGE one 0 -1
    LPUSH s a
    LPUSHX s a
    LPOP s
    LPOP s x
    LPOP s 0
    LLEN s
    LRANGE s 0 -1
    LRANGE s x -1
    LINDEX s x
    LSET s x y
    LINSERT s before a b
    LREM s 0 a
    LTRIM s 0 1
    LPOS s a
    LPOS s a RANK 0
    RPOPLPUSH s s
    GET l
    APPEND l x
    INCR l
    STRLEN l
    SETRANGE l 0 x
    SETBIT l 0 1
    SETRANGE l 0 ""
    SADD l a
    HSET l a b
    ZADD l 1 a
    COPY l copied
    RPUSH copied more
    LLEN l
    LRANGE copied 0 -1
    RENAME copied renamed
    LRANGE renamed 0 -1
    EXPIRE renamed 100
    LPUSH renamed x
    PERSIST renamed
    SET renamed v
    GET renamed
"#;

const SETS: &str = r#"
    SADD s a b c a
    SADD s a
    SCARD s
    SCARD none
    TYPE s
    OBJECT ENCODING s
    SISMEMBER s a
    SISMEMBER s x
    SISMEMBER none x
    SMISMEMBER s a x b
    SMISMEMBER none a x
    SMEMBERS s
    SMEMBERS none
    SREM s a x
    SREM s a
    SREM none a
    SREM s b c
    EXISTS s
    SADD i 1 2 3
    OBJECT ENCODING i
    SADD i 9223372036854775807 -9223372036854775808
    OBJECT ENCODING i
    SADD i 9223372036854775808
    OBJECT ENCODING i
    SREM i 9223372036854775808
    OBJECT ENCODING i
    SADD j 01
    OBJECT ENCODING j
    SADD j2 ""
    OBJECT ENCODING j2
    SADD a 1 2 3 4 5
    SADD b 4 5 6 7
    SADD c 5 6 x
    SINTER a b c
    SINTER a b
    SINTER a
    SINTER a none
    SINTER none a
    SINTER none
    SUNION a b c none
    SUNION none
    SDIFF a b
    SDIFF a b c none
    SDIFF none a
    SDIFF a a
    SDIFF a none
    SINTERSTORE d a b
    SMEMBERS d
    OBJECT ENCODING d
    SUNIONSTORE d a b c
    SMEMBERS d
    OBJECT ENCODING d
    SDIFFSTORE d d b
    SMEMBERS d
    OBJECT ENCODING d
    SDIFFSTORE d d d
    EXISTS d
    SINTERSTORE d a none
    SUNIONSTORE d none none
    SUNIONSTORE a a b
    SMEMBERS a
    EXPIRE a 100
    SUNIONSTORE a a
    PERSIST a
    SET str v
    SUNIONSTORE str a b
    TYPE str
    SET str v
    SINTER a str
    SINTER str none
    SINTER none str
    SUNION a str
    SDIFF none str
    SINTERSTORE str none str
    SDIFFSTORE d a str
    SINTERCARD 1 a
    SINTERCARD 2 a b
    SINTERCARD 2 a b LIMIT 1
    SINTERCARD 2 a b LIMIT 0
    SINTERCARD 2 a b limit 100
    SINTERCARD 2 a b LIMIT -1
    SINTERCARD 2 a b LIMIT x
    SINTERCARD 2 a b LIMIT
    SINTERCARD 2 a b LIMIT 1 LIMIT 2
    SINTERCARD 2 a b bogus 1
    SINTERCARD 3 a b
    SINTERCARD 0 a b
    SINTERCARD -1 a b
    SINTERCARD x a b
    SINTERCARD 01 a
    SINTERCARD +1 a
    SINTERCARD 2 a none
    SINTERCARD 2 none str
    SINTERCARD 1 a b
    SINTERCARD 9223372036854775807 a
    SINTERCARD 99999999999999999999 a
    SMOVE a b 1
    SMOVE a b 1
    SMOVE a new 2
    SMOVE a a 3
    SMOVE a a nope
    SMOVE none a x
    SMOVE none str x
    SMOVE a str 3
    SMOVE str a 3
    SMOVE a str nope
    SMEMBERS a
    SMEMBERS b
    SMEMBERS new
    SADD single x
    SMOVE single other x
    EXISTS single
    SPOP a
    SPOP a 2
    SPOP a 0
    SPOP a -1
    SPOP a x
    SPOP a 1 2
    SPOP none
    SPOP none 5
    SPOP none 0
    SPOP none -1
    SPOP a 100
    EXISTS a
    SPOP str
    SPOP str 1
    SPOP str -1
    SRANDMEMBER b
    SRANDMEMBER b 2
    SRANDMEMBER b 100
    SRANDMEMBER b -20
    SRANDMEMBER b 0
    SRANDMEMBER b x
    SRANDMEMBER b 1 2
    SRANDMEMBER b -9223372036854775808
    SRANDMEMBER b 9223372036854775807
    SRANDMEMBER none
    SRANDMEMBER none 1
    SRANDMEMBER none -1
    SRANDMEMBER none x
    SRANDMEMBER none -9223372036854775807
    SRANDMEMBER str
    SRANDMEMBER str 0
    SSCAN b 0
    SSCAN b 0 COUNT 1
    SSCAN b 0 MATCH [4-5]
    SSCAN b 0 COUNT 0
    SSCAN b 0 COUNT -1
    SSCAN b 0 COUNT x
    SSCAN b 0 COUNT
    SSCAN b 0 bogus 1
    SSCAN b 0 TYPE set
    SSCAN b x
    SSCAN b -1
    SSCAN b ""
    SSCAN b 99999999999999999999
    SSCAN b 77
    SSCAN none 0
    SSCAN none 5
    SSCAN none x
    SSCAN none 0 bogus
    SSCAN str 0
    SSCAN str x
    SADD str x
    SREM str x
    SCARD str
    SISMEMBER str x
    SMISMEMBER str x
    SMEMBERS str
    SUNIONSTORE none2 str
    COPY b copied
    SADD copied more
    SMEMBERS b
    SMEMBERS copied
"#;

const HASHES: &str = r#"
    HSET h a 1 b 2 c 3
    HSET h a 10 d 4
    HSET h a 10
    HSET h a
    HSET h a 1 b
    HMSET h e 5 f 6
    HMSET h e 5 f
    HSETNX h a 11
    HSETNX h g 7
    HSETNX h2 g 7
    HGET h a
    HGET h x
    HGET none x
    HMGET h a x b
    HMGET none a x
    HGETALL h
    HGETALL none
    HKEYS h
    HKEYS none
    HVALS h
    HVALS none
    HLEN h
    HLEN none
    HSTRLEN h a
    HSTRLEN h x
    HSTRLEN none x
    HEXISTS h a
    HEXISTS h x
    HEXISTS none x
    TYPE h
    OBJECT ENCODING h
    HDEL h a x
    HDEL h a
    HDEL none a
    HDEL h b c d e f g
    EXISTS h
    HINCRBY h n 5
    HINCRBY h n -3
    HINCRBY h n x
    HINCRBY h n 1.5
    HINCRBY h n 9223372036854775807
    HINCRBY h m -9223372036854775808
    HINCRBY h m -1
    HSET h s abc sp x1 z 01 e ""
    HINCRBY h s 1
    HINCRBY h s x
    HINCRBY h z 1
    HINCRBY h e 1
    HINCRBYFLOAT h n 0.5
    HINCRBYFLOAT h n 1e3
    HINCRBYFLOAT h n x
    HINCRBYFLOAT h n inf
    HINCRBYFLOAT h n -inf
    HINCRBYFLOAT h n nan
    HINCRBYFLOAT h n ""
    HINCRBYFLOAT h s 1
    HINCRBYFLOAT h s inf
    HINCRBYFLOAT h e 1
    HINCRBYFLOAT h big 1e4932
    HINCRBYFLOAT h big 1e4932
    HINCRBYFLOAT h f 10.5
    HINCRBYFLOAT h f 0.1
    HINCRBYFLOAT h z 1
    HINCRBY h f 1
    HGETALL h
    OBJECT ENCODING h
    HINCRBYFLOAT fresh x 1.5
    HINCRBY fresh2 x 3
    HINCRBYFLOAT absent x y
    HINCRBY absent x y
    EXISTS absent
    HRANDFIELD h
    HRANDFIELD h 3
    HRANDFIELD h 100
    HRANDFIELD h -30
    HRANDFIELD h 3 WITHVALUES
    HRANDFIELD h 100 withvalues
    HRANDFIELD h -30 WITHVALUES
    HRANDFIELD h 0
    HRANDFIELD h 0 WITHVALUES
    HRANDFIELD h 1 bogus
    HRANDFIELD h x bogus
    HRANDFIELD h 1 WITHVALUES x
    HRANDFIELD h x
    HRANDFIELD h -9223372036854775808
    HRANDFIELD h -9223372036854775807 WITHVALUES
    HRANDFIELD h 9223372036854775807 WITHVALUES
    HRANDFIELD h 4611686018427387903 WITHVALUES
    HRANDFIELD h 4611686018427387904 WITHVALUES
    HRANDFIELD none
    HRANDFIELD none 1
    HRANDFIELD none 1 WITHVALUES
    HRANDFIELD none 1 bogus
    HSCAN h 0
    HSCAN h 0 MATCH [a-n]
    HSCAN h 0 COUNT 1
    HSCAN h 0 COUNT 0
    HSCAN h 0 bogus 1
    HSCAN h 0 NOVALUES
    HSCAN h x
    HSCAN none 0
    HSCAN none 0 bogus
    SET str v
    HSET str a 1
    HSETNX str a 1
    HMSET str a 1
    HGET str a
    HMGET str a
    HGETALL str
    HKEYS str
    HVALS str
    HLEN str
    HSTRLEN str a
    HEXISTS str a
    HDEL str a
    HINCRBY str a 1
    HINCRBY str a x
    HINCRBYFLOAT str a 1
    HINCRBYFLOAT str a inf
    HRANDFIELD str
    HRANDFIELD str x
    HSCAN str 0
    COPY h copied
    HSET copied more 1
    HGETALL h
    HGETALL copied
"#;

const SORTED_SETS: &str = r#"
    ZADD z 1 a 2 b 3 c
    ZADD z 1 a 5 b 4 d
    ZADD z CH 1 a 6 b 4 e
    ZADD z NX 9 a 9 f
    ZADD z XX 9 f 9 new
    ZADD z XX CH 10 f 9 new
    ZADD z GT CH 5 f 20 a
    ZADD z LT CH 5 f 30 a
    ZADD z GT 1 brandnew
    ZADD z LT 1 brandnew2
    ZADD z XX GT CH 100 a 1 b
    ZADD z NX XX 1 a
    ZADD z NX GT 1 a
    ZADD z NX LT 1 a
    ZADD z GT LT 1 a
    ZADD z NX XX GT
    ZADD z 1
    ZADD z 1 a 2
    ZADD z NX 1
    ZADD z x a
    ZADD z 1 a x b
    ZADD z nan a
    ZADD z "" a
    ZADD z 1e400 a
    ZADD z 1e-400 a
    ZADD z \x201 a
    ZADD z 1\x20 a
    ZADD z 0x1p3 hex
    ZADD z inf i -inf mi +inf pi Infinity i2
    ZADD z INCR 1 a
    ZADD z INCR 1 a 2 b
    ZADD z INCR NX 1 a
    ZADD z INCR XX 1 absent
    ZADD none INCR XX 1 absent
    ZADD none XX 1 absent
    ZADD z INCR GT -1 a
    ZADD z INCR LT -1 a
    ZADD z INCR -inf i
    ZADD z CH INCR 5 a
    ZADD z INCR 5 fresh
    ZADD z INCR nan fresh
    ZADD z INCR x fresh
    EXISTS none
    ZINCRBY z 1.5 a
    ZINCRBY z x a
    ZINCRBY z nx a
    ZINCRBY z inf a
    ZINCRBY z -inf a
    ZINCRBY z2 3 a
    ZINCRBY z2 -3 a
    ZADD z2 -0 a
    ZADD z2 CH -0 a
    ZADD z2 INCR -0 nz
    ZSCORE z2 nz
    ZADD z2 0 nz
    ZSCORE z2 nz
    ZADD z2 0.1 p 1e21 q 1e-7 r 123456789012345680 s 3.0 t 17179869184.5 u
    ZRANGE z2 0 -1 WITHSCORES
    TYPE z
    OBJECT ENCODING z
    ZRANGE z 0 -1 WITHSCORES
    ZCARD z
    ZCARD none
    ZSCORE z a
    ZSCORE z x
    ZSCORE none x
    ZMSCORE z a x b i
    ZMSCORE none a x
    ZRANK z b
    ZRANK z x
    ZRANK none x
    ZREVRANK z b
    ZREVRANK z x
    ZREVRANK none x
    ZREM z hex x
    ZREM z hex
    ZREM none x
    ZADD m 1 a 2 b 3 c 4 d 5 e 5 f
    ZCOUNT m 2 4
    ZCOUNT m (2 (4
    ZCOUNT m -inf +inf
    ZCOUNT m (5 5
    ZCOUNT m 5 1
    ZCOUNT m x 1
    ZCOUNT m 1 x
    ZCOUNT m nan 1
    ZCOUNT m "" 2
    ZCOUNT m ( 2
    ZCOUNT m \x201 2
    ZCOUNT m 1\x20 2
    ZCOUNT m 1\x00x 2
    ZCOUNT m 1e400 2e400
    ZCOUNT m -1e400 1e400
    ZCOUNT m ((1 2
    ZCOUNT m [1 2
    ZCOUNT m 0x1 0x4
    ZCOUNT none 1 2
    ZCOUNT none x 2
    ZRANGE m 0 -1
    ZRANGE m 1 2
    ZRANGE m -2 -1
    ZRANGE m 4 2
    ZRANGE m 100 200
    ZRANGE m -100 1
    ZRANGE m x 1
    ZRANGE m 0 x
    ZRANGE m (0 1
    ZRANGE none x 1
    ZRANGE none 0 1
    ZRANGE m 0 -1 REV
    ZRANGE m 0 1 REV WITHSCORES
    ZRANGE m 2 4 BYSCORE
    ZRANGE m (2 +inf BYSCORE WITHSCORES
    ZRANGE m 4 2 BYSCORE REV
    ZRANGE m 2 4 BYSCORE REV
    ZRANGE m -inf +inf BYSCORE LIMIT 1 2
    ZRANGE m +inf -inf BYSCORE REV LIMIT 1 2 WITHSCORES
    ZRANGE m -inf +inf BYSCORE LIMIT 0 0
    ZRANGE m -inf +inf BYSCORE LIMIT 2 -1
    ZRANGE m -inf +inf BYSCORE LIMIT 2 -5
    ZRANGE m -inf +inf BYSCORE LIMIT -1 2
    ZRANGE m -inf +inf BYSCORE LIMIT 100 2
    ZRANGE m +inf -inf BYSCORE LIMIT 0 2 REV
    ZRANGE m -inf +inf BYSCORE LIMIT 1 9223372036854775807
    ZRANGE m -inf +inf BYSCORE LIMIT 1
    ZRANGE m -inf +inf BYSCORE LIMIT x 1
    ZRANGE m -inf +inf BYSCORE LIMIT 1 x
    ZRANGE m 0 1 LIMIT 0 1
    ZRANGE m 0 1 LIMIT 0 -1
    ZRANGE m 0 1 BYLEX
    ZRANGE m [a [c BYLEX WITHSCORES
    ZRANGE m 0 1 bogus
    ZRANGE m 0 1 WITHSCORES WITHSCORES
    ZRANGE m 0 1 BYSCORE BYLEX
    ZRANGE m 0 1 REV REV
    ZREVRANGE m 0 1
    ZREVRANGE m 0 1 WITHSCORES
    ZREVRANGE m 0 1 REV
    ZREVRANGE m 0 1 BYSCORE
    ZREVRANGE m 0 1 LIMIT 0 1
    ZREVRANGE none 0 1
    ZRANGEBYSCORE m 2 4
    ZRANGEBYSCORE m (2 (4 WITHSCORES
    ZRANGEBYSCORE m -inf inf LIMIT 1 2
    ZRANGEBYSCORE m -inf inf WITHSCORES LIMIT 1 2
    ZRANGEBYSCORE m x 1
    ZRANGEBYSCORE m 0 1 BYLEX
    ZRANGEBYSCORE m 0 1 REV
    ZRANGEBYSCORE m 0 1 LIMIT 1
    ZREVRANGEBYSCORE m 4 2
    ZREVRANGEBYSCORE m 2 4
    ZREVRANGEBYSCORE m (4 (1 WITHSCORES LIMIT 0 1
    ZADD x 0 a 0 b 0 c 0 d 0 e 0 ab 0 \xff 0 ""
    ZRANGEBYLEX x - +
    ZRANGEBYLEX x + -
    ZRANGEBYLEX x - -
    ZRANGEBYLEX x + +
    ZRANGEBYLEX x [a [c
    ZRANGEBYLEX x (a (c
    ZRANGEBYLEX x [a (a
    ZRANGEBYLEX x (a [a
    ZRANGEBYLEX x [ [b
    ZRANGEBYLEX x ( +
    ZRANGEBYLEX x a c
    ZRANGEBYLEX x [a c
    ZRANGEBYLEX x "" [c
    ZRANGEBYLEX x -x +
    ZRANGEBYLEX x - +x
    ZRANGEBYLEX x - + LIMIT 1 2
    ZRANGEBYLEX x - + WITHSCORES
    ZRANGEBYLEX x [c [a
    ZREVRANGEBYLEX x + -
    ZREVRANGEBYLEX x [c [a
    ZREVRANGEBYLEX x [a [c
    ZREVRANGEBYLEX x (c - LIMIT 1 1
    ZRANGE x [c (a BYLEX REV
    ZLEXCOUNT x - +
    ZLEXCOUNT x [a (c
    ZLEXCOUNT x + -
    ZLEXCOUNT x a b
    ZLEXCOUNT none - +
    ZLEXCOUNT none a b
    ZRANGESTORE d m 0 2
    ZRANGE d 0 -1 WITHSCORES
    ZRANGESTORE d m 0 2 REV
    ZRANGE d 0 -1 WITHSCORES
    ZRANGESTORE d m (1 +inf BYSCORE LIMIT 1 2
    ZRANGE d 0 -1 WITHSCORES
    ZRANGESTORE d x [c - BYLEX REV LIMIT 0 2
    ZRANGE d 0 -1 WITHSCORES
    ZRANGESTORE d m 0 1 WITHSCORES
    ZRANGESTORE d m 0 1 LIMIT 0 1
    ZRANGESTORE d m 100 200
    EXISTS d
    ZRANGESTORE m m 1 -1
    ZRANGE m 0 -1 WITHSCORES
    ZRANGESTORE d none 0 1
    ZRANGESTORE d none x 1
    SET str v
    ZRANGESTORE str m 0 1
    TYPE str
    SET str v
    ZRANGESTORE d str 0 1
    ZRANGESTORE str none 0 1
    EXISTS str
    SET str v
    ZREMRANGEBYRANK x 1 2
    ZREMRANGEBYRANK x -1 -1
    ZREMRANGEBYRANK x 5 1
    ZREMRANGEBYRANK x x 1
    ZREMRANGEBYRANK none x 1
    ZREMRANGEBYRANK none 0 1
    ZRANGE x 0 -1
    ZREMRANGEBYLEX x [b (d
    ZREMRANGEBYLEX x b d
    ZREMRANGEBYLEX none - +
    ZRANGE x 0 -1
    ZREMRANGEBYLEX x - +
    EXISTS x
    ZREMRANGEBYSCORE m (2 3
    ZREMRANGEBYSCORE m x 3
    ZREMRANGEBYSCORE none 1 3
    ZRANGE m 0 -1
    ZREMRANGEBYSCORE m -inf inf
    EXISTS m
    ZADD q 1 a 2 b 3 c 4 d 5 e 6 f 7 g 8 h
    ZPOPMIN q
    ZPOPMAX q
    ZPOPMIN q 2
    ZPOPMAX q 2
    ZPOPMIN q 0
    ZPOPMIN q -1
    ZPOPMIN q x
    ZPOPMIN q 1 2
    ZPOPMAX q 1
    ZPOPMIN none
    ZPOPMIN none 1
    ZPOPMIN none 0
    ZPOPMIN none -1
    ZPOPMAX q 100
    EXISTS q
    ZADD w 1 a 2 b 3 c inf d
    ZRANDMEMBER w
    ZRANDMEMBER w 2
    ZRANDMEMBER w 100
    ZRANDMEMBER w -20
    ZRANDMEMBER w 2 WITHSCORES
    ZRANDMEMBER w 100 WITHSCORES
    ZRANDMEMBER w -20 WITHSCORES
    ZRANDMEMBER w 0
    ZRANDMEMBER w 0 WITHSCORES
    ZRANDMEMBER w x
    ZRANDMEMBER w 1 bogus
    ZRANDMEMBER w 1 WITHSCORES x
    ZRANDMEMBER w -9223372036854775808
    ZRANDMEMBER w -4611686018427387904 WITHSCORES
    ZRANDMEMBER w 4611686018427387904 WITHSCORES
    ZRANDMEMBER none
    ZRANDMEMBER none 1
    ZRANDMEMBER none 1 WITHSCORES
    ZSCAN w 0
    ZSCAN w 0 MATCH [a-b] COUNT 1
    ZSCAN w 0 COUNT 0
    ZSCAN w 0 bogus 1
    ZSCAN w x
    ZSCAN none 0
    ZSCAN str 0
    ZSCAN z2 0
    ZADD z2 4611686018427387904 a -4611686018427387904 p 4611686018427388928 q 1e100 r
    ZSCAN z2 0
    ZADD str 1 a
    ZADD str x a
    ZADD str XX 1 a
    ZINCRBY str 1 a
    ZREM str a
    ZCARD str
    ZSCORE str a
    ZMSCORE str a
    ZRANK str a
    ZREVRANK str a
    ZCOUNT str 1 2
    ZCOUNT str x 2
    ZLEXCOUNT str - +
    ZRANGE str 0 1
    ZRANGE str x 1
    ZREVRANGE str 0 1
    ZRANGEBYSCORE str 0 1
    ZRANGEBYLEX str - +
    ZREMRANGEBYRANK str 0 1
    ZREMRANGEBYSCORE str 0 1
    ZREMRANGEBYLEX str - +
    ZPOPMIN str
    ZPOPMAX str 0
    ZPOPMAX str -1
    ZRANDMEMBER str
    ZRANDMEMBER str x
    COPY w copied
    ZADD copied 1 more
    ZRANGE w 0 -1 WITHSCORES
    ZRANGE copied 0 -1 WITHSCORES
    EXPIRE w 100
    ZADD w 7 x
    PERSIST w
"#;

const PROTOCOLS: [Protocol; 2] = [Protocol::Resp2, Protocol::Resp3];

fn compare_lines(lines: &str) {
    for protocol in PROTOCOLS {
        Pair::start(protocol).lines(lines);
    }
}

#[test]
fn lists_answer_as_redis_does() {
    compare_lines(LISTS);
}

#[test]
fn sets_answer_as_redis_does() {
    compare_lines(SETS);
}

#[test]
fn hashes_answer_as_redis_does() {
    compare_lines(HASHES);
}

#[test]
fn sorted_sets_answer_as_redis_does() {
    compare_lines(SORTED_SETS);
}

#[test]
fn encodings_are_named_at_the_limits_of_redis() {
    let mut pair = Pair::start(Protocol::Resp2);
    for (add, limit) in [("SADD k N", 512), ("HSET k N v", 512), ("ZADD k N N", 128)] {
        for i in 1..=limit + 1 {
            pair.line(&add.replace('N', &i.to_string()));
            if i >= limit {
                pair.line("OBJECT ENCODING k");
            }
        }
        let remove = add
            .replace("ADD", "REM")
            .replace("HSET", "HDEL")
            .replace("ZREM k N", "ZREM k");
        for i in [3, 4] {
            let remove = remove.trim_end_matches(" v").replace('N', &i.to_string());
            pair.line(&remove);
            pair.line("OBJECT ENCODING k");
        }
        pair.line("COPY k l");
        pair.line("OBJECT ENCODING l");
        pair.line("DEL k l");
    }
    let (short, long) = ("s".repeat(64), "l".repeat(65));
    for line in [
        "HSET k X v",
        "HSET k f X",
        "HSETNX k X v",
        "ZADD k 1 X",
        "SADD k X",
        "RPUSH k X",
    ] {
        for word in [&short, &long] {
            pair.line(&line.replace('X', word));
            pair.line("OBJECT ENCODING k");
        }
        pair.line("DEL k");
    }
    pair.line(&format!("HINCRBY k {long} 1"));
    pair.line("OBJECT ENCODING k");
    pair.line(&format!("HINCRBYFLOAT l {long} 1.5"));
    pair.line("OBJECT ENCODING l");
    pair.line("DEL k l");
    for i in 0..200 {
        pair.line(&format!("ZADD k {i} {i}"));
    }
    for (store, most) in [
        ("ZRANGESTORE l k 0 127", 128),
        ("ZRANGESTORE l k 0 128", 129),
    ] {
        pair.line(store);
        pair.line("ZCARD l");
        pair.holds(most == if store.ends_with('7') { 128 } else { 129 }, store);
        pair.line("OBJECT ENCODING l");
    }
}

/// Redis moves what a large SPOP leaves to a new set, with an encoding of its own.
#[test]
fn what_a_large_pop_leaves_is_encoded_anew() {
    for count in [1, 799, 830, 834, 990, 999, 1_000] {
        let mut pair = Pair::start(Protocol::Resp2);
        pair.line("SADD k x");
        for i in 0..1_000 {
            pair.line(&format!("SADD k {i}"));
        }
        pair.line("SREM k x");
        pair.line("OBJECT ENCODING k");
        let pop = format!("SPOP k {count}");
        let words: Words = pop.split(' ').map(word).collect();
        assert_eq!(pair.store(&words).bulks().len(), count);
        assert_eq!(pair.redis(&words).bulks().len(), count);
        pair.history.push(pop);
        pair.line("SCARD k");
        pair.line("OBJECT ENCODING k");
    }
}

#[test]
fn large_collections_answer_as_redis_does() {
    let mut pair = Pair::start(Protocol::Resp3);
    for i in 0..3_000 {
        let n = i * 7_919 % 3_000;
        pair.line(&format!("ZADD z {} member:{n}", n % 100));
        pair.line(&format!("SADD s member:{n}"));
        pair.line(&format!("HSET h field:{n} {i}"));
        pair.line(&format!("RPUSH l {n}"));
    }
    for key in ["z", "s", "h", "l"] {
        pair.contents(key.as_bytes());
    }
    for i in (0..3_000).step_by(37) {
        pair.line(&format!("ZRANK z member:{i}"));
        pair.line(&format!("ZREVRANK z member:{i}"));
        pair.line(&format!("ZRANGE z {i} {} REV WITHSCORES", i + 200));
        pair.line(&format!("ZRANGE z {} (60 BYSCORE LIMIT {i} 150", i % 50));
        pair.line(&format!("ZCOUNT z ({} {}", i % 50, i % 73));
        pair.line(&format!("LINDEX l {i}"));
        pair.line(&format!("LPOS l {i} RANK -1 MAXLEN 2000"));
    }
    for scan in ["SSCAN s 0", "HSCAN h 0", "ZSCAN z 0"] {
        for options in ["", " COUNT 1", " COUNT 1000", " MATCH *7* COUNT 100"] {
            pair.line(&format!("{scan}{options}"));
        }
    }
    for random in ["SRANDMEMBER s", "HRANDFIELD h", "ZRANDMEMBER z"] {
        for count in [1, 100, 2_000, 2_999, 3_000, -5_000] {
            pair.line(&format!("{random} {count}"));
        }
    }
    pair.lines(
        "ZREMRANGEBYRANK z 100 2000\nZREMRANGEBYSCORE z 70 80\nLTRIM l 500 -500\nLREM l 0 7",
    );
    pair.lines("SPOP s 1000\nSPOP s 1900\nZPOPMAX z 200\nLPOP l 300\nRPOP l 300");
    for key in ["z", "s", "h", "l"] {
        pair.contents(key.as_bytes());
    }
}

#[test]
fn a_scan_meets_what_stays_while_others_come_and_go() {
    let store = Store::new(9);
    let run = |line: &str| execute(&store, &line.split(' ').map(word).collect::<Words>());
    for (add, remove, scan) in [
        ("SADD k @", "SREM k @", "SSCAN k @ COUNT 7"),
        ("HSET k @ v", "HDEL k @", "HSCAN k @ COUNT 7"),
        ("ZADD k 1 @", "ZREM k @", "ZSCAN k @ COUNT 7"),
    ] {
        for i in 0..2_000 {
            run(&add.replace('@', &format!("m{i}")));
        }
        let (mut cursor, mut found, mut step) = ("0".to_owned(), BTreeSet::new(), 0);
        loop {
            let reply = encode(&run(&scan.replace('@', &cursor)), Protocol::Resp2);
            let Value::Many(_, parts) = Value::parse(&reply) else {
                panic!("{scan}")
            };
            found.extend(parts[1].bulks());
            cursor = String::from_utf8(parts[0].bulks().remove(0)).unwrap();
            if cursor == "0" {
                break;
            }
            // Multiples of three stay.
            for i in [step * 3 + 1, 2_000 - step * 3, step * 6 + 2] {
                if i % 3 != 0 {
                    run(&remove.replace('@', &format!("m{i}")));
                }
            }
            run(&add.replace('@', &format!("new{step}")));
            step += 1;
        }
        let stayed = (0..2_000).step_by(3).map(|i| format!("m{i}").into_bytes());
        for member in stayed {
            assert!(found.contains(&member), "{scan}: {}", member.escape_ascii());
        }
        run("DEL k");
    }
}

#[test]
fn more_random_elements_than_a_reply_may_have_are_refused() {
    let store = Store::new(1);
    let run = |line: &str| execute(&store, &line.split(' ').map(word).collect::<Words>());
    run("SADD s a");
    run("HSET h a b");
    run("ZADD z 1 a");
    for line in ["SRANDMEMBER s", "HRANDFIELD h", "ZRANDMEMBER z"] {
        assert!(
            run(&format!("{line} -9223372036854775807")).is_error(),
            "{line}"
        );
        let Reply::Array(found) = run(&format!("{line} -1000")) else {
            panic!("{line}")
        };
        assert_eq!(found.len(), 1_000);
    }
}

/// Two keys for each type, which keep it for long, and two for any.
const KEYS: [&str; 10] = [
    "list1",
    "list2",
    "set1",
    "set2",
    "hash1",
    "hash2",
    "zset1",
    "zset2",
    "any",
    "\\x00\\xff",
];

#[test]
fn generated_commands_get_the_replies_of_redis() {
    for (seed, protocol) in [(1, PROTOCOLS[0]), (2, PROTOCOLS[1]), (3, PROTOCOLS[0])] {
        let mut pair = Pair::start(protocol);
        pair.in_transactions = seed == 3;
        let mut generator = Generator::new(seed);
        for i in 0..8_000 {
            let words = generator.command();
            pair.check(&words);
            if i % 40 == 0 {
                // Most likely a key that has another type than its name says.
                pair.check(&[b"DEL".to_vec(), word(generator.random.one(&KEYS))]);
            }
            if i % 400 == 0 {
                KEYS.iter().for_each(|key| pair.contents(&word(key)));
            }
        }
    }
}

/// EXEC tells whether a command has changed a key that was watched before it.
#[test]
fn generated_commands_change_what_they_change_in_redis() {
    let mut pair = Pair::start(Protocol::Resp2);
    let mut generator = Generator::new(21);
    let mut seen = [0; 2];
    for i in 0..9_000 {
        if i % 40 == 0 {
            pair.check(&[b"DEL".to_vec(), word(generator.random.one(&KEYS))]);
        }
        let words = generator.command();
        if words[0] == b"SPOP" {
            continue;
        }
        // The source or the destination, where there are two.
        let place = 1 + usize::from(words.len() > 2 && generator.random.below(5) == 0);
        let key = words[place].clone();
        let watched = pair.store.watch(&key, oracle::now());
        pair.redis(&[b"WATCH".to_vec(), key.clone()]);
        pair.check(&words);
        pair.redis(&[b"MULTI".to_vec()]);
        let expected = pair.redis(&[b"EXEC".to_vec()]);
        let watched = [watched];
        let unchanged = pair
            .store
            .transaction(oracle::now(), &watched, &[])
            .is_some();
        watched
            .into_iter()
            .for_each(|watched| pair.store.unwatch(watched));
        let found = Value::parse(if unchanged { b"*0\r\n" } else { b"*-1\r\n" });
        seen[usize::from(unchanged)] += 1;
        pair.holds(
            found == expected,
            &format!("{} was {expected:?}", key.escape_ascii()),
        );
    }
    assert!(
        seen.iter().all(|seen| *seen > 1_000),
        "changed and unchanged: {seen:?}"
    );
}

/// What may stand for a number with a fraction, and is none, or an extreme one.
const ODD: &[&str] = &[
    "x", "nan", "\"\"", "1e400", "1e-400", "0x1p4", "1e", "\\x201",
];

/// A generator of commands.
struct Generator {
    random: Random,
    /// Keys that the command at hand takes in most cases.
    own: &'static [&'static str],
}

impl Generator {
    fn new(seed: u64) -> Generator {
        Generator {
            random: Random::new(seed),
            own: &KEYS,
        }
    }

    /// A command whose words in capitals that stand for something are filled in.
    fn command(&mut self) -> Words {
        let (kind, own) = match self.random.below(30) {
            0 => (OTHERS, &KEYS[..]),
            1..=7 => (LIST_COMMANDS, &KEYS[0..2]),
            8..=14 => (SET_COMMANDS, &KEYS[2..4]),
            15..=20 => (HASH_COMMANDS, &KEYS[4..6]),
            _ => (SORTED_SET_COMMANDS, &KEYS[6..8]),
        };
        self.own = own;
        let lines: Vec<&str> = kind
            .lines()
            .map(str::trim)
            .filter(|l| !l.is_empty())
            .collect();
        let line = self.random.one(&lines);
        let mut words = Vec::new();
        for part in line.split(' ') {
            self.fill(part, &mut words);
        }
        words
    }

    fn fill(&mut self, part: &str, words: &mut Words) {
        let filled = match part {
            "_KEY" => self.key(),
            "_ELEM" => self.element(),
            "_INT" => self.random.integer(),
            "_COUNT" => self.random.below(6).to_string().into_bytes(),
            "_FLOAT" => self.random.float(ODD),
            "_MIN" | "_MAX" => self.random.bound(ODD),
            "_LEX" => {
                let member = self.element();
                self.random.lexical(member)
            }
            "_ELEMS" => return self.several(words, |r, w| w.push(r.element())),
            "_KEYS" => return self.several(words, |r, w| w.push(r.key())),
            "_FIELDS" => return self.several(words, |r, w| w.extend([r.element(), r.element()])),
            "_SCORES" => {
                return self.several(words, |r, w| w.extend([r.random.float(ODD), r.element()]));
            }
            _ if part.contains('|') => {
                let alternatives: Vec<&str> = part.split('|').collect();
                let chosen = self.random.one(&alternatives);
                if chosen.is_empty() {
                    return;
                }
                chosen
                    .replace('~', " ")
                    .split(' ')
                    .for_each(|p| self.fill(p, words));
                return;
            }
            literal => literal.into(),
        };
        words.push(filled);
    }

    fn several(&mut self, words: &mut Words, one: impl Fn(&mut Generator, &mut Words)) {
        let count = match self.random.below(60) {
            0 => 150 + self.random.below(450),
            _ => 1 + self.random.below(4),
        };
        (0..count).for_each(|_| one(self, words));
    }

    fn key(&mut self) -> Vec<u8> {
        let from = if self.random.below(12) == 0 {
            &KEYS
        } else {
            self.own
        };
        word(self.random.one(from))
    }

    /// One of few, so that commands meet it again; at times a long one, or one of many.
    fn element(&mut self) -> Vec<u8> {
        match self.random.below(40) {
            0 => self.random.one(&["x", "yz"]).repeat(40).into(),
            1 => word(
                self.random
                    .one(&["\"\"", "\\x00", "\\xff\\xfe", "01", "-0", "1.5"]),
            ),
            2..=5 => self.random.below(700).to_string().into(),
            6..=20 => (self.random.below(12) as i64 - 2).to_string().into(),
            _ => self
                .random
                .one(&["a", "b", "c", "d", "e", "f", "ab", "abc", "foo", "zz"])
                .into(),
        }
    }
}

const OTHERS: &str = "
    DEL _KEY
    DEL _KEY
    SET _KEY _ELEM
    COPY _KEY _KEY REPLACE
    RENAME _KEY _KEY
    EXPIRE _KEY 1000
    PERSIST _KEY
    TYPE _KEY
";

const LIST_COMMANDS: &str = "
    LPUSH|RPUSH _KEY _ELEMS
    LPUSH|RPUSH _KEY _ELEMS
    LPUSHX|RPUSHX _KEY _ELEMS
    LPOP|RPOP _KEY |_COUNT|_INT
    LPOP|RPOP _KEY
    LLEN _KEY
    LRANGE _KEY _INT _INT
    LINDEX _KEY _INT
    LSET _KEY _INT _ELEM
    LINSERT _KEY before|AFTER|bogus _ELEM _ELEM
    LREM _KEY _INT _ELEM
    LTRIM _KEY 0|1|_INT -1|300|_INT
    LPOS _KEY _ELEM |RANK~_COUNT|RANK~-1|RANK~-2|RANK~x |COUNT~_COUNT|COUNT~_INT |MAXLEN~_INT
    RPOPLPUSH _KEY _KEY
    LMOVE _KEY _KEY left|RIGHT left|RIGHT
";

const SET_COMMANDS: &str = "
    SADD _KEY _ELEMS
    SADD _KEY _ELEMS
    SADD _KEY 1|2|3|4|5|6|7|8|9
    SREM _KEY _ELEMS
    SCARD _KEY
    SISMEMBER _KEY _ELEM
    SMISMEMBER _KEY _ELEMS
    SMEMBERS _KEY
    SPOP _KEY |1|2|_INT
    SRANDMEMBER _KEY |_COUNT|-7|-1|x
    SMOVE _KEY _KEY _ELEM
    SUNION|SINTER|SDIFF _KEYS
    SUNIONSTORE|SINTERSTORE|SDIFFSTORE _KEY _KEYS
    SINTERCARD 1|2|3|_INT _KEYS |LIMIT~_INT|LIMIT
    SSCAN _KEY 0|0|0|x |MATCH~[a-f]* |COUNT~_INT
";

const HASH_COMMANDS: &str = "
    HSET|HMSET _KEY _FIELDS
    HSET|HMSET _KEY _FIELDS
    HSET _KEY _FIELDS |_ELEM
    HSETNX _KEY _ELEM _ELEM
    HGET _KEY _ELEM
    HMGET _KEY _ELEMS
    HGETALL|HKEYS|HVALS|HLEN _KEY
    HDEL _KEY _ELEMS
    HSTRLEN|HEXISTS _KEY _ELEM
    HINCRBY _KEY _ELEM _INT
    HINCRBYFLOAT _KEY _ELEM _FLOAT
    HRANDFIELD _KEY |_COUNT|-7|-1|x|_COUNT~WITHVALUES|-7~withvalues
    HSCAN _KEY 0|0|0|x |MATCH~[a-f]* |COUNT~_INT
";

const SORTED_SET_COMMANDS: &str = "
    ZADD _KEY _SCORES
    ZADD _KEY _SCORES
    ZADD _KEY |NX|xx |GT|LT |CH _SCORES
    ZADD _KEY INCR |NX|XX|GT|LT _FLOAT _ELEM
    ZINCRBY _KEY _FLOAT _ELEM
    ZREM _KEY _ELEMS
    ZCARD _KEY
    ZSCORE|ZRANK|ZREVRANK _KEY _ELEM
    ZMSCORE _KEY _ELEMS
    ZCOUNT _KEY _MIN _MAX
    ZRANGE _KEY _INT _INT |REV |WITHSCORES |LIMIT~_INT~_INT
    ZREVRANGE _KEY _INT _INT |WITHSCORES
    ZRANGE _KEY _MIN _MAX BYSCORE |REV |WITHSCORES |LIMIT~_INT~_INT
    ZRANGEBYSCORE|ZREVRANGEBYSCORE _KEY _MIN _MAX |WITHSCORES |LIMIT~_INT~_INT
    ZRANGESTORE _KEY _KEY _MIN _MAX BYSCORE |REV |LIMIT~_COUNT~_COUNT
    ZRANGESTORE _KEY _KEY _INT _INT |REV
    ZPOPMIN|ZPOPMAX _KEY |_COUNT|_INT
    ZREMRANGEBYRANK _KEY 5|_INT 7|_INT
    ZREMRANGEBYSCORE _KEY 5|_MIN 6|_MAX
    ZRANDMEMBER _KEY |_COUNT|-7|-1|x|_COUNT~WITHSCORES|-7~withscores
    ZSCAN _KEY 0|0|0|x |MATCH~[a-f]* |COUNT~_INT
";

/// Members of one score, in the order of their bytes.
#[test]
fn generated_ranges_of_members_are_those_of_redis() {
    for protocol in PROTOCOLS {
        let mut pair = Pair::start(protocol);
        let mut generator = Generator::new(11);
        for i in 0..3_000 {
            let mut words = Vec::new();
            let line = match i % 9 {
                0..=2 => "ZADD lex 0 _ELEM 0 _ELEM",
                3 => "ZREM lex _ELEMS",
                4 => "ZRANGEBYLEX|ZREVRANGEBYLEX lex _LEX _LEX |LIMIT~_INT~_INT",
                5 => "ZRANGE lex _LEX _LEX BYLEX |REV |LIMIT~_INT~_INT",
                6 => "ZLEXCOUNT lex _LEX _LEX",
                7 => "ZREMRANGEBYLEX lex [a [_ELEM",
                _ => "ZRANGESTORE other lex _LEX _LEX BYLEX |REV",
            };
            line.split(' ')
                .for_each(|part| generator.fill(part, &mut words));
            pair.check(&words);
        }
        pair.contents(b"lex");
        pair.contents(b"other");
    }
}
