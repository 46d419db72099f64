//! One worker's connections to a server that moves, or that is dead.

mod servers;

#[path = "proxy/fake.rs"]
mod fake;

use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use fake::Fake;
use heeler::cluster::{Cluster, Plan};
use heeler::config::pools;
use heeler::pool::{Addresses, Mailbox, Pool, ReplyTo, Settings};
use heeler::socket::scratch;
use servers::{PATIENCE, request};
use tokio::runtime::LocalRuntime;
use tokio::time::{sleep, timeout};

/// The replies that have come until now, as they come.
async fn replies(mailbox: &Mailbox, count: usize) -> Vec<String> {
    let mut replies = Vec::new();
    let all = async {
        while replies.len() < count {
            mailbox.empty(|letter, reply| {
                let text = String::from_utf8_lossy(reply);
                replies.push(format!("{} {}", letter.ticket, text.trim_end()));
            });
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, all).await.expect("replies");
    replies
}

/// What a pool of one server is made of.
fn pool_of(fake: &Fake) -> (Arc<Settings>, Arc<Cluster>) {
    let text = format!(
        "a:\n  listen: 127.0.0.1:1\n  redis: true\n  servers:\n    - {}:1 s\n",
        fake.address()
    );
    let file = pools::parse("f.yml", &text).unwrap();
    let settings = Arc::new(Settings::of(&file.pools[0], None, &Arc::default()));
    let cluster = Arc::new(Cluster::new(Plan::of(&file.pools[0])));
    (settings, cluster)
}

/// The address of a reply in a mailbox.
fn to(mailbox: &Rc<Mailbox>, ticket: u64) -> ReplyTo {
    ReplyTo {
        mailbox: mailbox.clone(),
        ticket,
        part: 0,
    }
}

#[test]
fn requests_in_flight_are_answered_before_the_connection_moves() {
    let (open, gate) = mpsc::channel::<()>();
    let (gate, waits) = (Mutex::new(gate), Arc::new(AtomicBool::new(false)));
    let waiting = waits.clone();
    let fake = Fake::start(move |connection, words| {
        if words[1] == b"slow" {
            waiting.store(true, Ordering::SeqCst);
            gate.lock().unwrap().recv().unwrap();
        }
        let key = String::from_utf8_lossy(&words[1]);
        format!("+{key} over {connection}\r\n").into_bytes()
    });
    let (settings, cluster) = pool_of(&fake);
    let here = Addresses::new(vec![vec!["127.0.0.1".parse().unwrap()]]);
    let elsewhere = Addresses::new(vec![vec!["127.0.0.2".parse().unwrap()]]);
    LocalRuntime::new().unwrap().block_on(async {
        let pool = Pool::start(&settings, &cluster, &scratch(), None);
        let mailbox = Rc::new(Mailbox::default());
        let send = |ticket: u64, key: &str| {
            let request = request(&[b"GET", key.as_bytes()]);
            pool.send(0, 0, 1, &request, to(&mailbox, ticket));
        };
        send(1, "first");
        assert_eq!(replies(&mailbox, 1).await, ["1 +first over 0"]);
        // The address that is in use, and none at all, move nothing.
        for addresses in [here, Addresses::default()] {
            settings.directory.publish(addresses);
            sleep(Duration::from_millis(5)).await;
            send(2, "second");
            assert_eq!(replies(&mailbox, 1).await, ["2 +second over 0"]);
        }
        send(3, "slow");
        let in_flight = async {
            while !waits.load(Ordering::SeqCst) {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, in_flight).await.expect("in flight");
        settings.directory.publish(elsewhere);
        sleep(Duration::from_millis(5)).await;
        send(4, "next");
        sleep(Duration::from_millis(20)).await;
        assert_eq!(fake.connections(), 1);
        open.send(()).unwrap();
        let both = ["3 +slow over 0", "4 +next over 1"];
        assert_eq!(replies(&mailbox, 2).await, both);
        send(5, "last");
        assert_eq!(replies(&mailbox, 1).await, ["5 +last over 1"]);
    });
}

/// What has come right now, without waiting.
fn at_once(mailbox: &Mailbox) -> Vec<String> {
    let mut replies = Vec::new();
    mailbox.empty(|_, reply| replies.push(String::from_utf8_lossy(reply).trim_end().into()));
    replies
}

#[test]
fn no_request_waits_for_a_server_that_is_known_to_be_dead() {
    // The first connection breaks; the others take everything and answer once the gate is open.
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let (seen, is_open) = (asked.clone(), Arc::new(AtomicBool::new(false)));
    let gate = is_open.clone();
    let fake = Fake::start(move |connection, words| {
        let name = String::from_utf8_lossy(&words[0]);
        seen.lock().unwrap().push(format!("{connection} {name}"));
        while connection > 0 && !gate.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        match connection {
            0 => b"oops\r\n".to_vec(),
            _ => b"+fine\r\n".to_vec(),
        }
    });
    let (settings, cluster) = pool_of(&fake);
    LocalRuntime::new().unwrap().block_on(async {
        let pool = Pool::start(&settings, &cluster, &scratch(), None);
        let mailbox = Rc::new(Mailbox::default());
        let send = || pool.send(0, 0, 1, &request(&[b"GET", b"k"]), to(&mailbox, 1));
        send();
        let broken = "-ERR Invalid argument";
        assert_eq!(replies(&mailbox, 1).await, [format!("1 {broken}")]);
        // Turned away, also while the next connection is on trial.
        let on_trial = async {
            while asked.lock().unwrap().len() < 2 {
                send();
                assert_eq!(at_once(&mailbox), [broken]);
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, on_trial).await.expect("a trial");
        for _ in 0..20 {
            send();
            assert_eq!(at_once(&mailbox), [broken]);
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(*asked.lock().unwrap(), ["0 GET", "1 PING"]);
        // Whoever knows that it is back has requests wait for it again.
        cluster.came_back(0);
        send();
        assert_eq!(at_once(&mailbox), [""; 0]);
        is_open.store(true, Ordering::SeqCst);
        assert_eq!(replies(&mailbox, 1).await, ["1 +fine"]);
        assert_eq!(fake.connections(), 2);
    });
}
