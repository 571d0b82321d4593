-- Sessions that their clients may take over, and when users were last there: what their homes know of them.
CREATE TABLE sessions (
  session_id  TEXT NOT NULL PRIMARY KEY,
  token_hash  TEXT NOT NULL,          -- SHA-256 of its resume token
  former_id   TEXT,                   -- the session that it took over: its client may go by that name still
  former_hash TEXT,
  tenant      TEXT NOT NULL,
  user_id     TEXT NOT NULL,
  home        INTEGER NOT NULL,       -- the shard that is the user's
  state       BLOB NOT NULL,          -- what comes back with it
  expires_at  INTEGER                 -- milliseconds since 1970; NULL while it has a connection
) STRICT;

CREATE INDEX sessions_by_former ON sessions (former_id) WHERE former_id IS NOT NULL;
CREATE INDEX sessions_by_user ON sessions (tenant, user_id);
CREATE INDEX sessions_by_end ON sessions (expires_at);

CREATE TABLE seen_users (
  tenant       TEXT NOT NULL,
  user_id      TEXT NOT NULL,
  last_seen_at INTEGER NOT NULL,
  devices      BLOB NOT NULL,         -- those that the user had
  PRIMARY KEY (tenant, user_id)
) STRICT, WITHOUT ROWID;
