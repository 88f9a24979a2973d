-- +goose Up

-- 1: the id came as a userId: it names a person, not a device.
ALTER TABLE aliases ADD COLUMN known INTEGER NOT NULL DEFAULT 0;

-- Whose the rows are that bear the id, where they are not the shopper's: the device was another's before. '' for theirs.
ALTER TABLE aliases ADD COLUMN past TEXT NOT NULL DEFAULT '';
CREATE INDEX aliases_past ON aliases (past) WHERE past <> '';
