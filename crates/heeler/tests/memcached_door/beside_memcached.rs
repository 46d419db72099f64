//! A real memcached and Heeler: the same bytes in, the same bytes out.

use crate::servers::{Client, Memcached, text_protocol};
use crate::{Node, answers, told};

/// What memcached 1.6 and Heeler answer alike; before each all is flushed.
const SCRIPTS: &[&str] = &[
    "mg\r\n",
    "mg k\r\n",
    "mg k v\r\n",
    "mg k v k Oabc f t\r\n",
    "ms k 2 T30 F7\r\nhi\r\nmg k s v c f t h l k Oxx\r\nmg k s v f h l k\r\nmg k v v\r\n\
     mg k Q\r\nmg k x\r\n",
    "mg k E1\r\nmg k S1\r\nmg k p\r\nmg k P1 Lx\r\nmg k i\r\nmg k Tx\r\nmg k T\r\nmg k Nx\r\n\
     mg k Rx\r\nmg k O\r\nmg k O1234567890123456789012345678901\r\n\
     mg k O12345678901234567890123456789012\r\n",
    "mg none O12345678901234567890123456789012345\r\n",
    "mg none v k q Oa\r\nmn\r\n",
    "mg none k Oa b\r\n",
    "mg !!! b k\r\n",
    "mg nn N30 k t\r\nmg nn k t\r\nmg nn N30 v k t c\r\nmg nn N10\r\n",
    "ms k 1 T30\r\na\r\nmg k R10 t\r\nmg k R100 t\r\nmg k R100 t\r\n",
    "ms k 1 T30\r\na\r\nmd k I T40\r\nmg k v t c\r\nmg k v t\r\nms k 1\r\na\r\nmg k v\r\n",
    "ms k 1 T30\r\na\r\nmd k C1\r\nmd k C1 I\r\nmd k q\r\nmd k q\r\nmd k Oa k q\r\nmd k x\r\n\
     md k v\r\n",
    "md\r\n",
    "md zz k Ob\r\n",
    "ms k\r\n",
    "ms k x\r\n\r\n",
    "ms k -1\r\n\r\n",
    "ms k 2 k c Oa b\r\nab\r\n",
    "ms k 2 MA\r\nab\r\nms k 2 MP\r\nxx\r\nmg k v\r\nms k 1 ME\r\na\r\nms k 1 MR k\r\nb\r\n\
     ms k 1 MS\r\nc\r\nms k 1 MX\r\nc\r\n",
    "ms k 1 M\r\nc\r\n",
    "ms k 1 Mset\r\nc\r\n",
    "ms k 1 Ma\r\nd\r\nmg k v\r\n",
    "ms k2 1 MA\r\nd\r\n",
    "ms k2 1 MA N30\r\nd\r\nmg k2 v t\r\n",
    "ms k 1 v\r\nd\r\n",
    "ms k 1 F\r\nd\r\n",
    "ms k 1 F-1\r\nd\r\n",
    "ms k 1\r\nx\r\nms k 1 C1\r\nd\r\n",
    "ms k 1\r\nx\r\nms k 1 C1 I\r\nd\r\nmg k v\r\nmg k v\r\n",
    "ms k 1\r\nx\r\nms k 1 C9999999999999999999 I\r\nd\r\nmg k v\r\n",
    "ms k 1 Cx\r\nd\r\n",
    "ms k 1 E77 c\r\nd\r\n",
    "ms k 1 x\r\nd\r\n",
    "ms k 1 I\r\nd\r\nmg k\r\n",
    "ms none 1 C9 k O1\r\nd\r\n",
    "ms k 1 T-1\r\nd\r\nmg k v\r\n",
    "ms k 1 S100\r\nd\r\n",
    "ms n 2\r\n10\r\nma n\r\nma n v\r\nma n v D5 t c k Oz\r\nma n MD D100 v\r\nma n MI\r\n\
     ma n M+ v\r\nma n M- v\r\nma n Mi v\r\nma n Mincr v\r\nma n Mdecr\r\nma n MX v\r\n\
     ma n M\r\n",
    "ma none v\r\nma none N30 v t\r\nma none v t\r\nma none2 N0 J15 v\r\nma none2 v\r\n",
    "ma n Dx\r\nma n D-1\r\nma n Jx\r\nma n N\r\nma n Nx\r\n",
    "ms n 1\r\n1\r\nma n C1\r\nma n C1 v k Oa\r\n",
    "ms n 1\r\n1\r\nma n T30 v t\r\nma n q\r\nma n v q\r\nmn\r\n",
    "ms t 1\r\nx\r\nma t v\r\nma t k\r\n",
    "ma nope k O1 q\r\nmn\r\n",
    "ma aw== b k v\r\n",
    "ma q1 N10 J10 q v\r\nmn\r\n",
    "me none\r\n",
    "me aw== b\r\n",
    "ms k 1 T30\r\na\r\nme k\r\nmg k\r\nme k\r\nms k0k= 1 b\r\na\r\nme k0k= b\r\n",
    "me\r\n",
    "mn\r\n",
    "mn x\r\n",
    "mn q\r\n",
    "ms n 20\r\n18446744073709551615\r\nma n v D2\r\n",
    "set p 0 0 2\r\n7 \r\nincr p 1\r\n",
    "set p 0 0 2\r\n 7\r\nincr p 1\r\n",
    "set p 0 0 2\r\n+7\r\nincr p 1\r\n",
    "set p 0 0 2\r\n-7\r\nincr p 1\r\nget p\r\n",
    "set p 0 0 2\r\n07\r\nincr p 1\r\n",
    "set p 0 0 2\r\n7x\r\nincr p 1\r\nget p\r\n",
    "set p 0 0 3\r\n7 x\r\nincr p 1\r\n",
    "set p 0 0 0\r\n\r\nincr p 1\r\nget p\r\n",
    "set p 0 0 21\r\n000000000000000000007\r\nincr p 1\r\n",
    "set p 0 0 20\r\n99999999999999999999\r\nincr p 1\r\n",
    "set p 0 0 1\r\n7\r\nincr p 01\r\nincr p +1\r\nincr p -1\r\nincr p  1x\r\n",
    "incr p\r\n",
    "incr p 1 2\r\n",
    "incr p 1 noreply\r\n",
    "set p 0 0 1\r\n7\r\ntouch p 10 noreply\r\nmg p t\r\ntouch p\r\ntouch p -1\r\nget p\r\n",
    "touch p x\r\n",
    "verbosity\r\n",
    "verbosity x\r\n",
    "verbosity 1\r\n",
    "verbosity 99 noreply\r\n",
    "verbosity 1 2\r\n",
    "flush_all x\r\n",
    "flush_all -1\r\n",
    "flush_all 0\r\n",
    "flush_all noreply\r\n",
    "flush_all 0 noreply\r\n",
    "shutdown\r\n",
    "shutdown graceful\r\n",
    "slabs\r\n",
    "lru_crawler\r\n",
    "cache_memlimit\r\n",
    "debug\r\n",
    "misbehave\r\n",
    "quit x\r\n",
    "fetch\r\n",
    "config get cluster\r\n",
    "gat\r\n",
    "gat x a\r\n",
    "set a 0 0 1\r\nx\r\ngat 10 a\r\n",
    "set a 0 0 1\r\nx\r\ngat -1 a\r\nget a\r\n",
    "gats 10 a\r\n",
    "set a 0 0 1\r\nx\r\ngat 10 a a b a\r\n",
    "gets a\r\n",
    "gets\r\n",
    "get\r\n",
    "get a b\r\n",
    "cas a 0 0 1 0\r\ny\r\n",
    "set a 0 0 1\r\nx\r\ncas a 0 0 1 0\r\ny\r\n",
    "set a 0 0 1\r\nx\r\nms a 1 C0\r\ny\r\nms a 1 C0 I\r\nz\r\nms a 1 C0 MA\r\nz\r\n\
     ms a 1 C0 MR\r\nz\r\nmg a v\r\n",
    "set a 0 0 1\r\nx\r\nms a 1 C1 MR\r\ny\r\nms a 1 C1 ME\r\nz\r\nms a 1 C1 MA\r\nw\r\n\
     ms a 1 C1 I MP\r\nw\r\nmg a v\r\n",
    "set a 0 0 1\r\nx\r\nma a C0\r\nmd a C0\r\nget a\r\n",
    "set a 0 0 1\r\n1\r\nma a C0\r\nma a C1 I\r\nmg a v\r\n",
    "delete a 0\r\n",
    "delete a 1\r\n",
    "delete a 0 noreply\r\n",
    "delete a x y z\r\n",
    "delete\r\n",
    "delete a noreply\r\n",
    "set a 0 0 1\r\na\r\nadd a 0 0 1\r\nb\r\nreplace b 0 0 1\r\nc\r\nreplace a 9 0 1\r\nc\r\n\
     get a\r\n",
    "set a 4294967295 0 1\r\na\r\nget a\r\n",
    "set a 4294967296 0 1\r\na\r\nget a\r\n",
    "set a 4294967303 0 1\r\na\r\nget a\r\nmg a f\r\n",
    "set a 18446744073709551615 0 1\r\na\r\nget a\r\n",
    "set a -18446744073709551611 0 1\r\na\r\nget a\r\n",
    "set a -0 0 1\r\na\r\nget a\r\n",
    "set a +5 +0 +1\r\na\r\nget a\r\n",
    "set a 010 0 01\r\na\r\nget a\r\n",
    "set a 0 +90 1\r\na\r\nmg a t\r\n",
    "cas a 0 0 1 +1\r\na\r\n",
    "ms a 1 F4294967303\r\na\r\nmg a f\r\nms a +1 F+7 T+90\r\nb\r\nmg a f t v\r\n",
    "ms a 1 F-18446744073709551615\r\na\r\nmg a f\r\n",
    "set p 0 0 1\r\n7\r\nincr p -18446744073709551615\r\nincr p -0\r\n",
    "set a 0 99999999999 1\r\na\r\n",
    "set a 0 -99999 1\r\na\r\nget a\r\n",
    "set a 0 2592000 1\r\na\r\nmg a t\r\n",
    "set a 0 2592001 1\r\na\r\nmg a t\r\n",
    "set a\u{1}b 0 0 1\r\na\r\nget a\u{1}b\r\n",
    "set a\tb 0 0 1\r\na\r\nget a\tb\r\n",
    "ms aw== 2 b k Oa c\r\nhi\r\nmg aw== b k v Oz\r\nmg aw== k\r\nmd aw== k b Oa I\r\n\
     ma aw== k b\r\n",
    "ms aw== 2 k Oa b\r\n11\r\nma aw== k b v Ox\r\nma aw== b k\r\nmd aw== Ox b k\r\n\
     md aw== Ox b k\r\n",
    "ms k 2 t s f c k O1\r\nhi\r\nms k 2 T30 F5 t s f c k\r\nab\r\nmd k c k t f s\r\n",
    "ms k 2 MA c\r\nhi\r\nms k 1 ME c k\r\na\r\nms k 1 ME q\r\nb\r\nms zz 1 MR k c\r\na\r\n",
    "ms k 0\r\n\r\nmg k v s\r\nmg k s v\r\n",
    "mg k t0 v0 k0 s9 c\r\n",
    "ms k 0\r\n\r\nmg k q k v\r\nmg none q k v\r\n",
    "ms k 0\r\n\r\nmg k T0 t\r\nmg k t T50\r\nmg k T60 t\r\nmg k T-1\r\nmg k t\r\n",
    "ms a 1\r\na\r\nmg a N0 t v\r\nmg a t v N0\r\nmg a T5 N9 t\r\nmg a N-1 t\r\n\
     mg b N-1 c v W\r\nmg b N-1 k\r\nmg b\r\n",
    "mg b t N10\r\nmg c N10 t T20\r\nmg d T20 N10 t v\r\nmg e N10 T20 t R100\r\n",
    "ms a 1\r\nb\r\nmg a R30\r\nmg a R30 t T20\r\nmg a R30 t\r\nmg a R10 T5 t\r\n",
    "ms st 2 T20\r\nhi\r\nmd st I\r\nmg st\r\nmg st\r\nmg st v\r\nms st 1\r\na\r\nmg st\r\n",
    "ms st 2 T20\r\nhi\r\nmd st I\r\nmd st I T40\r\nmg st t\r\nmd st I\r\nmg st t\r\n",
    "ms st 2 T20\r\nhi\r\nmd st I\r\nget st\r\nmg st\r\nappend st 0 0 1\r\nx\r\nmg st v\r\n",
    "ms st 2 T20\r\nhi\r\nmd st I\r\ntouch st 5\r\nmg st t\r\nma st\r\n",
    "ms st 2 T20\r\n10\r\nmd st I\r\nma st MD v\r\n",
    "ms st 1\r\n9\r\nmd st I\r\nincr st 1\r\nmg st\r\n",
    "ms st 2\r\n10\r\nmd st I\r\nincr st 1\r\nmg st\r\n",
    "ms st 1\r\n1\r\nmd st I\r\nma st D99\r\nmg st\r\n",
    "ms st 2\r\nhi\r\nmd st I T-1\r\nmg st v\r\n",
    "md gone I\r\n",
    "ms k 2 I C0\r\nhi\r\nms k 2 I C1 c\r\nab\r\nmg k c v\r\n",
    "ms k 2 I C1 MA\r\nab\r\nmg k v c f t\r\nms k 1 C1 MA\r\nz\r\n",
    "ms app 1 F3 T50\r\na\r\nms app 1 MA F9 T10\r\nb\r\nmg app f t v l\r\nmg app f\r\n",
    "ms app 1 F3 T50\r\na\r\nmg app\r\nincr app 1\r\nmg app h f\r\n",
    "set h 0 0 1\r\n1\r\nadd h 0 0 1\r\n2\r\nmg h h\r\n",
    "mg v N30 h\r\nmg v u h\r\nmg v h\r\nma w N30\r\nmg w u h\r\nma w\r\nmg w h\r\n",
    "ms k 1 Tx\r\na\r\nmn\r\n",
    "ms k 1 Fx Tx Cx\r\na\r\nmn\r\n",
    "mg k Tx Q v v\r\nmg k Q Tx\r\n",
    "mg k MX\r\nmg k M\r\nmg k Fx\r\nmg k Cx\r\nmg k Jx\r\nmg k Dx\r\n",
    "set k 0 0 1\r\nabcd\r\nmn\r\n",
    "set k 0 0 3 noreply\r\nabc\r\nget k\r\n",
    "append k 0 0 1\r\nx\r\nset k 3 0 1\r\na\r\nappend k 9 9 2\r\nbc\r\nprepend k 9 -1 2\r\n\
     xy\r\nget k\r\n",
];

