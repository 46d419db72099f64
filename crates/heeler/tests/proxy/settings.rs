//! The keys of nutcracker.yml that show outside.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use crate::servers::{Heeler, Nutcracker, PATIENCE, RedisServer, Value, free_port};
use crate::{addresses, keys_by_server, pipelined, pool, proxy, redis_servers, wait_until, words};

#[test]
fn servers_get_the_password() {
    let server = RedisServer::start_with(&["--requirepass", "secret words"]);
    let proxy = proxy(&["redis_auth: secret words"], &[server.address()]);
    let mut client = proxy.client();
    authenticate(&mut client, "secret words");
    assert_eq!(client.run("SET k v"), Value::ok());
    assert_eq!(client.run("GET k"), Value::bulk("v"));
    let log = proxy.stop().stderr;
    assert!(!log.contains("secret words"), "{log}");
}

/// Where the pool has a password, its clients have to give it.
fn authenticate(client: &mut crate::Client, password: &str) {
    assert_eq!(client.call(&[b"AUTH", password.as_bytes()]), Value::ok());
}

#[test]
fn nothing_passes_before_the_password_nor_after_a_reset() {
    let server = RedisServer::start_with(&["--requirepass", "right"]);
    let proxy = proxy(&["redis_auth: right"], &[server.address()]);
    let mut client = proxy.client();
    let locked = Value::Error("NOAUTH Authentication required".into());
    for _ in 0..2 {
        for command in [
            "GET k",
            "MGET a b",
            "DBSIZE",
            "INFO",
            "CLIENT LIST",
            "COMMAND",
            "ECHO x",
        ] {
            assert_eq!(client.run(command), locked, "{command}");
        }
        // In one pipeline the password opens for what follows it.
        client.send(b"GET k\r\nAUTH right\r\nGET k\r\n");
        let replies = [(); 3].map(|()| client.read_reply());
        assert_eq!(replies, [locked.clone(), Value::ok(), Value::Null]);
        assert_eq!(client.run("RESET"), Value::Status("RESET".into()));
    }
}

#[test]
fn a_client_has_to_give_the_password_in_nutcrackers_words() {
    let server = RedisServer::start_with(&["--requirepass", "right"]);
    let text = |port: u16| {
        format!(
            "alpha:\n  listen: 127.0.0.1:{port}\n  redis: true\n  redis_auth: right\n  \
             servers:\n   - {}:1\n",
            server.address()
        )
    };
    let (one, two) = (free_port(), free_port());
    let nutcracker = Nutcracker::start(one, &text(one));
    let heeler = Heeler::proxy(two, &text(two), &[]);
    let (mut of_nutcracker, mut of_heeler) = (nutcracker.client(), heeler.client());
    for (line, refused) in [
        ("GET k", true),
        ("PING", true),
        ("AUTH wrong", true),
        ("AUTH right", false),
        ("SET k v", false),
        ("GET k", false),
        ("AUTH wrong", true),
        ("GET k", true),
        ("AUTH right", false),
        ("GET k", false),
    ] {
        let reply = of_heeler.run(line);
        assert_eq!(reply, of_nutcracker.run(line), "{line}");
        assert_eq!(
            matches!(reply, Value::Error(_)),
            refused,
            "{line}: {reply:?}"
        );
    }
}

#[test]
fn a_client_may_log_in_as_default_and_with_hello() {
    let server = RedisServer::start_with(&["--requirepass", "right"]);
    let proxy = proxy(&["redis_auth: right"], &[server.address()]);
    let wrong = "WRONGPASS invalid username-password pair or user is disabled.";
    for (line, refusal) in [
        ("AUTH default wrong", Some(wrong)),
        ("AUTH somebody right", Some(wrong)),
        ("HELLO 2 AUTH default wrong", Some(wrong)),
        ("AUTH default right", None),
        ("HELLO 2 AUTH default right", None),
    ] {
        let mut client = proxy.client();
        match (client.run(line), refusal) {
            (Value::Error(text), Some(refusal)) => assert_eq!(text, refusal, "{line}"),
            (Value::Error(text), None) => panic!("{line}: {text}"),
            (_, Some(_)) => panic!("{line} is refused"),
            (_, None) => assert_eq!(client.run("SET k v"), Value::ok(), "{line}"),
        }
    }
    let Value::Error(text) = proxy.client().run("HELLO 2") else {
        panic!("HELLO without a password is refused")
    };
    assert!(text.starts_with("NOAUTH HELLO must be called"), "{text}");
}

#[test]
fn a_wrong_password_is_the_servers_to_refuse() {
    let server = RedisServer::start_with(&["--requirepass", "right"]);
    let proxy = proxy(&["redis_auth: wrong"], &[server.address()]);
    let mut client = proxy.client();
    authenticate(&mut client, "wrong");
    let Value::Error(text) = client.run("GET k") else {
        panic!("an error")
    };
    assert!(text.starts_with("NOAUTH"), "{text}");
    wait_until("the log tells", || {
        proxy.process.stderr().contains("refused AUTH")
    });
    let log = proxy.stop().stderr;
    assert!(!log.contains("wrong"), "{log}");
}

