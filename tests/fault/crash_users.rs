//! Killed before and after every single write of what it does for a user, the operator ends where it would have ended, and
//! has not taken a home, a machine or a namespace on the way.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    time::{Duration, Instant},
};

use anyhow::ensure;
use devserver_api::DevServer;
use devserver_testkit::{
    Operator, Scene,
    account::{Account, is_ready},
    crash::Ending,
    diff::differences,
    proxy::{
        rule::{Action, Rule, Side},
        trace::Record,
    },
    sample,
    scene::PATIENCE,
    wait::{self, Seen},
    with_namespace,
};
use futures::{StreamExt as _, stream};
use k8s_openapi::api::{
    core::v1::{LimitRange, Namespace, PersistentVolumeClaim, ResourceQuota, ServiceAccount},
    rbac::v1::RoleBinding,
};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ListParams, PostParams},
    core::NamespaceResourceScope,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::crash::as_committed;

/// Runs at the same time. Each is mostly waiting.
const AT_ONCE: usize = 6;
const CONFIG: &str = "allowedRoles: [ClusterRole/view]";
const HOME: &str = "home-workbench-0";

#[derive(Clone, Copy)]
enum Tale {
    /// A DevServerUser with quota, limits and a further role is created.
    Create,
    /// It is changed so that everything optional goes.
    Change,
    /// It is deleted with a machine and a home, and made again.
    Delete,
}

/// Who and what is on stage.
struct Stage {
    account: Account,
    operator: Operator,
}

impl Tale {
    fn name(self) -> &'static str {
        match self {
            Self::Create => "user-create",
            Self::Change => "user-change",
            Self::Delete => "user-delete",
        }
    }

    async fn prepare(self, stage: &Stage) -> anyhow::Result<()> {
        if matches!(self, Self::Create) {
            return Ok(());
        }
        stage.account.ready(full()).await?;
        if matches!(self, Self::Delete) {
            let home: PersistentVolumeClaim = serde_json::from_value(json!({
                "metadata": {"name": HOME},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
            }))?;
            let make = PostParams::default();
            stage.account.api().create(&make, &home).await?;
            let scene = &stage.account.scene;
            let flavor = scene.flavor("small", "500m", "1Gi").await?;
            let mut server = sample::devserver(sample::NAME, &flavor);
            server.spec.suspend = true;
            // Said, not taken from the user: otherwise the machine changes with its user, as often as somebody looks.
            server.spec.team = Some("genomics".to_owned());
            stage.account.api().create(&make, &server).await?;
            told(stage).await?;
        }
        Ok(())
    }

    async fn act(self, stage: &Stage) -> anyhow::Result<()> {
        match self {
            Self::Create => stage.account.ready(full()).await.map(drop),
            Self::Change => {
                let less = json!({"spec": {
                    "quota": null, "limits": null, "additionalRoleRefs": null, "teams": null, "podSecurity": "restricted",
                }});
                stage.account.patch(less).await?;
                stage
                    .account
                    .status("has followed", is_ready)
                    .await
                    .map(drop)
            }
            Self::Delete => {
                let users = stage.account.users();
                users
                    .delete(&stage.account.username, &DeleteParams::default())
                    .await?;
                wait::until("the rights are gone", PATIENCE, async || {
                    let left = stage
                        .account
                        .api::<RoleBinding>()
                        .list(&ListParams::default())
                        .await?;
                    Ok(Seen::when(left.items.is_empty(), left.items.len()))
                })
                .await?;
                gone::<ServiceAccount>(stage, &format!("{}-sa", stage.account.username)).await?;
                gone::<ResourceQuota>(stage, "devserver-user").await?;
                gone::<LimitRange>(stage, "devserver-user").await?;
                stage.account.ready(full()).await.map(drop)
            }
        }
    }
}

fn full() -> Value {
    json!({
        "teams": ["genomics"],
        "quota": {"requests.cpu": "8", "count/devservers.devserver.io": "3"},
        "limits": [{"type": "Container", "max": {"cpu": "4"}}],
        "additionalRoleRefs": [{"kind": "ClusterRole", "name": "view"}],
    })
}

