//! Writes the three definitions into the folder given: `crdgen charts/devserver-platform/crds`.

use std::{error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("usage: crdgen FOLDER")?);
    fs::create_dir_all(&folder)?;
    for (file, crd) in devserver_api::crds::all() {
        fs::write(folder.join(file), devserver_api::crds::yaml(&crd)?)?;
    }
    Ok(())
}
