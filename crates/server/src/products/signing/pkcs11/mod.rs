//! Keys inside a security module (HSM), reached through PKCS#11.
//!
//! Owns: making RSA-3072 key pairs in the module, finding them again by id and
//! label, and signing with them. Refuses: a key that could leave the module, a
//! PIN file that others can read, and trying a refused PIN twice, because modules
//! lock themselves after a few attempts.
//!
//! Everything here blocks: call it from `spawn_blocking`.

mod sessions;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use cryptoki::{
    error::RvError,
    mechanism::Mechanism,
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::{Session, SessionState},
    types::AuthPin,
};
use tenure_license::{
    PublicKey, Signer, TrustSet,
    keys::{KEY_BITS, KeyError, SignError},
};

use sessions::Sessions;

/// Longest PIN, in bytes.
const PIN_LEN_MAX: usize = 256;
/// Looks for a key in a session that is logged in, before it counts as gone.
const LOOKS_MAX: usize = 3;
/// 65537, as PKCS#11 writes it.
const EXPONENT: [u8; 3] = [1, 0, 1];

/// Which module, and how to log in to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The module's shared library.
    pub module: PathBuf,
    /// Label of the token in it.
    pub token: String,
    /// File with the user's PIN.
    pub pin_file: PathBuf,
}

/// Why the module does not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The library is missing, or no PKCS#11 module.
    #[error("the PKCS#11 module {path} cannot be loaded: {source}. Check TENURE_PKCS11_MODULE")]
    Module {
        /// Where.
        path: PathBuf,
        /// What.
        source: cryptoki::error::Error,
    },
    /// The PIN file is missing or unreadable.
    #[error("the PIN file {path}: {source}. Check TENURE_PKCS11_PIN_FILE")]
    PinFile {
        /// Where.
        path: PathBuf,
        /// What.
        source: std::io::Error,
    },
    /// Others could read the PIN.
    #[error("the PIN file {0} can be read by others: run chmod 600 on it")]
    PinExposed(PathBuf),
    /// There is no PIN in it.
    #[error("the PIN file {0} must hold the PIN alone, of 1 to {PIN_LEN_MAX} bytes")]
    PinMalformed(PathBuf),
    /// No token has the label.
    #[error("the module has no token `{token}`; it has {found}. Check TENURE_PKCS11_TOKEN")]
    NoToken {
        /// What was looked for.
        token: String,
        /// What there is.
        found: String,
    },
    /// The token refused the PIN.
    #[error(
        "the token `{0}` refused the PIN. It is not tried again, because tokens lock themselves: \
         correct TENURE_PKCS11_PIN_FILE and start again"
    )]
    WrongPin(String),
    /// The token is locked.
    #[error("the token `{0}` is locked after wrong PINs: unlock it with the module's own tool")]
    PinLocked(String),
    /// The key is in another token than the configured one.
    #[error("the key `{label}` is in the token `{token}`; TENURE_PKCS11_TOKEN names another")]
    OtherToken {
        /// Which key.
        label: String,
        /// Its token.
        token: String,
    },
    /// The token does not have the key.
    #[error(
        "the token `{token}` has no private key `{label}`: restore it from the module's backup"
    )]
    NoKey {
        /// The token.
        token: String,
        /// Which key.
        label: String,
    },
    /// The token has several keys of one id.
    #[error("the token `{token}` has several private keys `{label}`; one must be removed")]
    ManyKeys {
        /// The token.
        token: String,
        /// Which key.
        label: String,
    },
    /// The module made a key that could leave it.
    #[error("the token `{0}` made a key that it would give out; it was destroyed again")]
    Extractable(String),
    /// The module made something else than asked for.
    #[error("the module made an unusable key: {0}")]
    Key(#[from] KeyError),
    /// The signature does not verify with the published key.
    #[error("the key `{0}` in the module is another one than the published one")]
    OtherKey(String),
    /// Every session is in use, for too long.
    #[error("the module is busy: no session became free in time")]
    Busy,
    /// Somebody logged this process out.
    #[error("the module ended the session")]
    LoggedOut,
    /// Anything else that the module says.
    #[error("the module failed: {0}")]
    Call(#[from] cryptoki::error::Error),
}

impl Error {
    /// Whether a new session may do what this one did not.
    fn session_is_lost(&self) -> bool {
        use RvError as R;
        let Self::Call(cryptoki::error::Error::Pkcs11(code, _)) = self else {
            return matches!(self, Self::LoggedOut);
        };
        matches!(
            code,
            R::SessionHandleInvalid
                | R::SessionClosed
                | R::UserNotLoggedIn
                | R::CryptokiNotInitialized
                | R::DeviceError
                | R::DeviceRemoved
                | R::TokenNotPresent
                | R::ObjectHandleInvalid
                | R::KeyHandleInvalid
                | R::OperationActive
                | R::OperationNotInitialized
                // What some modules say when the login ends in the middle of something.
                | R::GeneralError
                | R::FunctionFailed
        )
    }
}

/// Where a key is in its module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleKey {
    /// Label of the token.
    pub token: String,
    /// `CKA_ID`.
    pub id: Vec<u8>,
    /// `CKA_LABEL`.
    pub label: String,
}