/// Waits until the operator has said something about the machine: it is no news later.
async fn told(stage: &Stage) -> anyhow::Result<()> {
    wait::until("the machine has a status", PATIENCE, async || {
        let server = stage.account.api::<DevServer>().get(sample::NAME).await?;
        Ok(Seen::when(server.status.is_some(), "none"))
    })
    .await
}

async fn gone<K>(stage: &Stage, name: &str) -> anyhow::Result<()>
where
    K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned,
{
    wait::until(&format!("{name} is gone"), PATIENCE, async || {
        let there = stage.account.api::<K>().get_opt(name).await?;
        Ok(Seen::when(there.is_none(), "it is there"))
    })
    .await
}

impl Stage {
    async fn set(scene: Scene) -> anyhow::Result<Self> {
        let account = Account::new(&scene).await?;
        let operator = scene.operator_with(&account.settings(Some(CONFIG))).await?;
        Ok(Self { account, operator })
    }

    /// Nothing is written, and no look is under way that read what the story is about to change.
    async fn rests(&self) -> anyhow::Result<()> {
        let trace = self.operator.trace();
        wait::quiet(trace, Duration::from_secs(1), PATIENCE).await?;
        let (mut mark, mut since) = (trace.mark(), Instant::now());
        wait::until("no look is under way", PATIENCE, async || {
            if trace.mark() != mark {
                (mark, since) = (trace.mark(), Instant::now());
            }
            let calm = since.elapsed() >= Duration::from_secs(1);
            Ok(Seen::when(calm, "requests are made"))
        })
        .await
    }

    /// Everything of the user, without what chance or the API server decides.
    async fn state(&self) -> anyhow::Result<Value> {
        let mut all = Map::new();
        let namespaces: Api<Namespace> = Api::all(self.account.scene.client());
        let namespace = namespaces.get_opt(&self.account.namespace()).await?;
        let user = self.account.users().get_opt(&self.account.username).await?;
        all.insert("namespace".to_owned(), serde_json::to_value(namespace)?);
        all.insert("user".to_owned(), serde_json::to_value(user)?);
        self.collect::<ResourceQuota>("quota", &mut all).await?;
        self.collect::<LimitRange>("limits", &mut all).await?;
        self.collect::<ServiceAccount>("account", &mut all).await?;
        self.collect::<RoleBinding>("binding", &mut all).await?;
        self.collect::<PersistentVolumeClaim>("claim", &mut all)
            .await?;
        let mut state = Value::Object(all);
        mask(&mut state, &self.account);
        Ok(state)
    }

    async fn collect<K>(&self, what: &str, all: &mut Map<String, Value>) -> anyhow::Result<()>
    where
        K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned
            + Serialize,
    {
        for object in self.account.api::<K>().list(&ListParams::default()).await? {
            let name = object.meta().name.clone().unwrap_or_default();
            let name = name.replace(&self.account.username, "<user>");
            all.insert(format!("{what}/{name}"), serde_json::to_value(object)?);
        }
        Ok(())
    }

    async fn converges(&self, expected: &Value) -> anyhow::Result<()> {
        wait::until("the state is as without a crash", PATIENCE, async || {
            let differ = differences(expected, &self.state().await?);
            Ok(Seen::when(differ.is_empty(), differ.join("\n")))
        })
        .await
    }

    /// What must never be made anew: the namespace, the machine, the home.
    async fn identities(&self) -> anyhow::Result<BTreeMap<String, Option<String>>> {
        let mut found = BTreeMap::new();
        let namespaces: Api<Namespace> = Api::all(self.account.scene.client());
        if let Some(namespace) = namespaces.get_opt(&self.account.namespace()).await? {
            found.insert("namespace".to_owned(), namespace.uid());
        }
        for server in self
            .account
            .api::<DevServer>()
            .list(&ListParams::default())
            .await?
        {
            found.insert(format!("machine {}", server.name_any()), server.uid());
        }
        for claim in self
            .account
            .api::<PersistentVolumeClaim>()
            .list(&ListParams::default())
            .await?
        {
            found.insert(format!("claim {}", claim.name_any()), claim.uid());
        }
        Ok(found)
    }
}

