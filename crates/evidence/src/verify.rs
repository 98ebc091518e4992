//! Reads an archive once, from front to back, and computes the invoice again.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read},
};

use serde::de::DeserializeOwned;
use tenure_catalog::{
    Product, ProductFile,
    invoicing::{self, DraftLine, InvoiceDraft, InvoiceInputs, Total, Versions},
};

use crate::{
    ENTRIES_MAX, Error, Event, FORMAT, LINE_BYTES_MAX, Manifest, Needed, Report, Stated, Sums,
    TEXT_BYTES_MAX, UNPACKED_BYTES_MAX,
    archive::{Hashed, INPUTS, INVOICE, MANIFEST, ManifestEntry, PRODUCTS, USAGE},
    needed,
};

/// Differences told of one comparison at most.
const DIFFERENCES_MAX: usize = 20;

/// Computes the invoice of an archive again and compares everything.
///
/// # Errors
/// Where the file is no archive of this format. An archive that can be read and does not
/// agree is no error: the report says what differs.
pub fn verify(archive: impl Read) -> Result<Report, Error> {
    let unpacked = zstd::Decoder::new(archive)?.take(UNPACKED_BYTES_MAX);
    let mut tar = tar::Archive::new(unpacked);
    let mut reading = Reading::default();
    for (index, entry) in tar.entries()?.enumerate() {
        if index >= ENTRIES_MAX {
            return Err(Error::TooLarge(format!("more than {ENTRIES_MAX} entries")));
        }
        let mut entry = entry?;
        let name = entry.path()?.to_string_lossy().into_owned();
        let bytes = entry.size();
        if reading.manifest.is_some() {
            return Err(Error::Malformed(format!("`{name}` comes after the manifest")));
        }
        let mut hashed = Hashed::new(&mut entry);
        reading.entry(&name, bytes, &mut hashed)?;
        // What nobody read counts for the digest too.
        std::io::copy(&mut hashed, &mut std::io::sink())?;
        let sha256 = hashed.finish();
        reading.seen.push(ManifestEntry { name, bytes, sha256 });
    }
    reading.report()
}

#[derive(Default)]
struct Reading {
    stated: Option<Stated>,
    inputs: Option<InvoiceInputs>,
    products: BTreeMap<String, Product>,
    /// What the inputs need, made when the first usage comes.
    needed: Option<Vec<Needed>>,
    /// By entry.
    totals: BTreeMap<String, Result<Vec<Total>, String>>,
    events: u64,
    manifest: Option<Manifest>,
    seen: Vec<ManifestEntry>,
}

impl Reading {
    fn entry(&mut self, name: &str, bytes: u64, from: &mut impl Read) -> Result<(), Error> {
        if !name.starts_with(USAGE) && bytes > TEXT_BYTES_MAX {
            return Err(Error::TooLarge(format!("`{name}` has {bytes} bytes")));
        }
        match name {
            INVOICE => self.stated = Some(json(name, from)?),
            INPUTS => self.inputs = Some(json(name, from)?),
            MANIFEST => self.manifest = Some(json(name, from)?),
            _ if name.starts_with(USAGE) => self.usage(name, from)?,
            _ => {
                let version =
                    name.strip_prefix(PRODUCTS).and_then(|rest| rest.strip_suffix(".toml"));
                let version = version
                    .ok_or_else(|| Error::Malformed(format!("`{name}` does not belong into it")))?;
                let mut text = String::new();
                from.read_to_string(&mut text)?;
                let product = ProductFile::parse(&text, name).map_err(|mistakes| {
                    let first = mistakes.first().map(|mistake| mistake.message.clone());
                    Error::Product(name.to_owned(), first.unwrap_or_default())
                })?;
                self.products.insert(version.to_owned(), product);
            }
        }
        Ok(())
    }

