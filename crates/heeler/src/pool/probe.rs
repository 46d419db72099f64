//! Asking a server whether it is alive, on a connection of its own.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::limits;
use crate::socket::Stream;

/// What is asked. Each answer is one line that ends in CR LF, so that one reader does for RESP
/// (`+PONG`, `-LOADING …`) and for memcached (`VERSION 1.6.18`).
#[derive(Clone, Debug)]
pub struct Question {
    /// The requests, one after the other.
    pub bytes: Vec<u8>,
    /// How many there are.
    pub count: usize,
}

/// Answers of a server that is there, but cannot be used yet: it loads its data, has lost its
/// master, is kept busy by a script, or takes no more connections.
const NOT_YET: [&str; 5] = [
    "-LOADING",
    "-MASTERDOWN",
    "-BUSY",
    "-ERR max number of clients",
    "ERROR Too many open connections",
];

/// Asks, and returns the lines of the answer.
///
/// # Errors
/// The connection is lost, or what comes is no answer.
pub async fn ask(stream: &mut Stream, question: &Question) -> io::Result<Vec<String>> {
    stream.write_all(&question.bytes).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    loop {
        let (lines, whole) = lines(&answer);
        let full = lines.len() >= question.count || answer.len() > limits::PROBE_BYTES;
        match lines.len() == question.count && whole {
            true => return Ok(lines),
            false if full => return Err(io::Error::other("the answer to a probe is none")),
            false => {}
        }
        if stream.read_buf(&mut answer).await? > 0 {
            continue;
        }
        // What a server says before it hangs up is why.
        return match lines.is_empty() {
            true => Err(io::ErrorKind::UnexpectedEof.into()),
            false => Ok(lines),
        };
    }
}

/// The whole lines of the bytes, and whether nothing follows them.
fn lines(bytes: &[u8]) -> (Vec<String>, bool) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines: Vec<String> = text.split("\r\n").map(str::to_owned).collect();
    let rest = lines.pop();
    (lines, rest.is_none_or(|rest| rest.is_empty()))
}

/// Whether a server that answers so can be used: any answer says that it is alive, unless it says
/// itself that it is not ready.
///
/// # Errors
/// What it says.
pub fn is_ready(lines: &[String]) -> Result<(), String> {
    let not_yet = |line: &&String| NOT_YET.iter().any(|text| line.starts_with(text));
    match lines.iter().find(not_yet) {
        Some(line) => Err(line.clone()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_answer_is_a_sign_of_life_but_not_yet() {
        let ready = |line: &str| is_ready(&["+OK".to_owned(), line.to_owned()]).is_ok();
        for line in [
            "+PONG",
            "-NOAUTH Authentication required.",
            "-NOPERM this user has no permissions to run the 'ping' command",
            "-READONLY You can't write against a read only replica.",
            "VERSION 1.6.18",
        ] {
            assert!(ready(line), "{line}");
        }
        for line in [
            "-LOADING Redis is loading the dataset in memory",
            "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
            "-BUSY Redis is busy running a script.",
            "-ERR max number of clients reached",
            "ERROR Too many open connections",
        ] {
            assert!(!ready(line), "{line}");
        }
    }

    #[test]
    fn an_answer_is_read_line_by_line() {
        assert_eq!(lines(b""), (vec![], true));
        assert_eq!(lines(b"+PO"), (vec![], false));
        assert_eq!(lines(b"+PONG\r"), (vec![], false));
        assert_eq!(lines(b"+PONG\r\n"), (vec!["+PONG".to_owned()], true));
        let both = vec!["+OK".to_owned(), "+PONG".to_owned()];
        assert_eq!(lines(b"+OK\r\n+PONG\r\n+"), (both, false));
    }
}
