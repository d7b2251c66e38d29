//! Words: a search as a person types it, for scripts that set no blank between words.
//!
//! What is written in them is kept as its pairs of letters in a row (`migrations/catalog/1005_search_without_blanks.sql`): a run of a search
//! becomes the phrase of its pairs, which is found wherever the run stands.

/// The same as in the migration.
fn is_joined(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3005}'..='\u{30ff}'
        | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// A search with its joined runs in pairs. Within quotes they are part of the phrase that stands there already.
pub(crate) fn set_apart(search: &str) -> String {
    let (mut said, mut run, mut quoted) = (String::new(), Vec::new(), false);
    for c in search.chars() {
        if is_joined(c) {
            run.push(c);
            continue;
        }
        end_run(&mut said, &mut run, quoted);
        quoted ^= c == '"';
        said.push(c);
    }
    end_run(&mut said, &mut run, quoted);
    said
}

fn end_run(said: &mut String, run: &mut Vec<char>, quoted: bool) {
    if run.is_empty() {
        return;
    }
    let pairs: Vec<String> = match run[..] {
        [one] => vec![one.to_string()],
        _ => run.windows(2).map(|pair| pair.iter().collect()).collect(),
    };
    let (pairs, mark) = (pairs.join(" "), if quoted { "" } else { "\"" });
    // What stands before may be a word of another script, or a minus, which belongs to it.
    let apart = if said.ends_with(char::is_alphanumeric) { " " } else { "" };
    said.push_str(&format!("{apart}{mark}{pairs}{mark} "));
    run.clear();
}

#[cfg(test)]
mod tests {
    use super::set_apart;

    #[test]
    fn runs_become_phrases_of_pairs_and_everything_else_stays() {
        for (search, said) in [
            ("milk -tea \"first flush\"", "milk -tea \"first flush\""),
            ("牛奶", "\"牛奶\" "),
            ("新鲜牛奶", "\"新鲜 鲜牛 牛奶\" "),
            ("奶", "\"奶\" "),
            ("-牛奶 茶", "-\"牛奶\"  \"茶\" "),
            ("\"新鲜牛 milk\"", "\"新鲜 鲜牛  milk\""),
            ("usb充電器", "usb \"充電 電器\" "),
        ] {
            assert_eq!(set_apart(search), said);
        }
    }
}
