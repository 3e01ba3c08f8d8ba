//! What each command does.

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context, Result};

use super::{Cluster, Command, Format, Images, follow};
use crate::{
    build::Toolbox,
    config::{LabConfig, LabName, Size},
    down::down,
    existing, images,
    lab::{Lab, Status},
    leftovers::leftovers,
    paths::checkout,
    policy,
    progress::Progress,
    state::labs,
    tools::Catalog,
};

pub(super) fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Up {
            cluster: Cluster::Existing,
            ..
        } => up_existing()?,
        Command::Up {
            which,
            size,
            scheduler,
            images,
            no_network_policies,
            cluster: Cluster::Lab,
        } => {
            let enforcer = if no_network_policies {
                None
            } else {
                Some(std::env::current_exe().context("failed to find the path of this program")?)
            };
            up(&LabConfig {
                name: which.lab,
                size,
                scheduler,
                images,
                enforcer,
                quiet: false,
            })?;
        }
        Command::Down {
            check: true, which, ..
        } => return check(&which.lab),
        Command::Down { which, all, .. } => take_down(if all { labs() } else { vec![which.lab] })?,
        Command::Status { lab, output } => return status(lab, output),
        Command::Env { which, cluster } => env(&which.lab, cluster)?,
        Command::Images { command } => images_command(command)?,
        Command::Logs {
            which,
            component,
            follow,
        } => {
            // Of a lab whose start failed too: that is when logs are read.
            let lab = Lab::find(&which.lab).map_or_else(|| Lab::open(&which.lab), Ok)?;
            let log = lab.log(&component)?;
            follow::print(&log, follow)?;
        }
        Command::Exec { which, program } => return exec(&which.lab, &program),
        Command::Tools { names, size } => tools(&names, &size)?,
        Command::Kubeconfig { which, user, group } => {
            kubeconfig(&which.lab, user.as_deref(), &group)?;
        }
        Command::PolicyController { which } => policy::run(&which.lab)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn up(config: &LabConfig) -> Result<()> {
    let progress = Progress::new();
    let lab = Lab::up_with(config, &progress);
    let lab = lab.inspect_err(|_| {
        progress.finish();
        if Lab::find(&config.name).is_some_and(|lab| !lab.status().healthy) {
            let name = &config.name;
            eprintln!("lab {name} is not up; what there is of it stays for a look (`kubelab logs`, `kubelab down`)");
        }
    })?;
    let server = lab.plan().server();
    progress.done(format!(
        "lab {} is up: {server}, KUBECONFIG={}",
        config.name,
        lab.kubeconfig().display()
    ));
    progress.finish();
    Ok(())
}

fn up_existing() -> Result<()> {
    let progress = Progress::new();
    let version = existing::check(&progress);
    let version = version
        .inspect_err(|_| progress.finish())
        .with_context(|| {
            format!(
                "the cluster of KUBECONFIG={} does not answer; check the file and your network",
                existing::kubeconfig()
            )
        })?;
    progress.done(format!(
        "using the existing cluster of KUBECONFIG={} ({version})",
        existing::kubeconfig()
    ));
    progress.finish();
    Ok(())
}

fn take_down(names: Vec<LabName>) -> Result<()> {
    let progress = Progress::new();
    for name in names {
        progress.doing(format!("removing lab {name}"));
        down(&name).inspect_err(|_| progress.finish())?;
        progress.done(format!("lab {name} is gone"));
    }
    progress.finish();
    Ok(())
}

