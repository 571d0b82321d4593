-- Topics and their messages, as a person would ask for them: SELECT ... FROM messages JOIN topics USING (topic_id)
-- Names and ids sort by their bytes (COLLATE "C"), as in every other part of the server.
CREATE TABLE store (
  epoch text NOT NULL                        -- identity of this log's life; one row
);

CREATE TABLE topics (
  topic_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant       text COLLATE "C" NOT NULL,
  name         text COLLATE "C" NOT NULL,
  first_offset bigint NOT NULL DEFAULT 1,    -- of the oldest entry that is kept
  last_offset  bigint NOT NULL DEFAULT 0,    -- given out under the lock of this row
  UNIQUE (tenant, name)
) WITH (fillfactor = 50);                    -- one update per batch: room for it on the same page

-- One partition per month (UTC), made by the server. No foreign key: it would cost a look per message, and every
-- writer holds the row of its topic.
CREATE TABLE messages (
  topic_id   bigint NOT NULL,
  "offset"   bigint NOT NULL,                -- from 1, without holes
  kind       text COLLATE "C" NOT NULL,      -- message, edited, deleted
  message_id uuid NOT NULL,                  -- UUIDv7; the same in both inboxes of a direct message
  target_id  uuid,                           -- message_id of what an entry edits or deletes
  sender     text COLLATE "C" NOT NULL,
  peer       text COLLATE "C",               -- in an inbox: with whom the conversation is
  event      text COLLATE "C",               -- a backslash is \\, NUL is \0
  priority   text COLLATE "C",
  payload    bytea NOT NULL,                 -- msgpack, as last edited; nil when deleted
  created_at timestamptz NOT NULL,
  edited_at  timestamptz,
  deleted_at timestamptz,
  words      tsvector,                       -- what a search finds it by
  PRIMARY KEY (topic_id, "offset", created_at)
) PARTITION BY RANGE (created_at);

-- The net below: what comes before its month has a partition.
CREATE TABLE messages_default PARTITION OF messages DEFAULT;

CREATE UNIQUE INDEX messages_by_id ON messages (message_id, topic_id, created_at);
CREATE INDEX messages_by_peer ON messages (topic_id, peer, "offset") WHERE peer IS NOT NULL;
CREATE INDEX messages_by_target ON messages (target_id) WHERE target_id IS NOT NULL;
CREATE INDEX messages_by_words ON messages USING gin (words);

-- Idempotency keys. A table of its own, since a unique index cannot span partitions.
CREATE TABLE message_keys (
  topic_id    bigint NOT NULL,
  sender      text COLLATE "C" NOT NULL,
  key         text COLLATE "C" NOT NULL,     -- written as events are
  digest      bigint NOT NULL,               -- of the body under that key
  message_id  uuid NOT NULL,
  "offset"    bigint NOT NULL,
  copy_offset bigint,                        -- in the other inbox of a direct message
  created_at  timestamptz NOT NULL,
  PRIMARY KEY (topic_id, sender, key)
);

CREATE INDEX message_keys_by_offset ON message_keys (topic_id, "offset");

CREATE TABLE receipts (
  topic_id   bigint NOT NULL REFERENCES topics,
  user_id    text COLLATE "C" NOT NULL,
  kind       text COLLATE "C" NOT NULL,      -- delivered, read
  "offset"   bigint NOT NULL,                -- everything up to it
  created_at timestamptz NOT NULL,
  PRIMARY KEY (topic_id, user_id, kind, "offset")
);
