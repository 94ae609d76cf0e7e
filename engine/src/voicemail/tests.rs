//! Boxes and the clerk, with made-up time and a mail program of the test.
use super::*;
use crate::config::{Mail, MailBy, MailSecurity, Secret};
use crate::store::{VoicemailQuery, VoicemailState};
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

fn caller() -> Caller {
    Caller {
        call: "c-1".to_owned(),
        number: "201".to_owned(),
        name: None,
    }
}

/// A WAV file of so many ms, 8 kHz, as recordings have it.
fn record(path: &Path, ms: u32) {
    let octets = ms * 16;
    let mut wav = Vec::from(*b"RIFF");
    wav.extend((octets + 36).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16_u32.to_le_bytes());
    wav.extend([1, 0, 1, 0]);
    wav.extend(8000_u32.to_le_bytes());
    wav.extend(16_000_u32.to_le_bytes());
    wav.extend([2, 0, 16, 0]);
    wav.extend(b"data");
    wav.extend(octets.to_le_bytes());
    wav.resize(44 + octets as usize, 0);
    std::fs::write(path, wav).unwrap();
}

struct Bench {
    folder: tempfile::TempDir,
    store: Store,
    boxes: Arc<Boxes>,
    told: Arc<Mutex<Vec<String>>>,
}

fn bench(of: VoicemailBox) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::in_memory().unwrap();
    let boxes = Boxes::new(Some(store.clone()), folder.path().join("voicemail"));
    let told = Arc::<Mutex<Vec<String>>>::default();
    let list = told.clone();
    boxes.listen(move |happened| {
        let word = match happened {
            Happened::Left(_, count) => format!("left {}", count.new),
            Happened::Marked(_, count) => format!("marked {} {}", count.new, count.saved),
            Happened::Deleted(_, count) => format!("deleted {}", count.new + count.saved),
            Happened::Refused(name, _, why) => format!("refused {name} {why}"),
            Happened::Transcribed(_, text) => format!("said {text}"),
            Happened::MailFailed(_, reason) => format!("no mail: {reason}"),
        };
        list.lock().unwrap().push(word);
    });
    boxes.apply(&[of]);
    Bench {
        folder,
        store,
        boxes,
        told,
    }
}

impl Bench {
    async fn leave(&self, ms: u32, silence: Duration) -> Filed {
        let take = self.boxes.begin("sales", caller()).await.unwrap();
        record(&take.path, ms);
        self.boxes.file(take, silence).await
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.told.lock().unwrap())
    }

    fn files(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("voicemail"))
            .unwrap()
            .count()
    }

    fn clerk(&self, by: Option<MailBy>) -> Clerk {
        let mail = Mail {
            from: "pbx@example.com".to_owned(),
            by,
            timeout: Duration::from_secs(30),
        };
        Clerk::new(self.boxes.clone(), self.store.clone(), mail)
    }
}

#[tokio::test]
async fn a_phone_is_told_what_waits_in_all_of_its_boxes_and_that_it_has_none_any_more() {
    let of = |name: &str, users: &[&str]| VoicemailBox {
        endpoints: users.iter().map(|user| (*user).to_owned()).collect(),
        ..VoicemailBox::named(name)
    };
    let bench = bench(of("sales", &["ann"]));
    let boxes = &bench.boxes;
    boxes.apply(&[of("sales", &["ann"]), of("team", &["ann", "bob"])]);
    bench.leave(3000, Duration::ZERO).await;
    let take = boxes.begin("team", caller()).await.unwrap();
    record(&take.path, 3000);
    boxes.file(take, Duration::ZERO).await;
    for (user, new) in [("ann", Some(2)), ("bob", Some(1)), ("cid", None)] {
        let count = boxes.count_of_phone(user).await.unwrap();
        assert_eq!(count.map(|count| count.new), new, "{user}");
    }
    let mut changes = boxes.changes();
    boxes.apply(&[of("sales", &["cid"])]);
    for user in ["ann", "bob", "cid"] {
        assert_eq!(changes.try_recv().as_deref(), Ok(user));
    }
    assert_eq!(boxes.count_of_phone("bob").await.unwrap(), None);
}

