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

/// Commands that concern all nodes, or have keys of several, or none: who sends them (`a` and `b`
/// are clients, of different nodes if there are several) and what.
const FOR_ALL_NODES: &str = "
a FLUSHALL|b DBSIZE|a RANDOMKEY|b KEYS *|a SCAN 0|b PUBLISH news nobody|a SPUBLISH shard nobody
a MSET k1 1 k2 2 k3 3 k4 4|b DBSIZE|a KEYS k*|b EXISTS k1 k2 k3 k4 k5|a TOUCH k1 k5|b MGET k1 k4 k9
a SCAN 0 COUNT 1000 MATCH nothing*|b DEL k1 k2|a UNLINK k3 k9|b RANDOMKEY|a DBSIZE|b KEYS *
a PUBSUB CHANNELS|a PUBSUB NUMSUB news|a PUBSUB NUMPAT|a PUBSUB SHARDCHANNELS
a PUBSUB SHARDNUMSUB shard|listen|a PUBLISH news one|b PUBLISH news two|a SPUBLISH shard three
b SPUBLISH shard four|a PUBLISH other five|hear|a PUBSUB CHANNELS|a PUBSUB NUMSUB news other
a PUBSUB NUMPAT|a PUBSUB SHARDCHANNELS|a PUBSUB SHARDNUMSUB shard|a PUBLISH|b SPUBLISH x
a MULTI|a PUBLISH news six|a SPUBLISH shard seven|a EXEC|hear
b FLUSHDB|a DBSIZE|a SET k 1|b FLUSHALL ASYNC|b FLUSHALL SYNC|a FLUSHDB NONSENSE|b DBSIZE NONSENSE
a WAIT 0 1|b CLIENT GETNAME|a CLIENT KILL ID 999999|b SELECT 0|a OBJECT HELP|b SCAN x|a ECHO e
a PUBSUB NONSENSE|b PUBSUB HELP|a CLIENT NO-EVICT off|b CONFIG RESETSTAT|a LATENCY RESET
";

/// All that a SCAN finds until its cursor is 0 again, or the error.
fn scan(client: &mut Client, words: &[&[u8]]) -> Value {
    let (mut found, mut cursor) = (Vec::new(), words[1].to_vec());
    loop {
        let call = [&[words[0], &cursor], &words[2..]].concat();
        let reply = client.call(&call);
        let Value::Array(pair) = reply else {
            return reply;
        };
        cursor = pair[0].text().into_bytes();
        if let Value::Array(keys) = &pair[1] {
            found.extend(keys.iter().map(Value::text));
        }
        if cursor == b"0" {
            found.sort();
            return Value::Array(found.iter().map(Value::bulk).collect());
        }
    }
}

/// Plays these at two doors, which may be one.
fn for_all_nodes(mut a: Client, mut b: Client, mut listener: Client) -> Vec<(String, Value)> {
    let mut heard = Vec::new();
    for line in FOR_ALL_NODES.split(['\n', '|']).filter(|l| !l.is_empty()) {
        match line.split_once(' ') {
            Some((who, command)) => {
                let client = if who == "a" { &mut a } else { &mut b };
                let words: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
                let reply = match words[0] {
                    b"SCAN" => scan(client, &words),
                    _ => client.call(&words),
                };
                let name = command.split(' ').next().unwrap_or_default();
                heard.push((line.to_owned(), without_order(name, reply)));
            }
            None if line == "listen" => {
                for command in ["SUBSCRIBE news", "PSUBSCRIBE n*", "SSUBSCRIBE shard"] {
                    heard.push((command.to_owned(), listener.run(command)));
                }
            }
            None => {
                a.run("PUBLISH news end");
                loop {
                    let message = listener.read_reply();
                    let is_last = match &message {
                        // As the pattern is told of it, too.
                        Value::Array(all) => all.len() == 4 && all[3] == Value::bulk("end"),
                        _ => false,
                    };
                    heard.push((line.to_owned(), message));
                    if is_last {
                        break;
                    }
                }
            }
        }
    }
    heard
}

#[test]
fn what_concerns_all_nodes_is_answered_by_one_and_by_two_as_by_redis() {
    let redis = RedisServer::start();
    let expected = for_all_nodes(redis.client(), redis.client(), redis.client());
    for nodes in [1, 2] {
        let cluster = Cluster::start(nodes, &[]);
        let [a, b] = [0, nodes - 1].map(|node| cluster.client(node));
        let found = for_all_nodes(a, b, cluster.client(0));
        for (expected, found) in expected.iter().zip(&found) {
            assert_eq!(found, expected, "{nodes} nodes");
        }
        assert_eq!(found.len(), expected.len());
    }
}
