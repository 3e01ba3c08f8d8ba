//! dex, a real identity provider, with two people who log in by password.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    process::Stdio,
};

use anyhow::{Context as _, ensure};
use devserver_testkit::{
    cluster::root,
    port::free_address,
    scene::PATIENCE,
    wait::{self, Seen},
};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

use crate::browser::{Browser, apart};

/// bcrypt of `password`.
const HASH: &str = "$2a$10$2b2cU8CPhOTaGrs1HRQuAueS7JTT5ZHsHSzYiFPm1leZck7Mc8T4W";
/// Names the program; absent: the one in the cache.
const BINARY: &str = "DEVSERVER_DEX";

/// A running provider; ends when dropped.
pub struct Dex {
    /// Where it is reached without TLS.
    pub address: SocketAddr,
    /// What vouches for it, where its issuer is at https.
    pub authority: Option<String>,
    issuer: String,
    _process: Child,
    _folder: TempDir,
}

/// Somebody who can log in.
pub struct Person<'a> {
    pub name: &'a str,
    pub groups: &'a [&'a str],
}

impl Dex {
    /// Knows these people and this console.
    pub async fn start(console: &str, people: &[Person<'_>]) -> anyhow::Result<Self> {
        Self::start_at(free_address()?, console, people).await
    }

    /// The same at an address of ours that others reach, too.
    pub async fn start_at(
        address: SocketAddr,
        console: &str,
        people: &[Person<'_>],
    ) -> anyhow::Result<Self> {
        Self::serve(address, issuer(address), None, console, people).await
    }

    /// The same with TLS at the address of its issuer, as Kubernetes and devctl want it.
    pub async fn start_secure(
        here: IpAddr,
        console: &str,
        people: &[Person<'_>],
    ) -> anyhow::Result<Self> {
        let secure = std::net::TcpListener::bind((here, 0))?.local_addr()?;
        let issuer = format!("https://{secure}/dex");
        Self::serve(free_address()?, issuer, Some(secure), console, people).await
    }

    async fn serve(
        address: SocketAddr,
        issuer: String,
        secure: Option<SocketAddr>,
        console: &str,
        people: &[Person<'_>],
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut web = serde_json::json!({"http": address.to_string()});
        let mut authority = None;
        if let Some(secure) = secure {
            let made = rcgen::generate_simple_self_signed([secure.ip().to_string()])?;
            let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
            std::fs::write(&certificate, made.cert.pem())?;
            std::fs::write(&key, made.signing_key.serialize_pem())?;
            web = serde_json::json!({"http": address.to_string(), "https": secure.to_string(), "tlsCert": certificate, "tlsKey": key});
            authority = Some(made.cert.pem());
        }
        let people: Vec<serde_json::Value> = people
            .iter()
            .map(|person| serde_json::json!({
                "email": format!("{}@example.com", person.name), "hash": HASH, "username": person.name, "preferredUsername": person.name,
                "userID": person.name, "groups": person.groups, "emailVerified": true,
            }))
            .collect();
        let config = serde_json::json!({
            "issuer": issuer, "storage": {"type": "memory"}, "web": web,
            "oauth2": {"skipApprovalScreen": true}, "enablePasswordDB": true,
            "staticClients": [
                {"id": "console", "secret": "shared", "name": "console", "redirectURIs": [format!("https://{console}/callback")]},
                {"id": "devctl", "public": true, "name": "devctl", "redirectURIs": ["/device/callback", "/dex/device/callback"]},
            ],
            "staticPasswords": people,
        });
        let file = folder.path().join("dex.yaml");
        std::fs::write(&file, config.to_string())?;
        let process = Command::new(binary()?)
            .arg("serve")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.path().join("log"))?)
            .kill_on_drop(true)
            .spawn()
            .context("failed to start dex")?;
        wait::until("dex answers", PATIENCE, async || {
            Ok(Seen::when(
                TcpStream::connect(address).await.is_ok(),
                "no connection",
            ))
        })
        .await?;
        Ok(Self {
            address,
            authority,
            issuer,
            _process: process,
            _folder: folder,
        })
    }

    pub fn issuer(&self) -> String {
        self.issuer.clone()
    }

    /// Opens what a device shows, and logs somebody in there.
    pub async fn approve(
        &self,
        invitation: &str,
        name: &str,
        password: &str,
    ) -> anyhow::Result<()> {
        let mut browser = Browser::new(self.address);
        let host = self.address.to_string();
        let (_, path) = apart(invitation)?;
        let code = path
            .split("user_code=")
            .nth(1)
            .context("no code in the address")?
            .to_owned();
        let form = browser.get(&host, &path).await?.expect(200)?;
        ensure!(form.text.contains("verify_code"), "no form: {}", form.text);
        let verify = absolute(&self.issuer, "/dex/device/auth/verify_code")?;
        let mut answer = browser
            .post(&host, &verify, &[("user_code", &code)])
            .await?;
        let (login, mut here) = (format!("{name}@example.com"), verify);
        for _ in 0..12 {
            if answer.status.is_redirection() {
                here = absolute(&self.issuer, &answer.location()?)?;
                answer = browser.get(&host, &here).await?;
            } else if answer.text.contains("name=\"password\"") {
                let action = answer
                    .text
                    .split("action=\"")
                    .nth(1)
                    .and_then(|rest| rest.split('"').next());
                let action = action.map_or(here.clone(), |a| a.replace("&amp;", "&"));
                let action = absolute(&self.issuer, &action)?;
                answer = browser
                    .post(&host, &action, &[("login", &login), ("password", password)])
                    .await?;
            } else {
                ensure!(
                    answer.status.is_success() && answer.text.contains("Login Successful"),
                    "{} {}",
                    answer.status,
                    answer.text
                );
                return Ok(());
            }
        }
        anyhow::bail!("dex goes round in circles")
    }

    /// Logs somebody in at the provider's own page; where it sends the browser then.
    pub async fn log_in(&self, begin: &str, name: &str, password: &str) -> anyhow::Result<String> {
        let mut browser = Browser::new(self.address);
        let host = self.address.to_string();
        let (_, mut path) = apart(begin)?;
        // To the form, by however many redirects.
        for _ in 0..5 {
            let answer = browser.get(&host, &path).await?;
            if answer.status.is_redirection() {
                path = absolute(&self.issuer(), &answer.location()?)?;
                continue;
            }
            ensure!(
                answer.status.is_success(),
                "dex: {} {}",
                answer.status,
                answer.text
            );
            let action = answer
                .text
                .split("action=\"")
                .nth(1)
                .and_then(|rest| rest.split('"').next());
            path = absolute(
                &self.issuer(),
                &action.map_or(path, |a| a.replace("&amp;", "&")),
            )?;
            break;
        }
        let login = format!("{name}@example.com");
        let mut answer = browser
            .post(&host, &path, &[("login", &login), ("password", password)])
            .await?;
        for _ in 0..5 {
            let next = answer.location()?;
            if !next.starts_with('/') && !next.starts_with(&format!("http://{host}")) {
                return Ok(next);
            }
            answer = browser
                .get(&host, &absolute(&self.issuer(), &next)?)
                .await?;
        }
        anyhow::bail!("dex goes round in circles")
    }
}

fn absolute(issuer: &str, location: &str) -> anyhow::Result<String> {
    let url = url::Url::parse(issuer)?.join(location)?;
    Ok(apart(url.as_str())?.1)
}

fn issuer(address: SocketAddr) -> String {
    format!("http://{address}/dex")
}

fn binary() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os(BINARY) {
        return Ok(path.into());
    }
    let made = std::process::Command::new(
        std::env::var_os("KUBELAB").unwrap_or_else(|| root().join("bin/kubelab").into()),
    )
    .args(["tools", "dex"])
    .current_dir(root())
    .output()
    .context("failed to run kubelab")?;
    ensure!(
        made.status.success(),
        "kubelab made no dex: {}",
        String::from_utf8_lossy(&made.stderr)
    );
    Ok(PathBuf::from(
        String::from_utf8(made.stdout)?
            .trim()
            .lines()
            .last()
            .context("no path")?,
    ))
}
