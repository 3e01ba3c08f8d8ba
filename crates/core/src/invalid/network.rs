//! What can be wrong with who may reach an environment, and with its name in the DNS.

use devserver_api::cidr::CidrError;

/// Why an environment cannot be reached as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// An entry is not a network.
    #[error("spec.ssh.allowedCIDRs[{index}] {text:?} {error}")]
    Cidr {
        /// Place in the list.
        index: usize,
        /// The text asked for.
        text: String,
        /// What is wrong with it.
        #[source]
        error: CidrError,
    },
    /// An entry lies among the addresses of pods.
    #[error(
        "spec.ssh.allowedCIDRs[{index}] {network} lies in {pods}, the network of the cluster's pods, whence nobody may come on this platform; remove it"
    )]
    OfPods {
        /// Place in the list.
        index: usize,
        /// The network asked for.
        network: String,
        /// The platform's network of pods.
        pods: String,
    },
    /// Nothing would keep the list.
    #[error(
        "spec.ssh.allowedCIDRs cannot be kept, because this platform is set up without NetworkPolicies; remove it, or use spec.ssh.expose LoadBalancer, which keeps it by itself"
    )]
    NotKept,
    /// A load balancer for nobody.
    #[error(
        "spec.ssh.allowedCIDRs is empty, and a load balancer cannot be told to let nobody in; list networks, or set spec.ssh.expose to ClusterIP or None"
    )]
    NobodyAllowed,
    /// The name would stand for other characters.
    #[error(
        "metadata.name must not have \"--\" as its third and fourth characters, because as a DNS name it would stand for another one (RFC 5890); choose another name, or set spec.ssh.expose to ClusterIP or None"
    )]
    DnsName,
}

impl NetworkError {
    /// CamelCase word for the condition and for metrics.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::DnsName => "InvalidDnsName",
            _ => "InvalidAllowedCIDRs",
        }
    }
}
