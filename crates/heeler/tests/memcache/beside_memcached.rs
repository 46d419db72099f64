//! One memcached and Heeler over three: the same bytes in, the same bytes out.

use crate::servers::{Memcached, text_protocol};
use crate::{addresses, answers, items, memcacheds, proxy, shown, told};

/// What one memcached 1.6 and the proxy answer alike. Each script uses keys of its own.
const SCRIPTS: &[&str] = &[
    // Storage and retrieval.
    "set s1 0 0 1\r\nx\r\nget s1\r\n",
    "set s2 4294967295 0 0\r\n\r\nget s2\r\n",
    "set s3 7 0 12\r\n\r\nget s3\r\n\r\n\r\nget s3\r\n",
    "set s4 0 0 5\r\nEND\r\n\r\nget s4\r\n",
    "set s5 0 0 1\r\na\r\nadd s5 0 0 1\r\nb\r\nadd s5x 0 0 1\r\nb\r\nget s5 s5x\r\n",
    "replace s6 0 0 1\r\na\r\nset s6 0 0 1\r\na\r\nreplace s6 1 0 2\r\nbc\r\nget s6\r\n",
    "append s7 0 0 1\r\na\r\nset s7 0 0 1\r\nb\r\nappend s7 0 0 1\r\nc\r\n\
     prepend s7 0 0 1\r\na\r\nget s7\r\n",
    "set s8 0 -1 1\r\nx\r\nget s8\r\n",
    "set s9 0 0 00001\r\nx\r\nget s9\r\n",
    "set s10 0 0 1 odd\r\nx\r\nget s10\r\n",
    "cas s11 0 0 1 1\r\nx\r\n",
    "  set   s12 0  0 1 \r\nx\r\n get  s12 \r\n",
    "set s13 0 0 1\nx\r\nget s13\n",
    "set s15 4294967303 0 1\r\nx\r\nset s16 +5 +0 +1\r\nx\r\nget s15 s16\r\n",
    "set s17 -18446744073709551615 0 1 noreply\r\nx\r\nget s17\r\n",
    "set s14\tx 0 0 1\r\nx\r\nget s14\tx\r\n",
    // Several keys: request order, absent keys left out, one END.
    "set m1 0 0 1\r\na\r\nset m2 0 0 2\r\nbb\r\nset m3 0 0 3\r\nccc\r\n\
     get m3 m1 m2\r\nget m1 absent m2 m1 m1\r\nget absent1 absent2 absent3\r\n",
    "set m4 0 0 1\r\na\r\nset m5 0 0 2\r\nbb\r\ngat 100 m4 m5 m6\r\ngat -1 m4 m5\r\nget m4 m5\r\n",
    // Numbers.
    "set n1 0 0 2\r\n10\r\nincr n1 5\r\ndecr n1 100\r\nincr n1 18446744073709551615\r\n",
    "incr n2 1\r\ndecr n2 1\r\nset n2 0 0 1\r\nx\r\nincr n2 1\r\n",
    "set n3 0 0 1\r\n1\r\nincr n3 -1\r\nincr n3 x\r\nincr n3 99999999999999999999999\r\n",
    "incr n4\r\nincr\r\ndecr n4 1 2 3\r\n",
    // Deletion and time.
    "set d1 0 0 1\r\nx\r\ndelete d1\r\ndelete d1\r\nget d1\r\n",
    "set d2 0 0 1\r\nx\r\ndelete d2 0\r\ndelete d2 1\r\ndelete d2 1 2 3\r\ndelete\r\n",
    "touch t1 0\r\nset t1 0 0 1\r\nx\r\ntouch t1 0\r\ntouch t1 -1\r\nget t1\r\n",
    "touch t2\r\ntouch t2 x\r\ntouch t2 1 2 3\r\n",
    "delete noreply\r\nget noreply\r\n",
    // No reply.
    "set r1 0 0 1 noreply\r\nx\r\nadd r1 0 0 1 noreply\r\ny\r\nget r1\r\n",
    "set r2 0 0 1 noreply\r\n1\r\nincr r2 1 noreply\r\ndecr r2 5 noreply\r\nget r2\r\n",
    "set r3 0 0 1 noreply\r\nx\r\nappend r3 0 0 1 noreply\r\ny\r\n\
     touch r3 0 noreply\r\nget r3\r\ndelete r3 noreply\r\nget r3\r\n",
    "cas r4 0 0 1 1 noreply\r\nx\r\nincr absent 1 noreply\r\nincr r4 x noreply\r\nget r4\r\n",
    "incr r5 noreply\r\ntouch r5 noreply\r\nmn\r\n",
    // To all servers.
    "verbosity 0\r\nverbosity\r\nverbosity x\r\nverbosity 1 2 3\r\nverbosity 0 noreply\r\nmn\r\n",
    "flush_all x\r\nflush_all 1 2 3\r\nflush_all 1000000 noreply\r\nmn\r\n",
    "version\r\nversion x\r\n",
    // Meta commands.
    "mg x1\r\nmg x1 v\r\nms x1 2 T0 F5\r\nhi\r\nmg x1 v f t k s Oabc\r\nmd x1\r\nmd x1\r\n",
    "ms x2 1 q\r\nx\r\nmg absent v q k\r\nmg x2 v q\r\nmd x2 q\r\nmd x2 q\r\nmn\r\n",
    "ms x3 1\r\n5\r\nma x3\r\nma x3 v D10\r\nma x3 MD q v\r\n\
     ma absent q\r\nma x3 N0 q Dx\r\nmn\r\n",
    "ms x4 1 ME\r\n5\r\nms x4 1 ME q\r\n5\r\nms x4 1 C999999 q\r\n5\r\n\
     ms absent 1 C9\r\n5\r\nmn\r\n",
    "ms eDU= 1 b k\r\n5\r\nmg eDU= b k v\r\nmg x5 k v\r\nmg ! b v\r\nms ! 1 b\r\nx\r\nmn\r\n",
    "ms x6 1 ZZ\r\n5\r\nmg x6 ! v\r\nmg\r\nmd\r\nma\r\n\
     ms\r\nms x6\r\nms x6 -1\r\nme absent\r\nmn x\r\n",
    // What is no command, and what no key.
    "foo\r\nGET a\r\n\r\n\nget\r\ngets\r\ngat\r\nset\r\nset a\r\nset a 0 0\r\nversion\r\n",
    "set a 0 0 -1\r\nset a 0 0 2147483647\r\nset a 0 0 2147483648\r\nversion\r\n",
    "set a 0 0 1\r\nxyz\r\nset a 0 0 1\r\nxy\r\nversion\r\n",
];

