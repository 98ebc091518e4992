//! Many raw events as one compressed value.
//!
//! Columns rather than rows, so that like stands beside like: a thousand events
//! of one producer take a few bytes each. Owns the format; nobody else looks
//! inside. Refuses: bytes that it did not write, without believing any length
//! in them.

use std::collections::HashMap;

use jiff::Timestamp;
use rust_decimal::Decimal;

/// Events of one chunk at most: what finding a single event has to unpack.
pub(super) const CHUNK_EVENTS_MAX: usize = 4_096;
/// Unpacked bytes of one chunk at most. A record's texts are at most some 1,600 bytes.
const CHUNK_BYTES_MAX: usize = CHUNK_EVENTS_MAX * 2_048;
/// The first byte of a body.
const VERSION: u8 = 1;
/// The fastest level costs less time than the disk that it saves.
const LEVEL: i32 = 1;

/// What one meter counts of an event; of an event that no meter counts, the
/// meter is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record<'a> {
    /// The meter's id in the product file: its number is another in each installation.
    pub(super) meter: &'a str,
    pub(super) time: Timestamp,
    pub(super) quantity: Decimal,
    pub(super) member: Option<&'a str>,
    pub(super) dimension: &'a str,
    pub(super) source: &'a str,
    pub(super) id: &'a str,
    /// Epoch and number, for events of the numbered lane; theirs alone keep `payload`.
    pub(super) sequence: Option<(i64, i64)>,
    /// Tells a repetition from another event under the same number.
    pub(super) payload: i64,
}

