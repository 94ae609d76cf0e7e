//! SIGHUP: reads the configuration file anew and puts it in force as a whole, or not at all.
//!
//! The new file is read, its flows and prompts loaded and its certificates read before anything changes; with one mistake anywhere the
//! old configuration stays in force and the log says why, line by line. What sockets and media were opened with cannot be changed in
//! a running process: one warning names those keys.
use super::routes::{LiveRoutes, RouteTable};
use super::run::{call_settings, music};
use super::transports::guard_settings;
use crate::call::Calls;
use crate::config::Config;
use crate::media::PromptLibrary;
use crate::net::sip::{Guards, Tls, TlsSettings};
use crate::registrar::Location;
use crate::trunk::Trunks;
use arc_swap::ArcSwap;
use std::path::PathBuf;
use std::sync::Arc;

/// Everything that can take up a new configuration.
pub(super) struct Reload {
    /// The file; `None`: the embedded default is in force.
    pub(super) file: Option<PathBuf>,
    /// The configuration in force.
    pub(super) config: Arc<ArcSwap<Config>>,
    pub(super) routes: LiveRoutes,
    pub(super) prompts: Arc<PromptLibrary>,
    pub(super) trunks: Arc<Trunks>,
    pub(super) guards: Arc<Guards>,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) phones: Arc<Location>,
    pub(super) calls: Arc<Calls>,
}

impl Reload {
    /// Reads the file and puts it in force; logs what came of it.
    pub(super) fn run(&self) {
        let Some(file) = &self.file else {
            tracing::warn!(
                "SIGHUP: the embedded default configuration is in force; there is no file to read anew"
            );
            return;
        };
        if let Err(lines) = self.exchange(file) {
            for line in &lines {
                tracing::error!("{line}");
            }
            tracing::error!(
                mistakes = lines.len(),
                "SIGHUP: {} was not taken; the configuration before stays in force",
                file.display()
            );
        }
    }

    fn exchange(&self, file: &std::path::Path) -> Result<(), Vec<String>> {
        let new = Config::load(file).map_err(|problems| problems.lines().collect::<Vec<_>>())?;
        let new = Arc::new(new);
        let old = self.config.load_full();
        let lines = |error: &dyn std::fmt::Display| -> Vec<String> {
            error.to_string().lines().map(str::to_owned).collect()
        };
        let (exchanged, broken) = self.prompts.refresh();
        for error in &broken {
            tracing::warn!(
                rule = "prompt-kept",
                "SIGHUP: what was read before stays in force: {error}"
            );
        }
        let (table, warnings) =
            RouteTable::load(new.clone(), &self.prompts).map_err(|error| lines(&error))?;
        let music = music(&new, &self.prompts).map_err(|error| vec![format!("{error:#}")])?;
        if let Some(tls) = &self.tls {
            tls.reload(&TlsSettings::from(&new.tls))
                .map_err(|error| lines(&error))?;
        }
        for warning in new.warnings.iter().chain(&warnings) {
            tracing::warn!("{warning}");
        }
        self.config.store(new.clone());
        self.routes.exchange(table);
        self.guards.apply(guard_settings(&new));
        self.trunks.apply(&new);
        self.phones.reloaded();
        self.calls.apply(call_settings(&new), music);
        self.calls.voicemail.apply(&new.voicemail);
        self.voices(&old, &new);
        let fixed = needs_restart(&old, &new);
        if !fixed.is_empty() {
            tracing::warn!(
                "SIGHUP: these changes count from the next start only: {}",
                fixed.join(", ")
            );
        }
        tracing::info!(
            trunks = new.trunks.len(),
            endpoints = new.endpoints.len(),
            numbers = new.numbers.len(),
            prompts_exchanged = exchanged.len(),
            "SIGHUP: {} is in force",
            file.display()
        );
        Ok(())
    }
}

impl Reload {
    /// What speaks and what understands, where that has changed: the texts of flows are then made anew before they are asked for.
    fn voices(&self, old: &Config, new: &Config) {
        if let (Some(speaker), true) = (&self.calls.speech, old.speech != new.speech) {
            speaker.apply(&new.speech);
            self.routes.speak(speaker);
        }
        if let (Some(recogniser), true) =
            (&self.calls.recogniser, old.recognition != new.recognition)
        {
            recogniser.apply(&new.recognition);
        }
    }
}

/// The keys that differ and that a running process cannot take up.
fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let (sip, media) = (&old.sip, &old.media);
    let differ = [
        ("sip.listen", sip.listen != new.sip.listen),
        ("sip.advertise", sip.advertise != new.sip.advertise),
        ("sip.server_name", sip.server_name != new.sip.server_name),
        ("sip.max_calls", sip.max_calls != new.sip.max_calls),
        (
            "sip.max_transactions",
            sip.max_transactions != new.sip.max_transactions,
        ),
        ("sip.t1_ms", sip.t1 != new.sip.t1),
        (
            "sip.tcp_max_connections",
            sip.tcp_max_connections != new.sip.tcp_max_connections,
        ),
        (
            "sip.tcp_idle_timeout_s",
            sip.tcp_idle_timeout != new.sip.tcp_idle_timeout,
        ),
        (
            "sip.session_expires_s",
            sip.session_expires != new.sip.session_expires,
        ),
        ("sip.min_se_s", sip.min_se != new.sip.min_se),
        (
            "sip.reliable_provisional",
            sip.reliable_provisional != new.sip.reliable_provisional,
        ),
        ("media.bind", media.bind != new.media.bind),
        ("media.ports", media.ports != new.media.ports),
        ("media.threads", media.threads != new.media.threads),
        ("media.pin", media.pin != new.media.pin),
        (
            "media.late_limit_ms",
            media.late_limit_ms != new.media.late_limit_ms,
        ),
        ("media.busy_limit", media.busy_limit != new.media.busy_limit),
        ("media.realtime", media.realtime != new.media.realtime),
        (
            "media.lock_memory",
            media.lock_memory != new.media.lock_memory,
        ),
        (
            "media.rtp_timeout_s",
            media.rtp_timeout != new.media.rtp_timeout,
        ),
        (
            "media.recordings_dir",
            media.recordings_dir != new.media.recordings_dir,
        ),
        ("store.file", old.store != new.store),
        ("webhook", old.webhooks != new.webhooks),
        ("mail", old.mail != new.mail),
        ("recordings", old.recordings != new.recordings),
        ("cdr.file", old.cdr != new.cdr),
        ("dtmf", old.dtmf != new.dtmf),
        ("fetch", old.fetch != new.fetch),
        ("http.listen", old.http != new.http),
        ("api", old.api != new.api),
        ("log", old.log != new.log),
    ];
    let changed = differ.into_iter().filter(|(_, differs)| *differs);
    changed.map(|(key, _)| key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_need_a_restart_are_named_and_others_are_not() {
        let config = |text: &str| Config::from_str("t", text).expect("good");
        let old = config("");
        let new = config(
            "[sip]\nlisten = [\"udp:0.0.0.0:5070\"]\n[media]\nports = \"20000-20999\"\n[security]\nban_s = 5\n[run]\ndrain_s = 1\n\
             [[number]]\nto = \"1\"\nflow = \"builtin:demo\"",
        );
        assert_eq!(needs_restart(&old, &new), ["sip.listen", "media.ports"]);
        assert_eq!(needs_restart(&old, &old), [""; 0]);
        let louder =
            config("[log]\nlevel = \"debug\"\n[transfer]\nblind = false\n[media]\ndtmf = \"info\"");
        assert_eq!(needs_restart(&old, &louder), ["log"]);
    }
}
