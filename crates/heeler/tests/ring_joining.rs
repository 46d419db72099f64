//! Nodes that call others, and cannot be called by them.

#[expect(dead_code, reason = "the tests of TLS use more of it")]
#[path = "tls/authority.rs"]
mod authority;
mod servers;

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use authority::Authority;
use servers::{Cluster, Heeler, Value, free_port, wait_until};

fn free_address() -> String {
    format!("127.0.0.1:{}", free_port())
}

/// The arguments of one more node.
fn joining<'a>(redis: &'a str, peer: &'a str, join: &'a str, advertise: &'a str) -> [&'a str; 9] {
    [
        "serve",
        "--redis",
        redis,
        "--peer",
        peer,
        "--join",
        join,
        "--advertise",
        advertise,
    ]
}

fn uncallable(cluster: &Cluster, node: usize) -> String {
    let info = cluster.client(node).run("INFO ring").text();
    let mut lines = info.lines();
    let line = lines.find(|line| line.starts_with("ring_uncallable_nodes:"));
    line.expect("the line").trim().to_owned()
}

fn says(node: &Heeler, what: &str) -> bool {
    node.process.stderr().contains(what)
}

#[test]
fn who_cannot_be_called_at_its_address_is_not_let_in() {
    let mut cluster = Cluster::planned(1, &[]);
    cluster.up(0);
    cluster.agrees(1);
    let (redis, peer, nobody) = (free_address(), free_address(), free_address());
    let seed = cluster.peer(0);
    for (advertise, why) in [
        (&*nobody, "the connection is refused"),
        ("no-such-name.invalid:1", "the name has no address"),
        (&*seed, "another process answers there"),
    ] {
        let stopped = Heeler::spawn(&joining(&redis, &peer, &seed, advertise)).wait();
        assert_eq!(stopped.code, Some(1), "{}", stopped.stderr);
        let said = format!("cannot be called at {advertise}, ");
        assert!(stopped.stderr.contains(&said), "{}", stopped.stderr);
        assert!(stopped.stderr.contains(why), "{}", stopped.stderr);
        assert!(stopped.stderr.contains(&seed), "{}", stopped.stderr);
        assert!(
            stopped.stderr.contains("--advertise HOST:PORT"),
            "{}",
            stopped.stderr
        );
    }
    let told = format!("{nobody} is to join the ring and cannot be called there");
    assert!(says(cluster.node(0), &told));
    let shown = Heeler::spawn(&["ring", "--peer", &seed]).wait().stdout;
    assert!(shown.contains("1 members, 1 in the ring"), "{shown}");
    // A wish to be called back at another's address costs nothing but that.
    assert_eq!(cluster.client(0).run("SET key value"), Value::ok());
}

#[test]
fn a_certificate_for_another_host_lets_nobody_in() {
    let authority = Authority::new();
    let [right, wrong] = [("right", "127.0.0.1"), ("wrong", "other.example")]
        .map(|(file, name)| authority.sign(file, &[name]));
    let ca = authority.ca();
    let with = |pair: &authority::Pair| {
        let [cert, key] = pair.paths();
        [
            "--tls-cert",
            cert,
            "--tls-key",
            key,
            "--tls-ca",
            &ca,
            "--tls-doors",
            "none",
        ]
        .map(str::to_owned)
    };
    let flags = with(&right);
    let mut cluster = Cluster::planned(1, &flags.each_ref().map(String::as_str));
    cluster.up(0);
    cluster.agrees(1);
    let (redis, peer, seed) = (free_address(), free_address(), cluster.peer(0));
    let mut args = vec!["serve", "--redis", &redis, "--peer", &peer, "--join", &seed];
    let flags = with(&wrong);
    args.extend(flags.iter().map(String::as_str));
    let stopped = Heeler::spawn(&args).wait();
    assert_eq!(stopped.code, Some(1), "{}", stopped.stderr);
    for said in [
        &format!("cannot be called at {peer}, ")[..],
        "the certificate that it shows is not believed",
        "--tls-cert",
    ] {
        assert!(stopped.stderr.contains(said), "{}", stopped.stderr);
    }
    assert!(says(cluster.node(0), "other.example"));
    cluster.agrees(1);
}

