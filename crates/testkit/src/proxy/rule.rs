//! Faults: which request is hit, how often, and what happens to it.

use std::time::Duration;

use super::request::{Asked, Verb};

/// One fault.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Requests it is about.
    pub when: Match,
    /// Which of them are hit.
    pub nth: Count,
    /// What happens to those.
    pub then: Action,
}

impl Rule {
    /// A fault for the k-th write (1 is the first) from the moment the rule is set.
    pub fn nth_write(k: u64, then: Action) -> Self {
        Self {
            when: Match::writes(),
            nth: Count::Nth(k),
            then,
        }
    }
}

/// Which requests a rule is about. An absent part matches all.
#[derive(Clone, Debug, Default)]
pub struct Match {
    /// What is done.
    pub verb: Option<Verb>,
    /// Resource in the plural.
    pub plural: Option<String>,
    /// Name of the object.
    pub name: Option<String>,
    /// Subresource.
    pub subresource: Option<String>,
    /// Only what counts as a write.
    pub writes_only: bool,
}

impl Match {
    /// Every write.
    pub fn writes() -> Self {
        Self {
            writes_only: true,
            ..Self::default()
        }
    }

    /// Writes of one kind.
    pub fn writes_of(plural: &str) -> Self {
        Self {
            plural: Some(plural.to_owned()),
            ..Self::writes()
        }
    }

    /// Whether the request is meant.
    pub fn covers(&self, asked: &Asked) -> bool {
        let same = |wanted: &Option<String>, actual: Option<&str>| {
            wanted
                .as_deref()
                .is_none_or(|wanted| actual == Some(wanted))
        };
        self.verb.is_none_or(|verb| verb == asked.verb)
            && same(&self.plural, Some(&asked.plural))
            && same(&self.name, asked.name.as_deref())
            && same(&self.subresource, asked.subresource.as_deref())
            && (!self.writes_only || asked.is_write())
    }
}

/// Which of the matching requests are hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Only the n-th; 1 is the first.
    Nth(u64),
    /// The first n.
    First(u64),
    /// One of n, evenly: the n-th, the 2n-th, …
    OneOf(u64),
    /// All.
    Every,
}

impl Count {
    fn hits(self, seen: u64) -> bool {
        match self {
            Self::Nth(n) => seen == n,
            Self::First(n) => seen <= n,
            Self::OneOf(n) => seen.is_multiple_of(n),
            Self::Every => true,
        }
    }
}

/// Before the server sees the request, or after it answered and before the caller sees the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The write did not happen.
    Before,
    /// The write happened; nobody was told.
    After,
}

impl Side {
    /// The word of `CRASH_CASE`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

/// What happens to a request that is hit.
#[derive(Clone, Debug)]
pub enum Action {
    /// An error answer; the server never sees the request.
    Fail {
        /// HTTP status.
        status: u16,
        /// `reason` of the `Status` object.
        reason: &'static str,
        /// `message` of the `Status` object.
        message: String,
        /// Seconds of the `Retry-After` header.
        retry_after: Option<u32>,
    },
    /// The connection is cut; the server never sees the request.
    LoseRequest,
    /// The server does it; the caller sees a cut connection.
    LoseResponse,
    /// The request waits, then goes on.
    Delay(Duration),
    /// The request is accepted and never answered.
    Stall,
    /// SIGKILL to the caller, waited for.
    Kill(Side),
}

impl Action {
    /// An error answer without a message of its own.
    pub fn fail(status: u16, reason: &'static str) -> Self {
        Self::Fail {
            status,
            reason,
            message: format!("injected fault: {reason}"),
            retry_after: None,
        }
    }
}

/// A rule and how many requests it has seen.
#[derive(Debug)]
pub(super) struct Armed {
    rule: Rule,
    seen: u64,
}

impl From<Rule> for Armed {
    fn from(rule: Rule) -> Self {
        Self { rule, seen: 0 }
    }
}

impl Armed {
    /// Counts the request; the action when it is hit.
    pub(super) fn meet(&mut self, asked: &Asked) -> Option<Action> {
        if !self.rule.when.covers(asked) {
            return None;
        }
        self.seen += 1;
        self.rule
            .nth
            .hits(self.seen)
            .then(|| self.rule.then.clone())
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    fn apply(plural: &str) -> Asked {
        let address = format!("/api/v1/namespaces/n/{plural}/x?fieldManager=m");
        Asked::read(&Method::PATCH, &address.parse().unwrap())
    }

    #[test]
    fn the_second_write_is_hit_once() {
        let mut armed = Armed::from(Rule::nth_write(2, Action::LoseRequest));
        let hits: Vec<bool> = (0..4)
            .map(|_| armed.meet(&apply("secrets")).is_some())
            .collect();
        assert_eq!(hits, [false, true, false, false]);
    }

    #[test]
    fn one_request_of_three_is_hit_for_as_long_as_the_rule_stands() {
        let mut armed = Armed::from(Rule {
            when: Match::writes(),
            nth: Count::OneOf(3),
            then: Action::LoseRequest,
        });
        let hits = (0..9).filter(|_| armed.meet(&apply("secrets")).is_some());
        assert_eq!(hits.count(), 3);
    }

    #[test]
    fn a_rule_for_one_kind_leaves_others_alone_and_does_not_count_them() {
        let when = Match::writes_of("services");
        let mut armed = Armed::from(Rule {
            when,
            nth: Count::First(1),
            then: Action::Stall,
        });
        assert!(armed.meet(&apply("secrets")).is_none());
        assert!(armed.meet(&apply("services")).is_some());
        assert!(armed.meet(&apply("services")).is_none());
    }
}
