--- moongate.admin.resources.tokens — is my token valid? The two verification endpoints.
--
-- That the request came this far is the answer; what is wrong with a token is said by admin/auth.lua, in the codes that
-- clients of these two paths look for.

local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local permissions = require "moongate.admin.permissions"

local M = {}

local function verify(context, owned_by_account)
  local identity = context.identity
  if (identity.account_id ~= nil) ~= owned_by_account then
    -- Clients take exactly this code as "a token of the other kind".
    return nil, errors.fail("token_not_valid")
  end
  return {
    result = json.object {
      id = identity.id, status = "active", expires_on = identity.expires_on, not_before = identity.not_before,
    },
    messages = { { code = 10000, message = "This API Token is valid and active", type = json.null } },
  }
end

M.routes = {
  {
    method = "GET", path = "/user/tokens/verify", permission = permissions.any(), verifies = "user",
    run = function(context) return verify(context, false) end,
  },
  {
    method = "GET", path = "/accounts/{account_id}/tokens/verify", permission = permissions.any(), verifies = "account",
    run = function(context) return verify(context, true) end,
  },
}

return M
