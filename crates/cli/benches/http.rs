//! The smallest HTTP client that keeps a connection open: a load generator must
//! cost less than what it measures.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    line: String,
    body: Vec<u8>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the server listens");
        stream.set_nodelay(true).expect("TCP_NODELAY");
        Self {
            stream: BufReader::with_capacity(64 * 1024, stream),
            line: String::new(),
            body: Vec::new(),
        }
    }

    pub(crate) async fn get(&mut self, path: &str, token: &str) -> Answer {
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        self.exchange(head.as_bytes(), b"").await;
        self.answer().await
    }

    pub(crate) async fn post(&mut self, path: &str, token: &str, kind: &str, body: &str) -> Answer {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
             content-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        self.exchange(head.as_bytes(), body.as_bytes()).await;
        self.answer().await
    }

    /// Posts a batch of usage and only hears of what was not taken.
    pub(crate) async fn post_minimal(&mut self, path: &str, token: &str, body: &str) -> Answer {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
             content-type: application/cloudevents-batch+json\r\nprefer: return=minimal\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        self.exchange(head.as_bytes(), body.as_bytes()).await;
        self.answer().await
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&mut self, request: &[u8]) -> Answer {
        self.exchange(request, b"").await;
        self.answer().await
    }

    async fn exchange(&mut self, head: &[u8], body: &[u8]) {
        self.stream.write_all(head).await.expect("sent");
        self.stream.write_all(body).await.expect("sent");
    }

    async fn answer(&mut self) -> Answer {
        let status = self.read().await;
        Answer { status, body: String::from_utf8_lossy(&self.body).into_owned() }
    }

    /// Reads one response; the body stays in the buffer. Returns the status.
    async fn read(&mut self) -> u16 {
        let mut status = 0;
        let mut length = 0;
        loop {
            self.line.clear();
            self.stream.read_line(&mut self.line).await.expect("a response");
            let line = self.line.trim_end();
            if line.is_empty() {
                break;
            }
            if status == 0 {
                status =
                    line.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
            } else if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().expect("a length");
            }
        }
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body).await.expect("a body");
        status
    }
}

/// How fast, and how slow at worst.
pub(crate) struct Timing {
    pub(crate) rate: f64,
    p50_ms: f64,
    p99_ms: f64,
}

impl Timing {
    pub(crate) fn of(mut times: Vec<Duration>, took: Duration) -> Self {
        times.sort_unstable();
        let at = |hundredth: usize| {
            times.get(times.len() * hundredth / 100).copied().unwrap_or_default().as_secs_f64()
                * 1e3
        };
        Self { rate: times.len() as f64 / took.as_secs_f64(), p50_ms: at(50), p99_ms: at(99) }
    }

    /// This as the limit of `ours`, of which a part has to be reached where there is a goal.
    pub(crate) fn beside(&self, name: &str, ours: &Self, goal: Option<&str>) -> String {
        let goal = goal.map_or(String::new(), |goal| format!(" (at least {goal})"));
        format!("{name} {self}, ratio {:.2}{goal}", ours.rate / self.rate)
    }
}

impl std::fmt::Display for Timing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.0} /s, p50 {:.2} p99 {:.2} ms", self.rate, self.p50_ms, self.p99_ms)
    }
}

/// Reads a path for so many seconds over so many connections.
pub(crate) async fn reads(
    address: SocketAddr,
    path: &str,
    token: &str,
    connections: usize,
    seconds: u64,
) -> Timing {
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n");
    posts(address, request.as_bytes(), connections, seconds).await
}

/// Sends one request again and again, for so many seconds over so many connections.
pub(crate) async fn posts(
    address: SocketAddr,
    request: &[u8],
    connections: usize,
    seconds: u64,
) -> Timing {
    let began = Instant::now();
    let until = began + Duration::from_secs(seconds);
    let senders = (0..connections).map(|_| {
        let request = request.to_vec();
        tokio::spawn(async move {
            let mut connection = Connection::open(address).await;
            let mut times = Vec::with_capacity(100_000);
            while Instant::now() < until {
                let sent = Instant::now();
                connection.exchange(&request, b"").await;
                assert_eq!(connection.read().await, 200);
                times.push(sent.elapsed());
            }
            times
        })
    });
    let mut all = Vec::new();
    for sender in senders.collect::<Vec<_>>() {
        all.extend(sender.await.expect("a sender"));
    }
    Timing::of(all, began.elapsed())
}
