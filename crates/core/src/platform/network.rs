//! Settings of networks and names, and their rules.

use devserver_api::{cidr::Cidr, group, names::is_subdomain};
use serde::{Deserialize, Serialize};

use super::{Platform, PlatformError};

/// Longest domain under which the longest server and namespace name still make a DNS name (253 characters, RFC 1035).
const LONGEST_DOMAIN: usize = 253 - (devserver_api::names::SERVER_NAME_MAX + 1) - (63 + 1);

/// NetworkPolicy of the environments (networking.k8s.io/v1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NetworkPolicySettings {
    /// Whether environments get one: closed but for ssh from given networks, the platform's own pods and the way out.
    pub enabled: bool,
    /// Networks that may reach sshd when the DevServer does not say, such as `0.0.0.0/0`.
    #[serde(rename = "defaultAllowedCIDRs")]
    pub default_allowed_cidrs: Vec<Cidr>,
    /// Networks an environment may not reach: the metadata address, and what else holds secrets.
    #[serde(rename = "blockedCIDRs")]
    pub blocked_cidrs: Vec<Cidr>,
    /// Addresses of pods. Given, no pod reaches an environment's sshd and no environment reaches a pod, whatever else is
    /// allowed: `0.0.0.0/0` holds the addresses of pods, too.
    #[serde(rename = "podCIDRs")]
    pub pod_cidrs: Vec<Cidr>,
    /// Addresses of Services. Given, environments reach none, where policies are judged before a Service is translated.
    #[serde(rename = "serviceCIDRs")]
    pub service_cidrs: Vec<Cidr>,
    /// Name servers besides the pods `k8s-app: kube-dns` of `kube-system`, reached on port 53 whatever is blocked.
    #[serde(rename = "dnsCIDRs")]
    pub dns_cidrs: Vec<Cidr>,
    /// Namespace of the platform's own pods, which reach every environment.
    pub platform_namespace: String,
}

impl Default for NetworkPolicySettings {
    fn default() -> Self {
        let read = |texts: &[&str]| texts.iter().filter_map(|text| text.parse().ok()).collect();
        Self {
            enabled: true,
            default_allowed_cidrs: read(&["0.0.0.0/0", "::/0"]),
            blocked_cidrs: read(&["169.254.0.0/16", "fd00:ec2::254/128"]),
            pod_cidrs: Vec::new(),
            service_cidrs: Vec::new(),
            // NodeLocal DNSCache, which is no pod that could be selected.
            dns_cidrs: read(&["169.254.20.10/32"]),
            platform_namespace: group::PLATFORM_NAMESPACE.to_owned(),
        }
    }
}

/// What is wrong with the settings of networks and names, if anything is.
pub(super) fn check(platform: &Platform) -> Result<(), PlatformError> {
    let bad = |field, why: String| Err(PlatformError::Value { field, why });
    let policy = &platform.network_policy;
    if policy.pod_cidrs.iter().any(|pods| pods.is_everything()) {
        let why = "must not be every address, or nobody could reach an environment";
        return bad("networkPolicy.podCIDRs", why.to_owned());
    }
    for network in &policy.default_allowed_cidrs {
        if let Some(pods) = policy.pod_cidrs.iter().find(|p| p.contains(*network)) {
            let why = format!("{network} lies in {pods} of podCIDRs, whence nobody may come");
            return bad("networkPolicy.defaultAllowedCIDRs", why);
        }
    }
    if !is_label(&policy.platform_namespace) {
        return bad("networkPolicy.platformNamespace", NO_NAMESPACE.to_owned());
    }
    match &platform.dns_domain {
        Some(domain) if !is_subdomain(domain) || domain.len() > LONGEST_DOMAIN => {
            let why = format!(
                "must be a domain of at most {LONGEST_DOMAIN} characters, in lower case, without a dot at either end, such as dev.example.com"
            );
            return bad("dnsDomain", why);
        }
        _ => {}
    }
    match &platform.dns_flat_namespace {
        Some(_) if platform.dns_domain.is_none() => {
            let why = "has no effect without dnsDomain; set that, too, or neither";
            bad("dnsFlatNamespace", why.to_owned())
        }
        Some(namespace) if !is_label(namespace) => bad("dnsFlatNamespace", NO_NAMESPACE.to_owned()),
        _ => Ok(()),
    }
}

const NO_NAMESPACE: &str = "must be the name of a namespace";

fn is_label(word: &str) -> bool {
    is_subdomain(word) && word.len() <= 63 && !word.contains('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_holds_every_network_it_was_meant_to() {
        let policy = NetworkPolicySettings::default();
        let text = |cidrs: &[Cidr]| cidrs.iter().map(Cidr::to_string).collect::<Vec<_>>();
        assert_eq!(text(&policy.default_allowed_cidrs), ["0.0.0.0/0", "::/0"]);
        assert_eq!(
            text(&policy.blocked_cidrs),
            ["169.254.0.0/16", "fd00:ec2::254/128"]
        );
        assert_eq!(text(&policy.dns_cidrs), ["169.254.20.10/32"]);
    }

    #[test]
    fn a_mistake_is_refused_and_named() {
        for (text, word) in [
            ("networkPolicy: {blockedCIDRs: [10.0.0.1/8]}", "10.0.0.0/8"),
            ("networkPolicy: {podCIDRs: [corp]}", "corp"),
            ("networkPolicy: {podCIDRs: ['::/0']}", "podCIDRs"),
            (
                "networkPolicy: {podCIDRs: [10.0.0.0/8], defaultAllowedCIDRs: [10.1.0.0/16]}",
                "defaultAllowedCIDRs",
            ),
            (
                "networkPolicy: {platformNamespace: ''}",
                "platformNamespace",
            ),
            ("dnsDomain: .dev.example.com", "dnsDomain"),
            ("dnsDomain: '*.example.com'", "dnsDomain"),
            ("dnsDomain: Example.com", "dnsDomain"),
            ("dnsFlatNamespace: swish", "dnsFlatNamespace"),
            (
                "{dnsDomain: dev.example.com, dnsFlatNamespace: a.b}",
                "dnsFlatNamespace",
            ),
        ] {
            let error = Platform::parse(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
        assert!(Platform::parse("{dnsDomain: dev.example.com, dnsFlatNamespace: swish}").is_ok());
    }

    #[test]
    fn the_longest_names_still_make_a_dns_name() {
        let domain = format!("{}.{}", "d".repeat(63), "e".repeat(LONGEST_DOMAIN - 64));
        assert!(domain.len() == LONGEST_DOMAIN && LONGEST_DOMAIN < 64 + 100);
        let longer = format!("{domain}x");
        assert!(Platform::parse(&format!("dnsDomain: {longer}")).is_err());
    }
}
