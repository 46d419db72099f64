//! Scripts from seeds.
//!
//! A line of [`LINES`] is a command. A word in capitals behind `_` stands for something that is
//! chosen anew each time; of words with `|` between them one is chosen, in which `~` is a blank.
//! The number before a line says how often it comes.

use std::fmt;

use crate::oracle::{Random, show, word};

pub type Words = Vec<Vec<u8>>;

/// A step of a script.
#[derive(Clone, Debug)]
pub enum Step {
    One(Words),
    /// Commands between MULTI and EXEC.
    Exec(Vec<Words>),
    /// Another client, of this number, selects a database and waits there, unless it waits already.
    Wait(usize, u32, Words),
    /// Another client watches a key of a database while these commands run.
    Guard(u32, Vec<u8>, Vec<Words>),
}

impl Step {
    /// Whether it is left out while so many clients wait: where nothing says who is served first,
    /// and where Redis 7.0 overlooks a list or sorted set that takes the place of something else.
    pub fn is_left_out(&self, waiting: usize) -> bool {
        let is_left_out = |words: &Words| match &words[0].to_ascii_lowercase()[..] {
            b"swapdb" => waiting > 1,
            b"sort" | b"zrangestore" | b"zunionstore" | b"zinterstore" | b"zdiffstore" => true,
            _ => false,
        };
        match self {
            Step::One(words) => is_left_out(words),
            Step::Exec(commands) | Step::Guard(_, _, commands) => commands.iter().any(is_left_out),
            Step::Wait(..) => false,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::One(words) => f.write_str(&show(words)),
            Step::Exec(commands) => {
                let shown: Vec<String> = commands.iter().map(|words| show(words)).collect();
                write!(f, "MULTI; {}; EXEC", shown.join("; "))
            }
            Step::Wait(who, database, words) => {
                write!(f, "client {who}: SELECT {database}; {}", show(words))
            }
            Step::Guard(database, key, commands) => {
                let shown: Vec<String> = commands.iter().map(|words| show(words)).collect();
                let key = key.escape_ascii();
                write!(
                    f,
                    "SELECT {database}; WATCH {key}, while {}",
                    shown.join("; ")
                )
            }
        }
    }
}

