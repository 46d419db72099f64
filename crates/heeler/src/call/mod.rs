//! `heeler call`: one call over TChannel from the command line, as tcurl makes it, or many.
//!
//! Flags become a [`request`], the answer becomes an [`output`]; both without a socket. What is
//! printed is what tcurl 4.23 prints for the same answer, but for this: a body that is no JSON is
//! printed as a string, `i64` as a number, and every failure has an exit code.

mod bench;
mod flags;
mod json;
mod output;
mod peers;
mod request;
mod shon;
mod thrift;

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use heeler_ringpop::channel::{Answer, Builder, Channel};

pub use flags::{EXAMPLES, Flags, USAGE};
pub use output::FAULT;
pub use shon::fold;

use bench::{Load, Target};
use output::Output;
use request::Plan;

use crate::tls::Connector;

/// Whether the program is called by tcurl's name.
pub fn is_called(program: &OsStr) -> bool {
    Path::new(program).file_name() == Some(OsStr::new("tcurl"))
}

/// Calls, prints what comes of it, and says how to exit.
pub fn run(flags: &Flags) -> ExitCode {
    let output = done(flags).unwrap_or_else(|error| Output {
        stdout: Vec::new(),
        stderr: format!("heeler: {error:#}\n"),
        code: FAULT,
    });
    // Who has gone away does not read what cannot be written.
    let _ = std::io::stderr().write_all(output.stderr.as_bytes());
    let mut stdout = std::io::stdout().lock();
    let _ = stdout
        .write_all(&output.stdout)
        .and_then(|()| stdout.flush());
    ExitCode::from(output.code)
}

fn done(flags: &Flags) -> anyhow::Result<Output> {
    let mut peers = peers::peers(flags)?;
    let plan = request::plan(flags)?;
    let patience = flags.timeout / u32::try_from(peers.len()).unwrap_or(u32::MAX);
    let builder = secured(Channel::builder("heeler call"), flags)?.connect_timeout(patience);
    shuffle(&mut peers);
    if let Some(load) = Load::of(&flags.bench, peers.len())? {
        let target = Target {
            peers,
            request: plan.request,
            timeout: flags.timeout,
        };
        let report = bench::run(&load, &target, &builder)?;
        return Ok(Output {
            stdout: report.to_string().into_bytes(),
            stderr: String::new(),
            code: report.exit_code(),
        });
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let answer = runtime.block_on(call(builder, &peers, &plan, flags));
    // A name that is still being looked up must not hold up the end.
    runtime.shutdown_background();
    Ok(match answer? {
        Ok(response) => output::answered(&plan.reading, &response),
        Err(failure) => output::failed(&plan.reading, &failure),
    })
}

/// The same with TLS, if the flags ask for it.
fn secured(builder: Builder, flags: &Flags) -> anyhow::Result<Builder> {
    let Some(wanted) = flags.tls.wanted() else {
        return Ok(builder);
    };
    let (config, name) = Connector::load(&wanted, None)?.parts();
    let builder = builder.tls_client(config);
    Ok(match name {
        Some(name) => builder.tls_name(name),
        None => builder,
    })
}

/// Calls the first peer that can be reached.
async fn call(
    builder: Builder,
    peers: &[String],
    plan: &Plan,
    flags: &Flags,
) -> anyhow::Result<Answer> {
    let channel = builder.start().await?;
    let deadline = tokio::time::Instant::now().into_std() + flags.timeout;
    let mut peers = peers.iter().peekable();
    while let Some(peer) = peers.next() {
        let failed = channel.counters().connections_failed;
        let answer = channel
            .call_until(peer, plan.request.clone(), deadline)
            .await;
        // Only a call that was not sent may be sent to another.
        let unsent = channel.counters().connections_failed > failed;
        match &answer {
            Err(failure) if unsent && peers.peek().is_some() => eprintln!("{}", failure.message),
            _ => return Ok(answer),
        }
    }
    anyhow::bail!("there is nobody to call")
}

/// Puts peers into an order of chance, so that many who call spread over them.
fn shuffle(peers: &mut [String]) {
    let mut seed = crate::run::seed();
    for last in (1..peers.len()).rev() {
        // A step of splitmix64.
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^= mixed >> 27;
        peers.swap(last, (mixed % (last as u64 + 1)) as usize);
    }
}
