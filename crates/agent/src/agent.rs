//! The agent itself: what it holds, how it starts and stops.
//!
//! Start-up (SPEC 5): the key set is read, what `LICENSE_KEY` holds is verified
//! (invalid: no start), what was held before is verified again, both time floors
//! are read. Phoning home is the loop's first round ([`Agent::step`]).

use std::sync::{
    Arc, RwLock,
    atomic::{AtomicBool, Ordering},
};

use aws_lc_rs::rand;
use jiff::Timestamp;
use tenure_core::clock::Clock;
use tenure_license::{
    LicenseClaims, RevocationsClaims, TrustSet, Verified, presented::Presented, token,
};
use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;

use crate::{
    Error,
    dir::{DataDir, Floor, FloorFile, Held, Secrets, Seed},
    error::Result,
    machine::{self, Phase, State, Taken},
    run::{Forwarding, Gauges, Http, Slicing},
    settings::{SPOOL_MAX_BYTES_MIN, Settings},
    spool::Spool,
    store::{SENT_MAX, Sent, Store},
    view::View,
};

/// Names in `meta`.
pub(crate) mod meta {
    /// What the license was activated with; a credential.
    pub(crate) const LICENSE_KEY: &str = "license_key";
    /// The newest revocation list, as it came.
    pub(crate) const REVOCATIONS: &str = "revocations";
    /// What the vendor said last, for people.
    pub(crate) const WARNINGS: &str = "warnings";
    /// What is wrong with the second copy of the time floor.
    pub(crate) const FLOOR_NOTE: &str = "floor_note";
    /// Why the slot is to be given back.
    pub(crate) const RELEASE: &str = "release";
    /// When the vendor answered last.
    pub(crate) const CONTACT: &str = "contact";
    /// Where the license service is.
    pub(crate) const SERVER: &str = "server";
    /// The key set of the last start, so that `status` needs no options.
    pub(crate) const KEYS: &str = "keys";
    /// And the product that it was for.
    pub(crate) const PRODUCT: &str = "product";
    /// The key pair that a request file with a new one was last written with.
    pub(crate) const NEW_KEY: &str = "new_key";
}

/// The second copy of the time floor is renewed when it lags so far, in seconds.
const FLOOR_LAG_SECONDS: i64 = 60;

/// A running agent, or one that a command drives for a moment.
pub struct Agent {
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) dir: DataDir,
    pub(crate) store: Arc<Store>,
    pub(crate) trust: TrustSet,
    pub(crate) http: Option<Http>,
    pub(crate) spool: Spool,
    pub(crate) secrets: Secrets,
    pub(crate) inner: Mutex<Inner>,
    /// One round at a time.
    pub(crate) stepping: Mutex<Forwarding>,
    pub(crate) gauges: Gauges,
    pub(crate) slicing: Slicing,
    pub(crate) wake: Notify,
    pub(crate) stop: CancellationToken,
    view: RwLock<Arc<View>>,
    closed: AtomicBool,
    _held: Held,
}

/// What changes while it runs. Whoever changes it saves it before letting go.
pub(crate) struct Inner {
    pub(crate) seed: Seed,
    pub(crate) state: State,
    pub(crate) license: Option<Arc<Verified<LicenseClaims>>>,
    pub(crate) license_key: Option<String>,
    pub(crate) release: Option<String>,
    pub(crate) revocations: Option<String>,
    pub(crate) floor_file: FloorFile,
    pub(crate) floor_written: Option<Timestamp>,
    pub(crate) floor_note: Option<String>,
    pub(crate) jitter: u64,
}

impl Agent {
    /// Opens the data directory and checks everything that can be checked without a network.
    /// `presented` is what `LICENSE_KEY` holds.
    ///
    /// # Errors
    /// When something that was given is not genuine: nothing is started then.
    pub async fn open(
        settings: Settings,
        clock: Arc<dyn Clock>,
        presented: Option<&str>,
    ) -> Result<Arc<Self>> {
        check(&settings)?;
        let trust = trust(&settings)?;
        let server = settings.server.as_deref();
        let http = server.map(|base| Http::new(base, settings.ca_pem.as_deref())).transpose()?;
        let dir = DataDir::open(&settings.data_dir)?;
        let held = dir.hold()?;
        let secrets = Secrets::open(&dir, settings.local_secret.clone())?;
        let store = Arc::new(Store::open(&dir).await?);
        let mut inner = load(&settings, &dir, &store, &trust).await?;
        let now = clock.now();
        read_floors(&mut inner, now);
        let fresh_key = match presented.map(str::trim).filter(|text| !text.is_empty()) {
            Some(presented) => present(&mut inner, &store, &trust, presented, now).await?,
            None => false,
        };
        if let Some(server) = server {
            store.set_meta(meta::SERVER, server).await?;
        }
        store.set_meta(meta::KEYS, &settings.keys).await?;
        store.set_meta(meta::PRODUCT, trust.product()).await?;
        let note = inner.floor_note.as_deref().unwrap_or_default();
        store.set_meta(meta::FLOOR_NOTE, note).await?;
        let spool = Spool::start(
            Arc::clone(&store),
            settings.spool_max_bytes,
            settings.server.clone().unwrap_or_else(|| "the license service".into()),
        );
        let view = RwLock::new(Arc::new(View::of(&inner)));
        let agent = Arc::new(Self {
            settings,
            clock,
            dir,
            store,
            trust,
            http,
            spool,
            secrets,
            inner: Mutex::new(inner),
            stepping: Mutex::new(Forwarding::default()),
            gauges: Gauges::default(),
            slicing: Slicing::default(),
            wake: Notify::new(),
            stop: CancellationToken::new(),
            view,
            closed: AtomicBool::new(false),
            _held: held,
        });
        let mut inner = agent.inner.lock().await;
        if fresh_key && inner.state.phase != Phase::Fresh {
            agent.new_key(&mut inner).await?;
        }
        agent.save(&mut inner).await?;
        drop(inner);
        Ok(agent)
    }

