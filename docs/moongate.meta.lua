---@meta moongate
-- The types of what policy files get from require "moongate", for editors that speak LuaCATS. Never loaded; the manual is
-- policy-files.md beside it.

---@class moongate
---@field version string
---@field kv moongate.kv
local moongate = {}

---@class moongate.Where  which requests; "*" stands for any characters
---@field method? string|string[]
---@field host? string
---@field path? string

---@class moongate.FieldDeclaration
---@field name string
---@field type "string"|"boolean"|"integer"|"ip"|string  or a type of the rules language, such as "Array<String>"
---@field help? string
---@field value fun(req: moongate.Request): string|boolean|integer|table

---@class moongate.FunctionDeclaration
---@field name string
---@field params? string[]  types
---@field returns string    a type
---@field help? string
---@field call fun(...): string|boolean|integer|table

--- Declares a field for rules and policies. While the file is loaded.
---@param declaration moongate.FieldDeclaration
function moongate.field(declaration) end

--- Declares a function for rules. While the file is loaded.
---@param declaration moongate.FunctionDeclaration
function moongate.func(declaration) end

--- Declares a content handler, reached by pattern or by name. While the file is loaded.
---@param name string
---@param where moongate.Where
---@param run fun(req: moongate.Request, res: moongate.Response)
---@overload fun(name: string, run: fun(req: moongate.Request, res: moongate.Response))
function moongate.handler(name, where, run) end

--- Declares a callback. One for "request" may return the name of a handler. While the file is loaded.
---@param event "request"|"response"
---@param where moongate.Where
---@param run fun(req: moongate.Request, res: moongate.Response): string|nil
---@overload fun(event: "request"|"response", run: fun(req: moongate.Request, res: moongate.Response): string|nil)
function moongate.on(event, where, run) end

--- The text of a file, relative to the policy file; raises an error when it cannot be read. While the file is loaded.
---@param name string
---@return string
function moongate.read_file(name) end

--- Waits without holding the worker.
---@param seconds number
function moongate.sleep(seconds) end

---@class moongate.FetchOptions
---@field url string
---@field method? string   GET when absent
---@field headers? table<string, string|string[]>
---@field body? string
---@field timeout? number  seconds; 10 when absent
---@field ca? string       PEM, instead of the system's CAs

---@class moongate.FetchAnswer
---@field status integer
---@field headers moongate.Headers
---@field body string

--- Asks another server and waits for its whole answer.
---@param options moongate.FetchOptions
---@return moongate.FetchAnswer|nil answer
---@return string|nil reason
function moongate.fetch(options) end

--- Writes a line to the log.
---@param level "error"|"warn"|"info"|"debug"
---@param text string
---@overload fun(text: string)
function moongate.log(level, text) end

---@class moongate.kv  shared by all workers
local kv = {}

---@param key string
---@return string|number|nil
function kv.get(key) end

---@param key string
---@param value string|number
---@param seconds? number  how long it stays
function kv.set(key, value, seconds) end

---@param key string
---@return boolean was_there
function kv.delete(key) end

---@param key string
---@param by? number       1 when absent
---@param seconds? number  how long a key that begins here stays
---@return number sum
function kv.incr(key, by, seconds) end

--- Besides these every field of the rules language, by its name: req["http.host"], req.http.host.
---@class moongate.Request
---@field headers moongate.Headers
---@field ray string
---@field [string] any
local Request = {}

--- The whole body. In handlers.
---@param limit? integer  bytes; 1 MiB when absent, and at most
---@return string
function Request:body(limit) end

--- Sends the request to another origin than its host's. In on("request").
---@param url string  http://host[:port] or https://host[:port]
---@param options? { host_header?: string, sni?: string, ca?: string }
function Request:route(url, options) end

---@class moongate.Response
---@field status integer
---@field headers moongate.Headers
local Response = {}

--- Answers the request.
---@param status integer|nil  200 when absent and res.status is not set
---@param headers? table<string, string|string[]>
---@param body? string
---@overload fun(self: moongate.Response, status: integer, body: string)
function Response:send(status, headers, body) end

--- Answers with the gateway's page for blocked requests.
function Response:block() end

--- By name and without regard to case: headers["x-name"], headers["x-name"] = "value" | { "a", "b" } | nil.
---@class moongate.Headers
---@field [string] string|nil
local Headers = {}

---@param name string
---@return string|nil  all values, joined by ", "
function Headers:get(name) end

---@param name string
---@return string[]
function Headers:all(name) end

---@param name string
---@param value string|number
function Headers:add(name, value) end

---@param name string
---@param value string|number|string[]|nil
function Headers:set(name, value) end

---@param name string
function Headers:remove(name) end

--- for name, value in headers:each() do … end
---@return fun(): string|nil, string|nil
function Headers:each() end

return moongate
