//! The store against a real redis-server: the same commands, the same bytes in reply.

mod oracle;
mod servers;

use std::collections::BTreeSet;
use std::time::Duration;

use heeler::command::Reply;
use heeler::wire::resp::Protocol;
use oracle::{Pair, Random, encode, execute, sorted, word};
use servers::Value;

const STRINGS: &str = r#"
    GET k
    SET k v
    GET k
    SET k v EX
    SET k v EX 0
    SET k v EX -1
    SET k v EX x
    SET k v EX 9223372036854775807
    SET k v EX 9223372036854775
    SET k v PX 9223372036854775807
    SET k v PXAT 9223372036854775807
    PEXPIRETIME k
    TTL k
    PTTL k
    EXPIRETIME k
    SET k v EXAT 9223372036854775807
    SET k v PX 0
    SET k v EX 10 PX 10
    SET k v EX 10 EX 20
    TTL k
    SET k v KEEPTTL EX 10
    SET k v EX 10 KEEPTTL
    SET k v KEEPTTL KEEPTTL
    SET k v PERSIST
    SET k v NX XX
    SET k v XX NX
    SET k v nx get
    SET k w GET
    SET k w xx get ex 100
    SET absent w xx get
    SET absent w XX
    GET absent
    SET absent w NX GET
    SET k v bogus
    SET k v EXAT 1
    GET k
    SET k v PXAT 1
    EXISTS k
    SETEX k 10 v
    SETEX k 0 v
    SETEX k -5 v
    SETEX k x v
    PSETEX k 0 v
    PSETEX k 100000 v
    TTL k
    SETNX k v
    SETNX fresh v
    GETSET fresh w
    TTL fresh
    GETSET never w
    GETDEL never
    GETDEL never
    GETEX never
    GETEX never EX bogus
    GETEX never EX
    GETEX k
    GETEX k EX 0
    GETEX k EX 100
    TTL k
    GETEX k PERSIST
    TTL k
    GETEX k PERSIST PERSIST
    GETEX k EX 10 PERSIST
    GETEX k PERSIST EX 10
    GETEX k KEEPTTL
    GETEX k EX 10 PX 10
    GETEX k PXAT 1
    GET k
    MSET a 1 b 2 c
    MSET a 1 b 2
    MSET a 1 a 2
    GET a
    MGET a b c a
    MSETNX a 1 x 2
    MSETNX x 1 y 2 z
    MSETNX a 1 y 2 z
    MSETNX x 1 y 2
    STRLEN x
    STRLEN none
    APPEND fresh2 12
    OBJECT ENCODING fresh2
    APPEND fresh2 ""
    OBJECT ENCODING fresh2
    APPEND fresh2 34
    GET fresh2
    INCR fresh2
    OBJECT ENCODING fresh2
    SETRANGE none 5 ""
    EXISTS none
    SETRANGE none 5 x
    GET none
    OBJECT ENCODING none
    SETRANGE none -1 x
    SETRANGE none x x
    SETRANGE none 536870912 x
    SETRANGE none 536870911 ""
    SETRANGE none 9223372036854775807 x
    SETRANGE none 0 abc
    GETRANGE none 0 -1
    GETRANGE none -3 -2
    GETRANGE none -100 -50
    GETRANGE none -50 -100
    GETRANGE none 4 2
    GETRANGE none 2 100
    GETRANGE none x 1
    GETRANGE nokey x 1
    GETRANGE nokey 0 1
    SUBSTR none 0 1
    SUBSTR none -9223372036854775808 9223372036854775807
"#;

const COUNTERS: &str = r#"
    INCR n
    DECR n
    DECRBY n 5
    INCRBY n 9223372036854775807
    INCRBY n 9223372036854775807
    SET n 9223372036854775807
    INCR n
    SET n -9223372036854775808
    DECR n
    DECRBY n -9223372036854775808
    INCRBY n -9223372036854775808
    INCRBY n x
    INCRBY n 1.5
    INCRBY n 01
    SET n 010
    INCR n
    SET n " 1"
    SET n ""
    INCR n
    SET n +5
    INCR n
    SET n -0
    INCR n
    OBJECT ENCODING n
    SET n 9223372036854775808
    OBJECT ENCODING n
    INCR n
    SET n 5 EX 100
    INCR n
    TTL n
    OBJECT ENCODING n
    OBJECT REFCOUNT n
    SET n 10000
    OBJECT REFCOUNT n
    SET n 9999
    OBJECT REFCOUNT n
    SET n -1
    OBJECT REFCOUNT n
    SET f 10.50
    INCRBYFLOAT f 0.1
    INCRBYFLOAT f -5
    INCRBYFLOAT f 5.0e3
    INCRBYFLOAT f x
    INCRBYFLOAT f nan
    INCRBYFLOAT f inf
    INCRBYFLOAT f -inf
    INCRBYFLOAT f ""
    INCRBYFLOAT f 1e
    INCRBYFLOAT f 0x10
    INCRBYFLOAT f 1e4000
    STRLEN f
    INCRBYFLOAT f 1e4932
    INCRBYFLOAT f 1e4932
    INCRBYFLOAT f 1e5000
    INCRBYFLOAT f 1e-5000
    OBJECT ENCODING f
    SET f 3
    INCRBYFLOAT f 0
    OBJECT ENCODING f
    INCR f
    OBJECT ENCODING f
    SET f abc
    INCRBYFLOAT f 1
    SET f 5.0 EX 100
    INCRBYFLOAT f 1
    TTL f
    INCRBYFLOAT newf -0
    INCRBYFLOAT newf -1e-20
    INCRBYFLOAT newf 1e20
    INCRBYFLOAT newf 0.00000000000000001
    INCRBYFLOAT newf -1e20
