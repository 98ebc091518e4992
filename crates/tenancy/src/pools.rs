//! One pool a login role, and the way from a URL to all of them.

use std::{str::FromStr, time::Duration};

use sqlx::{
    Connection, PgConnection, PgPool,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::roles::{self, Role, RoleSecret};

/// Most connections a pool opens unless told otherwise.
pub const POOL_CONNECTIONS_MAX: u32 = 16;
/// How long a request waits for a connection before it is told to come back.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// Connections that a pool gives up before it calls the database unavailable.
const BROKEN_CONNECTIONS_MAX: u32 = POOL_CONNECTIONS_MAX + 1;

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL itself is wrong.
    #[error(
        "the database URL cannot be read: {0}. Expected postgres://USER:PASSWORD@HOST:PORT/DATABASE"
    )]
    Url(String),
    /// No right to create the roles.
    #[error(
        "the database user `{user}` may not create roles, and Tenure's roles do not exist yet. \
         Start once with TENURE_OWNER_DATABASE_URL naming a user that may (for example postgres)"
    )]
    NotPrivileged {
        /// Who was logged in.
        user: String,
    },
    /// The roles belong to another master key.
    #[error(
        "the roles tenure_owner, tenure_auth, tenure_tenant and tenure_vendor exist in this PostgreSQL \
         server, but were made with another master key. Use that installation's TENURE_MASTER_KEY_FILE, \
         or a PostgreSQL server of its own for this one"
    )]
    ForeignRoles,
    /// A role that must be harmless is not.
    #[error(
        "refusing to start: the database role `{role}` {reason}, so it could read across tenants"
    )]
    PowerfulRole {
        /// Its name.
        role: String,
        /// In words.
        reason: &'static str,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandomness,
    /// A migration failed; its transaction was rolled back.
    #[error(
        "the database could not be brought to this version's schema, and nothing was changed by the \
         step that failed: {0}"
    )]
    Migration(#[from] MigrateError),
    /// Anything PostgreSQL says.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
}

impl Error {
    /// Whether trying again later can help.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Sql(error) if is_unavailable(error))
    }

    /// Whether a parameter was a text that PostgreSQL cannot hold: one with a zero
    /// character, as paths and queries can bring it.
    pub fn is_unstorable_text(&self) -> bool {
        matches!(self, Self::Sql(sqlx::Error::Database(error))
            if matches!(error.code().as_deref(), Some("22021" | "22P05")))
    }
}

/// Whether the database is away (as against refusing what was asked).
pub(crate) fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::BeginFailed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Protocol(_) => true,
        // Class 57P: shutting down or starting up; 53: out of resources; 08: connection.
        sqlx::Error::Database(database) => database
            .code()
            .is_some_and(|code| ["57P", "53", "08"].iter().any(|class| code.starts_with(class))),
        _ => false,
    }
}

/// Where the database is and how to log in.
#[derive(Clone)]
pub struct DbSettings {
    /// Host, port and database; the user only matters for the first start.
    pub url: String,
    /// A privileged login for creating roles, where `url` has none; migrations go the
    /// same way. Names the same database.
    pub owner_url: Option<String>,
    /// Derives the passwords of the four roles.
    pub secret: RoleSecret,
    /// Connections a pool, at most.
    pub connections_max: u32,
}

impl DbSettings {
    fn options(&self) -> Result<PgConnectOptions, Error> {
        parse(&self.url)
    }

    fn privileged(&self) -> Result<PgConnectOptions, Error> {
        self.owner_url.as_deref().map_or_else(|| self.options(), parse)
    }

    /// The owner goes the privileged way, which may lead past a pooler: migrations
    /// hold a lock of their session.
    fn login(&self, role: Role) -> Result<PgConnectOptions, Error> {
        let way = match role {
            Role::Owner => self.privileged()?,
            Role::Auth | Role::Tenant | Role::Vendor => self.options()?,
        };
        Ok(way
            .username(role.name())
            .password(&self.secret.password(role))
            .application_name(role.name()))
    }
}

fn parse(url: &str) -> Result<PgConnectOptions, Error> {
    PgConnectOptions::from_str(url).map_err(|error| Error::Url(error.to_string()))
}

/// A pool that hands out transactions only.
#[derive(Clone)]
pub struct Pool(PgPool);

