//! Without a network: request files, bound licenses, usage reports, receipts,
//! returns; and conversions of a license.

use jiff::Timestamp;
use serde_json::{Value, json};
use tenure_core::{InstanceId, LicenseId};
use tenure_license::{
    InstanceKey, LicenseClaims, ReceiptClaims, TrustSet,
    chain::Head,
    file::{self, FileKind},
    instance::{self, Purpose, ReportHead, Request, RequestKind, Return, StatementKind},
    ledger::{self, Content, Line},
    state::{self, Revocation},
    token,
};
use zeroize::Zeroizing;

use crate::harness::{ADMIN, Answer, TestInstance, TestServer, all_at_once};

const FILES: &str = "/api/v1/admin/license-files";
const LICENSES: &str = "/api/v1/admin/tenants/acme/licenses";

/// Enterprise allows air-gapped use; two instances may hold the license.
const PRODUCT: &str = include_str!("air_gapped_product.toml");

pub struct Site {
    key: InstanceKey,
    ledger: Vec<Line>,
}

impl Site {
    pub fn new(seed: u8) -> Self {
        Self { key: InstanceKey::from_seed(&Zeroizing::new([seed; 32])), ledger: Vec::new() }
    }

    fn head(&self) -> Option<Head> {
        self.ledger.last().map(Line::head)
    }

    pub fn request(
        &self,
        kind: RequestKind,
        key: Option<&str>,
        license: Option<LicenseId>,
        jti: &str,
    ) -> String {
        let request = Request {
            aud: StatementKind::Request.audience().into(),
            key: *self.key.public(),
            kind,
            license_key: key.map(str::to_owned),
            license,
            instance: None,
            jti: jti.into(),
            iat: now(),
            name: "bunker-1".into(),
            k8s_cluster_uid: None,
            agent_version: "0.1.0".into(),
            ledger: self.head(),
        };
        file::write_kind(FileKind::Request, &instance::sign(&request, &self.key).unwrap())
    }

    pub fn give_back(&self, instance: InstanceId, license: LicenseId) -> String {
        let given = Return {
            aud: StatementKind::Return.audience().into(),
            key: *self.key.public(),
            instance,
            license,
            iat: now(),
            ledger: self.head(),
        };
        file::write_kind(FileKind::Return, &instance::sign(&given, &self.key).unwrap())
    }

    pub fn use_it(&mut self, runs: std::ops::Range<u32>) {
        let events = runs
            .map(|n| {
                json!({"specversion": "1.0", "id": format!("run-{n}"), "source": "/bunker-1",
                       "type": "agent.run", "time": "2026-03-01T00:00:00Z"})
            })
            .collect();
        self.ledger.push(ledger::append(self.head(), &Content::new(now(), events)).unwrap());
    }

    pub fn report(&self, instance: InstanceId, license: LicenseId, from: usize) -> String {
        let head = ReportHead {
            aud: StatementKind::Report.audience().into(),
            key: *self.key.public(),
            instance,
            license,
            iat: now(),
            after: from.checked_sub(1).map(|index| self.ledger[index].head()),
            through: self.head().unwrap(),
            receipt: None,
        };
        ledger::write(&head, &self.key, &self.ledger[from..]).unwrap()
    }
}

fn now() -> Timestamp {
    "2026-03-01T00:00:00Z".parse().unwrap()
}

pub struct Vendor {
    pub test: TestServer,
    pub license: LicenseId,
    pub key: String,
    trust: TrustSet,
}

pub async fn vendor() -> Vendor {
    let test = TestServer::empty().await;
    test.load(PRODUCT).await;
    let plan = json!({ "product": "vault", "plan": "enterprise", "model": "air_gapped" });
    let subscription = test.subscribe("acme", plan).await;
    let issued =
        test.post(ADMIN, LICENSES, json!({ "subscription": subscription })).await.expect(201);
    let jwks = test.get("", "/.well-known/tenure/vault/jwks.json").await;
    Vendor {
        license: issued["license"]["id"].as_str().unwrap().parse().unwrap(),
        key: issued["license_key"].as_str().unwrap().to_owned(),
        trust: TrustSet::from_published_jwks(&jwks.text).unwrap(),
        test,
    }
}

