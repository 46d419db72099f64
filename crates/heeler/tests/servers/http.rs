//! Questions over HTTP.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::process::PATIENCE;

/// Asks 127.0.0.1:`port`: the status and the body of the answer.
pub fn ask(port: u16, method: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect(&text);
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
    (status.expect(head), body.into())
}
