//! What is told of an environment that is stopped because nobody used it. The stop itself is `spec.suspend` with the mark of
//! a policy, so that it is there or not, whoever died in between.

use devserver_api::{DevServer, IdleStage, IdleState, IdleStatus, condition::whole_seconds, group};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::period::Notice;

/// The record of a stopped environment, and what is to be told. `None`: it was not stopped for idleness.
pub fn stopped(server: &DevServer, now: Timestamp) -> Option<(IdleStatus, Option<Notice>)> {
    let annotations = server.metadata.annotations.as_ref()?;
    let by = annotations.get(group::ANNOTATION_SUSPENDED_BY)?;
    if !server.spec.suspend || by != group::SUSPENDED_BY_POLICY {
        return None;
    }
    let before = server.status.as_ref()?.idle.as_ref()?;
    if before.state == IdleState::Stopped {
        return Some((before.clone(), None));
    }
    let record = IdleStatus {
        state: IdleState::Stopped,
        stage: Some(IdleStage::Terminate),
        stage_time: Some(Time(whole_seconds(now))),
        next_stage: None,
        next_time: None,
        until: None,
        downscaled: None,
        ..before.clone()
    };
    let notice = Notice {
        stage: IdleStage::Terminate,
        round: 0,
    };
    Some((record, Some(notice)))
}
