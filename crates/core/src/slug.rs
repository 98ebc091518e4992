//! Readable names for machines: `Acme Corp` becomes `acme-corp`.

/// Longest slug, in bytes; leaves room for suffixes inside a 63-byte DNS label.
pub const SLUG_LEN_MAX: usize = 48;

/// A slug of lower-case letters, digits and single dashes, at most
/// [`SLUG_LEN_MAX`] bytes; `None` when nothing readable remains.
pub fn slugify(name: &str) -> Option<String> {
    let full = slug::slugify(name);
    let cut = full.get(..SLUG_LEN_MAX).unwrap_or(&full).trim_matches('-');
    (!cut.is_empty()).then(|| cut.to_owned())
}

/// Whether `text` is already a slug.
pub fn is_slug(text: &str) -> bool {
    slugify(text).as_deref() == Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_become_slugs() {
        assert_eq!(slugify("Acme Corp").as_deref(), Some("acme-corp"));
        assert_eq!(slugify("Zürich Löwenbräu AG").as_deref(), Some("zurich-lowenbrau-ag"));
        assert_eq!(slugify("!!!"), None);
    }

    proptest! {
        #[test]
        fn a_slug_of_a_slug_is_itself(name in "\\PC{0,80}") {
            if let Some(slug) = slugify(&name) {
                prop_assert!(is_slug(&slug), "{}", slug);
            }
        }
    }
}
