//! Arguments of `devctl login` and `devctl logout`.

use std::path::PathBuf;

use clap::Args;

#[derive(Args, Debug)]
pub struct Login {
    /// Address of the console, such as https://console.example.com: log in there with a browser, on any device
    #[arg(long, value_name = "URL")]
    pub console: Option<String>,
    /// File with the certificates (PEM) that vouch for the console; default: those of this machine
    #[arg(long, value_name = "FILE", requires = "console")]
    pub certificate_authority: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct Credential {
    /// Identity provider
    #[arg(long, value_name = "URL")]
    pub issuer: String,
    /// How it knows devctl
    #[arg(long, value_name = "ID")]
    pub client_id: String,
    /// Context that was logged in
    #[arg(long, value_name = "NAME")]
    pub login: String,
}