impl Vendor {
    pub async fn carry(&self, file: impl Into<Vec<u8>>) -> crate::harness::Answer {
        self.test.post_bytes(ADMIN, FILES, "application/octet-stream", file.into()).await
    }

    pub async fn license_for(&self, site: &Site, jti: &str) -> (InstanceId, LicenseClaims, Value) {
        let file = site.request(RequestKind::Activation, Some(&self.key), None, jti);
        let answer = self.carry(file).await.expect(200);
        let token = file::read(answer["file"].as_str().unwrap()).unwrap();
        let license = token::verify::<LicenseClaims>(&token, &self.trust).unwrap().into_claims();
        (answer["instance_id"].as_str().unwrap().parse().unwrap(), license, answer)
    }

    fn license_path(&self, rest: &str) -> String {
        format!("{LICENSES}/{}{rest}", self.license)
    }
}

#[tokio::test]
async fn a_request_file_is_answered_with_a_license_for_that_instance_alone() {
    let vendor = vendor().await;
    let site = Site::new(1);
    let (instance, license, answer) = vendor.license_for(&site, "req-1").await;
    let binding = license.binding.expect("bound");
    assert_eq!((binding.instance, binding.key), (instance, site.key.public().thumbprint()));
    assert_eq!(license.license, vendor.license);
    assert_eq!(answer["file_name"], "vault-acme-r1.lic");
    assert!(answer["summary"].as_str().unwrap().contains("for bunker-1 alone"), "{answer}");

    let (_, _, again) = vendor.license_for(&site, "req-1").await;
    assert_eq!(again["file"], answer["file"], "the same request, the same file");
}

#[tokio::test]
async fn a_suspended_tenant_gets_no_file_as_it_gets_no_lease() {
    let vendor = vendor().await;
    let suspended = "/api/v1/admin/tenants/acme/suspend";
    vendor.test.post(ADMIN, suspended, json!({})).await.expect(200);
    let file = Site::new(1).request(RequestKind::Activation, Some(&vendor.key), None, "a");
    let by_file = vendor.carry(file.clone()).await.expect(403);
    let online = vendor.test.post(&vendor.key, "/api/v1/activate", json!({})).await.expect(403);
    assert_eq!(by_file["type"], "urn:tenure:problem:access-withheld");
    assert_eq!((&by_file["type"], &by_file["detail"]), (&online["type"], &online["detail"]));
    vendor.test.post(ADMIN, "/api/v1/admin/tenants/acme/resume", json!({})).await.expect(200);
    vendor.carry(file).await.expect(200);
}

#[tokio::test]
async fn slots_of_files_are_held_until_they_expire_or_are_given_back() {
    let vendor = vendor().await;
    let sites: Vec<Site> = (1..=5).map(Site::new).collect();
    let (first, license, _) = vendor.license_for(&sites[0], "a").await;
    vendor.license_for(&sites[1], "b").await;
    let third = sites[2].request(RequestKind::Activation, Some(&vendor.key), None, "c");
    let refused = vendor.carry(third.clone()).await.expect(409);
    assert_eq!(refused["type"], "urn:tenure:problem:no-free-slot");
    assert!(refused["detail"].as_str().unwrap().contains("2027-03-01"), "{refused}");

    let given = sites[0].give_back(first, license.license);
    let answer = vendor.carry(given.clone()).await.expect(200);
    assert_eq!((&answer["kind"], &answer["file"]), (&json!("return"), &Value::Null));
    vendor.carry(given).await.expect(200);
    vendor.carry(third).await.expect(200);

    // Give back, keep the file, activate elsewhere: at most as often as there are slots.
    let (second, ..) = vendor.license_for(&sites[1], "b").await;
    vendor.carry(sites[1].give_back(second, license.license)).await.expect(200);
    let fourth = sites[3].request(RequestKind::Activation, Some(&vendor.key), None, "d");
    vendor.carry(fourth).await.expect(200);
    let fifth = sites[4].request(RequestKind::Activation, Some(&vendor.key), None, "e");
    vendor.carry(fifth.clone()).await.expect(409);

    vendor.test.advance_to("2027-03-01T00:00:00Z");
    let renewed = vendor.test.post(ADMIN, &vendor.license_path("/renew"), json!({})).await;
    renewed.expect(201);
    vendor.carry(fifth).await.expect(200);
}

