//! Operations over several keys, sorting, sketches and dumps against a real redis-server: the same
//! commands, the same bytes in reply.

mod oracle;
mod servers;

use heeler::wire::resp::Protocol;
use oracle::{Pair, Random, word};

fn compare(lines: &str) {
    for protocol in [Protocol::Resp2, Protocol::Resp3] {
        Pair::start(protocol).lines(lines);
    }
}

fn words(line: &str) -> Vec<Vec<u8>> {
    line.split(' ').map(word).collect()
}

const SEVERAL_ZSETS: &str = r#"
    ZADD a 1 x 2 y 3 z
    ZADD b 10 y 20 z 30 w
    SADD s x w q
    ZADD i inf x -inf y 0 z
    RPUSH l a
    ZUNION 2 a b
    ZUNION 2 a b WITHSCORES
    ZUNION 2 a b withscores weights 2 3 aggregate max
    ZUNION 2 a b AGGREGATE MIN WITHSCORES
    ZUNION 2 a b AGGREGATE SUM WEIGHTS 1.5 -1 WITHSCORES
    ZUNION 3 a b s WITHSCORES
    ZUNION 2 a none
    ZUNION 1 none
    ZUNION 1 s WITHSCORES
    ZUNION 2 i a WITHSCORES
    ZUNION 2 i i WEIGHTS 1 -1 WITHSCORES
    ZUNION 1 i WEIGHTS 0 WITHSCORES
    ZUNION 1 a WEIGHTS -0 WITHSCORES
    ZUNION 2 a b LIMIT 1
    ZUNION 2 a b WEIGHTS 1
    ZUNION 2 a b WEIGHTS 1 x
    ZUNION 2 a b WEIGHTS 1 nan
    ZUNION 2 a b WEIGHTS 1 inf WITHSCORES
    ZUNION 2 a b AGGREGATE
    ZUNION 2 a b AGGREGATE avg
    ZUNION 0 a
    ZUNION -1 a
    ZUNION x a
    ZUNION 3 a b
    ZUNION 9223372036854775807 a
    ZUNION 2 a l
    ZUNION 2 a l BOGUS
    ZUNION 2 a b BOGUS
    ZINTER 2 a b
    ZINTER 2 a b WITHSCORES
    ZINTER 2 a b WEIGHTS 2 3 WITHSCORES
    ZINTER 2 a b AGGREGATE MAX WITHSCORES
    ZINTER 2 a a WITHSCORES
    ZINTER 2 a s WITHSCORES
    ZINTER 2 s a WITHSCORES WEIGHTS 5 1
    ZINTER 2 i i WEIGHTS 1 -1 WITHSCORES
    ZINTER 2 a none WITHSCORES
    ZINTER 1 a WITHSCORES
    ZINTER 0 a
    ZINTER 2 a l
    ZDIFF 2 a b
    ZDIFF 2 a b WITHSCORES
    ZDIFF 3 a b s WITHSCORES
    ZDIFF 2 a a
    ZDIFF 2 none a
    ZDIFF 2 a none WITHSCORES
    ZDIFF 1 s
    ZDIFF 2 a b WEIGHTS 1 2
    ZDIFF 2 a b AGGREGATE SUM
    ZDIFF 0 a
    ZDIFF 2 a l
    ZINTERCARD 2 a b
    ZINTERCARD 2 a b LIMIT 1
    ZINTERCARD 2 a b LIMIT 0
    ZINTERCARD 2 a b LIMIT -1
    ZINTERCARD 2 a b LIMIT x
    ZINTERCARD 2 a b LIMIT
    ZINTERCARD 2 a b WITHSCORES
    ZINTERCARD 2 a none
    ZINTERCARD 0 a
    ZINTERCARD 2 a
    ZINTERCARD 2 a l
    ZUNIONSTORE d 2 a b
    ZRANGE d 0 -1 WITHSCORES
    ZUNIONSTORE d 2 a b WITHSCORES
    ZUNIONSTORE d 2 a b WEIGHTS 1 -1 AGGREGATE MIN
    ZRANGE d 0 -1 WITHSCORES
    OBJECT ENCODING d
    ZUNIONSTORE a 2 a b
    ZRANGE a 0 -1 WITHSCORES
    ZINTERSTORE d 2 a b
    ZRANGE d 0 -1 WITHSCORES
    ZINTERSTORE d 2 a none
    EXISTS d
    ZDIFFSTORE d 2 a s
    ZRANGE d 0 -1 WITHSCORES
    ZDIFFSTORE d 2 a s WEIGHTS 1 1
    ZDIFFSTORE l 1 a
    TYPE l
    ZUNIONSTORE l 0 a
    ZUNIONSTORE l 1
    ZUNIONSTORE
    RPUSH l2 a
    ZUNIONSTORE d 1 l2
    ZUNIONSTORE l2 1 none
    EXISTS l2
    ZADD zeros 0 x 0 yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy
    ZADD zero 0 x
    ZUNIONSTORE signs 1 zeros WEIGHTS -1
    ZSCORE signs x
    ZRANGE signs 0 -1 WITHSCORES
    ZINTERSTORE signs 1 zeros WEIGHTS -1
    ZRANGE signs 0 -1 WITHSCORES
    DUMP signs
    ZDIFFSTORE again 1 signs
    ZRANGE again 0 -1 WITHSCORES
    ZRANGESTORE again signs 0 -1
    DUMP again
    ZRANGESTORE again signs 0 -1 REV
    DUMP again
    ZRANGESTORE again signs +inf -inf BYSCORE REV
    ZRANGE again 0 -1 WITHSCORES
    ZUNIONSTORE sign 1 zero WEIGHTS -1
    ZSCORE sign x
