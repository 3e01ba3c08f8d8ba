-- One row: up to when everything is counted, and by which batch.
CREATE TABLE ledger (
  id BIGINT PRIMARY KEY CHECK (id = 1),
  counted_to BIGINT,
  batch BIGINT NOT NULL
);
INSERT INTO ledger (id, counted_to, batch) VALUES (1, NULL, 0);

CREATE TABLE subject (
  id BIGINT PRIMARY KEY,
  uid TEXT NOT NULL,
  namespace TEXT NOT NULL,
  name TEXT NOT NULL,
  owner TEXT NOT NULL,
  team TEXT NOT NULL,
  project TEXT NOT NULL,
  flavor TEXT NOT NULL,
  spot BIGINT NOT NULL,
  phase TEXT NOT NULL CHECK (phase IN ('Stopped', 'Running', 'Idle')),
  requested_cpu_milli BIGINT NOT NULL,
  requested_memory_bytes BIGINT NOT NULL,
  requested_gpus BIGINT NOT NULL,
  limit_cpu_milli BIGINT NOT NULL,
  limit_memory_bytes BIGINT NOT NULL,
  limit_gpus BIGINT NOT NULL,
  volume_bytes BIGINT NOT NULL
);

-- ended NULL: it goes on, up to ledger.counted_to. None crosses midnight.
CREATE TABLE intervals (
  subject BIGINT NOT NULL REFERENCES subject (id),
  batch BIGINT NOT NULL,
  started BIGINT NOT NULL,
  ended BIGINT CHECK (ended >= started),
  measured BIGINT NOT NULL,
  used_cpu_milli_seconds BIGINT NOT NULL,
  used_memory_byte_seconds BIGINT NOT NULL,
  peak_memory_bytes BIGINT NOT NULL,
  PRIMARY KEY (subject, batch, started)
);
CREATE INDEX intervals_started ON intervals (started);
CREATE INDEX intervals_open ON intervals (subject) WHERE ended IS NULL;

-- What one unit costs from an instant on; the newest before an instant counts.
CREATE TABLE price (
  item TEXT NOT NULL,
  currency TEXT NOT NULL,
  starts BIGINT NOT NULL,
  micros BIGINT NOT NULL CHECK (micros >= 0),
  PRIMARY KEY (item, currency, starts)
);

-- Reports that were sent, so that none is sent twice.
CREATE TABLE report (
  week TEXT NOT NULL,
  team TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('Sending', 'Sent', 'Failed')),
  attempts BIGINT NOT NULL,
  changed BIGINT NOT NULL,
  PRIMARY KEY (week, team)
);
