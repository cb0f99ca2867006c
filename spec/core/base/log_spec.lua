local ffi = require "ffi"
local shell = require "spec.support.shell"
local unit = require "spec.support.unit"
local wait = require "spec.support.wait"
local json = require "dkjson"

ffi.cdef [[
int open(const char *path, int flags, ...);
int close(int fd);
int pipe(int fds[2]);
ssize_t read(int fd, void *data, size_t len);
int fcntl(int fd, int command, ...);
]]
local C = unit.load { "base/str.h", "base/buf.h", "base/log.h" }

local ERROR, WARN, INFO, DEBUG = 0, 1, 2, 3

--- A log into a file; log.lines() closes it and gives the lines.
local function open_log(level)
  local directory = shell.directory "log"
  local fd = ffi.C.open(directory .. "/log", 1 + 64, ffi.cast("int", 384))
  local box = ffi.new("struct moon_log *[1]", C.moon_log_open(fd, nil, nil, level or INFO))
  local log = { channel = C.moon_log_channel_open(box[0]), box = box }
  function log.lines()
    C.moon_log_close(box)
    ffi.C.close(fd)
    local lines = {}
    for line in shell.read(directory .. "/log"):gmatch("([^\n]*)\n") do lines[#lines + 1] = line end
    shell.remove_directory(directory)
    return lines
  end
  return log
end

--- The one line that `write` makes.
local function line_of(write, level)
  local log = open_log(level)
  write(log.channel)
  local lines = log.lines()
  assert.equal(1, #lines)
  return lines[1]
end

local function value_line(value)
  return line_of(function(channel)
    C.moon_log_begin(channel, INFO, "spec", "tells")
    C.moon_log_str(channel, "value", unit.str(value))
    C.moon_log_end(channel)
  end)
end

describe("a log line", function()
  it("is a JSON object with time, level, subject, what and the fields in order", function()
    local line = line_of(function(channel)
      C.moon_log_begin(channel, WARN, "origin", "failed")
      C.moon_log_str(channel, "host", unit.str "a.test")
      C.moon_log_int(channel, "least", ffi.cast("int64_t", -0x7fffffffffffffffLL) - 1)
      C.moon_log_bool(channel, "yes", true)
      C.moon_log_bool(channel, "no", false)
      C.moon_log_text(channel, "absent", nil)
      C.moon_log_text(channel, "empty", "")
      C.moon_log_end(channel)
    end)
    local time, rest = line:match('^{"time":"(%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ)",(.*)$')
    assert.truthy(time)
    assert.equal('"level":"warn","subject":"origin","what":"failed","host":"a.test","least":-9223372036854775808,'
      .. '"yes":true,"no":false,"empty":""}', rest)
  end)

  for _, case in ipairs {
    { "a quote", 'a"b', 'a\\"b' },
    { "a backslash", "a\\b", "a\\\\b" },
    { "a line feed", "a\nb", "a\\u000ab" },
    { "CR LF and a forged line", 'a\r\n{"level":"info"}', 'a\\u000d\\u000a{\\"level\\":\\"info\\"}' },
    { "NUL", "a\0b", "a\\u0000b" },
    { "a tab", "a\tb", "a\\u0009b" },
    { "an ANSI sequence", "\27[31mred\27[0m", "\\u001b[31mred\\u001b[0m" },
    { "DEL", "a\127", "a\\u007f" },
    { "a C1 control in UTF-8", "a\194\155b", "a\\u00c2\\u009bb" },
    { "the C1 control as one byte", "a\155b", "a\\u009bb" },
    { "UTF-8", "gr\195\188n \226\130\172 \240\159\140\153", "gr\195\188n \226\130\172 \240\159\140\153" },
    { "no-break space, the first behind the controls", "\194\160", "\194\160" },
    { "a lone lead byte", "a\195", "a\\u00c3" },
    { "a lone continuation byte", "\128", "\\u0080" },
    { "an overlong slash", "\192\175", "\\u00c0\\u00af" },
    { "an overlong three-byte form", "\224\128\175", "\\u00e0\\u0080\\u00af" },
    { "a surrogate", "\237\160\128", "\\u00ed\\u00a0\\u0080" },
    { "a code point beyond U+10FFFF", "\244\144\128\128", "\\u00f4\\u0090\\u0080\\u0080" },
    { "a cut sequence before ASCII", "\226\130x", "\\u00e2\\u0082x" },
    { "0xff", "\255", "\\u00ff" },
    { "nothing", "", "" },
  } do
    it("escapes " .. case[1], function()
      local line = value_line(case[2])
      assert.equal(case[3], line:match('"value":"(.*)"}$'))
      assert.is_string(json.decode(line).value)
    end)
  end

  it("escapes a byte wherever it stands in a long text", function()
    local log, expected = open_log(), {}
    for _, case in ipairs { { '"', '\\"' }, { "\\", "\\\\" }, { "\31", "\\u001f" }, { "\127", "\\u007f" }, { "\128", "\\u0080" } } do
      for before = 0, 17 do
        local text = ("x"):rep(before) .. "%s" .. ("~ "):rep(5)
        C.moon_log_begin(log.channel, INFO, "spec", "tells")
        C.moon_log_str(log.channel, "value", unit.str(text:format(case[1])))
        C.moon_log_end(log.channel)
        expected[#expected + 1] = text:format(case[2])
      end
    end
    local found = {}
    for index, line in ipairs(log.lines()) do found[index] = line:match('"value":"(.*)"}$') end
    assert.same(expected, found)
  end)

  it("takes a view of NULL for the empty text", function()
    local line = line_of(function(channel)
      C.moon_log_begin(channel, INFO, "spec", "tells")
      C.moon_log_str(channel, "value", ffi.new("struct moon_str"))
      C.moon_log_end(channel)
    end)
    assert.truthy(line:find('"value":""}', 1, true))
  end)

  it("escapes what happened like any other text", function()
    local line = line_of(function(channel) C.moon_log_line(channel, INFO, "spec", 'a"\n', "b\n") end)
    assert.truthy(line:find([["what":"a\"\u000a","detail":"b\u000a"}]], 1, true))
  end)

  it("has at most 1 KiB of a value, and shows that it was cut", function()
    assert.equal(("x"):rep(1024), value_line(("x"):rep(1024)):match('"value":"(.*)"}$'))
    assert.equal(("x"):rep(1024) .. "…", value_line(("x"):rep(1025)):match('"value":"(.*)"}$'))
    local cut = value_line(("x"):rep(1023) .. "\195\188")
    assert.equal(("x"):rep(1023) .. "\\u00c3…", cut:match('"value":"(.*)"}$'))
  end)

  it("is dropped and counted when it is larger than a line can be", function()
    local log = open_log()
    C.moon_log_begin(log.channel, INFO, "spec", "tells")
    for i = 1, 20 do C.moon_log_str(log.channel, "k" .. i, unit.str(("\1"):rep(1024))) end
    C.moon_log_end(log.channel)
    assert.equal(1, tonumber(C.moon_log_dropped(log.channel)))
    C.moon_log_line(log.channel, INFO, "spec", "next", nil)
    local lines = log.lines()
    assert.truthy(lines[1]:find('"what":"next"', 1, true))
    assert.truthy(lines[2]:find('"what":"lines dropped","count":1}', 1, true))
    assert.equal(2, #lines)
  end)
end)

describe("levels", function()
  for level, name in pairs { [ERROR] = "error", [WARN] = "warn", [INFO] = "info", [DEBUG] = "debug" } do
    it(("at %s leave out what is more detailed"):format(name), function()
      local log = open_log(level)
      for written = ERROR, DEBUG do
        assert.equal(written <= level, C.moon_log_wants(log.channel, written))
        C.moon_log_line(log.channel, written, "spec", "line " .. written, "x")
      end
      assert.equal(0, tonumber(C.moon_log_dropped(log.channel)))
      assert.equal(level + 1, #log.lines())
    end)
  end
end)

describe("a channel whose reader is stuck", function()
  it("never waits: it drops lines, counts them, and says so once there is room again", function()
    local fds = ffi.new("int[2]")
    assert.equal(0, ffi.C.pipe(fds)) -- nobody reads from it, so that the writer's thread hangs in write()
    local box = ffi.new("struct moon_log *[1]", C.moon_log_open(fds[1], nil, nil, INFO))
    local channel = C.moon_log_channel_open(box[0])
    local detail = ("x"):rep(900)
    local written, began = 0, wait.now()
    repeat
      C.moon_log_line(channel, INFO, "spec", "tells", detail)
      written = written + 1
      if wait.now() - began > 20 then error("no line was ever dropped") end
    until C.moon_log_dropped(channel) >= 1000
    local dropped = tonumber(C.moon_log_dropped(channel))

    local text, room = {}, ffi.new("char[65536]")
    local function drain()
      local n = tonumber(ffi.C.read(fds[0], room, 65536))
      assert(n > 0)
      text[#text + 1] = ffi.string(room, n)
      return table.concat(text)
    end
    repeat -- all of it, in however many pieces the writer takes it: closing waits for the writer, and nobody would read then
      local all = drain()
      local _, tells = all:gsub('"what":"tells"', "")
    until tells == written - dropped and all:find('"lines dropped"', 1, true)
    C.moon_log_close(box)
    ffi.C.close(fds[1])
    while true do
      local n = tonumber(ffi.C.read(fds[0], room, 65536))
      if n <= 0 then break end
      text[#text + 1] = ffi.string(room, n)
    end
    ffi.C.close(fds[0])
    local told, lines = 0, 0
    for line in table.concat(text):gmatch("([^\n]*)\n") do
      local object = assert(json.decode(line), line)
      if object.what == "lines dropped" then told = told + object.count else lines = lines + 1 end
    end
    assert.equal(dropped, told)
    assert.equal(written - dropped, lines)
  end)
end)

describe("moon_log_close()", function()
  it("writes everything that was logged before", function()
    local log = open_log()
    for i = 1, 500 do C.moon_log_line(log.channel, INFO, "spec", "line " .. i, nil) end
    local lines = log.lines()
    assert.equal(500, #lines)
    for i = 1, 500 do assert.truthy(lines[i]:find(('"what":"line %d"'):format(i), 1, true)) end
    assert.is_true(log.box[0] == nil)
  end)

  it("keeps whole lines when a ring wraps around many times", function()
    local log = open_log()
    for i = 1, 3000 do
      C.moon_log_line(log.channel, INFO, "spec", "line " .. i, ("y"):rep(i % 700))
      if i % 200 == 0 then wait.pause(0.06) end -- the writer looks every 50 ms; nothing hangs on it
    end
    local dropped = tonumber(C.moon_log_dropped(log.channel))
    local lines, count = log.lines(), 0
    for _, line in ipairs(lines) do
      local object = assert(json.decode(line), line)
      if object.subject == "spec" then
        count = count + 1
        local number = tonumber(object.what:match("%d+"))
        assert.equal(number % 700, #(object.detail or ""))
      end
    end
    assert.equal(3000 - dropped, count)
  end)
end)

describe("a log without a writer", function()
  it("writes its lines when it is pumped, and the rest at its end", function()
    local directory = shell.directory "log"
    local path = directory .. "/log"
    local fd = ffi.C.open(path, 1 + 64, ffi.cast("int", 384))
    local box = ffi.new("struct moon_log *[1]", C.moon_log_open_pumped(fd, nil, nil, INFO))
    local channel = C.moon_log_channel_open(box[0])
    C.moon_log_line(channel, INFO, "spec", "first", nil)
    wait.pause(0.2) -- four times as long as a writer takes
    assert.equal("", shell.read(path))
    C.moon_log_pump(box[0])
    assert.truthy(shell.read(path):find('"what":"first"', 1, true))
    C.moon_log_line(channel, INFO, "spec", "second", nil)
    C.moon_log_close(box)
    ffi.C.close(fd)
    assert.truthy(shell.read(path):find('"what":"second"', 1, true))
    shell.remove_directory(directory)
  end)
end)