"#;

const POPS: &str = r#"
    RPUSH l 1 2 3 4 5
    ZADD z 1 a 2 b 3.5 c 4 d
    SET t v
    LMPOP 1 l LEFT
    LMPOP 2 none l RIGHT
    LMPOP 2 none l right COUNT 2
    LMPOP 1 none LEFT
    LMPOP 1 t LEFT
    LMPOP 2 t l LEFT
    LMPOP 2 l t LEFT
    LMPOP 1 l LEFT COUNT 100
    EXISTS l
    LMPOP 0 l LEFT
    LMPOP -1 l LEFT
    LMPOP x l LEFT
    LMPOP 2 l LEFT
    LMPOP 1 l
    LMPOP 1 l MIDDLE
    LMPOP 1 l LEFT COUNT
    LMPOP 1 l LEFT COUNT 0
    LMPOP 1 l LEFT COUNT -1
    LMPOP 1 l LEFT COUNT x
    LMPOP 1 l LEFT COUNT 1 COUNT 2
    LMPOP 1 l LEFT BOGUS 1
    LMPOP 9223372036854775807 l LEFT
    ZMPOP 1 z MIN
    ZMPOP 2 none z MAX
    ZMPOP 2 none z max COUNT 1
    ZMPOP 1 none MIN
    ZMPOP 1 t MIN
    ZMPOP 2 t z MIN
    ZMPOP 2 z t MIN COUNT 100
    EXISTS z
    ZMPOP 0 z MIN
    ZMPOP x z MIN
    ZMPOP 2 z MIN
    ZMPOP 1 z
    ZMPOP 1 z LEFT
    ZMPOP 1 z MIN COUNT
    ZMPOP 1 z MIN COUNT 0
    ZMPOP 1 z MIN COUNT x
    ZMPOP 1 z MIN COUNT 1 COUNT 1
    ZMPOP 1 z MIN BOGUS 1
"#;

