//! `devctl login`: from the address of a console to a context that works, with a real provider and an API server that trusts it.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Output,
    time::SystemTime,
};

use anyhow::{Context as _, ensure};
use devserver_api::DevServer;
use devserver_testkit::with_namespace;
use k8s_openapi::api::{authentication::v1::SelfSubjectReview, core::v1::Secret};
use kube::{
    Api, Client,
    api::{ListParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};

use crate::desk::{Desk, texts};

#[tokio::test]
async fn a_login_by_browser_gives_a_context_with_the_rights_of_an_ordinary_user()
-> anyhow::Result<()> {
    with_namespace("login", async |scene| {
        let desk = Desk::new(&scene).await?;
        let said = desk.logged_in().await?;
        let username = desk.account.username.clone();
        ensure!(said.contains(&format!("logged in as {username}")), "{said}");
        // With the new context alone: make one in one's own namespace, and see it.
        let key = desk.path("id.pub");
        std::fs::write(
            &key,
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8gD0mS1nGkZ3Y8u3n8oQm4c2p1Ff0J7w0m1G7f9l2R\n",
        )?;
        let key = key.to_str().context("no text")?;
        let made = desk
            .run(&["create", "box", "--ssh-public-key-file", key])
            .await?;
        ensure!(made.status.success(), "{:?}", texts(&made));
        let server = desk.account.api::<DevServer>().get("box").await?;
        ensure!(
            server.spec.owner.as_deref() == Some(&username),
            "{:?}",
            server.spec.owner
        );
        let who = desk.run(&["login"]).await?;
        ensure!(
            texts(&who).0.contains(&format!(
                "you are {username} in the context localhost, namespace dev-{username}"
            )),
            "{:?}",
            texts(&who)
        );
        // Any client finds its way by the same file, and may do what its user may.
        let client = any_client(&desk).await?;
        let review = Api::<SelfSubjectReview>::all(client.clone())
            .create(&PostParams::default(), &SelfSubjectReview::default())
            .await?;
        let user = review
            .status
            .and_then(|s| s.user_info)
            .context("no answer")?;
        ensure!(user.username.as_ref() == Some(&username), "{user:?}");
        let secrets = Api::<Secret>::all(client)
            .list(&ListParams::default())
            .await;
        ensure!(
            matches!(&secrets, Err(kube::Error::Api(status)) if status.code == 403),
            "it may read Secrets"
        );
        Ok(())
    })
    .await
}

/// A client that knows the new file and nothing of devctl.
async fn any_client(desk: &Desk) -> anyhow::Result<Client> {
    let mut file = Kubeconfig::read_from(desk.path("config"))?;
    for user in &mut file.auth_infos {
        if let Some(exec) = user.auth_info.as_mut().and_then(|a| a.exec.as_mut()) {
            let own = |name: &str, value: PathBuf| {
                let pair = [
                    ("name", name.to_owned()),
                    ("value", value.display().to_string()),
                ];
                pair.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
            };
            exec.env = Some(vec![own("DEVCTL_CACHE_DIR", desk.path("cache"))]);
        }
    }
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

#[tokio::test]
async fn tokens_are_for_their_owner_only_are_renewed_and_end_with_the_login() -> anyhow::Result<()>
{
    with_namespace("login tokens", async |scene| {
        let desk = Desk::new(&scene).await?;
        desk.logged_in().await?;
        let file = desk.tokens()?;
        let mode = |path: &Path| anyhow::Ok(std::fs::metadata(path)?.permissions().mode() & 0o777);
        ensure!(
            mode(&file)? == 0o600
                && mode(&desk.path("cache/tokens"))? == 0o700
                && mode(&desk.path("config"))? == 0o600,
            "others may read"
        );
        let kept: Value = serde_json::from_str(&std::fs::read_to_string(&file)?)?;
        let text = std::fs::read_to_string(desk.path("config"))?;
        for secret in ["idToken", "refreshToken"] {
            let secret = kept[secret].as_str().context("no token")?;
            ensure!(!text.contains(secret), "the kubeconfig has a token");
        }
        let issuer = format!("--issuer={}", desk.dex.issuer());
        let ask = [
            "credential",
            &issuer,
            "--client-id=devctl",
            "--login=localhost",
        ];
        let first = told(&desk.run(&ask).await?)?;
        ensure!(
            first["kind"] == "ExecCredential" && first["status"]["token"] == kept["idToken"],
            "{first}"
        );
        ensure!(
            first["apiVersion"] == "client.authentication.k8s.io/v1",
            "{first}"
        );
        several_at_once_renew_it(&desk, &ask).await?;
        the_end_of_the_login_is_told(&desk, &ask).await
    })
    .await
}

fn told(output: &Output) -> anyhow::Result<Value> {
    serde_json::from_slice(&output.stdout).with_context(|| format!("{:?}", texts(output)))
}

/// After its end each has a new one, though the refresh token was good for one use.
async fn several_at_once_renew_it(desk: &Desk, ask: &[&str]) -> anyhow::Result<()> {
    desk.change_tokens(|kept| kept["expires"] = json!(1))?;
    let (a, b, c) = tokio::join!(desk.run(ask), desk.run(ask), desk.run(ask));
    for output in [a?, b?, c?] {
        let output = told(&output)?;
        let ends = output["status"]["expirationTimestamp"].as_str();
        let ends: jiff::Timestamp = ends.context("no end")?.parse()?;
        ensure!(SystemTime::from(ends) > SystemTime::now(), "{output}");
    }
    Ok(())
}

/// Said so, with what to do, and no token is printed.
async fn the_end_of_the_login_is_told(desk: &Desk, ask: &[&str]) -> anyhow::Result<()> {
    desk.change_tokens(|kept| {
        kept["expires"] = json!(1);
        kept["refreshToken"] = json!("ChlzcGVudC1hbmQtZ29uZS1sb25nLWFnby1ub3cSFA");
    })?;
    let over = desk.run(ask).await?;
    let (out, err) = texts(&over);
    ensure!(
        over.status.code() == Some(4) && out.is_empty(),
        "{:?} {out}",
        over.status
    );
    let remedy = format!("devctl login --console {}", desk.console);
    ensure!(
        err.contains("your login has ended") && err.contains(&remedy),
        "{err}"
    );
    Ok(())
}

#[tokio::test]
async fn a_console_without_devctl_says_so_and_an_address_without_tls_is_not_asked()
-> anyhow::Result<()> {
    with_namespace("login refused", async |scene| {
        let mut desk = Desk::new(&scene).await?;
        let run = async |desk: &Desk, console: &str| {
            let certificate = desk.path("console.crt");
            let certificate = certificate.to_str().context("no text")?.to_owned();
            let output = desk
                .run(&[
                    "login",
                    "--console",
                    console,
                    "--certificate-authority",
                    &certificate,
                ])
                .await?;
            anyhow::Ok((output.status.code(), texts(&output).1))
        };
        let plain = desk.console.replace("https://", "http://");
        let (code, said) = run(&desk, &plain).await?;
        ensure!(code == Some(2) && said.contains("https://"), "{said}");
        // Somebody else's certificate.
        let own = std::fs::read(desk.path("console.crt"))?;
        std::fs::write(
            desk.path("console.crt"),
            desk.dex.authority.clone().unwrap_or_default(),
        )?;
        let (code, said) = run(&desk, &desk.console).await?;
        ensure!(code == Some(1) && said.contains("certificate"), "{said}");
        std::fs::write(desk.path("console.crt"), own)?;
        desk.forget_devctl().await?;
        let (code, said) = run(&desk, &desk.console).await?;
        ensure!(
            code == Some(3) && said.contains("does not say how to log in"),
            "{said}"
        );
        ensure!(
            !desk.path("config").exists() && !desk.path("cache").exists(),
            "something was written"
        );
        Ok(())
    })
    .await
}
