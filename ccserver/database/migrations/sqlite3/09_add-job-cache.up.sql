-- Rows keep their ids: tags refer to them. Words of a sharing and of a state change.

CREATE TABLE job_new (
  id                INTEGER PRIMARY KEY,
  job_id            BIGINT NOT NULL,
  cluster           TEXT NOT NULL,
  subcluster        TEXT NOT NULL,
  submit_time       BIGINT NOT NULL DEFAULT 0, -- unix seconds
  start_time        BIGINT NOT NULL DEFAULT 0, -- unix seconds
  hpc_user          TEXT NOT NULL,
  project           TEXT NOT NULL,
  cluster_partition TEXT,
  array_job_id      BIGINT,
  duration          INT NOT NULL,              -- seconds
  walltime          INT NOT NULL,              -- seconds
  job_state         TEXT NOT NULL CHECK (job_state IN (
                      'boot_fail', 'cancelled', 'completed', 'deadline', 'failed', 'node_fail',
                      'out_of_memory', 'pending', 'preempted', 'running', 'suspended', 'timeout')),
  meta_data         TEXT,                      -- JSON object of strings
  resources         TEXT NOT NULL,             -- JSON array: hostname, hwthreads, accelerators
  num_nodes         INT NOT NULL,
  num_hwthreads     INT,
  num_acc           INT,
  smt               INT NOT NULL DEFAULT 1,
  shared            TEXT NOT NULL CHECK (shared IN ('none', 'single_user', 'multi_user')),
  monitoring_status TINYINT NOT NULL DEFAULT 1 CHECK (monitoring_status IN (0, 1, 2, 3)),
  energy            REAL NOT NULL DEFAULT 0.0, -- kWh
  energy_footprint  TEXT,                      -- JSON object metric -> kWh
  footprint         TEXT,                      -- JSON object metric_statistic -> number
  UNIQUE (job_id, cluster, start_time)
);

INSERT INTO job_new (
  id, job_id, cluster, subcluster, submit_time, start_time, hpc_user, project, cluster_partition, array_job_id,
  duration, walltime, job_state, meta_data, resources, num_nodes, num_hwthreads, num_acc, smt, shared,
  monitoring_status, energy, energy_footprint, footprint
)
SELECT
  id, job_id, cluster, subcluster, 0, start_time, hpc_user, project, cluster_partition, array_job_id,
  coalesce(duration, 0), coalesce(walltime, 0),
  CASE job_state WHEN 'stopped' THEN 'cancelled' WHEN 'canceled' THEN 'cancelled' ELSE job_state END,
  meta_data, resources, num_nodes, num_hwthreads, num_acc, coalesce(smt, 1),
  CASE exclusive WHEN 0 THEN 'multi_user' WHEN 2 THEN 'single_user' ELSE 'none' END,
  monitoring_status, coalesce(energy, 0.0), energy_footprint, footprint
FROM job;

DROP TABLE job;
ALTER TABLE job_new RENAME TO job;

-- Waiting room of programs that insert started jobs in batches; ids here are not ids of `job`.

CREATE TABLE job_cache (
  id                INTEGER PRIMARY KEY,
  job_id            BIGINT NOT NULL,
  cluster           TEXT NOT NULL,
  subcluster        TEXT NOT NULL,
  submit_time       BIGINT NOT NULL DEFAULT 0, -- unix seconds
  start_time        BIGINT NOT NULL DEFAULT 0, -- unix seconds
  hpc_user          TEXT NOT NULL,
  project           TEXT NOT NULL,
  cluster_partition TEXT,
  array_job_id      BIGINT,
  duration          INT NOT NULL,              -- seconds
  walltime          INT NOT NULL,              -- seconds
  job_state         TEXT NOT NULL CHECK (job_state IN (
                      'boot_fail', 'cancelled', 'completed', 'deadline', 'failed', 'node_fail',
                      'out_of_memory', 'pending', 'preempted', 'running', 'suspended', 'timeout')),
  meta_data         TEXT,                      -- JSON object of strings
  resources         TEXT NOT NULL,             -- JSON array: hostname, hwthreads, accelerators
  num_nodes         INT NOT NULL,
  num_hwthreads     INT,
  num_acc           INT,
  smt               INT NOT NULL DEFAULT 1 CHECK (smt IN (0, 1)),
  shared            TEXT NOT NULL CHECK (shared IN ('none', 'single_user', 'multi_user')),
  monitoring_status TINYINT NOT NULL DEFAULT 1 CHECK (monitoring_status IN (0, 1, 2, 3)),
  energy            REAL NOT NULL DEFAULT 0.0, -- kWh
  energy_footprint  TEXT,                      -- JSON object metric -> kWh
  footprint         TEXT,                      -- JSON object metric_statistic -> number
  UNIQUE (job_id, cluster, start_time)
);

