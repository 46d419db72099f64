//! One connection that sends some requests and waits for the replies to all of them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// Requests that are sent at a time.
pub const BATCH: u64 = 16;

/// How long a reply may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The connection.
pub struct Client {
    stream: TcpStream,
    reply: Vec<u8>,
}

impl Client {
    /// Connects to a port of 127.0.0.1.
    pub fn connect(port: u16) -> Result<Client> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Client {
            stream,
            reply: vec![0; 64 * 1024],
        })
    }

    /// Sends so many requests, each of which is answered by a line that is no error. Returns how
    /// long the replies took.
    pub fn exchange(&mut self, requests: &[u8], count: usize) -> Result<Duration> {
        let sent = Instant::now();
        self.stream.write_all(requests)?;
        let mut lines = count;
        while lines > 0 {
            let reply = read(&mut self.stream, &mut self.reply)?;
            let is_error = |line: &[u8]| line.starts_with(b"-") || line.starts_with(b"SERVER_");
            ensure!(
                !reply.split(|byte| *byte == b'\n').any(is_error),
                "{}",
                String::from_utf8_lossy(reply)
            );
            let read = reply.iter().filter(|byte| **byte == b'\n').count();
            lines = usize::checked_sub(lines, read).context("more replies than requests")?;
        }
        Ok(sent.elapsed())
    }

    /// Sends requests, and waits for replies of so many bytes, whatever they say.
    pub fn exchange_bytes(&mut self, requests: &[u8], bytes: usize) -> Result<()> {
        self.stream.write_all(requests)?;
        let mut missing = bytes;
        while missing > 0 {
            let read = read(&mut self.stream, &mut self.reply)?.len();
            missing = usize::checked_sub(missing, read).context("longer replies than before")?;
        }
        Ok(())
    }

    /// Sends requests to a server that speaks the Redis protocol, none of which fails; how many
    /// bytes the replies are.
    pub fn length_of_replies(&mut self, requests: &[u8]) -> Result<usize> {
        self.stream.write_all(requests)?;
        self.stream.write_all(b"PING\r\n")?;
        let (mut replies, end) = (Vec::new(), b"+PONG\r\n");
        while !replies.ends_with(end) {
            replies.extend_from_slice(read(&mut self.stream, &mut self.reply)?);
        }
        let is_error = |line: &[u8]| line.starts_with(b"-");
        let error = replies
            .split(|byte| *byte == b'\n')
            .find(|line| is_error(line));
        ensure!(
            error.is_none(),
            "{}",
            String::from_utf8_lossy(error.unwrap_or_default())
        );
        Ok(replies.len() - end.len())
    }

    /// A number that INFO has, of a server that speaks the Redis protocol: of the section `memory`
    /// the number `used_memory`.
    pub fn told(&mut self, section: &str, name: &str) -> Result<f64> {
        write!(self.stream, "INFO {section}\r\nPING\r\n")?;
        let mut text = String::new();
        while !text.ends_with("+PONG\r\n") {
            let reply = read(&mut self.stream, &mut self.reply)?;
            text.push_str(&String::from_utf8_lossy(reply));
        }
        let mut lines = text.lines();
        let number = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = number.with_context(|| format!("INFO {section} has no {name}"))?;
        let is = || format!("{name} is {number}");
        number.parse().with_context(is)
    }
}

fn read<'a>(stream: &mut TcpStream, into: &'a mut [u8]) -> Result<&'a [u8]> {
    let len = stream.read(into)?;
    ensure!(len > 0, "the server has closed the connection");
    Ok(&into[..len])
}

/// Adds a request of the Redis protocol, whose words are parted by blanks.
pub fn push(request: &str, out: &mut Vec<u8>) {
    let words = request.split(' ');
    let mut text = format!("*{}\r\n", words.clone().count());
    for word in words {
        text += &format!("${}\r\n{word}\r\n", word.len());
    }
    out.extend_from_slice(text.as_bytes());
}
