//! How long a ring takes to come together, and to see that a member has died.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;
use heeler_ringpop::channel::Channel;
use serde::Serialize;

use super::alone;
use super::ring::{Kind, Ring};
use crate::contest::median;

/// Members, all processes of their own.
const MEMBERS: usize = 5;
/// What was to be told has been told after it.
const SETTLED: Duration = Duration::from_secs(1);

/// The times of one contestant, in milliseconds, one of each run.
#[derive(Debug, Default, Serialize)]
pub struct Times {
    pub who: &'static str,
    /// From before the first process is started until all answer.
    pub listening_ms: Vec<f64>,
    /// From before the first process is started until all see all alive, with equal checksums.
    pub agreed_ms: Vec<f64>,
    /// From SIGKILL to one until all others see it as faulty.
    pub faulty_ms: Vec<f64>,
}

/// Starts rings of each kind, in turns.
pub fn run(kinds: &[Kind<'_>], runs: u32) -> Result<Vec<Times>> {
    let new = |kind: &Kind<'_>| Times {
        who: kind.name(),
        ..Times::default()
    };
    let mut all: Vec<Times> = kinds.iter().map(new).collect();
    for run in 1..=runs {
        for (kind, times) in kinds.iter().zip(&mut all) {
            eprintln!("membership of {}, run {run} of {runs}", kind.name());
            alone()?.block_on(measure(*kind, times))?;
        }
    }
    Ok(all)
}

async fn measure(kind: Kind<'_>, times: &mut Times) -> Result<()> {
    let channel = Channel::builder("bench").start().await?;
    let mut ring = Ring::start(kind, MEMBERS)?;
    let start = ring.agrees(&channel).await?;
    tokio::time::sleep(SETTLED).await;
    let faulty = ring.kill_one(&channel).await?;
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    times.listening_ms.push(ms(start.listening));
    times.agreed_ms.push(ms(start.agreed));
    times.faulty_ms.push(ms(faulty));
    Ok(())
}

/// The median and the worst of each time.
pub fn table(all: &[Times]) -> String {
    let mut text = format!(
        "{:<42}{:<14}{:>10}{:>10}\n",
        "5 members", "who", "median ms", "worst ms"
    );
    type Of = fn(&Times) -> &[f64];
    let lines: [(&str, Of); 3] = [
        ("from start to all listening", |times| &times.listening_ms),
        ("from start to equal checksums", |times| &times.agreed_ms),
        ("from SIGKILL to faulty on all others", |times| {
            &times.faulty_ms
        }),
    ];
    for (what, of) in lines {
        for times in all {
            let worst = of(times).iter().copied().fold(0.0, f64::max);
            let middle = median(of(times).to_vec());
            let _ = writeln!(
                text,
                "{what:<42}{:<14}{middle:>10.0}{worst:>10.0}",
                times.who
            );
        }
    }
    text
}

#[test]
fn medians_and_worsts() {
    let times = Times {
        who: "x",
        listening_ms: vec![1.0],
        agreed_ms: vec![30.0, 10.0, 20.0],
        faulty_ms: vec![5.0, 7.0],
    };
    let table = table(&[times]);
    assert!(
        table.lines().nth(2).unwrap().ends_with("20        30"),
        "{table}"
    );
}
