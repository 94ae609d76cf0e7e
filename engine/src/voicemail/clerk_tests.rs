//! The clerk, with made-up time, a mail program and a mail server of the test.
use super::tests::bench;
use super::*;
use crate::config::{Mail, MailBy, MailSecurity};
use crate::store::VoicemailQuery;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

fn mailed() -> VoicemailBox {
    VoicemailBox {
        email: vec!["ann@example.com".to_owned()],
        ..VoicemailBox::named("sales")
    }
}

#[tokio::test]
async fn a_mail_is_tried_until_it_is_taken() {
    let bench = bench(mailed());
    bench.leave(3000, Duration::ZERO).await;
    let failing = bench.clerk(Some(MailBy::Command("/nonexistent/sendmail".to_owned())));
    let now = SystemTime::now();
    failing.round(now).await.unwrap();
    assert_eq!(failing.counters.failed.load(Ordering::Relaxed), 1);
    // Not before its time.
    assert!(failing.round(now).await.unwrap() > Duration::ZERO);
    assert_eq!(failing.counters.failed.load(Ordering::Relaxed), 1);
    let sent = bench.clerk(Some(MailBy::Command("true".to_owned())));
    let later = now + Duration::from_secs(2);
    sent.round(later).await.unwrap();
    assert_eq!(sent.counters.sent.load(Ordering::Relaxed), 1);
    sent.round(later + Duration::from_secs(3600)).await.unwrap();
    assert_eq!(sent.counters.sent.load(Ordering::Relaxed), 1);
    // Three days are enough.
    bench.leave(3000, Duration::ZERO).await;
    let long_after = now + Duration::from_secs(73 * 3600);
    failing.round(long_after).await.unwrap();
    assert_eq!(failing.counters.given_up.load(Ordering::Relaxed), 1);
    let told = bench.told();
    assert!(told.last().unwrap().starts_with("no mail: "), "{told:?}");
    let rows = bench.store.voicemails(VoicemailQuery::default()).await;
    assert_eq!(rows.unwrap().len(), 2, "the messages stay");
}

/// A mail server of the test: takes mail, and refuses for good the receivers with that in their address, `grey@` for now; `large`: all
/// mails, once they have come.
async fn server(refuses: &'static str, mails: Arc<AtomicUsize>) -> std::net::SocketAddr {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (reader, mut writer) = stream.into_split();
            let mut lines = BufReader::new(reader).lines();
            writer.write_all(b"220 hello\r\n").await.unwrap();
            let mut data = false;
            while let Ok(Some(line)) = lines.next_line().await {
                let answer = match line.split(' ').next().unwrap_or_default() {
                    "." if data => {
                        data = false;
                        mails.fetch_add(1, Ordering::Relaxed);
                        match refuses {
                            "large" => "552 5.3.4 too large",
                            _ => "250 taken",
                        }
                    }
                    _ if data => continue,
                    "RCPT" if line.contains("grey@") => "451 come again",
                    "RCPT" if line.contains(refuses) => "550 no such user",
                    "DATA" => {
                        data = true;
                        "354 go on"
                    }
                    "QUIT" => "221 bye",
                    _ => "250 fine",
                };
                let answer = format!("{answer}\r\n");
                if writer.write_all(answer.as_bytes()).await.is_err() {
                    break;
                }
            }
        }
    });
    address
}

fn smtp(address: std::net::SocketAddr) -> Option<MailBy> {
    Some(MailBy::Smtp {
        server: crate::config::HostPort {
            host: address.ip().to_string(),
            port: Some(address.port()),
        },
        security: MailSecurity::Plain,
        login: None,
    })
}

