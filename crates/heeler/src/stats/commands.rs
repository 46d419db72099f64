//! What is counted of commands: requests, how long clients wait, and errors by kind, for each
//! family of commands; and of a store, calls of each command.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use super::pools::{Row, WAITS, WAITS_US, add};
use super::times::{STEPS, Times};
use crate::command::Family;
use crate::limits;

/// Why a request was answered with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ErrorKind {
    /// The server or the store said so.
    Reply,
    /// Its time was up.
    Timeout,
    /// No connection to the server could be opened.
    Refused,
    /// The connection to the server was lost.
    Lost,
    /// All servers are ejected.
    NoServer,
    /// Its keys lie on different servers.
    CrossSlot,
    /// There is no such command, or it is not carried.
    Unknown,
    /// The command cannot be used so: number of arguments, syntax, place in a transaction.
    Usage,
    /// What the client sent was no request.
    Protocol,
    /// Too much waits, or it is too large.
    Limit,
    /// A password is missing or wrong.
    Auth,
}

impl ErrorKind {
    /// All, in order.
    pub const ALL: [ErrorKind; 11] = [
        ErrorKind::Reply,
        ErrorKind::Timeout,
        ErrorKind::Refused,
        ErrorKind::Lost,
        ErrorKind::NoServer,
        ErrorKind::CrossSlot,
        ErrorKind::Unknown,
        ErrorKind::Usage,
        ErrorKind::Protocol,
        ErrorKind::Limit,
        ErrorKind::Auth,
    ];

    /// Its name among the labels of a metric.
    pub fn name(self) -> &'static str {
        match self {
            ErrorKind::Reply => "reply",
            ErrorKind::Timeout => "timeout",
            ErrorKind::Refused => "refused",
            ErrorKind::Lost => "lost",
            ErrorKind::NoServer => "no_server",
            ErrorKind::CrossSlot => "cross_slot",
            ErrorKind::Unknown => "unknown",
            ErrorKind::Usage => "usage",
            ErrorKind::Protocol => "protocol",
            ErrorKind::Limit => "limit",
            ErrorKind::Auth => "auth",
        }
    }
}

const FAMILIES: usize = Family::ALL.len();
const KINDS: usize = ErrorKind::ALL.len();

/// What became of a command, for INFO's commandstats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// It was executed.
    Made,
    /// It was refused before that.
    Rejected,
    /// It was executed, and ended with an error.
    Failed,
}
const CALLS: usize = Call::Failed as usize + 1;

/// The commands of one pool or one store: what each worker counts of them, and the sum.
#[derive(Debug)]
pub struct CommandStats {
    /// How many commands there are that are counted one by one.
    lines: usize,
    workers: Mutex<Vec<Arc<CommandCounters>>>,
}

/// Sums over all workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandTotals {
    /// Requests of each family.
    pub requests: [u64; FAMILIES],
    /// Errors by family and kind.
    pub errors: [[u64; KINDS]; FAMILIES],
    /// Of each family, as [`PoolTotals::waits`](super::PoolTotals::waits).
    pub waits: [[u64; WAITS]; FAMILIES],
    /// Bytes that came from clients, and bytes that went to them.
    pub bytes: [u64; 2],
    /// By command, and by what became of it.
    pub calls: Vec<[u64; CALLS]>,
}

impl CommandStats {
    /// Nothing counted yet. So many commands are counted one by one.
    pub fn new(lines: usize) -> CommandStats {
        CommandStats {
            lines,
            workers: Mutex::default(),
        }
    }

    /// Counters for one thread, that only it adds to.
    pub fn join(&self) -> Arc<CommandCounters> {
        let counters = Arc::new(CommandCounters::new(self.lines));
        self.workers.lock().push(counters.clone());
        counters
    }

    /// What all threads have counted together.
    pub fn totals(&self) -> CommandTotals {
        let mut totals = CommandTotals::none(self.lines);
        for worker in &*self.workers.lock() {
            worker.add_to(&mut totals);
        }
        totals
    }

    /// How long a command took, by its place in the table: how often so long as each
    /// [step](super::most_micros) says. `None` if it was never timed.
    pub fn times(&self, line: usize) -> Option<Vec<u64>> {
        let sums = self.timed(line);
        let counts = &sums[..STEPS];
        counts.iter().any(|sum| *sum > 0).then(|| counts.to_vec())
    }

    /// How many microseconds a command took, by its place in the table, on average of the times
    /// when it was timed; 0 if it never was.
    pub fn mean_micros(&self, line: usize) -> f64 {
        let sums = self.timed(line);
        let count: u64 = sums[..STEPS].iter().sum();
        sums[STEPS] as f64 / count.max(1) as f64
    }

    fn timed(&self, line: usize) -> [u64; STEPS + 1] {
        let mut sums = [0; STEPS + 1];
        for worker in &*self.workers.lock() {
            worker.times.add_to(line, &mut sums);
        }
        sums
    }

    /// How many errors clients got, by code; by none those whose codes were too many.
    pub fn error_codes(&self) -> BTreeMap<Box<str>, u64> {
        let mut sums = BTreeMap::<Box<str>, u64>::new();
        for worker in &*self.workers.lock() {
            for (code, count) in &*worker.codes.lock() {
                *sums.entry(code.clone()).or_default() += count;
            }
        }
        sums
    }

    /// Sets all to zero: `CONFIG RESETSTAT`.
    pub fn reset(&self) {
        for worker in &*self.workers.lock() {
            worker.reset();
        }
    }
}

impl CommandTotals {
    pub(super) fn none(lines: usize) -> CommandTotals {
        CommandTotals {
            requests: [0; FAMILIES],
            errors: [[0; KINDS]; FAMILIES],
            waits: [[0; WAITS]; FAMILIES],
            bytes: [0; 2],
            calls: vec![[0; CALLS]; lines],
        }
    }

