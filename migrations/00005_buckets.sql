-- +goose Up

-- Tallies have time buckets, and the ladder's steps are summed when they are read. What was tallied before counts as old.
DELETE FROM cells WHERE rung = 1;
ALTER TABLE cells RENAME COLUMN rung TO delays; -- 1: how late successes came, 0: an intersection
