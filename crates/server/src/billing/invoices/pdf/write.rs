//! Sheets become a file: PDF/A-2a, so that it can be read and listened to in ten years.
//! The library checks what the standard demands and refuses a file that breaks it.

use std::num::NonZeroU16;

use jiff::{Timestamp, tz::TimeZone};
use krilla::{
    Document, SerializeSettings,
    color::rgb,
    configure::{Configuration, Validator},
    geom::{PathBuilder, Point, Rect, Transform},
    metadata::{DateTime, Metadata},
    num::NormalizedF32,
    page::PageSettings,
    paint::Fill,
    surface::Surface,
    tagging::{
        ArtifactType, ContentTag, Identifier, Node, SpanTag, TableHeaderScope, Tag, TagGroup,
        TagKind, TagTree,
    },
    text::{GlyphId, KrillaGlyph},
};

use super::{
    font::Run,
    paper::{HEIGHT, Ink, Mark, Paper, Part, Role, Sheet, WIDTH},
};

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// What the standard forbids, or what the library could not write.
    #[error("the PDF could not be written: {0}")]
    Refused(String),
}

/// What a file says of itself.
pub(super) struct About {
    pub(super) title: String,
    pub(super) author: String,
    pub(super) id: String,
    /// The moment that the file is of; never the clock's.
    pub(super) at: Timestamp,
}

/// Writes the file.
pub(super) fn file(paper: Paper, about: &About) -> Result<Vec<u8>, Error> {
    let settings = SerializeSettings {
        configuration: Configuration::new_with_validator(Validator::A2_A),
        ..SerializeSettings::default()
    };
    let mut document = Document::new_with(settings);
    let mut leaves: Vec<Vec<Identifier>> = vec![Vec::new(); paper.parts.len()];
    for sheet in &paper.sheets {
        let size = PageSettings::from_wh(WIDTH, HEIGHT);
        let size = size.ok_or_else(|| Error::Refused("no such size of paper".to_owned()))?;
        let mut page = document.start_page_with(size);
        let mut surface = page.surface();
        draw(&mut surface, sheet, &mut leaves);
        surface.finish();
        page.finish();
    }
    document.set_tag_tree(tree(&paper.parts, leaves, &about.title));
    document.set_metadata(metadata(about));
    document.finish().map_err(|error| Error::Refused(format!("{error:?}")))
}

fn metadata(about: &About) -> Metadata {
    let at = about.at.to_zoned(TimeZone::UTC);
    let part = |value: i8| value.unsigned_abs();
    let date = DateTime::new(at.year().unsigned_abs())
        .month(part(at.month()))
        .day(part(at.day()))
        .hour(part(at.hour()))
        .minute(part(at.minute()))
        .second(part(at.second()))
        .utc_offset_hour(0)
        .utc_offset_minute(0);
    Metadata::new()
        .title(about.title.clone())
        .authors(vec![about.author.clone()])
        .creator("Tenure".to_owned())
        .language("en".to_owned())
        .document_id(about.id.clone())
        .creation_date(date)
}

fn fill(ink: Ink) -> Fill {
    let (red, green, blue) = match ink {
        Ink::Text => (0x13, 0x16, 0x1b),
        Ink::Muted => (0x57, 0x5f, 0x6c),
        Ink::Line => (0xd5, 0xd9, 0xe0),
        Ink::Stamp => (0xf3, 0xf0, 0xf0),
        Ink::Alarm => (0xb0, 0x23, 0x18),
    };
    let paint = rgb::Color::new(red, green, blue).into();
    Fill { paint, opacity: NormalizedF32::ONE, rule: Default::default() }
}

