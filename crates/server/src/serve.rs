//! From settings to a server that answers, and back to silence.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use sqlx::migrate::Migrator;
use tenure_core::{Clock, SystemClock};
use tenure_tenancy::{Db, DbSettings};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use zeroize::Zeroizing;

use crate::{
    App, Config,
    call::Call,
    http::Problem,
    idempotency, identity, installation, jobs, licensing, offboarding,
    products::{self, signing::pkcs11},
    router, trail,
    vault::Vault,
};

/// The schema of this version.
pub static MIGRATOR: Migrator = sqlx::migrate!();

/// How long requests under way may take when the server stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);
/// Time between two clean-ups.
const TIDY_EVERY: Duration = Duration::from_secs(15 * 60);

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database.
    #[error(transparent)]
    Database(#[from] tenure_tenancy::Error),
    /// The database is another installation's.
    #[error(transparent)]
    Installation(#[from] installation::Error),
    /// The port.
    #[error(
        "cannot listen on {address}: {source}. Choose another one with --listen or TENURE_LISTEN"
    )]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The security module of signing keys.
    #[error(transparent)]
    SigningModule(#[from] pkcs11::Error),
    /// A product file, or the first credential.
    #[error("{}", describe(.0))]
    Problem(Problem),
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

fn describe(problem: &Problem) -> String {
    let lines = problem.errors.iter().map(|error| error.detail.as_str());
    std::iter::once(problem.detail.as_str())
        .filter(|_| problem.errors.len() != 1)
        .chain(lines)
        .collect::<Vec<_>>()
        .join("\n")
}

/// A server that is listening.
pub struct Server {
    app: App,
    address: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// A server that has just started.
pub struct Started {
    /// The server.
    pub server: Server,
    /// The first vendor credential, if this start made it: show it once.
    pub first_token: Option<Zeroizing<String>>,
    /// What became of the product files of the configured directory.
    pub products: Vec<products::Loaded>,
}

impl Server {
    /// Migrates, checks, loads products and listens.
    ///
    /// # Errors
    /// See [`Error`]: the server either listens or left nothing behind.
    pub async fn start(
        config: Config,
        database: DbSettings,
        vault: Vault,
    ) -> Result<Started, Error> {
        Self::start_with_clock(config, database, vault, Arc::new(SystemClock)).await
    }

    /// As [`Self::start`], on another clock: for tests.
    pub async fn start_with_clock(
        config: Config,
        database: DbSettings,
        vault: Vault,
        clock: Arc<dyn Clock>,
    ) -> Result<Started, Error> {
        installation::check_settings(&config)?;
        let address = config.listen;
        let listener =
            TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
        let address = listener.local_addr().unwrap_or(address);
        let module = signing_module(config.pkcs11.clone()).await?;
        let db = Db::open(database, &MIGRATOR).await?;
        let app = App::new(config, db, vault, module, clock);
        installation::check(&app).await?;
        let first_token = identity::ensure_first_credential(&app).await?;
        let loaded = match &app.config().products_dir {
            Some(dir) => products::load_dir(&app, &dir.clone()).await?,
            None => Vec::new(),
        };
        let server =
            Self { app, address, stop: CancellationToken::new(), tasks: TaskTracker::new() };
        server.spawn(listener);
        Ok(Started { server, first_token, products: loaded })
    }

    fn spawn(&self, listener: TcpListener) {
        let (app, stop) = (self.app.clone(), self.stop.clone());
        self.tasks.spawn(trail::follow::run(app.clone(), stop.clone()));
        self.tasks.spawn(tidy(app.clone(), stop.clone()));
        if app.config().jobs {
            self.tasks.spawn(jobs::run(app.clone(), stop.clone()));
        }
        self.tasks.spawn(licensing::service::high_water::run(app.clone(), stop.clone()));
        let service = router::router(app).into_make_service_with_connect_info::<SocketAddr>();
        self.tasks.spawn(async move {
            let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
                // Answers are small: waiting to fill a packet costs up to 40 ms.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY");
                }
            });
            let served =
                axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await;
            if let Err(error) = served {
                tracing::error!(%error, "the listener ended");
            }
        });
        self.tasks.close();
    }

    /// Where it listens; the real port when port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The server's state.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Stops taking requests, waits for those under way (a bounded time), and
    /// closes the database connections.
    pub async fn stop(self) {
        self.stop.cancel();
        if tokio::time::timeout(DRAIN_TIMEOUT, self.tasks.wait()).await.is_err() {
            tracing::warn!("stopped with requests still under way");
        }
        self.app.db().close().await;
    }
}

/// Logs in to the security module, if there is to be one.
async fn signing_module(
    settings: Option<pkcs11::Settings>,
) -> Result<Option<pkcs11::Module>, Error> {
    let Some(settings) = settings else { return Ok(None) };
    let opened = tokio::task::spawn_blocking(move || pkcs11::Module::open(settings)).await;
    Ok(Some(opened.map_err(Problem::internal)??))
}

/// Clean-ups that any process may do: each deletes by age, so two at once do no harm.
async fn tidy(app: App, stop: CancellationToken) {
    let mut interval = tokio::time::interval(TIDY_EVERY);
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            () = stop.cancelled() => return,
        }
        let call = Call::system(app.now());
        for done in [
            idempotency::expire(&app).await,
            trail::follow::expire(&app).await,
            offboarding::note_deletions(&app, &call).await,
            licensing::revocation::expire(&app).await,
        ] {
            match done {
                Ok(count) => tracing::debug!(count, "tidied"),
                Err(problem) => tracing::debug!(detail = problem.detail, "could not tidy"),
            }
        }
    }
}
