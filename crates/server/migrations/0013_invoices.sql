-- Billing periods, invoices with their evidence, credit.

-- The periods of a subscription, one after the other. Each but the first names the one before
-- and starts where that ends (the foreign key says so), so there is no gap and no overlap.
CREATE TABLE billing_periods (
    tenant_id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    n integer NOT NULL CHECK (n >= 0),
    -- The period before; nothing before the first that is billed here.
    after integer CHECK (after = n - 1),
    period_start timestamptz NOT NULL,
    period_end timestamptz NOT NULL CHECK (period_end > period_start),
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'closed')),
    -- Usage of later generations was not counted.
    generation integer CHECK ((generation IS NULL) = (status = 'open')),
    -- SHA-256 of the terms that it was rated with: others are noticed, and corrected.
    terms_digest bytea,
    closed_at timestamptz,
    PRIMARY KEY (tenant_id, subscription_id, n),
    UNIQUE (tenant_id, subscription_id, n, period_end),
    FOREIGN KEY (tenant_id, subscription_id, after, period_start)
        REFERENCES billing_periods (tenant_id, subscription_id, n, period_end),
    FOREIGN KEY (tenant_id, subscription_id) REFERENCES subscriptions (tenant_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX billing_periods_one_first ON billing_periods (tenant_id, subscription_id) WHERE after IS NULL;
CREATE INDEX billing_periods_due ON billing_periods (period_end) WHERE status = 'open';
SELECT isolate('billing_periods');
GRANT SELECT, INSERT, UPDATE, DELETE ON billing_periods TO tenure_tenant;

-- Tells in one look whether a generation holds usage of an earlier time.
CREATE INDEX usage_rollups_by_generation ON usage_rollups (tenant_id, subscription_id, generation, bucket);

-- Invoices outlive the tenant: by law they belong to the seller's books. So they refer to
-- nothing that a deletion takes away.
CREATE TABLE invoices (
    tenant_id uuid NOT NULL REFERENCES tenants,
    id uuid NOT NULL,
    status text NOT NULL CHECK (status IN ('draft', 'issued', 'paid', 'void', 'uncollectible')),
    -- Given by a trigger when it is issued: a number without an invoice cannot come about.
    number text,
    seller_id uuid NOT NULL,
    -- As they were when it was issued.
    seller jsonb,
    buyer jsonb,
    billing_account_id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    product text NOT NULL,
    period_n integer NOT NULL,
    period_start timestamptz NOT NULL,
    period_end timestamptz NOT NULL,
    generation integer NOT NULL,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    subtotal_minor bigint NOT NULL,
    tax_minor bigint NOT NULL,
    total_minor bigint NOT NULL CHECK (total_minor = subtotal_minor + tax_minor),
    -- Taken from the balance when it was issued; negative: put on it.
    credit_minor bigint NOT NULL DEFAULT 0,
    due_minor bigint CHECK (due_minor >= 0),
    net_days integer NOT NULL CHECK (net_days BETWEEN 0 AND 180),
    -- Everything that it was computed from, and can be computed from again.
    inputs jsonb NOT NULL,
    drafted_at timestamptz NOT NULL,
    finalise_after timestamptz NOT NULL,
    issued_at timestamptz,
    due_at timestamptz,
    paid_at timestamptz,
    closed_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT invoices_one_a_period UNIQUE (tenant_id, subscription_id, period_n),
    CHECK (due_minor IS NULL OR due_minor = total_minor - credit_minor),
    CHECK (status IN ('draft', 'void')
        OR (number IS NOT NULL AND issued_at IS NOT NULL AND due_minor IS NOT NULL)),
    CHECK (status <> 'draft' OR (number IS NULL AND credit_minor = 0))
);
CREATE UNIQUE INDEX invoices_number_unique ON invoices (seller_id, number);
CREATE INDEX invoices_by_status ON invoices (status, finalise_after);
CREATE INDEX invoices_by_period ON invoices (period_end);
SELECT isolate('invoices');
GRANT SELECT, INSERT, UPDATE, DELETE ON invoices TO tenure_tenant;

CREATE TABLE invoice_lines (
    tenant_id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    line integer NOT NULL CHECK (line > 0),
    kind text NOT NULL CHECK (kind IN ('charge', 'adjustment')),
    subscription_id uuid NOT NULL,
    -- The period that it bills: an earlier one in adjustments.
    period_n integer NOT NULL,
    service_from timestamptz NOT NULL,
    service_to timestamptz NOT NULL,
    plan text NOT NULL,
    charge text NOT NULL,
    part text NOT NULL CHECK (part IN ('plan', 'add_ons', 'services', 'overage', 'commitment')),
    description text NOT NULL,
    quantity numeric NOT NULL,
    unit text NOT NULL,
    arithmetic text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor >= 0 OR kind = 'adjustment'),
    -- Its share of the invoice's tax.
    tax_minor bigint NOT NULL,
    -- Evidence: whose prices, which usage.
    version text NOT NULL,
    cutoff integer NOT NULL,
    meter text,
    events bigint NOT NULL,
    digest bytea NOT NULL CHECK (length(digest) = 16),
    cites_invoice uuid,
    cites_line integer,
    PRIMARY KEY (tenant_id, invoice_id, line),
    FOREIGN KEY (tenant_id, invoice_id) REFERENCES invoices (tenant_id, id) DEFERRABLE,
    FOREIGN KEY (tenant_id, cites_invoice, cites_line)
        REFERENCES invoice_lines (tenant_id, invoice_id, line) DEFERRABLE,
    CHECK ((cites_invoice IS NULL) = (cites_line IS NULL))
);
CREATE INDEX invoice_lines_by_period ON invoice_lines (tenant_id, subscription_id, period_n);
SELECT isolate('invoice_lines');
GRANT SELECT, INSERT, UPDATE, DELETE ON invoice_lines TO tenure_tenant;

