-- One row: up to when everything is counted, and by which batch.
CREATE TABLE ledger (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  counted_to INTEGER,
  batch INTEGER NOT NULL
) STRICT;
INSERT INTO ledger (id, counted_to, batch) VALUES (1, NULL, 0);

CREATE TABLE subject (
  id INTEGER PRIMARY KEY,
  uid TEXT NOT NULL,
  namespace TEXT NOT NULL,
  name TEXT NOT NULL,
  owner TEXT NOT NULL,
  team TEXT NOT NULL,
  project TEXT NOT NULL,
  flavor TEXT NOT NULL,
  spot INTEGER NOT NULL,
  phase TEXT NOT NULL CHECK (phase IN ('Stopped', 'Running', 'Idle')),
  requested_cpu_milli INTEGER NOT NULL,
  requested_memory_bytes INTEGER NOT NULL,
  requested_gpus INTEGER NOT NULL,
  limit_cpu_milli INTEGER NOT NULL,
  limit_memory_bytes INTEGER NOT NULL,
  limit_gpus INTEGER NOT NULL,
  volume_bytes INTEGER NOT NULL
) STRICT;

-- ended NULL: it goes on, up to ledger.counted_to. None crosses midnight.
CREATE TABLE intervals (
  subject INTEGER NOT NULL REFERENCES subject (id),
  batch INTEGER NOT NULL,
  started INTEGER NOT NULL,
  ended INTEGER CHECK (ended >= started),
  measured INTEGER NOT NULL,
  used_cpu_milli_seconds INTEGER NOT NULL,
  used_memory_byte_seconds INTEGER NOT NULL,
  peak_memory_bytes INTEGER NOT NULL,
  PRIMARY KEY (subject, batch, started)
) STRICT, WITHOUT ROWID;
CREATE INDEX intervals_started ON intervals (started);
CREATE INDEX intervals_open ON intervals (subject) WHERE ended IS NULL;

-- What one unit costs from an instant on; the newest before an instant counts.
CREATE TABLE price (
  item TEXT NOT NULL,
  currency TEXT NOT NULL,
  starts INTEGER NOT NULL,
  micros INTEGER NOT NULL CHECK (micros >= 0),
  PRIMARY KEY (item, currency, starts)
) STRICT, WITHOUT ROWID;

-- Reports that were sent, so that none is sent twice.
CREATE TABLE report (
  week TEXT NOT NULL,
  team TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('Sending', 'Sent', 'Failed')),
  attempts INTEGER NOT NULL,
  changed INTEGER NOT NULL,
  PRIMARY KEY (week, team)
) STRICT, WITHOUT ROWID;
