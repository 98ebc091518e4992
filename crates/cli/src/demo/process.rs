//! The server of a demonstration: a process of the same binary, which ends with
//! this one whatever happens to it.

use std::{fs, net::SocketAddr, path::Path, process::Stdio, time::Duration};

use jiff::Timestamp;
use reqwest::Method;
use tokio::{
    process::{Child, ChildStdin, Command},
    time::{Instant, sleep, timeout},
};

use crate::{
    client::Client,
    error::{Error, Result},
};

/// How long the server may take to become ready, the first time with `initdb`.
const START_TIMEOUT: Duration = Duration::from_secs(90);
/// How long it may take to end in order.
const STOP_TIMEOUT: Duration = Duration::from_secs(40);
/// Time between two looks whether it is ready.
const LOOK_EVERY: Duration = Duration::from_millis(40);
/// Lines of its log that are shown when it fails.
const LOG_LINES: usize = 6;

/// What may be set for a real installation.
const OTHERS_SETTINGS: [&str; 7] = [
    "DATABASE_URL",
    "OWNER_DATABASE_URL",
    "MASTER_KEY_FILE",
    "PRODUCTS_DIR",
    "PUBLIC_URL",
    "WITHOUT_JOBS",
    "INVOICE_GRACE_HOURS",
];

/// A running server.
pub(crate) struct ServerProcess {
    child: Child,
    /// Held here, since waiting for a child closes the one that the child has.
    stdin: Option<ChildStdin>,
}

impl ServerProcess {
    /// Starts it and waits until it is ready; the clock of a new one begins at `clock_start`.
    pub(crate) async fn start(
        dir: &Path,
        listen: SocketAddr,
        token: &str,
        client: &Client,
        clock_start: Timestamp,
    ) -> Result<Self> {
        let log = dir.join("serve.log");
        let file = fs::File::create(&log).map_err(|error| Error::file(&log, &error))?;
        let program = std::env::current_exe()?;
        let mut command = Command::new(program);
        command.arg("serve").arg("--until-stdin-closes").arg("--data-dir").arg(dir);
        command.arg("--listen").arg(listen.to_string()).env("TENURE_ADMIN_TOKEN", token);
        command.env("TENURE_TEST_CLOCK", "1");
        command.env("TENURE_TEST_CLOCK_START", clock_start.to_string());
        // Settings of a real installation must not reach the demonstration's.
        for name in OTHERS_SETTINGS {
            command.env_remove(format!("TENURE_{name}"));
        }
        // Its standard input closes when this process ends, however it ends. A
        // group of its own: Ctrl-C reaches this process, which stops it in order.
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(file)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Error::new(format!("cannot start the server: {error}")))?;
        let stdin = child.stdin.take();
        let mut server = Self { child, stdin };
        match server.ready(client, &log).await {
            Ok(()) => Ok(server),
            Err(error) => {
                server.stop().await;
                Err(error)
            }
        }
    }

    async fn ready(&mut self, client: &Client, log: &Path) -> Result {
        let until = Instant::now() + START_TIMEOUT;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                let text = fs::read_to_string(log).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                let last = lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default();
                return Err(Error::new(format!("the server ended at once ({status})"))
                    .details(last.iter().map(|line| (*line).to_owned()).collect()));
            }
            if client.send(client.request(Method::GET, &["readyz"])).await.is_ok() {
                return Ok(());
            }
            sleep(LOOK_EVERY).await;
        }
        Err(Error::new("the server did not become ready in time")
            .hint(format!("see {}", log.display())))
    }

    /// Waits until it ends by itself, which it should not.
    pub(crate) async fn ended(&mut self) -> Error {
        let status = self.child.wait().await;
        let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        Error::new(format!("the server ended unexpectedly ({how})")).hint("see serve.log")
    }

    /// Ends it in order, PostgreSQL included.
    pub(crate) async fn stop(mut self) {
        drop(self.stdin.take());
        if timeout(STOP_TIMEOUT, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}
