//! Affinity and spread of the pod.

use std::collections::BTreeMap;

use devserver_api::group;
use k8s_openapi::{
    api::core::v1::{
        Affinity, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm,
        PreferredSchedulingTerm, TopologySpreadConstraint,
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};

use crate::{Environment, platform::TeamAffinity};

/// Nodes of the team and the project, as far as the platform wants them (decision C-AFF).
pub(super) fn affinity(env: &Environment) -> Option<Affinity> {
    let node_affinity = match env.placement.team_affinity {
        TeamAffinity::None => return None,
        TeamAffinity::Preferred => preferred(env)?,
        TeamAffinity::Required => required(env),
    };
    Some(Affinity {
        node_affinity: Some(node_affinity),
        ..Affinity::default()
    })
}

/// The team weighs more than the project: its nodes are paid for by it.
fn preferred(env: &Environment) -> Option<NodeAffinity> {
    let (team, project) = (&env.counts_for.team, &env.counts_for.project);
    let wishes = [
        (100, group::LABEL_TEAM, team),
        (50, group::LABEL_PROJECT, project),
    ];
    let wishes: Vec<PreferredSchedulingTerm> = wishes
        .into_iter()
        .filter_map(|(weight, key, value)| {
            Some(PreferredSchedulingTerm {
                weight,
                preference: term(vec![is(key, value.as_ref()?)]),
            })
        })
        .collect();
    (!wishes.is_empty()).then(|| NodeAffinity {
        preferred_during_scheduling_ignored_during_execution: Some(wishes),
        ..NodeAffinity::default()
    })
}

/// Nodes of the team only, and of those the project's or nobody's; without a team, nodes that belong to none.
fn required(env: &Environment) -> NodeAffinity {
    let (team, project) = (&env.counts_for.team, &env.counts_for.project);
    let of_team = match team {
        Some(team) => is(group::LABEL_TEAM, team),
        None => is_absent(group::LABEL_TEAM),
    };
    let mut terms = vec![term(vec![of_team.clone(), is_absent(group::LABEL_PROJECT)])];
    if let Some(project) = project {
        terms.insert(0, term(vec![of_team, is(group::LABEL_PROJECT, project)]));
    }
    NodeAffinity {
        required_during_scheduling_ignored_during_execution: Some(NodeSelector {
            node_selector_terms: terms,
        }),
        ..NodeAffinity::default()
    }
}

fn term(requirements: Vec<NodeSelectorRequirement>) -> NodeSelectorTerm {
    NodeSelectorTerm {
        match_expressions: Some(requirements),
        ..NodeSelectorTerm::default()
    }
}

fn is(key: &str, value: &str) -> NodeSelectorRequirement {
    NodeSelectorRequirement {
        key: key.to_owned(),
        operator: "In".to_owned(),
        values: Some(vec![value.to_owned()]),
    }
}

fn is_absent(key: &str) -> NodeSelectorRequirement {
    NodeSelectorRequirement {
        key: key.to_owned(),
        operator: "DoesNotExist".to_owned(),
        values: None,
    }
}

/// Spread over nodes, counting the environments of the namespace (decision C-SPREAD, document 000).
pub(super) fn spread(env: &Environment) -> Option<Vec<TopologySpreadConstraint>> {
    let spread = env.placement.spread.as_ref()?;
    Some(vec![TopologySpreadConstraint {
        max_skew: spread.max_skew,
        topology_key: spread.topology_key.clone(),
        when_unsatisfiable: spread.when_unsatisfiable.as_str().to_owned(),
        label_selector: Some(LabelSelector {
            match_labels: Some(BTreeMap::from([(
                group::LABEL_SERVICE.to_owned(),
                group::APP_NAME.to_owned(),
            )])),
            ..LabelSelector::default()
        }),
        // Nodes it may not use anyway would count as empty places that nobody ever fills (KEP-3094).
        node_affinity_policy: Some("Honor".to_owned()),
        node_taints_policy: Some("Honor".to_owned()),
        ..TopologySpreadConstraint::default()
    }])
}