const SORTED: &str = r#"
    RPUSH l 3 1 2 10 -1 1.5
    SADD s 3 1 2
    ZADD z 1 c 2 a 3 b
    RPUSH w banana apple Cherry
    SET t v
    SORT l
    SORT l DESC
    SORT l ASC DESC ASC
    SORT l ALPHA
    SORT l ALPHA DESC
    SORT w
    SORT w ALPHA
    SORT w ALPHA DESC LIMIT 0 2
    SORT l LIMIT 0 2
    SORT l LIMIT 1 2
    SORT l LIMIT -5 2
    SORT l LIMIT 1 -5
    SORT l LIMIT 100 2
    SORT l LIMIT 2 0
    SORT l LIMIT 9223372036854775807 9223372036854775807
    SORT l LIMIT x 1
    SORT l LIMIT 1 x
    SORT l LIMIT 1
    SORT s
    SORT s DESC
    OBJECT ENCODING z
    SORT z
    OBJECT ENCODING z
    SORT z ALPHA
    SORT z ALPHA DESC
    SORT z BY nosort
    SORT z BY nosort DESC
    SORT z BY nosort DESC LIMIT 1 1
    SORT z BY nosort LIMIT 1 5
    SORT l BY nosort
    SORT l BY nosort DESC
    SORT l BY nosort DESC LIMIT 0 2
    SORT t
    SORT none
    SORT none STORE d
    SORT l BOGUS
    SORT l BY
    SORT l GET
    SORT l STORE
    MSET w_3 1 w_1 2 w_2 3 w_10 4 w_-1 5
    MSET o_3 three o_1 one o_2 two
    HSET h_1 f 10 name one
    HSET h_2 f 9 name two
    HSET h_3 f 8 name three
    SORT l BY w_*
    SORT l BY w_* DESC
    SORT l BY w_* LIMIT 1 3
    SORT l BY absent_*
    SORT l BY absent_* DESC
    SORT s BY w_* GET o_*
    SORT s BY h_*->f GET h_*->name
    SORT s BY h_*->f GET h_*->name GET # GET o_* GET absent_* GET nostar
    SORT s BY h_*->none
    SORT s BY h_*-> GET h_*->
    SORT s GET l* GET h_*
    SORT l GET o_*
    SORT l GET #
    SORT l GET ##
    SORT s BY o_*
    SORT s BY o_* ALPHA
    SORT s BY o_* ALPHA DESC GET #
    SORT s BY w_* ALPHA
    SORT l STORE d
    LRANGE d 0 -1
    OBJECT ENCODING d
    SORT s BY o_* ALPHA GET o_* GET absent_* STORE d
    LRANGE d 0 -1
    SORT s BY nosort STORE d
    LRANGE d 0 -1
    SORT l LIMIT 0 0 STORE d
    EXISTS d
    SORT w STORE d
    SORT l STORE l
    LRANGE l 0 -1
    SORT_RO l
    SORT_RO l DESC LIMIT 0 2
    SORT_RO s BY w_* GET o_*
    SORT_RO l STORE d
    SORT_RO t
    RPUSH n nan
    SORT n
    RPUSH e "" 1 -1
    SORT e
    RPUSH inf inf -inf 0 +inf 0x10 \x205
    SORT inf
    RPUSH bad 1x
    SORT bad
    SORT bad ALPHA
    RPUSH zero 1\x00a 1\x00b
    SORT zero
    RPUSH ties 01 1 1.0 +1
    SORT ties
    SORT ties DESC
    SORT ties ALPHA
    RPUSH big 1e400
    SORT big
"#;

const SKETCHES: &str = r#"
    PFADD p
    PFADD p
    GET p
    STRLEN p
    PFCOUNT p
    PFADD p a b c
    PFADD p a b c
    GET p
    PFCOUNT p
    GET p
    PFCOUNT p p none
    PFCOUNT none
    PFCOUNT none none2
    PFADD q c d e f g
    PFCOUNT p q
    PFMERGE m p q
    PFCOUNT m
    GET m
    PFMERGE p q
    GET p
    PFMERGE empty
    GET empty
    PFMERGE none2 none none
    PFCOUNT none2
    EXPIRE p 100
    PFADD p zz
    PERSIST p
    SET t v
    PFADD t a
    PFCOUNT t
    PFCOUNT p t
    PFMERGE p t
    PFMERGE t p
    RPUSH l a
    PFADD l a
    PFCOUNT l
    PFMERGE p l
    PFMERGE l p
    SET n 12
    PFADD n a
    SET bad HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80
    PFCOUNT bad
    PFADD bad a
    PFCOUNT bad p
    PFMERGE p bad
    SET bad HYLL\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80
    PFCOUNT bad
    SET bad HYLL\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80
    PFCOUNT bad
    SET bad hyll\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80
    PFCOUNT bad
    SET bad HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x7f
    PFCOUNT bad
    SET half HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x5f\xff
    PFADD half a b c d e f g h
    GET half
    PFADD half i j k l m n o p
    GET half
    PFMERGE half p
    GET half
    DEL half
"#;

