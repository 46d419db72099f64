//! The HTTP door of a store, asked by curl as its users do, beside the Redis door on the same keys.

#[path = "web/curl.rs"]
mod curl;
mod servers;
#[path = "web/session.rs"]
mod session;

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;

use curl::{Answer, curl};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value as Json, json};
use servers::{Client, Heeler, PATIENCE, Value, free_port, wait_until};

/// A node with both doors.
struct Node {
    heeler: Heeler,
    http: u16,
}

impl Node {
    fn start() -> Node {
        Node::start_with(&[])
    }

    fn start_with(args: &[&str]) -> Node {
        let http = free_port();
        let address = format!("127.0.0.1:{http}");
        let all = [&["--http", &address, "--threads", "2"], args].concat();
        let mut heeler = Heeler::serve(&all);
        heeler.process.wait_until_serves(http);
        Node { heeler, http }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.http)
    }

    fn curl(&self, path: &str, args: &[&str]) -> Answer {
        let url = self.url(path);
        curl(&[&[url.as_str()][..], args].concat())
    }

    fn put(&self, path: &str, body: &str) -> Answer {
        self.curl(path, &["-X", "PUT", "-d", body])
    }

    fn post(&self, path: &str, body: &str) -> Answer {
        self.curl(path, &["-d", body])
    }

    fn get(&self, path: &str) -> Answer {
        self.curl(path, &[])
    }

    /// The data that is shown of a key.
    fn data(&self, key: &str) -> Json {
        self.get(&format!("/v1/keys/{key}")).json()["data"].take()
    }

    fn redis(&self) -> Client {
        self.heeler.client()
    }
}

fn int(value: &Value) -> i64 {
    match value {
        Value::Int(number) => *number,
        other => panic!("{other:?}"),
    }
}

fn text(refusal: &Answer) -> String {
    refusal.json()["text"].as_str().unwrap().to_owned()
}

#[test]
fn the_recorded_session_of_memhashd_is_answered_as_memhashd_did() {
    let node = Node::start();
    session::replay(node.http);
}

