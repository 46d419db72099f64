//! Requests by curl.
#![allow(dead_code, reason = "each test file uses a part of this module")]

use std::process::Command;

use serde_json::Value as Json;

/// What curl has got.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    head: String,
    pub bytes: Vec<u8>,
    /// The same as text.
    pub body: String,
}

impl Answer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut named = lines.filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value)
    }

    /// The first line.
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap()
    }

    /// The body, which is JSON.
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

/// Runs `curl -s -i` with these arguments.
pub fn curl(args: &[&str]) -> Answer {
    let all = [&["-s", "-i", "-g", "-m", "10"][..], args].concat();
    let out = Command::new("curl").args(all).output();
    let out = out.expect("curl is not there: install the Debian package curl");
    assert!(out.status.success(), "curl {args:?}: {out:?}");
    let end = out.stdout.windows(4).position(|w| w == b"\r\n\r\n");
    let (head, body) = out.stdout.split_at(end.expect("a head") + 4);
    let head = String::from_utf8(head.to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer {
        status,
        head,
        body: String::from_utf8_lossy(body).into_owned(),
        bytes: body.to_vec(),
    }
}