impl ModuleKey {
    fn is(&self, class: ObjectClass) -> [Attribute; 5] {
        [
            Attribute::Class(class),
            Attribute::KeyType(KeyType::RSA),
            Attribute::Token(true),
            Attribute::Id(self.id.clone()),
            Attribute::Label(self.label.clone().into_bytes()),
        ]
    }
}

/// A token of a module, logged in to.
pub struct Module {
    token: String,
    sessions: Sessions,
}

impl Module {
    /// Loads the module and logs in once, so that what is wrong is said at start.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(settings: Settings) -> Result<Self, Error> {
        let token = settings.token.clone();
        let sessions = Sessions::open(settings)?;
        let module = Self { token, sessions };
        module.sessions.with(|_| Ok(()))?;
        Ok(module)
    }

    /// Makes a key pair whose private half cannot leave the token.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn generate(&self, id: &[u8], label: &str) -> Result<(ModuleKey, PublicKey), Error> {
        let key = ModuleKey { token: self.token.clone(), id: id.to_vec(), label: label.to_owned() };
        let public = self.sessions.with(|session| self.make(session, &key))?;
        Ok((key, public))
    }

    fn make(&self, session: &Session, key: &ModuleKey) -> Result<PublicKey, Error> {
        let named = [
            Attribute::Token(true),
            Attribute::Id(key.id.clone()),
            Attribute::Label(key.label.clone().into_bytes()),
        ];
        let bits = u64::try_from(KEY_BITS).expect("3072 fits");
        let public = [
            Attribute::Private(false),
            Attribute::Verify(true),
            Attribute::ModulusBits(bits.into()),
            Attribute::PublicExponent(EXPONENT.to_vec()),
        ];
        let private = [
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
            Attribute::Decrypt(false),
            Attribute::Unwrap(false),
        ];
        // A new id is nobody's: what has it is left over from a session that was lost.
        for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
            for left in session.find_objects(&key.is(class))? {
                session.destroy_object(left)?;
            }
        }
        let (public, private) = session.generate_key_pair(
            &Mechanism::RsaPkcsKeyPairGen,
            &[&named[..], &public[..]].concat(),
            &[&named[..], &private[..]].concat(),
        )?;
        if !stays_inside(session, private)? {
            let _ = session.destroy_object(private);
            let _ = session.destroy_object(public);
            return Err(Error::Extractable(self.token.clone()));
        }
        read_public(session, public)
    }

    fn sign(&self, key: &ModuleKey, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.sessions.with(|session| {
            let private = self.find(session, key)?;
            Ok(session.sign(&Mechanism::Sha256RsaPkcs, private, message)?)
        })
    }

    /// Handles do not outlive a login, so a key is looked up each time.
    fn find(&self, session: &Session, key: &ModuleKey) -> Result<ObjectHandle, Error> {
        for _ in 0..LOOKS_MAX {
            let found = session.find_objects(&key.is(ObjectClass::PRIVATE_KEY))?;
            match found.as_slice() {
                [one] => return Ok(*one),
                // Without a login, private keys look as if they were not there. Another
                // thread may have logged in since, so one look alone proves nothing.
                [] => match session.get_session_info()?.session_state() {
                    SessionState::RwUser | SessionState::RoUser => {}
                    _ => return Err(Error::LoggedOut),
                },
                _ => {
                    return Err(Error::ManyKeys {
                        token: self.token.clone(),
                        label: key.label.clone(),
                    });
                }
            }
        }
        Err(Error::NoKey { token: self.token.clone(), label: key.label.clone() })
    }
}