CREATE TABLE invoice_taxes (
    tenant_id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    n integer NOT NULL CHECK (n > 0),
    name text NOT NULL,
    percent numeric NOT NULL CHECK (percent BETWEEN 0 AND 100),
    note text,
    base_minor bigint NOT NULL,
    amount_minor bigint NOT NULL,
    PRIMARY KEY (tenant_id, invoice_id, n),
    FOREIGN KEY (tenant_id, invoice_id) REFERENCES invoices (tenant_id, id) DEFERRABLE
);
SELECT isolate('invoice_taxes');
GRANT SELECT, INSERT, UPDATE, DELETE ON invoice_taxes TO tenure_tenant;

-- What an issued invoice takes back.
CREATE TABLE credit_notes (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    seller_id uuid NOT NULL,
    -- Given by a trigger, from the seller's series of credit notes.
    number text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    -- Of which tax.
    tax_minor bigint NOT NULL CHECK (tax_minor BETWEEN 0 AND amount_minor),
    currency text NOT NULL,
    reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 2000),
    -- What of it went to the balance, because it was paid for already.
    to_balance_minor bigint NOT NULL CHECK (to_balance_minor BETWEEN 0 AND amount_minor),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, invoice_id) REFERENCES invoices (tenant_id, id) DEFERRABLE
);
CREATE UNIQUE INDEX credit_notes_number_unique ON credit_notes (seller_id, number);
CREATE INDEX credit_notes_by_invoice ON credit_notes (tenant_id, invoice_id);
SELECT isolate('credit_notes');
GRANT SELECT, INSERT, DELETE ON credit_notes TO tenure_tenant;

-- The balance of a billing account: entries that are only added, each with the balance after
-- it, chained to the one before. It is never below zero, and nobody can add an entry twice.
CREATE TABLE credit_entries (
    tenant_id uuid NOT NULL REFERENCES tenants,
    billing_account_id uuid NOT NULL,
    seq integer NOT NULL CHECK (seq > 0),
    after integer CHECK (after = seq - 1),
    balance_before_minor bigint NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor <> 0),
    balance_minor bigint NOT NULL CHECK (balance_minor >= 0),
    currency text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('prepayment', 'grant', 'refund', 'applied', 'carried', 'credit_note', 'returned')),
    invoice_id uuid,
    note text NOT NULL CHECK (length(note) <= 2000),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, billing_account_id, seq),
    UNIQUE (tenant_id, billing_account_id, seq, balance_minor),
    FOREIGN KEY (tenant_id, billing_account_id, after, balance_before_minor)
        REFERENCES credit_entries (tenant_id, billing_account_id, seq, balance_minor),
    CHECK (balance_minor = balance_before_minor + amount_minor),
    CHECK ((after IS NULL) = (seq = 1)),
    CHECK (after IS NOT NULL OR balance_before_minor = 0)
);
SELECT isolate('credit_entries');
GRANT SELECT, INSERT, DELETE ON credit_entries TO tenure_tenant;

-- Rates by country and region, of each seller.
CREATE TABLE tax_rates (
    seller_id uuid NOT NULL REFERENCES sellers,
    n integer NOT NULL CHECK (n > 0),
    country text NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
    region text,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    percent numeric(7, 4) NOT NULL CHECK (percent BETWEEN 0 AND 100),
    reverse_charge boolean NOT NULL,
    PRIMARY KEY (seller_id, n)
);
GRANT SELECT ON tax_rates TO tenure_tenant;
GRANT SELECT, INSERT, DELETE ON tax_rates TO tenure_vendor;

-- Numbers without gaps. The seller's row stays locked until the issuing transaction ends: the
-- next one waits, and takes the same number when this one is undone.
ALTER TABLE sellers ADD COLUMN next_invoice bigint NOT NULL DEFAULT 1;
ALTER TABLE sellers ADD COLUMN next_credit_note bigint NOT NULL DEFAULT 1;
REVOKE UPDATE ON sellers FROM tenure_vendor;
GRANT UPDATE (slug, name, legal_name, address, tax_ids, payment_account, updated_at) ON sellers TO tenure_vendor;
GRANT SELECT (id, name, legal_name, address, tax_ids, invoice_prefix) ON sellers TO tenure_tenant;

