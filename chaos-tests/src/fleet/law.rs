//! What published traces of GPU clusters say of jobs, and draws by it.
//!
//! The figures are those of `gpu-cluster-laws.json`, which were computed from the traces:
//! - *Philly*: Microsoft Philly, 82,247 jobs of 109 days (in the reduction of Pollux and Sia);
//! - *openb*: Alibaba `openb` of 2023, 8,152 pods of 149 days.
//!
//! Must hold: what stands under a trace's name is that trace's; what is ours says so. Between two quantiles a duration is
//! drawn evenly on a logarithmic scale, so quantiles are the trace's and means come out within a third of it.
//! Says nothing of what goes wrong, of GPU classes and of areas: no trace has them. Alibaba's DLRM trace of 2025 is not in
//! it: its instances are one GPU or none each, and it says nothing of time.

use super::chance::Chance;
use sekisho_types::limit::TIME_LIMIT_MAX;
use std::time::Duration;

/// Philly: GPUs of a job, and jobs.
pub const SIZES: [(u32, u64); 10] = [
    (1, 76_627),
    (2, 1_818),
    (4, 1_870),
    (8, 1_643),
    (12, 7),
    (16, 199),
    (24, 7),
    (32, 67),
    (64, 6),
    (128, 3),
];

/// A share of jobs, and the seconds that so many of them run at most.
pub type Quantile = (f64, f64);

/// Ours: the least of all durations. Philly's first hundredth runs 17 s at most.
const LEAST_S: f64 = 10.0;

/// Philly: p99.9 of all jobs, for the longest of any size: a law that ends at the trace's longest job would be that job's.
const MOST_S: f64 = 1_186_475.0;

/// Philly: durations of jobs of one GPU; p1, p5, p25 and p75 are those of all jobs, of which 93 % have one.
pub const OF_ONE: [Quantile; 10] = [
    (0.0, LEAST_S),
    (0.01, 17.0),
    (0.05, 48.0),
    (0.1, 62.0),
    (0.25, 115.0),
    (0.5, 1_117.0),
    (0.75, 2_932.0),
    (0.9, 8_512.0),
    (0.99, 135_404.0),
    (1.0, MOST_S),
];

/// Philly: of two to four.
pub const OF_FEW: [Quantile; 6] =
    [(0.0, LEAST_S), (0.1, 15.0), (0.5, 367.0), (0.9, 166_199.0), (0.99, 748_678.0), (1.0, MOST_S)];

/// Philly: of five to eight.
pub const OF_EIGHT: [Quantile; 6] = [
    (0.0, LEAST_S),
    (0.1, 216.0),
    (0.5, 23_683.0),
    (0.9, 352_409.0),
    (0.99, 1_066_894.0),
    (1.0, MOST_S),
];

/// Philly: of more than eight.
pub const OF_MORE: [Quantile; 6] = [
    (0.0, LEAST_S),
    (0.1, 69.0),
    (0.5, 21_137.0),
    (0.9, 252_560.0),
    (0.99, 1_152_387.0),
    (1.0, MOST_S),
];

/// Philly: its virtual clusters, with their jobs and their share of GPU-hours in parts of [`SHARES`].
pub const TENANTS: [(&str, u64, u64); 15] = [
    ("vc-6214e9", 41_226, 994),
    ("vc-11cb48", 16_091, 287),
    ("vc-6c71a0", 9_953, 840),
    ("vc-b436b2", 7_423, 1_286),
    ("vc-103959", 1_934, 438),
    ("vc-ee9e8c", 1_511, 2_619),
    ("vc-0e4a51", 1_435, 793),
    ("vc-ed69ec", 1_137, 91),
    ("vc-7f04ca", 723, 1_686),
    ("vc-2869ce", 422, 825),
    ("vc-e13805", 374, 139),
    ("vc-23dbec", 8, 2),
    ("vc-51b7ef", 4, 0),
    ("vc-795a4c", 3, 0),
    ("vc-925e2b", 3, 0),
];

/// The whole of a share in [`TENANTS`].
pub const SHARES: u64 = 10_000;

