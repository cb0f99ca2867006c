--- moongate.admin.store.migrations.12_certificate_denials — client certificates that are refused although an uploaded CA
--- has issued them.
--
-- A serial number counts under every certificate of the CA's bundle, whose digests are kept once beside the list.

return { [[
CREATE TABLE certificate_denials (
  id             TEXT PRIMARY KEY CHECK (length(id) = 36),
  certificate_id TEXT NOT NULL REFERENCES mtls_certificates (id) ON DELETE CASCADE,
  kind           TEXT NOT NULL CHECK (kind IN ('serial', 'sha256')),
  value          TEXT NOT NULL CHECK (length(value) BETWEEN 1 AND 512),
  comment        TEXT,
  created_on     TEXT NOT NULL,
  UNIQUE (certificate_id, kind, value)
)]], [[
CREATE INDEX certificate_denials_by_age ON certificate_denials (certificate_id, created_on DESC, id)]], [[
CREATE TABLE certificate_denial_issuers (
  certificate_id TEXT NOT NULL REFERENCES mtls_certificates (id) ON DELETE CASCADE,
  sha256         TEXT NOT NULL CHECK (length(sha256) = 64),
  PRIMARY KEY (certificate_id, sha256)
)]], [[
INSERT INTO quotas (name, value) VALUES ('certificate_denials', 10000)]], [[
CREATE TRIGGER certificate_denials_quota BEFORE INSERT ON certificate_denials
BEGIN
  SELECT RAISE(ABORT, 'quota:certificate_denials')
   WHERE (SELECT count(*) FROM certificate_denials WHERE certificate_id = NEW.certificate_id)
      >= (SELECT value FROM quotas WHERE name = 'certificate_denials');
END]] }
