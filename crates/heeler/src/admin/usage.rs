//! What the process uses, by the kernel's account.

/// Memory that is resident; 0 where the kernel does not tell.
pub fn resident_bytes() -> u64 {
    status_kib("VmRSS") * 1024
}

/// The most memory that was ever resident; 0 where the kernel does not tell.
pub fn peak_bytes() -> u64 {
    status_kib("VmHWM") * 1024
}

/// Memory that the machine has; 0 where the kernel does not tell.
pub fn machine_bytes() -> u64 {
    kib("/proc/meminfo", "MemTotal") * 1024
}

/// Processor time, of the program and of the kernel for it.
pub fn cpu_seconds() -> (f64, f64) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field is a name in parentheses that may hold blanks: count from behind it.
    let mut fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_ascii_whitespace()
        .skip(11);
    let mut seconds = || {
        fields
            .next()
            .and_then(|f| f.parse().ok())
            .map_or(0.0, |t: f64| t / 100.0)
    };
    (seconds(), seconds())
}

fn status_kib(name: &str) -> u64 {
    kib("/proc/self/status", name)
}

/// A line of a file that counts in KiB; 0 where there is none.
fn kib(file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|l| l.trim().strip_suffix(" kB")?.parse().ok())
        .unwrap_or(0)
}
