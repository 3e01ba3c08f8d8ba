//! Starting a lab, and using one that runs.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    address::Plan,
    api::Client,
    apiserver,
    build::Toolbox,
    certs::{self, Authority},
    cgroup::Cgroups,
    config::{LabConfig, LabName, Size},
    containerd, controllers, crowd, debian, dns,
    down::sweep,
    error::Error,
    etcd, images, kubeconfig, kubelet,
    lock::Lock,
    mounts, net,
    paths::{LabDir, STATE, checkout},
    policy, preflight,
    process::Identity,
    progress::Progress,
    proxy,
    starting::Starting,
    state::{State, labs},
    storage,
    tools::Catalog,
};

/// A running lab.
#[derive(Clone, Debug)]
pub struct Lab {
    state: State,
    dir: LabDir,
    kubeconfig: PathBuf,
}

/// How a lab is, for people and programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The lab's name.
    pub name: LabName,
    /// Its size.
    pub size: Size,
    /// Whether everything runs and answers.
    pub healthy: bool,
    /// The API server.
    pub server: String,
    /// The administrator's kubeconfig.
    pub kubeconfig: PathBuf,
    /// Each component in the order of their start.
    pub components: Vec<ComponentStatus>,
}

/// How a component is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ComponentStatus {
    /// Its name, as `kubelab logs` takes it.
    pub name: String,
    /// Its process id, if it runs.
    pub pid: Option<i32>,
}

