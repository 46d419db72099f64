//! The command table and everything that is said from it, against a real redis-server.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command as Program, Stdio};
use std::time::{Duration, Instant};

use heeler::command::{Arg, Command, Reply};

/// Bytes that Redis answers to a request, errors and all, must be those that the table's own
/// functions make.
#[test]
fn unknown_words_and_wrong_numbers_of_arguments_get_the_texts_of_redis() {
    let mut redis = Redis::start();
    let a = |n: usize| "a".repeat(n);
    let long = [a(50), a(50), a(50), a(50)];
    let long: Vec<&[u8]> = long.iter().map(|a| a.as_bytes()).collect();
    for tail in 120..132 {
        redis.same_error(&[b"foo", a(tail).as_bytes(), b"second", b"third"]);
    }
    for name in [1, 127, 128, 129, 1000] {
        redis.same_error(&[a(name).as_bytes(), b"x"]);
        redis.same_error(&[b"config", a(name).as_bytes(), b"x"]);
    }
    redis.same_error(&[&[b"foo".as_slice()][..], &long].concat());
    let requests: &[&[&[u8]]] = &[
        &[b"foo"],
        &[b"foo", b"a", b"b"],
        &[b"", b""],
        &[b"foo", b"", b"b"],
        &[b"f\xffo", b"\x01\x80", b"it's \"q\""],
        &[b"a\0b", b"c\0d", b"e"],
        &[b"two\nlines\r", b"\r\n"],
        &["größe".as_bytes(), "ключ".as_bytes()],
        &[b"config|get", b"x"],
        &[b"config|get|x"],
        &[b"get|x", b"y"],
        &[b"ge"],
        &[b"gett", b"y"],
        &[b"CONFIG"],
        &[b"config", b"x"],
        &[b"Config", b"Zz", b"y"],
        &[b"config", b""],
        &[b"config", b"get\0", b"x"],
        &[b"config", b"x\r\n\xff"],
        &[b"command", b"x"],
        &[b"config", b"get"],
        &[b"CoNfIg", b"GeT"],
        &[b"object", b"encoding"],
        &[b"object", b"encoding", b"a", b"b"],
        &[b"memory", b"usage"],
        &[b"get"],
        &[b"GET", b"a", b"b"],
        &[b"mset", b"a"],
        &[b"restore-asking", b"a"],
        &[b"BITFIELD_RO"],
    ];
    for request in requests {
        redis.same_error(request);
    }
}

#[test]
fn names_are_found_in_any_case() {
    for spec in heeler::command::TABLE {
        for name in [spec.name.to_uppercase(), spec.name.to_lowercase()] {
            let words: Vec<&[u8]> = name.split('|').map(str::as_bytes).collect();
            let found = heeler::command::resolve(words[0], words.get(1).copied());
            assert_eq!(found.map(|s| s.id), Ok(spec.id), "{name}");
        }
    }
}

/// A request as a wire would hand it on: RESP bytes and the places of the words in them.
struct Request {
    raw: Vec<u8>,
    args: Vec<Arg>,
}

impl Request {
    fn new(words: &[&[u8]]) -> Request {
        let mut raw = format!("*{}\r\n", words.len()).into_bytes();
        let mut args = Vec::new();
        for word in words {
            raw.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            let start = raw.len() as u32;
            raw.extend_from_slice(word);
            args.push(Arg {
                start,
                end: raw.len() as u32,
            });
            raw.extend_from_slice(b"\r\n");
        }
        Request { raw, args }
    }

    fn resolve(&self) -> Result<Command<'_>, Reply> {
        Command::resolve(&self.raw, &self.args)
    }
}

/// What a server answers, or what a [`Reply`] says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Null,
    Status(Vec<u8>),
    Error(Vec<u8>),
    Int(i64),
    Bulk(Vec<u8>),
    Array(Vec<Value>),
    Map(Vec<(Value, Value)>),
    Set(Vec<Value>),
}

impl From<&Reply> for Value {
    fn from(reply: &Reply) -> Value {
        let all = |of: &[Reply]| of.iter().map(Value::from).collect();
        match reply {
            Reply::Status(s) => Value::Status(s.as_bytes().to_vec()),
            Reply::Error(e) => Value::Error(e.as_bytes().to_vec()),
            Reply::Int(n) => Value::Int(*n),
            Reply::Bulk(b) => Value::Bulk(b.to_vec()),
            Reply::Null | Reply::NullArray => Value::Null,
            Reply::Array(of) => Value::Array(all(of)),
            Reply::Set(of) => Value::Set(all(of)),
            Reply::Map(of) => Value::Map(of.iter().map(|(k, v)| (k.into(), v.into())).collect()),
            Reply::Raw(raw) => read_value(&mut raw.as_ref()),
            Reply::Double(_) | Reply::Bool(_) | Reply::Text(_) => panic!("not here: {reply:?}"),
        }
    }
}

fn read_value(from: &mut impl BufRead) -> Value {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line)
        .expect("a line of the server's reply");
    let body = line
        .strip_suffix(b"\r\n")
        .expect("a line that ends in CR LF");
    let (kind, text) = body.split_first().expect("a line that is not empty");
    let number = || std::str::from_utf8(text).unwrap().parse::<i64>().unwrap();
    let mut next = |_| read_value(from);
    match kind {
        b'+' => Value::Status(text.to_vec()),
        b'-' => Value::Error(text.to_vec()),
        b':' => Value::Int(number()),
        b'_' => Value::Null,
        b'*' | b'$' if number() < 0 => Value::Null,
        b'*' => Value::Array((0..number()).map(next).collect()),
        b'~' => Value::Set((0..number()).map(next).collect()),
        b'%' => Value::Map((0..number()).map(|i| (next(i), next(i))).collect()),
        b'$' => {
            let mut bytes = vec![0; number() as usize + 2];
            from.read_exact(&mut bytes).expect("a bulk string");
            bytes.truncate(bytes.len() - 2);
            Value::Bulk(bytes)
        }
        _ => panic!("unexpected reply line {:?}", String::from_utf8_lossy(&line)),
    }
}

/// A redis-server of this test's own, killed when the test is done.
struct Redis {
    child: Child,
    connection: BufReader<TcpStream>,
}

impl Redis {
    fn start() -> Redis {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|l| l.local_addr())
            .expect("a free port")
            .port();
        let mut child = Program::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server must be installed for this test (Debian: redis-server)");
        let deadline = Instant::now() + Duration::from_secs(30);
        let connection = loop {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(connection) => break BufReader::new(connection),
                Err(e) if Instant::now() > deadline => {
                    let _ = child.kill();
                    panic!("redis-server did not answer on port {port}: {e}");
                }
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        Redis { child, connection }
    }

    fn ask(&mut self, words: &[&[u8]]) -> Value {
        let request = Request::new(words);
        self.connection
            .get_mut()
            .write_all(&request.raw)
            .expect("to write to redis-server");
        read_value(&mut self.connection)
    }

    fn same_error(&mut self, words: &[&[u8]]) {
        let theirs = self.ask(words);
        let shown: Vec<_> = words.iter().map(|w| String::from_utf8_lossy(w)).collect();
        let request = Request::new(words);
        let ours = request.resolve().expect_err("a request that Redis refuses");
        assert!(ours.is_error());
        assert_eq!(Value::from(&ours), theirs, "{shown:?}");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