#[test]
fn methods_and_paths() {
    let node = Node::start();
    assert_eq!(node.put("/v1/keys/k", r#"{"data":"v"}"#).status, 200);
    let head = node.curl("/v1/keys/k", &["-I"]);
    let get = node.get("/v1/keys/k");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let length: usize = head.header("content-length").unwrap().parse().unwrap();
    // But for the digits of the time.
    assert!(length.abs_diff(get.body.len()) < 4, "{length}");
    for (path, args, status) in [
        ("/v1/keys", &["-X", "PUT"][..], 405),
        ("/v1/keys", &["-X", "DELETE"], 405),
        ("/v1/keys/k", &["-X", "PATCH"], 405),
        ("/v1/keys/k/append", &[], 405),
        ("/v1/keys/k/index", &["-X", "PUT"], 405),
        ("/v1/nodes", &["-X", "POST"], 405),
        ("/v1/keys/k", &["-X", "OPTIONS"], 204),
    ] {
        let answer = node.curl(path, args);
        assert_eq!(answer.status, status, "{path} {args:?}");
        let allowed = answer.header("allow").unwrap();
        assert!(allowed.ends_with("OPTIONS"), "{allowed}");
        if status == 405 {
            assert_eq!(answer.body, "method not allowed\n");
            assert!(!allowed.split(", ").any(|m| args.contains(&m)), "{allowed}");
        }
    }
    for path in [
        "/",
        "/v1/keys/",
        "/v1/keys/k/",
        "/v1/keys/k/nothing",
        "/v2/keys",
    ] {
        let answer = node.get(path);
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (404, "page not found\n")
        );
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    assert_eq!(node.get("/v1/keys/%zz").status, 400);
    for place in ["-1", "x", "18446744073709551616"] {
        let answer = node.get(&format!("/v1/keys/k/index/{place}"));
        assert_eq!(answer.status, 400, "{place}");
        let told = "the place of an element is a number from 0 to 18446744073709551615";
        assert_eq!(text(&answer), told);
    }
    assert_eq!(
        node.get(&format!("/v1/keys/{}", "k".repeat(40_000))).status,
        414
    );
    assert_eq!(node.get("/healthz").body, "ok\n");
    assert_eq!(node.get("/readyz").body, "ready\n");
    let metrics = node.get("/metrics");
    assert!(
        metrics.body.contains("heeler_store_keys 1\n"),
        "{}",
        metrics.body
    );
}

/// RFC 9112, section 3.2.
#[test]
fn a_request_names_one_host() {
    let admin = free_port();
    let node = Node::start_with(&["--admin", &format!("127.0.0.1:{admin}")]);
    for port in [node.http, admin] {
        for (version, hosts, status) in [
            ("1.1", "Host: a\r\n", 200),
            ("1.1", "Host: a:80\r\n", 200),
            ("1.1", "Host: \r\n", 200),
            ("1.0", "Host: a\r\n", 200),
            ("1.0", "", 200),
            ("1.1", "", 400),
            ("1.1", "Host: a\r\nHost: a\r\n", 400),
            ("1.1", "Host: a\r\nhOST: b\r\n", 400),
            ("1.0", "Host: a\r\nHost: b\r\n", 400),
            ("1.1", "Host: a/b\r\n", 400),
            ("1.1", "Host: a b\r\n", 400),
        ] {
            let mut client = Raw::connect(port);
            client.send(&format!("GET /healthz HTTP/{version}\r\n{hosts}\r\n"));
            let (got, _, body) = client.answer();
            assert_eq!(got, status, "{version} {hosts:?}");
            let told: String = match status {
                200 => "ok\n".into(),
                _ => serde_json::from_str::<Json>(&body).unwrap()
                    [if port == admin { "error" } else { "text" }]
                .to_string(),
            };
            assert!(status == 200 || told.contains("Host"), "{body}");
        }
    }
}

#[test]
fn what_follows_the_value_of_a_body_is_refused() {
    let node = Node::start();
    for (path, body, rest) in [
        ("/v1/keys/k", r#"{"data":1}"#, "x"),
        ("/v1/keys/k/append", r#"{"data":1}"#, r#"{"data":2}"#),
        ("/v1/keys/k/index", r#"{"index":0}"#, "}"),
        ("/v1/keys/k/item", r#"{"item":"x"}"#, ","),
        ("/v1/bulk/get", r#"{"keys":["k"]}"#, "[]"),
        ("/v1/bulk/put", r#"{"items":[{"key":"k","data":1}]}"#, "\0"),
    ] {
        let refused = Raw::connect(node.http).ask("POST", path, "", &format!("{body} {rest}"));
        assert_eq!(refused.0, 400, "{path}");
        let at = format!("after top-level value, at byte {}", body.len() + 1);
        assert!(refused.2.contains(&at), "{}", refused.2);
        assert_eq!(node.get("/v1/keys/k").status, 404, "{path}");
        let blank = Raw::connect(node.http).ask("POST", path, "", &format!("{body}\r\n \t"));
        assert_ne!(blank.0, 400, "{path}: {}", blank.2);
        node.curl("/v1/keys/k", &["-X", "DELETE"]);
    }
}

#[test]
fn forms_of_bodies() {
    let node = Node::start();
    let stored = r#"{"data":1}"#;
    for (kind, status) in [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("application/x-www-form-urlencoded", 200),
        ("*/*", 200),
        ("text/html", 415),
        ("multipart/form-data", 415),
    ] {
        let header = format!("Content-Type: {kind}");
        let answer = node.curl("/v1/keys/k", &["-X", "PUT", "-H", &header, "-d", stored]);
        assert_eq!(answer.status, status, "{kind}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        if status == 415 {
            let told = format!(
                "Content-Type {kind} is not supported here: send application/json, \
                 application/octet-stream or text/plain"
            );
            assert_eq!(text(&answer), told);
        }
    }
    for (accept, status) in [
        ("application/json", 200),
        ("*/*", 200),
        ("text/html, */*;q=0.8", 200),
        ("text/html", 406),
        ("application/json;q=0", 406),
    ] {
        let header = format!("Accept: {accept}");
        let answer = node.curl("/v1/keys/k", &["-H", &header]);
        assert_eq!(answer.status, status, "{accept}");
        if status == 406 {
            let told = "Accept leaves out what there is: application/json, \
                        application/octet-stream, text/plain; charset=utf-8";
            assert_eq!(text(&answer), told);
        }
    }
    // Only a value can be sent as it is.
    let append = ["-H", "Content-Type: text/plain", "-d", "x"];
    let refused = node.curl("/v1/keys/k/append", &append);
    assert_eq!(refused.status, 415);
    let told = "Content-Type text/plain is not supported here: send application/json";
    assert_eq!(text(&refused), told);
    // The form of the body is looked at first, whatever the method.
    let both = ["-H", "Content-Type: text/html", "-H", "Accept: text/html"];
    assert_eq!(node.curl("/v1/keys/k", &both).status, 415);
}

#[test]
fn bytes_go_in_and_out_as_they_are() {
    let node = Node::start();
    let (path, bytes) = (
        "/v1/keys/raw?expire_time=1h",
        "Content-Type: application/octet-stream",
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"\xff\0\r\n\"<").unwrap();
    let name = format!("@{}", file.path().display());
    let put = node.curl(path, &["-X", "PUT", "-H", bytes, "--data-binary", &name]);
    assert_eq!(put.json()["meta"]["expire_time"], "1h0m0s");
    assert_eq!(put.json()["data"], Json::Null);
    assert_eq!(node.redis().run("GET raw"), Value::bulk(b"\xff\0\r\n\"<"));
    let refused = node.get("/v1/keys/raw");
    assert_eq!(refused.status, 406);
    assert!(
        text(&refused).contains("application/octet-stream"),
        "{}",
        refused.body
    );
    let raw = node.curl("/v1/keys/raw", &["-H", "Accept: application/octet-stream"]);
    assert_eq!(raw.bytes, b"\xff\0\r\n\"<");
    assert_eq!(raw.header("content-type"), Some("application/octet-stream"));
    assert!(raw.header("etag").is_some());
    assert_eq!(
        node.curl("/v1/keys/raw", &["-H", "Accept: text/plain"])
            .status,
        406
    );
    let plain = ["-X", "PUT", "-H", "Content-Type: text/plain", "-d", "größe"];
    assert_eq!(node.curl("/v1/keys/text", &plain).status, 200);
    assert_eq!(node.data("text"), "größe");
    let shown = node.curl("/v1/keys/text", &["-H", "Accept: text/plain"]);
    assert_eq!(shown.body, "größe");
    node.redis().run("SADD set a");
    for (key, accept, status) in [
        ("set", "application/json", 409),
        ("set", "application/octet-stream", 406),
    ] {
        let header = format!("Accept: {accept}");
        let refused = node.curl(&format!("/v1/keys/{key}"), &["-H", &header]);
        assert_eq!(refused.status, status);
        assert!(
            text(&refused).contains("it holds a set"),
            "{}",
            refused.body
        );
    }
}

#[test]
fn keys_are_exact() {
    let node = Node::start();
    let mut redis = node.redis();
    for (segment, key) in [
        ("a+b", "a+b"),
        ("c%26d", "c&d"),
        ("50%25", "50%"),
        ("a%2520b", "a%20b"),
        ("x;y", "x;y"),
        ("a%2Fb", "a/b"),
        ("%C3%A9", "é"),
        ("k?key=other", "k"),
        ("%25d", "%d"),
        ("index", "index"),
    ] {
        let path = format!("/v1/keys/{segment}");
        assert_eq!(
            node.put(&path, &json!({ "data": key }).to_string()).status,
            200
        );
        let found = redis.call(&[b"GET", key.as_bytes()]);
        assert_eq!(found, Value::bulk(key), "{segment}");
    }
    let missing = node.get("/v1/keys/%25s");
    assert_eq!(text(&missing), "unable to load %s key, %s does not exist");
    let mut keys: Vec<String> = serde_json::from_str(&node.get("/v1/keys").body).unwrap();
    keys.sort();
    assert_eq!(keys.len(), 10);
    keys.dedup();
    assert_eq!(keys.len(), 10);
}

#[test]
fn a_deadline_counts_from_the_last_store() {
    let node = Node::start();
    let (path, mut redis) = ("/v1/keys/k", node.redis());
    node.put(path, r#"{"data":1,"expire_time":"1h"}"#);
    assert_eq!(redis.run("EXPIRE k 1"), Value::Int(1));
    let again = node.put(path, r#"{"data":1,"expire_time":"10s"}"#).json();
    assert_eq!(
        (&again["meta"]["index"], &again["meta"]["expire_time"]),
        (&json!(2), &json!("10s"))
    );
    let left = int(&redis.run("PTTL k"));
    assert!((9_000..=10_000).contains(&left), "{left}");
    assert_eq!(node.get(path).json()["meta"]["expire_time"], "10s");
    node.put(path, r#"{"data":1}"#);
    assert_eq!(redis.run("TTL k"), Value::Int(-1));
    node.put(path, r#"{"data":1,"expire_time":"20ms"}"#);
    wait_until("it is gone", || node.get(path).status == 404);
    wait_until("it is not listed", || node.get("/v1/keys").body == "[]\n");
    assert_eq!(node.put(path, r#"{"data":1}"#).json()["meta"]["index"], 1);
}

#[test]
fn one_keyspace() {
    let node = Node::start();
    let mut redis = node.redis();
    for (body, command, reply) in [
        (
            r#"["a","b"]"#,
            "LRANGE k 0 -1",
            Value::Array(vec![Value::bulk("a"), Value::bulk("b")]),
        ),
        (r#"{"f":"v"}"#, "HGET k f", Value::bulk("v")),
        (r#""text""#, "GET k", Value::bulk("text")),
        ("[]", "GET k", Value::bulk("[]")),
        ("{}", "GET k", Value::bulk("{}")),
        ("null", "GET k", Value::bulk("null")),
        ("12.50", "GET k", Value::bulk("12.50")),
        (r#"["a",1]"#, "GET k", Value::bulk(r#"["a",1]"#)),
        (
            r#"{"f":{"g":[true]}}"#,
            "GET k",
            Value::bulk(r#"{"f":{"g":[true]}}"#),
        ),
        ("41", "INCR k", Value::Int(42)),
    ] {
        assert_eq!(
            node.put("/v1/keys/k", &format!("{{\"data\":{body}}}"))
                .status,
            200
        );
        let stored: Json = serde_json::from_str(body).unwrap();
        assert_eq!(node.data("k"), stored, "{body}");
        assert_eq!(redis.run(command), reply, "{body}");
    }
    assert_eq!(node.data("k"), 42);
    redis.run("APPEND k x");
    assert_eq!(node.data("k"), "42x");
    redis.run("DEL k");
    for (commands, data) in [
        (&["SET k 5"][..], json!("5")),
        (&["RPUSH k a", "LPUSH k b"], json!(["b", "a"])),
        (&["HSET k b 2 a 1"], json!({ "a": "1", "b": "2" })),
        (&["SETRANGE k 2 x"], json!("\0\0x")),
    ] {
        commands.iter().for_each(|command| drop(redis.run(command)));
        let shown = node.get("/v1/keys/k").json();
        assert_eq!(shown["data"], data);
        assert_eq!(shown["meta"]["index"], 1);
        assert_eq!(shown["meta"]["created_at"], "0001-01-01T00:00:00Z");
        redis.run("DEL k");
    }
    redis.run("SET k v EX 100");
    let life = node.get("/v1/keys/k").json()["meta"]["expire_time"].take();
    assert!(
        life.as_str().unwrap().starts_with("1m39.") || life == "1m40s",
        "{life}"
    );
    // Whoever waits for an element gets it, from whichever door it comes.
    let waiting = thread::spawn({
        let mut redis = node.redis();
        move || redis.run("BLPOP queue 10")
    });
    wait_until("it waits", || {
        redis.run("CLIENT LIST").text().contains("flags=b")
    });
    node.post("/v1/keys/queue/append", r#"{"data":"job"}"#);
    let job = vec![Value::bulk("queue"), Value::bulk("job")];
    assert_eq!(waiting.join().unwrap(), Value::Array(job));
}

#[test]
fn listeners_of_redis_hear_of_changes() {
    let node = Node::start();
    let mut redis = node.redis();
    redis.run("CONFIG SET notify-keyspace-events KA");
    let mut listener = node.redis();
    listener.run("PSUBSCRIBE *");
    let mut heard = || match listener.read_reply() {
        Value::Array(words) => format!("{} {}", words[2].text(), words[3].text()),
        other => panic!("{other:?}"),
    };
    node.put("/v1/keys/k", r#"{"data":1,"expire_time":"1h"}"#);
    assert_eq!(
        [heard(), heard()],
        ["__keyspace@0__:k set", "__keyspace@0__:k expire"]
    );
    node.put("/v1/keys/l", r#"{"data":["a"]}"#);
    assert_eq!(heard(), "__keyspace@0__:l rpush");
    node.post("/v1/keys/l/append", r#"{"data":"b"}"#);
    assert_eq!(heard(), "__keyspace@0__:l rpush");
    node.curl("/v1/keys/l/index/0", &["-X", "DELETE"]);
    assert_eq!(heard(), "__keyspace@0__:l lrem");
    node.put("/v1/keys/h/item/f", r#"{"data":"v"}"#);
    assert_eq!(heard(), "__keyspace@0__:h hset");
    node.curl("/v1/keys/k", &["-X", "DELETE"]);
    assert_eq!(heard(), "__keyspace@0__:k del");
}

#[test]
fn hidden_commands_are_unknown_to_clients_of_redis() {
    let node = Node::start();
    let mut redis = node.redis();
    for command in ["document.load k json", "DOCUMENT.KEYS 0 1 x"] {
        let refused = redis.run(command);
        assert!(matches!(&refused, Value::Error(e) if e.starts_with("ERR unknown command")));
    }
    assert!(!format!("{:?}", redis.run("COMMAND LIST")).contains("document"));
    node.get("/v1/keys/k");
    let stats = redis.run("INFO commandstats").text();
    assert!(stats.contains("cmdstat_document.load:calls=1,"), "{stats}");
}

#[test]
fn one_element_of_a_list() {
    let node = Node::start();
    let mut redis = node.redis();
    let (path, element) = ("/v1/keys/l", |n: u32| format!("/v1/keys/l/index/{n}"));
    node.put(path, r#"{"data":["a","b","c"],"expire_time":"1h"}"#);
    assert_eq!(node.get(&element(2)).json()["data"], "c");
    let set = node.put(&element(1), r#"{"data":"B"}"#).json();
    assert_eq!(
        (&set["action"], &set["data"]),
        (&json!("set-index"), &json!("B"))
    );
    assert_eq!(set["meta"]["index"], 2);
    let left = set["meta"]["expire_time"].as_str().unwrap();
    assert!(left == "1h0m0s" || left.starts_with("59m5"), "{left}");
    assert_eq!(redis.run("TYPE l"), Value::Status("list".into()));
    node.post(&element(0), r#"{"data":"first"}"#);
    node.post("/v1/keys/l/append", r#"{"data":"last","expire_time":"2h"}"#);
    assert_eq!(node.data("l"), json!(["first", "a", "B", "c", "last"]));
    assert!(int(&redis.run("TTL l")) > 3600);
    let gone = node.curl(&element(3), &["-X", "DELETE"]).json();
    assert_eq!(
        (&gone["action"], &gone["data"]),
        (&json!("delete-index"), &json!("c"))
    );
    assert_eq!(redis.run("TYPE l"), Value::Status("list".into()));
    // What is no string makes it JSON text; without it it is a list again.
    node.put(&element(0), r#"{"data":{"x":[1]}}"#);
    assert_eq!(redis.run("TYPE l"), Value::Status("string".into()));
    assert_eq!(node.get(&element(0)).json()["data"], json!({ "x": [1] }));
    node.curl(&element(0), &["-X", "DELETE"]);
    assert_eq!(redis.run("TYPE l"), Value::Status("list".into()));
    assert!(int(&redis.run("TTL l")) > 3600);
    for (method, n) in [("PUT", 3), ("DELETE", 3), ("POST", 4)] {
        let answer = node.curl(&element(n), &["-X", method, "-d", r#"{"data":"x"}"#]);
        assert_eq!(answer.status, 409, "{method}");
        assert!(text(&answer).contains("is out of range"), "{}", answer.body);
    }
    (0..3).for_each(|_| drop(node.curl(&element(0), &["-X", "DELETE"])));
    assert_eq!(node.data("l"), json!([]));
    assert_eq!(
        node.put("/v1/keys/none/index/0", r#"{"data":1}"#).status,
        404
    );
    assert_eq!(
        node.post("/v1/keys/new/append", r#"{"data":1}"#).status,
        200
    );
    assert_eq!(node.data("new"), json!([1]));
    node.put("/v1/keys/s", r#"{"data":"s"}"#);
    let refused = node.post("/v1/keys/s/append", r#"{"data":"x"}"#);
    assert_eq!(
        (refused.status, text(&refused).as_str()),
        (409, "unable to store value, s is not a list")
    );
    // As deep as a body can be.
    let deep = format!("{{\"data\":{}1{}}}", "[".repeat(255), "]".repeat(255));
    assert_eq!(node.post("/v1/keys/new/append", &deep).status, 200);
    let shown = node.get("/v1/keys/new").body;
    assert!(shown.contains(&"[".repeat(255)), "{shown}");
    let deeper = deep.replace('1', "[1]");
    assert_eq!(node.put("/v1/keys/new", &deeper).status, 400);
}

#[test]
fn one_item_of_a_dictionary() {
    let node = Node::start();
    let mut redis = node.redis();
    let item = |name: &str| format!("/v1/keys/d/item/{name}");
    let set = node.put(&item("user"), r#"{"data":"ybubnov"}"#).json();
    assert_eq!(
        (&set["action"], &set["meta"]["index"]),
        (&json!("set-item"), &json!(1))
    );
    assert_eq!(redis.run("HGET d user"), Value::bulk("ybubnov"));
    node.put(&item("n"), r#"{"data":null}"#);
    assert_eq!(redis.run("TYPE d"), Value::Status("string".into()));
    assert_eq!(node.data("d"), json!({ "n": null, "user": "ybubnov" }));
    assert_eq!(node.get(&item("user")).json()["data"], "ybubnov");
    assert_eq!(node.get(&item("none")).status, 500);
    let gone = node.curl(&item("n"), &["-X", "DELETE"]).json();
    assert_eq!(gone["action"], "delete-item");
    assert_eq!(redis.run("TYPE d"), Value::Status("hash".into()));
    assert_eq!(node.curl(&item("n"), &["-X", "DELETE"]).status, 500);
    node.put(&item("a%2Fb"), r#"{"data":"<"}"#);
    assert_eq!(redis.run("HGET d a/b"), Value::bulk("<"));
    node.curl(&item("a%2Fb"), &["-X", "DELETE"]);
    node.curl(&item("user"), &["-X", "DELETE"]);
    assert_eq!(node.data("d"), json!({}));
    redis.run("RPUSH l a");
    assert_eq!(node.put("/v1/keys/l/item/x", r#"{"data":"x"}"#).status, 409);
}

#[test]
fn compare_and_set() {
    let node = Node::start();
    let path = "/v1/keys/k";
    let put = |header: &str| {
        let answer = node.curl(path, &["-X", "PUT", "-H", header, "-d", r#"{"data":"v"}"#]);
        (answer.status, answer.header("etag").map(str::to_owned))
    };
    assert_eq!(put("If-Match: *").0, 412);
    let (status, first) = put("If-None-Match: *");
    let first = first.unwrap();
    assert_eq!(status, 200);
    assert_eq!(put("If-None-Match: *"), (412, Some(first.clone())));
    let (status, second) = put(&format!("If-Match: \"1\", {first}"));
    assert_eq!(status, 200);
    assert_ne!(second.as_ref(), Some(&first));
    assert_eq!(put(&format!("If-Match: {first}")), (412, second.clone()));
    assert_eq!(
        put(&format!("If-Match: W/{}", second.as_ref().unwrap())).0,
        412
    );
    assert_eq!(
        put(&format!("If-None-Match: {}", second.as_ref().unwrap())).0,
        412
    );
    assert_eq!(put("If-Match: nonsense").0, 412);
    // Another door's change is a change.
    node.redis().run("APPEND k w");
    let get = |header: &str| node.curl(path, &["-H", header]);
    let third = node.get(path).header("etag").unwrap().to_owned();
    assert_ne!(Some(&third), second.as_ref());
    let unchanged = get(&format!("If-None-Match: W/{third}"));
    assert_eq!((unchanged.status, unchanged.body.as_str()), (304, ""));
    assert_eq!(unchanged.header("etag"), Some(third.as_str()));
    assert_eq!(get(&format!("If-None-Match: {first}")).status, 200);
    assert_eq!(get(&format!("If-Match: {first}")).status, 412);
    let old = format!("If-Match: {first}");
    let append = ["-H", &old, "-d", r#"{"data":"x"}"#];
    assert_eq!(node.curl("/v1/keys/k/append", &append).status, 412);
    let delete = |header: &str| node.curl(path, &["-X", "DELETE", "-H", header]).status;
    assert_eq!(delete(&old), 412);
    // A time to live alone is no change of the value, as for memcached's clients.
    let index = || node.get(path).json()["meta"]["index"].take();
    let before = index();
    for command in ["EXPIRE k 1000", "PERSIST k", "PEXPIRE k 100000"] {
        node.redis().run(command);
    }
    assert_eq!(index(), before);
    assert_eq!(get(&format!("If-None-Match: {third}")).status, 304);
    assert_eq!(delete(&format!("If-Match: {third}")), 200);
    assert_eq!(delete(&format!("If-Match: {third}")), 412);
    // Where there is no key there is no tag.
    assert_eq!(node.curl(path, &["-X", "DELETE"]).header("etag"), None);
    assert_eq!(node.get(path).header("etag"), None);
}

#[test]
fn of_two_writers_exactly_one_wins() {
    let node = Node::start();
    node.put("/v1/keys/n", r#"{"data":0}"#);
    let http = node.http;
    let add = move || {
        let mut client = Raw::connect(http);
        let mut won = 0;
        while won < 200 {
            let (_, head, body) = client.ask("GET", "/v1/keys/n", "", "");
            let tag = head.lines().find_map(|l| l.strip_prefix("Etag: ")).unwrap();
            let shown: Json = serde_json::from_str(&body).unwrap();
            let next = json!({ "data": shown["data"].as_i64().unwrap() + 1 }).to_string();
            let (status, ..) =
                client.ask("PUT", "/v1/keys/n", &format!("If-Match: {tag}\r\n"), &next);
            won += u32::from(status == 200);
            assert!(matches!(status, 200 | 412), "{status}");
        }
    };
    let writers: Vec<_> = (0..4).map(|_| thread::spawn(add)).collect();
    writers
        .into_iter()
        .for_each(|writer| writer.join().unwrap());
    assert_eq!(node.data("n"), 800);
    assert_eq!(node.get("/v1/keys/n").json()["meta"]["index"], 801);
}

/// One connection, which is kept.
struct Raw(BufReader<TcpStream>);

impl Raw {
    fn connect(port: u16) -> Raw {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Raw(BufReader::new(stream))
    }

    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> (u16, String, String) {
        let length = body.len();
        self.send(&format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        ));
        self.answer()
    }

    fn answer(&mut self) -> (u16, String, String) {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(
                self.0.read_line(&mut head).unwrap() > 0,
                "closed after {head}"
            );
        }
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then_some(value)
        });
        let length: usize = length.map_or(0, |n| n.parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head, String::from_utf8(body).unwrap())
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

#[test]
fn requests_in_a_row_are_answered_in_order() {
    let node = Node::start();
    let mut client = Raw::connect(node.http);
    let mut requests = String::new();
    for n in 0..100 {
        let body = format!("{{\"data\":{n}}}");
        let length = body.len();
        requests += &format!(
            "PUT /v1/keys/k HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}\
             GET /v1/keys/k HTTP/1.1\r\nHost: x\r\n\r\n"
        );
    }
    client.send(&requests);
    for n in 0..100 {
        for action in ["store", "load"] {
            let (status, _, body) = client.answer();
            let shown: Json = serde_json::from_str(&body).unwrap();
            assert_eq!(
                (status, &shown["action"], &shown["data"]),
                (200, &json!(action), &json!(n))
            );
        }
    }
}

#[test]
fn page_by_page_every_key_comes_once() {
    let node = Node::start();
    let mut redis = node.redis();
    for n in 0..2500 {
        redis.run(&format!(
            "SET {}:{n} v",
            if n % 5 == 0 { "odd*" } else { "even" }
        ));
    }
    let all: Vec<String> = serde_json::from_str(&node.get("/v1/keys").body).unwrap();
    assert_eq!(all.len(), 2500);
    for (query, expected) in [
        ("limit=7000", 2500),
        ("limit=333", 2500),
        ("prefix=odd*&limit=33", 500),
        ("prefix=odd*:&limit=400&scope=cluster", 500),
        ("prefix=none", 0),
        ("scope=node", 2500),
    ] {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = node
                .get(&format!("/v1/keys?{query}&cursor={cursor}"))
                .json();
            let keys: Vec<String> = serde_json::from_value(page["keys"].clone()).unwrap();
            found.extend(keys);
            cursor = page["cursor"].as_str().unwrap().to_owned();
            if cursor.is_empty() {
                break;
            }
        }
        found.sort();
        let count = found.len();
        found.dedup();
        assert_eq!((found.len(), count), (expected, expected), "{query}");
    }
    for query in [
        "limit=0",
        "limit=x",
        "scope=world",
        "cursor=nonsense",
        "cursor=YzpY&scope=node",
    ] {
        assert_eq!(
            node.get(&format!("/v1/keys?{query}")).status,
            400,
            "{query}"
        );
    }
}

#[test]
fn a_long_list_of_keys_is_sent_as_it_is_made() {
    let node = Node::start();
    let mut redis = node.redis();
    let long = "k".repeat(1000);
    (0..3000).for_each(|n| drop(redis.run(&format!("SET {n}:{long} v"))));
    let answer = node.get("/v1/keys");
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    let mut keys: Vec<String> = serde_json::from_str(&answer.body).unwrap();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 3000);
}

#[test]
fn many_keys_in_one_request() {
    let node = Node::start();
    let items = json!({ "items": [
        { "key": "a", "data": ["x"], "expire_time": "1h" },
        { "key": "b", "data": { "n": 1 } },
        { "key": "a", "data": "twice", "if_none_match": "*" },
        { "key": "c" },
    ] });
    let put = node.post("/v1/bulk/put", &items.to_string()).json();
    let statuses: Vec<&Json> = put["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| &r["status"])
        .collect();
    assert_eq!(statuses, [200, 200, 412, 200]);
    let first = &put["results"][0];
    assert_eq!(
        (&first["key"], &first["action"]),
        (&json!("a"), &json!("store"))
    );
    assert_eq!(
        (&first["data"], &first["meta"]["expire_time"]),
        (&json!(["x"]), &json!("1h0m0s"))
    );
    assert_eq!(first["etag"], put["results"][2]["etag"]);
    let get = node
        .post("/v1/bulk/get", r#"{"keys":["b","none","a"]}"#)
        .json();
    let results = get["results"].as_array().unwrap();
    assert_eq!(
        (&results[0]["data"], &results[0]["key"]),
        (&json!({ "n": 1 }), &json!("b"))
    );
    assert_eq!(
        (&results[1]["status"], &results[2]["data"]),
        (&json!(404), &json!(["x"]))
    );
    assert_eq!(
        results[1]["text"],
        "unable to load none key, none does not exist"
    );
}

#[test]
fn an_item_that_is_wrong_is_refused_alone() {
    let node = Node::start();
    let items = json!({ "items": [
        { "key": "g1", "data": 1 },
        { "key": "g2", "data": 2, "expire_time": "zz" },
        "g3",
        { "key": 4, "data": 4 },
        { "key": "g5", "data": 5, "if_match": 5 },
        { "key": "g6", "data": 6 },
    ] });
    let put = node.post("/v1/bulk/put", &items.to_string()).json();
    let bad = |key: Json, n: usize, told: &str| {
        let text = format!("failed to read request body, number {n}: {told}");
        json!({ "key": key, "status": 400, "text": text })
    };
    let results = &put["results"];
    assert_eq!(results.as_array().map(Vec::len), Some(6));
    for (n, key) in [(0, "g1"), (5, "g6")] {
        let result = &results[n];
        assert_eq!(
            (&result["key"], &result["status"]),
            (&json!(key), &json!(200))
        );
        assert_eq!(node.get(&format!("/v1/keys/{key}")).json()["data"], n + 1);
    }
    let told = "time: invalid duration \"zz\"";
    assert_eq!(results[1], bad(json!("g2"), 1, told));
    assert_eq!(results[2], bad(Json::Null, 2, "it has no key"));
    assert_eq!(results[3], bad(Json::Null, 3, "key is a string"));
    assert_eq!(results[4], bad(json!("g5"), 4, "if_match is a string"));
    for key in ["g2", "g5"] {
        assert_eq!(node.get(&format!("/v1/keys/{key}")).status, 404, "{key}");
    }
}

#[test]
fn keys_of_bulk_requests_are_as_those_of_paths() {
    let node = Node::start();
    let (longest, longer) = ("k".repeat(32 * 1024), "k".repeat(32 * 1024 + 1));
    let items = json!({ "items": [
        { "key": longest, "data": 1 }, { "key": longer, "data": 2 }, { "key": "é", "data": 3 },
    ] });
    let ask = |path: &str, body: &Json| {
        let answer = Raw::connect(node.http).ask("POST", path, "", &body.to_string());
        assert_eq!(answer.0, 200, "{}", answer.2);
        serde_json::from_str::<Json>(&answer.2).unwrap()["results"].take()
    };
    let put = ask("/v1/bulk/put", &items);
    let statuses = |results: &Json| {
        let all = results.as_array().unwrap().iter();
        all.map(|it| it["status"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(statuses(&put), [200, 414, 200]);
    assert_eq!(put[1]["text"], "the key is longer than 32768 bytes");
    assert_eq!(node.get(&format!("/v1/keys/{longest}")).status, 200);
    assert_eq!(node.get(&format!("/v1/keys/{longer}")).status, 414);
    let got = ask(
        "/v1/bulk/get",
        &json!({ "keys": [longest, longer, "none", 4, null, "é"] }),
    );
    assert_eq!(statuses(&got), [200, 414, 404, 400, 400, 200]);
    assert_eq!((&got[0]["data"], &got[5]["data"]), (&json!(1), &json!(3)));
    let bad = |n: usize| {
        let text = format!("failed to read request body, number {n}: a key is a string");
        json!({ "key": null, "status": 400, "text": text })
    };
    assert_eq!((&got[3], &got[4]), (&bad(3), &bad(4)));
}

/// As the schemas have it.
#[test]
fn what_is_optional_may_be_null() {
    let node = Node::start();
    let items = json!({ "items": [
        { "key": "a", "data": null, "if_match": null, "if_none_match": null },
        { "key": "b", "data": 1, "expire_time": null },
    ] });
    let put = node.post("/v1/bulk/put", &items.to_string()).json();
    assert_eq!(put["results"][0]["status"], 200);
    // As memhashd has it.
    assert_eq!(put["results"][1]["status"], 400);
    assert_eq!(
        put["results"][1]["text"],
        "failed to read request body, number 1: time: invalid duration \"null\""
    );
    assert_eq!(node.put("/v1/keys/b", "null").status, 200);
}

#[test]
fn a_body_that_is_packed_is_refused() {
    let node = Node::start();
    let put = |coding: &str| {
        let header = format!("Content-Encoding: {coding}\r\n");
        let answer = Raw::connect(node.http).ask("PUT", "/v1/keys/k", &header, r#"{"data":1}"#);
        (answer.0, answer.2)
    };
    for coding in ["gzip", "identity, br", "identity\r\nContent-Encoding: zstd"] {
        let (status, told) = put(coding);
        assert_eq!(status, 415, "{coding}");
        assert!(told.contains("{\"text\":\"Content-Encoding"), "{told}");
        assert_eq!(node.get("/v1/keys/k").status, 404, "{coding}");
    }
    assert_eq!(put("Identity").0, 200);
}

#[test]
fn a_bulk_request_is_bounded() {
    let node = Node::start();
    // A thousand values that are larger together than what waits for one client.
    let value = "v".repeat(10_000);
    let items: Vec<Json> = (0..1000)
        .map(|n| json!({ "key": n.to_string(), "data": value }))
        .collect();
    let put = Raw::connect(node.http).ask(
        "POST",
        "/v1/bulk/put",
        "",
        &json!({ "items": items }).to_string(),
    );
    assert_eq!(put.0, 200);
    let keys: Vec<String> = (0..1000).rev().map(|n| n.to_string()).collect();
    let got = node
        .post("/v1/bulk/get", &json!({ "keys": keys }).to_string())
        .json();
    let results = got["results"].as_array().unwrap();
    assert_eq!(results.len(), 1000);
    for (result, key) in results.iter().zip(&keys) {
        assert_eq!(
            (&result["key"], result["data"].as_str()),
            (&json!(key), Some(value.as_str()))
        );
    }
    let many: Vec<String> = (0..1001).map(|n| n.to_string()).collect();
    assert_eq!(
        node.post("/v1/bulk/get", &json!({ "keys": many }).to_string())
            .status,
        413
    );
    for body in ["{}", r#"{"keys":null}"#, r#"{"keys":1}"#, ""] {
        assert_eq!(node.post("/v1/bulk/get", body).status, 400, "{body}");
    }
    let bad = node.post(
        "/v1/bulk/put",
        r#"{"items":[{"key":"z","data":1},{"data":2}]}"#,
    );
    let results = bad.json();
    assert_eq!(
        results["results"][1],
        json!({ "key": null, "status": 400, "text":
            "failed to read request body, number 1: it has no key" })
    );
    assert_eq!(node.get("/v1/keys/z").status, 200);
    for body in ["{", "{}", "[]", r#"{"items":{"key":"a","data":1}}"#] {
        assert_eq!(node.post("/v1/bulk/put", body).status, 400, "{body}");
    }
}

/// The next event: its name, and its data.
fn next_event(watcher: &mut Raw) -> (String, Json) {
    let (mut name, mut data) = (String::new(), Json::Null);
    loop {
        let line = watcher.line();
        if let Some(found) = line.strip_prefix("event: ") {
            name = found.to_owned();
        } else if let Some(found) = line.strip_prefix("data: ") {
            data = serde_json::from_str(found).unwrap();
        } else if line.is_empty() && !name.is_empty() {
            return (name, data);
        }
    }
}

fn watch(node: &Node, query: &str, headers: &str) -> Raw {
    let mut watcher = Raw::connect(node.http);
    watcher.send(&format!(
        "GET /v1/watch?{query} HTTP/1.1\r\nHost: x\r\n{headers}\r\n"
    ));
    while watcher.line() != ": watching" {}
    watcher
}

#[test]
fn changes_are_told_as_they_happen() {
    let node = Node::start();
    let mut redis = node.redis();
    let (mut all, mut some) = (
        watch(&node, "", ""),
        watch(&node, "prefix=user:&values=true", ""),
    );
    redis.run("SET other 1");
    node.put("/v1/keys/user:1", r#"{"data":["a"]}"#);
    let (name, data) = next_event(&mut some);
    assert_eq!(
        (name.as_str(), &data["key"], &data["data"]),
        ("store", &json!("user:1"), &json!(["a"]))
    );
    assert_eq!(data["meta"]["index"], 1);
    let first = next_event(&mut all).1;
    assert_eq!(
        (&first["key"], &first["data"]),
        (&json!("other"), &Json::Null)
    );
    assert_eq!(next_event(&mut all).1["key"], "user:1");
    redis.run("RPUSH user:1 b");
    assert_eq!(next_event(&mut some).1["data"], json!(["a", "b"]));
    redis.run("DEL user:1");
    let (name, data) = next_event(&mut some);
    assert_eq!((name.as_str(), &data["key"]), ("delete", &json!("user:1")));
    redis.run("SET user:2 x PX 30");
    assert_eq!(next_event(&mut some).0, "store");
    assert_eq!(next_event(&mut some).0, "delete", "its time is up");
    redis.run("FLUSHALL");
    assert_eq!(next_event(&mut some).0, "flush");
    let mut again = watch(&node, "", "Last-Event-ID: 7\r\n");
    assert_eq!(next_event(&mut again).0, "reset");
    assert_eq!(node.get("/v1/watch?values=x").status, 400);
    assert_eq!(
        node.curl("/v1/watch", &["-H", "Accept: application/json"])
            .status,
        406
    );
    // Gone, they leave nothing behind.
    drop((all, some, again));
    wait_until("their connections are closed", || {
        redis.run("CLIENT LIST").text().lines().count() == 1
    });
    assert_eq!(node.heeler.stop().code, Some(0));
}

#[test]
fn a_watcher_that_does_not_read_is_told_and_cut() {
    let node = Node::start();
    let mut redis = node.redis();
    let mut watcher = watch(&node, "", "");
    let key = "k".repeat(60_000);
    for n in 0..1500 {
        redis.run(&format!("SET {n}{key} v"));
    }
    let mut name = String::new();
    while name != "overrun" {
        name = next_event(&mut watcher).0;
    }
    // The answer ends there.
    let rest: Vec<String> = (0..3).map(|_| watcher.line()).collect();
    assert_eq!(rest, ["", "0", ""]);
}

#[test]
fn a_stop_ends_watches_and_answers_what_is_under_way() {
    let node = Node::start();
    let mut watcher = watch(&node, "", "");
    assert_eq!(node.heeler.stop().code, Some(0));
    let mut rest = String::new();
    watcher.0.read_to_string(&mut rest).unwrap();
}

/// What it still has to tell is left: whoever watches again is told to read the keys anew.
#[test]
fn a_stop_ends_a_watch_that_has_much_left_to_tell() {
    let node = Node::start();
    let (mut redis, port) = (node.redis(), node.http);
    let mut watcher = watch(&node, "values=true", "");
    // More than waits in sockets.
    let value = "v".repeat(60_000);
    for n in 0..1000 {
        redis.run(&format!("SET {n} {value}"));
    }
    let reader = thread::spawn(move || {
        wait_until("the stop has begun", || {
            TcpStream::connect(("127.0.0.1", port)).is_err()
        });
        let mut told = String::new();
        watcher.0.read_to_string(&mut told).unwrap();
        told
    });
    assert_eq!(node.heeler.stop().code, Some(0));
    let told = reader.join().unwrap();
    let events = told.matches("\nevent: store\n").count();
    assert!((1..1000).contains(&events), "{events}");
    assert!(told.ends_with("\r\n0\r\n\r\n"), "the answer is whole");
}

#[test]
fn a_stop_ends_a_watch_that_is_told_more_all_the_time() {
    let node = Node::start();
    let mut watcher = watch(&node, "", "");
    let mut writer = TcpStream::connect(("127.0.0.1", node.heeler.port)).unwrap();
    let mut replies = writer.try_clone().unwrap();
    let drain = thread::spawn(move || std::io::copy(&mut replies, &mut std::io::sink()));
    let writer = thread::spawn(move || while writer.write_all(b"SET k v\r\n").is_ok() {});
    let (begun, has_begun) = std::sync::mpsc::channel();
    let reader = thread::spawn(move || {
        let first = next_event(&mut watcher).0;
        begun.send(first).unwrap();
        let mut told = String::new();
        watcher.0.read_to_string(&mut told).unwrap();
        told
    });
    assert_eq!(has_begun.recv().unwrap(), "store");
    assert_eq!(node.heeler.stop().code, Some(0));
    assert!(reader.join().unwrap().ends_with("\r\n0\r\n\r\n"));
    writer.join().unwrap();
    let _ = drain.join().unwrap();
}

#[test]
fn too_much_is_refused() {
    let node = Node::start();
    let mut client = Raw::connect(node.http);
    client.send("PUT /v1/keys/k HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n");
    assert_eq!(client.answer().0, 413);
    let mut client = Raw::connect(node.http);
    client.send("PUT /v1/keys/k HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    let piece = "x".repeat(1 << 20);
    for _ in 0..65 {
        let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
        if client.0.get_mut().write_all(chunk.as_bytes()).is_err() {
            break;
        }
    }
    assert_eq!(client.answer().0, 413);
    let mut client = Raw::connect(node.http);
    let header = format!("X: {}\r\n", "x".repeat(200_000));
    client.send(&format!("GET /v1/keys HTTP/1.1\r\n{header}\r\n"));
    assert_eq!(client.answer().0, 431);
    let mut client = Raw::connect(node.http);
    client.send("no HTTP at all\r\n\r\n");
    assert_eq!(client.answer().0, 400);
    assert_eq!(node.get("/healthz").status, 200);
}

#[test]
fn what_is_served_is_described() {
    let node = Node::start();
    let document = node.get("/v1/openapi.json").json();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 15);
    for (path, item) in paths {
        let real = path
            .replace("{key}", "k")
            .replace("{n}", "0")
            .replace("{name}", "x");
        let allowed = node.curl(&real, &["-X", "OPTIONS"]);
        let allowed = allowed.header("allow").unwrap().to_owned();
        let mut described: Vec<String> = item
            .as_object()
            .unwrap()
            .keys()
            .filter(|name| *name != "parameters")
            .map(|name| name.to_uppercase())
            .collect();
        described.extend(["OPTIONS".to_owned()]);
        described.extend(
            described
                .contains(&"GET".to_owned())
                .then(|| "HEAD".to_owned()),
        );
        let mut served: Vec<String> = allowed.split(", ").map(str::to_owned).collect();
        served.sort();
        described.sort();
        assert_eq!(described, served, "{path}");
        for (method, operation) in item.as_object().unwrap() {
            if method == "parameters" || path == "/v1/watch" {
                continue;
            }
            let answer = node.curl(&real, &["-X", &method.to_uppercase()]);
            let status = answer.status.to_string();
            let known = operation["responses"].as_object().unwrap();
            // What any request may be answered with.
            for status in ["400", "431", "503"] {
                assert!(known.contains_key(status), "{method} {path}: {status}");
            }
            assert!(known.contains_key(&status), "{method} {path}: {status}");
        }
    }
    // All references lead somewhere.
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}

#[test]
fn doors_that_are_named_are_opened_and_no_others() {
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let mut process = Heeler::spawn(&["serve", "-client-addr", &address, "--threads", "1"]);
    process.wait_until_serves(port);
    let answer = curl(&[&format!("http://{address}/v1/keys")]);
    assert_eq!(answer.body, "[]\n");
    let stopped = process.stop();
    assert_eq!(stopped.code, Some(0));
    let told = &stopped.stderr;
    let doors: Vec<&str> = told.lines().filter(|it| it.contains("serving")).collect();
    assert!(doors.len() == 1 && doors[0].contains(&address), "{told}");
    for args in [
        &["serve", "-tls-cert", "c.pem"][..],
        &["serve", "-tls-key", "k.pem"],
        &["serve", "-join", "127.0.0.1:1"],
        &["serve", "-join-retries", "x"],
        &["serve", "-client-addr", "nonsense"],
        &["serve", "-nonsense"],
    ] {
        let stopped = Heeler::spawn(args).wait();
        assert_eq!(stopped.code, Some(2), "{args:?}: {}", stopped.stderr);
    }
    let help = Heeler::spawn(&["serve", "-help"]).wait();
    assert!(help.stdout.contains("--client-addr") && help.stdout.contains("--server-addr"));
}

/// Any JSON.
fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        any::<String>().prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
            prop::collection::vec(any::<String>(), 0..5).prop_map(Json::from),
            prop::collection::btree_map(any::<String>(), inner, 0..5)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
            prop::collection::btree_map(any::<String>(), any::<String>(), 0..5)
                .prop_map(|members| json!(members)),
        ]
    })
}

#[test]
fn any_json_comes_back_as_it_was() {
    let node = Node::start();
    let client = RefCell::new(Raw::connect(node.http));
    let config = ProptestConfig {
        cases: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let done = TestRunner::new(config).run(&any_json(), |json| {
        let ask =
            |method: &str, body: &str| client.borrow_mut().ask(method, "/v1/keys/k", "", body);
        let text = json!({ "data": json }).to_string();
        // What serde_json makes of its own text: it is not exact about the last digit of a number.
        let expected = serde_json::from_str::<Json>(&text).unwrap()["data"].take();
        let (status, _, stored) = ask("PUT", &text);
        prop_assert_eq!(status, 200);
        let (_, _, loaded) = ask("GET", "");
        for body in [stored, loaded] {
            let shown = serde_json::from_str::<Json>(&body).unwrap()["data"].take();
            prop_assert_eq!(&shown, &expected);
        }
        Ok(())
    });
    done.unwrap();
}

#[test]
fn a_password_is_asked_for() {
    let node = Node::start();
    node.put("/v1/keys/k", r#"{"data":"v"}"#);
    node.redis().run("CONFIG SET requirepass s3cret");
    let bulk = ["-d", r#"{"keys":["k"]}"#];
    for (path, args) in [
        ("/v1/keys/k", &[][..]),
        ("/v1/keys", &[]),
        ("/v1/keys?prefix=k", &[]),
        ("/v1/nodes", &[]),
        ("/metrics", &[]),
        ("/v1/watch", &[]),
        ("/v1/bulk/get", &bulk),
        ("/v1/keys/k", &["-u", "default:wrong"]),
        ("/v1/keys/k", &["-u", "other:s3cret"]),
        ("/v1/keys/k", &["-H", "Authorization: Bearer wrong"]),
        ("/v1/keys/k", &["-H", "Authorization: nonsense"]),
    ] {
        let refused = node.curl(path, args);
        assert_eq!(refused.status, 401, "{path} {args:?}");
        assert!(
            refused
                .header("www-authenticate")
                .unwrap()
                .starts_with("Basic ")
        );
        assert!(!refused.body.contains("s3cret"));
    }
    for (path, args) in [
        ("/v1/keys/k", &["-u", "default:s3cret"][..]),
        ("/v1/keys/k", &["-u", ":s3cret"]),
        ("/v1/keys/k", &["-H", "Authorization: Bearer s3cret"]),
        ("/v1/nodes", &["-H", "Authorization: Bearer s3cret"]),
        ("/metrics", &["-H", "Authorization: Bearer s3cret"]),
        ("/healthz", &[]),
        ("/readyz", &[]),
        ("/v1/openapi.json", &[]),
    ] {
        assert_eq!(node.curl(path, args).status, 200, "{path} {args:?}");
    }
    // What one request has proven does not count for the next on the same connection.
    let mut client = Raw::connect(node.http);
    let right = "Authorization: Bearer s3cret\r\n";
    for (header, status) in [
        ("", 401),
        (right, 200),
        (right, 200),
        ("", 401),
        (right, 200),
    ] {
        assert_eq!(client.ask("GET", "/v1/keys/k", header, "").0, status);
    }
}
