//! README.md, pasted into a terminal.

use std::{fs, process::Command};

use crate::{
    architecture::root,
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
    let pasted = Command::new("sh").args(["-euc", &script]).env("BANYAN_DATA", &shop.data).output().expect("a shell");
    let (said, complained) =
        (String::from_utf8_lossy(&pasted.stdout), String::from_utf8_lossy(&pasted.stderr));
    assert!(pasted.status.success() && complained.is_empty(), "{said}\n{complained}");
    for words in [r#""products":["#, r#""on_hand":"#, r#""state":"placed""#, "event: OrderCreated", "event: OrderShipped"] {
        assert!(said.contains(words), "{words:?} is missing:\n{said}");
    }
    assert!(!said.contains("/problems/"), "{said}");
    assert!(said.to_lowercase().contains("idempotent-replayed: true"), "{said}");
}
