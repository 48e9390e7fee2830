CREATE TABLE node (
  id         INTEGER PRIMARY KEY,
  hostname   VARCHAR(255) NOT NULL,
  cluster    VARCHAR(255) NOT NULL,
  subcluster VARCHAR(255) NOT NULL,
  meta_data  TEXT,
  UNIQUE (hostname, cluster)
);

CREATE TABLE node_state (
  id               INTEGER PRIMARY KEY,
  time_stamp       INTEGER NOT NULL, -- unix seconds
  jobs_running     INTEGER NOT NULL DEFAULT 0,
  cpus_allocated   INTEGER NOT NULL DEFAULT 0,
  memory_allocated INTEGER NOT NULL DEFAULT 0, -- MB
  gpus_allocated   INTEGER NOT NULL DEFAULT 0,
  node_state       VARCHAR(255) NOT NULL CHECK (node_state IN (
                     'allocated', 'reserved', 'idle', 'mixed', 'down', 'unknown')),
  health_state     VARCHAR(255) NOT NULL CHECK (health_state IN ('full', 'partial', 'failed')),
  health_metrics   TEXT,             -- JSON object: missing, degraded
  node_id          INTEGER,
  FOREIGN KEY (node_id) REFERENCES node (id)
);

CREATE INDEX IF NOT EXISTS tags_jobid ON jobtag (job_id);
CREATE INDEX IF NOT EXISTS tags_tagid ON jobtag (tag_id);

CREATE INDEX IF NOT EXISTS nodes_cluster ON node (cluster);
CREATE INDEX IF NOT EXISTS nodes_cluster_subcluster ON node (cluster, subcluster);

CREATE INDEX IF NOT EXISTS nodestates_timestamp ON node_state (time_stamp);
CREATE INDEX IF NOT EXISTS nodestates_state_timestamp ON node_state (node_state, time_stamp);
CREATE INDEX IF NOT EXISTS nodestates_health_timestamp ON node_state (health_state, time_stamp);
CREATE INDEX IF NOT EXISTS nodestates_nodeid_state ON node_state (node_id, node_state);
CREATE INDEX IF NOT EXISTS nodestates_nodeid_health ON node_state (node_id, health_state);
-- the latest state of each node
CREATE INDEX IF NOT EXISTS nodestates_nodeid_timestamp ON node_state (node_id, time_stamp DESC);