/// The body of a chunk is not what this program wrote.
#[derive(Debug, thiserror::Error)]
#[error("a chunk of usage cannot be read: {0}")]
pub(super) struct Corrupt(&'static str);

/// The columns, in their order.
const COLUMNS: usize = 9;

/// The bytes of some records.
pub(super) fn encode(records: &[Record<'_>]) -> std::io::Result<Vec<u8>> {
    let mut texts = Texts::default();
    let mut columns: [Vec<u8>; COLUMNS] = std::array::from_fn(|_| Vec::new());
    let [meters, sources, dimensions, times, ids, scales, mantissas, members, numbers] =
        &mut columns;
    let (mut time, mut id, mut before) = (0i64, "", (0i64, 0i64));
    for record in records {
        put(meters, texts.number(record.meter).into());
        put(sources, texts.number(record.source).into());
        put(dimensions, texts.number(record.dimension).into());
        let at = record.time.as_microsecond();
        put(times, zigzag(at.wrapping_sub(time)));
        time = at;
        let shared = shared(id, record.id);
        put(ids, shared as u128);
        put_text(ids, &record.id[shared..]);
        id = record.id;
        put(scales, record.quantity.scale().into());
        put(mantissas, record.quantity.mantissa().unsigned_abs());
        match record.member {
            Some(member) => {
                members.push(1);
                put_text(members, member);
            }
            None => members.push(0),
        }
        match record.sequence {
            Some((epoch, number)) => {
                numbers.push(1);
                put(numbers, zigzag(epoch.wrapping_sub(before.0)));
                put(numbers, zigzag(number.wrapping_sub(before.1)));
                numbers.extend_from_slice(&record.payload.to_be_bytes());
                before = (epoch, number);
            }
            None => numbers.push(0),
        }
    }
    let mut plain = vec![VERSION];
    put(&mut plain, records.len() as u128);
    put(&mut plain, texts.all.len() as u128);
    for text in texts.all {
        put_text(&mut plain, text);
    }
    for column in &columns {
        put(&mut plain, column.len() as u128);
        plain.extend_from_slice(column);
    }
    zstd::bulk::compress(&plain, LEVEL)
}

/// Unpacked bytes, to be read with [`Unpacked::records`].
pub(super) struct Unpacked(Vec<u8>);

impl Unpacked {
    pub(super) fn new(body: &[u8]) -> Result<Self, Corrupt> {
        let plain = zstd::bulk::decompress(body, CHUNK_BYTES_MAX);
        plain.map(Self).map_err(|_| Corrupt("it does not unpack"))
    }

    /// Calls `each` with every record, in the order in which they were written.
    pub(super) fn records(&self, mut each: impl FnMut(&Record<'_>)) -> Result<(), Corrupt> {
        let mut head = Reader(&self.0);
        if head.byte()? != VERSION {
            return Err(Corrupt("it is of another version"));
        }
        let count = head.length()?;
        let number = head.length()?;
        if count > CHUNK_EVENTS_MAX || number > 3 * CHUNK_EVENTS_MAX {
            return Err(Corrupt("it is too long"));
        }
        let mut texts = Vec::with_capacity(number);
        for _ in 0..number {
            texts.push(head.text()?);
        }
        let mut columns = [Reader(&[]); COLUMNS];
        for column in &mut columns {
            let length = head.length()?;
            *column = Reader(head.take(length)?);
        }
        let [meters, sources, dimensions, times, ids, scales, mantissas, members, numbers] =
            &mut columns;
        let text = |reader: &mut Reader<'_>| -> Result<&str, Corrupt> {
            texts.get(reader.length()?).copied().ok_or(Corrupt("it names a text that it lacks"))
        };
        let (mut time, mut id, mut before) = (0i64, String::new(), (0i64, 0i64));
        for _ in 0..count {
            time = time.wrapping_add(times.signed()?);
            let shared = ids.length()?;
            if !id.is_char_boundary(shared) {
                return Err(Corrupt("an id does not continue the one before"));
            }
            id.truncate(shared);
            id.push_str(ids.text()?);
            let member = match members.byte()? {
                0 => None,
                _ => Some(members.text()?),
            };
            let mut payload = 0;
            let sequence = match numbers.byte()? {
                0 => None,
                _ => {
                    before.0 = before.0.wrapping_add(numbers.signed()?);
                    before.1 = before.1.wrapping_add(numbers.signed()?);
                    let bytes = numbers.take(8)?.try_into();
                    payload = i64::from_be_bytes(bytes.map_err(|_| Corrupt("it is cut off"))?);
                    Some(before)
                }
            };
            each(&Record {
                meter: text(meters)?,
                time: Timestamp::from_microsecond(time)
                    .map_err(|_| Corrupt("a time is out of range"))?,
                quantity: decimal(mantissas.number()?, scales.number()?)?,
                member,
                dimension: text(dimensions)?,
                source: text(sources)?,
                id: &id,
                sequence,
                payload,
            });
        }
        Ok(())
    }
}

fn decimal(mantissa: u128, scale: u128) -> Result<Decimal, Corrupt> {
    const OUT: Corrupt = Corrupt("a quantity is out of range");
    let mantissa = i128::try_from(mantissa).map_err(|_| OUT)?;
    let scale = u32::try_from(scale).map_err(|_| OUT)?;
    Decimal::try_from_i128_with_scale(mantissa, scale).map_err(|_| OUT)
}

/// Texts that come again, each written once.
#[derive(Default)]
struct Texts<'a> {
    all: Vec<&'a str>,
    numbers: HashMap<&'a str, u32>,
}

impl<'a> Texts<'a> {
    fn number(&mut self, text: &'a str) -> u32 {
        *self.numbers.entry(text).or_insert_with(|| {
            self.all.push(text);
            u32::try_from(self.all.len() - 1).unwrap_or(u32::MAX)
        })
    }
}

/// How many bytes two ids begin with in common, up to a whole character.
fn shared(before: &str, after: &str) -> usize {
    let same = before.bytes().zip(after.bytes()).take_while(|(a, b)| a == b).count();
    (0..=same).rev().find(|at| after.is_char_boundary(*at)).unwrap_or(0)
}

const fn zigzag(value: i64) -> u128 {
    (((value << 1) ^ (value >> 63)) as u64) as u128
}

/// Seven bits a byte, the lowest first.
fn put(into: &mut Vec<u8>, mut value: u128) {
    while value >= 0x80 {
        into.push((value as u8) | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

fn put_text(into: &mut Vec<u8>, text: &str) {
    put(into, text.len() as u128);
    into.extend_from_slice(text.as_bytes());
}

/// Reads what [`put`] wrote.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Corrupt> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Corrupt("it is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Corrupt> {
        Ok(self.take(1)?[0])
    }

    fn number(&mut self) -> Result<u128, Corrupt> {
        let mut value = 0u128;
        for shift in (0..126).step_by(7) {
            let byte = self.byte()?;
            value |= u128::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Corrupt("a number is too long"))
    }

    fn length(&mut self) -> Result<usize, Corrupt> {
        usize::try_from(self.number()?).map_err(|_| Corrupt("a length is too large"))
    }

    fn signed(&mut self) -> Result<i64, Corrupt> {
        let value = u64::try_from(self.number()?).map_err(|_| Corrupt("a number is too large"))?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn text(&mut self) -> Result<&'a str, Corrupt> {
        let length = self.length()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| Corrupt("a text is no UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    struct Owned {
        texts: [String; 4],
        member: Option<String>,
        time: i64,
        quantity: (u64, u32),
        sequence: Option<(i64, i64, i64)>,
    }

    impl Owned {
        fn record(&self) -> Record<'_> {
            let [meter, source, dimension, id] = &self.texts;
            Record {
                meter,
                time: Timestamp::from_microsecond(self.time).unwrap(),
                quantity: Decimal::from_i128_with_scale(self.quantity.0.into(), self.quantity.1),
                member: self.member.as_deref(),
                dimension,
                source,
                id,
                sequence: self.sequence.map(|(epoch, number, _)| (epoch, number)),
                payload: self.sequence.map_or(0, |(_, _, payload)| payload),
            }
        }
    }

    fn owned() -> impl Strategy<Value = Owned> {
        let texts = [".{0,6}", "[ab\u{e9}]{0,3}", "[ab]{0,2}", "[a\u{20ac}]{0,4}[0-9]{0,3}"];
        let numbers = (0..i64::MAX, 0..i64::MAX, any::<i64>());
        (
            texts,
            proptest::option::of("[xy]{0,3}"),
            -1_000_000_000_000_000i64..4_000_000_000_000_000,
            (any::<u64>(), 0u32..7),
            proptest::option::of(numbers),
        )
            .prop_map(|(texts, member, time, quantity, sequence)| Owned {
                texts,
                member,
                time,
                quantity,
                sequence,
            })
    }

    fn read(body: &[u8]) -> Result<Vec<String>, Corrupt> {
        let mut found = Vec::new();
        Unpacked::new(body)?.records(|record| found.push(format!("{record:?}")))?;
        Ok(found)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(all in proptest::collection::vec(owned(), 0..40)) {
            let records: Vec<Record<'_>> = all.iter().map(Owned::record).collect();
            let body = encode(&records).unwrap();
            let written: Vec<String> = records.iter().map(|record| format!("{record:?}")).collect();
            prop_assert_eq!(read(&body).unwrap(), written);
        }

        #[test]
        fn bytes_of_anybody_are_refused_or_read_but_never_a_panic(
            all in proptest::collection::vec(owned(), 1..5),
            at in any::<proptest::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let records: Vec<Record<'_>> = all.iter().map(Owned::record).collect();
            let packed = encode(&records).unwrap();
            let mut plain = Unpacked::new(&packed).unwrap().0;
            let at = at.index(plain.len());
            plain[at] = byte;
            let _ = Unpacked(plain.clone()).records(|_| {});
            plain.truncate(at);
            let _ = Unpacked(plain).records(|_| {});
            let _ = read(&packed[..at.min(packed.len())]);
        }
    }

    #[test]
    fn a_thousand_ordinary_events_take_a_few_bytes_each() {
        let ids: Vec<String> = (0..1_000).map(|n| format!("run-20260301-{n:06}")).collect();
        let start = 1_772_323_200_000_000;
        let records: Vec<Record<'_>> = ids
            .iter()
            .zip(0i64..)
            .map(|(id, n)| Record {
                meter: "events",
                time: Timestamp::from_microsecond(start + n * 617_123).unwrap(),
                quantity: Decimal::ONE,
                member: None,
                dimension: "",
                source: "/clusters/eu-1",
                id,
                sequence: None,
                payload: 0,
            })
            .collect();
        let body = encode(&records).unwrap();
        assert!(body.len() < 8_000, "{} bytes", body.len());
    }
}
