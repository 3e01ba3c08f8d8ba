//! My environments.

use std::{collections::BTreeSet, sync::Arc};

use askama::Template;
use axum::{Extension, extract::State, response::Response};
use devserver_api::DevServer;
use futures::future::join_all;
use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::{
    cluster::Cluster, console::Console, entry, label, objects, problem::Problem, session::Session,
    table::ServerId,
};

use super::{
    view::{self, Frame},
    words::{self, State as Is},
};

/// One environment in a list.
#[derive(Clone, Debug)]
pub struct Card {
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// UID: what forms are about.
    pub uid: String,
    /// Who owns it, where that is somebody else.
    pub owner: Option<String>,
    /// How it is.
    pub state: Is,
    /// Flavor in use.
    pub flavor: Option<String>,
    /// The operator's sentence.
    pub message: Option<String>,
    /// When it is deleted.
    pub end: Option<String>,
    /// Where its editor is, for whom may go there.
    pub editor: Option<String>,
    /// Whether it is asked to be stopped.
    pub suspended: bool,
    /// Whether its page may be opened.
    pub open: bool,
}

impl Card {
    /// Of an environment that the user may read.
    pub fn of(
        console: &Console,
        session: &Session,
        server: &DevServer,
        now: Timestamp,
    ) -> Option<Self> {
        let id = objects::server_id(server)?;
        let status = server.status.as_ref();
        let state = words::state(server);
        let message = status
            .and_then(|s| s.message.clone())
            .filter(|_| state.tone != "good");
        Some(Self {
            uid: server.uid().unwrap_or_default(),
            owner: server
                .spec
                .owner
                .clone()
                .filter(|owner| *owner != session.user),
            flavor: status
                .and_then(|s| s.flavor.clone())
                .or_else(|| server.spec.flavor.clone()),
            end: words::end(server, now),
            editor: editor(console, session, &id),
            suspended: server.spec.suspend,
            open: true,
            message,
            state,
            namespace: id.namespace,
            name: id.name,
        })
    }
}

/// Where the editor is, if there is one and the user may enter it.
pub fn editor(console: &Console, session: &Session, id: &ServerId) -> Option<String> {
    let may = console.ask(|t| t.has_editor(id) && t.role(&session.user, id).is_some());
    may.then(|| entry::host(&console.config, &label::of(id)))
}

#[derive(Template)]
#[template(path = "list.html")]
struct List {
    frame: Frame,
    cards: Vec<Card>,
    has_namespace: bool,
}

/// The first page.
pub async fn show(
    State(console): State<Arc<Console>>,
    Extension(session): Extension<Session>,
) -> Result<Response, Problem> {
    let cluster = Cluster::as_user(&console.client, &session).ok_or_else(Problem::not_found)?;
    let (own, named) = console.ask(|table| {
        let own: BTreeSet<String> = table.namespaces(&session.user).map(str::to_owned).collect();
        let named: Vec<ServerId> = table
            .servers_of(&session.user)
            .into_keys()
            .cloned()
            .collect();
        (own, named)
    });
    let of_named = named.iter().map(|id| id.namespace.clone());
    let namespaces: BTreeSet<String> = own.iter().cloned().chain(of_named).collect();
    let asked = join_all(namespaces.iter().map(|namespace| cluster.list(namespace))).await;
    let mut servers = Vec::new();
    for answer in asked {
        match answer {
            Ok(found) => servers.extend(found),
            // In somebody else's namespace one need not be allowed to read.
            Err(problem) if problem.reason == "not_found" => {}
            Err(problem) => return Err(problem),
        }
    }
    let now = Timestamp::now();
    let mine = |card: &Card| {
        let id = ServerId {
            namespace: card.namespace.clone(),
            name: card.name.clone(),
        };
        own.contains(&card.namespace) || named.contains(&id)
    };
    let mut cards: Vec<Card> = servers
        .iter()
        .filter_map(|s| Card::of(&console, &session, s, now))
        .filter(mine)
        .collect();
    let known: BTreeSet<String> = cards.iter().map(|c| c.uid.clone()).collect();
    cards.extend(
        shared(&console, &session)
            .into_iter()
            .filter(|c| !known.contains(&c.uid)),
    );
    cards.sort_by(|a, b| {
        (a.owner.is_some(), &a.namespace, &a.name).cmp(&(b.owner.is_some(), &b.namespace, &b.name))
    });
    let frame = Frame::new(&console, &session, "environments");
    Ok(view::page(&List {
        frame,
        cards,
        has_namespace: !own.is_empty(),
    }))
}

/// What the user may enter and the cluster lets them read nothing of, such as what others let them into.
fn shared(console: &Console, session: &Session) -> Vec<Card> {
    let rows: Vec<_> = console.ask(|table| {
        let all = table.servers_of(&session.user).into_iter();
        all.map(|(id, (server, _))| (id.clone(), server.clone()))
            .collect()
    });
    let card = |(id, server): (ServerId, crate::table::Server)| Card {
        editor: editor(console, session, &id),
        name: id.name,
        namespace: id.namespace,
        uid: server.uid,
        owner: server.owner.filter(|owner| *owner != session.user),
        state: words::state_of(server.phase, server.suspended),
        flavor: None,
        message: None,
        end: None,
        suspended: server.suspended,
        open: false,
    };
    rows.into_iter().map(card).collect()
}
