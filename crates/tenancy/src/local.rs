//! A private PostgreSQL cluster, for a server that was given no database.
//!
//! Owns: one data directory, started from the installed binaries on a Unix
//! socket that only its user can reach, and stopped again. Refuses: to run
//! without PostgreSQL 15 or newer, saying what to install.

use std::{
    fs, io,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, User, geteuid},
};

/// The oldest PostgreSQL that has what Tenure needs.
pub const POSTGRES_MAJOR_MIN: u32 = 15;
/// How long a cluster may take to start or stop.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a new cluster is set to; its `postgresql.conf` says so, and can be edited. Usage names its
/// keys at random, so every page of their indexes is written soon after every checkpoint, whole,
/// to the log: checkpoints by PostgreSQL's own 1 GB come every few seconds then
/// (docs/benchmarks.md).
const SETTINGS: [&str; 2] = ["max_wal_size = 4GB", "checkpoint_timeout = 15min"];
/// The same, where PostgreSQL was built with it.
const COMPRESSION: &str = "wal_compression=lz4";
/// The private cluster's superuser and database.
const SUPERUSER: &str = "tenure_admin";
/// Whom PostgreSQL runs as when Tenure is started by root.
const UNPRIVILEGED_USER: &str = "postgres";

/// Why there is no private cluster.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing to run.
    #[error(
        "PostgreSQL {POSTGRES_MAJOR_MIN} or newer is not installed. Install it \
         (Debian: apt-get install postgresql), or point TENURE_DATABASE_URL at a server"
    )]
    NotInstalled,
    /// Root, and nobody to become.
    #[error(
        "PostgreSQL refuses to run as root and there is no user `{UNPRIVILEGED_USER}` to run it as. \
         Create one, or start Tenure as an ordinary user"
    )]
    NoUnprivilegedUser,
    /// The directory is out of the unprivileged user's reach.
    #[error(
        "the user `{UNPRIVILEGED_USER}`, whom PostgreSQL runs as, cannot reach {0}. Choose a data \
         directory outside private directories with TENURE_DATA_DIR, such as /var/lib/tenure"
    )]
    Unreachable(PathBuf),
    /// One of PostgreSQL's programs failed.
    #[error("{program} failed: {output}")]
    Failed {
        /// Which.
        program: &'static str,
        /// Its last words.
        output: String,
    },
    /// Neither ready nor gone in time.
    #[error("PostgreSQL did not become ready within {} s; see {log}", PATIENCE.as_secs())]
    TimedOut {
        /// Where it wrote.
        log: PathBuf,
    },
    /// The file system said no.
    #[error("{path}: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// What.
        source: io::Error,
    },
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Error + '_ {
    move |source| Error::Io { path: path.to_owned(), source }
}

/// How much a crash of the machine may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Every commit reaches the disk.
    Full,
    /// For tests: a crash of the machine may lose everything.
    None,
}

/// A running private cluster. Dropping it stops it.
pub struct Cluster {
    child: Option<Child>,
    url: String,
}