"#;

const BITS: &str = r#"
    SETBIT b 7 1
    SETBIT b 7 1
    SETBIT b 7 0
    SETBIT b -1 0
    SETBIT b x 0
    SETBIT b 0 2
    SETBIT b 0 x
    SETBIT b 4294967296 1
    SETBIT b 4294967295x 1
    SETBIT b 100 1
    STRLEN b
    GETBIT b 100
    GETBIT b 99
    GETBIT b 100000
    GETBIT b 4294967296
    GETBIT none 3
    OBJECT ENCODING b
    SET num 12345
    GETBIT num 3
    SETBIT num 3 1
    GET num
    OBJECT ENCODING num
    SET s foobar
    BITCOUNT s
    BITCOUNT s 0 0
    BITCOUNT s 1 1
    BITCOUNT s 0
    BITCOUNT none 0
    BITCOUNT s 0 x
    BITCOUNT s 5 30 BIT
    BITCOUNT s 5 30 bogus
    BITCOUNT s -1 -2 bogus
    BITCOUNT s 0 0 BYTE extra
    BITCOUNT s -100 -50
    BITCOUNT s -100 -50 BIT
    BITCOUNT s -1 -1 bit
    BITCOUNT none x y
    BITCOUNT s 9223372036854775807 9223372036854775807 BIT
    BITCOUNT s -9223372036854775808 9223372036854775807 BIT
    BITPOS s 1
    BITPOS s 0
    BITPOS s 2
    BITPOS s x
    BITPOS none 1
    BITPOS none 0
    BITPOS none 0 x
    BITPOS s 1 2
    BITPOS s 1 2 -1
    BITPOS s 1 7 15 bit
    BITPOS s 1 7 15 byte
    BITPOS s 1 7 15 bogus
    BITPOS s 1 0 1 bit extra
    BITPOS s 1 x
    BITPOS s 1 0 x
    BITPOS s 1 -100 -50
    BITPOS s 1 -50 -100
    BITPOS s 0 -50 -100 BIT
    BITPOS s 1 100
    BITPOS s 0 100
    SET ones \xff\xff\xff
    BITPOS ones 0
    BITPOS ones 0 0
    BITPOS ones 0 1
    BITPOS ones 0 0 -1
    BITPOS ones 0 0 -1 BIT
    BITPOS ones 0 3
    BITPOS ones 1 3
    SET empty ""
    BITPOS empty 0
    BITPOS empty 1
    BITPOS empty 0 0 -1
    BITCOUNT empty
    SET zeros \x00\x00\x00
    BITPOS zeros 1
    BITPOS zeros 1 2 2
    BITOP AND dest s ones
    GET dest
    BITOP or dest s num none
    GET dest
    BITOP XOR dest s s
    GET dest
    OBJECT ENCODING dest
    BITOP NOT dest s
    GET dest
    BITOP NOT dest s ones
    BITOP NOT dest none
    EXISTS dest
    BITOP AND dest none empty
    BITOP bogus dest s
    BITOP XOR s s ones
    GET s
    BITFIELD f
    BITFIELD f GET u8 0
    EXISTS f
    BITFIELD f SET u8 0 255 GET u8 0 INCRBY u8 0 1
    BITFIELD f SET i8 0 -1 GET i8 0 GET u8 0 GET u4 #1
    BITFIELD f OVERFLOW SAT INCRBY u8 0 100 OVERFLOW FAIL INCRBY u8 0 100
    BITFIELD f INCRBY u8 0 100 OVERFLOW WRAP INCRBY u8 0 200
    BITFIELD f OVERFLOW FAIL SET u2 100 5
    BITFIELD f OVERFLOW SAT SET u2 100 -1
    BITFIELD f OVERFLOW SAT SET i5 100 -100 SET i5 100 100
    BITFIELD f INCRBY i64 0 9223372036854775807
    BITFIELD f OVERFLOW SAT INCRBY i64 0 9223372036854775807
    BITFIELD f OVERFLOW FAIL INCRBY i64 0 -9223372036854775808
    BITFIELD f SET u63 3 9223372036854775807
    BITFIELD f GET u64 0
    BITFIELD f GET i65 0
    BITFIELD f GET u0 0
    BITFIELD f GET 8 0
    BITFIELD f GET u8 -1
    BITFIELD f GET u8 #-1
    BITFIELD f GET u8 4294967296
    BITFIELD f GET u8 #536870912
    BITFIELD f GET u8 #536870911
    BITFIELD f GET u8
    BITFIELD f SET u8 0
    BITFIELD f SET u8 0 x
    BITFIELD f OVERFLOW
    BITFIELD f OVERFLOW bogus
    BITFIELD f bogus
    BITFIELD f OVERFLOW sat
    BITFIELD_RO f GET u8 0 GET i64 1000
    BITFIELD_RO f SET u8 0 1
    BITFIELD_RO none GET u8 0
    BITFIELD num GET u8 0
    STRLEN f
    OBJECT ENCODING f
