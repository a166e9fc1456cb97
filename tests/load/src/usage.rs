//! What a process costs, as the operating system counts it, and how many files it may open.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// Clock ticks per second in `/proc`, which Linux fixes for every program at 100.
const TICKS_PER_SECOND: u64 = 100;

/// Memory of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Bytes of it that are in memory.
    pub resident: u64,
    /// Those of them that no file backs: heap and stacks.
    pub anonymous: u64,
}

/// The memory of a process.
///
/// # Errors
///
/// Fails when the process is gone, or the system has no `/proc`.
pub fn memory(pid: u32) -> Result<Memory> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    parse_memory(&text).with_context(|| format!("{path} does not tell the memory"))
}

/// The time for which a process and its threads have run, to 10 ms.
///
/// # Errors
///
/// Fails when the process is gone, or the system has no `/proc`.
pub fn cpu(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    parse_cpu(&text).with_context(|| format!("{path} does not tell the time"))
}

fn parse_memory(status: &str) -> Option<Memory> {
    let value = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kibibytes * 1024)
    };
    Some(Memory {
        resident: value("VmRSS:")?,
        anonymous: value("RssAnon:")?,
    })
}

/// The fields after the name, which stands in parentheses and may hold anything: state is the first of them, the time in
/// user mode the 12th, that in the kernel the 13th.
fn parse_cpu(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis(
        (user + system) * 1000 / TICKS_PER_SECOND,
    ))
}

/// Raises the limit on open files of this process, and so of those it starts, as far as it goes, and returns it.
#[must_use]
pub fn raise_file_limit() -> u64 {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        // Where it may not be raised, what is there has to do.
        let _ = setrlimit(Resource::Nofile, raised);
        getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
    }
    #[cfg(not(unix))]
    {
        u64::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_bytes() {
        let status = "Name:\tx\nVmHWM:\t  9000 kB\nVmRSS:\t    5120 kB\nRssAnon:\t    1024 kB\n";
        let memory = Memory {
            resident: 5 << 20,
            anonymous: 1 << 20,
        };
        assert_eq!(parse_memory(status), Some(memory));
        assert_eq!(parse_memory("VmRSS:\t12 kB\n"), None);
        assert_eq!(parse_memory("VmRSS:\t12\nRssAnon:\t1 kB\n"), None);
    }

    #[test]
    fn time_is_read_behind_any_name() {
        let stat = "42 (a) b) 7 (c) S 1 42 42 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 3 0 99 1 2";
        assert_eq!(parse_cpu(stat), Some(Duration::from_secs(3)));
        assert_eq!(parse_cpu("42 (a) S 1 2"), None);
        assert_eq!(parse_cpu(""), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_memory_and_time() {
        let memory = memory(std::process::id()).unwrap();
        assert!(memory.resident > 0 && memory.anonymous <= memory.resident);
        assert!(cpu(std::process::id()).is_ok());
    }
}
