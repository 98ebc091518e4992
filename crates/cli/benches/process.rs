//! The processes that are measured.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::http::Connection;

pub(crate) const ADMIN: &str = "tenv_bench_admin";
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// PostgreSQL may run as another user: let it pass through the directory.
pub(crate) fn let_others_pass(dir: &Path) {
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).expect("permissions");
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address")
}

fn end(child: &mut Child) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
    let _ = child.wait();
}

fn resident_mb(child: &Child) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
    let status = status.unwrap_or_default();
    let kb = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kb.unwrap_or(f64::NAN) / 1000.0
}

/// The agent of a customer.
pub(crate) struct Agent {
    child: Child,
    address: SocketAddr,
}

impl Agent {
    /// Starts it with a license key and waits until the license is active; `None` without a
    /// binary (`TENURE_AGENT_BIN`, which `scripts/bench` sets).
    pub(crate) async fn start(
        dir: &Path,
        server: SocketAddr,
        jwks: &str,
        key: &str,
    ) -> Option<Self> {
        let program = std::env::var_os("TENURE_AGENT_BIN")?;
        let keys = dir.join("agent-keys.json");
        std::fs::write(&keys, jwks).expect("the key set");
        let address = free_address();
        let child = Command::new(program)
            .arg("run")
            .arg("--keys")
            .arg(&keys)
            .env("TENURE_AGENT_DATA_DIR", dir.join("agent"))
            .env("TENURE_AGENT_SERVER", format!("http://{server}"))
            .env("TENURE_AGENT_LISTEN", address.to_string())
            .env("LICENSE_KEY", key)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("tenure-agent starts");
        let began = Instant::now();
        loop {
            assert!(began.elapsed() < START_TIMEOUT, "the agent did not become active");
            if TcpStream::connect(address).is_ok() {
                let health = Connection::open(address).await.get("/health", "").await;
                if health.body.contains("\"license\":\"active\"") {
                    break;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Some(Self { child, address })
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn resident_mb(&self) -> f64 {
        resident_mb(&self.child)
    }

    /// Time that it has run on a core, in clock ticks of a hundredth of a second.
    pub(crate) fn cpu_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or("").split(' ').collect();
        let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<u64>().ok());
        ticks(11).unwrap_or(0) + ticks(12).unwrap_or(0)
    }

    pub(crate) fn stop(mut self) {
        end(&mut self.child);
    }
}

pub(crate) struct Serve {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) ready_after: Duration,
}

impl Serve {
    pub(crate) async fn start(data: &Path, database_url: &str) -> Self {
        Self::start_with(data, database_url, &[]).await
    }

    /// With more settings.
    pub(crate) async fn start_with(
        data: &Path,
        database_url: &str,
        settings: &[(&str, &str)],
    ) -> Self {
        let address = free_address();
        let products = concat!(env!("CARGO_MANIFEST_DIR"), "/../../products");
        let began = Instant::now();
        let child = Command::new(env!("CARGO_BIN_EXE_tenure"))
            .arg("serve")
            .env("TENURE_DATABASE_URL", database_url)
            .env("TENURE_LISTEN", address.to_string())
            .env("TENURE_DATA_DIR", data)
            .env("TENURE_ADMIN_TOKEN", ADMIN)
            .env("TENURE_PRODUCTS_DIR", products)
            .envs(settings.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("tenure serve starts");
        loop {
            assert!(began.elapsed() < START_TIMEOUT, "tenure serve did not become ready");
            if TcpStream::connect(address).is_ok()
                && Connection::open(address).await.get("/readyz", "").await.status == 200
            {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Self { child, address, ready_after: began.elapsed() }
    }

    pub(crate) fn resident_mb(&self) -> f64 {
        resident_mb(&self.child)
    }

    pub(crate) fn stop(mut self) {
        end(&mut self.child);
    }
}

/// A server whose only handler returns a constant: what HTTP itself costs.
pub(crate) struct Constant {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Constant {
    pub(crate) async fn start(body: &str) -> Self {
        let address = free_address();
        let program = std::env::current_exe().expect("this program");
        let child = Command::new(program)
            .arg("--constant-server")
            .env("CONSTANT_ADDRESS", address.to_string())
            .env("CONSTANT_BODY", body)
            .spawn()
            .expect("the constant server starts");
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(began.elapsed() < START_TIMEOUT, "the constant server did not start");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Self { child, address }
    }

    pub(crate) fn stop(mut self) {
        end(&mut self.child);
    }
}
