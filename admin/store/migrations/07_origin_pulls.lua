--- moongate.admin.store.migrations.07_origin_pulls — authenticated origin pulls: certificates that the gateway
--- presents to origins, for a whole zone or for hostnames.

return { [[
CREATE TABLE origin_pull_certificates (
  id            TEXT PRIMARY KEY CHECK (length(id) = 36),
  zone_id       TEXT NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
  scope         TEXT NOT NULL CHECK (scope IN ('zone', 'hostname')),
  certificate   TEXT NOT NULL,
  private_key   TEXT NOT NULL,
  fingerprint   TEXT NOT NULL CHECK (length(fingerprint) = 64),
  issuer        TEXT NOT NULL,
  signature     TEXT NOT NULL,
  serial_number TEXT NOT NULL,
  uploaded_on   TEXT NOT NULL,
  expires_on    TEXT NOT NULL,
  UNIQUE (zone_id, scope, fingerprint)
)]], [[
CREATE INDEX origin_pull_certificates_by_age ON origin_pull_certificates (zone_id, scope, uploaded_on DESC, id)]], [[
CREATE TABLE origin_pull_hostnames (
  zone_id        TEXT NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
  hostname       TEXT NOT NULL CHECK (length(hostname) BETWEEN 1 AND 253),
  certificate_id TEXT NOT NULL REFERENCES origin_pull_certificates (id),
  enabled        INTEGER NOT NULL CHECK (enabled IN (0, 1)),
  created_at     TEXT NOT NULL,
  updated_at     TEXT NOT NULL,
  PRIMARY KEY (zone_id, hostname)
)]], [[
CREATE INDEX origin_pull_hostnames_by_certificate ON origin_pull_hostnames (certificate_id)]], [[
CREATE TABLE origin_pull_settings (
  zone_id TEXT PRIMARY KEY REFERENCES zones (id) ON DELETE CASCADE,
  enabled INTEGER NOT NULL CHECK (enabled IN (0, 1))
)]], [[
INSERT INTO quotas (name, value) VALUES ('origin_pull_certificates', 10), ('origin_pull_hostnames', 100)]], [[
CREATE TRIGGER origin_pull_certificates_quota BEFORE INSERT ON origin_pull_certificates WHEN NEW.scope = 'hostname'
BEGIN
  SELECT RAISE(ABORT, 'quota:origin_pull_certificates')
   WHERE (SELECT count(*) FROM origin_pull_certificates WHERE zone_id = NEW.zone_id AND scope = 'hostname')
      >= (SELECT value FROM quotas WHERE name = 'origin_pull_certificates');
END]], [[
CREATE TRIGGER origin_pull_hostnames_quota BEFORE INSERT ON origin_pull_hostnames
BEGIN
  SELECT RAISE(ABORT, 'quota:origin_pull_hostnames')
   WHERE (SELECT count(*) FROM origin_pull_hostnames WHERE certificate_id = NEW.certificate_id)
      >= (SELECT value FROM quotas WHERE name = 'origin_pull_hostnames');
  SELECT RAISE(ABORT, 'in_use:not_a_certificate_of_the_zone')
   WHERE NOT EXISTS (SELECT 1 FROM origin_pull_certificates
                      WHERE id = NEW.certificate_id AND zone_id = NEW.zone_id AND scope = 'hostname');
END]] }