#[tokio::test]
async fn a_usage_report_counts_once_however_often_it_is_carried() {
    let vendor = vendor().await;
    let mut site = Site::new(1);
    let (instance, license, _) = vendor.license_for(&site, "a").await;
    site.use_it(0..300);
    site.use_it(300..500);
    let report = site.report(instance, license.license, 0);
    let packed = zstd::stream::encode_all(report.as_bytes(), 3).unwrap();
    let answer = vendor.carry(packed.clone()).await.expect(200);
    assert!(answer["summary"].as_str().unwrap().contains("500 events counted"), "{answer}");
    let receipt = file::read_kind(FileKind::Receipt, answer["file"].as_str().unwrap()).unwrap();
    let receipt = token::verify::<ReceiptClaims>(&receipt, &vendor.trust).unwrap().into_claims();
    assert_eq!((receipt.instance, receipt.through), (instance, site.head().unwrap()));

    let again = vendor.carry(packed).await.expect(200);
    assert_eq!(again["file"], answer["file"]);
    site.use_it(500..600);
    vendor.carry(site.report(instance, license.license, 0)).await.expect(200);
    vendor.carry(site.report(instance, license.license, 2)).await.expect(200);
    let reports = vendor.test.get(ADMIN, &vendor.license_path("/reports")).await.expect(200);
    let counted: i64 =
        reports["items"].as_array().unwrap().iter().map(|r| r["accepted"].as_i64().unwrap()).sum();
    assert_eq!(counted, 600);

    let renewed =
        vendor.test.post(ADMIN, &vendor.license_path("/renew"), json!({})).await.expect(201);
    let token = renewed["token"].as_str().unwrap();
    let next = token::verify::<LicenseClaims>(token, &vendor.trust).unwrap().into_claims();
    assert_eq!(next.receipt.as_deref(), reports["items"][0]["id"].as_str(), "cites the receipt");
}

#[tokio::test]
async fn an_agent_reports_online_without_a_credential_and_nobody_can_for_it() {
    let vendor = vendor().await;
    let (mut site, other) = (Site::new(1), Site::new(2));
    let (instance, license, _) = vendor.license_for(&site, "a").await;
    site.use_it(0..10);
    let report = site.report(instance, license.license, 0);
    let sent =
        vendor.test.post_bytes("", "/api/v1/reports", "text/plain", report.clone().into()).await;
    let answer = sent.expect(200);
    assert_eq!((&answer["through"], &answer["accepted"]), (&json!(1), &json!(10)));

    let forged = Site { key: other.key, ledger: site.ledger.clone() };
    let forged = forged.report(instance, license.license, 0);
    vendor.test.post_bytes("", "/api/v1/reports", "text/plain", forged.into()).await.expect(404);
    let edited = report.replace("run-3", "run-x");
    let refused = vendor.test.post_bytes("", "/api/v1/reports", "text/plain", edited.into()).await;
    assert_eq!(refused.expect(422)["type"], "urn:tenure:problem:chain-edit");
}

