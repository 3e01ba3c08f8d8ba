//! What both test files need: labs that go away, the kubectl of the lab, waiting with a deadline.
#![allow(dead_code, reason = "each test file uses its part")]

use std::{
    path::PathBuf,
    process::{Command, Output},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use kubelab::{Lab, LabConfig, LabName, Size};

/// Whether to run: these tests need root and start real clusters.
pub fn enabled(test: &str) -> bool {
    let enabled = std::env::var("KUBELAB_TEST").is_ok_and(|value| value == "1");
    if !enabled {
        println!("{test} skipped: set KUBELAB_TEST=1 (needs root) to run it");
    }
    enabled
}

/// A lab that is removed when the test ends, however it ends.
pub struct Temporary {
    pub name: LabName,
}

impl Temporary {
    /// A name that no other test and no other run uses at the same time.
    pub fn new(word: &str) -> Self {
        Self {
            name: format!("kltest-{}-{word}", std::process::id())
                .parse()
                .unwrap(),
        }
    }

    pub fn up(&self, size: Size) -> Lab {
        self.up_with(size, &[])
    }

    pub fn up_with(&self, size: Size, images: &[&str]) -> Lab {
        let mut config = LabConfig::new(self.name.as_str(), size).unwrap();
        config.images = images.iter().map(ToString::to_string).collect();
        // This program is the test and not `kubelab`.
        config.enforcer = Some(PathBuf::from(env!("CARGO_BIN_EXE_kubelab")));
        Lab::up(config).unwrap()
    }

    /// Takes it down and checks that nothing is left of it.
    pub fn down(&self) {
        kubelab::down(&self.name).unwrap();
        assert_eq!(
            kubelab::leftovers(&self.name).unwrap(),
            Vec::<String>::new()
        );
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = kubelab::down(&self.name) {
            eprintln!("{error}");
        }
    }
}

/// Runs `kubelab` itself.
pub fn kubelab(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kubelab"))
        .args(args)
        .output()
        .unwrap()
}

/// Runs kubectl on a lab; gives what it printed.
pub fn kubectl(lab: &Lab, args: &[&str]) -> Result<String, String> {
    static KUBECTL: OnceLock<PathBuf> = OnceLock::new();
    let program = KUBECTL.get_or_init(|| {
        let output = kubelab(&["tools", "kubectl"]);
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    });
    let output = Command::new(program)
        .args(args)
        .env("KUBECONFIG", lab.kubeconfig())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

/// Creates objects from YAML.
pub fn apply(lab: &Lab, yaml: &str) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("objects.yaml");
    std::fs::write(&file, yaml).unwrap();
    kubectl(lab, &["apply", "-f", file.to_str().unwrap()]).unwrap();
}

/// Waits until the probe gives something; the last error is shown when it does not in time.
pub fn eventually<T>(what: &str, seconds: u64, mut probe: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        match probe() {
            Ok(found) => return found,
            Err(last) => assert!(Instant::now() < deadline, "{what}: {last}"),
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// The process id of a component.
pub fn pid(lab: &Lab, component: &str) -> i32 {
    let status = lab.status();
    let found = status
        .components
        .iter()
        .find(|found| found.name == component);
    found.and_then(|found| found.pid).unwrap()
}

/// Kills a component of a lab without a chance to tidy up.
pub fn kill(lab: &Lab, component: &str) {
    let pid = pid(lab, component).to_string();
    assert!(
        Command::new("kill")
            .args(["-9", &pid])
            .status()
            .unwrap()
            .success()
    );
}
