//! Export, import and deletion of a tenant.

use std::io::{Read, Write};

use reqwest::Method;
use serde_json::{Value, json};
use tenure_server::{
    MIGRATOR, Server,
    offboarding::tables,
    vault::{Key, Vault},
};
use tenure_testkit::TestDatabase;

use crate::harness::{ADMIN, Answer, TestServer, WIDGET};

const IMPORTS: &str = "/api/v1/admin/imports";

/// An archive and its key.
struct Archive {
    bytes: Vec<u8>,
    key: String,
}

async fn export(test: &TestServer, tenant: &str) -> Archive {
    let path = format!("/api/v1/admin/tenants/{tenant}/export");
    let response = test.request(Method::GET, ADMIN, &path).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/zstd");
    let key = response.headers()["tenure-export-key"].to_str().unwrap().to_owned();
    Archive { bytes: response.bytes().await.unwrap().to_vec(), key }
}

async fn import(test: &TestServer, archive: &Archive) -> Answer {
    let request = test.request(Method::POST, ADMIN, IMPORTS);
    let request = request
        .header("content-type", "application/zstd")
        .header("tenure-export-key", &archive.key)
        .body(archive.bytes.clone());
    test.send(request).await
}

/// The files of an archive, by name.
fn files(archive: &Archive) -> Vec<(String, String)> {
    let plain = zstd::decode_all(archive.bytes.as_slice()).unwrap();
    let mut tar = tar::Archive::new(plain.as_slice());
    tar.entries()
        .unwrap()
        .map(|entry| {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (name, text)
        })
        .collect()
}

/// A tenant with a row in many tables, and a secret.
async fn rich_tenant(test: &TestServer) -> (String, String) {
    let (client, key) = test.client("Acme", "pro").await;
    let base = format!("/api/v1/admin/tenants/{client}");
    test.put(ADMIN, &format!("{base}/settings"), json!({"locale": "en-GB"})).await.expect(200);
    let unit = json!({"kind": "business_unit", "name": "Europe"});
    let unit = test.post(ADMIN, &format!("{base}/units"), unit).await.expect(201);
    let team = json!({"kind": "team", "name": "Platform", "parent_id": unit["id"]});
    test.post(ADMIN, &format!("{base}/units"), team).await.expect(201);
    let subscription = subscription(test, &client).await;
    let contract = json!({"reason": "Quote 7", "approver": "cfo@widget.example",
        "changes": {"limits": [{"limit": "events", "included": "123456"}]}});
    let path = format!("{base}/subscriptions/{subscription}/contracts");
    test.post(ADMIN, &path, contract).await.expect(201);
    (client, key)
}

async fn subscription(test: &TestServer, tenant: &str) -> String {
    let path = format!("/api/v1/admin/tenants/{tenant}/subscriptions");
    let all = test.get(ADMIN, &path).await.expect(200);
    all["items"][0]["id"].as_str().unwrap().to_owned()
}

/// What is done to the files of an archive, by name and content.
type Edit = fn(&mut Vec<(String, String)>);

#[tokio::test]
async fn an_archive_brings_a_tenant_back_after_it_was_lost() {
    let test = TestServer::start().await;
    let (client, key) = rich_tenant(&test).await;
    let before = test.get(ADMIN, &format!("/api/v1/admin/tenants/{client}")).await.expect(200);
    let archive = export(&test, &client).await;
    let entitlements = test.get(&key, "/api/v1/entitlements").await.expect(200);

    let other = TestServer::start().await;
    // Ids, numbers and order differ there.
    other.load(&WIDGET.replace("\"widget\"", "\"gadget\"").replace("\"wg\"", "\"gd\"")).await;
    let made = import(&other, &archive).await.expect(201);
    assert_eq!(made["tenant"], before);
    assert_eq!(made["audit"]["intact"], true);
    assert_eq!(made["rows"]["units"], 2);

    let (old, new) = (&made["api_keys"][0]["replaces"], &made["api_keys"][0]["api_key"]);
    assert!(old.as_str().unwrap().starts_with("key_"), "{made}");
    other.get(&key, "/api/v1/entitlements").await.expect(401);
    let after = other.get(new.as_str().unwrap(), "/api/v1/entitlements").await.expect(200);
    assert_eq!(after, entitlements, "the same terms, contract included");

    // The trail is readable and goes on.
    let path = format!("/api/v1/admin/tenants/{client}/audit");
    let trail = other.get(ADMIN, &path).await.expect(200);
    assert_eq!(trail["items"][0]["action"], "tenant.imported");
    let first = trail["items"].as_array().unwrap().last().unwrap();
    assert_eq!(first["action"], "tenant.created");
    assert_eq!(first["after"]["tenant"]["name"], "Acme");
    let verified = other.get(ADMIN, &format!("{path}/verify")).await.expect(200);
    assert_eq!(verified["intact"], true, "{verified}");

    // A second time it is there already, and nothing of it is written twice.
    let again = import(&other, &archive).await.expect(409);
    assert_eq!(again["type"], "urn:tenure:problem:tenant-exists");
}

