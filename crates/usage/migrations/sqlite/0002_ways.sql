-- Reports are sent in more than one way, each once. SQLite changes no primary key: the table is made anew.
CREATE TABLE report_by_way (
  week TEXT NOT NULL,
  team TEXT NOT NULL,
  way TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('Sending', 'Sent', 'Failed')),
  attempts INTEGER NOT NULL,
  changed INTEGER NOT NULL,
  PRIMARY KEY (week, team, way)
) STRICT, WITHOUT ROWID;
INSERT INTO report_by_way (week, team, way, state, attempts, changed)
  SELECT week, team, 'mail', state, attempts, changed FROM report;
DROP TABLE report;
ALTER TABLE report_by_way RENAME TO report;
