-- Signing keys: where the private half is, from when a key signs, and withdrawal.

ALTER TABLE signing_keys
    -- `sealed`: here, under the master key. `pkcs11`: inside a security module, which never
    -- gives it out; the row only says which key it is there.
    ADD COLUMN backend text NOT NULL DEFAULT 'sealed' CHECK (backend IN ('sealed', 'pkcs11')),
    ADD COLUMN module_token text,
    ADD COLUMN module_key_id bytea,
    ADD COLUMN module_key_label text,
    -- The key with the latest past moment signs; a future one is published and waits; without
    -- one a key only verifies. So no process has to switch anything when the moment comes.
    ADD COLUMN signs_from timestamptz,
    -- Tells apart keys of one moment.
    ADD COLUMN seq bigint GENERATED ALWAYS AS IDENTITY,
    ADD COLUMN withdrawn_at timestamptz,
    ALTER COLUMN sealed_private DROP NOT NULL;

UPDATE signing_keys SET signs_from = created_at;

DROP INDEX signing_keys_one_active;
ALTER TABLE signing_keys
    DROP COLUMN status,
    -- A withdrawn key is kept for the record, without its private half.
    ADD CONSTRAINT signing_keys_private_half CHECK (CASE
        WHEN backend = 'pkcs11' THEN sealed_private IS NULL AND module_token IS NOT NULL
            AND module_key_id IS NOT NULL AND module_key_label IS NOT NULL
        ELSE (sealed_private IS NULL) = (withdrawn_at IS NOT NULL) AND module_token IS NULL
            AND module_key_id IS NULL AND module_key_label IS NULL
    END);
CREATE INDEX signing_keys_by_product ON signing_keys (product_id);

GRANT SELECT (signs_from, withdrawn_at) ON signing_keys TO tenure_tenant;

-- What withdrawing a key asks: which licenses still live by it.
CREATE INDEX license_revisions_by_kid ON license_revisions (kid);