#[tokio::test]
async fn a_slug_that_is_taken_gets_a_number() {
    let test = TestServer::start().await;
    let (client, _) = test.client("Acme", "pro").await;
    let archive = export(&test, &client).await;
    let other = TestServer::start().await;
    other.client("Acme", "starter").await;
    let made = import(&other, &archive).await.expect(201);
    assert_eq!(made["tenant"]["slug"], "acme-2");
}

#[tokio::test]
async fn secrets_are_not_in_the_archive_and_open_under_the_other_installations_key() {
    let test = TestServer::start().await;
    let (client, key) = test.client("Acme", "pro").await;
    let tenant = test.get(ADMIN, &format!("/api/v1/admin/tenants/{client}")).await.expect(200);
    let id: tenure_core::TenantId = tenant["id"].as_str().unwrap().parse().unwrap();
    let owner = uuid::Uuid::now_v7();
    let place = tenure_server::vault::Place {
        tenant: id.uuid(),
        owner,
        field: "kafka.password",
        version: 3,
    };
    let sealed = test.app().vault().seal(place, b"hunter2-of-acme").unwrap();
    let mut tx = test.app().db().tenant(id).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "INSERT INTO sealed_secrets (tenant_id, owner_id, field, version, sealed, created_at) VALUES \
         ('{}', '{owner}', 'kafka.password', 3, '\\x{}', '2026-03-01T00:00:00Z')",
        id.uuid(),
        hex::encode(&sealed)
    )))
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();

    let archive = export(&test, &client).await;
    let files = files(&archive);
    let all: String = files.iter().map(|(_, text)| text.as_str()).collect();
    for secret in ["hunter2-of-acme", &hex::encode("hunter2-of-acme"), &hex::encode(&sealed), &key]
    {
        assert!(!all.contains(secret), "{secret} is in the archive");
    }
    assert!(!all.contains(&archive.key));
    let keys = &files.iter().find(|(name, _)| name == "tables/api_keys.ndjson").unwrap().1;
    assert!(!keys.contains("digest"), "{keys}");

    // Another installation: another master key.
    let database = TestDatabase::empty().await;
    let vault = Vault::new(&Key::from_slice(&[9; 32]).unwrap());
    let settings = tenure_tenancy::DbSettings {
        secret: test.app().vault().roles().clone(),
        ..database.settings.clone()
    };
    let config = tenure_server::Config {
        listen: ([127, 0, 0, 1], 0).into(),
        admin_token: Some(ADMIN.to_owned()),
        ..Default::default()
    };
    let started = Server::start(config, settings, vault.clone()).await.expect("it starts");
    let url = format!("http://{}", started.server.address());
    let http = reqwest::Client::new();
    let load = http.post(format!("{url}/api/v1/admin/products")).bearer_auth(ADMIN);
    let load = load.header("content-type", "application/toml").body(WIDGET);
    assert!(load.send().await.unwrap().status().is_success());
    let request = http.post(format!("{url}{IMPORTS}")).bearer_auth(ADMIN);
    let request = request
        .header("content-type", "application/zstd")
        .header("tenure-export-key", &archive.key)
        .body(archive.bytes.clone());
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 201, "{}", response.text().await.unwrap());
    let mut tx = started.server.app().db().tenant(id).await.unwrap();
    let row = sqlx::raw_sql("SELECT encode(sealed, 'hex') FROM sealed_secrets");
    let row = row.fetch_one(&mut *tx).await.unwrap();
    let there = hex::decode(sqlx::Row::get::<String, _>(&row, 0)).unwrap();
    assert_eq!(&**vault.open(place, &there).unwrap(), b"hunter2-of-acme");
    assert!(test.app().vault().open(place, &there).is_err(), "only the new master key opens it");
    drop(tx);
    started.server.stop().await;
}

