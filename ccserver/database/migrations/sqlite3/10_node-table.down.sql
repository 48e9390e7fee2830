DROP INDEX IF EXISTS tags_jobid;
DROP INDEX IF EXISTS tags_tagid;
DROP TABLE node_state;
DROP TABLE node;
