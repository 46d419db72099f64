//! Requests without reply, and servers that reply to them all the same.

use crate::fake_memcached::Fake;
use crate::{proxy, told};

/// A server that refuses everything but get, with an error also where none is wanted.
fn refusing() -> Fake {
    Fake::start(|_, request| match request.split([' ', '\r']).nth(1) {
        Some(key) if request.starts_with("get") => {
            format!("VALUE {key} 0 {}\r\n{key}\r\nEND\r\n", key.len()).into_bytes()
        }
        _ if request.starts_with("ms") => b"SERVER_ERROR no\r\n".to_vec(),
        _ => b"CLIENT_ERROR no\r\n".to_vec(),
    })
}

#[test]
fn an_error_that_nobody_wants_reaches_nobody() {
    let fake = refusing();
    let proxy = proxy(&[], &[fake.address()]);
    let mut script = String::new();
    let mut expected = String::new();
    for i in 0..50 {
        script += &format!(
            "set s{i} 0 0 1 noreply\r\nx\r\nget a{i}\r\nincr n{i} 1 noreply\r\n\
             flush_all noreply\r\nms m{i} 1 q\r\nx\r\nget b{i}\r\ndelete d{i} noreply\r\n"
        );
        for key in [format!("a{i}"), format!("b{i}")] {
            let error = if key.starts_with('b') {
                r"SERVER_ERROR no\r\n"
            } else {
                ""
            };
            let length = key.len();
            expected += &format!(r"{error}VALUE {key} 0 {length}\r\n{key}\r\nEND\r\n");
        }
    }
    for _ in 0..3 {
        let answer = told(proxy.port, &script);
        assert_eq!(answer[..1000], expected[..1000]);
    }
    let silent = |request: &String| request.contains("noreply") || request.contains(" q");
    assert!(
        !fake.requests().iter().any(silent),
        "a server was told not to reply"
    );
}

#[test]
fn a_pipeline_of_requests_without_reply_is_answered_by_its_end() {
    let fake = refusing();
    let proxy = proxy(&[], &[fake.address()]);
    let sets = "set k 0 0 1 noreply\r\nx\r\n".repeat(10_000);
    let answer = told(proxy.port, format!("{sets}mn\r\n"));
    assert_eq!(answer, r"MN\r\n");
    assert_eq!(fake.requests().len(), 10_000);
}
