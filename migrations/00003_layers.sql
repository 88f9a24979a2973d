-- +goose Up

-- The catalogue. Nothing is deleted: what is withdrawn is hidden.
CREATE TABLE products (
    id   TEXT   NOT NULL PRIMARY KEY,
    seq  BIGINT NOT NULL,                  -- rises with every change of any product
    at   BIGINT NOT NULL,                  -- of the change, Unix ms, as all times here
    body TEXT   NOT NULL                   -- JSON
);
CREATE UNIQUE INDEX products_seq ON products (seq);

-- Fitted taste clusters. Older versions keep their row, not their body.
CREATE TABLE taste_models (
    version BIGINT  NOT NULL PRIMARY KEY,  -- 1, 2, ...
    at      BIGINT  NOT NULL,
    actor   TEXT    NOT NULL,
    moved   INTEGER NOT NULL,              -- shoppers whose cluster changed
    total   INTEGER NOT NULL,              -- of so many
    body    BLOB    NOT NULL
);

-- What shoppers said of the use of their data, '' for nothing. Each use has its own time.
CREATE TABLE consents (
    id                 BLOB   NOT NULL PRIMARY KEY, -- hash of the first-seen id; an id that has no alias stands for itself
    personalization    TEXT   NOT NULL,
    personalization_at BIGINT NOT NULL,
    analytics          TEXT   NOT NULL,
    analytics_at       BIGINT NOT NULL
);

-- How shoppers were described when their profiles were last written.
CREATE TABLE standings (
    shopper     TEXT   NOT NULL PRIMARY KEY,
    at          BIGINT NOT NULL,
    moment      TEXT   NOT NULL,
    meaning     TEXT   NOT NULL,
    trajectory  TEXT   NOT NULL,
    catalogue   TEXT   NOT NULL,
    window_name TEXT   NOT NULL,           -- new, active, dormant, vip
    posture     TEXT   NOT NULL,
    reason      TEXT   NOT NULL            -- of the moment
);

-- Shoppers passing from one value of an axis to another: appended.
CREATE TABLE movements (
    at         BIGINT NOT NULL,
    shopper    TEXT   NOT NULL,            -- the first-seen id when it was written
    axis       TEXT   NOT NULL,
    from_value TEXT   NOT NULL,
    to_value   TEXT   NOT NULL,
    reason     TEXT   NOT NULL,
    PRIMARY KEY (at, shopper, axis, to_value)
);
CREATE INDEX movements_shopper ON movements (shopper, at);

-- The ids of the memos written with a decision, 16 bytes each: an erasure finds them by it, without an index.
ALTER TABLE decisions ADD COLUMN memos BLOB;