const DUMPS: &str = r#"
    DUMP none
    SET s abc
    DUMP s
    SET n 5
    DUMP n
    SET n -129
    DUMP n
    SET n 70000
    DUMP n
    SET n 12345678901
    DUMP n
    SET n 9223372036854775807
    DUMP n
    SET e ""
    DUMP e
    APPEND a 12
    APPEND a 3
    DUMP a
    RPUSH l a b 1 300 -5
    DUMP l
    SADD i 1 2 3 -4
    DUMP i
    SADD i 70000
    DUMP i
    SADD one x
    DUMP one
    HSET h f v g 12
    DUMP h
    ZADD z 1 a 2.5 b -3 c inf d
    DUMP z
    SORT z ALPHA
    RESTORE s 0 x
    RESTORE none 0 x
    RESTORE none 0 \x00\x03abc\x0a\x00\x9e1\xed\xfaG`\x86\xf2
    RESTORE none 0 \x00\x03abc\x0b\x00\x9e1\xed\xfaG`\x86\xf2
    RESTORE none -1 \x00\x03abc\x0a\x00
    RESTORE none x \x00\x03abc\x0a\x00
    RESTORE none 0 x BOGUS
    RESTORE none 0 x IDLETIME
    RESTORE none 0 x IDLETIME -1
    RESTORE none 0 x IDLETIME x
    RESTORE none 0 x FREQ 256
    RESTORE none 0 x FREQ -1
    RESTORE none 0 x FREQ x
    RESTORE none 0 x FREQ 1 IDLETIME 1
    RESTORE none 0 x IDLETIME 1 FREQ 1
    RESTORE s 0 x REPLACE
    GET s
"#;

#[test]
fn several_sorted_sets_are_combined_as_redis_does() {
    compare(SEVERAL_ZSETS);
}

#[test]
fn the_first_key_that_has_elements_is_popped() {
    compare(POPS);
}

#[test]
fn sort_answers_as_redis_does() {
    compare(SORTED);
}

#[test]
fn sketches_have_the_bytes_of_redis() {
    compare(SKETCHES);
}

#[test]
fn short_values_are_dumped_as_redis_dumps_them() {
    compare(DUMPS);
}

/// From sparse to dense, by one element and by many.
#[test]
fn large_sketches_have_the_bytes_of_redis() {
    let mut pair = Pair::start(Protocol::Resp2);
    let mut next = 0;
    for size in [1, 1, 2, 3, 5, 10, 50, 100, 500, 700, 900, 3000, 20_000] {
        let mut add = words("PFADD big");
        add.extend((0..size).map(|i| format!("element-{}", next + i).into_bytes()));
        next += size;
        pair.check(&add);
        pair.line("GET big");
        pair.line("PFCOUNT big");
        pair.line("PFADD small a b c");
        pair.line("PFCOUNT small big");
        pair.line("PFMERGE merged small big");
        pair.line("GET merged");
    }
}

#[test]
fn random_sets_are_combined_as_redis_does() {
    let mut random = Random::new(3);
    let mut pair = Pair::start(Protocol::Resp2);
    for _ in 0..400 {
        let key = random.one(&["a", "b", "c", "d"]);
        let member = random.below(12);
        let line = match random.below(6) {
            0 | 1 => {
                let score = random.one(&["1", "-2.5", "0", "3", "inf", "-inf", "1e10"]);
                format!("ZADD {key} {score} m{member}")
            }
            2 => format!("SADD s{key} m{member}"),
            _ => {
                let name = random.one(&["ZUNION", "ZINTER", "ZDIFF"]);
                let keys = random.one(&["2 a b", "3 a sb c", "1 d", "3 sa sb sc", "4 a b c d"]);
                let count: usize = keys[..1].parse().unwrap();
                let options = match (name, random.below(3)) {
                    ("ZDIFF", _) | (_, 0) => String::new(),
                    (_, 1) => " AGGREGATE ".to_owned() + random.one(&["MIN", "MAX", "SUM"]),
                    _ => (0..count).fold(" WEIGHTS".into(), |all, _| {
                        all + " " + random.one(&["1", "-1", "0.5", "0", "2"])
                    }),
                };
                match random.below(3) {
                    0 => format!("{name} {keys} WITHSCORES{options}"),
                    1 => format!("{name} {keys}{options}"),
                    _ => format!("{name}STORE {key} {keys}{options}"),
                }
            }
        };
        pair.line(&line);
        pair.line("ZRANGE a 0 -1 WITHSCORES");
    }
}

