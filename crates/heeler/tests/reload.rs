//! `heeler proxy` takes a changed file without losing a connection, a request or a key.

mod servers;

#[path = "proxy/fake.rs"]
mod fake;
#[path = "reload/load.rs"]
mod load;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fake::Fake;
use load::Load;
use rustix::process::Signal;
use servers::{
    Client, ConfigFile, Heeler, Memcached, PATIENCE, RedisServer, Value, free_port, wait_until,
};

/// A proxy and the file that it reads.
struct Proxy {
    heeler: Heeler,
    file: ConfigFile,
}

impl Proxy {
    fn start(port: u16, text: &str, args: &[&str]) -> Proxy {
        let file = ConfigFile::new(text);
        let all = [&["proxy", "-c", file.path()], args].concat();
        let heeler = Heeler::start(port, &all);
        Proxy { heeler, file }
    }

    fn write(&self, text: &str) {
        fs::write(self.file.path(), text).unwrap();
    }

    /// Writes the file, sends SIGHUP and waits for the word in what is logged from then on.
    fn reload(&self, text: &str, word: &str) {
        let before = self.heeler.process.stderr().len();
        self.write(text);
        self.heeler.process.signal(Signal::HUP);
        self.logs(before, word);
    }

    fn logs(&self, from: usize, word: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.heeler.process.stderr()[from..].contains(word) {
            let log = self.heeler.process.stderr();
            assert!(Instant::now() < end, "never '{word}' in\n{log}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A pool of nutcracker.yml: `settings` are lines such as `timeout: 400`.
fn pool(name: &str, port: u16, settings: &[&str], servers: &[(&str, &RedisServer)]) -> String {
    let mut text = format!("{name}:\n  listen: 127.0.0.1:{port}\n  redis: true\n");
    settings.iter().for_each(|s| text += &format!("  {s}\n"));
    text += "  servers:\n";
    for (name, server) in servers {
        text += &format!("   - {}:1 {name}\n", server.address());
    }
    text
}

/// Keys lie where a proxy that is started with the same file finds them.
fn placed_as_by_a_fresh_proxy(port: u16, text: &str, prefix: &str) {
    let other = free_port();
    let text = text.replace(
        &format!("127.0.0.1:{port}\n"),
        &format!("127.0.0.1:{other}\n"),
    );
    let fresh = Proxy::start(other, &text, &["--no-watch"]);
    let (mut live, mut fresh) = (Client::connect(("127.0.0.1", port)), fresh.heeler.client());
    for i in 0..100 {
        assert_eq!(live.run(&format!("SET {prefix}:{i} live")), Value::ok());
        let found = fresh.run(&format!("GET {prefix}:{i}"));
        assert_eq!(found, Value::bulk("live"), "{prefix}:{i}");
    }
}

#[test]
fn under_load_every_change_of_a_pool_is_taken_and_no_connection_drops() {
    let servers: Vec<RedisServer> = (0..4).map(|_| RedisServer::start()).collect();
    let all = ["a", "b", "c", "d"].into_iter().zip(&servers);
    let all: Vec<(&str, &RedisServer)> = all.collect();
    let port = free_port();
    let text =
        |settings: &[&str], servers: &[(&str, &RedisServer)]| pool("herd", port, settings, servers);
    let first = text(&["hash: md5"], &all[..2]);
    let proxy = Proxy::start(port, &first, &["--threads", "2", "--no-watch"]);
    let load = Load::start(6, move || Client::connect(("127.0.0.1", port)));
    let renamed = [("z", all[0].1), ("b", all[1].1), ("d", all[3].1)];
    let steps: Vec<(&str, String)> = vec![
        ("+c", text(&["hash: md5"], &all[..3])),
        ("+d", text(&["hash: md5"], &all)),
        ("-a", text(&["hash: md5"], &all[1..])),
        ("+a", text(&["hash: md5"], &all)),
        ("hash md5 -> murmur", text(&["hash: murmur"], &all)),
        (
            "timeout none -> 5000 ms",
            text(&["hash: murmur", "timeout: 5000"], &all),
        ),
        (
            "distribution ketama -> modula",
            text(&["hash: murmur", "distribution: modula"], &all),
        ),
        (
            "server_connections 1 -> 3",
            text(&["server_connections: 3"], &all),
        ),
        (
            "server_connections 3 -> 2",
            text(&["server_connections: 2"], &all),
        ),
        (
            "redis_db 0 -> 3",
            text(&["redis_db: 3", "preconnect: true"], &all),
        ),
        ("redis_db 3 -> 0", text(&["hash_tag: \"{}\""], &all)),
        ("-a", text(&["auto_eject_hosts: true"], &renamed)),
        ("name herd -> flock", pool("flock", port, &[], &renamed)),
    ];
    for (number, (word, text)) in steps.iter().enumerate() {
        let before = load.rounds();
        proxy.reload(text, word);
        placed_as_by_a_fresh_proxy(port, text, &format!("step{number}"));
        load.goes_on(before);
    }
    load.stop();
    // What stands in the log about lost connections would be ours: nobody else closed any.
    let log = proxy.heeler.process.stderr();
    assert!(!log.contains("lost a connection"), "{log}");
    assert_eq!(proxy.heeler.stop().code, Some(0));
}

#[test]
fn pools_come_and_go_while_another_is_under_load() {
    let servers: Vec<RedisServer> = (0..2).map(|_| RedisServer::start()).collect();
    let (port, other, third) = (free_port(), free_port(), free_port());
    let both = [("a", &servers[0]), ("b", &servers[1])];
    let kept = pool("kept", port, &[], &both);
    let proxy = Proxy::start(port, &kept, &["--threads", "2", "--no-watch"]);
    let load = Load::start(3, move || Client::connect(("127.0.0.1", port)));
    let before = load.rounds();
    let with = kept.clone() + &pool("more", other, &[], &both[..1]);
    proxy.reload(&with, "pool 'more' at");
    let mut client = Client::connect(("127.0.0.1", other));
    assert_eq!(client.run("SET k v"), Value::ok());
    assert_eq!(servers[0].client().run("GET k"), Value::bulk("v"));

    // It moves to another address: its clients are let go, and find it there.
    let moved = kept.clone() + &pool("more", third, &[], &both[1..]);
    proxy.reload(&moved, &format!("at 127.0.0.1:{other} removed"));
    assert_eq!(client.read_to_close(), b"");
    wait_until("nobody listens there", || {
        TcpStream::connect(("127.0.0.1", other)).is_err()
    });
    let mut client = Client::connect(("127.0.0.1", third));
    assert_eq!(client.run("SET k w"), Value::ok());
    assert_eq!(servers[1].client().run("GET k"), Value::bulk("w"));

    proxy.reload(&kept, &format!("at 127.0.0.1:{third} removed"));
    assert_eq!(client.read_to_close(), b"");
    load.goes_on(before);
    load.stop();
}

#[test]
fn a_removed_server_answers_what_it_was_asked() {
    let servers: Vec<RedisServer> = (0..2).map(|_| RedisServer::start()).collect();
    let port = free_port();
    let text = |servers: &[(&str, &RedisServer)]| pool("herd", port, &[], servers);
    let proxy = Proxy::start(
        port,
        &text(&[("a", &servers[0])]),
        &["--threads", "1", "--no-watch"],
    );
    let mut client = proxy.heeler.client();
    assert_eq!(client.run("SET k old"), Value::ok());
    assert_eq!(servers[1].client().run("SET k new"), Value::ok());
    servers[0].process.signal(Signal::STOP);
    client.send(b"PING\r\nGET k\r\nSTRLEN k\r\n");
    assert_eq!(client.read_reply(), Value::Status("PONG".into()));
    proxy.reload(&text(&[("b", &servers[1])]), "+b");
    // What comes later goes by the new file, though its reply has to wait for its turn.
    client.send(b"GET k\r\n");
    let mut another = proxy.heeler.client();
    assert_eq!(another.run("GET k"), Value::bulk("new"));
    servers[0].process.signal(Signal::CONT);
    let replies = [(); 3].map(|()| client.read_reply());
    assert_eq!(
        replies,
        [Value::bulk("old"), Value::Int(3), Value::bulk("new")]
    );
    // Then the proxy has no business with it any more.
    let mut direct = servers[0].client();
    let end = Instant::now() + PATIENCE;
    while direct.run("CLIENT LIST").text().lines().count() > 1 {
        assert!(Instant::now() < end, "the connection stays");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_removed_pool_answers_what_is_in_flight_and_then_closes() {
    let servers: Vec<RedisServer> = (0..2).map(|_| RedisServer::start()).collect();
    let (port, other) = (free_port(), free_port());
    let kept = pool("kept", port, &[], &[("a", &servers[0])]);
    let both = kept.clone() + &pool("gone", other, &[], &[("b", &servers[1])]);
    let proxy = Proxy::start(port, &both, &["--threads", "2", "--no-watch"]);
    let mut clients = [(); 3].map(|()| Client::connect(("127.0.0.1", other)));
    assert_eq!(clients[0].run("SET k v"), Value::ok());
    servers[1].process.signal(Signal::STOP);
    for client in &mut clients {
        client.send(b"PING\r\nGET k\r\n");
        assert_eq!(client.read_reply(), Value::Status("PONG".into()));
    }
    proxy.reload(&kept, "'gone'");
    servers[1].process.signal(Signal::CONT);
    for client in &mut clients {
        assert_eq!(client.read_reply(), Value::bulk("v"));
        assert_eq!(client.read_to_close(), b"");
    }
    assert_eq!(proxy.heeler.client().run("SET k v"), Value::ok());
}

#[test]
fn requests_stay_in_order_when_the_connections_to_their_server_change() {
    let (executed, held) = (
        Arc::<Mutex<Vec<String>>>::default(),
        Arc::new(Mutex::new(())),
    );
    let (seen, gate) = (executed.clone(), held.clone());
    let fake = Fake::start(move |_, words| {
        let key = String::from_utf8_lossy(&words[1]).into_owned();
        if key.ends_with("first") {
            drop(gate.lock());
        }
        seen.lock().unwrap().push(key);
        b"+OK\r\n".to_vec()
    });
    let port = free_port();
    let text = |setting: &str| {
        let address = fake.address();
        format!(
            "herd:\n  listen: 127.0.0.1:{port}\n  redis: true\n  {setting}\n  servers:\n   \
             - {address}:1 a\n"
        )
    };
    let first = text("server_connections: 1");
    let proxy = Proxy::start(port, &first, &["--threads", "1", "--no-watch"]);
    let mut clients = [(); 6].map(|()| proxy.heeler.client());
    let settings = ["connections: 3", "connections: 2", "connections: 5"];
    for setting in settings.map(|s| format!("server_{s}")) {
        let closed = held.lock().unwrap();
        for (i, client) in clients.iter_mut().enumerate() {
            client.send(format!("PING\r\nGET {i}:first\r\n").as_bytes());
            assert_eq!(client.read_reply(), Value::Status("PONG".into()));
        }
        proxy.reload(&text(&setting), "reloaded");
        for (i, client) in clients.iter_mut().enumerate() {
            client.send(format!("GET {i}:second\r\n").as_bytes());
        }
        // Time for the second ones to overtake, if they can.
        std::thread::sleep(Duration::from_millis(100));
        drop(closed);
        for client in &mut clients {
            assert_eq!(
                [(); 2].map(|()| client.read_reply()),
                [Value::ok(), Value::ok()]
            );
        }
        let executed = std::mem::take(&mut *executed.lock().unwrap());
        for i in 0..clients.len() {
            let own = executed
                .iter()
                .filter(|key| key.starts_with(&format!("{i}:")));
            let own: Vec<&str> = own.map(|key| &key[2..]).collect();
            assert_eq!(own, ["first", "second"], "client {i} in {executed:?}");
        }
    }
    assert_eq!(fake.connections(), 1 + 3 + 2 + 5);
}

#[test]
fn a_shorter_timeout_holds_for_connections_that_are_kept() {
    let server = RedisServer::start();
    let port = free_port();
    let text = |settings: &[&str]| pool("herd", port, settings, &[("a", &server)]);
    let proxy = Proxy::start(port, &text(&[]), &["--threads", "1", "--no-watch"]);
    let mut client = proxy.heeler.client();
    assert_eq!(client.run("SET k v"), Value::ok());
    proxy.reload(&text(&["timeout: 50"]), "timeout none -> 50 ms");
    server.process.signal(Signal::STOP);
    let late = Value::Error("ERR Connection timed out".into());
    assert_eq!(client.run("GET k"), late);
    server.process.signal(Signal::CONT);
    proxy.reload(&text(&[]), "timeout 50 ms -> none");
    assert_eq!(client.run("GET k"), Value::bulk("v"));
    let own = |line: &&str| line.contains("cmd=get");
    let list = server.client().run("CLIENT LIST").text();
    assert_eq!(
        list.lines().filter(own).count(),
        1,
        "the connection is the same: {list}"
    );
}

#[test]
fn who_is_ejected_stays_out_over_a_reload() {
    let mut servers: Vec<RedisServer> = (0..2).map(|_| RedisServer::start()).collect();
    let port = free_port();
    let settings = ["auto_eject_hosts: true", "server_failure_limit: 1"];
    let text = |timeout: &str, servers: &[RedisServer]| {
        let settings = [&settings[..], &["server_retry_timeout: 600000", timeout]].concat();
        let servers: Vec<(&str, &RedisServer)> = ["a", "b"].into_iter().zip(servers).collect();
        pool("herd", port, &settings, &servers)
    };
    let (first, second) = (
        text("timeout: 1000", &servers),
        text("timeout: 2000", &servers),
    );
    let proxy = Proxy::start(port, &first, &["--threads", "1", "--no-watch"]);
    let mut client = proxy.heeler.client();
    let failures = |client: &mut Client| {
        let commands = (0..50).map(|i| client.run(&format!("SET key:{i} v")));
        commands.filter(|reply| *reply != Value::ok()).count()
    };
    drop(servers.remove(1));
    while failures(&mut client) > 0 {}
    proxy.logs(0, "ejected");
    proxy.reload(&second, "timeout 1000 ms -> 2000 ms");
    assert_eq!(failures(&mut client), 0);
}

#[test]
fn a_bad_file_changes_nothing_and_is_told_with_its_place() {
    let servers: Vec<RedisServer> = (0..2).map(|_| RedisServer::start()).collect();
    let (port, other) = (free_port(), free_port());
    let both = [("a", &servers[0]), ("b", &servers[1])];
    let good = pool("herd", port, &["hash: md5"], &both);
    let proxy = Proxy::start(port, &good, &["--threads", "2", "--no-watch"]);
    let load = Load::start(3, move || Client::connect(("127.0.0.1", port)));
    let taken = pool("taken", servers[0].port, &[], &both);
    let changed = pool("herd", port, &["hash: crc16"], &both[..1]);
    let more = pool("more", other, &[], &both);
    let path = proxy.file.path().to_owned();
    for (bad, word) in [
        (good.replace("md5", "md6"), format!("{path}:4:9")),
        (String::new(), path.clone()),
        (
            changed.clone() + &more + &taken,
            "Address already in use".into(),
        ),
    ] {
        let before = load.rounds();
        proxy.reload(&bad, "reload refused");
        proxy.logs(0, &word);
        assert!(TcpStream::connect(("127.0.0.1", other)).is_err());
        placed_as_by_a_fresh_proxy(port, &good, "still");
        load.goes_on(before);
    }
    // The next good file is taken as if nothing had been.
    proxy.reload(&(changed.clone() + &more), "hash md5 -> crc16");
    placed_as_by_a_fresh_proxy(
        port,
        &(changed
            + &more
                .replace("more", "rest")
                .replace(&other.to_string(), &free_port().to_string())),
        "then",
    );
    load.stop();
}

#[test]
fn a_changed_file_is_noticed_unless_it_is_not_to_be() {
    let servers: Vec<RedisServer> = (0..2).map(|_| RedisServer::start()).collect();
    let port = free_port();
    let text = |count| {
        let servers = ["a", "b"].into_iter().zip(&servers);
        pool("herd", port, &[], &servers.take(count).collect::<Vec<_>>())
    };
    let proxy = Proxy::start(port, &text(1), &["--threads", "1"]);
    proxy.write(&text(2));
    proxy.logs(0, "+b");
    placed_as_by_a_fresh_proxy(port, &text(2), "watched");
    // Editors write a new file and rename it.
    let next = format!("{}.new", proxy.file.path());
    fs::write(&next, text(1)).unwrap();
    fs::rename(&next, proxy.file.path()).unwrap();
    proxy.logs(0, "-b");
    placed_as_by_a_fresh_proxy(port, &text(1), "renamed");
    // A file that says the same again is no change.
    let before = proxy.heeler.process.stderr().len();
    proxy.write(&text(1));
    proxy.logs(before, "nothing has changed");
}

#[test]
fn connections_are_counted_on_over_a_reload() {
    let server = RedisServer::start();
    let port = free_port();
    let text = |most: u32| {
        let most = format!("client_connections: {most}");
        pool("herd", port, &[&most], &[("a", &server)])
    };
    let proxy = Proxy::start(port, &text(5), &["--threads", "2", "--no-watch"]);
    let mut clients: Vec<Client> = Vec::new();
    let mut answered: BTreeMap<bool, usize> = BTreeMap::new();
    for most in [5, 3, 4] {
        proxy.reload(&text(most), "reloaded");
        let mut one = proxy.heeler.client();
        while one.try_send(b"PING\r\n").is_ok()
            && one
                .try_read_raw_reply()
                .is_ok_and(|reply| reply == b"+PONG\r\n")
        {
            clients.push(one);
            *answered.entry(true).or_default() += 1;
            one = proxy.heeler.client();
        }
        assert_eq!(clients.len(), 5, "with at most {most}");
    }
    drop(clients.drain(..2));
    let end = Instant::now() + PATIENCE;
    loop {
        let mut one = proxy.heeler.client();
        let reply = one
            .try_send(b"PING\r\n")
            .and_then(|()| one.try_read_raw_reply());
        if reply.is_ok_and(|reply| reply == b"+PONG\r\n") {
            break;
        }
        assert!(Instant::now() < end, "places are given back");
    }
}

#[test]
fn a_memcached_pool_reloads_too_and_may_become_a_redis_pool() {
    let (one, two, redis) = (Memcached::start(), Memcached::start(), RedisServer::start());
    let port = free_port();
    let text = |redis: bool, servers: &[String]| {
        let mut text = format!("herd:\n  listen: 127.0.0.1:{port}\n  redis: {redis}\n  servers:\n");
        for (i, address) in servers.iter().enumerate() {
            text += &format!("   - {address}:1 s{i}\n");
        }
        text
    };
    let memcached = [one.address(), two.address()];
    let first = text(false, &memcached[..1]);
    let proxy = Proxy::start(port, &first, &["--threads", "2", "--no-watch"]);
    let mut client = BufReader::new(TcpStream::connect(("127.0.0.1", port)).unwrap());
    client.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
    let mut ask = |request: &str| {
        client.get_mut().write_all(request.as_bytes()).unwrap();
        let mut line = String::new();
        client.read_line(&mut line).unwrap();
        line
    };
    assert_eq!(ask("set k 0 0 1\r\nv\r\n"), "STORED\r\n");
    proxy.reload(&text(false, &memcached), "+s1");
    for i in 0..50 {
        assert_eq!(ask(&format!("set key:{i} 0 0 1\r\nv\r\n")), "STORED\r\n");
    }
    let keys = |server: &Memcached| {
        let mut direct = BufReader::new(TcpStream::connect(server.address()).unwrap());
        direct.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
        direct.get_mut().write_all(b"stats\r\n").unwrap();
        let lines = direct.lines().map(Result::unwrap);
        let line = lines
            .take_while(|l| l != "END")
            .find(|l| l.contains(" curr_items "));
        line.unwrap()
            .rsplit(' ')
            .next()
            .unwrap()
            .parse::<usize>()
            .unwrap()
    };
    assert!(keys(&one) > 0 && keys(&two) > 0);
    proxy.reload(&text(true, &[redis.address()]), "redis false -> true");
    assert_eq!(ask(""), "", "it speaks what is not spoken here any more");
    assert_eq!(proxy.heeler.client().run("SET k v"), Value::ok());
    assert_eq!(redis.client().run("GET k"), Value::bulk("v"));
}

#[test]
fn a_unix_socket_goes_away_with_its_pool_and_with_the_process() {
    let (server, dir, port) = (
        RedisServer::start(),
        tempfile::tempdir().unwrap(),
        free_port(),
    );
    let path = dir.path().join("herd.sock");
    let stays = pool("stays", port, &[], &[("a", &server)]);
    let unix = pool("unix", 1, &[], &[("a", &server)]);
    let unix = unix.replace("127.0.0.1:1\n", &format!("{}\n", path.display()));
    let both = format!("{stays}{unix}");
    let proxy = Proxy::start(port, &both, &["--no-watch"]);
    assert!(path.exists());
    proxy.reload(&stays, "removed");
    wait_until("it has gone with its pool", || !path.exists());
    proxy.reload(&both, "added");
    // Another process takes the path over: its file is left alone.
    let other = free_port();
    let text = both.replace(&format!(":{port}\n"), &format!(":{other}\n"));
    let next = Proxy::start(other, &text, &["--no-watch"]);
    assert_eq!(proxy.heeler.stop().code, Some(0));
    assert!(path.exists(), "it is the other's");
    assert_eq!(next.heeler.stop().code, Some(0));
    assert!(!path.exists(), "it has gone with the process");
}
