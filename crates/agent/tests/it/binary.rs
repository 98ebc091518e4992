//! The real binary: killed, with a false clock, as nobody.

use std::{
    io::{BufRead, BufReader},
    os::unix::{
        fs::{DirBuilderExt, PermissionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use tenure_core::clock::{Clock, SystemClock};

use crate::support::{LICENSE_KEY, Local, Vendor, claims, event, issue, keys};

/// For how long an agent may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct World {
    pub(crate) temp: tempfile::TempDir,
    pub(crate) vendor: Vendor,
}

impl World {
    pub(crate) async fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        std::fs::write(temp.path().join("keys.json"), keys()).unwrap();
        Self { temp, vendor: Vendor::start(Arc::new(SystemClock)).await }
    }

    fn data(&self) -> PathBuf {
        self.temp.path().join("data")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tenure-agent"));
        command
            .args(args)
            .env_clear()
            .env("TENURE_AGENT_DATA_DIR", self.data())
            .env("TENURE_AGENT_KEYS", self.temp.path().join("keys.json"))
            .env("TENURE_AGENT_LISTEN", "127.0.0.1:0")
            .env("TENURE_AGENT_PRODUCT_VERSION", "1.2.0")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn connected(&self, args: &[&str]) -> Command {
        let mut command = self.command(args);
        command.env("TENURE_AGENT_SERVER", &self.vendor.url).env("LICENSE_KEY", &*LICENSE_KEY);
        command
    }

    /// Runs a command to its end, without holding up the vendor.
    pub(crate) async fn output(&self, mut command: Command) -> (i32, String, String) {
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
    }
}

/// A running agent, killed when the test ends.
struct Running {
    child: Child,
    local: Local,
}

impl Running {
    async fn start(mut command: Command, data: &Path) -> Self {
        let _ = std::fs::remove_file(data.join("address"));
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut this = Self { child, local: Local::nowhere() };
        let stderr = this.child.stderr.take().unwrap();
        let ready = tokio::task::spawn_blocking(move || wait_until_ready(stderr));
        ready.await.unwrap();
        let address = std::fs::read_to_string(data.join("address")).unwrap();
        this.local = Local::at(format!("http://{address}"), data);
        this
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    async fn ended(&mut self) -> std::process::ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "the agent does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_until_ready(stderr: std::process::ChildStderr) {
    let mut lines = BufReader::new(stderr).lines();
    let mut said = Vec::new();
    for line in lines.by_ref() {
        let line = line.unwrap();
        if line.contains("the agent runs") {
            // The pipe must not fill up.
            std::thread::spawn(move || lines.for_each(drop));
            return;
        }
        said.push(line);
    }
    panic!("the agent did not start:\n{}", said.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_no_event_is_lost_or_doubled() {
    let world = World::new().await;
    let (mut sent, mut accepted) = (0_u32, Vec::new());
    for round in 0..6_u32 {
        let mut running = Running::start(world.connected(&["run"]), &world.data()).await;
        let started = Instant::now();
        let until = Duration::from_millis(150 + u64::from(round * 97 % 400));
        while started.elapsed() < until {
            let ids: Vec<String> = (0..5).map(|n| format!("e{}", sent + n)).collect();
            sent += 5;
            let now = SystemClock.now();
            let batch: Vec<Value> = ids.iter().map(|id| event(id, now)).collect();
            let (status, _) = running.local.post("/v1/usage", &json!(batch)).await;
            assert_eq!(status, 200);
            accepted.extend(ids);
        }
        running.signal(Signal::SIGKILL);
        running.ended().await;
    }
    let running = Running::start(world.connected(&["run"]), &world.data()).await;
    let start = Instant::now();
    while world.vendor.book().counted.len() < accepted.len() {
        assert!(
            start.elapsed() < PATIENCE,
            "{} of {}",
            world.vendor.book().counted.len(),
            accepted.len()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(running.local.get("/health").await["license"], "active");
    let book = world.vendor.book();
    assert_eq!(book.counted.len(), accepted.len());
    assert!(book.counted.values().all(|times| *times == 1));
    let numbered: usize = book.numbered.values().map(Vec::len).sum();
    assert_eq!(numbered, accepted.len(), "each under a number of its own, none left out");
    assert_eq!((book.leases(), book.quarantined()), (1, 0), "one instance all along");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_stops_gracefully_when_told_to_and_status_works_with_and_without_it() {
    let world = World::new().await;
    let mut running = Running::start(world.connected(&["run"]), &world.data()).await;
    assert_eq!(
        running.local.get("/health").await,
        json!({"status": "healthy", "license": "active", "version": "1.2.0"})
    );
    let (code, text, _) = world.output(world.command(&["status"])).await;
    assert_eq!(code, 0);
    assert!(
        text.contains("active (valid): everything works") && text.contains("running"),
        "{text}"
    );
    // Orders go through the running agent.
    let request = world.temp.path().join("renew.req");
    let (code, _, err) = world
        .output(world.command(&["request", "export", "--output", request.to_str().unwrap()]))
        .await;
    assert_eq!(code, 0, "{err}");
    assert!(std::fs::read_to_string(&request).unwrap().starts_with("-----BEGIN TENURE REQUEST"));
    let (_, before, _) = world.output(world.command(&["key"])).await;
    let asks = ["request", "export", "--new-key"];
    let (code, _, err) = world.output(world.command(&asks)).await;
    assert!(code == 1 && err.contains("say --yes"), "{code} {err}");
    let (code, text, err) =
        world.output(world.command(&["request", "export", "--new-key", "--yes"])).await;
    assert!(code == 0 && text.starts_with("-----BEGIN TENURE REQUEST"), "{code} {err}");
    let (_, after, _) = world.output(world.command(&["key"])).await;
    assert_ne!(before, after, "a new key pair");
    running.signal(Signal::SIGTERM);
    assert!(running.ended().await.success());
    let (code, text, _) = world.output(world.command(&["status", "--json"])).await;
    let status: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &status["state"], &status["running"]), (0, &json!("active"), &json!(false)));
    let (code, text, _) = world.output(world.command(&["sends"])).await;
    assert!(code == 0 && text.contains("Nothing else is sent"), "{text}");
    assert!(!text.contains(&*LICENSE_KEY));
    let (code, text, _) = world.output(world.command(&["key"])).await;
    assert_eq!((code, text.trim().len()), (0, 43));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_start_is_refused_with_the_reason() {
    let world = World::new().await;
    let mut wrong = world.connected(&["run"]);
    wrong.env("LICENSE_KEY", LICENSE_KEY.replace("ACME", "ACMF"));
    let (code, _, err) = world.output(wrong).await;
    assert!(code == 1 && err.contains("license_key_mistyped"), "{code} {err}");

    world.vendor.book().denies = true;
    let (code, _, err) = world.output(world.connected(&["run"])).await;
    assert!(code == 1 && err.contains("There is no such license key"), "{code} {err}");

    world.vendor.book().denies = false;
    std::fs::remove_dir_all(world.data()).unwrap();
    world.vendor.book().revoke();
    let (code, _, err) = world.output(world.connected(&["run"])).await;
    assert!(code == 1 && err.contains("license_revoked"), "{code} {err}");

    let (code, _, _) = world.output(world.command(&["run", "--listen", "nowhere"])).await;
    assert_eq!(code, 2);
}

/// The library that falsifies a clock. Its `faketime` program would stand between us and the agent.
fn faketime() -> Option<PathBuf> {
    let places = std::fs::read_dir("/usr/lib").ok()?;
    places
        .filter_map(|place| Some(place.ok()?.path().join("faketime/libfaketime.so.1")))
        .find(|library| library.exists())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_set_forward_ends_the_license_and_set_back_does_not_bring_it_back() {
    let Some(library) = faketime() else {
        eprintln!("skipped: faketime is not installed (scripts/setup faketime)");
        return;
    };
    let world = World::new().await;
    let token = issue(&claims(SystemClock.now()));
    let at = async |offset: &str| {
        let mut command = world.command(&["run"]);
        command.env("LICENSE_KEY", &token).env("LD_PRELOAD", &library).env("FAKETIME", offset);
        let mut running = Running::start(command, &world.data()).await;
        let license = running.local.get("/v1/license").await;
        running.signal(Signal::SIGTERM);
        running.ended().await;
        license
    };
    assert_eq!(at("+0d").await["state"], "active");
    let ended = at("+400d").await;
    assert_eq!((&ended["state"], &ended["reason"]), (&json!("terminated"), &json!("expired")));
    let back = at("+0d").await;
    assert_eq!((&back["state"], &back["clock_suspect"]), (&json!("terminated"), &json!(true)));
    let far_back = at("-300d").await;
    assert_eq!(far_back["state"], "terminated");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_runs_as_nobody_and_writes_nothing_outside_its_directory() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root can become nobody");
        return;
    }
    const NOBODY: u32 = 65_534;
    let world = World::new().await;
    // Everything around the data directory is readable and not writable.
    std::fs::set_permissions(world.temp.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::DirBuilder::new().mode(0o700).create(world.data()).unwrap();
    std::os::unix::fs::chown(world.data(), Some(NOBODY), Some(NOBODY)).unwrap();
    let program = world.temp.path().join("tenure-agent");
    std::fs::copy(env!("CARGO_BIN_EXE_tenure-agent"), &program).unwrap();
    let template = world.connected(&["run"]);
    let mut command = Command::new(&program);
    command.arg("run").env_clear().uid(NOBODY).gid(NOBODY).current_dir("/");
    command.envs(template.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut running = Running::start(command, &world.data()).await;
    assert_eq!(running.local.get("/health").await["license"], "active");
    running.signal(Signal::SIGTERM);
    assert!(running.ended().await.success());
    let around: Vec<_> = std::fs::read_dir(world.temp.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(around.len(), 3, "data, keys.json, the program: {around:?}");
    // Root is somebody else: it would leave files that nobody cannot write.
    let (code, _, err) = world.output(world.command(&["status"])).await;
    assert!(code == 1 && err.contains("run it as that user"), "{err}");
}

#[test]
fn the_binary_holds_no_code_that_signs_for_a_vendor() {
    let binary = std::fs::read(env!("CARGO_BIN_EXE_tenure-agent")).unwrap();
    let holds = |name: &str| binary.windows(name.len()).any(|window| window == name.as_bytes());
    // Symbols are there in this build; the license crate's signer is not among them.
    assert!(holds("tenure_license"), "symbols can be read");
    assert!(!holds("MemorySigner"), "the vendor's signer is linked in");
}
