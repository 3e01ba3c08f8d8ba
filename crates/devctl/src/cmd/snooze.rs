//! `devctl snooze`.

use devserver_api::{DevServer, condition::whole_seconds};
use jiff::{SignedDuration, Timestamp};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::{
    args::{Global, Snooze},
    exit::Exit,
    failure::{Failure, Outcome},
    kube::{self as cluster, Session},
    output,
};

/// Puts off what is done with one that nobody uses.
pub async fn run(global: &Global, args: &Snooze) -> Outcome<Exit> {
    let name = args.named.name()?;
    let until = (!args.off)
        .then(|| end(Timestamp::now(), args))
        .transpose()?;
    let session = Session::connect(global).await?;
    let server = session.server(name).await?;
    let params = PatchParams {
        field_manager: Some("devctl".into()),
        ..PatchParams::default()
    };
    let what = format!("failed to change DevServer '{name}'");
    let patch = Patch::Merge(patch(&server, until));
    cluster::answer(&what, session.servers().patch(name, &params, &patch)).await?;
    output::say(&match until {
        Some(until) => format!(
            "DevServer '{name}' is left as it is until {until}, as far as the platform allows."
        ),
        None => format!("DevServer '{name}' is no longer snoozed."),
    })?;
    output::note(&format!("what is done with it and when: devctl why {name}"));
    Ok(Exit::Ok)
}

fn end(now: Timestamp, args: &Snooze) -> Outcome<Timestamp> {
    let span = SignedDuration::try_from(args.span).unwrap_or(SignedDuration::MAX);
    let until = now.checked_add(span);
    until
        .map(whole_seconds)
        .map_err(|_| Failure::usage("--for is too long"))
}

/// With the UID: one made again under the name is another.
fn patch(server: &DevServer, until: Option<Timestamp>) -> Value {
    json!({
        "metadata": {"uid": server.metadata.uid},
        "spec": {"idle": {"snoozedUntil": until}},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_an_instant_and_taking_it_back_is_null() {
        let server = DevServer::new("a", devserver_api::DevServerSpec::default());
        let until = "2026-01-01T12:00:00Z".parse().unwrap();
        assert_eq!(
            patch(&server, Some(until))["spec"],
            json!({"idle": {"snoozedUntil": "2026-01-01T12:00:00Z"}})
        );
        assert_eq!(
            patch(&server, None)["spec"],
            json!({"idle": {"snoozedUntil": null}})
        );
    }
}
