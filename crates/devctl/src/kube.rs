//! The cluster as one kubeconfig context sees it.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use devserver_api::{DevServer, DevServerFlavor, names};
use k8s_openapi::api::{
    authentication::v1::SelfSubjectReview,
    core::v1::{Event, Pod},
};
use kube::{
    Api, Client, Config, Resource,
    config::{Cluster, ExecInteractiveMode, KubeConfigOptions, Kubeconfig},
    core::NamespaceResourceScope,
};

use crate::{
    args::Global,
    exit::Exit,
    failure::{Failure, Outcome},
    files,
};

/// Longest wait for one answer of the API server. Watches and port-forwards have no such end.
const REQUEST: Duration = Duration::from_secs(30);

/// Which cluster, which namespace, as whom.
pub struct Session {
    client: Client,
    /// Names that hold without a connection.
    pub place: Place,
}

/// What the kubeconfig says, read without a connection.
#[derive(Clone, Debug)]
pub struct Place {
    /// Name of the context.
    pub context: String,
    /// Namespace in use.
    pub namespace: String,
    /// Namespace of the context.
    pub default_namespace: String,
    /// Kubeconfig files as in KUBECONFIG, absolute; absent inside a cluster.
    pub kubeconfig: Option<OsString>,
}

impl Session {
    /// Reads the kubeconfig and makes a client; nothing is sent yet.
    pub async fn connect(global: &Global) -> Outcome<Self> {
        Self::new(global, true).await
    }

    /// As `connect`, for a process whose standard input is an ssh connection: credential plugins must not read from it.
    pub async fn connect_unattended(global: &Global) -> Outcome<Self> {
        Self::new(global, false).await
    }

    async fn new(global: &Global, may_ask: bool) -> Outcome<Self> {
        let (place, kubeconfig) = locate(global)?;
        let config = match kubeconfig {
            None => Config::incluster().map_err(|e| no_kubeconfig(&e))?,
            Some(mut kubeconfig) => {
                if !may_ask {
                    for user in &mut kubeconfig.auth_infos {
                        if let Some(exec) = user.auth_info.as_mut().and_then(|a| a.exec.as_mut()) {
                            exec.interactive_mode = Some(ExecInteractiveMode::Never);
                        }
                    }
                }
                let options = KubeConfigOptions {
                    context: Some(place.context.clone()),
                    ..Default::default()
                };
                Config::from_custom_kubeconfig(kubeconfig, &options)
                    .await
                    .map_err(|e| unusable(&place, &e))?
            }
        };
        global.detail(format_args!(
            "context {} at {}, namespace {}",
            place.context, config.cluster_url, place.namespace
        ));
        let client = Client::try_from(config)
            .map_err(|e| Failure::kube("failed to set up the connection", &e))?;
        Ok(Self { client, place })
    }

    /// For what is no object.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// DevServers of the namespace.
    pub fn servers(&self) -> Api<DevServer> {
        Api::namespaced(self.client.clone(), &self.place.namespace)
    }

    /// DevServers of all namespaces.
    pub fn all_servers(&self) -> Api<DevServer> {
        Api::all(self.client.clone())
    }

    /// Flavors of the cluster.
    pub fn flavors(&self) -> Api<DevServerFlavor> {
        Api::all(self.client.clone())
    }

    /// Pods of the namespace.
    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.place.namespace)
    }

    /// Questions about who asks.
    pub fn own_reviews(&self) -> Api<SelfSubjectReview> {
        Api::all(self.client.clone())
    }

    /// Objects that are in no namespace.
    pub fn cluster_wide<K: Resource<DynamicType = ()>>(&self) -> Api<K> {
        Api::all(self.client.clone())
    }

    /// Objects of a namespace, whichever is in use.
    pub fn in_namespace<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Events of the namespace.
    pub fn events(&self) -> Api<Event> {
        Api::namespaced(self.client.clone(), &self.place.namespace)
    }

    /// One DevServer; one that does not exist is told in plain words.
    pub async fn server(&self, name: &str) -> Outcome<DevServer> {
        let found = answer(
            &format!("failed to get DevServer '{name}'"),
            self.servers().get_opt(name),
        )
        .await?;
        found.ok_or_else(|| self.not_found(name))
    }

    /// There is no such DevServer.
    pub fn not_found(&self, name: &str) -> Failure {
        Failure::new(
            Exit::NotFound,
            format!(
                "DevServer '{name}' not found in namespace '{}'",
                self.place.namespace
            ),
        )
        .because("it was never there, was deleted, or has expired")
        .remedy(format!(
            "see `devctl list`, or create it with `devctl create {name}`"
        ))
    }
}

/// Awaits one answer, for no longer than [`REQUEST`].
pub async fn answer<T>(what: &str, request: impl Future<Output = kube::Result<T>>) -> Outcome<T> {
    match tokio::time::timeout(REQUEST, request).await {
        Ok(answer) => answer.map_err(|e| Failure::kube(what, &e)),
        Err(_) => Err(Failure::new(Exit::TimedOut, what)
            .because(format!(
                "no answer from the API server within {} s",
                REQUEST.as_secs()
            ))
            .remedy("check the connection to the cluster and try again")),
    }
}

/// The place alone, for what needs no connection.
pub fn place(global: &Global) -> Outcome<Place> {
    locate(global).map(|(place, _)| place)
}

