-- A database as the first version of fleet made it, with a little in every table.
CREATE TABLE fleet_schema (
	version INTEGER NOT NULL,
	PRIMARY KEY (version)
);
CREATE TABLE fleet_runs (
	id VARCHAR(40) NOT NULL,
	kind VARCHAR(40) NOT NULL,
	caller_arn TEXT NOT NULL,
	command TEXT NOT NULL,
	started_at DATETIME NOT NULL,
	finished_at DATETIME,
	outcome TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE fleet_audit (
	id INTEGER NOT NULL,
	run_id VARCHAR(40) NOT NULL,
	at DATETIME NOT NULL,
	caller_arn TEXT NOT NULL,
	action TEXT NOT NULL,
	store TEXT NOT NULL,
	host TEXT NOT NULL,
	why TEXT NOT NULL,
	detail TEXT NOT NULL,
	PRIMARY KEY (id),
	FOREIGN KEY(run_id) REFERENCES fleet_runs (id)
);
CREATE TABLE fleet_observations (
	id INTEGER NOT NULL,
	store TEXT NOT NULL,
	host TEXT NOT NULL,
	ledger VARCHAR(20) NOT NULL,
	value TEXT NOT NULL,
	first_seen DATETIME NOT NULL,
	last_seen DATETIME NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX fleet_runs_started ON fleet_runs (started_at);
CREATE INDEX fleet_observations_host ON fleet_observations (store, host, ledger, id);
CREATE INDEX ix_fleet_audit_run_id ON fleet_audit (run_id);
CREATE INDEX fleet_audit_host ON fleet_audit (store, host, at);
INSERT INTO fleet_schema VALUES (1);
INSERT INTO fleet_runs VALUES ('reg-7f3a', 'register', 'arn:me', 'fleet register store-042',
	'2026-11-20 10:00:00.000000', '2026-11-20 10:03:00.000000', 'done');
INSERT INTO fleet_audit VALUES (1, 'reg-7f3a', '2026-11-20 10:01:00.000000', 'arn:me', 'install',
	'store-042', 'cam-1', 'the host is fresh', '{"installer":"official"}');
INSERT INTO fleet_observations VALUES (1, 'store-042', 'cam-1', 'ssm', '{"ping":"Online"}',
	'2026-11-20 10:02:00.000000', '2026-11-22 03:00:00.000000');
