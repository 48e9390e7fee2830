-- A default that is no constant cannot be added to a table, so both are rebuilt. Rows get the time of now.

CREATE TABLE tag_new (
  id        INTEGER PRIMARY KEY,
  tag_type  VARCHAR(255) NOT NULL,
  tag_name  VARCHAR(255) NOT NULL,
  insert_ts TEXT DEFAULT CURRENT_TIMESTAMP,
  UNIQUE (tag_type, tag_name)
);
INSERT INTO tag_new (id, tag_type, tag_name) SELECT id, tag_type, tag_name FROM tag;
DROP TABLE tag;
ALTER TABLE tag_new RENAME TO tag;

CREATE TABLE jobtag_new (
  job_id    INTEGER,
  tag_id    INTEGER,
  insert_ts TEXT DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (job_id, tag_id),
  FOREIGN KEY (job_id) REFERENCES job (id) ON DELETE CASCADE,
  FOREIGN KEY (tag_id) REFERENCES tag (id) ON DELETE CASCADE
);
INSERT INTO jobtag_new (job_id, tag_id) SELECT job_id, tag_id FROM jobtag;
DROP TABLE jobtag;
ALTER TABLE jobtag_new RENAME TO jobtag;
