-- +goose Up

-- What the reviewer said. Statuses are draft, in_review, approved and rejected from here on.
ALTER TABLE versions ADD COLUMN comment TEXT NOT NULL DEFAULT '';