impl Cluster {
    /// Starts the cluster in `dir`, making it first when it is new.
    ///
    /// A server left over from a killed process is stopped first. Blocks for as
    /// long as PostgreSQL takes: call it before serving.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn start(dir: &Path, durability: Durability) -> Result<Self, Error> {
        let bin = binaries().ok_or(Error::NotInstalled)?;
        let user = unprivileged_user()?;
        fs::create_dir_all(dir).map_err(at(dir))?;
        let dir = dir.canonicalize().map_err(at(dir))?;
        reachable(&dir, user.as_ref())?;
        let data = dir.join("pgdata");
        let sockets = socket_dir(&data, user.as_ref())?;
        if !data.join("PG_VERSION").exists() {
            initialise(&bin, &data, user.as_ref())?;
        }
        stop_leftover(&bin, &data, user.as_ref());
        let log = dir.join("postgres.log");
        let mut cluster = Self::spawn(&bin, &data, &sockets, &log, durability, user.as_ref())?;
        cluster.wait_ready(&bin, &sockets, &log)?;
        Ok(cluster)
    }

    /// A privileged URL of the cluster's database.
    pub fn url(&self) -> &str {
        &self.url
    }

    fn spawn(
        bin: &Path,
        data: &Path,
        sockets: &Path,
        log: &Path,
        durability: Durability,
        user: Option<&User>,
    ) -> Result<Self, Error> {
        let password_file = data.join("tenure_admin.password");
        let password = fs::read_to_string(&password_file).map_err(at(&password_file))?;
        let output = fs::File::create(log).map_err(at(log))?;
        let errors = output.try_clone().map_err(at(log))?;
        let mut command = command(bin, "postgres", user);
        command.arg("-D").arg(data).arg("-k").arg(sockets);
        command.args(["-c", "listen_addresses=", "-c", "max_connections=100"]);
        if durability == Durability::None {
            command.args(["-c", "fsync=off", "-c", "full_page_writes=off"]);
        }
        // A group of its own: Ctrl-C reaches Tenure, which then stops it in order.
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .map_err(at(bin))?;
        let host: String =
            url::form_urlencoded::byte_serialize(sockets.as_os_str().to_string_lossy().as_bytes())
                .collect();
        let url =
            format!("postgres://{SUPERUSER}:{}@localhost/tenure?host={host}", password.trim());
        Ok(Self { child: Some(child), url })
    }

    fn wait_ready(&mut self, bin: &Path, sockets: &Path, log: &Path) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(child) = &mut self.child
                && let Ok(Some(_)) = child.try_wait()
            {
                return Err(Error::Failed { program: "postgres", output: last_lines(log) });
            }
            let ready = Command::new(bin.join("pg_isready"))
                .args(["-q", "-d", "tenure", "-h"])
                .arg(sockets)
                .status()
                .is_ok_and(|status| status.success());
            if ready {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(Error::TimedOut { log: log.to_owned() })
    }

    /// Stops the cluster, ending open connections, and waits for it.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let Ok(pid) = i32::try_from(child.id()) else { return };
        // SIGINT is PostgreSQL's fast shutdown; SIGQUIT, its immediate one.
        for signal in [Signal::SIGINT, Signal::SIGQUIT] {
            if kill(Pid::from_raw(pid), signal).is_err() {
                break;
            }
            let deadline = Instant::now() + PATIENCE / 2;
            while Instant::now() < deadline {
                if !matches!(child.try_wait(), Ok(None)) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.end();
    }
}

/// The newest installed server's programs.
fn binaries() -> Option<PathBuf> {
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = debian
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path())))
        .map(|(major, path)| (major, path.join("bin")))
        .filter(|(major, bin)| *major >= POSTGRES_MAJOR_MIN && bin.join("postgres").exists())
        .max_by_key(|(major, _)| *major);
    if let Some((_, bin)) = newest {
        return Some(bin);
    }
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let bin = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    let version = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&version.stdout).into_owned();
    let major = text.split_whitespace().nth(2)?.split('.').next()?.parse::<u32>().ok()?;
    (major >= POSTGRES_MAJOR_MIN).then_some(bin)
}

fn unprivileged_user() -> Result<Option<User>, Error> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    User::from_name(UNPRIVILEGED_USER).ok().flatten().map(Some).ok_or(Error::NoUnprivilegedUser)
}

fn command(bin: &Path, program: &str, user: Option<&User>) -> Command {
    let mut command = Command::new(bin.join(program));
    command.env_remove("PGDATA").env_remove("PGHOST").env_remove("PGPORT");
    if let Some(user) = user {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw()).current_dir("/");
    }
    command
}

fn own(path: &Path, user: Option<&User>) -> Result<(), Error> {
    if let Some(user) = user {
        std::os::unix::fs::chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
            .map_err(at(path))?;
    }
    Ok(())
}

/// Every directory above must let the unprivileged user pass.
fn reachable(dir: &Path, user: Option<&User>) -> Result<(), Error> {
    let Some(user) = user else { return Ok(()) };
    for ancestor in dir.ancestors() {
        use std::os::unix::fs::MetadataExt;
        let meta = fs::metadata(ancestor).map_err(at(ancestor))?;
        let passable = meta.mode() & 0o001 != 0 || meta.uid() == user.uid.as_raw();
        if !passable {
            return Err(Error::Unreachable(ancestor.to_owned()));
        }
    }
    Ok(())
}

