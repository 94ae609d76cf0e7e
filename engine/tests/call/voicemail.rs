//! Messages that callers leave.
use crate::phone::{PATIENCE, Phone};
use crate::playing;
use crate::rig::{Plan, Rig};
use std::path::PathBuf;
use std::time::Duration;
use trunkline::call::control::{Done, Parting, Transfer};
use trunkline::call::*;
use trunkline::config::VoicemailBox;
use trunkline::store::{VoicemailQuery, VoicemailState};

fn leaving() -> Plan {
    let leave = Verb::Voicemail(Box::new(Voicemail::leave("sales")));
    Plan::of([Verb::Answer, leave])
}

/// Passes the greeting over, and waits until so many messages hold half a second each, and 200 ms more: files are written to twice a
/// second. `clock` hears music meanwhile.
async fn speaks(rig: &Rig, phone: &mut Phone, clock: &mut Phone, messages: usize) {
    phone.info('#').await;
    let folder = rig.recordings.path().join("voicemail");
    let files = || {
        let files = std::fs::read_dir(&folder).into_iter().flatten();
        files.map(|file| file.unwrap().path())
    };
    let spoken = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|file| file.len() > 8000);
    let until = tokio::time::Instant::now() + PATIENCE;
    while files().filter(spoken).count() < messages {
        let now = tokio::time::Instant::now();
        assert!(now < until, "{:?}", files().collect::<Vec<_>>());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    while clock.already_heard().is_some() {}
    for _ in 0..10 {
        clock.hear().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_the_call_was_sent_away_from_is_filed_whole() {
    for elsewhere in [
        Voicemail::leave("sales"),
        Voicemail::listen(Some("sales".to_owned())),
    ] {
        let leaves = elsewhere.purpose != VoicemailPurpose::Listen;
        let mut rig = Rig::start(vec![("mailbox", leaving()), ("music", playing())]).await;
        rig.calls.voicemail.apply(&[VoicemailBox {
            min: Duration::ZERO,
            transcribe: false,
            ..VoicemailBox::named("sales")
        }]);
        let mut phone = Phone::calling(rig.address, "mailbox").await;
        let call = rig.calls.control.list().remove(0).id;
        let mut clock = Phone::calling(rig.address, "music").await;
        speaks(&rig, &mut phone, &mut clock, 1).await;
        let plan = Plan::of([Verb::Voicemail(Box::new(elsewhere))]);
        let own = Some(Parting::program(rig.program(plan), "elsewhere"));
        let transfer = Order::Transfer(Transfer { own, peer: None });
        assert_eq!(rig.calls.order(&call, transfer).await, Ok(Done::Done));
        assert_eq!(rig.outcome().await, Outcome::HandedOver);
        if leaves {
            speaks(&rig, &mut phone, &mut clock, 2).await;
        } else {
            phone.info('#').await;
        }
        phone.bye().await;
        assert_eq!(rig.outcome().await, Outcome::HungUp);
        clock.bye().await;
        assert_eq!(rig.outcome().await, Outcome::HungUp);
        rig.rests().await;
        let rows = rig.store.voicemails(VoicemailQuery::default());
        let rows = rows.await.unwrap();
        assert_eq!(rows.len(), if leaves { 2 } else { 1 }, "{rows:?}");
        for row in rows {
            let octets = std::fs::metadata(&row.path).unwrap().len();
            assert_eq!(
                (row.state, row.octets),
                (VoicemailState::New, octets as i64)
            );
            assert!(row.ms >= 500, "{row:?}");
        }
    }
}
