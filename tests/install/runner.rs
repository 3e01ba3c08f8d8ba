//! A runner of GitHub for the tests: walks the steps of a job in order, as the documentation of Actions says, and runs what they run. It knows
//! expressions that name one value and no others; so that is all our workflows have.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, bail, ensure};
use axum::{Router, extract, routing::get};
use devserver_testkit::{
    Scene, chart,
    cluster::{KUBECONFIG, root},
    sample,
};
use k8s_openapi::api::{authentication::v1::TokenRequest, core::v1::ServiceAccount};
use kube::{
    Client, Config,
    api::{DynamicObject, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::site;

/// A self-hosted runner with the rights that deploy/github-runner gives.
pub struct Runner {
    kubeconfig: String,
    server: String,
    /// Variables of the repository.
    pub vars: Value,
    folder: TempDir,
}

/// How a job ended.
#[derive(Debug)]
pub struct Ended {
    /// Whether all steps succeeded.
    pub ok: bool,
    /// All that was printed.
    pub log: String,
    /// What the page of the run shows.
    pub summary: String,
    /// Whether the job ran at all.
    pub ran: bool,
}

impl Runner {
    /// Installs the rights into the scene's namespace, and starts what stands for the pages with people's keys.
    pub async fn new(scene: &Scene) -> anyhow::Result<Self> {
        install_rights(scene).await?;
        Ok(Self {
            kubeconfig: kubeconfig(scene).await?,
            server: keys_server().await?,
            vars: json!({"DEV_ENV_ADMINS": "root-admin, Other-Admin", "DEV_ENV_BRANCHES": "true"}),
            folder: TempDir::new()?,
        })
    }

    /// Whom the cluster sees.
    pub async fn client(&self) -> anyhow::Result<Client> {
        let kubeconfig = Kubeconfig::from_yaml(&self.kubeconfig)?;
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
        Ok(Client::try_from(config)?)
    }

    /// Runs the one job of a workflow, for an event.
    pub async fn run(
        &self,
        scene: &Scene,
        workflow: &str,
        context: &Value,
    ) -> anyhow::Result<Ended> {
        let mut context = context.clone();
        context["vars"] = self.vars.clone();
        context["secrets"] = json!({"DEV_ENV_KUBECONFIG": self.kubeconfig});
        let file = yaml(&root().join(".github/workflows").join(workflow))?;
        let jobs = file["jobs"].as_object().context("no jobs")?;
        ensure!(jobs.len() == 1, "more than one job");
        let job = jobs.values().next().context("no job")?;
        let mut walk = Walk::new(self, scene)?;
        if let Some(condition) = job["if"].as_str()
            && !holds(condition, &context)?
        {
            return walk.end(false);
        }
        walk.steps(&job["steps"], &context, Path::new("")).await?;
        ensure!(
            !self.folder.path().join("dev-env.kubeconfig").exists(),
            "the kubeconfig is still on the runner"
        );
        walk.end(true)
    }
}

/// One job at work.
struct Walk<'a> {
    runner: &'a Runner,
    scene: &'a Scene,
    home: TempDir,
    env: BTreeMap<String, String>,
    log: String,
    ok: bool,
}

impl<'a> Walk<'a> {
    fn new(runner: &'a Runner, scene: &'a Scene) -> anyhow::Result<Self> {
        let home = TempDir::new()?;
        for file in ["env", "output", "summary"] {
            std::fs::write(home.path().join(file), "")?;
        }
        Ok(Self {
            runner,
            scene,
            home,
            env: BTreeMap::new(),
            log: String::new(),
            ok: true,
        })
    }

    fn end(self, ran: bool) -> anyhow::Result<Ended> {
        let summary = std::fs::read_to_string(self.home.path().join("summary"))?;
        Ok(Ended {
            ok: self.ok,
            log: self.log,
            summary,
            ran,
        })
    }

    /// `action` is the folder of the composite action that the steps are of.
    async fn steps(&mut self, steps: &Value, context: &Value, action: &Path) -> anyhow::Result<()> {
        for step in steps.as_array().context("no steps")? {
            match step["if"].as_str() {
                Some("always()") => {}
                Some(other) => bail!("a condition that is not known here: {other}"),
                None if self.ok => {}
                None => continue,
            }
            if let Some(uses) = step["uses"].as_str() {
                // What it would check out is there.
                if uses.starts_with("actions/checkout@") {
                    continue;
                }
                let path = uses.strip_prefix("./").context("a foreign action")?;
                let folder = root().join(path);
                let file = yaml(&folder.join("action.yaml"))?;
                let mut inner = context.clone();
                inner["inputs"] = inputs(&file, &step["with"], context)?;
                // A composite action sees neither.
                inner["secrets"] = Value::Null;
                inner["vars"] = Value::Null;
                Box::pin(self.steps(&file["runs"]["steps"], &inner, &folder)).await?;
            } else {
                self.step(step, context, action).await?;
            }
        }
        Ok(())
    }

    async fn step(&mut self, step: &Value, context: &Value, action: &Path) -> anyhow::Result<()> {
        let text = step["run"].as_str().context("a step that runs nothing")?;
        ensure!(
            !text.contains("${{"),
            "an expression in what is run: {text}"
        );
        let script = self.home.path().join("script.sh");
        std::fs::write(&script, text)?;
        let at = |file: &str| self.home.path().join(file);
        let mut command = site::command(Path::new("bash"), self.home.path()).await?;
        command
            .args(["--noprofile", "--norc", "-eo", "pipefail"])
            .arg(&script)
            .current_dir(root())
            .env("GITHUB_ACTION_PATH", action)
            .env("GITHUB_ENV", at("env"))
            .env("GITHUB_OUTPUT", at("output"))
            .env("GITHUB_STEP_SUMMARY", at("summary"))
            .env("GITHUB_SERVER_URL", &self.runner.server)
            .env("RUNNER_TEMP", self.runner.folder.path())
            .envs(&self.env);
        let empty = serde_json::Map::new();
        for (name, value) in step["env"].as_object().unwrap_or(&empty) {
            command.env(name, expand(value, context)?);
        }
        // The one thing that differs from a real runner's: the test's namespace in place of swish.
        if step["env"].get("NAMESPACE").is_some() {
            command.env("NAMESPACE", self.scene.namespace());
        }
        let output = site::finish(command).await?;
        self.log += &String::from_utf8_lossy(&output.stdout);
        self.log += &String::from_utf8_lossy(&output.stderr);
        self.ok &= output.status.success();
        for line in std::fs::read_to_string(at("env"))?.lines() {
            let (name, value) = line.split_once('=').context("not a variable")?;
            self.env.insert(name.to_owned(), value.to_owned());
        }
        Ok(())
    }
}

/// Inputs of an action: its defaults, and over them whatever was given, also nothing.
fn inputs(action: &Value, with: &Value, context: &Value) -> anyhow::Result<Value> {
    let known = action["inputs"].as_object().context("no inputs")?;
    let given = with.as_object().context("nothing given")?;
    let mut inputs = json!({});
    for (name, input) in known {
        let default = input.get("default").cloned().unwrap_or(Value::Null);
        inputs[name] = default;
    }
    for (name, value) in given {
        ensure!(known.contains_key(name), "the action has no input {name}");
        inputs[name] = json!(expand(value, context)?);
    }
    Ok(inputs)
}

/// Replaces expressions by the values they name.
fn expand(text: &Value, context: &Value) -> anyhow::Result<String> {
    let text = plain(text);
    let mut parts = text.split("${{");
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (expression, rest) = part.split_once("}}").context("an open expression")?;
        result += &value(expression.trim(), context)?;
        result += rest;
    }
    Ok(result)
}

