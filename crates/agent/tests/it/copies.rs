//! A data directory that was copied.

use std::{fs, path::Path};

use crate::support::{Local, Place, event};

pub(crate) fn copy(from: &Path, to: &Path) {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).create(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        // Keeps the mode, as a copy of a volume does.
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[tokio::test]
async fn a_copy_is_found_out_and_goes_on_as_an_instance_of_its_own() {
    let place = Place::new().await;
    let one = place.active("a").await;
    let local = Local::of(&one).await;
    place.vendor.book().down = true;
    // Usage that neither copy has forwarded yet, in both of their ledgers.
    for id in ["x", "y"] {
        local.post("/v1/usage", &event(id, place.now())).await;
    }
    one.close().await.unwrap();
    copy(&place.temp.path().join("a"), &place.temp.path().join("b"));
    place.vendor.book().down = false;
    let other = place.open(place.settings("b")).await;
    assert_eq!(one.view().state.key, other.view().state.key);

    place.pass(&[&one, &other], 2, 5).await;

    let book = place.vendor.book();
    assert!(book.quarantined() >= 1, "the fork was seen");
    drop(book);
    let (one, other) = (one.view(), other.view());
    assert_ne!(one.state.key, other.state.key, "a new key pair");
    assert_ne!(one.state.instance, other.state.instance);
    for view in [one, other] {
        assert_eq!(view.word(place.now()), "active", "nothing was stopped");
    }
    let book = place.vendor.book();
    assert_eq!(book.counted.len(), 2, "each event once, whoever brought it");
}

#[tokio::test]
async fn a_change_of_key_survives_a_crash_at_each_step() {
    let place = Place::new().await;
    let agent = place.active("a").await;
    agent.take_usage(event("kept", place.now()).to_string().as_bytes()).await.unwrap();
    let key = agent.view().state.key.clone();
    agent.close().await.unwrap();
    drop(agent);
    // A new seed lies ready, and the database never went over to it.
    let dir = place.temp.path().join("a");
    let seed = fs::read(dir.join("instance-seed")).unwrap();
    fs::copy(dir.join("instance-seed"), dir.join("instance-seed.next")).unwrap();
    let other: Vec<u8> = seed.iter().map(|byte| byte ^ 1).collect();
    fs::write(dir.join("instance-seed.next"), other).unwrap();
    tokio::task::yield_now().await;
    let agent = open_again(&place).await;
    assert_eq!(agent.view().state.key, key);
    assert!(!dir.join("instance-seed.next").exists());
    agent.close().await.unwrap();
    drop(agent);
    // The database went over, and the file had not got its name yet.
    let other: Vec<u8> = seed.iter().map(|byte| byte ^ 2).collect();
    fs::write(dir.join("instance-seed.next"), &seed).unwrap();
    fs::copy(dir.join("instance-seed.next"), dir.join("spare")).unwrap();
    fs::write(dir.join("instance-seed"), other).unwrap();
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(dir.join("instance-seed.next"), fs::Permissions::from_mode(0o600)).unwrap();
    let agent = open_again(&place).await;
    assert_eq!(agent.view().state.key, key);
    assert_eq!(fs::read(dir.join("instance-seed")).unwrap(), seed);
}

/// The server task of the test may hold the last agent for an instant.
async fn open_again(place: &Place) -> std::sync::Arc<tenure_agent::Agent> {
    let mut settings = place.settings("a");
    settings.server = None;
    place.open(settings).await
}