impl Pool {
    async fn open(options: PgConnectOptions, connections_max: u32) -> Result<Self, Error> {
        let pool = PgPoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(Duration::from_secs(60))
            // A ping a transaction would double the round trips; `begin` below
            // drops broken connections itself, since nothing has happened yet.
            .test_before_acquire(false)
            .connect_lazy_with(options);
        Ok(Self(pool))
    }

    /// Opens a transaction with `statement`, replacing connections that broke
    /// while they were idle.
    pub(crate) async fn begin(
        &self,
        statement: &str,
    ) -> Result<sqlx::PgTransaction<'static>, Error> {
        let mut broken = 0;
        loop {
            // Without an idle connection this is a new one: then nothing is left to try.
            let idle = self.0.num_idle();
            let sql = sqlx::AssertSqlSafe(statement.to_owned());
            match self.0.begin_with(sql).await {
                Ok(tx) => return Ok(tx),
                Err(error) => {
                    broken += 1;
                    let replaceable = matches!(
                        &error,
                        sqlx::Error::Io(_) | sqlx::Error::Database(_) | sqlx::Error::Protocol(_)
                    ) && is_unavailable(&error);
                    if !replaceable || broken >= BROKEN_CONNECTIONS_MAX || idle == 0 {
                        return Err(error.into());
                    }
                }
            }
        }
    }

    async fn close(&self) {
        self.0.close().await;
    }
}

/// The pools of a running server.
#[derive(Clone)]
pub struct Db {
    pub(crate) tenant: Pool,
    pub(crate) vendor: Pool,
    pub(crate) auth: Pool,
    settings: DbSettings,
}

impl Db {
    /// Creates roles when missing, migrates, asserts that no serving role has
    /// power over row-level security, and opens the pools.
    ///
    /// # Errors
    /// See [`Error`]; nothing is left half done.
    pub async fn open(settings: DbSettings, migrator: &Migrator) -> Result<Self, Error> {
        let mut owner = Self::owner_login(&settings).await?;
        migrator.run(&mut owner).await?;
        roles::assert_powerless(&mut owner).await?;
        owner.close().await?;
        Self::pools(settings).await
    }

    /// Opens the pools of a database that is known to be migrated.
    pub async fn pools(settings: DbSettings) -> Result<Self, Error> {
        let max = settings.connections_max;
        Ok(Self {
            tenant: Pool::open(settings.login(Role::Tenant)?, max).await?,
            vendor: Pool::open(settings.login(Role::Vendor)?, max).await?,
            auth: Pool::open(settings.login(Role::Auth)?, max).await?,
            settings,
        })
    }

    async fn owner_login(settings: &DbSettings) -> Result<PgConnection, Error> {
        let owner = settings.login(Role::Owner)?;
        match PgConnection::connect_with(&owner).await {
            Ok(mut conn) => {
                // A database made beside the one the roles were made for.
                if may_create(&mut conn).await? {
                    return Ok(conn);
                }
                conn.close().await?;
            }
            Err(error) if roles::refused_login(&error) => {}
            Err(error) => return Err(error.into()),
        }
        roles::bootstrap(&settings.privileged()?, &settings.secret).await?;
        Ok(PgConnection::connect_with(&owner).await?)
    }

    /// A connection that may change the schema: for partitions and maintenance.
    pub async fn maintenance(&self) -> Result<PgConnection, Error> {
        Ok(PgConnection::connect_with(&self.settings.login(Role::Owner)?).await?)
    }

    /// A connection that listens for notifications, as the vendor role.
    pub async fn listener(&self) -> Result<sqlx::postgres::PgListener, Error> {
        let options = self.settings.login(Role::Vendor)?;
        let pool = PgPoolOptions::new().max_connections(1).connect_with(options).await?;
        Ok(sqlx::postgres::PgListener::connect_with(&pool).await?)
    }

    /// Closes every pool, waiting for the transactions under way.
    pub async fn close(&self) {
        self.tenant.close().await;
        self.vendor.close().await;
        self.auth.close().await;
    }
}

#[allow(clippy::disallowed_methods, reason = "asked before there is a schema")]
async fn may_create(conn: &mut PgConnection) -> Result<bool, Error> {
    use sqlx::Row;
    let row = sqlx::raw_sql("SELECT has_schema_privilege('public', 'CREATE') AS may")
        .fetch_one(conn)
        .await?;
    Ok(row.try_get("may")?)
}
