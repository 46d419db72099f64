//! Commands that look after the server, beside a real redis-server: DEBUG, PFDEBUG, SHUTDOWN, and
//! those that would write files.

mod servers;

use servers::{Client, Heeler, RedisServer, Value, wait_until};

const DEBUG: [&str; 2] = ["--enable-debug-command", "yes"];

/// Both get the same lines, and give the same bytes.
fn compare(lines: &str) {
    let redis = RedisServer::start_with(&DEBUG);
    let heeler = Heeler::serve(&[&["--threads", "1"][..], &DEBUG].concat());
    for hello in ["HELLO 2", "HELLO 3"] {
        let (mut theirs, mut ours) = (redis.client(), heeler.client());
        for client in [&mut theirs, &mut ours] {
            client.run("FLUSHALL");
            client.run(hello);
        }
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            let request = servers::request(&words);
            let raw = |client: &mut Client| {
                client.send(&request);
                String::from_utf8_lossy(&client.read_raw_reply()).into_owned()
            };
            assert_eq!(raw(&mut ours), raw(&mut theirs), "{hello}: {line}");
        }
    }
}

#[test]
fn debug_answers_as_redis_does() {
    compare(
        "
        DEBUG PROTOCOL string
        DEBUG PROTOCOL integer
        DEBUG PROTOCOL double
        DEBUG PROTOCOL null
        DEBUG PROTOCOL array
        DEBUG PROTOCOL set
        DEBUG PROTOCOL map
        DEBUG PROTOCOL verbatim
        DEBUG PROTOCOL TRUE
        DEBUG PROTOCOL false
        DEBUG PROTOCOL bignum
        DEBUG PROTOCOL nosuch
        DEBUG PROTOCOL
        DEBUG ERROR CODE
        DEBUG ERROR
        DEBUG LOG hello
        DEBUG POPULATE 3
        DBSIZE
        MGET key:0 key:1 key:2
        SET few:1 mine
        DEBUG POPULATE 3 few 10
        MGET few:0 few:1 few:2
        DEBUG POPULATE 2 short 3
        MGET short:0 short:1
        DEBUG POPULATE x
        DEBUG POPULATE -1
        DEBUG POPULATE 1 p x
        DEBUG POPULATE 1 p 2 3
        DEBUG SLEEP 0.001
        DEBUG SLEEP x
        DEBUG SLEEP
        DEBUG SET-ACTIVE-EXPIRE 1
        DEBUG OBJECT nosuch
        DEBUG nosuch
        DEBUG
        ",
    );
}

/// What is no reply alone: the bytes of redis-server 7.0.15.
#[test]
fn replies_with_more_than_a_value() {
    let heeler = Heeler::serve(&[&["--threads", "1"][..], &DEBUG].concat());
    let redis = RedisServer::start_with(&DEBUG);
    for hello in ["HELLO 2", "HELLO 3"] {
        for kind in ["attrib", "push"] {
            let told = [redis.client(), heeler.client()].map(|mut client| {
                client.run(hello);
                let words = [&b"DEBUG"[..], b"PROTOCOL", kind.as_bytes()];
                client.send(&servers::request(&words));
                client.send(&servers::request(&[b"QUIT"]));
                client.read_to_close()
            });
            // Ours is no value with something before it alone: what follows a push is its reply.
            assert_eq!(told[0], told[1], "{hello} {kind}");
        }
    }
}

#[test]
fn pfdebug_answers_as_redis_does() {
    compare(
        "
        PFDEBUG ENCODING h
        PFADD h a b c d e f g
        PFDEBUG ENCODING h
        PFDEBUG DECODE h
        PFDEBUG TODENSE h
        PFDEBUG todense h
        PFDEBUG ENCODING h
        PFDEBUG DECODE h
        PFDEBUG GETREG h
        PFADD g a b c d e f g h i j k l m n o p q r s t u v w x y z
        PFDEBUG decode g
        PFDEBUG GETREG g
        PFDEBUG encoding g
        PFCOUNT g h
        PFDEBUG nosuch g
        PFDEBUG nosuch nosuch
        PFADD cut
        APPEND cut c
        PFDEBUG DECODE cut
        SET s x
        PFDEBUG ENCODING s
        LPUSH l x
        PFDEBUG ENCODING l
        PFDEBUG ENCODING
        PFDEBUG ENCODING g g
        PFSELFTEST
        PFSELFTEST x
        ",
    );
}

#[test]
fn nothing_is_written_to_disk() {
    let heeler = Heeler::serve(&["--threads", "1"]);
    let mut client = heeler.client();
    for line in ["SAVE", "BGSAVE", "BGSAVE SCHEDULE", "BGREWRITEAOF"] {
        let text = client.run(line).text();
        assert!(
            text.starts_with("ERR This server keeps nothing on disk"),
            "{text}"
        );
    }
    client.run("MULTI");
    assert!(
        client
            .run("SAVE")
            .text()
            .contains("not allowed inside a transaction")
    );
    client.run("DISCARD");
    let Value::Int(saved) = client.run("LASTSAVE") else {
        panic!("no time");
    };
    let told = client.run("INFO persistence").text();
    for line in ["loading:0", "aof_enabled:0", "rdb_bgsave_in_progress:0"] {
        assert!(told.contains(&format!("{line}\r\n")), "{told}");
    }
    assert!(told.contains(&format!("rdb_last_save_time:{saved}\r\n")));
    compare("BGSAVE nosuch\nBGSAVE SCHEDULE x\nSAVE x\nBGREWRITEAOF x\nLASTSAVE x");
}

#[test]
fn shutdown_stops_as_a_signal_does() {
    compare(
        "
        SHUTDOWN nosuch
        SHUTDOWN SAVE NOSAVE
        SHUTDOWN ABORT NOW
        SHUTDOWN ABORT
        ",
    );
    for (line, refused) in [
        ("SHUTDOWN", false),
        ("SHUTDOWN NOSAVE NOW FORCE", false),
        ("SHUTDOWN SAVE", true),
    ] {
        let heeler = Heeler::serve(&["--threads", "2"]);
        let (mut client, mut other) = (heeler.client(), heeler.client());
        other.run("SET a 1");
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        client.send(&servers::request(&words));
        if refused {
            assert!(client.read_reply().text().contains("SHUTDOWN NOSAVE"));
            assert_eq!(other.run("GET a"), Value::bulk("1"));
            continue;
        }
        assert_eq!(client.read_to_close(), b"");
        assert_eq!(other.read_to_close(), b"");
        wait_until("nobody listens", || {
            std::net::TcpStream::connect(("127.0.0.1", heeler.port)).is_err()
        });
    }
}

/// A connection that sleeps by DEBUG waits; within a transaction it could not.
#[test]
fn replies_stay_in_order_where_debug_would_sleep() {
    let heeler = Heeler::serve(&[&["--threads", "1"][..], &DEBUG].concat());
    let mut client = heeler.client();
    for line in ["MULTI", "DEBUG SLEEP 0.05", "INCR n"] {
        client.run(line);
    }
    let Value::Array(replies) = client.run("EXEC") else {
        panic!("no replies");
    };
    assert!(
        replies[0].text().contains("DEBUG SLEEP isn't allowed"),
        "{replies:?}"
    );
    assert_eq!(replies[1..], [Value::Int(1)]);
    assert_eq!(client.run("INCR n"), Value::Int(2));
}
