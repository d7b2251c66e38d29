//! Texts that people write and read.

/// The first character of a text that nobody sees: one that controls, that turns what stands beside it around (Unicode's
/// bidirectional marks, with which a name reads as another), or that only hides. The two that join letters or keep them apart are
/// none of these: Persian, Hindi and others are written with them.
#[must_use]
pub fn unseen(text: &str) -> Option<char> {
    text.chars().find(|c| is_unseen(*c))
}

/// Controls (Cc), line and paragraph separators (Zl, Zp), and formats (Cf) but U+200C and U+200D.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}' | '\u{891}' | '\u{8e2}'
            | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_controls_hides_or_turns_around_is_seen_for_what_it_is() {
        for plain in [
            "Ada",
            "Žofie Ďurďová",
            "نیلوفر",
            "علی\u{200c}رضا",
            "क\u{94d}\u{200d}ष",
            "李雷",
            "O'Brien-Núñez",
            "👩\u{200d}🚀",
            "",
        ] {
            assert_eq!(unseen(plain), None, "{plain}");
        }
        for hidden in [
            '\0',
            '\t',
            '\n',
            '\u{7f}',
            '\u{85}',
            '\u{ad}',
            '\u{200b}',
            '\u{200f}',
            '\u{2028}',
            '\u{feff}',
            '\u{e0041}',
        ]
        .into_iter()
        .chain('\u{202a}'..='\u{202e}')
        .chain('\u{2066}'..='\u{2069}')
        {
            assert_eq!(unseen(&format!("Ada {hidden}Lovelace")), Some(hidden), "U+{:04X}", u32::from(hidden));
        }
    }
}
