//! A first start: nothing but what the pod needs, until it has a node.

use std::time::Duration;

use devserver_api::DevServer;
use devserver_core::start;

use crate::{context::Context, observe};

/// How long all that the first pod does not need waits for it, the first status included. `None`: it does not.
///
/// Whoever gives the pod a volume and a node has the API server to itself meanwhile. A Service made in that time makes the
/// claim's binding late, and a kubelet that finds a claim half bound waits ten seconds.
pub fn head_start(ctx: &Context, server: &DevServer) -> Option<Duration> {
    if server.status.is_some() || server.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let seen = observe::environment(ctx, server);
    start::head_start(
        seen.workload.as_ref(),
        seen.pod.as_ref(),
        ctx.clock.read().now(),
    )
}
