-- Which stretch of a topic is in which file of ARCHIVE_DIR: SELECT ... FROM archives JOIN topics USING (topic_id)
CREATE TABLE archives (
  topic_id      bigint NOT NULL REFERENCES topics,
  first_offset  bigint NOT NULL,
  last_offset   bigint NOT NULL,
  from_time     timestamptz NOT NULL,         -- created_at of its oldest and its youngest entry
  to_time       timestamptz NOT NULL,
  message_count bigint NOT NULL,              -- without edits and deletions
  bytes         bigint NOT NULL,              -- of the file
  sha256        text COLLATE "C" NOT NULL,    -- of the file
  file          text COLLATE "C" NOT NULL,    -- below ARCHIVE_DIR
  PRIMARY KEY (topic_id, first_offset)
);

CREATE INDEX archives_by_end ON archives (to_time);

-- Users whose content was erased from messages and is still to be erased from archives.
CREATE TABLE erasures (
  erasure_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant     text COLLATE "C" NOT NULL,
  user_id    text COLLATE "C" NOT NULL,
  erased_at  timestamptz NOT NULL             -- what they wrote until then
);

ALTER TABLE topics ADD COLUMN held_until timestamptz;  -- was restored: not to be archived before
