--- moongate.admin.store.migrations.08_access — root CAs of Access with their hostnames, and what is set for hostnames.
--
-- A certificate belongs to an account, or to one of its zones; its hostnames know the zone that serves them, and go
-- with it. A certificate with hostnames is not deleted, except with its zone.

return { [[
CREATE TABLE access_certificates (
  id          TEXT PRIMARY KEY CHECK (length(id) = 36),
  account_id  TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  zone_id     TEXT REFERENCES zones (id) ON DELETE CASCADE,
  name        TEXT NOT NULL CHECK (length(name) >= 1),
  certificate TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  expires_on  TEXT NOT NULL,
  created_on  TEXT NOT NULL,
  updated_on  TEXT NOT NULL
)]], [[
CREATE INDEX access_certificates_by_age ON access_certificates (account_id, zone_id, created_on DESC, id)]], [[
CREATE TABLE access_hostnames (
  certificate_id TEXT NOT NULL REFERENCES access_certificates (id) ON DELETE CASCADE,
  zone_id        TEXT NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
  position       INTEGER NOT NULL CHECK (position >= 1),
  hostname       TEXT NOT NULL CHECK (length(hostname) BETWEEN 1 AND 253),
  PRIMARY KEY (certificate_id, hostname)
)]], [[
CREATE INDEX access_hostnames_by_zone ON access_hostnames (zone_id, hostname)]], [[
CREATE TABLE access_settings (
  hostname      TEXT PRIMARY KEY CHECK (length(hostname) BETWEEN 1 AND 253),
  zone_id       TEXT NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
  china_network INTEGER NOT NULL CHECK (china_network IN (0, 1)),
  forwarding    INTEGER NOT NULL CHECK (forwarding IN (0, 1))
)]], [[
CREATE INDEX access_settings_by_zone ON access_settings (zone_id, hostname)]], [[
INSERT INTO quotas (name, value) VALUES ('access_certificates', 50)]], [[
CREATE TRIGGER access_certificates_quota BEFORE INSERT ON access_certificates
BEGIN
  SELECT RAISE(ABORT, 'quota:access_certificates')
   WHERE (SELECT count(*) FROM access_certificates WHERE account_id = NEW.account_id)
      >= (SELECT value FROM quotas WHERE name = 'access_certificates');
END]], [[
CREATE TRIGGER access_certificates_in_use BEFORE DELETE ON access_certificates
  WHEN OLD.zone_id IS NULL OR EXISTS (SELECT 1 FROM zones WHERE id = OLD.zone_id)
BEGIN
  SELECT RAISE(ABORT, 'in_use:access_certificates')
   WHERE EXISTS (SELECT 1 FROM access_hostnames WHERE certificate_id = OLD.id);
END]] }
