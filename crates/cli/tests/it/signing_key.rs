//! `tenure product key`, and a server whose signing keys are in a security module.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use tenure_testkit::TestDatabase;

use crate::support::{Serve, free_port, run, stderr, stdout, tenure};

/// Where packages put SoftHSM2.
const MODULES: [&str; 4] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
];

fn private(path: &Path, text: &str) -> PathBuf {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    path.to_owned()
}

#[tokio::test]
async fn a_signing_key_goes_into_a_file_and_comes_back_with_its_passphrase_alone() {
    let database = TestDatabase::empty().await;
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let server = Serve::start(&database.admin_url, &at("master.key"), free_port());
    let (pass, wrong) = (at("pass"), at("wrong"));
    fs::write(&pass, "correct horse battery staple\n").unwrap();
    fs::write(&wrong, "correct horse battery stable\n").unwrap();
    let [file, pass, wrong] = [at("ifox.key"), pass, wrong].map(|it| it.display().to_string());

    let key = ["product", "key"];
    let export = ["export", "incidentfox", "--output", &file, "--passphrase-file", &pass];
    let done = server.ask(&[&key[..], &export].concat());
    assert!(done.status.success(), "{}", stderr(&done));
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "only its owner reads it");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("argon2id") && !text.contains("PRIVATE KEY"), "{text}");

    let import = ["import", "incidentfox", &file, "--passphrase-file"];
    let refused = server.ask(&[&key[..], &import, &[&wrong]].concat());
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("The passphrase is wrong, or the file was changed"));
    let refused = server.ask(&[&key[..], &import, &[&pass]].concat());
    assert!(stderr(&refused).contains("is here already"), "{}", stderr(&refused));
    let foreign = ["import", "meeting-minutes", &file, "--passphrase-file", &pass];
    let refused = server.ask(&[&key[..], &foreign].concat());
    assert!(stderr(&refused).contains("The file holds a key of `incidentfox`"));

    let later = ["rotate", "incidentfox", "--activate-at", "2099-01-01"];
    assert_eq!(server.ask(&[&key[..], &later].concat()).status.code(), Some(1), "too far ahead");
    assert!(server.ask(&[&key[..], &["rotate", "incidentfox"]].concat()).status.success());
    let listed = server.json(&["product", "key", "list", "incidentfox"]);
    let old = listed["items"][1]["id"].as_str().unwrap();
    assert_eq!(listed["items"][1]["status"], "retired");
    let done = server.ask(&[&key[..], &["withdraw", "incidentfox", old]].concat());
    assert!(done.status.success(), "{}", stderr(&done));
    let listed = stdout(&server.ask(&["product", "key", "list", "incidentfox"]));
    assert!(listed.contains("active") && listed.contains("sealed"), "{listed}");
    assert!(listed.contains("withdrawn"), "{listed}");
}

#[tokio::test]
async fn a_server_with_a_security_module_makes_its_signing_keys_there_or_says_why_not() {
    let module = MODULES.iter().map(Path::new).find(|path| path.exists());
    let module = module.expect("SoftHSM2 is not installed: run scripts/setup softhsm2");
    let database = TestDatabase::empty().await;
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("tokens")).unwrap();
    let config = at("softhsm2.conf");
    fs::write(&config, format!("directories.tokendir = {}\n", at("tokens").display())).unwrap();
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", "tenure", "--so-pin", "0000", "--pin", "1234"])
        .env("SOFTHSM2_CONF", &config)
        .output()
        .expect("softhsm2-util is not installed: run scripts/setup softhsm2");
    assert!(made.status.success(), "{}", stderr(&made));
    let environment = |pin| {
        [
            ("SOFTHSM2_CONF", config.clone()),
            ("TENURE_PKCS11_MODULE", module.to_owned()),
            ("TENURE_PKCS11_TOKEN", "tenure".into()),
            ("TENURE_PKCS11_PIN_FILE", pin),
        ]
    };

    let wrong = environment(private(&at("wrong"), "9999\n"));
    let key = at("master.key").display().to_string();
    let refused = tenure(&["serve", "--listen", "127.0.0.1:0", "--master-key-file", &key])
        .env("TENURE_DATABASE_URL", &database.admin_url)
        .envs(wrong)
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stderr(&refused).contains("the token `tenure` refused the PIN"),
        "{}",
        stderr(&refused)
    );
    let half = run(&["serve", "--pkcs11-module", "/usr/lib/some.so"]);
    assert_eq!(half.status.code(), Some(2));
    assert!(stderr(&half).contains("--pkcs11-token <LABEL>"), "{}", stderr(&half));

    let right = environment(private(&at("pin"), "1234\n"));
    let right = right.each_ref().map(|(name, value)| (*name, value.as_path()));
    let (url, key) = (&database.admin_url, at("master.key"));
    let server = Serve::start_with(url, &key, free_port(), &right);
    let listed = stdout(&server.ask(&["product", "key", "list", "incidentfox"]));
    assert!(listed.contains("pkcs11"), "{listed}");
    server.json(&["tenant", "create", "Acme"]);
    let sold = ["subscription", "create", "acme", "--product", "incidentfox"];
    server.json(&[&sold[..], &["--plan", "professional"]].concat());
    let issued = server.json(&["license", "issue", "acme"]);
    let keys = server.json(&["product", "key", "list", "incidentfox"]);
    let file = at("acme.lic").display().to_string();
    let id = issued["license"]["id"].as_str().unwrap();
    assert!(server.ask(&["license", "file", "acme", id, "-o", &file]).status.success());
    let jwks = reqwest::get(format!("{}/.well-known/tenure/incidentfox/jwks.json", server.url));
    fs::write(at("jwks.json"), jwks.await.unwrap().bytes().await.unwrap()).unwrap();
    let jwks = at("jwks.json").display().to_string();
    let verified = run(&["license", "verify", &file, "--keys", &jwks]);
    assert!(verified.status.success(), "{}{}", stdout(&verified), stderr(&verified));
    assert_eq!(keys["items"][0]["backend"], "pkcs11");
}