/// A reply without what each server counts in its own way: cas, and how large an item is.
pub fn without_numbers(reply: &[u8]) -> String {
    let text = reply.escape_ascii().to_string();
    let mut shown = String::new();
    for line in text.split_inclusive(r"\r\n") {
        let words: Vec<&str> = line.split(' ').collect();
        let is_value = line.starts_with("VALUE ") && words.len() == 5;
        let is_debug = line.starts_with("ME ");
        for (i, word) in words.iter().enumerate() {
            let (word, end) = match word.strip_suffix(r"\r\n") {
                Some(word) => (word, r"\r\n"),
                None => (*word, " "),
            };
            let is_cas = |word: &str| {
                let digits = word.strip_prefix('c').unwrap_or_default();
                !matches!(digits, "" | "0") && digits.bytes().all(|b| b.is_ascii_digit())
            };
            shown += match word {
                _ if is_value && i == 4 => "CAS",
                word if is_debug && word.starts_with("cas=") => "cas=N",
                word if is_debug && word.starts_with("size=") => "size=N",
                word if i > 0 && is_cas(word) => "cN",
                word => word,
            };
            shown += end;
        }
    }
    shown
}

#[test]
fn scripts_are_answered_as_memcached_does() {
    let (memcached, node) = (Memcached::start(), Node::start(&[]));
    for script in SCRIPTS {
        let script = format!("flush_all\r\n{script}");
        assert_eq!(
            without_numbers(&answers(node.port, script.as_bytes())),
            without_numbers(&answers(memcached.port, script.as_bytes())),
            "{}",
            script.escape_debug()
        );
    }
}

