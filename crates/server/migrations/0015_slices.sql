-- Slices of quotas: reservations that belong to an instance, which uses them up bit by bit and
-- tells so with the usage that it reports.
ALTER TABLE quota_reservations
    -- NULL: a reservation that becomes one usage event.
    ADD COLUMN instance_id uuid,
    -- Of a slice: what was reported as used. `quantity` is what is held still.
    ADD COLUMN spent numeric(21, 6) NOT NULL DEFAULT 0 CHECK (spent >= 0),
    DROP CONSTRAINT quota_reservations_quantity_check,
    ADD CONSTRAINT quota_reservations_quantity_check
        CHECK (quantity > 0 OR (quantity = 0 AND instance_id IS NOT NULL));
