//! A bounded number of sessions with one token, opened when needed, kept while
//! they work, and replaced when the module has lost them.

use std::{
    mem,
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error as Failure, RvError},
    session::{Session, UserType},
    slot::Slot,
};

use super::{Error, Settings, read_pin};

/// Sessions at most; small modules have few.
const SESSIONS_MAX: usize = 4;
/// How long an operation waits for a session.
const SESSION_WAIT: Duration = Duration::from_secs(10);

pub(super) struct Sessions {
    settings: Settings,
    context: Pkcs11,
    pool: Mutex<Pool>,
    freed: Condvar,
    /// One login at a time: several with a wrong PIN would lock the token.
    login: Mutex<()>,
    pin_refused: AtomicBool,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Session>,
    /// Idle and lent ones.
    open: usize,
}

/// A session that goes back to the pool, unless it was lost.
struct Lent<'a> {
    of: &'a Sessions,
    session: Option<Session>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut pool = self.of.pool();
        match self.session.take() {
            Some(session) => pool.idle.push(session),
            None => pool.open -= 1,
        }
        drop(pool);
        self.of.freed.notify_one();
    }
}

impl Sessions {
    pub(super) fn open(settings: Settings) -> Result<Self, Error> {
        let path = &settings.module;
        let context =
            Pkcs11::new(path).map_err(|source| Error::Module { path: path.clone(), source })?;
        let (pool, freed) = (Mutex::default(), Condvar::new());
        let (login, pin_refused) = (Mutex::default(), AtomicBool::new(false));
        Ok(Self { settings, context, pool, freed, login, pin_refused })
    }

    /// Does `work` in a session; once more in a new one when this one was lost.
    pub(super) fn with<T>(&self, work: impl Fn(&Session) -> Result<T, Error>) -> Result<T, Error> {
        match self.attempt(&work) {
            Err(error) if error.session_is_lost() => {
                tracing::warn!(%error, "logging in to the security module again");
                self.attempt(&work)
            }
            done => done,
        }
    }

    fn attempt<T>(&self, work: impl Fn(&Session) -> Result<T, Error>) -> Result<T, Error> {
        let mut lent = Lent { of: self, session: self.take()? };
        if lent.session.is_none() {
            lent.session = Some(self.log_in()?);
        }
        let session = lent.session.as_ref().expect("it was just opened");
        let done = work(session);
        if done.as_ref().is_err_and(Error::session_is_lost) {
            // The others share its login. Dropping a session closes it.
            lent.session = None;
            let stale = {
                let mut pool = self.pool();
                let stale = mem::take(&mut pool.idle);
                pool.open -= stale.len();
                stale
            };
            drop(stale);
            self.freed.notify_all();
        }
        done
    }

    /// An idle session, or the right to open one.
    fn take(&self) -> Result<Option<Session>, Error> {
        let none = |pool: &mut Pool| pool.idle.is_empty() && pool.open >= SESSIONS_MAX;
        let waited = self.freed.wait_timeout_while(self.pool(), SESSION_WAIT, none);
        let (mut pool, timeout) = waited.unwrap_or_else(|poisoned| poisoned.into_inner());
        if timeout.timed_out() {
            return Err(Error::Busy);
        }
        let idle = pool.idle.pop();
        if idle.is_none() {
            pool.open += 1;
        }
        Ok(idle)
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn log_in(&self) -> Result<Session, Error> {
        let token = || self.settings.token.clone();
        let _alone = self.login.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if self.pin_refused.load(Ordering::Acquire) {
            return Err(Error::WrongPin(token()));
        }
        let pin = read_pin(&self.settings.pin_file)?;
        let threads = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
        match self.context.initialize(threads) {
            Ok(()) | Err(Failure::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(source) => {
                return Err(Error::Module { path: self.settings.module.clone(), source });
            }
        }
        let session = self.context.open_rw_session(self.slot()?)?;
        match session.login(UserType::User, Some(&pin)) {
            // A login is the whole process', not the session's.
            Ok(()) | Err(Failure::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
            Err(Failure::Pkcs11(
                RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange,
                _,
            )) => {
                self.pin_refused.store(true, Ordering::Release);
                Err(Error::WrongPin(token()))
            }
            Err(Failure::Pkcs11(RvError::PinLocked, _)) => Err(Error::PinLocked(token())),
            Err(other) => Err(other.into()),
        }
    }

    fn slot(&self) -> Result<Slot, Error> {
        let mut found = Vec::new();
        for slot in self.context.get_slots_with_initialized_token()? {
            let label = self.context.get_token_info(slot)?.label().trim_end().to_owned();
            if label == self.settings.token {
                return Ok(slot);
            }
            found.push(format!("`{label}`"));
        }
        let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
        Err(Error::NoToken { token: self.settings.token.clone(), found })
    }
}
