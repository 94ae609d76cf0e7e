//! Recordings whose disk is full, or does not answer: the call goes on, and its record says what is missing.
use super::music;
use super::phone::Phone;
use super::rig::{Plan, Rig};
use serde_json::Value;
use std::path::Path;
use trunkline::call::*;
use trunkline::media::{Pause, RecordingFormat, Tracks};
use trunkline_dsp::g711;

fn recorded_to(path: &Path) -> Plan {
    let record = RecordCall {
        path: Some(path.to_owned()),
        tracks: Tracks::Stereo,
        format: RecordingFormat::Wav,
        pause: Pause::default(),
    };
    Plan::of([Verb::Answer, Verb::RecordCall(record), music()])
}

/// A call with two seconds of music, and what its record says of its one recording, which begins before the music.
async fn recording_of_a_call(rig: &mut Rig) -> Value {
    let mut phone = Phone::calling(rig.address, "tape").await;
    let silent = |octet: &u8| g711::ulaw_decode(*octet).abs() < 100;
    let mut waited = 0;
    while phone
        .heard_now()
        .await
        .is_none_or(|packet| packet.payload.iter().all(silent))
    {
        waited += 1;
        assert!(waited < 500, "no music");
    }
    for _ in 0..100 {
        phone.hear().await;
    }
    phone.bye().await;
    while rig.outcome().await != Outcome::HungUp {}
    rig.rests().await;
    let records = rig.records(2).await;
    let call = records.iter().find(|record| record["type"] == "call");
    let call = call.unwrap();
    assert_eq!(call["recordings"].as_array().unwrap().len(), 1, "{call}");
    call["recordings"][0].clone()
}

fn outcomes(rig: &Rig) -> [u64; 3] {
    rig.media.recordings().by_outcome().map(|(_, count)| count)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_costs_the_recording_and_not_the_call() {
    let plan = recorded_to(Path::new("/dev/full"));
    let mut rig = Rig::start(vec![("tape", plan)]).await;
    let recording = recording_of_a_call(&mut rig).await;
    assert_eq!(recording["ended"], "write-failed", "{recording}");
    let lost_ms = recording["lost_ms"].as_u64().unwrap();
    assert!((1900..60_000).contains(&lost_ms), "{recording}");
    assert_eq!(outcomes(&rig), [0, 0, 1]);
    assert_eq!(rig.media.recordings().lost_ms(), lost_ms);
}

/// A pipe that nobody reads stands for a disk that does not answer: whoever opens it waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_does_not_answer_holds_up_neither_the_call_nor_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("stuck.wav");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let mut rig = Rig::start(vec![("tape", recorded_to(&pipe))]).await;
    let recording = recording_of_a_call(&mut rig).await;
    assert_eq!(recording["ended"], "write-failed", "{recording}");
    assert_eq!(recording["ms"], 0);
    let lost_ms = recording["lost_ms"].as_u64().unwrap();
    assert!((1900..60_000).contains(&lost_ms), "{recording}");
    assert_eq!(
        (outcomes(&rig), rig.media.recordings().active()),
        ([0, 0, 1], 0)
    );
    // The disk answers again: nothing is told twice.
    let read = tokio::task::spawn_blocking(move || std::fs::read(&pipe));
    assert!(read.await.unwrap().is_ok());
    rig.media.shutdown();
    assert_eq!(
        (outcomes(&rig), rig.media.recordings().active()),
        ([0, 0, 1], 0)
    );
}
