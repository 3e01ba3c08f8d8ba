//! `devctl flavors`.

use devserver_api::{DevServerFlavor, Schedulable, money};
use devserver_core::flavor::effective_default;
use kube::{ResourceExt, api::ListParams};

use crate::{
    args::{Global, Output},
    exit::Exit,
    failure::Outcome,
    kube::{self as cluster, Session},
    output::{self, Columns, Format, or_dash},
};

/// Lists the sizes an administrator offers.
pub async fn run(global: &Global, args: &Output) -> Outcome<Exit> {
    let session = Session::connect(global).await?;
    let flavors = cluster::answer(
        "failed to list flavors",
        session.flavors().list(&ListParams::default()),
    )
    .await?
    .items;
    match args.output {
        Format::Json | Format::Yaml => {
            output::print(&output::structured(&output::list(&flavors), args.output)?)?;
        }
        Format::Name => {
            for flavor in &flavors {
                output::say(&format!(
                    "devserverflavor.devserver.io/{}",
                    flavor.name_any()
                ))?;
            }
        }
        Format::Table | Format::Wide if flavors.is_empty() => {
            output::note("no flavors found; an administrator adds them with `kubectl apply -f`");
        }
        Format::Table | Format::Wide => {
            output::print(&table(&flavors, args.output == Format::Wide))?;
        }
    }
    Ok(Exit::Ok)
}

fn table(flavors: &[DevServerFlavor], is_wide: bool) -> String {
    let mut headings = vec![
        "NAME",
        "CPU",
        "MEMORY",
        "GPU",
        "PRICE",
        "DEFAULT",
        "SCHEDULABLE",
        "DESCRIPTION",
    ];
    if is_wide {
        headings.extend(["OTHER", "IMAGE", "REASON"]);
    }
    let mut columns = Columns::new(&headings);
    let default = effective_default(flavors).map(ResourceExt::name_any);
    for flavor in flavors {
        let status = flavor.status.as_ref();
        let schedulable = match status.and_then(|s| s.schedulable) {
            Some(Schedulable::Autoscaled) => "AUTOSCALED",
            Some(Schedulable::Yes) => "Yes",
            Some(Schedulable::No) => "No",
            Some(Schedulable::Unknown) | None => "Unknown",
        };
        let mut row = vec![
            flavor.name_any(),
            amount(flavor, "cpu"),
            amount(flavor, "memory"),
            gpus(flavor),
            or_dash(price(flavor).as_deref()),
            // Of several that are marked, only one is.
            or_dash((default.as_ref() == Some(&flavor.name_any())).then_some("yes")),
            schedulable.to_owned(),
            or_dash(flavor.spec.description.as_deref()),
        ];
        if is_wide {
            row.push(others(flavor));
            row.push(or_dash(flavor.spec.default_image.as_deref()));
            row.push(or_dash(status.and_then(|s| s.message.as_deref())));
        }
        columns.row(&row);
    }
    columns.finish()
}

/// `request`, or `request-limit` where they differ.
fn amount(flavor: &DevServerFlavor, resource: &str) -> String {
    let of = |map: &std::collections::BTreeMap<String, _>| {
        map.get(resource)
            .map(|q: &k8s_openapi::apimachinery::pkg::api::resource::Quantity| q.0.clone())
    };
    match (
        of(&flavor.spec.resources.requests),
        of(&flavor.spec.resources.limits),
    ) {
        (Some(request), Some(limit)) if request != limit => format!("{request}-{limit}"),
        (Some(amount), _) | (None, Some(amount)) => amount,
        (None, None) => "-".to_owned(),
    }
}

/// Number of GPUs, of whichever vendor.
fn gpus(flavor: &DevServerFlavor) -> String {
    let resources = &flavor.spec.resources;
    let named = resources.limits.keys().chain(resources.requests.keys());
    let gpu = named.into_iter().find(|name| is_gpu(name));
    gpu.map_or("-".to_owned(), |name| amount(flavor, name))
}

fn is_gpu(resource: &str) -> bool {
    resource.ends_with("/gpu")
}

/// `1.50 EUR/h`, exactly.
fn price(flavor: &DevServerFlavor) -> Option<String> {
    let cost = flavor.cost()?;
    Some(format!(
        "{} {}/h",
        money::short(cost.micros_per_hour),
        cost.currency
    ))
}

/// Everything but processors, memory and GPUs.
fn others(flavor: &DevServerFlavor) -> String {
    let resources = &flavor.spec.resources;
    let mut names: Vec<&String> = resources
        .requests
        .keys()
        .chain(resources.limits.keys())
        .collect();
    names.sort();
    names.dedup();
    let all: Vec<String> = names
        .into_iter()
        .filter(|n| !matches!(n.as_str(), "cpu" | "memory") && !is_gpu(n))
        .map(|n| format!("{n}={}", amount(flavor, n)))
        .collect();
    or_dash(Some(&all.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_what_is_set_aside_and_what_may_be_used() {
        let flavors: Vec<DevServerFlavor> = serde_json::from_value(serde_json::json!([
            {"apiVersion": "devserver.io/v1", "kind": "DevServerFlavor", "metadata": {"name": "cpu-small"},
             "spec": {"default": true, "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "1Gi"}}},
             "status": {"schedulable": "Yes"}},
            {"apiVersion": "devserver.io/v1", "kind": "DevServerFlavor", "metadata": {"name": "gpu"},
             "spec": {"description": "one GPU", "resources": {"limits": {"nvidia.com/gpu": "1", "ephemeral-storage": "100Gi"}},
              "price": {"currency": "EUR", "microsPerHour": 1_500_000}},
             "status": {"schedulable": "No", "message": "too little is left on node-a: nvidia.com/gpu"}},
        ]))
        .unwrap();
        insta::assert_snapshot!(table(&flavors, true));
    }

    #[test]
    fn a_price_is_shown_exactly_and_what_is_counted_before_what_a_flavor_says() {
        let priced = |status: serde_json::Value| -> DevServerFlavor {
            serde_json::from_value(serde_json::json!({
                "apiVersion": "devserver.io/v1", "kind": "DevServerFlavor", "metadata": {"name": "a"},
                "spec": {"price": {"currency": "EUR", "microsPerHour": 1_500_000}}, "status": status,
            }))
            .unwrap()
        };
        let counted = serde_json::json!({"cost": {"currency": "EUR", "microsPerHour": 12_345, "volumeMicrosPerGibMonth": 0}});
        for (status, expected) in [
            (serde_json::json!({}), "1.50 EUR/h"),
            (counted, "0.012345 EUR/h"),
        ] {
            assert_eq!(price(&priced(status)).as_deref(), Some(expected));
        }
    }
}
