-- +goose Up

-- Priorities are versions too, and go through review as actions and copy do. '' in action: of a priority.
CREATE TABLE versions_next (
    action      TEXT    NOT NULL,
    copy        TEXT    NOT NULL,          -- '' for the action itself, or of a priority
    priority    TEXT    NOT NULL,          -- '' for an action or a copy
    version     INTEGER NOT NULL,
    hash        TEXT    NOT NULL,          -- '' of a priority that stood in the configuration: its content's
    body        TEXT    NOT NULL,          -- JSON
    status      TEXT    NOT NULL,          -- draft, in_review, approved, rejected
    author      TEXT    NOT NULL,
    created_at  BIGINT  NOT NULL,
    reviewer    TEXT    NOT NULL DEFAULT '',
    reviewed_at BIGINT  NOT NULL DEFAULT 0,
    bypass      INTEGER NOT NULL DEFAULT 0, -- 1: approved by who wrote it
    comment     TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (action, copy, priority, version)
);
INSERT INTO versions_next SELECT action, copy, '', version, hash, body, status, author, created_at, reviewer, reviewed_at, bypass, comment FROM versions;
DROP TABLE versions;
ALTER TABLE versions_next RENAME TO versions;

-- Those of before were in force, so they stay live: as the first version of each, approved, of whoever declared it last.
-- Nobody reviewed them, and the comment says so.
INSERT INTO versions (action, copy, priority, version, hash, body, status, author, created_at, comment)
SELECT '', '', p.value ->> '$.id', 1, '', p.value, 'approved', coalesce(a.actor, ''), coalesce(a.at, 0), 'in force from before priorities were reviewed'
FROM config c, json_each(c.body, '$.priorities') p
LEFT JOIN audit a ON a.seq = (SELECT max(seq) FROM audit x WHERE x.subject = 'priority ' || (p.value ->> '$.id'))
WHERE c.id = 1 AND c.body <> '';
UPDATE config SET body = json_remove(body, '$.priorities') WHERE id = 1 AND body <> '';
