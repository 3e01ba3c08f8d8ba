//! The end of its time.

use devserver_api::{DevServer, VolumeRetention, condition};
use jiff::Timestamp;
use kube::ResourceExt as _;

use super::{Line, told};

/// What becomes of the home.
pub(super) fn retention(server: &DevServer) -> VolumeRetention {
    let lifecycle = server.spec.lifecycle.as_ref();
    lifecycle
        .and_then(|l| l.volume_retention)
        .unwrap_or_default()
}

/// The line about the end; nothing where there is none.
pub(super) fn end(server: &DevServer, now: Timestamp) -> Option<Line> {
    let status = server.status.as_ref()?;
    let ends = status.expiration_time.as_ref()?.0;
    let name = server.name_any();
    let fate = match retention(server) {
        VolumeRetention::Retain => "it is deleted; its home stays",
        VolumeRetention::Delete => "it is deleted, and its home with it",
    };
    let extend = format!("to keep it: `devctl extend {name} 4h`");
    let Some(expiring) = told(status, condition::EXPIRING, "True") else {
        let signal = if ends <= now {
            "its time is over"
        } else {
            "it has a time to live"
        };
        return Some(
            Line::new("Expires", signal)
                .next(fate)
                .at(Some(ends))
                .remedy(extend),
        );
    };
    let line = Line::new(&expiring.reason, expiring.message.clone());
    let line = line.since(Some(&expiring.last_transition_time));
    Some(match expiring.reason.as_str() {
        "ClockSkew" => line
            .next("it is not deleted before both clocks agree")
            .remedy("ask an administrator to set the clocks of the nodes"),
        "WaitsForItsTurn" => line
            .next(format!("its time is over, and when its turn comes {fate}"))
            .remedy(format!("save your work now; {extend}")),
        _ => line.next(fate).at(Some(ends)).remedy(extend),
    })
}
