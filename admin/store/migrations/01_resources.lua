--- moongate.admin.store.migrations.01_resources — the first schema: accounts, tokens, zones, certificates, rules,
--- origins, audit.
--
-- A list of statements, run in order by store/schema.lua inside one transaction. A migration that was released is never
-- edited again: what comes later is a file of its own with the next number.

return { [[
CREATE TABLE meta (
  id         INTEGER PRIMARY KEY CHECK (id = 1),
  generation INTEGER NOT NULL,
  created_on TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%S', 'now') || '.000000Z')
)]], [[
INSERT INTO meta (id, generation) VALUES (1, 0)]], [[
CREATE TABLE quotas (
  name  TEXT PRIMARY KEY,
  value INTEGER NOT NULL CHECK (value >= 0)
)]], [[
INSERT INTO quotas (name, value) VALUES ('mtls_certificates', 5)]], [[
CREATE TABLE accounts (
  id         TEXT PRIMARY KEY CHECK (length(id) = 32),
  name       TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  type       TEXT NOT NULL CHECK (type IN ('standard', 'enterprise')),
  enforce_twofactor   INTEGER NOT NULL DEFAULT 0,
  abuse_contact_email TEXT,
  created_on TEXT NOT NULL
)]], [[
CREATE TABLE tokens (
  id           TEXT PRIMARY KEY CHECK (length(id) = 32),
  account_id   TEXT REFERENCES accounts (id) ON DELETE CASCADE,
  name         TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 120),
  prefix       TEXT NOT NULL CHECK (length(prefix) = 8),
  hash         TEXT NOT NULL UNIQUE CHECK (length(hash) = 64),
  policies     TEXT,
  status       TEXT NOT NULL CHECK (status IN ('active', 'disabled', 'expired')),
  not_before   TEXT,
  expires_on   TEXT,
  issued_on    TEXT NOT NULL,
  modified_on  TEXT NOT NULL,
  last_used_on TEXT
)]], [[
CREATE INDEX tokens_by_prefix ON tokens (prefix)]], [[
CREATE TABLE zones (
  id          TEXT PRIMARY KEY CHECK (length(id) = 32),
  account_id  TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  name        TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 253),
  reversed    TEXT NOT NULL UNIQUE,
  type        TEXT NOT NULL CHECK (type IN ('full', 'partial', 'secondary', 'internal')),
  paused      INTEGER NOT NULL DEFAULT 0,
  generation  INTEGER NOT NULL,
  created_on  TEXT NOT NULL,
  modified_on TEXT NOT NULL
)]], [[
CREATE INDEX zones_by_account ON zones (account_id, name)]], [[
CREATE TABLE mtls_certificates (
  id            TEXT PRIMARY KEY CHECK (length(id) = 36),
  account_id    TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  name          TEXT CHECK (length(name) >= 1),
  ca            INTEGER NOT NULL CHECK (ca IN (0, 1)),
  certificates  TEXT NOT NULL,
  fingerprint   TEXT NOT NULL CHECK (length(fingerprint) = 64),
  issuer        TEXT NOT NULL,
  signature     TEXT NOT NULL,
  serial_number TEXT NOT NULL,
  type          TEXT NOT NULL CHECK (type IN ('custom', 'gateway_managed', 'access_managed')),
  uploaded_on   TEXT NOT NULL,
  expires_on    TEXT NOT NULL,
  UNIQUE (account_id, fingerprint),
  UNIQUE (account_id, name)
)]], [[
CREATE INDEX mtls_certificates_by_age ON mtls_certificates (account_id, uploaded_on DESC, id)]], [[
CREATE TRIGGER mtls_certificates_quota BEFORE INSERT ON mtls_certificates WHEN NEW.ca = 1 AND NEW.type = 'custom'
BEGIN
  SELECT RAISE(ABORT, 'quota:mtls_certificates')
   WHERE (SELECT count(*) FROM mtls_certificates WHERE account_id = NEW.account_id AND ca = 1 AND type = 'custom')
      >= (SELECT value FROM quotas WHERE name = 'mtls_certificates');
END]], [[
CREATE TABLE hostname_associations (
  zone_id        TEXT NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
  certificate_id TEXT NOT NULL REFERENCES mtls_certificates (id),
  position       INTEGER NOT NULL CHECK (position >= 1),
  hostname       TEXT NOT NULL CHECK (length(hostname) BETWEEN 1 AND 253),
  updated_on     TEXT NOT NULL,
  PRIMARY KEY (zone_id, certificate_id, hostname)
)]], [[
CREATE UNIQUE INDEX hostname_associations_in_order ON hostname_associations (zone_id, certificate_id, position)]], [[
CREATE INDEX hostname_associations_by_name ON hostname_associations (zone_id, hostname)]], [[
CREATE INDEX hostname_associations_by_certificate ON hostname_associations (certificate_id)]], [[
CREATE TRIGGER hostname_associations_need_a_ca BEFORE INSERT ON hostname_associations
BEGIN
  SELECT RAISE(ABORT, 'in_use:not_a_ca_of_the_account')
   WHERE NOT EXISTS (SELECT 1 FROM mtls_certificates c JOIN zones z ON z.account_id = c.account_id
                      WHERE c.id = NEW.certificate_id AND c.ca = 1 AND z.id = NEW.zone_id);
END]], [[
CREATE TRIGGER mtls_certificates_in_use BEFORE DELETE ON mtls_certificates
BEGIN
  SELECT RAISE(ABORT, 'in_use:mtls_certificates')
   WHERE EXISTS (SELECT 1 FROM hostname_associations WHERE certificate_id = OLD.id);
END]], [[
CREATE TABLE rulesets (
  id           TEXT PRIMARY KEY CHECK (length(id) = 32),
  account_id   TEXT REFERENCES accounts (id) ON DELETE CASCADE,
  zone_id      TEXT REFERENCES zones (id) ON DELETE CASCADE,
  kind         TEXT NOT NULL CHECK (kind IN ('zone', 'root', 'custom')),
  phase        TEXT NOT NULL,
  name         TEXT NOT NULL CHECK (length(name) >= 1),
  description  TEXT NOT NULL DEFAULT '',
  version      INTEGER NOT NULL CHECK (version >= 1),
  rules        TEXT NOT NULL,
  last_updated TEXT NOT NULL,
  CHECK ((account_id IS NULL) <> (zone_id IS NULL))
)]], [[
CREATE UNIQUE INDEX rulesets_one_entry_point_of_a_zone ON rulesets (zone_id, phase) WHERE kind = 'zone']], [[
CREATE UNIQUE INDEX rulesets_one_entry_point_of_an_account ON rulesets (account_id, phase) WHERE kind = 'root']], [[
CREATE TABLE origins (
  zone_id     TEXT NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
  hostname    TEXT NOT NULL CHECK (length(hostname) BETWEEN 1 AND 253),
  url         TEXT NOT NULL,
  host_header TEXT,
  sni         TEXT,
  verify      INTEGER NOT NULL CHECK (verify IN (0, 1)),
  ca          TEXT,
  created_on  TEXT NOT NULL,
  modified_on TEXT NOT NULL,
  PRIMARY KEY (zone_id, hostname)
)]], [[
CREATE TABLE audit (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  at         TEXT NOT NULL,
  token_id   TEXT,
  address    TEXT NOT NULL,
  ray        TEXT NOT NULL,
  action     TEXT NOT NULL,
  object     TEXT NOT NULL,
  generation INTEGER NOT NULL
)]], [[
CREATE TRIGGER audit_is_append_only BEFORE UPDATE ON audit
BEGIN
  SELECT RAISE(ABORT, 'the audit log is append-only');
END]], [[
CREATE TRIGGER audit_keeps_the_last_million AFTER INSERT ON audit
BEGIN
  DELETE FROM audit WHERE id <= NEW.id - 1000000;
END]] }
