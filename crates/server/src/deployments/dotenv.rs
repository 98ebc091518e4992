//! The dotenv syntax, in the part that shells, Docker Compose and the usual
//! libraries read alike.

/// A value, quoted where it must be.
///
/// Plain where it is harmless; in single quotes, which nothing is expanded in;
/// in double quotes with escapes only where it holds a single quote or a line
/// feed, which single quotes cannot.
pub(super) fn quote(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,=".contains(c);
    if value.chars().all(plain) {
        return value.to_owned();
    }
    if !value.contains(['\'', '\n', '\r', '\\']) {
        return format!("'{value}'");
    }
    let mut quoted = String::with_capacity(value.len() + 8);
    quoted.push('"');
    for c in value.chars() {
        match c {
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '"' | '\\' | '$' | '`' => quoted.extend(['\\', c]),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A comment line; what could end it early becomes a blank.
pub(super) fn comment(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("# {text}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_as_little_as_is_safe() {
        for (value, expected) in [
            ("", ""),
            ("smb", "smb"),
            ("https://llm.acme.example:8443/v1?x=1", "'https://llm.acme.example:8443/v1?x=1'"),
            ("secret://dep_1/database.url", "secret://dep_1/database.url"),
            ("two words", "'two words'"),
            ("a#b", "'a#b'"),
            ("$HOME", "'$HOME'"),
            ("say \"hi\"", "'say \"hi\"'"),
            ("it's $5", "\"it's \\$5\""),
            ("one\ntwo", "\"one\\ntwo\""),
            ("C:\\dir", "\"C:\\\\dir\""),
        ] {
            assert_eq!(quote(value), expected, "{value:?}");
        }
    }

    #[test]
    fn a_comment_cannot_end_early_and_set_a_variable() {
        assert_eq!(comment("Acme\nEVIL=1\r"), "# Acme EVIL=1 \n");
    }
}