/// Philly: jobs of each hour of the day, as a share of all.
pub const HOURS: [f64; 24] = [
    0.0349, 0.0398, 0.0299, 0.0271, 0.0257, 0.0327, 0.0335, 0.0277, 0.0317, 0.0389, 0.0375, 0.0445,
    0.0448, 0.0475, 0.0433, 0.0473, 0.0509, 0.0316, 0.0367, 0.0622, 0.0817, 0.0591, 0.056, 0.0351,
];

/// Philly: seconds between two arrivals, on average.
pub const GAP_MEAN_S: f64 = 114.4;

/// Philly: their coefficient of variation. Jobs come in bursts.
pub const GAP_CV: f64 = 15.135;

/// openb: pods by class of service (LS, BE, Burstable, Guaranteed). Ours: the priorities that stand for them.
pub const PRIORITIES: [(u8, u64); 4] = [(70, 4_647), (30, 3_398), (50, 100), (90, 7)];

/// Ours: time limits that people ask for, seconds.
pub const LIMITS_S: [u64; 8] =
    [3_600, 14_400, 43_200, 86_400, 259_200, 604_800, 1_209_600, 2_592_000];

/// Ours: one in so many asks for the next longer limit than would do.
const GENEROUS: u64 = 3;

const HOUR_S: f64 = 3_600.0;
const DAY_S: f64 = 86_400.0;

/// GPUs of a job.
pub fn gpus(chance: &mut Chance) -> u32 {
    chance.pick(&SIZES).unwrap_or(1)
}

/// The durations of jobs with so many GPUs.
#[must_use]
pub fn durations(gpus: u32) -> &'static [Quantile] {
    match gpus {
        0..=1 => &OF_ONE,
        2..=4 => &OF_FEW,
        5..=8 => &OF_EIGHT,
        9.. => &OF_MORE,
    }
}

/// The seconds below which this share of a law lies.
#[must_use]
pub fn at(law: &[Quantile], share: f64) -> f64 {
    let mut pairs = law.iter().zip(law.iter().skip(1));
    let Some(((low, least), (high, most))) = pairs.find(|(_, (high, _))| share < *high) else {
        return law.last().map_or(LEAST_S, |(_, most)| *most);
    };
    let within = (share - low) / (high - low);
    (least.ln() + (most.ln() - least.ln()) * within).exp()
}

/// How long a job with so many GPUs runs, seconds.
pub fn duration_s(chance: &mut Chance, gpus: u32) -> u64 {
    let seconds = at(durations(gpus), chance.unit());
    Duration::try_from_secs_f64(seconds).map_or(1, |duration| duration.as_secs()).max(1)
}

/// What its user asks for: a round number above it.
pub fn limit_s(chance: &mut Chance, duration_s: u64) -> u64 {
    let mut above = LIMITS_S.into_iter().filter(|limit| *limit > duration_s);
    let least = above.next().unwrap_or(TIME_LIMIT_MAX.as_secs());
    let next = above.next().unwrap_or(least);
    if chance.one_in(GENEROUS) { next } else { least }
}

/// Seconds to the next arrival were all hours alike: of two exponential laws, a short one within a burst and a long one
/// between bursts, with the trace's mean and variation.
pub fn gap_s(chance: &mut Chance) -> f64 {
    let squared = GAP_CV * GAP_CV;
    let long = (1.0 - ((squared - 1.0) / (squared + 1.0)).sqrt()) / 2.0;
    let share = if chance.unit() < long { long } else { 1.0 - long };
    let mean = GAP_MEAN_S / (2.0 * share);
    -mean * (1.0 - chance.unit()).ln()
}

/// The second at which an arrival comes that would come at `even_s` were all hours alike: each day is stretched where few
/// come, and pressed together where many do.
#[must_use]
pub fn by_hour(even_s: f64) -> f64 {
    let days = (even_s / DAY_S).floor();
    let mut left = (even_s / DAY_S - days) * HOURS.iter().sum::<f64>();
    for (hour, share) in (0u32..).zip(HOURS) {
        if left < share {
            return days * DAY_S + (f64::from(hour) + left / share) * HOUR_S;
        }
        left -= share;
    }
    (days + 1.0) * DAY_S
}
