//! When to look at which user.

use std::{
    collections::{HashMap, hash_map::DefaultHasher},
    fmt::Debug,
    hash::{Hash, Hasher},
    sync::Arc,
};

use devserver_api::{DevServerUser, group};
use futures::{Stream, StreamExt, pin_mut};
use k8s_openapi::api::{
    core::v1::{LimitRange, Namespace, ResourceQuota, ServiceAccount},
    rbac::v1::RoleBinding,
};
use kube::{
    Api, Client, Resource,
    core::DeserializeGuard,
    runtime::{
        WatchStreamExt,
        reflector::{ObjectRef, Store, store, store::Writer},
        watcher,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::{sync::mpsc, task::JoinSet};

use super::Context;
use crate::metrics::Metrics;

/// Users that wait to be looked at.
const QUEUE: usize = 1024;

type Queue = mpsc::Sender<ObjectRef<DevServerUser>>;
type Waiting = mpsc::Receiver<ObjectRef<DevServerUser>>;
type Tasks = JoinSet<&'static str>;

/// Starts the watches and waits until all users are known.
pub async fn start(
    ctx: &Context,
    selector: Option<String>,
) -> anyhow::Result<(Store<DevServerUser>, Waiting, Tasks)> {
    let (queue, waiting) = mpsc::channel(QUEUE);
    let mut tasks = JoinSet::new();
    let (users, writer) = store();
    let config = watcher::Config {
        label_selector: selector,
        ..watcher::Config::default()
    };
    let api: Api<DeserializeGuard<DevServerUser>> = Api::all(ctx.client.clone());
    let events = readable(watcher(api, config).default_backoff(), ctx.metrics.clone());
    tasks.spawn(follow(events, writer, users.clone(), queue.clone()));
    spawn::<Namespace>(&ctx.client, "namespaces", &users, &queue, &mut tasks);
    spawn::<ResourceQuota>(&ctx.client, "resourcequotas", &users, &queue, &mut tasks);
    spawn::<LimitRange>(&ctx.client, "limitranges", &users, &queue, &mut tasks);
    spawn::<ServiceAccount>(&ctx.client, "serviceaccounts", &users, &queue, &mut tasks);
    spawn::<RoleBinding>(&ctx.client, "rolebindings", &users, &queue, &mut tasks);
    users.wait_until_ready().await?;
    Ok((users, waiting, tasks))
}

/// Name of the watch that ended.
pub async fn first_to_end(mut tasks: Tasks) -> String {
    match tasks.join_next().await {
        Some(Ok(what)) => what.to_owned(),
        Some(Err(error)) => error.to_string(),
        None => "nothing".to_owned(),
    }
}

/// One user that cannot be read must not end the watch of all others.
fn readable(
    events: impl Stream<Item = watcher::Result<watcher::Event<DeserializeGuard<DevServerUser>>>>,
    metrics: Arc<Metrics>,
) -> impl Stream<Item = watcher::Event<DevServerUser>> {
    let read = move |user: DeserializeGuard<DevServerUser>| match user.0 {
        Ok(user) => Some(user),
        Err(invalid) => {
            metrics.unreadable();
            tracing::warn!(
                user = invalid.metadata.name,
                error = invalid.error,
                "cannot be read"
            );
            None
        }
    };
    events.filter_map(move |event| {
        std::future::ready(match event {
            Ok(watcher::Event::Init) => Some(watcher::Event::Init),
            Ok(watcher::Event::InitDone) => Some(watcher::Event::InitDone),
            Ok(watcher::Event::InitApply(o)) => read(o).map(watcher::Event::InitApply),
            Ok(watcher::Event::Apply(o)) => read(o).map(watcher::Event::Apply),
            Ok(watcher::Event::Delete(o)) => read(o).map(watcher::Event::Delete),
            Err(error) => {
                tracing::warn!(error = %error, "the watch of users was interrupted and goes on");
                None
            }
        })
    })
}

/// Fills the cache of users. Each event concerns all users of that username: one that goes makes room for the next.
async fn follow(
    events: impl Stream<Item = watcher::Event<DevServerUser>>,
    mut writer: Writer<DevServerUser>,
    users: Store<DevServerUser>,
    queue: Queue,
) -> &'static str {
    pin_mut!(events);
    let mut listed = Vec::new();
    while let Some(event) = events.next().await {
        let concerned: Vec<String> = match &event {
            watcher::Event::Apply(user) if is_told_only(&users, user) => Vec::new(),
            watcher::Event::Apply(user) | watcher::Event::Delete(user) => {
                vec![user.spec.username.clone()]
            }
            watcher::Event::InitApply(user) => {
                listed.push(user.spec.username.clone());
                Vec::new()
            }
            watcher::Event::Init => Vec::new(),
            watcher::Event::InitDone => std::mem::take(&mut listed),
        };
        writer.apply_watcher_event(&event);
        for username in concerned {
            if !wake(&users, &username, &queue).await {
                return "devserverusers";
            }
        }
    }
    "devserverusers"
}

/// Whether nothing changed but what we say about it.
fn is_told_only(users: &Store<DevServerUser>, user: &DevServerUser) -> bool {
    users.get(&ObjectRef::from_obj(user)).is_some_and(|before| {
        before.metadata.uid == user.metadata.uid
            && before.metadata.generation == user.metadata.generation
            && before.metadata.deletion_timestamp == user.metadata.deletion_timestamp
    })
}

/// `false` when nobody listens any more.
async fn wake(users: &Store<DevServerUser>, username: &str, queue: &Queue) -> bool {
    for user in users.state_filter(|user| user.spec.username == username) {
        if queue
            .send(ObjectRef::from_obj(user.as_ref()))
            .await
            .is_err()
        {
            return false;
        }
    }
    true
}

fn spawn<K>(
    client: &Client,
    what: &'static str,
    users: &Store<DevServerUser>,
    queue: &Queue,
    tasks: &mut Tasks,
) where
    K: Resource<DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned
        + Serialize
        + Send
        + Sync
        + 'static,
{
    let config = watcher::Config::default().labels(group::LABEL_NAMESPACE_USER);
    let events = watcher(Api::<K>::all(client.clone()), config).default_backoff();
    let (users, queue) = (users.clone(), queue.clone());
    tasks.spawn(async move {
        pin_mut!(events);
        let mut known = HashMap::new();
        while let Some(event) = events.next().await {
            let Some(username) = concerned(event, &mut known, what) else {
                continue;
            };
            if !wake(&users, &username, &queue).await {
                return what;
            }
        }
        what
    });
}

/// The user whose object changed otherwise than in its status: a quota counts all day long.
fn concerned<K: Resource<DynamicType = ()> + Serialize>(
    event: watcher::Result<watcher::Event<K>>,
    known: &mut HashMap<String, u64>,
    what: &'static str,
) -> Option<String> {
    let (object, is_gone) = match event {
        Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => (object, false),
        Ok(watcher::Event::Delete(object)) => (object, true),
        Ok(watcher::Event::Init | watcher::Event::InitDone) => return None,
        Err(error) => {
            tracing::warn!(what, error = %error, "the watch was interrupted and goes on");
            return None;
        }
    };
    let meta = object.meta();
    let username = meta
        .labels
        .as_ref()?
        .get(group::LABEL_NAMESPACE_USER)?
        .clone();
    let uid = meta.uid.clone().unwrap_or_default();
    if is_gone {
        known.remove(&uid);
        return Some(username);
    }
    let now = gist(&object);
    (known.insert(uid, now) != Some(now)).then_some(username)
}

fn gist<K: Serialize>(object: &K) -> u64 {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    if let Value::Object(map) = &mut value {
        map.remove("status");
        if let Some(Value::Object(metadata)) = map.get_mut("metadata") {
            metadata.remove("resourceVersion");
            metadata.remove("managedFields");
        }
    }
    let mut hasher = DefaultHasher::new();
    value.to_string().hash(&mut hasher);
    hasher.finish()
}
