//! The process: how it starts, and how it stops.

use rustix::process::Signal;

use crate::servers::{ConfigFile, Heeler, Value, free_port};
use crate::{addresses, pool, proxy, redis_servers};

#[test]
fn a_stop_answers_what_is_in_flight() {
    let servers = redis_servers(2);
    let proxy = proxy(&["hash: md5"], &addresses(&servers));
    let mut clients = [(); 4].map(|()| proxy.client());
    for client in &mut clients {
        assert_eq!(client.run("MSET a 1 b 2 c 3 d 4 e 5"), Value::ok());
    }
    for server in &servers {
        server.process.signal(Signal::STOP);
    }
    for client in &mut clients {
        // The answer to PING shows that the requests beside it are on their way.
        client.send(b"PING\r\nGET a\r\nMGET a b c d e\r\n");
        assert_eq!(client.read_reply(), Value::Status("PONG".into()));
    }
    proxy.process.signal(Signal::TERM);
    crate::wait_until("it stops", || proxy.process.stderr().contains("stopping"));
    for server in &servers {
        server.process.signal(Signal::CONT);
    }
    for client in &mut clients {
        assert_eq!(client.read_reply(), Value::bulk("1"));
        let all = ["1", "2", "3", "4", "5"].map(Value::bulk).to_vec();
        assert_eq!(client.read_reply(), Value::Array(all));
        assert_eq!(client.read_to_close(), b"");
    }
    assert_eq!(proxy.process.wait().code, Some(0));
}

#[test]
fn a_stop_does_not_wait_for_idle_clients() {
    for signal in [Signal::TERM, Signal::INT] {
        let servers = redis_servers(1);
        let proxy = proxy(&[], &addresses(&servers));
        let mut idle = [(); 10].map(|()| proxy.client());
        assert_eq!(idle[0].run("PING"), Value::Status("PONG".into()));
        let mut begun = proxy.client();
        begun.send(b"*2\r\n$3\r\nGET\r\n$1\r\n");
        proxy.process.signal(signal);
        let stopped = proxy.process.wait();
        assert_eq!(stopped.code, Some(0));
        assert!(
            !stopped.stderr.contains("did not take"),
            "{}",
            stopped.stderr
        );
        assert!(stopped.stderr.contains("stopped"), "{}", stopped.stderr);
        assert_eq!(idle[1].read_to_close(), b"");
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let servers = redis_servers(1);
    let port = free_port();
    let taken = servers[0].address();
    let file = pool(
        "one",
        &format!("127.0.0.1:{port}"),
        &[],
        &addresses(&servers),
    ) + &pool("two", &taken, &[], &addresses(&servers));
    let file = ConfigFile::new(&file);
    let stopped = Heeler::spawn(&["proxy", "-c", file.path()]).wait();
    assert_eq!(stopped.code, Some(1));
    let told = format!("cannot listen on {taken}: Address already in use");
    assert!(stopped.stderr.contains(&told), "{}", stopped.stderr);
    assert!(
        stopped.stderr.contains("Address already in use"),
        "{}",
        stopped.stderr
    );
}

#[test]
fn a_bad_file_is_told_with_its_place() {
    let file = ConfigFile::new(
        "pool:\n  listen: 127.0.0.1:22121\n  redis: true\n  hash: md6\n  servers:\n   \
         - 127.0.0.1:6379:1\n",
    );
    for args in [&["proxy", "-c"][..], &["proxy", "-t", "-c"]] {
        let stopped = Heeler::spawn(&[args, &[file.path()]].concat()).wait();
        assert_eq!(stopped.code, Some(1));
        let place = format!("{}:4:9", file.path());
        assert!(stopped.stderr.contains(&place), "{}", stopped.stderr);
        assert!(stopped.stderr.contains("md6"), "{}", stopped.stderr);
        assert!(stopped.stderr.contains("md5"), "{}", stopped.stderr);
    }
}

#[test]
fn a_good_file_is_told_to_be_good() {
    let file = ConfigFile::new(&pool("p", "127.0.0.1:1", &[], &["127.0.0.1:2".into()]));
    let stopped = Heeler::spawn(&["proxy", "-t", "-c", file.path()]).wait();
    assert_eq!(stopped.code, Some(0), "{}", stopped.stderr);
    assert!(
        stopped.stdout.contains("syntax is ok"),
        "{}",
        stopped.stdout
    );
}

#[test]
fn a_missing_file_is_named() {
    let stopped = Heeler::spawn(&["proxy", "-c", "/no/such/file.yml"]).wait();
    assert_eq!(stopped.code, Some(1));
    assert!(
        stopped.stderr.contains("/no/such/file.yml"),
        "{}",
        stopped.stderr
    );
}
