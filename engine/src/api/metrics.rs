//! The metrics page: reads the counters of SIP, calls and media and writes them in Prometheus' text format.
//!
//! It owns the names; the counters belong to those who count. Every name is listed in `docs/operations.md`.
use super::v1::{Cuts, V1};
use super::{
    api_metrics, quality_metrics, queue_metrics, speech_metrics, store_metrics, trunk_metrics,
    voicemail_metrics,
};
use crate::call::{CallCounters, Events, LiveLegs, Troubled};
use crate::media::{Media, MediaStats, Pulse};
use crate::net::sip::PumpCounters;
use crate::queue::Queues;
use crate::registrar::Location;
use crate::speech::{Recogniser, Speaker};
use crate::store::Store;
use crate::stream::Streams;
use crate::trunk::Trunks;
use crate::voicemail::{Boxes, ClerkCounters};
use crate::webhook::WebhookCounters;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::fmt::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Where the figures come from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Calls.
    pub calls: Arc<CallCounters>,
    /// Legs whose audio did not flow.
    pub troubled: Arc<Troubled>,
    /// Legs that are up.
    pub live: Arc<LiveLegs>,
    /// SIP.
    pub sip: Arc<PumpCounters>,
    /// Media.
    pub media: Media,
    /// Streams to services.
    pub streams: Arc<Streams>,
    /// Trunks.
    pub trunks: Arc<Trunks>,
    /// Queues and agents.
    pub queues: Arc<Queues>,
    /// Phones.
    pub phones: Arc<Location>,
    /// What outlives the process.
    pub store: Store,
    /// What speaks.
    pub speaker: Speaker,
    /// What understands speech.
    pub recogniser: Recogniser,
    /// Webhooks.
    pub webhooks: Arc<WebhookCounters>,
    /// Voicemail boxes.
    pub voicemail: Arc<Boxes>,
    /// Their mails.
    pub mails: Arc<ClerkCounters>,
    /// What happens to calls.
    pub events: Arc<Events>,
    /// The control API, where it is served.
    pub api: Option<Arc<V1>>,
    /// Connections to the HTTP sockets that were cut off.
    pub http: Arc<Cuts>,
}

pub(super) fn render(sources: &Sources) -> Result<String, Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(sources.clone()));
    let mut page = String::with_capacity(8 * 1024);
    text::encode(&mut page, &registry)?;
    Ok(page)
}

impl Collector for Sources {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), Error> {
        self.encode_calls(&mut encoder)?;
        self.encode_sip(&mut encoder)?;
        self.encode_media(&mut encoder)?;
        self.encode_streams(&mut encoder)?;
        self.encode_phones(&mut encoder)?;
        store_metrics::encode(&mut encoder, &self.store)?;
        speech_metrics::encode(&mut encoder, &self.speaker)?;
        speech_metrics::encode_recognition(&mut encoder, &self.recogniser)?;
        store_metrics::encode_webhooks(&mut encoder, &self.webhooks)?;
        voicemail_metrics::encode(&mut encoder, &self.voicemail, &self.mails)?;
        self.encode_events(&mut encoder)?;
        queue_metrics::encode(&mut encoder, &self.queues)?;
        family(
            &mut encoder,
            "trunkline_http_connections_cut",
            "HTTP connections that were cut off, by reason",
            "reason",
            &self.http.by_reason(),
        )?;
        if let Some(api) = &self.api {
            api_metrics::encode(&mut encoder, api)?;
        }
        trunk_metrics::encode(&mut encoder, &self.trunks.status())
    }
}

impl Sources {
    fn encode_events(&self, encoder: &mut DescriptorEncoder) -> Result<(), Error> {
        gauge(
            encoder,
            "trunkline_event_watchers",
            "Who watches events now",
            self.events.watchers() as u64,
        )?;
        counter(
            encoder,
            "trunkline_events",
            "Events of calls",
            self.events.emitted(),
        )?;
        counter(
            encoder,
            "trunkline_events_missed",
            "Events that watchers were too slow for",
            self.events.missed(),
        )
    }

