//! A lab while it starts: what its components are made from, who runs already, and waiting with an eye on all of them.

use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use crate::{
    address::Plan,
    api::Client,
    build::Toolbox,
    cgroup::Cgroups,
    config::LabName,
    error::Error,
    paths::LabDir,
    process::{self, Component, Daemon, died, log_tail},
    progress::Progress,
    state::State,
};

/// The pause between two looks at a condition: short, as starts take seconds, and each look costs under a millisecond.
const PAUSE: Duration = Duration::from_millis(40);

/// Everything that starting a component needs.
pub struct Starting {
    /// The lab.
    pub name: LabName,
    /// Its folder.
    pub dir: LabDir,
    /// Its addresses.
    pub plan: Plan,
    /// The built programs.
    pub tools: Toolbox,
    /// Where steps are reported.
    pub progress: Progress,
    /// Asks the servers of the lab.
    pub client: Client,
    procs: PathBuf,
    state: State,
    daemons: Vec<Daemon>,
}

impl Starting {
    /// Begins with nothing running; folder, network, certificates and cgroups must be there.
    pub fn new(
        state: State,
        dir: LabDir,
        tools: Toolbox,
        progress: Progress,
        cgroups: &Cgroups,
    ) -> Result<Self, Error> {
        let client = Client::admin(&dir, state.plan.node())?;
        let (name, plan, procs) = (state.name.clone(), state.plan, cgroups.procs());
        Ok(Self {
            name,
            dir,
            plan,
            tools,
            progress,
            client,
            procs,
            state,
            daemons: Vec::new(),
        })
    }

    /// A component whose program has the same name.
    pub fn component(
        &self,
        name: &'static str,
        args: impl IntoIterator<Item = String>,
    ) -> Result<Component, Error> {
        let program = self.tools.path(name)?;
        Ok(Component {
            name,
            program,
            args: args.into_iter().collect(),
            env: Vec::new(),
        })
    }

    /// Starts a component and writes it down before anything else, so that a crash of ours leaves nothing unknown.
    pub fn start(&mut self, component: &Component) -> Result<(), Error> {
        self.progress.doing(format!("starting {}", component.name));
        self.state.components.push(component.name.to_owned());
        self.state.save(&self.dir)?;
        self.daemons.push(process::start(
            &self.dir,
            &self.name.scope(),
            &self.procs,
            component,
        )?);
        Ok(())
    }

    /// Waits until the probe is content. The probe's error is what it saw instead; `component` is whose log to show.
    pub fn wait(
        &self,
        what: &str,
        component: &str,
        seconds: u64,
        mut probe: impl FnMut(&Self) -> Result<(), String>,
    ) -> Result<(), Error> {
        self.progress.doing(format!("waiting for {what}"));
        let deadline = Instant::now() + Duration::from_secs(seconds);
        loop {
            let last = match probe(self) {
                Ok(()) => {
                    self.progress.done(what);
                    return Ok(());
                }
                Err(last) => last,
            };
            if let Some(dead) = self
                .daemons
                .iter()
                .find(|daemon| !daemon.identity.is_alive())
            {
                return Err(died(&self.dir, dead.name));
            }
            if Instant::now() > deadline {
                let log = self.dir.log(component);
                let tail = format!("; {} ends with:{}", log.display(), log_tail(&log));
                return Err(Error::Deadline {
                    what: what.to_owned(),
                    seconds,
                    last,
                    tail,
                });
            }
            thread::sleep(PAUSE);
        }
    }

    /// Writes down that everything is ready.
    pub fn finish(mut self) -> Result<State, Error> {
        self.state.ready = true;
        self.state.save(&self.dir)?;
        Ok(self.state)
    }
}
