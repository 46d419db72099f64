//! What Redis does with files: this server keeps nothing on disk, and says so. SHUTDOWN, too, which
//! Redis may be asked to save before.

use tokio::sync::Notify;

use super::Process;
use crate::command::{Command, Id, Reply};

/// Answers SAVE, BGSAVE, BGREWRITEAOF and SHUTDOWN.
pub(super) fn answer(process: &Process, command: &Command<'_>) -> Reply {
    let is_scheduled = |word: &[u8]| word.eq_ignore_ascii_case(b"schedule");
    match (command.spec.id, &command.args(1).collect::<Vec<_>>()[..]) {
        (Id::Shutdown, _) => shut_down(process, command),
        (Id::Bgsave, [word]) if !is_scheduled(word) => Reply::error("ERR syntax error"),
        (Id::Bgsave, [_, _, ..]) => Reply::error("ERR syntax error"),
        _ => Reply::error("ERR This server keeps nothing on disk: there is no file to write to"),
    }
}

/// The section Persistence of INFO.
pub(super) fn lines(process: &Process) -> Vec<(&'static str, String)> {
    let zero = |name| (name, "0".into());
    vec![
        zero("loading"),
        zero("async_loading"),
        zero("rdb_bgsave_in_progress"),
        ("rdb_last_save_time", (process.started / 1000).to_string()),
        ("rdb_last_bgsave_status", "ok".into()),
        ("rdb_last_bgsave_time_sec", "-1".into()),
        ("rdb_current_bgsave_time_sec", "-1".into()),
        zero("rdb_saves"),
        zero("aof_enabled"),
        zero("aof_rewrite_in_progress"),
        zero("aof_rewrite_scheduled"),
        ("aof_last_rewrite_time_sec", "-1".into()),
        ("aof_current_rewrite_time_sec", "-1".into()),
        ("aof_last_bgrewrite_status", "ok".into()),
        ("aof_last_write_status", "ok".into()),
    ]
}

/// Whether a client has asked the process to stop.
#[derive(Debug, Default)]
pub struct Stopping(Notify);

impl Stopping {
    /// Ready once that is so, or this other thing has happened.
    pub async fn or(&self, other: impl Future<Output = ()>) {
        tokio::select! {
            () = self.0.notified() => tracing::info!("SHUTDOWN received"),
            () = other => {}
        }
    }
}

/// SHUTDOWN \[NOSAVE|SAVE\] \[NOW\] \[FORCE\] \[ABORT\]: stops as SIGTERM does. There is no reply.
fn shut_down(process: &Process, command: &Command<'_>) -> Reply {
    let (mut saves, mut saves_not, mut now, mut force, mut abort) = Default::default();
    for word in command.args(1) {
        let option: &mut bool = match word.to_ascii_lowercase().as_slice() {
            b"save" => &mut saves,
            b"nosave" => &mut saves_not,
            b"now" => &mut now,
            b"force" => &mut force,
            b"abort" => &mut abort,
            _ => return Reply::error("ERR syntax error"),
        };
        *option = true;
    }
    if abort && (saves || saves_not || now || force) || saves && saves_not {
        return Reply::error("ERR syntax error");
    }
    if abort {
        return Reply::error("ERR No shutdown in progress.");
    }
    if saves {
        return Reply::error(
            "ERR This server keeps nothing on disk: SHUTDOWN NOSAVE stops it without a save",
        );
    }
    if now && process.ring.get().is_some() {
        return Reply::error(
            "ERR A node of a ring stops when it has handed its keys over: use SHUTDOWN without NOW",
        );
    }
    process.stopping.0.notify_one();
    Reply::Several(Vec::new())
}
