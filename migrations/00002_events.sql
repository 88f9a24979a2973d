-- +goose Up

-- What shoppers did: appended in the order of commit; profiles are its fold.
CREATE TABLE events (
    serial   BIGINT  NOT NULL PRIMARY KEY, -- node in the high bits, rising with each commit
    at       BIGINT  NOT NULL,             -- when it happened, corrected, Unix ms
    received BIGINT  NOT NULL,
    kind     INTEGER NOT NULL,
    name     TEXT    NOT NULL,
    shopper  TEXT    NOT NULL,             -- the first-seen id when it was written
    body     BLOB    NOT NULL,             -- the event as profiles fold it, JSON
    raw      BLOB    NOT NULL              -- as it was sent, less personal data
);
CREATE INDEX events_shopper ON events (shopper, serial);

-- The messages that are in the log, by a hash of their id: a repeat is no new event.
CREATE TABLE messages (
    hash     BIGINT NOT NULL PRIMARY KEY,
    received BIGINT NOT NULL
);

-- Two profiles became one. Numbered with the events, so that both can be folded in order.
CREATE TABLE merges (
    serial       BIGINT NOT NULL PRIMARY KEY,
    at           BIGINT NOT NULL,
    from_shopper TEXT   NOT NULL,
    into_shopper TEXT   NOT NULL
);
CREATE INDEX merges_into ON merges (into_shopper);

CREATE TABLE profiles (
    shopper TEXT   NOT NULL PRIMARY KEY,
    body    BLOB   NOT NULL,
    marks   BLOB   NOT NULL                -- how much of each node's events it holds
);
CREATE TABLE profile_watermarks (
    node   INTEGER NOT NULL PRIMARY KEY,
    serial BIGINT  NOT NULL
);

ALTER TABLE aliases ADD COLUMN first_seen BIGINT NOT NULL DEFAULT 0;
CREATE INDEX aliases_shopper ON aliases (shopper);

-- What could not be taken, counted by reason, with the latest example.
CREATE TABLE quarantine (
    reason  TEXT    NOT NULL PRIMARY KEY,
    count   BIGINT  NOT NULL,
    latest  BIGINT  NOT NULL,
    message TEXT    NOT NULL,
    example TEXT    NOT NULL
);
