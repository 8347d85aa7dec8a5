//! Generates the gRPC code with protox: no protoc is needed on the building machine.
use prost::Message as _;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in ["sekisho/v1", "sekisho/internal/v1"] {
        println!("cargo::rerun-if-changed={folder}");
        for file in std::fs::read_dir(folder)? {
            files.push(file?.path());
        }
    }
    files.sort();
    let descriptors = protox::compile(&files, ["."])?;
    let out = std::env::var("OUT_DIR")?;
    std::fs::write(Path::new(&out).join("descriptors.binpb"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().build_transport(false).bytes(".").compile_fds(descriptors)?;
    Ok(())
}
