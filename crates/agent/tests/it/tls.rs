//! TLS on the way to the license service, with the real binary: an authority of the operator's own
//! is believed where `--ca-file` names it, and nobody else is.

use std::{path::PathBuf, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

use crate::binary::World;

/// An authority that no system knows.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn file(&self, world: &World, name: &str) -> PathBuf {
        let path = world.temp.path().join(name);
        std::fs::write(&path, self.0.pem()).unwrap();
        path
    }

    /// What a server shows that the authority calls `host`.
    fn server(&self, host: &str) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap()
    }
}

/// Puts TLS before the vendor; where to call it.
async fn before_the_vendor(world: &World, config: ServerConfig) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let vendor = world.vendor.url.strip_prefix("http://").unwrap().to_owned();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let (acceptor, vendor) = (acceptor.clone(), vendor.clone());
            tokio::spawn(async move {
                // A caller that does not believe us hangs up here.
                let Ok(mut outside) = acceptor.accept(socket).await else { return };
                let mut inside = TcpStream::connect(vendor).await.unwrap();
                let _ = copy_bidirectional(&mut outside, &mut inside).await;
            });
        }
    });
    format!("https://localhost:{port}")
}

/// Activates over `server`: exit code, and what it said.
async fn activate(world: &World, server: &str, ca_file: Option<&PathBuf>) -> (i32, String) {
    let mut command = world.connected(&["activate", "--server", server]);
    if let Some(path) = ca_file {
        command.arg("--ca-file").arg(path);
    }
    let (code, out, err) = world.output(command).await;
    (code, out + &err)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_of_ones_own_is_believed_where_the_ca_file_names_it_and_not_else() {
    let world = World::new().await;
    let (own, other) = (Authority::new(), Authority::new());
    let server = before_the_vendor(&world, own.server("localhost")).await;

    let (code, said) = activate(&world, &server, None).await;
    assert!(code == 1 && said.contains("certificate"), "{code} {said}");
    let other = other.file(&world, "other.pem");
    let (code, said) = activate(&world, &server, Some(&other)).await;
    assert!(code == 1 && said.contains("certificate"), "{code} {said}");
    assert!(world.vendor.book().seen.is_empty(), "the license key was told to nobody");

    let own = own.file(&world, "own.pem");
    let (code, said) = activate(&world, &server, Some(&own)).await;
    assert!(code == 0 && said.contains("active (valid)"), "{code} {said}");
    assert_eq!(world.vendor.book().calls("activate").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_name_on_the_certificate_is_the_servers_whoever_signed_it() {
    let world = World::new().await;
    let own = Authority::new();
    let server = before_the_vendor(&world, own.server("license.example.com")).await;
    let file = own.file(&world, "own.pem");
    let (code, said) = activate(&world, &server, Some(&file)).await;
    assert!(code == 1 && said.contains("certificate"), "{code} {said}");
    assert!(world.vendor.book().seen.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_without_an_authority_is_refused_and_not_passed_over() {
    let world = World::new().await;
    let empty = world.temp.path().join("empty.pem");
    std::fs::write(&empty, "# nothing yet\n").unwrap();
    let (code, said) = activate(&world, "https://localhost:1", Some(&empty)).await;
    assert!(code == 1 && said.contains("holds no certificate"), "{code} {said}");
}