/// The cluster of the context, as the kubeconfig describes it.
pub fn cluster(global: &Global) -> Outcome<Cluster> {
    let (place, kubeconfig) = locate(global)?;
    let name = kubeconfig.as_ref().and_then(|kubeconfig| {
        let named = kubeconfig.contexts.iter().find(|c| c.name == place.context);
        Some(named?.context.as_ref()?.cluster.clone())
    });
    let mut clusters = kubeconfig.into_iter().flat_map(|k| k.clusters);
    clusters
        .find(|cluster| Some(&cluster.name) == name.as_ref())
        .and_then(|cluster| cluster.cluster)
        .ok_or_else(|| {
            Failure::new(
                Exit::NotFound,
                format!(
                    "context '{}' names no cluster of a kubeconfig",
                    place.context
                ),
            )
            .remedy("choose another one with --context")
        })
}

fn locate(global: &Global) -> Outcome<(Place, Option<Kubeconfig>)> {
    let Some(list) = kubeconfig_list(global)? else {
        if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
            return Ok((in_cluster(global)?, None));
        }
        return Err(no_kubeconfig(
            &"none is set and ~/.kube/config does not exist",
        ));
    };
    let kubeconfig = read(&list)?;
    let context = global
        .context
        .clone()
        .or_else(|| kubeconfig.current_context.clone().filter(|c| !c.is_empty()))
        .ok_or_else(|| {
            Failure::new(Exit::NotFound, "no context is chosen in the kubeconfig")
                .remedy("choose one with --context or `kubectl config use-context NAME`")
        })?;
    let entry = kubeconfig
        .contexts
        .iter()
        .find(|c| c.name == context)
        .ok_or_else(|| {
            let known: Vec<&str> = kubeconfig
                .contexts
                .iter()
                .map(|c| c.name.as_str())
                .collect();
            Failure::new(
                Exit::NotFound,
                format!("context '{context}' is not in the kubeconfig"),
            )
            .remedy(format!("known contexts: {}", known.join(", ")))
        })?;
    let default_namespace = entry
        .context
        .as_ref()
        .and_then(|c| c.namespace.clone())
        .filter(|n| !n.is_empty())
        .unwrap_or_else(|| "default".to_owned());
    let namespace = match &global.namespace {
        Some(name) => checked_namespace(name)?,
        None => default_namespace.clone(),
    };
    Ok((
        Place {
            context,
            namespace,
            default_namespace,
            kubeconfig: Some(list),
        },
        Some(kubeconfig),
    ))
}

/// It becomes part of an address, so it must be a name and nothing else.
pub fn checked_namespace(name: &str) -> Outcome<String> {
    if names::is_subdomain(name) && name.len() <= 63 && !name.contains('.') {
        return Ok(name.to_owned());
    }
    Err(Failure::usage(format!("'{name}' is not a namespace"))
        .remedy("namespaces are lower case letters, digits and '-'"))
}

fn in_cluster(global: &Global) -> Outcome<Place> {
    let own = std::fs::read_to_string("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
        .unwrap_or_else(|_| "default".to_owned());
    let namespace = match &global.namespace {
        Some(name) => checked_namespace(name)?,
        None => own.clone(),
    };
    Ok(Place {
        context: "in-cluster".to_owned(),
        namespace,
        default_namespace: own,
        kubeconfig: None,
    })
}

/// The files to read, absolute, as one list in the form of KUBECONFIG: the option, the variable, or the default file.
fn kubeconfig_list(global: &Global) -> Outcome<Option<OsString>> {
    let default = || directories::BaseDirs::new().map(|b| b.home_dir().join(".kube/config"));
    let paths: Vec<PathBuf> = match global.kubeconfig.as_deref().filter(|k| !k.is_empty()) {
        Some(list) => std::env::split_paths(list)
            .filter(|p| !p.as_os_str().is_empty())
            .collect(),
        None => default().filter(|p| p.exists()).into_iter().collect(),
    };
    if paths.is_empty() {
        return Ok(None);
    }
    let paths: Vec<PathBuf> = paths
        .iter()
        .map(|p| files::absolute(p))
        .collect::<Outcome<_>>()?;
    std::env::join_paths(paths)
        .map(Some)
        .map_err(|e| Failure::usage("the list of kubeconfig files cannot be used").because(e))
}

/// Merges the files as kubectl does: those that do not exist are left out, unless none does.
fn read(list: &OsString) -> Outcome<Kubeconfig> {
    let mut merged: Option<Kubeconfig> = None;
    for path in std::env::split_paths(list).filter(|p| p.exists()) {
        let what = || format!("failed to read {}", path.display());
        let next = Kubeconfig::read_from(&path)
            .map_err(|e| Failure::new(Exit::Error, what()).because(e))?;
        merged = Some(match merged {
            None => next,
            Some(before) => before
                .merge(next)
                .map_err(|e| Failure::new(Exit::Error, what()).because(e))?,
        });
    }
    merged.ok_or_else(|| no_kubeconfig(&format!("{} does not exist", list.to_string_lossy())))
}

fn no_kubeconfig(why: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Error, "no kubeconfig found")
        .because(why)
        .remedy("set KUBECONFIG or --kubeconfig to the file your administrator gave you")
}

fn unusable(place: &Place, error: &kube::config::KubeconfigError) -> Failure {
    Failure::new(Exit::Error, format!("context '{}' cannot be used", place.context))
        .because(error)
        .remedy("check this context in the kubeconfig: `kubectl config view --minify` with the same --context")
}
