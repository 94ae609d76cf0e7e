//! How a leg sounds, both ways: an estimate every five seconds from what was lost, late and delayed, and what the peer reports.
//!
//! ```text
//! heard   sequence numbers, playout ──► loss, bursts, delay ──┐
//! sent    the peer's RR and XR ───────► loss, jitter ─────────┴──► E-model ──► newest, mean, worst
//! ```
//!
//! Owned by the channel; [`LiveQuality`] is the copy that others read while the leg is up. Never allocates after it was made.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::channel::{ChannelState, Moment, Surroundings};
use super::stats::MosSpread;
use crate::rtp::emodel::{self, Conditions, Robustness, Score};
use crate::rtp::rtcp::ReportBlock;
use crate::rtp::xr::VoipMetrics;

/// Length of what is estimated at once.
const STRETCH: Duration = Duration::from_secs(5);
/// Packets of a stretch below which nothing is said of it.
const FEWEST: u64 = 10;
/// What a packet gathers before it can leave, in ms.
const PACKET_MS: f32 = 20.0;

/// How a leg's audio fared, both ways.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Quality {
    /// What we hear of the peer.
    pub heard: Marks,
    /// What the peer hears of us, by its reports.
    pub sent: Marks,
    /// The newest round trip in ms (RFC 3550 section 6.4.1, or RFC 3611 section 4.5).
    pub round_trip_ms: Option<f32>,
    /// The longest one.
    pub worst_round_trip_ms: Option<f32>,
    /// What received audio waits before it is played, in ms; `None` where nothing is decoded.
    pub playout_delay_ms: Option<u32>,
    /// Received audio in ms that was made up because packets did not come in time.
    pub concealed_ms: u64,
    /// Packets of ours that the peer misses, by its newest report.
    pub remote_lost: Option<i32>,
    /// Jitter of our packets there in ms.
    pub remote_jitter_ms: Option<f32>,
    /// The MOS of listening that the peer's own estimate gives us (RFC 3611 section 4.7.5).
    pub remote_mos_lq: Option<f32>,
}

/// The estimates of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Marks {
    /// Of the newest stretch; `None` where nothing was to be heard in it.
    pub newest: Option<Score>,
    /// The mean of all.
    pub mean: Option<Score>,
    /// The one with the lowest MOS of listening.
    pub worst: Option<Score>,
    stretches: u32,
}

impl Marks {
    fn take(&mut self, score: Score) {
        self.newest = Some(score);
        self.stretches = self.stretches.saturating_add(1);
        let part = 1.0 / self.stretches as f32;
        let before = self.mean.unwrap_or_default();
        let towards = |from: f32, to: f32| from + (to - from) * part;
        self.mean = Some(Score {
            r: towards(before.r, score.r),
            mos_lq: towards(before.mos_lq, score.mos_lq),
            mos_cq: towards(before.mos_cq, score.mos_cq),
        });
        if self.worst.is_none_or(|worst| score.mos_lq < worst.mos_lq) {
            self.worst = Some(score);
        }
    }
}

/// What is counted since the beginning, by source.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    ssrc: u32,
    expected: u64,
    lost: u64,
    runs: u64,
    late: u64,
}

impl Counts {
    /// What happened since; everything if it is another source.
    fn since(self, before: Counts) -> Counts {
        let before = match self.ssrc == before.ssrc {
            true => before,
            false => Counts {
                late: before.late,
                ..Counts::default()
            },
        };
        Counts {
            ssrc: self.ssrc,
            expected: self.expected.saturating_sub(before.expected),
            lost: self.lost.saturating_sub(before.lost),
            runs: self.runs.saturating_sub(before.runs),
            late: self.late.saturating_sub(before.late),
        }
    }

    /// Who is late is lost to the listener, each on its own.
    fn conditions(self, delay_ms: f32) -> Option<Conditions> {
        if self.expected < FEWEST {
            return None;
        }
        let missed = (self.lost + self.late).min(self.expected);
        Some(Conditions {
            loss: missed as f32 / self.expected as f32,
            burst_ratio: emodel::burst_ratio(self.expected, missed, self.runs + self.late),
            delay_ms,
        })
    }
}

