//! The live view: what is known, which row is chosen, and what a key does. Pure; `draw` makes a frame of it.

mod draw;

use std::{cmp::Ordering, collections::BTreeMap};

use devserver_api::{DevServer, condition};
use jiff::Timestamp;
use kube::{ResourceExt as _, runtime::watcher::Event};

use crate::cmd::list::{flavor, phase};

pub use draw::draw;

/// Namespace and name.
pub type Key = (String, String);

/// By what the rows are in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Name.
    #[default]
    Name,
    /// Owner.
    Owner,
    /// Phase: what needs attention is first.
    Phase,
    /// Flavor.
    Flavor,
    /// The youngest first.
    Age,
    /// What ends next is first.
    Expires,
}

impl Sort {
    fn next(self) -> Self {
        match self {
            Self::Name => Self::Owner,
            Self::Owner => Self::Phase,
            Self::Phase => Self::Flavor,
            Self::Flavor => Self::Age,
            Self::Age => Self::Expires,
            Self::Expires => Self::Name,
        }
    }

    /// What people call it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Owner => "owner",
            Self::Phase => "phase",
            Self::Flavor => "flavor",
            Self::Age => "age",
            Self::Expires => "expires",
        }
    }
}

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// So many rows down, or up.
    Move(isize),
    /// The first row.
    First,
    /// The last row.
    Last,
    /// Open or close the pane.
    Toggle,
    /// Close the pane; without one, end.
    Back,
    /// The next order.
    Sort,
    /// The order the other way round.
    Reverse,
    /// End.
    Quit,
}

/// How the watch fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Connection {
    /// The first list has not come yet.
    #[default]
    Loading,
    /// Each change comes as it happens.
    Live,
    /// What is shown may be old; why.
    Lost(String),
}

/// How the view looks.
#[derive(Debug, Default)]
pub struct Look {
    /// What the title says: namespace and context.
    pub title: String,
    /// Of all namespaces.
    pub has_namespace: bool,
    /// Whether colors are wanted.
    pub has_colors: bool,
}

/// All that the view knows.
#[derive(Debug, Default)]
pub struct State {
    look: Look,
    /// How the watch fares.
    pub connection: Connection,
    servers: BTreeMap<Key, DevServer>,
    /// Those of a list that is still coming.
    coming: Option<BTreeMap<Key, DevServer>>,
    /// Keys in their order.
    order: Vec<Key>,
    /// The chosen one; it stays chosen when others come and go.
    chosen: Option<Key>,
    sort: Sort,
    is_reversed: bool,
    is_open: bool,
    /// First row that is shown.
    top: usize,
}

fn key(server: &DevServer) -> Key {
    (server.namespace().unwrap_or_default(), server.name_any())
}

impl State {
    /// Knows nothing yet.
    pub fn new(look: Look) -> Self {
        Self {
            look,
            ..Self::default()
        }
    }

    /// Takes what the watch says.
    pub fn take(&mut self, event: Event<DevServer>) {
        match event {
            Event::Init => self.coming = Some(BTreeMap::new()),
            Event::InitApply(server) => {
                self.coming
                    .get_or_insert_default()
                    .insert(key(&server), server);
                return;
            }
            Event::InitDone => {
                self.servers = self.coming.take().unwrap_or_default();
                self.connection = Connection::Live;
            }
            Event::Apply(server) => {
                self.servers.insert(key(&server), server);
                self.connection = Connection::Live;
            }
            Event::Delete(server) => {
                self.servers.remove(&key(&server));
                self.connection = Connection::Live;
            }
        }
        self.arrange();
    }

