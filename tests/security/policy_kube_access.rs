//! Nobody gives an environment a role that they could not give to anybody.

use devserver_api::DevServer;
use devserver_testkit::{chart, sample, with_namespace};
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;

use crate::guard::{Guarded, bind, is_refused, mallory, until_may};

fn asking(guarded: &Guarded, owner: &str, name: &str) -> anyhow::Result<DevServer> {
    let mut server = guarded.devserver();
    server.metadata = ObjectMeta {
        name: Some(name.to_owned()),
        ..ObjectMeta::default()
    };
    server.spec.owner = Some(owner.to_owned());
    server.spec.kube_access = Some(serde_json::from_value(json!({"role": "view"}))?);
    Ok(server)
}

#[tokio::test]
async fn b2_only_who_may_bind_a_role_gives_it_to_an_environment() -> anyhow::Result<()> {
    with_namespace("policy kube access", async |scene| {
        let guarded = Guarded::new(scene.clone()).await?;
        let (name, user) = mallory(&scene).await?;
        let servers: Api<DevServer> = Api::namespaced(user.client.clone(), scene.namespace());
        until_may(&user.client, Some(scene.namespace()), "create", ("devserver.io", "devservers")).await?;
        let params = PostParams::default();
        let words = ["spec.kubeAccess.role", "view", scene.namespace()];
        is_refused(servers.create(&params, &asking(&guarded, &name, "mine")?).await, "kube-access", &words)?;
        // Nor later.
        let mut plain = asking(&guarded, &name, "mine")?;
        plain.spec.kube_access = None;
        servers.create(&params, &plain).await?;
        let ask = Patch::Merge(json!({"spec": {"kubeAccess": {"role": "view"}}}));
        is_refused(servers.patch("mine", &PatchParams::default(), &ask).await, "kube-access", &words)?;

        // With the right to bind that one role it may be asked for, and no other.
        let role: ClusterRole = serde_json::from_value(json!({
            "metadata": {"name": format!("kube-access-{}", sample::word(6))},
            "rules": [{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "resourceNames": ["view"], "verbs": ["bind"]}],
        }))?;
        let roles: Api<ClusterRole> = Api::all(scene.client());
        roles.create(&params, &role).await?;
        bind(&scene, json!({"kind": "User", "name": name}), &role.name_any()).await?;
        devserver_testkit::wait::until("may ask for the role", devserver_testkit::scene::PATIENCE, async || {
            let patched = servers.patch("mine", &PatchParams::default(), &ask).await;
            Ok(devserver_testkit::wait::Seen::when(patched.is_ok(), format!("{patched:?}")))
        })
        .await?;
        let more = Patch::Merge(json!({"spec": {"kubeAccess": {"role": "admin"}}}));
        is_refused(servers.patch("mine", &PatchParams::default(), &more).await, "kube-access", &["admin"])?;
        // What does not touch it is nobody's business.
        let other = Patch::Merge(json!({"spec": {"suspend": true}}));
        servers.patch("mine", &PatchParams::default(), &other).await?;
        roles.delete(&role.name_any(), &kube::api::DeleteParams::default()).await?;
        Ok(())
    })
    .await
}

#[test]
fn b7_no_rendering_lets_the_operator_bind_a_role_that_is_not_listed() {
    let roles = chart::of_kinds(&["ClusterRole"]).unwrap();
    for role in roles {
        let text = role.data.to_string();
        if text.contains("\"bind\"") {
            assert!(
                text.contains("resourceNames"),
                "{}: {text}",
                role.name_any()
            );
        }
    }
}