#[tokio::test]
async fn an_archive_that_was_touched_is_refused_and_leaves_nothing() {
    let test = TestServer::start().await;
    let (client, _) = rich_tenant(&test).await;
    let archive = export(&test, &client).await;
    let other = TestServer::start().await;

    let wrong = Archive { key: "ab".repeat(32), bytes: archive.bytes.clone() };
    let detail = import(&other, &wrong).await.expect(422)["detail"].to_string();
    assert!(detail.contains("Tenure-Export-Key"), "{detail}");
    let short = Archive { key: archive.key.clone(), bytes: archive.bytes[..200].to_vec() };
    import(&other, &short).await.expect(422);
    let not = Archive { key: archive.key.clone(), bytes: b"hello".to_vec() };
    import(&other, &not).await.expect(422);
    let nokey = Archive { key: "secret".to_owned(), bytes: archive.bytes.clone() };
    import(&other, &nokey).await.expect(400);

    let edits: [(&str, Edit); 4] = [
        ("an edited row", |files| edit(files, "tables/tenants.ndjson", "Acme", "Evil")),
        ("an edited manifest", |files| edit(files, "manifest.json", "\"rows\": 2", "\"rows\": 3")),
        ("a missing file", |files| {
            files.remove(4);
        }),
        ("one file more", |files| files.push(("../../etc/passwd".to_owned(), "x".to_owned()))),
    ];
    for (what, change) in edits {
        let mut files = files(&archive);
        change(&mut files);
        let changed = Archive { key: archive.key.clone(), bytes: pack(&files, None) };
        let answer = import(&other, &changed).await;
        assert_eq!(answer.status, 422, "{what}: {}", answer.text);
    }
    let mut linked = files(&archive);
    linked.truncate(2);
    let linked =
        Archive { key: archive.key.clone(), bytes: pack(&linked, Some("tables/tenants.ndjson")) };
    import(&other, &linked).await.expect(422);

    let none = other.get(ADMIN, "/api/v1/admin/tenants").await.expect(200);
    assert_eq!(none["items"], json!([]));
    // Untouched, the same archive is taken.
    import(&other, &archive).await.expect(201);
}

fn edit(files: &mut [(String, String)], name: &str, from: &str, to: &str) {
    let file = files.iter_mut().find(|(known, _)| known == name).unwrap();
    assert!(file.1.contains(from), "{name} has {from}");
    file.1 = file.1.replace(from, to);
}