/// Whether an item was read since it was stored, as `mg` and `me` tell it, after each request on
/// one that nobody has read and on one that was read.
#[test]
fn who_has_read_an_item_is_told_as_memcached_tells_it() {
    let memcached = Memcached::start();
    for policy in ["noeviction", "allkeys-lfu", "allkeys-s3fifo"] {
        let node = Node::start(&["--maxmemory-policy", policy]);
        for request in [
            "get k",
            "get k k",
            "gets k",
            "gat 0 k",
            "gats 0 k",
            "touch k 0",
            "set k 0 0 1\r\n6",
            "set k 9 0 1\r\n6",
            "add k 0 0 1\r\n6",
            "replace k 0 90 1\r\n6",
            "append k 0 0 1\r\n6",
            "prepend k 0 0 1\r\n6",
            "cas k 0 0 1 0\r\n6",
            "incr k 1",
            "incr k 95",
            "incr k x",
            "decr k 1",
            "mg k",
            "mg k v",
            "mg k u",
            "mg k u v T90",
            "mg k q k",
            "mg k T90",
            "mg k N90 R90",
            "me k",
            "ms k 1\r\n6",
            "ms k 1 F9\r\n6",
            "ms k 1 ME\r\n6",
            "ms k 1 MR\r\n6",
            "ms k 1 MA\r\n6",
            "ms k 1 MP\r\n6",
            "ms k 1 C1 I\r\n6",
            "ma k",
            "ma k v T90",
            "ma k D95",
            "ma k C1",
            "md k I",
            "md k C1",
        ] {
            for read in ["", "get k\r\n"] {
                let script = format!(
                    "flush_all\r\nset k 0 0 1\r\n5\r\n{read}{request}\r\nme k\r\nmg k u h\r\n"
                );
                let last = |port: u16| {
                    let told = told(port, &script);
                    let (before, shown) = told.rsplit_once(r"\r\nHD ").unwrap();
                    let fetch = before.rsplit_once(" fetch=").unwrap().1;
                    (fetch[..2].to_owned(), shown.to_owned())
                };
                let expected = last(memcached.port);
                assert_eq!(last(node.port), expected, "{policy}: {read}{request}");
            }
        }
    }
}