#[tokio::test]
async fn a_message_is_left_heard_and_deleted() {
    let bench = bench(VoicemailBox {
        max_messages: 2,
        endpoints: vec!["ann".to_owned()],
        ..VoicemailBox::named("sales")
    });
    let boxes = &bench.boxes;
    let mut changes = boxes.changes();
    assert!(matches!(bench.leave(3000, Duration::ZERO).await, Filed::Left(row) if row.ms == 3000));
    // Five of its six seconds are silence.
    let silence = Duration::from_secs(5);
    assert_eq!(bench.leave(6000, silence).await, Filed::Empty);
    let take = boxes.begin("sales", caller()).await.unwrap();
    assert_eq!(
        boxes.begin("sales", caller()).await.unwrap_err(),
        NoTake::Full
    );
    boxes.discard(take).await;
    assert_eq!(
        boxes.begin("x", caller()).await.unwrap_err(),
        NoTake::Unknown
    );
    let rows = boxes.messages("sales").await.unwrap();
    assert_eq!((rows.len(), bench.files()), (1, 1));
    let row = boxes.mark(rows[0].clone(), true).await.unwrap();
    assert_eq!(row.state, VoicemailState::Saved);
    boxes.delete(row).await.unwrap();
    assert_eq!(bench.files(), 0);
    let told = [
        "left 1",
        "refused sales full",
        "refused x unknown",
        "marked 0 1",
        "deleted 0",
    ];
    assert_eq!(bench.told(), told);
    for _ in 0..3 {
        assert_eq!(changes.try_recv().as_deref(), Ok("ann"));
    }
    let counted = [
        ("left", 1),
        ("empty", 1),
        ("full", 1),
        ("unknown", 1),
        ("failed", 0),
    ];
    assert_eq!(boxes.outcomes(), counted);
}

#[tokio::test]
async fn what_could_not_be_filed_is_filed_later_or_holds_no_place() {
    let bench = bench(VoicemailBox {
        max_messages: 1,
        ..VoicemailBox::named("sales")
    });
    let boxes = &bench.boxes;
    let take = boxes.begin("sales", caller()).await.unwrap();
    let path = take.path.clone();
    // What cannot be opened now, and what cannot be read (EIO).
    std::fs::create_dir(&path).unwrap();
    assert_eq!(boxes.file(take, Duration::ZERO).await, Filed::Failed);
    boxes.file_again().await;
    std::fs::remove_dir(&path).unwrap();
    std::os::unix::fs::symlink("/proc/self/mem", &path).unwrap();
    boxes.file_again().await;
    let full = boxes.begin("sales", caller()).await.unwrap_err();
    assert_eq!(full, NoTake::Full);
    std::fs::remove_file(&path).unwrap();
    record(&path, 3000);
    boxes.file_again().await;
    boxes.file_again().await;
    assert_eq!(bench.told(), ["refused sales full", "left 1"]);
    let row = boxes.messages("sales").await.unwrap().remove(0);
    boxes.delete(row).await.unwrap();

    // What never can is given up.
    let take = boxes.begin("sales", caller()).await.unwrap();
    std::fs::write(&take.path, [b'x'; 100]).unwrap();
    assert_eq!(boxes.file(take, Duration::ZERO).await, Filed::Failed);
    boxes.begin("sales", caller()).await.unwrap();
}

