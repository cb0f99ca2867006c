--- moongate.admin.store.migrations.06_managed_ca — a CA for each account, the client certificates that it signed, and
--- hostname associations with it.
--
-- Associations may name a CA of either kind now, so their table is made anew without the reference to one of them;
-- triggers keep what the reference kept. Revocations have a table of their own: they outlive the zone that a
-- certificate was issued through, and a zone that goes away revokes what was issued through it, since nobody could
-- any more.

return { [[
CREATE TABLE managed_cas (
  id          TEXT PRIMARY KEY CHECK (length(id) = 36),
  account_id  TEXT NOT NULL UNIQUE REFERENCES accounts (id) ON DELETE CASCADE,
  name        TEXT NOT NULL,
  certificate TEXT NOT NULL,
  fingerprint TEXT NOT NULL CHECK (length(fingerprint) = 64),
  private_key TEXT NOT NULL,
  created_on  TEXT NOT NULL,
  expires_on  TEXT NOT NULL
)]], [[
CREATE TABLE client_certificates (
  id                  TEXT PRIMARY KEY CHECK (length(id) = 36),
  zone_id             TEXT NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
  ca_id               TEXT NOT NULL REFERENCES managed_cas (id) ON DELETE CASCADE,
  status              TEXT NOT NULL CHECK (status IN ('active', 'revoked')),
  certificate         TEXT NOT NULL,
  csr                 TEXT NOT NULL,
  common_name         TEXT NOT NULL,
  country             TEXT NOT NULL,
  state               TEXT NOT NULL,
  location            TEXT NOT NULL,
  organization        TEXT NOT NULL,
  organizational_unit TEXT NOT NULL,
  serial_number       TEXT NOT NULL,
  fingerprint_sha256  TEXT NOT NULL,
  signature           TEXT NOT NULL,
  ski                 TEXT NOT NULL,
  validity_days       INTEGER NOT NULL,
  issued_on           TEXT NOT NULL,
  expires_on          TEXT NOT NULL,
  created_on          TEXT NOT NULL,
  UNIQUE (ca_id, serial_number)
)]], [[
CREATE INDEX client_certificates_by_age ON client_certificates (zone_id, created_on DESC, id)]], [[
CREATE INDEX client_certificates_by_status ON client_certificates (zone_id, status, created_on DESC)]], [[
CREATE TABLE managed_revocations (
  ca_id         TEXT NOT NULL REFERENCES managed_cas (id) ON DELETE CASCADE,
  serial_number TEXT NOT NULL,
  revoked_on    TEXT NOT NULL,
  PRIMARY KEY (ca_id, serial_number)
)]], [[
INSERT INTO quotas (name, value) VALUES ('client_certificates', 100), ('client_certificates_enterprise', 100000)]], [[
CREATE TRIGGER client_certificates_quota BEFORE INSERT ON client_certificates WHEN NEW.status = 'active'
BEGIN
  SELECT RAISE(ABORT, 'quota:client_certificates')
   WHERE (SELECT count(*) FROM client_certificates WHERE zone_id = NEW.zone_id AND status = 'active')
      >= (SELECT q.value FROM quotas q, zones z JOIN accounts a ON a.id = z.account_id
           WHERE z.id = NEW.zone_id
             AND q.name = CASE a.type WHEN 'enterprise' THEN 'client_certificates_enterprise'
                          ELSE 'client_certificates' END);
END]], [[
CREATE TRIGGER client_certificates_quota_of_restored BEFORE UPDATE OF status ON client_certificates
  WHEN NEW.status = 'active' AND OLD.status <> 'active'
BEGIN
  SELECT RAISE(ABORT, 'quota:client_certificates')
   WHERE (SELECT count(*) FROM client_certificates WHERE zone_id = NEW.zone_id AND status = 'active')
      >= (SELECT q.value FROM quotas q, zones z JOIN accounts a ON a.id = z.account_id
           WHERE z.id = NEW.zone_id
             AND q.name = CASE a.type WHEN 'enterprise' THEN 'client_certificates_enterprise'
                          ELSE 'client_certificates' END);
END]], [[
CREATE TRIGGER zones_revoke_client_certificates BEFORE DELETE ON zones
BEGIN
  INSERT INTO managed_revocations (ca_id, serial_number, revoked_on)
  SELECT ca_id, serial_number, strftime('%Y-%m-%dT%H:%M:%S', 'now') || '.000000Z'
    FROM client_certificates WHERE zone_id = OLD.id AND status = 'active';
END]], [[
DROP TRIGGER mtls_certificates_in_use]], [[
CREATE TABLE hostname_associations_of_any_ca (
  zone_id        TEXT NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
  certificate_id TEXT NOT NULL,
  position       INTEGER NOT NULL CHECK (position >= 1),
  hostname       TEXT NOT NULL CHECK (length(hostname) BETWEEN 1 AND 253),
  updated_on     TEXT NOT NULL,
  PRIMARY KEY (zone_id, certificate_id, hostname)
)]], [[
INSERT INTO hostname_associations_of_any_ca (zone_id, certificate_id, position, hostname, updated_on)
SELECT zone_id, certificate_id, position, hostname, updated_on FROM hostname_associations]], [[
DROP TABLE hostname_associations]], [[
ALTER TABLE hostname_associations_of_any_ca RENAME TO hostname_associations]], [[
CREATE UNIQUE INDEX hostname_associations_in_order ON hostname_associations (zone_id, certificate_id, position)]], [[
CREATE INDEX hostname_associations_by_name ON hostname_associations (zone_id, hostname)]], [[
CREATE INDEX hostname_associations_by_certificate ON hostname_associations (certificate_id)]], [[
CREATE TRIGGER hostname_associations_need_a_ca BEFORE INSERT ON hostname_associations
BEGIN
  SELECT RAISE(ABORT, 'in_use:not_a_ca_of_the_account')
   WHERE NOT EXISTS (SELECT 1 FROM mtls_certificates c JOIN zones z ON z.account_id = c.account_id
                      WHERE c.id = NEW.certificate_id AND c.ca = 1 AND z.id = NEW.zone_id)
     AND NOT EXISTS (SELECT 1 FROM managed_cas m JOIN zones z ON z.account_id = m.account_id
                      WHERE m.id = NEW.certificate_id AND z.id = NEW.zone_id);
END]], [[
CREATE TRIGGER mtls_certificates_in_use BEFORE DELETE ON mtls_certificates
BEGIN
  SELECT RAISE(ABORT, 'in_use:mtls_certificates')
   WHERE EXISTS (SELECT 1 FROM hostname_associations WHERE certificate_id = OLD.id);
END]] }
