//! What is told of changes (`notify-keyspace-events`) is what a real redis-server tells.

mod servers;

use servers::{Client, Heeler, RedisServer, Value, request, wait_until};

const COMMANDS: &str = "
    SET k v
    SET k w EX 100
    SET k w KEEPTTL
    SET k w XX PX 100000
    SETEX k 100 v
    PSETEX k 100000 v
    SETNX k v
    SETNX n v
    GETSET k v
    GETDEL k
    GETDEL k
    MSET a 1 b 2
    MSETNX a 1 c 2
    MSETNX c 1 d 2
    APPEND a x
    APPEND fresh x
    SETRANGE a 1 yy
    INCR i
    DECR i
    INCRBY i 5
    DECRBY i 5
    INCRBYFLOAT i 1.5
    SETBIT bits 1 1
    BITFIELD bits SET u8 0 5
    BITFIELD bits SET u8 0 5
    BITFIELD bits SET u8 80 0
    BITFIELD bits OVERFLOW FAIL INCRBY u2 200 5
    BITFIELD bits OVERFLOW FAIL INCRBY u2 300 5 INCRBY u2 300 0
    BITFIELD made OVERFLOW FAIL SET u2 100 5 GET u8 0
    BITOP NOT bits2 bits
    BITOP NOT bits2 none
    PFADD hll a
    PFADD hll a
    PFCOUNT hll
    PFMERGE hll2 hll
    EXPIRE a 100
    EXPIRE a 100 NX
    PEXPIRE a 100000
    EXPIREAT a 1
    EXPIRE none 1
    PERSIST b
    EXPIRE b 100
    PERSIST b
    GETEX b EX 100
    GETEX b PERSIST
    GETEX b EXAT 1
    DEL c none d
    UNLINK fresh
    LPUSH l a b
    RPUSH l c
    LPUSHX l x
    RPUSHX l x
    LPUSHX none x
    LINSERT l BEFORE a z
    LINSERT l BEFORE none z
    LSET l 0 q
    LREM l 1 q
    LREM l 1 none
    LTRIM l 0 2
    LPOP l
    RPOP l
    RPOP l
    RPUSH l a b c
    LMOVE l m LEFT RIGHT
    LMOVE m m LEFT RIGHT
    RPOPLPUSH l m
    LMPOP 1 l LEFT
    LMPOP 1 m RIGHT COUNT 5
    RPUSH l a b
    BLPOP l 0
    BRPOP l 0
    SADD s a b c
    SADD s a
    SREM s a
    SREM s none
    SMOVE s t b
    SMOVE s t c
    SPOP t
    SPOP t 10
    SADD s a b
    SADD t b
    SINTERSTORE st s t
    SUNIONSTORE st s t
    SDIFFSTORE st s s
    HSET h f v g w
    HSET h f v
    HSETNX h n v
    HSETNX h n v
    HMSET h f x
    HINCRBY h i 1
    HINCRBYFLOAT h i 1.5
    HDEL h f
    HDEL h none
    HDEL h g n i
    ZADD z 1 a 2 b 3 c
    ZADD z 1 a
    ZADD z INCR 5 a
    ZINCRBY z 1 a
    ZREM z a
    ZPOPMIN z
    ZPOPMAX z
    ZADD z 1 a 2 b 3 c 4 d
    ZMPOP 1 z MIN
    ZREMRANGEBYSCORE z 2 2
    ZREMRANGEBYRANK z 0 0
    ZREMRANGEBYLEX z - +
    ZADD z 1 a 2 b 3 c
    ZUNIONSTORE zs 1 z
    ZINTERSTORE zs 1 z
    ZRANGESTORE zs z 0 1
    ZDIFFSTORE zs 2 z z
    BZPOPMIN z 0
    BZPOPMAX z 0
    RPUSH l 3 1 2
    SORT l STORE sorted
    SORT none STORE sorted
    COPY l l2
    COPY l l2 REPLACE
    RENAME l l3
    RENAME l3 l2
    RENAMENX l2 l4
    SELECT 3
    SET k v
    COPY k j DB 5
    COPY k j DB 5 REPLACE
    MOVE k 5
    MOVE none 5
    SWAPDB 3 5
    SET k v PX 100000
    PEXPIRE k -1
    RPUSH l a
    SELECT 5
    MOVE l 9
    FLUSHDB
    MULTI
    SET k v
    SELECT 7
    SET k v
    MOVE k 8
    EXEC
    SET soon v PX 1
    SELECT 0
    MULTI
    SET in 1
    RPUSH in2 a
    DEL in
    EXEC
    SET soon v PX 1
    GET k
";