#[tokio::test]
async fn a_gap_is_named_and_a_second_history_is_quarantined_and_never_counted() {
    let vendor = vendor().await;
    let mut site = Site::new(1);
    let (instance, license, _) = vendor.license_for(&site, "a").await;
    site.use_it(0..10);
    site.use_it(10..20);
    let refused = vendor.carry(site.report(instance, license.license, 1)).await.expect(409);
    assert_eq!(refused["type"], "urn:tenure:problem:ledger-gap");
    assert!(refused["detail"].as_str().unwrap().contains("entries 1 to 1"), "{refused}");
    vendor.carry(site.report(instance, license.license, 0)).await.expect(200);

    // A copy of the machine went its own way after entry 1.
    let mut copy = Site { key: Site::new(1).key, ledger: site.ledger[..1].to_vec() };
    copy.use_it(100..150);
    copy.use_it(150..200);
    let forked = vendor.carry(copy.report(instance, license.license, 0)).await.expect(409);
    assert_eq!(forked["type"], "urn:tenure:problem:ledger-fork");
    let reports = vendor.test.get(ADMIN, &vendor.license_path("/reports")).await.expect(200);
    assert_eq!(reports["items"].as_array().unwrap().len(), 1);

    let renewal = site.request(RequestKind::Renewal, None, Some(license.license), "r");
    let quarantined = vendor.carry(renewal).await.expect(409);
    assert_eq!(quarantined["type"], "urn:tenure:problem:instance-quarantined");
}

#[tokio::test]
async fn a_renewal_is_never_refused_for_missing_reports_but_says_so() {
    let vendor = vendor().await;
    let mut site = Site::new(1);
    let (_, license, _) = vendor.license_for(&site, "a").await;
    site.use_it(0..10);
    let renewal = site.request(RequestKind::Renewal, None, Some(license.license), "r");
    let answer = vendor.carry(renewal).await.expect(200);
    assert!(answer["warnings"][0].as_str().unwrap().contains("Ledger entries 1 to 1"), "{answer}");
}

#[tokio::test]
async fn files_that_are_not_for_the_vendor_or_not_genuine_are_refused_with_the_reason() {
    let vendor = vendor().await;
    let site = Site::new(1);
    let request = site.request(RequestKind::Activation, Some(&vendor.key), None, "a");
    // One character of the signature.
    let middle = request.find("\n-----END").unwrap() - 10;
    let other = if request.as_bytes()[middle] == b'A' { "B" } else { "A" };
    let mut changed = request.clone();
    changed.replace_range(middle..middle + 1, other);
    for (file, says) in [
        (file::write("a.b.c"), "goes to the installation"),
        ("hello".to_owned(), "not a signed statement"),
        (changed, "not signed by the instance"),
        (format!("Customer: Acme\n{request}"), "not a signed statement"),
        (site.request(RequestKind::Activation, Some("IFOX-ENT-ACME-1"), None, "b"), "license key"),
    ] {
        let refused = vendor.carry(file).await.expect(422);
        assert!(refused["detail"].as_str().unwrap().contains(says), "{says}: {refused}");
    }
    vendor.carry([0x28, 0xb5, 0x2f, 0xfd, 1, 2, 3]).await.expect(422);
    let nobody = site.request(RequestKind::Renewal, None, Some(vendor.license), "c");
    vendor.carry(nobody).await.expect(404);
}

#[tokio::test]
async fn a_license_moves_between_connected_and_air_gapped_in_one_lineage() {
    let vendor = vendor().await;
    let until = "2026-03-20T00:00:00Z";
    let body = json!({ "model": "self_hosted", "supersede_at": until });
    let converted =
        vendor.test.post(ADMIN, &vendor.license_path("/convert"), body).await.expect(201);
    assert_eq!(converted["license_key"], vendor.key);
    assert_eq!(converted["license"]["model"], "self_hosted");
    let token = converted["token"].as_str().unwrap();
    let claims = token::verify::<LicenseClaims>(token, &vendor.trust).unwrap().into_claims();
    let replaced = claims.supersedes.unwrap();
    assert_eq!((claims.revision, replaced.revision), (2, 1));
    assert_eq!(replaced.at.to_string(), until);
    let back = json!({ "model": "air_gapped" });
    let back = vendor.test.post(ADMIN, &vendor.license_path("/convert"), back).await.expect(201);
    assert_eq!(
        (&back["license"]["revision"], &back["license"]["id"]),
        (&json!(3), &converted["license"]["id"])
    );
}

