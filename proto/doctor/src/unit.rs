//! Numbers as people read them, with their units; the same in both languages.

use std::time::Duration;

/// Bytes, in the largest binary unit of which there is at least one, with one decimal.
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut size = 1024_u64;
    let mut shown = format!("{count} B");
    for unit in UNITS {
        if count < size {
            break;
        }
        let tenths = (u128::from(count) * 10 + u128::from(size) / 2) / u128::from(size);
        shown = format!("{}.{} {unit}", tenths / 10, tenths % 10);
        size = size.saturating_mul(1024);
    }
    shown
}

/// A short time: microseconds below one millisecond, milliseconds below ten seconds.
#[must_use]
pub fn brief(time: Duration) -> String {
    let micros = time.as_micros();
    if micros < 1000 {
        return format!("{micros} us");
    }
    if micros < 10_000_000 {
        return format!("{}.{} ms", micros / 1000, micros / 100 % 10);
    }
    long(time)
}

/// A long time, in its two largest units.
#[must_use]
pub fn long(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        (_, _, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units_of_their_size() {
        let told = [0, 1023, 1024, 1536, 10 * 1024 * 1024, u64::MAX].map(bytes);
        assert_eq!(told[..5], ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "10.0 MiB"]);
        assert_eq!(told[5], "16777216.0 TiB");
        let told = [Duration::from_micros(80), Duration::from_micros(2340)].map(brief);
        assert_eq!(told, ["80 us", "2.3 ms"]);
        assert_eq!(brief(Duration::from_secs(75)), "1 min 15 s");
        let told = [9, 3 * 3600 + 60, 6 * 86_400 + 7200].map(|s| long(Duration::from_secs(s)));
        assert_eq!(told, ["9 s", "3 h 1 min", "6 d 2 h"]);
    }
}
