//! A TCP proxy that a test puts before a server, to slow it down.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::servers::free_port;

/// Carries bytes to a port and back, each piece later by the delay that is set. Its threads live as
/// long as the test's process.
pub struct Slow {
    pub port: u16,
    delay_ms: Arc<AtomicU64>,
}

impl Slow {
    /// In front of 127.0.0.1:`to`, without a delay.
    pub fn start(to: u16) -> Slow {
        let port = free_port();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let delay_ms = Arc::new(AtomicU64::new(0));
        let delay = delay_ms.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Nobody behind it: the connection is closed, as a dead server's is reset.
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)) else {
                    continue;
                };
                carry(&client, &server, &delay);
                carry(&server, &client, &Arc::default());
            }
        });
        Slow { port, delay_ms }
    }

    /// From now on.
    pub fn delay(&self, milliseconds: u64) {
        self.delay_ms.store(milliseconds, Ordering::SeqCst);
    }
}

/// A thread that copies one direction until either side is gone; then both are closed.
fn carry(from: &TcpStream, to: &TcpStream, delay_ms: &Arc<AtomicU64>) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    let delay_ms = delay_ms.clone();
    to.set_nodelay(true).unwrap();
    thread::spawn(move || {
        let mut bytes = [0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            thread::sleep(Duration::from_millis(delay_ms.load(Ordering::SeqCst)));
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    });
}
