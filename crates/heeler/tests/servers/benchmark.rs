//! redis-benchmark, as a client that has to be satisfied.

use std::process::Command;

/// Its full default run, with few requests, against 127.0.0.1:`port`. Panics if it complains.
pub fn benchmark_runs(port: u16, args: &[&str]) {
    let out = Command::new("redis-benchmark")
        .args(["-p", &port.to_string(), "-n", "2000", "-q"])
        .args(args)
        .output()
        .expect("redis-benchmark of the Debian package redis-tools");
    let [said, complained] = [&out.stdout, &out.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    let text = format!("{said}{complained}");
    assert!(out.status.success(), "{}: {text}", out.status);
    let results = text.matches("requests per second").count();
    assert_eq!(results, 20, "{text}");
    let bad = ["ERR", "Error", "error", "WARNING"]
        .into_iter()
        .find(|word| text.contains(word));
    assert_eq!(bad, None, "{text}");
}
