//! Attacks D5 and D6: whatever is typed into the form, or called a branch, is one literal value or refused. The scripts that the workflows
//! run, from the form to the API server.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context as _, ensure};
use devserver_api::DevServer;
use devserver_testkit::{cluster::root, with_namespace};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ListParams;
use serde_json::json;
use tempfile::TempDir;

use crate::{site, workflows::Desk};

/// Fields of the form, what is typed, and a word of the refusal. MARK is a file that must never exist.
const REFUSED: [(&str, &str, &str); 44] = [
    ("env_name", "", "a letter first"),
    ("env_name", "$(touch MARK)", "a letter first"),
    ("env_name", "`touch MARK`", "a letter first"),
    ("env_name", "x; touch MARK", "a letter first"),
    ("env_name", "x\ntouch MARK", "a letter first"),
    ("env_name", "x\" && touch MARK && \"", "a letter first"),
    ("env_name", "-x", "a letter first"),
    ("env_name", "--kubeconfig=/etc/passwd", "a letter first"),
    ("env_name", "1x", "a letter first"),
    ("env_name", "x-", "a letter first"),
    ("env_name", "X", "a letter first"),
    ("env_name", "naïve", "a letter first"),
    ("env_name", "環境", "a letter first"),
    ("env_name", "../../etc", "a letter first"),
    ("env_name", "a.b", "a letter first"),
    ("env_name", "x ::add-mask::y", "a letter first"),
    ("env_name", "x\n::add-mask::y", "a letter first"),
    ("env_name", "x%0A::add-mask::y", "a letter first"),
    ("env_name", "LONG", "a letter first"),
    ("action", "destroy", "say launch or teardown"),
    ("action", "launch;touch MARK", "say launch or teardown"),
    ("action", "check_launch", "say launch or teardown"),
    ("image", "", "not a repository"),
    ("image", "x --set ssh.enabled=true", "not a repository"),
    ("image", "x,ssh.enabled=true", "not a repository"),
    ("image", "$(touch MARK)", "not a repository"),
    ("image", "docker.io/evil/miner", "is not offered"),
    (
        "image",
        "cthomaspdx1/swish-python3\ncthomaspdx1/swish-r",
        "not a repository",
    ),
    (
        "image",
        "cthomaspdx1/swish-python3:latest",
        "not a repository",
    ),
    ("team", "a,owner=root", "letters, digits"),
    ("team", "$(touch MARK)", "letters, digits"),
    ("team", "x[bot]", "letters, digits"),
    ("team", "{{ .Release.Name }}", "letters, digits"),
    ("memory", "1Gi,owner=root", "not an amount"),
    ("memory", "-1Gi", "not an amount"),
    ("memory", "1e999999999", "not an amount"),
    ("cpu", "`touch MARK`", "not an amount"),
    ("ssh_enabled", "true; touch MARK", "say true or false"),
    ("pip_packages", "; touch MARK", "not one package"),
    ("pip_packages", "{flask,requests}", "not one package"),
    (
        "pip_packages",
        "--index-url=https://evil.example.com",
        "not one package",
    ),
    (
        "pip_packages",
        "git+https://evil.example.com/x",
        "not one package",
    ),
    ("pip_packages", "flask$(touch${IFS}MARK)", "not one package"),
    ("pip_packages", "flask\nrequests", "more than one line"),
];

/// Names that branches can have, and some that Git would refuse but an event could still carry.
const BRANCHES: [&str; 22] = [
    "feature/a",
    "feature-a",
    "FEATURE-A",
    "feature--a",
    "feature_a",
    "-feature-a-",
    "LONG",
    "LONGER",
    "$(touch MARK)",
    "`touch MARK`",
    "x;touch MARK",
    "x\ntouch MARK",
    "x\n::add-mask::y",
    "--help",
    "-n",
    "日本語",
    "日本",
    "é",
    " ",
    "---",
    "refs/heads/main",
    "${{ secrets.X }}",
];

fn filled(text: &str, mark: &Path) -> String {
    text.replace("MARK", &mark.display().to_string())
        .replace("LONGER", &"x".repeat(301))
        .replace("LONG", &"x".repeat(300))
}

/// Nothing but our own errors is a command to the runner.
fn only_errors(log: &str) -> anyhow::Result<()> {
    for line in log.lines().filter(|line| line.starts_with("::")) {
        let ours = line
            .strip_prefix("::error::")
            .is_some_and(|rest| !rest.contains("::"));
        ensure!(ours, "a command of a stranger: {line}");
    }
    Ok(())
}