#[test]
fn random_lists_are_sorted_as_redis_does() {
    let mut random = Random::new(5);
    let mut pair = Pair::start(Protocol::Resp2);
    for i in 0..60 {
        pair.line(&format!("SET w{i} {}", random.below(100_000)));
        pair.line(&format!("HSET h{i} f {} g g{}", random.below(100_000), i));
    }
    for _ in 0..300 {
        let mut line = match random.below(3) {
            0 => format!("RPUSH l {}", random.below(60)),
            1 => format!("SADD s {}", random.below(60)),
            _ => format!("ZADD z {} {}", random.below(9), random.below(60)),
        };
        pair.line(&line);
        line = format!("SORT {}", random.one(&["l", "s", "z"]));
        line += random.one(&["", " BY w*", " BY h*->f", " BY h*->g ALPHA", " ALPHA"]);
        line += random.one(&["", " GET #", " GET h*->g GET w*", " GET none*"]);
        line += random.one(&["", " LIMIT 3 7", " LIMIT 0 1"]);
        line += random.one(&["", " DESC", " STORE d"]);
        pair.line(&line);
        pair.line("LRANGE d 0 -1");
    }
}

/// What either has dumped the other restores, and has the same value and encoding then.
#[test]
fn dumps_go_both_ways() {
    let mut pair = Pair::start(Protocol::Resp2);
    let mut random = Random::new(11);
    for (number, make) in values(&mut random).iter().enumerate() {
        pair.line("FLUSHALL");
        pair.check(make);
        let key = &make[1];
        let contents = match &make[0][..] {
            b"RPUSH" => "LRANGE copy 0 -1",
            b"SADD" => "SORT copy ALPHA",
            b"HSET" => "HLEN copy",
            b"ZADD" => "ZRANGE copy 0 -1 WITHSCORES",
            _ => "GET copy",
        };
        let dump = [b"DUMP".to_vec(), key.clone()];
        let (theirs, ours) = (bulk(pair.redis.call(&dump)), bulk(pair.call_store(&dump)));
        for payload in [theirs, ours] {
            let restore = [words("RESTORE copy 0"), vec![payload], words("REPLACE")].concat();
            pair.check(&restore);
            pair.line(contents);
            pair.line("OBJECT ENCODING copy");
            pair.line("TTL copy");
            if &make[0] == b"HSET" {
                for field in make[2..].chunks(2).map(|pair| pair[0].clone()) {
                    pair.check(&[b"HGET".to_vec(), b"copy".to_vec(), field]);
                }
            }
        }
        assert!(number < 1000);
    }
}

/// Strings of many lengths and of many repetitions, alone and in collections.
#[test]
fn long_strings_are_compressed_as_redis_compresses_them() {
    let mut pair = Pair::start(Protocol::Resp2);
    let mut random = Random::new(12);
    for round in 0..300usize {
        let most = [30, 300, 3_000, 30_000, 300_000][round % 5];
        let letters = [1, 2, 4, 26, 256][random.below(5) as usize];
        let mut text = Vec::new();
        while text.len() < most {
            match random.below(3) {
                0 if !text.is_empty() => {
                    let back = 1 + random.below(text.len().min(10_000) as u64) as usize;
                    let from = text.len() - back;
                    let count = random.below(600) as usize;
                    (from..from + count).for_each(|at| text.push(text[at]));
                }
                _ => {
                    let count = random.below(40);
                    text.extend((0..count).map(|_| (random.below(letters)) as u8));
                }
            }
        }
        text.truncate(random.below(most as u64) as usize);
        for make in ["SET v", "RPUSH v", "SADD v", "HSET v field", "ZADD v 1"] {
            pair.line("DEL v");
            pair.check(&[words(make), vec![text.clone()]].concat());
            pair.line("DUMP v");
        }
    }
}

