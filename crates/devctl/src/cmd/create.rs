//! `devctl create`.

mod features;

use std::{path::PathBuf, time::Duration};

use devserver_api::{
    DevServer, DevServerSpec, LifecycleSpec, SshSpec, duration, image, names, quantity,
};
use kube::{
    ResourceExt as _,
    api::{ListParams, PostParams},
};

use super::advice;
use crate::{
    access,
    args::{Create, DryRun, Global},
    exit::Exit,
    failure::{Failure, Outcome},
    files, keys,
    kube::{self as cluster, Session},
    output::{self, Format},
    owner, wait,
};

/// Longest wait for the list of flavors, which only a warning needs.
const COURTESY: Duration = Duration::from_secs(5);

/// Creates the DevServer, and waits for it when asked to.
pub async fn run(global: &Global, args: &Create) -> Outcome<Exit> {
    let mut server = server(args)?;
    if args.preview.dry_run == Some(DryRun::Client) {
        // No connection is needed, and without a kubeconfig the namespace is left to whoever applies the text.
        server.metadata.namespace = match &global.namespace {
            Some(name) => Some(cluster::checked_namespace(name)?),
            None => cluster::place(global).ok().map(|p| p.namespace),
        };
        return show(&server, args.preview.output.as_deref().unwrap_or("yaml")).map(|()| Exit::Ok);
    }
    let session = Session::connect(global).await?;
    owner::fill(&session, &mut server).await?;
    let name = server.name_any();
    let params = PostParams {
        dry_run: args.preview.dry_run.is_some(),
        field_manager: Some("devctl".into()),
    };
    let created = cluster::answer(
        &format!("failed to create DevServer '{name}'"),
        session.servers().create(&params, &server),
    )
    .await?;
    let namespace = &session.place.namespace;
    let how = if params.dry_run {
        " (server dry run)"
    } else {
        ""
    };
    match args.preview.output.as_deref() {
        Some(form) => show(&created, form)?,
        None => output::say(&format!(
            "DevServer '{name}' created in namespace '{namespace}'{how}."
        ))?,
    }
    warn(&session, &created).await;
    if params.dry_run {
        return Ok(Exit::Ok);
    }
    if args.wait.wait {
        let ready = wait::until_ready(&session, &name, args.wait.timeout).await?;
        let access = access::write_with(&session.place, &ready, private_half(args).as_deref())?;
        output::note(&format!(
            "DevServer '{name}' is ready: devctl ssh {name}, or ssh {}",
            access.target.host()
        ));
    } else if args.preview.output.is_none() {
        output::note(&format!(
            "next: devctl ssh {name}   (waits until it is ready)"
        ));
    }
    Ok(Exit::Ok)
}

/// Says when there may be no node for it. A courtesy: whatever goes wrong here, the DevServer is created.
async fn warn(session: &Session, server: &DevServer) {
    let (api, params) = (session.flavors(), ListParams::default());
    if let Ok(Ok(flavors)) = tokio::time::timeout(COURTESY, api.list(&params)).await {
        let (flavor, owner) = (&server.spec.flavor, &server.spec.owner);
        if let Some(advice) = advice::advice(flavor.as_deref(), owner.as_deref(), &flavors.items) {
            output::note(&advice);
        }
    }
}

fn show(server: &DevServer, form: &str) -> Outcome {
    match form {
        "name" => output::say(&object_name(server)),
        "json" => output::print(&output::structured(server, Format::Json)?),
        _ => output::print(&output::structured(server, Format::Yaml)?),
    }
}

/// `devserver.devserver.io/NAME`, which kubectl takes as an argument.
pub fn object_name(server: &DevServer) -> String {
    format!("devserver.devserver.io/{}", server.name_any())
}

/// The object, everything checked that can be checked without the server: its answer would be the same, but later.
fn server(args: &Create) -> Outcome<DevServer> {
    let name = args.named.name()?;
    if let Some(ttl) = &args.ttl {
        duration::parse_positive(ttl).map_err(|e| invalid("--ttl", ttl, e))?;
    }
    if let Some(image) = &args.image {
        image::check(image).map_err(|e| invalid("--image", image, e))?;
    }
    if let Some(size) = &args.home_size {
        quantity::parse_positive(size).map_err(|e| invalid("--home-size", size, e))?;
    }
    for (option, value) in [
        ("--flavor", &args.flavor),
        ("--storage-class", &args.storage_class),
        ("--shared-volume-claim", &args.shared_volume_claim),
    ] {
        if let Some(value) = value.as_ref().filter(|v| !names::is_subdomain(v)) {
            return Err(invalid(
                option,
                value,
                "is not a name: lower case letters, digits, '-' and '.'",
            ));
        }
    }
    features::check(&args.features)?;
    let mut keys = public_keys(args)?.into_iter();
    let mut spec = DevServerSpec {
        owner: args.owner.clone(),
        flavor: args.flavor.clone(),
        image: args.image.clone(),
        ssh: SshSpec {
            public_key: keys.next(),
            public_keys: keys.collect(),
            expose: args.expose.map(Into::into),
            ..SshSpec::default()
        },
        persistent_home_size: args.home_size.clone(),
        storage_class_name: args.storage_class.clone(),
        shared_volume_claim_name: args.shared_volume_claim.clone(),
        lifecycle: args.ttl.clone().map(|ttl| LifecycleSpec {
            time_to_live: Some(ttl),
            ..LifecycleSpec::default()
        }),
        ..DevServerSpec::default()
    };
    features::fill(&args.features, &mut spec)?;
    Ok(DevServer::new(name, spec))
}

/// The private key beside the public one that was named.
fn private_half(args: &Create) -> Option<PathBuf> {
    let public = args.ssh_public_key_file.first()?;
    let is_public = public.extension().is_some_and(|end| end == "pub");
    Some(public.with_extension("")).filter(|private| is_public && private.is_file())
}

fn public_keys(args: &Create) -> Outcome<Vec<String>> {
    let files = match args.ssh_public_key_file.as_slice() {
        [] => vec![keys::discover(&files::user_ssh_dir()?)?],
        named => named.to_vec(),
    };
    files
        .iter()
        .map(|f| keys::read(f).map(|k| k.line()))
        .collect()
}

fn invalid(option: &str, value: &str, why: impl std::fmt::Display) -> Failure {
    Failure::usage(format!("{option} '{value}' {why}"))
}
