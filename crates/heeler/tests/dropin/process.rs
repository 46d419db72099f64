//! The process: in the background, its pid file, its log, signals, its end.

use std::os::unix::fs::PermissionsExt;

use rustix::process::{Pid, Signal, getsid, kill_process, test_kill_process};

use crate::servers::{Client, Heeler, Process, RedisServer, Value, free_port};
use crate::{Link, accepts, pool, ports, told_at, wait_until};

/// A process in the background, killed when it is dropped.
struct Background {
    pid: Pid,
}

impl Background {
    /// By its pid file, which holds nothing but the number.
    fn of(link: &Link, pid_file: &str) -> Background {
        let text = link.read(pid_file);
        let is_number = text.bytes().all(|b| b.is_ascii_digit());
        assert!(is_number, "no newline, no blank: {text:?}");
        let pid = Pid::from_raw(text.parse().unwrap()).unwrap();
        Background { pid }
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }

    fn lives(&self) -> bool {
        test_kill_process(self.pid).is_ok()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = kill_process(self.pid, Signal::KILL);
    }
}

/// What the proxy listens on, and its arguments but for `-d`.
struct Setting {
    redis: RedisServer,
    link: Link,
    port: u16,
    stats_port: u16,
    args: Vec<String>,
}

impl Setting {
    fn new() -> Setting {
        let (redis, link) = (RedisServer::start(), Link::new());
        let [port, stats_port] = ports();
        let addresses = [redis.address()];
        let file = link.write("n.yml", &pool("p", port, &["timeout: 5000"], &addresses));
        let [log, pid] = ["n.log", "n.pid"].map(|name| link.file(name));
        let stats = stats_port.to_string();
        let args = [
            "-c",
            &file,
            "-o",
            &log,
            "-p",
            &pid,
            "-s",
            &stats,
            "-a",
            "127.0.0.1",
        ];
        Setting {
            args: args.map(str::to_owned).to_vec(),
            redis,
            link,
            port,
            stats_port,
        }
    }

    fn args<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        self.args
            .iter()
            .map(String::as_str)
            .chain(more.iter().copied())
            .collect()
    }

    fn log(&self) -> String {
        self.link.read("n.log")
    }

    /// In the foreground, by nutcracker's name.
    fn start(&self, more: &[&str]) -> Process {
        let mut process = self.link.spawn(&self.args(more));
        process.wait_until_serves(self.port);
        wait_until("it has a pid file", || !self.link.read("n.pid").is_empty());
        process
    }
}

#[test]
fn a_daemon_serves_when_its_starter_returns() {
    let setting = Setting::new();
    for signal in [Signal::TERM, Signal::INT] {
        let started = setting
            .link
            .run(&setting.args(&["-d", "-v", "5", "-m", "512", "-i", "1"]));
        assert_eq!(started.code, Some(0), "{}", started.stderr);
        let daemon = Background::of(&setting.link, "n.pid");
        assert!(accepts(setting.port));
        assert!(told_at(setting.stats_port).starts_with("{\"service\":\"nutcracker\", "));
        let mut client = Client::connect(("127.0.0.1", setting.port));
        assert_eq!(client.run("SET a 1"), Value::ok());
        assert_eq!(
            getsid(Some(daemon.pid)).unwrap(),
            daemon.pid,
            "of its own session"
        );
        for fd in 0..3 {
            let path = format!("/proc/{}/fd/{fd}", daemon.pid.as_raw_nonzero());
            let path = std::fs::read_link(path).unwrap();
            assert_eq!(path.to_str(), Some("/dev/null"));
        }
        daemon.signal(signal);
        wait_until("it ends", || {
            !setting.link.path("n.pid").exists() && !daemon.lives()
        });
        assert!(setting.log().contains("stopped"), "{}", setting.log());
    }
}

