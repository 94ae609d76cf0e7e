//! How long packets should wait: the distribution of their transit times with forgetting, a quantile of it, and peaks that come back.
//!
//! Transit time is arrival time less media time: only its changes mean anything. The lowest of the last seconds is the base; what
//! packets need above it is the delay. A clock that runs fast or slow moves base and distribution alike.

/// Width of a bin of the distribution in µs.
const BIN_US: i64 = 4_000;
/// Bins; the last one holds everything above.
const BINS: usize = 128;
/// Weight that is never reached: all is scaled down before.
const HEAVY: f32 = 1e6;
/// Time a slot of the base is filled, in µs; eight make up its memory of ten seconds.
const BASE_SLOT_US: u64 = 1_250_000;
/// Slots of the base.
const BASE_SLOTS: usize = 8;
/// Peaks remembered.
const PEAKS: usize = 4;
/// Peaks that mean that more will come.
const PEAKS_TELL: usize = 3;
/// Packets from one reckoning to the next, unless one comes late.
const RECKONED: u8 = 8;
/// What packets wait beyond the quantile, in µs: a clock that drifts comes near it slowly.
const SPARE_US: i64 = 2_000;
/// What a packet must be beyond the quantile for a peak, in µs.
const PEAK_US: i64 = 20_000;
/// Packets of one peak come within this time, in µs.
const PEAK_APART_US: u64 = 500_000;

/// What the estimate strives for. The default is for talk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Aim {
    /// Share of packets that shall be in time (0 to 1).
    pub quantile: f32,
    /// Share of packets that come in what is usual: one that takes longer makes what is there last longer (0 to 1).
    pub usual: f32,
    /// Time after which what was seen counts half, in ms.
    pub half_life_ms: f32,
    /// Time in which three peaks mean that a fourth will come, in ms.
    pub peak_memory_ms: u32,
    /// Delay before anything is known, in ms.
    pub first_ms: u32,
}

impl Default for Aim {
    fn default() -> Aim {
        Aim {
            quantile: 0.99,
            usual: 0.8,
            half_life_ms: 20_000.0,
            peak_memory_ms: 5_000,
            first_ms: 40,
        }
    }
}

/// The distribution of one source.
#[derive(Debug)]
pub(super) struct Delay {
    aim: Aim,
    bins: [f32; BINS],
    total: f32,
    /// Weight of the next packet per ms of its length: grows instead of all others shrinking.
    weight: f32,
    /// Transit time at the lower edge of the first bin, in µs.
    origin: i64,
    /// Lowest transit times of the last slots.
    lows: [i64; BASE_SLOTS],
    slot_began_us: u64,
    base: i64,
    quantile: i64,
    usual: i64,
    peaks: [Peak; PEAKS],
    target: i64,
    unreckoned: u8,
}

#[derive(Debug, Clone, Copy)]
struct Peak {
    at_us: u64,
    transit: i64,
}

const NO_PEAK: Peak = Peak {
    at_us: 0,
    transit: i64::MIN,
};

impl Delay {
    pub(super) fn new(aim: Aim) -> Delay {
        Delay {
            aim,
            bins: [0.0; BINS],
            total: 0.0,
            weight: 1.0,
            origin: 0,
            lows: [i64::MAX; BASE_SLOTS],
            slot_began_us: 0,
            base: 0,
            quantile: 0,
            usual: 0,
            peaks: [NO_PEAK; PEAKS],
            target: 0,
            unreckoned: 0,
        }
    }

    /// Forgets everything; the next packet has this transit time.
    pub(super) fn restart(&mut self, now_us: u64, transit: i64) {
        *self = Delay::new(self.aim);
        self.origin = transit;
        self.base = transit;
        self.lows[0] = transit;
        self.slot_began_us = now_us;
        // What one believes before anything was seen: a quarter of a second of packets at the first delay.
        let first = i64::from(self.aim.first_ms) * 1000;
        self.add(first - BIN_US, 250.0);
        self.settle(now_us);
    }

    /// The lowest transit time of the last seconds.
    pub(super) fn base(&self) -> i64 {
        self.base
    }

    /// What packets should wait beyond the base, in µs.
    pub(super) fn target(&self) -> i64 {
        self.target
    }

