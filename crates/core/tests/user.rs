//! A user becomes a namespace, bounds and rights, and nothing that is somebody else's.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value
)]

use devserver_api::{DevServerUser, condition};
use devserver_core::{
    Platform, Problem,
    user::{self, InvalidUser, Seen, Standing, UserKind},
};
use jiff::Timestamp;
use k8s_openapi::{api::core::v1::Namespace, apimachinery::pkg::apis::meta::v1::Time};
use serde_json::{Value, json};

fn user(name: &str, created: i64, spec: Value) -> DevServerUser {
    let mut user = DevServerUser::new(name, serde_json::from_value(spec).unwrap());
    user.metadata.uid = Some(format!("uid-of-{name}"));
    user.metadata.generation = Some(1);
    user.metadata.creation_timestamp = Some(Time(Timestamp::from_second(created).unwrap()));
    user
}

fn platform() -> Platform {
    Platform {
        allowed_roles: vec!["ClusterRole/view".to_owned()],
        ..Platform::default()
    }
}

fn full() -> DevServerUser {
    user(
        "alice",
        1,
        json!({
            "username": "alice",
            "teams": ["genomics", "imaging"],
            "quota": {"requests.cpu": "8", "count/devservers.devserver.io": "3"},
            "limits": [{"type": "Container", "max": {"cpu": "4"}}],
            "additionalRoleRefs": [{"kind": "ClusterRole", "name": "view"}],
            "podSecurity": "restricted",
        }),
    )
}

const NOBODY: [DevServerUser; 0] = [];

#[test]
fn every_field_of_a_user_has_its_effect() {
    let account = user::resolve(&full(), &NOBODY, &platform()).unwrap();
    let objects: Vec<Value> = user::desired(&account)
        .iter()
        .map(user::UserObject::to_value)
        .collect();
    insta::assert_yaml_snapshot!(objects);
}

#[test]
fn bounds_come_before_rights() {
    let account = user::resolve(&full(), &NOBODY, &platform()).unwrap();
    let kinds: Vec<UserKind> = user::desired(&account)
        .iter()
        .map(devserver_core::user::UserObject::kind)
        .collect();
    let mut sorted = kinds.clone();
    sorted.sort();
    assert_eq!(kinds, sorted);
    assert_eq!(kinds.first(), Some(&UserKind::Namespace));
    assert_eq!(kinds.last(), Some(&UserKind::RoleBinding));
}

#[test]
fn a_dropped_quota_is_superfluous_and_the_namespace_has_no_owner() {
    let plain = user("bob", 1, json!({"username": "bob"}));
    let account = user::resolve(&plain, &NOBODY, &platform()).unwrap();
    let objects = user::desired(&account);
    assert_eq!(
        user::superfluous(&objects),
        [UserKind::ResourceQuota, UserKind::LimitRange]
    );
    let namespace = objects.first().unwrap().to_value();
    assert_eq!(namespace.pointer("/metadata/ownerReferences"), None);
    let level = "/metadata/labels/pod-security.kubernetes.io~1enforce";
    assert_eq!(namespace.pointer(level), Some(&json!("baseline")));
}

#[test]
fn of_two_users_with_one_username_the_older_has_it_whoever_is_asked() {
    let older = user("a", 1, json!({"username": "alice"}));
    let newer = user("b", 2, json!({"username": "alice"}));
    let twin = user("c", 1, json!({"username": "alice"}));
    let all = [older.clone(), newer.clone(), twin.clone()];
    assert!(user::resolve(&older, &all, &platform()).is_ok());
    for loser in [&newer, &twin] {
        let invalid = user::resolve(loser, &all, &platform()).unwrap_err();
        assert_eq!(invalid.reason(), "UsernameTaken");
    }
    let mut leaving = older;
    leaving.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    assert!(user::resolve(&newer, &[leaving], &platform()).is_ok());
}

#[test]
fn what_cannot_be_a_namespace_or_a_label_is_refused_by_its_field() {
    for username in ["", "Alice", "a@example.com", "a.b", "-a", &"a".repeat(60)] {
        let it = user("x", 1, json!({"username": username}));
        let invalid = user::resolve(&it, &NOBODY, &platform()).unwrap_err();
        assert_eq!(invalid, InvalidUser::Username, "{username:?}");
    }
    let longest = user("x", 1, json!({"username": "a".repeat(59)}));
    let account = user::resolve(&longest, &NOBODY, &platform()).unwrap();
    assert_eq!(account.namespace.len(), 63);
    let it = user("x", 1, json!({"username": "x", "teams": ["ok", "not ok"]}));
    let invalid = user::resolve(&it, &NOBODY, &platform()).unwrap_err();
    assert!(
        invalid.to_string().starts_with("spec.teams[1]"),
        "{invalid}"
    );
}