#[test]
fn scripts_are_answered_as_one_memcached_does() {
    let (memcached, servers) = (Memcached::start(), memcacheds(3));
    let proxy = proxy(&[], &addresses(&servers));
    for script in SCRIPTS {
        assert_eq!(
            told(proxy.port, script),
            told(memcached.port, script),
            "{}",
            script.escape_debug()
        );
    }
}

#[test]
fn scripts_are_answered_however_they_are_cut() {
    let (memcached, servers) = (Memcached::start(), memcacheds(2));
    let proxy = proxy(&[], &addresses(&servers));
    for script in SCRIPTS {
        let mut client = proxy.client();
        for bytes in script.as_bytes().chunks(1 + script.len() / 40) {
            client.send(bytes);
        }
        client.send(b"quit\r\n");
        let cut = shown(&client.read_to_close());
        let whole = told(memcached.port, script);
        assert_eq!(cut, whole, "{}", script.escape_debug());
    }
}

#[test]
fn keys_of_any_length_up_to_the_limit() {
    let (memcached, servers) = (Memcached::start(), memcacheds(3));
    let proxy = proxy(&[], &addresses(&servers));
    let (longest, too_long) = ("k".repeat(250), "k".repeat(251));
    let script = format!("set {longest} 0 0 1\r\nx\r\nget {longest}\r\n");
    assert_eq!(told(proxy.port, &script), told(memcached.port, &script));
    // One by one: of several replies in a row a memcached 1.6.18 loses one when a get's key is too
    // long.
    for request in [
        format!("get {too_long}"),
        format!("get a {too_long} b"),
        format!("gat 0 {too_long}"),
        format!("delete {too_long}"),
        format!("incr {too_long} 1"),
        format!("touch {too_long} 1"),
        format!("mg {too_long} v"),
    ] {
        let script = format!("{request}\r\n");
        let answer = told(proxy.port, &script);
        assert_eq!(answer, r"CLIENT_ERROR bad command line format\r\n");
        assert_eq!(told(memcached.port, &script), answer);
    }
}