/// What memcached refuses at the line, it says so and reads the data after it as commands; here the
/// data goes with its line, and all else is the same. What it refuses later, it reads the data of.
#[test]
fn lines_with_data_are_refused_as_memcached_refuses_them() {
    let (memcached, node) = (Memcached::start(), Node::start(&[]));
    let key = "k".repeat(251);
    let flags = "k ".repeat(30);
    for line in [
        &*format!("set {key} 0 0 4"),
        &format!("set {key} 0 0 4 noreply"),
        "set a x 0 4",
        "set a x 0 4 noreply",
        "set a -1 0 4",
        "set a 5x 0 4",
        "set a 0x5 0 4",
        "set a -4294967295 0 4",
        "set a 18446744073709551616 0 4",
        "set a 0 x 4",
        "set a 0 1.5 4",
        "set a 0 99999999999999999999 4",
        "append a x 0 4",
        "prepend a 0 x 4",
        "cas a 0 0 4",
        "cas a 0 0 4 noreply",
        "cas a 0 0 4 x",
        "cas a 0 0 4 -1",
        "cas a 0 0 4 18446744073709551616",
        "cas a 0 0 4 1 2 3",
        "set a 0 0 4 5 6",
        &format!("ms {key} 4"),
        &format!("ms a 4 {flags}"),
    ] {
        let theirs = told(memcached.port, format!("{line}\r\nmn\r\nget a\r\n"));
        let with_data = told(memcached.port, format!("{line}\r\nmn x\r\nget a\r\n"));
        assert_eq!(with_data, theirs, "memcached takes the data of {line}");
        let ours = told(node.port, format!("{line}\r\nmn x\r\nmn\r\nget a\r\n"));
        assert_eq!(ours, theirs, "{line}");
    }
    for line in [
        "set a 0 0 x",
        "set a 0 0 x noreply",
        "set a 0 0 -4",
        "set a 0 0 4x",
        "set a 0 0 2147483646",
        "set a 0 0",
        "ms a x",
        "ms a -4",
        "ms a 4x",
        "ms a 2147483646",
        "ms a",
        "ms a 4 ZZ",
        "ms ! 4 b",
        "ms a 4 Fx",
        "ms a 4 F-1",
        "ms a 4 MZ",
        "ms a 4 Tx",
        "ms a 4 Cx",
    ] {
        let script = format!("{line}\r\nmn x\r\nget a\r\n");
        assert_eq!(
            told(node.port, &script),
            told(memcached.port, &script),
            "{line}"
        );
    }
}