    /// The present moment, by this machine's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What is held at the moment; cheap.
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    /// The secret that a product presents to the local API.
    pub fn local_secret(&self) -> &str {
        self.secrets.product()
    }

    /// The last messages that left this machine, the newest first.
    pub async fn sent(&self) -> Result<Vec<Sent>> {
        self.store.sent(usize::try_from(SENT_MAX).unwrap_or(usize::MAX)).await
    }

    /// Asks the loop and the local API to end.
    pub fn stop(&self) {
        self.stop.cancel();
        self.wake.notify_waiters();
    }

    /// Writes down where it stands. After [`Self::stop`], the last thing to do.
    pub async fn close(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let mut inner = self.inner.lock().await;
        machine::raise_floor(&mut inner.state, self.now());
        self.save(&mut inner).await?;
        self.store.fold().await
    }

    /// Writes the state down, durably, and shows it to those who look.
    pub(crate) async fn save(&self, inner: &mut Inner) -> Result<()> {
        self.store.save_state(&json(&inner.state)?).await?;
        self.saved(inner)
    }

    /// What follows once the state is written down.
    pub(crate) fn saved(&self, inner: &mut Inner) -> Result<()> {
        let lags = |floor: &Timestamp| {
            let written = inner.floor_written.map_or(i64::MIN, Timestamp::as_second);
            floor.as_second().saturating_sub(written) >= FLOOR_LAG_SECONDS
        };
        if let Some(floor) = inner.state.floor.filter(lags) {
            inner.floor_file.write(floor)?;
            inner.floor_written = Some(floor);
        }
        let view = Arc::new(View::of(inner));
        *self.view.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = view;
        Ok(())
    }

    /// Goes over to a new key pair: seed, state and ledger change together.
    pub(crate) async fn new_key(&self, inner: &mut Inner) -> Result<()> {
        let seed = Seed::prepare(&self.dir)?;
        machine::adopt(&mut inner.state, seed.public());
        let state = json(&inner.state)?;
        self.store.begin_ledger(&seed.thumbprint(), Some(&state)).await?;
        Seed::adopt(&self.dir)?;
        inner.floor_file = FloorFile::new(inner.floor_file.path().to_owned(), &seed);
        inner.floor_written = None;
        inner.seed = seed;
        tracing::warn!(key = inner.seed.thumbprint(), "went over to a new key pair");
        self.saved(inner)
    }
}

pub(crate) fn json(state: &State) -> Result<String> {
    serde_json::to_string(state)
        .map_err(|error| Error::Damaged { what: "the state", why: error.to_string() })
}

pub(crate) fn random_u64() -> Result<u64> {
    let mut bytes = [0; 8];
    rand::fill(&mut bytes).map_err(|_| Error::Random)?;
    Ok(u64::from_le_bytes(bytes))
}

fn check(settings: &Settings) -> Result<()> {
    if settings.spool_max_bytes < SPOOL_MAX_BYTES_MIN {
        return Err(Error::Setting(format!(
            "the spool holds at least {SPOOL_MAX_BYTES_MIN} bytes"
        )));
    }
    Ok(())
}

/// Whom to believe. A key set with a published test key is refused.
pub fn trust(settings: &Settings) -> Result<TrustSet> {
    let set = match &settings.product {
        Some(product) => TrustSet::from_jwks(product, &settings.keys),
        None => TrustSet::from_published_jwks(&settings.keys),
    };
    set.map_err(|error| Error::Keys {
        code: error.code(),
        message: format!("the product's keys (--keys): {error}"),
    })
}

async fn load(
    settings: &Settings,
    dir: &DataDir,
    store: &Store,
    trust: &TrustSet,
) -> Result<Inner> {
    let ledger = store.ledger().await?;
    let seed = Seed::open(dir, ledger.as_ref().map(|row| &*row.key))?;
    let mut state: State = match store.state().await? {
        None => State::default(),
        Some(json) => serde_json::from_str(&json)
            .map_err(|error| Error::Damaged { what: "the state", why: error.to_string() })?,
    };
    machine::adopt(&mut state, seed.public());
    if ledger.is_none() {
        store.begin_ledger(&seed.thumbprint(), Some(&json(&state)?)).await?;
    }
    let license = held_license(&state, trust)?;
    let floor_path = settings.floor_file.clone().unwrap_or_else(|| dir.file("floor"));
    Ok(Inner {
        license,
        license_key: store.meta(meta::LICENSE_KEY).await?,
        release: store.meta(meta::RELEASE).await?.filter(|text| !text.is_empty()),
        revocations: store.meta(meta::REVOCATIONS).await?,
        floor_file: FloorFile::new(floor_path, &seed),
        floor_written: None,
        floor_note: None,
        jitter: random_u64()?,
        seed,
        state,
    })
}