#[test]
fn the_database_of_the_servers() {
    let servers = redis_servers(2);
    let proxy = proxy(&["redis_db: 3", "hash: md5"], &addresses(&servers));
    let mut client = proxy.client();
    assert_eq!(client.run("SELECT 3"), Value::ok());
    let refused = Value::Error("ERR DB index is out of range".into());
    assert_eq!(client.run("SELECT 0"), refused);
    for i in 0..20 {
        assert_eq!(client.run(&format!("SET k{i} v")), Value::ok());
    }
    let sizes = servers.iter().map(|server| {
        let mut direct = server.client();
        assert_eq!(direct.run("DBSIZE"), Value::Int(0));
        assert_eq!(direct.run("SELECT 3"), Value::ok());
        match direct.run("DBSIZE") {
            Value::Int(size) => size,
            other => panic!("{other:?}"),
        }
    });
    assert_eq!(sizes.sum::<i64>(), 20);
}

#[test]
fn preconnect_needs_no_request() {
    let servers = redis_servers(2);
    let [eager, lazy] = [(); 2].map(|()| free_port());
    let at = |port| format!("127.0.0.1:{port}");
    let file = pool(
        "eager",
        &at(eager),
        &["preconnect: true"],
        &addresses(&servers[..1]),
    ) + &pool("lazy", &at(lazy), &[], &addresses(&servers[1..]));
    let proxy = Heeler::proxy(eager, &file, &["--threads", "1"]);
    let clients = |server: &RedisServer| {
        let list = server.client().run("CLIENT LIST").text();
        // One is the client that asks.
        list.lines().count() - 1
    };
    wait_until("the server has a connection", || clients(&servers[0]) == 1);
    assert_eq!(clients(&servers[1]), 0);
    drop(proxy);
}

#[test]
fn unix_sockets_on_both_sides() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let servers = ["one", "two"].map(|name| RedisServer::start_with(&["--unixsocket", &at(name)]));
    let (socket, port) = (at("listen"), free_port());
    let behind = [at("one"), at("two")];
    let file = pool("tcp", &format!("127.0.0.1:{port}"), &["hash: md5"], &behind)
        + &pool("unix", &format!("{socket} 0640"), &["hash: md5"], &behind);
    let proxy = Heeler::proxy(port, &file, &["--threads", "1"]);
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    let mut stream = UnixStream::connect(&socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    for (request, reply) in [
        ("MSET a 1 b 2 c 3 d 4 e 5\r\n", "+OK\r\n"),
        ("EXISTS a b c d e\r\nPING\r\n", ":5\r\n+PONG\r\n"),
    ] {
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = vec![0; reply.len()];
        stream.read_exact(&mut bytes).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), reply);
    }
    assert_eq!(proxy.client().run("EXISTS a b c d e"), Value::Int(5));
    for server in &servers {
        assert_ne!(server.client().run("DBSIZE"), Value::Int(0));
    }
}

#[test]
fn more_connections_to_a_server_keep_each_clients_order() {
    let servers = redis_servers(2);
    let proxy = proxy(
        &["server_connections: 3", "hash: md5"],
        &addresses(&servers),
    );
    let keys = keys_by_server(&proxy, &servers);
    let [one, other] = [&keys[0][0], &keys[1][0]];
    let mut clients = [(); 6].map(|()| proxy.client());
    let lines = [
        format!("INCR {one}"),
        format!("INCR {other}"),
        format!("GET {one}"),
    ];
    let commands: Vec<_> = (0..500)
        .flat_map(|_| lines.each_ref().map(|l| words(l)))
        .collect();
    let mut at = 0;
    for client in &mut clients {
        for replies in pipelined(client, &commands).chunks(3) {
            at += 1;
            let expected = [Value::Int(at), Value::Int(at), Value::bulk(at.to_string())];
            assert_eq!(replies, expected);
        }
    }
    for server in &servers {
        // Three of the proxy, and the one that asks.
        let list = server.client().run("CLIENT LIST").text();
        assert_eq!(list.lines().count(), 4, "{list}");
    }
}

/// The files of a lecture on twemproxy, with their blanks at the ends of lines; only the ports are
/// others, and `timeout:1000` has the blank without which it is no YAML.
#[test]
fn files_as_people_write_them() {
    let servers = redis_servers(2);
    let [one, two] = [&servers[0], &servers[1]].map(|server| server.port);
    let [first, second] = [(); 2].map(|()| free_port());
    let file = format!(
        "server1:  \n  listen: 127.0.0.1:{first}  \n  hash: fnv1a_64  \n  \
         distribution: ketama  \n  redis: true  \n  servers:  \n   - 127.0.0.1:{one}:1 \n\n\
         eshop-detail-test:  \n  listen: 127.0.0.1:{second}  \n  hash: fnv1a_64  \n  \
         distribution: ketama  \n  timeout: 1000  \n  redis: true  \n  servers:  \n   \
         - 127.0.0.1:{one}:1 test-redis-01 \n   - 127.0.0.1:{two}:1 test-redis-02\n"
    );
    let heeler = Heeler::proxy(first, &file, &[]);
    let mut client = heeler.client();
    assert_eq!(servers[0].client().run("SET k1 v1"), Value::ok());
    assert_eq!(client.run("GET k1"), Value::bulk("v1"));
    assert_eq!(client.run("SET k1 v2"), Value::ok());
    assert_eq!(client.run("GET k1"), Value::bulk("v2"));
    let mut client = crate::Client::connect(("127.0.0.1", second));
    for i in 0..100 {
        assert_eq!(client.run(&format!("SET key:{i} {i}")), Value::ok());
        assert_eq!(
            client.run(&format!("GET key:{i}")),
            Value::bulk(i.to_string())
        );
    }
    for server in &servers {
        assert_ne!(server.client().run("DBSIZE"), Value::Int(0));
    }
}
