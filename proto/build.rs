//! Generates the gRPC code with protox: no protoc is needed on the building machine.
use prost::Message as _;
use std::path::{Path, PathBuf};

/// Where our own files are, and those that others have of the same services.
const FOLDERS: [&str; 3] = ["sekisho/v1", "sekisho/internal/v1", "google/longrunning"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in FOLDERS {
        println!("cargo::rerun-if-changed={folder}");
        for file in std::fs::read_dir(folder)? {
            files.push(file?.path());
        }
    }
    files.sort();
    let mut descriptors = protox::compile(&files, ["."])?;
    let out = std::env::var("OUT_DIR")?;
    let out = Path::new(&out);
    std::fs::write(out.join("descriptors.binpb"), descriptors.encode_to_vec())?;
    let mut public = descriptors.clone();
    public.file.retain(|file| !file.name().starts_with("sekisho/internal/"));
    std::fs::write(out.join("public.binpb"), public.encode_to_vec())?;
    // Examples in the comments of vendored files are no Rust.
    let vendored = descriptors.file.iter_mut().filter(|file| file.name().starts_with("google/"));
    vendored.for_each(|file| file.source_code_info = None);
    tonic_prost_build::configure().build_transport(false).bytes(".").compile_fds(descriptors)?;
    Ok(())
}
