--- moongate.admin.store.migrations.11_dns_records — DNS records of zones: a proxied one binds its hostname to an origin.
--
-- A CNAME stands alone among the records with addresses of its hostname. Tags are rows, so that lists can ask for them.

return { [[
CREATE TABLE dns_records (
  id                  TEXT PRIMARY KEY CHECK (length(id) = 32),
  zone_id             TEXT NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
  type                TEXT NOT NULL CHECK (type IN ('A', 'AAAA', 'CNAME', 'TXT')),
  hostname            TEXT NOT NULL CHECK (length(hostname) BETWEEN 1 AND 255),
  content             TEXT NOT NULL CHECK (length(content) >= 1),
  ttl                 INTEGER NOT NULL,
  proxied             INTEGER NOT NULL CHECK (proxied IN (0, 1)),
  comment             TEXT,
  settings            TEXT NOT NULL,
  created_on          TEXT NOT NULL,
  modified_on         TEXT NOT NULL,
  comment_modified_on TEXT,
  tags_modified_on    TEXT,
  UNIQUE (zone_id, hostname, type, content)
)]], [[
CREATE TABLE dns_record_tags (
  record_id TEXT NOT NULL REFERENCES dns_records (id) ON DELETE CASCADE,
  position  INTEGER NOT NULL CHECK (position >= 1),
  name      TEXT NOT NULL,
  value     TEXT NOT NULL,
  PRIMARY KEY (record_id, position)
)]], [[
INSERT INTO quotas (name, value) VALUES ('dns_records', 10000), ('dns_addresses', 32)]], [[
CREATE TRIGGER dns_records_quota BEFORE INSERT ON dns_records
BEGIN
  SELECT RAISE(ABORT, 'quota:dns_records')
   WHERE (SELECT count(*) FROM dns_records WHERE zone_id = NEW.zone_id)
      >= (SELECT value FROM quotas WHERE name = 'dns_records');
END]], [[
CREATE TRIGGER dns_addresses_quota AFTER INSERT ON dns_records WHEN NEW.type IN ('A', 'AAAA')
BEGIN
  SELECT RAISE(ABORT, 'quota:dns_addresses')
   WHERE (SELECT count(*) FROM dns_records
           WHERE zone_id = NEW.zone_id AND hostname = NEW.hostname AND type IN ('A', 'AAAA'))
       > (SELECT value FROM quotas WHERE name = 'dns_addresses');
END]], [[
CREATE TRIGGER dns_addresses_quota_update AFTER UPDATE ON dns_records WHEN NEW.type IN ('A', 'AAAA')
BEGIN
  SELECT RAISE(ABORT, 'quota:dns_addresses')
   WHERE (SELECT count(*) FROM dns_records
           WHERE zone_id = NEW.zone_id AND hostname = NEW.hostname AND type IN ('A', 'AAAA'))
       > (SELECT value FROM quotas WHERE name = 'dns_addresses');
END]], [[
CREATE TRIGGER dns_records_alone_insert BEFORE INSERT ON dns_records WHEN NEW.type <> 'TXT'
BEGIN
  SELECT RAISE(ABORT, 'taken:dns_records_alone')
   WHERE EXISTS (SELECT 1 FROM dns_records WHERE zone_id = NEW.zone_id AND hostname = NEW.hostname AND type <> 'TXT'
                    AND (type = 'CNAME' OR NEW.type = 'CNAME')
                    AND NOT (type = NEW.type AND content = NEW.content));
END]], [[
CREATE TRIGGER dns_records_alone_update BEFORE UPDATE ON dns_records WHEN NEW.type <> 'TXT'
BEGIN
  SELECT RAISE(ABORT, 'taken:dns_records_alone')
   WHERE EXISTS (SELECT 1 FROM dns_records WHERE zone_id = NEW.zone_id AND hostname = NEW.hostname AND type <> 'TXT'
                    AND (type = 'CNAME' OR NEW.type = 'CNAME') AND id <> NEW.id
                    AND NOT (type = NEW.type AND content = NEW.content));
END]] }
