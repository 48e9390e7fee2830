-- The fixed statistic columns move into the JSON object `footprint`: four always, the others where they are
-- not 0 (json_patch leaves out what is null). One copy of the table instead of eight dropped columns, each of
-- which would rewrite it.

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

INSERT INTO job_new (
  id, job_id, cluster, subcluster, start_time, hpc_user, project, cluster_partition, array_job_id, duration,
  walltime, job_state, meta_data, resources, num_nodes, num_hwthreads, num_acc, smt, exclusive,
  monitoring_status, footprint
)
SELECT
  id, job_id, cluster, subcluster, start_time, user, project, partition, array_job_id, coalesce(duration, 0),
  coalesce(walltime, 0), job_state, meta_data, resources, num_nodes, num_hwthreads, num_acc, smt, exclusive,
  monitoring_status,
  json_patch(
    json_object(
      'flops_any_avg', coalesce(flops_any_avg, 0.0),
      'mem_bw_avg', coalesce(mem_bw_avg, 0.0),
      'mem_used_max', coalesce(mem_used_max, 0.0),
      'cpu_load_avg', coalesce(load_avg, 0.0)
    ),
    json_object(
      'net_bw_avg', nullif(net_bw_avg, 0.0),
      'net_data_vol_total', nullif(net_data_vol_total, 0.0),
      'file_bw_avg', nullif(file_bw_avg, 0.0),
      'file_data_vol_total', nullif(file_data_vol_total, 0.0)
    )
  )
FROM job;

DROP TABLE job;
ALTER TABLE job_new RENAME TO job;

ALTER TABLE tag ADD COLUMN tag_scope TEXT NOT NULL DEFAULT 'global';
ALTER TABLE user RENAME TO hpc_user;

CREATE INDEX jobs_cluster ON job (cluster, start_time);
CREATE INDEX jobs_user ON job (hpc_user, start_time);
CREATE INDEX jobs_project ON job (project, start_time);
CREATE INDEX jobs_jobstate ON job (job_state, start_time);
CREATE INDEX jobs_starttime ON job (start_time);
