//! `devctl admin user list`.

use devserver_api::DevServerUser;
use jiff::Timestamp;
use kube::{ResourceExt as _, api::ListParams};

use super::{answer, users};
use crate::{
    args::{Global, Output},
    cmd::list::age,
    exit::Exit,
    failure::Outcome,
    kube::Session,
    output::{self, Columns, Format, or_dash},
};

/// Lists the users of the platform.
pub async fn run(global: &Global, args: &Output) -> Outcome<Exit> {
    let session = Session::connect(global).await?;
    let users = answer(
        "failed to list users",
        users(&session).list(&ListParams::default()),
    )
    .await?
    .items;
    match args.output {
        Format::Json | Format::Yaml => {
            output::print(&output::structured(&output::list(&users), args.output)?)?;
        }
        Format::Name => {
            for user in &users {
                output::say(&object_name(user))?;
            }
        }
        Format::Table | Format::Wide if users.is_empty() => {
            output::note("no users found; create one with `devctl admin user create USERNAME`");
        }
        Format::Table | Format::Wide => {
            let is_wide = args.output == Format::Wide;
            output::print(&table(&users, is_wide, Timestamp::now()))?;
        }
    }
    Ok(Exit::Ok)
}

/// The form that kubectl takes.
pub fn object_name(user: &DevServerUser) -> String {
    format!("devserveruser.devserver.io/{}", user.name_any())
}

fn table(users: &[DevServerUser], is_wide: bool, now: Timestamp) -> String {
    let mut headings = vec!["NAME", "USERNAME", "NAMESPACE", "TEAMS", "PHASE", "AGE"];
    if is_wide {
        headings.extend(["QUOTA", "MESSAGE"]);
    }
    let mut columns = Columns::new(&headings);
    for user in users {
        let status = user.status.as_ref();
        let mut row = vec![
            user.name_any(),
            user.spec.username.clone(),
            or_dash(status.and_then(|s| s.namespace.as_deref())),
            or_dash(Some(&user.spec.teams.join(","))),
            or_dash(status.and_then(|s| s.phase.as_deref())),
            age(user.metadata.creation_timestamp.as_ref(), now),
        ];
        if is_wide {
            let quota: Vec<String> = user
                .spec
                .quota
                .iter()
                .map(|(resource, amount)| format!("{resource}={}", amount.0))
                .collect();
            row.push(or_dash(Some(&quota.join(","))));
            row.push(or_dash(status.and_then(|s| s.message.as_deref())));
        }
        columns.row(&row);
    }
    columns.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_who_has_what() {
        let user: DevServerUser = serde_json::from_value(serde_json::json!({
            "apiVersion": "devserver.io/v1", "kind": "DevServerUser",
            "metadata": {"name": "alice", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"username": "alice", "teams": ["genomics", "imaging"], "quota": {"requests.cpu": "8"}},
            "status": {"phase": "Ready", "namespace": "dev-alice", "message": "fine\x1b[2J"},
        }))
        .unwrap();
        let now: Timestamp = "2026-01-01T02:00:00Z".parse().unwrap();
        insta::assert_snapshot!(table(&[user], true, now));
    }
}
