-- A database as the second version of fleet made it, with a run, observations and a rollout.
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
CREATE INDEX fleet_runs_started ON fleet_runs (started_at);
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
CREATE INDEX fleet_observations_host ON fleet_observations (store, host, ledger, id);
CREATE TABLE fleet_rollouts (
	number INTEGER NOT NULL,
	run VARCHAR(40) NOT NULL,
	caller TEXT NOT NULL,
	title TEXT NOT NULL,
	release TEXT NOT NULL,
	workloads TEXT NOT NULL,
	started_at DATETIME NOT NULL,
	phase VARCHAR(20) NOT NULL,
	why TEXT NOT NULL,
	wave INTEGER NOT NULL,
	wave_at DATETIME,
	baking_since DATETIME,
	promoted BOOLEAN NOT NULL,
	accepted TEXT NOT NULL,
	owed_until DATETIME,
	tick INTEGER NOT NULL,
	updated_at DATETIME,
	finished_at DATETIME,
	PRIMARY KEY (number)
);
CREATE INDEX fleet_rollouts_finished ON fleet_rollouts (finished_at);
CREATE TABLE fleet_leases (
	name TEXT NOT NULL,
	owner TEXT NOT NULL,
	token BIGINT NOT NULL,
	taken_at DOUBLE NOT NULL,
	expires_at DOUBLE NOT NULL,
	ttl_s DOUBLE NOT NULL,
	state TEXT NOT NULL,
	PRIMARY KEY (name)
);
CREATE TABLE fleet_task_definitions (
	arn TEXT NOT NULL,
	account_id TEXT NOT NULL,
	region TEXT NOT NULL,
	family TEXT NOT NULL,
	content VARCHAR(64) NOT NULL,
	revision INTEGER NOT NULL,
	body TEXT NOT NULL,
	PRIMARY KEY (arn)
);
CREATE INDEX fleet_task_definitions_content ON fleet_task_definitions (account_id, region, content);
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
CREATE INDEX fleet_audit_host ON fleet_audit (store, host, at);
CREATE INDEX ix_fleet_audit_run_id ON fleet_audit (run_id);
CREATE TABLE fleet_rollout_specs (
	rollout INTEGER NOT NULL,
	spec TEXT NOT NULL,
	PRIMARY KEY (rollout),
	FOREIGN KEY(rollout) REFERENCES fleet_rollouts (number)
);
CREATE TABLE fleet_changes (
	rollout INTEGER NOT NULL,
	store TEXT NOT NULL,
	service TEXT NOT NULL,
	workload TEXT NOT NULL,
	account TEXT NOT NULL,
	region TEXT NOT NULL,
	cluster TEXT NOT NULL,
	wave INTEGER NOT NULL,
	content TEXT NOT NULL,
	previous TEXT NOT NULL,
	desired_count INTEGER NOT NULL,
	previous_count INTEGER NOT NULL,
	stage VARCHAR(20) NOT NULL,
	verdict VARCHAR(20) NOT NULL,
	reason TEXT NOT NULL,
	since DATETIME,
	sent_at DATETIME,
	target TEXT NOT NULL,
	sends INTEGER NOT NULL,
	pulls_failed INTEGER NOT NULL,
	away_since DATETIME,
	looked_at DATETIME,
	look_at DATETIME,
	evidence TEXT NOT NULL,
	PRIMARY KEY (rollout, store, service),
	FOREIGN KEY(rollout) REFERENCES fleet_rollouts (number)
);
CREATE INDEX fleet_changes_verdict ON fleet_changes (rollout, verdict, stage);
CREATE TABLE fleet_rollout_events (
	id INTEGER NOT NULL,
	rollout INTEGER NOT NULL,
	at DATETIME NOT NULL,
	kind VARCHAR(20) NOT NULL,
	text TEXT NOT NULL,
	store TEXT NOT NULL,
	data TEXT NOT NULL,
	PRIMARY KEY (id),
	FOREIGN KEY(rollout) REFERENCES fleet_rollouts (number)
);
CREATE INDEX fleet_rollout_events_of ON fleet_rollout_events (rollout, id);
CREATE TABLE fleet_verbs (
	id INTEGER NOT NULL,
	rollout INTEGER NOT NULL,
	name VARCHAR(20) NOT NULL,
	stores TEXT NOT NULL,
	"by" TEXT NOT NULL,
	at DATETIME NOT NULL,
	why TEXT NOT NULL,
	answer TEXT NOT NULL,
	PRIMARY KEY (id),
	FOREIGN KEY(rollout) REFERENCES fleet_rollouts (number)
);
CREATE INDEX fleet_verbs_of ON fleet_verbs (rollout, id);
CREATE TABLE fleet_holds (
	store TEXT NOT NULL,
	workload TEXT NOT NULL,
	rollout INTEGER NOT NULL,
	"by" TEXT NOT NULL,
	since DATETIME NOT NULL,
	PRIMARY KEY (store, workload),
	FOREIGN KEY(rollout) REFERENCES fleet_rollouts (number)
);
CREATE INDEX ix_fleet_holds_rollout ON fleet_holds (rollout);
CREATE TABLE fleet_connectivity (
	rollout INTEGER NOT NULL,
	hour DATETIME NOT NULL,
	dark INTEGER NOT NULL,
	stores INTEGER NOT NULL,
	PRIMARY KEY (rollout, hour),
	FOREIGN KEY(rollout) REFERENCES fleet_rollouts (number)
);
INSERT INTO fleet_schema VALUES (2);
INSERT INTO fleet_runs VALUES ('reg-7f3a', 'register', 'arn:me', 'fleet register store-042',
	'2026-11-20 10:00:00.000000', '2026-11-20 10:03:00.000000', 'done');
INSERT INTO fleet_audit VALUES (1, 'reg-7f3a', '2026-11-20 10:01:00.000000', 'arn:me', 'install',
	'store-042', 'cam-1', 'the host is fresh', '{"installer":"official"}');
INSERT INTO fleet_observations VALUES (1, 'store-042', 'cam-1', 'ssm', '{"ping":"Online"}',
	'2026-11-20 10:02:00.000000', '2026-11-22 03:00:00.000000');
INSERT INTO fleet_leases VALUES ('controller', 'me', 7, 0.0, 0.0, 30.0, '{}');
INSERT INTO fleet_rollouts VALUES (118, 'run-7f3a', 'arn:me', 'vision', 'r', '["vision"]',
	'2026-11-21 01:00:00.000000', 'halted', 'two failed', 0, NULL, NULL, 0, '{}', NULL, 4, NULL,
	NULL);