#[test]
fn values_of_every_size_and_byte() {
    let (memcached, servers) = (Memcached::start(), memcacheds(3));
    let proxy = proxy(&[], &addresses(&servers));
    for size in [1, 1000, 65_534, 65_535, 65_536, 500_000, 1_000_000] {
        let value: Vec<u8> = (0..size).map(|i: u32| (i * 7 + i / 256) as u8).collect();
        let mut script = format!("set big{size} 0 0 {size}\r\n").into_bytes();
        script.extend_from_slice(&value);
        script.extend_from_slice(format!("\r\nget big{size}\r\nget a big{size} b\r\n").as_bytes());
        let ours = answers(proxy.port, &script);
        assert!(ours == answers(memcached.port, &script), "{}", shown(&ours));
        assert!(ours.len() > 2 * size as usize);
    }
}

#[test]
fn what_memcached_finds_too_large_is_told_and_the_connection_lives() {
    let (memcached, servers) = (Memcached::start(), memcacheds(3));
    let proxy = proxy(&[], &addresses(&servers));
    for command in ["set", "add", "ms"] {
        for more in ["", " noreply", " q"] {
            let fields = if command == "ms" { "" } else { "0 0 " };
            if more == if command == "ms" { " noreply" } else { " q" } {
                continue;
            }
            let mut script = format!("{command} k {fields}1048577{more}\r\n").into_bytes();
            script.extend(std::iter::repeat_n(b'x', 1_048_577));
            script.extend_from_slice(b"\r\nget k\r\nversion\r\n");
            let ours = told(proxy.port, &script);
            assert_eq!(ours, told(memcached.port, &script), "{command}{more}");
            let refused = ours.starts_with("SERVER_ERROR object too large for cache");
            assert_eq!(refused, more != " noreply");
        }
    }
}

#[test]
fn data_of_a_refused_request_is_no_command() {
    let servers = memcacheds(2);
    let proxy = proxy(&[], &addresses(&servers));
    let long = format!("ms a 11 {}", "k ".repeat(30));
    text_protocol::data_of_a_refused_request_is_no_command(proxy.port, &["set a 0 x 11", &long]);
}

#[test]
fn what_is_not_carried_is_told_and_the_connection_lives() {
    let servers = memcacheds(2);
    let proxy = proxy(&[], &addresses(&servers));
    let stats = r"SERVER_ERROR stats belong to one server, ask each server for its own\r\n";
    for (line, answer) in [
        ("stats", stats),
        ("stats items", stats),
        ("shutdown", r"ERROR\r\n"),
        ("watch", r"ERROR\r\n"),
        ("slabs reassign 1 2", r"ERROR\r\n"),
        ("lru_crawler metadump all", r"ERROR\r\n"),
        ("cache_memlimit 1", r"ERROR\r\n"),
        ("gat 0", r"ERROR\r\n"),
        ("me", r"CLIENT_ERROR bad command line format\r\n"),
        ("get a\0b", r"CLIENT_ERROR bad command line format\r\n"),
    ] {
        let answers = told(proxy.port, format!("{line}\r\nmn\r\n"));
        assert_eq!(answers, format!(r"{answer}MN\r\n"), "{line}");
    }
}

