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

use servers::text_protocol::{answers, told};
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
