-- Sessions that their clients may take over, and when users were last there: what their homes know of them.
CREATE TABLE sessions (
  session_id  text COLLATE "C" PRIMARY KEY,
  token_hash  text COLLATE "C" NOT NULL,      -- SHA-256 of its resume token
  former_id   text COLLATE "C",               -- the session that it took over: its client may go by that name still
  former_hash text COLLATE "C",
  tenant      text COLLATE "C" NOT NULL,
  user_id     text COLLATE "C" NOT NULL,
  home        int NOT NULL,                   -- the shard that is the user's
  state       bytea NOT NULL,                 -- what comes back with it
  expires_at  timestamptz                     -- NULL while it has a connection
);

CREATE INDEX sessions_by_former ON sessions (former_id) WHERE former_id IS NOT NULL;
CREATE INDEX sessions_by_user ON sessions (tenant, user_id);
CREATE INDEX sessions_by_end ON sessions (expires_at);

CREATE TABLE seen_users (
  tenant       text COLLATE "C" NOT NULL,
  user_id      text COLLATE "C" NOT NULL,
  last_seen_at timestamptz NOT NULL,
  devices      bytea NOT NULL,                -- those that the user had
  PRIMARY KEY (tenant, user_id)
);