"#;

const KEYS: &str = r#"
    SET k v
    EXISTS k k none
    TYPE k
    TYPE none
    TOUCH k none k
    DEL k k
    UNLINK k
    RENAME none x
    RENAME none none
    SET k v EX 100
    RENAME k k
    RENAMENX k k
    RENAMENX none none
    RENAME k l
    TTL l
    EXISTS k
    SET m w
    RENAMENX l m
    RENAME l m
    GET m
    TTL m
    RENAMENX m n
    COPY n o
    TTL o
    COPY n o
    COPY n o REPLACE
    COPY n o replace DB 0
    COPY n o DB 1
    COPY n o DB x
    COPY n o DB
    COPY n o bogus
    COPY n n
    COPY none n
    COPY none none
    MOVE n 0
    MOVE n 16
    MOVE n -1
    MOVE n x
    MOVE none 1
    MOVE none 0
    MOVE n 99999999999
    OBJECT ENCODING none
    OBJECT FREQ none
    OBJECT FREQ n
    OBJECT IDLETIME n
    OBJECT IDLETIME none
    OBJECT REFCOUNT n
    OBJECT REFCOUNT none
    OBJECT HELP
    OBJECT bogus
    OBJECT bogus n
    DBSIZE
    SWAPDB 0 0
    SWAPDB 0 16
    SWAPDB x 0
    SWAPDB x 99
    SWAPDB 99999999999 0
    SWAPDB 0 x
    SWAPDB -1 0
    EXPIRE none 10
    EXPIRE n x
    EXPIRE n 10 bogus
    EXPIRE none x NX GT
    EXPIRE n 10 NX XX
    EXPIRE n 10 NX GT
    EXPIRE n 10 GT LT
    EXPIRE n 10 gt xx
    EXPIRE n 9223372036854775807
    EXPIRE n -9223372036854775808
    EXPIRE n 9223372036854775
    PEXPIRE n 9223372036854775807
    EXPIREAT n 9223372036854775807
    PEXPIREAT n 9223372036854775807
    PEXPIRETIME n
    PERSIST n
    PERSIST n
    PERSIST none
    TTL n
    PTTL n
    TTL none
    EXPIRETIME n
    PEXPIRETIME none
    EXPIREAT n 4102444800 XX
    EXPIREAT n 4102444800 GT
    EXPIREAT n 4102444800 LT
    EXPIREAT n 4102444800 NX
    EXPIRETIME n
    PEXPIREAT n 4102444800000 GT
    PEXPIREAT n 4102444800001 GT
    PEXPIREAT n 4102444800001 LT
    PEXPIREAT n 4102444800000 LT
    PEXPIRETIME n
    EXPIREAT n 1 GT
    EXPIREAT n 1 NX
    EXPIREAT n 1
    EXISTS n
    SET n v
    EXPIRE n 0
    GET n
    SET n v
    PEXPIRE n -1
    GET n
    FLUSHALL bogus
    FLUSHALL SYNC ASYNC
    FLUSHDB ASYNC
    DBSIZE
    RANDOMKEY
    SET only v
    RANDOMKEY
    FLUSHALL sync
    DBSIZE
"#;

