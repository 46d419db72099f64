//! A process in the background, and the file with its number.
//!
//! `fork` without `exec` is not safe once there are threads, so the program is started again. Its
//! standard output leads to the process that started it, which waits for a word there: it ends
//! with 0 only when clients can connect.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context;
use rustix::fs::Mode;
use rustix::process::{getppid, setsid, umask};

/// Set for the process in the background: the number of the one that has started it.
const STARTED_BY: &str = "HEELER_STARTED_BY";
/// What the process in the background says when clients can connect.
const READY: &[u8] = b"ready\n";

/// A process that may run in the background.
#[derive(Debug)]
pub enum Daemon {
    /// It stays where it is.
    Foreground,
    /// It is in the background, and another process waits for its word.
    Background,
}

impl Daemon {
    /// In the process that shall go to the background: starts it there, waits for its word, and
    /// returns how this one exits. In the background, and where that was not asked for: goes on.
    ///
    /// # Errors
    /// The process could not be started.
    pub fn start(asked: bool) -> anyhow::Result<Result<Daemon, ExitCode>> {
        if !asked {
            return Ok(Ok(Daemon::Foreground));
        }
        if !is_background() {
            return spawn().map(Err);
        }
        setsid().context("cannot leave the terminal")?;
        // As nutcracker does: modes are those that are asked for, such as a Unix socket's.
        umask(Mode::empty());
        Ok(Ok(Daemon::Background))
    }

    /// Clients can connect: says so, and lets go of the terminal.
    ///
    /// # Errors
    /// `/dev/null` cannot be opened.
    pub fn ready(&self) -> anyhow::Result<()> {
        if let Daemon::Foreground = self {
            return Ok(());
        }
        let null = File::options().read(true).write(true).open("/dev/null");
        let null = null.context("cannot open /dev/null")?;
        // Whoever waited may be gone; that is no reason to stop.
        let _ = std::io::stdout().write_all(READY);
        let _ = std::io::stdout().flush();
        rustix::stdio::dup2_stdout(&null)?;
        rustix::stdio::dup2_stderr(&null)?;
        Ok(())
    }
}

fn is_background() -> bool {
    let parent = getppid().map(|pid| pid.as_raw_nonzero().to_string());
    parent.is_some() && std::env::var(STARTED_BY).ok() == parent
}

fn spawn() -> anyhow::Result<ExitCode> {
    let program = std::env::current_exe().context("cannot find this program's file")?;
    let mut args = std::env::args_os();
    let mut command = Command::new(program);
    if let Some(name) = args.next() {
        command.arg0(name);
    }
    let mut child = command
        .args(args)
        .env(STARTED_BY, std::process::id().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start a process in the background")?;
    let mut said = Vec::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_end(&mut said)?;
    }
    if said.ends_with(READY) {
        return Ok(ExitCode::SUCCESS);
    }
    // It has told the reason on the standard error that it shares with this process.
    let status = child.wait()?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(match code {
        Some(code @ 1..) => ExitCode::from(code),
        _ => ExitCode::FAILURE,
    })
}

/// A file with this process's number, as long as it is not dropped.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
}

impl PidFile {
    /// Writes it: the number in digits, and nothing else.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(path: &Path) -> anyhow::Result<PidFile> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o644)
            .open(path);
        file.and_then(|mut file| write!(file, "{}", std::process::id()))
            .with_context(|| format!("cannot write the pid file {}", path.display()))?;
        Ok(PidFile { path: path.into() })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Another process may have put its own number there.
        let ours = std::process::id().to_string();
        if std::fs::read_to_string(&self.path).is_ok_and(|text| text == ours)
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!("cannot remove {}: {error}", self.path.display());
        }
    }
}
