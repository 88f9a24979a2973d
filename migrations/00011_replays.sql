-- +goose Up

-- What decisions were made by, beside evidence: written with the first decision that bears its hash.
CREATE TABLE terms (
    hash TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL                           -- JSON
);

-- What evidence probabilities were made of: written with the first decision that bears its version.
CREATE TABLE fits (
    version    TEXT   NOT NULL PRIMARY KEY,
    experiment TEXT   NOT NULL,
    marks      TEXT   NOT NULL,                  -- JSON: the last delta of each node that it held
    as_of      BIGINT NOT NULL                   -- Unix ms; 0: evidence was not weighed by age
);

-- '': no experiment, or decided before terms were kept.
ALTER TABLE decisions ADD COLUMN terms TEXT NOT NULL DEFAULT '';

-- Live arms that were not eligible, with the reason; NULL: none.
ALTER TABLE decisions ADD COLUMN refused BLOB;
