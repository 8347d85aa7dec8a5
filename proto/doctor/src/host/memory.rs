//! How much memory is left, and whether what is in it can get to a swap device. Cores are [`crate::host::kernel`]'s.

use crate::catalogue::host::{MEMORY_ENOUGH, MEMORY_LOW, MEMORY_SWAP};
use crate::check::Finding;
use crate::host::{kernel_file, number_after};
use crate::unit::bytes;
use std::io;

/// The check `memory`: `least` bytes have to be available.
///
/// # Errors
/// When it cannot be told.
pub fn memory(least: u64) -> io::Result<Finding> {
    let text = kernel_file("/proc/meminfo")?;
    judge(&text, least).ok_or_else(|| io::Error::other("unknown form of meminfo"))
}

fn judge(text: &str, least: u64) -> Option<Finding> {
    let of = |name| number_after(text, name).map(|kib| kib.saturating_mul(1024));
    let (size, available) = (of("MemTotal")?, of("MemAvailable")?);
    let (swap, free) = (of("SwapTotal")?, of("SwapFree")?);
    let outcome = if available < least {
        &MEMORY_LOW
    } else if swap > 0 {
        &MEMORY_SWAP
    } else {
        &MEMORY_ENOUGH
    };
    Some(
        Finding::new(outcome)
            .with("available", bytes(available))
            .with("size", bytes(size))
            .with("least", bytes(least))
            .with("swap", bytes(swap))
            .with("used", bytes(swap.saturating_sub(free))),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(available: u64, swap: u64) -> &'static str {
        let text = format!(
            "MemTotal:       8000000 kB\nMemFree:  1 kB\nMemAvailable:    {available} kB\n\
             SwapCached:  0 kB\nSwapTotal: {swap} kB\nSwapFree: 0 kB\n"
        );
        judge(&text, 512 * 1024 * 1024).unwrap().outcome.code
    }

    #[test]
    fn little_memory_and_swap_are_told() {
        assert_eq!(judged(4_000_000, 0), "MEMORY_ENOUGH");
        assert_eq!(judged(4_000_000, 1), "MEMORY_SWAP");
        assert_eq!(judged(400_000, 1), "MEMORY_LOW");
        assert_eq!(judge("MemTotal: 1 kB", 1), None);
        memory(0).unwrap();
    }
}
