//! Trunks over a real SIP side on loopback, with a configuration written by the test.
use crate::PATIENCE;
use std::sync::Arc;
use std::time::Duration;
use trunkline::config::Config;
use trunkline::net::sip::{NewLeg, Sip, TcpLimits};
use trunkline::route::{CallerIdentity, LearnedPeers, OutboundLeg};
use trunkline::trunk::{Numeric, Outcome, Resolve, TrunkCall, TrunkStatus, Trunks};
use trunkline_sip::{AdmitAll, EndpointConfig, Event, Timers, Transport};

pub(crate) struct Rig {
    pub(crate) sip: Sip,
    pub(crate) trunks: Arc<Trunks>,
    pub(crate) learned: Arc<LearnedPeers>,
}

/// A configuration with the trunk `carrier`. Times are those of the file in milliseconds where it has seconds: a failover after
/// 5 s takes 0.5 s here.
pub(crate) fn config(lines: &str) -> Config {
    let text = format!("[[trunk]]\nname = \"carrier\"\n{lines}\n");
    let mut config = Config::from_str("test.toml", &text).unwrap_or_else(|e| panic!("{e}"));
    for trunk in &mut config.trunks {
        trunk.failover_timeout /= 10;
        trunk.options_interval = trunk.options_interval.map(|time| time / 100);
    }
    config
}

impl Rig {
    pub(crate) async fn start(config: &Config) -> Rig {
        Rig::with(config, Arc::new(Numeric)).await
    }

    pub(crate) async fn with(config: &Config, resolver: Arc<dyn Resolve>) -> Rig {
        let endpoint = EndpointConfig {
            timers: Timers {
                t1: Duration::from_millis(50),
                t4: Duration::from_millis(100),
                ..Timers::default()
            },
            ..EndpointConfig::new("Trunkline", [7; 32])
        };
        let limits = TcpLimits {
            max_connections: 4,
            idle: PATIENCE,
        };
        let any = ([127, 0, 0, 1], 0).into();
        let listen = [(Transport::Udp, any), (Transport::Tcp, any)];
        let sip = Sip::start(&listen, limits, endpoint, Box::new(AdmitAll))
            .await
            .unwrap();
        let learned = Arc::<LearnedPeers>::default();
        let trunks = Trunks::start(config, sip.handle.clone(), resolver, learned.clone());
        Rig {
            sip,
            trunks,
            learned,
        }
    }

    /// Waits until the trunk's status is as wanted.
    pub(crate) async fn until(&self, wanted: impl Fn(&TrunkStatus) -> bool) -> TrunkStatus {
        let mut changes = self.trunks.changes();
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                changes.borrow_and_update();
                let status = self.status();
                if wanted(&status) {
                    return status;
                }
                changes.changed().await.unwrap();
            }
        });
        waited
            .await
            .unwrap_or_else(|_| panic!("still {:#?}", self.status()))
    }

    pub(crate) fn status(&self) -> TrunkStatus {
        self.trunks.status().remove(0)
    }

    pub(crate) fn dial(&self, number: &str) -> Result<TrunkCall, &'static str> {
        let caller = CallerIdentity {
            number: "+49301".to_owned(),
            ..CallerIdentity::default()
        };
        let call = self.trunks.dial("carrier", number, &caller);
        call.map_err(|refused| refused.rule)
    }

    pub(crate) async fn invite(&self, leg: OutboundLeg) -> NewLeg {
        self.sip.handle.invite(leg.invite(None)).await.unwrap()
    }

    /// Makes the attempts of a call, one after the other, as the call layer does: the final status of the last one.
    pub(crate) async fn call(&self, call: &mut TrunkCall) -> u16 {
        let mut last = 0;
        while let Some(leg) = call.next_leg() {
            let (status, outcome) = self.attempt(call.silence_limit(), leg).await;
            last = status;
            if !call.learn(outcome) {
                break;
            }
        }
        last
    }

    async fn attempt(&self, silence: Duration, leg: OutboundLeg) -> (u16, Outcome) {
        let mut leg = self.invite(leg).await;
        let mut limit = silence;
        loop {
            match tokio::time::timeout(limit, leg.events.recv()).await {
                Err(_) => return (408, Outcome::Timeout),
                Ok(Some(Event::Rejected {
                    status, response, ..
                })) => return (status, Outcome::rejected(status, response.as_ref())),
                Ok(Some(Event::Answered { .. })) => return (200, Outcome::Answered),
                Ok(Some(_)) => limit = PATIENCE,
                Ok(None) => return (503, Outcome::Transport),
            }
        }
    }
}
