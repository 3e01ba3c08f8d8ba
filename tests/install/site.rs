//! helm and kubectl as people run them, and policies of the platform that hold in the test's namespace.

use std::{
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use devserver_api::DevServer;
use devserver_e2e::{label_namespace, programs::program, refusal};
use devserver_testkit::{
    Scene, chart,
    cluster::KUBECONFIG,
    sample,
    scene::PATIENCE,
    wait::{self, Seen},
};
use kube::{
    ResourceExt as _,
    api::{DynamicObject, PostParams},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{process::Command, sync::OnceCell};

/// Longest run of a program.
const LONGEST: Duration = Duration::from_secs(180);
/// Label of namespaces in which the policies of these tests hold; other tests go on without them.
const GUARDED: &str = "test.devserver.io/installed";
/// Policies that judge what charts and runners make.
const POLICIES: [&str; 3] = ["devserver-owner", "devserver-labels", "devserver-homes"];

static FOLDER: OnceCell<TempDir> = OnceCell::const_new();
static INSTALLED: OnceCell<()> = OnceCell::const_new();

/// A folder with helm and kubectl of the pinned versions, for PATH.
pub async fn programs() -> anyhow::Result<&'static Path> {
    let folder = FOLDER
        .get_or_try_init(async || {
            let folder = TempDir::new()?;
            for name in ["helm", "kubectl"] {
                std::os::unix::fs::symlink(program(name)?, folder.path().join(name))?;
            }
            anyhow::Ok(folder)
        })
        .await?;
    Ok(folder.path())
}

/// A clean environment: nothing of who runs the tests, and a home of its own.
pub async fn command(program: &Path, home: &Path) -> anyhow::Result<Command> {
    let path = format!(
        "{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        programs().await?.display()
    );
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", path)
        .env("HOME", home)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    Ok(command)
}

/// Runs it to its end.
pub async fn finish(mut command: Command) -> anyhow::Result<Output> {
    let what = format!("{:?}", command.as_std());
    tokio::time::timeout(LONGEST, command.output())
        .await
        .with_context(|| format!("does not end: {what}"))?
        .with_context(|| format!("failed to run {what}"))
}

/// helm or kubectl as the administrator in the scene's namespace; what it printed.
pub async fn administrate(scene: &Scene, name: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let home = TempDir::new()?;
    let mut command = command(&programs().await?.join(name), home.path()).await?;
    let kubeconfig = std::env::var_os(KUBECONFIG).context("no kubeconfig")?;
    command
        .env("KUBECONFIG", kubeconfig)
        .args(["--namespace", scene.namespace()])
        .args(arguments);
    let output = finish(command).await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{name} {arguments:?}: {said}{words}"
    );
    Ok(said)
}

/// The platform's policies, at work in the scene's namespace.
pub async fn guard(scene: &Scene) -> anyhow::Result<()> {
    INSTALLED
        .get_or_try_init(async || {
            for mut object in chart::of_kinds(&[
                "ValidatingAdmissionPolicy",
                "ValidatingAdmissionPolicyBinding",
            ])? {
                if POLICIES.contains(&object.name_any().as_str()) {
                    restrict(&mut object)?;
                    chart::install(&scene.client(), &object).await?;
                }
            }
            anyhow::Ok(())
        })
        .await?;
    label_namespace(scene, json!({GUARDED: "true"})).await?;
    // As somebody whom no policy leaves alone.
    let rights = devserver_testkit::users::developer();
    let stranger = devserver_testkit::users::user(scene, "stranger", rights).await?;
    let api = kube::Api::<DevServer>::namespaced(stranger.client, scene.namespace());
    let foreign = sample::devserver("foreign", "any");
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    wait::until("the policies are at work", PATIENCE, async || {
        let message = match api.create(&dry, &foreign).await {
            Ok(_) => "it was taken".to_owned(),
            refused => refusal(refused)?,
        };
        Ok(Seen::when(
            message.contains("'devserver-owner-installed'"),
            message,
        ))
    })
    .await
}

/// Makes it another policy, for labelled namespaces only.
fn restrict(object: &mut DynamicObject) -> anyhow::Result<()> {
    let name = format!("{}-installed", object.name_any());
    object.metadata.name = Some(name.clone());
    if chart::kind_of(object) == "ValidatingAdmissionPolicyBinding" {
        let spec = object.data.get_mut("spec").and_then(Value::as_object_mut);
        let spec = spec.context("a binding without a spec")?;
        spec.insert("policyName".to_owned(), json!(name));
        let selector = json!({"namespaceSelector": {"matchLabels": {GUARDED: "true"}}});
        spec.insert("matchResources".to_owned(), selector);
    }
    Ok(())
}
