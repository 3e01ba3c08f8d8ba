//! Ports that people see in a browser: what they open, and what they cannot be.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod fixtures;
#[path = "fixtures/pools.rs"]
mod pools;

use devserver_core::{Platform, desired, resolve};
use pools::{object, pod, refused, resolved, server};
use serde_json::json;

#[test]
fn declared_ports_are_let_in_from_the_console_alone_and_no_others() {
    let env = resolved(
        "{ports: [{name: web, port: 3000}, {name: docs, port: 8000, share: Authenticated}]}",
    )
    .unwrap();
    let rules = object(&env, "NetworkPolicy")["spec"]["ingress"].clone();
    let rule = rules.as_array().unwrap().last().unwrap();
    assert_eq!(
        *rule,
        json!({
            "from": [{
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "devserver-system"}},
                "podSelector": {"matchLabels": {"app.kubernetes.io/component": "console"}},
            }],
            "ports": [{"protocol": "TCP", "port": 3000}, {"protocol": "TCP", "port": 8000}],
        })
    );
    let without = resolved("{}").unwrap();
    let plain = object(&without, "NetworkPolicy")["spec"]["ingress"].clone();
    assert_eq!(
        rules.as_array().unwrap().len(),
        plain.as_array().unwrap().len() + 1
    );
}

#[test]
fn a_port_opens_and_closes_without_a_restart() {
    let with = resolved("{ports: [{name: web, port: 3000}]}").unwrap();
    let without = resolved("{}").unwrap();
    assert_eq!(pod(&with), pod(&without));
    let others = |env| {
        let all = desired(env).into_iter();
        all.map(|object| object.to_value())
            .filter(|object| object["kind"] != "NetworkPolicy")
            .collect::<Vec<_>>()
    };
    assert_eq!(others(&with), others(&without));
}

#[test]
fn c13_ports_of_the_platforms_programs_are_refused() {
    for port in [22, 2222, 9022, 9023] {
        let spec = format!("{{ports: [{{name: web, port: {port}}}]}}");
        refused(&spec, "InvalidPort", &["spec.ports", "choose another port"]);
    }
    refused(
        "{editor: {enabled: true}, ports: [{name: web, port: 8080, share: Authenticated}]}",
        "InvalidPort",
        &["spec.ports", "the editor listens at 8080"],
    );
    for (ports, word) in [
        ("{name: a, port: 1}, {name: b, port: 1}", "1 is there twice"),
        ("{name: a, port: 1}, {name: a, port: 2}", "a is there twice"),
        ("{name: a, port: 0}", "0 is no port"),
        ("{name: a, port: 70000}", "70000 is no port"),
    ] {
        refused(&format!("{{ports: [{ports}]}}"), "InvalidPort", &[word]);
    }
}

#[test]
fn without_a_network_policy_no_port_is_said_to_be_private() {
    let platform = Platform::parse("{networkPolicy: {enabled: false}}").unwrap();
    let asked = server("{ports: [{name: web, port: 3000}]}");
    let error = resolve(&asked, &pools::references(), &platform).unwrap_err();
    assert_eq!(error.reason(), "PortsNeedNetworkPolicy");
    assert!(error.to_string().contains("spec.ports"), "{error}");
}

#[test]
fn where_ports_are_not_shared_one_that_is_shared_is_refused_and_the_others_are_not() {
    let platform = Platform::parse("{allowSharedPorts: false}").unwrap();
    let ask = |share: &str| {
        let asked = server(&format!(
            "{{ports: [{{name: web, port: 3000}}, {{name: docs, port: 8000, share: {share}}}]}}"
        ));
        resolve(&asked, &pools::references(), &platform)
    };
    assert!(ask("Owner").is_ok());
    let error = ask("Authenticated").unwrap_err();
    assert_eq!(error.reason(), "SharedPortNotAllowed");
    let text = error.to_string();
    for word in [
        "spec.ports",
        "docs",
        "spec.collaborators",
        "allowSharedPorts",
    ] {
        assert!(text.contains(word), "{text}");
    }
}