/// A short path (the limit is 107 bytes), the same for the same data directory.
fn socket_dir(data: &Path, user: Option<&User>) -> Result<PathBuf, Error> {
    let digest = aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA256,
        data.as_os_str().to_string_lossy().as_bytes(),
    );
    let name = format!("tenure-{}-{}", geteuid(), hex::encode(&digest.as_ref()[..6]));
    let sockets = std::env::temp_dir().join(name);
    fs::create_dir_all(&sockets).map_err(at(&sockets))?;
    own(&sockets, user)?;
    fs::set_permissions(&sockets, fs::Permissions::from_mode(0o700)).map_err(at(&sockets))?;
    Ok(sockets)
}

fn initialise(bin: &Path, data: &Path, user: Option<&User>) -> Result<(), Error> {
    let mut random = [0u8; 24];
    aws_lc_rs::rand::fill(&mut random)
        .map_err(|_| Error::Failed { program: "initdb", output: "no random bytes".into() })?;
    fs::create_dir_all(data).map_err(at(data))?;
    fs::set_permissions(data, fs::Permissions::from_mode(0o700)).map_err(at(data))?;
    own(data, user)?;
    let parent = data.parent().unwrap_or(data);
    let password = parent.join("initial.password");
    fs::write(&password, hex::encode(random)).map_err(at(&password))?;
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).map_err(at(&password))?;
    own(&password, user)?;
    let mut initdb = command(bin, "initdb", user);
    initdb.arg("-D").arg(data).arg("-U").arg(SUPERUSER);
    initdb.arg("--pwfile").arg(&password);
    initdb.args(["-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-instructions"]);
    run(initdb, "initdb")?;
    tune(bin, data, user)?;
    let kept = data.join("tenure_admin.password");
    fs::rename(&password, &kept).map_err(at(&kept))?;
    create_database(bin, data, user)
}

/// Adds [`SETTINGS`] to the configuration of a new cluster.
fn tune(bin: &Path, data: &Path, user: Option<&User>) -> Result<(), Error> {
    use std::io::Write;
    let mut lines = SETTINGS.join("\n");
    let mut compression = command(bin, "postgres", user);
    compression.arg("-D").arg(data).args(["-c", COMPRESSION, "-C", "wal_compression"]);
    if run(compression, "postgres -C").is_ok() {
        lines = format!("{lines}\n{COMPRESSION}");
    }
    let path = data.join("postgresql.conf");
    let mut file = fs::OpenOptions::new().append(true).open(&path).map_err(at(&path))?;
    writeln!(file, "\n# Set by Tenure when it made this cluster.\n{lines}").map_err(at(&path))
}

/// `postgres --single` needs no running server and no login.
fn create_database(bin: &Path, data: &Path, user: Option<&User>) -> Result<(), Error> {
    use std::io::Write;
    let mut child = command(bin, "postgres", user)
        .args(["--single", "-D"])
        .arg(data)
        .arg("postgres")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(at(bin))?;
    if let Some(stdin) = &mut child.stdin {
        stdin.write_all(b"CREATE DATABASE tenure;\n").map_err(at(bin))?;
    }
    let status = child.wait().map_err(at(bin))?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Failed { program: "postgres --single", output: status.to_string() })
}

fn run(mut command: Command, program: &'static str) -> Result<(), Error> {
    let output =
        command.output().map_err(|error| Error::Failed { program, output: error.to_string() })?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::Failed { program, output: text })
}

/// A server whose Tenure was killed: end it before starting ours.
fn stop_leftover(bin: &Path, data: &Path, user: Option<&User>) {
    if !data.join("postmaster.pid").exists() {
        return;
    }
    let mut stop = command(bin, "pg_ctl", user);
    stop.args(["stop", "-m", "fast", "-w", "-t", "30", "-D"]).arg(data);
    if let Err(error) = run(stop, "pg_ctl") {
        tracing::debug!(%error, "no left-over PostgreSQL server to stop");
    }
}

fn last_lines(log: &Path) -> String {
    const LINES: usize = 8;
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