#[test]
fn scripts_are_answered_however_they_are_cut() {
    let node = Node::start(&[]);
    for script in SCRIPTS {
        let script = format!("flush_all\r\n{script}quit\r\n");
        let whole = without_numbers(&answers(node.port, script.as_bytes()));
        for pieces in [3, 40] {
            let mut client = node.client();
            for bytes in script.as_bytes().chunks(1 + script.len() / pieces) {
                client.send(bytes);
            }
            let cut = without_numbers(&client.read_to_close());
            assert_eq!(cut, whole, "{}", script.escape_debug());
        }
    }
}

#[test]
fn keys_of_any_length_up_to_the_limit() {
    let (memcached, node) = (Memcached::start(), Node::start(&[]));
    let (longest, too_long) = ("k".repeat(250), "k".repeat(251));
    let script = format!("set {longest} 0 0 1\r\nx\r\nget {longest}\r\n");
    assert_eq!(told(node.port, &script), told(memcached.port, &script));
    for request in ["get", "delete", "mg"] {
        let script = format!("{request} {too_long}\r\n");
        assert_eq!(told(node.port, &script), told(memcached.port, &script));
    }
    // Binary keys, and what stands in them for other things.
    let script = "ms IAoNAP8= 2 b\r\nhi\r\nmg IAoNAP8= b k v\r\nmd IAoNAP8= b\r\n";
    assert_eq!(told(node.port, script), told(memcached.port, script));
}

