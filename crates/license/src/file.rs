//! The `.lic` file: a license that is carried by hand.
//!
//! ```text
//! -----BEGIN TENURE LICENSE-----
//! eyJhbGciOiJSUzI1NiIsInR5cCI6InRlbnVyZS1saWNlbnNlK2p3dCIsImtpZCI6
//! ...
//! -----END TENURE LICENSE-----
//! ```
//!
//! Receipts, revocation lists, requests and returns are carried in the same form.
//!
//! Owns: the armour, 64 characters a line, LF or CRLF. Refuses: anything
//! outside it. There are no lines for people with names and dates: nobody signs
//! them, so somebody would believe a forged one. `tenure license verify` prints
//! what the signature covers.

use crate::{
    text::{ARMOUR_LINE_LEN, armour},
    token::{Kind, TOKEN_LEN_MAX},
};

/// Largest license file, in bytes: the longest token, two bytes a line, and the armour.
pub const FILE_LEN_MAX: usize = len_max(TOKEN_LEN_MAX);

const fn len_max(token: usize) -> usize {
    token + 2 * (token / ARMOUR_LINE_LEN) + 160
}

/// What a file carries. A usage report is a file of its own form ([`crate::ledger`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A license (`.lic`).
    License,
    /// What was taken back.
    Revocations,
    /// The answer to a usage report.
    Receipt,
    /// An instance asks for a license.
    Request,
    /// An instance gives its license back.
    Return,
}

impl FileKind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::License, Self::Revocations, Self::Receipt, Self::Request, Self::Return];

    const fn label(self) -> &'static str {
        match self {
            Self::License => "TENURE LICENSE",
            Self::Revocations => "TENURE REVOCATIONS",
            Self::Receipt => "TENURE RECEIPT",
            Self::Request => "TENURE REQUEST",
            Self::Return => "TENURE RETURN",
        }
    }

    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::License => "license file",
            Self::Revocations => "revocation list",
            Self::Receipt => "receipt file",
            Self::Request => "request file",
            Self::Return => "return file",
        }
    }

    /// Largest file, in bytes.
    pub const fn len_max(self) -> usize {
        match self {
            Self::Revocations => len_max(Kind::Revocations.len_max()),
            _ => FILE_LEN_MAX,
        }
    }

    fn begin(self) -> String {
        format!("-----BEGIN {}-----", self.label())
    }

    fn end(self) -> String {
        format!("-----END {}-----", self.label())
    }

    /// The kind that a file says it is, by its first line; nothing else was checked.
    pub fn of(file: &str) -> Option<Self> {
        let first = file.lines().next()?;
        Self::ALL.into_iter().find(|kind| first == kind.begin())
    }
}

/// Why a text is not a file of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// Longer than [`FileKind::len_max`].
    #[error("the {name} has {1} bytes; at most {max} are read", name = .0.name(), max = .0.len_max())]
    TooLarge(FileKind, usize),
    /// Not text that an editor saved plainly.
    #[error("the {} is not plain ASCII text; was it saved in another encoding?", .0.name())]
    NotPlain(FileKind),
    /// Something else than the BEGIN line comes first.
    #[error("the {} must begin with `{}`; remove whatever stands before it", .0.name(), .0.begin())]
    Begin(FileKind),
    /// The END line is missing.
    #[error("the {} lacks its last line, `{}`; was it cut off?", .0.name(), .0.end())]
    End(FileKind),
    /// Something follows the END line.
    #[error("line {1}: nothing may follow `{end}`", end = .0.end())]
    Trailing(FileKind, usize),
    /// A line that is not part of a token.
    #[error(
        "line {0} is not part of a license: expected {ARMOUR_LINE_LEN} characters of base64url; was the file re-wrapped or edited?"
    )]
    Line(usize),
    /// LF and CRLF mixed.
    #[error("line {0}: line ends are mixed; all must be LF, or all CRLF")]
    LineEnds(usize),
}

impl FileError {
    /// The stable name of the reason.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge(..) => "file_too_large",
            Self::NotPlain(_) => "file_not_plain",
            Self::Begin(_) => "file_no_begin",
            Self::End(_) => "file_no_end",
            Self::Trailing(..) => "file_trailing",
            Self::Line(_) => "file_bad_line",
            Self::LineEnds(_) => "file_mixed_line_ends",
        }
    }
}

/// The license file that carries `token`, with LF.
pub fn write(token: &str) -> String {
    write_kind(FileKind::License, token)
}

/// The file of a kind that carries `token`, with LF.
pub fn write_kind(kind: FileKind, token: &str) -> String {
    armour(kind.label(), token)
}

/// The token inside a license file; it has yet to be verified.
pub fn read(file: &str) -> Result<String, FileError> {
    read_kind(FileKind::License, file)
}

