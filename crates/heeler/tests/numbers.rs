//! What a process tells of its commands: metrics by family, and the slow log.

mod servers;

#[path = "numbers/exposition.rs"]
mod exposition;
#[path = "numbers/metrics.rs"]
mod metrics;
#[path = "numbers/slowlog.rs"]
mod slowlog;

use servers::{Heeler, RedisServer, ask, free_port, wait_until};

/// A process with its admin port.
struct Told {
    heeler: Heeler,
    admin: u16,
}

/// A proxy with one pool, `herd`.
fn proxy(settings: &[&str], addresses: &[String], args: &[&str]) -> Told {
    let (port, admin) = (free_port(), free_port());
    let listen = format!("127.0.0.1:{port}");
    let file = servers::pool("herd", &listen, settings, addresses);
    let address = format!("127.0.0.1:{admin}");
    let args = [&["--admin", &address], args].concat();
    Told {
        heeler: Heeler::proxy(port, &file, &args),
        admin,
    }
}

fn store(args: &[&str]) -> Told {
    let admin = free_port();
    let address = format!("127.0.0.1:{admin}");
    Told {
        heeler: Heeler::serve(&[&["--admin", &address], args].concat()),
        admin,
    }
}

/// A proxy over two redis-servers.
fn over_two(settings: &[&str], threads: &str) -> ([RedisServer; 2], Told) {
    let servers = [RedisServer::start(), RedisServer::start()];
    let addresses = servers.each_ref().map(RedisServer::address);
    let settings = [&["redis: true", "hash: md5"], settings].concat();
    let proxy = proxy(&settings, &addresses, &["--threads", threads]);
    (servers, proxy)
}

impl Told {
    /// Waits until so many requests wait for the first server of the pool.
    fn wait_until_unanswered(&self, requests: u64) {
        let labels = "{pool=\"herd\",server=\"s0\"}";
        let sample = format!("heeler_server_unanswered_requests{labels} {requests}\n");
        wait_until("they wait for the server", || {
            self.get("/metrics").contains(&sample)
        });
    }

    /// What `GET` answers.
    fn get(&self, path: &str) -> String {
        let (status, body) = ask(self.admin, "GET", path);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }
}
