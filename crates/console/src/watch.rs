//! The table's sources: DevServers, their pods, DevServerUsers. Events in, rows out; nothing is decided here.

use std::sync::Arc;

use devserver_api::{DevServer, DevServerUser, group};
use devserver_process::feed::{self, Rows};
use futures::future::join3;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, core::DeserializeGuard, runtime::watcher};

use crate::{
    console::Console,
    objects,
    table::{ServerId, Table},
};

/// Sources that must have told all they have before the table can be believed.
const SOURCES: usize = 3;

/// How one kind of object becomes rows.
type Feed<K, I> = feed::Feed<K, I, Table>;

impl Rows for Console {
    type Table = Table;

    fn change<T>(&self, change: impl FnOnce(&mut Table) -> T) -> T {
        Self::change(self, change)
    }

    fn filled(&self) {
        self.filled.cancel();
    }
}

/// Follows all sources until the process ends. The console is ready when each has told all it has; what is known stays
/// when a source breaks off.
pub async fn follow(console: Arc<Console>, client: Client, namespace: Option<String>) {
    let left = feed::sources(SOURCES);
    let labelled = watcher::Config::default().labels(group::LABEL_UID);
    let servers = feed::follow(
        Arc::clone(&console),
        feed::scoped::<DeserializeGuard<DevServer>>(&client, namespace.as_deref()),
        watcher::Config::default(),
        SERVERS,
        Arc::clone(&left),
    );
    let pods = feed::follow(
        Arc::clone(&console),
        feed::scoped::<Pod>(&client, namespace.as_deref()),
        labelled,
        PODS,
        Arc::clone(&left),
    );
    let people = feed::follow(
        console,
        Api::<DeserializeGuard<DevServerUser>>::all(client),
        watcher::Config::default(),
        PEOPLE,
        left,
    );
    join3(servers, pods, people).await;
}

const SERVERS: Feed<DeserializeGuard<DevServer>, ServerId> = Feed {
    id: |guarded| match &guarded.0 {
        Ok(server) => objects::server_id(server),
        Err(broken) => Some(ServerId {
            namespace: broken.metadata.namespace.clone()?,
            name: broken.metadata.name.clone()?,
        }),
    },
    put: |table, id, guarded| match &guarded.0 {
        Ok(server) => table.put_server(id, objects::server(server)),
        // What cannot be read opens nothing.
        Err(_) => table.remove_server(&id),
    },
    remove: Table::remove_server,
    known: Table::server_ids,
};

const PODS: Feed<Pod, ServerId> = Feed {
    id: |pod| objects::pod(pod).map(|(id, _)| id),
    put: |table, id, pod| match objects::pod(pod) {
        Some((_, row)) => table.put_pod(id, row),
        None => table.remove_pod(&id),
    },
    remove: Table::remove_pod,
    known: Table::pod_ids,
};

const PEOPLE: Feed<DeserializeGuard<DevServerUser>, String> = Feed {
    id: |guarded| match &guarded.0 {
        Ok(user) => user.metadata.name.clone(),
        Err(broken) => broken.metadata.name.clone(),
    },
    put: |table, name, guarded| match &guarded.0 {
        Ok(user) => table.put_person(name, objects::person(user)),
        Err(_) => table.remove_person(&name),
    },
    remove: |table, name| table.remove_person(name),
    known: Table::person_names,
};
