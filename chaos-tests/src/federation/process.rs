//! Processes that may not be children of this one, as `/proc` and their logs tell of them.

use nix::unistd::Pid;
use std::path::Path;

/// Lines of a log that are shown when a wait is given up: a start and what went wrong after it.
const LAST_WORDS: usize = 40;

/// Whether nothing of a process runs any more. Its files, locks and sockets are closed then; who started it need not
/// have heard of its end.
pub(crate) fn is_over(pid: Pid) -> bool {
    // One by one: the first thread may be dead while another is still in the kernel, writing, and holds the files.
    all_threads(pid, |state| matches!(state, 'Z' | 'X'))
}

/// Whether `is` holds for the state of every thread of a process, as `/proc/PID/task/*/stat` has it; also if there is none.
pub(crate) fn all_threads(pid: Pid, is: impl Fn(char) -> bool) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return true };
    threads.flatten().all(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // The name before the state is in parentheses and may hold anything.
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        state.is_none_or(&is)
    })
}

/// The end of the log of every controller, by name.
pub(super) fn last_words(logs: &Path) -> String {
    let files = std::fs::read_dir(logs).into_iter().flatten().flatten();
    let mut paths: Vec<_> = files.map(|file| file.path()).collect();
    let is_controller =
        |name: &std::ffi::OsStr| name.as_encoded_bytes().starts_with(b"controller-");
    paths.retain(|path| path.file_name().is_some_and(is_controller));
    paths.sort();
    let told = paths.iter().map(|path| {
        let text = std::fs::read(path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let end = lines.get(lines.len().saturating_sub(LAST_WORDS)..).unwrap_or_default();
        format!("\n--- {}\n{}", path.display(), end.join("\n"))
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_process_is_over_when_it_is_dead_even_if_nobody_has_heard_of_it() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let pid = Pid::from_raw(child.id().try_into().unwrap());
        assert!(!is_over(pid));
        child.kill().unwrap();
        // No wait: it stays a zombie of this process.
        while !is_over(pid) {
            std::thread::yield_now();
        }
        assert!(Path::new(&format!("/proc/{pid}")).exists());
        child.wait().unwrap();
        assert!(is_over(pid));
    }

    #[test]
    fn the_last_words_are_the_end_of_every_controllers_log() {
        let dir = tempfile::tempdir().unwrap();
        let lines: String = (1..=50).map(|n| format!("line {n}\n")).collect();
        std::fs::write(dir.path().join("controller-2.log"), lines).unwrap();
        std::fs::write(dir.path().join("controller-1.log"), b"in use\xff").unwrap();
        std::fs::write(dir.path().join("agent-x.log"), "an agent").unwrap();
        let told = last_words(dir.path());
        let lines: Vec<&str> = told.lines().skip(1).collect();
        assert!(lines[0].ends_with("controller-1.log") && lines[1].starts_with("in use"), "{told}");
        assert!(lines[2].ends_with("controller-2.log"), "{told}");
        assert_eq!((lines.len(), lines[3], lines[42]), (43, "line 11", "line 50"));
        assert_eq!(last_words(&dir.path().join("nowhere")), "");
    }
}