/// All commands of the store. Ranges of members are only defined where all have one score: these
/// commands have a key of their own.
pub const LINES: &str = "
    3 SET _KEY _VALUE |NX|XX |GET \
        |EX~1000|PX~1000000|EXAT~_AT|PXAT~_MSAT|KEEPTTL|EX~0|PX~-1|EX~x|EX~9223372036854775807
    2 GET|GETDEL|STRLEN _KEY
    1 GETEX _KEY |EX~1000|PX~1000000|EXAT~_AT|PXAT~_MSAT|PERSIST|EX~0|bogus
    1 GETSET _KEY _VALUE
    1 SETNX _KEY _VALUE
    1 SETEX|PSETEX _KEY 1000000|1000000|0|-1|x|9223372036854775807 _VALUE
    2 INCR|DECR _KEY
    2 INCRBY|DECRBY _KEY _INT
    2 INCRBYFLOAT _KEY _FLOAT
    2 APPEND _KEY _VALUE
    2 SETRANGE _KEY _PLACE _VALUE
    1 GETRANGE|SUBSTR _KEY _INT _INT
    1 MGET _KEYS
    1 MSET|MSETNX _PAIRS
    1 LCS _KEY _KEY |LEN|IDX |MINMATCHLEN~_COUNT |WITHMATCHLEN
    1 BITCOUNT _KEY |_INT~_INT|_INT~_INT~BYTE|_INT~_INT~bit|_INT
    1 BITPOS _KEY 0|1|2 |_INT|_INT~_INT|_INT~_INT~BIT|_INT~_INT~BYTE
    1 BITOP AND|OR|xor|bogus _KEY _KEYS
    1 BITOP NOT _KEY _KEY |_KEY
    1 SETBIT _KEY _PLACE 0|1|1|2
    1 GETBIT _KEY _PLACE
    2 BITFIELD _KEY |OVERFLOW~wrap|OVERFLOW~SAT|OVERFLOW~FAIL SET|INCRBY _TYPE _OFFSET _INT GET \
        _TYPE _OFFSET
    1 BITFIELD_RO _KEY |GET~_TYPE~_OFFSET |GET~_TYPE~#1 |SET~u8~0~1
    2 COPY _KEY _KEY |REPLACE |DB~_DB|bogus
    2 COPY _KEY _KEY DB _DB |REPLACE
    3 DEL|UNLINK|EXISTS|TOUCH _KEYS
    2 DUMP _KEY
    1 EXPIRE _KEY 1000|5000|0|-1|x|9223372036854775807 |NX|XX|bogus
    1 PEXPIRE _KEY 1000000|0|-1|9223372036854775807 |NX|XX
    2 EXPIREAT _KEY _AT |NX|XX|GT|LT|GT~XX|NX~GT|GT~LT
    2 PEXPIREAT _KEY _MSAT |NX|XX|GT|LT|LT~XX
    1 EXPIRETIME|PEXPIRETIME|TTL|PTTL|PERSIST|TYPE _KEY
    1 KEYS *|?|[a-c]|_KEY|k*|\\\\a|[^a]|nosuch*
    3 MOVE _KEY _DB
    3 SELECT _DB
    1 OBJECT ENCODING|REFCOUNT|IDLETIME|FREQ _KEY
    1 OBJECT HELP
    1 OBJECT bogus _KEY
    1 RANDOMKEY
    2 RENAME|RENAMENX _KEY _KEY
    2 RESTORE _KEY 0|0|1000000|-1|x _PAYLOAD |REPLACE|REPLACE |ABSTTL \
        |IDLETIME~5|FREQ~5|IDLETIME~-1|bogus
    1 SCAN 0|x |MATCH~_KEY|MATCH~[a-c] |COUNT~_COUNT|COUNT~100 |TYPE~string|TYPE~hash|TYPE~bogus
    2 SORT|SORT_RO _KEY |BY~nosort|BY~_KEY|BY~*|BY~w*|BY~h->* |LIMIT~_INT~_INT \
        |GET~#|GET~*|GET~#~GET~w* |ASC|DESC |ALPHA
    1 SORT _KEY |ALPHA |GET~# |DESC STORE _KEY
    1 SORT _KEY BY nosort|* |GET~# |DESC STORE _KEY
    3 LPUSH|RPUSH _KEY _ELEMS
    1 LPUSH|RPUSH _KEY _MANYELEMS
    1 LPUSHX|RPUSHX _KEY _ELEMS
    2 LPOP|RPOP _KEY |_COUNT|_INT
    1 LLEN _KEY
    2 LRANGE _KEY _INT _INT
    1 LINDEX _KEY _INT
    2 LSET _KEY _INT _ELEM
    2 LINSERT _KEY before|AFTER|bogus _ELEM _ELEM
    2 LREM _KEY _INT _ELEM
    1 LTRIM _KEY 0|1|_INT -1|300|_INT
    1 LPOS _KEY _ELEM |RANK~_COUNT|RANK~-1|RANK~-2|RANK~x|RANK~-9223372036854775808 \
        |COUNT~_COUNT|COUNT~_INT |MAXLEN~_INT
    1 RPOPLPUSH _KEY _KEY
    2 LMOVE _KEY _KEY left|RIGHT left|RIGHT|up
    1 LMPOP 1|2|_INT _KEYS LEFT|right|up |COUNT~_COUNT|COUNT
    1 BLPOP|BRPOP _KEYS 0|0.01|-1|x
    1 BRPOPLPUSH _KEY _KEY 0|0.01|-1|x
    1 BLMOVE _KEY _KEY left|RIGHT left|RIGHT 0|0.01|-1
    1 BLMPOP 0|0.01|-1 1|2 _KEYS LEFT|RIGHT |COUNT~_COUNT
    4 SADD _KEY _ELEMS
    2 SADD _KEY _SMALLINTS
    1 SADD _KEY _MANYINTS
    2 SREM _KEY _ELEMS
    1 SCARD|SMEMBERS _KEY
    1 SISMEMBER _KEY _ELEM
    1 SMISMEMBER _KEY _ELEMS
    2 SPOP _KEY |1|2|0|_INT|_COUNT~x
    1 SRANDMEMBER _KEY |_COUNT|-7|-1|x
    2 SMOVE _KEY _KEY _ELEM
    2 SUNION|SINTER|SDIFF _KEYS
    2 SUNIONSTORE|SINTERSTORE|SDIFFSTORE _KEY _KEYS
    1 SINTERCARD 1|2|3|_INT _KEYS |LIMIT~_INT|LIMIT
    1 SSCAN _KEY 0|0|x |MATCH~[a-f]* |COUNT~_INT
    4 HSET|HMSET _KEY _FIELDS
    1 HSET _KEY _MANYFIELDS
    1 HSET _KEY _FIELDS _ELEM
    1 HSETNX _KEY _ELEM _ELEM
    2 HGET|HSTRLEN|HEXISTS _KEY _ELEM
    1 HMGET _KEY _ELEMS
    2 HGETALL|HKEYS|HVALS|HLEN _KEY
    2 HDEL _KEY _ELEMS
    1 HINCRBY _KEY _ELEM _INT
    1 HINCRBYFLOAT _KEY _ELEM _FLOAT
    1 HRANDFIELD _KEY |_COUNT|-7|-1|x|_COUNT~WITHVALUES|-7~withvalues|2~bogus
    1 HSCAN _KEY 0|0|x |MATCH~[a-f]* |COUNT~_INT
    4 ZADD _KEY |NX|XX|NX~XX |GT|LT |CH |INCR _SCORES
    4 ZADD _KEY _SCORES
    1 ZADD _KEY _MANYSCORES
    1 ZINCRBY _KEY _FLOAT _ELEM
    2 ZREM _KEY _ELEMS
    1 ZCARD _KEY
    1 ZSCORE|ZRANK|ZREVRANK _KEY _ELEM
    1 ZMSCORE _KEY _ELEMS
    1 ZCOUNT _KEY _BOUND _BOUND
    2 ZADD alike 0 _ELEM 0 _ELEM 0 _ELEM
    1 ZREM alike _ELEMS
    1 SET|LPUSH|DEL alike |x
    2 ZLEXCOUNT alike _LEX _LEX
    2 ZRANGE _KEY _INT _INT |REV |WITHSCORES |LIMIT~_INT~_INT
    1 ZRANGE _KEY _BOUND _BOUND BYSCORE |REV |WITHSCORES |LIMIT~_INT~_INT
    2 ZRANGE alike _LEX _LEX BYLEX |REV |WITHSCORES |LIMIT~_INT~_INT
    1 ZREVRANGE _KEY _INT _INT |WITHSCORES|bogus
    1 ZRANGEBYSCORE|ZREVRANGEBYSCORE _KEY _BOUND _BOUND |WITHSCORES |LIMIT~_INT~_INT
    2 ZRANGEBYLEX|ZREVRANGEBYLEX alike _LEX _LEX |LIMIT~_INT~_INT
    1 ZRANGESTORE _KEY _KEY _INT _INT |REV
    1 ZRANGESTORE _KEY _KEY _BOUND _BOUND BYSCORE |REV |LIMIT~_COUNT~_COUNT
    2 ZPOPMIN|ZPOPMAX _KEY |_COUNT|_INT
    1 ZMPOP 1|2|_INT _KEYS MIN|max|up |COUNT~_COUNT
    1 BZPOPMIN|BZPOPMAX _KEYS 0|0.01|-1|x
    1 BZMPOP 0|0.01|-1 1|2 _KEYS MIN|MAX |COUNT~_COUNT
    1 ZREMRANGEBYRANK _KEY 5|_INT 7|_INT
    1 ZREMRANGEBYSCORE _KEY 5|_BOUND 6|_BOUND
    1 ZREMRANGEBYLEX alike [f|_LEX (g|_LEX
    1 ZRANDMEMBER _KEY |_COUNT|-7|-1|x|_COUNT~WITHSCORES|-7~withscores
    1 ZSCAN _KEY 0|0|x |MATCH~[a-f]* |COUNT~_INT
    1 ZUNION|ZINTER 1|2|_INT _KEYS |WEIGHTS~_FLOAT~_FLOAT|WEIGHTS~_FLOAT \
        |AGGREGATE~min|AGGREGATE~MAX|AGGREGATE~sum |WITHSCORES
    1 ZDIFF 1|2|_INT _KEYS |WITHSCORES
    1 ZUNIONSTORE|ZINTERSTORE _KEY 1|2|_INT _KEYS |WEIGHTS~_FLOAT~_FLOAT|WEIGHTS~_FLOAT \
        |AGGREGATE~min|AGGREGATE~MAX
    1 ZDIFFSTORE _KEY 1|2|_INT _KEYS
    1 ZINTERCARD 1|2|_INT _KEYS |LIMIT~_INT
    2 PFADD _KEY |_ELEMS
    1 PFCOUNT _KEYS
    1 PFMERGE _KEY |_KEYS
    1 PFDEBUG ENCODING|DECODE|todense|GETREG|bogus _KEY
    1 DBSIZE
    1 FLUSHALL |ASYNC|SYNC|bogus
    1 FLUSHDB |ASYNC|SYNC
    1 MEMORY USAGE _KEY |SAMPLES~_INT
    2 SWAPDB _DB _DB
";

/// What waits for an element, of one key: of several that come at once Redis takes any.
const WAITING: &str = "
    2 BLPOP|BRPOP _KEY 0
    1 BRPOPLPUSH _KEY _KEY 0
    2 BLMOVE _KEY _KEY LEFT|RIGHT LEFT|RIGHT 0
    1 BLMPOP 0 1 _KEY LEFT|RIGHT |COUNT~3
    2 BZPOPMIN|BZPOPMAX _KEY 0
    1 BZMPOP 0 1 _KEY MIN|MAX |COUNT~3
";
/// Clients that may wait.
pub const WAITERS: usize = 3;
/// Databases that scripts use: those below this number.
pub const DATABASES: u32 = 3;

/// The commands that a line may make, by the table's names.
pub fn commands_of(line: &str) -> Vec<String> {
    let mut words = line.split_whitespace().skip(1);
    let (Some(names), second) = (words.next(), words.next()) else {
        return Vec::new();
    };
    let lower = names.to_ascii_lowercase();
    let names = lower.split('|').map(str::to_owned);
    match (&lower[..], second) {
        ("object" | "memory", Some(subs)) => {
            let subs = subs.to_ascii_lowercase();
            subs.split('|')
                .map(|sub| format!("{lower}|{sub}"))
                .collect()
        }
        _ => names.collect(),
    }
}

/// Commands that are no part of transactions here: their replies are compared with what the other
/// has, which must not have changed since.
const ALONE: &[&[u8]] = &[
    b"SPOP",
    b"RANDOMKEY",
    b"SRANDMEMBER",
    b"HRANDFIELD",
    b"ZRANDMEMBER",
    b"SCAN",
    b"SSCAN",
    b"HSCAN",
    b"ZSCAN",
    b"DUMP",
    b"SORT",
    b"SORT_RO",
];

const KEYS: [&str; 6] = ["a", "b", "c", "d", "k\\x00\\xff", "w1"];
const WORDS: [&str; 8] = ["a", "b", "c", "d", "ab", "abc", "1", "2"];

/// What may stand for a number with a fraction. None is too great or too small for C: Redis 7.0
/// would hold that against a later SORT.
const ODD: &[&str] = &["x", "nan", "\"\"", "0x1p4", "1e"];

/// The lines of a grammar, each as often as it shall come.
fn weighted(lines: &'static str) -> Vec<&'static str> {
    let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
    let times = |line: &'static str| {
        let (times, rest) = line.split_once(' ').expect("a number before each line");
        std::iter::repeat_n(rest, times.parse().expect("a number"))
    };
    lines.flat_map(times).collect()
}

/// Whether a command may wait where it is no part of a transaction.
fn blocks(words: &Words) -> bool {
    let name = words[0].to_ascii_uppercase();
    name.starts_with(b"B") && !name.starts_with(b"BIT")
}

/// Makes scripts.
pub struct Generator<'a> {
    random: Random,
    payloads: &'a [Vec<u8>],
    lines: Vec<&'static str>,
}

impl<'a> Generator<'a> {
    pub fn new(seed: u64, payloads: &'a [Vec<u8>]) -> Generator<'a> {
        Generator {
            random: Random::new(seed),
            payloads,
            lines: weighted(LINES),
        }
    }

    pub fn script(&mut self, steps: usize) -> Vec<Step> {
        // Most scripts know few commands, so that these meet what each other left.
        let known = match self.random.below(3) {
            0 => self.lines.len(),
            _ => 25,
        };
        let lines: Vec<&'static str> = (0..known)
            .map(|i| match known == self.lines.len() {
                true => self.lines[i],
                false => self.random.one(&self.lines.clone()),
            })
            .collect();
        (0..steps).map(|_| self.step(&lines)).collect()
    }

    fn step(&mut self, lines: &[&'static str]) -> Step {
        match self.random.below(24) {
            0 => {
                let who = self.random.below(WAITERS as u64) as usize;
                let database = self.random.below(DATABASES.into()) as u32;
                let words = self.command(&weighted(WAITING));
                return Step::Wait(who, database, words);
            }
            1 => {
                let (database, key) = (self.random.below(DATABASES.into()), self.random.one(&KEYS));
                let count = 1 + self.random.below(4);
                let commands = (0..count).map(|_| self.command(lines));
                let commands = commands.filter(|words| !blocks(words)).collect();
                return Step::Guard(database as u32, word(key), commands);
            }
            _ => {}
        }
        let first = self.command(lines);
        if !blocks(&first) && self.random.below(12) > 0 {
            return Step::One(first);
        }
        let more = (0..self.random.below(3)).map(|_| self.command(lines));
        let commands = std::iter::once(first).chain(more.collect::<Vec<_>>());
        let fits = |words: &Words| !ALONE.contains(&&words[0].to_ascii_uppercase()[..]);
        Step::Exec(commands.filter(fits).collect())
    }

    fn command(&mut self, lines: &[&'static str]) -> Words {
        let mut words = Vec::new();
        for part in self.random.one(lines).split(' ') {
            self.fill(part, &mut words);
        }
        words
    }

    fn fill(&mut self, part: &str, words: &mut Words) {
        if part.contains('|') {
            let alternatives: Vec<&str> = part.split('|').collect();
            let chosen = self.random.one(&alternatives).replace('~', " ");
            let parts = chosen.split(' ').filter(|part| !part.is_empty());
            return parts.for_each(|part| self.fill(part, words));
        }
        let filled = match part {
            "_KEY" => word(self.random.one(&KEYS)),
            "_DB" => match self.random.below(20) {
                0 => word(self.random.one(&["x", "16", "-1", "99999999999"])),
                _ => self.random.below(DATABASES.into()).to_string().into(),
            },
            "_VALUE" => self.value(),
            "_ELEM" => self.element(),
            "_INT" => self.random.integer(),
            "_COUNT" => self.random.below(6).to_string().into_bytes(),
            "_PLACE" => self.place(),
            "_FLOAT" => self.random.float(ODD),
            "_BOUND" => self.random.bound(ODD),
            "_LEX" => {
                let member = self.element();
                self.random.lexical(member)
            }
            "_TYPE" => self
                .random
                .one(&["u8", "i16", "u63", "i64", "u1", "i5", "u64", "x"])
                .into(),
            "_OFFSET" => self
                .random
                .one(&["0", "#1", "7", "100", "#0", "-1", "x"])
                .into(),
            "_AT" => (4_102_444_800 + self.random.below(5)).to_string().into(),
            "_MSAT" => (4_102_444_800_000 + self.random.below(5))
                .to_string()
                .into(),
            "_PAYLOAD" => self.payload(),
            _ if part.starts_with('_') => return self.several(part, words),
            literal => word(literal),
        };
        words.push(filled);
    }

    fn several(&mut self, part: &str, words: &mut Words) {
        let few = 1 + self.random.below(4) as usize;
        let many = |limit: usize, r: &mut Self| limit - 2 + r.random.below(5) as usize;
        let number = |i: usize| i.to_string().into_bytes();
        match part {
            "_KEYS" => (0..few).for_each(|_| words.push(word(self.random.one(&KEYS)))),
            "_ELEMS" => (0..few).for_each(|_| words.push(self.element())),
            "_PAIRS" => (0..few).for_each(|_| {
                let key = word(self.random.one(&KEYS));
                words.extend([key, self.value()]);
            }),
            "_FIELDS" => (0..few).for_each(|_| words.extend([self.element(), self.element()])),
            "_SCORES" => {
                (0..few).for_each(|_| words.extend([self.random.float(ODD), self.element()]))
            }
            "_SMALLINTS" => {
                (0..few).for_each(|_| words.push(self.random.below(20).to_string().into()))
            }
            "_MANYINTS" => (0..many(512, self)).for_each(|i| words.push(number(i))),
            "_MANYELEMS" => {
                let length = self.random.below(100) as usize;
                let element = |i: usize| format!("{i}{}", "x".repeat(length)).into_bytes();
                (0..many(128, self)).for_each(|i| words.push(element(i)));
            }
            "_MANYFIELDS" => {
                (0..many(512, self)).for_each(|i| words.extend([number(i), number(i)]));
            }
            "_MANYSCORES" => {
                (0..many(128, self)).for_each(|i| words.extend([number(i / 3), number(i)]))
            }
            other => panic!("the grammar has no {other}"),
        }
    }

    /// One of few, so that commands meet it again; at times one that is about too long for a
    /// compact encoding.
    fn element(&mut self) -> Vec<u8> {
        match self.random.below(40) {
            0 => self
                .random
                .one(&["x", "y"])
                .repeat(62 + self.random.below(5) as usize)
                .into(),
            1 => word(
                self.random
                    .one(&["\"\"", "\\x00", "\\xff\\xfe", "01", "-0", "1.5", "+1"]),
            ),
            2 => self
                .random
                .one(&[
                    "9223372036854775807",
                    "-9223372036854775808",
                    "9223372036854775808",
                ])
                .into(),
            3 => self
                .random
                .one(&["127", "128", "4095", "4096", "-4097", "32768", "2147483648"])
                .into(),
            4 => vec![
                b'z';
                self.random
                    .one(&["4095", "4096", "9000"])
                    .parse()
                    .expect("a number")
            ],
            5..=9 => (self.random.below(24) as i64 - 4).to_string().into(),
            _ => self.random.one(&WORDS).into(),
        }
    }

    fn value(&mut self) -> Vec<u8> {
        match self.random.below(8) {
            0 => self.random.float(ODD),
            1..=3 => self.random.integer(),
            4 => {
                let length = self.random.below(60);
                (0..length).map(|_| self.random.below(256) as u8).collect()
            }
            _ => self.element(),
        }
    }

    /// A place in a string: never so great that the string becomes huge.
    fn place(&mut self) -> Vec<u8> {
        match self.random.below(12) {
            0 => word(self.random.one(&["x", "-1", "\"\"", "99999999999"])),
            1 => self.random.below(3_000).to_string().into(),
            _ => self.random.below(70).to_string().into(),
        }
    }

    /// The dump of some value; at times a broken one.
    fn payload(&mut self) -> Vec<u8> {
        let at = self.random.below(self.payloads.len() as u64) as usize;
        let mut payload = self.payloads[at].clone();
        if self.random.below(6) == 0 {
            let place = self.random.below(payload.len() as u64) as usize;
            payload[place] ^= 1 << self.random.below(8);
        }
        payload
    }
}
