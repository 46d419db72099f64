//! Programs that run to their end.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::thread;

/// How long a call may take that does not say it, in milliseconds.
pub const TIMEOUT_MS: &str = "20000";

/// What a program has left.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs `heeler call`.
pub fn heeler(args: &[&str]) -> Ended {
    heeler_reading(args, "")
}

/// Runs `heeler call` with something to read.
pub fn heeler_reading(args: &[&str], stdin: &str) -> Ended {
    let mut all = vec!["call"];
    if !args.contains(&"--timeout") {
        // The usual second is too short on a busy machine.
        all.extend(["--timeout", TIMEOUT_MS]);
    }
    all.extend(args);
    run(env!("CARGO_BIN_EXE_heeler"), &all, stdin)
}

/// Runs a program to its end. It has to end by itself.
pub fn run(program: &str, args: &[&str], stdin: &str) -> Ended {
    let mut child = Command::new(program)
        .args(args)
        .env_remove("HEELER_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let mut input = child.stdin.take().unwrap();
    let mut errors = child.stderr.take().unwrap();
    let text = stdin.to_owned();
    // Who does not read what is written to it has ended.
    let writer = thread::spawn(move || drop(input.write_all(text.as_bytes())));
    let stderr = thread::spawn(move || {
        let mut text = Vec::new();
        errors.read_to_end(&mut text).unwrap();
        text
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended {
        code: output.status.code().expect("it ends by itself"),
        stdout: text(output.stdout),
        stderr: text(stderr.join().unwrap()),
    }
}
