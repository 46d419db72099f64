//! Bytes to requests, replies to bytes. Pure: no socket, no clock.

pub mod memcache;
#[cfg(test)]
mod pieces;
pub mod resp;

/// The protocol that a client or a server speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wire {
    /// Redis's.
    #[default]
    Resp,
    /// memcached's text protocol.
    Memcache,
}

impl Wire {
    /// An error of our own as a reply. `text` has no line ends.
    pub fn error(self, text: &str) -> String {
        match self {
            Wire::Resp => format!("-ERR {text}\r\n"),
            Wire::Memcache => format!("SERVER_ERROR {text}\r\n"),
        }
    }
}

/// Whether a server's reply is an error, in either protocol: no reply of one starts as an error of
/// the other does.
#[inline]
pub fn is_error(reply: &[u8]) -> bool {
    match reply.first() {
        Some(b'-') => true,
        Some(b'E' | b'C' | b'S') => memcache::is_error(reply),
        _ => false,
    }
}

/// Finds the replies of one server connection, in whichever protocol the server speaks.
#[derive(Debug)]
pub enum Scanner {
    /// Replies of a Redis.
    Resp(resp::Scanner),
    /// Replies of a memcached.
    Memcache(memcache::Scanner),
}

impl Scanner {
    /// Before the first byte of a connection.
    pub fn new(wire: Wire) -> Scanner {
        match wire {
            Wire::Resp => Scanner::Resp(resp::Scanner::default()),
            Wire::Memcache => Scanner::Memcache(memcache::Scanner::default()),
        }
    }

    /// Reads on in `bytes`, which start with the reply at hand. Returns the reply's length once it
    /// is whole, `None` where more bytes are needed.
    ///
    /// # Errors
    /// What the bytes are instead of a reply.
    #[inline]
    pub fn scan(&mut self, bytes: &[u8]) -> Result<Option<usize>, String> {
        match self {
            Scanner::Resp(scanner) => scanner.scan(bytes).map_err(|fault| fault.to_string()),
            Scanner::Memcache(scanner) => scanner.scan(bytes).map_err(|fault| fault.to_string()),
        }
    }

    /// How many bytes the reply at hand has at least, as far as it is known.
    pub fn expects(&self, bytes: &[u8]) -> usize {
        match self {
            Scanner::Resp(scanner) => scanner.expects(bytes),
            Scanner::Memcache(scanner) => scanner.expects(),
        }
    }
}