/// Removes what two runs of the same story need not share.
fn mask(value: &mut Value, account: &Account) {
    const CHANCE: [&str; 13] = [
        "uid",
        "devserver.io/uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "managedFields",
        "lastTransitionTime",
        "observedGeneration",
        "devserver.io/applied-hash",
        // The quota counts what is there whenever its controller comes by.
        "used",
        "kubernetes.io/metadata.name",
        "test.devserver.io/scene",
        "ownerReferences",
    ];
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !CHANCE.contains(&key.as_str()));
            map.values_mut().for_each(|inner| mask(inner, account));
        }
        Value::Array(list) => list.iter_mut().for_each(|inner| mask(inner, account)),
        Value::String(text) => {
            *text = text
                .replace(&account.username, "<user>")
                .replace(account.scene.namespace(), "<scene>");
        }
        _ => {}
    }
}

async fn undisturbed(tale: Tale) -> anyhow::Result<Ending> {
    with_namespace(&format!("{} undisturbed", tale.name()), async |scene| {
        let stage = Stage::set(scene).await?;
        tale.prepare(&stage).await?;
        stage.rests().await?;
        let mark = stage.operator.trace().mark();
        tale.act(&stage).await?;
        stage.rests().await?;
        let writes = stage.operator.trace().writes_since(mark);
        Ok(Ending {
            writes: writes.iter().map(Record::step).collect(),
            state: stage.state().await?,
        })
    })
    .await
}

async fn crashed(tale: Tale, write: usize, side: Side, expected: &Value) -> anyhow::Result<()> {
    let sentence = format!("{} {write} {}", tale.name(), side.as_str());
    with_namespace(&sentence, async |scene| {
        let stage = Stage::set(scene).await?;
        tale.prepare(&stage).await?;
        stage.rests().await?;
        let kept = stage.identities().await?;
        let nth = u64::try_from(write)?;
        stage
            .operator
            .proxy()
            .arm(Rule::nth_write(nth, Action::Kill(side)));
        let reviver = stage.operator.revive();
        let ended = match tale.act(&stage).await {
            Ok(()) => stage.converges(expected).await,
            Err(why) => Err(why),
        };
        reviver.abort();
        ended?;
        ensure!(stage.operator.kills() == 1, "write {write} never came");
        let after = stage.identities().await?;
        for (what, uid) in kept {
            ensure!(
                after.get(&what) == Some(&uid),
                "the {what} was removed or made anew"
            );
        }
        stage.rests().await?;
        // A look that is asked for, at everything, finds nothing to do.
        let mark = stage.operator.trace().mark();
        stage.operator.restart().await?;
        wait::no_writes(stage.operator.trace(), Duration::from_secs(3)).await?;
        ensure!(
            stage.operator.trace().writes_since(mark).is_empty(),
            "a look at a settled state wrote"
        );
        Ok(())
    })
    .await
}

async fn survives(tale: Tale) -> anyhow::Result<()> {
    let ending = Box::pin(undisturbed(tale)).await?;
    as_committed(tale.name(), &ending)?;
    let cases = (1..=ending.writes.len())
        .flat_map(|write| [Side::Before, Side::After].map(|side| (write, side)));
    let runs = cases.map(|(write, side)| {
        let expected = &ending.state;
        async move {
            let failure = crashed(tale, write, side, expected).await.err();
            failure.map(|why| format!("{}:{write}:{}: {why:#}", tale.name(), side.as_str()))
        }
    });
    let failed: Vec<String> = stream::iter(runs)
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    ensure!(
        failed.is_empty(),
        "{} crashes were not survived\n{}",
        failed.len(),
        failed.join("\n")
    );
    println!(
        "{}: {} writes, {} crashes survived",
        tale.name(),
        ending.writes.len(),
        2 * ending.writes.len()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_any_write_for_a_new_user_it_ends_the_same() -> anyhow::Result<()> {
    survives(Tale::Create).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_any_write_for_a_changed_user_it_ends_the_same() -> anyhow::Result<()> {
    survives(Tale::Change).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_any_write_for_a_user_deleted_and_made_again_it_ends_the_same_and_keeps_the_home()
-> anyhow::Result<()> {
    survives(Tale::Delete).await
}