fn value(path: &str, context: &Value) -> anyhow::Result<String> {
    let is_path = path
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "._".contains(c));
    ensure!(is_path, "an expression that is not known here: {path}");
    let found = path
        .split('.')
        .try_fold(context, |value, key| value.get(key));
    Ok(found.map(plain).unwrap_or_default())
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A condition of comparisons that must all hold.
fn holds(condition: &str, context: &Value) -> anyhow::Result<bool> {
    for part in condition.split(" && ") {
        let (negated, (path, word)) = match part.split_once(" != ") {
            Some(sides) => (true, sides),
            None => (false, part.split_once(" == ").context("no comparison")?),
        };
        let word = word.trim().trim_matches('\'');
        if (value(path.trim(), context)? == word) == negated {
            return Ok(false);
        }
    }
    Ok(true)
}

fn yaml(path: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Ok(serde_saphyr::from_str(&text)?)
}

/// The rights that deploy/github-runner gives, for the scene's namespace in place of its two.
async fn install_rights(scene: &Scene) -> anyhow::Result<()> {
    let path = root().join("deploy/github-runner/rbac.yaml");
    let name = scene.namespace();
    let text = std::fs::read_to_string(path)?
        .replace("swish-runners", name)
        .replace("namespace: swish", &format!("namespace: {name}"))
        .replace("[swish]", &format!("[{name}]"));
    for mut object in serde_saphyr::from_multiple::<DynamicObject>(&text)? {
        match chart::kind_of(&object) {
            "Namespace" => continue,
            // There is one of a name in a cluster, and there are many scenes.
            "ClusterRole" | "ClusterRoleBinding" => {
                object.metadata.name = Some(format!("dev-env-runner-{name}"));
                scene.own(&mut object.metadata);
                if let Some(role) = object.data.pointer_mut("/roleRef/name") {
                    *role = json!(format!("dev-env-runner-{name}"));
                }
            }
            _ => {}
        }
        chart::install(&scene.client(), &object).await?;
    }
    Ok(())
}

/// A kubeconfig with a token of the runner's ServiceAccount.
async fn kubeconfig(scene: &Scene) -> anyhow::Result<String> {
    let request = TokenRequest::default();
    let answer = scene
        .api::<ServiceAccount>()
        .create_token_request("dev-env-runner", &PostParams::default(), &request)
        .await?;
    let token = answer.status.and_then(|s| s.token).context("no token")?;
    let path = std::env::var_os(KUBECONFIG).context("no kubeconfig")?;
    let mut config = serde_json::to_value(Kubeconfig::read_from(path)?)?;
    let users = config["users"].as_array_mut().context("no users")?;
    for user in users {
        user["user"] = json!({"token": token});
    }
    Ok(config.to_string())
}

/// What stands for `https://github.com/<login>.keys`: octocat and mallory have keys, others have none.
async fn keys_server() -> anyhow::Result<String> {
    let page = async |extract::Path(file): extract::Path<String>| match file.as_str() {
        "octocat.keys" => {
            let key: Vec<&str> = sample::KEY.split(' ').take(2).collect();
            format!(
                "{}\nssh-dss AAAAB3Nz\ncommand=\"x\" {}\n",
                key.join(" "),
                key.join(" ")
            )
        }
        _ => String::new(),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let app = Router::new().route("/{file}", get(page));
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(format!("http://{address}"))
}
