//! Memory that has been freed, given back to the system.
//!
//! The allocator keeps what a thread has freed of another's until that other thread looks after it,
//! which one that has nothing more to allocate never does: of 1 million keys of 80 bytes that were
//! deleted, half the memory stayed with the process. So each worker is asked to look once much has
//! been freed, and then the pages that nobody uses are given back, on the control thread.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::sync::watch;

/// Tells the program's allocator to look after what other threads have freed of this one's memory;
/// with `true`, to give back all pages that nobody uses, whatever that costs.
static COLLECT: OnceLock<fn(bool)> = OnceLock::new();

/// How long the workers are given to look.
const LOOKING: Duration = Duration::from_millis(100);

/// Says how the allocator is told. To be called once, before threads are started; where it is not,
/// nothing is given back.
pub fn collect_with(collect: fn(bool)) {
    // Whoever was first stays.
    let _ = COLLECT.set(collect);
}

fn collect(force: bool) {
    if let Some(collect) = COLLECT.get() {
        collect(force);
    }
}

/// The threads of a process that are asked to look after their memory.
#[derive(Debug, Default)]
pub struct Allocator {
    asked: watch::Sender<u64>,
}

impl Allocator {
    /// Asks all threads.
    pub fn ask(&self) {
        self.asked.send_modify(|asked| *asked += 1);
    }

    /// Looks after this thread's memory whenever that is asked. Runs for ever.
    pub async fn look(&self) {
        let mut asked = self.asked.subscribe();
        while asked.changed().await.is_ok() {
            collect(true);
        }
    }

    /// Gives back what nobody uses once the other threads have looked, whenever that was asked. To
    /// be run on one thread, for ever.
    pub async fn give_back(&self) {
        let mut asked = self.asked.subscribe();
        while asked.changed().await.is_ok() {
            tokio::time::sleep(LOOKING).await;
            collect(true);
        }
    }
}

/// Tells when so much has been freed that it pays to ask.
#[derive(Debug, Default)]
pub struct Watermark {
    highest: usize,
    freed: usize,
}

impl Watermark {
    /// Notes how many bytes are in use, and how many this thread has freed of others' since the
    /// last time; whether they are so many fewer than at most so far, or this thread has freed so
    /// many, that the rest is to be given back.
    pub fn has_fallen(&mut self, bytes: usize, freed: usize) -> bool {
        const MIB: usize = 1024 * 1024;
        self.highest = self.highest.max(bytes);
        self.freed += freed;
        let fallen = self.highest - bytes >= (4 * MIB).max(self.highest / 8);
        let fallen = fallen || self.freed >= MIB.max(self.highest / 64);
        if fallen {
            (self.highest, self.freed) = (bytes, 0);
        }
        fallen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_pays_once_much_was_freed() {
        const KIB: usize = 1024;
        let mut mark = Watermark::default();
        for (mib, freed_kib, fallen) in [
            (100, 0, false),
            (90, 0, false),
            (88, 0, false),
            (87, 0, true),
            (87, 0, false),
            (200, 0, false),
            (10, 0, true),
            (7, 0, false),
            (6, 0, true),
            (0, 0, true),
            (0, 0, false),
            (9, 1000, false),
            (9, 24, true),
            (9, 1000, false),
            (256, 3000, false),
            (256, 96, true),
        ] {
            let fallen_now = mark.has_fallen(mib * KIB * KIB, freed_kib * KIB);
            assert_eq!(fallen_now, fallen, "{mib} {freed_kib}");
        }
    }
}