fn stays_inside(session: &Session, private: ObjectHandle) -> Result<bool, Error> {
    let asked = [AttributeType::Sensitive, AttributeType::Extractable];
    let said = session.get_attributes(private, &asked)?;
    Ok(said.contains(&Attribute::Sensitive(true)) && said.contains(&Attribute::Extractable(false)))
}

fn read_public(session: &Session, public: ObjectHandle) -> Result<PublicKey, Error> {
    let asked = [AttributeType::Modulus, AttributeType::PublicExponent];
    let mut modulus = Vec::new();
    for attribute in session.get_attributes(public, &asked)? {
        match attribute {
            Attribute::Modulus(bytes) => modulus = bytes,
            Attribute::PublicExponent(bytes) if without_zeros(&bytes) != EXPONENT => {
                return Err(KeyError::Exponent.into());
            }
            _ => {}
        }
    }
    Ok(PublicKey::from_modulus(without_zeros(&modulus))?)
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// The PIN, read at each login, so that a new one needs no restart.
fn read_pin(path: &Path) -> Result<AuthPin, Error> {
    let file = |source| Error::PinFile { path: path.to_owned(), source };
    let mode = fs::metadata(path).map_err(file)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(Error::PinExposed(path.to_owned()));
    }
    let text = zeroize::Zeroizing::new(fs::read_to_string(path).map_err(file)?);
    let pin = text.trim_end_matches(['\r', '\n']);
    if pin.is_empty() || pin.len() > PIN_LEN_MAX || pin.contains('\n') {
        return Err(Error::PinMalformed(path.to_owned()));
    }
    Ok(AuthPin::new(pin.into()))
}

/// A signer whose private key never leaves its module.
pub struct ModuleSigner {
    module: Arc<Module>,
    key: ModuleKey,
    public: PublicKey,
    published: TrustSet,
}

impl ModuleSigner {
    /// The signer of a key that was made before.
    ///
    /// # Errors
    /// [`Error::OtherToken`], and [`Error::NoKey`] where the token has lost it.
    pub fn open(module: Arc<Module>, key: ModuleKey, published: TrustSet) -> Result<Self, Error> {
        if key.token != module.token {
            return Err(Error::OtherToken { label: key.label, token: key.token });
        }
        let public = published.keys().next().cloned();
        let public = public.ok_or(Error::Key(KeyError::Unreadable))?;
        module.sessions.with(|session| module.find(session, &key))?;
        Ok(Self { module, key, public, published })
    }
}

impl Signer for ModuleSigner {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let signed = self.module.sign(&self.key, message).and_then(|signature| {
            // Costs little beside the way to the module, and nothing wrong is ever issued.
            let key = self.published.key(self.public.kid());
            match key.is_some_and(|key| key.verifies(message, &signature)) {
                true => Ok(signature),
                false => Err(Error::OtherKey(self.key.label.clone())),
            }
        });
        signed.map_err(|error| SignError(error.to_string()))
    }
}
