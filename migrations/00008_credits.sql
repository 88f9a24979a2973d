-- +goose Up

-- The touches that share an outcome which came for their shopper; NULL: it is its decision's alone.
ALTER TABLE outcomes ADD COLUMN credits BLOB;

-- The arm that was drawn in shadow, and not served; 0: the experiment was not in shadow.
ALTER TABLE decisions ADD COLUMN shadow INTEGER NOT NULL DEFAULT 0;

-- 1: the experiment was in shadow. Out of it the shopper is enrolled anew.
ALTER TABLE enrolments ADD COLUMN shadow INTEGER NOT NULL DEFAULT 0;
