-- core/store/schema/002-transfer.sql: what the mail transfer agent adds, version 2. One block a subject; dialect as in 001-store.sql.
-- Queue: when a delay was told to the sender; where each recipient was tried last, and when.
ALTER TABLE queue ADD COLUMN told BIGINT NOT NULL DEFAULT 0;
CREATE INDEX queue_expires ON queue (expires);
ALTER TABLE rcpt ADD COLUMN host TEXT;
ALTER TABLE rcpt ADD COLUMN tried BIGINT NOT NULL DEFAULT 0;