#[tokio::test]
async fn a_plan_change_and_a_trial_that_is_paid_for_are_new_revisions() {
    let test = TestServer::empty().await;
    test.load(PRODUCT).await;
    let plan = json!({ "product": "vault", "plan": "team", "model": "self_hosted", "trial": true });
    let subscription = test.subscribe("acme", plan).await;
    let issued =
        test.post(ADMIN, LICENSES, json!({ "subscription": subscription })).await.expect(201);
    let path = format!("{LICENSES}/{}/convert", issued["license"]["id"].as_str().unwrap());
    let trial_end = issued["license"]["expires_at"].as_str().unwrap().to_owned();
    let paid = test.post(ADMIN, &path, json!({ "paid": true })).await.expect(201);
    assert!(paid["license"]["expires_at"].as_str().unwrap() > trial_end.as_str());
    let upgraded = test.post(ADMIN, &path, json!({ "plan": "enterprise" })).await.expect(201);
    assert_eq!(upgraded["license"]["revision"], 3);
    let jwks = test.get("", "/.well-known/tenure/vault/jwks.json").await;
    let trust = TrustSet::from_published_jwks(&jwks.text).unwrap();
    let token = upgraded["token"].as_str().unwrap();
    let claims = token::verify::<LicenseClaims>(token, &trust).unwrap();
    assert_eq!(claims.claims().entitlements.tier, "enterprise");
    assert!(claims.claims().has_feature("sso"));

    let refused = test.post(ADMIN, &path, json!({ "plan": "team", "model": "air_gapped" })).await;
    assert!(refused.expect(422)["errors"][0]["detail"].as_str().unwrap().contains("not sold as"));
    test.post(ADMIN, &path, json!({})).await.expect(422);
    test.post(ADMIN, &path, json!({ "paid": true })).await.expect(409);
    let far = json!({ "plan": "team", "supersede_at": "2027-01-01T00:00:00Z" });
    test.post(ADMIN, &path, far).await.expect(422);
}

#[tokio::test]
async fn a_license_that_goes_to_the_vendors_cloud_ends_where_it_was_installed() {
    let vendor = vendor().await;
    let body = json!({ "model": "managed", "supersede_at": "2026-03-15T00:00:00Z" });
    let converted =
        vendor.test.post(ADMIN, &vendor.license_path("/convert"), body).await.expect(201);
    assert_eq!(converted["license"]["model"], "managed");
    let list = vendor.test.get("", "/.well-known/tenure/vault/revocations").await;
    let token = file::read_kind(FileKind::Revocations, &list.text).unwrap();
    let list = token::verify::<tenure_license::RevocationsClaims>(&token, &vendor.trust).unwrap();
    let token = converted["token"].as_str().unwrap();
    let newest = token::verify::<LicenseClaims>(token, &vendor.trust).unwrap();
    let at: Timestamp = "2026-03-15T00:00:00Z".parse().unwrap();
    let found = list.claims().of(newest.claims());
    assert_eq!(found, Revocation::Superseded(at));
    let input = state::Input { revocation: found, ..state::Input::new(&newest, at) };
    assert_eq!(state::evaluate(&input).reason.code(), "superseded");
}

