//! Whom an environment counts for, which flavors it may have, and how much of its team's quota.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value
)]

use std::collections::BTreeMap;

use devserver_api::{DevServer, DevServerFlavor, DevServerUser, PodSecurity};
use devserver_core::{Platform, References, budget::Spent, resolve};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde_json::{Value, json};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8gD0mS1nGkZ3Y8u3n8oQm4c2p1Ff0J7w0m1G7f9l2R alice@example.com";

fn server(spec: Value) -> DevServer {
    let mut all = json!({
        "owner": "alice", "flavor": "small",
        "ssh": {"publicKey": KEY},
    });
    for (key, value) in spec.as_object().unwrap() {
        all[key] = value.clone();
    }
    let mut server = DevServer::new("box", serde_json::from_value(all).unwrap());
    server.metadata.namespace = Some("dev-alice".to_owned());
    server
}

fn references(flavor: Value, teams: Option<&[&str]>) -> References {
    let mut offer = json!({"resources": {"requests": {"cpu": "2", "memory": "1Gi"}}});
    for (key, value) in flavor.as_object().unwrap() {
        offer[key] = value.clone();
    }
    let user = teams.map(|teams| {
        let spec = json!({"username": "alice", "teams": teams});
        DevServerUser::new("alice", serde_json::from_value(spec).unwrap())
    });
    References {
        flavors: vec![DevServerFlavor::new(
            "small",
            serde_json::from_value(offer).unwrap(),
        )],
        user,
        ..References::default()
    }
}

fn reason(server: &DevServer, references: &References, platform: &Platform) -> &'static str {
    match resolve(server, references, platform) {
        Ok(_) => "fine",
        Err(invalid) => invalid.reason(),
    }
}

#[test]
fn the_team_is_one_of_the_users_and_the_first_when_none_is_asked_for() {
    let platform = Platform::default();
    let theirs = references(json!({}), Some(&["genomics", "imaging"]));
    let team = |spec: Value, references: &References| {
        let env = resolve(&server(spec), references, &platform).unwrap();
        env.counts_for.team
    };
    assert_eq!(team(json!({}), &theirs).as_deref(), Some("genomics"));
    assert_eq!(
        team(json!({"team": "imaging"}), &theirs).as_deref(),
        Some("imaging")
    );
    assert_eq!(
        reason(&server(json!({"team": "finance"})), &theirs, &platform),
        "TeamNotAllowed"
    );
    let teamless = references(json!({}), Some(&[]));
    assert_eq!(
        reason(&server(json!({"team": "finance"})), &teamless, &platform),
        "TeamNotAllowed"
    );
    assert_eq!(team(json!({}), &teamless), None);
    // In a namespace of nobody's an administrator says what is meant.
    let nobodys = references(json!({}), None);
    assert_eq!(
        team(json!({"team": "finance"}), &nobodys).as_deref(),
        Some("finance")
    );
}

#[test]
fn what_cannot_be_a_label_is_no_team_and_no_project() {
    let platform = Platform::default();
    let nobodys = references(json!({}), None);
    for word in ["-a", "a b", "a/b", "a\n", "ä", &"a".repeat(64)] {
        assert_eq!(
            reason(&server(json!({"team": word})), &nobodys, &platform),
            "InvalidTeam",
            "{word:?}"
        );
        assert_eq!(
            reason(&server(json!({"project": word})), &nobodys, &platform),
            "InvalidProject",
            "{word:?}"
        );
    }
}

#[allow(clippy::too_many_lines, reason = "one table")]
#[test]
fn a_flavor_is_for_those_it_names_and_for_everybody_when_it_names_nobody() {
    let platform = Platform::default();
    for (flavor, teams, owner, expected) in [
        (json!({}), None, Some("alice"), "fine"),
        (
            json!({"allowedUsers": ["alice"]}),
            None,
            Some("alice"),
            "fine",
        ),
        (
            json!({"allowedUsers": ["bob"]}),
            None,
            Some("alice"),
            "FlavorNotAllowed",
        ),
        (
            json!({"allowedUsers": []}),
            None,
            Some("alice"),
            "FlavorNotAllowed",
        ),
        (
            json!({"allowedTeams": ["genomics"]}),
            Some(["genomics"]),
            Some("alice"),
            "fine",
        ),
        (
            json!({"allowedTeams": ["imaging"]}),
            Some(["genomics"]),
            Some("alice"),
            "FlavorNotAllowed",
        ),
        (
            json!({"allowedUsers": ["bob"], "allowedTeams": ["genomics"]}),
            Some(["genomics"]),
            Some("alice"),
            "fine",
        ),
        (
            json!({"allowedUsers": ["alice"], "allowedTeams": []}),
            Some(["genomics"]),
            None,
            "fine",
        ),
        (
            json!({"allowedUsers": ["alice"]}),
            None,
            None,
            "FlavorNotAllowed",
        ),
    ] {
        let teams: Option<&[&str]> = teams.as_ref().map(<[&str; 1]>::as_slice);
        let references = references(flavor.clone(), teams);
        let it = server(json!({"owner": owner}));
        assert_eq!(
            reason(&it, &references, &platform),
            expected,
            "{flavor} {teams:?} {owner:?}"
        );
    }
    // A team that is only written into the DevServer opens nothing.
    let closed = references(json!({"allowedTeams": ["genomics"]}), None);
    assert_eq!(
        reason(&server(json!({"team": "genomics"})), &closed, &platform),
        "FlavorNotAllowed"
    );
}

