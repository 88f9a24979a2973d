-- +goose Up

-- What was folded of an experiment's decisions to judge its health; written in one transaction with how far that read.
CREATE TABLE watched (
    experiment TEXT NOT NULL PRIMARY KEY,
    body       BLOB NOT NULL
);
CREATE TABLE watched_marks (
    node   INTEGER NOT NULL PRIMARY KEY,
    serial BIGINT  NOT NULL                -- of the node's last decision that was read
);
