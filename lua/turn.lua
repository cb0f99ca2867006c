-- moongate.turn: whose turn it is in a state of policies: one table that the entries from C fill and everybody else
-- reads.
--
-- Set by task.lua and policy_state.lua at the beginning of each stretch. What a policy keeps of one request and uses in
-- another one's turn is found out by the serial.

---@class moongate.turn
---@field serial number       of the request; 0: none
---@field method string|nil   with host and path: handed in where they are needed often; nil: ask the fields
---@field host string|nil
---@field path string|nil
return { serial = 0 }
