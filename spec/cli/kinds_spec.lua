-- Everything that the API lets people configure is carried by export and import, or stands here with the reason why not.

local kinds = require "moongate.cli.kinds"

-- resource of the admin API → kinds that carry it
local CARRIED = {
  zones = "zones", zone_settings = "settings", hostname_settings = "hostname_settings", managed_headers = "managed_headers",
  mtls_certificates = "certificate_authorities", certificate_denials = "certificate_authorities",
  revocation_lists = "certificate_authorities", hostname_associations = "associations", rulesets = "rules",
  ruleset_rules = "rules", lists = "lists", list_items = "lists", filters = "firewall_rules", firewall_rules = "firewall_rules",
  origins = "origins", origin_pulls = "origin_pulls", access_certificates = "access_certificates",
  hostname_options = "hostname_options", dns_records = "dns_records",
  alert_policies = "notification_policies",
  custom_hostnames = "custom_hostnames", custom_hostname_fallback = "fallback_origin",
  custom_hostname_checks = "custom_hostname_checks",
}

local NOT_CARRIED = {
  accounts = "a document goes to an account that is there", memberships = "belong to the user", user = "belongs to the gateway",
  tokens = "are secrets", account_tokens = "are secrets", permission_groups = "are the same everywhere",
  audit_logs = "are history", ruleset_versions = "are history", status = "is read only",
  alert_history = "is history", alert_webhooks = "have secrets",
  custom_certificates = "have private keys", custom_hostname_certificates = "have private keys",
  client_certificates = "belong to the managed CA, whose key stays",
}

describe("moongate.cli.kinds", function()
  local known = {}
  for _, kind in ipairs(kinds.list) do known[kind.name] = kind end

  local seen = {}
  for _, route in ipairs(require("moongate.admin").routes()) do
    if not seen[route.resource] then
      seen[route.resource] = true
      it("carries " .. route.resource .. ", or says why not", function()
        local kind = CARRIED[route.resource]
        if not kind and not NOT_CARRIED[route.resource] then
          pending("needs a kind in cli/kinds.lua for the resource " .. route.resource .. ", or a reason in this file")
          return
        end
        if kind then assert.truthy(known[kind], kind) end
      end)
    end
  end

  for name, kind in pairs(known) do
    it("can make, change and delete what it calls " .. name, function()
      assert.truthy(kind.read or kind == kinds.zones) -- of zones the world knows
      assert.is_function(kind.key)
      if kind.hidden then return assert.is_string(kind.missing) end
      if kind.batch then return end
      assert.is_function(kind.change)
      if kind.single then return end
      assert.is_function(kind.delete)
      assert.truthy(kind.create or kind.missing)
      if kind.must_renew then assert.is_function(kind.renew) end
    end)
  end

  -- What the API lets people say of a thing, an export says too; otherwise an import would silently set it back.
  local account, zone = "/accounts/{account_id}", "/zones/{zone_id}"
  for _, one in ipairs {
    { "lists", "POST", account .. "/rules/lists" },
    { "certificate_authorities", "POST", account .. "/mtls_certificates", ca = false, private_key = false },
    { "certificate_authorities", "PUT", account .. "/mtls_certificates/{certificate_id}/moongate/crl", "revocation_list" },
    { "notification_policies", "POST", account .. "/alerting/v3/policies" },
    { "zones", "POST", "/zones", account = false },
    { "zones", "PATCH", "/zones/{zone_id}", plan = false },
    { "managed_headers", "PATCH", zone .. "/managed_headers" },
    { "origin_pulls", "PUT", zone .. "/origin_tls_client_auth/settings" },
    { "associations", "PUT", zone .. "/certificate_authorities/hostname_associations", mtls_certificate_id = "ca" },
    { "hostname_settings", "PUT", zone .. "/hostnames/settings/{setting_id}/{hostname}" },
    { "hostname_options", "PUT", zone .. "/moongate/hostnames/{hostname}" },
    { "access_certificates", "PUT", zone .. "/access/certificates/{certificate_id}" },
    { "origins", "PUT", zone .. "/moongate/origins/{hostname}", client_certificate_id = "client_certificate" },
    { "fallback_origin", "PUT", zone .. "/custom_hostnames/fallback_origin" },
    { "custom_hostname_checks", "PUT", zone .. "/moongate/custom_hostnames" },
    { "custom_hostnames", "POST", zone .. "/custom_hostnames" },
  } do
    it(("carries every field of %s %s"):format(one[2], one[3]), function()
      local found
      for _, route in ipairs(require("moongate.admin").routes()) do
        if route.method == one[2] and route.path == one[3] then found = route end
      end
      assert.truthy(found, "there is no such route any more")
      for _, field in ipairs(found.fields) do
        local name = one[field.name]
        if name == nil then name = one[4] or field.name end
        if name then
          assert.truthy(known[one[1]].members[name], ("%s: cli/kinds_*.lua does not know the field %s"):format(one[1], field.name))
        end
      end
    end)
  end

  it("makes what others need before them", function()
    local place = {}
    for index, kind in ipairs(kinds.list) do place[kind.level .. " " .. kind.name] = index end
    for _, pair in ipairs {
      { "account lists", "account rules" }, { "account custom_rulesets", "account rules" }, { "account certificate_authorities", "zone associations" },
      { "account zones", "zone settings" }, { "zone custom_rulesets", "zone rules" }, { "zone rules", "zone origins" },
      { "zone rules", "zone dns_records" }, { "zone associations", "zone origins" }, { "account leaf_certificates", "zone origins" },
    } do
      assert.is_true(place[pair[1]] < place[pair[2]], table.concat(pair, " before "))
    end
  end)
end)
