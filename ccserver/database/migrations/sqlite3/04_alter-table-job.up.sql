-- Rows keep their ids: tags refer to them.

CREATE TABLE job_new (
  id                  INTEGER PRIMARY KEY,
  job_id              BIGINT NOT NULL,
  cluster             VARCHAR(255) NOT NULL,
  subcluster          VARCHAR(255) NOT NULL,
  start_time          BIGINT NOT NULL, -- unix seconds
  user                VARCHAR(255) NOT NULL,
  project             VARCHAR(255) NOT NULL,
  partition           VARCHAR(255),
  array_job_id        BIGINT,
  duration            INT NOT NULL DEFAULT 0,
  walltime            INT NOT NULL DEFAULT 0,
  job_state           VARCHAR(255) NOT NULL CHECK (job_state IN (
                        'running', 'completed', 'failed', 'cancelled', 'stopped', 'timeout', 'preempted',
                        'out_of_memory')),
  meta_data           TEXT,
  resources           TEXT NOT NULL,
  num_nodes           INT NOT NULL,
  num_hwthreads       INT,
  num_acc             INT,
  smt                 TINYINT NOT NULL DEFAULT 1 CHECK (smt IN (0, 1)),
  exclusive           TINYINT NOT NULL DEFAULT 1 CHECK (exclusive IN (0, 1, 2)),
  monitoring_status   TINYINT NOT NULL DEFAULT 1 CHECK (monitoring_status IN (0, 1, 2, 3)),
  flops_any_avg       REAL NOT NULL DEFAULT 0.0,
  mem_bw_avg          REAL NOT NULL DEFAULT 0.0,
  mem_used_max        REAL NOT NULL DEFAULT 0.0,
  load_avg            REAL NOT NULL DEFAULT 0.0,
  net_bw_avg          REAL NOT NULL DEFAULT 0.0,
  net_data_vol_total  REAL NOT NULL DEFAULT 0.0,
  file_bw_avg         REAL NOT NULL DEFAULT 0.0,
  file_data_vol_total REAL NOT NULL DEFAULT 0.0,
  UNIQUE (job_id, cluster, start_time)
);

INSERT INTO job_new (
  id, job_id, cluster, subcluster, start_time, user, project, partition, array_job_id, duration, walltime,
  job_state, meta_data, resources, num_nodes, num_hwthreads, num_acc, smt, exclusive, monitoring_status,
  flops_any_avg, mem_bw_avg, mem_used_max, load_avg, net_bw_avg,
  net_data_vol_total, file_bw_avg, file_data_vol_total
)
SELECT
  id, job_id, cluster, subcluster, start_time, user, project, partition, array_job_id, duration, walltime,
  CASE job_state WHEN 'canceled' THEN 'cancelled' ELSE job_state END, meta_data, resources, num_nodes, num_hwthreads, num_acc, smt, exclusive, monitoring_status,
  flops_any_avg, mem_bw_avg, mem_used_max, load_avg, net_bw_avg,
  net_data_vol_total, file_bw_avg, file_data_vol_total
FROM job;

DROP TABLE job;
ALTER TABLE job_new RENAME TO job;

CREATE INDEX job_stats ON job (cluster, subcluster, user);
CREATE INDEX job_by_user ON job (user);
CREATE INDEX job_by_starttime ON job (start_time);
CREATE INDEX job_by_job_id ON job (job_id, cluster, start_time);
CREATE INDEX job_list ON job (cluster, job_state);
CREATE INDEX job_list_user ON job (user, cluster, job_state);
CREATE INDEX job_list_users ON job (user, job_state);
CREATE INDEX job_list_users_start ON job (start_time, user, job_state);
