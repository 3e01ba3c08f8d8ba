//! `devctl doctor` with the rights of an ordinary user, and with too few.

use anyhow::ensure;
use devserver_e2e::Rig;
use devserver_testkit::{
    devctl,
    users::{self, User},
    with_namespace,
};
use serde_json::Value;

/// Exit code, and the verdict of each check.
async fn doctor(
    scene: &devserver_testkit::Scene,
    user: &User,
) -> anyhow::Result<(Option<i32>, Vec<(String, String, String)>)> {
    let output = devctl::run(scene, user, &["doctor", "-o", "json"]).await?;
    let checks: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    let word = |check: &Value, field: &str| {
        check
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let checks = checks
        .iter()
        .map(|c| (word(c, "name"), word(c, "verdict"), word(c, "found")))
        .collect();
    Ok((output.status.code(), checks))
}

fn demand(
    checks: &[(String, String, String)],
    name: &str,
    verdict: &str,
    word: &str,
) -> anyhow::Result<()> {
    let found = checks.iter().find(|(n, ..)| n == name);
    ensure!(
        found.is_some_and(|(_, v, f)| v == verdict && f.contains(word)),
        "{name} is not {verdict}, or does not say {word:?}: {checks:?}"
    );
    Ok(())
}

#[tokio::test]
async fn devctl_doctor_finds_nothing_wrong_for_an_ordinary_user() -> anyhow::Result<()> {
    with_namespace("devctl doctor", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        rig.running().await?;
        let alice = users::user(&scene, "alice", users::developer()).await?;
        let (code, checks) = doctor(&scene, &alice).await?;
        ensure!(code == Some(0), "{checks:?}");
        for (name, word) in [
            ("kubeconfig", scene.namespace()),
            ("cluster", "Kubernetes v1."),
            ("clock", "apart"),
            ("platform", "served"),
            ("operator", "looked"),
        ] {
            demand(&checks, name, "ok", word)?;
        }
        // Flavors are in no namespace, so a right in one does not reach them; the chart lets everybody see them, where it is
        // installed, as tests of its rights do beside this one.
        demand(&checks, "rights", "ok", "all that devctl needs")
            .or_else(|_| demand(&checks, "rights", "warn", "see flavors"))?;
        demand(&checks, "ssh config", "warn", "plain ssh")
    })
    .await
}

#[tokio::test]
async fn devctl_doctor_fails_where_rights_are_missing_and_names_them() -> anyhow::Result<()> {
    with_namespace("devctl doctor rights", async |scene| {
        let rights = users::developer();
        let some: Vec<_> = rights
            .into_iter()
            .filter(|rule| {
                !rule
                    .resources
                    .iter()
                    .flatten()
                    .any(|r| r == "pods/portforward")
            })
            .collect();
        let bob = users::user(&scene, "bob", some).await?;
        let (code, checks) = doctor(&scene, &bob).await?;
        ensure!(code == Some(1), "{checks:?}");
        demand(&checks, "rights", "fail", "create pods/portforward")?;
        demand(&checks, "platform", "ok", "")?;
        let text = devctl::run(&scene, &bob, &["doctor"]).await?;
        let text = String::from_utf8(text.stdout)?;
        ensure!(
            text.contains("fail  rights") && text.contains("ClusterRole devserver-user"),
            "{text}"
        );
        Ok(())
    })
    .await
}
