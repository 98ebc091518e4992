-- Finds the quotas that are near or past their limit now, without a look at any other
-- counter: the vendor's first page asks at each visit. Counting does not touch it (none of its
-- columns changes while usage comes), so updates stay within the row's page.
CREATE INDEX quota_counters_told ON quota_counters (window_end)
    WHERE environment = 'live' AND told >= 80;

-- Revenue is read from here alone: an invoice itself is large, with everything that it was
-- computed from.
CREATE INDEX invoices_revenue ON invoices (issued_at)
    INCLUDE (tenant_id, subscription_id, status, currency, subtotal_minor, period_start, period_end)
    WHERE number IS NOT NULL;

-- Counters by when their window ended: how much of its quota everybody used lately.
CREATE INDEX quota_counters_ended ON quota_counters (window_end);
