-- TXT records that the control thread asks for: against a resolver of the spec's own, over UDP.

local script = require "spec.support.script"
local wait = require "spec.support.wait"
local bridge = require "moongate.ffi"
local errands = require "moongate.errands"
require "spec.support.gate"

local C, ffi = bridge.C, bridge.ffi

ffi.cdef [[
struct moon_spec_udp_address { uint16_t family; uint16_t port; uint32_t ip; char rest[8]; };
int moon_errands_open(struct moon_errands **out, uv_loop_t *loop, struct moon_diag *diag);
void moon_errands_close(struct moon_errands **errands);
int socket(int domain, int type, int protocol);
int bind(int fd, const void *address, unsigned len);
int getsockname(int fd, void *address, unsigned *len);
long recvfrom(int fd, void *room, size_t size, int flags, void *address, unsigned *len);
long sendto(int fd, const char *data, size_t size, int flags, const void *address, unsigned len);
int close(int fd);
]]

local DONTWAIT = 0x40

describe("a lookup of TXT records", function()
  local loop_memory, loop, control, diag, fd, port

  setup(function()
    loop_memory = ffi.new("char[?]", tonumber(C.uv_loop_size()))
    loop = ffi.cast("uv_loop_t *", loop_memory)
    assert(C.uv_loop_init(loop) == 0)
    diag = ffi.new("struct moon_diag[1]")
  end)

  before_each(function()
    local box = ffi.new("struct moon_errands *[1]")
    assert(C.moon_errands_open(box, loop, diag) == 0)
    local _, struct = script.control()
    control = struct
    control.errands = box[0]
    errands.attach(control)
    fd = ffi.C.socket(2, 2, 0)
    local address, len = ffi.new("struct moon_spec_udp_address", { family = 2, ip = 0x0100007f }), ffi.new("unsigned[1]", 16)
    assert(ffi.C.bind(fd, address, 16) == 0)
    assert(ffi.C.getsockname(fd, address, len) == 0)
    port = math.floor(address.port / 256) + address.port % 256 * 256
    errands.configure { allow_local = true, dns = "127.0.0.1:" .. port }
  end)

  after_each(function()
    ffi.C.close(fd)
    C.moon_errands_close(ffi.new("struct moon_errands *[1]", control.errands))
    C.uv_run(loop, 0)
  end)

  teardown(function() assert.equal(0, C.uv_loop_close(loop)) end)

  -- Answers one question when it has come: `reply` gets it and gives the answer, or nil for silence.
  local function answer_one(reply)
    local room, from, len = ffi.new("char[1024]"), ffi.new("struct moon_spec_udp_address"), ffi.new("unsigned[1]", 16)
    local size = tonumber(ffi.C.recvfrom(fd, room, 1024, DONTWAIT, from, len))
    if size < 0 then return end
    local bytes = reply(ffi.string(room, size))
    if bytes then assert(ffi.C.sendto(fd, bytes, #bytes, 0, from, len[0]) == #bytes) end
  end

  local function texts(name, reply)
    local result
    local task = coroutine.create(function()
      local list, failure = errands.texts(name)
      result = { list = list, failure = failure }
    end)
    assert(coroutine.resume(task))
    if result then return result.list, result.failure end
    local outcome = ffi.new("struct moon_ffi_outcome")
    wait.until_true("the lookup to be done", function()
      C.uv_run(loop, 2)
      answer_one(reply)
      for id = 1, 40 do
        if C.moon_ffi_errand_outcome(control, id, outcome) then
          local woken, answer, failure = errands.take(id)
          assert.equal(task, woken)
          assert(coroutine.resume(task, answer, failure))
          return true
        end
      end
    end, 30)
    return result.list, result.failure
  end

  local function u16(number) return string.char(math.floor(number / 256), number % 256) end

  -- The question's own words, with another head and records behind it.
  local function reply_to(question, flags, ...)
    local records = { ... }
    local tail = ""
    for _, text in ipairs(records) do
      tail = tail .. "\192\12" .. u16(16) .. u16(1) .. "\0\0\0\60" .. u16(#text + 1) .. string.char(#text) .. text
    end
    local body = question:sub(13):match("^.-%z....") -- without the additional records of the question
    return question:sub(1, 2) .. u16(flags) .. u16(1) .. u16(#records) .. u16(0) .. u16(0) .. body .. tail
  end

  it("gives the records of the name, which is asked for as it stands", function()
    local asked
    local list = texts("_cf-custom-hostname.shop.test", function(question)
      asked = question
      return reply_to(question, 0x8180, "one", "two")
    end)
    assert.same({ "one", "two" }, list)
    assert.truthy(asked:find("\19_cf-custom-hostname\4shop\4test\0", 1, true))
  end)

  it("gives an empty list for a name that is not there, and for one without such records", function()
    assert.same({}, texts("nobody.test", function(question) return reply_to(question, 0x8183) end))
    assert.same({}, texts("other.test", function(question) return reply_to(question, 0x8180) end))
  end)

  it("says so when the resolver refuses", function()
    local list, failure = texts("shop.test", function(question) return reply_to(question, 0x8182) end)
    assert.is_nil(list)
    assert.truthy(#failure.text > 0)
  end)

  it("does not wait for a silent resolver for ever", function()
    local list, failure = texts("shop.test", function() end)
    assert.is_nil(list)
    assert.truthy(failure.text:find("in time", 1, true))
  end)

  for title, case in pairs {
    ["an endless name"] = { ("a"):rep(300), nil, "name" }, ["a resolver without a port"] = { "a.test", "127.0.0.1", "server" },
    ["an IPv6 resolver"] = { "a.test", "[::1]:53", "server" },
  } do
    it("is refused with " .. title, function()
      if case[2] then errands.configure { allow_local = true, dns = case[2] } end
      local list, failure = texts(case[1], function() end)
      assert.is_nil(list)
      assert.equal(case[3], failure.where)
    end)
  end
end)
