--- moongate.admin.errors — every error that the admin API can answer with, in one table.
--
-- Code, HTTP status and text stand here and nowhere else; resources name an error and hand in what its text needs. An error
-- is a small table { status, code, message, pointer, chain, retry_after }, a failure is a list of them; admin/envelope.lua
-- turns the list into the answer, whose status is the first error's. Codes from 21000 on are ours alone.
-- A permanent conflict is 400 and not 409, because clients send a 409 again; 404 always means that the object is gone.

local M = {}

---@class moongate.admin.error
---@field status integer
---@field code integer|nil
---@field message string
---@field pointer string|nil JSON Pointer into the request's body
---@field chain table[]|nil list of { code, message }
---@field retry_after integer|nil seconds

-- key → { HTTP status, code (false: none), text }
M.catalogue = {
  -- the front door
  no_route = { 404, 7000, "No route for that URI" },
  bad_identifier = { 404, 7003, "Could not route to %s, perhaps your object identifier is invalid?" },
  bad_method = { 405, 7001, "Method %s not available for that URI" },
  no_credentials = { 400, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers" },
  bad_headers = { 400, 6003, "Invalid request headers" },
  unknown_key = { 403, 9103, "Unknown X-Auth-Key or X-Auth-Email" },
  bad_token = { 403, 9109, "Invalid access token" },
  unauthorized = { 403, 9109, "Unauthorized to access requested resource" },
  wrong_address = { 403, 9109, "Cannot use the access token from location: %s" },
  stray_characters = { 403, 10001, "Unable to authenticate request" },
  forbidden = { 403, 10000, "Authentication error" },
  throttled = { 429, 971, "Please wait and consider throttling your request speed" },
  token_not_valid = { 401, 1000, "Invalid API Token" },
  token_missing = { 401, 1001, "Missing auth token" },
  too_large = { 413, 10413, "Request body too large" },
  bad_query = { 400, 10002, "Invalid value for query parameter '%s'" },
  bad_json = { 400, 6007, "Malformed JSON in request body: %s" },
  internal = { 500, 10013, "Internal error" },
  -- the store and the workers; ours
  store_unavailable = { 503, 21001, "The store cannot be reached at the moment; nothing was changed" },
  store_full = { 507, 21002, "The disk that holds the store is full; nothing was changed" },
  not_served = { 503, 21003, "The change is stored, but not every worker serves it yet: %s" },
  unservable = { 400, 21004, "The change was refused because it cannot be served: %s: %s" },
  invalid = { 400, 10002, "Invalid value for %s: %s" },
  -- users, tokens and the audit log
  membership_unknown = { 404, 1003, "Membership not found" },
  token_json = { 400, 1198, "Malformed JSON in request body: %s" },
  token_value = { 400, 10002, "Invalid value for %s: %s" },
  token_name = { 400, 400, "name must have a length between 1 and 120 bytes" },
  token_group = { 400, 1001, "Permission group %s not found" },
  token_unknown = { 404, 1003, "API token not found" },
  token_managed_elsewhere = { 403, 1001, "This token was made on the gateway itself without limits; only a credential "
    .. "without limits may change it" },
  token_quota = { 400, 21040, "Hit the maximum of %d API tokens made through the API" },
  -- accounts and zones
  unknown_zone = { 404, 9109, "Invalid zone identifier" },
  zone_exists = { 400, 1061, "%s already exists" },
  not_a_domain = { 400, 1002, "%s is not a valid domain name: %s" },
  zone_in_the_way = { 400, 1116, "%s cannot be a zone of its own: %s" },
  zone_many_changes = { 400, 21093, "Only one property of a zone can be changed at a time" },
  zone_no_change = { 400, 21094, "One of paused, plan, type and vanity_name_servers is expected" },
  -- settings of zones and hostnames
  setting_unknown = { 400, 1006, "Unrecognized zone setting name" },
  setting_value = { 400, 1007, "Invalid value for zone setting %s: %s" },
  setting_fixed = { 400, 1015, "The zone setting %s is read only" },
  hostname_setting_unknown = { 404, 21090, "There is no such setting for this hostname" },
  hostname_setting_value = { 400, 10002, "Invalid value for the setting %s: %s" },
  hostname_setting_wildcard = { 400, 21091, "The certificate that covers %s does so by a wildcard; ciphers of a hostname "
    .. "need a certificate that names it" },
  managed_header_unknown = { 400, 21092, "There is no %s among %s" },
  -- mTLS certificates and hostname associations
  certificate_json = { 400, 1400, "Malformed JSON in request body: %s" },
  certificate_value = { 400, 1400, "Invalid value for %s: %s" },
  certificate_unreadable = { 400, 1408, "Unable to parse certificate" },
  certificate_expired = { 400, 1409, "Certificate has expired" },
  certificate_not_ca = { 400, 1411, "Only CA certificates are allowed" },
  certificate_algorithm = { 400, 1447, "unsupported signature algorithm" },
  certificate_key = { 400, 1447, "unsupported key" },
  private_key_unreadable = { 400, 2106, "The private key is missing or cannot be read" },
  private_key_mismatch = { 400, 2200, "The private key does not match the certificate" },
  certificate_chain = { 400, 2101, "Exactly one leaf certificate is expected, as the first of the chain" },
  certificate_exists = { 400, 1471, "Certificate already exists" },
  certificate_name_exists = { 400, 1471, "Certificate name already exists" },
  certificate_quota = { 400, 1489, "Hit maximum CA cert allocation." },
  certificate_unknown = { 404, 1472, "Certificate not found" },
  certificate_in_use = { 400, 1485, "Certificate has active hostname associations" },
  certificate_presented = { 400, 1485, "Certificate is presented to an origin" },
  bad_hostname = { 400, 1407, "Invalid hostname: %s: %s" },
  -- client certificates of the managed CA
  client_certificate_unknown = { 404, 1415, "Invalid Certificate ID" },
  client_certificate_revoked = { 400, 1407, "Certificate is already deleted" },
  client_certificate_quota = { 400, 1445, "Hit maximum certificate allocation: %d certificates per zone are allowed" },
  csr_unreadable = { 400, 1430, "Unable to parse CSR" },
  -- CAs of Access
  access_value = { 400, 12131, "Invalid value for %s: %s" },
  access_certificate = { 400, 12131, "access.api.error.invalid_request: only CA certificates are possible" },
  access_quota = { 400, 12130, "maximum number of certificates has been reached" },
  access_in_use = { 409, 12132, "access.api.error.conflict: certificate has active associations" },
  access_unknown = { 404, 12135, "access.api.error.not_found: certificate not found" },
  -- authenticated origin pulls
  origin_pull_value = { 400, 1415, "Invalid value for %s: %s" },
  origin_pull_config = { 400, 1415, "Invalid value for %s: %s" },
  origin_pull_bad_id = { 400, 1415, "Invalid Certificate ID" },
  origin_pull_id_missing = { 400, 1404, "Certificate ID required" },
  origin_pull_exists = { 400, 1406, "Certificate already exists" },
  origin_pull_no_leaf = { 400, 1408, "missing leaf certificate" },
  origin_pull_in_use = { 400, 1433, "Certificate is in use by hostnames" },
  origin_pull_quota = { 400, 21061, "Hit the maximum number of hostname certificates of a zone" },
  origin_pull_hostname_quota = { 400, 21062, "Hit the maximum number of hostnames of a certificate" },
  origin_pull_zone_unknown = { 404, 1551, "Certificate not found" },
  origin_pull_hostname_unknown = { 404, 1552, "Certificate not found" },
  origin_pull_no_hostname = { 404, 1553, "There is no certificate for this hostname" },
  -- server certificates
  custom_certificate_value = { 400, 1002, "Invalid value for %s: %s" },
  custom_certificate_invalid = { 400, 1002, "Invalid certificate: %s" },
  custom_certificate_unknown = { 404, 1002, "Certificate not found" },
  custom_certificate_unknown_edit = { 400, 1002, "Invalid certificate: there is none with this id in the zone" },
  custom_certificate_quota = { 400, 1212, "Maximum number of custom certificates reached" },
  custom_certificate_exists = { 400, 1220, "This certificate has already been submitted" },
  custom_certificate_cipher = { 400, 1434, "No cipher that common browsers support works with this certificate: %s" },
  custom_certificate_chain = { 400, 2100, "The certificates cannot be bundled: %s. The leaf comes first, then its "
    .. "issuers without the root; the bundle method force sends them as they are" },
  custom_certificate_no_leaf = { 400, 2101, "No leaf certificate in the chain: %s" },
  custom_certificate_hostname = { 400, 2103, "No name of the certificate lies in the zone %s" },
  custom_certificate_csr = { 400, 21060, "Certificate signing requests are not made here; send private_key" },
  -- rulesets
  ruleset_json = { 400, false, "invalid JSON: %s" },
  unknown_phase = { 400, 20116, "'%s' is not a valid value for phase" },
  not_entitled = { 400, 50002, "not entitled to use the phase %s" },
  no_entry_point = { 404, 10003, "could not find entrypoint ruleset in the %s phase" },
  bad_dry_run = { 400, 10002, "Invalid value for query parameter 'dry_run': expected true or false" },
  rule_expression = { 400, 20127, "'%s' is not a valid value for expression because could not parse filter expression: %s" },
  rule_blank_expression = { 400, 20125, "'' is not a valid value for expression because the expression cannot be blank" },
  rule_long_expression = { 400, 20127, "the expression is longer than %d characters" },
  rule_limit = { 400, 20217, "exceeded maximum number of rules" },
  ruleset_kind = { 400, 21015, "'%s' is not a valid value for kind because %s" },
  ruleset_kind_limit = { 400, 20217, "'%s' is not a valid value for kind because exceeded maximum number of %s rulesets "
    .. "for phase %s" },
  ruleset_unknown = { 404, 10001, "could not find ruleset \"%s\"" },
  ruleset_in_use = { 400, 21016, "a rule executes this ruleset, so it cannot be deleted" },
  ruleset_version_unknown = { 404, 10001, "could not find version %s of ruleset \"%s\"" },
  ruleset_version_latest = { 400, 21017, "the latest version of a ruleset cannot be deleted" },
  rule_unknown = { 404, 10001, "could not find rule \"%s\" in ruleset \"%s\"" },
  rule_parameters_missing = { 400, 20113, "action parameters are required for the %s action" },
  rule_execute_nested = { 400, 21018, "only an entry point can execute a ruleset" },
  rule_execute_unknown = { 400, 21019, "there is no custom ruleset %s that can be executed here" },
  rule_logging = { 400, 20018, "logging options are only allowed in the skip action" },
  rule_action = { 400, false, "unknown variant for action: %s" },
  rule_action_missing = { 400, false, "action is required" },
  rule_parameters_alone = { 400, false, "action is required for action parameters" },
  rule_unsupported = { 400, 21013, "%s is not available on this gateway" },
  rule_ref_twice = { 400, 21014, "two rules have the %s '%s'" },
  rule_action_unavailable = { 400, 21010, "the action %s is not available on this gateway" },
  rule_value = { 400, 21012, "Invalid value for %s: %s" },
  -- lists
  list_unknown = { 404, 10001, "could not find the list" },
  list_item_unknown = { 404, 10001, "could not find the list item" },
  operation_unknown = { 404, 10001, "could not find the operation" },
  list_exists = { 400, 10021, "a list with the name '%s' already exists" },
  list_in_use = { 400, 10031, "filters.api.ip_list_in_use" },
  list_item = { 400, 10018, "the item with the index %d is invalid: %s" },
  list_quota = { 400, 21050, "exceeded maximum number of lists" },
  list_full = { 400, 21051, "exceeded maximum number of items in a list" },
  -- filters and firewall rules
  filter_expression = { 400, false, "%s" },
  filter_unknown = { 404, 10001, "could not find the filter" },
  filter_in_use = { 400, 10012, "a firewall rule uses this filter, so it cannot be deleted" },
  filter_quota = { 400, 21052, "exceeded maximum number of %s" },
  firewall_rule_unknown = { 404, 10001, "could not find the firewall rule" },
  -- what is revoked under uploaded CAs; ours
  denial_unknown = { 404, 21082, "Denial not found" },
  denial_value = { 400, 21083, "Invalid value for %s: %s" },
  denial_exists = { 400, 21084, "This certificate is denied already" },
  revocation_list_unknown = { 404, 21086, "There is no revocation list for this CA" },
  revocation_list_value = { 400, 21087, "Invalid value for %s: %s" },
  revocation_list_older = { 400, 21088, "The list of %s is older than the stored one of %s" },
  denial_quota = { 400, 21085, "Hit the maximum number of denials of a CA" },
  -- what is set for hostnames; ours
  hostname_options_unknown = { 404, 21080, "Nothing is set for this hostname" },
  hostname_options_value = { 400, 21081, "Invalid value for %s: %s" },
  -- DNS records
  dns_invalid = { 400, 1004, "DNS Validation Error" },
  dns_value = { 400, 1004, "DNS Validation Error: invalid value for %s: %s" },
  dns_unknown = { 404, 81044, "Record does not exist." },
  dns_quota = { 400, 81045, "Record quota exceeded." },
  dns_addresses = { 400, 81045, "Record quota exceeded: a name has at most 32 addresses." },
  dns_host_exists = { 400, 81053, "An A, AAAA, or CNAME record with that host already exists." },
  dns_identical = { 400, 81058, "An identical record already exists." },
  dns_batch = { 400, 21070, "A batch has at most %d steps" },
  -- custom hostnames
  custom_hostname_json = { 400, 1400, "Malformed JSON in request body: %s" },
  custom_hostname_value = { 400, 1434, "Invalid value for %s: %s" },
  custom_hostname_metadata = { 400, 1401, "Unable to encode the custom metadata as a map of strings: %s" },
  custom_hostname_no_quota = { 403, 1404, "No quota has been allocated for this zone" },
  custom_hostname_quota = { 403, 1405, "Quota exceeded" },
  custom_hostname_exists = { 409, 1406, "Duplicate custom hostname found" },
  custom_hostname_invalid = { 400, 1407, "Invalid custom hostname: %s" },
  custom_hostname_ascii = { 400, 1408, "Custom hostnames may not contain non-ASCII characters; write them in their "
    .. "xn-- form" },
  custom_hostname_suffix = { 400, 1410, "The custom hostname cannot be parsed: it has one label only" },
  custom_hostname_metadata_wildcard = { 400, 1412, "Custom metadata is not possible for wildcard custom hostnames" },
  custom_origin_invalid = { 400, 1415, "Invalid custom origin hostname: %s" },
  custom_origin_ascii = { 400, 1416, "Custom origin hostnames may not contain non-ASCII characters: %s" },
  custom_origin_unreadable = { 400, 1418, "The custom origin hostname cannot be parsed: %s" },
  custom_origin_wildcard = { 400, 1420, "Invalid custom origin hostname: %s" },
  custom_origin_record = { 400, 1421, "The origin must be an A, AAAA or CNAME record of the zone that is proxied: %s" },
  custom_hostname_http2 = { 400, 1422, "%s" },
  custom_hostname_tls_1_3 = { 400, 1424, "%s" },
  custom_hostname_min_tls = { 400, 1425, "Invalid value for min_tls_version: %s" },
  custom_hostname_certificate = { 400, 1426, "Unable to parse the custom certificate: %s" },
  custom_hostname_empty = { 400, 1427, "The custom certificate is empty" },
  custom_hostname_key = { 400, 1428, "Unable to parse the private key: %s" },
  custom_hostname_mismatch = { 400, 1429, "The private key does not match the certificate" },
  custom_hostname_csr = { 400, 1430, "Invalid custom CSR id: %s" },
  custom_hostname_csr_unknown = { 404, 1431, "Custom CSR not found" },
  custom_hostname_method = { 400, 1432, "Invalid method: %s" },
  custom_hostname_type = { 400, 1433, "Invalid type: %s" },
  custom_hostname_ssl = { 400, 1434, "Invalid SSL attribute: %s" },
  custom_hostname_bad_id = { 400, 1435, "The custom hostname id is invalid" },
  custom_hostname_unknown = { 404, 1436, "The custom hostname was not found" },
  custom_hostname_contain = { 400, 1437, "Invalid hostname filter: at most 255 characters" },
  custom_hostname_id_filter = { 400, 1438, "The filter id cannot be combined with other filters" },
  custom_hostname_method_and_type = { 400, 1440, "Both type and method are required" },
  custom_hostname_bundle = { 400, 1441, "The certificates cannot be bundled: %s" },
  custom_hostname_ciphers = { 400, 1442, "Invalid ciphers: %s" },
  custom_hostname_ciphers_1_3 = { 400, 1443, "Ciphers cannot be chosen when the minimum is TLS 1.3" },
  custom_hostname_many_leaves = { 400, 1444, "The certificate chain contains several leaf certificates: %s" },
  custom_hostname_no_leaf = { 400, 1445, "The certificate chain contains no leaf certificate in front: %s" },
  custom_hostname_cover = { 400, 1446, "The certificate does not cover the hostname %s" },
  custom_hostname_algorithm = { 400, 1447, "The signature algorithm is not supported: %s" },
  custom_hostname_bundle_method = { 400, 1449, "Invalid bundle method: %s" },
  custom_hostname_certificate_unknown = { 404, 1436, "The certificate of the custom hostname was not found" },
  custom_hostname_only_certificate = { 400, 1434, "Invalid SSL attribute: this is the only custom certificate" },
  custom_hostname_no_fallback = { 404, 1551, "There is no fallback origin" },
  custom_hostname_unservable = { 400, 21075, "The hostname cannot be served: %s" },
  -- notifications
  alert_type_unknown = { 400, 17004, "invalid alert type: %s" },
  alert_no_mechanism = { 400, 17102, "at least one mechanism is required" },
  alert_policy_unknown = { 404, false, "Policy not found" },
  alert_policy_quota = { 400, 21200, "Hit the maximum number of notification policies" },
  alert_webhook_id = { 400, false, "invalid Webhook ID" },
  alert_webhook_unknown = { 404, false, "Webhook not found" },
  alert_webhook_test = { 422, 21201, "Webhook test failed" },
  alert_webhook_in_use = { 400, 21202, "A notification policy uses this webhook" },
  alert_webhook_quota = { 400, 21203, "Hit the maximum number of webhooks" },
  alert_busy = { 503, 21204, "Too many requests to the outside are under way; nothing was changed" },
  -- origins; ours
  origin_unknown = { 404, 21020, "Origin not found" },
  origin_invalid = { 400, 21021, "Invalid value for %s: %s" },
}

-- What a group of endpoints answers to a body that is no JSON, and to a value that does not fit its declaration.
M.groups = {
  general = { json = "bad_json", value = "invalid" },
  tokens = { json = "token_json", value = "token_value" },
  certificates = { json = "certificate_json", value = "certificate_value" },
  access = { json = "bad_json", value = "access_value" },
  origin_pulls = { json = "bad_json", value = "origin_pull_value" },
  custom_certificates = { json = "bad_json", value = "custom_certificate_value" },
  rulesets = { json = "ruleset_json", value = "rule_value" },
  custom_hostnames = { json = "custom_hostname_json", value = "custom_hostname_value" },
  dns = { json = "bad_json", value = "dns_value" },
  origins = { json = "bad_json", value = "origin_invalid" },
  denials = { json = "bad_json", value = "denial_value" },
  revocation_lists = { json = "bad_json", value = "revocation_list_value" },
  hostname_options = { json = "bad_json", value = "hostname_options_value" },
}

--- Makes an error of the catalogue. Further arguments fill its text.
---@param key string
---@return moongate.admin.error
function M.new(key, ...)
  local entry = M.catalogue[key] or error("no error is called " .. tostring(key), 2)
  local text = entry[3]
  if select("#", ...) > 0 then text = text:format(...) end
  return { key = key, status = entry[1], code = entry[2] or nil, message = text }
end

--- A failure of one error: what a handler returns after nil.
---@return moongate.admin.error[]
function M.fail(key, ...)
  return { M.new(key, ...) }
end

--- A failure of one error that points into the body.
---@param pointer string
---@return moongate.admin.error[]
function M.fail_at(pointer, key, ...)
  local one = M.new(key, ...)
  one.pointer = pointer
  return { one }
end

--- The failure behind a store's failure (moongate.admin.store).
---@param failure moongate.store.failure
---@return moongate.admin.error[]
function M.of_store(failure)
  if failure.store == "full" then return M.fail("store_full") end
  local one = M.new("store_unavailable")
  one.retry_after = 5
  return { one }
end

return M
