//! `tenure demo` from nothing, once more, and what it leaves behind.

use std::{
    io::{BufRead, BufReader},
    net::TcpStream,
    process::{Command, Stdio},
};

use nix::sys::signal::Signal;

use crate::support::{free_port, signal_to, stderr, stdout, tenure};

/// Processes that name a directory on their command line or work for its database.
fn processes_of(dir: &str) -> String {
    let output = Command::new("pgrep").args(["-af", dir]).output().expect("pgrep");
    let all = stdout(&output);
    let others = all.lines().filter(|line| !line.contains("pgrep"));
    others.collect::<Vec<_>>().join("\n")
}

/// A directory that the user `postgres` can reach, too.
fn reachable_dir() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::Builder::new().prefix("tenure-demo-").tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

#[test]
fn a_demonstration_fills_itself_goes_on_and_leaves_no_process() {
    let dir = reachable_dir();
    let (path, port) = (dir.path().to_str().unwrap().to_owned(), free_port());
    let listen = format!("127.0.0.1:{port}");
    let args = ["demo", "--quick", "--data-dir", &path, "--listen", &listen];

    let first = tenure(&args).arg("--exit-when-ready").output().unwrap();
    assert!(first.status.success(), "{}", stderr(&first));
    assert!(stdout(&first).contains(&format!("http://{listen}/console")), "{}", stdout(&first));
    assert!(stderr(&first).contains("polaris-defence.lic verified offline: active"));
    // Months were closed, issued and paid; one is in draft, one corrects what came late.
    assert!(stderr(&first).contains(" of them paid, 1 in draft"), "{}", stderr(&first));
    for hint in ["tenure invoice explain acme-retail INV-", "corrects usage that came late"] {
        assert!(stdout(&first).contains(hint), "no {hint}: {}", stdout(&first));
    }
    assert_eq!(processes_of(&path), "");

    // The second start has everything, stays up, and ends with Ctrl-C.
    let mut second = tenure(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(second.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("Ready after")));
    assert!(TcpStream::connect(&listen).is_ok());
    signal_to(&second, Signal::SIGINT);
    let ended = second.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", stderr(&ended));
    assert!(stderr(&ended).contains("  usage      0 events sent"), "{}", stderr(&ended));
    assert_eq!(processes_of(&path), "");
    assert!(TcpStream::connect(&listen).is_err());
}

#[test]
fn a_killed_demonstration_takes_its_server_with_it() {
    let dir = reachable_dir();
    let (path, port) = (dir.path().to_str().unwrap().to_owned(), free_port());
    let listen = format!("127.0.0.1:{port}");
    let mut demo = tenure(&["demo", "--quick", "--data-dir", &path, "--listen", &listen])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("ready on")));
    demo.kill().unwrap();
    demo.wait().unwrap();
    for _ in 0..400 {
        if processes_of(&path).is_empty() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("left behind: {}", processes_of(&path));
}