    /// What most packets need beyond the base, in µs.
    pub(super) fn usual(&self) -> i64 {
        self.usual
    }

    /// Takes note of one packet of so many ms.
    pub(super) fn observe(&mut self, now_us: u64, transit: i64, ms: f32) {
        self.follow_base(now_us, transit);
        let peak = transit > self.quantile + PEAK_US;
        self.weight *= (ms / self.aim.half_life_ms).exp2();
        self.add(transit - self.origin, self.weight * ms);
        if self.weight > HEAVY {
            let down = 1.0 / self.weight;
            self.bins.iter_mut().for_each(|bin| *bin *= down);
            self.total = self.bins.iter().sum();
            self.weight = 1.0;
        }
        if peak {
            self.note_peak(now_us, transit);
        }
        self.unreckoned += 1;
        if transit > self.quantile || self.unreckoned >= RECKONED {
            self.settle(now_us);
        }
    }

    fn add(&mut self, above_origin: i64, weight: f32) {
        let bin = (above_origin / BIN_US).clamp(0, BINS as i64 - 1) as usize;
        self.bins[bin] += weight;
        self.total += weight;
    }

    fn follow_base(&mut self, now_us: u64, transit: i64) {
        if now_us.saturating_sub(self.slot_began_us) >= BASE_SLOT_US {
            self.lows.copy_within(..BASE_SLOTS - 1, 1);
            self.lows[0] = transit;
            self.slot_began_us = now_us;
        }
        self.lows[0] = self.lows[0].min(transit);
        self.base = self.lows.iter().copied().fold(i64::MAX, i64::min);
        let bins = (self.base - self.origin).div_euclid(BIN_US);
        if bins != 0 {
            self.shift(bins);
        }
    }

    /// Moves the origin up by so many bins, or down if negative.
    fn shift(&mut self, by: i64) {
        let bins = by.unsigned_abs().min(BINS as u64) as usize;
        if by > 0 {
            let below: f32 = self.bins[..bins].iter().sum();
            self.bins.copy_within(bins.., 0);
            self.bins[BINS - bins..].fill(0.0);
            self.bins[0] += below;
        } else {
            let above: f32 = self.bins[BINS - bins..].iter().sum();
            self.bins.copy_within(..BINS - bins, bins);
            self.bins[..bins].fill(0.0);
            self.bins[BINS - 1] += above;
        }
        self.origin += by * BIN_US;
    }

    /// Later packets of a peak raise it, they are no peak of their own.
    fn note_peak(&mut self, now_us: u64, transit: i64) {
        let newest = &mut self.peaks[0];
        if newest.transit != i64::MIN && now_us.saturating_sub(newest.at_us) < PEAK_APART_US {
            newest.transit = newest.transit.max(transit);
            return;
        }
        self.peaks.copy_within(..PEAKS - 1, 1);
        self.peaks[0] = Peak {
            at_us: now_us,
            transit,
        };
    }

    /// Works out quantile and target.
    fn settle(&mut self, now_us: u64) {
        self.unreckoned = 0;
        self.quantile = self.quantile_of(self.aim.quantile);
        self.usual = self.quantile_of(self.aim.usual) - self.base;
        let memory = u64::from(self.aim.peak_memory_ms) * 1000;
        let recent =
            |peak: &&Peak| peak.transit != i64::MIN && now_us.saturating_sub(peak.at_us) < memory;
        let (mut count, mut highest) = (0usize, i64::MIN);
        for peak in self.peaks.iter().filter(recent) {
            count += 1;
            highest = highest.max(peak.transit);
        }
        let peak = if count >= PEAKS_TELL {
            highest
        } else {
            i64::MIN
        };
        self.target = (self.quantile.max(peak) - self.base).max(0) + SPARE_US;
    }

    /// The transit time that the share `q` of packets does not exceed.
    fn quantile_of(&self, q: f32) -> i64 {
        let mut above = self.total * (1.0 - q);
        let mut bin = BINS - 1;
        while bin > 0 && self.bins[bin] <= above {
            above -= self.bins[bin];
            bin -= 1;
        }
        let share = (above / self.bins[bin].max(f32::MIN_POSITIVE)).clamp(0.0, 1.0);
        self.origin + (bin as i64 + 1) * BIN_US - (share * BIN_US as f32) as i64
    }
}