/// Sends a file to one of several servers.
async fn carry_to(test: &TestServer, file: String) -> Answer {
    test.post_bytes(ADMIN, FILES, "application/octet-stream", file.into()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_and_activations_at_once_on_two_servers_never_take_more_slots_than_there_are() {
    let one = TestServer::gizmo().await;
    let two = one.beside().await;
    // Five slots and a fifth more.
    let license = one.licensed("acme", "team").await;
    let servers = [&one, &two];
    let answers = all_at_once((0..24u8).map(|n| {
        let server = servers[usize::from(n / 2 % 2)];
        let file = Site::new(n).request(RequestKind::Activation, Some(&license.key), None, "a");
        let mut instance = TestInstance::new(n.into());
        let call = instance.call(&one, Purpose::Activate, &license.key, json!({}));
        async move {
            match n % 2 {
                0 => (n, carry_to(server, file).await),
                _ => (n, server.proven(&call).await),
            }
        }
    }))
    .await;
    let granted = answers.iter().filter(|(_, answer)| answer.status == 200).count();
    assert_eq!(granted, 6);
    let full = |answer: &Answer| {
        assert_eq!(answer.status, 409, "{}", answer.text);
        assert_eq!(answer.json["type"], "urn:tenure:problem:no-free-slot");
        assert!(answer.header("retry-after").is_some(), "{}", answer.text);
        answer.json["detail"].as_str().unwrap().to_owned()
    };
    for (_, answer) in answers.iter().filter(|(_, answer)| answer.status != 200) {
        full(answer);
    }
    let all = one.get(ADMIN, &license.path("/instances")).await.expect(200);
    assert_eq!((&all["held"], &all["max"], &all["cap"]), (&json!(6), &json!(5), &json!(6)));

    // Whoever is refused now reads the same, by file or online.
    let file = Site::new(100).request(RequestKind::Activation, Some(&license.key), None, "a");
    let by_file = full(&carry_to(&one, file).await);
    let online = full(&TestInstance::new(100).activate(&two, &license.key).await);
    assert_eq!(by_file, online);
    assert!(online.contains("6/5"), "{online}");
}

#[tokio::test]
async fn a_file_for_a_slot_beyond_what_was_bought_says_so_and_the_trail_does() {
    let test = TestServer::gizmo().await;
    let license = test.licensed("acme", "team").await;
    for n in 1..=6 {
        let file = Site::new(n).request(RequestKind::Activation, Some(&license.key), None, "a");
        let answer = carry_to(&test, file).await.expect(200);
        let warned = answer["warnings"].to_string().contains("6 instances hold a license for 5");
        assert_eq!(warned, n == 6, "{answer}");
    }
    let trail = format!("{}/audit?limit=20", license.tenant);
    let trail = test.get(ADMIN, &trail).await.expect(200).to_string();
    assert_eq!(trail.matches("instance.overage").count(), 1, "{trail}");
}

#[tokio::test]
async fn a_slot_stays_held_until_the_latest_end_of_any_token_given_out() {
    let vendor = vendor().await;
    let held = async || {
        let all = vendor.test.get(ADMIN, &vendor.license_path("/instances")).await.expect(200);
        all["items"][0]["held_until"].as_str().unwrap().to_owned()
    };
    // The same key pair, first online for a lease, then by file for a year.
    let mut online = TestInstance::new(1);
    let site = Site { key: TestInstance::new(1).key, ledger: Vec::new() };
    online.activate(&vendor.test, &vendor.key).await.expect(200);
    assert!(held().await.starts_with("2026-03"), "a lease");
    vendor.license_for(&site, "a").await;
    assert_eq!(held().await, "2027-03-01T00:00:00Z");

    online.activate(&vendor.test, &vendor.key).await.expect(200);
    assert_eq!(held().await, "2027-03-01T00:00:00Z", "an activation");
    let beat = online.beat(&vendor.test, json!({ "renew": true })).await.expect(200);
    assert!(beat["lease"].is_string(), "{beat}");
    assert_eq!(held().await, "2027-03-01T00:00:00Z", "a renewal");

    // Given back, and asked for again: the file of a year is in its hands all the same.
    online.release(&vendor.test).await.expect(200);
    online.activate(&vendor.test, &vendor.key).await.expect(200);
    assert_eq!(held().await, "2027-03-01T00:00:00Z", "given back before");
}

#[tokio::test]
async fn a_request_that_is_repeated_after_a_renewal_is_told_what_its_own_file_says() {
    let vendor = vendor().await;
    let site = Site::new(1);
    let (_, _, first) = vendor.license_for(&site, "a").await;
    assert!(first["summary"].as_str().unwrap().starts_with("Revision 1 of"), "{first}");
    vendor.test.advance_to("2026-06-01T00:00:00Z");
    let renewed = vendor.test.post(ADMIN, &vendor.license_path("/renew"), json!({})).await;
    renewed.expect(201);
    let (_, license, again) = vendor.license_for(&site, "a").await;
    assert_eq!(license.revision, 1);
    assert_eq!(again, first);
    let (_, license, next) = vendor.license_for(&site, "b").await;
    assert_eq!((license.revision, &next["file_name"]), (2, &json!("vault-acme-r2.lic")));
    assert!(next["summary"].as_str().unwrap().ends_with("until 2027-06-01."), "{next}");
}