#[test]
fn heeler_proxy_runs_in_the_background_too() {
    let setting = Setting::new();
    let mut args = vec!["proxy"];
    args.extend(setting.args(&["-d"]));
    let started = Heeler::spawn(&args).wait();
    assert_eq!(started.code, Some(0), "{}", started.stderr);
    let daemon = Background::of(&setting.link, "n.pid");
    assert!(accepts(setting.port) && daemon.lives());
}

#[test]
fn a_daemon_that_cannot_start_says_why() {
    let setting = Setting::new();
    let first = setting.link.run(&setting.args(&["-d"]));
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    let daemon = Background::of(&setting.link, "n.pid");
    let pid = setting.link.read("n.pid");

    let second = setting.link.run(&setting.args(&["-d"]));
    assert_eq!(second.code, Some(1));
    assert!(
        second.stderr.contains("Address already in use"),
        "{}",
        second.stderr
    );
    assert!(
        setting.log().contains("Address already in use"),
        "{}",
        setting.log()
    );
    assert_eq!(
        setting.link.read("n.pid"),
        pid,
        "the first one's file stays"
    );
    assert!(daemon.lives());

    setting.link.write("n.yml", "p:\n  listen: nonsense\n");
    let third = setting.link.run(&setting.args(&["-d"]));
    assert_eq!(third.code, Some(1));
    assert!(third.stderr.contains("n.yml:2:11"), "{}", third.stderr);
}

#[test]
fn what_was_asked_for_must_be_had() {
    let setting = Setting::new();
    let taken = setting.redis.port.to_string();
    for (more, told) in [
        (["-s", &taken], "choose another one with -s"),
        (
            ["-p", "/no/such/dir/pid"],
            "cannot write the pid file /no/such/dir/pid",
        ),
        (
            ["-o", "/no/such/dir/log"],
            "cannot open the log file /no/such/dir/log",
        ),
        (["-a", "192.0.2.1"], "cannot listen on 192.0.2.1"),
    ] {
        let stopped = setting.link.run(&setting.args(&more));
        assert_eq!(stopped.code, Some(1), "{more:?}");
        assert!(stopped.stderr.contains(told), "{}", stopped.stderr);
        assert!(
            stopped.stderr.contains("nutcracker: "),
            "{}",
            stopped.stderr
        );
    }
}

#[test]
fn a_unix_socket_of_a_daemon_is_for_everybody_as_with_nutcracker() {
    let setting = Setting::new();
    let [open, closed] = ["open.sock", "closed.sock"].map(|name| setting.link.file(name));
    let server = setting.redis.address();
    let file = format!(
        "a:\n  listen: {open}\n  redis: true\n  servers:\n   - {server}:1\nb:\n  \
         listen: {closed} 0640\n  redis: true\n  servers:\n   - {server}:1\n"
    );
    setting.link.write("n.yml", &file);
    let started = setting.link.run(&setting.args(&["-d"]));
    assert_eq!(started.code, Some(0), "{}", started.stderr);
    let _daemon = Background::of(&setting.link, "n.pid");
    let mode = |name: &str| {
        let path = setting.link.path(name);
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode("open.sock"), 0o777);
    assert_eq!(mode("closed.sock"), 0o640);
    assert_eq!((mode("n.log"), mode("n.pid")), (0o644, 0o644));
}

