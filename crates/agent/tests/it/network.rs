//! Without a network for days, and clocks that are wrong.

use tenure_license::{Reason, State};

use crate::support::{Local, Place, event};

#[tokio::test]
async fn weeks_without_a_network_end_in_a_restriction_and_never_earlier() {
    let place = Place::new().await;
    let agent = place.active("a").await;
    place.vendor.book().down = true;
    let lease = agent.view().state.lease.clone().unwrap().exp;
    // The lease's three days, then seven days of offlineGracePeriod.
    place.pass(&[&agent], 24 * 9 + 20, 60).await;
    assert!(place.now() > lease);
    let verdict = agent.view().verdict(agent.now()).unwrap();
    assert_eq!(verdict.state, State::Active, "{verdict:?}");
    place.pass(&[&agent], 24, 60).await;
    let verdict = agent.view().verdict(agent.now()).unwrap();
    assert_eq!(verdict.reason, Reason::PhoneHomeOverdue);
    place.vendor.book().down = false;
    place.pass(&[&agent], 2, 15).await;
    assert_eq!(agent.view().word(agent.now()), "active");
}

#[tokio::test]
async fn usage_of_days_without_a_network_is_counted_once_afterwards() {
    let place = Place::new().await;
    let agent = place.active("a").await;
    let local = Local::of(&agent).await;
    place.vendor.book().down = true;
    for day in 0..20 {
        let id = format!("day-{day}");
        let (status, answer) = local.post("/v1/usage", &event(&id, place.now())).await;
        assert_eq!((status, answer["accepted"].as_u64()), (200, Some(1)), "{answer}");
        place.pass(&[&agent], 24, 240).await;
    }
    {
        let mut book = place.vendor.book();
        book.down = false;
        book.lose = 2;
    }
    place.pass(&[&agent], 3, 10).await;
    assert_eq!(place.vendor.book().counted.len(), 20);
    assert!(agent.view().state.trouble.is_none());
    assert_eq!(local.get("/v1/sent").await["usage_to_be_forwarded"]["events"], 0);
}

#[tokio::test]
async fn a_refused_key_says_so_and_is_not_asked_about_every_second() {
    let place = Place::new().await;
    place.vendor.book().denies = true;
    let agent = place.open(place.settings("a")).await;
    place.pass(&[&agent], 1, 1).await;
    let trouble = agent.view().state.trouble.clone().unwrap();
    assert_eq!(trouble.code, "license_key_unknown");
    let calls = place.vendor.book().calls("activate").len();
    assert!(calls <= 12, "{calls} calls within an hour");
}
