-- +goose Up

-- Who proved to be no shopper. Their decisions have flag 4: taken out of tallies and reports.
CREATE TABLE exclusions (
    shopper TEXT   NOT NULL PRIMARY KEY,   -- the first-seen id
    reason  TEXT   NOT NULL,               -- bot, staff
    why     TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    trials  BIGINT NOT NULL                -- taken out then
);
