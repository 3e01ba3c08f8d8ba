//! `devctl extend`.

use std::time::Duration;

use devserver_api::{DevServer, condition, duration};
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use kube::{
    ResourceExt as _,
    api::{Patch, PatchParams},
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::{Value, json};

use crate::{
    args::{Extend, Global, name_and_time},
    exit::Exit,
    failure::{Failure, Outcome},
    kube::{self as cluster, Session},
    output,
};

/// How often somebody else may change the DevServer meanwhile.
const ATTEMPTS: usize = 5;
/// Longest wait for the operator's word on the new end.
const PATIENCE: Duration = Duration::from_secs(15);

/// How much longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    By(u64),
    Until(Timestamp),
}

/// The change that fulfils a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Plan {
    before: Timestamp,
    after: Timestamp,
    time_to_live: String,
}

/// Moves the end.
pub async fn run(global: &Global, args: &Extend) -> Outcome<Exit> {
    let (name, wish) = read(args)?;
    let session = Session::connect(global).await?;
    for _ in 0..ATTEMPTS {
        let server = session.server(name).await?;
        let Some(plan) = plan(&server, wish)? else {
            output::say(&format!(
                "DevServer '{name}' has no end: it lives until it is deleted."
            ))?;
            return Ok(Exit::Ok);
        };
        let wanted = Value::String(plan.time_to_live.clone());
        // Somebody else was faster: the end may be another by now.
        let Some(changed) = set(&session, &server, &wanted).await? else {
            continue;
        };
        return confirm(&session, &server, &changed, &plan).await;
    }
    Err(
        Failure::new(Exit::Error, format!("failed to extend DevServer '{name}'"))
            .because("it is being changed all the time")
            .remedy("try again"),
    )
}

fn read(args: &Extend) -> Outcome<(&str, Wish)> {
    let words = [&args.first, &args.second, &args.option].map(Option::as_deref);
    let (name, time) = name_and_time(words, args.until.is_none())?;
    let wish = match (time, args.until) {
        (Some(time), _) => duration::parse_positive(time)
            .map(Wish::By)
            .map_err(|e| Failure::usage(format!("the duration '{time}' {e}")))?,
        (None, Some(instant)) => Wish::Until(instant),
        (None, None) => {
            return Err(Failure::usage("it is not said how much longer")
                .remedy(format!("such as: devctl extend {name} 4h")));
        }
    };
    Ok((name, wish))
}

/// `None`: it has no end.
fn plan(server: &DevServer, wish: Wish) -> Outcome<Option<Plan>> {
    let name = server.name_any();
    if server.metadata.deletion_timestamp.is_some() {
        return Err(
            Failure::new(Exit::Failed, format!("DevServer '{name}' is being deleted"))
                .remedy("its home stays unless its spec says otherwise; create it anew"),
        );
    }
    let (Some(before), Some(created)) = (present_end(server)?, server.creation_timestamp()) else {
        return Ok(None);
    };
    let after = match wish {
        Wish::By(seconds) => i64::try_from(seconds)
            .ok()
            .and_then(|s| before.checked_add(SignedDuration::from_secs(s)).ok()),
        Wish::Until(instant) => Some(instant),
    };
    let too_late = || Failure::usage("that is further away than anything can live");
    let after = after.ok_or_else(too_late)?;
    if after <= before {
        return Err(
            Failure::usage(format!("DevServer '{name}' lives until {before} anyway"))
                .remedy("give a later instant; to end it earlier: devctl delete"),
        );
    }
    let seconds = u64::try_from(after.duration_since(created.0).as_secs())
        .ok()
        .filter(|s| *s <= duration::MAX_SECONDS)
        .ok_or_else(too_late)?;
    Ok(Some(Plan {
        before,
        after,
        time_to_live: duration::go_syntax(seconds),
    }))
}

/// What the operator says, because it knows the platform's default and bound; before it has spoken, what the spec says.
fn present_end(server: &DevServer) -> Outcome<Option<Timestamp>> {
    let status = server.status.as_ref();
    if let Some(status) = status.filter(|s| s.observed_generation == server.metadata.generation) {
        return Ok(status.expiration_time.as_ref().map(|t| t.0));
    }
    let asked = server
        .spec
        .lifecycle
        .as_ref()
        .and_then(|l| l.time_to_live.as_deref())
        .and_then(|text| duration::parse_positive(text).ok())
        .and_then(|seconds| i64::try_from(seconds).ok());
    let created = server.creation_timestamp().map(|t| t.0);
    match (asked, created) {
        (Some(seconds), Some(created)) => {
            Ok(created.checked_add(SignedDuration::from_secs(seconds)).ok())
        }
        _ => Err(Failure::new(
            Exit::Error,
            format!(
                "the operator has not said yet when DevServer '{}' ends",
                server.name_any()
            ),
        )
        .remedy("try again in a moment")),
    }
}

/// `None`: it was changed since it was read.
async fn set(
    session: &Session,
    server: &DevServer,
    time_to_live: &Value,
) -> Outcome<Option<DevServer>> {
    let name = server.name_any();
    let patch = json!({
        "metadata": {"uid": server.uid(), "resourceVersion": server.resource_version()},
        "spec": {"lifecycle": {"timeToLive": time_to_live}},
    });
    let params = PatchParams {
        field_manager: Some("devctl".into()),
        ..PatchParams::default()
    };
    let (servers, patch) = (session.servers(), Patch::Merge(&patch));
    let request = async {
        match servers.patch(&name, &params, &patch).await {
            Ok(changed) => Ok(Some(changed)),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
            Err(error) => Err(error),
        }
    };
    cluster::answer(&format!("failed to extend DevServer '{name}'"), request).await
}

