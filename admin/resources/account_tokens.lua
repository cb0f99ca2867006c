--- moongate.admin.resources.account_tokens — API tokens that an account owns.
--
-- The same verbs as for the user's tokens (tokens.lua), for an owner that has less: such a token can name its account
-- and the account's zones only, and is nothing outside it whatever it says (moongate.admin.policy).

local permissions = require "moongate.admin.permissions"
local tokens = require "moongate.admin.resources.tokens"

local M = {}

local PATH = "/accounts/{account_id}/tokens"

M.routes = tokens.routes_for(PATH, "Account API Tokens", function(context)
  return { account_id = context.account.id }
end)
M.routes[#M.routes + 1] = {
  method = "GET", path = PATH .. "/verify", permission = permissions.any(), verifies = "account",
  run = tokens.verify(true),
}

return M
