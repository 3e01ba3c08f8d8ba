//! The images of document 003.

use std::time::Duration;

use anyhow::ensure;
use devserver_testkit::wait::{Seen, until};
use serde_json::json;

use crate::{machine::User, spec};

/// What data science begins with, and an environment of a project's own.
const SCIENCE: &str = "python3 -c 'import numpy, pandas, scipy.stats as s; print(pandas.Series(numpy.arange(5)).mean(), s.norm.cdf(0))' \
    && python3 -m venv .venv && .venv/bin/pip --version";

/// A package of R with one function, and its installation where nobody can be asked.
const R: &str = r#"
set -e
mkdir -p greeter/R && cd greeter
printf 'Package: greeter\nVersion: 1.0\nTitle: Greets\nDescription: Greets.\nLicense: GPL-3\n' >DESCRIPTION
echo 'export(word)' >NAMESPACE
echo 'word <- function() "hello"' >R/greeter.R
cd .. && Rscript -e 'install.packages("greeter", repos = NULL, type = "source", quiet = TRUE)'
Rscript -e 'suppressMessages({library(dplyr); library(ggplot2); library(data.table)}); cat(greeter::word(), nrow(filter(mtcars, cyl == 4)), find.package("greeter"))'
"#;

/// A source package, where pip looks for all packages.
const PACKAGE: &str = r#"
set -e
mkdir -p greeter index && cd greeter
echo 'WORD = "hello"' >greeter.py
echo 'from setuptools import setup; setup(name="greeter", version="1.0", py_modules=["greeter"])' >setup.py
python setup.py -q sdist -d ../index
mkdir -p ~/.config/pip
printf '[global]\nno-index = true\nfind-links = /home/dev/index\n' >~/.config/pip/pip.conf
"#;

async fn r(user: &User) -> anyhow::Result<()> {
    let image = json!({"image": "docker.io/devserver/r:lab"});
    spec::create(user, "stats", image).await?;
    let said = user.says("stats", R)?;
    ensure!(said.ends_with("/greeter"), "{said}");
    ensure!(said.contains("hello 11 /home/dev/R/"), "{said}");
    Ok(())
}

/// Its packages are for what `python` is in the image.
async fn python(user: &User, name: &str, version: u8) -> anyhow::Result<()> {
    let image = json!({"image": format!("docker.io/devserver/{name}:lab")});
    spec::create(user, name, image).await?;
    user.says(name, PACKAGE)?;
    let patch = json!({"spec": {"packages": {"pip": ["greeter==1.0"]}}});
    let servers = user.api::<devserver_api::DevServer>();
    let params = kube::api::PatchParams::default();
    servers
        .patch(name, &params, &kube::api::Patch::Merge(patch))
        .await?;
    let import = "python -c 'import greeter, sys; print(\"%s %d %s\" % (greeter.WORD, sys.version_info[0], greeter.__file__))'";
    let wanted = format!("hello {version} /home/dev/.local/lib/python{version}.");
    until("the package is there", Duration::from_mins(4), async || {
        let said = user.ssh(name, import)?;
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        let log = "cat ~/.local/state/devserver/pip.log 2>/dev/null || true";
        Ok(Seen::when(text.starts_with(&wanted), user.says(name, log)?))
    })
    .await
}

async fn python3(user: &User) -> anyhow::Result<()> {
    python(user, "python3", 3).await?;
    let science = user.says("python3", SCIENCE)?;
    ensure!(science.starts_with("2.0 0.5\npip "), "{science}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "nightly: three images of more than half a gigabyte each that nothing else needs"]
async fn images_for_data_science_compute_and_take_packages_into_the_home() -> anyhow::Result<()> {
    let user = User::new("science").await?;
    python3(&user).await?;
    r(&user).await?;
    python(&user, "python2", 2).await?;
    user.leave().await;
    Ok(())
}
