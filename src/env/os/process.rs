//! What the machine says of this process and of itself: memory, processor time, name.
//!
//! Left out: anything that other than Linux has; where `/proc` is missing the numbers are zero.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Ticks of `/proc/self/stat` in a second (USER_HZ), the same on every architecture of Linux that Rust supports.
const TICKS_PER_SECOND: u64 = 100;

/// Memory and time that this process has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Memory in use, in bytes.
    pub resident_bytes: u64,
    /// The most it was, in bytes.
    pub resident_peak_bytes: u64,
    /// Processor time spent in the program.
    pub cpu_user: Duration,
    /// Processor time spent in the kernel for it.
    pub cpu_system: Duration,
}

/// Memory and time that this process has used.
#[must_use]
pub fn usage() -> Usage {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    parse(&read("/proc/self/status"), &read("/proc/self/stat"))
}

/// Name and release of the operating system, and the architecture.
#[must_use]
pub fn system_name() -> String {
    let name = rustix::system::uname();
    let parts = [name.sysname(), name.release(), name.machine()];
    parts.map(|part| part.to_string_lossy().into_owned()).join(" ")
}

/// Allows this process to have `wanted` files and connections open, as far as the machine lets it; answers how many it may.
pub fn raise_open_files(wanted: u64) -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let current = limit.current.unwrap_or(u64::MAX);
    if current >= wanted {
        return current;
    }
    let raised = limit.maximum.map_or(wanted, |maximum| wanted.min(maximum));
    let asked = Rlimit { current: Some(raised), maximum: limit.maximum };
    if setrlimit(Resource::Nofile, asked).is_ok() { raised } else { current }
}

fn parse(status: &str, stat: &str) -> Usage {
    let kilobytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) << 10
    };
    // The second field, the program's name, may hold blanks and parentheses; the fields after it do not.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    let time = |index: usize| Duration::from_millis(ticks(index) * 1000 / TICKS_PER_SECOND);
    Usage {
        resident_bytes: kilobytes("VmRSS:"),
        resident_peak_bytes: kilobytes("VmHWM:"),
        cpu_user: time(11),
        cpu_system: time(12),
    }
}

#[cfg(test)]
mod tests {
    use super::{parse, usage};
    use std::time::Duration;

    #[test]
    fn usage_is_read_from_proc() {
        let status = "Name:\ta b)\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 250 130 0 0";
        let usage_parsed = parse(status, stat);
        assert_eq!((usage_parsed.resident_bytes, usage_parsed.resident_peak_bytes), (1 << 20, 2 << 20));
        assert_eq!(usage_parsed.cpu_user, Duration::from_millis(2500));
        assert_eq!(usage_parsed.cpu_system, Duration::from_millis(1300));
        assert!(usage().resident_bytes > 1 << 20, "this test takes more than a megabyte");
    }
}