CREATE INDEX IF NOT EXISTS jobs_cluster_user ON job (cluster, hpc_user);
CREATE INDEX IF NOT EXISTS jobs_cluster_project ON job (cluster, project);
CREATE INDEX IF NOT EXISTS jobs_cluster_subcluster ON job (cluster, subcluster);
CREATE INDEX IF NOT EXISTS jobs_cluster_numnodes ON job (cluster, num_nodes);
CREATE INDEX IF NOT EXISTS jobs_cluster_numhwthreads ON job (cluster, num_hwthreads);
CREATE INDEX IF NOT EXISTS jobs_cluster_numacc ON job (cluster, num_acc);
CREATE INDEX IF NOT EXISTS jobs_cluster_energy ON job (cluster, energy);
CREATE INDEX IF NOT EXISTS jobs_cluster_duration_starttime ON job (cluster, duration, start_time);
CREATE INDEX IF NOT EXISTS jobs_cluster_starttime_duration ON job (cluster, start_time, duration);
CREATE INDEX IF NOT EXISTS jobs_cluster_partition_user ON job (cluster, cluster_partition, hpc_user);
CREATE INDEX IF NOT EXISTS jobs_cluster_partition_project ON job (cluster, cluster_partition, project);
CREATE INDEX IF NOT EXISTS jobs_cluster_partition_jobstate ON job (cluster, cluster_partition, job_state);
CREATE INDEX IF NOT EXISTS jobs_cluster_partition_shared ON job (cluster, cluster_partition, shared);
CREATE INDEX IF NOT EXISTS jobs_cluster_partition_duration_starttime ON job (cluster, cluster_partition, duration, start_time);
CREATE INDEX IF NOT EXISTS jobs_cluster_partition_starttime_duration ON job (cluster, cluster_partition, start_time, duration);
CREATE INDEX IF NOT EXISTS jobs_cluster_jobstate_starttime_duration ON job (cluster, job_state, start_time, duration);
CREATE INDEX IF NOT EXISTS jobs_cluster_jobstate_duration_starttime ON job (cluster, job_state, duration, start_time);
CREATE INDEX IF NOT EXISTS jobs_cluster_shared_user ON job (cluster, shared, hpc_user);
CREATE INDEX IF NOT EXISTS jobs_cluster_shared_project ON job (cluster, shared, project);
CREATE INDEX IF NOT EXISTS jobs_cluster_shared_starttime_duration ON job (cluster, shared, start_time, duration);
CREATE INDEX IF NOT EXISTS jobs_cluster_shared_duration_starttime ON job (cluster, shared, duration, start_time);
CREATE INDEX IF NOT EXISTS jobs_user_starttime_duration ON job (hpc_user, start_time, duration);
CREATE INDEX IF NOT EXISTS jobs_user_duration_starttime ON job (hpc_user, duration, start_time);
CREATE INDEX IF NOT EXISTS jobs_project_user ON job (project, hpc_user);
CREATE INDEX IF NOT EXISTS jobs_project_starttime_duration ON job (project, start_time, duration);
CREATE INDEX IF NOT EXISTS jobs_project_duration_starttime ON job (project, duration, start_time);
CREATE INDEX IF NOT EXISTS jobs_jobstate_user ON job (job_state, hpc_user);
CREATE INDEX IF NOT EXISTS jobs_jobstate_project ON job (job_state, project);
CREATE INDEX IF NOT EXISTS jobs_jobstate_starttime_duration ON job (job_state, start_time, duration);
CREATE INDEX IF NOT EXISTS jobs_jobstate_duration_starttime ON job (job_state, duration, start_time);
CREATE INDEX IF NOT EXISTS jobs_shared_user ON job (shared, hpc_user);
CREATE INDEX IF NOT EXISTS jobs_shared_project ON job (shared, project);
CREATE INDEX IF NOT EXISTS jobs_shared_starttime_duration ON job (shared, start_time, duration);
CREATE INDEX IF NOT EXISTS jobs_shared_duration_starttime ON job (shared, duration, start_time);
CREATE INDEX IF NOT EXISTS jobs_arrayjobid_starttime ON job (array_job_id, start_time);
CREATE INDEX IF NOT EXISTS jobs_duration_starttime ON job (duration, start_time);
CREATE INDEX IF NOT EXISTS jobs_numnodes_starttime ON job (num_nodes, start_time);
CREATE INDEX IF NOT EXISTS jobs_numhwthreads_starttime ON job (num_hwthreads, start_time);
CREATE INDEX IF NOT EXISTS jobs_numacc_starttime ON job (num_acc, start_time);
CREATE INDEX IF NOT EXISTS jobs_energy_starttime ON job (energy, start_time);
CREATE INDEX IF NOT EXISTS jobs_starttime_duration ON job (start_time, duration);
CREATE INDEX IF NOT EXISTS jobs_numnodes_duration ON job (num_nodes, duration);
CREATE INDEX IF NOT EXISTS jobs_numhwthreads_duration ON job (num_hwthreads, duration);
CREATE INDEX IF NOT EXISTS jobs_numacc_duration ON job (num_acc, duration);
CREATE INDEX IF NOT EXISTS jobs_energy_duration ON job (energy, duration);
CREATE INDEX IF NOT EXISTS jobs_starttime ON job (start_time);
CREATE INDEX IF NOT EXISTS jobs_cluster_jobstate_user ON job (cluster, job_state, hpc_user);
CREATE INDEX IF NOT EXISTS jobs_cluster_jobstate_project ON job (cluster, job_state, project);
