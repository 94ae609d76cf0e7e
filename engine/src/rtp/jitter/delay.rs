//! How long packets should wait: the distribution of their transit times with forgetting, and the delay that costs least by it.
//!
//! Transit time is arrival time less media time: only its changes mean anything. The lowest of the last seconds is the base; what
//! packets need above it is the delay. More delay means less that is made up; where the next ms saves less than it is worth, that is
//! enough. A stand of the line that comes once a minute is not worth waiting for all the minute. A clock that runs fast or slow moves
//! base and distribution alike.

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
/// Packets from one reckoning to the next, unless one comes late.
const RECKONED: u8 = 8;
/// What packets wait beyond what is reckoned, in µs: a clock that drifts comes near it slowly.
const SPARE_US: i64 = 3_000;
/// What one believes before anything was seen: delays that fall off exponentially with this mean, in ms, worth so many ms of packets.
const BELIEF_MEAN_MS: f32 = 14.0;
const BELIEF_WEIGHT: f32 = 2_000.0;
/// Time in which a new stream's target does not fall, in µs: so little says nothing about how low it may be.
const FIRST_US: u64 = 5_000_000;
/// What is less than this part of the target is usual.
const USUAL_PART: i64 = 4;

/// What the estimate strives for. The default is for talk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Aim {
    /// Delay that is worth having if one per cent less of the time is made up, in ms.
    pub worth_ms: f32,
    /// Share of packets that come in what is usual: one that takes longer makes what is there last longer (0 to 1).
    pub usual: f32,
    /// Time after which what was seen counts half, in ms.
    pub half_life_ms: f32,
}

impl Default for Aim {
    fn default() -> Aim {
        Aim {
            worth_ms: 20.0,
            usual: 0.93,
            half_life_ms: 20_000.0,
        }
    }
}

/// The distribution of one source. In this order in memory: what every packet touches comes first.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Delay {
    total: f32,
    /// Weight of the next packet per ms of its length: grows instead of all others shrinking.
    weight: f32,
    /// By how much it grows with a packet of so many ms.
    growth: f32,
    growth_ms: f32,
    /// Transit time at the lower edge of the first bin, in µs.
    origin: i64,
    /// Lowest transit times of the last slots.
    lows: [i64; BASE_SLOTS],
    slot_began_us: u64,
    began_us: u64,
    base: i64,
    /// Transit time up to which packets are waited for.
    enough: i64,
    usual: i64,
    target: i64,
    unreckoned: u8,
    pub(super) bins: [f32; BINS],
    aim: Aim,
}

impl Delay {
    pub(super) fn new(aim: Aim) -> Delay {
        Delay {
            aim,
            bins: [0.0; BINS],
            total: 0.0,
            weight: 1.0,
            growth: 1.0,
            growth_ms: 0.0,
            origin: 0,
            lows: [i64::MAX; BASE_SLOTS],
            slot_began_us: 0,
            began_us: 0,
            base: 0,
            enough: 0,
            usual: 0,
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
        self.began_us = now_us;
        let step = (-(BIN_US as f32) / (BELIEF_MEAN_MS * 1000.0)).exp();
        let mut share = BELIEF_WEIGHT * (1.0 - step);
        for bin in 0..BINS as i64 {
            self.add(bin * BIN_US, share);
            share *= step;
        }
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
        if ms != self.growth_ms {
            (self.growth, self.growth_ms) = ((ms / self.aim.half_life_ms).exp2(), ms);
        }
        self.weight *= self.growth;
        self.add(transit - self.origin, self.weight * ms);
        if self.weight > HEAVY {
            let down = 1.0 / self.weight;
            self.bins.iter_mut().for_each(|bin| *bin *= down);
            self.total = self.bins.iter().sum();
            self.weight = 1.0;
        }
        self.unreckoned += 1;
        if transit > self.enough || self.unreckoned >= RECKONED {
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
        self.origin += bins * BIN_US;
        if bins > 0 {
            self.shift(bins.min(BINS as i64) as usize);
        }
        // A path that became faster, or a fast clock: what was above the base before is what will be above it now.
    }

    /// What was above the base is less by so many bins.
    fn shift(&mut self, bins: usize) {
        let below: f32 = self.bins[..bins].iter().sum();
        self.bins.copy_within(bins.., 0);
        self.bins[BINS - bins..].fill(0.0);
        self.bins[0] += below;
    }

    /// Works out what is enough, what is usual, and the target.
    fn settle(&mut self, now_us: u64) {
        self.unreckoned = 0;
        self.enough = self.cheapest();
        let target = (self.enough - self.base).max(0) + SPARE_US;
        let young = now_us.saturating_sub(self.began_us) < FIRST_US;
        self.target = if young {
            target.max(self.target)
        } else {
            target
        };
        self.usual = (self.quantile_of(self.aim.usual) - self.base).max(self.target / USUAL_PART);
    }

    /// The transit time with the least sum of delay and what is made up if one waits no longer, each at its worth.
    fn cheapest(&self) -> i64 {
        let worth = self.aim.worth_ms * 100_000.0 / self.total.max(f32::MIN_POSITIVE);
        let (mut above, mut best, mut least) = (0.0, 0, f32::INFINITY);
        for bin in (0..BINS).rev() {
            let delay = (bin as i64 + 1) * BIN_US;
            let cost = above * worth + delay as f32;
            if cost < least {
                (best, least) = (delay, cost);
            }
            above += self.bins[bin];
        }
        self.origin + best
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