impl Lab {
    /// Starts a lab, or finds the one of this name running already. What is left of a crashed one is removed first.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a configuration is made for one start"
    )]
    pub fn up(config: LabConfig) -> Result<Self, Error> {
        let progress = if config.quiet {
            Progress::quiet()
        } else {
            Progress::new()
        };
        let lab = Self::up_with(&config, &progress);
        progress.finish();
        lab
    }

    pub(crate) fn up_with(config: &LabConfig, progress: &Progress) -> Result<Self, Error> {
        preflight::root("start a lab")?;
        let _lock = lock(&config.name)?;
        if let Some(state) = State::load(&LabDir::of(&config.name)) {
            let lab = Self::of(state);
            if lab.status().healthy {
                return lab.reuse(config, progress);
            }
            progress.done(format!(
                "lab {} is not healthy: removing what is left of it",
                config.name
            ));
        }
        // First, because the check asks one of these programs what the kernel can do.
        debian::ensure(&debian::for_size(config.size), progress)?;
        preflight::check(&config.name, config.size)?;
        let catalog = Catalog::read(&checkout()?)?;
        let tools = Toolbox::for_size(&catalog, config.size, progress)?;
        let wanted = images::wanted(config);
        let archives = images::build(&catalog, &wanted, progress)?;
        sweep(&config.name)?;
        let mut starting = prepare(config, tools, progress)?;
        control_plane(&mut starting, config, &archives)?;
        match config.size {
            Size::ControlPlane => {}
            Size::Node => node(&mut starting, config)?,
            Size::Crowd => crowd::run(&mut starting)?,
        }
        Ok(Self::of(starting.finish()?))
    }

    /// The running lab of this name.
    pub fn open(name: &LabName) -> Result<Self, Error> {
        let absent = |why: &str| Error::Absent {
            lab: name.to_string(),
            why: why.to_owned(),
        };
        let state = State::load(&LabDir::of(name)).ok_or_else(|| absent("it is not there"))?;
        if !state.ready {
            return Err(absent("its start was interrupted"));
        }
        Ok(Self::of(state))
    }

    /// The lab of this name, running or not.
    pub(crate) fn find(name: &LabName) -> Option<Self> {
        State::load(&LabDir::of(name)).map(Self::of)
    }

    /// Its name.
    pub fn name(&self) -> &LabName {
        &self.state.name
    }

    /// Its addresses.
    pub fn plan(&self) -> Plan {
        self.state.plan
    }

    /// The administrator's kubeconfig, good from anywhere on this machine.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The file that stands for its network namespace (`nsenter --net=…`).
    pub fn namespace(&self) -> PathBuf {
        net::namespace(&self.state.name)
    }

    /// A component's log file.
    pub fn log(&self, component: &str) -> Result<PathBuf, Error> {
        if self.state.components.iter().any(|name| name == component) {
            return Ok(self.dir.log(component));
        }
        Err(Error::Unknown {
            kind: "component",
            name: component.to_owned(),
            known: self.state.components.join(", "),
        })
    }

    /// The text of a kubeconfig for a person with a client certificate: the groups and nothing else decide on rights.
    pub fn user_kubeconfig(&self, user: &str, groups: &[&str]) -> Result<String, Error> {
        let authority = Authority::open(&self.state.name, &self.dir)?;
        let pair = authority.issue(user, groups, &[])?;
        kubeconfig::text(
            &self.state.name,
            &self.state.plan.server(),
            &authority.certificate,
            user,
            &pair,
        )
    }

    /// How it is right now.
    pub fn status(&self) -> Status {
        let running: BTreeMap<&str, Option<i32>> = self
            .state
            .components
            .iter()
            .map(|name| {
                let identity =
                    Identity::load(&self.dir.pid_file(name)).filter(|identity| identity.is_alive());
                (name.as_str(), identity.map(|identity| identity.pid))
            })
            .collect();
        let all =
            self.state.is_current() && self.state.ready && running.values().all(Option::is_some);
        let component = |name: &String| ComponentStatus {
            name: name.clone(),
            pid: running.get(name.as_str()).copied().flatten(),
        };
        Status {
            name: self.state.name.clone(),
            size: self.state.size,
            healthy: all && self.answers(),
            server: self.state.plan.server(),
            kubeconfig: self.kubeconfig.clone(),
            components: self.state.components.iter().map(component).collect(),
        }
    }

    /// Loads images of `images/` (built if need be) into the node.
    pub(crate) fn load_images(&self, names: &[String], progress: &Progress) -> Result<(), Error> {
        if self.state.size != Size::Node {
            return Err(Error::Size {
                lab: self.state.name.to_string(),
                running: self.state.size.to_string(),
                wanted: Size::Node.to_string(),
            });
        }
        let catalog = Catalog::read(&checkout()?)?;
        let archives = images::build(&catalog, names, progress)?;
        let ctr = Toolbox::build(&catalog, &[catalog.named("ctr")?], progress)?.path("ctr")?;
        images::load(&ctr, &self.dir.containerd_socket(), &archives, progress)
    }

    /// Removes it.
    pub fn down(self) -> Result<(), Error> {
        crate::down::down(&self.state.name)
    }

    fn of(state: State) -> Self {
        let dir = LabDir::of(&state.name);
        let kubeconfig = dir.admin_kubeconfig();
        Self {
            state,
            dir,
            kubeconfig,
        }
    }

    fn reuse(self, config: &LabConfig, progress: &Progress) -> Result<Self, Error> {
        if self.state.size != config.size {
            return Err(Error::Size {
                lab: config.name.to_string(),
                running: self.state.size.to_string(),
                wanted: config.size.to_string(),
            });
        }
        if !config.images.is_empty() {
            self.load_images(&config.images, progress)?;
        }
        progress.done(format!("lab {} is running", config.name));
        Ok(self)
    }

    fn answers(&self) -> bool {
        Client::admin(&self.dir, self.state.plan.node())
            .is_ok_and(|client| client.healthy(6443, "/readyz").is_ok())
    }
}

/// Holds off other starts and stops of the same lab.
pub(crate) fn lock(name: &LabName) -> Result<Lock, Error> {
    Lock::acquire(Path::new(STATE).join(format!(".lock-{name}")))
}

