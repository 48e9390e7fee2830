ALTER TABLE user ADD COLUMN projects varchar(255) NOT NULL DEFAULT '[]';
