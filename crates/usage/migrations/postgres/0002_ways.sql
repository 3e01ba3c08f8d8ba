-- Reports are sent in more than one way, each once.
ALTER TABLE report ADD COLUMN way TEXT NOT NULL DEFAULT 'mail';
ALTER TABLE report ALTER COLUMN way DROP DEFAULT;
ALTER TABLE report DROP CONSTRAINT report_pkey;
ALTER TABLE report ADD PRIMARY KEY (week, team, way);
