-- +goose Up

-- Shoppers' places in experiments and holdouts: the units of every lift.
CREATE TABLE enrolments (
    serial       BIGINT  NOT NULL,         -- of the decision that enrolled
    experiment   TEXT    NOT NULL,         -- or a holdout's id
    shopper      TEXT    NOT NULL,         -- the first-seen id; where two became one, the one that stands
    grp          INTEGER NOT NULL,
    share        DOUBLE PRECISION NOT NULL,
    phase        INTEGER NOT NULL,
    at           BIGINT  NOT NULL,
    until        BIGINT  NOT NULL,
    intersection TEXT    NOT NULL,
    before       BIGINT  NOT NULL,         -- minor units ordered for by then
    state        INTEGER NOT NULL,         -- 0 open, 1 closed, 2 closed and to be restated; 3 and 4 proved to be enrolled earlier: no unit (4: in another group); 5 to be no shopper
    unit         TEXT    NOT NULL DEFAULT '', -- what was added to the rollup, JSON; '' while open
    PRIMARY KEY (serial, experiment)
);
CREATE INDEX enrolments_shopper ON enrolments (shopper);
CREATE INDEX enrolments_open ON enrolments (until) WHERE state = 0;
CREATE INDEX enrolments_stale ON enrolments (serial) WHERE state = 2;

-- What enrolled shoppers did, each once, whatever it was credited to.
CREATE TABLE unit_outcomes (
    shopper    TEXT    NOT NULL,
    event      TEXT    NOT NULL,
    outcome_id TEXT    NOT NULL,
    serial     BIGINT  NOT NULL,           -- of the decision that it came for, where it is the surface's or has no id; else 0
    experiment TEXT    NOT NULL,           -- of that decision, where it is the surface's: another experiment does not count it
    adjusts    TEXT,                       -- NULL: not an adjustment
    minor      BIGINT  NOT NULL,
    currency   TEXT    NOT NULL,
    at         BIGINT  NOT NULL,
    received   BIGINT  NOT NULL,
    PRIMARY KEY (shopper, event, outcome_id, serial)
);

-- The rollup of closed units, by the intersection at enrolment and by the day of closing.
CREATE TABLE unit_sums (
    experiment TEXT    NOT NULL,
    phase      INTEGER NOT NULL,
    grp        INTEGER NOT NULL,
    name       TEXT    NOT NULL,           -- a key or a day
    body       TEXT    NOT NULL,           -- JSON
    PRIMARY KEY (experiment, phase, grp, name)
);
