//! The gateway against OpenSSH's own `ProxyJump` through an sshd on the same machine, and against no hop at all: the same
//! client, the same sshd in the environment, in turn. Far away, a user-space relay stands between client and hop and holds
//! each byte back.

mod client;
mod delay;
mod environments;
mod hops;
mod quiet;
mod sessions;
mod site;
mod stock;
mod ways;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use kube::Client;
use serde_json::{Map, Value, json};

use self::{
    client::Clients,
    hops::{Distance, Hops},
    site::Site,
    stock::Direction,
    ways::{Samples, Way},
};
use crate::cluster;

pub use quiet::serve as serve_quietly;

/// How much, with what.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Logins of each way at each distance.
    #[arg(long, default_value_t = 15)]
    logins: usize,
    /// Copies of each way in each direction at each distance.
    #[arg(long, default_value_t = 5)]
    copies: usize,
    /// MiB of a copy without delay; a quarter at less than 100 ms, an eighth beyond.
    #[arg(long, default_value_t = 512)]
    mib: usize,
    /// Round trips in milliseconds.
    #[arg(long, value_delimiter = ',', default_value = "0,50,150")]
    round_trips: Vec<u64>,
    /// Idle sessions whose memory is compared.
    #[arg(long, default_value_t = 100)]
    idle: usize,
    /// Sessions at once.
    #[arg(long, default_value_t = 500)]
    at_once: usize,
    /// Idle connections of the gateway alone.
    #[arg(long, default_value_t = 5000)]
    many: usize,
    /// The OpenSSH server of the environment and of the jump host.
    #[arg(long, env = "DEVSERVER_SSHD", default_value = "/usr/sbin/sshd")]
    sshd: PathBuf,
}

/// Measures all ways in turn.
pub async fn measure(options: Options) -> Result<Value> {
    let cluster = Client::try_default().await?;
    let namespace = format!("bench-{}-gateway", std::process::id());
    let site = Site::new(&options.sshd).await?;
    let key = site.public_key("id")?;
    let port = environments::create(&cluster, &namespace, &key).await?;
    let hops = Hops::start(&site, &namespace, port).await?;
    let _quiet = site.quiet(port).await?;
    let figures = all(&site, &hops, &options).await;
    cluster::remove(&cluster, &namespace).await;
    figures.with_context(|| hops::last_words(&site))
}

async fn all(site: &Site, hops: &Hops, options: &Options) -> Result<Value> {
    let mut figures = Map::new();
    figures.insert("ssh".to_owned(), json!(stock::version("ssh").await?));
    let sshd = options.sshd.display().to_string();
    figures.insert("sshd".to_owned(), json!(stock::version(&sshd).await?));
    for millis in &options.round_trips {
        let distance = Distance::new(site, hops, Duration::from_millis(*millis)).await?;
        let seen = far(hops, &distance, *millis, options).await?;
        figures.insert(format!("round_trip_{millis}_ms"), seen);
    }
    let clients = Clients::new(&site.path("id"))?;
    let memory = sessions::idle_memory(hops, &clients, options.idle).await?;
    figures.insert("idle_memory_mib".to_owned(), memory);
    let at_once = sessions::at_once(hops, &clients, options.at_once).await?;
    figures.insert("at_once".to_owned(), at_once);
    let many = sessions::many_idle(hops, &clients, options.many).await?;
    figures.insert("many_idle".to_owned(), many);
    Ok(Value::Object(figures))
}

async fn far(hops: &Hops, distance: &Distance, millis: u64, options: &Options) -> Result<Value> {
    // The gateway has a post-quantum key exchange that older clients do not know, and OpenSSH has one that the gateway does not:
    // with the same one in both, what is left is the rest of logging in.
    let (config, same) = (&distance.config, &distance.same_key_exchange);
    let (mut connect, mut connect_same) = (Samples::default(), Samples::default());
    for _ in 0..options.logins {
        for way in Way::ALL {
            connect.push(way, stock::connect(config, way).await?);
        }
    }
    for _ in 0..options.logins {
        for way in Way::ALL {
            connect_same.push(way, stock::connect(same, way).await?);
        }
    }
    let mut figures = json!({
        "connect_seconds": connect.to_json(),
        "connect_seconds_same_key_exchange": connect_same.to_json(),
    });
    let mib = match millis {
        0 => options.mib,
        1..100 => options.mib / 4,
        _ => options.mib / 8,
    };
    for (word, direction) in [("up", Direction::Up), ("down", Direction::Down)] {
        let (rate, cpu) = copies(hops, distance, direction, mib, options.copies).await?;
        figures[format!("{word}_mb_per_second")] = rate.to_json();
        figures[format!("{word}_hop_cpu_seconds_per_gb")] = cpu.to_json();
    }
    eprintln!("{millis} ms: {figures}");
    Ok(figures)
}

/// Megabytes per second, and processor seconds of the hop per gigabyte.
async fn copies(
    hops: &Hops,
    distance: &Distance,
    direction: Direction,
    mib: usize,
    rounds: usize,
) -> Result<(Samples, Samples)> {
    let (mut rate, mut cpu) = (Samples::default(), Samples::default());
    let bytes = f64::from(u32::try_from(mib)?) * f64::from(1 << 20);
    for _ in 0..rounds {
        for way in Way::ALL {
            let hop = hops.pid(way)?;
            let copied = stock::copy(&distance.config, way, direction, mib, hop).await?;
            rate.push(way, bytes / 1e6 / copied.seconds);
            if let Some(seconds) = copied.hop_cpu_seconds {
                cpu.push(way, seconds / (bytes / 1e9));
            }
        }
    }
    Ok((rate, cpu))
}