/// Commands that ask for keys which are absent, or whose time is up.
const MISSES: &str = "
    SET k v
    GET k
    GET none
    MGET none k none
    GETRANGE none 0 1
    SUBSTR none 0 1
    STRLEN none
    GETBIT none 1
    BITCOUNT none
    BITPOS none 1
    BITFIELD none GET u8 0
    BITFIELD_RO none GET u8 0
    BITFIELD new SET u8 0 1
    BITOP AND to none k
    LCS none k
    GETEX none
    GETDEL none
    GETSET got v
    SET got2 v GET
    SET none v XX
    SET none v XX GET
    INCR count
    APPEND app x
    EXISTS none k none
    TOUCH none
    TYPE none
    TTL none
    PTTL none
    EXPIRETIME none
    PEXPIRETIME none
    DUMP none
    OBJECT ENCODING none
    OBJECT IDLETIME none
    OBJECT REFCOUNT none
    MEMORY USAGE none
    PERSIST none
    EXPIRE none 10
    DEL none
    UNLINK none
    COPY none other
    RENAME none other
    RENAMENX none other
    RANDOMKEY
    LLEN none
    LRANGE none 0 -1
    LINDEX none 0
    LPOS none x
    LSET none 0 x
    LINSERT none BEFORE a b
    LPOP none
    LMPOP 2 none none LEFT
    LMOVE none other LEFT LEFT
    RPOPLPUSH none other
    LREM none 0 x
    LTRIM none 0 1
    LPUSHX none x
    SCARD none
    SISMEMBER none x
    SMISMEMBER none x y
    SMEMBERS none
    SRANDMEMBER none
    SRANDMEMBER none 2
    SPOP none
    SREM none x
    SMOVE none other x
    SADD s a b
    SINTER s none
    SINTERCARD 2 none s
    SUNION none s none
    SDIFF none s
    SDIFF s none
    SINTERSTORE to s none
    SUNIONSTORE to s none
    SDIFFSTORE to s none
    SSCAN none 0
    HGET none f
    HMGET none f g
    HGETALL none
    HKEYS none
    HVALS none
    HLEN none
    HEXISTS none f
    HSTRLEN none f
    HRANDFIELD none
    HSCAN none 0
    HDEL none f
    HSETNX h f v
    ZADD z 1 a 2 b
    ZCARD none
    ZSCORE none a
    ZMSCORE none a b
    ZRANK none a
    ZREVRANK none a
    ZCOUNT none 0 1
    ZLEXCOUNT none - +
    ZRANGE none 0 1
    ZRANGEBYSCORE none 0 1
    ZRANDMEMBER none
    ZSCAN none 0
    ZPOPMIN none
    ZMPOP 1 none MIN
    ZREM none a
    ZINCRBY inc 1 a
    ZUNION 2 z none
    ZINTER 2 none z
    ZDIFF 2 z none
    ZINTERCARD 2 none z
    ZUNIONSTORE to 2 z none
    ZINTERSTORE to 2 z none
    ZDIFFSTORE to 2 none z
    ZRANGESTORE to none 0 1
    PFCOUNT none
    PFCOUNT none none2
    PFMERGE to none
    PFADD hll
    RPUSH l 2 1
    SORT none
    SORT_RO none
    SORT l BY w_* GET o_* GET #
    SORT none STORE to
    MULTI
    GET none
    EXISTS none
    EXEC
    SET soon v PX 1
    GET soon
";

/// All that is told while the commands run.
fn told(port: u16, classes: &str, commands: &str) -> Vec<String> {
    let connect = || Client::connect(("127.0.0.1", port));
    let (mut listener, mut client) = (connect(), connect());
    assert_eq!(client.run("FLUSHALL"), Value::ok());
    let set: [&[u8]; 4] = [
        b"CONFIG",
        b"SET",
        b"notify-keyspace-events",
        classes.as_bytes(),
    ];
    assert_eq!(client.call(&set), Value::ok());
    listener.run("PSUBSCRIBE *");
    for line in commands.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let keys = line.starts_with("SET soon").then(|| client.run("DBSIZE"));
        client.send(&request(&words));
        let queues = client.read_raw_reply() == b"+QUEUED\r\n" || line == "MULTI";
        if !queues {
            client.run(&format!("PUBLISH after {}", line.replace(' ', "_")));
        }
        if let Some(keys) = keys {
            wait_until("its time is up", || client.run("DBSIZE") == keys);
        }
    }
    client.run("PUBLISH the end");
    let mut all = Vec::new();
    loop {
        let Value::Array(words) = listener.read_reply() else {
            panic!("a message is an array");
        };
        if words[2] == Value::bulk("the") {
            return all;
        }
        all.push(format!("{} {}", words[2].text(), words[3].text()));
    }
}

#[test]
fn the_same_is_told_as_by_redis() {
    for classes in ["KEA", "Kgx", "E$lshz", "KEn", "", "K", "A"] {
        is_told_alike(classes, COMMANDS);
    }
}

#[test]
fn who_asks_for_what_is_absent_is_told_of_as_by_redis() {
    for classes in ["Em", "KEAm", "KEA", "m", "Kmg"] {
        is_told_alike(classes, MISSES);
    }
    is_told_alike("Em", COMMANDS);
}

fn is_told_alike(classes: &str, commands: &str) {
    let (redis, heeler) = (RedisServer::start(), Heeler::serve(&["--threads", "2"]));
    let told = |port| told(port, classes, commands);
    let (expected, found) = (told(redis.port), told(heeler.port));
    let differs = (0..expected.len().max(found.len())).find(|i| expected.get(*i) != found.get(*i));
    if let Some(at) = differs {
        let around = at.saturating_sub(4);
        panic!(
            "{classes:?}\nredis: {:#?}\nheeler: {:#?}",
            &expected[around..(at + 6).min(expected.len())],
            &found[around..(at + 6).min(found.len())]
        );
    }
    let asked = "CONFIG GET notify-keyspace-events";
    let of = |port| Client::connect(("127.0.0.1", port)).run(asked);
    assert_eq!(of(heeler.port), of(redis.port));
}