/// The estimates of a channel in the making.
#[derive(Debug)]
pub(crate) struct QualityWatch {
    pub(crate) quality: Quality,
    pub(crate) live: Arc<LiveQuality>,
    pub(crate) next_at: Option<Instant>,
    before: Counts,
    /// Samples made up so far by the present playout.
    concealed: u64,
    /// The peer's own figures of our stream, the newest.
    voip: Option<VoipMetrics>,
}

impl QualityWatch {
    pub(crate) fn new() -> QualityWatch {
        QualityWatch {
            quality: Quality::default(),
            live: Arc::default(),
            next_at: None,
            before: Counts::default(),
            concealed: 0,
            voip: None,
        }
    }

    /// Takes a round trip. Returns it in µs.
    pub(crate) fn take_round_trip(&mut self, round_trip: Duration) -> u64 {
        let ms = round_trip.as_secs_f32() * 1000.0;
        let of = &mut self.quality;
        of.round_trip_ms = Some(ms);
        of.worst_round_trip_ms = Some(of.worst_round_trip_ms.map_or(ms, |worst| worst.max(ms)));
        round_trip.as_micros() as u64
    }

    /// Takes the peer's extended figures of our stream, which the next report block is judged with.
    pub(crate) fn take_voip(&mut self, metrics: VoipMetrics) {
        self.quality.remote_mos_lq = metrics.mos_lq.map(|tenths| f32::from(tenths) / 10.0);
        self.voip = Some(metrics);
    }

    /// Takes a report on our stream, whose clock has so many units in a second.
    pub(crate) fn take_report(&mut self, block: &ReportBlock, clock_hz: u32, spread: &MosSpread) {
        let jitter_ms = block.jitter as f32 * 1000.0 / clock_hz as f32;
        self.quality.remote_lost = Some(block.cumulative_lost);
        self.quality.remote_jitter_ms = Some(jitter_ms);
        let discarded = self.voip.map_or(0, |voip| voip.discard_rate);
        let buffer_ms = match self.voip.map(|voip| voip.end_system_ms) {
            Some(ms) if ms > 0 => f32::from(ms),
            _ => jitter_ms * 2.0,
        };
        let score = emodel::score(
            Robustness::G711_CONCEALED,
            Conditions {
                loss: (f32::from(block.fraction_lost) + f32::from(discarded)) / 256.0,
                burst_ratio: 1.0,
                delay_ms: self.delay_ms(buffer_ms),
            },
        );
        self.quality.sent.take(score);
        spread.record(score.mos_lq);
    }

    /// From mouth to ear, with what the receiver's buffer delays.
    fn delay_ms(&self, buffer_ms: f32) -> f32 {
        PACKET_MS + buffer_ms + self.quality.round_trip_ms.unwrap_or(0.0) / 2.0
    }

    /// Judges what was heard in the stretch that ends now.
    fn judge(&mut self, now: Counts, jitter_ms: f32, spread: &MosSpread) {
        let buffer_ms = match self.quality.playout_delay_ms {
            Some(ms) => ms as f32,
            None => jitter_ms * 2.0,
        };
        let stretch = now.since(self.before);
        self.before = now;
        let Some(conditions) = stretch.conditions(self.delay_ms(buffer_ms)) else {
            self.quality.heard.newest = None;
            return;
        };
        let score = emodel::score(Robustness::G711_CONCEALED, conditions);
        self.quality.heard.take(score);
        spread.record(score.mos_lq);
    }
}

impl ChannelState {
    /// Judges the stretch if one is over, and lets others see.
    pub(crate) fn quality_turn(&mut self, around: &Surroundings, moment: Moment) {
        let due = self.quality.next_at.is_none_or(|at| moment.now >= at);
        if !due {
            return;
        }
        let first = self.quality.next_at.is_none();
        self.quality.next_at = Some(moment.now + STRETCH);
        if first {
            return;
        }
        self.judge_stretch(around);
        let stats = self.stats();
        self.quality.live.publish(&stats);
    }

