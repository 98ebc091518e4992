//! One tenant never sees, changes or learns of another: on the deployed roles,
//! looked at from below (SQL) and from outside (HTTP).

use std::{fmt::Write as _, time::Duration};

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use tenure_core::TenantId;
use tenure_tenancy::{Db, DbSettings, TenantTx};

use crate::harness::{ADMIN, TestServer};

/// Two tenants: their ids and keys.
struct Two {
    test: TestServer,
    a: TenantId,
    b: TenantId,
    key_a: String,
    key_b: String,
}

async fn tenant_id(test: &TestServer, slug: &str) -> TenantId {
    let tenant = test.get(ADMIN, &format!("/api/v1/admin/tenants/{slug}")).await.expect(200);
    tenant["id"].as_str().unwrap().parse().unwrap()
}

async fn two() -> Two {
    let test = TestServer::start().await;
    let (a, key_a) = test.client("Acme", "pro").await;
    let (b, key_b) = test.client("Globex", "starter").await;
    for slug in [&a, &b] {
        let unit = json!({"kind": "team", "name": format!("team of {slug}")});
        let path = format!("/api/v1/admin/tenants/{slug}/units");
        test.post(ADMIN, &path, unit).await.expect(201);
    }
    let (a, b) = (tenant_id(&test, &a).await, tenant_id(&test, &b).await);
    Two { test, a, b, key_a, key_b }
}

/// A login as one of the roles, without any tenant set.
async fn login(test: &TestServer, role: &str) -> PgConnection {
    let url = test.database.admin_url.replacen("tenure_admin", role, 1);
    PgConnection::connect(&url).await.expect("the role logs in")
}

async fn strings(conn: &mut PgConnection, sql: impl Into<String>) -> Vec<String> {
    let rows = sqlx::raw_sql(AssertSqlSafe(sql.into())).fetch_all(conn).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn number(conn: &mut PgConnection, sql: impl Into<String>) -> i64 {
    let row = sqlx::raw_sql(AssertSqlSafe(sql.into())).fetch_one(conn).await.unwrap();
    row.get(0)
}

/// Runs SQL; the SQLSTATE where it is refused.
async fn attempt(conn: &mut PgConnection, sql: impl Into<String>) -> Result<u64, String> {
    match sqlx::raw_sql(AssertSqlSafe(sql.into())).execute(conn).await {
        Ok(done) => Ok(done.rows_affected()),
        Err(sqlx::Error::Database(error)) => Err(error.code().unwrap().into_owned()),
        Err(error) => panic!("{error}"),
    }
}

const TENANT_TABLES: &str = "SELECT c.relname::text FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
    WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace";

#[tokio::test]
async fn every_table_of_tenants_is_forced_into_isolation() {
    let test = TestServer::empty().await;
    let mut admin = test.database.admin().await;
    let open = format!(
        "SELECT relname::text FROM pg_class WHERE relname IN ({TENANT_TABLES} UNION SELECT 'tenants')
           AND relkind IN ('r', 'p') AND NOT (relrowsecurity AND relforcerowsecurity)"
    );
    assert_eq!(
        strings(&mut admin, open).await,
        [""; 0],
        "tables without forced row-level security"
    );
    let bare = format!(
        "SELECT t FROM ({TENANT_TABLES} UNION SELECT 'tenants') AS x(t) WHERE NOT EXISTS (
            SELECT FROM pg_policies p WHERE p.tablename = t AND 'tenure_tenant' = ANY (p.roles)
              AND concat(p.qual, p.with_check) LIKE '%app.current_tenant%')"
    );
    assert_eq!(strings(&mut admin, bare).await, [""; 0], "tables without a policy on the tenant");
    // Whatever lets the tenant role read or write names the tenant; nothing is for everybody.
    let wide = "SELECT tablename || '.' || policyname FROM pg_policies WHERE schemaname = 'public'
        AND (('tenure_tenant' = ANY (roles) AND concat(qual, with_check) NOT LIKE '%app.current_tenant%')
             OR 'public' = ANY (roles))";
    assert_eq!(strings(&mut admin, wide).await, [""; 0]);
    // Keys lead with the tenant, so that no check tells of another tenant's row.
    let leading = format!(
        "SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
         WHERE i.indisunique AND c.relname IN ({TENANT_TABLES}) AND a.attname <> 'tenant_id'
           AND i.indexrelid::regclass::text NOT IN (
             'api_keys_by_id',              -- random ids, made by the server
             'licenses_key_digest_unique',  -- an HMAC of a random key
             'instances_by_id',             -- random ids, made by the server
             'outbox_pkey',                 -- a sequence
             'invoices_number_unique',      -- given by the database, a series a seller
             'credit_notes_number_unique',  -- given by the database, a series a seller
             'idempotency_keys_unique')     -- scoped by the credential
        "
    );
    assert_eq!(strings(&mut admin, leading).await, [""; 0], "unique keys that look across tenants");
    let foreign = format!(
        "SELECT conrelid::regclass || '.' || conname FROM pg_constraint f
         WHERE f.contype = 'f' AND f.confrelid::regclass::text IN ({TENANT_TABLES}) AND NOT EXISTS (
             SELECT FROM pg_attribute a WHERE a.attrelid = f.conrelid AND a.attname = 'tenant_id'
               AND a.attnum = ANY (f.conkey))"
    );
    assert_eq!(
        strings(&mut admin, foreign).await,
        [""; 0],
        "foreign keys that look across tenants"
    );
}