CREATE FUNCTION invoice_changes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.number IS NOT NULL THEN
            RAISE EXCEPTION 'an issued invoice stays' USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN OLD;
    END IF;
    IF OLD.status = 'draft' THEN
        IF NEW.status = 'issued' THEN
            UPDATE sellers SET next_invoice = next_invoice + 1 WHERE id = NEW.seller_id
                RETURNING invoice_prefix || '-' || lpad((next_invoice - 1)::text, 6, '0') INTO STRICT NEW.number;
        ELSIF NEW.status NOT IN ('draft', 'void') THEN
            RAISE EXCEPTION 'a draft is issued or void' USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF to_jsonb(NEW) - ARRAY['status', 'paid_at', 'closed_at'] IS DISTINCT FROM
       to_jsonb(OLD) - ARRAY['status', 'paid_at', 'closed_at'] THEN
        RAISE EXCEPTION 'an issued invoice does not change' USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.status <> OLD.status AND NOT (OLD.status || '>' || NEW.status = ANY (ARRAY[
        'issued>paid', 'issued>void', 'issued>uncollectible', 'uncollectible>paid'])) THEN
        RAISE EXCEPTION 'an invoice that is % cannot become %', OLD.status, NEW.status
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION invoice_changes() FROM PUBLIC;
CREATE TRIGGER invoice_changes BEFORE UPDATE OR DELETE ON invoices
    FOR EACH ROW EXECUTE FUNCTION invoice_changes();

-- Parts of an invoice change only while it is a draft; an imported one brings its parts along
-- in the transaction that brings itself.
CREATE FUNCTION invoice_part_changes() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
    part record := CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
    allowed boolean;
BEGIN
    SELECT i.status = 'draft' OR (TG_OP = 'DELETE' AND i.number IS NULL) OR (TG_OP = 'INSERT' AND i.xmin = pg_current_xact_id()::xid) INTO allowed
        FROM invoices i WHERE i.tenant_id = part.tenant_id AND i.id = part.invoice_id;
    IF NOT coalesce(allowed, false) THEN
        RAISE EXCEPTION 'an issued invoice does not change' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN part;
END $$;
CREATE TRIGGER invoice_part_changes BEFORE INSERT OR UPDATE OR DELETE ON invoice_lines
    FOR EACH ROW EXECUTE FUNCTION invoice_part_changes();
CREATE TRIGGER invoice_part_changes BEFORE INSERT OR UPDATE OR DELETE ON invoice_taxes
    FOR EACH ROW EXECUTE FUNCTION invoice_part_changes();

-- At the end of each transaction, lines and taxes are the sums that the invoice states.
CREATE FUNCTION invoice_adds_up() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
    of_tenant uuid := (CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END).tenant_id;
    of_invoice uuid := CASE TG_ARGV[0] WHEN 'invoice'
        THEN (to_jsonb(CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END) ->> 'id')::uuid
        ELSE (to_jsonb(CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END) ->> 'invoice_id')::uuid END;
    stated record;
BEGIN
    SELECT subtotal_minor, tax_minor INTO stated FROM invoices
        WHERE tenant_id = of_tenant AND id = of_invoice;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF stated.subtotal_minor <> (SELECT coalesce(sum(amount_minor), 0) FROM invoice_lines
            WHERE tenant_id = of_tenant AND invoice_id = of_invoice)
        OR stated.tax_minor <> (SELECT coalesce(sum(tax_minor), 0) FROM invoice_lines
            WHERE tenant_id = of_tenant AND invoice_id = of_invoice)
        OR stated.tax_minor <> (SELECT coalesce(sum(amount_minor), 0) FROM invoice_taxes
            WHERE tenant_id = of_tenant AND invoice_id = of_invoice) THEN
        RAISE EXCEPTION 'the lines of invoice % do not add up', of_invoice USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER invoice_adds_up AFTER INSERT OR UPDATE OF subtotal_minor, tax_minor ON invoices
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION invoice_adds_up('invoice');
CREATE CONSTRAINT TRIGGER invoice_adds_up AFTER INSERT OR UPDATE OR DELETE ON invoice_lines
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION invoice_adds_up('part');
CREATE CONSTRAINT TRIGGER invoice_adds_up AFTER INSERT OR UPDATE OR DELETE ON invoice_taxes
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION invoice_adds_up('part');

CREATE FUNCTION number_credit_note() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    -- An imported one has its number.
    IF NEW.number = '' THEN
        UPDATE sellers SET next_credit_note = next_credit_note + 1 WHERE id = NEW.seller_id
            RETURNING invoice_prefix || '-CN-' || lpad((next_credit_note - 1)::text, 6, '0') INTO STRICT NEW.number;
    END IF;
    RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION number_credit_note() FROM PUBLIC;
CREATE TRIGGER number_credit_note BEFORE INSERT ON credit_notes
    FOR EACH ROW EXECUTE FUNCTION number_credit_note();
