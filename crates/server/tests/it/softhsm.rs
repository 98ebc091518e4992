//! A software token (SoftHSM2) for the tests of keys in a security module.
//!
//! The module reads its configuration from the environment, once a process. So
//! each such test runs itself again in a process of its own, whose environment
//! names a new token in a temporary directory.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error, RvError},
    mechanism::Mechanism,
    object::{Attribute, AttributeType, ObjectClass, ObjectHandle},
    session::{Session, UserType},
    types::AuthPin,
};
use tenure_server::products::signing::pkcs11::Settings;

/// The user's PIN of every test token.
pub const PIN: &str = "1234-test";
const LABEL: &str = "tenure-tests";
/// Where packages put the module.
const MODULES: [&str; 5] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
];
/// Names the directory of the token to the process that runs the test itself.
const DIR: &str = "TENURE_TEST_SOFTHSM_DIR";

fn module() -> PathBuf {
    let found = MODULES.iter().map(Path::new).find(|path| path.exists());
    let missing = "SoftHSM2 is not installed: run scripts/setup softhsm2";
    found.unwrap_or_else(|| panic!("{missing}")).to_owned()
}

/// A token of a test's own.
pub struct Token {
    dir: PathBuf,
    context: Pkcs11,
}

/// What keeps a private key inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guarded {
    sensitive: bool,
    always_sensitive: bool,
    not_extractable: bool,
    never_extractable: bool,
    private_exponent_refused: bool,
    prime_refused: bool,
}

impl Guarded {
    /// By everything there is.
    pub const ALL: Self = Self {
        sensitive: true,
        always_sensitive: true,
        not_extractable: true,
        never_extractable: true,
        private_exponent_refused: true,
        prime_refused: true,
    };
    /// By nothing.
    pub const NONE: Self = Self {
        sensitive: false,
        always_sensitive: false,
        not_extractable: false,
        never_extractable: false,
        private_exponent_refused: false,
        prime_refused: false,
    };
}

/// Runs `test` in a process of its own with a new token; `name` is the test's own.
pub fn inside<F: Future<Output = ()>>(name: &str, test: impl FnOnce(Token) -> F) {
    if let Some(dir) = std::env::var_os(DIR) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let context = Pkcs11::new(module()).expect("the module loads");
        return runtime.block_on(test(Token { dir: dir.into(), context }));
    }
    let dir = tempfile::tempdir().unwrap();
    let (tokens, config) = (dir.path().join("tokens"), dir.path().join("softhsm2.conf"));
    fs::create_dir(&tokens).unwrap();
    let text = format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display());
    fs::write(&config, text).unwrap();
    let _ = module();
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", LABEL, "--so-pin", "0000-test", "--pin", PIN])
        .env("SOFTHSM2_CONF", &config)
        .output()
        .expect("softhsm2-util is not installed: run scripts/setup softhsm2");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let done = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads", "1"])
        .env("SOFTHSM2_CONF", &config)
        .env(DIR, dir.path())
        .output()
        .expect("the test runs again");
    let told = String::from_utf8_lossy(&done.stdout);
    assert!(
        done.status.success() && told.contains("1 passed"),
        "{told}\n{}",
        String::from_utf8_lossy(&done.stderr)
    );
}

impl Token {
    /// How a server reaches it.
    pub fn settings(&self) -> Settings {
        let pin_file = self.file("pin", &format!("{PIN}\n"), 0o600);
        Settings { module: module(), token: LABEL.to_owned(), pin_file }
    }

    /// A file beside the token.
    pub fn file(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.dir.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    /// A session beside those of the server, which is the same process to the module.
    fn session(&self) -> Session {
        self.initialise();
        let slots = self.context.get_slots_with_initialized_token().unwrap();
        let session = self.context.open_rw_session(slots[0]).unwrap();
        match session.login(UserType::User, Some(&AuthPin::new(PIN.into()))) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => session,
            Err(error) => panic!("{error}"),
        }
    }

    fn initialise(&self) {
        match self.context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn handles(session: &Session) -> Vec<ObjectHandle> {
        session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)]).unwrap()
    }

    /// The private keys in the token, with what happens when one tries to read them.
    pub fn private_keys(&self) -> Vec<(String, Guarded)> {
        let session = self.session();
        Self::handles(&session).into_iter().map(|key| look(&session, key)).collect()
    }

    /// The same of a key that was made to be read: that looking finds something.
    pub fn look_at_an_unguarded_key(&self) -> Guarded {
        let session = self.session();
        let public = [Attribute::ModulusBits(2048.into())];
        let private = [
            Attribute::Token(false),
            Attribute::Private(false),
            Attribute::Sensitive(false),
            Attribute::Extractable(true),
        ];
        let made = session.generate_key_pair(&Mechanism::RsaPkcsKeyPairGen, &public, &private);
        look(&session, made.unwrap().1).1
    }

    /// Loses every private key.
    pub fn destroy_keys(&self) {
        let session = self.session();
        for key in Self::handles(&session) {
            session.destroy_object(key).unwrap();
        }
    }

    /// Ends the login of the whole process.
    pub fn log_everybody_out(&self) {
        self.session().logout().unwrap();
    }

    /// Forgets every session, as a module does that was restarted.
    pub fn restart_module(&self) {
        self.context.clone().finalize().unwrap();
        self.initialise();
    }
}

fn look(session: &Session, key: ObjectHandle) -> (String, Guarded) {
    let flags = [
        AttributeType::Label,
        AttributeType::Sensitive,
        AttributeType::AlwaysSensitive,
        AttributeType::Extractable,
        AttributeType::NeverExtractable,
    ];
    let said = session.get_attributes(key, &flags).unwrap();
    let label = said.iter().find_map(|attribute| match attribute {
        Attribute::Label(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    });
    // cryptoki leaves out what the module does not give.
    let refused =
        |attribute| session.get_attributes(key, &[attribute]).is_ok_and(|it| it.is_empty());
    let guarded = Guarded {
        sensitive: said.contains(&Attribute::Sensitive(true)),
        always_sensitive: said.contains(&Attribute::AlwaysSensitive(true)),
        not_extractable: said.contains(&Attribute::Extractable(false)),
        never_extractable: said.contains(&Attribute::NeverExtractable(true)),
        private_exponent_refused: refused(AttributeType::PrivateExponent),
        prime_refused: refused(AttributeType::Prime1),
    };
    (label.unwrap_or_default(), guarded)
}