#[test]
fn a_role_that_is_not_allowed_is_named_and_not_bound() {
    let asks = json!({"username": "eve", "additionalRoleRefs": [
        {"kind": "ClusterRole", "name": "cluster-admin"}, {"kind": "Role", "name": "view"}, {"kind": "ClusterRole", "name": "view"},
    ]});
    let it = user("eve", 1, asks);
    let outcome = user::resolve(&it, &NOBODY, &platform());
    let objects = user::desired(outcome.as_ref().unwrap());
    let names: Vec<&str> = objects
        .iter()
        .filter(|o| o.kind() == UserKind::RoleBinding)
        .map(user::UserObject::name)
        .collect();
    assert_eq!(names, ["devserver-user", "devserver-user-clusterrole-view"]);
    let seen = Seen {
        has_namespace: true,
        problem: None,
    };
    let status = user::status(&it, &outcome, &seen, Timestamp::UNIX_EPOCH);
    let valid = condition::find(&status.conditions, condition::VALID).unwrap();
    assert_eq!(
        (valid.status.as_str(), valid.reason.as_str()),
        ("False", "RoleNotAllowed")
    );
    assert!(
        valid
            .message
            .contains("ClusterRole/cluster-admin, Role/view")
    );
    assert_eq!(status.phase.as_deref(), Some("Error"));
}

#[test]
fn a_namespace_is_ours_by_its_label_only() {
    let account = user::resolve(&full(), &NOBODY, &platform()).unwrap();
    let mut namespace = Namespace::default();
    assert_eq!(user::standing(&account, &namespace), Standing::Foreign);
    let label =
        |value: &str| Some([("devserver.io/namespace-of".to_owned(), value.to_owned())].into());
    namespace.metadata.labels = label("bob");
    assert_eq!(user::standing(&account, &namespace), Standing::Foreign);
    namespace.metadata.labels = label("alice");
    assert_eq!(user::standing(&account, &namespace), Standing::Ours);
    namespace.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    assert_eq!(user::standing(&account, &namespace), Standing::Terminating);
}

#[test]
fn a_foreign_namespace_is_never_told_as_the_users() {
    let it = full();
    let outcome = user::resolve(&it, &NOBODY, &platform());
    let problem = user::namespace_problem(outcome.as_ref().unwrap(), Standing::Foreign);
    assert_eq!(problem.as_ref().map(|p| p.reason), Some("NameTaken"));
    let seen = Seen {
        has_namespace: false,
        problem,
    };
    let status = user::status(&it, &outcome, &seen, Timestamp::UNIX_EPOCH);
    assert_eq!(status.namespace, None);
    assert_eq!(status.phase.as_deref(), Some("Error"));
    let mut told = it;
    told.status = Some(status);
    assert!(user::of_namespace("dev-alice", &[told]).is_none());
}

#[test]
fn what_is_only_in_the_way_for_a_while_is_pending_and_time_moves_only_with_a_change() {
    let mut it = full();
    let outcome = user::resolve(&it, &NOBODY, &platform());
    let seen = Seen {
        has_namespace: true,
        problem: Some(Problem::waiting_for_collection(
            "RoleBinding",
            "devserver-user",
        )),
    };
    let first = user::status(&it, &outcome, &seen, Timestamp::UNIX_EPOCH);
    assert_eq!(first.phase.as_deref(), Some("Pending"));
    it.status = Some(first.clone());
    let later = Timestamp::from_second(100).unwrap();
    assert_eq!(user::status(&it, &outcome, &seen, later), first);
    let done = Seen {
        has_namespace: true,
        problem: None,
    };
    let ready = user::status(&it, &outcome, &done, later);
    assert_eq!(ready.phase.as_deref(), Some("Ready"));
    assert_eq!(ready.namespace.as_deref(), Some("dev-alice"));
}

#[test]
fn a_namespace_is_that_of_the_user_who_has_it_and_of_no_other() {
    let alice = full();
    let bob = user("bob", 1, json!({"username": "bob"}));
    let users = [alice.clone(), bob];
    let found = user::of_namespace("dev-alice", &users).unwrap();
    assert_eq!(found.metadata.name, alice.metadata.name);
    assert!(user::of_namespace("alice", &users).is_none());
    assert!(user::of_namespace("dev-carol", &users).is_none());
}

#[test]
fn the_name_of_a_namespace_tells_its_user_and_back() {
    for username in ["alice", "dev-alice", "a"] {
        let namespace = user::namespace_name(username);
        assert_eq!(user::username_of(&namespace), Some(username));
    }
    for other in ["default", "alice", "my-dev-alice"] {
        assert_eq!(user::username_of(other), None);
    }
}
