//! Images made for another user than ours (decision C-USER), and programs that make their user root (attack A8).

use std::time::Duration;

use anyhow::ensure;
use devserver_api::{DevServer, DevServerFlavor};
use devserver_testkit::wait::{Seen, until};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::{machine::User, spec};

#[tokio::test(flavor = "multi_thread")]
async fn an_image_made_for_coder_has_its_home_where_it_looks_for_it_and_keeps_it()
-> anyhow::Result<()> {
    let user = User::new("coder").await?;
    let wanted = json!({
        "image": "docker.io/devserver/ide:lab", "loginUser": "coder", "persistentHomeSize": "128Mi",
        "editor": {"enabled": true}, "kubeAccess": {"role": "view"},
    });
    let server = spec::create(&user, "box", wanted).await?;
    let told = server.status.and_then(|s| s.ssh).map(|ssh| ssh.user);
    ensure!(told.as_deref() == Some("coder"), "{told:?}");
    let seen = user.says(
        "box",
        "id -un; id -u; pwd; echo $HOME; doas id -u; cat /etc/passwd | grep -c '^dev:' || true",
    )?;
    ensure!(
        seen == "coder\n1000\n/home/coder\n/home/coder\n0\n0",
        "{seen}"
    );
    // The paths of document 004, all in the one volume, and its other name.
    user.says(
        "box",
        "echo kept > /home/coder/.local/kept && echo too > /home/coder/project/too",
    )?;
    ensure!(user.says("box", "cat /workspace/.local/kept /workspace/project/too")? == "kept\ntoo");
    ensure!(user.says("box", "kubectl get pods -o name")? == "pod/box-0");
    ensure!(user.says("box", "ls /home/coder/.kube")?.contains("config"));
    let editor = "for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline 2>/dev/null; done | grep -o 'user-data-dir [^ ]*' | head -n 1";
    until("the editor runs", Duration::from_mins(2), async || {
        let output = user.ssh("box", editor)?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let there = said == "user-data-dir /home/coder/.local/share/code-server";
        Ok(Seen::when(there, said))
    })
    .await?;
    user.suspend_and_resume("box").await?;
    ensure!(user.says("box", "cat ~/.local/kept ~/project/too")? == "kept\ntoo");

    // Without the field it is the machine of dev again, with the same files.
    let change = json!({"spec": {"loginUser": null, "lifecycle": {"restartPolicy": "Automatic"}}});
    user.api::<DevServer>()
        .patch("box", &PatchParams::default(), &Patch::Merge(&change))
        .await?;
    until(
        "the machine is another",
        Duration::from_mins(2),
        async || {
            let output = user.ssh("box", "id -un; cat /home/dev/project/too")?;
            let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            Ok(Seen::when(said == "dev\ntoo", said))
        },
    )
    .await?;
    user.leave().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a8_a_setuid_program_of_a_shared_volume_makes_nobody_root_of_more_than_their_own_machine()
-> anyhow::Result<()> {
    let user = User::new("setuid").await?;
    let claim: PersistentVolumeClaim = serde_json::from_value(json!({
        "metadata": {"name": "tools", "labels": {"devserver.io/shared": "true"}},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "32Mi"}}},
    }))?;
    let params = PostParams::default();
    user.api::<PersistentVolumeClaim>()
        .create(&params, &claim)
        .await?;
    let flavors: Api<DevServerFlavor> = Api::all(user.client.clone());
    let tight: DevServerFlavor = serde_json::from_value(json!({
        "apiVersion": "devserver.io/v1", "kind": "DevServerFlavor", "metadata": {"name": format!("{}-tight", user.namespace)},
        "spec": {"isolation": "Restricted", "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "512Mi"}}}}))?;
    let name = tight.metadata.name.clone().unwrap_or_default();
    flavors.create(&params, &tight).await?;
    let volumes = json!([{"claimName": "tools", "mountPath": "/tools"}]);
    spec::create(&user, "maker", json!({ "volumes": volumes })).await?;
    user.says(
        "maker",
        "doas cp /bin/cat /usr/bin/id /tools/ && doas chmod 4755 /tools/cat /tools/id",
    )?;

    spec::create(
        &user,
        "tight",
        json!({ "volumes": volumes, "flavor": name }),
    )
    .await?;
    ensure!(user.says("tight", "stat -c '%u %a' /tools/id; /tools/id -u")? == "0 4755\n1000");

    // Elsewhere everybody is root of their own machine anyway, and of nothing outside of it.
    spec::create(&user, "rooted", json!({ "volumes": volumes })).await?;
    ensure!(user.says("rooted", "/tools/id -u")? == "0");
    let map = user.says("rooted", "/tools/cat /proc/self/uid_map")?;
    let outside = map
        .split_whitespace()
        .nth(1)
        .and_then(|w| w.parse::<u64>().ok());
    ensure!(outside.is_some_and(|uid| uid >= 65_536), "{map}");
    flavors.delete(&name, &DeleteParams::default()).await?;
    user.leave().await;
    Ok(())
}