#[test]
fn dumps_are_not_compressed_where_that_is_said() {
    let mut pair = Pair::start(Protocol::Resp2);
    pair.line("SET v aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    let compressed = bulk(pair.call_store(&words("DUMP v")));
    pair.redis.call(&words("CONFIG SET rdbcompression no"));
    pair.store.compress(false);
    pair.line("DUMP v");
    assert!(compressed.len() < bulk(pair.call_store(&words("DUMP v"))).len());
}

/// A payload of which any byte is wrong is refused by both, whatever else there is.
#[test]
fn broken_dumps_are_refused() {
    let mut pair = Pair::start(Protocol::Resp2);
    pair.line("RPUSH l a b 300 4");
    let whole = bulk(pair.redis.call(&words("DUMP l")));
    for at in 0..whole.len() {
        let mut broken = whole.clone();
        broken[at] ^= 0x41;
        pair.check(&[words("RESTORE copy 0"), vec![broken]].concat());
        pair.check(&[words("RESTORE copy 0"), vec![whole[..at].to_vec()]].concat());
    }
    pair.line("EXISTS copy");
}

#[test]
fn a_restored_key_has_the_deadline_that_was_asked_for() {
    let mut pair = Pair::start(Protocol::Resp2);
    pair.line("SET s v");
    let payload = bulk(pair.redis.call(&words("DUMP s")));
    let restore = |head: &str, tail: &str| {
        let tail = if tail.is_empty() {
            Vec::new()
        } else {
            words(tail)
        };
        [words(head), vec![payload.clone()], tail].concat()
    };
    let soon = oracle::now() + 100_000;
    pair.check(&restore("RESTORE c 100000", ""));
    pair.line("TTL c");
    pair.check(&restore("RESTORE c 100000", ""));
    pair.check(&restore(&format!("RESTORE c {soon}"), "ABSTTL REPLACE"));
    pair.line("PEXPIRETIME c");
    pair.check(&restore("RESTORE c 1", "REPLACE ABSTTL"));
    pair.line("EXISTS c");
    pair.check(&restore("RESTORE c 0", "IDLETIME 500"));
    pair.line("OBJECT IDLETIME c");
    pair.check(&restore("RESTORE c 0", "replace FREQ 5"));
    pair.line("TTL c");
}

/// Commands that each make one value, short and long.
fn values(random: &mut Random) -> Vec<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    let text = |random: &mut Random, length: u64| -> Vec<u8> {
        (0..length).map(|_| b'a' + random.below(3) as u8).collect()
    };
    for length in [0, 1, 11, 12, 20, 21, 44, 45, 63, 64, 300, 20_000, 100_000] {
        all.push([words("SET k"), vec![text(random, length)]].concat());
        all.push([words("SET k"), vec![vec![b'x'; length as usize]]].concat());
    }
    for number in [
        "0",
        "-1",
        "127",
        "128",
        "-32769",
        "2147483648",
        "9223372036854775807",
        "007",
    ] {
        all.push(words(&format!("SET k {number}")));
    }
    for count in [1u64, 2, 10, 128, 129, 512, 513, 3000] {
        for length in [1, 10, 64, 65, 5000] {
            if count * length > 400_000 {
                continue;
            }
            let mut element = |i: u64| match random.below(3) {
                0 => (i * 70_001).to_string().into_bytes(),
                _ => [format!("{i}:").into_bytes(), text(random, length)].concat(),
            };
            let elements: Vec<Vec<u8>> = (0..count).map(&mut element).collect();
            all.push([words("RPUSH k"), elements.clone()].concat());
            all.push([words("SADD k"), elements.clone()].concat());
            let two = |first: &dyn Fn(u64) -> Vec<u8>, head: &str| {
                let mut command = words(head);
                for (i, element) in (0..).zip(&elements) {
                    command.extend([first(i), element.clone()]);
                }
                command
            };
            all.push(two(&|i| format!("f{i}").into_bytes(), "HSET k"));
            all.push(two(
                &|i| (i as f64 * 0.5).to_string().into_bytes(),
                "ZADD k",
            ));
        }
        let numbers = (0..count).map(|i| (i * i * 1_000_003).to_string().into_bytes());
        all.push([words("SADD k"), numbers.collect()].concat());
    }
    all
}

fn bulk(reply: Vec<u8>) -> Vec<u8> {
    let start = reply.iter().position(|b| *b == b'\n').unwrap() + 1;
    reply[start..reply.len() - 2].to_vec()
}
