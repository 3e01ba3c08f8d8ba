//! The way to the API server as somebody: each request carries `Impersonate-*` headers for the user of the session, set here
//! and nowhere else. What the user may do is RBAC's to say.

use std::{collections::BTreeSet, time::Duration};

use devserver_api::{DevServer, DevServerFlavor, DevServerUser, names::ServerName};
use http::{HeaderValue, Request, header::HeaderName};
use k8s_openapi::api::core::v1::{Event, PersistentVolumeClaim, Pod, ResourceQuota};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams, Preconditions},
    client::Body,
};
use serde_json::Value;

use crate::{identity::Identity, problem::Problem, session::Session, table::ServerId};

/// Longest wait for an answer of the API server.
const PATIENCE: Duration = Duration::from_secs(10);
/// Field manager of what people change here.
const MANAGER: &str = "devserver-console";
/// Lines of the log that are shown.
const LINES: i64 = 60;
/// Objects that one page shows at most.
const MOST: u32 = 2000;

/// The cluster as one user sees it.
pub struct Cluster {
    client: Client,
}

impl Cluster {
    /// As the user of the session; `None` for a name that cannot be a header, which no session has.
    pub fn as_user(client: &Client, session: &Session) -> Option<Self> {
        let user = HeaderValue::from_str(&session.user).ok()?;
        let groups = Identity::groups(session.is_admin);
        let shared = client.clone();
        // On top of the one client, so that all users share its connections.
        let service = tower::service_fn(move |mut request: Request<Body>| {
            impersonate(&mut request, &user, groups);
            let shared = shared.clone();
            async move { shared.send(request).await }
        });
        Some(Self {
            client: Client::new(service, "default"),
        })
    }

    fn servers(&self, namespace: &str) -> Api<DevServer> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// DevServers of a namespace.
    pub async fn list(&self, namespace: &str) -> Result<Vec<DevServer>, Problem> {
        let (api, params) = (self.servers(namespace), ListParams::default().limit(MOST));
        answer(api.list(&params)).await.map(|list| list.items)
    }

    /// DevServers of all namespaces.
    pub async fn list_all(&self) -> Result<Vec<DevServer>, Problem> {
        let api: Api<DevServer> = Api::all(self.client.clone());
        let params = ListParams::default().limit(MOST);
        answer(api.list(&params)).await.map(|list| list.items)
    }

    /// One DevServer.
    pub async fn get(&self, id: &ServerId) -> Result<DevServer, Problem> {
        answer(self.servers(&id.namespace).get(&id.name)).await
    }

    /// Claims of a namespace that are, or were, homes of DevServers and volumes of their daemons.
    pub async fn homes(&self, namespace: &str) -> Result<Vec<PersistentVolumeClaim>, Problem> {
        let api: Api<PersistentVolumeClaim> = Api::namespaced(self.client.clone(), namespace);
        let params = ListParams::default()
            .labels(devserver_api::group::LABEL_NAME)
            .limit(MOST);
        answer(api.list(&params)).await.map(|list| list.items)
    }

    /// The home of a DevServer, whether that is there or not.
    pub async fn home(&self, id: &ServerId) -> Result<Option<PersistentVolumeClaim>, Problem> {
        let Ok(name) = ServerName::parse(&id.name) else {
            return Ok(None);
        };
        let api: Api<PersistentVolumeClaim> = Api::namespaced(self.client.clone(), &id.namespace);
        answer(api.get_opt(&name.home_claim())).await
    }

    /// Flavors.
    pub async fn flavors(&self) -> Result<Vec<DevServerFlavor>, Problem> {
        let api: Api<DevServerFlavor> = Api::all(self.client.clone());
        let params = ListParams::default().limit(MOST);
        answer(api.list(&params)).await.map(|list| list.items)
    }

    /// Users.
    pub async fn users(&self) -> Result<Vec<DevServerUser>, Problem> {
        let api: Api<DevServerUser> = Api::all(self.client.clone());
        let params = ListParams::default().limit(MOST);
        answer(api.list(&params)).await.map(|list| list.items)
    }

    /// Quotas of users' namespaces.
    pub async fn quotas(&self) -> Result<Vec<ResourceQuota>, Problem> {
        let api: Api<ResourceQuota> = Api::all(self.client.clone());
        let params = ListParams::default()
            .labels(devserver_api::group::LABEL_NAMESPACE_USER)
            .limit(MOST);
        answer(api.list(&params)).await.map(|list| list.items)
    }

