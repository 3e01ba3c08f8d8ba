//! One look at one DevServerUser: read, decide, write, report. Starts from nothing each time.

use std::{sync::Arc, time::Duration};

use devserver_api::DevServerUser;
use devserver_core::user::{self, Account, InvalidUser, Seen};
use jiff::Timestamp;
use kube::{Api, ResourceExt, runtime::controller::Action};

use super::{Context, apply, report};
use crate::{
    backoff::spread,
    error::{Error, bounded},
};

/// Next look while something stands in the way that no watch will tell of.
const BLOCKED_RETRY: Duration = Duration::from_secs(5);
/// Next look after the API server refused for good.
const REFUSED_RETRY: Duration = Duration::from_mins(1);

/// One look at one DevServerUser.
pub async fn reconcile(cached: Arc<DevServerUser>, ctx: Arc<Context>) -> Result<Action, Error> {
    let result = look(&cached, &ctx).await;
    if result.is_ok() {
        ctx.backoff.reset(&cached.name_any());
    }
    result
}

/// What to do after a look that did not finish.
#[allow(
    clippy::needless_pass_by_value,
    reason = "the signature is the library's"
)]
pub fn on_error(user: Arc<DevServerUser>, error: &Error, ctx: Arc<Context>) -> Action {
    let name = user.name_any();
    let wait = if error.refusal().is_some() {
        spread(REFUSED_RETRY)
    } else {
        ctx.backoff.next(&name)
    };
    tracing::warn!(user = name, error = %error, retry_in_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), "look failed");
    Action::requeue(wait)
}

async fn look(cached: &DevServerUser, ctx: &Context) -> Result<Action, Error> {
    let api: Api<DevServerUser> = Api::all(ctx.client.clone());
    let name = cached.name_any();
    let Some(user) = bounded("read the DevServerUser", api.get_opt(&name)).await? else {
        return Ok(Action::await_change());
    };
    if user.metadata.deletion_timestamp.is_some() {
        // Its rights go by garbage collection; its namespace stays.
        return Ok(Action::await_change());
    }
    let outcome = outcome(ctx, &api, &user).await?;
    let seen = match &outcome {
        Ok(account) => apply::all(ctx, account).await?,
        Err(InvalidUser::UsernameTaken { .. }) => {
            apply::withdraw(ctx, &user).await?;
            Seen::default()
        }
        // What exists stays as it is.
        Err(_) => Seen::default(),
    };
    report::report(ctx, &api, &user, &outcome, &seen, Timestamp::now()).await?;
    let resync = spread(ctx.resync);
    let wait = match &seen.problem {
        Some(problem) if problem.is_refusal() => resync.min(spread(REFUSED_RETRY)),
        Some(_) => resync.min(spread(BLOCKED_RETRY)),
        None => resync,
    };
    Ok(Action::requeue(wait))
}

/// The account, or why there is none. Rights are not withdrawn because of a cache: who seems to be older is read first.
async fn outcome(
    ctx: &Context,
    api: &Api<DevServerUser>,
    user: &DevServerUser,
) -> Result<Result<Account, InvalidUser>, Error> {
    let mut others = ctx.all.state();
    loop {
        let outcome = user::resolve(user, &others, &ctx.platform);
        let Err(InvalidUser::UsernameTaken { by, .. }) = &outcome else {
            return Ok(outcome);
        };
        let found = bounded("read another DevServerUser", api.get_opt(by)).await?;
        let cached = others.iter().find(|other| other.name_any() == *by);
        let is_current = found.as_ref().is_some_and(|found| {
            found.metadata.deletion_timestamp.is_none()
                && cached.is_some_and(|cached| cached.uid() == found.uid())
        });
        if is_current {
            return Ok(outcome);
        }
        others.retain(|other| other.name_any() != *by);
    }
}
