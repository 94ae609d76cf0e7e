//! Boxes, with made-up time.
use super::*;
use crate::config::{Mail, MailBy, Secret};
use crate::store::VoicemailState;
use std::path::Path;
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

pub(super) struct Bench {
    folder: tempfile::TempDir,
    pub(super) store: Store,
    pub(super) boxes: Arc<Boxes>,
    told: Arc<Mutex<Vec<String>>>,
}

pub(super) fn bench(of: VoicemailBox) -> Bench {
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
    pub(super) async fn leave(&self, ms: u32, silence: Duration) -> Filed {
        let take = self.boxes.begin("sales", caller()).await.unwrap();
        record(&take.path, ms);
        self.boxes.file(take, silence).await
    }

    pub(super) fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.told.lock().unwrap())
    }

    fn files(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("voicemail"))
            .unwrap()
            .count()
    }

    pub(super) fn clerk(&self, by: Option<MailBy>) -> Clerk {
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
