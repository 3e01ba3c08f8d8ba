//! What a team has in use, put together from the caches. What follows from it is decided in `devserver-core`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use devserver_api::{DevServer, DevServerFlavor, DevServerUser, condition, names::ServerName};
use devserver_core::{
    References,
    environment::Resources,
    invalid::TEAM_QUOTA_EXCEEDED,
    resolve,
    team::{self, Amounts, Member, Volumes},
    user,
};
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Container};
use kube::{ResourceExt, runtime::reflector::ObjectRef};

use crate::{
    context::Context,
    observe::{Ownership, ownership},
};

/// How long a place is kept for one that was let in and whose StatefulSet or volumes have not been seen.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// Places given a moment ago: two looks at the same time must not both give the last one.
///
/// Only a bridge until StatefulSet and volumes are seen; after a restart these themselves tell.
#[derive(Default)]
pub struct Places(Mutex<HashMap<String, (Amounts, Instant)>>);

impl Places {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Amounts, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Users by their names.
type Users<'a> = HashMap<&'a str, Vec<&'a DevServerUser>>;

/// Adds whose namespace it is, and what the team has in use, where the team has a quota.
pub fn add(ctx: &Context, server: &DevServer, references: &mut References) {
    let user = user(ctx, server);
    references.user = user.as_deref().cloned();
    let (started, kept) = (started(ctx, server), volumes(ctx, server));
    let is_started = started.is_some();
    references.holds = team::together(&started.unwrap_or_default(), &kept.amounts());
    let team = team::of(&server.spec, user.as_deref())
        .filter(|_| server.metadata.deletion_timestamp.is_none());
    let Some((team, settings)) = team.and_then(|t| ctx.platform.teams.get_key_value(t)) else {
        return;
    };
    if let Some(spendings) = ctx.spendings.as_ref().filter(|_| settings.budget.is_some()) {
        references.team_spent = spendings.of(team);
    }
    let quota = &settings.quota;
    if quota.is_empty() {
        return;
    }
    let Some(asks) = resolve::asks(&server.spec, &references.flavors, &kept, &ctx.platform) else {
        return;
    };
    let uid = server.uid().unwrap_or_default();
    let mut places = ctx.places.lock();
    places.retain(|_, (_, since)| since.elapsed() < KEPT_FOR);
    let others = others(ctx, &uid, team, &references.flavors, &places);
    let me = Member {
        uid: uid.clone(),
        created: created(server),
        holds: references.holds.clone(),
        waits_for: None,
    };
    let in_use = team::in_use(&me, &others, quota);
    let has_room = team::excess(&in_use, &asks.all(), &me.holds, quota).is_none();
    references.team_in_use = in_use;
    let is_seen = is_started && asks.has_its_volumes(&kept);
    if has_room && !is_seen && !server.spec.suspend {
        places.insert(uid, (asks.all(), Instant::now()));
    } else {
        places.remove(&uid);
    }
}

/// All environments that count for the team but the one with that UID.
fn others(
    ctx: &Context,
    uid: &str,
    team: &str,
    flavors: &[DevServerFlavor],
    places: &HashMap<String, (Amounts, Instant)>,
) -> Vec<Member> {
    let known = ctx.caches.users.state();
    let mut users = Users::new();
    for user in &known {
        users.entry(&user.spec.username).or_default().push(user);
    }
    let asks_for_another = |server: &DevServer| {
        let asked = server.spec.team.as_ref();
        asked.is_some_and(|asked| asked != team)
    };
    let candidates = ctx.caches.servers.state_filter(|other| {
        other.metadata.uid.as_deref() != Some(uid)
            && other.metadata.deletion_timestamp.is_none()
            && !asks_for_another(other)
    });
    candidates
        .iter()
        .filter_map(|other| member(ctx, other, team, &users, flavors, places))
        .collect()
}

/// An environment that counts for the team: what has a place, and what could get one.
fn member(
    ctx: &Context,
    server: &DevServer,
    team: &str,
    users: &Users,
    flavors: &[DevServerFlavor],
    places: &HashMap<String, (Amounts, Instant)>,
) -> Option<Member> {
    let namespace = server.metadata.namespace.as_deref()?;
    let user = user::username_of(namespace)
        .and_then(|username| users.get(username))
        .and_then(|users| user::of_namespace(namespace, users));
    if team::of(&server.spec, user) != Some(team) {
        return None;
    }
    let uid = server.uid()?;
    let runs = !server.spec.suspend;
    let started = started(ctx, server).filter(|_| runs);
    let place = places.get(&uid).filter(|_| runs);
    let is_member = team::is_member(&server.spec, user);
    // Nobody fills the quota of a team that they are not in by naming it.
    if !is_member && started.is_none() && place.is_none() {
        return None;
    }
    let kept = if is_member {
        volumes(ctx, server)
    } else {
        Volumes::default()
    };
    let (holds, waits_for) = match (started, place) {
        (_, Some((all, _))) => (all.clone(), None),
        (Some(pod), None) => (team::together(&pod, &kept.amounts()), None),
        (None, None) => {
            let waits = runs && !is_refused(server);
            let asks = resolve::asks(&server.spec, flavors, &kept, &ctx.platform);
            let more = asks.filter(|_| waits).map(|asks| asks.beside(&kept));
            (kept.amounts(), more)
        }
    };
    Some(Member {
        uid,
        created: created(server),
        holds,
        waits_for,
    })
}

/// Whether it waits for its owner, not for room.
fn is_refused(server: &DevServer) -> bool {
    let status = server.status.as_ref();
    status
        .and_then(|s| condition::find(&s.conditions, condition::VALID))
        .is_some_and(|c| c.status == "False" && c.reason != TEAM_QUOTA_EXCEEDED)
}

fn created(server: &DevServer) -> Option<jiff::Timestamp> {
    server.metadata.creation_timestamp.as_ref().map(|t| t.0)
}

/// What it was started with; also while its pod is being made anew.
fn started(ctx: &Context, server: &DevServer) -> Option<Amounts> {
    let name = ObjectRef::new(&server.name_any()).within(server.metadata.namespace.as_deref()?);
    let workload = ctx.caches.workloads.get(&name)?;
    if ownership(&workload.metadata, server.metadata.uid.as_deref()?) != Ownership::Ours {
        return None;
    }
    containers(&workload).map(|containers| team::of_pod(&containers))
}

fn containers(workload: &StatefulSet) -> Option<Vec<Resources>> {
    let spec = workload.spec.as_ref()?;
    if spec.replicas == Some(0) {
        return None;
    }
    let resources = |container: &Container| {
        let resources = container.resources.clone().unwrap_or_default();
        Resources {
            requests: resources.requests.unwrap_or_default(),
            limits: resources.limits.unwrap_or_default(),
        }
    };
    let pod = spec.template.spec.as_ref()?;
    Some(pod.containers.iter().map(resources).collect())
}

/// The volumes it has, also while it is stopped.
fn volumes(ctx: &Context, server: &DevServer) -> Volumes {
    let Ok(name) = ServerName::parse(&server.name_any()) else {
        return Volumes::default();
    };
    let namespace = server.metadata.namespace.as_deref().unwrap_or_default();
    let size = |claim: String| {
        let claim = ObjectRef::new(&claim).within(namespace);
        resolve::requested(ctx.caches.claims.get(&claim)?.as_ref())
    };
    Volumes {
        home: size(name.home_claim()),
        docker: size(name.docker_claim()),
    }
}

/// The user whose namespace the DevServer is in.
fn user(ctx: &Context, server: &DevServer) -> Option<Arc<DevServerUser>> {
    let namespace = server.metadata.namespace.as_deref()?;
    let username = user::username_of(namespace)?;
    let users = ctx
        .caches
        .users
        .state_filter(|user| user.spec.username == username);
    user::of_namespace(namespace, &users)
}
