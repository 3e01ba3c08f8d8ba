//! `devctl hold`: a lease on a DevServer, as an annotation, so that whoever may change the DevServer may take one.

use devserver_api::{DevServer, duration};
use devserver_core::activity::{HELD_BY_ANNOTATION, HOLD_ANNOTATION, annotation};
use jiff::{SignedDuration, Timestamp};
use kube::{
    ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    args::{Global, Hold, name_and_time},
    exit::Exit,
    failure::{Failure, Outcome},
    kube::{self as cluster, Session},
    output, owner,
};

/// What is wished for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    For(u64),
    Release,
}

/// Takes the lease, or takes it back.
pub async fn run(global: &Global, args: &Hold) -> Outcome<Exit> {
    let (name, wish) = read(args)?;
    let session = Session::connect(global).await?;
    let server = session.server(name).await?;
    let who = match wish {
        Wish::For(_) => owner::username(&session).await?,
        Wish::Release => None,
    };
    let now = Timestamp::now();
    let Some(annotations) = annotations(wish, who.as_deref(), now) else {
        return Err(Failure::usage(
            "that is further away than anything can be held",
        ));
    };
    set(&session, &server, &annotations).await?;
    match wish {
        Wish::For(seconds) => {
            output::say(&format!(
                "DevServer '{name}' is held until {}.",
                end(now, seconds)
            ))?;
            output::note(&format!(
                "the platform may allow less: devctl why {name}; its time to live is not longer for it: devctl extend"
            ));
        }
        Wish::Release => output::say(&format!("DevServer '{name}' is no longer held."))?,
    }
    Ok(Exit::Ok)
}

fn read(args: &Hold) -> Outcome<(&str, Wish)> {
    let words = [&args.first, &args.second, &args.option].map(Option::as_deref);
    let (name, time) = name_and_time(words, !args.release)?;
    let wish = match time {
        _ if args.release => Wish::Release,
        Some(time) => duration::parse_positive(time)
            .map(Wish::For)
            .map_err(|e| Failure::usage(format!("the duration '{time}' {e}")))?,
        None => {
            return Err(Failure::usage("it is not said for how long")
                .remedy(format!("such as: devctl hold {name} 4h")));
        }
    };
    Ok((name, wish))
}

/// The annotations as a merge patch has them: `null` removes one.
fn annotations(wish: Wish, who: Option<&str>, now: Timestamp) -> Option<Value> {
    let (hold, by) = match wish {
        Wish::For(seconds) => (json!(annotation(now, seconds)?), json!(who)),
        Wish::Release => (Value::Null, Value::Null),
    };
    Some(json!({ HOLD_ANNOTATION: hold, HELD_BY_ANNOTATION: by }))
}

fn end(now: Timestamp, seconds: u64) -> Timestamp {
    let whole = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let span = SignedDuration::from_secs(seconds.try_into().unwrap_or(i64::MAX));
    whole.checked_add(span).unwrap_or(Timestamp::MAX)
}

async fn set(session: &Session, server: &DevServer, annotations: &Value) -> Outcome {
    let name = server.name_any();
    let patch = json!({"metadata": {"uid": server.uid(), "annotations": annotations}});
    let params = PatchParams {
        field_manager: Some("devctl".into()),
        ..PatchParams::default()
    };
    let (servers, patch) = (session.servers(), Patch::Merge(&patch));
    let request = servers.patch(&name, &params, &patch);
    cluster::answer(&format!("failed to hold DevServer '{name}'"), request)
        .await
        .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(first: Option<&str>, second: Option<&str>, release: bool) -> Hold {
        Hold {
            first: first.map(str::to_owned),
            second: second.map(str::to_owned),
            option: None,
            release,
        }
    }

    #[test]
    fn one_word_is_the_time_and_two_are_name_and_time() {
        let four = Wish::For(4 * 3600);
        assert_eq!(read(&args(Some("4h"), None, false)).unwrap(), ("dev", four));
        assert_eq!(
            read(&args(Some("box"), Some("4h"), false)).unwrap(),
            ("box", four)
        );
        assert_eq!(
            read(&args(Some("box"), None, true)).unwrap(),
            ("box", Wish::Release)
        );
        for (first, second) in [(None, None), (Some("box"), None), (Some("box"), Some("0h"))] {
            let failure = read(&args(first, second, false)).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{first:?} {second:?}");
        }
    }

    #[test]
    fn a_lease_is_counted_from_now_and_a_release_removes_all_of_it() {
        let now = "2026-01-01T08:00:00.5Z".parse().unwrap();
        assert_eq!(
            annotations(Wish::For(7200), Some("ada"), now).unwrap(),
            json!({"devserver.io/hold": "2026-01-01T08:00:00Z/2026-01-01T10:00:00Z", "devserver.io/held-by": "ada"})
        );
        assert_eq!(
            annotations(Wish::Release, None, now).unwrap(),
            json!({"devserver.io/hold": null, "devserver.io/held-by": null})
        );
        assert_eq!(annotations(Wish::For(u64::MAX), None, now), None);
        assert_eq!(end(now, 7200).to_string(), "2026-01-01T10:00:00Z");
    }
}
