//! What a DTMF receiver accepts.

/// The limits of a receiver. The default is [`Profile::TELEPHONE`].
///
/// A key passes where all limits are kept. The amount of residue (whatever is neither of the two tones, above
/// 670 Hz) that is forgiven shrinks with two signs of a voice: energy below the keys' band and tones beside their frequency; each has a
/// value up to which it is innocent, a slope and a maximum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    /// Largest relative deviation of either tone, e.g. 0.024 for 2.4 %.
    pub frequency_limit: f32,
    /// Largest relative deviation of the ratio of the two frequencies. The keys' ratios lie between those of harmonics and of music (a fifth, an
    /// octave), 4.2 % and more from the nearest; two tones that are each within [`Profile::frequency_limit`] may be such a pair.
    pub ratio_limit: f32,
    /// From this deviation of that ratio on, the two are on their way to a fifth or an octave and pass for harmonics of one voice, unless all else is
    /// 18 dB below them and what lies below the band 6 dB. From [`Profile::ratio_limit`] on: never. Senders are allowed 3.7 %, but not with a
    /// voice beside it.
    pub harmonic_ratio: f32,
    /// By how many dB the low tone may be the stronger one (normal twist).
    pub low_stronger_db: f32,
    /// By how many dB the high tone may be the stronger one (reverse twist).
    pub high_stronger_db: f32,
    /// Weakest level of either tone, dBm0.
    pub level_min_dbm0: f32,
    /// Shortest tone, ms. Tones up to 3 ms shorter or longer fall either way; below 27.5 ms too little is seen.
    pub tone_min_ms: f32,
    /// Shortest pause between two digits, ms; a shorter one is a drop-out inside one digit.
    pub pause_min_ms: f32,
    /// Longest gap of digital silence (a lost packet nobody concealed) inside a tone that has not been announced yet, ms.
    pub gap_max_ms: f32,
    /// Most residue, dB relative to the tones.
    pub residue_max_db: f32,
    /// The same where both tones have been on for 47.5 ms or longer before they are a key.
    pub late_residue_max_db: f32,
    /// Energy below the band, dB relative to the tones, up to which it is innocent.
    pub low_innocent_db: f32,
    /// dB of residue less per dB of low energy beyond that.
    pub low_slope: f32,
    /// dB of residue less for low energy, at most.
    pub low_max_db: f32,
    /// Relative deviation of a tone up to which it is innocent.
    pub detune_innocent: f32,
    /// dB of residue less per per cent of deviation beyond that.
    pub detune_slope: f32,
    /// dB of residue less for deviation, at most.
    pub detune_max_db: f32,
    /// Largest ratio of the strongest to the weakest amplitude of a tone while it is being judged.
    pub unsteadiness: f32,
}

impl Profile {
    /// Meets the operate and non-operate columns of ITU-T Q.24 for AT&T and the operate column of the Danish administration with
    /// margin: 1.5 % + 2 Hz accepted and 3.5 % (and 3 %) rejected, twist 8 and 6 dB, 0 to -36 dBm0, 40 ms accepted
    /// and 23 ms rejected, drop-outs of 20 ms ridden.
    ///
    /// The slopes and [`Profile::residue_max_db`] were set on 16 h of recorded prompts in five languages, played at five speeds and
    /// three levels, against digits in white noise, speech, dial tone, clipping and echo, and tried on 13 h of other voices.
    pub const TELEPHONE: Self = Self {
        frequency_limit: 0.025,
        ratio_limit: 0.039,
        harmonic_ratio: 0.03,
        low_stronger_db: 10.0,
        high_stronger_db: 7.5,
        level_min_dbm0: -40.0,
        tone_min_ms: 27.5,
        pause_min_ms: 25.0,
        gap_max_ms: 20.0,
        residue_max_db: -8.5,
        late_residue_max_db: -12.0,
        low_innocent_db: -9.5,
        low_slope: 1.1,
        low_max_db: 9.0,
        detune_innocent: 0.005,
        detune_slope: 6.0,
        detune_max_db: 12.0,
        unsteadiness: 1.35,
    };

    /// For bad lines and odd senders, where a missed key costs more than a false one: more residue, twist (10 dB either
    /// way is the Australian limit) and movement, and no look out for harmonics.
    pub const RELAXED: Self = Self {
        frequency_limit: 0.029,
        ratio_limit: 0.05,
        harmonic_ratio: 0.07,
        low_stronger_db: 12.0,
        high_stronger_db: 12.0,
        level_min_dbm0: -45.0,
        residue_max_db: -5.0,
        late_residue_max_db: -8.0,
        low_max_db: 5.0,
        unsteadiness: 1.8,
        ..Self::TELEPHONE
    };

    /// For lines that carry hours of speech and music between keys: a false key costs more than a missed one.
    pub const STRICT: Self = Self {
        frequency_limit: 0.021,
        ratio_limit: 0.038,
        low_stronger_db: 9.0,
        high_stronger_db: 6.5,
        level_min_dbm0: -36.0,
        residue_max_db: -12.0,
        late_residue_max_db: -14.5,
        unsteadiness: 1.25,
        ..Self::TELEPHONE
    };

    /// ITU-T Q.24, NTT: 1.8 % accepted and 3 % rejected, 5 dB either way, -24 dBm accepted and -29 dBm refused, pauses of 30 ms.
    pub const NTT: Self = Self {
        frequency_limit: 0.024,
        low_stronger_db: 6.5,
        high_stronger_db: 6.5,
        level_min_dbm0: -27.0,
        ..Self::TELEPHONE
    };

    /// ITU-T Q.24, Australia: 1.5 % + 4 Hz accepted, 10 dB either way, -27 dBm accepted and -30 dBm refused, pauses of 70 ms with
    /// drop-outs of 12 ms.
    pub const AUSTRALIA: Self = Self {
        frequency_limit: 0.025,
        ratio_limit: 0.042,
        low_stronger_db: 12.0,
        high_stronger_db: 12.0,
        level_min_dbm0: -29.0,
        ..Self::TELEPHONE
    };

    /// ITU-T Q.24, Brazil: 1.8 % accepted and 3 % rejected, 9 dB either way, -25 dBm accepted and -50 dBm refused, pauses of 30 ms.
    pub const BRAZIL: Self = Self {
        frequency_limit: 0.025,
        low_stronger_db: 11.0,
        high_stronger_db: 11.0,
        ..Self::TELEPHONE
    };

    /// The profiles by name; `default` is [`Profile::TELEPHONE`].
    pub const NAMED: [(&'static str, Self); 6] = [
        ("default", Self::TELEPHONE),
        ("relaxed", Self::RELAXED),
        ("strict", Self::STRICT),
        ("ntt", Self::NTT),
        ("australia", Self::AUSTRALIA),
        ("brazil", Self::BRAZIL),
    ];

    /// The same for who keeps only which one it is.
    pub fn named() -> [(&'static str, &'static Self); 6] {
        const NAMED: &[(&str, Profile); 6] = &Profile::NAMED;
        NAMED.each_ref().map(|(name, profile)| (*name, profile))
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self::TELEPHONE
    }
}