fn pack(files: &[(String, String)], link: Option<&str>) -> Vec<u8> {
    let mut tar = Vec::new();
    for (name, text) in files {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        header.set_cksum();
        tar.write_all(header.as_bytes()).unwrap();
        tar.write_all(text.as_bytes()).unwrap();
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    if let Some(name) = link {
        let mut header = tar::Header::new_ustar();
        header.set_path(name).unwrap();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_link_name("/etc/passwd").unwrap();
        header.set_size(0);
        header.set_cksum();
        tar.write_all(header.as_bytes()).unwrap();
    }
    tar.resize(tar.len() + 1024, 0);
    zstd::encode_all(tar.as_slice(), 3).unwrap()
}

#[tokio::test]
async fn a_bomb_is_refused_before_it_unpacks() {
    let test = TestServer::start().await;
    let zeros = vec![0u8; 64 * 1024 * 1024];
    let bomb = zstd::encode_all(zeros.as_slice(), 3).unwrap();
    assert!(bomb.len() < 64 * 1024);
    import(&test, &Archive { bytes: bomb, key: "ab".repeat(32) }).await.expect(422);
    let manifest = " ".repeat(32 * 1024 * 1024);
    let bytes = pack(&[("manifest.json".to_owned(), manifest)], None);
    let problem = import(&test, &Archive { bytes, key: "ab".repeat(32) }).await.expect(422);
    assert!(problem["detail"].as_str().unwrap().contains("larger than"), "{problem}");
}

#[tokio::test]
async fn a_product_or_version_that_is_not_here_is_named_with_the_way_out() {
    let test = TestServer::start().await;
    let (client, _) = test.client("Acme", "pro").await;
    let archive = export(&test, &client).await;
    let empty = TestServer::empty().await;
    let problem = import(&empty, &archive).await.expect(422);
    assert!(problem["detail"].as_str().unwrap().contains("`widget` is not sold here"), "{problem}");
    let other = TestServer::empty().await;
    other.load(&WIDGET.replace("month = \"99\"", "month = \"109\"")).await;
    let problem = import(&other, &archive).await.expect(422);
    assert!(problem["detail"].as_str().unwrap().contains("never loaded here"), "{problem}");
    // The way out that it names works, and the subscription keeps its price.
    other.load(WIDGET).await;
    let made = import(&other, &archive).await.expect(201);
    let key = made["api_keys"][0]["api_key"].as_str().unwrap();
    other.get(key, "/api/v1/entitlements").await.expect(200);
}

#[tokio::test]
async fn usage_goes_along_under_the_meters_numbers_of_the_other_side() {
    let test = TestServer::start().await;
    let (client, _) = test.client("Acme", "pro").await;
    let tenant = test.get(ADMIN, &format!("/api/v1/admin/tenants/{client}")).await.expect(200);
    let id: tenure_core::TenantId = tenant["id"].as_str().unwrap().parse().unwrap();
    let mut admin = test.database.admin().await;
    // The superuser looks past row-level security, which `FORCE` holds the owner to.
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "INSERT INTO usage_events (tenant_id, subscription_id, meter_id, occurred_at, received_at, generation, key, quantity, \
             source, event_id)
         SELECT tenant_id, id, (SELECT min(id) FROM meters), '2026-03-01T00:00:00.123456Z', \
             '2026-03-01T00:00:01Z', 0, gen_random_uuid(), 123456789012345.000001, 's', 'e' || n
         FROM subscriptions, generate_series(1, 450) n WHERE tenant_id = '{}'",
        id.uuid()
    )))
    .execute(&mut admin)
    .await
    .unwrap();
    let archive = export(&test, &client).await;
    let other = TestServer::empty().await;
    other.load(&WIDGET.replace("\"widget\"", "\"gadget\"").replace("\"wg\"", "\"gd\"")).await;
    other.load(WIDGET).await;
    let made = import(&other, &archive).await.expect(201);
    assert_eq!(made["rows"]["usage_events"], 450);
    let mut there = other.database.admin().await;
    let row = sqlx::raw_sql(
        "SELECT count(*)::text || ' ' || sum(quantity)::text || ' ' || bool_and(m.slug = 'events' AND p.slug = 'widget')
             || ' ' || min(occurred_at AT TIME ZONE 'UTC')
         FROM usage_events e JOIN meters m ON m.id = e.meter_id JOIN products p ON p.id = m.product_id",
    );
    let row = row.fetch_one(&mut there).await.unwrap();
    let sum = "55555555055555250.000450";
    assert_eq!(
        sqlx::Row::get::<String, _>(&row, 0),
        format!("450 {sum} true 2026-03-01 00:00:00.123456")
    );
}