    /// Does what a key asks for; `false` ends the view.
    pub fn act(&mut self, action: Action) -> bool {
        match action {
            Action::Quit => return false,
            Action::Back if !self.is_open => return false,
            Action::Back => self.is_open = false,
            Action::Toggle => self.is_open = !self.is_open && self.chosen.is_some(),
            Action::Move(rows) => self.choose(self.at().saturating_add_signed(rows)),
            Action::First => self.choose(0),
            Action::Last => self.choose(usize::MAX),
            Action::Sort => {
                self.sort = self.sort.next();
                self.is_reversed = false;
            }
            Action::Reverse => self.is_reversed = !self.is_reversed,
        }
        self.arrange();
        true
    }

    /// Moves the window so that the chosen row is in it.
    pub fn scroll(&mut self, rows: usize) {
        let at = self.at();
        let last_top = self.order.len().saturating_sub(rows);
        let lowest = (at + 1).saturating_sub(rows);
        self.top = self.top.clamp(lowest, at.max(lowest)).min(last_top);
    }

    /// Place of the chosen row.
    fn at(&self) -> usize {
        let place = |chosen| self.order.iter().position(|key| key == chosen);
        self.chosen.as_ref().and_then(place).unwrap_or(0)
    }

    fn choose(&mut self, at: usize) {
        let at = at.min(self.order.len().saturating_sub(1));
        self.chosen = self.order.get(at).cloned();
    }

    /// The rows in their order, and a chosen one that is there.
    fn arrange(&mut self) {
        let before = self.at();
        let mut rows: Vec<(&Key, &DevServer)> = self.servers.iter().collect();
        rows.sort_by(|(_, a), (_, b)| {
            let order = compare(self.sort, a, b);
            if self.is_reversed {
                order.reverse()
            } else {
                order
            }
        });
        let order: Vec<Key> = rows.into_iter().map(|(key, _)| key.clone()).collect();
        self.order = order;
        let is_there = self
            .chosen
            .as_ref()
            .is_some_and(|key| self.servers.contains_key(key));
        if !is_there {
            // Its neighbour takes its place, and nothing is shown of one that is gone.
            self.choose(before);
            self.is_open = false;
        }
    }

    /// The rows of a window.
    fn window(&self, rows: usize) -> impl Iterator<Item = &DevServer> {
        let keys = self.order.iter().skip(self.top).take(rows);
        keys.filter_map(|key| self.servers.get(key))
    }

    /// The chosen one.
    fn chosen(&self) -> Option<&DevServer> {
        self.servers.get(self.chosen.as_ref()?)
    }
}

/// Rows that are equal stay by name, because that is the order they come in.
fn compare(sort: Sort, a: &DevServer, b: &DevServer) -> Ordering {
    let ends = |s: &DevServer| s.status.as_ref()?.expiration_time.as_ref().map(|t| t.0);
    match sort {
        Sort::Name => a.name_any().cmp(&b.name_any()),
        Sort::Owner => a.spec.owner.cmp(&b.spec.owner),
        Sort::Phase => urgency(a).cmp(&urgency(b)),
        Sort::Flavor => flavor(a).cmp(&flavor(b)),
        Sort::Age => b
            .metadata
            .creation_timestamp
            .cmp(&a.metadata.creation_timestamp),
        // What never ends is last.
        Sort::Expires => match (ends(a), ends(b)) {
            (Some(a), Some(b)) => a.cmp(&b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        },
    }
}

fn urgency(server: &DevServer) -> u8 {
    match phase(server) {
        "Failed" => 0,
        "Pending" | "-" => 1,
        "Provisioning" => 2,
        "Terminating" => 3,
        "Running" => 4,
        _ => 5,
    }
}

/// Whether a change waits for a restart.
fn waits_for_restart(server: &DevServer) -> bool {
    let conditions = server.status.as_ref().map(|s| s.conditions.as_slice());
    condition::find(conditions.unwrap_or_default(), condition::RESTART_PENDING)
        .is_some_and(|c| c.status == "True")
}

/// Time since its creation.
fn age(server: &DevServer, now: Timestamp) -> String {
    crate::cmd::list::age(server.metadata.creation_timestamp.as_ref(), now)
}

#[cfg(test)]
mod tests;
