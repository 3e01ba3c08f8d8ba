//! How the SSH Service is exposed, as people write it.

use clap::ValueEnum;
use devserver_api::Expose;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExposeArg {
    /// A port on every node
    #[value(name = "NodePort", alias = "nodeport")]
    NodePort,
    /// Inside the cluster only
    #[value(name = "ClusterIP", alias = "clusterip")]
    ClusterIP,
    /// A load balancer
    #[value(name = "LoadBalancer", alias = "loadbalancer")]
    LoadBalancer,
    /// No Service; `devctl ssh` still works
    #[value(name = "None", alias = "none")]
    None,
}

impl From<ExposeArg> for Expose {
    fn from(arg: ExposeArg) -> Self {
        match arg {
            ExposeArg::NodePort => Self::NodePort,
            ExposeArg::ClusterIP => Self::ClusterIP,
            ExposeArg::LoadBalancer => Self::LoadBalancer,
            ExposeArg::None => Self::None,
        }
    }
}