#[tokio::test]
async fn a_deleted_tenant_is_gone_and_its_chain_still_verifies() {
    let test = TestServer::start().await;
    let (client, key) = rich_tenant(&test).await;
    let path = format!("/api/v1/admin/tenants/{client}");
    let tenant = test.get(ADMIN, &path).await.expect(200);
    let id = tenant["id"].as_str().unwrap().to_owned();

    let early = test.delete(ADMIN, &format!("{path}?confirm={client}")).await.expect(409);
    assert_eq!(early["type"], "urn:tenure:problem:tenant-not-cancelled");
    test.post(ADMIN, &format!("{path}/cancel"), json!({})).await.expect(200);
    test.delete(ADMIN, &path).await.expect(400);
    test.delete(ADMIN, &format!("{path}?confirm=acme-corp")).await.expect(422);
    test.get(ADMIN, &path).await.expect(200);
    let report = test.delete(ADMIN, &format!("{path}?confirm={client}")).await.expect(200);
    assert_eq!(report["tenant"], id.as_str());
    assert_eq!(report["deleted_by"], "staff:admin");
    assert_eq!((&report["rows"]["units"], &report["rows"]["api_keys"]), (&json!(2), &json!(1)));

    test.get(&key, "/api/v1/entitlements").await.expect(401);
    for gone in [client.as_str(), &id] {
        test.get(ADMIN, &format!("/api/v1/admin/tenants/{gone}")).await.expect(404);
    }
    // The vendor's trail keeps the report; the tenant's chain verifies, unreadable.
    let trail = test.get(ADMIN, "/api/v1/admin/audit").await.expect(200);
    assert_eq!(trail["items"][0]["action"], "tenant.deleted");
    assert_eq!(trail["items"][0]["after"], report);
    let id: tenure_core::TenantId = id.parse().unwrap();
    let verified = tenure_server::trail::verify(test.app(), Some(id)).await.unwrap();
    assert!(verified.intact, "{verified:?}");
    assert_eq!(verified.head.as_deref(), report["audit_head"].as_str());
    let entries = tenure_server::trail::list(test.app(), Some(id), None, 50).await.unwrap();
    assert!(entries.iter().all(|entry| entry.actor.is_none() && entry.after.is_null()));

    // No row is left in any table that names a tenant, but where a reason is written down.
    let mut admin = test.database.admin().await;
    for table in tenant_tables(&mut admin).await {
        let kept = tables::KEPT.iter().any(|(name, _)| *name == table);
        let sql = format!("SELECT count(*) FROM {table} WHERE tenant_id = '{}'", id.uuid());
        let count = count(&mut admin, sql).await;
        assert!(count == 0 || kept, "{count} rows are left in {table}");
    }
    let whole =
        "SELECT count(*) FROM tenants t WHERE t::text ILIKE '%acme%' OR t::text ILIKE '%@%'";
    assert_eq!(count(&mut admin, whole.to_owned()).await, 0, "the tombstone names nobody");

    // The slug is free, and a new tenant of that name sees nothing of the old one.
    let (again, new_key) = test.client("Acme", "starter").await;
    assert_eq!(again, client);
    let path = format!("/api/v1/admin/tenants/{again}");
    assert_eq!(test.get(ADMIN, &format!("{path}/settings")).await.expect(200), json!({}));
    assert_eq!(test.get(ADMIN, &format!("{path}/units")).await.expect(200)["items"], json!([]));
    let plan = test.get(&new_key, "/api/v1/entitlements").await.expect(200);
    assert_eq!(plan["plan"], "starter");
    test.get(&key, "/api/v1/entitlements").await.expect(401);
}

#[tokio::test]
async fn a_deletion_whose_note_was_lost_is_noted_later_and_once() {
    let test = TestServer::start().await;
    let (client, _) = test.client("Acme", "pro").await;
    let path = format!("/api/v1/admin/tenants/{client}");
    test.post(ADMIN, &format!("{path}/cancel"), json!({})).await.expect(200);
    test.delete(ADMIN, &format!("{path}?confirm={client}")).await.expect(200);
    let notes = || async {
        let trail = test.get(ADMIN, "/api/v1/admin/audit").await.expect(200);
        let items = trail["items"].as_array().unwrap().clone();
        items.iter().filter(|entry| entry["action"] == "tenant.deleted").count()
    };
    assert_eq!(notes().await, 1);
    let call = tenure_server::call::Call::system(test.app().now());
    let more = tenure_server::offboarding::note_deletions(test.app(), &call).await.unwrap();
    assert_eq!((more, notes().await), (0, 1));
    // As if the process had died in between.
    let mut admin = test.database.admin().await;
    sqlx::raw_sql("DELETE FROM audit_log WHERE action = 'tenant.deleted' AND tenant_id = '00000000-0000-0000-0000-000000000000'")
        .execute(&mut admin)
        .await
        .unwrap();
    let more = tenure_server::offboarding::note_deletions(test.app(), &call).await.unwrap();
    assert_eq!((more, notes().await), (1, 1));
}

async fn count(admin: &mut sqlx::PgConnection, sql: String) -> i64 {
    let row = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).fetch_one(admin).await.unwrap();
    sqlx::Row::get(&row, 0)
}

async fn tenant_tables(admin: &mut sqlx::PgConnection) -> Vec<String> {
    names(
        admin,
        "SELECT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
         WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attname = 'tenant_id' AND NOT a.attisdropped
           AND c.relnamespace = 'public'::regnamespace ORDER BY 1",
    )
    .await
}