#[test]
fn who_was_there_before_its_ring_leaves_it_if_it_cannot_be_called() {
    let mut cluster = Cluster::planned(1, &[]);
    let (redis, peer, nobody) = (free_address(), free_address(), free_address());
    let seed = cluster.peer(0);
    let early = Heeler::spawn(&joining(&redis, &peer, &seed, &nobody));
    wait_until("it listens", || TcpStream::connect(&peer).is_ok());
    cluster.up(0);
    let stopped = early.wait();
    assert_eq!(stopped.code, Some(1), "{}", stopped.stderr);
    let said = format!("cannot be called at {nobody}, ");
    assert!(stopped.stderr.contains(&said), "{}", stopped.stderr);
    cluster.agrees(1);
    for n in 0..100 {
        let set = cluster.client(0).run(&format!("SET key{n} {n}"));
        assert_eq!(set, Value::ok());
    }
}

#[test]
fn a_member_that_cannot_be_called_any_more_is_told_of() {
    let mut cluster = Cluster::planned(1, &[]);
    cluster.up(0);
    let (port, peer) = (free_port(), free_address());
    let redis = format!("127.0.0.1:{port}");
    let relay = Relay::open("127.0.0.1:0", &peer);
    let (seed, advertise) = (cluster.peer(0), relay.address.clone());
    let _node = Heeler::start(port, &joining(&redis, &peer, &seed, &advertise));
    cluster.agrees(2);
    assert_eq!(uncallable(&cluster, 0), "ring_uncallable_nodes:0");
    relay.close();
    wait_until("it is told of", || {
        uncallable(&cluster, 0) == "ring_uncallable_nodes:1"
    });
    let told =
        format!("{advertise} is a member of the ring and calls others, but cannot be called");
    assert!(says(cluster.node(0), &told));
    // It is a member all the same: it calls the other one.
    cluster.agrees(2);
    let relay = Relay::open(&advertise, &peer);
    wait_until("it can be called again", || {
        uncallable(&cluster, 0) == "ring_uncallable_nodes:0"
    });
    relay.close();
}

/// Passes connections on to another address, until it is closed.
struct Relay {
    address: String,
    is_closed: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
    accepting: thread::JoinHandle<()>,
}

impl Relay {
    fn open(at: &str, to: &str) -> Relay {
        let listener = TcpListener::bind(at).expect("it listens");
        let address = listener.local_addr().expect("an address").to_string();
        listener.set_nonblocking(true).expect("it does not block");
        let (is_closed, open) = (Arc::default(), Arc::default());
        let (closed, streams, to) = (
            Arc::clone(&is_closed),
            Arc::<Mutex<Vec<TcpStream>>>::clone(&open),
            to.to_owned(),
        );
        let accepting = thread::spawn(move || {
            while !AtomicBool::load(&closed, Ordering::Relaxed) {
                match listener.accept() {
                    Ok((from, _)) => pass_on(from, &to, &streams).unwrap_or_default(),
                    Err(_) => thread::sleep(Duration::from_millis(5)),
                }
            }
        });
        Relay {
            address,
            is_closed,
            open,
            accepting,
        }
    }

    fn close(self) {
        self.is_closed.store(true, Ordering::Relaxed);
        self.accepting.join().expect("it ends");
        for stream in self.open.lock().expect("no panic").iter() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn pass_on(from: TcpStream, to: &str, open: &Mutex<Vec<TcpStream>>) -> io::Result<()> {
    from.set_nonblocking(false)?;
    let to = TcpStream::connect(to)?;
    for (mut from, mut to) in [
        (from.try_clone()?, to.try_clone()?),
        (to.try_clone()?, from.try_clone()?),
    ] {
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
    open.lock().expect("no panic").extend([from, to]);
    Ok(())
}