    /// The products as they are sold in the invoice's currency.
    fn versions(&self) -> Versions<'_> {
        let currency = self.inputs.as_ref().map(|inputs| inputs.currency);
        let sold = |product| currency.map_or(Some(product), |of| Product::in_currency(product, of));
        let all = self.products.iter();
        all.filter_map(|(version, product)| Some((version.clone(), sold(product)?))).collect()
    }

    fn needed(&mut self) -> Result<&[Needed], Error> {
        if self.needed.is_none() {
            let inputs = self.inputs.as_ref().ok_or_else(|| missing(INPUTS))?;
            self.needed = Some(needed(inputs, &self.versions())?);
        }
        Ok(self.needed.as_deref().unwrap_or_default())
    }

    fn usage(&mut self, name: &str, from: &mut impl Read) -> Result<(), Error> {
        self.needed()?;
        let all = self.needed.as_deref().unwrap_or_default();
        let needed = all.iter().find(|needed| needed.entry() == name);
        let needed = needed.ok_or_else(|| {
            Error::Malformed(format!("`{name}` is not usage that the invoice is made of"))
        })?;
        let mut sums = Sums::new(needed);
        let mut lines = BufReader::new(from);
        let mut line = Vec::new();
        let mut before = None;
        let mut disorder = None;
        loop {
            line.clear();
            let read = (&mut lines).take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut line)?;
            if read == 0 {
                break;
            }
            let event: Event = serde_json::from_slice(&line)
                .map_err(|source| Error::Json { entry: name.to_owned(), source })?;
            let place = (event.time, event.hash(&needed.meter.id));
            if before.is_some_and(|before| before >= place) {
                disorder.get_or_insert_with(|| {
                    format!(
                        "the event {} of {} is there twice or out of order",
                        event.id, event.source
                    )
                });
            }
            before = Some(place);
            sums.add(&event);
            self.events += 1;
        }
        let totals = disorder.map_or_else(|| Ok(sums.totals()), Err);
        self.totals.insert(name.to_owned(), totals);
        Ok(())
    }

    fn report(mut self) -> Result<Report, Error> {
        self.needed()?;
        let stated = self.stated.as_ref().ok_or_else(|| missing(INVOICE))?;
        let inputs = self.inputs.as_ref().ok_or_else(|| missing(INPUTS))?;
        let manifest = self.manifest.as_ref().ok_or_else(|| missing(MANIFEST))?;
        if manifest.format != FORMAT {
            let detail = format!("its format is `{}`, and this reads `{FORMAT}`", manifest.format);
            return Err(Error::Malformed(detail));
        }
        let mut report = Report {
            invoice: stated.number.clone().unwrap_or_else(|| stated.id.clone()),
            stated_total: stated.sums.total.display(),
            computed_total: None,
            events: self.events,
            checks: Vec::new(),
        };
        self.compare_entries(manifest, &mut report);
        self.compare_totals(&mut report);
        compare_invoice(inputs, &self.versions(), &stated.sums, &mut report);
        Ok(report)
    }

    fn compare_entries(&self, manifest: &Manifest, report: &mut Report) {
        let seen = self.seen.iter().filter(|entry| entry.name != MANIFEST);
        let differing: Vec<&str> = seen
            .clone()
            .filter(|entry| !manifest.entries.contains(entry))
            .map(|entry| entry.name.as_str())
            .chain(
                manifest
                    .entries
                    .iter()
                    .filter(|listed| self.seen.iter().all(|entry| entry.name != listed.name))
                    .map(|listed| listed.name.as_str()),
            )
            .take(DIFFERENCES_MAX)
            .collect();
        let found = match differing.is_empty() {
            true => format!("{} entries", seen.count()),
            false => format!("changed, added or missing: {}", differing.join(", ")),
        };
        report.push("entries and manifest", differing.is_empty(), found);
    }

    fn compare_totals(&self, report: &mut Report) {
        for needed in self.needed.as_deref().unwrap_or_default() {
            let what = format!("usage of {} up to generation {}", needed.meter.id, needed.cutoff);
            let found = self.totals.get(&needed.entry());
            let nothing = needed.windows.iter().all(|window| window.events == 0);
            let (agrees, found) = match found {
                None if nothing => (true, "no events".to_owned()),
                None => (false, "the events are missing".to_owned()),
                Some(Err(disorder)) => (false, disorder.clone()),
                Some(Ok(totals)) => differences(&needed.windows, totals),
            };
            report.push(what, agrees, found);
        }
    }
}

