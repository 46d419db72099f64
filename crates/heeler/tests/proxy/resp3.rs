//! Clients that speak RESP3 to a proxy whose servers are spoken to in RESP2.

use crate::servers::request;
use crate::{Client, addresses, proxy, redis_servers};

/// Lines for which a redis-server that is spoken to in RESP3 has a form of its own, and some for
/// which it has none.
const LINES: &str = "\
    SET s v
    GET s
    GET none
    MGET s none s
    HSET h a 1 b 2
    HGETALL h
    HGETALL none
    HGETALL s
    HGET h none
    HMGET h a none
    HSET one a 1
    HRANDFIELD one
    HRANDFIELD one -2
    HRANDFIELD one 1 WITHVALUES
    SADD set m
    SMEMBERS set
    SMEMBERS none
    SPOP set 1
    SADD set m
    SPOP set
    SPOP set
    SADD {a}1 m
    SADD {a}2 m
    SINTER {a}1 {a}2
    SUNION {a}1 {a}2
    SDIFF {a}1 {a}2
    ZADD z 1 a 2.5 b inf c
    ZADD z INCR 1 a
    ZADD z NX INCR 1 a
    ZADD z XX CH 3 b
    ZINCRBY z 0.1 a
    ZSCORE z a
    ZSCORE z none
    ZMSCORE z a none c
    ZRANGE z 0 -1
    ZRANGE z 0 -1 WITHSCORES
    ZREVRANGE z 0 0 WITHSCORES
    ZRANGEBYSCORE z 0 5 WITHSCORES
    ZREVRANGEBYSCORE z 5 0 WITHSCORES LIMIT 0 1
    ZADD {z}one 1.5 a
    ZRANDMEMBER {z}one
    ZRANDMEMBER {z}one 1 WITHSCORES
    ZRANK z a
    ZRANK z none
    ZUNION 1 z WITHSCORES
    ZINTER 2 z z WITHSCORES
    ZDIFF 1 z WITHSCORES
    ZDIFF 1 z
    ZPOPMIN z
    ZPOPMAX z 2
    ZPOPMIN none
    ZPOPMAX none 2
    ZADD z 1 a 2 b
    ZMPOP 1 z MIN COUNT 2
    ZMPOP 1 z MIN
    ZSCAN {z}one 0
    HSCAN one 0
    SSCAN {a}1 0
    GEOADD g 13.361389 38.115556 p 15.087269 37.502669 c
    GEOPOS g p none c
    GEODIST g p c
    GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km ASC WITHCOORD WITHDIST WITHHASH
    GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km ASC
    GEORADIUS g 15 37 200 km WITHDIST
    LPUSH l a b
    LRANGE l 0 -1
    LPOP none
    LPOP none 2
    LPOS l none
    SET {l}1 ohmytext
    SET {l}2 mynewtext
    LCS {l}1 {l}2
    LCS {l}1 {l}2 IDX WITHMATCHLEN
    XADD x 1-1 f v
    XADD x 2-1 f v
    XRANGE x - +
    XINFO STREAM x
    XGROUP CREATE x group 0
    XINFO GROUPS x
    XINFO CONSUMERS x group
    INCRBYFLOAT f 1.5
    EXPIRE s 100
    PERSIST s
    OBJECT ENCODING s
    EVAL return{1,false,'a'} 1 s
    DEL s none
    EXISTS h z
    ECHO hello
    PING";

#[test]
fn replies_have_the_form_that_redis_gives_them() {
    let servers = redis_servers(3);
    let proxy = proxy(&["hash: md5", "hash_tag: \"{}\""], &addresses(&servers));
    let oracle = redis_servers(1);
    let (mut ours, mut redis) = (proxy.client(), oracle[0].client());
    let hello = |client: &mut Client| {
        client.run("HELLO 3");
    };
    hello(&mut ours);
    hello(&mut redis);
    for line in LINES.lines().map(str::trim) {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let request = request(&words);
        let reply = |client: &mut Client| {
            client.send(&request);
            client.read_raw_reply().escape_ascii().to_string()
        };
        assert_eq!(reply(&mut ours), reply(&mut redis), "{line}");
    }
}

#[test]
fn a_client_may_go_back_to_resp2() {
    let servers = redis_servers(1);
    let proxy = proxy(&[], &addresses(&servers));
    let mut client = proxy.client();
    for (line, reply) in [
        ("GET none", "$-1\r\n"),
        ("HELLO 3", "%"),
        ("GET none", "_\r\n"),
        ("HELLO 2", "*"),
        ("GET none", "$-1\r\n"),
        ("HELLO 4", "-NOPROTO"),
    ] {
        client.send(format!("{line}\r\n").as_bytes());
        let raw = client.read_raw_reply();
        assert!(
            raw.starts_with(reply.as_bytes()),
            "{line}: {}",
            raw.escape_ascii()
        );
    }
}
