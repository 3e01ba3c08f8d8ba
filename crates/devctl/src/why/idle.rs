//! What is done with one that nobody uses: rule, signal, minute and what is next.

use devserver_api::{DevServer, IdleStage, IdleState, IdleStatus};
use kube::ResourceExt as _;

use super::Line;

/// Nothing where the platform has no policy, and while somebody uses it.
pub(super) fn line(server: &DevServer) -> Option<Line> {
    let idle = server.status.as_ref()?.idle.as_ref()?;
    let name = server.name_any();
    let signal = idle.signal.as_deref();
    let last = signal.map(|signal| format!("; the last was: {signal}"));
    let quiet = format!("there is no sign of life{}", last.unwrap_or_default());
    let until = idle.until.as_ref().map(|at| at.0);
    let line = match idle.state {
        IdleState::Active | IdleState::Stopped => return None,
        IdleState::Idle => Line::new("Idle", quiet)
            .next(next(idle))
            .at(idle.next_time.as_ref().map(|at| at.0))
            .remedy(format!(
                "use it, or put that off: `devctl snooze {name} --for 4h`"
            )),
        IdleState::Snoozed => Line::new("Snoozed", quiet)
            .next("nothing is done before the snooze is over")
            .at(until)
            .remedy(format!("to end it earlier: `devctl snooze {name} --off`")),
        IdleState::Held => Line::new(
            "Held",
            format!("it is kept by {}", signal.unwrap_or("somebody")),
        )
        .next("nothing is done before that ends")
        .at(until),
        IdleState::Unknown => Line::new(
            "ActivityUnknown",
            format!(
                "nobody knows whether it is in use: {}",
                signal.unwrap_or("its agent is silent")
            ),
        )
        .next("nothing is done before its agent answers again")
        .remedy("if that goes on, tell an administrator"),
    };
    Some(line.since(idle.since.as_ref()))
}

fn next(idle: &IdleStatus) -> String {
    let deed = match idle.next_stage {
        None => return "nothing more is done".to_owned(),
        Some(IdleStage::Alert) => "administrators are told",
        Some(IdleStage::Notify) => "its owner is told",
        Some(IdleStage::Downscale) => "its requests shrink, without a restart",
        Some(IdleStage::Warn) => "its owner is warned",
        Some(IdleStage::Terminate) => "it is stopped; its home is kept",
    };
    let rule = idle.rule.as_deref().unwrap_or("platform");
    let dry_run = if idle.dry_run {
        "; dry run: that is only told"
    } else {
        ""
    };
    let hours = idle.working_hours.as_deref();
    let hours = hours.map(|hours| format!("; idle time counts only {hours}"));
    format!(
        "{deed} (rule: {rule}{dry_run}{})",
        hours.unwrap_or_default()
    )
}
