-- What the fourth version of fleet changed in a database of the third: the details of changes are typed.
ALTER TABLE fleet_changes RENAME COLUMN evidence TO details;
ALTER TABLE fleet_changes ADD COLUMN ok_at DATETIME;
UPDATE fleet_changes SET details = '{}';
UPDATE fleet_schema SET version = 4;
