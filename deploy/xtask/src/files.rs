//! The text files of the repository, read once.
//!
//! It walks the checkout instead of asking git, so that it also sees what is about to be added and works
//! in an unpacked archive. Build products and git's own files are left out; what is not UTF-8 is not text.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

/// Folders that are not ours to judge.
const SKIPPED: [&str; 2] = ["target", "node_modules"];
/// Hidden folders that are part of the product; every other one belongs to some tool.
const HIDDEN: [&str; 3] = [".cargo", ".ci", ".config"];

/// A text file of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextFile {
    /// Relative to the root, with `/`.
    pub path: String,
    /// The whole text.
    pub text: String,
}

impl TextFile {
    /// A file made up by a test, or read by [`read_all`].
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// The last part of the path.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Whether the path ends in `.rs`.
    #[must_use]
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The folder, empty for the root.
    #[must_use]
    pub fn dir(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(dir, _)| dir)
    }
}

/// Every text file below `root`, sorted by path.
///
/// # Errors
/// When a folder or file cannot be read; a dangling link is left out.
pub fn read_all(root: &Path) -> anyhow::Result<Vec<TextFile>> {
    let mut files = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        let entries = fs::read_dir(&dir).with_context(|| format!("read {}", dir.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type()?;
            let path = entry.path();
            if kind.is_dir() {
                let is_hidden = name.starts_with('.') && !HIDDEN.contains(&name.as_str());
                if !is_hidden && !SKIPPED.contains(&name.as_str()) {
                    open.push(path);
                }
            } else if kind.is_file() {
                let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
                if let Ok(text) = String::from_utf8(bytes) {
                    let relative = path.strip_prefix(root).unwrap_or(&path);
                    files.push(TextFile::new(relative.to_string_lossy().replace('\\', "/"), text));
                }
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// The names directly below `root`, sorted.
///
/// # Errors
/// When the folder cannot be read.
pub fn top_level(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root).with_context(|| format!("read {}", root.display()))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