    /// Judges what was heard since the last stretch.
    pub(crate) fn judge_stretch(&mut self, around: &Surroundings) {
        self.update_playout();
        let Some(reception) = &self.incoming.reception else {
            return;
        };
        let counts = Counts {
            ssrc: reception.ssrc,
            expected: reception.expected_in_all(),
            lost: reception.lost(),
            runs: reception.runs(),
            late: self.incoming.late(),
        };
        let jitter_ms = reception.jitter_ms();
        around.stats.jitter.record((jitter_ms * 1000.0) as u64);
        self.quality
            .judge(counts, jitter_ms, &around.stats.mos_heard);
    }

    /// The playout goes: another one counts from 0.
    pub(crate) fn end_playout(&mut self) {
        self.update_playout();
        self.quality.concealed = 0;
    }

    /// What the playout has to say, where audio is decoded.
    fn update_playout(&mut self) {
        let decodes = self.is_listened_to();
        self.quality.quality.playout_delay_ms = None;
        let Some((playout, rate)) = self.incoming.hearing.as_ref().map(|of| of.stats()) else {
            return;
        };
        let made_up = playout.concealed;
        // Another codec's playout counts from 0.
        let new = made_up.checked_sub(self.quality.concealed);
        self.quality.concealed = made_up;
        let of = &mut self.quality.quality;
        of.concealed_ms += new.unwrap_or(made_up) * 1000 / u64::from(rate.hz());
        of.playout_delay_ms = decodes.then_some(playout.delay_ms);
    }
}

/// A figure that may be unknown.
#[derive(Debug)]
struct Figure(AtomicU32);

impl Default for Figure {
    fn default() -> Figure {
        Figure(AtomicU32::new(f32::NAN.to_bits()))
    }
}

impl Figure {
    fn set(&self, value: Option<f32>) {
        let bits = value.unwrap_or(f32::NAN).to_bits();
        self.0.store(bits, Ordering::Relaxed);
    }

    fn value(&self) -> Option<f32> {
        let value = f32::from_bits(self.0.load(Ordering::Relaxed));
        (!value.is_nan()).then_some(value)
    }
}

/// The figures of a leg that is up, as of the last five seconds. Each is right; they may be of different moments.
#[derive(Debug, Default)]
pub struct LiveQuality {
    packets: [AtomicU64; 4],
    figures: [Figure; 9],
}

/// A look at [`LiveQuality`].
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LiveFigures {
    /// Packets received.
    pub packets_in: u64,
    /// Packets sent.
    pub packets_out: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Packets that came too late.
    pub late: u64,
    /// Interarrival jitter in ms.
    pub jitter_ms: Option<f32>,
    /// What received audio waits, in ms.
    pub playout_delay_ms: Option<f32>,
    /// The newest round trip in ms.
    pub round_trip_ms: Option<f32>,
    /// MOS of listening of what we hear: newest and worst.
    pub heard: [Option<f32>; 2],
    /// The same of what the peer hears.
    pub sent: [Option<f32>; 2],
    /// R of what we hear, newest.
    pub heard_r: Option<f32>,
    /// R of what the peer hears, newest.
    pub sent_r: Option<f32>,
}

impl LiveQuality {
    pub(crate) fn publish(&self, stats: &super::event::ChannelStats) {
        let q = &stats.quality;
        let packets = [stats.packets_in, stats.packets_out, stats.lost, stats.late];
        for (cell, value) in self.packets.iter().zip(packets) {
            cell.store(value, Ordering::Relaxed);
        }
        let mos = |of: Option<Score>| of.map(|score| score.mos_lq);
        let figures = [
            Some(stats.jitter_ms),
            q.playout_delay_ms.map(|ms| ms as f32),
            q.round_trip_ms,
            mos(q.heard.newest),
            mos(q.heard.worst),
            mos(q.sent.newest),
            mos(q.sent.worst),
            q.heard.newest.map(|score| score.r),
            q.sent.newest.map(|score| score.r),
        ];
        for (cell, value) in self.figures.iter().zip(figures) {
            cell.set(value);
        }
    }