    /// Errors of a kind, of all families.
    pub fn errors_of(&self, kind: ErrorKind) -> u64 {
        self.errors.iter().map(|kinds| kinds[kind as usize]).sum()
    }
}

/// The counters of one thread.
#[derive(Debug)]
pub struct CommandCounters {
    requests: Row<FAMILIES>,
    errors: [Row<KINDS>; FAMILIES],
    waits: [Row<WAITS>; FAMILIES],
    bytes: Row<2>,
    calls: Box<[[AtomicU64; CALLS]]>,
    times: Times,
    /// Error replies by their codes. No other thread waits for it but who asks for INFO.
    codes: Mutex<BTreeMap<Box<str>, u64>>,
}

impl CommandCounters {
    pub(super) fn new(lines: usize) -> CommandCounters {
        CommandCounters {
            requests: Row::default(),
            errors: Default::default(),
            waits: Default::default(),
            bytes: Row::default(),
            calls: (0..lines).map(|_| Default::default()).collect(),
            times: Times::new(lines),
            codes: Mutex::default(),
        }
    }

    /// A client got an error with this text. Past a limit of codes it is counted without one.
    pub fn told_error(&self, text: &[u8]) {
        let text = text.strip_prefix(b"-").unwrap_or(text);
        let end = text.iter().position(|byte| b" \r\n".contains(byte));
        let code = std::str::from_utf8(&text[..end.unwrap_or(text.len())]).unwrap_or_default();
        let mut codes = self.codes.lock();
        if let Some(count) = codes.get_mut(code) {
            *count += 1;
        } else if codes.len() < limits::ERROR_CODES && code.len() <= limits::ERROR_CODE_BYTES {
            codes.insert(code.into(), 1);
        } else {
            *codes.entry("".into()).or_default() += 1;
        }
    }

    /// A request of this family was taken.
    #[inline]
    pub fn requested(&self, family: Family) {
        add(&self.requests.0[family as usize], 1);
    }

    /// A request was answered with an error.
    pub fn failed(&self, family: Family, kind: ErrorKind) {
        add(&self.errors[family as usize].0[kind as usize], 1);
    }

    /// So many clients have waited so many microseconds for a reply.
    pub fn waited(&self, family: Family, micros: u64, requests: u64) {
        self.waits[family as usize].waited(micros, requests);
    }

    /// Bytes came from a client.
    pub fn received(&self, count: usize) {
        add(&self.bytes.0[0], count as u64);
    }

    /// Bytes went to a client.
    pub fn sent(&self, count: usize) {
        add(&self.bytes.0[1], count as u64);
    }

    /// Counts a command by its place in the table.
    #[inline]
    pub fn called(&self, line: usize, call: Call) {
        if let Some(calls) = self.calls.get(line) {
            add(&calls[call as usize], 1);
        }
    }

    /// A command, by its place in the table, took so many microseconds.
    pub fn took(&self, line: usize, micros: u64) {
        self.times.took(line, micros);
    }

    pub(super) fn add_to(&self, totals: &mut CommandTotals) {
        self.requests.add_to(&mut totals.requests);
        self.bytes.add_to(&mut totals.bytes);
        for (row, sums) in self.errors.iter().zip(&mut totals.errors) {
            row.add_to(sums);
        }
        for (row, sums) in self.waits.iter().zip(&mut totals.waits) {
            row.add_to(sums);
        }
        for (calls, sums) in self.calls.iter().zip(&mut totals.calls) {
            for (call, sum) in calls.iter().zip(sums) {
                *sum = sum.wrapping_add(call.load(Relaxed));
            }
        }
    }

    fn reset(&self) {
        let rows = self.errors.iter().flat_map(|row| &row.0);
        let waits = self.waits.iter().flat_map(|row| &row.0);
        let calls = self.calls.iter().flatten();
        let others = self.requests.0.iter().chain(&self.bytes.0);
        for counter in rows.chain(waits).chain(calls).chain(others) {
            counter.store(0, Relaxed);
        }
        self.times.reset();
        self.codes.lock().clear();
    }
}

impl Row<WAITS> {
    /// So many requests have waited so many microseconds.
    pub(super) fn waited(&self, micros: u64, requests: u64) {
        let step = WAITS_US.partition_point(|&step| step < micros);
        add(&self.0[step], requests);
        add(&self.0[WAITS - 1], micros.saturating_mul(requests));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_of_all_threads_until_it_is_reset() {
        let stats = CommandStats::new(3);
        for worker in [stats.join(), stats.join()] {
            worker.requested(Family::List);
            worker.failed(Family::List, ErrorKind::Timeout);
            worker.waited(Family::Cluster, 51, 4);
            worker.received(7);
            worker.sent(8);
            worker.called(2, Call::Failed);
            worker.called(3, Call::Made);
        }
        let totals = stats.totals();
        assert_eq!(totals.requests[Family::List as usize], 2);
        assert_eq!(totals.errors_of(ErrorKind::Timeout), 2);
        assert_eq!(totals.errors_of(ErrorKind::Reply), 0);
        let waits = totals.waits[Family::Cluster as usize];
        assert_eq!((waits[0], waits[1], waits[16]), (0, 8, 408));
        assert_eq!(totals.bytes, [14, 16]);
        assert_eq!(totals.calls, [[0, 0, 0], [0, 0, 0], [0, 0, 2]]);
        stats.reset();
        assert_eq!(stats.totals(), CommandTotals::none(3));
    }

    #[test]
    fn kinds_stand_at_their_places() {
        for (i, kind) in ErrorKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, i);
        }
    }
}
