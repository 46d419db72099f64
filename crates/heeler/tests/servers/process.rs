//! A child process that never outlives its test, and ports that no two tests share.

use std::io::{self, Read};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// How long a test waits for anything before it fails: a start, a stop, a reply. Where others are
/// at work on the machine, a process may have to wait some seconds for a processor.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Ports below the kernel's range for outgoing connections, so that no client takes one of them
/// between our look and the server's bind.
const FIRST_PORT: u32 = 10_000;
const PORTS: u32 = 20_000;
/// Where a proxy tells statistics that is not told where: for the test of that.
const STATS_PORT: u16 = 22222;

/// Held while a child is made: until it has become another program it holds all our sockets, too.
static FORKING: Mutex<()> = Mutex::new(());

/// A TCP port of 127.0.0.1 that nobody listens on, and that no other call of this function, in
/// this process or another, returns while this process lives.
///
/// The UDP port of the same number is held as the mark that it is taken.
pub fn free_port() -> u16 {
    static NEXT: OnceLock<AtomicU32> = OnceLock::new();
    static HELD: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());

    let next = NEXT.get_or_init(|| AtomicU32::new(std::process::id().wrapping_mul(7919)));
    for _ in 0..PORTS {
        let port = (FIRST_PORT + next.fetch_add(1, Ordering::Relaxed) % PORTS) as u16;
        if port == STATS_PORT {
            continue;
        }
        let Ok(mark) = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)) else {
            continue;
        };
        let alone = FORKING.lock().unwrap_or_else(|e| e.into_inner());
        let is_free = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        drop(alone);
        if is_free {
            HELD.lock().unwrap_or_else(|e| e.into_inner()).push(mark);
            return port;
        }
    }
    panic!("no free port from {FIRST_PORT} on");
}

/// What a process left behind.
#[derive(Debug)]
pub struct Stopped {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// All that it wrote to standard output.
    pub stdout: String,
    /// All that it wrote to standard error.
    pub stderr: String,
}

/// A running child. Dropped, it is killed and reaped, also while a test panics.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdout: Captured,
    stderr: Captured,
}

impl Process {
    /// Starts a program with nothing to read and its output captured. `package` is what to install
    /// where the program is missing.
    pub fn spawn(program: &str, package: &str, args: &[&str]) -> Process {
        Process::spawn_in(program, package, args, &[])
    }

    /// [`spawn`](Process::spawn) with more variables in its environment.
    pub fn spawn_in(
        program: &str,
        package: &str,
        args: &[&str],
        variables: &[(&str, &str)],
    ) -> Process {
        // A Debian user's PATH has no sbin, where nutcracker is.
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/local/sbin:/usr/sbin";
        let alone = FORKING.lock().unwrap_or_else(|e| e.into_inner());
        let spawned = Command::new(program)
            .args(args)
            .env("PATH", path)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        drop(alone);
        let mut child = match spawned {
            Ok(child) => child,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                panic!("{program} is not there: install {package}")
            }
            Err(e) => panic!("{program} does not start: {e}"),
        };
        let stdout = Captured::new(child.stdout.take().unwrap());
        let stderr = Captured::new(child.stderr.take().unwrap());
        Process {
            name: program.to_string(),
            child,
            stdout,
            stderr,
        }
    }

    /// The process's number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to standard output until now.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has written to standard error until now.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Returns when the process serves who connects to the port: it has closed a connection over
    /// which nothing was said. So its other ports are open too, and it counts no client. Panics
    /// with the process's output if it exits first or takes too long.
    pub fn wait_until_serves(&mut self, port: u16) {
        self.wait_until("serve", port, |address| {
            let mut stream = TcpStream::connect_timeout(address, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.shutdown(Shutdown::Write)?;
            io::copy(&mut stream, &mut io::sink()).map(drop)
        });
    }

    /// Returns when a connection to the port is accepted, though nobody may look at it yet. Panics
    /// as [`wait_until_serves`](Process::wait_until_serves) does.
    pub fn wait_until_accepts(&mut self, port: u16) {
        self.wait_until("listen", port, |address| {
            TcpStream::connect_timeout(address, PATIENCE).map(drop)
        });
    }

    fn wait_until(&mut self, what: &str, port: u16, does: impl Fn(&SocketAddr) -> io::Result<()>) {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!(
                    "{} ended with {status} at its start\n{}",
                    self.name,
                    self.output()
                );
            }
            if does(&address).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!(
            "{} does not {what} at {address}\n{}",
            self.name,
            self.output()
        );
    }

    /// Sends a signal. One that stops the process has stopped all its threads when this returns.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        let mut sent = kill_process(pid, signal);
        if signal == Signal::STOP {
            sent = sent.and_then(|()| waitid(WaitId::Pid(pid), WaitIdOptions::STOPPED).map(drop));
        }
        sent.unwrap_or_else(|e| panic!("{}: no {signal:?} to {pid:?}: {e}", self.name));
    }

    /// Sends SIGTERM and waits for the end. Panics if the process is still there after
    /// [`PATIENCE`].
    pub fn stop(self) -> Stopped {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits for the end without a signal. Panics if the process is still there after
    /// [`PATIENCE`].
    pub fn wait(mut self) -> Stopped {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                let (stdout, stderr) = (self.stdout.finish(), self.stderr.finish());
                return Stopped {
                    code: status.code(),
                    stdout,
                    stderr,
                };
            }
            if Instant::now() >= end {
                panic!("{} does not end\n{}", self.name, self.output());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn output(&self) -> String {
        // Give the readers a moment for the last words of a process that has just ended.
        thread::sleep(Duration::from_millis(50));
        format!(
            "--- stdout\n{}--- stderr\n{}",
            self.stdout.text(),
            self.stderr.text()
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A pipe that a thread empties, so that the writer never blocks.
#[derive(Debug)]
struct Captured {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Captured {
    fn new(mut pipe: impl Read + Send + 'static) -> Captured {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(n @ 1..) = pipe.read(&mut chunk) {
                sink.lock().unwrap().extend_from_slice(&chunk[..n]);
            }
        });
        Captured {
            bytes,
            reader: Some(reader),
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    /// All of it: returns when the pipe's last writer has closed it.
    fn finish(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.text()
    }
}