#[tokio::test]
async fn mail_leaves_by_smtp_and_what_is_refused_for_good_is_given_up() {
    let bench = bench(mailed());
    let mails = Arc::<AtomicUsize>::default();
    // Messages are due from when they were left on.
    let now = SystemTime::now() + Duration::from_secs(1);
    bench.leave(3000, Duration::ZERO).await;
    let clerk = bench.clerk(smtp(server("gone@", mails.clone()).await));
    clerk.round(now).await.unwrap();
    let counters = &clerk.counters;
    assert_eq!(counters.sent.load(Ordering::Relaxed), 1);
    assert_eq!(mails.load(Ordering::Relaxed), 1);
    bench.leave(3000, Duration::ZERO).await;
    let clerk = bench.clerk(smtp(server("@", mails.clone()).await));
    clerk.round(now + Duration::from_secs(1)).await.unwrap();
    assert_eq!(clerk.counters.given_up.load(Ordering::Relaxed), 1);
    assert_eq!(mails.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn one_receiver_that_is_refused_does_not_stop_the_mail_to_the_others() {
    let bench = bench(VoicemailBox {
        email: ["ann@a.example", "gone@a.example", "bob@a.example"]
            .map(str::to_owned)
            .to_vec(),
        ..VoicemailBox::named("sales")
    });
    bench.leave(3000, Duration::ZERO).await;
    let mails = Arc::<AtomicUsize>::default();
    let clerk = bench.clerk(smtp(server("gone@", mails.clone()).await));
    let now = SystemTime::now() + Duration::from_secs(1);
    clerk.round(now).await.unwrap();
    assert_eq!(clerk.counters.sent.load(Ordering::Relaxed), 1);
    assert_eq!(mails.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn where_nobody_is_taken_one_who_may_be_later_has_the_mail_tried_again() {
    let bench = bench(VoicemailBox {
        email: ["gone@a.example", "grey@a.example", "gone@b.example"]
            .map(str::to_owned)
            .to_vec(),
        ..VoicemailBox::named("sales")
    });
    bench.leave(3000, Duration::ZERO).await;
    let mails = Arc::<AtomicUsize>::default();
    let clerk = bench.clerk(smtp(server("gone@", mails.clone()).await));
    let now = SystemTime::now() + Duration::from_secs(1);
    clerk.round(now).await.unwrap();
    let counted = [&clerk.counters.failed, &clerk.counters.given_up];
    let counted = counted.map(|count| count.load(Ordering::Relaxed));
    assert_eq!((counted, mails.load(Ordering::Relaxed)), ([1, 0], 0));
}

#[tokio::test]
async fn a_mail_that_is_too_large_is_sent_once_whoever_it_is_for() {
    let bench = bench(VoicemailBox {
        email: ["ann@a.example", "bob@a.example"]
            .map(str::to_owned)
            .to_vec(),
        ..VoicemailBox::named("sales")
    });
    bench.leave(3000, Duration::ZERO).await;
    let mails = Arc::<AtomicUsize>::default();
    let clerk = bench.clerk(smtp(server("large", mails.clone()).await));
    let now = SystemTime::now() + Duration::from_secs(1);
    clerk.round(now).await.unwrap();
    assert_eq!(clerk.counters.given_up.load(Ordering::Relaxed), 1);
    assert_eq!(mails.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_large_mail_has_longer_to_leave() {
    let bench = bench(mailed());
    let clerk = bench.clerk(None);
    assert_eq!(clerk.limit(1000), Duration::from_secs(30));
    assert_eq!(clerk.limit(77_000_000), Duration::from_secs(338));
    let Filed::Left(mut row) = bench.leave(3000, Duration::ZERO).await else {
        panic!("not left");
    };
    row.octets = 57_600_044;
    let mut mailbox = mailed();
    // Both tries of a mail with an hour of audio.
    assert!(clerk.most(&mailbox, &row) > 2 * clerk.limit(79_000_000));
    mailbox.attach = false;
    assert_eq!(clerk.most(&mailbox, &row), Duration::from_secs(60));
}

#[tokio::test]
async fn what_a_message_says_is_written_down_once() {
    let text = "[[recognition.backend]]\nname = \"known\"\ntype = \"command\"\ncommand = [\"echo\", \"please call back\"]\n";
    let config = crate::config::Config::from_str("ears.toml", text).unwrap();
    let limits = crate::fetch::FetchLimits {
        allow: Vec::new(),
        max_octets: 1,
        timeout: Duration::from_secs(1),
    };
    let fetcher = crate::fetch::Fetcher::new(&limits).unwrap();
    let ears = crate::speech::Recogniser::new(&config.recognition, &fetcher);
    for (transcribe, told) in [(true, vec!["said please call back"]), (false, vec![])] {
        let bench = bench(VoicemailBox {
            transcribe,
            email: vec!["a@example.com".to_owned()],
            ..VoicemailBox::named("sales")
        });
        let Filed::Left(row) = bench.leave(3000, Duration::ZERO).await else {
            panic!("not left");
        };
        bench.told();
        let clerk = bench.clerk(None).hearing(ears.clone());
        clerk.round(SystemTime::now()).await.unwrap();
        clerk.round(SystemTime::now()).await.unwrap();
        assert_eq!(bench.told(), told);
        let kept = bench.store.voicemail(&row.id).await.unwrap().unwrap();
        let expected = transcribe.then(|| "please call back".to_owned());
        assert_eq!(kept.transcript, expected);
    }
}

#[tokio::test]
async fn a_mail_server_that_says_nothing_stops_no_mail() {
    let bench = bench(mailed());
    bench.leave(3000, Duration::ZERO).await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mail = Mail {
        from: "pbx@example.com".to_owned(),
        by: smtp(silent.local_addr().unwrap()),
        timeout: Duration::from_millis(200),
    };
    let clerk = Clerk::new(bench.boxes.clone(), bench.store.clone(), mail);
    let now = SystemTime::now() + Duration::from_secs(1);
    clerk.round(now).await.unwrap();
    assert_eq!(clerk.counters.failed.load(Ordering::Relaxed), 1);
    assert_eq!(clerk.counters.given_up.load(Ordering::Relaxed), 0);
}