    /// The figures now.
    pub fn figures(&self) -> LiveFigures {
        let [packets_in, packets_out, lost, late] =
            std::array::from_fn(|n| self.packets[n].load(Ordering::Relaxed));
        let [
            jitter_ms,
            playout_delay_ms,
            round_trip_ms,
            h,
            hw,
            s,
            sw,
            heard_r,
            sent_r,
        ] = std::array::from_fn(|n| self.figures[n].value());
        LiveFigures {
            packets_in,
            packets_out,
            lost,
            late,
            jitter_ms,
            playout_delay_ms,
            round_trip_ms,
            heard: [h, hw],
            sent: [s, sw],
            heard_r,
            sent_r,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::ChannelStats;

    fn counts(expected: u64, lost: u64, runs: u64, late: u64) -> Counts {
        Counts {
            ssrc: 1,
            expected,
            lost,
            runs,
            late,
        }
    }

    #[test]
    fn a_bad_stretch_is_the_worst_and_a_pause_is_none() {
        let (mut watch, spread) = (QualityWatch::new(), MosSpread::default());
        watch.judge(counts(250, 0, 0, 0), 0.0, &spread);
        assert!(watch.quality.heard.newest.unwrap().mos_lq > 4.4);
        watch.judge(counts(500, 20, 20, 5), 0.0, &spread);
        let bad = watch.quality.heard.newest.unwrap();
        // 25 of 250 late or lost, one at a time
        assert!((bad.mos_lq - 3.43).abs() < 0.05, "{bad:?}");
        watch.judge(counts(503, 20, 20, 5), 0.0, &spread);
        assert_eq!(
            watch.quality.heard.newest, None,
            "three packets say nothing"
        );
        watch.judge(counts(753, 20, 20, 5), 0.0, &spread);
        let marks = watch.quality.heard;
        assert_eq!(marks.worst, Some(bad));
        let mean = marks.mean.unwrap().mos_lq;
        assert!(bad.mos_lq < mean && mean < marks.newest.unwrap().mos_lq);
        assert_eq!(spread.count(), 3);
    }

    #[test]
    fn another_source_begins_at_nothing() {
        let of = |ssrc, expected| Counts {
            ssrc,
            expected,
            ..Counts::default()
        };
        assert_eq!(of(2, 100).since(of(1, 5000)).expected, 100);
        assert_eq!(of(1, 5250).since(of(1, 5000)).expected, 250);
    }

    #[test]
    fn bursts_and_delay_cost() {
        let of = |counts: Counts, ms| {
            emodel::score(Robustness::G711_CONCEALED, counts.conditions(ms).unwrap())
        };
        let scattered = of(counts(250, 20, 20, 0), 50.0);
        assert!(of(counts(250, 20, 4, 0), 50.0).mos_lq < scattered.mos_lq);
        let far = of(counts(250, 20, 20, 0), 400.0);
        assert_eq!(far.mos_lq, scattered.mos_lq);
        assert!(far.mos_cq < scattered.mos_cq);
    }

    #[test]
    fn what_the_peer_reports_counts_in_the_clock_of_what_we_send() {
        let (mut watch, spread) = (QualityWatch::new(), MosSpread::default());
        watch.take_round_trip(Duration::from_millis(80));
        watch.take_round_trip(Duration::from_millis(40));
        let block = ReportBlock {
            jitter: 960,
            fraction_lost: 26,
            cumulative_lost: 7,
            ..ReportBlock::default()
        };
        watch.take_report(&block, 48_000, &spread);
        let q = watch.quality;
        assert_eq!(q.remote_jitter_ms, Some(20.0));
        assert_eq!((q.remote_lost, q.round_trip_ms), (Some(7), Some(40.0)));
        assert_eq!(q.worst_round_trip_ms, Some(80.0));
        let score = q.sent.newest.unwrap();
        assert!((score.mos_lq - 3.43).abs() < 0.05, "{score:?}");
    }

    #[test]
    fn others_see_what_was_published() {
        let live = LiveQuality::default();
        assert_eq!(live.figures().heard, [None, None]);
        let mut stats = ChannelStats {
            packets_in: 7,
            lost: 2,
            jitter_ms: 1.5,
            ..ChannelStats::default()
        };
        stats.quality.round_trip_ms = Some(30.0);
        live.publish(&stats);
        let seen = live.figures();
        assert_eq!((seen.packets_in, seen.lost), (7, 2));
        assert_eq!(
            (seen.jitter_ms, seen.round_trip_ms),
            (Some(1.5), Some(30.0))
        );
    }
}
