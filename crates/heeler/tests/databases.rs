//! Numbered databases at `heeler serve`: how many there are, what tells of them, and which one the
//! other doors have. What commands answer is compared with redis-server elsewhere: in
//! `tests/bytes/databases.txt`, the oracle tests and `tests/differential.rs`.

mod servers;

use servers::{Client, Cluster, Heeler, Value, ask, free_port};

fn info(client: &mut Client) -> String {
    client.run("INFO keyspace").text()
}

#[test]
fn there_are_as_many_as_it_is_told() {
    let out_of_range = Value::Error("ERR DB index is out of range".into());
    for (flags, count) in [
        (&[][..], 16),
        (&["--databases", "3"], 3),
        (&["--databases=16384"], 16_384),
    ] {
        let node = Heeler::serve(flags);
        let mut client = node.client();
        assert_eq!(client.run(&format!("SELECT {}", count - 1)), Value::ok());
        assert_eq!(client.run("SET k v"), Value::ok());
        assert_eq!(client.run(&format!("SELECT {count}")), out_of_range);
        assert_eq!(client.run(&format!("MOVE k {count}")), out_of_range);
        assert_eq!(client.run(&format!("SWAPDB 0 {count}")), out_of_range);
        let told = client.run("CONFIG GET databases");
        let expected = [Value::bulk("databases"), Value::bulk(count.to_string())];
        assert_eq!(told, Value::Array(expected.to_vec()));
        assert_eq!(
            info(&mut client),
            format!(
                "# Keyspace\r\ndb{}:keys=1,expires=0,avg_ttl=0\r\n",
                count - 1
            )
        );
        let refused = client.run("CONFIG SET databases 4").text();
        assert!(refused.contains("can't set immutable config"), "{refused}");
    }
}

#[test]
fn numbers_that_cannot_be_are_refused_at_the_start() {
    for (number, told) in [
        ("0", "0 is not in 1..=16384"),
        ("16385", "16385 is not in 1..=16384"),
        ("x", "invalid digit"),
    ] {
        let stopped = Heeler::spawn(&["serve", "--databases", number]).wait();
        assert_eq!(stopped.code, Some(2), "{}", stopped.stderr);
        let names = stopped.stderr.contains("--databases") && stopped.stderr.contains(told);
        assert!(names, "{}", stopped.stderr);
    }
    let peer = format!("127.0.0.1:{}", free_port());
    let stopped = Heeler::spawn(&["serve", "--databases", "2", "--peer", &peer]).wait();
    assert_eq!(stopped.code, Some(2));
    assert!(
        stopped.stderr.contains("cannot be used with"),
        "{}",
        stopped.stderr
    );
}

#[test]
fn a_ring_has_one() {
    let ring = Cluster::start(2, &[]);
    for node in 0..2 {
        let mut client = ring.client(node);
        let mut refused = |line: &str| client.run(line).text();
        let not_allowed = |what: &str| format!("ERR {what} not allowed in cluster mode");
        assert_eq!(refused("SELECT 1"), not_allowed("SELECT is"));
        assert_eq!(refused("MOVE k 1"), not_allowed("MOVE is"));
        assert_eq!(refused("SWAPDB 0 1"), not_allowed("SWAPDB is"));
        assert_eq!(
            refused("COPY k k DB 1"),
            not_allowed("Copying to another database is")
        );
        assert_eq!(refused("SELECT 0"), "OK");
        let told = [Value::bulk("databases"), Value::bulk("1")];
        assert_eq!(
            client.run("CONFIG GET databases"),
            Value::Array(told.to_vec())
        );
    }
}

#[test]
fn clients_are_listed_with_their_database() {
    let node = Heeler::serve(&["--threads", "2"]);
    let (mut one, mut other) = (node.client(), node.client());
    one.run("CLIENT SETNAME one");
    one.run("SELECT 3");
    let told = |client: &mut Client| {
        let list = client.run("CLIENT LIST").text();
        let of = |is_it: fn(&str) -> bool| {
            let line = list.lines().find(|line| is_it(line)).expect("it is listed");
            let word = line.split(' ').find(|word| word.starts_with("db="));
            word.expect("a database").to_owned()
        };
        [
            of(|line| line.contains(" name=one ")),
            of(|line| line.contains(" name= ")),
        ]
    };
    assert_eq!(told(&mut other), ["db=3", "db=0"]);
    other.send(b"SELECT 5\r\nCLIENT INFO\r\n");
    other.read_reply();
    assert!(other.read_reply().text().contains(" db=5 "));
    one.run("RESET");
    one.run("CLIENT SETNAME one");
    assert_eq!(told(&mut one), ["db=0", "db=5"]);
}

