//! J10: why it is as it is.

use std::{fs, path::PathBuf};

use super::{Cast, Row, Shown};

pub const ROW: Row = Row {
    name: "J10",
    title: "decisions are written down",
    says: [
        "The records of decisions in ADRs/ are listed, each with its first line.",
        "A decision that is not there was not made.",
    ],
    without: &[],
    file: "ADRs",
    play: |cast| Box::pin(play(cast)),
};

async fn play(_: Cast) -> Shown {
    let entries = fs::read_dir("ADRs").into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "md"))
        .collect();
    files.sort();
    for file in &files {
        let text = fs::read_to_string(file).unwrap_or_default();
        let title = text.lines().next().unwrap_or_default().trim_start_matches(['#', ' ']).to_owned();
        println!("    {:<46} {title}", file.display());
    }
    Shown { figure: format!("{} decisions", files.len()), as_said: !files.is_empty() }
}
