//! Counters of the media engine: each shard has its own and is their only writer, anyone reads them, one shard's or the sum of all. No locks,
//! no read-modify-write on the hot path.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter or gauge with a single writer, so that counting is a plain load and store.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// The value.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, n: u64) {
        self.0
            .store(self.value().wrapping_add(n), Ordering::Relaxed);
    }

    pub(crate) fn take(&self, n: u64) {
        self.set(self.value().saturating_sub(n));
    }

    pub(crate) fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    fn absorb(&self, other: &Counter) {
        self.add(other.value());
    }
}

/// Declares counters that can be added up over shards.
macro_rules! counted {
    ($(#[$about:meta])* pub struct $name:ident { $($(#[$each:meta])* pub $field:ident: $kind:ty,)* }) => {
        $(#[$about])*
        #[derive(Debug, Default)]
        pub struct $name { $($(#[$each])* pub $field: $kind,)* }

        impl $name {
            /// Adds another shard's.
            fn absorb(&self, other: &$name) {
                $(self.$field.absorb(&other.$field);)*
            }
        }
    };
}

counted! {
    /// What happens in the media engine.
    pub struct MediaStats {
        /// Open channels (gauge).
        pub channels: Counter,
        /// RTP packets taken from peers.
        pub packets_in: Counter,
        /// RTP packets sent.
        pub packets_out: Counter,
        /// RTP payload octets taken.
        pub octets_in: Counter,
        /// RTP payload octets sent.
        pub octets_out: Counter,
        /// Packets that never came, counted when their channel closes or changes its source.
        pub lost: Counter,
        /// Packets that came too late to be played.
        pub late: Counter,
        /// Packets that came twice.
        pub duplicate: Counter,
        /// Dropped packets, by cause.
        pub dropped: Dropped,
        /// Packets sent over a bridge as they came.
        pub relayed: Counter,
        /// Frames decoded and sent over a bridge.
        pub decoded: Counter,
        /// What bridges did not pass on, by cause.
        pub bridge_dropped: BridgeDropped,
        /// Rooms.
        pub rooms: RoomStats,
        /// Jitter of received audio in µs, every 5 s of each channel.
        pub jitter: Lateness,
        /// Round trips in µs, from each report of a peer.
        pub round_trips: Lateness,
        /// MOS of what is heard of peers, every 5 s of each channel.
        pub mos_heard: MosSpread,
        /// MOS of what peers hear, from each of their reports.
        pub mos_sent: MosSpread,
        /// Sends the kernel refused.
        pub send_errors: Counter,
        /// Channels that a defect of ours ended; the panic is in the log.
        pub panics: Counter,
        /// How late the shard began its 1 ms slots.
        pub lateness: Lateness,
        /// 1 ms slots that were skipped because the machine stood still.
        pub skipped_slots: Counter,
        /// Channels that came, opened here or from another shard.
        pub entered: Counter,
        /// Channels that came from another shard, of `entered`.
        pub moved: Counter,
        /// Orders given up because the channel they are for did not come from its shard in two seconds: a defect of ours.
        pub orders_lost: Counter,
        /// CPU time of the shard's thread in µs, user and system, written four times a second.
        pub cpu_us: Counter,
    }
}

counted! {
    /// What happens in rooms.
    pub struct RoomStats {
        /// Open rooms (gauge).
        pub open: Counter,
        /// Their members (gauge).
        pub members: Counter,
        /// Frames mixed and encoded for one member.
        pub own_mixes: Counter,
        /// Frames mixed and encoded once for all members who only listen.
        pub shared_mixes: Counter,
        /// Events nobody read in time.
        pub lost_events: Counter,
    }
}

counted! {
    /// Dropped packets by cause.
    pub struct Dropped {
        /// Shorter than an RTP header.
        pub too_short: Counter,
        /// Not RTP version 2.
        pub version: Counter,
        /// CSRC list or header extension longer than the packet.
        pub truncated: Counter,
        /// Padding of no or too great length.
        pub padding: Counter,
        /// Longer than the 2048 octets that are read.
        pub oversize: Counter,
        /// A payload type that was not negotiated.
        pub payload_type: Counter,
        /// Not from the peer.
        pub stranger: Counter,
        /// RTP while no stream is set, or while the direction excludes it.
        pub unexpected: Counter,
        /// RTCP that could not be read.
        pub rtcp: Counter,
        /// On an encrypted stream: the tag is wrong, or it is not SRTP at all.
        pub srtp_auth_failed: Counter,
        /// On an encrypted stream: a packet that was taken before.
        pub srtp_replayed: Counter,
        /// STUN that is no ICE check of the call's peer.
        pub stun: Counter,
    }
}

impl MediaStats {
    /// The sum over shards as it is now.
    pub(crate) fn sum<'s>(shards: impl IntoIterator<Item = &'s MediaStats>) -> MediaStats {
        let sum = MediaStats::default();
        shards.into_iter().for_each(|shard| sum.absorb(shard));
        sum
    }
}

impl Dropped {
    /// Each cause by name, for metrics.
    pub fn by_cause(&self) -> [(&'static str, u64); 12] {
        [
            ("too_short", self.too_short.value()),
            ("version", self.version.value()),
            ("truncated", self.truncated.value()),
            ("padding", self.padding.value()),
            ("oversize", self.oversize.value()),
            ("payload_type", self.payload_type.value()),
            ("stranger", self.stranger.value()),
            ("unexpected", self.unexpected.value()),
            ("rtcp", self.rtcp.value()),
            ("srtp_auth_failed", self.srtp_auth_failed.value()),
            ("srtp_replayed", self.srtp_replayed.value()),
            ("stun", self.stun.value()),
        ]
    }
}

counted! {
    /// What came over a bridge and was not sent, by cause.
    pub struct BridgeDropped {
        /// The far side has no stream, its direction excludes sending (hold), or the sender is muted.
        pub hold: Counter,
        /// The far side plays something or sends digits itself.
        pub own_audio: Counter,
        /// Older than what the far side sent itself meanwhile.
        pub stale: Counter,
        /// A telephone event the far side has not negotiated or the bridge does not carry.
        pub event: Counter,
        /// Comfort noise the far side has not negotiated.
        pub comfort_noise: Counter,
        /// More than twice the pace of the stream.
        pub rate: Counter,
        /// No payload, or one of more than 1280 octets.
        pub length: Counter,
    }
}

impl BridgeDropped {
    /// Each cause by name, for metrics.
    pub fn by_cause(&self) -> [(&'static str, u64); 7] {
        [
            ("hold", self.hold.value()),
            ("own_audio", self.own_audio.value()),
            ("stale", self.stale.value()),
            ("event", self.event.value()),
            ("comfort_noise", self.comfort_noise.value()),
            ("rate", self.rate.value()),
            ("length", self.length.value()),
        ]
    }
}

/// Upper bounds of MOS between the categories of ITU-T G.109: R of 50, 60, 70, 80 and 90.
pub const MOS_BOUNDS: [f32; 5] = [2.58, 3.10, 3.60, 4.03, 4.34];

/// A histogram of MOS with the bounds of [`MOS_BOUNDS`].
#[derive(Debug, Default)]
pub struct MosSpread {
    /// The last one takes what is above all bounds.
    buckets: [Counter; MOS_BOUNDS.len() + 1],
    sum_hundredths: Counter,
}

impl MosSpread {
    pub(crate) fn record(&self, mos: f32) {
        let bucket = MOS_BOUNDS.iter().filter(|bound| mos > **bound).count();
        self.buckets[bucket].add(1);
        self.sum_hundredths.add((mos * 100.0) as u64);
    }

    fn absorb(&self, other: &MosSpread) {
        for (bucket, others) in self.buckets.iter().zip(&other.buckets) {
            bucket.absorb(others);
        }
        self.sum_hundredths.absorb(&other.sum_hundredths);
    }

    /// How many there are in each bucket, the lowest MOS first.
    pub fn buckets(&self) -> [u64; MOS_BOUNDS.len() + 1] {
        std::array::from_fn(|n| self.buckets[n].value())
    }

    /// How many were recorded.
    pub fn count(&self) -> u64 {
        self.buckets().iter().sum()
    }

    /// The sum of all.
    pub fn sum(&self) -> f64 {
        self.sum_hundredths.value() as f64 / 100.0
    }
}

/// Sub-buckets per power of two: a quantile is right to 1/8.
const SUB: usize = 8;
/// Buckets: up to 2^24 µs.
const BUCKETS: usize = 24 * SUB;

/// A histogram of times in µs with logarithmic buckets.
#[derive(Debug)]
pub struct Lateness {
    buckets: [Counter; BUCKETS],
    count: Counter,
    sum_us: Counter,
}

impl Default for Lateness {
    fn default() -> Self {
        Lateness {
            buckets: std::array::from_fn(|_| Counter::default()),
            count: Counter::default(),
            sum_us: Counter::default(),
        }
    }
}

impl Lateness {
    pub(crate) fn record(&self, us: u64) {
        self.buckets[bucket(us)].add(1);
        self.count.add(1);
        self.sum_us.add(us);
    }

    fn absorb(&self, other: &Lateness) {
        for (bucket, others) in self.buckets.iter().zip(&other.buckets) {
            bucket.absorb(others);
        }
        self.count.absorb(&other.count);
        self.sum_us.absorb(&other.sum_us);
    }

    /// What was recorded since `before`, an earlier copy of the same histogram.
    pub fn since(&self, before: &Lateness) -> Lateness {
        let difference = Lateness::default();
        let subtract = |to: &Counter, now: &Counter, then: &Counter| {
            to.set(now.value().wrapping_sub(then.value()));
        };
        for (index, bucket) in difference.buckets.iter().enumerate() {
            subtract(bucket, &self.buckets[index], &before.buckets[index]);
        }
        subtract(&difference.count, &self.count, &before.count);
        subtract(&difference.sum_us, &self.sum_us, &before.sum_us);
        difference
    }

    /// How many times were recorded.
    pub fn count(&self) -> u64 {
        self.count.value()
    }

    /// Their sum in µs.
    pub fn sum_us(&self) -> u64 {
        self.sum_us.value()
    }

    /// The time in µs that the share `q` (0 to 1) of all does not exceed; 0 when there are none. Right to 1/8.
    pub fn quantile_us(&self, q: f64) -> u64 {
        let count = self.count();
        let rank = ((count as f64 * q).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, bucket) in self.buckets.iter().enumerate() {
            seen += bucket.value();
            if seen >= rank {
                return upper_bound(index);
            }
        }
        0
    }

    /// How many did not exceed `us`; for cumulative metric buckets. Right at powers of two, to 1/8 elsewhere.
    pub fn at_most(&self, us: u64) -> u64 {
        let last = bucket(us);
        self.buckets[..=last].iter().map(Counter::value).sum()
    }
}

/// Values below 8 have a bucket each; above, 8 buckets per power of two.
fn bucket(us: u64) -> usize {
    if us < SUB as u64 {
        return us as usize;
    }
    let exponent = us.ilog2() as usize;
    let sub = ((us >> (exponent - 3)) & 7) as usize;
    ((exponent - 2) * SUB + sub).min(BUCKETS - 1)
}

fn upper_bound(index: usize) -> u64 {
    if index < SUB {
        return index as u64;
    }
    let exponent = index / SUB + 2;
    let sub = (index % SUB) as u64;
    ((8 + sub + 1) << (exponent - 3)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_lies_in_a_bucket_that_bounds_it_within_an_eighth() {
        for us in (0..5_000).chain([10_000, 65_535, 65_536, 1_000_000]) {
            let bound = upper_bound(bucket(us));
            assert!(bound >= us, "{us} in bucket up to {bound}");
            assert!(bound <= us + us / 8, "{us} in bucket up to {bound}");
        }
    }

    #[test]
    fn quantiles_of_a_known_distribution() {
        let histogram = Lateness::default();
        for us in 1..=1000 {
            histogram.record(us);
        }
        assert_eq!(histogram.count(), 1000);
        assert!((500..=563).contains(&histogram.quantile_us(0.5)));
        assert!((990..=1114).contains(&histogram.quantile_us(0.99)));
        assert_eq!(Lateness::default().quantile_us(0.99), 0);
        assert_eq!(histogram.at_most(u64::MAX), 1000);
    }

    #[test]
    fn a_mos_lies_in_its_category() {
        let spread = MosSpread::default();
        for mos in [1.0, 2.58, 2.59, 4.0, 4.41, 4.5] {
            spread.record(mos);
        }
        assert_eq!(spread.buckets(), [2, 1, 0, 1, 0, 2]);
        assert!((spread.sum() - 19.08).abs() < 0.02);
    }

    #[test]
    fn shards_add_up_and_a_stretch_of_time_can_be_told() {
        let shards = [MediaStats::default(), MediaStats::default()];
        shards[0].channels.set(3);
        shards[1].channels.set(4);
        shards[0].dropped.stun.add(1);
        shards[1].bridge_dropped.hold.add(2);
        shards[1].lateness.record(100);
        let before = MediaStats::sum(&shards);
        shards[0].lateness.record(9000);
        let after = MediaStats::sum(&shards);
        assert_eq!(after.channels.value(), 7);
        assert_eq!(
            (
                after.dropped.stun.value(),
                after.bridge_dropped.hold.value()
            ),
            (1, 2)
        );
        assert_eq!((before.lateness.count(), after.lateness.count()), (1, 2));
        let since = after.lateness.since(&before.lateness);
        assert_eq!((since.count(), since.sum_us()), (1, 9000));
        assert!(since.quantile_us(0.01) >= 9000);
    }
}
