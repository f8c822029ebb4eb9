//! What this process has used so far: CPU of all threads and of this one, bytes written, resident memory.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// Background work counts as ended below this share of a processor.
const QUIET_SHARE: f64 = 0.02;
/// How long each look takes.
const LOOK: Duration = Duration::from_millis(60);
/// Looks without work, one after the other, that count as the end.
const LOOKS: u32 = 3;
/// Longest wait for the background.
const PATIENCE: Duration = Duration::from_secs(120);

fn seconds(time: Timespec) -> f64 {
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// CPU seconds of all threads.
pub(crate) fn process_cpu() -> f64 {
    seconds(clock_gettime(ClockId::ProcessCPUTime))
}

/// CPU seconds of this thread.
pub(crate) fn thread_cpu() -> f64 {
    seconds(clock_gettime(ClockId::ThreadCPUTime))
}

/// Bytes handed to write calls.
pub(crate) fn written_bytes() -> anyhow::Result<u64> {
    field("/proc/self/io", "wchar:")
}

/// Resident memory in bytes.
pub(crate) fn resident_bytes() -> anyhow::Result<u64> {
    Ok(field("/proc/self/status", "VmRSS:")? * 1024)
}

fn field(path: &str, name: &str) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
    Ok(line.split_whitespace().next().context("no number")?.parse()?)
}

/// Waits until no thread of this process works.
pub(crate) fn wait_quiet() {
    let end = Instant::now() + PATIENCE;
    let mut quiet = 0;
    while quiet < LOOKS && Instant::now() < end {
        let before = process_cpu();
        std::thread::sleep(LOOK);
        let is_quiet = process_cpu() - before < QUIET_SHARE * LOOK.as_secs_f64();
        quiet = if is_quiet { quiet + 1 } else { 0 };
    }
}

/// Bytes that the files below `dir` take on the disk.
pub(crate) fn disk_bytes(dir: &Path) -> anyhow::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let data = entry.metadata()?;
        bytes += if data.is_dir() { disk_bytes(&entry.path())? } else { data.blocks() * 512 };
    }
    Ok(bytes)
}
