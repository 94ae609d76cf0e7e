//! What a DTMF receiver accepts.

/// The limits of a receiver. The default is [`Profile::TELEPHONE`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    /// Largest relative deviation of either tone, e.g. 0.024 for 2.4 %.
    pub frequency_limit: f32,
    /// By how many dB the low tone may be the stronger one (normal twist).
    pub low_stronger_db: f32,
    /// By how many dB the high tone may be the stronger one (reverse twist).
    pub high_stronger_db: f32,
    /// Weakest level of either tone, dBm0.
    pub level_min_dbm0: f32,
    /// Shortest tone, ms. Tones up to 2 ms shorter or longer fall either way.
    pub tone_min_ms: f32,
    /// Shortest pause between two digits, ms; a shorter one is a drop-out inside one digit.
    pub pause_min_ms: f32,
    /// Longest gap of digital silence (a lost packet nobody concealed) inside a tone that has not been announced yet, ms.
    pub gap_max_ms: f32,
    /// Loudest that everything but the two tones may be above 670 Hz, dB relative to the tones; less is forgiven when
    /// there are other signs of a voice.
    pub residue_max_db: f32,
    /// Largest ratio of the strongest to the weakest amplitude of a tone while it is being judged.
    pub unsteadiness: f32,
}

impl Profile {
    /// Meets the operate and non-operate columns of ITU-T Q.24 for AT&T with margin: 1.5 % accepted and
    /// 3.5 % rejected, twist 8 and 4 dB, 0 to -36 dBm0, 40 ms accepted and 23 ms rejected, drop-outs of 10 ms ridden.
    pub const TELEPHONE: Self = Self {
        frequency_limit: 0.025,
        low_stronger_db: 10.0,
        high_stronger_db: 7.5,
        level_min_dbm0: -40.0,
        tone_min_ms: 27.5,
        pause_min_ms: 25.0,
        gap_max_ms: 20.0,
        residue_max_db: -8.5,
        unsteadiness: 1.35,
    };
}

impl Default for Profile {
    fn default() -> Self {
        Self::TELEPHONE
    }
}
