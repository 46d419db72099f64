//! Children that end with this program, however it ends.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tempfile::TempDir;

const START: Duration = Duration::from_secs(10);
/// Where a server's output goes, in its directory.
const LOG: &str = "log";

/// A server on a port of 127.0.0.1, killed when it is dropped.
pub struct Process {
    child: Child,
    dir: TempDir,
}

impl Process {
    /// Starts a server and returns when it accepts connections.
    pub fn start(program: &str, args: &[&str], port: u16) -> Result<Process> {
        Process::start_in(TempDir::new()?, program, args, port)
    }

    /// [`start`](Process::start) with the path of a file of this text as the last argument.
    pub fn with_config(program: &str, args: &[&str], text: &str, port: u16) -> Result<Process> {
        let dir = TempDir::new()?;
        let file = dir.path().join("nutcracker.yml");
        fs::write(&file, text)?;
        let mut args = args.to_vec();
        let file = file.to_string_lossy();
        args.push(&file);
        Process::start_in(dir, program, &args, port)
    }

    /// Starts a program with these variables in its environment, and does not wait for it.
    pub fn spawn(program: &str, args: &[&str], variables: &[(&str, &str)]) -> Result<Process> {
        Process::spawn_in(TempDir::new()?, program, args, variables)
    }

    fn start_in(dir: TempDir, program: &str, args: &[&str], port: u16) -> Result<Process> {
        let mut process = Process::spawn_in(dir, program, args, &[])?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let end = Instant::now() + START;
        while TcpStream::connect(address).is_err() {
            process.ensure_runs()?;
            ensure!(
                Instant::now() < end,
                "{program} does not listen on {address}\n{}",
                process.words()
            );
            pause()?;
        }
        Ok(process)
    }

    fn spawn_in(
        dir: TempDir,
        program: &str,
        args: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Process> {
        let output = fs::File::create(dir.path().join(LOG))?;
        let child = command(program)
            .args(args)
            .envs(variables.iter().copied())
            .current_dir(&dir)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("{program} does not start: is it installed?"))?;
        Ok(Process { child, dir })
    }

    /// Fails with what the program wrote if it has ended, or if a signal is to end us.
    pub fn ensure_runs(&mut self) -> Result<()> {
        ensure_not_stopped()?;
        if let Some(status) = self.child.try_wait()? {
            bail!("a server ended with {status}\n{}", self.words());
        }
        Ok(())
    }

    /// What the program wrote.
    fn words(&self) -> String {
        fs::read_to_string(self.dir.path().join(LOG)).unwrap_or_default()
    }

    /// The process's number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program to its end and returns what it wrote to standard output.
pub fn output_of(program: &str, args: &[&str]) -> Result<String> {
    output_with(program, args, &[])
}

/// The same with these variables in its environment.
pub fn output_with(program: &str, args: &[&str], variables: &[(&str, &str)]) -> Result<String> {
    let dir = TempDir::new()?;
    let (out, err) = (dir.path().join("out"), dir.path().join("err"));
    let child = command(program)
        .args(args)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(fs::File::create(&out)?)
        .stderr(fs::File::create(&err)?)
        .spawn()
        .with_context(|| format!("{program} does not start: is it installed?"))?;
    let mut process = Process { child, dir };
    loop {
        if let Some(status) = process.child.try_wait()? {
            let (out, err) = (fs::read_to_string(out)?, fs::read_to_string(err)?);
            ensure!(
                status.success(),
                "{program} ended with {status}\n{out}{err}"
            );
            // nutcracker tells its version as if it were an error.
            return Ok(if out.is_empty() { err } else { out });
        }
        pause()?;
    }
}

/// A port of 127.0.0.1 that nobody listens on.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

/// Makes Ctrl-C and SIGTERM an error of whatever waits next, so that children are dropped.
pub fn stop_on_signals() -> Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(stopped()))?;
    }
    Ok(())
}

fn stopped() -> &'static Arc<AtomicBool> {
    static STOPPED: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    STOPPED.get_or_init(Arc::default)
}

/// Waits a little, and fails if a signal has come.
pub fn pause() -> Result<()> {
    thread::sleep(Duration::from_millis(5));
    ensure_not_stopped()
}

fn ensure_not_stopped() -> Result<()> {
    ensure!(!stopped().load(Ordering::Relaxed), "stopped by a signal");
    Ok(())
}

/// A Debian user's PATH has no sbin, where nutcracker is.
fn command(program: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/local/sbin:/usr/sbin";
    let mut command = Command::new(program);
    command.env("PATH", path);
    command
}
