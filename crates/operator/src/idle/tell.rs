//! Tells of stages in events, each once: the event's name is made of the stage and of the last sign of life, so that who dies
//! before the status is written makes the same event again and finds it there.

use devserver_api::{DevServer, IdleStage};
use devserver_core::idle::{Notice, verdict};
use jiff::Timestamp;
use kube::ResourceExt as _;

use super::Evaluated;
use crate::{
    context::Context,
    error::Error,
    server::once::{Once, once},
};

/// Before the status is written.
pub async fn tell(
    ctx: &Context,
    server: &DevServer,
    evaluated: &Evaluated,
    now: Timestamp,
) -> Result<(), Error> {
    let Some(status) = &evaluated.status else {
        return Ok(());
    };
    for notice in &evaluated.notices {
        let note = verdict(status).map(|verdict| verdict.message);
        let event = Once {
            name: format!("{}.{}", server.name_any(), notice.id(server, status)),
            reason: reason(*notice).to_owned(),
            note: note.unwrap_or_default(),
            action: notice.stage.as_str(),
            is_warning: matches!(notice.stage, IdleStage::Alert | IdleStage::Warn),
        };
        if once(ctx, server, &event, now).await? {
            ctx.metrics.idle().stage(notice.stage.as_str());
        }
    }
    Ok(())
}

fn reason(notice: Notice) -> &'static str {
    match notice.stage {
        // The name of document 003's alert.
        IdleStage::Alert => "DevEnvIdle",
        IdleStage::Notify => "IdleNotice",
        IdleStage::Downscale => "IdleDownscale",
        IdleStage::Warn => "IdleWarning",
        IdleStage::Terminate => "IdleStopped",
    }
}
