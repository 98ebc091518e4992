//! How a product says what it is, and its customer where the license is.

use std::{fs, io::Read as _, path::PathBuf, sync::Arc};

use tenure_core::clock::{Clock, SystemClock};
use tenure_license::{TrustSet, file::FILE_LEN_MAX, presented::Presented};

use crate::{
    Agent, Error, Server, Tenure,
    source::{AGENT_ADDRESS, Source},
    state_file::StateFile,
};

/// Longest path that `LICENSE_KEY` may be, in bytes.
const PATH_LEN_MAX: usize = 4096;

/// What the customer configures; [`Settings::from_env`] reads it from the environment.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// `LICENSE_KEY`: a token, the text of a `.lic` file or its path, or a short key.
    pub license_key: Option<String>,
    /// `TENURE_AGENT_SECRET_FILE`: an agent is used when it is given.
    pub agent_secret_file: Option<PathBuf>,
    /// `TENURE_AGENT`: where the agent listens; `http://127.0.0.1:8766` when left out.
    pub agent: Option<String>,
    /// `TENURE_SERVER`: where short keys are exchanged and licenses validated.
    pub server: Option<String>,
    /// `TENURE_API_KEY`: opens the server's usage API.
    pub api_key: Option<String>,
    /// `TENURE_STATE_FILE`: keeps time floor and license over a restart.
    pub state_file: Option<PathBuf>,
    /// `TENURE_SOURCE`: the source of usage events; product and host when left out.
    pub source: Option<String>,
}

impl Settings {
    /// What the environment says. Empty is the same as not set.
    pub fn from_env() -> Self {
        #[allow(
            clippy::disallowed_methods,
            reason = "this is where an SDK's configuration is read"
        )]
        let read = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            license_key: read("LICENSE_KEY"),
            agent_secret_file: read("TENURE_AGENT_SECRET_FILE").map(Into::into),
            agent: read("TENURE_AGENT"),
            server: read("TENURE_SERVER"),
            api_key: read("TENURE_API_KEY"),
            state_file: read("TENURE_STATE_FILE").map(Into::into),
            source: read("TENURE_SOURCE"),
        }
    }
}

/// Makes a [`Tenure`].
pub struct Builder {
    product: String,
    keys: String,
    test_keys: bool,
    clock: Arc<dyn Clock>,
}

impl Default for Builder {
    fn default() -> Self {
        let (product, keys) = (String::new(), String::new());
        Self { product, keys, test_keys: false, clock: Arc::new(SystemClock) }
    }
}

impl Builder {
    /// The product's id in its product file.
    pub fn product(mut self, product: &str) -> Self {
        self.product = product.into();
        self
    }

    /// The key set that the vendor publishes, as text. A product ships it inside itself: whoever
    /// may replace it may sign licenses.
    pub fn keys(mut self, jwks: &str) -> Self {
        self.keys = jwks.into();
        self
    }

    /// Believes the published test keys too: for the golden vectors and for nothing else.
    pub fn allow_test_keys(mut self) -> Self {
        self.test_keys = true;
        self
    }

    /// Another clock than the machine's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Starts as the environment says ([`Settings`]).
    pub fn from_env(self) -> Result<Tenure, Error> {
        self.start(Settings::from_env())
    }

    /// Starts. With an agent or a short key it waits for the first answer.
    pub fn start(self, settings: Settings) -> Result<Tenure, Error> {
        let trust = match self.test_keys {
            true => TrustSet::from_test_jwks(&self.product, &self.keys)?,
            false => TrustSet::from_jwks(&self.product, &self.keys)?,
        };
        let (token, source) = place(&settings)?;
        let state_file = settings.state_file.map(StateFile::at);
        let origin = settings.source.unwrap_or_else(|| format!("/{}/{}", self.product, host()));
        Tenure::start(trust, token, source, state_file, origin, self.clock)
    }
}

/// The token that is held, and who is asked: an agent where there is one, else the server.
fn place(settings: &Settings) -> Result<(Option<String>, Option<Source>), Error> {
    if let Some(path) = &settings.agent_secret_file {
        let secret = read_text(path.clone(), PATH_LEN_MAX)?;
        let agent = Agent::new(settings.agent.as_deref().unwrap_or(AGENT_ADDRESS), &secret)?;
        return Ok((None, Some(Source::Agent(agent))));
    }
    let text = settings.license_key.clone().ok_or(Error::Missing)?;
    let path = PathBuf::from(&text);
    let is_path = text.len() < PATH_LEN_MAX && !text.contains('\n') && path.is_file();
    let text = if is_path { read_text(path, FILE_LEN_MAX)? } else { text };
    let (token, key) = match Presented::read(&text)? {
        Presented::Token(token) => (Some(token), None),
        Presented::Key(key) => (None, Some(key)),
    };
    let source = match &settings.server {
        Some(address) => Some(Source::Server(Server::new(address, key, settings.api_key.clone())?)),
        None if key.is_some() => return Err(Error::KeyNeedsServer),
        None => None,
    };
    Ok((token, source))
}

fn read_text(path: PathBuf, len_max: usize) -> Result<String, Error> {
    let mut bytes = Vec::new();
    fs::File::open(&path)
        .and_then(|file| file.take(len_max as u64 + 1).read_to_end(&mut bytes))
        .map_err(|source| Error::File { path: path.display().to_string(), source })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The machine's name, as far as the system tells it without asking a library.
fn host() -> String {
    let told = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if told.trim().is_empty() { "unknown".into() } else { told.trim().to_owned() }
}