    fn encode_phones(&self, encoder: &mut DescriptorEncoder) -> Result<(), Error> {
        let counters = &self.phones.counters;
        gauge(
            encoder,
            "trunkline_phones_registered",
            "Phones that can be called now",
            self.phones.len() as u64,
        )?;
        let registers = [
            ("served", u64_of(&counters.served)),
            ("connection-lost", u64_of(&counters.lost)),
            ("expired", u64_of(&counters.expired)),
        ];
        family(
            encoder,
            "trunkline_phone_registrations",
            "REGISTERs served, and registrations that ended by themselves",
            "what",
            &registers,
        )?;
        family(
            encoder,
            "trunkline_phone_requests_refused",
            "REGISTER refused by the registrar, by rule",
            "rule",
            &counters.refused(),
        )
    }

    fn encode_calls(&self, encoder: &mut DescriptorEncoder) -> Result<(), Error> {
        let calls = &self.calls;
        gauge(
            encoder,
            "trunkline_calls_active",
            "Calls in progress",
            usize_of(&calls.active),
        )?;
        let begun = [
            ("inbound", u64_of(&calls.inbound)),
            ("outbound", u64_of(&calls.outbound)),
        ];
        family(
            encoder,
            "trunkline_calls",
            "Calls begun, by direction",
            "direction",
            &begun,
        )?;
        family(
            encoder,
            "trunkline_keys",
            "Key presses, by the source that reported each first",
            "source",
            &calls.keys_by(),
        )?;
        counter(
            encoder,
            "trunkline_cdr_lost",
            "Call records that could not be written",
            calls.cdr_lost.load(Ordering::Relaxed),
        )?;
        let refused: Vec<_> = calls.refused_by().into_iter().collect();
        family(
            encoder,
            "trunkline_calls_refused",
            "Calls refused, by the rule that refused them",
            "rule",
            &refused,
        )?;
        family(
            encoder,
            "trunkline_messages_taken",
            "Text messages (SIP MESSAGE), by who took them",
            "by",
            &calls.messages_by(),
        )?;
        let counted = |counts: std::collections::BTreeMap<&'static str, u64>| {
            counts.into_iter().collect::<Vec<_>>()
        };
        family(
            encoder,
            "trunkline_tones_heard",
            "Tones of networks and fax machines that were heard, by name",
            "tone",
            &counted(calls.tones_by()),
        )?;
        family(
            encoder,
            "trunkline_answered_by",
            "Calls that machine detection has judged, by who answered",
            "by",
            &counted(calls.answered_by_counts()),
        )?;
        family(
            encoder,
            "trunkline_audio_trouble",
            "Answered legs whose audio did not flow, by the cause found",
            "cause",
            &self.troubled.by_cause(),
        )?;
        let mut ended = encoder.encode_descriptor(
            "trunkline_calls_ended",
            "Calls ended, by who ended them and why",
            None,
            MetricType::Counter,
        )?;
        for ((by, cause), count) in calls.ended_by() {
            let labels = [("by", by), ("cause", cause)];
            ConstCounter::new(count).encode(ended.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn encode_sip(&self, encoder: &mut DescriptorEncoder) -> Result<(), Error> {
        let sip = &self.sip;
        for (name, help, value) in [
            ("trunkline_sip_legs", "SIP legs alive", &sip.legs),
            (
                "trunkline_sip_connections",
                "SIP connections open",
                &sip.connections,
            ),
            (
                "trunkline_sip_server_transactions",
                "SIP server transactions alive",
                &sip.server_transactions,
            ),
            (
                "trunkline_sip_client_transactions",
                "SIP client transactions alive",
                &sip.client_transactions,
            ),
            (
                "trunkline_sip_subscriptions",
                "SIP subscriptions alive",
                &sip.subscriptions,
            ),
        ] {
            gauge(encoder, name, help, usize_of(value))?;
        }
        for (name, help, value) in [
            (
                "trunkline_sip_messages_in",
                "SIP messages received",
                &sip.received,
            ),
            ("trunkline_sip_messages_out", "SIP messages sent", &sip.sent),
            (
                "trunkline_sip_send_failed",
                "SIP messages that could not be sent",
                &sip.send_failed,
            ),
        ] {
            counter(encoder, name, help, u64_of(value))?;
        }
        let (refused, dropped) = (sip.refused_by(), sip.dropped_by());
        family(
            encoder,
            "trunkline_sip_requests_refused",
            "SIP requests refused, by rule",
            "rule",
            &refused,
        )?;
        family(
            encoder,
            "trunkline_sip_messages_dropped",
            "SIP messages dropped without an answer, by rule",
            "rule",
            &dropped,
        )?;
        family(
            encoder,
            "trunkline_sip_subscriptions_ended",
            "SIP subscriptions that are over, by reason",
            "reason",
            &sip.subscriptions_ended_by(),
        )
    }

    /// Each media thread by its number.
    fn encode_shards(&self, encoder: &mut DescriptorEncoder) -> Result<(), Error> {
        let media = &self.media;
        type Figure = (&'static str, &'static str, fn(&MediaStats, &Pulse) -> f64);
        let gauges: [Figure; 4] = [
            (
                "trunkline_media_thread_channels",
                "Media channels of a media thread",
                |stats, _| stats.channels.value() as f64,
            ),
            (
                "trunkline_media_thread_busy_ratio",
                "Share of a core a media thread used in the last second",
                |_, pulse| pulse.busy_us.value() as f64 / 1e6,
            ),
            (
                "trunkline_media_thread_late_seconds",
                "What 99 % of the slots of a media thread in the last second were not later than",
                |_, pulse| pulse.late_us.value() as f64 / 1e6,
            ),
            (
                "trunkline_media_thread_full",
                "1 while a media thread takes no new calls",
                |_, pulse| pulse.full.value() as f64,
            ),
        ];
        for (name, help, value) in gauges {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (thread, (stats, pulse)) in media.shard_stats().zip(media.pulses()).enumerate() {
                let labels = [("thread", thread.to_string())];
                ConstGauge::new(value(stats, pulse)).encode(metric.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    /// Recordings and taps.
    fn encode_recordings(&self, encoder: &mut DescriptorEncoder) -> Result<(), Error> {
        let (recordings, taps) = (self.media.recordings(), self.media.taps());
        gauge(
            encoder,
            "trunkline_recordings_active",
            "Recordings being written",
            recordings.active(),
        )?;
        family(
            encoder,
            "trunkline_recordings",
            "Recordings that ended, by what became of their files",
            "outcome",
            &recordings.by_outcome(),
        )?;
        counter(
            encoder,
            "trunkline_recording_lost_ms",
            "Audio that recordings lost to slow or full disks, ms",
            recordings.lost_ms(),
        )?;
        gauge(encoder, "trunkline_taps_active", "Taps open", taps.active())?;
        let lost = [
            ("frame-not-read", taps.lost_frames()),
            ("sample-without-room", taps.refused_samples()),
        ];
        family(
            encoder,
            "trunkline_tap_lost",
            "What taps lost, by cause",
            "cause",
            &lost,
        )
    }

    /// Streams to services.
    fn encode_streams(&self, encoder: &mut DescriptorEncoder) -> Result<(), Error> {
        let streams = &self.streams.stats;
        gauge(
            encoder,
            "trunkline_streams_active",
            "Audio streams to services in progress",
            streams.active(),
        )?;
        family(
            encoder,
            "trunkline_streams",
            "Audio streams that ended, by cause",
            "cause",
            &streams.ended(),
        )?;
        for (name, help, value) in [
            (
                "trunkline_stream_connections",
                "Connections made to services of streams",
                streams.connected(),
            ),
            (
                "trunkline_stream_lost_frames",
                "Frames that services of streams did not take in time",
                streams.lost_frames(),
            ),
            (
                "trunkline_stream_messages_refused",
                "Messages of services of streams that were not understood",
                streams.malformed(),
            ),
        ] {
            counter(encoder, name, help, value)?;
        }
        Ok(())
    }

    fn encode_media(&self, encoder: &mut DescriptorEncoder) -> Result<(), Error> {
        self.encode_recordings(encoder)?;
        let media = self.media.stats();
        gauge(
            encoder,
            "trunkline_media_channels",
            "Media channels open",
            media.channels.value(),
        )?;
        gauge(
            encoder,
            "trunkline_rooms",
            "Rooms open",
            media.rooms.open.value(),
        )?;
        gauge(
            encoder,
            "trunkline_room_members",
            "Channels in rooms",
            media.rooms.members.value(),
        )?;
        for (name, help, value) in [
            (
                "trunkline_room_own_mixes",
                "Frames mixed and encoded for one member of a room",
                &media.rooms.own_mixes,
            ),
            (
                "trunkline_room_shared_mixes",
                "Frames mixed and encoded once for all who only listen",
                &media.rooms.shared_mixes,
            ),
            (
                "trunkline_room_events_lost",
                "Events of rooms that nobody read in time",
                &media.rooms.lost_events,
            ),
            (
                "trunkline_rtp_packets_in",
                "RTP packets taken from peers",
                &media.packets_in,
            ),
            (
                "trunkline_rtp_packets_out",
                "RTP packets sent",
                &media.packets_out,
            ),
            (
                "trunkline_rtp_packets_lost",
                "RTP packets that never came",
                &media.lost,
            ),
            (
                "trunkline_rtp_packets_late",
                "RTP packets that came too late to be played",
                &media.late,
            ),
            (
                "trunkline_rtp_packets_duplicate",
                "RTP packets that came twice",
                &media.duplicate,
            ),
            (
                "trunkline_bridge_packets_relayed",
                "RTP packets sent over a bridge as they came",
                &media.relayed,
            ),
            (
                "trunkline_bridge_frames_decoded",
                "Frames decoded and sent over a bridge",
                &media.decoded,
            ),
            (
                "trunkline_rtp_send_errors",
                "RTP packets the kernel refused to send",
                &media.send_errors,
            ),
            (
                "trunkline_media_skipped_slots",
                "Slots of 1 ms skipped because the machine stood still",
                &media.skipped_slots,
            ),
            (
                "trunkline_media_moves",
                "Channels that went from one media thread to another",
                &media.moved,
            ),
            (
                "trunkline_media_orders_lost",
                "Orders to channels that were lost by a defect of Trunkline",
                &media.orders_lost,
            ),
            (
                "trunkline_media_panics",
                "Channels ended by a defect of Trunkline",
                &media.panics,
            ),
        ] {
            counter(encoder, name, help, value.value())?;
        }
        self.encode_shards(encoder)?;
        let dropped = media.dropped.by_cause();
        family(
            encoder,
            "trunkline_rtp_packets_dropped",
            "Received packets dropped, by cause",
            "cause",
            &dropped,
        )?;
        let stock = self.media.stock_counts();
        family(
            encoder,
            "trunkline_media_stock_taken",
            "Things that channels which began to be heard or to speak, or had a burst, took from the stock",
            "kind",
            &stock.taken(),
        )?;
        family(
            encoder,
            "trunkline_media_stock_empty",
            "Times that nothing was in stock for a channel that began to be heard or to speak",
            "kind",
            &stock.empty(),
        )?;
        let dropped = media.bridge_dropped.by_cause();
        family(
            encoder,
            "trunkline_bridge_dropped",
            "Packets and frames that bridges did not pass on, by cause",
            "cause",
            &dropped,
        )?;
        quality_metrics::encode(encoder, &media)?;
        let (name, help) = (
            "trunkline_media_tick_lateness_seconds",
            "How late the media loop began its 1 ms slots",
        );
        let lateness = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        // From 128 µs to 65.5 ms.
        quality_metrics::encode_times(lateness, &media.lateness, 7..=16)
    }
}

pub(super) fn gauge(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    value: u64,
) -> Result<(), Error> {
    let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
    let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
    gauge.encode(metric)
}

pub(super) fn counter(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    value: u64,
) -> Result<(), Error> {
    let counter = ConstCounter::new(value);
    let metric = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
    counter.encode(metric)
}

pub(super) fn family(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    label: &'static str,
    values: &[(&str, u64)],
) -> Result<(), Error> {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for &(value, count) in values {
        let labels = [(label, value)];
        ConstCounter::new(count).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

fn u64_of(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn usize_of(gauge: &AtomicUsize) -> u64 {
    gauge.load(Ordering::Relaxed) as u64
}