/// What was held before, verified again: the key set may have changed.
pub(crate) fn held_license(
    state: &State,
    trust: &TrustSet,
) -> Result<Option<Arc<Verified<LicenseClaims>>>> {
    let Some(held) = &state.license else { return Ok(None) };
    let verified = token::verify::<LicenseClaims>(&held.token, trust);
    verified.map(|license| Some(Arc::new(license))).map_err(|error| {
        let message = format!("the license held is not believed any more: {error}");
        Error::refused(error.code(), message)
    })
}

/// Both copies of the time floor; the later one wins.
fn read_floors(inner: &mut Inner, now: Timestamp) {
    let known = inner.state.floor.is_some();
    let path = inner.floor_file.path().display().to_string();
    match inner.floor_file.read() {
        Floor::At(at) => {
            inner.floor_written = Some(at);
            let lags = |floor: Timestamp| at.as_second() - floor.as_second() > FLOOR_LAG_SECONDS;
            if inner.state.floor.is_none_or(lags) {
                inner.floor_note = Some(format!(
                    "The database knew an earlier moment than {path}: an older copy of it was \
                     restored. License time goes on from the later one."
                ));
            }
            machine::raise_floor(&mut inner.state, at);
        }
        Floor::Missing if known => {
            inner.floor_note = Some(format!("{path} was missing and is written anew."));
        }
        Floor::Missing => {}
        Floor::Tampered => {
            inner.floor_note =
                Some(format!("{path} was not written by this instance; it is written anew."));
        }
    }
    machine::raise_floor(&mut inner.state, now);
}

/// Takes what `LICENSE_KEY` holds: a short key for the activation, or a license. Whether it
/// is another key than before, for which this installation is to be an instance of its own.
pub(crate) async fn present(
    inner: &mut Inner,
    store: &Store,
    trust: &TrustSet,
    presented: &str,
    now: Timestamp,
) -> Result<bool> {
    if inner.state.phase == Phase::Released {
        return Err(finished());
    }
    let refused = |error: tenure_license::presented::PresentedError| {
        Error::refused(error.code(), format!("the license key: {error}"))
    };
    let credential = match Presented::read(presented).map_err(refused)? {
        Presented::Key(key) => key.expose().to_owned(),
        Presented::Token(token) => {
            take_license(inner, store, trust, &token, now).await?;
            token
        }
    };
    if inner.license_key.as_deref() == Some(&credential) {
        return Ok(false);
    }
    let another = inner.license_key.is_some() && !credential.contains('.');
    store.set_meta(meta::LICENSE_KEY, &credential).await?;
    inner.license_key = Some(credential);
    Ok(another)
}

/// What a finished installation answers.
pub(crate) fn finished() -> Error {
    Error::refused(
        "instance_released",
        "this installation has given its license back and is finished; begin anew in an empty \
         data directory",
    )
}

/// Verifies a license and takes it; `Ok(false)` when it, or a newer one, was held.
pub(crate) async fn take_license(
    inner: &mut Inner,
    store: &Store,
    trust: &TrustSet,
    token: &str,
    now: Timestamp,
) -> Result<bool> {
    let verified = token::verify::<LicenseClaims>(token, trust)
        .map_err(|error| Error::refused(error.code(), format!("the license: {error}")))?;
    let claims = verified.claims().clone();
    let binding = claims.binding.clone();
    let taken = Taken { token: token.to_owned(), claims };
    let news = match machine::take_license(&mut inner.state, taken, true, now) {
        Ok(news) => news,
        // An environment keeps its first license for years; what was fetched since governs.
        Err(machine::Refusal::OlderRevision { .. })
            if inner.license_key.as_deref() == Some(token) =>
        {
            return Ok(false);
        }
        Err(refusal) => return Err(Error::refused(refusal.code(), refusal.to_string())),
    };
    if let Some(binding) = binding {
        // A file for this very key pair is its activation.
        inner.state.instance = Some(binding.instance);
        if inner.state.phase == Phase::Fresh {
            inner.state.phase = Phase::Active;
        }
    }
    if news {
        inner.license = Some(Arc::new(verified));
        again_revocations(inner, store, trust).await?;
    }
    Ok(news)
}

/// The list in hand was kept only as far as it was about the license before.
async fn again_revocations(inner: &mut Inner, store: &Store, trust: &TrustSet) -> Result<()> {
    let Some(list) = store.meta(meta::REVOCATIONS).await? else { return Ok(()) };
    if let Ok(list) = token::verify::<RevocationsClaims>(&list, trust) {
        let _ = machine::take_revocations(&mut inner.state, list.into_claims());
    }
    Ok(())
}
