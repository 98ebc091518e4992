//! The four roles and how they come to be.
//!
//! | role | may |
//! |---|---|
//! | `tenure_owner` | own tables, run migrations and maintenance |
//! | `tenure_auth` | find a key or session before the tenant is known |
//! | `tenure_tenant` | read and write the rows of `app.current_tenant` |
//! | `tenure_vendor` | read across tenants, write the vendor's own tables |
//!
//! None of them is a superuser or may bypass row-level security, and only the
//! first owns anything. Passwords derive from the master key, so every process
//! that shares the key can log in and no password is stored anywhere.

#![allow(
    clippy::disallowed_methods,
    reason = "bootstrap runs before there is a schema that SQL could be checked against"
)]

use aws_lc_rs::hmac;
use sqlx::{Connection, PgConnection, Row, postgres::PgConnectOptions};

use crate::{pools::Error, scram};

/// One of the four roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Migrations and maintenance.
    Owner,
    /// Look-ups before the tenant is known.
    Auth,
    /// One tenant's rows.
    Tenant,
    /// The vendor's staff.
    Vendor,
}

impl Role {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Owner, Self::Auth, Self::Tenant, Self::Vendor];

    /// The role's name in PostgreSQL.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "tenure_owner",
            Self::Auth => "tenure_auth",
            Self::Tenant => "tenure_tenant",
            Self::Vendor => "tenure_vendor",
        }
    }
}

/// Derives the roles' passwords.
#[derive(Clone)]
pub struct RoleSecret(hmac::Key);

impl RoleSecret {
    /// From 32 bytes that only this purpose uses.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The role's password.
    pub fn password(&self, role: Role) -> String {
        hex::encode(hmac::sign(&self.0, role.name().as_bytes()))
    }
}

/// Creates the roles that are missing, through a privileged login that is
/// closed again before this returns.
///
/// # Errors
/// [`Error::NotPrivileged`] when the login may not create roles, and
/// [`Error::ForeignRoles`] when roles of these names exist already: their
/// passwords are then another installation's, and are left alone.
pub(crate) async fn bootstrap(
    privileged: &PgConnectOptions,
    secret: &RoleSecret,
) -> Result<(), Error> {
    let mut conn = PgConnection::connect_with(privileged).await?;
    let row = sqlx::raw_sql(
        "SELECT rolsuper OR rolcreaterole AS may, current_user::text AS me, \
         (SELECT count(*) FROM pg_roles WHERE rolname LIKE 'tenure\\_%' AND rolname IN \
          ('tenure_owner', 'tenure_auth', 'tenure_tenant', 'tenure_vendor')) AS existing \
         FROM pg_roles WHERE rolname = current_user",
    )
    .fetch_one(&mut conn)
    .await?;
    if !row.try_get::<bool, _>("may")? {
        return Err(Error::NotPrivileged { user: row.try_get("me")? });
    }
    if row.try_get::<i64, _>("existing")? == 4 {
        // They exist: good if they are ours (another process was faster, or
        // another database of the same installation), refused if not.
        return own_roles_work(privileged, secret).await;
    }
    for role in Role::ALL {
        create(&mut conn, role, secret).await?;
    }
    grant(&mut conn, privileged).await?;
    conn.close().await?;
    Ok(())
}

/// Grants what the roles need in this database. Safe to repeat.
pub(crate) async fn grant(
    conn: &mut PgConnection,
    privileged: &PgConnectOptions,
) -> Result<(), Error> {
    let database = privileged.get_database().unwrap_or("postgres").replace('"', "\"\"");
    let sql = format!(
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC; \
         GRANT USAGE, CREATE ON SCHEMA public TO tenure_owner; \
         GRANT USAGE ON SCHEMA public TO tenure_auth, tenure_tenant, tenure_vendor; \
         GRANT CONNECT ON DATABASE \"{database}\" \
         TO tenure_owner, tenure_auth, tenure_tenant, tenure_vendor;"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(conn).await?;
    Ok(())
}

async fn own_roles_work(privileged: &PgConnectOptions, secret: &RoleSecret) -> Result<(), Error> {
    let mut conn = PgConnection::connect_with(privileged).await?;
    grant(&mut conn, privileged).await?;
    conn.close().await?;
    let options =
        privileged.clone().username(Role::Owner.name()).password(&secret.password(Role::Owner));
    match PgConnection::connect_with(&options).await {
        Ok(conn) => Ok(conn.close().await?),
        Err(error) if refused_login(&error) => Err(Error::ForeignRoles),
        Err(error) => Err(error.into()),
    }
}

async fn create(conn: &mut PgConnection, role: Role, secret: &RoleSecret) -> Result<(), Error> {
    let mut salt = [0u8; 16];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| Error::NoRandomness)?;
    let verifier = scram::verifier(&secret.password(role), salt);
    let sql = format!(
        "CREATE ROLE {} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE PASSWORD '{verifier}'",
        role.name()
    );
    match sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(conn).await {
        Ok(_) => Ok(()),
        // Another process of this installation was faster.
        Err(sqlx::Error::Database(error))
            if matches!(error.code().as_deref(), Some("42710" | "23505")) =>
        {
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether the server refused the login itself (unknown role, wrong password,
/// no right to connect), as against being away.
pub(crate) fn refused_login(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(database)
        if matches!(database.code().as_deref(), Some("28P01" | "28000" | "42501")))
}

/// Refuses to go on when a role could look past row-level security: asserted at
/// every start, on the deployed roles.
pub(crate) async fn assert_powerless(conn: &mut PgConnection) -> Result<(), Error> {
    let rows = sqlx::raw_sql(
        "SELECT r.rolname::text AS name, \
            (r.rolsuper OR r.rolbypassrls OR r.rolcreaterole) AS powerful, \
            EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid) AS owns, \
            EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid \
                    WHERE m.member = r.oid) AS member \
         FROM pg_roles r WHERE r.rolname IN ('tenure_auth', 'tenure_tenant', 'tenure_vendor')",
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        let (powerful, owns, member): (bool, bool, bool) =
            (row.try_get("powerful")?, row.try_get("owns")?, row.try_get("member")?);
        if powerful || owns || member {
            let reason = match (powerful, owns) {
                (true, _) => "is a superuser, may create roles or may bypass row-level security",
                (_, true) => "owns tables",
                _ => "is a member of another role",
            };
            return Err(Error::PowerfulRole { role: row.try_get("name")?, reason });
        }
    }
    Ok(())
}
