--- moongate.admin.store.migrations.16_custom_hostnames — hostnames of other domains that a zone serves.
--
-- A zone has a hostname once, and one zone at a time serves it: that is `served`. `ssl_id` is NULL where no certificate
-- was ordered. `checks` of a zone: whether somebody has to prove that a hostname is theirs before it is served; `attempts`
-- tells how often that was looked for so far.

return { [[
CREATE TABLE custom_hostnames (
  id                    TEXT PRIMARY KEY CHECK (length(id) = 36),
  zone_id               TEXT NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
  hostname              TEXT NOT NULL CHECK (length(hostname) BETWEEN 1 AND 253),
  status                TEXT NOT NULL,
  served                INTEGER NOT NULL CHECK (served IN (0, 1)),
  owned                 INTEGER NOT NULL CHECK (owned IN (0, 1)),
  token                 TEXT NOT NULL CHECK (length(token) = 36),
  verification_errors   TEXT NOT NULL,
  attempts              INTEGER NOT NULL,
  next_check            TEXT NOT NULL,
  custom_metadata       TEXT,
  custom_origin_server  TEXT,
  custom_origin_sni     TEXT,
  created_at            TEXT NOT NULL,
  ssl_id                TEXT CHECK (length(ssl_id) = 36),
  ssl_status            TEXT,
  ssl_method            TEXT,
  ssl_type              TEXT,
  bundle_method         TEXT,
  certificate_authority TEXT,
  wildcard              INTEGER NOT NULL CHECK (wildcard IN (0, 1)),
  branding              INTEGER NOT NULL CHECK (branding IN (0, 1)),
  settings              TEXT NOT NULL,
  UNIQUE (zone_id, hostname)
)]], [[
CREATE UNIQUE INDEX custom_hostnames_served ON custom_hostnames (hostname) WHERE served = 1]], [[
CREATE INDEX custom_hostnames_unproven ON custom_hostnames (next_check) WHERE owned = 0]], [[
CREATE TABLE custom_hostname_certificates (
  id                 TEXT PRIMARY KEY CHECK (length(id) = 36),
  custom_hostname_id TEXT NOT NULL REFERENCES custom_hostnames (id) ON DELETE CASCADE,
  position           INTEGER NOT NULL CHECK (position IN (1, 2)),
  kind               TEXT NOT NULL CHECK (kind IN ('EC', 'RSA')),
  certificate        TEXT NOT NULL,
  chain              TEXT NOT NULL,
  private_key        TEXT NOT NULL,
  covers_wildcard    INTEGER NOT NULL CHECK (covers_wildcard IN (0, 1)),
  issuer             TEXT NOT NULL,
  serial_number      TEXT NOT NULL,
  signature          TEXT NOT NULL,
  uploaded_on        TEXT NOT NULL,
  expires_on         TEXT NOT NULL,
  UNIQUE (custom_hostname_id, position),
  UNIQUE (custom_hostname_id, kind)
)]], [[
CREATE TABLE custom_hostname_fallbacks (
  zone_id    TEXT PRIMARY KEY REFERENCES zones (id) ON DELETE CASCADE,
  origin     TEXT NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL
)]], [[
CREATE TABLE custom_hostname_checks (
  zone_id TEXT PRIMARY KEY REFERENCES zones (id) ON DELETE CASCADE,
  checks  INTEGER NOT NULL CHECK (checks IN (0, 1))
)]], [[
INSERT INTO quotas (name, value) VALUES ('custom_hostnames', 10000)]], [[
CREATE TRIGGER custom_hostnames_quota BEFORE INSERT ON custom_hostnames
BEGIN
  SELECT RAISE(ABORT, 'quota:custom_hostnames')
   WHERE (SELECT count(*) FROM custom_hostnames WHERE zone_id = NEW.zone_id)
      >= (SELECT value FROM quotas WHERE name = 'custom_hostnames');
END]], [[
CREATE TRIGGER custom_hostnames_leave AFTER DELETE ON custom_hostnames
BEGIN
  DELETE FROM access_hostnames WHERE zone_id = OLD.zone_id AND hostname = OLD.hostname;
  DELETE FROM access_settings WHERE zone_id = OLD.zone_id AND hostname = OLD.hostname;
END]] }
