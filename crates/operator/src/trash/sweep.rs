//! The round over the claims of homes without a DevServer. What the caches show only says where to look: each is read anew.

use std::{collections::HashMap, sync::Arc, time::Duration};

use devserver_api::{DevServer, trash as api};
use devserver_core::{
    Clocks,
    trash::{Removal, Rules, step},
};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::{ResourceExt as _, runtime::reflector::ObjectRef};

use super::one::{Outcome, one};
use crate::context::Context;

/// Between two rounds. They cost nothing while there is nothing to do.
const ROUND: Duration = Duration::from_secs(5);
/// How long a home is left alone after a step that came to nothing.
const AGAIN: Duration = Duration::from_secs(60);

/// Looks after homes without a DevServer, where the platform has a trash. Never ends.
pub async fn sweep(ctx: Arc<Context>) {
    let Some(rules) = Rules::of(&ctx.platform) else {
        return std::future::pending().await;
    };
    let mut ticks = tokio::time::interval(ROUND);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut rests: HashMap<String, Duration> = HashMap::new();
    loop {
        ticks.tick().await;
        let now = ctx.clock.steady();
        rests.retain(|_, until| *until > now);
        for claim in kept(&ctx) {
            let uid = claim.uid().unwrap_or_default();
            if rests.contains_key(&uid) || !has_work(&claim, &rules, ctx.clock.read()) {
                continue;
            }
            let outcome = one(&ctx, &claim, &rules).await;
            if let Err(error) = &outcome {
                tracing::warn!(claim = claim.name_any(), namespace = claim.namespace(), error = %error, "failed to look after a home");
            }
            if !matches!(outcome, Ok(Outcome::Done)) {
                rests.insert(uid, now + AGAIN);
            }
        }
    }
}

/// Claims of homes whose DevServer is not there, as far as the caches know.
fn kept(ctx: &Context) -> Vec<Arc<PersistentVolumeClaim>> {
    let has_server = |claim: &PersistentVolumeClaim| {
        let Some(name) = api::home_of(claim) else {
            return true;
        };
        let namespace = claim.namespace().unwrap_or_default();
        let server: ObjectRef<DevServer> = ObjectRef::new(name.as_str()).within(&namespace);
        ctx.caches.servers.get(&server).is_some()
    };
    ctx.caches
        .claims
        .state_filter(|claim| api::stays(claim) && !has_server(claim))
}

/// Whether reading it anew is worth it. The API server may not have said the time lately, so this side's own counts.
fn has_work(claim: &PersistentVolumeClaim, rules: &Rules, clocks: Clocks) -> bool {
    let step = step(claim, rules, clocks);
    step.patch.is_some() || step.removal != Removal::No
}