const DATABASES: &str = r#"
    SELECT 16
    SELECT -1
    SELECT x
    SELECT ""
    SELECT 99999999999
    SELECT 99999999999999999999
    SELECT 1
    DBSIZE
    RANDOMKEY
    KEYS *
    SET k v PX 4000000
    SELECT 0
    GET k
    SET k zero
    MOVE k 1
    GET k
    DEL k
    RPUSH k a b c
    MOVE k 1
    MOVE k 2
    EXISTS k
    MOVE k 2
    SELECT 2
    LRANGE k 0 -1
    OBJECT ENCODING k
    COPY k k
    COPY k k DB 2
    COPY k k DB 1
    COPY k k DB 1 REPLACE
    COPY k k DB 0 DB 3
    COPY k k DB
    COPY k k DB 16
    COPY k k DB x
    COPY k k DB 99999999999
    COPY k k DB 5 bogus
    COPY none k DB 1 REPLACE
    COPY k other db 0 replace
    SELECT 3
    LRANGE k 0 -1
    SELECT 1
    LRANGE k 0 -1
    TTL k
    SET w_a 2
    SET w_b 1
    SET w_c 3
    SORT k BY w_* GET w_* GET #
    SELECT 4
    RPUSH k a b c
    SORT k BY w_* ALPHA
    SELECT 1
    SET volatile v EX 4000
    MOVE volatile 6
    SELECT 6
    TTL volatile
    DBSIZE
    SELECT 1
    TTL volatile
    SWAPDB 1 6
    DBSIZE
    GET w_a
    GET volatile
    SELECT 6
    GET w_a
    SORT k BY w_* GET w_* GET #
    SWAPDB 6 6
    DBSIZE
    SWAPDB 6 0
    DBSIZE
    SELECT 0
    KEYS *
    TTL k
    DUMP w_a
    FLUSHDB
    DBSIZE
    SELECT 2
    DBSIZE
    SELECT 6
    DBSIZE
    SELECT 15
    DBSIZE
    SET a 1
    SELECT 1
    FLUSHALL
    DBSIZE
    SELECT 15
    DBSIZE
    SELECT 6
    DBSIZE
    GET k
    SELECT 0
"#;

