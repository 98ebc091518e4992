//! `tenure demo` from nothing, once more, and what it leaves behind.

use std::{
    collections::BTreeSet,
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

/// Invoices were issued in each month of the year, and the clock shows the present.
fn year_was_lived(dir: &str, listen: &str) {
    let text = std::fs::read_to_string(format!("{dir}/demo/demo.json")).unwrap();
    let state: serde_json::Value = serde_json::from_str(&text).unwrap();
    let (url, token) = (format!("http://{listen}"), state["token"].as_str().unwrap());
    let ask = |args: &[&str]| {
        let output = tenure(args).args(["--url", &url, "--token", token]).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        stdout(&output)
    };
    let csv = ask(&["invoice", "csv"]);
    let mut rows = csv.lines().map(|row| row.split(',').collect::<Vec<_>>());
    let head = rows.next().unwrap();
    let column = head.iter().position(|name| *name == "issued_at").expect("a column issued_at");
    let months: BTreeSet<String> = rows
        .filter_map(|row| row.get(column).and_then(|at| at.get(..7)).map(str::to_owned))
        .collect();
    // On the first of a month, nothing of the month has been issued yet.
    assert!(months.len() >= 11, "{months:?}");
    let clock: serde_json::Value = serde_json::from_str(&ask(&["clock", "--json"])).unwrap();
    let now: jiff::Timestamp = clock["now"].as_str().unwrap().parse().unwrap();
    let behind = jiff::Timestamp::now().duration_since(now);
    assert!(behind.abs() < jiff::SignedDuration::from_hours(1), "{behind}");
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
    // Months were closed, issued and paid; one invoice corrects what came late.
    let told = stderr(&first);
    let told = told.lines().find(|line| line.contains(" of them paid, ")).expect("invoices");
    let counts: Vec<u32> = told.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let &[issued, paid, drafts] = counts.as_slice() else { panic!("{told}") };
    assert!(issued > 60 && paid > issued / 2 && paid < issued && drafts >= 1, "{told}");
    for hint in ["tenure invoice explain acme-retail INV-", "corrects usage that came late"] {
        assert!(stdout(&first).contains(hint), "no {hint}: {}", stdout(&first));
    }
    assert_eq!(processes_of(&path), "");

    // The second start has everything, stays up, and ends with Ctrl-C.
    let mut second = tenure(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(second.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("Ready after")));
    assert!(TcpStream::connect(&listen).is_ok());
    year_was_lived(&path, &listen);
    signal_to(&second, Signal::SIGINT);
    let ended = second.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", stderr(&ended));
    assert!(
        stderr(&ended).contains("  usage      all of it was sent before"),
        "{}",
        stderr(&ended)
    );
    assert_eq!(processes_of(&path), "");
    assert!(TcpStream::connect(&listen).is_err());
}

#[test]
fn a_demonstration_that_was_stopped_in_the_middle_of_its_year_goes_on_there() {
    let dir = reachable_dir();
    let (path, port) = (dir.path().to_str().unwrap().to_owned(), free_port());
    let listen = format!("127.0.0.1:{port}");
    let args = ["demo", "--quick", "--data-dir", &path, "--listen", &listen];
    let mut first = tenure(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(first.stderr.take().unwrap()).lines();
    // Three months are over.
    let month = |line: &String| line.contains(" invoices to pay, ");
    assert_eq!(lines.by_ref().map(Result::unwrap).filter(month).take(3).count(), 3);
    signal_to(&first, Signal::SIGINT);
    // What it still says is read, so that it can say it.
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(first.wait().unwrap().success(), "{rest:?}");
    assert!(rest.last().is_some_and(|line| line.contains("goes on from here")), "{rest:?}");

    let second = tenure(&args).arg("--exit-when-ready").output().unwrap();
    let said = stderr(&second);
    assert!(second.status.success(), "{said}");
    assert!(stdout(&second).contains("corrects usage that came late"), "{}", stdout(&second));
    let months = said.lines().filter(|line| line.contains(" invoices to pay, ")).count();
    assert!((7..=10).contains(&months), "{months}: {said}");
    assert!(!said.contains("customer   Northwind Traders"), "it was there before: {said}");
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
