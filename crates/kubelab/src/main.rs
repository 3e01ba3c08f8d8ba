//! `kubelab`: a real one-node Kubernetes on this machine.

use std::process::ExitCode;

fn main() -> ExitCode {
    kubelab::cli::main()
}
