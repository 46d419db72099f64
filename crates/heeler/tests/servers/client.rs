//! A minimal RESP client: it sends bytes as they are given and reads replies as they are.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::process::PATIENCE;

/// A blocking connection whose reads end with an error after [`PATIENCE`].
#[derive(Debug)]
pub struct Client {
    stream: BufReader<Stream>,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    fn tcp(&self) -> &TcpStream {
        match self {
            Stream::Plain(tcp) => tcp,
            Stream::Tls(tls) => &tls.sock,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(tcp) => tcp.read(buffer),
            Stream::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(tcp) => tcp.write(bytes),
            Stream::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(tcp) => tcp.flush(),
            Stream::Tls(tls) => tls.flush(),
        }
    }
}

impl Client {
    /// Connects to `host:port`, or to a pair of them.
    pub fn connect(address: impl ToSocketAddrs) -> Client {
        let stream = connect(address).expect("connect");
        Client {
            stream: BufReader::new(Stream::Plain(stream)),
        }
    }

    /// Connects and shakes hands, asking for a certificate of this name.
    ///
    /// # Errors
    /// The handshake fails.
    pub fn over_tls(
        address: impl ToSocketAddrs,
        config: &Arc<ClientConfig>,
        name: &str,
    ) -> io::Result<Client> {
        let mut tcp = connect(address)?;
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut tls = ClientConnection::new(config.clone(), name).unwrap();
        while tls.is_handshaking() {
            tls.complete_io(&mut tcp)?;
        }
        let tls = Box::new(StreamOwned::new(tls, tcp));
        Ok(Client {
            stream: BufReader::new(Stream::Tls(tls)),
        })
    }

    /// What was agreed on in the handshake.
    pub fn tls(&mut self) -> &mut ClientConnection {
        match self.stream.get_mut() {
            Stream::Plain(_) => panic!("no TLS"),
            Stream::Tls(tls) => &mut tls.conn,
        }
    }