/// The token inside a file of a kind; it has yet to be verified.
pub fn read_kind(kind: FileKind, file: &str) -> Result<String, FileError> {
    if file.len() > kind.len_max() {
        return Err(FileError::TooLarge(kind, file.len()));
    }
    if !file.is_ascii() || file.contains('\0') {
        return Err(FileError::NotPlain(kind));
    }
    let (begin, end) = (kind.begin(), kind.end());
    let mut lines = split(file)?.into_iter().enumerate();
    if lines.next().map(|(_, line)| line) != Some(&*begin) {
        return Err(FileError::Begin(kind));
    }
    let mut token = String::with_capacity(file.len());
    let mut short = None;
    for (index, line) in lines.by_ref() {
        if line == end {
            return match lines.next() {
                Some((index, _)) => Err(FileError::Trailing(kind, index + 1)),
                None if token.is_empty() => Err(FileError::Line(index + 1)),
                None => Ok(token),
            };
        }
        if line.is_empty() || line.len() > ARMOUR_LINE_LEN || !line.bytes().all(is_token_byte) {
            return Err(FileError::Line(index + 1));
        }
        // Only the last line may be short, or the same token had many files.
        if let Some(short) = short {
            return Err(FileError::Line(short));
        }
        let full = line.len() == ARMOUR_LINE_LEN;
        short = (!full).then_some(index + 1);
        token.push_str(line);
    }
    Err(FileError::End(kind))
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// The lines without their ends, which must all be alike; the last line's may lack.
fn split(file: &str) -> Result<Vec<&str>, FileError> {
    let body = file.strip_suffix('\n').unwrap_or(file);
    let crlf = file.contains("\r\n");
    let count = body.split('\n').count();
    let ended = body.len() < file.len();
    body.split('\n')
        .enumerate()
        .map(|(index, line)| {
            let has_end = ended || index + 1 < count;
            let bare = match (crlf && has_end, line.strip_suffix('\r')) {
                (true, Some(bare)) => bare,
                (false, None) => line,
                _ => return Err(FileError::LineEnds(index + 1)),
            };
            if bare.contains('\r') { Err(FileError::LineEnds(index + 1)) } else { Ok(bare) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use FileKind::License;

    const BEGIN: &str = "-----BEGIN TENURE LICENSE-----";
    const END: &str = "-----END TENURE LICENSE-----";

    fn token(len: usize) -> String {
        "aB3-_.".chars().cycle().take(len).collect()
    }

    #[test]
    fn a_file_holds_the_token_and_nothing_else() {
        let file = write(&token(100));
        let lines: Vec<&str> = file.lines().collect();
        assert_eq!((lines[0], lines[3]), (BEGIN, END));
        assert_eq!((lines[1].len(), lines[2].len()), (64, 36));
        assert_eq!(read(&file).unwrap(), token(100));
    }

    #[test]
    fn both_line_ends_are_read_but_not_mixed() {
        let file = write(&token(200));
        let crlf = file.replace('\n', "\r\n");
        assert_eq!(read(&crlf).unwrap(), token(200));
        assert_eq!(read(crlf.trim_end()).unwrap(), token(200));
        assert_eq!(read(file.trim_end()).unwrap(), token(200));
        assert_eq!(read(&file.replacen('\n', "\r\n", 1)), Err(FileError::LineEnds(2)));
        assert_eq!(read(&crlf.replacen("\r\n", "\n", 1)), Err(FileError::LineEnds(1)));
    }

    #[test]
    fn each_mistake_is_named_with_its_line() {
        let file = write(&token(200));
        assert_eq!(read(""), Err(FileError::Begin(License)));
        assert_eq!(read(&format!("Customer: Acme\n{file}")), Err(FileError::Begin(License)));
        assert_eq!(read(&format!("{file}Expires: never\n")), Err(FileError::Trailing(License, 7)));
        assert_eq!(read(&format!("{file}\n")), Err(FileError::Trailing(License, 7)));
        assert_eq!(read(&file.replace(END, "")), Err(FileError::Line(6)));
        assert_eq!(read(file.split(END).next().unwrap()), Err(FileError::End(License)));
        assert_eq!(read(&file.replacen("aB3", "Name: x", 1)), Err(FileError::Line(2)));
        assert_eq!(read(&format!("\u{feff}{file}")), Err(FileError::NotPlain(License)));
        let wrapped = file.replacen("aB3", "aB\n3", 1);
        assert_eq!(read(&wrapped), Err(FileError::Line(2)));
        assert_eq!(read(&write("")), Err(FileError::Line(2)));
        assert_eq!(
            read(&"x".repeat(FILE_LEN_MAX + 1)),
            Err(FileError::TooLarge(License, FILE_LEN_MAX + 1))
        );
    }

    #[test]
    fn a_file_of_one_kind_is_not_read_as_another() {
        for kind in FileKind::ALL {
            let file = write_kind(kind, &token(100));
            assert_eq!(FileKind::of(&file), Some(kind));
            for other in FileKind::ALL {
                assert_eq!(read_kind(other, &file).is_ok(), other == kind);
            }
        }
        assert_eq!(FileKind::of("-----BEGIN CERTIFICATE-----"), None);
    }

    #[test]
    fn the_longest_token_fits_a_file() {
        let file = write(&token(TOKEN_LEN_MAX)).replace('\n', "\r\n");
        assert_eq!(read(&file).unwrap().len(), TOKEN_LEN_MAX);
    }

    proptest! {
        #[test]
        fn every_token_reads_back(len in 1usize..400) {
            prop_assert_eq!(read(&write(&token(len))).unwrap(), token(len));
        }

        #[test]
        fn a_token_has_one_file_a_line_end(len in 1usize..400, at: prop::sample::Index, c: char) {
            let file = write(&token(len));
            let mut changed: Vec<char> = file.chars().collect();
            let at = at.index(changed.len());
            changed[at] = c;
            let changed: String = changed.into_iter().collect();
            if changed != file && let Ok(read) = read(&changed) {
                prop_assert_ne!(read, token(len));
            }
        }
    }
}