fn draw(surface: &mut Surface<'_>, sheet: &Sheet, leaves: &mut [Vec<Identifier>]) {
    surface.set_stroke(None);
    for mark in &sheet.marks {
        let part = match mark {
            Mark::Text { part, .. } => *part,
            Mark::Rule { .. } | Mark::Stamp { .. } => None,
        };
        let tag = match (part, mark) {
            (Some(_), _) => ContentTag::Span(SpanTag::empty()),
            (None, Mark::Text { .. }) => ContentTag::Artifact(ArtifactType::Header),
            (None, _) => ContentTag::Artifact(ArtifactType::Other),
        };
        let leaf = surface.start_tagged(tag);
        draw_mark(surface, mark);
        surface.end_tagged();
        if let Some(leaves) = part.and_then(|part| leaves.get_mut(part)) {
            leaves.push(leaf);
        }
    }
}

fn draw_mark(surface: &mut Surface<'_>, mark: &Mark) {
    match mark {
        Mark::Text { x, y, style, run, .. } => {
            surface.set_fill(Some(fill(style.ink)));
            text(surface, (*x, *y), style.size, run);
        }
        Mark::Rule { x, y, width, weight, ink } => {
            let mut path = PathBuilder::new();
            if let Some(rect) = Rect::from_xywh(*x, *y - weight / 2.0, *width, *weight) {
                path.push_rect(rect);
            }
            surface.set_fill(Some(fill(*ink)));
            if let Some(path) = path.finish() {
                surface.draw_path(&path);
            }
        }
        Mark::Stamp { run, size } => {
            surface.set_fill(Some(fill(Ink::Stamp)));
            // Thirty degrees upwards around the middle of the sheet.
            let (sin, cos) = (-0.5, 0.866_025_4);
            let turned = Transform::from_row(cos, sin, -sin, cos, WIDTH / 2.0, HEIGHT / 2.0);
            surface.push_transform(&turned);
            text(surface, (-run.width * size / 2.0, size * 0.36), *size, run);
            surface.pop();
        }
    }
}

fn text(surface: &mut Surface<'_>, (x, y): (f32, f32), size: f32, run: &Run) {
    let signs: Vec<KrillaGlyph> = run
        .signs
        .iter()
        .map(|sign| {
            let id = GlyphId::new(sign.id);
            KrillaGlyph::new(id, sign.advance, sign.x, sign.y, 0.0, sign.of.clone(), None)
        })
        .collect();
    let font = run.weight.face().font.clone();
    surface.draw_glyphs(Point::from_xy(x, y), &signs, font, &run.text, size, false);
}

fn tag(role: Role, title: &str) -> TagKind {
    match role {
        Role::Title => Tag::Hn(NonZeroU16::MIN, Some(title.to_owned())).into(),
        Role::Paragraph => Tag::P.into(),
        Role::Table => Tag::Table.into(),
        Role::Head => Tag::THead.into(),
        Role::Body => Tag::TBody.into(),
        Role::Row => Tag::TR.into(),
        Role::ColumnName => Tag::TH(TableHeaderScope::Column).into(),
        Role::RowName => Tag::TH(TableHeaderScope::Row).into(),
        Role::Cell => Tag::TD.into(),
    }
}

/// The structure, in the order in which the parts were begun.
fn tree(parts: &[(Role, Option<Part>)], leaves: Vec<Vec<Identifier>>, title: &str) -> TagTree {
    let groups = parts.iter().zip(leaves).map(|((role, _), leaves)| {
        let leaves = leaves.into_iter().map(Node::Leaf).collect();
        Some(TagGroup::with_children(tag(*role, title), leaves))
    });
    let mut groups: Vec<Option<TagGroup>> = groups.collect();
    let mut tree = TagTree::new();
    // A part comes after the one that it is in: from the last on, each is whole when it is
    // handed over. Children arrive in reverse and are turned round in the end.
    let mut inside: Vec<Vec<TagGroup>> = parts.iter().map(|_| Vec::new()).collect();
    let mut outermost = Vec::new();
    for index in (0..parts.len()).rev() {
        let Some(mut group) = groups[index].take() else { continue };
        for child in std::mem::take(&mut inside[index]).into_iter().rev() {
            group.push(child);
        }
        match parts[index].1 {
            Some(parent) => inside[parent].push(group),
            None => outermost.push(group),
        }
    }
    for group in outermost.into_iter().rev() {
        tree.push(group);
    }
    tree
}
