//! Whose a new DevServer is: the name by which the cluster knows who asks, unless told otherwise.

use devserver_api::DevServer;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::PostParams;

use crate::{
    failure::Outcome,
    kube::{self as cluster, Session},
};

/// Namespaces of users begin with this; what follows is the user.
const USER_NAMESPACE: &str = "dev-";

/// Fills `spec.owner` in. The platform's policies demand it, and it decides who may use what.
pub async fn fill(session: &Session, server: &mut DevServer) -> Outcome {
    if server.spec.owner.is_some() {
        return Ok(());
    }
    let username = username(session)
        .await
        .map_err(|failure| failure.remedy("say it yourself, with --owner"))?;
    server.spec.owner = username;
    Ok(())
}

/// Who asks, as the cluster knows them.
pub async fn username(session: &Session) -> Outcome<Option<String>> {
    let (params, review) = (PostParams::default(), SelfSubjectReview::default());
    let reviews = session.own_reviews();
    let asking = reviews.create(&params, &review);
    let answer = cluster::answer("failed to ask the cluster who you are", asking).await?;
    let user = answer.status.and_then(|status| status.user_info);
    let name = user.and_then(|user| user.username);
    Ok(name.map(|name| owner(&name, &session.place.namespace).to_owned()))
}

/// The user, also when a ServiceAccount of the user's own namespace asks: it acts for its user.
fn owner<'a>(username: &'a str, namespace: &'a str) -> &'a str {
    let account_of = username
        .strip_prefix("system:serviceaccount:")
        .and_then(|rest| rest.split(':').next());
    match namespace.strip_prefix(USER_NAMESPACE) {
        Some(user) if account_of == Some(namespace) => user,
        _ => username,
    }
}

#[cfg(test)]
mod tests {
    use super::owner;

    #[test]
    fn a_person_is_the_owner_by_the_name_the_cluster_has_for_them() {
        assert_eq!(owner("alice@example.com", "team-a"), "alice@example.com");
        assert_eq!(owner("alice", "dev-alice"), "alice");
        assert_eq!(owner("bob", "dev-alice"), "bob");
    }

    #[test]
    fn an_account_of_a_users_namespace_acts_for_the_user_there_and_nowhere_else() {
        let account = "system:serviceaccount:dev-alice:laptop";
        assert_eq!(owner(account, "dev-alice"), "alice");
        assert_eq!(owner(account, "dev-bob"), account);
        assert_eq!(
            owner("system:serviceaccount:ci:runner", "ci"),
            "system:serviceaccount:ci:runner"
        );
    }
}
