-- Jobs that still wait in the cache are kept; states the old list does not have become the nearest one.

CREATE TABLE job_new (
  id                INTEGER PRIMARY KEY,
  job_id            BIGINT NOT NULL,
  cluster           VARCHAR(255) NOT NULL,
  subcluster        VARCHAR(255) NOT NULL,
  start_time        BIGINT NOT NULL, -- unix seconds
  hpc_user          VARCHAR(255) NOT NULL,
  project           VARCHAR(255) NOT NULL,
  cluster_partition VARCHAR(255),
  array_job_id      BIGINT,
  duration          INT NOT NULL,
  walltime          INT NOT NULL,
  job_state         VARCHAR(255) NOT NULL CHECK (job_state IN (
                      'running', 'completed', 'failed', 'cancelled', 'stopped', 'timeout', 'preempted',
                      'out_of_memory')),
  meta_data         TEXT,
  resources         TEXT NOT NULL,
  num_nodes         INT NOT NULL,
  num_hwthreads     INT,
  num_acc           INT,
  smt               TINYINT NOT NULL DEFAULT 1 CHECK (smt IN (0, 1)),
  exclusive         TINYINT NOT NULL DEFAULT 1 CHECK (exclusive IN (0, 1, 2)),
  monitoring_status TINYINT NOT NULL DEFAULT 1 CHECK (monitoring_status IN (0, 1, 2, 3)),
  energy            REAL NOT NULL DEFAULT 0.0,
  energy_footprint  TEXT DEFAULT NULL,
  footprint         TEXT DEFAULT NULL,
  UNIQUE (job_id, cluster, start_time)
);

INSERT OR IGNORE INTO job (
  job_id, cluster, subcluster, submit_time, start_time, hpc_user, project, cluster_partition, array_job_id,
  duration, walltime, job_state, meta_data, resources, num_nodes, num_hwthreads, num_acc, smt, shared,
  monitoring_status, energy, energy_footprint, footprint
)
SELECT
  job_id, cluster, subcluster, submit_time, start_time, hpc_user, project, cluster_partition, array_job_id,
  duration, walltime, job_state, meta_data, resources, num_nodes, num_hwthreads, num_acc, smt, shared,
  monitoring_status, energy, energy_footprint, footprint
FROM job_cache;

INSERT INTO job_new (
  id, job_id, cluster, subcluster, start_time, hpc_user, project, cluster_partition, array_job_id, duration,
  walltime, job_state, meta_data, resources, num_nodes, num_hwthreads, num_acc, smt, exclusive,
  monitoring_status, energy, energy_footprint, footprint
)
SELECT
  id, job_id, cluster, subcluster, start_time, hpc_user, project, cluster_partition, array_job_id, duration,
  walltime,
  CASE
    WHEN job_state IN ('boot_fail', 'deadline', 'node_fail') THEN 'failed'
    WHEN job_state IN ('pending', 'suspended') THEN 'running'
    ELSE job_state
  END,
  meta_data, resources, num_nodes, num_hwthreads, num_acc, min(smt, 1),
  CASE shared WHEN 'multi_user' THEN 0 WHEN 'single_user' THEN 2 ELSE 1 END,
  monitoring_status, energy, energy_footprint, footprint
FROM job;

DROP TABLE job_cache;
DROP TABLE job;
ALTER TABLE job_new RENAME TO job;

CREATE INDEX jobs_cluster ON job (cluster, start_time);
CREATE INDEX jobs_user ON job (hpc_user, start_time);
CREATE INDEX jobs_project ON job (project, start_time);
CREATE INDEX jobs_jobstate ON job (job_state, start_time);
CREATE INDEX jobs_starttime ON job (start_time);
