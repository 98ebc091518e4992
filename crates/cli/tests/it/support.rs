//! Running the binary.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// The vendor credential of test servers.
pub(crate) const TOKEN: &str = "tenv_command_line_test";

/// The binary, without what the caller's environment says of servers.
pub(crate) fn tenure(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenure"));
    for name in ["URL", "TOKEN", "ADMIN_TOKEN", "DATABASE_URL", "DATA_DIR", "LISTEN"] {
        command.env_remove(format!("TENURE_{name}"));
    }
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub(crate) fn run(args: &[&str]) -> Output {
    tenure(args).output().expect("the binary runs")
}

/// What it printed for programs.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What it printed for people.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A file of this repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// A `tenure serve` process on a test database. Killed when dropped.
pub(crate) struct Serve {
    child: Child,
    pub(crate) url: String,
}

impl Serve {
    /// Starts it and waits until it is ready.
    pub(crate) fn start(database_url: &str, key: &Path, port: u16) -> Self {
        Self::start_with(database_url, key, port, &[])
    }

    /// The same, with more in its environment.
    pub(crate) fn start_with(
        database_url: &str,
        key: &Path,
        port: u16,
        environment: &[(&str, &Path)],
    ) -> Self {
        let child = tenure(&["serve", "--log", "warn"])
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .arg("--master-key-file")
            .arg(key)
            .args(["--products-dir"])
            .arg(repository("products"))
            .env("TENURE_DATABASE_URL", database_url)
            .env("TENURE_ADMIN_TOKEN", TOKEN)
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let server = Self { child, url: format!("http://127.0.0.1:{port}") };
        let until = Instant::now() + Duration::from_secs(60);
        while !server.ask(&["clock"]).status.success() {
            assert!(Instant::now() < until, "the server is not ready");
            thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// Runs a command against it.
    pub(crate) fn ask(&self, args: &[&str]) -> Output {
        tenure(args).args(["--url", &self.url, "--token", TOKEN]).output().expect("it runs")
    }

    /// The JSON that a command prints.
    #[track_caller]
    pub(crate) fn json(&self, args: &[&str]) -> serde_json::Value {
        let output = self.ask(&[args, &["--json"]].concat());
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Sends it a signal and waits for its end; its exit code, if it had one.
    pub(crate) fn end(&mut self, signal: Signal) -> Option<i32> {
        signal_to(&self.child, signal);
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process that a test started.
pub(crate) fn signal_to(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).expect("a process id");
    kill(Pid::from_raw(pid), signal).expect("the process is there");
}
