//! What to tell about the end that is near.
//!
//! The condition's text holds the instant and not the time left: it would change each minute, and with it the status.

use devserver_api::{
    DevServer, DevServerStatus, VolumeRetention,
    condition::{self, Verdict, whole_seconds},
};
use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::{
    Platform,
    due::{self, Hold},
    resolve,
};

/// That the end is near.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expiring {
    /// The condition `Expiring`.
    pub verdict: Verdict,
    /// The newest warning, in seconds before the end.
    pub warning: Option<i64>,
}

/// `None`: no warning is due yet, or there is no end.
pub(super) fn expiring(
    server: &DevServer,
    platform: &Platform,
    hold: Option<Hold>,
    now: Timestamp,
) -> Option<Expiring> {
    let ends = due::expires_at(server, platform)?;
    let warning = due::given(ends, &resolve::warnings(platform), now);
    let told = |reason: &str, message: String| {
        Some(Expiring {
            verdict: Verdict::new(condition::EXPIRING, true, reason, message),
            warning: warning.and_then(|seconds| i64::try_from(seconds).ok()),
        })
    };
    match hold {
        Some(Hold::ClockSkew) => told(
            "ClockSkew",
            "its time is over by the API server's clock, but not by the operator's; it is not deleted until both agree, \
             and an administrator should set the clocks"
                .to_owned(),
        ),
        Some(Hold::Turn) => told(
            "WaitsForItsTurn",
            format!(
                "its time is over; it is deleted when its turn comes, at most {} in a minute",
                platform.max_expirations_per_minute
            ),
        ),
        None => {
            warning?;
            told("ExpiresSoon", soon(server, platform, ends))
        }
    }
}

fn soon(server: &DevServer, platform: &Platform, ends: Timestamp) -> String {
    let retention = server
        .spec
        .lifecycle
        .as_ref()
        .and_then(|l| l.volume_retention)
        .unwrap_or_default();
    let fate = match retention {
        VolumeRetention::Retain => "its home stays",
        VolumeRetention::Delete => "its home is deleted with it",
    };
    let remedy = match &platform.max_time_to_live {
        Some(max) if due::longest(server, platform) <= Some(ends) => {
            format!("this platform allows no longer life than {max}, so save your work before")
        }
        _ => format!(
            "to keep it: `devctl extend {} 4h` (or a longer spec.lifecycle.timeToLive)",
            server.name_any()
        ),
    };
    format!("is deleted at {}, {fate}; {remedy}", whole_seconds(ends))
}

/// Whether a new status says about the end what the one before did not: people are told once, whoever restarts.
pub fn news_of_the_end<'a>(
    before: Option<&DevServerStatus>,
    new: &'a DevServerStatus,
) -> Option<&'a k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition> {
    let told = |status: &DevServerStatus| {
        condition::find(&status.conditions, condition::EXPIRING).map(|c| {
            (
                c.reason.clone(),
                status.expiration_warning_seconds,
                status.expiration_time.clone(),
            )
        })
    };
    let now = told(new)?;
    if before.and_then(told) == Some(now) {
        return None;
    }
    condition::find(&new.conditions, condition::EXPIRING)
}