#[tokio::test]
async fn no_view_function_or_role_looks_past_isolation() {
    let test = TestServer::empty().await;
    let mut admin = test.database.admin().await;
    let views = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
        AND (relkind = 'm' OR relkind = 'v' AND NOT coalesce(reloptions @> '{security_invoker=true}', false))";
    assert_eq!(strings(&mut admin, views).await, [""; 0], "views that are not security_invoker");
    let definers = "SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef
        AND NOT EXISTS (SELECT FROM unnest(proconfig) s WHERE s LIKE 'search_path=%')";
    assert_eq!(
        strings(&mut admin, definers).await,
        [""; 0],
        "SECURITY DEFINER without search_path"
    );
    let powers = "SELECT rolname::text FROM pg_roles r WHERE rolname LIKE 'tenure\\_%' AND rolname <> 'tenure_admin'
        AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb)";
    assert_eq!(strings(&mut admin, powers).await, [""; 0]);
    // Partitions are reached through their parent alone.
    let partitions = "SELECT c.relname::text FROM pg_class c, unnest(ARRAY['tenure_tenant', 'tenure_vendor', 'tenure_auth']) r
        WHERE c.relispartition AND c.relkind = 'r' AND has_table_privilege(r, c.oid, 'SELECT, INSERT, UPDATE, DELETE')";
    assert_eq!(
        strings(&mut admin, partitions).await,
        [""; 0],
        "partitions with grants of their own"
    );
    // The trail is only ever added to.
    let trail = "SELECT r FROM unnest(ARRAY['tenure_tenant', 'tenure_vendor', 'tenure_auth']) r
        WHERE has_table_privilege(r, 'audit_log', 'UPDATE, DELETE, TRUNCATE')";
    assert_eq!(strings(&mut admin, trail).await, [""; 0]);
}

