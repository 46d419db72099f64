//! A real redis-server beside the store, for tests that compare their replies.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command as Process, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use heeler::command::{Arg, Command, OwnedCommand, Reply};
use heeler::store::Store;
use heeler::wire::resp::{self, Protocol};

/// A redis-server with one database, killed on drop, and a connection to it.
pub struct Redis {
    process: Child,
    stream: BufReader<TcpStream>,
}

impl Redis {
    /// Starts one, and says HELLO if the protocol needs it.
    pub fn start(protocol: Protocol) -> Redis {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let mut process = Process::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--databases", "1"])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server must be installed: these tests compare with it");
        let give_up = Instant::now() + Duration::from_secs(20);
        let stream = loop {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > give_up => {
                    let _ = process.kill();
                    panic!("redis-server on port {port} does not answer: {error}");
                }
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        stream.set_nodelay(true).unwrap();
        let stream = BufReader::new(stream);
        let mut redis = Redis { process, stream };
        if protocol == Protocol::Resp3 {
            redis.call(&[b"HELLO".to_vec(), b"3".to_vec()]);
        }
        redis
    }

    /// Sends a command; returns the bytes of the reply.
    pub fn call(&mut self, words: &[Vec<u8>]) -> Vec<u8> {
        let mut request = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            request.extend(format!("${}\r\n", word.len()).bytes());
            request.extend(word);
            request.extend(b"\r\n");
        }
        self.stream.get_mut().write_all(&request).unwrap();
        let mut reply = Vec::new();
        self.read_reply(&mut reply);
        reply
    }

    fn read_reply(&mut self, reply: &mut Vec<u8>) {
        let start = reply.len();
        self.stream.read_until(b'\n', reply).unwrap();
        let line = String::from_utf8_lossy(&reply[start + 1..reply.len() - 2]).into_owned();
        let number: i64 = match reply[start] {
            b'$' | b'*' | b'~' | b'%' | b'=' => line.parse().unwrap(),
            _ => return,
        };
        match reply[start] {
            b'$' | b'=' if number >= 0 => {
                let end = reply.len();
                reply.resize(end + number as usize + 2, 0);
                self.stream.read_exact(&mut reply[end..]).unwrap();
            }
            b'*' | b'~' => (0..number).for_each(|_| self.read_reply(reply)),
            b'%' => (0..2 * number).for_each(|_| self.read_reply(reply)),
            _ => {}
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Resolves a command and runs it on the store, at the time that it is.
pub fn execute(store: &Store, words: &[Vec<u8>]) -> Reply {
    match resolve(words) {
        Ok(command) => store.execute(now(), &command.as_command()),
        Err(reply) => reply,
    }
}

/// A command of the table, or the reply if it is none or has the wrong number of arguments.
pub fn resolve(words: &[Vec<u8>]) -> Result<OwnedCommand, Reply> {
    let (mut raw, mut args) = (Vec::new(), Vec::new());
    for word in words {
        let start = raw.len() as u32;
        raw.extend_from_slice(word);
        let end = raw.len() as u32;
        args.push(Arg { start, end });
    }
    Command::resolve(&raw, &args).map(|command| command.to_owned())
}

/// The time, in milliseconds since 1970.
pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_millis() as u64
}

/// A command for people.
pub fn show(words: &[Vec<u8>]) -> String {
    let word = |w: &Vec<u8>| match w.len() {
        0 => "\"\"".to_owned(),
        1..=200 => w.escape_ascii().to_string(),
        len => format!("({len} bytes)"),
    };
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// The bytes of a reply on the wire.
pub fn encode(reply: &Reply, protocol: Protocol) -> Vec<u8> {
    let mut bytes = Vec::new();
    resp::encode(reply, protocol, &mut bytes);
    bytes
}

/// A word, in which `\xNN` and `""` may stand.
pub fn word(text: &str) -> Vec<u8> {
    if text == "\"\"" {
        return Vec::new();
    }
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("\\x") {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        bytes.push(u8::from_str_radix(&rest[at + 2..at + 4], 16).unwrap());
        rest = &rest[at + 4..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}
