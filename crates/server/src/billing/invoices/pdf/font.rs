//! The two faces of the document, and texts set in them.
//!
//! Inter covers Latin, Greek and Cyrillic. What it has no sign for is shown as an
//! empty box: a document that is kept for ten years may not depend on the fonts of
//! whoever opens it.

use std::{ops::Range, sync::LazyLock};

use krilla::text::Font;
use rustybuzz::{Direction, Feature, ShapePlan, UnicodeBuffer, script, ttf_parser::Tag};

static REGULAR_FILE: &[u8] = include_bytes!("../../../../assets/fonts/Inter-Regular.otf");
static SEMI_BOLD_FILE: &[u8] = include_bytes!("../../../../assets/fonts/Inter-SemiBold.otf");

/// Stands for what the face has no sign for.
const UNKNOWN: char = '\u{25a1}';

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    Regular,
    SemiBold,
}

/// A face: what draws it and what measures it.
pub(super) struct Face {
    pub(super) font: Font,
    shaper: rustybuzz::Face<'static>,
    /// For every text: the faces tell no scripts apart, and making one is most of the work.
    plan: ShapePlan,
    units: f32,
}

impl Face {
    fn new(file: &'static [u8]) -> Self {
        let font = Font::new(file.to_vec().into(), 0).expect("the embedded font is a font");
        let shaper =
            rustybuzz::Face::from_slice(file, 0).expect("the embedded font can be measured");
        let units = shaper.units_per_em() as f32;
        let (to, latin) = (Direction::LeftToRight, Some(script::LATIN));
        let plan = ShapePlan::new(&shaper, to, latin, None, &features());
        Self { font, shaper, plan, units }
    }
}

static REGULAR: LazyLock<Face> = LazyLock::new(|| Face::new(REGULAR_FILE));
static SEMI_BOLD: LazyLock<Face> = LazyLock::new(|| Face::new(SEMI_BOLD_FILE));

impl Weight {
    pub(super) fn face(self) -> &'static Face {
        match self {
            Self::Regular => &REGULAR,
            Self::SemiBold => &SEMI_BOLD,
        }
    }
}

/// A sign at its place; lengths in parts of the size.
#[derive(Debug, Clone)]
pub(super) struct Sign {
    pub(super) id: u32,
    pub(super) advance: f32,
    pub(super) x: f32,
    pub(super) y: f32,
    /// The bytes of the text that it shows.
    pub(super) of: Range<usize>,
}

/// A text of one line, set.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) text: String,
    pub(super) weight: Weight,
    pub(super) signs: Vec<Sign>,
    /// In parts of the size.
    pub(super) width: f32,
}

/// Figures of equal width; nothing that joins or replaces letters.
fn features() -> [Feature; 4] {
    let feature = |name: &[u8; 4], on: u32| Feature::new(Tag::from_bytes(name), on, ..);
    [feature(b"tnum", 1), feature(b"calt", 0), feature(b"liga", 0), feature(b"ccmp", 1)]
}

/// Sets a text in one line.
pub(super) fn set(text: &str, weight: Weight) -> Run {
    let face = weight.face();
    let text = plain(text, face);
    let mut buffer = UnicodeBuffer::new();
    buffer.push_str(&text);
    // Nothing that the faces have is written from the right.
    buffer.set_direction(Direction::LeftToRight);
    buffer.set_script(script::LATIN);
    let shaped = rustybuzz::shape_with_plan(&face.shaper, &face.plan, buffer);
    let starts: Vec<usize> =
        shaped.glyph_infos().iter().map(|info| info.cluster as usize).collect();
    let placed = shaped.glyph_infos().iter().zip(shaped.glyph_positions());
    let part = |length: i32| length as f32 / face.units;
    let signs: Vec<Sign> = placed
        .map(|(info, at)| {
            let start = info.cluster as usize;
            let end = starts.iter().copied().find(|next| *next > start).unwrap_or(text.len());
            Sign {
                id: info.glyph_id,
                advance: part(at.x_advance),
                x: part(at.x_offset),
                y: part(at.y_offset),
                of: start..end,
            }
        })
        .collect();
    let width = signs.iter().map(|sign| sign.advance).sum();
    Run { text, weight, signs, width }
}

/// The text with nothing in it that the face cannot show.
fn plain(text: &str, face: &Face) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            letter if letter.is_whitespace() || letter.is_control() => plain.push(' '),
            letter if is_invisible(letter) => {}
            letter if is_private(letter) || face.shaper.glyph_index(letter).is_none() => {
                plain.push(UNKNOWN);
            }
            letter => plain.push(letter),
        }
    }
    plain
}

/// Signs that only steer how others are shown.
fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}

/// Signs that mean something to one font only: no document for an archive has any.
fn is_private(letter: char) -> bool {
    matches!(letter, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}')
}

/// Sets a text in lines that are no wider than `width` (in parts of the size): broken
/// at spaces, and inside a word where one alone is wider. A line that ends at a space
/// keeps it: whoever listens would hear two words as one.
pub(super) fn wrap(text: &str, weight: Weight, width: f32) -> Vec<Run> {
    let fits = |text: &str| set(text, weight).width <= width;
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split_whitespace() {
        for (index, part) in parts(word, weight, width).into_iter().enumerate() {
            let longer = match (line.is_empty(), index) {
                (true, _) => part.clone(),
                (false, 0) => format!("{line} {part}"),
                (false, _) => format!("{line}{part}"),
            };
            if line.is_empty() || fits(&longer) {
                line = longer;
            } else {
                lines.push(ended(&line, weight, index == 0));
                line = part;
            }
        }
    }
    if !line.is_empty() {
        lines.push(set(&line, weight));
    }
    lines
}

/// A line that goes on; a space at its end has no width.
fn ended(line: &str, weight: Weight, at_space: bool) -> Run {
    let run = set(line, weight);
    if !at_space {
        return run;
    }
    Run { width: run.width, ..set(&format!("{} ", run.text), weight) }
}

/// A word in parts that fit; one letter fits always.
fn parts(word: &str, weight: Weight, width: f32) -> Vec<String> {
    if set(word, weight).width <= width {
        return vec![word.to_owned()];
    }
    let (mut parts, mut part) = (Vec::new(), String::new());
    for letter in word.chars() {
        part.push(letter);
        if set(&part, weight).width > width && part.chars().count() > 1 {
            part.pop();
            parts.push(std::mem::replace(&mut part, letter.to_string()));
        }
    }
    parts.push(part);
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn figures_are_equally_wide() {
        let width = |text: &str| set(text, Weight::Regular).width;
        assert_eq!(width("111.11"), width("888.88"));
        assert!(set("Ω Ж ß é €", Weight::SemiBold).text.chars().all(|letter| letter != UNKNOWN));
        assert_eq!(set("株 \u{e001}\u{200b}", Weight::Regular).text, "□ □");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn lines_fit_and_keep_every_letter(text in "\\PC{0,200}", width in 2.0f32..40.0) {
            let lines = wrap(&text, Weight::Regular, width);
            for line in &lines {
                let alone = line.text.trim_end().chars().count() <= 1;
                prop_assert!(line.width <= width + 0.01 || alone, "{} > {width}", line.width);
            }
            let letters = |text: &str| -> String {
                text.chars().filter(|letter| !letter.is_whitespace()).collect()
            };
            let kept: String = lines.iter().map(|line| letters(&line.text)).collect();
            prop_assert_eq!(kept, letters(&plain(&text, Weight::Regular.face())));
        }
    }
}
