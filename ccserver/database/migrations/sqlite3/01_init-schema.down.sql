DROP TABLE configuration;
DROP TABLE user;
DROP TABLE jobtag;
DROP TABLE tag;
DROP TABLE job;
