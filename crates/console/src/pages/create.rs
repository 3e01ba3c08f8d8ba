//! A new environment: what is filled in already is what most people want.

use std::sync::Arc;

use askama::Template;
use axum::{
    Extension,
    extract::State,
    response::{IntoResponse as _, Redirect, Response},
};
use devserver_api::{
    DevServerFlavor, duration, image,
    names::{self, ServerName},
    quantity,
    ssh_key::PublicKey,
};
use http::StatusCode;
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::{
    audit::Line, cluster::Cluster, console::Console, problem::Problem, router::Came,
    session::Session, table::ServerId,
};

use super::{
    form::Form,
    offer,
    view::{self, Frame},
    words::{self, State as Is},
};

/// A flavor to choose.
struct Choice {
    name: String,
    size: String,
    description: Option<String>,
    fits: Is,
    costs: Vec<String>,
    is_chosen: bool,
}

/// What the fields hold.
#[derive(Clone, Debug, Default)]
struct Fields {
    name: String,
    namespace: String,
    flavor: String,
    image: String,
    key: String,
    home: String,
    ttl: String,
    editor: bool,
    docker: bool,
    role: String,
}

#[derive(Template)]
#[template(path = "create.html")]
struct Create {
    frame: Frame,
    fields: Fields,
    choices: Vec<Choice>,
    namespaces: Vec<String>,
    times: [(&'static str, &'static str); 5],
    error: Option<String>,
}

const TIMES: [(&str, &str); 5] = [
    ("", "the platform's default"),
    ("8h", "8 hours"),
    ("24h", "a day"),
    ("168h", "a week"),
    ("720h", "30 days"),
];

fn no_namespace() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "no_namespace",
        "You have no namespace yet",
        "An administrator makes one with `devctl admin create-user` or a DevServerUser of your name. Then come back here.",
    )
}

fn namespaces(console: &Console, session: &Session) -> Vec<String> {
    let mut all: Vec<String> =
        console.ask(|t| t.namespaces(&session.user).map(str::to_owned).collect());
    all.sort();
    all
}

/// The empty form.
pub async fn form(
    State(console): State<Arc<Console>>,
    Extension(session): Extension<Session>,
) -> Result<Response, Problem> {
    let namespaces = namespaces(&console, &session);
    let namespace = namespaces.first().cloned().ok_or_else(no_namespace)?;
    let taken: Vec<String> = console.ask(|t| {
        t.server_ids()
            .into_iter()
            .filter(|id| id.namespace == namespace)
            .map(|id| id.name)
            .collect()
    });
    let fields = Fields {
        name: free_name(&taken),
        namespace,
        editor: true,
        ..Fields::default()
    };
    fill(&console, &session, fields, None).await
}

/// The first of dev, dev-2, dev-3, … that is free.
fn free_name(taken: &[String]) -> String {
    let numbered = (2..1000).map(|n| format!("dev-{n}"));
    let mut all = std::iter::once("dev".to_owned()).chain(numbered);
    all.find(|name| !taken.contains(name)).unwrap_or_default()
}

async fn fill(
    console: &Console,
    session: &Session,
    mut fields: Fields,
    error: Option<String>,
) -> Result<Response, Problem> {
    let cluster = Cluster::as_user(&console.client, session).ok_or_else(Problem::not_found)?;
    let mut flavors = cluster.flavors().await?;
    // What most people take is first.
    flavors.sort_by_key(|flavor| (!flavor.spec.default, flavor.name_any()));
    if fields.flavor.is_empty() {
        let default = flavors.iter().find(|f| f.spec.default);
        fields.flavor = default.map(ResourceExt::name_any).unwrap_or_default();
    }
    let choice = |flavor: &DevServerFlavor| Choice {
        name: flavor.name_any(),
        size: words::size(flavor),
        description: flavor.spec.description.clone(),
        fits: words::fits(flavor),
        costs: offer::costs(flavor),
        is_chosen: flavor.name_any() == fields.flavor,
    };
    let mut response = view::page(&Create {
        frame: Frame::new(console, session, "new"),
        choices: flavors.iter().map(choice).collect(),
        namespaces: namespaces(console, session),
        times: TIMES,
        fields,
        error: error.clone(),
    });
    if error.is_some() {
        *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    }
    Ok(response)
}

/// Creates it as the user; what cannot be used comes back with the fields as they were.
pub async fn create(
    State(console): State<Arc<Console>>,
    Extension(session): Extension<Session>,
    Extension(came): Extension<Came>,
    form: Form,
) -> Result<Response, Problem> {
    let text = |name: &str| form.get(name).unwrap_or_default().to_owned();
    let fields = Fields {
        name: text("name"),
        namespace: text("namespace"),
        flavor: text("flavor"),
        image: text("image"),
        key: text("key"),
        home: text("home"),
        ttl: text("ttl"),
        editor: form.get("editor").is_some(),
        docker: form.get("docker").is_some(),
        role: text("role"),
    };
    let object = match object(&fields, &session.user) {
        Ok(object) => object,
        Err(why) => return fill(&console, &session, fields, Some(why)).await,
    };
    let id = ServerId {
        namespace: fields.namespace.clone(),
        name: fields.name.clone(),
    };
    let cluster = Cluster::as_user(&console.client, &session).ok_or_else(Problem::not_found)?;
    let created = cluster.create(&id.namespace, &object).await;
    let outcome = created
        .as_ref()
        .map_or_else(|problem| problem.reason, |()| "ok");
    console.metrics.wrote("create", outcome);
    let line = Line::new("write", came.source, outcome)
        .user(&session.user)
        .action("create")
        .server(&id);
    console.audit.tell(line).await;
    match created {
        Ok(()) => Ok(
            Redirect::to(&format!("/environments/{}/{}", id.namespace, id.name)).into_response(),
        ),
        Err(problem) if matches!(problem.reason, "invalid" | "refused" | "conflict") => {
            let why = if problem.reason == "conflict" {
                format!(
                    "There is an environment `{}` already; choose another name.",
                    id.name
                )
            } else {
                problem.text
            };
            fill(&console, &session, fields, Some(why)).await
        }
        Err(problem) => Err(problem),
    }
}