    /// The pod of a DevServer, if it has one that is this very one's.
    pub async fn pod(&self, server: &DevServer, id: &ServerId) -> Option<Pod> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &id.namespace);
        let name = ServerName::parse(&id.name).ok()?.pod();
        let pod = answer(api.get_opt(&name)).await.ok()??;
        let uid = pod
            .metadata
            .labels
            .as_ref()?
            .get(devserver_api::group::LABEL_UID);
        (uid.is_some() && uid == server.metadata.uid.as_ref()).then_some(pod)
    }

    /// What happened to a DevServer and its objects, the newest first.
    pub async fn events(&self, id: &ServerId) -> Vec<Event> {
        let Ok(name) = ServerName::parse(&id.name) else {
            return Vec::new();
        };
        let api: Api<Event> = Api::namespaced(self.client.clone(), &id.namespace);
        let names = BTreeSet::from([
            id.name.clone(),
            name.workload(),
            name.pod(),
            name.home_claim(),
        ]);
        let mut events = Vec::new();
        for name in names {
            let params = ListParams::default()
                .fields(&format!("involvedObject.name={name}"))
                .limit(100);
            events.extend(
                answer(api.list(&params))
                    .await
                    .map(|l| l.items)
                    .unwrap_or_default(),
            );
        }
        events
    }

    /// The last lines that the environment has written.
    pub async fn log(&self, id: &ServerId) -> Option<String> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &id.namespace);
        let name = ServerName::parse(&id.name).ok()?.pod();
        let params = LogParams {
            container: Some(devserver_api::group::CONTAINER.to_owned()),
            tail_lines: Some(LINES),
            limit_bytes: Some(64 * 1024),
            ..LogParams::default()
        };
        answer(api.logs(&name, &params)).await.ok()
    }

    /// Creates a DevServer. As JSON, so that fields of a newer platform pass through.
    pub async fn create(&self, namespace: &str, object: &Value) -> Result<(), Problem> {
        let params = PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PostParams::default()
        };
        let resource = kube::core::ApiResource::erase::<DevServer>(&());
        let object: kube::core::DynamicObject =
            serde_json::from_value(object.clone()).map_err(|e| Problem::unexpected(&e))?;
        let api: Api<kube::core::DynamicObject> =
            Api::namespaced_with(self.client.clone(), namespace, &resource);
        answer(api.create(&params, &object)).await.map(drop)
    }

    /// Changes the DevServer of that UID, and no other of its name.
    pub async fn patch(&self, id: &ServerId, patch: &Value) -> Result<(), Problem> {
        let params = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let api = self.servers(&id.namespace);
        answer(api.patch(&id.name, &params, &Patch::Merge(patch)))
            .await
            .map(drop)
    }

    /// Deletes the DevServer of that UID, and no other of its name.
    pub async fn delete(&self, id: &ServerId, uid: &str) -> Result<(), Problem> {
        let params = DeleteParams::default().preconditions(Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        });
        let api = self.servers(&id.namespace);
        answer(api.delete(&id.name, &params)).await.map(drop)
    }
}

/// Whatever was there under these names goes first.
fn impersonate(request: &mut Request<Body>, user: &HeaderValue, groups: &[&'static str]) {
    let headers = request.headers_mut();
    let theirs: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("impersonate-"))
        .cloned()
        .collect();
    for name in theirs {
        headers.remove(name);
    }
    headers.insert("impersonate-user", user.clone());
    for group in groups {
        headers.append("impersonate-group", HeaderValue::from_static(group));
    }
}

async fn answer<T>(asking: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Problem> {
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Problem::of_cluster(&error)),
        Err(_) => Err(Problem::away()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b6_the_user_and_the_two_groups_are_all_that_is_said() {
        let mut request = Request::new(Body::empty());
        let headers = request.headers_mut();
        for (name, value) in [
            ("impersonate-user", "admin"),
            ("impersonate-uid", "0"),
            ("impersonate-extra-scopes", "x"),
            ("impersonate-group", "system:masters"),
        ] {
            headers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        impersonate(
            &mut request,
            &HeaderValue::from_static("alice"),
            Identity::groups(true),
        );
        let said: Vec<(&str, &str)> = request
            .headers()
            .iter()
            .map(|(n, v)| (n.as_str(), v.to_str().unwrap()))
            .collect();
        assert_eq!(
            said,
            [
                ("impersonate-user", "alice"),
                ("impersonate-group", "devserver-users"),
                ("impersonate-group", "devserver-admins")
            ]
        );
    }
}