    /// Writes the bytes and returns when the kernel has them all.
    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).expect("send");
    }

    /// [`send`](Client::send) where the server may have closed the connection.
    ///
    /// # Errors
    /// It has.
    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)?;
        self.stream.get_mut().flush()
    }

    /// Another hold of the same connection, for a thread that writes while this one reads.
    pub fn writer(&self) -> TcpStream {
        self.stream.get_ref().tcp().try_clone().expect("a handle")
    }

    /// Sends one command and reads its reply.
    pub fn call(&mut self, args: &[&[u8]]) -> Value {
        self.send(&request(args));
        self.read_reply()
    }

    /// [`call`](Client::call) with a command's words parted by blanks: `run("SET k v")`.
    pub fn run(&mut self, words: &str) -> Value {
        let args: Vec<&[u8]> = words.split_ascii_whitespace().map(str::as_bytes).collect();
        self.call(&args)
    }

    /// All that comes up to these bytes, which are left out.
    pub fn read_until(&mut self, end: &[u8]) -> Vec<u8> {
        let mut read = Vec::new();
        while !read.ends_with(end) {
            let last = *end.last().expect("an end");
            let count = self.stream.read_until(last, &mut read).expect("more");
            assert!(count > 0, "closed after {}", read.escape_ascii());
        }
        read.truncate(read.len() - end.len());
        read
    }

    /// A line with its end, where the server may have closed the connection.
    ///
    /// # Errors
    /// It has.
    pub fn try_read_raw_line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        Ok(line)
    }

    /// One reply, or one push.
    pub fn read_reply(&mut self) -> Value {
        Value::parse(&self.read_raw_reply())
    }

    /// The bytes of exactly one reply, or of one push; RESP2 or RESP3.
    pub fn read_raw_reply(&mut self) -> Vec<u8> {
        self.try_read_raw_reply().expect("a reply")
    }

    /// [`read_raw_reply`](Client::read_raw_reply) where the server may have closed the connection.
    ///
    /// # Errors
    /// `UnexpectedEof` on a closed connection, `WouldBlock` on a silent one, `InvalidData` on
    /// bytes that are no reply.
    pub fn try_read_raw_reply(&mut self) -> io::Result<Vec<u8>> {
        let mut raw = Vec::new();
        copy_reply(&mut self.stream, &mut raw)?;
        Ok(raw)
    }

    /// So many bytes.
    pub fn read_exactly(&mut self, count: usize) -> Vec<u8> {
        self.try_read_exactly(count).expect("more bytes")
    }

    /// [`read_exactly`](Client::read_exactly) where the server may have closed the connection.
    ///
    /// # Errors
    /// It has, or sends nothing.
    pub fn try_read_exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Everything that still comes, until the server closes.
    pub fn read_to_close(&mut self) -> Vec<u8> {
        self.try_read_to_close().expect("the server closes")
    }

    /// [`read_to_close`](Client::read_to_close) where the server may stay.
    ///
    /// # Errors
    /// It does, and has sent these bytes.
    pub fn try_read_to_close(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => Ok(rest),
            // A server that closes with our bytes unread resets the connection.
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => Ok(rest),
            Err(e) => Err(io::Error::new(
                e.kind(),
                format!(
                    "the server did not close: {e}; read {}",
                    rest.escape_ascii()
                ),
            )),
        }
    }

    /// Everything that comes until nothing has come for so long, and whether the server has closed
    /// the connection.
    pub fn read_until_silent(&mut self, silence: Duration) -> (Vec<u8>, bool) {
        let mut bytes = Vec::new();
        self.stream
            .get_ref()
            .tcp()
            .set_read_timeout(Some(silence))
            .unwrap();
        let end = self.stream.read_to_end(&mut bytes);
        self.stream
            .get_ref()
            .tcp()
            .set_read_timeout(Some(PATIENCE))
            .unwrap();
        let silent = end.is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock);
        (bytes, !silent)
    }

    /// Says that nothing more will be sent; replies can still be read.
    pub fn close_writing(&mut self) {
        if let Stream::Tls(tls) = self.stream.get_mut() {
            tls.conn.send_close_notify();
            tls.conn.complete_io(&mut tls.sock).unwrap();
            return;
        }
        self.stream
            .get_ref()
            .tcp()
            .shutdown(Shutdown::Write)
            .unwrap();
    }
}

fn connect(address: impl ToSocketAddrs) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A command as an array of bulk strings.
pub fn request(args: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        bytes.extend_from_slice(arg);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// A reply, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `+`
    Status(String),
    /// `-`, and `!` of RESP3
    Error(String),
    /// `:`
    Int(i64),
    /// `$`
    Bulk(Vec<u8>),
    /// `$-1`, `*-1`, and `_` of RESP3
    Null,
    /// `*`
    Array(Vec<Value>),
    /// `%`
    Map(Vec<(Value, Value)>),
    /// `~`
    Set(Vec<Value>),
    /// `,`
    Double(f64),
    /// `#`
    Bool(bool),
    /// `(`, in its digits
    Big(String),
    /// `=`, its format and its text
    Verbatim(String, String),
    /// `>`
    Push(Vec<Value>),
}

impl Value {
    /// Takes the bytes of exactly one reply apart. Attributes before it are dropped.
    ///
    /// Panics on anything else: a test's server has broken the protocol.
    pub fn parse(raw: &[u8]) -> Value {
        let mut rest = raw;
        let value = parse_value(&mut rest);
        assert!(
            rest.is_empty(),
            "bytes after a reply: {:?}",
            rest.escape_ascii().to_string()
        );
        value
    }

    /// A bulk string.
    pub fn bulk(bytes: impl AsRef<[u8]>) -> Value {
        Value::Bulk(bytes.as_ref().to_vec())
    }

    /// `+OK`
    pub fn ok() -> Value {
        Value::Status("OK".into())
    }