#[test]
fn the_quota_of_a_team_holds_back_what_starts_and_never_what_runs_or_rests() {
    let platform = Platform::parse("teams: {genomics: {quota: {cpu: 4, devservers: 2}}}").unwrap();
    let amount = |resource: &str, amount: &str| {
        BTreeMap::from([(resource.to_owned(), Quantity(amount.to_owned()))])
    };
    let mut references = references(json!({}), Some(&["genomics"]));
    assert_eq!(reason(&server(json!({})), &references, &platform), "fine");
    references.team_in_use = amount("cpu", "2500m");
    let refused = resolve(&server(json!({})), &references, &platform).unwrap_err();
    assert_eq!(refused.reason(), "TeamQuotaExceeded");
    let text = refused.to_string();
    assert!(
        text.contains("2500m cpu in use and 2 are asked for, but 4 are allowed"),
        "{text}"
    );
    assert_eq!(
        reason(&server(json!({"suspend": true})), &references, &platform),
        "fine"
    );
    // The daemon's share counts like the machine's own.
    let docker = json!({"docker": {"enabled": true}, "ssh": {"publicKey": KEY, "mode": "Sidecar"}});
    let mut open = references.clone();
    if let Some(user) = &mut open.user {
        user.spec.pod_security = Some(PodSecurity::Privileged);
    }
    open.team_in_use = amount("cpu", "1910m");
    let refused = resolve(&server(docker.clone()), &open, &platform).unwrap_err();
    assert!(
        refused.to_string().contains("2100m are asked for"),
        "{refused}"
    );
    open.team_in_use = amount("cpu", "1900m");
    assert_eq!(reason(&server(docker), &open, &platform), "fine");
    references.holds = amount("cpu", "2");
    assert_eq!(reason(&server(json!({})), &references, &platform), "fine");
    references.holds = BTreeMap::new();
    references.team_in_use = amount("devservers", "2");
    assert_eq!(
        reason(&server(json!({})), &references, &platform),
        "TeamQuotaExceeded"
    );
    assert_eq!(
        reason(&server(json!({})), &references, &Platform::default()),
        "fine"
    );
}

#[test]
fn the_budget_of_a_team_warns_then_lets_nobody_new_start_and_never_stops_what_runs() {
    let text = "{usage: {databaseFile: /var/lib/usage.db, currency: EUR}, teams: {genomics: {budget: {microsPerMonth: 100000000}}}}";
    let platform = Platform::parse(text).unwrap();
    let mut references = references(json!({}), Some(&["genomics"]));
    assert_eq!(
        reason(&server(json!({})), &references, &platform),
        "fine",
        "nobody asked: rendering without a cluster"
    );
    references.team_spent = Spent::Micros(99_999_999);
    assert_eq!(reason(&server(json!({})), &references, &platform), "fine");
    references.team_spent = Spent::Micros(100_000_000);
    let refused = resolve(&server(json!({})), &references, &platform).unwrap_err();
    assert_eq!(refused.reason(), "TeamBudgetSpent");
    let text = refused.to_string();
    assert!(
        text.contains("has spent 100.00 EUR this month and may spend 100.00"),
        "{text}"
    );
    assert_eq!(
        reason(&server(json!({"suspend": true})), &references, &platform),
        "fine"
    );
    references.holds = BTreeMap::from([("cpu".to_owned(), Quantity("2".to_owned()))]);
    assert_eq!(reason(&server(json!({})), &references, &platform), "fine");
    references.team_spent = Spent::Unknown;
    assert_eq!(reason(&server(json!({})), &references, &platform), "fine");
    references.holds = BTreeMap::new();
    assert_eq!(
        reason(&server(json!({})), &references, &platform),
        "TeamBudgetUnknown",
        "closed while the ledger cannot be read"
    );
}
