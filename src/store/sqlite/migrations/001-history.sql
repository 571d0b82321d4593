-- Topics and their messages, as a person would ask for them: SELECT ... FROM messages JOIN topics USING (topic_id)
CREATE TABLE store (
  epoch TEXT NOT NULL                 -- identity of this log's life; one row
) STRICT;

CREATE TABLE topics (
  topic_id    INTEGER PRIMARY KEY,
  tenant      TEXT NOT NULL,
  name        TEXT NOT NULL,
  last_offset INTEGER NOT NULL,
  UNIQUE (tenant, name)
) STRICT;

CREATE TABLE messages (
  topic_id   INTEGER NOT NULL REFERENCES topics,
  "offset"   INTEGER NOT NULL,        -- from 1, without holes
  message_id TEXT NOT NULL,           -- UUIDv7
  sender     TEXT NOT NULL,
  event      TEXT,
  priority   TEXT,
  payload    BLOB NOT NULL,           -- msgpack
  created_at INTEGER NOT NULL,        -- milliseconds since 1970
  key        TEXT,                    -- idempotency key of the sender
  digest     INTEGER NOT NULL,        -- of the body under that key
  PRIMARY KEY (topic_id, "offset")
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX messages_by_id ON messages (message_id);
CREATE UNIQUE INDEX messages_by_key ON messages (topic_id, sender, key) WHERE key IS NOT NULL;