#[test]
fn cas_comes_back_to_the_server_that_gave_it() {
    let servers = memcacheds(4);
    let proxy = proxy(&[], &addresses(&servers));
    for i in 0..20 {
        let (key, other) = (format!("cas{i}"), format!("cas{}", i + 1));
        told(proxy.port, format!("set {key} 0 0 1\r\na\r\n"));
        let got = told(proxy.port, format!("gets {other} {key}\r\n"));
        let unique = got.rsplit(" 0 1 ").next().unwrap();
        let unique = unique.split('\\').next().unwrap();
        let swap = format!("cas {key} 0 0 1 {unique}\r\nb\r\n");
        let again = format!("{swap}{swap}gats 0 {key}\r\nget {key}\r\n");
        let answer = told(proxy.port, again);
        assert!(
            answer.starts_with(r"STORED\r\nEXISTS\r\nVALUE cas"),
            "{got} {answer}"
        );
        assert!(answer.ends_with(r" 0 1\r\nb\r\nEND\r\n"), "{answer}");
    }
}

#[test]
fn a_hundred_keys_over_four_servers() {
    let (memcached, servers) = (Memcached::start(), memcacheds(4));
    let proxy = proxy(&["hash: md5"], &addresses(&servers));
    let key = |i: usize| format!("key:{i}");
    let mut sets = String::new();
    for i in (0..100).filter(|i| i % 7 != 3) {
        let value = "\r\nEND\r\n".repeat(i);
        sets += &format!("set {} {i} 0 {}\r\n{value}\r\n", key(i), value.len());
    }
    assert_eq!(told(proxy.port, &sets), told(memcached.port, &sets));
    let all: Vec<String> = (0..100).map(key).collect();
    let mixed: Vec<String> = (0..100).map(|i| key(i * 37 % 110 / 2 * 2)).collect();
    for keys in [all, mixed] {
        let script = format!("get {}\r\ngat 0 {}\r\n", keys.join(" "), keys.join(" "));
        let ours = answers(proxy.port, script.as_bytes());
        let theirs = answers(memcached.port, script.as_bytes());
        assert!(ours == theirs, "{}", shown(&ours));
    }
    assert!(servers.iter().all(|server| items(server) > 5));
}

#[test]
fn more_keys_than_a_memcached_reads_in_one_line() {
    let (memcached, servers) = (Memcached::start(), memcacheds(2));
    let proxy = proxy(&[], &addresses(&servers));
    let keys: Vec<String> = (0..5000).map(|i| format!("some-key-{i}")).collect();
    let mut sets = String::new();
    for key in keys.iter().step_by(3) {
        sets += &format!("set {key} 0 0 1 noreply\r\nx\r\n");
    }
    assert_eq!(told(proxy.port, &sets), told(memcached.port, &sets));
    let get = format!("get {}\r\n", keys.join(" "));
    let expected = answers(memcached.port, get.as_bytes());
    assert!(answers(proxy.port, get.as_bytes()) == expected);
    // On as long a gat a memcached closes the connection.
    let gat = format!("gat 0 {}\r\n", keys.join(" "));
    assert!(answers(proxy.port, gat.as_bytes()) == expected);
}

#[test]
fn a_pipeline_keeps_its_order() {
    let (memcached, servers) = (Memcached::start(), memcacheds(4));
    let proxy = proxy(&[], &addresses(&servers));
    text_protocol::pipelines_are_answered_alike(proxy.port, memcached.port);
}

#[test]
fn flush_all_reaches_every_server() {
    let servers = memcacheds(3);
    let proxy = proxy(&[], &addresses(&servers));
    let keys: Vec<String> = (0..50).map(|i| format!("k{i}")).collect();
    let set = |key: &String| format!("set {key} 0 0 1 noreply\r\nx\r\n");
    let get = format!("get {}\r\n", keys.join(" "));
    for flush in ["flush_all\r\n", "flush_all noreply\r\n"] {
        let sets: String = keys.iter().map(set).collect();
        let answer = told(proxy.port, format!("{sets}{get}{flush}{get}"));
        assert_eq!(answer.matches("VALUE").count(), 50);
        let ok = if flush.contains("noreply") {
            ""
        } else {
            r"OK\r\n"
        };
        assert!(
            answer.ends_with(&format!(r"END\r\n{ok}END\r\n")),
            "{answer}"
        );
    }
}
