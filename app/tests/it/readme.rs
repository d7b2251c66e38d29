//! README.md, pasted into a terminal.

use std::{fs, process::Command};

use crate::{
    architecture::{root, sources},
    shop::{BANYAN, shop},
};

#[tokio::test]
async fn its_curl_lines_work_as_pasted() {
    let shop = shop().await;
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md");
    let section = readme.split("## By hand").nth(1).expect("the section");
    let lines = section.split("```sh\n").nth(1).and_then(|block| block.split("```").next()).expect("a block");
    for stands_there in ["http://127.0.0.1:8080", "target/release/banyan"] {
        assert!(lines.contains(stands_there), "{stands_there}");
    }
    let script = lines.replace("http://127.0.0.1:8080", &shop.api).replace("target/release/banyan", BANYAN);
    let pasted =
        Command::new("sh").args(["-euc", &script]).env("BANYAN_DATA", &shop.data).output().expect("a shell");
    let (said, complained) =
        (String::from_utf8_lossy(&pasted.stdout), String::from_utf8_lossy(&pasted.stderr));
    assert!(pasted.status.success() && complained.is_empty(), "{said}\n{complained}");
    for words in [
        r#""products":["#,
        r#""on_hand":"#,
        r#""state":"placed""#,
        "event: OrderCreated",
        "event: OrderShipped",
    ] {
        assert!(said.contains(words), "{words:?} is missing:\n{said}");
    }
    assert!(!said.contains("/problems/"), "{said}");
    assert!(said.to_lowercase().contains("idempotent-replayed: true"), "{said}");
}

#[test]
fn every_test_that_a_document_names_exists() {
    let read = |name: &str| fs::read_to_string(root().join(name)).expect("a document").replace("```", "");
    let text = ["ARCHITECTURE.md", "JOURNAL.md", "RUNBOOK.md"].map(read).join("\n");
    let sources: String = sources("").into_iter().map(|(_, source)| source).collect();
    let named = text.split('`').skip(1).step_by(2);
    let is_test = |word: &&str| {
        word.matches('_').count() >= 3
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let (mut count, mut missing) = (0, Vec::new());
    for test in named.filter(is_test) {
        count += 1;
        if !sources.contains(&format!("fn {test}(")) {
            missing.push(test);
        }
    }
    assert!(missing.is_empty(), "a document names tests that are gone: {missing:?}");
    assert!(count > 40, "the tables were not found");
}

/// Links between documents, and into the tree.
#[test]
fn no_link_is_dead() {
    let mut documents: Vec<_> =
        ["README", "ARCHITECTURE", "RUNBOOK", "JOURNAL"].map(|name| root().join(format!("{name}.md"))).into();
    documents.extend(fs::read_dir(root().join("ADRs")).expect("ADRs").flatten().map(|entry| entry.path()));
    for document in documents {
        let text = fs::read_to_string(&document).expect("a document");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap_or_default();
            if !path.is_empty() && !path.contains("://") {
                let target = document.parent().expect("a folder").join(path);
                assert!(target.exists(), "{}: {link} leads nowhere", document.display());
            }
        }
    }
}
