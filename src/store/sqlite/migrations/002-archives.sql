-- Which stretch of a topic is in which file of ARCHIVE_DIR: SELECT ... FROM archives JOIN topics USING (topic_id)
CREATE TABLE archives (
  topic_id      INTEGER NOT NULL REFERENCES topics,
  first_offset  INTEGER NOT NULL,
  last_offset   INTEGER NOT NULL,
  from_time     INTEGER NOT NULL,     -- created_at of its oldest and its youngest entry
  to_time       INTEGER NOT NULL,
  message_count INTEGER NOT NULL,     -- without edits and deletions
  bytes         INTEGER NOT NULL,     -- of the file
  sha256        TEXT NOT NULL,        -- of the file
  file          TEXT NOT NULL,        -- below ARCHIVE_DIR
  PRIMARY KEY (topic_id, first_offset)
) STRICT, WITHOUT ROWID;

CREATE INDEX archives_by_end ON archives (to_time);

-- Users whose content was erased from messages and is still to be erased from archives.
CREATE TABLE erasures (
  erasure_id INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant     TEXT NOT NULL,
  user_id    TEXT NOT NULL,
  erased_at  INTEGER NOT NULL         -- what they wrote until then
) STRICT;

ALTER TABLE topics ADD COLUMN held_until INTEGER;  -- was restored: not to be archived before
