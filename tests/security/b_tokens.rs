//! B1, B2, B8: tokens are where they are needed, say who one is, and open nothing else.

use anyhow::{Context as _, ensure};
use devserver_api::DevServer;
use devserver_e2e::{Rig, refusal};
use devserver_testkit::{account::Account, sample, with_namespace};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    authentication::v1::TokenRequest,
    core::v1::{ConfigMap, Namespace, Node, Pod, Secret, Service, ServiceAccount},
    rbac::v1::{ClusterRoleBinding, RoleBinding},
};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, PostParams},
    config::AuthInfo,
};
use serde_json::json;

/// Somebody with a bound token of the user's ServiceAccount, as `devctl admin user kubeconfig --token` writes one.
async fn bearer(account: &Account) -> anyhow::Result<Client> {
    let name = format!("{}-sa", account.username);
    let accounts = account.api::<ServiceAccount>();
    let given = accounts
        .create_token_request(&name, &PostParams::default(), &TokenRequest::default())
        .await?;
    let mut config = account.scene.cluster().config.clone();
    config.auth_info = AuthInfo {
        token: Some(
            given
                .status
                .and_then(|s| s.token)
                .context("no token")?
                .into(),
        ),
        ..AuthInfo::default()
    };
    Ok(Client::try_from(config)?)
}

#[tokio::test]
async fn b1_no_pod_of_a_machine_holds_a_token() -> anyhow::Result<()> {
    with_namespace("b1", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        rig.running().await?;
        let workload = scene.api::<StatefulSet>().get(sample::NAME).await?;
        let pod = workload
            .spec
            .and_then(|s| s.template.spec)
            .context("no pod")?;
        ensure!(
            pod.automount_service_account_token == Some(false),
            "the token is mounted"
        );
        // As the API server admitted it: its own plugin would have added the volume.
        let pod = scene
            .api::<Pod>()
            .get("workbench-0")
            .await?
            .spec
            .context("no pod")?;
        let text = serde_json::to_string(&pod)?;
        ensure!(
            !text.contains("serviceAccountToken") && !text.contains("kubernetes.io/serviceaccount"),
            "{text}"
        );
        let account = scene
            .api::<ServiceAccount>()
            .get("devserver-workbench")
            .await?;
        ensure!(
            account.automount_service_account_token == Some(false),
            "the account mounts its token"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn b2_with_a_users_token_everything_but_the_own_machines_is_forbidden() -> anyhow::Result<()>
{
    with_namespace("b2", async |scene| {
        let (alice, mallory) = (Account::new(&scene).await?, Account::new(&scene).await?);
        scene.operator_with(&alice.settings(None)).await?;
        alice.ready(json!({})).await?;
        mallory.ready(json!({})).await?;
        let client = bearer(&mallory).await?;
        let all = ListParams::default();
        let own = mallory.namespace();
        let servers: Api<DevServer> = Api::namespaced(client.clone(), &own);
        servers.list(&all).await.context("its own machines")?;
        let make = PostParams::default();
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "x"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}))?;
        let binding: RoleBinding = serde_json::from_value(json!({
            "metadata": {"name": "x"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": mallory.username}],
        }))?;
        let token = Api::<ServiceAccount>::namespaced(client.clone(), &own);
        let named = |what: &str| what.to_owned();
        let refused = [
            (named("list secrets"), refusal(Api::<Secret>::namespaced(client.clone(), &own).list(&all).await)?),
            (named("list all secrets"), refusal(Api::<Secret>::all(client.clone()).list(&all).await)?),
            (named("another namespace"), refusal(Api::<DevServer>::namespaced(client.clone(), &alice.namespace()).list(&all).await)?),
            (named("all namespaces"), refusal(Api::<DevServer>::all(client.clone()).list(&all).await)?),
            (named("namespaces"), refusal(Api::<Namespace>::all(client.clone()).list(&all).await)?),
            (named("nodes"), refusal(Api::<Node>::all(client.clone()).list(&all).await)?),
            (named("create pods"), refusal(Api::<Pod>::namespaced(client.clone(), &own).create(&make, &pod).await)?),
            (named("create rolebindings"), refusal(Api::<RoleBinding>::namespaced(client.clone(), &own).create(&make, &binding).await)?),
            (named("list clusterrolebindings"), refusal(Api::<ClusterRoleBinding>::all(client.clone()).list(&all).await)?),
            (named("services"), refusal(Api::<Service>::namespaced(client.clone(), &own).list(&all).await)?),
            (named("config maps"), refusal(Api::<ConfigMap>::namespaced(client.clone(), &own).list(&all).await)?),
            (named("a token for the own account"), refusal(token.create_token_request(&format!("{}-sa", mallory.username), &make, &TokenRequest::default()).await)?),
            (named("a token for default"), refusal(token.create_token_request("default", &make, &TokenRequest::default()).await)?),
            (named("delete the own account"), refusal(token.delete("default", &DeleteParams::default()).await)?),
        ];
        for (what, message) in refused {
            ensure!(message.contains("forbidden"), "{what}: {message}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn b2_the_token_of_a_deleted_user_opens_nothing() -> anyhow::Result<()> {
    with_namespace("b2 deleted", async |scene| {
        let account = Account::new(&scene).await?;
        scene.operator_with(&account.settings(None)).await?;
        account.ready(json!({})).await?;
        let client = bearer(&account).await?;
        let servers: Api<DevServer> = Api::namespaced(client, &account.namespace());
        servers.list(&ListParams::default()).await?;
        account
            .users()
            .delete(&account.username, &DeleteParams::default())
            .await?;
        devserver_testkit::wait::until(
            "the token is refused",
            devserver_testkit::scene::PATIENCE,
            async || {
                let answer = servers.list(&ListParams::default()).await;
                let code = match &answer {
                    Err(kube::Error::Api(status)) => status.code,
                    _ => 0,
                };
                Ok(devserver_testkit::wait::Seen::when(
                    matches!(code, 401 | 403),
                    format!("{code}"),
                ))
            },
        )
        .await
    })
    .await
}

#[tokio::test]
async fn b8_nobody_gets_a_token_by_making_a_secret_for_one() -> anyhow::Result<()> {
    with_namespace("b8", async |scene| {
        let account = Account::new(&scene).await?;
        scene.operator_with(&account.settings(None)).await?;
        account.ready(json!({})).await?;
        let person = account.person().await?;
        for target in ["default".to_owned(), format!("{}-sa", account.username)] {
            let secret: Secret = serde_json::from_value(json!({
                "metadata": {"name": "stolen", "annotations": {"kubernetes.io/service-account.name": target}},
                "type": "kubernetes.io/service-account-token",
            }))?;
            for client in [person.client.clone(), bearer(&account).await?] {
                let secrets: Api<Secret> = Api::namespaced(client, &account.namespace());
                let message = refusal(secrets.create(&PostParams::default(), &secret).await)?;
                ensure!(message.contains("forbidden"), "{message}");
            }
        }
        Ok(())
    })
    .await
}
