//! The data directory: permissions, the lock, the two floors.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    sync::Arc,
};

use tenure_agent::Agent;
use tenure_core::clock::ManualClock;

use crate::support::{LICENSE_KEY, Place, START, at};

async fn refusal(place: &Place) -> String {
    let opened = Agent::open(place.settings("a"), place.clock.clone(), None).await;
    opened.err().expect("refused").to_string()
}

#[tokio::test]
async fn a_directory_that_others_can_look_into_is_refused() {
    let place = Place::new().await;
    fs::DirBuilder::new().mode(0o750).create(place.temp.path().join("a")).unwrap();
    let why = refusal(&place).await;
    assert!(
        why.contains("others can look into it (mode 750)") && why.contains("chmod 700"),
        "{why}"
    );
}

#[tokio::test]
async fn everything_in_it_is_the_owners_alone_and_a_readable_seed_is_refused() {
    let place = Place::new().await;
    let agent = place.active("a").await;
    for entry in fs::read_dir(place.temp.path().join("a")).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
    }
    agent.close().await.unwrap();
    drop(agent);
    let seed = place.temp.path().join("a/instance-seed");
    fs::set_permissions(&seed, fs::Permissions::from_mode(0o640)).unwrap();
    let why = refusal(&place).await;
    assert!(why.contains("others can read it"), "{why}");
}

#[tokio::test]
async fn two_agents_never_share_a_directory() {
    let place = Place::new().await;
    let _first = place.active("a").await;
    let why = refusal(&place).await;
    assert!(why.contains("is in use by another tenure-agent"), "{why}");
}

#[tokio::test]
async fn the_later_of_the_two_floors_wins_and_a_missing_or_foreign_copy_is_reported() {
    let place = Place::new().await;
    let agent = place.active("a").await;
    agent.close().await.unwrap();
    drop(agent);
    let dir = place.temp.path().join("a");
    let old = fs::read(dir.join("agent.db")).unwrap();
    let agent = place.open(place.settings("a")).await;
    place.pass(&[&agent], 48, 60).await;
    let (floor, now) = (agent.view().state.floor.unwrap(), place.now());
    agent.close().await.unwrap();
    drop(agent);

    // An older database is put back, and the clock is set back with it.
    for name in ["agent.db", "agent.db-wal", "agent.db-shm"] {
        let _ = fs::remove_file(dir.join(name));
    }
    fs::write(dir.join("agent.db"), old).unwrap();
    let back = Arc::new(ManualClock::new(at(START)));
    let mut settings = place.settings("a");
    settings.server = None;
    let agent = Agent::open(settings.clone(), back.clone(), Some(&LICENSE_KEY)).await.unwrap();
    let view = agent.view();
    assert!(view.state.floor.unwrap() >= floor.min(now), "time does not run again");
    assert!(view.floor_note.as_deref().unwrap().contains("an older copy of it was restored"));
    let verdict = view.verdict(at(START)).unwrap();
    assert!(verdict.clock_suspect && verdict.as_of >= floor);
    agent.close().await.unwrap();
    drop((agent, view));

    fs::remove_file(dir.join("floor")).unwrap();
    let agent = Agent::open(settings.clone(), back.clone(), None).await.unwrap();
    assert!(agent.view().floor_note.as_deref().unwrap().contains("was missing"));
    agent.close().await.unwrap();
    drop(agent);

    let text = fs::read_to_string(dir.join("floor")).unwrap();
    fs::write(dir.join("floor"), text.replacen('1', "0", 1)).unwrap();
    let agent = Agent::open(settings, back, None).await.unwrap();
    assert!(agent.view().floor_note.as_deref().unwrap().contains("not written by this instance"));
}
