//! The container runtime, with all of its state inside the lab's folder.

use std::fs;

use serde_json::Value;

use crate::{
    error::{At, Error},
    policy,
    process::Component,
    starting::Starting,
};

/// Writes the configuration of runtime and pod network and starts containerd. With `policies` a pod's network is not
/// finished before its policies are in force.
pub fn start(lab: &mut Starting, policies: bool) -> Result<(), Error> {
    let cni = lab.dir.join("cni");
    // Made here with the usual rights: containerd would close its parent folder to all others, and then the root of a
    // pod with a user namespace, who is somebody else on the host, does not reach its own file system.
    for folder in [&cni, &lab.dir.join("containerd")] {
        fs::create_dir_all(folder).at("make the folder", folder)?;
    }
    let (config, network) = (
        lab.dir.join("containerd.toml"),
        cni.join("10-kubelab.conflist"),
    );
    fs::write(&config, configuration(lab)?).at("write", &config)?;
    fs::write(&network, pod_network(lab, policies)).at("write", &network)?;
    let component = component(lab)?;
    lab.start(&component)
}

/// Whether it takes calls. The kubelet gives up at once when it does not.
pub fn ready(lab: &Starting) -> Result<(), String> {
    let socket = lab.dir.containerd_socket();
    std::os::unix::net::UnixStream::connect(socket)
        .map(drop)
        .map_err(|error| error.to_string())
}

fn component(lab: &Starting) -> Result<Component, Error> {
    let mut component = lab.component(
        "containerd",
        ["-c".to_owned(), lab.dir.text("containerd.toml")],
    )?;
    // containerd finds its shim by name in PATH, while files in the cache have names with a hash.
    let bin = lab.dir.join("bin");
    fs::create_dir_all(&bin).at("make the folder", &bin)?;
    for name in ["containerd-shim-runc-v2", "runc"] {
        let link = bin.join(name);
        std::os::unix::fs::symlink(lab.tools.path(name)?, &link).at("make the link", &link)?;
    }
    let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/sbin:/usr/bin:/sbin:/bin".into());
    component
        .env
        .push(("PATH", format!("{}:{path}", bin.display())));
    Ok(component)
}

fn configuration(lab: &Starting) -> Result<String, Error> {
    let dir = lab.dir.path().display();
    let runc = lab.tools.path("runc")?;
    Ok(format!(
        r#"version = 3
root = "{dir}/containerd/root"
state = "{dir}/containerd/state"
[grpc]
  address = "{dir}/containerd.sock"
[plugins.'io.containerd.internal.v1.opt']
  path = "{dir}/containerd/opt"
[plugins.'io.containerd.nri.v1.nri']
  # Its socket has one place on the whole machine, and nothing here uses it.
  disable = true
[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = "docker.io/devserver/pause:lab"
[plugins.'io.containerd.cri.v1.runtime']
  # Machines without CAP_SYS_RESOURCE may not lower the score that the kubelet asks for.
  restrict_oom_score_adj = true
  # So that `down` finds the namespaces of pods below the lab's folder.
  netns_mounts_under_state_dir = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["/usr/lib/cni", "{steps}"]
  conf_dir = "{dir}/cni"
  # Without the loopback plugin there is one program less to run, and no file with a name that says nothing of the lab.
  use_internal_loopback = true
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
    BinaryName = "{runc}"
    Root = "{dir}/runc"
    SystemdCgroup = false
"#,
        runc = runc.display(),
        steps = policy::steps(&lab.dir),
    ))
}

/// A bridge for all pods. The host routes to them, so nothing is translated on the way.
fn pod_network(lab: &Starting, policies: bool) -> String {
    let mut network = serde_json::json!({
        "cniVersion": "1.0.0",
        // The CNI library names its files after the network; `down` finds them by it.
        "name": lab.name.scope(),
        "plugins": [
            {
                "type": "bridge", "bridge": policy::BRIDGE, "isGateway": true, "ipMasq": false, "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": lab.plan.pods().to_string()}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                    "dataDir": lab.dir.text("ipam"),
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    });
    let steps = network.get_mut("plugins").and_then(Value::as_array_mut);
    if let Some(steps) = steps.filter(|_| policies) {
        steps.push(serde_json::json!({"type": policy::STEP}));
    }
    network.to_string()
}
