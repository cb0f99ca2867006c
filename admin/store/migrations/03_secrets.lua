--- moongate.admin.store.migrations.03_secrets — private keys of leaf certificates, sealed, and origins that present
--- them.
--
-- Leaf certificates from before have no key (it was proven and let go); they have to be uploaded again to be presented.

return { [[
ALTER TABLE mtls_certificates ADD COLUMN private_key TEXT]], [[
ALTER TABLE origins ADD COLUMN client_certificate_id TEXT REFERENCES mtls_certificates (id)]], [[
CREATE INDEX origins_by_client_certificate ON origins (client_certificate_id)]], [[
CREATE TRIGGER origins_present_a_leaf BEFORE INSERT ON origins WHEN NEW.client_certificate_id IS NOT NULL
BEGIN
  SELECT RAISE(ABORT, 'in_use:not_a_leaf_of_the_account')
   WHERE NOT EXISTS (SELECT 1 FROM mtls_certificates c JOIN zones z ON z.account_id = c.account_id
                      WHERE c.id = NEW.client_certificate_id AND c.ca = 0 AND c.private_key IS NOT NULL
                        AND z.id = NEW.zone_id);
END]], [[
CREATE TRIGGER mtls_certificates_presented BEFORE DELETE ON mtls_certificates
BEGIN
  SELECT RAISE(ABORT, 'in_use:origins')
   WHERE EXISTS (SELECT 1 FROM origins WHERE client_certificate_id = OLD.id);
END]] }