/// Everything up to the first process: addresses, folder, network, certificates, cgroups.
fn prepare(config: &LabConfig, tools: Toolbox, progress: &Progress) -> Result<Starting, Error> {
    let name = &config.name;
    let dir = LabDir::of(name);
    let state = {
        // Between choosing a plan and having its routes, no other lab may choose.
        let _choosing = Lock::acquire(Path::new(STATE).join(".lock"))?;
        let used: Vec<Plan> = labs()
            .iter()
            .filter_map(|other| State::load(&LabDir::of(other)))
            .map(|other| other.plan)
            .collect();
        let state = State::new(name, config.size, net::free_plan(&used)?);
        mounts::tmpfs(dir.path())?;
        state.save(&dir)?;
        net::make(name, state.plan).map_err(preflight::explain_link)?;
        state
    };
    for folder in ["pki", "logs", "pids", "etcd"] {
        let path = dir.join(folder);
        std::fs::create_dir(&path).map_err(|source| Error::Io {
            action: "make the folder",
            path,
            source,
        })?;
    }
    let authority = Authority::create(name, &dir)?;
    certs::make(&authority, name, state.plan, &dir)?;
    kubeconfig::make(&authority, name, &state.plan.server(), &dir)?;
    let cgroups = Cgroups::of(&name.scope())?;
    cgroups.make()?;
    progress.done(format!("network {} and certificates", state.plan.link()));
    Starting::new(state, dir, tools, progress.clone(), &cgroups)
}

fn control_plane(
    lab: &mut Starting,
    config: &LabConfig,
    archives: &[images::Archive],
) -> Result<(), Error> {
    lab.start(&etcd::component(lab)?)?;
    // The API server waits for its store by itself.
    lab.start(&apiserver::component(lab)?)?;
    // Its runtime can come up meanwhile; the kubelet must not start before the API server knows its user.
    if config.size == Size::Node {
        runtime(lab, config, archives)?;
    }
    lab.wait("kube-apiserver ready", "kube-apiserver", 60, |lab| {
        lab.client.healthy(6443, "/readyz")
    })?;
    lab.start(&controllers::manager(lab, config.size)?)?;
    if config.size != Size::ControlPlane || config.scheduler {
        lab.start(&controllers::scheduler(lab)?)?;
    }
    if config.size == Size::Node {
        return Ok(()); // `node` has more to start before it waits.
    }
    controllers_ready(lab, config.scheduler || config.size == Size::Crowd)
}

/// The runtime with the images of the node. They are there before the kubelet starts: to unpack one, the runtime mounts the
/// lab's file system once more for a moment, and a kubelet that reads the mounts in that moment may take this one for the
/// device of its root folder, does not find it again, and ends.
fn runtime(
    lab: &mut Starting,
    config: &LabConfig,
    archives: &[images::Archive],
) -> Result<(), Error> {
    containerd::start(lab, config.enforcer.is_some())?;
    lab.wait("containerd ready", "containerd", 30, containerd::ready)?;
    images::load(
        &lab.tools.path("ctr")?,
        &lab.dir.containerd_socket(),
        archives,
        &lab.progress,
    )
}

/// The controllers run when what they make for every namespace is there: nothing can be created in it before.
fn controllers_ready(lab: &Starting, scheduler: bool) -> Result<(), Error> {
    if scheduler {
        lab.wait("kube-scheduler ready", "kube-scheduler", 60, |lab| {
            lab.client.healthy(controllers::SCHEDULER_PORT, "/healthz")
        })?;
    }
    let (manager, account) = (
        "kube-controller-manager",
        "/api/v1/namespaces/default/serviceaccounts/default",
    );
    lab.wait("kube-controller-manager ready", manager, 60, |lab| {
        lab.client.healthy(controllers::MANAGER_PORT, "/healthz")?;
        match lab.client.object(account) {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err("the ServiceAccount of the namespace default is not there yet".into()),
            Err(error) => Err(error.to_string()),
        }
    })
}

fn node(lab: &mut Starting, config: &LabConfig) -> Result<(), Error> {
    if let Some(program) = &config.enforcer {
        policy::start(lab, program)?;
    }
    // All kubelets of a machine listen at one socket for device plugins: one that starts takes it from those that run, but two
    // that start at the same moment are in each other's way, and one of them ends.
    let _alone = Lock::acquire(Path::new(STATE).join(".starting-kubelet"))?;
    lab.start(&kubelet::component(lab)?)?;
    lab.start(&proxy::component(lab)?)?;
    storage::start(lab, Some(&lab.name.node()))?;
    dns::apply(lab)?;
    controllers_ready(lab, true)?;
    lab.wait("node ready", "kubelet", 90, kubelet::ready)?;
    lab.wait("cluster DNS ready", "kubelet", 90, dns::ready)
}
