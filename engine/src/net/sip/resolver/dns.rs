//! Asks the name servers of the system by hickory-resolver, which keeps answers for their time to live.
//!
//! Limits: 2 s per try and two tries per question; CNAME chains as hickory limits them; 1024 answers kept, none longer than an hour.
use super::select::{Naptr, Srv};
use super::{Asked, Zones};
use hickory_resolver::config::LookupIpStrategy;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{ResolverBuilder, TokioResolver};
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
        let built = TokioResolver::builder_tokio().and_then(built);
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

fn built(mut builder: ResolverBuilder<TokioRuntimeProvider>) -> Result<TokioResolver, NetError> {
    let options = builder.options_mut();
    options.timeout = TRY_TIME;
    options.attempts = TRIES;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.cache_size = KEPT_ANSWERS;
    options.positive_max_ttl = Some(LONGEST_KEPT);
    options.negative_max_ttl = Some(LONGEST_ABSENT);
    builder.build()
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

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
    use hickory_resolver::proto::op::{Message, ResponseCode};
    use hickory_resolver::proto::rr::Record;
    use hickory_resolver::proto::rr::rdata::{A, CNAME, NAPTR, SRV};
    use tokio::net::UdpSocket;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    /// The records of a made-up zone; anything else does not exist, and `refused` is not answered for.
    fn records(question: &str, kind: RecordType) -> Vec<RData> {
        let octets = |text: &str| text.as_bytes().into();
        match (question, kind) {
            ("c.example.", RecordType::NAPTR) => vec![RData::NAPTR(NAPTR::new(
                10,
                20,
                octets("s"),
                octets("SIP+D2T"),
                octets(""),
                name("_sip._tcp.c.example."),
            ))],
            ("_sip._tcp.c.example.", RecordType::SRV) => {
                vec![RData::SRV(SRV::new(1, 2, 5070, name("h.c.example.")))]
            }
            ("h.c.example.", RecordType::A) => vec![RData::A(A::new(192, 0, 2, 5))],
            // A name that stands for itself.
            ("loop.example.", _) => vec![RData::CNAME(CNAME(name("loop.example.")))],
            _ => Vec::new(),
        }
    }

    async fn serve(socket: UdpSocket) {
        let mut buffer = [0; 2048];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            let query = Message::from_vec(&buffer[..length]).unwrap();
            let asked = query.queries[0].clone();
            let mut answer = query.into_response();
            let question = asked.name().to_ascii().to_ascii_lowercase();
            for data in records(&question, asked.query_type()) {
                answer.add_answer(Record::from_rdata(asked.name().clone(), 60, data));
            }
            if question.contains("refused") {
                answer.metadata.response_code = ResponseCode::Refused;
            } else if answer.answers.is_empty() {
                answer.metadata.response_code = ResponseCode::NXDomain;
            }
            let bytes = answer.to_vec().unwrap();
            socket.send_to(&bytes, from).await.unwrap();
        }
    }

    async fn dns() -> Dns {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(serve(socket));
        let mut connection = ConnectionConfig::udp();
        connection.port = address.port();
        let server = NameServerConfig::new(address.ip(), true, vec![connection]);
        let config = ResolverConfig::from_name_servers(vec![server]);
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        Dns(built(builder).map_err(|error| error.to_string()))
    }

    #[tokio::test]
    async fn records_come_out_as_they_stand_in_the_zone() {
        let dns = dns().await;
        let naptr = dns.naptr("c.example").await.unwrap();
        assert_eq!((naptr[0].order, naptr[0].preference), (10, 20));
        assert_eq!(
            (naptr[0].flags.as_str(), naptr[0].service.as_str()),
            ("s", "SIP+D2T")
        );
        let srv = dns.srv(&naptr[0].replacement).await.unwrap();
        assert_eq!((srv[0].priority, srv[0].weight, srv[0].port), (1, 2, 5070));
        let found = dns.addresses(&srv[0].target).await.unwrap();
        assert_eq!(found, [IpAddr::from([192, 0, 2, 5])]);
    }

    #[tokio::test]
    async fn nothing_is_an_answer_and_a_refusal_none() {
        let dns = dns().await;
        assert_eq!(dns.srv("_sip._udp.absent.example").await, Ok(Vec::new()));
        assert_eq!(dns.addresses("absent.example").await, Ok(Vec::new()));
        assert!(dns.srv("_sip._udp.refused.example").await.is_err());
        // Whatever comes of a name that stands for itself, it comes.
        let _ = dns.srv("loop.example").await;
        let _ = dns.addresses("loop.example").await;
    }
}