/// What this thread logs from now on.
fn log() -> (Arc<Mutex<Vec<u8>>>, tracing::subscriber::DefaultGuard) {
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Lines {
        fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(octets);
            Ok(octets.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Arc::<Mutex<Vec<u8>>>::default();
    let to = lines.clone();
    let all = tracing_subscriber::fmt().with_writer(move || Lines(to.clone()));
    let guard = tracing::subscriber::set_default(all.finish());
    (lines, guard)
}

#[tokio::test]
async fn what_waits_to_be_filed_is_told_once_and_is_not_lost() {
    let bench = bench(VoicemailBox {
        max_messages: 2000,
        ..VoicemailBox::named("sales")
    });
    let boxes = &bench.boxes;
    let (lines, _guard) = log();
    for _ in 0..=1000 {
        let take = boxes.begin("sales", caller()).await.unwrap();
        // What cannot be opened now.
        std::fs::create_dir(&take.path).unwrap();
        assert_eq!(boxes.file(take, Duration::ZERO).await, Filed::Failed);
    }
    let told = |rule: &str| {
        let lines = lines.lock().unwrap();
        String::from_utf8_lossy(&lines).matches(rule).count()
    };
    assert_eq!(told("it is tried again"), 1000);
    assert_eq!(told("it is filed at the next start"), 1);
    boxes.file_again().await;
    assert_eq!(told("voicemail-not-filed"), 1001);
    assert_eq!(told("voicemail-lost"), 0);
    let begun = bench.store.voicemails_begun(0, 2000).await.unwrap();
    assert_eq!(begun.len(), 1001);
}

#[tokio::test]
async fn what_a_killed_process_left_is_filed() {
    let bench = bench(VoicemailBox::named("sales"));
    for ms in [4000, 500] {
        let take = bench.boxes.begin("sales", caller()).await.unwrap();
        record(&take.path, ms);
    }
    assert_eq!(repair(&bench.boxes, &bench.store).await.unwrap(), 1);
    assert_eq!(repair(&bench.boxes, &bench.store).await.unwrap(), 0);
    assert_eq!(bench.told(), ["left 1"]);
    assert_eq!(bench.files(), 1);
}

#[tokio::test]
async fn messages_are_kept_as_long_as_they_should() {
    let day = Duration::from_secs(86_400);
    let bench = bench(VoicemailBox {
        keep: Some(day),
        ..VoicemailBox::named("sales")
    });
    bench.leave(3000, Duration::ZERO).await;
    let now = SystemTime::now();
    assert_eq!(bench.boxes.sweep(now).await.unwrap(), 0);
    assert_eq!(bench.boxes.sweep(now + day).await.unwrap(), 1);
    assert_eq!(bench.files(), 0);
}

#[test]
fn a_box_is_found_by_name_number_and_phone_and_its_pin_is_guarded() {
    let bench = bench(VoicemailBox {
        number: Some("100".to_owned()),
        pin: Some(Secret::new("4711")),
        endpoints: vec!["ann".to_owned()],
        ..VoicemailBox::named("sales")
    });
    let boxes = &bench.boxes;
    let found = [
        boxes.find("sales"),
        boxes.find("100"),
        boxes.of_phone("ann"),
    ];
    assert!(
        found.iter().flatten().all(|each| each.name == "sales"),
        "{found:?}"
    );
    assert!(found.iter().all(Option::is_some));
    assert!(boxes.find("").is_none() && boxes.of_phone("bob").is_none());
    let sales = boxes.find("100").unwrap();
    let now = Instant::now();
    assert_eq!(boxes.check_pin(now, &sales, "4711"), Ok(()));
    for _ in 0..5 {
        assert_eq!(boxes.check_pin(now, &sales, "1"), Err(PinRefused::Wrong));
    }
    assert_eq!(
        boxes.check_pin(now, &sales, "4711"),
        Err(PinRefused::Locked)
    );
    // One without a PIN has none that is right.
    let open = VoicemailBox::named("open");
    assert_eq!(boxes.check_pin(now, &open, ""), Err(PinRefused::Wrong));
}

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

/// A mail server of the test: takes mail, and refuses for good the receivers with that in their address, `grey@` for now.
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
                        "250 taken"
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