fn differences(stated: &[Total], found: &[Total]) -> (bool, String) {
    let differing: Vec<String> = stated
        .iter()
        .zip(found)
        .filter(|(stated, found)| {
            let same = stated.quantity == found.quantity
                && stated.events == found.events
                && stated.digest == found.digest;
            !same
        })
        .take(DIFFERENCES_MAX)
        .map(|(stated, found)| {
            let from = stated.start;
            let text = |total: &Total| {
                format!("{} of {} events, digest {}", total.quantity, total.events, total.digest)
            };
            format!("from {from}: stated {}, found {}", text(stated), text(found))
        })
        .collect();
    if differing.is_empty() {
        let events: i64 = found.iter().map(|total| total.events).sum();
        return (true, format!("{} windows, {events} events", found.len()));
    }
    (false, differing.join("; "))
}

fn compare_invoice(
    inputs: &InvoiceInputs,
    versions: &Versions<'_>,
    stated: &InvoiceDraft,
    report: &mut Report,
) {
    let computed = match invoicing::draft(inputs, versions) {
        Ok(computed) => computed,
        Err(error) => {
            report.push("the invoice", false, format!("the inputs come to no invoice: {error}"));
            return;
        }
    };
    report.computed_total = Some(computed.total.display());
    for n in 0..stated.lines.len().max(computed.lines.len()) {
        let (ours, theirs) = (computed.lines.get(n), stated.lines.get(n));
        let named = ours.or(theirs).map(|line| line.charge.clone()).unwrap_or_default();
        let (agrees, found) = line(theirs, ours);
        report.push(format!("line {} {named}", n + 1), agrees, found);
    }
    for (what, ours, theirs) in [
        ("subtotal", computed.subtotal, stated.subtotal),
        ("tax", computed.tax, stated.tax),
        ("total", computed.total, stated.total),
    ] {
        let found = match ours == theirs {
            true => ours.display(),
            false => format!("stated {}, computed {}", theirs.display(), ours.display()),
        };
        report.push(what, ours == theirs, found);
    }
    if computed.taxes != stated.taxes {
        report.push("tax rates", false, "the rates or their amounts differ");
    }
}

fn line(stated: Option<&DraftLine>, computed: Option<&DraftLine>) -> (bool, String) {
    let (stated, computed) = match (stated, computed) {
        (Some(stated), Some(computed)) => (stated, computed),
        (None, Some(computed)) => {
            return (false, format!("not stated, computed {}", computed.amount.display()));
        }
        (Some(stated), None) => {
            return (false, format!("stated {}, not computed", stated.amount.display()));
        }
        (None, None) => return (true, String::new()),
    };
    let normal = |line: &DraftLine| {
        let mut line = line.clone();
        line.quantity = line.quantity.normalize();
        line
    };
    if normal(stated) == normal(computed) {
        return (true, computed.arithmetic.clone());
    }
    let text = |line: &DraftLine| format!("{} ({})", line.amount.display(), line.arithmetic);
    (false, format!("stated {}, computed {}", text(stated), text(computed)))
}

fn json<T: DeserializeOwned>(name: &str, from: &mut impl Read) -> Result<T, Error> {
    let mut text = Vec::new();
    from.read_to_end(&mut text)?;
    serde_json::from_slice(&text).map_err(|source| Error::Json { entry: name.to_owned(), source })
}

fn missing(entry: &str) -> Error {
    Error::Malformed(format!("`{entry}` is missing, or comes too late"))
}