#[test]
fn values_of_every_size_and_byte() {
    let (memcached, node) = (Memcached::start(), Node::start(&[]));
    for size in [
        0, 1, 35, 36, 37, 44, 1000, 2048, 2049, 65_535, 65_536, 1_000_000,
    ] {
        let value: Vec<u8> = (0..size).map(|i: u32| (i * 7 + i / 256) as u8).collect();
        let mut script = format!("set big 5 0 {size}\r\n").into_bytes();
        script.extend_from_slice(&value);
        script.extend_from_slice(b"\r\nget big\r\nget a big b\r\nmg big v s f\r\n");
        script.extend_from_slice(b"append big 0 0 3\r\nabc\r\nprepend big 0 0 2\r\nde\r\n");
        script.extend_from_slice(b"get big\r\n");
        let ours = answers(node.port, &script);
        assert!(ours == answers(memcached.port, &script), "{size}");
        assert!(ours.len() > 4 * size as usize);
    }
}

#[test]
fn a_hundred_keys_at_once() {
    let (memcached, node) = (Memcached::start(), Node::start(&[]));
    let mut sets = String::new();
    for i in (0..100).filter(|i| i % 7 != 3) {
        let value = "\r\nEND\r\n".repeat(i);
        sets += &format!("set key:{i} {i} 0 {}\r\n{value}\r\n", value.len());
    }
    assert_eq!(told(node.port, &sets), told(memcached.port, &sets));
    let all: Vec<String> = (0..120).map(|i| format!("key:{}", i * 37 % 110)).collect();
    let script = format!("get {0}\r\ngat 0 {0}\r\n", all.join(" "));
    let ours = answers(node.port, script.as_bytes());
    assert!(ours == answers(memcached.port, script.as_bytes()));
}

