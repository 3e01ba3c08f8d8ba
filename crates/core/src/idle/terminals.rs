//! What people are told who sit in an environment that nobody seems to use.

use devserver_api::{IdleStage, IdleState, IdleStatus};

use crate::activity::{Deed, Notice, NoticeStage};

/// By what stands in the status: so nothing is told of a stage that has not come. `None`: there is nothing to tell.
pub fn on_terminals(status: &IdleStatus) -> Option<Notice> {
    let reached = status.stage.filter(|_| !status.dry_run)?;
    if status.state != IdleState::Idle || reached < IdleStage::Notify {
        return None;
    }
    let warned = status
        .warned_time
        .as_ref()
        .filter(|_| reached >= IdleStage::Warn);
    let deed = match status.next_stage {
        Some(IdleStage::Downscale) => Some(Deed::Downscale),
        Some(IdleStage::Warn) => Some(Deed::Warn),
        Some(IdleStage::Terminate) => Some(Deed::Terminate),
        _ => None,
    };
    Some(Notice {
        since: status.since.as_ref()?.0,
        stage: match warned {
            Some(_) => NoticeStage::Warned,
            None => NoticeStage::Noticed,
        },
        round: warned.map_or(0, |at| at.0.as_second()),
        next: deed.zip(status.next_time.as_ref().map(|at| at.0)),
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn at(second: i64) -> Time {
        Time(Timestamp::from_second(second).unwrap())
    }

    fn status(stage: Option<IdleStage>) -> IdleStatus {
        IdleStatus {
            state: IdleState::Idle,
            since: Some(at(0)),
            stage,
            warned_time: stage.filter(|s| *s >= IdleStage::Warn).map(|_| at(900)),
            next_stage: Some(IdleStage::Terminate),
            next_time: Some(at(1000)),
            ..IdleStatus::default()
        }
    }

    #[test]
    fn people_are_told_of_what_their_owner_is_told_of() {
        for (stage, expected) in [
            (None, None),
            (Some(IdleStage::Alert), None),
            (Some(IdleStage::Notify), Some((NoticeStage::Noticed, 0))),
            (Some(IdleStage::Downscale), Some((NoticeStage::Noticed, 0))),
            (Some(IdleStage::Warn), Some((NoticeStage::Warned, 900))),
        ] {
            let notice = on_terminals(&status(stage));
            let told = notice.as_ref().map(|n| (n.stage, n.round));
            assert_eq!(told, expected, "{stage:?}");
            let next = notice.map(|n| n.next);
            assert!(next.is_none_or(|next| next == Some((Deed::Terminate, at(1000).0))));
        }
    }

    #[test]
    fn nobody_is_told_anything_who_works_or_has_put_it_off_or_where_nothing_is_done() {
        let warned = status(Some(IdleStage::Warn));
        for state in [
            IdleState::Active,
            IdleState::Held,
            IdleState::Snoozed,
            IdleState::Unknown,
            IdleState::Stopped,
        ] {
            let status = IdleStatus {
                state,
                ..warned.clone()
            };
            assert_eq!(on_terminals(&status), None, "{state:?}");
        }
        let dry_run = IdleStatus {
            dry_run: true,
            ..warned
        };
        assert_eq!(on_terminals(&dry_run), None);
    }
}