#[test]
fn other_doors_have_the_first() {
    let (memcached, http, admin) = (free_port(), free_port(), free_port());
    let [memcached_at, http_at, admin_at] =
        [memcached, http, admin].map(|port| format!("127.0.0.1:{port}"));
    let doors = [
        "--memcached",
        &memcached_at,
        "--http",
        &http_at,
        "--admin",
        &admin_at,
    ];
    let node = Heeler::serve(&doors);
    let mut redis = node.client();
    for (database, value) in [(0, "zero"), (4, "four")] {
        redis.run(&format!("SELECT {database}"));
        redis.run(&format!("SET k {value}"));
    }
    redis.run("SET only four");
    let mut items = Client::connect(("127.0.0.1", memcached));
    items.send(b"get k only\r\n");
    assert_eq!(items.read_until(b"END\r\n"), b"VALUE k 0 4\r\nzero\r\n");
    assert!(ask(http, "GET", "/v1/keys/k").1.contains("\"zero\""));
    assert_eq!(ask(http, "GET", "/v1/keys/only").0, 404);
    assert!(!ask(http, "GET", "/v1/keys").1.contains("only"));
    let metrics = ask(admin, "GET", "/metrics").1;
    for line in [
        "heeler_store_keys 3\n",
        "heeler_store_database_keys{database=\"0\"} 1\n",
        "heeler_store_database_keys{database=\"4\"} 2\n",
        "heeler_store_database_expiring_keys{database=\"4\"} 0\n",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
    assert!(!metrics.contains("{database=\"1\"}"));
    items.send(b"flush_all\r\n");
    assert_eq!(items.read_until(b"\r\n"), b"OK");
    assert_eq!(redis.run("DBSIZE"), Value::Int(2));
    redis.run("SWAPDB 0 4");
    items.send(b"get k\r\n");
    assert_eq!(items.read_until(b"END\r\n"), b"VALUE k 0 4\r\nfour\r\n");
}

#[test]
fn debug_is_about_the_database_that_is_selected() {
    let node = Heeler::serve(&["--enable-debug-command", "yes"]);
    let mut client = node.client();
    client.run("SELECT 2");
    assert_eq!(client.run("DEBUG POPULATE 5"), Value::ok());
    assert_eq!(client.run("DBSIZE"), Value::Int(5));
    assert!(
        client
            .run("DEBUG OBJECT key:0")
            .text()
            .starts_with("Value at:")
    );
    client.run("SELECT 0");
    assert_eq!(client.run("DBSIZE"), Value::Int(0));
    assert_eq!(client.run("DEBUG OBJECT key:0").text(), "ERR no such key");
}

/// Clients that move what they find to each other, through databases and back, lose nothing.
#[test]
fn many_clients_move_keys_and_wait_for_them() {
    const ROUNDS: usize = 300;
    let node = Heeler::serve(&["--threads", "3"]);
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let node = &node;
            scope.spawn(move || {
                let (mut one, mut other) = (node.client(), node.client());
                one.run(&format!("SELECT {worker}"));
                other.run(&format!("SELECT {}", worker + 4));
                for round in 0..ROUNDS {
                    let key = format!("l{worker}");
                    other.send(format!("BLPOP {key} 0\r\n").as_bytes());
                    one.run(&format!("RPUSH {key} {round}"));
                    assert_eq!(
                        one.run(&format!("MOVE {key} {}", worker + 4)),
                        Value::Int(1)
                    );
                    let popped = [Value::bulk(&key), Value::bulk(round.to_string())];
                    assert_eq!(other.read_reply(), Value::Array(popped.to_vec()));
                }
            });
        }
        scope.spawn(|| {
            let mut client = node.client();
            for _ in 0..ROUNDS {
                client.run("SWAPDB 9 10");
                client.run("DBSIZE");
            }
        });
    });
    assert_eq!(info(&mut node.client()), "# Keyspace\r\n");
}
