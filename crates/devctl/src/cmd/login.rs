//! `devctl login`: a context for whoever logs in with a browser; or who one is in a context that is there.

use devserver_api::{DevServer, signpost::Signpost};
use devserver_core::user;
use k8s_openapi::api::{
    authentication::v1::{SelfSubjectReview, UserInfo},
    authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec},
};
use kube::{
    Api, Client, Resource as _,
    api::PostParams,
    config::{AuthInfo, KubeConfigOptions, Kubeconfig},
};

use crate::{
    args::{Global, Login},
    exit::Exit,
    failure::{Failure, Outcome},
    kube::{self as cluster, Session},
    login::{
        kubeconfig::{self, Entry},
        oidc::{self, Tokens},
        tokens::{Kept, Store},
        web,
    },
    output,
};

/// Logs in, or says who one is.
pub async fn run(global: &Global, args: &Login) -> Outcome<Exit> {
    match &args.console {
        Some(console) => with_browser(global, args, console).await,
        None => existing(global).await,
    }
}

async fn with_browser(global: &Global, args: &Login, console: &str) -> Outcome<Exit> {
    let console = web::console(console)?;
    let signpost = web::signpost(&console, args.certificate_authority.as_deref()).await?;
    let host = console.host_str().unwrap_or_default();
    let name = global.context.as_deref().unwrap_or(host);
    // Before anybody has gone to a browser for nothing.
    let file = kubeconfig::file(global.kubeconfig.as_deref(), name)?;
    let store = Store::of(&signpost.oidc.issuer, &signpost.oidc.client_id, name)?;
    let tokens = oidc::device(&signpost.oidc, |invitation| {
        output::note(&format!(
            "Open this address in a browser, on any device:\n\n  {}\n\nand see that the code there is {}. Waiting …",
            invitation.address, invitation.code
        ));
        Ok(())
    })
    .await?;
    let (user, namespace) = welcome(global, &signpost, &tokens).await?;
    let arguments = [
        ("--issuer", signpost.oidc.issuer.as_str()),
        ("--client-id", &signpost.oidc.client_id),
        ("--login", name),
    ];
    let arguments = arguments
        .iter()
        .map(|(option, value)| format!("{option}={value}"));
    let entry = Entry {
        name,
        place: &signpost.kubernetes,
        namespace: namespace.as_deref(),
        command: own_command()?,
        arguments: std::iter::once("credential".to_owned())
            .chain(arguments)
            .collect(),
    };
    {
        let _lock = store.lock()?;
        store.write(&Kept {
            place: signpost.oidc.clone(),
            console: console.to_string(),
            id_token: tokens.id_token,
            expires: tokens.expires,
            refresh_token: tokens.refresh_token,
        })?;
    }
    kubeconfig::change(&file, |was| kubeconfig::with(was, &entry))?;
    output::say(&format!(
        "logged in as {user}; the current context is {name}, in {}",
        file.display()
    ))?;
    if namespace.is_none() {
        output::note(
            "you have no namespace of your own there yet; ask an administrator for a DevServerUser",
        );
    }
    Ok(Exit::Ok)
}

/// Whom the cluster takes the token's owner for, and the namespace that is theirs.
async fn welcome(
    global: &Global,
    signpost: &Signpost,
    tokens: &Tokens,
) -> Outcome<(String, Option<String>)> {
    let client = client(signpost, tokens).await?;
    let user = whoami(&client).await.map_err(|failure| {
        failure.remedy(
            "the API server must know this identity provider and client; ask an administrator (docs/console.md, \"devctl login\")",
        )
    })?;
    let name = user.username.unwrap_or_default();
    if let Some(namespace) = &global.namespace {
        return Ok((name, Some(cluster::checked_namespace(namespace)?)));
    }
    let namespace = user::namespace_name(&name);
    let is_theirs =
        cluster::checked_namespace(&namespace).is_ok() && may_list(&client, &namespace).await?;
    Ok((name, is_theirs.then_some(namespace)))
}

/// With the token itself: nothing is written before the cluster has taken it.
async fn client(signpost: &Signpost, tokens: &Tokens) -> Outcome<Client> {
    let failed = |e: &dyn std::fmt::Display| {
        Failure::new(
            Exit::Error,
            "failed to set up the connection to the cluster",
        )
        .because(e)
    };
    let entry = Entry {
        name: "login",
        place: &signpost.kubernetes,
        namespace: None,
        command: String::new(),
        arguments: Vec::new(),
    };
    let value = kubeconfig::with(None, &entry)?;
    let mut kubeconfig: Kubeconfig = serde_json::from_value(value).map_err(|e| failed(&e))?;
    for user in &mut kubeconfig.auth_infos {
        user.auth_info = Some(AuthInfo {
            token: Some(tokens.id_token.clone().into()),
            ..AuthInfo::default()
        });
    }
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(|e| failed(&e))?;
    Client::try_from(config).map_err(|e| failed(&e))
}

async fn whoami(client: &Client) -> Outcome<UserInfo> {
    let reviews: Api<SelfSubjectReview> = Api::all(client.clone());
    let (params, review) = (PostParams::default(), SelfSubjectReview::default());
    let ask = reviews.create(&params, &review);
    let review = cluster::answer("failed to ask the cluster who you are", ask).await?;
    Ok(review.status.and_then(|s| s.user_info).unwrap_or_default())
}

async fn may_list(client: &Client, namespace: &str) -> Outcome<bool> {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                group: Some(DevServer::group(&()).into_owned()),
                resource: Some(DevServer::plural(&()).into_owned()),
                verb: Some("list".to_owned()),
                namespace: Some(namespace.to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let (params, what) = (
        PostParams::default(),
        "failed to ask the cluster what you may do",
    );
    let answer = cluster::answer(what, reviews.create(&params, &review)).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

/// How this program is called: by its name where that finds it, else by its path.
fn own_command() -> Outcome<String> {
    let own =
        std::env::current_exe().map_err(|e| Failure::io("failed to find this program", &e))?;
    let real = std::fs::canonicalize(&own).unwrap_or_else(|_| own.clone());
    let found = std::env::var_os("PATH").and_then(|path| {
        let mut all = std::env::split_paths(&path).map(|folder| folder.join("devctl"));
        all.find(|file| file.is_file())
    });
    let is_found = found
        .and_then(|file| std::fs::canonicalize(file).ok())
        .is_some_and(|file| file == real);
    if is_found {
        return Ok("devctl".to_owned());
    }
    real.into_os_string().into_string().map_err(|_| {
        Failure::new(Exit::Error, "the path of this program is no text")
            .remedy("install devctl in a folder of PATH")
    })
}

/// Who one is in a context that is there; with `--context` it becomes the current one.
async fn existing(global: &Global) -> Outcome<Exit> {
    let session = Session::connect(global).await?;
    let user = whoami(session.client()).await?;
    let place = &session.place;
    if let Some(context) = &global.context {
        let file = kubeconfig::file(place.kubeconfig.as_deref(), context)?;
        kubeconfig::change(&file, |was| {
            let mut whole = was.unwrap_or_default();
            kubeconfig::current(&mut whole, context)?;
            Ok(whole)
        })?;
    }
    output::say(&format!(
        "you are {} in the context {}, namespace {}",
        user.username.unwrap_or_default(),
        place.context,
        place.namespace
    ))?;
    Ok(Exit::Ok)
}