/// The platform's bound is the operator's to know. What it refuses is taken back, so that nothing waits for a correction.
async fn confirm(
    session: &Session,
    before: &DevServer,
    changed: &DevServer,
    plan: &Plan,
) -> Outcome<Exit> {
    let name = changed.name_any();
    let Some(judged) = judged(session, changed).await else {
        output::say(&format!(
            "DevServer '{name}' is asked to end at {} instead of {}.",
            plan.after, plan.before
        ))?;
        output::note(
            "the operator has not said yet whether the platform allows it; see: devctl list",
        );
        return Ok(Exit::Ok);
    };
    let status = judged.status.clone().unwrap_or_default();
    let ends = status.expiration_time.as_ref().map(|t| t.0);
    if ends.is_none_or(|ends| ends >= plan.after) {
        let end = ends.unwrap_or(plan.after);
        output::say(&format!(
            "DevServer '{name}' ends at {end} instead of {}.",
            plan.before
        ))?;
        return Ok(Exit::Ok);
    }
    let asked = before
        .spec
        .lifecycle
        .as_ref()
        .and_then(|l| l.time_to_live.clone());
    // Changed by somebody else meanwhile: then it is theirs to correct.
    set(session, &judged, &json!(asked)).await?;
    let why = condition::find(&status.conditions, condition::VALID)
        .filter(|c| c.status == "False")
        .map_or("the platform allows no longer life", |c| c.message.as_str());
    Err(Failure::new(
        Exit::Invalid,
        format!("DevServer '{name}' was not extended"),
    )
    .because(why)
    .remedy(format!(
        "it ends at {} as before; save what is needed before that",
        plan.before
    )))
}

/// The DevServer as soon as its status speaks of the change.
async fn judged(session: &Session, changed: &DevServer) -> Option<DevServer> {
    let name = changed.name_any();
    let mut seen = watcher::watch_object(session.servers(), &name)
        .default_backoff()
        .boxed();
    let judged = async {
        while let Some(seen) = seen.next().await {
            if let Ok(Some(server)) = seen
                && server.uid() == changed.uid()
                && server.status.as_ref().and_then(|s| s.observed_generation)
                    >= changed.metadata.generation
            {
                return Some(server);
            }
        }
        None
    };
    tokio::time::timeout(PATIENCE, judged).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(first: Option<&str>, second: Option<&str>) -> Extend {
        Extend {
            first: first.map(str::to_owned),
            second: second.map(str::to_owned),
            option: None,
            until: None,
        }
    }

    fn server(ttl: Option<&str>, ends: Option<&str>) -> DevServer {
        serde_json::from_value(json!({
            "apiVersion": "devserver.io/v1", "kind": "DevServer",
            "metadata": {"name": "box", "generation": 2, "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"ssh": {}, "lifecycle": {"timeToLive": ttl}},
            "status": {"observedGeneration": 2, "expirationTime": ends},
        }))
        .unwrap()
    }

    #[test]
    fn one_word_is_the_time_and_two_are_name_and_time() {
        let four = Wish::By(4 * 3600);
        assert_eq!(read(&args(Some("4h"), None)).unwrap(), ("dev", four));
        assert_eq!(read(&args(Some("box"), Some("4h"))).unwrap(), ("box", four));
        for (first, second) in [
            (None, None),
            (Some("box"), None),
            (Some("box"), Some("1d")),
            (Some("4h"), Some("4h")),
        ] {
            let failure = read(&args(first, second)).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{first:?} {second:?}");
        }
    }

    #[test]
    fn it_is_added_to_the_present_end_and_counted_from_the_creation() {
        let eight = server(Some("8h"), Some("2026-01-01T08:00:00Z"));
        let plan = plan(&eight, Wish::By(5400)).unwrap().unwrap();
        assert_eq!(plan.time_to_live, "9h30m");
        assert_eq!(plan.after.to_string(), "2026-01-01T09:30:00Z");
    }

    #[test]
    fn the_end_that_the_platform_sets_is_extended_too() {
        let by_default = server(None, Some("2026-01-01T02:00:00Z"));
        let plan = plan(&by_default, Wish::By(3600)).unwrap().unwrap();
        assert_eq!(plan.time_to_live, "3h");
    }

    #[test]
    fn what_has_no_end_is_left_alone_and_an_earlier_end_is_refused() {
        assert_eq!(plan(&server(None, None), Wish::By(1)).unwrap(), None);
        let eight = server(Some("8h"), Some("2026-01-01T08:00:00Z"));
        let earlier = Wish::Until("2026-01-01T07:00:00Z".parse().unwrap());
        assert_eq!(plan(&eight, earlier).unwrap_err().exit, Exit::Usage);
        let never = Wish::Until("2926-01-01T07:00:00Z".parse().unwrap());
        assert_eq!(plan(&eight, never).unwrap_err().exit, Exit::Usage);
    }
}
