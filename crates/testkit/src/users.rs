//! Ordinary users: real credentials with only the rights a test grants.

use anyhow::Context as _;
use k8s_openapi::api::{
    authentication::v1::TokenRequest,
    authorization::v1::SelfSubjectAccessReview,
    core::v1::ServiceAccount,
    rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject},
};
use kube::{
    Api, Client, Config,
    api::{ObjectMeta, PostParams},
    config::AuthInfo,
};

use serde_json::json;

use crate::{
    Scene,
    scene::PATIENCE,
    wait::{self, Seen},
};

/// Somebody who is not the administrator.
pub struct User {
    /// Direct client with the user's own token.
    pub client: Client,
    /// The same as configuration, for programs under test.
    pub config: Config,
}

/// What a developer may do in a namespace: everything with DevServers, look at what belongs to them, reach the pod.
pub fn developer() -> Vec<PolicyRule> {
    let rule = |groups: &[&str], resources: &[&str], verbs: &[&str]| {
        let words = |list: &[&str]| list.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        PolicyRule {
            api_groups: Some(words(groups)),
            resources: Some(words(resources)),
            verbs: words(verbs),
            ..PolicyRule::default()
        }
    };
    vec![
        rule(
            &["devserver.io"],
            &["devservers"],
            &[
                "get", "list", "watch", "create", "update", "patch", "delete",
            ],
        ),
        rule(
            &[""],
            &["pods", "services", "persistentvolumeclaims"],
            &["get", "list", "watch"],
        ),
        rule(&[""], &["pods/log"], &["get"]),
        rule(&[""], &["pods/portforward"], &["get", "create"]),
        rule(
            &["", "events.k8s.io"],
            &["events"],
            &["get", "list", "watch"],
        ),
    ]
}

/// Makes a user of the scene's namespace with those rights.
pub async fn user(scene: &Scene, name: &str, rights: Vec<PolicyRule>) -> anyhow::Result<User> {
    let named = || ObjectMeta {
        name: Some(name.to_owned()),
        ..ObjectMeta::default()
    };
    let params = PostParams::default();
    let account = ServiceAccount {
        metadata: named(),
        ..ServiceAccount::default()
    };
    scene
        .api::<ServiceAccount>()
        .create(&params, &account)
        .await
        .context("failed to create the user")?;
    let first = rights.first().cloned();
    let role = Role {
        metadata: named(),
        rules: Some(rights),
    };
    scene
        .api::<Role>()
        .create(&params, &role)
        .await
        .context("failed to create the role")?;
    bind(scene, name).await?;
    let request = TokenRequest::default();
    let answer = scene
        .api::<ServiceAccount>()
        .create_token_request(name, &params, &request)
        .await?;
    let token = answer
        .status
        .and_then(|status| status.token)
        .context("the API server gave no token")?;
    let mut config = scene.cluster().config.clone();
    config.auth_info = AuthInfo {
        token: Some(token.into()),
        ..AuthInfo::default()
    };
    let client = Client::try_from(config.clone())?;
    if let Some(rule) = first {
        until_allowed(&client, scene.namespace(), &rule).await?;
    }
    Ok(User { client, config })
}

/// Gives the user the role of the same name.
async fn bind(scene: &Scene, name: &str) -> anyhow::Result<()> {
    let binding = RoleBinding {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        role_ref: RoleRef {
            api_group: Some("rbac.authorization.k8s.io".to_owned()),
            kind: "Role".to_owned(),
            name: name.to_owned(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: name.to_owned(),
            namespace: Some(scene.namespace().to_owned()),
            ..Subject::default()
        }]),
    };
    let bindings = scene.api::<RoleBinding>();
    let bound = bindings.create(&PostParams::default(), &binding).await;
    bound.map(drop).context("failed to bind the role")
}

/// The authorizer of the API server learns of a binding a moment after it has been written.
async fn until_allowed(client: &Client, namespace: &str, rule: &PolicyRule) -> anyhow::Result<()> {
    let one = |list: &Option<Vec<String>>| list.as_ref().and_then(|all| all.first().cloned());
    let resource = one(&rule.resources).unwrap_or_default();
    let (resource, part) = resource.split_once('/').unwrap_or((&resource, ""));
    let review = json!({"metadata": {}, "spec": {"resourceAttributes": {
        "namespace": namespace, "verb": rule.verbs.first(), "group": one(&rule.api_groups).unwrap_or_default(),
        "resource": resource, "subresource": part, "name": one(&rule.resource_names).unwrap_or_default(),
    }}});
    let review: SelfSubjectAccessReview = serde_json::from_value(review)?;
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    wait::until("the user has the rights", PATIENCE, async || {
        let answer = reviews.create(&PostParams::default(), &review).await?;
        let status = answer.status.unwrap_or_default();
        Ok(Seen::when(status.allowed, format!("{status:?}")))
    })
    .await
}
