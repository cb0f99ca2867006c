-- moongate.absent_fields: fields of the rules language whose values need data that a self-hosted gateway does not have: scores of bots,
-- findings of scanners, products beside the gateway. Their names and types are known, so that expressions from elsewhere compile;
-- their values are missing, so that every comparison with one is false. `docs/fields.md` lists them as such.

local M = {}

---@type table<string, string>  name → type
M.types = {
  ["cf.client.bot"] = "Boolean",
  ["cf.bot_management.verified_bot"] = "Boolean",
  ["cf.bot_management.static_resource"] = "Boolean",
  ["cf.bot_management.corporate_proxy"] = "Boolean",
  ["cf.bot_management.js_detection.passed"] = "Boolean",
  ["cf.bot_management.signed_agent"] = "Boolean",
  ["cf.bot_management.score"] = "Integer",
  ["cf.bot_management.detection_ids"] = "Array<Integer>",
  ["cf.verified_bot_category"] = "String",
  ["cf.threat_score"] = "Integer",
  ["cf.waf.score"] = "Integer",
  ["cf.waf.score.sqli"] = "Integer",
  ["cf.waf.score.xss"] = "Integer",
  ["cf.waf.score.rce"] = "Integer",
  ["cf.waf.score.class"] = "String",
  ["cf.waf.auth_detected"] = "Boolean",
  ["cf.waf.credential_check.password_leaked"] = "Boolean",
  ["cf.waf.credential_check.username_leaked"] = "Boolean",
  ["cf.waf.credential_check.username_and_password_leaked"] = "Boolean",
  ["cf.waf.credential_check.username_password_similar"] = "Boolean",
  ["cf.waf.content_scan.has_obj"] = "Boolean",
  ["cf.waf.content_scan.has_malicious_obj"] = "Boolean",
  ["cf.waf.content_scan.has_failed"] = "Boolean",
  ["cf.waf.content_scan.num_obj"] = "Integer",
  ["cf.waf.content_scan.num_malicious_obj"] = "Integer",
  ["cf.waf.content_scan.obj_sizes"] = "Array<Integer>",
  ["cf.waf.content_scan.obj_types"] = "Array<String>",
  ["cf.waf.content_scan.obj_results"] = "Array<String>",
  ["cf.api_gateway.auth_id_present"] = "Boolean",
  ["cf.api_gateway.request_violates_schema"] = "Boolean",
  ["cf.api_gateway.fallthrough_detected"] = "Boolean",
  ["cf.schema_validation.learned.violated"] = "Boolean",
  ["cf.schema_validation.uploaded.violated"] = "Boolean",
  ["cf.llm.prompt.detected"] = "Boolean",
  ["cf.llm.prompt.pii_detected"] = "Boolean",
  ["cf.llm.prompt.unsafe_topic_detected"] = "Boolean",
  ["cf.llm.prompt.pii_categories"] = "Array<String>",
  ["cf.llm.prompt.unsafe_topic_categories"] = "Array<String>",
  ["cf.llm.prompt.injection_score"] = "Integer",
  ["cf.llm.prompt.token_count"] = "Integer",
  ["cf.llm.prompt.custom_topic_categories"] = "Map<Integer>",
  ["http.request.body.mime"] = "String",
  ["cf.worker.upstream_zone"] = "String",
  ["cf.timings.client_quic_rtt_msec"] = "Integer",
  ["http.request.jwt.claims.aud"] = "Map<Array<String>>",
  ["http.request.jwt.claims.iss"] = "Map<Array<String>>",
  ["http.request.jwt.claims.jti"] = "Map<Array<String>>",
  ["http.request.jwt.claims.sub"] = "Map<Array<String>>",
  ["http.request.jwt.claims.iat.sec"] = "Map<Array<Integer>>",
  ["http.request.jwt.claims.nbf.sec"] = "Map<Array<Integer>>",
}

for _, claim in ipairs { "aud", "iss", "jti", "sub", "iat.sec", "nbf.sec" } do
  M.types["http.request.jwt.claims." .. claim .. ".names"] = "Array<String>"
  M.types["http.request.jwt.claims." .. claim .. ".values"] = claim:find("sec", 1, true) and "Array<Integer>" or "Array<String>"
end

--- Rows as fields.lua has them, in the order of their names.
---@return { name: string, type: string, help: string, absent: boolean }[]
function M.list()
  local rows = {}
  for name, type in pairs(M.types) do
    rows[#rows + 1] = { name = name, type = type, absent = true, help = "Missing: its data does not exist on a gateway of one's own." }
  end
  table.sort(rows, function(a, b) return a.name < b.name end)
  return rows
end

return M
