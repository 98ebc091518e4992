//! Usage reports: what was counted, and what could not be.

use jiff::tz::TimeZone;

use crate::{
    licensing::reports::{Finding, ImportedReport, Origin},
    web::words,
};

/// Findings shown of one report.
const FINDINGS_SHOWN: usize = 20;

/// One report.
pub(in crate::web) struct ReportRow {
    pub(in crate::web) id: String,
    pub(in crate::web) imported: String,
    pub(in crate::web) instance: String,
    pub(in crate::web) origin: &'static str,
    pub(in crate::web) entries: String,
    pub(in crate::web) counted: String,
    pub(in crate::web) duplicates: String,
    pub(in crate::web) rejected: i64,
    pub(in crate::web) findings: Vec<FindingRow>,
    pub(in crate::web) more: i64,
}

/// An event that could not be counted.
pub(in crate::web) struct FindingRow {
    pub(in crate::web) event: String,
    pub(in crate::web) reason: String,
    pub(in crate::web) detail: String,
}

/// One report; `instance` is what people call the instance.
pub(in crate::web) fn row(report: ImportedReport, instance: String, zone: &TimeZone) -> ReportRow {
    let finding = |finding: Finding| FindingRow {
        event: finding.id.unwrap_or_else(|| "no id".to_owned()),
        reason: words::title(&finding.reason),
        detail: finding.detail,
    };
    let shown = report.findings.into_iter().take(FINDINGS_SHOWN);
    let findings: Vec<FindingRow> = shown.map(finding).collect();
    let told = i64::try_from(findings.len()).unwrap_or(i64::MAX);
    ReportRow {
        id: report.id.to_string(),
        imported: words::date_time(report.imported_at, zone),
        instance,
        origin: match report.origin {
            Origin::Online => "sent",
            Origin::File => "carried",
        },
        entries: format!(
            "{} to {}",
            words::number(report.after_seq.saturating_add(1)),
            words::number(report.through_seq)
        ),
        counted: words::number(report.accepted),
        duplicates: words::number(report.duplicates),
        more: report.rejected.saturating_sub(told),
        rejected: report.rejected,
        findings,
    }
}