async fn names(admin: &mut sqlx::PgConnection, sql: &'static str) -> Vec<String> {
    let rows = sqlx::raw_sql(sql).fetch_all(admin).await.unwrap();
    rows.iter().map(|row| sqlx::Row::get(row, 0)).collect()
}

#[tokio::test]
async fn no_table_of_tenants_is_forgotten() {
    let database = TestDatabase::create(&MIGRATOR).await;
    let mut admin = database.admin().await;
    for table in tenant_tables(&mut admin).await {
        let travels = tables::find(&table).is_some();
        let stays = tables::LEFT_BEHIND.iter().any(|(name, _)| *name == table);
        assert!(
            travels != stays,
            "the table {table} names a tenant: enter it in offboarding/tables.rs, in TABLES (in the order of \
             foreign keys) or in LEFT_BEHIND with a reason"
        );
    }
    // Bytes are secrets, digests or hashes: which, the list must say.
    let bytes = names(
        &mut admin,
        "SELECT c.relname || '.' || a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
         WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
           AND a.atttypid = 'bytea'::regtype AND NOT a.attisdropped ORDER BY 1",
    );
    for column in bytes.await {
        let (table, name) = column.split_once('.').unwrap();
        let Some(table) = tables::find(table) else { continue };
        let known = table.columns.iter().any(|(known, _)| *known == name);
        assert!(known, "{column} holds bytes: say in offboarding/tables.rs what care it needs");
    }
    // What refers to the vendor's rows has other ids elsewhere.
    let foreign = names(
        &mut admin,
        "SELECT c.conrelid::regclass::text || '.' || a.attname FROM pg_constraint c
         JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
         WHERE c.contype = 'f' AND NOT EXISTS (SELECT FROM pg_attribute t
             WHERE t.attrelid = c.confrelid AND t.attname = 'tenant_id') AND c.confrelid <> 'tenants'::regclass",
    );
    for column in foreign.await {
        let (table, name) = column.split_once('.').unwrap();
        let Some(table) = tables::find(table) else { continue };
        let known = table.columns.iter().any(|(known, _)| *known == name);
        assert!(known, "{column} refers to a row of the vendor: say how it is found elsewhere");
    }
}

#[tokio::test]
async fn only_admins_export_import_and_delete() {
    let test = TestServer::start().await;
    let (client, key) = test.client("Acme", "pro").await;
    let viewer = json!({"name": "looker", "role": "viewer"});
    let viewer = test.post(ADMIN, "/api/v1/admin/credentials", viewer).await.expect(201);
    let viewer = viewer["token"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/admin/tenants/{client}");
    for token in [key.as_str(), &viewer] {
        test.get(token, &format!("{path}/export")).await.expect(403);
        test.delete(token, &format!("{path}?confirm={client}")).await.expect(403);
        test.post(token, IMPORTS, Value::Null).await.expect(403);
    }
}

#[tokio::test]
async fn a_customers_license_key_still_finds_its_license_on_the_other_side() {
    let test = TestServer::with_product(&["incidentfox"]).await;
    let wanted = json!({ "product": "incidentfox", "plan": "professional" });
    let subscription = test.subscribe("acme", wanted).await;
    let licenses = "/api/v1/admin/tenants/acme/licenses";
    let body = json!({ "subscription": subscription });
    let issued = test.post(ADMIN, licenses, body).await.expect(201);
    let archive = export(&test, "acme").await;
    let key = issued["license_key"].as_str().unwrap();
    assert!(files(&archive).iter().all(|(_, text)| !text.contains(key)));

    let other = TestServer::with_product(&["incidentfox"]).await;
    let made = import(&other, &archive).await.expect(201);
    let id = issued["license"]["id"].as_str().unwrap();
    assert_eq!(made["licenses_to_renew"], json!([id]));
    let shown = other.post(ADMIN, &format!("{licenses}/{id}/key"), json!({})).await;
    assert!(shown.status.is_success() && shown.text.contains(key), "{}", shown.text);
    let renewed = other.post(ADMIN, &format!("{licenses}/{id}/renew"), json!({})).await;
    assert!(renewed.status.is_success(), "{}", renewed.text);
}
