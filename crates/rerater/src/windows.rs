//! The windows in which usage is counted: calendar days, calendar months, invoice periods, each cut
//! where a stretch of the terms begins or ends.

use crate::books::{Books, Stretch};
use crate::exact::{Exact, whole};
use crate::input::Span;
use crate::product::Window;
use crate::{Result, calendar};

/// A window, perhaps cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) span: Span,
    whole: Span,
}

impl Cut {
    /// How much of the uncut window it is.
    pub(crate) fn share(&self) -> Exact {
        if self.span == self.whole { whole(1) } else { calendar::share(self.span, self.whole) }
    }
}

/// The windows of a stretch that END after `range.from` and not after `range.to`. product-file.md:
/// "a month that two invoice periods share is billed, with one allowance, by the later of them".
pub(crate) fn ending_in(
    books: &Books<'_>,
    stretch: &Stretch<'_>,
    window: Window,
    range: Span,
) -> Result<Vec<Cut>> {
    let zone = calendar::zone(&stretch.terms.zone)?;
    let mut wholes = Vec::new();
    if window == Window::Period {
        wholes = books.input.periods.clone();
    } else {
        let mut at = stretch.span.from.max(range.from);
        while at < stretch.span.to.min(range.to) {
            let next = match window {
                Window::Day => calendar::day(at, &zone)?,
                _ => calendar::month(at, &zone)?,
            };
            wholes.push(next);
            at = next.to;
        }
    }
    let cut = |whole: Span| Cut {
        span: Span { from: whole.from.max(stretch.span.from), to: whole.to.min(stretch.span.to) },
        whole,
    };
    let ends_here =
        |c: &Cut| c.span.from < c.span.to && range.from < c.span.to && c.span.to <= range.to;
    Ok(wholes.into_iter().map(cut).filter(ends_here).collect())
}
