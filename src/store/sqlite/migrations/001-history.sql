-- Topics and their messages, as a person would ask for them: SELECT ... FROM messages JOIN topics USING (topic_id)
CREATE TABLE store (
  epoch TEXT NOT NULL                 -- identity of this log's life; one row
) STRICT;

CREATE TABLE topics (
  topic_id     INTEGER PRIMARY KEY,
  tenant       TEXT NOT NULL,
  name         TEXT NOT NULL,
  first_offset INTEGER NOT NULL,      -- of the oldest entry that is kept
  last_offset  INTEGER NOT NULL,
  UNIQUE (tenant, name)
) STRICT;

CREATE TABLE messages (
  topic_id   INTEGER NOT NULL REFERENCES topics,
  "offset"   INTEGER NOT NULL,        -- from 1, without holes
  kind       TEXT NOT NULL,           -- message, edited, deleted
  message_id TEXT NOT NULL,           -- UUIDv7; the same in both inboxes of a direct message
  target_id  TEXT,                    -- message_id of what an entry edits or deletes
  sender     TEXT NOT NULL,
  peer       TEXT,                    -- in an inbox: with whom the conversation is
  event      TEXT,
  priority   TEXT,
  payload    BLOB NOT NULL,           -- msgpack, as last edited; nil when deleted
  created_at INTEGER NOT NULL,        -- milliseconds since 1970
  edited_at  INTEGER,
  deleted_at INTEGER,
  key        TEXT,                    -- idempotency key of the sender
  digest     INTEGER NOT NULL,        -- of the body under that key
  PRIMARY KEY (topic_id, "offset")
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX messages_by_id ON messages (message_id, topic_id);
CREATE UNIQUE INDEX messages_by_key ON messages (topic_id, sender, key) WHERE key IS NOT NULL;
CREATE INDEX messages_by_peer ON messages (topic_id, peer, "offset") WHERE peer IS NOT NULL;
CREATE INDEX messages_by_target ON messages (target_id) WHERE target_id IS NOT NULL;

-- The words of messages; rowid = topic_id * 2^40 + offset. The text itself is in the payload only.
CREATE VIRTUAL TABLE message_words USING fts5(
  text, content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2'
);

CREATE TABLE receipts (
  topic_id   INTEGER NOT NULL REFERENCES topics,
  user_id    TEXT NOT NULL,
  kind       TEXT NOT NULL,           -- delivered, read
  "offset"   INTEGER NOT NULL,        -- everything up to it
  created_at INTEGER NOT NULL,
  PRIMARY KEY (topic_id, user_id, kind, "offset")
) STRICT, WITHOUT ROWID;
