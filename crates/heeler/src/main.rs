//! The program.

mod cli;

use std::process::ExitCode;

use clap::Parser;
use cli::{Arguments, Command};
use heeler::{demo, explain, proxy, run, serve};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let Arguments { command, log } = Arguments::parse();
    let done = run::start_log(&log.log, log.log_format).and_then(|()| match command {
        Command::Proxy {
            conf_file,
            test_conf,
            explain,
            workers,
        } => {
            let options = proxy::Options {
                file: conf_file,
                threads: workers.threads(),
            };
            match (test_conf, explain.is_empty()) {
                (true, _) => proxy::test(&options),
                (false, true) => proxy::run(&options),
                (false, false) => explain::run(&options, &explain),
            }
        }
        Command::Serve { redis, workers } => serve::run(&serve::Options {
            redis,
            threads: workers.threads(),
        }),
        Command::Demo { stores, workers } => demo::run(&demo::Options {
            stores: stores.into(),
            threads: workers.threads(),
        }),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("heeler: {error:#}");
            ExitCode::FAILURE
        }
    }
}