const SCANS: &str = r#"
    SCAN x
    SCAN -
    SCAN 1x
    SCAN 99999999999999999999
    SCAN 0 COUNT
    SCAN 0 COUNT x
    SCAN 0 COUNT 0
    SCAN 0 MATCH
    SCAN 0 TYPE
    SCAN 0 bogus x
    SCAN 0
    KEYS *
    MSET a 1 ab 2 abc 3 b 4 [ 5 a* 6 ^ 7 \x00\xff 8 \x7f 9 - a ] b \x5c c "" d
    KEYS *
    KEYS a*
    KEYS *b*
    KEYS ?
    KEYS ??
    KEYS [ab]
    KEYS [^ab]
    KEYS [a-b]
    KEYS [b-a]
    KEYS [a-
    KEYS [a-]
    KEYS [
    KEYS [^
    KEYS []
    KEYS [^]
    KEYS []]
    KEYS [\]]
    KEYS [\x00-\xff]*
    KEYS [\x7f-\xff]*
    KEYS [\x01-\xff]*
    KEYS \x5c
    KEYS \x5c\x5c
    KEYS a\x5c*
    KEYS \x5c[
    KEYS **
    KEYS *?
    KEYS ""
    KEYS a?c
    KEYS *[c]
    SCAN 0 COUNT 1000 MATCH nothing
    SCAN 0 COUNT 1000 TYPE list
    SCAN 0 COUNT 1000 TYPE bogus
"#;

const SUBSEQUENCES: &str = r#"
    MSET x ohmytext y mynewtext n 1234567 m 3456
    LCS x y
    LCS x y LEN
    LCS x y IDX
    LCS x y IDX WITHMATCHLEN
    LCS x y IDX MINMATCHLEN 4 WITHMATCHLEN
    LCS x y IDX MINMATCHLEN -4
    LCS x y MINMATCHLEN
    LCS x y MINMATCHLEN x
    LCS x y IDX LEN
    LCS x y bogus
    LCS x none
    LCS none none IDX
    LCS x none LEN
    LCS n m IDX WITHMATCHLEN
    LCS x x IDX
"#;

const WRONG_TYPES: &str = r#"
    RPUSH l a b
    SET s v
    GET l
    GETSET l v
    GETDEL l
    GETEX l
    GETEX l EX 0
    GETEX l bogus
    GETRANGE l 0 1
    GETRANGE l x 1
    STRLEN l
    APPEND l v
    SETRANGE l 0 ""
    SETRANGE l -1 v
    SETRANGE l 536870911 vv
    INCR l
    INCRBY l x
    DECRBY l -9223372036854775808
    INCRBYFLOAT l x
    SET l v GET
    SET l v GET NX
    SET l v NX
    SET l v GET EX 0
    SETNX l v
    MSETNX l v fresh v
    MGET l s none
    LCS l s
    LCS s l bogus
    SETBIT l 0 1
    SETBIT l x 1
    GETBIT l 0
    GETBIT l x
    BITCOUNT l
    BITCOUNT l x y
    BITPOS l 1
    BITPOS l 2
    BITPOS l 1 x
    BITFIELD l GET u8 0
    BITFIELD l SET u8 0 1
    BITFIELD l bogus
    BITFIELD_RO l GET u8 0
    BITOP AND d s l
    BITOP NOT d l
    TYPE l
    OBJECT ENCODING l
    OBJECT REFCOUNT l
    EXISTS l
    TTL l
    EXPIRE l 100
    TTL l
    COPY l m
    COPY s m
    COPY s m REPLACE
    TYPE m
    RENAME l m
    TYPE m
    TTL m
    RENAMENX m s
    BITOP NOT m s
    TYPE m
    TTL m
    RPUSH n a
    SET n v
    TYPE n
    RPUSH n a
    RPUSH o a
    SETEX o 100 v
    TYPE o
    RPUSH p a
    MSET p v
    TYPE p
    RPUSH q a
    PEXPIRE q 1000000
    SET q v KEEPTTL
    TTL q
    SCAN 0 COUNT 10000 TYPE list
    DBSIZE
"#;

/// A BITFIELD whose numbers are all forbidden may make a string longer: Redis tells nobody of it.
#[test]
fn bit_fields_break_the_transactions_that_they_break_in_redis() {
    let mut pair = Pair::start(Protocol::Resp2);
    let mut watcher = pair.redis.client();
    let mut seen = [0; 2];
    for before in ["DEL k", "SET k ab", "SET k 5", "SETBIT k 300 1"] {
        for operations in [
            "GET u8 200",
            "SET u8 200 0",
            "SET u8 0 0",
            "INCRBY u8 200 0",
            "INCRBY u8 200 5",
            "INCRBY u8 0 1 INCRBY u8 0 -1",
            "OVERFLOW FAIL INCRBY u2 200 5",
            "OVERFLOW FAIL INCRBY u2 0 5",
            "OVERFLOW FAIL SET u2 200 5 GET u8 0",
            "OVERFLOW FAIL INCRBY u2 200 5 INCRBY u2 200 0",
            "OVERFLOW FAIL INCRBY u2 200 5 OVERFLOW SAT INCRBY u2 200 5",
            "INCRBY u2 100 1 OVERFLOW FAIL INCRBY u2 200 5",
            "OVERFLOW FAIL INCRBY u2 200 3 INCRBY u2 200 1",
        ] {
            pair.line("DEL k");
            pair.line(before);
            watcher.run("WATCH k");
            let watched = [pair.store.watch(b"k", oracle::now())];
            pair.line(&format!("BITFIELD k {operations}"));
            watcher.run("MULTI");
            let is_broken = matches!(watcher.run("EXEC"), Value::Null);
            let outcome = pair.store.transaction(oracle::now(), &watched, &[]);
            assert_eq!(outcome.is_none(), is_broken, "{before}: {operations}");
            watched.into_iter().for_each(|it| pair.store.unwatch(it));
            seen[usize::from(is_broken)] += 1;
            pair.line("GET k");
            pair.line("OBJECT ENCODING k");
        }
    }
    assert!(seen.iter().all(|seen| *seen > 10), "{seen:?}");
}

#[test]
fn hand_picked_commands_get_the_replies_of_redis() {
    for lines in [
        STRINGS,
        COUNTERS,
        BITS,
        KEYS,
        DATABASES,
        SCANS,
        SUBSEQUENCES,
        WRONG_TYPES,
    ] {
        let mut pair = Pair::start(Protocol::Resp2);
        pair.lines(lines);
    }
}

#[test]
fn keys_expire_when_they_do_in_redis() {
    let mut pair = Pair::start(Protocol::Resp2);
    for round in 0..20 {
        pair.line(&format!("SET k{round} v PX {}", 1 + round));
        pair.line(&format!("SET l{round} v"));
        pair.line(&format!("PEXPIRE l{round} {}", 1 + round));
    }
    std::thread::sleep(Duration::from_millis(60));
    for round in 0..20 {
        for command in ["GET", "TTL", "TYPE", "EXISTS", "PERSIST", "STRLEN"] {
            pair.line(&format!("{command} k{round}"));
            pair.line(&format!("{command} l{round}"));
        }
        pair.line(&format!("RENAME k{round} x"));
        pair.line(&format!("APPEND l{round} tail"));
        pair.line(&format!("TTL l{round}"));
    }
    pair.line("KEYS *");
    pair.line("DBSIZE");
}

#[test]
fn long_values_are_bounded_as_in_redis() {
    let mut pair = Pair::start(Protocol::Resp2);
    pair.line("SETRANGE k 536870911 x");
    pair.line("STRLEN k");
    pair.line("APPEND k y");
    pair.line("SETRANGE k 536870911 yz");
    pair.line("GETRANGE k -3 -1");
    pair.line("BITCOUNT k");
    pair.line("BITPOS k 1");
    pair.line("SETBIT k 4294967295 0");
    pair.line("LCS k k LEN");
    pair.line("OBJECT ENCODING k");
    pair.line("DEL k");
    for len in [43, 44, 45, 2047, 2048, 2049, 70_000] {
        let value = vec![b'v'; len];
        pair.check(&[b"SET".to_vec(), b"k".to_vec(), value.clone()]);
        pair.line("OBJECT ENCODING k");
        pair.line("GET k");
        pair.line("APPEND k tail");
        pair.line("GET k");
        pair.line("SETBIT k 3 1");
        pair.line("COPY k l REPLACE");
        pair.line("RENAME l m");
        pair.line("GET m");
        pair.check(&[b"SET".to_vec(), value.clone(), b"v".to_vec()]);
        pair.line("EXPIRE k 100");
        pair.check(&[b"INCR".to_vec(), value.clone()]);
        pair.check(&[b"RENAME".to_vec(), value, b"k".to_vec()]);
        pair.line("TTL k");
        pair.line("GET k");
    }
}

#[test]
fn a_scan_finds_the_keys_that_redis_has() {
    let mut pair = Pair::start(Protocol::Resp2);
    for i in 0..3_000 {
        pair.line(&format!("SET key:{i} {i}"));
    }
    for options in [
        "",
        " COUNT 1",
        " COUNT 777",
        " MATCH key:*7*",
        " TYPE string COUNT 100",
    ] {
        let (mut cursor, mut found) = ("0".to_owned(), BTreeSet::new());
        loop {
            let line = format!("SCAN {cursor}{options}");
            let words: Vec<Vec<u8>> = line.split(' ').map(word).collect();
            let Reply::Array(parts) = execute(&pair.store, &words) else {
                panic!("{line}: no array");
            };
            let (Reply::Bulk(next), Reply::Array(keys)) = (&parts[0], &parts[1]) else {
                panic!("{line}: {parts:?}");
            };
            for key in keys {
                let Reply::Bulk(key) = key else { panic!() };
                assert!(found.insert(key.to_vec()), "{line}: {key:?} twice");
            }
            cursor = String::from_utf8(next.to_vec()).unwrap();
            if cursor == "0" {
                break;
            }
        }
        let pattern = if options.contains("MATCH") {
            "key:*7*"
        } else {
            "*"
        };
        let keys = Reply::Array(found.iter().map(Reply::bulk).collect());
        let found = encode(&keys, Protocol::Resp2);
        let expected = pair.redis.call(&[b"KEYS".to_vec(), pattern.into()]);
        assert_eq!(sorted(&found), sorted(&expected), "SCAN 0{options}");
    }
}

#[test]
fn sums_of_floating_point_numbers_have_the_digits_of_redis() {
    let mut pair = Pair::start(Protocol::Resp2);
    let mut generator = Generator::new(7);
    for i in 0..4_000 {
        if i % 7 == 0 {
            pair.check(&[b"SET".to_vec(), b"f".to_vec(), generator.float()]);
        }
        pair.check(&[b"INCRBYFLOAT".to_vec(), b"f".to_vec(), generator.float()]);
        pair.line("GET f");
    }
}

#[test]
fn generated_commands_get_the_replies_of_redis() {
    for seed in 1..=4 {
        let mut pair = Pair::start(Protocol::Resp2);
        let mut generator = Generator::new(seed);
        for _ in 0..6_000 {
            let words = generator.command();
            pair.check(&words);
        }
        pair.line("KEYS *");
        pair.line("DBSIZE");
    }
}

/// A generator of commands.
struct Generator(Random);

impl Generator {
    fn new(seed: u64) -> Generator {
        Generator(Random::new(seed))
    }

    fn key(&mut self) -> Vec<u8> {
        word(self.0.one(&[
            "a",
            "b",
            "c",
            "d",
            "key:with:a:longer:name",
            "\\x00\\xff",
            "\"\"",
        ]))
    }

    fn value(&mut self) -> Vec<u8> {
        match self.0.below(10) {
            0 => word(
                self.0
                    .one(&["", "0", "-1", "9223372036854775807", "-9223372036854775808"]),
            ),
            1 => self.float(),
            2 => {
                let len = self.0.below(3_000);
                (0..len).map(|_| self.0.below(256) as u8).collect()
            }
            3..=5 => self.0.next().to_string().into_bytes(),
            6 => self.integer(),
            _ => {
                let len = self.0.below(60);
                (0..len).map(|_| self.0.below(4) as u8 + b'a').collect()
            }
        }
    }

    fn integer(&mut self) -> Vec<u8> {
        let number = match self.0.below(8) {
            0 => {
                return word(
                    self.0
                        .one(&["x", "1.5", "", "9223372036854775808", "01", "\\x00"]),
                );
            }
            1 => i64::MAX - self.0.below(3) as i64,
            2 => i64::MIN + self.0.below(3) as i64,
            3 => -(self.0.below(40) as i64),
            _ => self.0.below(80) as i64,
        };
        number.to_string().into_bytes()
    }

    /// A place in a string: never so great that the string becomes huge.
    fn place(&mut self) -> Vec<u8> {
        match self.0.below(12) {
            0 => word(self.0.one(&["x", "-1", "", "99999999999"])),
            1 => self.0.below(30_000).to_string().into_bytes(),
            _ => self.0.below(100).to_string().into_bytes(),
        }
    }

    fn float(&mut self) -> Vec<u8> {
        let sign = self.0.one(&["", "-", ""]);
        let digits = self.0.next() >> self.0.below(53);
        let text = match self.0.below(8) {
            0 => format!("{sign}{digits}"),
            1 => format!("{sign}{digits}e{}", self.0.below(40) as i64 - 30),
            2 => format!("{sign}0.{digits}"),
            3 => format!("{sign}{}.{digits}", self.0.next() >> self.0.below(53)),
            4 => format!("{sign}0x{digits:x}p{}", self.0.below(90) as i64 - 80),
            5 => format!("{sign}{}.{}", self.0.below(100), self.0.below(100)),
            6 => format!("{sign}{digits}{digits}.{digits}"),
            _ => self
                .0
                .one(&["3.0e3", ".5", "5.", "1e-17", "x", "inf", "1e4000"])
                .to_owned(),
        };
        text.into_bytes()
    }

    /// A deadline in 2100, or thereabouts, or in the past.
    fn deadline(&mut self) -> u64 {
        match self.0.below(8) {
            0 => 1,
            _ => 4_102_444_800 + self.0.below(5),
        }
    }

    fn words(&mut self, words: &[&str]) -> Vec<Vec<u8>> {
        words.iter().map(|w| w.as_bytes().to_vec()).collect()
    }

    fn command(&mut self) -> Vec<Vec<u8>> {
        match self.0.below(8) {
            0..=2 => self.string_command(),
            3 => self.set_command(),
            4 => self.bit_command(),
            5 => self.expiry_command(),
            _ => self.key_command(),
        }
    }

    fn string_command(&mut self) -> Vec<Vec<u8>> {
        let name = self.0.one(&[
            "GET",
            "GETSET",
            "GETDEL",
            "APPEND",
            "SETRANGE",
            "GETRANGE",
            "INCR",
            "DECR",
            "INCRBY",
            "DECRBY",
            "INCRBYFLOAT",
            "MGET",
            "MSET",
            "MSETNX",
            "SETNX",
            "STRLEN",
            "LCS",
        ]);
        let mut words = self.words(&[name]);
        words.push(self.key());
        match name {
            "GETSET" | "APPEND" | "SETNX" => words.push(self.value()),
            "SETRANGE" => words.extend([self.place(), self.value()]),
            "GETRANGE" => words.extend([self.integer(), self.integer()]),
            "INCRBY" | "DECRBY" => words.push(self.integer()),
            "INCRBYFLOAT" => words.push(self.float()),
            "MGET" => words.extend([self.key(), self.key()]),
            "MSET" | "MSETNX" => words.extend([self.value(), self.key(), self.value()]),
            "LCS" => {
                words.push(self.key());
                let options =
                    self.0
                        .one(&["", "LEN", "IDX", "IDX WITHMATCHLEN", "IDX MINMATCHLEN 2"]);
                words.extend(options.split_whitespace().map(word));
            }
            _ => {}
        }
        words
    }

    fn set_command(&mut self) -> Vec<Vec<u8>> {
        let mut words = match self.0.below(4) {
            0 => vec![b"GETEX".to_vec(), self.key()],
            1 => {
                let seconds = self.0.below(1_000).to_string();
                let name = self.0.one(&["SETEX", "PSETEX"]);
                let seconds = if name == "PSETEX" {
                    seconds + "0000"
                } else {
                    seconds
                };
                return vec![name.into(), self.key(), seconds.into(), self.value()];
            }
            _ => vec![b"SET".to_vec(), self.key(), self.value()],
        };
        for _ in 0..self.0.below(4) {
            let option = self.0.one(&[
                "NX", "xx", "GET", "KEEPTTL", "PERSIST", "EX", "PX", "EXAT", "PXAT", "bogus",
            ]);
            words.push(option.into());
            match option {
                "EX" => words.push(self.0.below(1_000).to_string().into()),
                "PX" => words.push((self.0.below(1_000) * 10_000).to_string().into()),
                "EXAT" => words.push(self.deadline().to_string().into()),
                "PXAT" => words.push((self.deadline() * 1_000).to_string().into()),
                _ => {}
            }
        }
        words
    }

    fn bit_command(&mut self) -> Vec<Vec<u8>> {
        let name = self.0.one(&[
            "SETBIT",
            "GETBIT",
            "BITCOUNT",
            "BITPOS",
            "BITOP",
            "BITFIELD",
            "BITFIELD_RO",
        ]);
        let mut words = self.words(&[name]);
        match name {
            "SETBIT" => {
                words.extend([
                    self.key(),
                    self.place(),
                    self.0.one(&["0", "1", "2"]).into(),
                ]);
            }
            "GETBIT" => words.extend([self.key(), self.place()]),
            "BITOP" => {
                let operation = self.0.one(&["AND", "or", "XOR", "NOT"]);
                words.extend([operation.into(), self.key(), self.key()]);
                (0..self.0.below(3)).for_each(|_| words.push(self.key()));
            }
            "BITCOUNT" | "BITPOS" => {
                words.push(self.key());
                if name == "BITPOS" {
                    words.push(self.0.one(&["0", "1", "1", "0", "2"]).into());
                }
                (0..self.0.below(3)).for_each(|_| words.push(self.integer()));
                if self.0.below(2) == 0 {
                    words.push(self.0.one(&["BIT", "byte"]).into());
                }
            }
            _ => {
                words.push(self.key());
                (0..self.0.below(4)).for_each(|_| self.field_operation(&mut words));
            }
        }
        words
    }

    fn field_operation(&mut self, words: &mut Vec<Vec<u8>>) {
        let operation = self.0.one(&["GET", "SET", "INCRBY", "OVERFLOW"]);
        words.push(operation.into());
        if operation == "OVERFLOW" {
            words.push(self.0.one(&["wrap", "SAT", "FAIL"]).into());
            return;
        }
        words.push(format!("{}{}", self.0.one(&["u", "i"]), self.0.below(65)).into());
        let hash = self.0.one(&["", "", "#"]);
        words.push(format!("{hash}{}", self.0.below(200)).into());
        if operation != "GET" {
            words.push(self.integer());
        }
    }

    fn expiry_command(&mut self) -> Vec<Vec<u8>> {
        match self.0.below(6) {
            0 => vec![
                b"EXPIRE".to_vec(),
                self.key(),
                self.0.below(1_000).to_string().into(),
            ],
            1 => {
                let millis = (self.0.below(1_000) * 10_000).to_string();
                vec![b"PEXPIRE".to_vec(), self.key(), millis.into()]
            }
            2 | 3 => {
                let at = self.deadline();
                let mut words = match self.0.below(2) {
                    0 => vec![b"EXPIREAT".to_vec(), self.key(), at.to_string().into()],
                    _ => vec![
                        b"PEXPIREAT".to_vec(),
                        self.key(),
                        (at * 1_000).to_string().into(),
                    ],
                };
                (0..self.0.below(3))
                    .for_each(|_| words.push(self.0.one(&["NX", "XX", "gt", "LT"]).into()));
                words
            }
            _ => {
                let name = self
                    .0
                    .one(&["TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME", "PERSIST"]);
                vec![name.into(), self.key()]
            }
        }
    }

    fn key_command(&mut self) -> Vec<Vec<u8>> {
        let name = self.0.one(&[
            "DEL", "UNLINK", "EXISTS", "TOUCH", "TYPE", "RENAME", "RENAMENX", "COPY", "OBJECT",
            "KEYS", "DBSIZE", "GET", "STRLEN",
        ]);
        let mut words = self.words(&[name]);
        match name {
            "DBSIZE" => {}
            "KEYS" => words.push(self.0.one(&["*", "?", "[a-c]", "k*e", "[^a]*"]).into()),
            "OBJECT" => words.extend([b"ENCODING".to_vec(), self.key()]),
            "RENAME" | "RENAMENX" => words.extend([self.key(), self.key()]),
            "COPY" => {
                words.extend([self.key(), self.key()]);
                (0..self.0.below(2))
                    .for_each(|_| words.push(self.0.one(&["REPLACE", "bogus"]).into()));
            }
            "EXISTS" | "TOUCH" => words.extend([self.key(), self.key()]),
            _ => words.push(self.key()),
        }
        words
    }
}
