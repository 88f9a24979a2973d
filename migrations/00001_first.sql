-- +goose Up

-- What the store declares of itself (one row), and the number that every change raises.
CREATE TABLE config (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    version BIGINT  NOT NULL,
    body    TEXT    NOT NULL               -- the declaration without its actions, JSON
);
INSERT INTO config (id, version, body) VALUES (1, 0, '');

-- Actions and copy are immutable versions; an approval binds to the hash of the content.
CREATE TABLE versions (
    action      TEXT    NOT NULL,
    copy        TEXT    NOT NULL,          -- '' for the action itself
    version     INTEGER NOT NULL,
    hash        TEXT    NOT NULL,
    body        TEXT    NOT NULL,          -- JSON
    status      TEXT    NOT NULL,          -- in_review, approved
    author      TEXT    NOT NULL,
    created_at  BIGINT  NOT NULL,          -- Unix ms, as all times here
    reviewer    TEXT    NOT NULL DEFAULT '',
    reviewed_at BIGINT  NOT NULL DEFAULT 0,
    bypass      INTEGER NOT NULL DEFAULT 0, -- 1: approved by who wrote it
    PRIMARY KEY (action, copy, version)
);

CREATE TABLE arms (
    id             INTEGER PRIMARY KEY,
    action         TEXT    NOT NULL,
    action_version INTEGER NOT NULL,
    copy           TEXT    NOT NULL,
    copy_version   INTEGER NOT NULL,
    UNIQUE (action, action_version, copy, copy_version)
);

-- Salts and signing keys. The database file is readable by its owner alone.
CREATE TABLE secrets (
    name       TEXT   NOT NULL PRIMARY KEY,
    value      BLOB   NOT NULL,
    created_at BIGINT NOT NULL,
    retired_at BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE facts (
    name  TEXT NOT NULL PRIMARY KEY,       -- 'simulated': the data is made up
    value TEXT NOT NULL
);

-- The ledger: decisions, activations and outcomes are appended, tallies are their fold.
CREATE TABLE decisions (
    serial         BIGINT  NOT NULL PRIMARY KEY, -- node in the high bits, rising in time
    at             BIGINT  NOT NULL,
    until          BIGINT  NOT NULL,
    signing_key    INTEGER NOT NULL,             -- with it the decision id can be written again
    experiment     TEXT    NOT NULL,
    intersection   TEXT    NOT NULL,
    arm            INTEGER NOT NULL,
    grp            INTEGER NOT NULL,
    probability    DOUBLE PRECISION NOT NULL,
    flags          INTEGER NOT NULL,             -- 1 ignored, 2 deferred
    surface        TEXT    NOT NULL,
    shopper        TEXT    NOT NULL,
    session        TEXT    NOT NULL,
    reason         TEXT    NOT NULL,
    detail         TEXT    NOT NULL,
    share          DOUBLE PRECISION NOT NULL,
    policy_version TEXT    NOT NULL,
    ranking        BLOB    NOT NULL              -- eligible arms with their probabilities
);
CREATE INDEX decisions_shopper ON decisions (shopper, serial);

CREATE TABLE activations (
    serial      BIGINT  NOT NULL PRIMARY KEY,
    at          BIGINT  NOT NULL,
    served      INTEGER NOT NULL,
    arm         INTEGER NOT NULL,
    probability DOUBLE PRECISION NOT NULL
);

CREATE TABLE outcomes (
    serial     BIGINT  NOT NULL,
    event      TEXT    NOT NULL,
    outcome_id TEXT    NOT NULL,
    adjusts    TEXT,                             -- NULL: not an adjustment
    value      DOUBLE PRECISION NOT NULL,        -- as sent
    minor      BIGINT  NOT NULL,
    currency   TEXT    NOT NULL,
    at         BIGINT  NOT NULL,
    received   BIGINT  NOT NULL,
    status     TEXT    NOT NULL,
    PRIMARY KEY (serial, event, outcome_id)
);

-- One row per commit: what it adds to which tallies.
CREATE TABLE deltas (
    node INTEGER NOT NULL,
    seq  BIGINT  NOT NULL,
    at   BIGINT  NOT NULL,
    body BLOB    NOT NULL,
    PRIMARY KEY (node, seq)
);

-- The checkpoint: one blob per cell, with the deltas that it holds; start-up folds the deltas after it.
CREATE TABLE cells (
    experiment TEXT    NOT NULL,
    rung       INTEGER NOT NULL,                 -- 1: a step of the ladder, 0: an intersection
    key        TEXT    NOT NULL,
    body       BLOB    NOT NULL,
    PRIMARY KEY (experiment, rung, key)
);
CREATE TABLE watermarks (
    node INTEGER NOT NULL PRIMARY KEY,
    seq  BIGINT  NOT NULL
);

-- Answers that are repeated: by requestId, and to the same shopper in the same session.
CREATE TABLE memos (
    id      BLOB   NOT NULL PRIMARY KEY,
    body    BLOB   NOT NULL,
    answer  BLOB   NOT NULL,
    expires BIGINT NOT NULL
);
CREATE INDEX memos_expires ON memos (expires);

CREATE TABLE layer_values (
    layer INTEGER NOT NULL,
    value TEXT    NOT NULL,
    PRIMARY KEY (layer, value)
);

CREATE TABLE aliases (
    id      TEXT NOT NULL PRIMARY KEY,
    shopper TEXT NOT NULL                        -- the first-seen id
);

-- People and machines.
CREATE TABLE keys (
    id          TEXT   NOT NULL PRIMARY KEY,
    name        TEXT   NOT NULL,
    scopes      TEXT   NOT NULL,                 -- comma-separated
    publishable INTEGER NOT NULL,
    origins     TEXT   NOT NULL,                 -- comma-separated
    hash        BLOB   NOT NULL,
    created_at  BIGINT NOT NULL,
    revoked_at  BIGINT NOT NULL DEFAULT 0
);
CREATE TABLE users (
    id            TEXT   NOT NULL PRIMARY KEY,
    name          TEXT   NOT NULL UNIQUE,
    role          TEXT   NOT NULL,
    password_hash TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    disabled_at   BIGINT NOT NULL DEFAULT 0
);
CREATE TABLE sessions (
    hash       BLOB   NOT NULL PRIMARY KEY,
    user_id    TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    last_seen  BIGINT NOT NULL
);
CREATE TABLE audit (
    seq     BIGINT NOT NULL PRIMARY KEY,
    at      BIGINT NOT NULL,
    actor   TEXT   NOT NULL,
    action  TEXT   NOT NULL,
    subject TEXT   NOT NULL,
    origin  TEXT   NOT NULL,                     -- from where
    before  TEXT   NOT NULL,
    after   TEXT   NOT NULL,
    prev    BLOB   NOT NULL,
    hash    BLOB   NOT NULL
);