/// The object, with everything checked that can be checked here: nothing but these fields is ever taken from the form.
fn object(fields: &Fields, owner: &str) -> Result<Value, String> {
    ServerName::parse(&fields.name).map_err(|e| format!("The name `{}` {e}.", fields.name))?;
    if !names::is_subdomain(&fields.namespace) {
        return Err("The namespace is not one.".to_owned());
    }
    let mut spec = serde_json::Map::from_iter([("owner".to_owned(), json!(owner))]);
    let mut put = |key: &str, value: Value| drop(spec.insert(key.to_owned(), value));
    if !fields.flavor.is_empty() {
        put("flavor", json!(fields.flavor));
    }
    if !fields.image.is_empty() {
        image::check(&fields.image).map_err(|e| format!("The image `{}` {e}.", fields.image))?;
        put("image", json!(fields.image));
    }
    if !fields.home.is_empty() {
        quantity::parse_positive(&fields.home)
            .map_err(|e| format!("The size `{}` {e}.", fields.home))?;
        put("persistentHomeSize", json!(fields.home));
    }
    if !fields.ttl.is_empty() {
        duration::parse_positive(&fields.ttl)
            .map_err(|e| format!("The lifetime `{}` {e}.", fields.ttl))?;
        put("lifecycle", json!({"timeToLive": fields.ttl}));
    }
    if fields.editor {
        put("editor", json!({"enabled": true}));
    }
    if fields.docker {
        put("docker", json!({"enabled": true}));
    }
    if !fields.role.is_empty() {
        if !names::is_subdomain(&fields.role) {
            return Err(format!(
                "The role `{}` is no name of a ClusterRole.",
                fields.role
            ));
        }
        put("kubeAccess", json!({"role": fields.role}));
    }
    let ssh = if fields.key.is_empty() {
        json!({"mode": "Disabled"})
    } else {
        let key = PublicKey::parse(&fields.key).map_err(|e| format!("The ssh key {e}."))?;
        json!({"publicKey": key.line()})
    };
    put("ssh", ssh);
    if fields.key.is_empty() && !fields.editor {
        return Err(
            "Without an ssh key and without the editor there would be no way in; give one of them."
                .to_owned(),
        );
    }
    Ok(json!({
        "apiVersion": "devserver.io/v1",
        "kind": "DevServer",
        "metadata": {"name": fields.name, "namespace": fields.namespace},
        "spec": spec,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Fields {
        Fields {
            name: "dev".into(),
            namespace: "dev-alice".into(),
            editor: true,
            ..Fields::default()
        }
    }

    #[test]
    fn the_owner_is_who_is_logged_in_whatever_the_form_says() {
        let made = object(&fields(), "alice").unwrap();
        assert_eq!(
            made["spec"],
            json!({"owner": "alice", "editor": {"enabled": true}, "ssh": {"mode": "Disabled"}})
        );
    }

    #[test]
    fn docker_and_a_role_are_there_when_they_are_asked_for() {
        let asked = Fields {
            docker: true,
            role: "view".into(),
            ..fields()
        };
        let made = object(&asked, "alice").unwrap();
        assert_eq!(made["spec"]["docker"], json!({"enabled": true}));
        assert_eq!(made["spec"]["kubeAccess"], json!({"role": "view"}));
    }

    #[test]
    fn what_cannot_be_used_is_told_by_its_field() {
        for (change, says) in [
            (
                Fields {
                    name: "A b".into(),
                    ..fields()
                },
                "name",
            ),
            (
                Fields {
                    image: "a b".into(),
                    ..fields()
                },
                "image",
            ),
            (
                Fields {
                    home: "big".into(),
                    ..fields()
                },
                "size",
            ),
            (
                Fields {
                    ttl: "1d".into(),
                    ..fields()
                },
                "lifetime",
            ),
            (
                Fields {
                    role: "view, edit".into(),
                    ..fields()
                },
                "role",
            ),
            (
                Fields {
                    key: "ssh-rsa".into(),
                    ..fields()
                },
                "ssh key",
            ),
            (
                Fields {
                    editor: false,
                    ..fields()
                },
                "no way in",
            ),
        ] {
            let why = object(&change, "alice").unwrap_err();
            assert!(why.contains(says), "{why}");
        }
    }

    #[test]
    fn a_free_name_is_offered() {
        assert_eq!(free_name(&[]), "dev");
        assert_eq!(free_name(&["dev".into(), "dev-2".into()]), "dev-3");
    }
}
