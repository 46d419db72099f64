//! A ring against a real redis-server: the same random commands, each through another node, get the
//! same replies, whichever node owns the keys.

mod servers;

use fastrand::Rng;
use servers::{Client, Cluster, RedisServer, Value};

struct Chance(Rng);

impl Chance {
    fn below(&mut self, count: usize) -> usize {
        self.0.usize(..count)
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// Commands with places: `K` a key, `T` one of the same tag as the others in its line, `V` a value,
/// `M` a member, `N` a small number, `F` a number with a fraction.
const LINES: &str = "
SET K V|SET K V NX|SET K V XX GET|GET K|GETSET K V|GETDEL K|GETEX K PERSIST|APPEND K V|STRLEN K
SETRANGE K N V|GETRANGE K 0 N|INCR K|INCRBY K N|DECR K|INCRBYFLOAT K F|SETNX K V|LCS T T
SETBIT K N 1|GETBIT K N|BITCOUNT K|BITPOS K 1|BITOP XOR T T T|BITFIELD K INCRBY u8 N 7
RPUSH K M M M|LPUSH K M|LPUSHX K M|LPOP K|RPOP K 2|LLEN K|LRANGE K 0 -1|LINDEX K N|LSET K 0 M
LINSERT K BEFORE M M|LREM K 0 M|LTRIM K 0 N|LPOS K M|RPOPLPUSH T T|LMOVE T T LEFT RIGHT
LMPOP 2 T T LEFT|BLPOP T T 0.001|BRPOP K 0.001|BLMOVE T T LEFT LEFT 0.001
SADD K M M|SREM K M|SCARD K|SISMEMBER K M|SMISMEMBER K M M|SMEMBERS K|SMOVE T T M
SINTER T T|SUNION T T|SDIFF T T|SINTERSTORE T T T|SUNIONSTORE T T|SINTERCARD 2 T T
HSET K M V M V|HGET K M|HMGET K M M|HGETALL K|HDEL K M|HLEN K|HEXISTS K M|HINCRBY K M N|HKEYS K
HINCRBYFLOAT K M F|HSETNX K M V|HSTRLEN K M|HVALS K
ZADD K N M F M|ZADD K INCR N M|ZSCORE K M|ZMSCORE K M M|ZRANGE K 0 -1 WITHSCORES|ZRANK K M
ZINCRBY K F M|ZREM K M|ZCARD K|ZCOUNT K -inf N|ZPOPMIN K|ZPOPMAX K 2|ZRANGEBYSCORE K -inf N
ZUNIONSTORE T 2 T T|ZINTER 2 T T WITHSCORES|ZDIFF 2 T T|ZRANGESTORE T T 0 N|ZMPOP 2 T T MIN
BZPOPMIN T T 0.001|BZMPOP 0.001 2 T T MAX|ZREVRANGE K 0 N|ZLEXCOUNT K - +
PFADD K M M|PFCOUNT T T|PFMERGE T T
EXPIRE K 1000|PEXPIREAT K 99999999999999|EXPIRETIME K|PERSIST K|TYPE K|RENAME T T|RENAMENX T T
COPY T T|COPY T T REPLACE|OBJECT ENCODING K|EXISTS K K K|DEL K K|UNLINK K K K|TOUCH K K
MGET K K K K|MSET K V K V K V|MSETNX T V T V|DBSIZE|KEYS *|SORT K ALPHA|SORT T ALPHA STORE T
GET|HSET K M|ZADD K x M|SET K V EX 0|LMPOP 0 K LEFT|BLPOP K x|NONSENSE K|OBJECT NONSENSE K
";

fn words(chance: &mut Chance, line: &str) -> Vec<Vec<u8>> {
    let tag = chance.below(6);
    let mut place = |word: &str| match word {
        "K" => format!("{{t{}}}{}", chance.below(6), chance.below(5)),
        "T" => format!("{{t{tag}}}{}", chance.below(5)),
        "V" => match chance.below(4) {
            0 => chance.below(1000).to_string(),
            1 => "x".repeat(chance.below(200)),
            _ => format!("value\r\n{}", chance.below(100)),
        },
        "M" => format!("m{}", chance.below(12)),
        "N" => chance.below(40).to_string(),
        "F" => format!("{}.5", chance.below(9)),
        other => other.to_owned(),
    };
    line.split(' ')
        .map(|word| place(word).into_bytes())
        .collect()
}

/// Redis promises no order of these elements.
fn without_order(name: &str, value: Value) -> Value {
    let key = |value: &Value| format!("{value:?}");
    match (name, value) {
        ("SMEMBERS" | "SINTER" | "SUNION" | "SDIFF" | "KEYS" | "HKEYS" | "HVALS", v) => match v {
            Value::Array(mut all) => {
                all.sort_by_key(key);
                Value::Array(all)
            }
            Value::Set(mut all) => {
                all.sort_by_key(key);
                Value::Set(all)
            }
            other => other,
        },
        ("HGETALL", Value::Array(all)) => {
            let mut pairs: Vec<_> = all.chunks(2).map(<[Value]>::to_vec).collect();
            pairs.sort_by_key(|pair| key(&pair[0]));
            Value::Array(pairs.concat())
        }
        ("HGETALL", Value::Map(mut pairs)) => {
            pairs.sort_by_key(|(field, _)| key(field));
            Value::Map(pairs)
        }
        (_, other) => other,
    }
}

fn same(seed: u64, hello: &str, commands: usize) {
    let cluster = Cluster::start(3, &["--hash-tags"]);
    let redis = RedisServer::start();
    let mut nodes: Vec<Client> = (0..3).map(|node| cluster.client(node)).collect();
    let mut oracle = redis.client();
    for client in nodes.iter_mut().chain([&mut oracle]) {
        assert!(!matches!(client.run(hello), Value::Error(_)));
    }
    let lines: Vec<&str> = LINES
        .split(['\n', '|'])
        .filter(|line| !line.is_empty())
        .collect();
    let mut chance = Chance(Rng::with_seed(seed));
    let mut history: Vec<String> = Vec::new();
    for _ in 0..commands {
        let line = *chance.pick(&lines);
        let words = words(&mut chance, line);
        let args: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let shown: Vec<String> = args.iter().map(|a| a.escape_ascii().to_string()).collect();
        let node = chance.below(3);
        history.push(format!("{node}: {}", shown.join(" ")));
        let name = line.split(' ').next().unwrap();
        let ours = without_order(name, nodes[node].call(&args));
        let theirs = without_order(name, oracle.call(&args));
        let earlier = history.len().saturating_sub(12);
        assert!(
            ours == theirs,
            "redis: {theirs:?}\nring:  {ours:?}\nseed {seed} after:\n{}",
            history[earlier..].join("\n")
        );
    }
}

#[test]
fn random_commands_get_the_replies_of_redis() {
    for seed in [1, 2, 3] {
        same(seed, "HELLO 2", 3000);
    }
}

#[test]
fn random_commands_get_the_replies_of_redis_in_the_newer_protocol() {
    for seed in [4, 5, 6] {
        same(seed, "HELLO 3", 3000);
    }
}
