//! Asks the name servers of the system by hickory-resolver, which keeps answers for their time to live.
//!
//! Limits: 2 s per try and two tries per question; CNAME chains as hickory limits them; 1024 answers kept, none longer than an hour.
use super::select::{Naptr, Srv};
use super::{Asked, Zones};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::LookupIpStrategy;
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use std::net::IpAddr;
use std::time::Duration;

const TRY_TIME: Duration = Duration::from_secs(2);
const TRIES: usize = 2;
const KEPT_ANSWERS: u64 = 1024;
const LONGEST_KEPT: Duration = Duration::from_secs(3600);
/// A name that does not exist is asked for again after at most this long: its operator may just be creating it.
const LONGEST_ABSENT: Duration = Duration::from_secs(30);

/// The system's name servers; the error says why there are none.
pub(super) struct Dns(Result<TokioResolver, String>);

impl Dns {
    /// As `/etc/resolv.conf` and `/etc/hosts` say now.
    pub(super) fn system() -> Dns {
        let built = TokioResolver::builder_tokio().and_then(|mut builder| {
            let options = builder.options_mut();
            options.timeout = TRY_TIME;
            options.attempts = TRIES;
            options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
            options.cache_size = KEPT_ANSWERS;
            options.positive_max_ttl = Some(LONGEST_KEPT);
            options.negative_max_ttl = Some(LONGEST_ABSENT);
            builder.build()
        });
        Dns(built.map_err(|error| format!("/etc/resolv.conf: {error}")))
    }

    async fn records(&self, name: &str, kind: RecordType) -> Result<Vec<RData>, String> {
        let resolver = self.0.as_ref().map_err(String::clone)?;
        // Fully qualified: `_sip._udp.example.com` is not looked for in our own domain.
        let mut name = Name::from_utf8(name).map_err(|error| error.to_string())?;
        name.set_fqdn(true);
        match resolver.lookup(name, kind).await {
            Ok(found) => Ok(found
                .answers()
                .iter()
                .map(|record| record.data.clone())
                .collect()),
            Err(error) => none_or(error),
        }
    }
}

/// That there is nothing is an answer.
fn none_or<T>(error: NetError) -> Result<Vec<T>, String> {
    match error.is_no_records_found() {
        true => Ok(Vec::new()),
        false => Err(error.to_string()),
    }
}

impl Zones for Dns {
    fn naptr<'a>(&'a self, name: &'a str) -> Asked<'a, Naptr> {
        Box::pin(async move {
            let found = self.records(name, RecordType::NAPTR).await?;
            let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
            let naptr = |record| match record {
                RData::NAPTR(naptr) => Some(Naptr {
                    order: naptr.order,
                    preference: naptr.preference,
                    flags: text(&naptr.flags),
                    service: text(&naptr.services),
                    replacement: naptr.replacement.to_utf8(),
                }),
                _ => None,
            };
            Ok(found.into_iter().filter_map(naptr).collect())
        })
    }

    fn srv<'a>(&'a self, name: &'a str) -> Asked<'a, Srv> {
        Box::pin(async move {
            let found = self.records(name, RecordType::SRV).await?;
            let srv = |record| match record {
                RData::SRV(srv) => Some(Srv {
                    priority: srv.priority,
                    weight: srv.weight,
                    port: srv.port,
                    target: srv.target.to_utf8(),
                }),
                _ => None,
            };
            Ok(found.into_iter().filter_map(srv).collect())
        })
    }

    fn addresses<'a>(&'a self, name: &'a str) -> Asked<'a, IpAddr> {
        Box::pin(async move {
            let resolver = self.0.as_ref().map_err(String::clone)?;
            match resolver.lookup_ip(name).await {
                Ok(found) => Ok(found.iter().collect()),
                Err(error) => none_or(error),
            }
        })
    }
}
