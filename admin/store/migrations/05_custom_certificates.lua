--- moongate.admin.store.migrations.05_custom_certificates — server certificates that zones have uploaded.
--
-- `certificate` is the text as it came, `chain` what is sent to clients; `hosts` is a JSON array.

return { [[
CREATE TABLE custom_certificates (
  id               TEXT PRIMARY KEY CHECK (length(id) = 36),
  zone_id          TEXT NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
  type             TEXT NOT NULL CHECK (type IN ('legacy_custom', 'sni_custom')),
  bundle_method    TEXT NOT NULL CHECK (bundle_method IN ('ubiquitous', 'optimal', 'force')),
  deploy           TEXT NOT NULL CHECK (deploy IN ('production', 'staging')),
  priority         INTEGER NOT NULL,
  certificate      TEXT NOT NULL,
  chain            TEXT NOT NULL,
  private_key      TEXT NOT NULL,
  fingerprint      TEXT NOT NULL CHECK (length(fingerprint) = 64),
  kind             TEXT NOT NULL CHECK (kind IN ('EC', 'RSA')),
  hosts            TEXT NOT NULL,
  issuer           TEXT NOT NULL,
  signature        TEXT NOT NULL,
  geo_restrictions TEXT,
  policy           TEXT,
  uploaded_on      TEXT NOT NULL,
  modified_on      TEXT NOT NULL,
  expires_on       TEXT NOT NULL,
  UNIQUE (zone_id, fingerprint)
)]], [[
CREATE INDEX custom_certificates_in_order ON custom_certificates (zone_id, priority DESC, uploaded_on DESC, id)]], [[
INSERT INTO quotas (name, value) VALUES ('custom_certificates', 100)]], [[
CREATE TRIGGER custom_certificates_quota BEFORE INSERT ON custom_certificates
BEGIN
  SELECT RAISE(ABORT, 'quota:custom_certificates')
   WHERE (SELECT count(*) FROM custom_certificates WHERE zone_id = NEW.zone_id)
      >= (SELECT value FROM quotas WHERE name = 'custom_certificates');
END]] }
