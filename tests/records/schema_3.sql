-- What the third version of fleet added to a database of the second: scans, and loose evidence.
CREATE TABLE fleet_scans (
	id VARCHAR(40) NOT NULL,
	selection TEXT NOT NULL,
	started_at DATETIME NOT NULL,
	finished_at DATETIME,
	states TEXT NOT NULL,
	calls INTEGER NOT NULL,
	throttled INTEGER NOT NULL,
	complete BOOLEAN NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX fleet_scans_started ON fleet_scans (started_at);
CREATE TABLE fleet_findings (
	id INTEGER NOT NULL,
	code TEXT NOT NULL,
	account TEXT NOT NULL,
	region TEXT NOT NULL,
	store TEXT NOT NULL,
	host TEXT NOT NULL,
	subject TEXT NOT NULL,
	finding TEXT NOT NULL,
	first_seen DATETIME NOT NULL,
	last_seen DATETIME NOT NULL,
	resolved_at DATETIME,
	PRIMARY KEY (id)
);
CREATE INDEX fleet_findings_resolved ON fleet_findings (resolved_at);
CREATE INDEX fleet_findings_first ON fleet_findings (first_seen);
CREATE UNIQUE INDEX fleet_findings_open ON fleet_findings (store, host, code, subject, account, region)
	WHERE resolved_at IS NULL;
CREATE INDEX fleet_findings_store ON fleet_findings (store, first_seen);
UPDATE fleet_schema SET version = 3;
INSERT INTO fleet_changes VALUES (118, 'store-001', 'vision-arm64', 'vision', 'emea-prod', 'eu-west-1', 'store-001', 0,
	'cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc', 'arn:vision:12', 1, 1, 'sent', 'failed', '2 failures',
	'2026-11-21 01:02:00.000000', '2026-11-21 01:01:00.123456', 'arn:vision:13', 1, 0, NULL, NULL, NULL,
	'{"accepted":true,"cause":"exit 1","deep_at":"2026-11-21T01:01:50+00:00","deployment":"ecs-svc/1","hosts":{"cam-1":{"away_since":null,"connected":true,"tried_s":31.5},"cam-2":{"away_since":"2026-11-21T00:59:00+00:00","connected":false,"tried_s":0.0}},"looked_at":"2026-11-21T01:02:00+00:00","ok_at":"2026-11-21T01:01:40+00:00","pull_counted":true,"reason":"2 failures","restored":"arn:vision:12","runs":"arn:vision:13","settles_at":null,"tasks":[{"exit_codes":[1],"health":"UNKNOWN","host":"cam-1","id":"7f3a","reason":"no camera","started_at":"2026-11-21T01:01:10+00:00","status":"STOPPED","stop_code":"EssentialContainerExited","stopped_at":"2026-11-21T01:01:20+00:00"}],"try":"2026-11-21T01:01:00.123456+00:00"}');
INSERT INTO fleet_changes VALUES (118, 'store-002', 'vision-arm64', 'vision', 'emea-prod', 'eu-west-1', 'store-002', 0,
	'cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc', 'arn:vision:12', 1, 1, 'planned', 'waiting', 'its turn is put off: not read: no answer',
	'2026-11-21 01:02:00.000000', '2026-11-21 01:01:00.123456', 'arn:vision:13', 1, 0, NULL, NULL, NULL,
	'{"asked":true,"before":"ecs-svc/0","ended":{"reason":"exit 1","stage":"sent","verdict":"failed"},"reason":"its hosts are connected; waits for its turn","refusals":2,"set_back":true,"settled":true,"stays_back":true,"try":"2026-11-21T01:01:00.123456+00:00"}');
INSERT INTO fleet_changes VALUES (118, 'store-003', 'vision-arm64', 'vision', 'emea-prod', 'eu-west-1', 'store-003', 0,
	'cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc', 'arn:vision:12', 1, 1, 'sent', 'waiting', 'sent',
	'2026-11-21 01:02:00.000000', '2026-11-21 01:01:00.123456', 'arn:vision:13', 2, 0, NULL, NULL, NULL,
	'{"accepted":true,"cause":"exit 1","deep_at":"2026-11-21T01:01:50+00:00","deployment":"ecs-svc/1","hosts":{"cam-1":{"away_since":null,"connected":true,"tried_s":31.5},"cam-2":{"away_since":"2026-11-21T00:59:00+00:00","connected":false,"tried_s":0.0}},"looked_at":"2026-11-21T01:02:00+00:00","ok_at":"2026-11-21T01:01:40+00:00","pull_counted":true,"reason":"2 failures","refusals":1,"restored":"arn:vision:12","runs":"arn:vision:13","settles_at":null,"tasks":[{"exit_codes":[1],"health":"UNKNOWN","host":"cam-1","id":"7f3a","reason":"no camera","started_at":"2026-11-21T01:01:10+00:00","status":"STOPPED","stop_code":"EssentialContainerExited","stopped_at":"2026-11-21T01:01:20+00:00"}],"try":"2026-11-21T00:30:00+00:00"}');
INSERT INTO fleet_changes VALUES (118, 'store-004', 'vision-arm64', 'vision', 'emea-prod', 'eu-west-1', 'store-004', 0,
	'cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc', 'arn:vision:12', 1, 1, 'undone', 'dark', 'back to vision-arm64:12',
	'2026-11-21 01:02:00.000000', '2026-11-21 01:01:00.123456', 'arn:vision:13', 1, 0, NULL, NULL, NULL,
	'{"settled":false}');
INSERT INTO fleet_changes VALUES (118, 'store-005', 'vision-arm64', 'vision', 'emea-prod', 'eu-west-1', 'store-005', 0,
	'cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc', 'arn:vision:12', 1, 1, 'planned', 'waiting', '',
	'2026-11-21 01:02:00.000000', NULL, '', 0, 0, NULL, NULL, NULL,
	'{}');
