-- A DNS resolver of the spec's own, over UDP on a free port of 127.0.0.1. It answers when it is told to look: nothing runs beside
-- the spec.
--
--   local resolver = resolver.open()
--   resolver.address                                   -- "127.0.0.1:PORT"
--   resolver:answer(function(question, name) return resolver.reply(question, { "one", "two" }) end)   -- one question, if it is there
--   resolver:close()

local ffi = require "ffi"

local registry = debug.getregistry()
if not registry["moongate.spec.resolver"] then
  registry["moongate.spec.resolver"] = true
  ffi.cdef [[
    struct moon_spec_udp_address { uint16_t family; uint16_t port; uint32_t ip; char rest[8]; };
    int socket(int domain, int type, int protocol);
    int bind(int fd, const void *address, unsigned len);
    int getsockname(int fd, void *address, unsigned *len);
    long recvfrom(int fd, void *room, size_t size, int flags, void *address, unsigned *len);
    long sendto(int fd, const char *data, size_t size, int flags, const void *address, unsigned len);
    int close(int fd);
  ]]
end

local DONTWAIT = 0x40

local M = {}
local Resolver = {}
Resolver.__index = Resolver

---@return table resolver
function M.open()
  local fd = ffi.C.socket(2, 2, 0)
  local address, len = ffi.new("struct moon_spec_udp_address", { family = 2, ip = 0x0100007f }), ffi.new("unsigned[1]", 16)
  assert(ffi.C.bind(fd, address, 16) == 0)
  assert(ffi.C.getsockname(fd, address, len) == 0)
  local port = math.floor(address.port / 256) + address.port % 256 * 256
  return setmetatable({ fd = fd, address = "127.0.0.1:" .. port }, Resolver)
end

local function name_of(question)
  local labels, at = {}, 13
  while question:byte(at) ~= 0 do
    local size = question:byte(at)
    labels[#labels + 1] = question:sub(at + 1, at + size)
    at = at + size + 1
  end
  return table.concat(labels, ".")
end

--- Answers one question when it has come. `reply` gets its bytes and the name, and gives those of the answer; nil: silence.
---@param reply fun(question: string, name: string): string|nil
---@return string|nil name that was asked for
function Resolver:answer(reply)
  local room, from, len = ffi.new("char[1024]"), ffi.new("struct moon_spec_udp_address"), ffi.new("unsigned[1]", 16)
  local size = tonumber(ffi.C.recvfrom(self.fd, room, 1024, DONTWAIT, from, len))
  if size < 0 then return nil end
  local question = ffi.string(room, size)
  local name = name_of(question)
  local bytes = reply(question, name)
  if bytes then assert(ffi.C.sendto(self.fd, bytes, #bytes, 0, from, len[0]) == #bytes) end
  return name
end

function Resolver:close() ffi.C.close(self.fd) end

local function u16(number) return string.char(math.floor(number / 256), number % 256) end

M.NO_SUCH_NAME, M.REFUSES = 3, 2

--- An answer: TXT records, or none with a code.
---@param question string
---@param records string[]
---@param code integer|nil
---@return string
function M.reply(question, records, code)
  local tail = ""
  for _, text in ipairs(records) do
    tail = tail .. "\192\12" .. u16(16) .. u16(1) .. "\0\0\0\60" .. u16(#text + 1) .. string.char(#text) .. text
  end
  local asked = question:sub(13):match("^.-%z....") -- without the additional records of the question
  return question:sub(1, 2) .. u16(0x8180 + (code or 0)) .. u16(1) .. u16(#records) .. u16(0) .. u16(0) .. asked .. tail
end

return M