#[tokio::test]
async fn d5_whatever_is_typed_into_the_form_is_a_literal_or_refused() -> anyhow::Result<()> {
    with_namespace("hostile form", async |scene| {
        let desk = Desk::new(scene.clone()).await?;
        let folder = TempDir::new()?;
        let mark = folder.path().join("mark");
        for (field, typed, word) in REFUSED {
            let typed = filled(typed, &mark);
            let mut inputs = json!({});
            inputs[field] = json!(typed);
            let ended = desk.form("octocat", inputs).await?;
            ensure!(!ended.ok && ended.log.contains(word), "{field} {typed:?} without {word:?}: {ended:?}");
            ensure!(!mark.exists(), "{field} {typed:?} ran");
            ensure!(ended.summary.is_empty(), "{field} {typed:?}: {}", ended.summary);
            only_errors(&ended.log)?;
        }
        for actor in ["", "x y", "$(touch MARK)", "a/../octocat", "octocat\nmallory", "[bot]"] {
            let ended = desk.form(&filled(actor, &mark), json!({"ssh_enabled": true})).await?;
            ensure!(!ended.ok && ended.log.contains("not a GitHub login"), "{actor:?}: {ended:?}");
        }
        ensure!(!mark.exists() && desk.names().await?.is_empty());
        let records = scene.api::<ConfigMap>().list(&ListParams::default().labels("owner=helm")).await?;
        ensure!(records.items.is_empty(), "there are releases");
        // What looks dangerous and is a package.
        let odd = json!({"pip_packages": " ruamel.yaml~=0.18 ,, x>1!2.0rc1,<3 , torch===2.5.1+cu121", "env_name": "odd"});
        let ended = desk.form("octocat", odd).await?;
        ensure!(ended.ok, "{ended:?}");
        let pip = scene.api::<DevServer>().get("odd").await?.spec.packages.context("none")?.pip;
        ensure!(pip == ["ruamel.yaml~=0.18", "x>1!2.0rc1,<3", "torch===2.5.1+cu121"], "{pip:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn d5_whatever_a_branch_is_called_its_environment_has_a_name_of_its_own() -> anyhow::Result<()>
{
    let folder = TempDir::new()?;
    let mark = folder.path().join("mark");
    let mut names = BTreeSet::new();
    for branch in BRANCHES {
        let mut command = site::command(Path::new("bash"), folder.path()).await?;
        let words = "set -euo pipefail; . .github/scripts/lib.sh; branch_name \"$1\" \"$2\"";
        command
            .args([
                "-c",
                words,
                "bash",
                "swish/platform",
                &filled(branch, &mark),
            ])
            .current_dir(root());
        let output = site::finish(command).await?;
        let name = String::from_utf8(output.stdout)?;
        ensure!(
            output.status.success() && !mark.exists(),
            "{branch:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let tail = name.strip_prefix("dev-").context("no dev-")?;
        let plain = tail
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        ensure!(
            plain && name.len() <= 52 && !name.contains("--") && !name.ends_with('-'),
            "{branch:?} becomes {name:?}"
        );
        ensure!(
            names.insert(name.clone()),
            "{branch:?} becomes {name:?}, as another does"
        );
    }
    Ok(())
}

#[tokio::test]
async fn d5_hostile_branches_get_their_environment_and_nothing_else_happens() -> anyhow::Result<()>
{
    with_namespace("hostile branches", async |scene| {
        let desk = Desk::new(scene.clone()).await?;
        let folder = TempDir::new()?;
        let mark = folder.path().join("mark");
        let branches = ["LONG", "$(touch MARK)", "x\n::add-mask::y", "日本語"];
        for (index, branch) in branches.iter().enumerate() {
            let made = desk
                .branch("create", &filled(branch, &mark), "x[bot]")
                .await?;
            ensure!(made.ok && !mark.exists(), "{branch:?}: {made:?}");
            only_errors(&made.log)?;
            ensure!(desk.names().await?.len() == index + 1, "{branch:?}");
        }
        for (index, branch) in branches.iter().enumerate() {
            let gone = desk
                .branch("delete", &filled(branch, &mark), "x[bot]")
                .await?;
            ensure!(gone.ok && !mark.exists(), "{branch:?}: {gone:?}");
            ensure!(
                desk.names().await?.len() == branches.len() - index - 1,
                "{branch:?}"
            );
        }
        Ok(())
    })
    .await
}
