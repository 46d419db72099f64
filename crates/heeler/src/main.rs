//! The program.

mod cli;
mod malloc;

use std::ffi::OsString;
use std::process::ExitCode;

use cli::{Arguments, Command};
use heeler::daemon::Daemon;
use heeler::log::{Log, Settings};
use heeler::nutcracker::{self, Request};
use heeler::{allocator, call, demo, explain, live, member, proxy, ring, serve, slowlog};

fn main() -> ExitCode {
    malloc::without_huge_pages();
    allocator::collect_with(malloc::collect);
    let mut args = std::env::args_os();
    if args.next().is_some_and(|name| nutcracker::is_called(&name)) {
        return as_nutcracker(nutcracker::parse(args));
    }
    let Arguments { command, log } = match Arguments::read(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    let log = log.settings();
    let done = match command {
        Command::Proxy {
            flags,
            watching,
            admin,
            explain,
            workers,
            slowlog,
        } => {
            let options = proxy::Options {
                flags,
                threads: workers.threads(),
                watch: watching.watch(),
                admin: admin.admin,
                slowlog: slowlog.settings(),
            };
            return told("heeler", as_proxy(&options, &explain, log));
        }
        Command::Serve(it) => Log::start(&log).and_then(|log| serve::run(&it.options(), log)),
        Command::Ringpop(it) => Log::start(&log).and_then(|_| member::run(&it.options())),
        Command::Ring(it) => Log::start(&log).and_then(|_| ring::run(&it.options())),
        Command::Call(flags) => {
            return told("heeler", Log::start(&log).map(|_| call::run(&flags)));
        }
        Command::Demo { stores, workers } => Log::start(&log).and_then(|_| {
            demo::run(&demo::Options {
                stores: stores.into(),
                threads: workers.threads(),
            })
        }),
    };
    told("heeler", done.map(|()| ExitCode::SUCCESS))
}

/// Called by nutcracker's name.
fn as_nutcracker(request: Result<Request, String>) -> ExitCode {
    match request {
        Err(message) => {
            eprint!("nutcracker: {message}\n{}", nutcracker::usage());
            ExitCode::FAILURE
        }
        Ok(Request::Show { usage, stats }) => {
            let usage = usage.then(nutcracker::usage).unwrap_or_default();
            let stats = stats.then(nutcracker::describe_stats).unwrap_or_default();
            eprint!("{}{usage}{stats}", nutcracker::version());
            ExitCode::SUCCESS
        }
        Ok(Request::Run { flags, threads }) => {
            let options = proxy::Options {
                flags: *flags,
                threads,
                // As nutcracker does, it looks at the file when it is told to.
                watch: false,
                admin: None,
                slowlog: slowlog::Settings::default(),
            };
            let log = Settings::default();
            match options.flags.test_conf {
                true => test_as_nutcracker(&options, &log),
                false => told("nutcracker", as_proxy(&options, &[], log)),
            }
        }
    }
}

fn test_as_nutcracker(options: &proxy::Options, log: &Settings) -> ExitCode {
    let file = options.flags.conf_file.display();
    match Log::start(log).and_then(|_| live::check(&options.flags.conf_file)) {
        Ok(_) => {
            eprintln!("nutcracker: configuration file '{file}' syntax is ok");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error:#}\nnutcracker: configuration file '{file}' syntax is invalid");
            ExitCode::FAILURE
        }
    }
}

fn as_proxy(
    options: &proxy::Options,
    explain: &[OsString],
    log: Settings,
) -> anyhow::Result<ExitCode> {
    let flags = &options.flags;
    let runs = !flags.test_conf && !flags.describe_stats && explain.is_empty();
    let daemon = match Daemon::start(runs && flags.daemonize)? {
        Ok(daemon) => daemon,
        Err(code) => return Ok(code),
    };
    let file = flags.output.clone().filter(|_| runs);
    let has_file = file.is_some();
    let log = Log::start(&Settings {
        verbosity: flags.verbose,
        file,
        ..log
    })?;
    let done = match (flags.describe_stats, flags.test_conf, explain) {
        (true, ..) => {
            print!("{}", nutcracker::describe_stats());
            Ok(())
        }
        (false, true, _) => proxy::test(options),
        (false, false, []) => proxy::run(options, log, daemon),
        (false, false, keys) => explain::run(options, keys),
    };
    if let (Err(error), true) = (&done, has_file) {
        tracing::error!("{error:#}");
    }
    done.map(|()| ExitCode::SUCCESS)
}

fn told(program: &str, done: anyhow::Result<ExitCode>) -> ExitCode {
    done.unwrap_or_else(|error| {
        eprintln!("{program}: {error:#}");
        ExitCode::FAILURE
    })
}
