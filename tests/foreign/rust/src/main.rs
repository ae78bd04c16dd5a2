//! A program as users of the crate "spiffe" write them, against Lintel's Workload API.
//!
//!     workload -target HOST:PORT -peer ID -partner-target HOST:PORT -partner ID
//!
//! SPIFFE_ENDPOINT_SOCKET names the API. Prints "ok CHECK" for each check; after "watching" it
//! waits for another SVID. Exit status: 0 all is well, 1 something is not.

use std::collections::HashMap;
use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use rustls::pki_types::ServerName;
use spiffe::{JwtSvid, TrustDomain, WorkloadApiClient, X509Source};
use spiffe_rustls::{authorizer, mtls_client};

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

const OWN_ID: &str = "spiffe://building-1.smart.local/reports";
const OWN_DOMAIN: &str = "building-1.smart.local";
const PARTNER: &str = "partner.example";
const PATIENCE: Duration = Duration::from_secs(60);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

fn check(condition: bool, what: &str) -> Outcome {
    if condition { Ok(()) } else { Err(format!("{what} is not as it must be").into()) }
}

/// Succeeds when both sides believe each other: the server sends its settings only then.
async fn dial(address: String, peer: String) -> Outcome {
    let source = X509Source::new().await?;
    let config = mtls_client(source)
        .authorize(authorizer::exact([peer.as_str()])?)
        .with_alpn_protocols([b"h2"])
        .build()?;
    let config = Arc::new(config);
    tokio::task::spawn_blocking(move || -> Outcome {
        let until = Instant::now() + PATIENCE;
        loop {
            match shake_hands(&config, &address) {
                // What the source has just heard is not in use for TLS yet.
                Err(error) if error.to_string().contains("pending") && Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(50))
                }
                outcome => return outcome,
            }
        }
    })
    .await?
}

fn shake_hands(config: &Arc<rustls::ClientConfig>, address: &str) -> Outcome {
    let session = rustls::ClientConnection::new(config.clone(), ServerName::try_from("localhost")?)?;
    let socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut stream = rustls::StreamOwned::new(session, socket);
    stream.write_all(PREFACE)?;
    let mut answer = [0; 9];
    check(stream.read(&mut answer)? > 0, "the answer of the peer")
}

async fn run(options: HashMap<String, String>) -> Outcome {
    let client = WorkloadApiClient::connect_env().await?;
    let own = TrustDomain::new(OWN_DOMAIN)?;
    let partner = TrustDomain::new(PARTNER)?;

    let svids = client.fetch_all_x509_svids().await?;
    check(
        svids.len() == 1 && svids[0].spiffe_id().to_string() == OWN_ID && svids[0].hint() == Some("internal"),
        "the X.509-SVID",
    )?;
    println!("ok x509-svid");

    let bundles = client.fetch_x509_bundles().await?;
    let keys = client.fetch_jwt_bundles().await?;
    for domain in [&own, &partner] {
        check(bundles.get(domain).is_some_and(|one| one.authorities().len() == 1), "a bundle")?;
        check(keys.get(domain).is_some_and(|one| one.jwt_authorities().count() == 1), "a set of JWT keys")?;
    }
    check(bundles.len() == 2 && keys.len() == 2, "the number of bundles")?;
    println!("ok bundles");

    let token = client.fetch_jwt_svid(["a", "b"], None).await?;
    JwtSvid::parse_and_validate(token.token(), &keys, &["a"])?;
    let checked = client.validate_jwt_token("b", token.token()).await?;
    check(checked.spiffe_id().to_string() == OWN_ID, "the JWT-SVID")?;
    check(client.validate_jwt_token("c", token.token()).await.is_err(), "the audience of the JWT-SVID")?;
    println!("ok jwt-svid");

    dial(options["-target"].clone(), options["-peer"].clone()).await?;
    check(dial(options["-target"].clone(), OWN_ID.into()).await.is_err(), "the name of the peer")?;
    println!("ok tls");
    dial(options["-partner-target"].clone(), options["-partner"].clone()).await?;
    println!("ok federated-tls");

    let mut updates = client.stream_x509_contexts().await?;
    let mut first = None;
    while let Some(update) = updates.next().await {
        let update = update?;
        let leaf = update.default_svid().ok_or("no SVID")?.cert_chain()[0].clone();
        match &first {
            None => {
                first = Some(leaf);
                println!("watching");
            }
            Some(known) if *known != leaf => {
                println!("ok rotation");
                return Ok(());
            }
            Some(_) => {}
        }
    }
    Err("the stream ended".into())
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let options = arguments.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
    let outcome = match tokio::time::timeout(3 * PATIENCE, run(options)).await {
        Ok(outcome) => outcome,
        Err(_) => Err("it took too long".into()),
    };
    if let Err(problem) = outcome {
        eprintln!("{problem}");
        std::process::exit(1);
    }
}