#[test]
fn a_pipeline_keeps_its_order() {
    let (memcached, node) = (Memcached::start(), Node::start(&[]));
    text_protocol::pipelines_are_answered_alike(node.port, memcached.port);
}

/// What is set with an expiry is there until then, and not after.
#[test]
fn items_expire_as_they_were_told_to() {
    let node = Node::start(&[]);
    let mut client = node.client();
    let mut ask = |request: &str| {
        client.send(request.as_bytes());
        client.send(b"mn\r\n");
        String::from_utf8(client.read_until(b"MN\r\n")).unwrap()
    };
    assert_eq!(
        ask("set a 0 1 1\r\nx\r\nset b 0 0 1\r\ny\r\n"),
        "STORED\r\nSTORED\r\n"
    );
    assert_eq!(ask("touch b 1\r\nget a b\r\n").matches("VALUE").count(), 2);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(
        ask("get a b\r\ngat 5 a\r\nadd a 0 0 1\r\nz\r\n"),
        "END\r\nEND\r\nSTORED\r\n"
    );
}

/// A page in a browser may send here what it likes: its lines are not taken for commands.
#[test]
fn http_is_hung_up_on() {
    let (memcached, node) = (Memcached::start(), Node::start(&[]));
    for script in [
        "GET / HTTP/1.0\r\n\r\nset a 0 0 1\r\nx\r\n",
        "PUT /a/b HTTP/1.1\r\nset a 0 0 1\r\nx\r\n",
        "POST / HTTP/1.1\nset a 0 0 1\r\nx\r\n",
        "HTTP/ \r\nset a 0 0 1\r\nx\r\n",
    ] {
        let told = |port: u16| {
            let mut client = Client::connect(("127.0.0.1", port));
            client.send(script.as_bytes());
            String::from_utf8(client.read_to_close()).unwrap()
        };
        assert_eq!(told(node.port), told(memcached.port), "{script:?}");
    }
    for script in [
        "get HTTP/1.1 a\r\n",
        "delete HTTP/1.0\r\n",
        "none http/1.0\r\n",
    ] {
        assert_eq!(
            told(node.port, script),
            told(memcached.port, script),
            "{script:?}"
        );
    }
}

/// What tools read of `stats` they find here, too, and no name that means something else there.
#[test]
fn statistics_have_names_of_memcached() {
    let (memcached, node) = (Memcached::start(), Node::start(&[]));
    let names = |port: u16| -> Vec<String> {
        let told = String::from_utf8(answers(port, b"stats\r\n")).unwrap();
        let lines = told.lines().filter_map(|line| line.strip_prefix("STAT "));
        lines
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect()
    };
    let (ours, theirs) = (names(node.port), names(memcached.port));
    let own: Vec<_> = ours.iter().filter(|name| !theirs.contains(name)).collect();
    assert_eq!(own, ["heeler_version"]);
    for name in [
        "conn_yields",
        "listen_disabled_num",
        "malloc_fails",
        "get_hits",
        "evictions",
    ] {
        assert!(ours.iter().any(|own| own == name), "{name}");
    }
}

/// A Unix socket's ends are told as memcached tells them.
#[test]
fn connections_over_a_unix_socket_are_told_by_its_path() {
    use std::io::{Read, Write};
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("door");
    let path = path.to_str().unwrap();
    let _heeler = crate::servers::Heeler::serve(&["--memcached", path]);
    let mut stream = std::os::unix::net::UnixStream::connect(path).unwrap();
    stream.write_all(b"stats conns\r\nquit\r\n").unwrap();
    let mut told = String::new();
    stream.read_to_string(&mut told).unwrap();
    assert!(
        told.contains(&format!(":listen_addr unix:{path}\r\n")),
        "{told}"
    );
    assert!(told.contains(&format!(":addr unix:{path}\r\n")), "{told}");
}