#[test]
fn the_log_file_is_appended_to_and_opened_anew_on_hup() {
    let setting = Setting::new();
    setting.link.write("n.log", "before\n");
    let process = setting.start(&[]);
    assert!(setting.log().starts_with("before\n"), "{}", setting.log());
    assert!(process.stderr().is_empty(), "{}", process.stderr());

    std::fs::rename(setting.link.path("n.log"), setting.link.path("n.log.1")).unwrap();
    process.signal(Signal::HUP);
    wait_until("the log is opened anew", || {
        setting.log().contains("reopened")
    });
    let told = "signal 1 (SIGHUP) received, reopening log file";
    assert!(setting.link.read("n.log.1").ends_with(&format!("{told}\n")));

    std::fs::remove_file(setting.link.path("n.log")).unwrap();
    std::fs::create_dir(setting.link.path("n.log")).unwrap();
    process.signal(Signal::HUP);
    process.signal(Signal::USR1);
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert!(
        accepts(setting.port),
        "it lives with a log that cannot be opened"
    );
    std::fs::remove_dir(setting.link.path("n.log")).unwrap();
    process.signal(Signal::HUP);
    wait_until("the log is there again", || {
        setting.log().contains("reopened")
    });
    let stopped = process.stop();
    assert_eq!((stopped.code, stopped.stderr.as_str()), (Some(0), ""));
    assert!(!setting.link.path("n.pid").exists());
}

#[test]
fn signals_change_the_level_and_are_told_at_every_level() {
    let setting = Setting::new();
    let process = setting.start(&["-v", "4"]);
    // What no request is is told at the level of info.
    let mistake = |setting: &Setting| {
        let mut client = Client::connect(("127.0.0.1", setting.port));
        client.send(b"*1\r\n!\r\n");
        client.read_to_close();
        setting.log().matches("rotocol error").count()
    };
    let told = |signal: Signal, line: &str| {
        let before = setting.log().matches(line).count();
        process.signal(signal);
        wait_until(line, || setting.log().matches(line).count() > before);
    };
    assert_eq!(mistake(&setting), 0, "{}", setting.log());
    told(
        Signal::TTIN,
        "signal 21 (SIGTTIN) received, up logging level",
    );
    told(
        Signal::TTOU,
        "signal 22 (SIGTTOU) received, down logging level",
    );
    told(Signal::TTIN, "up log level to 5");
    wait_until("it is told", || mistake(&setting) > 0);
    told(Signal::TTOU, "down log level to 4");
    let count = setting.log().matches("rotocol error").count();
    assert_eq!(mistake(&setting), count);
    for level in (0..4).rev() {
        told(Signal::TTOU, &format!("down log level to {level}"));
    }
    told(Signal::TTOU, "(SIGTTOU)");
    told(Signal::USR1, "signal 10 (SIGUSR1) received");
    told(Signal::USR2, "signal 12 (SIGUSR2) received");
    assert!(!setting.log().contains("level to -1"));
    assert_eq!(process.stop().code, Some(0));
}

#[test]
fn a_segv_is_told_and_ends_the_process() {
    let setting = Setting::new();
    let process = setting.start(&["-v", "4"]);
    process.signal(Signal::SEGV);
    let stopped = process.wait();
    assert_eq!(stopped.code, None, "a signal ended it");
    let told = "signal 11 (SIGSEGV) received, core dumping";
    assert!(setting.log().contains(told), "{}", setting.log());
}

#[test]
fn statistics_have_a_default_port_that_two_proxies_may_share_the_wish_for() {
    let setting = Setting::new();
    let [port, other] = ports();
    let files = [port, other].map(|port| {
        let text = pool("p", port, &[], &[setting.redis.address()]);
        setting.link.write(&format!("{port}.yml"), &text)
    });
    // One of them has the port, or another process of this machine.
    let _both = [(port, &files[0]), (other, &files[1])]
        .map(|(port, file)| Heeler::start(port, &["proxy", "-c", file, "-a", "127.0.0.1"]));
    assert!(accepts(port) && accepts(other) && accepts(22222));
    let third = setting.link.write(
        "third.yml",
        &pool("p", free_port(), &[], &["127.0.0.1:1".into()]),
    );
    let stopped = setting.link.run(&["-c", &third, "-a", "127.0.0.1"]);
    assert_eq!(stopped.code, Some(1), "nutcracker does not start without");
    assert!(
        stopped.stderr.contains("127.0.0.1:22222"),
        "{}",
        stopped.stderr
    );
}