    /// The bytes of a bulk string or the text of a status or an error; panics for other values.
    pub fn text(&self) -> String {
        match self {
            Value::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Value::Status(text) | Value::Error(text) | Value::Verbatim(_, text) => text.clone(),
            other => panic!("no text: {other:?}"),
        }
    }
}

/// Copies the bytes of one reply, with the attributes before it.
fn copy_reply(from: &mut impl BufRead, out: &mut Vec<u8>) -> io::Result<()> {
    let start = out.len();
    if from.read_until(b'\n', out)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let line = &out[start..];
    if !line.ends_with(b"\r\n") {
        return Err(invalid(line));
    }
    let count = || -> io::Result<usize> {
        let digits = std::str::from_utf8(&line[1..line.len() - 2]).map_err(|_| invalid(line))?;
        let count: i64 = digits.parse().map_err(|_| invalid(line))?;
        Ok(count.max(0) as usize)
    };
    let parts = match line[0] {
        b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => 0,
        b'$' | b'=' | b'!' if &line[1..] == b"-1\r\n" => 0,
        b'$' | b'=' | b'!' => {
            let body = count()? as u64 + 2;
            if from.take(body).read_to_end(out)? as u64 != body {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            0
        }
        b'*' | b'~' | b'>' => count()?,
        b'%' => 2 * count()?,
        b'|' => 2 * count()? + 1,
        _ => return Err(invalid(line)),
    };
    for _ in 0..parts {
        copy_reply(from, out)?;
    }
    Ok(())
}

fn invalid(line: &[u8]) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("no reply: {}", line.escape_ascii()),
    )
}

fn parse_value(rest: &mut &[u8]) -> Value {
    let line = take_line(rest);
    let text = String::from_utf8_lossy(&line[1..]).into_owned();
    let number = || {
        text.parse::<i64>()
            .unwrap_or_else(|_| panic!("no number: {text:?}"))
    };
    match line[0] {
        b'+' => Value::Status(text),
        b'-' => Value::Error(text),
        b':' => Value::Int(number()),
        b'$' | b'*' if text == "-1" => Value::Null,
        b'$' => Value::Bulk(take_body(rest, number()).to_vec()),
        b'*' => Value::Array(parse_values(rest, number())),
        b'_' => Value::Null,
        b'%' => Value::Map(parse_pairs(rest, number())),
        b'~' => Value::Set(parse_values(rest, number())),
        b'>' => Value::Push(parse_values(rest, number())),
        b',' => Value::Double(
            text.parse()
                .unwrap_or_else(|_| panic!("no double: {text:?}")),
        ),
        b'#' => Value::Bool(text == "t"),
        b'(' => Value::Big(text),
        b'!' => Value::Error(String::from_utf8_lossy(take_body(rest, number())).into_owned()),
        b'=' => {
            let body = String::from_utf8_lossy(take_body(rest, number())).into_owned();
            let (format, text) = body.split_once(':').expect("a verbatim string's format");
            Value::Verbatim(format.into(), text.into())
        }
        b'|' => {
            parse_pairs(rest, number());
            parse_value(rest)
        }
        other => panic!("no reply starts with {:?}", other as char),
    }
}

fn parse_values(rest: &mut &[u8], count: i64) -> Vec<Value> {
    (0..count).map(|_| parse_value(rest)).collect()
}

fn parse_pairs(rest: &mut &[u8], count: i64) -> Vec<(Value, Value)> {
    (0..count)
        .map(|_| (parse_value(rest), parse_value(rest)))
        .collect()
}

fn take_line<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let end = rest
        .windows(2)
        .position(|w| w == b"\r\n")
        .expect("a whole line");
    assert!(end > 0, "an empty line is no reply");
    let line = &rest[..end];
    *rest = &rest[end + 2..];
    line
}

fn take_body<'a>(rest: &mut &'a [u8], len: i64) -> &'a [u8] {
    let (body, after) = rest.split_at(len as usize);
    *rest = after.strip_prefix(b"\r\n").expect("CR LF after a body");
    body
}