fn check(name: &LabName) -> Result<ExitCode> {
    let left = leftovers(name)?;
    for line in &left {
        say(line)?;
    }
    Ok(if left.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn status(lab: Option<LabName>, output: Format) -> Result<ExitCode> {
    let one = lab.is_some();
    let names = lab.map_or_else(labs, |lab| vec![lab]);
    let all: Vec<Status> = names
        .iter()
        .filter_map(Lab::find)
        .map(|lab| lab.status())
        .collect();
    if output == Format::Json {
        say(&serde_json::to_string_pretty(&all)?)?;
    } else if all.is_empty() {
        say("no lab is running")?;
    }
    for lab in all.iter().filter(|_| output == Format::Text) {
        let word = if lab.healthy {
            "healthy"
        } else {
            "NOT HEALTHY: `kubelab up` starts it anew"
        };
        say(&format!(
            "{} ({}): {word}\n  server      {}",
            lab.name, lab.size, lab.server
        ))?;
        say(&format!("  kubeconfig  {}", lab.kubeconfig.display()))?;
        for component in &lab.components {
            let pid = component
                .pid
                .map_or_else(|| "not running".to_owned(), |pid| format!("pid {pid}"));
            say(&format!("  {:<24} {pid}", component.name))?;
        }
    }
    let well = all.iter().all(|lab| lab.healthy) && !(one && all.is_empty());
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn env(name: &LabName, cluster: Cluster) -> Result<()> {
    let kubeconfig = match cluster {
        Cluster::Existing => existing::kubeconfig(),
        Cluster::Lab => Lab::open(name)?.kubeconfig().to_string_lossy().into_owned(),
    };
    say(&format!("export KUBECONFIG={}", quoted(&kubeconfig)))?;
    let bin = checkout()?.join("bin");
    say(&format!(
        "export PATH={}:\"$PATH\"",
        quoted(&bin.to_string_lossy())
    ))
}

fn images_command(command: Images) -> Result<()> {
    let progress = Progress::new();
    let all = |names: Vec<String>| {
        if names.is_empty() {
            images::known()
        } else {
            Ok(names)
        }
    };
    let result = match command {
        Images::Build { names } => Catalog::read(&checkout()?)
            .and_then(|catalog| images::build(&catalog, &all(names)?, &progress))
            .map_err(anyhow::Error::from)
            .and_then(|archives| {
                archives
                    .iter()
                    .try_for_each(|archive| say(&archive.path.to_string_lossy()))
            }),
        Images::Load { which, names } => Lab::open(&which.lab)
            .and_then(|lab| lab.load_images(&all(names)?, &progress))
            .map_err(anyhow::Error::from),
    };
    progress.finish();
    result
}

fn exec(name: &LabName, program: &[String]) -> Result<ExitCode> {
    let lab = Lab::open(name)?;
    let mut command = std::process::Command::new("nsenter");
    command
        .arg(format!("--net={}", lab.namespace().display()))
        .arg("--")
        .args(program);
    let status = command
        .env("KUBECONFIG", lab.kubeconfig())
        .status()
        .context("failed to run nsenter")?;
    // A program that a signal ended has no code; shells say 128 and more then.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::from(128), ExitCode::from))
}

fn tools(names: &[String], sizes: &[Size]) -> Result<()> {
    let catalog = Catalog::read(&checkout()?)?;
    let progress = Progress::new();
    let wanted = catalog.wanted(names, sizes)?;
    let tools = Toolbox::build(&catalog, &wanted, &progress);
    progress.finish();
    let tools = tools?;
    wanted
        .iter()
        .try_for_each(|tool| say_path(&tools.path(&tool.name)?))
}

fn kubeconfig(name: &LabName, user: Option<&str>, groups: &[String]) -> Result<()> {
    let lab = Lab::open(name)?;
    let text = match user {
        Some(user) => {
            let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
            lab.user_kubeconfig(user, &groups)?
        }
        None => std::fs::read_to_string(lab.kubeconfig())?,
    };
    say(text.trim_end())
}

fn say_path(path: &Path) -> Result<()> {
    say(&path.to_string_lossy())
}

/// A line on standard output. A reader that has gone away, as `head` does, is no failure.
fn say(line: &str) -> Result<()> {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => Ok(other?),
    }
}

/// In single quotes, for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_a_quote_survives_the_shell() {
        assert_eq!(quoted("/a b/it's"), r"'/a b/it'\''s'");
    }
}
