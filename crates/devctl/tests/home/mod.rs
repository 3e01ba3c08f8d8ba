//! The program with a home of its own.
#![allow(dead_code, reason = "not every file of tests needs all of it")]

use std::{fs, path::PathBuf};

use assert_cmd::Command;

/// A home folder with nothing in it but what a test puts there.
pub struct Home(pub tempfile::TempDir);

impl Home {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// devctl with this home and nothing of the caller's surroundings.
    pub fn devctl(&self, args: &[&str]) -> Command {
        let mut command = Command::cargo_bin("devctl").unwrap();
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.0.path())
            .args(args);
        command
    }

    pub fn stdout(&self, args: &[&str]) -> String {
        let output = self.devctl(args).assert().success().get_output().clone();
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn fails(&self, args: &[&str], code: i32) -> String {
        let output = self.devctl(args).assert().code(code).get_output().clone();
        String::from_utf8(output.stderr).unwrap()
    }
}
