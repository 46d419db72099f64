//! `heeler serve --memcached`: the same bytes in and out as with a real memcached, and the same
//! keys as through the Redis door.

mod servers;

#[path = "memcached_door/beside_memcached.rs"]
mod beside_memcached;
#[path = "memcached_door/differential.rs"]
mod differential;
#[path = "memcached_door/doors.rs"]
mod doors;
#[path = "memcached_door/ring.rs"]
mod ring;
#[path = "memcached_door/server.rs"]
mod server;

use servers::{Client, Heeler, free_port};

/// A store with both doors.
struct Node {
    heeler: Heeler,
    /// Where memcached's protocol is spoken.
    port: u16,
}

impl Node {
    fn start(args: &[&str]) -> Node {
        let port = free_port();
        let address = format!("127.0.0.1:{port}");
        let mut all = vec!["--threads", "1", "--memcached", &address];
        all.extend(args);
        Node {
            heeler: Heeler::serve(&all),
            port,
        }
    }

    fn client(&self) -> Client {
        Client::connect(("127.0.0.1", self.port))
    }
}

/// All that is answered to these bytes and a `quit` after them, on a connection of their own.
fn answers(port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut client = Client::connect(("127.0.0.1", port));
    client.send(bytes);
    client.send(b"quit\r\n");
    client.read_to_close()
}

/// [`answers`] as text of one line; long ones are cut.
fn told(port: u16, bytes: impl AsRef<[u8]>) -> String {
    let text = answers(port, bytes.as_ref()).escape_ascii().to_string();
    match text.char_indices().nth(3000) {
        Some((cut, _)) => format!("{}… {} bytes", &text[..cut], text.len()),
        None => text,
    }
}