#[tokio::test]
async fn without_a_tenant_there_are_no_rows() {
    let Two { test, a, .. } = two().await;
    let mut admin = test.database.admin().await;
    // Partitions refuse every role; their parents are asked.
    let parents = format!("{TENANT_TABLES} AND NOT c.relispartition");
    let tables = strings(&mut admin, parents).await;
    let mut conn = login(&test, "tenure_tenant").await;
    for context in ["RESET app.current_tenant", "SET app.current_tenant = ''"] {
        attempt(&mut conn, context).await.unwrap();
        for table in tables.iter().filter(|table| *table != "outbox") {
            assert_eq!(
                number(&mut conn, format!("SELECT count(*) FROM {table}")).await,
                0,
                "{table}"
            );
        }
        assert_eq!(number(&mut conn, "SELECT count(*) FROM tenants").await, 0);
    }
    assert_eq!(attempt(&mut conn, "SELECT * FROM outbox").await.unwrap_err(), "42501");
    // The same connection with a tenant sees that one.
    attempt(&mut conn, format!("SET app.current_tenant = '{}'", a.uuid())).await.unwrap();
    assert_eq!(number(&mut conn, "SELECT count(*) FROM tenants").await, 1);
    assert_eq!(number(&mut conn, "SELECT count(*) FROM units").await, 1);
    // The owner is held to it as well; the auth role has but a few columns.
    let mut owner = login(&test, "tenure_owner").await;
    for table in &tables {
        assert_eq!(number(&mut owner, format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
    let mut auth = login(&test, "tenure_auth").await;
    assert_eq!(attempt(&mut auth, "SELECT * FROM api_keys").await.unwrap_err(), "42501");
    assert_eq!(attempt(&mut auth, "SELECT name FROM tenants").await.unwrap_err(), "42501");
}

async fn unit(tx: &mut TenantTx) -> String {
    strings(tx, "SELECT id::text FROM units").await.remove(0)
}

#[tokio::test]
async fn writes_into_another_tenant_touch_nothing() {
    let Two { test, a, b, .. } = two().await;
    let mut mine = test.app().db().tenant(b).await.unwrap();
    let target = unit(&mut mine).await;
    mine.commit().await.unwrap();
    let (a_id, b_id) = (a.uuid(), b.uuid());

    let mut tx = test.app().db().tenant(a).await.unwrap();
    for sql in [
        format!("UPDATE units SET name = 'taken' WHERE id = '{target}'"),
        format!("UPDATE units SET name = 'taken' WHERE tenant_id = '{b_id}'"),
        format!("DELETE FROM units WHERE id = '{target}'"),
        format!("UPDATE tenants SET name = 'taken' WHERE id = '{b_id}'"),
        format!("DELETE FROM api_keys WHERE tenant_id = '{b_id}'"),
    ] {
        assert_eq!(attempt(&mut tx, sql.clone()).await, Ok(0), "{sql}");
    }
    tx.rollback().await.unwrap();
    for sql in [
        format!(
            "INSERT INTO units (tenant_id, id, kind, name, created_at) \
                 VALUES ('{b_id}', gen_random_uuid(), 'team', 'planted', '2026-01-01T00:00:00Z')"
        ),
        format!("UPDATE units SET tenant_id = '{b_id}'"),
        format!(
            "INSERT INTO audit_log VALUES ('{b_id}', 99, '2026-01-01T00:00:00Z', 'x', 'x', '', sha256(''))"
        ),
        format!(
            "INSERT INTO outbox (tenant_id, topic, payload, created_at) \
                 VALUES ('{b_id}', 'x', '{{}}', '2026-01-01T00:00:00Z')"
        ),
    ] {
        let mut tx = test.app().db().tenant(a).await.unwrap();
        assert_eq!(attempt(&mut tx, sql.clone()).await, Err("42501".to_owned()), "{sql}");
        tx.rollback().await.unwrap();
    }
    // The vendor's role reads across tenants and writes in none.
    let mut vendor = test.app().db().vendor().await.unwrap();
    assert_eq!(number(&mut vendor, "SELECT count(*) FROM units").await, 2);
    assert!(attempt(&mut vendor, "UPDATE units SET name = 'taken'").await.is_err());
    vendor.rollback().await.unwrap();

    // The row is what it was; and the same statements work on one's own.
    let mut admin = test.database.admin().await;
    let names = strings(&mut admin, "SELECT name FROM units ORDER BY name").await;
    assert_eq!(names, ["team of acme", "team of globex"]);
    let mut tx = test.app().db().tenant(a).await.unwrap();
    let own = format!("UPDATE units SET name = 'mine' WHERE tenant_id = '{a_id}'");
    assert_eq!(attempt(&mut tx, own).await, Ok(1));
    tx.rollback().await.unwrap();
}

#[tokio::test]
async fn keys_and_references_tell_nothing_of_another_tenants_rows() {
    let Two { test, a, b, .. } = two().await;
    let mut theirs = test.app().db().tenant(b).await.unwrap();
    let taken = unit(&mut theirs).await;
    theirs.commit().await.unwrap();
    let insert = |id: &str, parent: &str| {
        format!(
            "INSERT INTO units (tenant_id, id, parent_id, kind, name, created_at) \
             VALUES ('{}', {id}, {parent}, 'business_unit', 'probe', '2026-01-01T00:00:00Z')",
            a.uuid()
        )
    };
    // An id that another tenant uses is as free as any.
    let mut tx = test.app().db().tenant(a).await.unwrap();
    assert_eq!(attempt(&mut tx, insert(&format!("'{taken}'"), "NULL")).await, Ok(1));
    tx.rollback().await.unwrap();
    // A reference to another tenant's row fails just like one to nothing.
    for parent in [taken.as_str(), "01900000-0000-7000-8000-000000000bad"] {
        let mut tx = test.app().db().tenant(a).await.unwrap();
        let refused = attempt(&mut tx, insert("gen_random_uuid()", &format!("'{parent}'"))).await;
        assert_eq!(refused, Err("23503".to_owned()), "{parent}");
        tx.rollback().await.unwrap();
    }
    // A predicate that raises is not run on rows that are not one's own.
    let mut tx = test.app().db().tenant(a).await.unwrap();
    let leaky = "SELECT count(*) FROM units WHERE 1 / (CASE WHEN name = 'team of globex' THEN 0 ELSE 1 END) = 1";
    assert_eq!(number(&mut tx, leaky).await, 1);
    tx.rollback().await.unwrap();
}

#[tokio::test]
async fn bulk_copies_are_refused_or_filtered() {
    let Two { test, a, .. } = two().await;
    let mut conn = login(&test, "tenure_tenant").await;
    attempt(&mut conn, format!("SET app.current_tenant = '{}'", a.uuid())).await.unwrap();
    let into =
        conn.copy_in_raw("COPY units (tenant_id, id, kind, name, created_at) FROM STDIN").await;
    let error = into.err().expect("COPY FROM is refused under row-level security");
    assert!(error.to_string().contains("row-level security"), "{error}");
    let mut conn = login(&test, "tenure_tenant").await;
    attempt(&mut conn, "SET row_security = off").await.unwrap();
    assert_eq!(attempt(&mut conn, "SELECT * FROM units").await.unwrap_err(), "42501");
}

/// What one unit of work sees: the backend that served it, and its tenants.
async fn look(db: &Db, tenant: TenantId) -> (i64, Vec<String>) {
    let mut tx = db.tenant(tenant).await.unwrap();
    let pid = number(&mut tx, "SELECT pg_backend_pid()::bigint").await;
    let names = strings(&mut tx, "SELECT name FROM tenants").await;
    tx.commit().await.unwrap();
    (pid, names)
}

async fn one_connection_serves_two_tenants(settings: DbSettings, a: TenantId, b: TenantId) {
    let db = Db::pools(DbSettings { connections_max: 1, ..settings }).await.unwrap();
    let (first, names) = look(&db, a).await;
    assert_eq!(names, ["Acme"]);
    let (second, names) = look(&db, b).await;
    assert_eq!((second, names.as_slice()), (first, &["Globex".to_owned()][..]));
    // A transaction that failed, and one that was dropped half way, leave nothing behind.
    let mut tx = db.tenant(a).await.unwrap();
    assert!(attempt(&mut tx, "SELECT 1 / 0").await.is_err());
    drop(tx);
    let (third, names) = look(&db, b).await;
    assert_eq!((third, names.as_slice()), (first, &["Globex".to_owned()][..]));
    let mut tx = db.tenant(a).await.unwrap();
    number(&mut tx, "SELECT count(*) FROM units").await;
    drop(tx);
    assert_eq!(look(&db, b).await, (first, vec!["Globex".to_owned()]));
    db.close().await;
}

#[tokio::test]
async fn a_connection_forgets_its_tenant_with_the_transaction() {
    let Two { test, a, b, .. } = two().await;
    one_connection_serves_two_tenants(test.database.settings.clone(), a, b).await;
}

/// In transaction mode PgBouncer follows named prepared statements from 1.21 on,
/// when `max_prepared_statements` is above 0; before that (Debian 12 has 1.18)
/// Tenure cannot be served through it, but the isolation must hold all the same.
/// `scripts/test` installs it.
#[tokio::test]
async fn the_same_holds_behind_pgbouncer() {
    let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"];
    let Some(program) = program.into_iter().find(|path| std::path::Path::new(path).exists()) else {
        eprintln!("left out: pgbouncer is not installed (scripts/test installs it)");
        return;
    };
    let follows_statements = bouncer_version(program) >= (1, 21);
    let setting = if follows_statements { "max_prepared_statements = 200\n" } else { "" };
    let Two { test, a, b, .. } = two().await;
    let dir = tempfile::Builder::new().prefix("tenure-bouncer-").tempdir().unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(dir.path(), open).unwrap();
    let (_, host) = test.database.admin_url.split_once("host=").unwrap();
    let name = test.database.admin_url.split(['/', '?']).nth(3).unwrap();
    let users: String =
        ["owner", "auth", "tenant", "vendor"].iter().fold(String::new(), |mut text, role| {
            let _ = writeln!(text, "\"tenure_{role}\" \"\"");
            text
        });
    std::fs::write(dir.path().join("users"), users).unwrap();
    let config = format!(
        "[databases]\n{name} = host={host} dbname={name} pool_size=1\n[pgbouncer]\nlisten_addr =\n\
         unix_socket_dir = {0}\nlisten_port = 6432\nauth_type = trust\nauth_file = {0}/users\n\
         pool_mode = transaction\n{setting}ignore_startup_parameters = extra_float_digits\n",
        dir.path().display()
    );
    let file = dir.path().join("pgbouncer.ini");
    std::fs::write(&file, config).unwrap();
    let mut command = tokio::process::Command::new(program);
    if nix_is_root() {
        command.args(["-u", "postgres"]);
    }
    let mut child = command.arg("-q").arg(&file).kill_on_drop(true).spawn().unwrap();
    let socket = dir.path().join(".s.PGSQL.6432");
    for _ in 0..200 {
        if socket.exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let url =
        format!("postgres://tenure_tenant@localhost:6432/{name}?host={}", dir.path().display());
    let settings = DbSettings { url, ..test.database.settings.clone() };
    one_connection_serves_two_tenants(settings.clone(), a, b).await;
    if !follows_statements {
        eprintln!("left out: prepared statements behind this pgbouncer, which is older than 1.21");
        return child.kill().await.unwrap();
    }
    // Several of our connections over one of the server's, with prepared statements.
    let db = Db::pools(DbSettings { connections_max: 4, ..settings }).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for round in 0..40 {
        let (db, tenant, name) =
            if round % 2 == 0 { (db.clone(), a, "Acme") } else { (db.clone(), b, "Globex") };
        tasks.spawn(async move {
            let mut tx = db.tenant(tenant).await.unwrap();
            #[allow(clippy::disallowed_methods, reason = "a prepared statement without a macro")]
            let row = sqlx::query("SELECT name, $1::int FROM tenants").bind(round);
            let row = row.fetch_one(&mut *tx).await.unwrap();
            assert_eq!((row.get::<String, _>(0).as_str(), row.get::<i32, _>(1)), (name, round));
            tx.commit().await.unwrap();
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    db.close().await;
    child.kill().await.unwrap();
}

/// `PgBouncer 1.18.0` is 1 and 18.
fn bouncer_version(program: &str) -> (u32, u32) {
    let output = std::process::Command::new(program).arg("--version").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let version = text.split_whitespace().nth(1).unwrap_or_default().to_owned();
    let mut numbers = version.split('.').filter_map(|number| number.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn nix_is_root() -> bool {
    std::fs::metadata("/proc/self")
        .is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0)
}

#[tokio::test]
async fn a_secret_copied_into_another_tenants_row_does_not_open() {
    let Two { test, a, b, .. } = two().await;
    let mut admin = test.database.admin().await;
    let swap = format!(
        "UPDATE tenant_keys SET sealed = (SELECT sealed FROM tenant_keys WHERE tenant_id = '{}') WHERE tenant_id = '{}'",
        a.uuid(),
        b.uuid()
    );
    assert_eq!(attempt(&mut admin, swap).await, Ok(1));
    let answer = test.get(ADMIN, &format!("/api/v1/admin/tenants/{b}/audit")).await;
    assert_eq!(answer.status, 500, "{}", answer.text);
    assert!(!answer.text.contains("Acme") && !answer.text.contains("Globex"), "{}", answer.text);
    test.get(ADMIN, &format!("/api/v1/admin/tenants/{a}/audit")).await.expect(200);
}

#[tokio::test]
async fn caches_tell_tenants_apart_even_where_ids_are_the_same() {
    let Two { test, a, b, .. } = two().await;
    let mut admin = test.database.admin().await;
    // The same subscription id in both: possible, since keys lead with the tenant.
    let copy = format!(
        "INSERT INTO subscriptions SELECT '{1}', s.id, s.product_id, s.catalog_version_id, 'starter', s.model, s.mode,
             s.status, o.billing_account_id, s.anchor, s.interval, s.term_years, s.prepaid, s.hard_stops,
             s.customer_number, s.trial_ends_at, s.cancelled_at, s.created_at, s.updated_at
         FROM subscriptions s, subscriptions o WHERE s.tenant_id = '{0}' AND o.tenant_id = '{1}'",
        a.uuid(),
        b.uuid()
    );
    assert_eq!(attempt(&mut admin, copy).await, Ok(1));
    let id = strings(
        &mut admin,
        format!(
            "SELECT replace(id::text, '-', '') FROM subscriptions WHERE tenant_id = '{}'",
            a.uuid()
        ),
    );
    let id = id.await.remove(0);
    for _ in 0..2 {
        for (tenant, plan) in [(a, "pro"), (b, "starter")] {
            let path =
                format!("/api/v1/admin/tenants/{tenant}/subscriptions/sub_{id}/entitlements");
            assert_eq!(test.get(ADMIN, &path).await.expect(200)["plan"], plan);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interleaved_requests_of_many_tenants_see_their_own_marker_only() {
    let test = std::sync::Arc::new(TestServer::start().await);
    let mut tenants = Vec::new();
    for number in 0..6 {
        let marker = format!("marker{number}x{}", "q".repeat(number));
        let (slug, key) =
            test.client(&marker, if number % 2 == 0 { "pro" } else { "starter" }).await;
        let settings = json!({ "marker": marker });
        test.put(ADMIN, &format!("/api/v1/admin/tenants/{slug}/settings"), settings)
            .await
            .expect(200);
        tenants.push((slug, key, marker));
    }
    let tenants = std::sync::Arc::new(tenants);
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..8usize {
        let (test, tenants) = (test.clone(), tenants.clone());
        tasks.spawn(async move {
            for round in 0..25usize {
                let (slug, key, marker) = &tenants[(worker * 7 + round * 5) % tenants.len()];
                let base = format!("/api/v1/admin/tenants/{slug}");
                let answer = match (worker + round) % 5 {
                    0 => test.get(key, "/api/v1/tenant").await,
                    1 => test.get(ADMIN, &format!("{base}/settings")).await,
                    2 => test.get(ADMIN, &format!("{base}/audit")).await,
                    3 => {
                        // Half of the writes fail: an aborted transaction goes back to the pool.
                        let unit = json!({"kind": "team", "name": marker});
                        test.post(ADMIN, &format!("{base}/units"), unit).await
                    }
                    _ => test.get(ADMIN, &format!("{base}/billing-accounts")).await,
                };
                assert!(answer.status.is_success() || answer.status == 409, "{}", answer.text);
                if answer.status.is_success() {
                    assert!(answer.text.contains(marker), "{marker}: {}", answer.text);
                }
                for (_, _, other) in tenants.iter().filter(|(_, _, other)| other != marker) {
                    let seen = answer.text.contains(&format!("\"{other}\""));
                    assert!(!seen, "{marker} saw {other}: {}", answer.text);
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn logs_metrics_and_errors_name_no_tenants_data() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(move || writer.clone())
        .finish();
    // The runtime of this test has one thread, and the server's tasks run on it.
    let _guard = tracing::subscriber::set_default(subscriber);
    let Two { test, a, key_a, key_b, .. } = two().await;
    let marker = "zanzibar-marker";
    let base = format!("/api/v1/admin/tenants/{a}");
    let email = json!({"contact_email": format!("{marker}@acme.example"), "name": marker});
    test.patch(ADMIN, &base, email).await.expect(200);
    let unit = json!({"kind": "team", "name": marker});
    test.post(ADMIN, &format!("{base}/units"), unit.clone()).await.expect(201);
    // Failures of several kinds, the database's own among them.
    test.post(ADMIN, &format!("{base}/units"), unit).await.expect(409);
    let odd = json!({"kind": marker, "name": marker});
    test.post(ADMIN, &format!("{base}/units"), odd).await.expect(422);
    let mut admin = test.database.admin().await;
    let broken = format!("UPDATE tenant_keys SET sealed = '' WHERE tenant_id = '{}'", a.uuid());
    attempt(&mut admin, broken).await.unwrap();
    test.get(ADMIN, &format!("{base}/audit")).await.expect(500);
    let mut seen = vec![("metrics", test.get("", "/metrics").await.text)];
    for path in ["/api/v1/tenant", "/api/v1/entitlements"] {
        seen.push(("another tenant", test.get(&key_b, path).await.text));
    }
    let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(log.contains("request failed"), "the log is listened to: {log}");
    for secret in [key_a.as_str(), key_b.as_str(), ADMIN] {
        assert!(!log.contains(secret), "a credential is in the log");
    }
    seen.push(("the log", log));
    for (place, text) in seen {
        assert!(!text.contains(marker), "{place}: {text}");
    }
}

#[tokio::test]
async fn headers_that_claim_an_identity_change_nothing() {
    let Two { test, b, key_a, .. } = two().await;
    let request = test.request(reqwest::Method::GET, &key_a, "/api/v1/tenant");
    let request = ["x-tenant-id", "x-tenant", "x-forwarded-user", "x-tenure-tenant"]
        .into_iter()
        .fold(request, |request, name| request.header(name, b.to_string()));
    let tenant: Value = test.send(request).await.expect(200);
    assert_eq!(tenant["name"], "Acme");
}
